//! The filter that does nothing, written against the ABI (proxy-wasm 0.2.1) with one callback: what it costs to be there.

use std::path::Path;

use anyhow::{Context as _, Result};

const TEXT: &str = r#"(module
  (memory (export "memory") 2)
  (global $next (mut i32) (i32.const 65536))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "_initialize"))
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $next))
    (global.set $next (i32.add (local.get $at) (local.get $size)))
    (local.get $at))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 0)))"#;

/// Writes the module.
pub fn write(file: &Path) -> Result<()> {
    let module = wat::parse_str(TEXT).context("the module's text")?;
    std::fs::write(file, module).context("the module cannot be written")
}
