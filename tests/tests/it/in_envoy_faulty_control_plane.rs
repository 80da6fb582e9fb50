//! Whatever the control plane does: decisions go on as the last good snapshot has them, and follow it when it is well.

use std::path::Path;
use std::time::Duration;

use gateway_tests::cases::{TokenSpec, mint, wasm};
use gateway_tests::envoy::{Envoy, EnvoySettings};
use gateway_tests::faults::{Fault, FaultyControlPlane, now};
use gateway_tests::http::loopback_client;
use gateway_tests::sample_api::SampleApi;
use gateway_tests::trap::{Trap, with_trap};
use gateway_tests::wait;

const BOUND: Duration = Duration::from_secs(30);
/// Calls that must be decided as before while something is wrong.
const CALLS: usize = 40;
const WORKERS: u32 = 2;

struct Gateway {
    envoy: Envoy,
    http: reqwest::Client,
    token: String,
    _sample_api: SampleApi,
}

impl Gateway {
    async fn start(control_plane: &FaultyControlPlane, filter_wasm: &Path, workers: u32, folder: &Path) -> Self {
        let sample_api = SampleApi::start().await.unwrap();
        let envoy = Envoy::start(&EnvoySettings {
            program: std::env::var_os("ENVOY_BIN").expect("run this through `cargo xtask test`").into(),
            filter_wasm: filter_wasm.to_owned(),
            filter_configuration: wasm::filter_configuration().unwrap(),
            port: 0,
            workers,
            control_plane: control_plane.address(),
            sample_api: sample_api.address(),
            directory: folder.to_owned(),
        })
        .await
        .unwrap();
        let spec: TokenSpec = serde_json::from_value(serde_json::json!({"claims": {"exp": {"now": 600}}})).unwrap();
        let token = mint(&spec, now()).unwrap();
        Self { envoy, http: loopback_client().unwrap(), token, _sample_api: sample_api }
    }

