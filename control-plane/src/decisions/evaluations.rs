//! `POST /access/v1/evaluations` (AuthZEN 1.0): several questions, a decision each, in order.

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};

use super::authzen::{AuthzenJson, Evaluation, Malformed};
use super::evaluation::{evaluate, evaluate_one};
use crate::caller::Authorizer;
use crate::openapi::{self, bodies, own};
use crate::problem::{Problem, codes};
use crate::state::AppState;

/// Most evaluations of one call.
const EVALUATIONS_MAX: usize = 256;

/// AuthZEN 1.0: several questions, a decision each. Without `evaluations` it is one evaluation.
#[utoipa::path(
    post, path = "/access/v1/evaluations", operation_id = "evaluateSeveral", tag = openapi::DECISIONS,
    security(("maskinporten" = ["altinn:authorization/authorize"])),
    request_body = bodies::AccessEvaluations,
    responses((status = 200, body = own::EvaluationsAnswer)),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    _caller: Authorizer,
    AuthzenJson(body): AuthzenJson,
) -> Result<Json<Value>, Problem> {
    let is_last = is_last(&body)?;
    let items = match body.get("evaluations") {
        None | Some(Value::Null) => return evaluate_one(&state, &body).await,
        Some(Value::Array(items)) if items.is_empty() => return evaluate_one(&state, &body).await,
        Some(Value::Array(items)) => items,
        Some(_) => return Err(invalid("`evaluations` is a list")),
    };
    if items.len() > EVALUATIONS_MAX {
        return Err(invalid(format!("`evaluations`: at most {EVALUATIONS_MAX}")));
    }
    let read: Vec<_> = items.iter().map(|item| read(item, &body)).collect::<Result<_, _>>()?;
    // An evaluation that cannot be read is a denial in its place, and the others are decided.
    let evaluations = read.iter().flatten().cloned().collect();
    let mut decided = evaluate(&state, evaluations).await?.into_iter();
    let mut outcomes = Vec::new();
    for one in &read {
        let outcome = match one {
            Ok(_) => decided.next().unwrap_or_default(),
            Err(malformed) => malformed.outcome(),
        };
        let enough = is_last(&outcome);
        outcomes.push(outcome);
        if enough {
            break;
        }
    }
    Ok(Json(json!({ "evaluations": outcomes })))
}

/// One of the list, with what it leaves out taken from the top; only a list of other things than objects is refused whole.
fn read(item: &Value, defaults: &Map<String, Value>) -> Result<Result<Evaluation, Malformed>, Problem> {
    match item {
        Value::Object(item) => Ok(Evaluation::read(item, defaults)),
        _ => Err(invalid("`evaluations` is a list of objects")),
    }
}

/// After which outcome there is enough.
fn is_last(body: &Map<String, Value>) -> Result<fn(&Value) -> bool, Problem> {
    let options = match body.get("options") {
        None | Some(Value::Null) => None,
        Some(Value::Object(options)) => options.get("evaluations_semantic"),
        Some(_) => return Err(invalid("`options` is an object")),
    };
    match options {
        None | Some(Value::Null) => Ok(|_| false),
        Some(Value::String(semantic)) => match semantic.as_str() {
            "execute_all" => Ok(|_| false),
            "deny_on_first_deny" => Ok(|outcome| outcome["decision"] != true),
            "permit_on_first_permit" => Ok(|outcome| outcome["decision"] == true),
            _ => Err(invalid("`options.evaluations_semantic` is none of the three that there are")),
        },
        Some(_) => Err(invalid("`options.evaluations_semantic` is a string")),
    }
}

