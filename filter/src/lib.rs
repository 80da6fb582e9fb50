//! The policy enforcement point: a proxy-wasm filter that lets a call through only on a [`policies::Permit`].
//!
//! Thin on purpose. `root` is one worker's life: configuration, ticks, the feed's replies. `call` is one HTTP
//! request: headers to an [`policies::ApiCall`], a decision, and what follows. `feed` follows the control plane without
//! doing any I/O itself, which `follower` does for it; `shadow` is a second snapshot that decides beside the one in force,
//! and `remote_pdp` what is asked elsewhere; `reply` is what a refused caller sees; `identity` is what the API behind is told;
//! `telemetry` is what operators see, `call_lines` the log's part of it. Only `host` names hostcalls.

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod call;
mod call_lines;
mod config;
mod decision_log;
mod feed;
mod follower;
mod held;
mod host;
mod identity;
mod issuer_keys;
mod remote_pdp;
mod reply;
mod root;
mod shadow;
mod telemetry;
mod text;

proxy_wasm::main! {{
    host::log_from_info();
    proxy_wasm::set_root_context(|context_id| Box::new(root::Root::new(context_id)));
}}
