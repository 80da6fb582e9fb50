//! Every test that needs more than one room, in one binary. README.md says which suite proves what.

// `cfg(test)` is always set here; it tells clippy that helpers beside the tests are test code too.
#[cfg(test)]
mod architecture;
#[cfg(test)]
mod attacks_in_envoy;
#[cfg(test)]
mod attacks_in_wasmtime;
#[cfg(test)]
mod cases_in_envoy;
#[cfg(test)]
mod cases_in_wasmtime;
#[cfg(test)]
mod cases_natively;
#[cfg(test)]
mod cost_in_wasmtime;
#[cfg(test)]
mod filter_extras_in_wasmtime;
#[cfg(test)]
mod filter_in_wasmtime;
#[cfg(test)]
mod in_envoy_bad_configuration;
#[cfg(test)]
mod in_envoy_bad_feed;
#[cfg(test)]
mod in_envoy_control_plane_gone;
#[cfg(test)]
mod in_envoy_faulty_control_plane;
#[cfg(test)]
mod in_envoy_first_snapshot;
#[cfg(test)]
mod in_envoy_issuer_keys;
#[cfg(test)]
mod in_envoy_key_rotation;
#[cfg(test)]
mod in_envoy_replies;
#[cfg(test)]
mod in_envoy_stage;
#[cfg(test)]
mod in_envoy_walk;
#[cfg(test)]
mod in_wasmtime_host;
#[cfg(test)]
mod killed_while_approving;
#[cfg(test)]
mod maskinporten_grant;
#[cfg(test)]
mod on_postgres_replicas;
#[cfg(test)]
mod people_log_in;
#[cfg(test)]
mod remote_pdp;
#[cfg(test)]
mod route_metadata;
#[cfg(test)]
mod shadow_snapshot;
#[cfg(test)]
mod slices_in_wasmtime;
#[cfg(test)]
mod without_gateway;
