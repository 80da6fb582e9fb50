//! Small proxy-wasm guests as text: what all of them import, and strings written in place.

use anyhow::{Context as _, Result};
use gateway_tests::proxy_host::ProxyHost;

/// Imports that every guest here has, an allocator, and `$show`, which logs a status as two digits.
///
/// In a guest's text `#"abc"` stands for the address and the size of a string, `#{a=b,c=d}` for those of a header map.
/// A host function returns values at address 0 (data) and 4 (size), or at 8.
const PRELUDE: &str = r#"
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (import "env" "proxy_get_buffer_bytes" (func $buffer (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_buffer_bytes" (func $edit (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_header_map_value" (func $header (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_replace_header_map_value" (func $set_header (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_send_local_response" (func $reply (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_continue_stream" (func $resume (param i32) (result i32)))
  (import "env" "proxy_set_effective_context" (func $act_as (param i32) (result i32)))
  (import "env" "proxy_set_tick_period_milliseconds" (func $period (param i32) (result i32)))
  (import "env" "proxy_http_call" (func $http (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_shared_data" (func $shared (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_shared_data" (func $share (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_register_shared_queue" (func $register (param i32 i32 i32) (result i32)))
  (import "env" "proxy_resolve_shared_queue" (func $resolve (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_enqueue_shared_queue" (func $enqueue (param i32 i32 i32) (result i32)))
  (import "env" "proxy_dequeue_shared_queue" (func $dequeue (param i32 i32 i32) (result i32)))
  (import "env" "proxy_get_current_time_nanoseconds" (func $now (param i32) (result i32)))
  (import "env" "proxy_define_metric" (func $define (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_increment_metric" (func $increment (param i32 i64) (result i32)))
  (import "env" "proxy_set_property" (func $set_property (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_property" (func $property (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_call_foreign_function" (func $foreign (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_grpc_cancel" (func $grpc_cancel (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 2)
  (global $heap (mut i32) (i32.const 65536))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (global.get $heap)
    (global.set $heap (i32.add (global.get $heap) (local.get $size))))
  (func $say (param i32 i32) (drop (call $log (i32.const 2) (local.get 0) (local.get 1))))
  (func $show (param $status i32)
    (i32.store8 (i32.const 16) (i32.add (i32.const 48) (i32.div_u (local.get $status) (i32.const 10))))
    (i32.store8 (i32.const 17) (i32.add (i32.const 48) (i32.rem_u (local.get $status) (i32.const 10))))
    (call $say (i32.const 16) (i32.const 2)))
  (func $say_value (call $say (i32.load (i32.const 0)) (i32.load (i32.const 4))))
"#;

/// A guest with the prelude and this text.
pub(super) fn guest(text: &str) -> Result<ProxyHost> {
    let (mut code, mut data) = (String::new(), Vec::new());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('#') {
        code.push_str(before);
        let (bytes, after) = match after.strip_prefix('"') {
            Some(string) => {
                string.split_once('"').map(|(text, after)| (text.replace("\\00", "\0").into_bytes(), after))
            }
            None => after.strip_prefix('{').and_then(|map| map.split_once('}')).map(|(map, after)| (pairs(map), after)),
        }
        .context("a `#` must begin a string or a map")?;
        code.push_str(&format!("(i32.const {}) (i32.const {})", 1024 + data.len(), bytes.len()));
        data.extend(bytes);
        rest = after;
    }
    code.push_str(rest);
    let escaped: String = data.iter().map(|byte| format!("\\{byte:02x}")).collect();
    ProxyHost::load(format!("(module {PRELUDE} {code} (data (i32.const 1024) \"{escaped}\"))").as_bytes())
}

/// A callback for request headers; parameter 2 is the end of the stream.
pub(super) fn on_request(body: &str) -> String {
    format!(r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) {body})"#)
}

/// Replies 403 with everything a reply can have.
pub(super) fn reply_and(then: &str) -> String {
    format!(r##"(drop (call $reply (i32.const 403) #"pv no_right" #"no" #{{x-a=1}} (i32.const -1))) {then}"##)
}

/// Dispatches a call in each tick, holds every request, and acts for stream 2 when the call is answered.
pub(super) fn holding(then: &str) -> String {
    let tick = r##"(func (export "proxy_on_vm_start") (param i32 i32) (result i32) (call $period (i32.const 100)) (i32.eqz))
      (func (export "proxy_on_tick") (param i32)
        (call $show (call $http #"feed" #{:method=GET,:path=/s,:authority=c} #"" #{} (i32.const 1500) (i32.const 8))))"##;
    let answered = format!(
        r##"(func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32) (local $status i32)
          (local.set $status (call $header (i32.const 6) #":status" (i32.const 0) (i32.const 4)))
          (if (local.get $status) (then (call $show (local.get $status))) (else (call $say_value)))
          (call $show (call $act_as (i32.const 2)))
          {then})"##
    );
    format!("{tick} {answered} {}", on_request("(i32.const 1)"))
}

fn pairs(map: &str) -> Vec<u8> {
    let pairs: Vec<(&str, &str)> = map.split(',').filter_map(|pair| pair.split_once('=')).collect();
    let number = |size: usize| u32::try_from(size).unwrap_or_default().to_le_bytes();
    let sizes = pairs.iter().flat_map(|(name, value)| [number(name.len()), number(value.len())]).flatten();
    let strings = pairs.iter().flat_map(|(name, value)| [name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
    number(pairs.len()).into_iter().chain(sizes).chain(strings).collect()
}
