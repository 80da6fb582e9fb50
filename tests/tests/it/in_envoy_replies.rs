//! What refused callers get from a real Envoy: language, gRPC, HEAD, HTTP/1.0, and the metadata of the API.

use std::path::PathBuf;
use std::time::Duration;

use gateway_tests::cases::envoy::{Answer, CaseEnvoy};
use gateway_tests::cases::{CallSpec, Publication};
use gateway_tests::wait;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn named(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable);
    PathBuf::from(path.unwrap_or_else(|| panic!("{variable} is not set: run this through `cargo xtask test`")))
}

async fn start() -> (CaseEnvoy, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let good: Publication = serde_json::from_value(json!({})).unwrap();
    let (program, filter_wasm) = (named("ENVOY_BIN"), named("FILTER_WASM_PATH"));
    (CaseEnvoy::start(&program, &filter_wasm, &[good], folder.path()).await.unwrap(), folder)
}

async fn answer(envoy: &CaseEnvoy, spec: Value) -> Answer {
    let spec: CallSpec = serde_json::from_value(spec).unwrap();
    envoy.answer(&spec).await.unwrap()
}

#[tokio::test]
async fn replies_suit_who_asks() {
    let (envoy, _folder) = start().await;

    for (accepted, language, detail) in [
        ("nb-NO, en;q=0.5", "nb", "Kallet har ikke noe bearer-token."),
        ("nn", "nn", "Kallet har ikkje noko bearer-token."),
        ("fr", "en", "the call has no bearer token"),
    ] {
        let refused = answer(&envoy, json!({ "headers": [["accept-language", accepted]] })).await;
        assert_eq!(refused.status, 401);
        assert_eq!(refused.headers["content-language"], language);
        assert_eq!(refused.headers["content-type"], "application/problem+json");
        let body: Value = serde_json::from_str(&refused.body).unwrap();
        assert_eq!((body["code"].as_str(), body["detail"].as_str()), (Some("token_missing"), Some(detail)));
        assert!(refused.headers["www-authenticate"].is_ascii());
    }

    // Without a valid token nobody learns which right it takes, nor whether anybody has it.
    for token in [json!(null), json!({ "then": "flip_signature" }), json!({ "claims": { "exp": { "now": -60 } } })] {
        let path = "/vat/310247057/returns";
        let refused = answer(&envoy, json!({ "path": path, "token": token })).await;
        let body: Value = serde_json::from_str(&refused.body).unwrap();
        assert_eq!((refused.status, body.get("right"), body.get("party")), (401, None, None), "{}", refused.body);
        assert!(!refused.body.contains("310247057") && !refused.body.contains("read"), "{}", refused.body);
    }

    let grpc = |token: Value| {
        json!({ "method": "POST", "path": "/vat/310247049/returns", "token": token,
            "headers": [["content-type", "application/grpc"]] })
    };
    for (token, status, code) in [(json!(null), "16", "token_missing"), (json!({}), "7", "right_missing")] {
        let refused = answer(&envoy, grpc(token)).await;
        assert_eq!((refused.status, refused.headers["grpc-status"].as_str()), (200, status));
        assert_eq!(refused.headers["content-type"], "application/grpc");
        assert!(refused.headers["grpc-message"].starts_with(code), "{}", refused.headers["grpc-message"]);
        assert_eq!(refused.headers.contains_key("www-authenticate"), status == "16");
        assert!(refused.body.is_empty());
    }

    // Why, as Envoy's access log has it: by the answer's details.
    let said_why = [
        "GET /vat/310247057/returns 401 token_missing\n",
        "GET /vat/310247057/returns 401 signature_invalid\n",
        "POST /vat/310247049/returns 200 token_missing\n",
        "POST /vat/310247049/returns 200 right_missing\n",
    ];
    wait::until("the access log to say why", Duration::from_secs(10), async || {
        let log = std::fs::read_to_string(envoy.access_log())?;
        Ok(said_why.iter().all(|line| log.contains(line)).then_some(()))
    })
    .await
    .unwrap();

    let head = answer(&envoy, json!({ "method": "HEAD" })).await;
    assert_eq!((head.status, head.body.as_str()), (403, ""));
    assert_eq!(head.headers["content-type"], "application/problem+json");

    let metadata = answer(&envoy, json!({ "path": "/.well-known/oauth-protected-resource/vat" })).await;
    assert_eq!((metadata.status, metadata.headers["content-type"].as_str()), (200, "application/json"));
    let body: Value = serde_json::from_str(&metadata.body).unwrap();
    assert_eq!(body["resource"], "https://api.example.no/vat");
    assert_eq!(body["scopes_supported"], json!(["regnskap:vat", "regnskap:vat.read"]));
    assert_eq!(body["bearer_methods_supported"], json!(["header"]));
    let servers = body["authorization_servers"].as_array().unwrap();
    assert!(servers.contains(&json!("https://maskinporten.example/")) && !servers.contains(&json!("platform")));
    for other in [json!({ "method": "POST" }), json!({ "path": "/.well-known/oauth-protected-resource" })] {
        let mut call = json!({ "path": "/.well-known/oauth-protected-resource/vat" });
        call.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        assert_eq!(answer(&envoy, call).await.status, 403, "{other}");
    }
    let challenged = answer(&envoy, json!({})).await;
    let told = "resource_metadata=\"https://api.example.no/.well-known/oauth-protected-resource/vat\"";
    assert!(challenged.headers["www-authenticate"].contains(told), "{}", challenged.headers["www-authenticate"]);

    // What was counted and timed meanwhile has the names that alerts are about.
    wait::until("histograms", Duration::from_secs(20), async || {
        answer(&envoy, json!({})).await;
        let metrics = envoy.prometheus().await?;
        let told = ["portvakt_decision_time_us_bucket{", "portvakt_snapshot_worker_age_ms_bucket{", "portvakt_denied{"];
        Ok(told.iter().all(|name| metrics.contains(&format!("\n{name}"))).then_some(()))
    })
    .await
    .unwrap();

    // HTTP/1.0 is Envoy's to refuse, before the filter sees it.
    let mut stream = tokio::net::TcpStream::connect(envoy.address()).await.unwrap();
    stream.write_all(b"GET /vat/310247049/returns HTTP/1.0\r\nhost: a\r\n\r\n").await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    assert!(bytes.starts_with(b"HTTP/1.1 426 "), "{}", String::from_utf8_lossy(&bytes));
}
