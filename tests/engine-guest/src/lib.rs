//! Measures the decision engine from inside, with the clock of whatever host runs it.
//!
//! One program, [`session::serve`], natively and in WebAssembly: its host says what to load and what to time
//! ([`frames`]), it answers with [`figures`]. Both know the same invented provider ([`world`], [`document`]), so that the
//! program can ask about any row without being told. The host is the crate `gateway-tests` with the feature `bench`.

pub mod clock;
pub mod document;
pub mod figures;
pub mod frames;
pub mod random;
pub mod session;
pub mod world;

mod decisions;
mod loads;
mod look_ups;
