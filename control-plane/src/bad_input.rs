//! Whatever is sent, the answer is a refusal with a code, never a 5xx, and nothing is stored.

use serde_json::{Value, json};

use crate::service::BODY_BYTES_MAX;
use crate::test_state::{Answer, TestState, story};

mod every_operation;

const REQUEST_ID: &str = "00000000-0000-4000-8000-000000000000";

fn wrong_texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "{",
        "[",
        "\"",
        "nul",
        "7",
        "true",
        "\"text\"",
        "[]",
        "[[]]",
        "[{}]",
        "null",
        "{\"a\":}",
        "{\"a\":1,}",
        "{'a':1}",
        "{\"\\ud800\":1}",
        "1e999",
        "{\"id\":1e999}",
        "\u{feff}{}",
        "<xml/>",
        "\0",
        "{\"id\":\"\0\"}",
        "{}{}",
        "{\"id\":1,\"id\":2}",
        "{\"id\":\"a\",\"ID\":\"a\"}",
        "{\"rights\":[{\"resource\":[{\"id\":\"a\",\"id\":\"b\"}]}]}",
        "[{\"urn\":\"a\",\"Urn\":\"b\"}]",
    ]
    .map(str::to_owned)
    .into();
    texts.push(format!("{}{}", "[".repeat(50_000), "]".repeat(50_000)));
    texts.push(format!("{}1{}", "{\"a\":".repeat(50_000), "}".repeat(50_000)));
    texts.push("x".repeat(BODY_BYTES_MAX + 1));
    texts.push(format!("{{\"id\":\"{}\"}}", "x".repeat(10_000_000)));
    texts
}

/// Values that no member of any body may have.
fn wrong_values() -> Vec<Value> {
    vec![
        json!(-1),
        json!(1.5),
        json!(u64::MAX),
        json!([[[[]]]]),
        json!({ "a": { "b": [] } }),
        json!("\u{0}"),
        json!("x".repeat(100_000)),
        json!(["\u{0}", "\u{0}"]),
        json!([{ "id": "\u{202e}", "urn": "\u{0}", "resource": [{ "id": "x", "value": "\u{0}" }] }]),
    ]
}

/// A problem, or one of Altinn's refusals in plain text.
fn has_code(answer: &Answer) -> bool {
    answer.json["code"].is_string()
        || (answer.headers["content-type"].starts_with("text/plain") && !answer.bytes.is_empty())
}

#[tokio::test]
async fn paths_and_queries_with_anything_in_them_are_answered() {
    let test = TestState::with_request().await;
    let before = test.state.store.revision().await.unwrap();
    let gateway = test.gateway().await;
    let after_credential = test.state.store.revision().await.unwrap();
    assert!(after_credential > before);
    let long = "x".repeat(10_000);
    for part in [
        "%00",
        "%ff",
        "%2e%2e",
        "..",
        "%2F",
        "a%20b",
        "-1",
        "0",
        "99999999999999999999",
        "%F0%9F%92%A9",
        "*",
        "'--",
        &long,
    ] {
        for (token, path) in [
            (test.vendor(), format!("{}/{part}", story::SYSTEMS)),
            (test.vendor(), format!("{}/{part}", story::REQUESTS)),
            (test.vendor(), format!("{}/byexternalref/{part}/310247049/{part}", story::REQUESTS)),
            (test.vendor(), format!("{}/{part}/changelog", story::SYSTEMS)),
            (test.vendor(), format!("{}/bysystem/{part}", story::REQUESTS)),
            (test.vendor(), format!("{}/bysystem/310247030_smartcloud?token={part}", story::REQUESTS)),
            (test.vendor(), format!("/authentication/api/v1/systemuser/vendor/bysystem/{part}")),
            (test.vendor(), format!("/authentication/api/v1/systemuser/vendor/byquery?system-id={part}&orgno={part}")),
            (test.vendor(), format!("/authentication/api/v1/systemuser/changerequest/vendor/{part}")),
            (test.vendor(), format!("/authentication/api/v1/systemuser/changerequest/vendor/bysystem/{part}")),
            (test.administrator_of_hansen(), format!("/authentication/api/v1/systemuser/changerequest/{part}")),
            (
                test.administrator_of_hansen(),
                format!("/authentication/api/v1/systemuser/changerequest/50000001/{part}"),
            ),
            (test.administrator_of_hansen(), format!("/authentication/api/v1/systemuser/request/{part}")),
            (test.administrator_of_hansen(), format!("/authentication/api/v1/systemregister/{part}/rights")),
            (test.administrator_of_hansen(), format!("/authentication/api/v1/systemuser/{part}")),
            (test.administrator_of_hansen(), format!("{}/{part}", story::system_users_of_hansen())),
            (test.administrator_of_hansen(), format!("/authentication/api/v1/systemuser/request/{part}/{REQUEST_ID}")),
            (test.administrator_of_hansen(), story::request_of_hansen(part)),
            (test.operator(), format!("/portvakt/v1/providers/{part}/gateways")),
            (gateway.clone(), format!("/snapshots/{part}")),
            (gateway.clone(), story::feed(&format!("applied={part}"))),
            (gateway.clone(), story::feed(&format!("refused={part}x"))),
            (test.maskinporten(), format!("/authentication/api/v1/systemuser/byExternalId?clientId={part}")),
            (test.maskinporten(), format!("{}&externalRef={part}", story::lookup())),
        ] {
            let answer = test.get(&path, &token).await;
            assert!((400..500).contains(&answer.status), "{path}: {} {}", answer.status, answer.json);
            assert!(has_code(&answer), "{path}");
        }
    }
    assert_eq!(test.state.store.revision().await.unwrap(), after_credential);
}

#[tokio::test]
async fn anything_for_a_token_is_refused() {
    let test = TestState::with_system().await;
    let good = test.vendor();
    let parts: Vec<&str> = good.split('.').collect();
    let (header, claims, signature) = (parts[0], parts[1], parts[2]);
    for token in [
        "x".to_owned(),
        "..".to_owned(),
        "a.b.c".to_owned(),
        format!("{header}.{claims}."),
        format!("{header}.{claims}"),
        format!("{header}.{claims}.{signature}="),
        format!("{header}.{claims}.{signature}.{signature}"),
        format!("{header}.{claims}A.{signature}"),
        // {"alg":"none"}
        format!("eyJhbGciOiJub25lIn0.{claims}."),
        "x".repeat(20_000),
        format!("{header}.{}.{signature}", "e30"),
    ] {
        test.get(story::SYSTEMS, &token).await.expect_code(401, "token_invalid");
    }
    test.clock.advance_seconds(131);
    let expired = test.get(story::SYSTEMS, &good).await;
    assert_eq!(expired.json["reason"], "token_expired");
    expired.expect_code(401, "token_invalid");
}
