//! WIP
pub mod id;
pub mod right;
mod timestamp;
pub mod urn;
pub use timestamp::{Timestamp, TimestampError};
