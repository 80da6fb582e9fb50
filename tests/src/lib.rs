//! The hosts and helpers that prove the filter: a stand-in Maskinporten, a real Envoy, the whole stack, and what plays
//! the story through them. README.md says which suite proves what.

#[cfg(feature = "wasmtime-host")]
pub mod attacks;
#[cfg(feature = "bench-common")]
pub mod bench;
#[cfg(feature = "wasmtime-host")]
pub mod cases;
pub mod conformance;
pub mod envoy;
#[cfg(feature = "wasmtime-host")]
pub mod faults;
pub mod http;
pub mod maskinporten;
pub mod policytest;
pub mod process;
#[cfg(feature = "wasmtime-host")]
pub mod proxy_host;
pub mod sample_api;
pub mod stack;
pub mod story;
pub mod trap;
pub mod wait;
