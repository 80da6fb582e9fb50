//! The whole walk through a real Envoy: the story, and what the API behind it is told.

use std::time::Duration;

use gateway_tests::sample_api::Echo;
use gateway_tests::stack::cast::{ROERLEGGER, SYSTEM_ID, VENDOR, VENDOR_CLIENT_ID, vat_path};
use gateway_tests::stack::{Body, Gateway, Platform};
use gateway_tests::story::moves::{self, Wanted};
use gateway_tests::story::narrator::Narrator;
use gateway_tests::story::{self, IDENTITY_HEADER_PREFIX};
use gateway_tests::wait;
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::in_envoy_stage::Stage;

/// Far above what is measured, far below what a person would notice.
const ENFORCED_MAX: Duration = Duration::from_secs(3);

/// Calls of the story that the API must have seen: every one that was let through, and no other.
fn permits_told(text: &str) -> usize {
    text.lines().filter(|line| line.contains("GET /") && line.ends_with("-> 200")).count()
}

#[tokio::test]
async fn the_story_goes_as_told() {
    let stage = Stage::bare().await;
    stage.platform.protect_the_api().await.unwrap();
    let gateway = stage.gateway().await;
    let mut text = Vec::new();
    let times = story::play(&stage.platform, &gateway, &mut Narrator::new(&mut text)).await.unwrap();
    let text = String::from_utf8(text).unwrap();

    assert!(times.approval_to_permit < ENFORCED_MAX, "{times:?}");
    assert!(times.withdrawal_to_denial < ENFORCED_MAX, "{times:?}");
    // Between the withdrawal and the first denial, calls may still come through.
    let permits = permits_told(&text) as u64;
    assert!((permits..permits + 100).contains(&stage.platform.sample_api.calls()), "{text}");
    let counted = wait::until("Envoy to be told how many calls were permitted", ENFORCED_MAX, async || {
        let permitted = gateway.count("portvakt.permitted").await?;
        Ok((permitted == stage.platform.sample_api.calls()).then_some(()))
    });
    counted.await.unwrap();
    assert_eq!(gateway.count("portvakt.snapshot.refused").await.unwrap(), 0);
    assert!(!text.contains("Bearer ey"), "the story tells a token");
}

#[tokio::test]
async fn what_the_client_says_of_itself_never_reaches_the_api() {
    let stage = Stage::set().await;
    let gateway = stage.gateway().await;
    let (request, token) = system_user(&stage.platform).await;
    let path = vat_path(ROERLEGGER);
    moves::first_permit(&gateway, &path, &token).await.unwrap();

    let forged = ["x-systemuser", "X_SystemUser", "x-systemuser-id", "X-SystemUser-Party", "x_systemuser_owner"];
    let mut caller = gateway.caller(Some(&token));
    for name in forged {
        caller = caller.with_header(name, "forged").unwrap();
    }
    // And what says which trace the call belongs to (W3C Trace Context) reaches it as it was sent.
    let trace = [("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), ("tracestate", "a=1,b=2")];
    for (name, value) in trace {
        caller = caller.with_header(name, value).unwrap();
    }
    let answer = caller.call(Method::GET, &path, Body::None).await.unwrap().expect(200).unwrap();
    let echo: Echo = serde_json::from_str(&answer.body).unwrap();
    for (name, value) in trace {
        assert_eq!(echo.headers.get(name).map(String::as_str), Some(value));
    }
    let mut identity = echo.headers.clone();
    identity.retain(|name, _| name.replace('_', "-").starts_with(IDENTITY_HEADER_PREFIX));
    let party = ROERLEGGER.number;
    let expected = format!(
        "id=\"{request}\", owner=\"{party}\", party=\"{party}\", system=\"{SYSTEM_ID}\", vendor=\"{VENDOR}\", client=\"{VENDOR_CLIENT_ID}\""
    );
    assert_eq!(identity.into_iter().collect::<Vec<_>>(), [("x-systemuser".to_owned(), expected)]);
}

#[tokio::test]
async fn refusals_have_a_stable_form_and_never_reach_the_api() {
    let stage = Stage::set().await;
    let gateway = stage.gateway().await;
    let (_, token) = system_user(&stage.platform).await;
    moves::first_permit(&gateway, &vat_path(ROERLEGGER), &token).await.unwrap();
    let before = stage.platform.sample_api.calls();

    let own = vat_path(ROERLEGGER);
    let (missing, garbled) = (None, Some("a.b.c"));
    let valid = Some(token.as_str());
    let refusals = [
        (own.as_str(), missing, 401, "token_missing"),
        (&own, garbled, 401, "token_malformed"),
        ("/vat/310247065/returns", valid, 403, "party_not_represented"),
        ("/vat/310247066/returns", valid, 400, "party_invalid"),
        ("/nowhere", valid, 403, "no_route"),
        ("/vat/310247049/returns/", valid, 403, "no_route"),
        ("//vat/310247049/returns", valid, 400, "path_ambiguous"),
    ];
    for (path, token, status, code) in refusals {
        let answer = gateway.get(path, token).await.unwrap().expect(status).unwrap();
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{path}");
        assert_eq!(answer.code(), code, "{path}: {}", answer.body);
        assert_eq!(answer.header("www-authenticate").is_some(), status == 401, "{path}");
        assert!(!answer.body.contains("eyJ"), "the answer to {path} shows a token");
    }
    // As they are written: an HTTP client would tidy them up.
    for path in ["/vat/../vat/310247049/returns", "/vat/%2e%2e/vat/310247049/returns", "/vat%2f310247049/returns"] {
        let answer = raw_answer(gateway.envoy.base_url(), path, &token).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("path_ambiguous"), "{path}: {answer}");
    }
    assert_eq!(stage.platform.sample_api.calls(), before);
    check_logs(&gateway, &token).await;
}

/// The access log says why calls were refused, and neither log shows a token.
async fn check_logs(gateway: &Gateway, token: &str) {
    wait::until("the last refusal to be logged", Duration::from_secs(10), async || {
        let log = std::fs::read_to_string(gateway.envoy.access_log())?;
        let why = |path: &str, code: &str| log.lines().any(|line| line.contains(path) && line.ends_with(code));
        let whole = why("/nowhere 403", "no_route") && why("/vat%2f310247049/returns 400", "path_ambiguous");
        Ok(whole.then_some(()))
    })
    .await
    .unwrap();
    for file in [gateway.envoy.access_log(), gateway.envoy.log()] {
        assert!(!std::fs::read_to_string(file).unwrap().contains(token), "a token is in {}", file.display());
    }
}

/// The answer to a call whose path is sent as it is.
async fn raw_answer(base_url: &str, path: &str, token: &str) -> String {
    let address = base_url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let call =
        format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n");
    stream.write_all(call.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(15), reading).await.unwrap().unwrap();
    String::from_utf8(answer).unwrap()
}

/// The id of a system user that may do all, and a token for it.
async fn system_user(platform: &Platform) -> (String, String) {
    let wanted = Wanted::VatAndAnnualAccounts;
    let (request, token) = moves::system_user_of(platform, ROERLEGGER, wanted).await.unwrap();
    (request.id, token.access_token)
}
