//! An issuer signs with a key that no gateway knows: the calls wait while one worker asks it, and none is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Json;
use axum::routing::get;
use gateway_tests::cases::{TokenSpec, keys, mint, wasm};
use gateway_tests::envoy::Envoy;
use gateway_tests::faults::{FaultyControlPlane, now};
use gateway_tests::http::loopback_client;
use gateway_tests::sample_api::SampleApi;
use gateway_tests::wait;
use serde_json::json;
use tokio::net::TcpListener;

use crate::in_envoy_stage::envoy_settings;

const BOUND: Duration = Duration::from_secs(30);

fn token(key: &str) -> String {
    let spec = json!({ "key": key, "claims": { "exp": { "now": 600 } } });
    mint(&serde_json::from_value::<TokenSpec>(spec).unwrap(), now()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_costs_no_call_on_any_worker() {
    let folder = tempfile::tempdir().unwrap();
    let control_plane = FaultyControlPlane::start().await.unwrap();
    let sample_api = SampleApi::start().await.unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let issuer = {
        let asked = Arc::clone(&asked);
        let set = json!({ "keys": [keys::key("ec-next").unwrap().public_jwk("ec-next")] });
        let answer = move || {
            asked.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Json(set.clone()))
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, axum::Router::new().route("/jwk", get(answer))).into_future());
        address
    };
    let mut filter_configuration = wasm::filter_configuration().unwrap();
    filter_configuration["issuerKeys"] = json!([{ "issuer": "https://maskinporten.example/", "cluster": "issuer",
        "authority": "maskinporten.example", "path": "/jwk" }]);
    let settings = envoy_settings(&folder, filter_configuration, 2, &control_plane, &sample_api);
    let told = Envoy::with_cluster(Envoy::bootstrap(&settings), "issuer", issuer).unwrap();
    let envoy = Envoy::start_with(&settings, &told).await.unwrap();
    // Each on a connection of its own, which Envoy spreads over its workers.
    let call = async |token: &str| {
        let url = format!("{}/vat/310247049/returns", envoy.base_url());
        let call = loopback_client().unwrap().get(url).header("host", "api.example.no").header("connection", "close");
        call.bearer_auth(token).send().await.unwrap().status().as_u16()
    };
    let known = token("rsa-maskinporten");
    wait::until("a policy on both workers", BOUND, async || {
        let statuses = (call(&known).await, call(&known).await, call(&known).await, call(&known).await);
        Ok((statuses == (200, 200, 200, 200)).then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    let next = token("ec-next");
    let calls = (call(&next), call(&next), call(&next), call(&next));
    assert_eq!(tokio::join!(calls.0, calls.1, calls.2, calls.3), (200, 200, 200, 200));
    assert_eq!(call(&token("ec-other")).await, 401);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}