    /// Calls once; on a connection of its own, which any worker may get.
    async fn call(&self) -> (u16, String) {
        let url = format!("{}/vat/310247049/returns", self.envoy.base_url());
        let call = self.http.get(url).header("host", "api.example.no").header("connection", "close");
        let answer = call.bearer_auth(&self.token).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn count(&self, name: &str) -> u64 {
        self.envoy.stats(name).await.unwrap().values().sum()
    }
}

/// Every VM has this version, and had all before it: those of the workers, and the one of Envoy's main thread. Calls alone do
/// not tell, because Envoy may give all of them to one worker.
async fn until_everywhere(gateway: &Gateway, version: u64, what: &str) {
    wait::until(what, BOUND, async || {
        let applied = gateway.count("portvakt.snapshot.applied").await;
        Ok((applied == version * u64::from(WORKERS + 1)).then_some(()))
    })
    .await
    .unwrap();
}

/// How calls are decided by a version.
fn expected(version: u64) -> u16 {
    if version % 2 == 1 { 200 } else { 403 }
}

async fn until_enforced(gateway: &Gateway, version: u64, what: &str) {
    let mut in_a_row = 0;
    wait::until(what, BOUND, async || {
        let (status, _) = gateway.call().await;
        in_a_row = if status == expected(version) { in_a_row + 1 } else { 0 };
        Ok((in_a_row == 10).then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_stay_what_was_signed_and_follow_when_it_is_well() {
    let folder = tempfile::tempdir().unwrap();
    let mut control_plane = FaultyControlPlane::start().await.unwrap();
    let filter_wasm = std::env::var_os("FILTER_WASM_PATH").expect("run this through `cargo xtask test`");
    let gateway = Gateway::start(&control_plane, Path::new(&filter_wasm), WORKERS, folder.path()).await;
    until_everywhere(&gateway, 1, "the first version").await;
    for fault in Fault::ALL {
        let version = control_plane.version();
        let (failed, asked) = (gateway.count("portvakt.feed.failed").await, control_plane.asked());
        let refused = gateway.count("portvakt.snapshot.refused").await;
        control_plane.fail(fault);
        for _ in 0..CALLS {
            let (status, body) = gateway.call().await;
            assert_eq!(status, expected(version), "{fault:?}: {body}");
        }
        wait::until(&format!("{fault:?} to be met with"), BOUND, async || {
            Ok(match fault {
                Fault::Killed | Fault::Failing | Fault::Endless => gateway.count("portvakt.feed.failed").await > failed,
                Fault::Older | Fault::Garbage => gateway.count("portvakt.snapshot.refused").await > refused,
                // Nothing comes of it: the poll is under way.
                Fault::Hung | Fault::Slow => control_plane.asked() >= asked,
            }
            .then_some(()))
        })
        .await
        .unwrap();
        let (status, body) = gateway.call().await;
        assert_eq!(status, expected(version), "{fault:?}: {body}");
        control_plane.heal().unwrap();
        let version = control_plane.publish().unwrap();
        until_everywhere(&gateway, version, &format!("what is published after {fault:?}")).await;
    }
    until_enforced(&gateway, control_plane.version(), "what was published last").await;
}

/// A VM that ends at a call of `callback`, and again in each VM after it: of so many calls, no more are refused than VMs
/// have ended, each with 503, and every other one is decided by the version in force. A VM lives longer than the one to one
/// and a half seconds that Envoy takes between two reloads.
async fn check_traps(callback: &str, at_call: u32, trap: Trap) {
    let folder = tempfile::tempdir().unwrap();
    let control_plane = FaultyControlPlane::start().await.unwrap();
    let shipped = std::fs::read(std::env::var_os("FILTER_WASM_PATH").expect("run this through `cargo xtask test`"));
    let module = folder.path().join("trapping.wasm");
    std::fs::write(&module, with_trap(&shipped.unwrap(), callback, at_call, trap).unwrap()).unwrap();
    let gateway = Gateway::start(&control_plane, &module, 1, folder.path()).await;
    until_enforced(&gateway, 1, "the first version").await;
    let mut refused = 0;
    let mut was_refused = false;
    wait::until(&format!("{trap:?} in {callback} to have happened"), BOUND, async || {
        let (status, body) = gateway.call().await;
        assert!([200, 503].contains(&status), "{status} {body}");
        assert!(status == 200 || !was_refused, "two calls in a row were refused");
        was_refused = status == 503;
        refused += u64::from(was_refused);
        Ok((gateway.count("vm_reload_success").await >= 2).then_some(()))
    })
    .await
    .unwrap();
    let (status, body) = gateway.call().await;
    assert!(status == 200 || !was_refused, "{status} {body}");
    refused += u64::from(status == 503);
    let log = std::fs::read_to_string(gateway.envoy.log()).unwrap();
    let traps = log.matches(&format!("Function: {callback} failed")).count() as u64;
    assert!(traps >= 2 && refused <= traps, "{traps} traps, {refused} calls refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_in_a_request_costs_that_request() {
    check_traps("proxy_on_request_headers", 150, Trap::Unreachable).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_in_a_tick_costs_one_request_at_most() {
    check_traps("proxy_on_tick", 20, Trap::Unreachable).await;
}

/// Replies come to the one that polls: so many that each VM lives longer than Envoy takes between two reloads, as above.
#[tokio::test(flavor = "multi_thread")]
async fn a_trap_in_a_reply_costs_one_request_at_most_and_the_next_vm_follows() {
    let callback = "proxy_on_http_call_response";
    let folder = tempfile::tempdir().unwrap();
    let control_plane = FaultyControlPlane::start().await.unwrap();
    let shipped = std::fs::read(std::env::var_os("FILTER_WASM_PATH").expect("run this through `cargo xtask test`"));
    let module = folder.path().join("trapping.wasm");
    std::fs::write(&module, with_trap(&shipped.unwrap(), callback, 150, Trap::Unreachable).unwrap()).unwrap();
    let gateway = Gateway::start(&control_plane, &module, 1, folder.path()).await;
    until_enforced(&gateway, 1, "the first version").await;
    let (mut refused, mut was_refused) = (0, false);
    // The VM of Envoy's main thread may have polled first; nobody calls it, so it is not started again.
    wait::until("the worker's VM to have ended in a reply", 4 * BOUND, async || {
        control_plane.publish().unwrap();
        for _ in 0..5 {
            let (status, body) = gateway.call().await;
            assert!([200, 403, 503].contains(&status), "{status} {body}");
            assert!(status != 503 || !was_refused, "two calls in a row were refused");
            was_refused = status == 503;
            refused += u64::from(was_refused);
        }
        Ok((gateway.count("vm_reload_success").await >= 1).then_some(()))
    })
    .await
    .unwrap();
    until_enforced(&gateway, control_plane.version(), "what was published last").await;
    let log = std::fs::read_to_string(gateway.envoy.log()).unwrap();
    let traps = log.matches(&format!("Function: {callback} failed")).count() as u64;
    assert!(traps >= 1 && refused <= traps, "{traps} traps, {refused} calls refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_takes_all_memory_costs_that_request() {
    check_traps("proxy_on_request_headers", 150, Trap::OutOfMemory).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_that_takes_all_memory_costs_one_request_at_most() {
    check_traps("proxy_on_tick", 20, Trap::OutOfMemory).await;
}
