//! What the tests in Envoy start from: the whole stack in a folder of its own, gone when the test ends.

use gateway_tests::envoy::EnvoySettings;
use gateway_tests::faults::FaultyControlPlane;
use gateway_tests::sample_api::SampleApi;
use gateway_tests::stack::{Gateway, GatewayOptions, Platform, PlatformOptions, Programs, Storage};
use gateway_tests::story::moves;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) struct Stage {
    // Before the folder, so that the programs end before their files go.
    pub(crate) platform: Platform,
    _folder: TempDir,
}

impl Stage {
    /// A platform whose API is protected, with SmartCloud AS's system registered.
    pub(crate) async fn set() -> Self {
        let stage = Self::bare().await;
        stage.platform.protect_the_api().await.unwrap();
        moves::register_system(&stage.platform).await.unwrap();
        stage
    }

    /// A platform with an API provider that has said nothing about its API yet.
    pub(crate) async fn bare() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::File;
        let options = PlatformOptions { directory: folder.path().into(), control_plane_port: 0, storage };
        let platform = Platform::start(Programs::from_environment().unwrap(), &options).await.unwrap();
        Self { platform, _folder: folder }
    }

    pub(crate) async fn gateway(&self) -> Gateway {
        self.gateway_with(GatewayOptions::default()).await
    }

    pub(crate) async fn gateway_with(&self, options: GatewayOptions) -> Gateway {
        Gateway::start(&self.platform, &options).await.unwrap()
    }
}

/// An Envoy of so many workers whose filter is configured so, from the programs that `cargo xtask test` names.
pub(crate) fn envoy_settings(
    folder: &TempDir,
    filter_configuration: Value,
    workers: u32,
    control_plane: &FaultyControlPlane,
    sample_api: &SampleApi,
) -> EnvoySettings {
    let program = |name| std::env::var_os(name).expect("run this through `cargo xtask test`");
    EnvoySettings {
        program: program("ENVOY_BIN").into(),
        filter_wasm: program("FILTER_WASM_PATH").into(),
        filter_configuration,
        port: 0,
        workers,
        control_plane: control_plane.address(),
        sample_api: sample_api.address(),
        directory: folder.path().to_owned(),
    }
}
