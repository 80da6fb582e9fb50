//! What Envoy is told: one listener for each variant, so that all of them share a process, a worker and a moment.
//!
//! No access log, no TLS, HTTP/1.1: whatever else a gateway does makes every difference smaller.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

/// Tokens that Envoy's own filter may keep: twice as many as there are.
pub const JWT_CACHE_TOKENS: u32 = 2_000;
/// Longest that a call to an authoriser may take.
const AUTHORIZER_TIME_MAX: &str = "2s";
const CLAIMS: &str = "claims";
const API: &str = "api";

/// What stands before the answer.
#[derive(Debug, Clone)]
pub enum Filter {
    /// `jwt_authn`; with a cache of tokens or without.
    JwtAuthn { cached: bool },
    /// `rbac`: path, and a claim that `jwt_authn` has left.
    Rbac,
    /// `ext_authz` over HTTP, to this cluster.
    ExtAuthzHttp(&'static str),
    /// `ext_authz` over gRPC, to this cluster.
    ExtAuthzGrpc(&'static str),
    /// A module with its configuration; VMs are shared by name.
    Wasm { vm: String, module: std::path::PathBuf, configuration: String },
}

/// One listener.
#[derive(Debug, Clone)]
pub struct Listener {
    pub name: String,
    pub filters: Vec<Filter>,
    /// The small API answers, not Envoy itself.
    pub has_upstream: bool,
}

/// Where a cluster is.
#[derive(Debug, Clone)]
pub struct Cluster {
    pub name: String,
    pub address: SocketAddr,
    pub is_http2: bool,
}

/// The whole; `issuer` and its key set are what `jwt_authn` trusts, `scope` is what `rbac` asks for.
pub fn render(listeners: &[Listener], clusters: &[Cluster], issuer: &str, key_set: &Value, scope: &str) -> Value {
    let trust = Trust { issuer, key_set, scope };
    json!({
        "node": { "id": "bench", "cluster": "bench" },
        "admin": { "address": socket(([127, 0, 0, 1], 0).into()) },
        "static_resources": {
            "listeners": listeners.iter().map(|one| listener(one, &trust)).collect::<Vec<_>>(),
            "clusters": clusters.iter().map(cluster).collect::<Vec<_>>(),
        },
    })
}

struct Trust<'a> {
    issuer: &'a str,
    key_set: &'a Value,
    scope: &'a str,
}

fn listener(listener: &Listener, trust: &Trust<'_>) -> Value {
    let mut filters: Vec<Value> = listener.filters.iter().map(|one| filter(one, trust)).collect();
    filters.push(json!({ "name": "envoy.filters.http.router", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" } }));
    let answer = if listener.has_upstream {
        json!({ "match": { "prefix": "/" }, "route": { "cluster": API } })
    } else {
        json!({ "match": { "prefix": "/" }, "direct_response": { "status": 200, "body": { "inline_string": "ok\n" } } })
    };
    json!({
        "name": listener.name,
        "address": socket(([127, 0, 0, 1], 0).into()),
        "filter_chains": [{ "filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": listener.name,
                "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [answer] }] },
                // 100 headers of a request are one of the sizes that are measured.
                "common_http_protocol_options": { "max_headers_count": 200 },
                "http_filters": filters,
            },
        }] }],
    })
}

fn filter(filter: &Filter, trust: &Trust<'_>) -> Value {
    let of =
        |name: &str, config: Value| json!({ "name": format!("envoy.filters.http.{name}"), "typed_config": config });
    match filter {
        Filter::JwtAuthn { cached } => {
            let mut provider = json!({
                "issuer": trust.issuer,
                "local_jwks": { "inline_string": json!({ "keys": [trust.key_set] }).to_string() },
                "forward": true,
                "payload_in_metadata": CLAIMS,
            });
            if *cached && let Some(provider) = provider.as_object_mut() {
                provider.insert("jwt_cache_config".to_owned(), json!({ "jwt_cache_size": JWT_CACHE_TOKENS }));
            }
            of(
                "jwt_authn",
                json!({
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
                    "providers": { "issuer": provider },
                    "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "issuer" } }],
                }),
            )
        }
        Filter::Rbac => of(
            "rbac",
            json!({
                "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
                "rules": { "action": "ALLOW", "policies": { "api": {
                    "permissions": [{ "url_path": { "path": { "prefix": "/api/" } } }],
                    "principals": [{ "sourced_metadata": { "metadata_matcher": {
                        "filter": "envoy.filters.http.jwt_authn",
                        "path": [{ "key": CLAIMS }, { "key": "scope" }],
                        "value": { "string_match": { "exact": trust.scope } },
                    } } }],
                } } },
            }),
        ),
        Filter::ExtAuthzHttp(cluster) => of(
            "ext_authz",
            json!({
                "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
                "http_service": { "server_uri": {
                    "uri": "http://authorizer", "cluster": cluster, "timeout": AUTHORIZER_TIME_MAX } },
            }),
        ),
        Filter::ExtAuthzGrpc(cluster) => of(
            "ext_authz",
            json!({
                "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
                "transport_api_version": "V3",
                "grpc_service": { "envoy_grpc": { "cluster_name": cluster }, "timeout": AUTHORIZER_TIME_MAX },
            }),
        ),
        Filter::Wasm { vm, module, configuration } => of(
            "wasm",
            json!({
                "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                "config": {
                    "name": vm,
                    "root_id": vm,
                    "failure_policy": "FAIL_RELOAD",
                    "vm_config": {
                        "vm_id": vm,
                        "runtime": "envoy.wasm.runtime.v8",
                        "code": { "local": { "filename": module } },
                    },
                    "configuration": {
                        "@type": "type.googleapis.com/google.protobuf.StringValue",
                        "value": configuration,
                    },
                },
            }),
        ),
    }
}

fn cluster(cluster: &Cluster) -> Value {
    let mut rendered = json!({
        "name": cluster.name,
        "type": "STATIC",
        "connect_timeout": "1s",
        // The bench asks for more than an API would be asked for at once.
        "circuit_breakers": { "thresholds": [{ "max_connections": 4096, "max_pending_requests": 4096, "max_requests": 4096 }] },
        "load_assignment": {
            "cluster_name": cluster.name,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": socket(cluster.address) } }] }],
        },
    });
    if cluster.is_http2
        && let Some(members) = rendered.as_object_mut()
    {
        members.insert(
            "typed_extension_protocol_options".to_owned(),
            json!({
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "explicit_http_config": { "http2_protocol_options": {} },
                },
            }),
        );
    }
    rendered
}

fn socket(address: SocketAddr) -> Value {
    json!({ "socket_address": { "address": address.ip().to_string(), "port_value": address.port() } })
}

/// The cluster of the small API.
pub fn api_cluster(address: SocketAddr) -> Cluster {
    Cluster { name: API.to_owned(), address, is_http2: false }
}

/// Writes it where Envoy reads it.
pub fn write(bootstrap: &Value, file: &Path) -> std::io::Result<()> {
    std::fs::write(file, format!("{bootstrap:#}"))
}
