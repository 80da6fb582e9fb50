//! What Envoy is told: one listener with the filter before the sample API, and a cluster for the control plane.
//!
//! Paths and headers are left as raw as Envoy allows: the filter must not depend on Envoy's normalisation. The
//! configuration for people is `envoy/envoy.yaml`; this one is generated because ports and paths are different each time.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use super::EnvoySettings;

const CONTROL_PLANE_CLUSTER: &str = "control-plane";
const SAMPLE_API_CLUSTER: &str = "sample-api";
/// Shared data are keyed by it, so every VM of one Envoy must have the same.
const VM_ID: &str = "portvakt";

pub(super) fn render(settings: &EnvoySettings, access_log: &Path) -> Value {
    json!({
        "node": { "id": "portvakt", "cluster": "portvakt" },
        "admin": { "address": loopback(0) },
        "static_resources": {
            "listeners": [{
                "name": "gateway",
                "address": loopback(settings.port),
                // Connections that stay open are spread over the workers evenly, whatever the kernel does.
                "connection_balance_config": { "exact_balance": {} },
                "filter_chains": [{ "filters": [{
                    "name": "envoy.filters.network.http_connection_manager",
                    "typed_config": connection_manager(settings, access_log),
                }] }],
            }],
            "clusters": [
                cluster(CONTROL_PLANE_CLUSTER, settings.control_plane),
                cluster(SAMPLE_API_CLUSTER, settings.sample_api),
            ],
        },
    })
}

fn connection_manager(settings: &EnvoySettings, access_log: &Path) -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "gateway",
        // The callers are not trusted: Envoy's own x-envoy-* headers are taken from nobody.
        "use_remote_address": true,
        "access_log": [{
            "name": "envoy.access_loggers.file",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                "path": access_log,
                "log_format": { "text_format_source": { "inline_string":
                    "%START_TIME% %REQ(:METHOD)% %PATH(NQ)% %RESPONSE_CODE% %RESPONSE_CODE_DETAILS%\n" } },
            },
        }],
        "route_config": {
            "name": "sample-api",
            "virtual_hosts": [{
                "name": "sample-api",
                "domains": ["*"],
                "routes": [{
                    "match": { "prefix": "/" },
                    "route": { "cluster": SAMPLE_API_CLUSTER },
                }],
            }],
        },
        "http_filters": [
            { "name": "portvakt", "typed_config": filter(settings) },
            { "name": "envoy.filters.http.router", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" } },
        ],
    })
}

fn filter(settings: &EnvoySettings) -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": {
            "name": "portvakt",
            "root_id": "portvakt",
            // A trap costs the call in which it happened; the next call gets a new VM.
            "failure_policy": "FAIL_RELOAD",
            "vm_config": {
                "vm_id": VM_ID,
                "runtime": "envoy.wasm.runtime.v8",
                "code": { "local": { "filename": settings.filter_wasm } },
            },
            "configuration": {
                "@type": "type.googleapis.com/google.protobuf.StringValue",
                "value": settings.filter_configuration.to_string(),
            },
        },
    })
}

pub(super) fn cluster(name: &str, address: SocketAddr) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": socket(address) } }] }],
        },
    })
}

fn loopback(port: u16) -> Value {
    json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } })
}

fn socket(address: SocketAddr) -> Value {
    json!({ "socket_address": { "address": address.ip().to_string(), "port_value": address.port() } })
}
