//! The snapshot: everything a gateway needs to decide, in signed, versioned, binary pieces.
//!
//! [`compile()`] turns a [`Document`] into a *base*, a flat little-endian file of fixed-width sections that is read in
//! place (`layout`); [`SnapshotBuilder`] does the same for a database too large to be a document. [`SnapshotSettings`]
//! makes *deltas* of what has changed since. A [`Manifest`] names the provider, the version and the hash of every chunk; it is
//! signed ES256, and [`seal`] joins the three into a piece that gateways fetch. [`open`] and [`PolicySet::update`] are the
//! way back: whole or refused, never in part. The same document gives the same image, byte for byte.
//!
//! [`PolicySet::update`]: crate::PolicySet::update

mod compile;
mod delta;
mod document;
mod enforced;
mod image;
pub(crate) mod layout;
mod manifest;
mod opening;
pub(crate) mod revocations;
mod sections;
#[cfg(test)]
pub(crate) mod testing;

pub use compile::delta::{DeltaError, DeltaImage, SnapshotSettings, SystemUserState};
pub use compile::{CompileError, CompileErrors, Holding, SnapshotBuilder, compile};
pub use delta::DELTA_BYTES_MAX;
pub use document::{
    AccessListMemberDocument, AlgorithmDocument, CallerKind, DelegationDocument, Document, IssuerDocument,
    IssuerKindDocument, ModeDocument, PartyDocument, PolicySourceDocument, ResourceDocument, RevocationDocument,
    RevokedDocument, RouteDocument, RuleDocument, SemanticsDocument, SystemDocument, SystemUserDocument,
    SystemUserKind,
};
pub(crate) use enforced::{ActiveUser, Edition, Enforced, Held, Known};
pub use image::ImageError;
pub(crate) use image::{HeldThrough, ObligationView, RightIndex};
pub use manifest::{CHUNK_BYTES, IMAGE_BYTES_MAX, Manifest, SnapshotError, SnapshotKey, SnapshotVersion, seal};
pub use opening::{Opening, open};
pub use revocations::REVOCATIONS_MAX;
