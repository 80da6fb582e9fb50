//! Filters that decide nothing, written against the ABI (proxy-wasm 0.2.1) by hand: what a gateway takes for there being one,
//! and for what ours asks of it. No filter that needs the same is below that.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policies::token::key_set;
use serde_json::json;

use crate::bench::tokens::issuer_key;

/// How it looks to a host, and callbacks that do nothing. What the host hands over is written over what it handed over before.
const FRAME: &str = r#"
  (memory (export "memory") 4)
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "_initialize"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 65536))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_context_create") (param i32 i32))"#;

/// What ours asks a host for when a call begins: all headers, the time; and when it lets one through: a header more. It is told
/// when the stream ends.
const SAME_CALLS: &str = r#"
  (func (export "proxy_on_delete") (param i32))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (drop (call $headers (i32.const 0) (i32.const 16) (i32.const 20)))
    (drop (call $time (i32.const 8)))
    (call $verified)
    (drop (call $add (i32.const 0) (i32.const 1024) (i32.const 12) (i32.const 1036) (global.get $value_bytes)))
    (i32.const 0))"#;
const IMPORTS: &str = r#"
  (import "env" "proxy_get_header_map_pairs" (func $headers (param i32 i32 i32) (result i32)))
  (import "env" "proxy_get_current_time_nanoseconds" (func $time (param i32) (result i32)))
  (import "env" "proxy_call_foreign_function" (func $ask (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))"#;
/// As long as what ours tells of a usual system user.
const VALUE_BYTES: usize = 214;

/// The modules.
#[derive(Debug)]
pub struct Floor {
    /// Does nothing, with one callback.
    pub noop: PathBuf,
    /// Asks the host for what ours asks for when it knows the token.
    pub same_calls: PathBuf,
    /// … and when it does not: verifies a signature with each call.
    pub same_calls_first_sight: PathBuf,
}

impl Floor {
    /// Writes them into a folder. `token` is one of the issuer's.
    pub fn write(folder: &Path, token: &str) -> Result<Self> {
        let nothing = r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 0))"#;
        let known = "(func $verified)";
        let header = format!(
            r#"(data (i32.const 1024) "x-systemuser{}") (global $value_bytes i32 (i32.const {VALUE_BYTES}))"#,
            "x".repeat(VALUE_BYTES)
        );
        let arguments = verify_arguments(token)?;
        let verifying = format!(
            r#"(data (i32.const 2048) "verify_signature{}")
            (func $verified
              (if (call $ask (i32.const 2048) (i32.const 16) (i32.const 2064) (i32.const {}) (i32.const 16) (i32.const 20))
                (then unreachable))
              (if (i32.ne (i32.load16_u (i32.load (i32.const 16))) (i32.const 0x0108)) (then unreachable)))"#,
            escaped(&arguments),
            arguments.len()
        );
        let write = |name: &str, parts: &[&str]| -> Result<PathBuf> {
            let module = wat::parse_str(format!("(module {})", parts.join("\n"))).context("the module's text")?;
            let file = folder.join(name);
            std::fs::write(&file, module).context("the module cannot be written")?;
            Ok(file)
        };
        Ok(Self {
            noop: write("noop.wasm", &[FRAME, nothing])?,
            same_calls: write("same_calls.wasm", &[IMPORTS, FRAME, &header, known, SAME_CALLS])?,
            same_calls_first_sight: write("verifying.wasm", &[IMPORTS, FRAME, &header, &verifying, SAME_CALLS])?,
        })
    }
}

/// Envoy's `VerifySignatureArguments` (Protocol Buffers) for a token.
fn verify_arguments(token: &str) -> Result<Vec<u8>> {
    let (message, signature) = token.rsplit_once('.').context("no token")?;
    let keys = key_set(json!({"keys": [issuer_key()?]}).to_string().as_bytes())?;
    let key = keys.first().context("no key")?.spki_der();
    let mut arguments = Vec::new();
    for (field, value) in
        [(1, &b"sha256"[..]), (2, key), (3, &URL_SAFE_NO_PAD.decode(signature)?), (4, message.as_bytes())]
    {
        arguments.push(field << 3 | 2);
        let length = value.len();
        // At most 14 bits.
        arguments.extend(if length < 0x80 {
            vec![length as u8]
        } else {
            vec![length as u8 | 0x80, (length >> 7) as u8]
        });
        arguments.extend_from_slice(value);
    }
    Ok(arguments)
}

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "\\{byte:02x}");
        text
    })
}
