//! The product's figures, beside those of its peers: `cargo xtask bench VERB`. Nothing here asserts a time.
//!
//! What every verb stands on: [`rounds`] (in turns, because the machine changes while it is measured), [`processors`] (CPU
//! time of processes and threads, and where they run), [`report`], [`table`] and [`plot`] (what it comes to).
//!
//! `engine`: the program `engine-guest` measures from inside WebAssembly; here are its host ([`guest`], [`wasi`]), the
//! control plane that publishes to it ([`publisher`], [`tokens`]), the order of things ([`engine`]), [`peers`] and counts of
//! [`instructions`], [`case_instructions`].
//!
//! [`gateway`]: a real Envoy with a listener for each variant, and load from this process. [`feed`]: how gateways follow the
//! control plane, in a real Envoy.

pub mod case_instructions;
pub mod engine;
pub mod feed;
pub mod gateway;
pub mod guest;
pub mod instructions;
pub mod peers;
pub mod plot;
pub mod processors;
pub mod publisher;
pub mod report;
pub mod rounds;
pub mod table;
pub mod tokens;
pub mod wasi;

/// Lets time pass between measurements, or between what is sent at a given rate.
#[expect(clippy::disallowed_methods, reason = "paces what is measured, from a thread of its own")]
fn pause(duration: std::time::Duration) {
    std::thread::sleep(duration);
}
