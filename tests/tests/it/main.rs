//! Every test that needs more than one room, in one binary. README.md says which suite proves what.

// `cfg(test)` is always set here; it tells clippy that helpers beside the tests are test code too.
#[cfg(test)]
mod in_wasmtime_host;
#[cfg(test)]
mod maskinporten_grant;
