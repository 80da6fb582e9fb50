//! `GET /authentication`: sends the browser to a provider.

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policies::explain::Language;
use url::Url;

use super::store::{self, Attempt};
use super::{ATTEMPT_S, COOKIE, PATH, page, redirect};
use crate::caller::cookie::value_of;
use crate::hash::sha256_hex;
use crate::openapi;
use crate::parameters::Query;
use crate::problem::{Problem, codes};
use crate::state::{AppState, Ids};
use crate::tokens::cookie;

/// Most logins under way; more are told to come back.
const ATTEMPTS_MAX: i64 = 100_000;
/// Longest address to return to.
const RETURN_TO_CHARS_MAX: usize = 2_000;
/// Bytes of a secret.
const SECRET_BYTES: usize = 32;

/// Logs a person in.
///
/// Sends the browser to the provider, and from there back to `goto`. With several providers and none named, a page asks which.
#[utoipa::path(
    get, path = "/authentication/api/v1/authentication", operation_id = "logIn", tag = openapi::LOGIN,
    params(
        ("goto" = Option<String>, Query, description = "A page of ours to return to; the start page by default"),
        ("provider" = Option<String>, Query, description = "Name of a configured provider"),
    ),
    responses(
        (status = 200, description = "A page on which to choose a provider", content_type = "text/html", body = String),
        (status = 303, description = "To the provider"),
        (status = 400, description = "`login_provider_unknown`, `return_address_foreign`"),
        (status = 404, description = "`tokens_not_issued`"),
        (status = 502, description = "`login_provider_failed`"),
    ),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let public_url = &state.settings.public_url;
    let return_to = return_to(public_url, query.text("goto").unwrap_or("/"))?;
    let provider = match query.text("provider") {
        Some(name) => state.logins.named(name).ok_or(codes::LOGIN_PROVIDER_UNKNOWN)?,
        None => match state.logins.only() {
            Some(only) => only,
            None if state.logins.all().next().is_none() => return Err(codes::TOKENS_NOT_ISSUED.into()),
            None => {
                let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or("");
                return Ok(page::of(state.logins.all(), return_to.as_str(), Language::of_header(accepted)));
            }
        },
    };
    let (secret, nonce, verifier) = (secret(&*state.ids)?, secret(&*state.ids)?, secret(&*state.ids)?);
    // The same for all logins of a browser, so that one in another tab does not end this one.
    let browser = match value_of(&headers, COOKIE).filter(|known| known.len() == secret.len()) {
        Some(known) => known.to_owned(),
        None => self::secret(&*state.ids)?,
    };
    let location = provider.authorize_url(&state, secret.clone(), nonce.clone(), &verifier).await?;
    let now = state.clock.now();
    let attempt = Attempt {
        state_sha256: sha256_hex(secret.as_bytes()),
        browser_sha256: sha256_hex(browser.as_bytes()),
        provider: provider.config.name.clone(),
        nonce,
        pkce_verifier: verifier,
        return_to: return_to.into(),
        started_at: now.unix_millis(),
    };
    let mut change = state.store.change().await?;
    if store::insert(change.connection(), &attempt, now.plus_seconds(-ATTEMPT_S)).await? > ATTEMPTS_MAX {
        return Err(Problem::new(codes::DATABASE_BUSY).retry_after_s(60));
    }
    // No change of anything that others follow.
    change.commit_derived().await?;
    redirect(location.as_str(), cookie::set(public_url, COOKIE, &browser, PATH, ATTEMPT_S))
}

/// An address of ours; browsers are sent nowhere else.
fn return_to(public_url: &Url, goto: &str) -> Result<Url, Problem> {
    let url = public_url.join(goto).ok().filter(|url| url.origin() == public_url.origin());
    url.filter(|_| goto.len() <= RETURN_TO_CHARS_MAX).ok_or_else(|| codes::RETURN_ADDRESS_FOREIGN.into())
}

fn secret(ids: &dyn Ids) -> Result<String, Problem> {
    let mut bytes = [0; SECRET_BYTES];
    ids.fill(&mut bytes).map_err(Problem::internal)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_state::TestState;

    #[test]
    fn browsers_return_to_us_only() {
        let public_url = Url::parse("https://portvakt.test/").unwrap();
        for goto in ["/", "/a?b=c", "a", "https://portvakt.test/x", ""] {
            assert!(return_to(&public_url, goto).is_ok(), "{goto}");
        }
        for goto in [
            "https://evil.test/",
            "//evil.test/",
            "/\\evil.test",
            "\\\\evil.test",
            "http://portvakt.test/",
            "https://portvakt.test:8443/",
            "https://portvakt.test@evil.test/",
            "javascript:alert(1)",
            "data:text/html,x",
        ] {
            assert!(return_to(&public_url, goto).is_err(), "{goto}");
        }
        assert!(return_to(&public_url, &format!("/{}", "x".repeat(RETURN_TO_CHARS_MAX))).is_err());
    }

    #[tokio::test]
    async fn without_providers_nobody_logs_in() {
        let test = TestState::with_tokens().await;
        test.get(PATH, "").await.expect_code(404, "tokens_not_issued");
        test.get(&format!("{PATH}?provider=x"), "").await.expect_code(400, "login_provider_unknown");
        test.get(&format!("{PATH}?goto=//evil.test"), "").await.expect_code(400, "return_address_foreign");
        for query in ["", "?code=a", "?code=a&state=b", "?error=access_denied&state=b"] {
            test.get(&format!("{PATH}/callback{query}"), "").await.expect_code(400, "login_expired");
        }
    }
}
