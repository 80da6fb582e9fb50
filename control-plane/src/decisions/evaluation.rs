//! `POST /access/v1/evaluation` (AuthZEN 1.0): one question, one decision.

use axum::Json;
use axum::extract::State;
use policies::xacml::Semantics;
use policies::xacml::context::{EntryPoint, Names};
use policies::xacml::request::Request;
use serde_json::{Map, Value};

use super::authzen::{AuthzenJson, Evaluation};
use super::{judge, world};
use crate::caller::Authorizer;
use crate::openapi::{self, bodies, own};
use crate::problem::Problem;
use crate::service::beside;
use crate::state::AppState;

/// AuthZEN 1.0: one question, one decision.
#[utoipa::path(
    post, path = "/access/v1/evaluation", operation_id = "evaluate", tag = openapi::DECISIONS,
    security(("maskinporten" = ["altinn:authorization/authorize"])),
    request_body = bodies::AccessEvaluation,
    responses((status = 200, body = own::EvaluationAnswer)),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    _caller: Authorizer,
    AuthzenJson(body): AuthzenJson,
) -> Result<Json<Value>, Problem> {
    evaluate_one(&state, &body).await
}

/// The answer to a body that is one evaluation.
pub(super) async fn evaluate_one(state: &AppState, body: &Map<String, Value>) -> Result<Json<Value>, Problem> {
    let evaluation = Evaluation::read(body, &Map::new())?;
    let outcomes = evaluate(state, vec![evaluation]).await?;
    Ok(Json(outcomes.into_iter().next().unwrap_or_default()))
}

