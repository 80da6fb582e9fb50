//! The worked example of the README, sent as it stands there.

use crate::test_state::{TestState, story};

/// A call of the example: method, path, media type and body.
type Call<'a> = (&'a str, &'a str, &'static str, String);

/// The calls between the example's heading and the next: a line of code that names the call, then a fenced body.
fn calls(readme: &str) -> Vec<Call<'_>> {
    let example = readme.split("\n## A worked example\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut calls = Vec::new();
    let mut lines = example.lines();
    let mut named = None;
    while let Some(line) = lines.next() {
        let call = line.strip_prefix('`').and_then(|line| line.strip_suffix('`'));
        named = call.and_then(|call| call.split_once(' ')).or(named);
        let media_type = match line {
            "```json" => "application/json",
            "```xml" => "application/xml",
            _ => continue,
        };
        let body = lines.by_ref().take_while(|line| *line != "```").collect::<Vec<_>>().join("\n");
        let (method, path) = named.take().expect("a body without its call");
        calls.push((method, path, media_type, body));
    }
    calls
}

#[tokio::test]
async fn the_worked_example_works() {
    let test = TestState::new().await;
    let calls = calls(include_str!("../README.md"));
    assert_eq!(calls.len(), 6);
    let mut gateway = String::new();
    for (method, path, media_type, body) in calls {
        let is_owners = path.contains("/resources/") || path.ends_with("/routes");
        let token = if is_owners { test.resource_owner() } else { test.operator() };
        let answer = test.send(method, path, &token, Some((media_type, body))).await;
        assert!(matches!(answer.status, 200 | 201), "{method} {path}: {} {}", answer.status, answer.json);
        answer.json["credential"].as_str().unwrap_or_default().clone_into(&mut gateway);
    }
    test.built().await;
    test.get(&story::feed(""), &gateway).await.expect(200);
    assert_eq!(test.get("/readyz", "").await.expect(200)["publishFailures"], serde_json::json!({}));
}
