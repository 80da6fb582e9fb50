//! What is wrong in one way, at every operation that could take it: the operations are the description's, how they are
//! called and by whom is the access table's ([`crate::access_table`]).

use serde_json::{Value, json};

use super::{has_code, wrong_texts, wrong_values};
use crate::access_table::{Allowed, allowed, world::World};
use crate::test_state::{Answer, TestState, agents, story};

/// A decision's request is answered whatever is wrong with it.
const ANSWER_ANYTHING: [&str; 2] = ["POST /authorization/api/v1/authorize", "POST /authorization/api/v1/decision"];
const UNKNOWN: &str = "0a0a0a0a-0000-4000-8000-00000000000a";

/// Calls, expects a refusal with a code, and that nothing is stored.
async fn refused(test: &TestState, allowed: &Allowed, shown: &str) -> Answer {
    let before = test.state.store.revision().await.unwrap();
    let answer = allowed.caller.call(test, &allowed.call).await;
    let operation = &allowed.operation;
    assert!((400..500).contains(&answer.status), "{operation} {shown}: {}", answer.status);
    assert!(has_code(&answer) || answer.json == json!(0), "{operation} {shown}: {}", answer.status);
    assert_eq!(test.state.store.revision().await.unwrap(), before, "{operation} {shown}");
    answer
}

/// Operations that read a JSON body strictly, with the body.
async fn with_bodies(world: &World) -> Vec<(Allowed, Value)> {
    let takes_json = |allowed: Allowed| {
        let (media_type, body) = allowed.call.body.clone()?;
        let is_strict = media_type == "application/json" && !ANSWER_ANYTHING.contains(&allowed.operation.as_str());
        is_strict.then(|| (allowed, serde_json::from_str(&body).unwrap()))
    };
    let bodies: Vec<_> = allowed(world).await.into_iter().filter_map(takes_json).collect();
    assert!(bodies.len() > 25, "{}", bodies.len());
    bodies
}

#[tokio::test]
async fn texts_that_are_no_body_are_refused() {
    let world = World::new().await;
    for (mut allowed, body) in with_bodies(&world).await {
        let is_empty_enough = |text: &String| match &body {
            Value::Array(_) => text == "[]",
            _ => allowed.operation == "PUT /portvakt/v1/parties" && text.trim() == "{}",
        };
        for text in wrong_texts().into_iter().filter(|text| !is_empty_enough(text)).collect::<Vec<_>>() {
            let shown: String = text.chars().take(40).collect();
            let is_too_long = text.len() > crate::service::BODY_BYTES_MAX;
            allowed.call.body = Some(("application/json", text));
            let answer = refused(&world.test, &allowed, &shown).await;
            if is_too_long {
                answer.expect_code(413, "body_too_large");
            }
        }
    }
}

#[tokio::test]
async fn bodies_with_one_wrong_member_are_refused() {
    let world = World::new().await;
    for (mut allowed, body) in with_bodies(&world).await {
        for member in body.as_object().into_iter().flat_map(|members| members.keys()) {
            for value in wrong_values() {
                let mut wrong = body.clone();
                wrong[member] = value.clone();
                let shown: String = format!("{member} {value}").chars().take(60).collect();
                allowed.call.body = Some(("application/json", wrong.to_string()));
                refused(&world.test, &allowed, &shown).await;
            }
        }
    }
}

/// Every organisation number in a text, with another check digit.
fn with_wrong_check_digits(text: &str) -> String {
    let mut wrong = text.to_owned();
    for number in ["310247049", "310247057", "310247030", "310247022", agents::ACCOUNTANT] {
        let (stem, digit) = number.split_at(8);
        wrong = wrong.replace(number, &format!("{stem}{}", (digit.parse::<u8>().unwrap() + 1) % 10));
    }
    wrong
}

#[tokio::test]
async fn no_operation_takes_a_number_with_a_wrong_check_digit() {
    let world = World::new().await;
    let mut looked_at = 0;
    for mut allowed in allowed(&world).await {
        let body = allowed.call.body.clone().map(|(media_type, body)| (media_type, with_wrong_check_digits(&body)));
        let path = with_wrong_check_digits(&allowed.call.path);
        if (&path, &body) == (&allowed.call.path, &allowed.call.body)
            || ANSWER_ANYTHING.contains(&allowed.operation.as_str())
            || allowed.operation.starts_with("POST /access/v1/evaluation")
        {
            continue;
        }
        (allowed.call.path, allowed.call.body) = (path, body);
        refused(&world.test, &allowed, "check digit").await;
        looked_at += 1;
    }
    assert!(looked_at > 30, "{looked_at}");
}