/// Decides each.
pub(super) async fn evaluate(state: &AppState, evaluations: Vec<Evaluation>) -> Result<Vec<Value>, Problem> {
    let requests: Vec<_> = evaluations.iter().map(Evaluation::request).collect();
    let all = requests.iter().flatten().flat_map(|request| request.categories.iter().cloned()).collect();
    let names = Names::of(&Request { categories: all, ..Request::default() });
    let facts = judge::look_up(state, &names).await?;
    let state = state.clone();
    beside(move || {
        let world = world::of(&facts, &names, &state.compiled_policies);
        let share = judge::share(requests.len());
        let decide = |(evaluation, request): (&Evaluation, Result<Request, Value>)| match request {
            Ok(request) => {
                let entry = EntryPoint::External;
                let decided = judge::decide_with(share, Semantics::Altinn, &request, &world, entry, &state);
                decided.results.first().map(|result| evaluation.outcome(result, &facts)).unwrap_or_default()
            }
            Err(refused) => refused,
        };
        evaluations.iter().zip(requests).map(decide).collect()
    })
    .await
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::decisions::story::authorizer;
    use crate::test_state::{Answer, TestState, story};

    const PATH: &str = "/access/v1/evaluation";
    const UNKNOWN: &str = "00000000-0000-4000-8000-00000000ffff";

    fn evaluation(subject: (&str, &str), action: &str, resource: &str, party: &str) -> Value {
        json!({
            "subject": { "type": subject.0, "id": subject.1 },
            "action": { "name": action },
            "resource": { "type": "resource", "id": resource, "properties": { "party": party } },
        })
    }

    async fn sent(test: &TestState, body: &Value) -> Answer {
        test.post(PATH, &authorizer(test), body).await
    }

    async fn reason(test: &TestState, body: &Value) -> String {
        let answer = sent(test, body).await.expect(200);
        assert_eq!(answer["decision"], false, "{answer}");
        assert!(answer["context"]["reason_admin"]["en"].is_string(), "{answer}");
        answer["context"]["reason"].as_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_permit_is_true_and_a_denial_says_why() {
        let test = TestState::with_request().await;
        let id = test.approve().await;
        let user = story::HANSENS_MANAGER.to_string();
        for subject in [("system_user", id.as_str()), ("user", &user)] {
            let permitted = sent(&test, &evaluation(subject, "read", "vat", "310247049")).await.expect(200);
            assert_eq!(permitted, json!({ "decision": true }));
        }
        let subject = ("system_user", id.as_str());
        let mut in_context = evaluation(subject, "read", "vat", "310247049");
        in_context["resource"]["properties"] = json!({ "more": [1, { "x": null }] });
        in_context["context"] = json!({ "party": "310247049", "time": "2026-11-22T12:00:00Z" });
        in_context["unknown"] = json!({ "nested": true });
        assert_eq!(sent(&test, &in_context).await.expect(200)["decision"], true);
        for (subject, action, resource, party, expected) in [
            (subject, "write", "vat", "310247049", "right_missing"),
            (subject, "read", "vat", "310247057", "party_not_represented"),
            (subject, "read", "vat", "nobody", "party_not_represented"),
            (("system_user", UNKNOWN), "read", "vat", "310247049", "system_user_unknown"),
            (("organization", "310247049"), "read", "vat", "310247049", "right_missing"),
            (("service_owner", "skd"), "read", "vat", "310247049", "right_missing"),
            (subject, "read", "unknown", "310247049", "indeterminate"),
            (("system_user", "alice"), "read", "vat", "310247049", "indeterminate"),
            (("robot", "1"), "read", "vat", "310247049", "subject_type_unknown"),
        ] {
            assert_eq!(reason(&test, &evaluation(subject, action, resource, party)).await, expected);
        }
        let mut record = evaluation(subject, "read", "vat", "310247049");
        record["resource"]["type"] = json!("record");
        assert_eq!(reason(&test, &record).await, "resource_type_unknown");
        let path = format!("{}/{id}", story::system_users_of_hansen());
        test.delete(&path, &test.administrator_of_hansen()).await.expect(202);
        let withdrawn = evaluation(subject, "read", "vat", "310247049");
        assert_eq!(reason(&test, &withdrawn).await, "system_user_withdrawn");
    }

    #[tokio::test]
    async fn obligations_are_met_here_or_it_is_a_denial() {
        let test = TestState::with_resources().await;
        let user = story::HANSENS_MANAGER.to_string();
        let mut body = evaluation(("user", &user), "read", "vat", "310247049");
        let path = format!("{}/policy", story::resource("vat"));
        let put = async |obligations: &[(&str, &str)]| {
            let obligation = |(category, level): &(&str, &str)| {
                format!(
                    "<ObligationExpression ObligationId=\"level\" FulfillOn=\"Permit\"><AttributeAssignmentExpression AttributeId=\"a\" Category=\"{category}\"><AttributeValue DataType=\"http://www.w3.org/2001/XMLSchema#integer\">{level}</AttributeValue></AttributeAssignmentExpression></ObligationExpression>"
                )
            };
            let all: String = obligations.iter().map(obligation).collect();
            let xml = story::policy("vat", &["read"], &[])
                .replace("</Rule>", &format!("</Rule><ObligationExpressions>{all}</ObligationExpressions>"));
            test.put_xml(&path, &test.resource_owner(), &xml).await.expect(200);
        };
        put(&[("urn:altinn:minimum-authenticationlevel", "3"), ("urn:altinn:minimum-authenticationlevel-org", "2")])
            .await;
        let denied = sent(&test, &body).await.expect(200);
        assert_eq!(denied["context"]["reason"], "authentication_level_missing");
        assert_eq!(denied["context"]["required_authentication_level"], 3);
        for (level, permitted) in [(0, false), (2, false), (3, true), (4, true)] {
            body["context"] = json!({ "authentication_level": level });
            assert_eq!(sent(&test, &body).await.expect(200)["decision"], permitted, "{level}");
        }
        body["context"]["authentication_level"] = json!(2);
        assert_eq!(reason(&test, &body).await, "authentication_level_too_low");
        put(&[("urn:example:notify", "3")]).await;
        body["context"]["authentication_level"] = json!(4);
        assert_eq!(reason(&test, &body).await, "obligation_unknown");
        // Of service owners the level of their own is enough.
        let of_owner = |xml: &str| xml.replace(">dagl<", ">skd<").replace("urn:altinn:rolecode", "urn:altinn:org");
        let xml = test.get(&format!("{path}?version=2"), &test.resource_owner()).await;
        let xml = of_owner(std::str::from_utf8(&xml.bytes).unwrap());
        test.put_xml(&path, &test.resource_owner(), &xml).await.expect(200);
        let mut body = evaluation(("service_owner", "skd"), "read", "vat", "310247049");
        body["context"] = json!({ "authentication_level": 2 });
        assert_eq!(sent(&test, &body).await.expect(200), json!({ "decision": true }));
    }

    #[tokio::test]
    async fn a_party_that_is_on_no_access_list_is_denied() {
        let test = TestState::with_resources().await;
        let user = story::HANSENS_MANAGER.to_string();
        let restricted =
            json!({ "title": { "nb": "a", "nn": "b", "en": "c" }, "delegable": true, "accessListMode": "enabled" });
        test.put(&story::resource("vat"), &test.resource_owner(), &restricted).await.expect(200);
        assert_eq!(reason(&test, &evaluation(("user", &user), "read", "vat", "310247049")).await, "access_list");
    }

    #[tokio::test]
    async fn what_is_malformed_is_400() {
        let test = TestState::with_resources().await;
        let good = evaluation(("user", "1"), "read", "vat", "310247049");
        for (path, value) in [
            ("/subject", Value::Null),
            ("/action", Value::Null),
            ("/resource", Value::Null),
            ("/subject", json!("alice")),
            ("/resource", json!([])),
            ("/subject/type", Value::Null),
            ("/subject/id", Value::Null),
            ("/subject/id", json!("")),
            ("/subject/id", json!(7)),
            ("/action/name", Value::Null),
            ("/action/name", json!(123)),
            ("/resource/type", Value::Null),
            ("/resource/id", Value::Null),
            ("/resource/properties", json!("x")),
            ("/resource/properties/party", json!(310_247_049)),
        ] {
            let mut body = good.clone();
            *body.pointer_mut(path).unwrap() = value;
            sent(&test, &body).await.expect_code(400, "evaluation_invalid");
        }
        for context in [
            json!("x"),
            json!({ "party": 1 }),
            json!({ "party": "310247057" }),
            json!({ "authentication_level": "3" }),
            json!({ "authentication_level": 5 }),
        ] {
            let mut body = good.clone();
            body["context"] = context;
            sent(&test, &body).await.expect_code(400, "evaluation_invalid");
        }
        let token = authorizer(&test);
        for (media_type, body) in [
            ("application/json", String::new()),
            ("application/json", "{".to_owned()),
            ("application/json", "[]".to_owned()),
            ("application/json", r#"{"subject":{},"subject":{}}"#.to_owned()),
            ("application/json", good.to_string().replace(r#""party":"#, r#""party":"310247057","party":"#)),
            ("application/json", format!("{{\"subject\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000))),
            ("text/plain", good.to_string()),
            ("application/xml", good.to_string()),
        ] {
            test.send("POST", PATH, &token, Some((media_type, body))).await.expect_code(400, "json_invalid");
        }
    }

    #[tokio::test]
    async fn the_request_id_comes_back_whatever_the_answer() {
        let test = TestState::with_resources().await;
        let answer = test.post_with(PATH, &[("x-request-id", "bfe9eb29-ab87")], &json!({})).await;
        assert_eq!((answer.status, answer.headers["x-request-id"].as_str()), (401, "bfe9eb29-ab87"));
        let authorization = format!("Bearer {}", authorizer(&test));
        let body = evaluation(("user", "1"), "read", "vat", "310247049");
        let headers = [("authorization", authorization.as_str()), ("x-request-id", "a b")];
        let answer = test.post_with(PATH, &headers, &body).await;
        assert_eq!((answer.status, answer.headers["x-request-id"].as_str()), (200, "a b"));
        assert_eq!(sent(&test, &body).await.headers.get("x-request-id"), None);
        sent(&test, &body).await.expect(200);
        test.post(PATH, &test.vendor(), &body).await.expect_code(403, "insufficient_scope");
    }
}
