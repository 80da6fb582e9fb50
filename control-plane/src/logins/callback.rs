//! `GET /authentication/callback`: the browser comes back from the provider, and a session begins.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use policies::Timestamp;
use serde_json::json;

use super::provider::Failed;
use super::store::{self, Attempt};
use super::{ATTEMPT_S, COOKIE, PATH, redirect};
use crate::caller::cookie::value_of;
use crate::hash::sha256_hex;
use crate::openapi;
use crate::parameters::Query;
use crate::problem::{Problem, codes};
use crate::state::AppState;
use crate::tokens::{self, cookie, people};

/// What a person may ask for who has logged in here.
const SCOPE: &str = "altinn:portal/enduser";

/// Takes a person back from the provider.
///
/// The session's cookie is set, and the browser goes on to where the login began.
#[utoipa::path(
    get, path = "/authentication/api/v1/authentication/callback", operation_id = "completeLogIn", tag = openapi::LOGIN,
    params(
        ("code" = Option<String>, Query, description = "From the provider"),
        ("state" = Option<String>, Query, description = "From the provider"),
    ),
    responses(
        (status = 303, description = "Back to the page"),
        (status = 400, description = "`login_expired`"),
        (status = 403, description = "`login_refused`, `user_unknown`"),
        (status = 502, description = "`login_provider_failed`"),
    ),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let attempt = attempt(&state, &query, &headers).await?;
    let provider = state.logins.named(&attempt.provider).ok_or(codes::LOGIN_EXPIRED)?;
    let code = query.text("code").ok_or(codes::LOGIN_REFUSED)?;
    let claims =
        provider.redeem(&state, code, &attempt.nonce, attempt.pkce_verifier).await.map_err(|failed| match failed {
            Failed::Provider(cause) => {
                tracing::warn!(provider = attempt.provider, "a login failed: {cause:#}");
                codes::LOGIN_PROVIDER_FAILED
            }
            Failed::Refused(cause) => {
                tracing::warn!(provider = attempt.provider, "a login was refused: {cause:#}");
                codes::LOGIN_REFUSED
            }
        })?;
    let now = state.clock.now();
    let mut change = state.store.change().await?;
    let claim = provider.config.user_id_claim.as_deref();
    let user = people::user_of(change.connection(), &claims, claim).await?.ok_or(codes::USER_UNKNOWN)?;
    let level = match people::level_of(&claims) {
        0 => provider.config.authentication_level,
        level => level,
    };
    let session = state.ids.uuid().map_err(Problem::internal)?;
    tokens::store::begin_session(change.connection(), session, user.user_id, now).await?;
    let mut ours = people::claims_of(&user, level, &provider.config.name);
    ours.insert("scope".to_owned(), json!(SCOPE));
    ours.insert("sid".to_owned(), json!(session));
    ours.insert("auth_time".to_owned(), json!(now.unix_seconds()));
    let issuer = state.tokens.as_ref().ok_or(codes::TOKENS_NOT_ISSUED)?;
    let token = issuer.issue(&state, ours).map_err(Problem::internal)?;
    let log = json!({ "user": user.user_id, "session": session, "provider": attempt.provider, "level": level });
    change.commit(now, "logged_in", log).await?;
    let public_url = &state.settings.public_url;
    let cookies = [cookie::session(public_url, &token), cookie::set(public_url, COOKIE, "", PATH, 0)];
    redirect(&attempt.return_to, cookies.into_iter().flatten())
}

/// The login that this is the end of: begun by this browser, a short while ago, and not ended before.
async fn attempt(state: &AppState, query: &Query, headers: &HeaderMap) -> Result<Attempt, Problem> {
    let secret = query.text("state").ok_or(codes::LOGIN_EXPIRED)?;
    let browser = value_of(headers, COOKIE).ok_or(codes::LOGIN_EXPIRED)?;
    let mut change = state.store.change().await?;
    let attempt = store::take(change.connection(), &sha256_hex(secret.as_bytes())).await?;
    let attempt = attempt.ok_or(codes::LOGIN_EXPIRED)?;
    let ends = Timestamp::from_unix_millis(attempt.started_at).plus_seconds(ATTEMPT_S);
    // Another browser's login stays: whoever sends people here with a foreign `state` ends nothing.
    if attempt.browser_sha256 != sha256_hex(browser.as_bytes()) || state.clock.now() >= ends {
        return Err(codes::LOGIN_EXPIRED.into());
    }
    change.commit_derived().await?;
    Ok(attempt)
}
