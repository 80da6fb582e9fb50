//! `POST /introspection`: whether a token stands (RFC 7662), for those who cannot look themselves. Altinn has it for eFormidling.
//!
//! It says no more of a token than its holder can read in it; whoever has no token learns nothing.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderName, header};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::caller;
use crate::json::{body_bytes, media_type};
use crate::openapi::{self, bodies};
use crate::problem::{Problem, codes};
use crate::state::AppState;

const FORM: &str = "application/x-www-form-urlencoded";

/// What is said of a token; of one that does not stand nothing but that.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Introspection)]
pub(super) struct Introspection {
    active: bool,
    /// Who issued it.
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    /// Seconds since 1970 at which it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    /// The Maskinporten client.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
}

/// Whether a token stands here, and until when.
#[utoipa::path(
    post, path = "/authentication/api/v1/introspection", operation_id = "introspectToken", tag = openapi::LOGIN,
    request_body(content = bodies::TokenToIntrospect, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, body = Introspection), (status = 400, description = "`field_invalid`: there is not one `token`"),
        (status = 413, description = "`body_too_large`"), (status = 415, description = "`media_type_unsupported`"),
    ),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    request: Request,
) -> Result<([(HeaderName, &'static str); 1], Json<Introspection>), Problem> {
    if media_type(request.headers()).as_deref() != Some(FORM) {
        return Err(Problem::new(codes::MEDIA_TYPE).detail(format!("expected `{FORM}`")));
    }
    let body = body_bytes(request, &state).await?;
    let mut tokens = url::form_urlencoded::parse(&body).filter(|(name, _)| name == "token").map(|(_, value)| value);
    let (Some(token), None) = (tokens.next(), tokens.next()) else {
        return Err(Problem::new(codes::FIELD_INVALID).detail("expected one `token`"));
    };
    let answer = match caller::claims_of_standing(&state, token.trim()).await {
        Ok(mut claims) => {
            let mut text = |name: &str| match claims.remove(name) {
                Some(Value::String(text)) => Some(text),
                _ => None,
            };
            let (iss, scope, client_id) = (text("iss"), text("scope"), text("client_id"));
            Introspection { active: true, iss, exp: claims.get("exp").and_then(Value::as_i64), scope, client_id }
        }
        Err(problem) if problem.is_internal() => return Err(problem),
        Err(_) => Introspection { active: false, iss: None, exp: None, scope: None, client_id: None },
    };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(answer)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::{Answer, TestState, tokens};

    const PATH: &str = "/authentication/api/v1/introspection";

    async fn ask(test: &TestState, form: &str) -> Answer {
        test.send("POST", PATH, "", Some((super::FORM, form.to_owned()))).await
    }

    #[tokio::test]
    async fn a_token_stands_until_it_ends() {
        let test = TestState::with_tokens().await;
        let token = tokens::Maskinporten::vendor("310247030").token(&test);
        let answer = ask(&test, &format!("token_type_hint=access_token&token={token}")).await;
        assert_eq!(answer.headers["cache-control"], "no-store");
        let answer = answer.expect(200);
        assert_eq!((&answer["active"], &answer["iss"]), (&json!(true), &json!(tokens::MASKINPORTEN)));
        assert!(answer["exp"].as_i64().unwrap() > test.state.clock.now().unix_seconds());
        assert!(answer["scope"].as_str().unwrap().contains("altinn:authentication/systemregister.write"));
        test.clock.advance_seconds(131);
        assert_eq!(ask(&test, &format!("token={token}")).await.expect(200), json!({ "active": false }));
        for wrong in ["x", "a.b.c", "%ff", ""] {
            let answer = ask(&test, &format!("token={wrong}")).await;
            assert_eq!(answer.expect(200), json!({ "active": false }), "{wrong}");
        }
    }

    #[tokio::test]
    async fn what_is_no_question_is_refused() {
        let test = TestState::new().await;
        for form in ["", "token_type_hint=x", "token=a&token=b", "Token=a"] {
            ask(&test, form).await.expect_code(400, "field_invalid");
        }
        test.post(PATH, "", &json!({ "token": "x" })).await.expect_code(415, "media_type_unsupported");
        let long = format!("token={}", "x".repeat(crate::service::BODY_BYTES_MAX));
        ask(&test, &long).await.expect_code(413, "body_too_large");
    }
}
