//! The host: the one file that names hostcalls.
//!
//! What the SDK tells of a failed hostcall is told to the caller as a value; nothing here decides anything. On a status
//! that it does not expect, the SDK (0.2.5) traps instead: the call at hand is then refused by the host, and the next one
//! gets a new VM.

use std::cell::{Cell, RefCell};
use std::time::{Duration, UNIX_EPOCH};

use policies::token::{Algorithm, PureRust, SignatureError, VerificationKey, VerifySignature, es256_der};
use policies::{ApiCall, CallError, Timestamp};
use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, GrpcStatusCode, LogLevel, MapType, MetricType, Status};

use crate::feed::shared::SharedData;

/// Until the host may be asked for its log level; while the module is initialised, Envoy allows no hostcall.
pub(crate) fn log_from_info() {
    proxy_wasm::set_log_level(LogLevel::Info);
}

/// Takes the host's log level, so that a line that nobody will see costs no hostcall.
pub(crate) fn log_as_the_host_does() {
    proxy_wasm::set_log_level(hostcalls::get_log_level().unwrap_or(LogLevel::Info));
}

/// The host's clock. One that cannot be read stands in 1970, where every token is not valid yet.
pub(crate) fn now() -> Timestamp {
    let since_1970 = hostcalls::get_current_time().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let now = since_1970.and_then(|since| {
        let second = Timestamp::from_unix_seconds(i64::try_from(since.as_secs()).ok()?);
        Some(second.plus_millis(i64::from(since.subsec_millis())))
    });
    now.unwrap_or(Timestamp::from_unix_millis(0))
}

/// The host's clock, in nanoseconds; for differences.
pub(crate) fn nanos() -> u64 {
    let since_1970 = hostcalls::get_current_time().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since_1970.and_then(|duration| u64::try_from(duration.as_nanos()).ok()).unwrap_or(0)
}

pub(crate) fn plugin_configuration() -> Vec<u8> {
    hostcalls::get_buffer(BufferType::PluginConfiguration, 0, usize::MAX).ok().flatten().unwrap_or_default()
}

pub(crate) fn tick_every(period: Duration) -> bool {
    hostcalls::set_tick_period(period).is_ok()
}

/// Sends a call to a cluster; gives the token under which the reply will come.
pub(crate) fn send(cluster: &str, headers: Vec<(&str, &str)>, body: Option<&[u8]>, timeout: Duration) -> Option<u32> {
    hostcalls::dispatch_http_call(cluster, headers, body, Vec::new(), timeout).ok()
}

/// Makes the queue through which others wake this worker; `false` on a host without queues.
pub(crate) fn make_queue(name: &str) -> bool {
    hostcalls::register_shared_queue(name).is_ok()
}

/// Empties a queue that this worker made.
pub(crate) fn empty_queue(queue: u32) {
    while let Ok(Some(_)) = hostcalls::dequeue_shared_queue(queue) {}
}

/// What the workers of a host share.
pub(crate) struct HostSharedData;

impl SharedData for HostSharedData {
    fn get(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        match hostcalls::get_shared_data(key) {
            Ok((Some(value), Some(state))) => Some((value, state)),
            _ => None,
        }
    }

    fn set(&self, key: &str, value: &[u8], state: Option<u32>) -> bool {
        hostcalls::set_shared_data(key, Some(value), state).is_ok()
    }

    fn wake(&self, queue: &str) {
        let vm = hostcalls::get_property(vec!["plugin_vm_id"]).ok().flatten().unwrap_or_default();
        let Ok(vm) = std::str::from_utf8(&vm) else { return };
        // Best effort: whoever is not woken looks at its next tick.
        if let Ok(Some(queue)) = hostcalls::resolve_shared_queue(vm, queue) {
            let _ = hostcalls::enqueue_shared_queue(queue, Some(&[1]));
        }
    }
}

pub(crate) fn reply_header(name: &str) -> Option<String> {
    let value = hostcalls::get_map_value_bytes(MapType::HttpCallResponseHeaders, name).ok().flatten();
    value.and_then(|value| String::from_utf8(value).ok())
}

pub(crate) fn reply_body(bytes: usize) -> Vec<u8> {
    hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, bytes).ok().flatten().unwrap_or_default()
}

/// The request as its headers have it.
pub(crate) fn request() -> Result<ApiCall, CallError> {
    // No HTTP filter has such data: the finished module hands over all headers in one (`xtask/src/headers.rs`).
    if let Ok(Some(all)) = hostcalls::get_buffer(BufferType::DownstreamData, 0, usize::MAX) {
        return ApiCall::parse_serialized(all);
    }
    let headers = hostcalls::get_map_bytes(MapType::HttpRequestHeaders).unwrap_or_default();
    ApiCall::parse(headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())))
}

pub(crate) fn add_request_header(name: &str, value: &[u8]) -> bool {
    hostcalls::add_map_value_bytes(MapType::HttpRequestHeaders, name, value).is_ok()
}

pub(crate) fn remove_request_header(name: &str) -> bool {
    hostcalls::remove_map_value(MapType::HttpRequestHeaders, name).is_ok()
}

/// What the gateway's route for the request says about this filter: `route` of its metadata `portvakt`. `None` without such a
/// member (or with an empty text); bytes that are no name where it is no text.
pub(crate) fn route_metadata() -> Option<Vec<u8>> {
    let path = vec!["xds", "route_metadata", "filter_metadata", "portvakt", "route"];
    // What cannot be told names no route.
    hostcalls::get_property(path).unwrap_or_else(|_| Some(Vec::new()))
}

/// Every trailer of the request.
pub(crate) fn request_trailers() -> Vec<(String, Vec<u8>)> {
    hostcalls::get_map_bytes(MapType::HttpRequestTrailers).unwrap_or_default()
}

