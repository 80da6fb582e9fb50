//! WIP
pub mod id;
mod json;
pub mod right;
mod timestamp;
pub mod token;
pub mod urn;
pub use timestamp::{Timestamp, TimestampError};
