//! The gateway's own routes may say which of the snapshot's routes a call must be for; in wasmtime and in Envoy.

use std::time::Duration;

use gateway_tests::cases::{Case, TokenSpec, mint, publish_all, wasm};
use gateway_tests::envoy::Envoy;
use gateway_tests::faults::{FaultyControlPlane, now};
use gateway_tests::http::loopback_client;
use gateway_tests::proxy_host::{StreamId, Vm};
use gateway_tests::sample_api::SampleApi;
use gateway_tests::wait;
use serde_json::{Value, json};

use crate::filter_in_wasmtime::{now as then, start_with};
use crate::in_envoy_stage::envoy_settings;

const BOUND: Duration = Duration::from_secs(30);
const PROPERTY: [&str; 5] = ["xds", "route_metadata", "filter_metadata", "portvakt", "route"];

/// A filter without a policy, whose host's route says this.
fn start(configured: Option<&str>, named: Option<&[u8]>) -> Vm {
    let mut vm = start_with(|configuration| {
        if let Some(configured) = configured {
            configuration["routeMetadata"] = configured.into();
        }
    });
    if let Some(named) = named {
        vm.set_property(&PROPERTY, named);
    }
    vm
}

fn serve(vm: &mut Vm) {
    let published = publish_all(&[serde_json::from_value(json!({})).unwrap()], then()).unwrap().remove(0);
    let token = vm.pending_http_calls().first().unwrap().token;
    vm.answer_http_call(token, 200, &[], &published.body).unwrap();
}

fn send(vm: &mut Vm, path: &str) -> StreamId {
    let case = json!({"proves": "-", "call": {"path": path, "token": {}},
        "expect": {"deny": {"reason": "-", "status": 0}}});
    let case: Case = serde_json::from_value(case).unwrap();
    let stream = vm.open_stream().unwrap();
    vm.request_headers(stream, case.headers(then()).unwrap(), true).unwrap();
    stream
}

fn answer(vm: &Vm, stream: StreamId) -> String {
    let outcome = vm.outcome(stream).unwrap();
    outcome.reply().map_or("permitted".to_owned(), |reply| {
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        body["code"].as_str().unwrap().to_owned()
    })
}

#[test]
fn in_wasmtime_what_the_gateway_names_narrows_and_never_widens() {
    let returns = "/vat/310247049/returns";
    for (configured, named, path, expected) in [
        // Nobody asks.
        (None, Some(&b"payroll"[..]), returns, "permitted"),
        (Some("ignored"), Some(b"payroll"), returns, "permitted"),
        (Some("optional"), None, returns, "permitted"),
        (Some("optional"), Some(b"vat-returns"), returns, "permitted"),
        (Some("optional"), Some(b"payroll"), returns, "no_route"),
        (Some("optional"), Some(b"no such route"), returns, "no_route"),
        (Some("optional"), Some(b"VAT-returns"), returns, "no_route"),
        (Some("optional"), Some(b"vat-returns "), returns, "no_route"),
        // Numbers and truths come as their bytes.
        (Some("optional"), Some(&7_f64.to_le_bytes()), returns, "no_route"),
        (Some("optional"), Some(&[1]), returns, "no_route"),
        (Some("optional"), Some(b"\xff"), returns, "no_route"),
        // This path is `own-vat`'s, though `own` would take it too.
        (Some("optional"), None, "/own/vat", "permitted"),
        (Some("optional"), Some(b"own-vat"), "/own/vat", "permitted"),
        (Some("optional"), Some(b"own"), "/own/vat", "no_route"),
        (Some("optional"), Some(b"vat-returns"), "/vat/310247057/returns", "party_not_represented"),
        (Some("required"), None, returns, "no_route"),
        (Some("required"), Some(b"vat-returns"), returns, "permitted"),
        (Some("required"), Some(b"payroll"), returns, "no_route"),
    ] {
        let mut vm = start(configured, named);
        serve(&mut vm);
        let stream = send(&mut vm, path);
        assert_eq!(answer(&vm, stream), expected, "{configured:?} {named:?} {path}");
    }
}

#[test]
fn in_wasmtime_a_call_that_waited_is_held_to_it_too() {
    let mut vm = start(Some("optional"), Some(b"payroll"));
    let stream = send(&mut vm, "/vat/310247049/returns");
    assert!(vm.outcome(stream).unwrap().is_paused());
    vm.set_property(&PROPERTY, b"vat-returns");
    serve(&mut vm);
    assert_eq!(answer(&vm, stream), "no_route");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_envoy_routes_name_the_rule_that_must_apply() {
    let folder = tempfile::tempdir().unwrap();
    let control_plane = FaultyControlPlane::start().await.unwrap();
    let sample_api = SampleApi::start().await.unwrap();
    let mut filter_configuration = wasm::filter_configuration().unwrap();
    filter_configuration["routeMetadata"] = "optional".into();
    let settings = envoy_settings(&folder, filter_configuration, 1, &control_plane, &sample_api);
    let mut told = Envoy::bootstrap(&settings);
    let routes =
        "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/route_config/virtual_hosts/0/routes";
    let routes = told.pointer_mut(routes).unwrap().as_array_mut().unwrap();
    let usual = routes.remove(0);
    for (prefix, metadata) in [
        ("/vat/", json!({ "portvakt": { "route": "vat-returns" } })),
        ("/annual-accounts/", json!({ "portvakt": { "route": "vat-returns" } })),
        ("/payroll", json!({ "portvakt": { "route": 7 } })),
        ("/scoped/", json!({ "another": { "route": "vat-returns" }, "portvakt": {} })),
        ("/", json!({})),
    ] {
        let mut route = usual.clone();
        route["match"]["prefix"] = prefix.into();
        route["metadata"] = json!({ "filter_metadata": metadata });
        routes.push(route);
    }
    let envoy = Envoy::start_with(&settings, &told).await.unwrap();
    let spec: TokenSpec = serde_json::from_value(json!({"claims": {"exp": {"now": 600}}})).unwrap();
    let (http, token) = (loopback_client().unwrap(), mint(&spec, now()).unwrap());
    let call = async |method: &str, path: &str| {
        let call = http.request(method.parse().unwrap(), format!("{}{path}", envoy.base_url()));
        let answer = call.header("host", "api.example.no").bearer_auth(&token).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    wait::until("a policy", BOUND, async || Ok((call("GET", "/vat/310247049/returns").await.0 == 200).then_some(())))
        .await
        .unwrap();
    for (method, path, expected) in [
        ("GET", "/vat/310247049/returns", None),
        // Another of the snapshot's routes takes this one.
        ("POST", "/vat/310247049/returns", Some("no_route")),
        ("GET", "/annual-accounts/310247049", Some("no_route")),
        ("GET", "/payroll", Some("no_route")),
        // Metadata of others says nothing: the call is decided as ever.
        ("GET", "/scoped/310247049", Some("scope_missing")),
        ("GET", "/own/vat", None),
    ] {
        let (status, body) = call(method, path).await;
        let code = serde_json::from_str::<Value>(&body).unwrap()["code"].as_str().map(str::to_owned);
        assert_eq!(
            (status, code.as_deref()),
            (if expected.is_some() { 403 } else { 200 }, expected),
            "{method} {path}"
        );
    }
}
