//! What is put side by side.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::bootstrap::{Filter, Listener};
use super::callers::{Callers, Kind};
use super::floor::Floor;
use super::load::Requests;

pub const HTTP: &str = "authorizer-http";
pub const HTTP_FAR: &str = "authorizer-http-2ms";
pub const GRPC: &str = "authorizer-grpc";
pub const GRPC_FAR: &str = "authorizer-grpc-2ms";

/// One of the things that are compared.
#[derive(Debug, Clone)]
pub struct Variant {
    pub name: String,
    pub listener: Listener,
    pub requests: Requests,
    /// What its requests cost without any filter.
    pub base: String,
}

/// The filter with a snapshot, by name: what [`Filter::Wasm`] needs.
#[derive(Debug, Clone)]
pub struct Portvakt {
    pub name: &'static str,
    pub module: PathBuf,
    pub configuration: String,
}

impl Portvakt {
    fn filter(&self) -> Filter {
        Filter::Wasm {
            vm: self.name.to_owned(),
            module: self.module.clone(),
            configuration: self.configuration.clone(),
        }
    }
}

/// Name of the variants without filters.
pub const BARE: &str = "bare";
pub const BARE_UPSTREAM: &str = "bare_upstream";

/// A listener with requests.
pub fn variant(name: &str, filters: Vec<Filter>, has_upstream: bool, requests: Requests) -> Variant {
    let listener = Listener { name: name.to_owned(), filters, has_upstream };
    let base = if has_upstream { BARE_UPSTREAM } else { BARE };
    Variant { name: name.to_owned(), listener, requests, base: base.to_owned() }
}

/// A listener of the filter.
pub fn portvakt(name: &str, of: &Portvakt, has_upstream: bool, requests: Requests) -> Variant {
    variant(name, vec![of.filter()], has_upstream, requests)
}

/// What is there without us.
pub fn others(callers: &Callers, tokens: usize, floor: &Floor) -> Result<Vec<Variant>> {
    let good = callers.requests(Kind::Good, tokens, 0, 200)?;
    let jwt = |cached| Filter::JwtAuthn { cached };
    let wasm = |vm: &str, module: &Path| {
        vec![Filter::Wasm { vm: vm.to_owned(), module: module.to_owned(), configuration: String::new() }]
    };
    let noop = wasm("noop", &floor.noop);
    let same_calls = wasm("same_calls", &floor.same_calls);
    let direct = [
        (BARE, vec![]),
        ("wasm_noop", noop.clone()),
        ("wasm_same_calls", same_calls.clone()),
        ("wasm_same_calls_first_sight", wasm("same_calls_first_sight", &floor.same_calls_first_sight)),
        ("jwt_authn_cached_rbac", vec![jwt(true), Filter::Rbac]),
        ("jwt_authn", vec![jwt(false)]),
        ("jwt_authn_rbac", vec![jwt(false), Filter::Rbac]),
        ("ext_authz_http", vec![Filter::ExtAuthzHttp(HTTP)]),
        ("ext_authz_grpc", vec![Filter::ExtAuthzGrpc(GRPC)]),
        ("ext_authz_http_2ms", vec![Filter::ExtAuthzHttp(HTTP_FAR)]),
        ("ext_authz_grpc_2ms", vec![Filter::ExtAuthzGrpc(GRPC_FAR)]),
        ("jwt_authn_cached_ext_authz_grpc", vec![jwt(true), Filter::ExtAuthzGrpc(GRPC)]),
    ];
    let upstream = [
        (BARE_UPSTREAM, vec![]),
        ("wasm_noop_upstream", noop),
        ("wasm_same_calls_upstream", same_calls),
        ("jwt_authn_cached_rbac_upstream", vec![jwt(true), Filter::Rbac]),
        ("jwt_authn_cached_ext_authz_grpc_upstream", vec![jwt(true), Filter::ExtAuthzGrpc(GRPC)]),
    ];
    let direct = direct.into_iter().map(|(name, filters)| variant(name, filters, false, good.clone()));
    let upstream = upstream.into_iter().map(|(name, filters)| variant(name, filters, true, good.clone()));
    Ok(direct.chain(upstream).collect())
}
