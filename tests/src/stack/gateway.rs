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
    /// How long it holds calls until the first policy.
    pub hold_milliseconds_max: u64,
}

impl Default for GatewayOptions {
    fn default() -> Self {
        Self {
            name: "gateway".into(),
            port: 0,
            workers: 2,
            control_plane: None,
            hold_milliseconds_max: 5_000,
        }
    }
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    pub envoy: Envoy,
    caller: ApiCaller,
}

impl Gateway {
    /// Starts Envoy before the platform's sample API.
    pub async fn start(platform: &Platform, options: &GatewayOptions) -> Result<Self> {
        let envoy = Envoy::start(&EnvoySettings {
            program: platform.programs.envoy.clone(),
            filter_wasm: platform.programs.filter_wasm.clone(),
            filter_configuration: filter_configuration(platform, options).await?,
            port: options.port,
            workers: options.workers,
            control_plane: options.control_plane.unwrap_or(platform.control_plane.address()),
            sample_api: platform.sample_api.address(),
            directory: platform.directory_for(&options.name),
        })
        .await?;
        let caller = ApiCaller::anonymous(envoy.base_url())?;
        Ok(Self { envoy, caller })
    }

    /// A call through the gateway, with a bearer token or without.
    pub async fn get(&self, path: &str, token: Option<&str>) -> Result<Answer> {
        match token {
            Some(token) => self.caller.with_token(token).get(path).await,
            None => self.caller.get(path).await,
        }
    }
}

async fn filter_configuration(platform: &Platform, options: &GatewayOptions) -> Result<Value> {
    Ok(json!({
        "provider": cast::PROVIDER_ID,
        "controlPlane": {
            "cluster": "control-plane",
            "authority": "control-plane",
            "credential": platform.gateway_credential,
            "waitSeconds": 25,
        },
        "gateway": options.name,
        "snapshotKeys": platform.control_plane.snapshot_keys().await?,
        "staleness": { "warnSeconds": 60, "denySeconds": 900 },
        "hold": { "callsMax": 1000, "millisecondsMax": options.hold_milliseconds_max },
        "realm": "regnskapsregisteret",
    }))
}
