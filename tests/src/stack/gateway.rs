//! An API provider's gateway: a real Envoy with the filter, and calls through it.

use std::net::SocketAddr;

use anyhow::Result;
use serde_json::{Value, json};

use super::caller::{Answer, ApiCaller};
use super::cast;
use super::platform::Platform;
use crate::envoy::{Envoy, EnvoySettings};

/// What differs between the gateways of the tests and the demo.
#[derive(Debug, Clone)]
pub struct GatewayOptions {
    /// Also the name of its folder.
    pub name: String,
    /// 0 takes a free port.
    pub port: u16,
    pub workers: u32,
    /// Where it polls; the control plane unless a test puts something in between.
    pub control_plane: Option<SocketAddr>,
    /// How long the control plane may hold a poll.
    pub poll_seconds: u16,
    /// How long it holds calls until the first policy.
    pub hold_milliseconds_max: u32,
    /// How long it goes on deciding without a successful poll.
    pub stale_seconds: u32,
}

impl Default for GatewayOptions {
    fn default() -> Self {
        Self {
            name: "gateway".into(),
            port: 0,
            workers: 2,
            control_plane: None,
            poll_seconds: 25,
            hold_milliseconds_max: 5_000,
            stale_seconds: 900,
        }
    }
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    pub envoy: Envoy,
    name: String,
    caller: ApiCaller,
}

impl Gateway {
    /// Starts Envoy before the platform's sample API.
    pub async fn start(platform: &Platform, options: &GatewayOptions) -> Result<Self> {
        let envoy = Envoy::start(&EnvoySettings {
            program: platform.programs.envoy.clone(),
            filter_wasm: platform.programs.filter_wasm.clone(),
            filter_configuration: filter_configuration(platform, options),
            port: options.port,
            workers: options.workers,
            control_plane: options.control_plane.unwrap_or(platform.control_plane.address()),
            sample_api: platform.sample_api.address(),
            directory: platform.directory_for(&options.name),
        })
        .await?;
        let caller = ApiCaller::anonymous(envoy.base_url())?;
        Ok(Self { envoy, name: options.name.clone(), caller })
    }

    /// As the operator's list calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The filter's counter of this name, over all workers.
    pub async fn count(&self, name: &str) -> Result<u64> {
        let full_name = format!("wasmcustom.{name}");
        Ok(self.envoy.stats(&full_name).await?.get(&full_name).copied().unwrap_or(0))
    }

    /// A call through the gateway, with a bearer token or without.
    pub async fn get(&self, path: &str, token: Option<&str>) -> Result<Answer> {
        self.caller(token).get(path).await
    }

    /// Calls through the gateway on the same connections as [`Gateway::get`].
    pub fn caller(&self, token: Option<&str>) -> ApiCaller {
        token.map_or_else(|| self.caller.clone(), |token| self.caller.with_token(token))
    }
}

fn filter_configuration(platform: &Platform, options: &GatewayOptions) -> Value {
    json!({
        "provider": cast::PROVIDER_ID,
        "controlPlane": {
            "cluster": "control-plane",
            "authority": "control-plane",
            "credential": platform.gateway_credential,
            "waitSeconds": options.poll_seconds,
        },
        "gateway": options.name,
        "snapshotKeys": platform.snapshot_keys,
        "staleness": { "warnSeconds": options.stale_seconds.min(60), "denySeconds": options.stale_seconds },
        "hold": { "callsMax": 1000, "millisecondsMax": options.hold_milliseconds_max },
        "realm": "regnskapsregisteret",
    })
}
