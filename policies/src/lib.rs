//! The policy decision point of Portvakt: vocabulary, token verification, snapshot, and [`authorize()`].
//!
//! Nothing here does anything but compute. The instant, the keys and the policy are arguments; there is no clock, file,
//! socket, environment or randomness, no feature and no `cfg`. The same input gives the same decision in every host:
//! natively, in a gateway, in wasmtime.
//!
//! Where to look:
//!
//! * what is decided, in which order: [`authorize()`]; the answer and every reason to refuse: [`Decision`],
//!   [`DenialReason`]
//! * what arrives: [`ApiCall`]; who calls: [`token`]
//! * what decides: [`PolicySet`], from a [`snapshot`]; where its rights come from: [`xacml`]
//! * why: [`explain`]
//! * the vocabulary: [`id`], [`right`], [`urn`]
//!
//! ```
//! use policies::{ApiCall, Decision, DenialReason, PolicySet, PolicyTrouble, Timestamp, authorize, token::PureRust};
//!
//! let policy = PolicySet::deny_all(PolicyTrouble::Missing);
//! let headers = [(":method", "GET"), (":authority", "api.example.no"), (":path", "/vat/310247049/returns")];
//! let call = ApiCall::parse(headers.map(|(name, value)| (name, value.as_bytes())))?;
//! match authorize(&policy, &call, Timestamp::from_unix_seconds(1_795_348_800), &PureRust) {
//!     Decision::Denial(denial) => assert_eq!(denial.reason, DenialReason::Policy(PolicyTrouble::Missing)),
//!     Decision::Permit(_) => unreachable!("without a policy nothing is permitted"),
//! }
//! # Ok::<(), policies::CallError>(())
//! ```

#![warn(missing_docs, clippy::print_stdout, clippy::print_stderr)]

mod authorize;
mod call;
mod decision;
pub mod explain;
pub mod id;
mod json;
mod policy_set;
pub mod remote;
pub mod right;
mod route;
pub mod snapshot;
mod timestamp;
pub mod token;
pub mod urn;
pub mod xacml;

pub use authorize::{authorize, authorize_by_answer, authorize_cached, authorize_verified};
pub use call::{ApiCall, CallError, HEADERS_MAX, PATH_BYTES_MAX, SEGMENTS_MAX};
pub use decision::{
    Basis, Decision, Denial, DenialReason, GrantedThrough, Permit, PolicyTrouble, RemoteGrant, RightHeld, RightUsed,
};
pub use policy_set::{PolicySet, ProtectedResource};
pub use timestamp::{Timestamp, TimestampError};
