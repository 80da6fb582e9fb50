//! Other parts of the platform (INTERNAL).

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::bearer::{platform_token, require_scope, verified_token};
use crate::problem::Problem;
use crate::state::AppState;

/// Whoever has the scope that only the platform itself is given, or a platform access token.
#[derive(Debug)]
pub(crate) struct InternalOrPlatform;

impl FromRequestParts<AppState> for InternalOrPlatform {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        if platform_token(&parts.headers, state).await?.is_some() {
            return Ok(Self);
        }
        let token = verified_token(parts, state).await?;
        require_scope(&token, &["altinn:authentication/systemuser.admin"])?;
        Ok(Self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::test_state::{TestState, tokens};

    const STREAM: &str = "/authentication/api/v1/systemuser/internal/systemusers/stream";
    const HEADER: &str = "platformaccesstoken";

    fn token(test: &TestState, changes: &[(&str, Value)]) -> String {
        let token = tokens::Maskinporten::without_consumer("").claim("iss", json!("platform"));
        let token = token.claim("urn:altinn:app", json!("access-management")).key("p", tokens::PLATFORM_KEY);
        changes.iter().fold(token, |token, (name, value)| token.claim(name, value.clone())).token(test)
    }

    #[tokio::test]
    async fn a_component_of_the_platform_shows_its_own_token() {
        let test = TestState::with_tokens().await;
        test.get_with(STREAM, &[(HEADER, &token(&test, &[]))]).await.expect(200);
        let stranger = tokens::Maskinporten::vendor("310247030").claim("urn:altinn:app", json!("x")).token(&test);
        let someone = token(&test, &[("iss", json!("Platform"))]);
        let appless = token(&test, &[("urn:altinn:app", json!(""))]);
        for wrong in [stranger, someone, appless, token(&test, &[("urn:altinn:app", json!(7))]), "x".to_owned()] {
            test.get_with(STREAM, &[(HEADER, &wrong)]).await.expect_code(401, "token_invalid");
        }
        let good = token(&test, &[]);
        test.get_with(STREAM, &[(HEADER, &good), (HEADER, &good)]).await.expect_code(401, "token_missing");
        // It is good for nothing else.
        test.get_with(STREAM, &[("authorization", &format!("Bearer {good}"))]).await.expect_code(401, "token_invalid");
        test.get(STREAM, &test.operator()).await.expect_code(403, "insufficient_scope");
        test.get(STREAM, "").await.expect_code(401, "token_missing");
    }
}