fn invalid(detail: impl AsRef<str>) -> Problem {
    Problem::new(codes::EVALUATION_INVALID).detail(detail)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::EVALUATIONS_MAX;
    use crate::decisions::story::authorizer;
    use crate::test_state::{Answer, TestState, story};

    async fn sent(test: &TestState, body: &Value) -> Answer {
        test.post("/access/v1/evaluations", &authorizer(test), body).await
    }

    /// Three actions of which the second is not permitted.
    fn three(semantic: Option<&str>) -> Value {
        json!({
            "subject": { "type": "user", "id": story::HANSENS_MANAGER.to_string() },
            "resource": { "type": "resource", "id": "vat" },
            "context": { "party": "310247049" },
            "options": { "evaluations_semantic": semantic, "another_option": 1 },
            "evaluations": [
                { "action": { "name": "read" } },
                { "action": { "name": "fly" } },
                { "action": { "name": "read" }, "resource": { "id": "annual-accounts" } },
            ],
        })
    }

    fn decisions(answer: &Value) -> Vec<bool> {
        assert!(answer.get("decision").is_none());
        answer["evaluations"].as_array().unwrap().iter().map(|one| one["decision"].as_bool().unwrap()).collect()
    }

    #[tokio::test]
    async fn all_are_decided_in_order_or_up_to_the_first_that_settles_it() {
        let test = TestState::with_resources().await;
        for (semantic, expected) in [
            (None, &[true, false, true][..]),
            (Some("execute_all"), &[true, false, true]),
            (Some("deny_on_first_deny"), &[true, false]),
            (Some("permit_on_first_permit"), &[true]),
        ] {
            assert_eq!(decisions(&sent(&test, &three(semantic)).await.expect(200)), expected, "{semantic:?}");
        }
    }

    #[tokio::test]
    async fn what_an_evaluation_leaves_out_is_taken_from_the_top() {
        let test = TestState::with_resources().await;
        let mut body = three(None);
        body["evaluations"] = json!([
            { "action": { "name": "read" } },
            { "action": { "name": "read" }, "subject": { "id": "7" } },
            { "action": { "name": "read" }, "context": {} },
            { "action": { "name": "read" }, "resource": { "properties": { "party": "310247049" } } },
            { "action": { "name": "read" }, "context": {}, "resource": { "properties": { "party": "310247049" } } },
        ]);
        assert_eq!(decisions(&sent(&test, &body).await.expect(200)), [true, false, false, true, true]);
    }

    #[tokio::test]
    async fn one_that_cannot_be_read_is_denied_in_its_place() {
        let test = TestState::with_resources().await;
        let mut body = three(None);
        body["evaluations"][1] = json!({});
        let answer = sent(&test, &body).await.expect(200);
        assert_eq!(decisions(&answer), [true, false, true]);
        let context = &answer["evaluations"][1]["context"];
        assert_eq!((&context["reason"], &context["error"]["status"]), (&json!("evaluation_invalid"), &json!(400)));
        body["options"]["evaluations_semantic"] = json!("deny_on_first_deny");
        assert_eq!(decisions(&sent(&test, &body).await.expect(200)), [true, false]);
    }

    #[tokio::test]
    async fn without_a_list_it_is_one_evaluation() {
        let test = TestState::with_resources().await;
        let mut body = three(None);
        body["action"] = json!({ "name": "read" });
        for evaluations in [json!([]), json!(null)] {
            body["evaluations"] = evaluations;
            assert_eq!(sent(&test, &body).await.expect(200), json!({ "decision": true }));
        }
        body["action"] = json!(null);
        sent(&test, &body).await.expect_code(400, "evaluation_invalid");
    }

    #[tokio::test]
    async fn what_is_malformed_as_a_whole_is_400() {
        let test = TestState::with_resources().await;
        for (path, value) in [
            ("/evaluations", json!({})),
            ("/evaluations", json!([1])),
            ("/evaluations", json!(vec![json!({}); EVALUATIONS_MAX + 1])),
            ("/options", json!("execute_all")),
            ("/options/evaluations_semantic", json!("all")),
            ("/options/evaluations_semantic", json!(1)),
        ] {
            let mut body = three(None);
            *body.pointer_mut(path).unwrap() = value;
            sent(&test, &body).await.expect_code(400, "evaluation_invalid");
        }
        let mut many = three(None);
        many["evaluations"] = json!(vec![json!({ "action": { "name": "read" } }); EVALUATIONS_MAX]);
        assert_eq!(decisions(&sent(&test, &many).await.expect(200)), [true; EVALUATIONS_MAX]);
    }
}