#[tokio::test]
async fn unknown_ids_are_not_found() {
    let world = World::new().await;
    let ids = &world.ids;
    let mut looked_at = 0;
    for mut allowed in allowed(&world).await {
        let mut path = allowed.call.path.clone();
        for id in [
            &ids.request,
            &ids.system_user,
            &ids.agent_request,
            &ids.agent,
            &ids.agent_without_clients,
            &ids.job,
            &ids.webhook,
            &ids.credential,
            &ids.free_system_user,
            &crate::access_table::world::CORRELATION_ID.to_owned(),
        ] {
            path = path.replace(id.as_str(), UNKNOWN);
        }
        path =
            path.replace("310247030_smartcloud", "310247030_unknown").replace("310247030_agent", "310247030_unknown");
        if path == allowed.call.path {
            continue;
        }
        allowed.call.path = path;
        let answer = refused(&world.test, &allowed, "unknown id").await;
        // A system to delete, or an agent, that is not there is a wrong parameter to Altinn; a stream's reader is told that it is over.
        let expected = match allowed.operation.as_str() {
            "DELETE /authentication/api/v1/systemregister/vendor/{systemId}" => 400,
            operation if operation.contains("/enduser/systemuser/clients") => 400,
            operation if operation.contains("/internal/systemusers/") => 410,
            _ => 404,
        };
        assert_eq!(answer.status, expected, "{}: {}", allowed.operation, answer.json);
        looked_at += 1;
    }
    assert!(looked_at > 50, "{looked_at}");
}

#[tokio::test]
async fn nobody_acts_at_another_party() {
    let world = World::new().await;
    let mut looked_at = 0;
    for mut allowed in allowed(&world).await {
        if !allowed.operation.contains("{party}") {
            continue;
        }
        for other in ["/50000002", "/50000099"] {
            let path = allowed.call.path.replacen("/50000001", other, 1).replacen("/50000003", other, 1);
            let own = std::mem::replace(&mut allowed.call.path, path);
            let answer = refused(&world.test, &allowed, other).await;
            assert_eq!(answer.status, 403, "{}: {}", allowed.operation, answer.json);
            allowed.call.path = own;
        }
        looked_at += 1;
    }
    assert!(looked_at > 40, "{looked_at}");
}

#[tokio::test]
async fn of_decisions_at_once_and_one_after_another_the_first_counts() {
    let mut world = World::new().await;
    let decides = |operation: &str| operation.ends_with("/approve") || operation.ends_with("/reject");
    let decisions: Vec<_> = allowed(&world).await.into_iter().filter(|allowed| decides(&allowed.operation)).collect();
    assert!(decisions.len() >= 12, "{}", decisions.len());
    for Allowed { operation, call, caller } in decisions {
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..6 {
            let (test, call, caller) = (world.test.clone(), call.clone(), caller.clone());
            calls.spawn(async move { caller.call(&test, &call).await.status });
        }
        let mut statuses = calls.join_all().await;
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409, 409, 409, 409, 409], "{operation}");
        let revision = world.test.state.store.revision().await.unwrap();
        caller.call(&world.test, &call).await.expect_code(409, "AUTH-00013");
        assert_eq!(world.test.state.store.revision().await.unwrap(), revision);
        world.renew().await;
    }
}

#[tokio::test]
async fn nobody_is_sent_back_to_a_page_that_is_not_registered() {
    let world = World::new().await;
    let mut looked_at = 0;
    for (mut allowed, body) in with_bodies(&world).await {
        let is_request = ["/request/vendor", "/request/vendor/agent", "/changerequest/vendor", "/vendor/verify"]
            .iter()
            .any(|end| allowed.operation.ends_with(end));
        if !is_request {
            continue;
        }
        for url in [
            "http://smartcloud.no/done",
            "https://evil.no/done",
            "https://smartcloud.no.evil.no/done",
            "https://smartcloud.no@evil.no/done",
            "https://user@smartcloud.no/done",
            "https://user:password@smartcloud.no/done",
            "https://smartcloud.no:8443/done",
            "https://smartcloud.no/",
            "https://smartcloud.no/DONE",
            "https://smartcloud.no/done/",
            "https://smartcloud.no/done/more",
            "https://smartcloud.no/done/../other",
            "https://smartcloud.no/done#fragment",
            "https:smartcloud.no/done",
            "//smartcloud.no/done",
            "smartcloud.no/done",
            "javascript:alert(1)",
            "https://smartcloud.no\\@evil.no/done",
        ] {
            let mut wrong = body.clone();
            wrong["redirectUrl"] = json!(url);
            allowed.call.body = Some(("application/json", wrong.to_string()));
            refused(&world.test, &allowed, url).await.expect_code(400, "AUTH-00021");
        }
        looked_at += 1;
    }
    assert_eq!(looked_at, 4);
}

#[tokio::test]
async fn a_registered_page_is_the_same_in_any_spelling_of_its_host() {
    let world = World::new().await;
    for url in ["HTTPS://SmartCloud.NO/done", "https://smartcloud.no:443/done", "https://smartcloud.no/done?a=b"] {
        let mut body = story::request();
        (body["externalRef"], body["redirectUrl"]) = (json!(url), json!(url));
        world.test.post(story::REQUESTS, &world.test.vendor(), &body).await.expect(201);
    }
}
