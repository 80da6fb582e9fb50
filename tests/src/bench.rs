//! The figures of the decision engine, beside those of its peers: `cargo xtask bench engine`.
//!
//! The program `engine-guest` measures from inside WebAssembly; here are its host ([`guest`], [`wasi`]), the control plane
//! that publishes to it ([`publisher`], [`tokens`]), the order of things ([`engine`]) and what they come to ([`report`]).
//! Nothing here asserts a time.

pub mod engine;
pub mod guest;
pub mod instructions;
pub mod peers;
pub mod publisher;
pub mod report;
pub mod tokens;
pub mod wasi;
