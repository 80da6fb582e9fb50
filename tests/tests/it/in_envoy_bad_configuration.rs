//! Mistakes in the filter's configuration: Envoy does not start with one, names it, and keeps the last good configuration
//! when a bad one comes later, with the listener or for the filter alone.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use gateway_tests::cases::envoy::call;
use gateway_tests::cases::wasm;
use gateway_tests::envoy::{Envoy, EnvoySettings};
use gateway_tests::wait;
use serde_json::{Value, json};

const BOUND: Duration = Duration::from_secs(60);

fn named(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable);
    PathBuf::from(path.unwrap_or_else(|| panic!("{variable} is not set: run this through `cargo xtask test`")))
}

fn settings(folder: &Path) -> EnvoySettings {
    let nobody = "127.0.0.1:1".parse().unwrap();
    let mut filter_configuration = wasm::filter_configuration().unwrap();
    filter_configuration["hold"] = json!({ "callsMax": 0, "millisecondsMax": 0 });
    EnvoySettings {
        program: named("ENVOY_BIN"),
        filter_wasm: named("FILTER_WASM_PATH"),
        filter_configuration,
        port: 0,
        workers: 1,
        control_plane: nobody,
        sample_api: nobody,
        directory: folder.to_owned(),
    }
}

const LISTENER: &str = "/static_resources/listeners/0";
const FILTERS: &str = "/filter_chains/0/filters/0/typed_config/http_filters";

/// The filter's configuration with a mistake, and how it must be named.
fn spoiled(mut filter: Value) -> (Value, &'static str) {
    let text = filter.pointer_mut("/typed_config/config/configuration/value").unwrap();
    let mut configuration: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
    configuration["controlPlane"]["waitSeconds"] = json!("soon");
    *text = configuration.to_string().into();
    (filter, "`controlPlane.waitSeconds`: expected a whole number")
}

/// Written whole and then moved to its place: Envoy watches for moves.
fn put(folder: &Path, name: &str, resource: &Value) {
    let unfinished = folder.join("unfinished");
    let text = json!({ "version_info": "-", "resources": [resource] }).to_string();
    std::fs::write(&unfinished, text).unwrap();
    std::fs::rename(unfinished, folder.join(name)).unwrap();
}

fn watched(folder: &Path, name: &str) -> Value {
    json!({
        "path_config_source": { "path": folder.join(name), "watched_directory": { "path": folder } },
        "resource_api_version": "V3",
    })
}

/// Waits until Envoy has refused it, and looks that it says why and that calls are answered as before.
async fn check_refused(envoy: &Envoy, counter: &str, named: &str) {
    wait::until("the bad update to be refused", BOUND, async || {
        let stats = envoy.stats(counter).await?;
        Ok(stats.values().any(|count| *count > 0).then_some(()))
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", envoy.log_tail()));
    let log = std::fs::read_to_string(envoy.log()).unwrap();
    assert!(log.contains(named), "{log}");
    check_filtered(envoy).await;
}

/// The filter answers, with the configuration that was good.
async fn check_filtered(envoy: &Envoy) {
    let address = envoy.base_url().trim_start_matches("http://").parse().unwrap();
    let headers = [(":method", "GET"), (":path", "/"), (":authority", "a")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let answer = call(address, &headers).await.unwrap();
    assert!(answer.status == 503 && answer.body.contains("policy_missing"), "{} {}", answer.status, answer.body);
}

#[tokio::test]
async fn envoy_does_not_start_with_a_mistake_and_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let mut told = Envoy::bootstrap(&settings);
    let filter = told.pointer_mut(&format!("{LISTENER}{FILTERS}/0")).unwrap();
    let (bad, named) = spoiled(filter.take());
    *filter = bad;
    let file = folder.path().join("envoy.json");
    std::fs::write(&file, told.to_string()).unwrap();
    let output = Command::new(&settings.program)
        .args(["--disable-hot-restart", "--log-level", "warning", "--component-log-level", "wasm:info"])
        .arg("--config-path")
        .arg(&file)
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && log.contains(named), "{log}");
}

#[tokio::test]
async fn a_bad_listener_does_not_replace_a_good_one() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let mut told = Envoy::bootstrap(&settings);
    let mut listener = told.pointer_mut(LISTENER).unwrap().take();
    listener["@type"] = json!("type.googleapis.com/envoy.config.listener.v3.Listener");
    put(folder.path(), "lds.json", &listener);
    told["static_resources"]["listeners"] = json!([]);
    told["dynamic_resources"] = json!({ "lds_config": watched(folder.path(), "lds.json") });
    let envoy = Envoy::start_with(&settings, &told).await.unwrap();
    check_filtered(&envoy).await;
    let filter = listener.pointer_mut(&format!("{FILTERS}/0")).unwrap();
    let (bad, named) = spoiled(filter.take());
    *filter = bad;
    put(folder.path(), "lds.json", &listener);
    check_refused(&envoy, "listener_manager.lds.update_rejected", named).await;
}

#[tokio::test]
async fn a_bad_configuration_of_the_filter_does_not_replace_a_good_one() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let mut told = Envoy::bootstrap(&settings);
    let filter = told.pointer_mut(&format!("{LISTENER}{FILTERS}/0")).unwrap();
    let mut extension = filter.take();
    *filter = json!({
        "name": "portvakt",
        "config_discovery": {
            "config_source": watched(folder.path(), "ecds.json"),
            "type_urls": ["type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"],
        },
    });
    extension["@type"] = json!("type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig");
    put(folder.path(), "ecds.json", &extension);
    let envoy = Envoy::start_with(&settings, &told).await.unwrap();
    check_filtered(&envoy).await;
    let (bad, named) = spoiled(extension);
    put(folder.path(), "ecds.json", &bad);
    check_refused(&envoy, "extension_config_discovery.http_filter.portvakt.config_fail", named).await;
}