pub(crate) fn remove_request_trailer(name: &str) -> bool {
    hostcalls::remove_map_value(MapType::HttpRequestTrailers, name).is_ok()
}

pub(crate) fn resume_request() -> bool {
    hostcalls::resume_http_request().is_ok()
}

pub(crate) fn send_reply(status: u16, headers: Vec<(&str, &str)>, body: &str) -> bool {
    hostcalls::send_http_response(u32::from(status), headers, Some(body.as_bytes())).is_ok()
}

/// The one value of a header of the request; of repeated ones the first.
pub(crate) fn request_header(name: &str) -> Option<Vec<u8>> {
    hostcalls::get_map_value_bytes(MapType::HttpRequestHeaders, name).ok().flatten()
}

/// Answers a gRPC caller: headers that are trailers, with a status and a message (gRPC over HTTP/2, Trailers-Only).
pub(crate) fn send_grpc_reply(status: GrpcStatusCode, headers: Vec<(&str, &str)>, message: &str) -> bool {
    let headers = headers.into_iter().map(|(name, value)| (name, value.as_bytes())).collect();
    hostcalls::send_grpc_response(status, Some(message), headers).is_ok()
}

/// What the next calls are about; `false` when that stream is gone.
pub(crate) fn enter_context(context_id: u32) -> bool {
    hostcalls::set_effective_context(context_id).is_ok()
}

pub(crate) fn define_counter(name: &str) -> Option<u32> {
    hostcalls::define_metric(MetricType::Counter, name).ok()
}

pub(crate) fn define_gauge(name: &str) -> Option<u32> {
    hostcalls::define_metric(MetricType::Gauge, name).ok()
}

pub(crate) fn define_histogram(name: &str) -> Option<u32> {
    hostcalls::define_metric(MetricType::Histogram, name).ok()
}

pub(crate) fn increment(metric: u32, more: i64) {
    // Best effort: a host that drops a count still gets its decision.
    let _ = hostcalls::increment_metric(metric, more);
}

pub(crate) fn record(metric: u32, value: u64) {
    // As above.
    let _ = hostcalls::record_metric(metric, value);
}

/// Verification by the host's native code where it has it (Envoy: RS256 and ES256, 18 and 50 µs), in Rust where it has not
/// (1 ms).
#[derive(Debug, Default)]
pub(crate) struct HostSignatures {
    missing: Cell<bool>,
    /// Room for arguments, which one call leaves to the next.
    arguments: RefCell<Vec<u8>>,
}

impl VerifySignature for HostSignatures {
    fn verify(&self, key: &VerificationKey, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        if self.missing.get() {
            return PureRust.verify(key, message, signature);
        }
        let der;
        let native_signature = match key.algorithm() {
            // Hosts verify none of these (Envoy's function knows RSA by PKCS #1 v1.5 and ECDSA).
            Algorithm::Ps256 | Algorithm::EdDsa => return PureRust.verify(key, message, signature),
            Algorithm::Rs256 => signature,
            Algorithm::Es256 => {
                der = es256_der(signature).ok_or(SignatureError::Invalid)?;
                &der
            }
        };
        let mut arguments = self.arguments.take();
        put_verify_arguments(&mut arguments, key.spki_der(), native_signature, message);
        let answer = hostcalls::call_foreign_function("verify_signature", Some(&arguments));
        self.arguments.replace(arguments);
        match answer {
            Ok(Some(answer)) if is_verified(&answer) => Ok(()),
            Ok(_) => Err(SignatureError::Invalid),
            Err(Status::NotFound) => {
                log::info!("the host cannot verify signatures; they are verified in Rust");
                self.missing.set(true);
                PureRust.verify(key, message, signature)
            }
            Err(_) => Err(SignatureError::Unavailable),
        }
    }
}

/// Envoy's `VerifySignatureArguments` (Protocol Buffers): hash function, public key, signature, text.
///
/// The hash's name is a constant: Envoy would take SHA-1 too.
fn put_verify_arguments(bytes: &mut Vec<u8>, spki_der: &[u8], signature: &[u8], message: &[u8]) {
    bytes.clear();
    bytes.reserve(spki_der.len() + signature.len() + message.len() + 32);
    for (field, value) in [(1, &b"sha256"[..]), (2, spki_der), (3, signature), (4, message)] {
        bytes.push(field << 3 | 2);
        let mut length = value.len();
        while length > 0x7f {
            bytes.push(length as u8 & 0x7f | 0x80);
            length >>= 7;
        }
        bytes.push(length as u8);
        bytes.extend_from_slice(value);
    }
}

/// Envoy's `VerifySignatureResult`: field 1 is true, and nothing else is there. An error would be field 2.
fn is_verified(answer: &[u8]) -> bool {
    answer == [1 << 3, 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_protocol_buffers() {
        let mut bytes = b"left over".to_vec();
        put_verify_arguments(&mut bytes, &[1, 2], &[3], &[4; 300]);
        let start = [&[0x0a, 6][..], b"sha256", &[0x12, 2, 1, 2, 0x1a, 1, 3, 0x22, 0xac, 0x02]].concat();
        assert_eq!(bytes[..start.len()], start);
        assert_eq!(bytes.len(), start.len() + 300);
    }

    #[test]
    fn only_a_plain_yes_is_yes() {
        assert!(is_verified(&[8, 1]));
        for no in [&[][..], &[8, 0], &[8], &[8, 1, 0x12, 1, b'x'], &[0x12, 1, b'x'], &[16, 1]] {
            assert!(!is_verified(no), "{no:?}");
        }
    }
}
