//! The HTTP client of everything in this crate that calls another process on this machine.
//!
//! It never uses a proxy from the environment (all addresses are loopback) and never waits without a bound.

use std::time::Duration;

use anyhow::{Context, Result};

/// No answer on loopback takes longer, apart from held polls, which nothing in this crate makes through this client.
const ANSWER_SECONDS_MAX: u64 = 15;

/// A client that reaches loopback addresses only as fast as they answer, and gives up after fifteen seconds.
pub fn loopback_client() -> Result<reqwest::Client> {
    install_crypto_provider();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(ANSWER_SECONDS_MAX))
        .build()
        .context("could not set up the HTTP client")
}

/// The HTTP client wants a TLS provider chosen even where it only speaks plain HTTP.
fn install_crypto_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Another thread may have been first; then its choice stands, which is the same one.
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
    }
}
