//! The snapshot: everything a gateway needs to decide, in one signed, versioned, binary piece.
//!
//! [`compile()`] turns a [`Document`] into an *image*, a flat little-endian file of fixed-width sections that is read in
//! place (`layout`). A [`Manifest`] names the provider, the version and the hash of every chunk of the image; it is
//! signed ES256, and [`seal`] joins the three into the body that gateways fetch. [`open`] is the way back: whole or
//! refused, never in part. The same document gives the same image, byte for byte.

mod compile;
mod document;
mod image;
pub(crate) mod layout;
mod manifest;

pub use compile::{CompileError, CompileErrors, compile};
pub use document::{
    CallerKind, DelegationDocument, Document, IssuerDocument, IssuerKindDocument, ModeDocument, PartyDocument,
    ResourceDocument, RouteDocument, RuleDocument, SystemDocument, SystemUserDocument, SystemUserKind,
};
pub use image::ImageError;
pub(crate) use image::{HeldThrough, Image, ObligationView, RightIndex, SystemUserIndex};
pub use manifest::{
    CHUNK_BYTES, Manifest, SNAPSHOT_BYTES_MAX, SnapshotError, SnapshotKey, SnapshotVersion, open, seal,
};
