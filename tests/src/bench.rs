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
//!
//! `control-plane`: the real program on a large database: [`control_plane`].

#[cfg(feature = "bench")]
pub mod case_instructions;
#[cfg(feature = "bench-control-plane")]
pub mod control_plane;
#[cfg(feature = "bench")]
pub mod engine;
#[cfg(feature = "bench")]
pub mod feed;
#[cfg(feature = "bench")]
pub mod gateway;
#[cfg(feature = "bench")]
pub mod guest;
#[cfg(feature = "bench")]
pub mod instructions;
#[cfg(feature = "bench")]
pub mod peers;
pub mod plot;
pub mod processors;
#[cfg(feature = "bench")]
pub mod publisher;
pub mod report;
pub mod rounds;
pub mod table;
#[cfg(feature = "bench")]
pub mod tokens;
#[cfg(feature = "bench")]
pub mod wasi;

/// Lets time pass between measurements, or between what is sent at a given rate.
#[cfg(feature = "bench")]
#[expect(clippy::disallowed_methods, reason = "paces what is measured, from a thread of its own")]
fn pause(duration: std::time::Duration) {
    std::thread::sleep(duration);
}
