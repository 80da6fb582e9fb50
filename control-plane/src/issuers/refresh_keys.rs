//! Looking again at an issuer's keys: at start, every so often, and when a token names a key that is not known.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policies::token::TOKEN_BYTES_MAX;
use serde::Deserialize;
use serde_json::json;

use super::{Configured, fetch, store};
use crate::state::AppState;

/// An issuer is asked at most once in this time, whatever strangers send.
const ASKED_AGAIN_MS_MIN: i64 = 10_000;
/// Wait after a failed look.
const RETRY: Duration = Duration::from_secs(10);

/// Looks at the keys of the issuer that the (unverified) token names, unless that was done just now.
/// Failures are logged; the last good keys stay.
pub(crate) async fn refresh(state: &AppState, token: &str) {
    let Some(issuer) = unverified_issuer(token) else { return };
    if let Some(configured) = state.issuers.configured.iter().find(|configured| configured.config.issuer == issuer) {
        look(state, configured).await;
    }
}

/// Looks at every issuer's keys now and then every `every`, until the service stops.
pub(crate) async fn keep_fresh(state: AppState, every: Duration) {
    let looks = (0..state.issuers.configured.len()).map(|index| {
        let state = state.clone();
        tokio::spawn(async move {
            let Some(configured) = state.issuers.configured.get(index) else { return };
            loop {
                let wait = if look(&state, configured).await { every } else { RETRY.min(every) };
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = state.stopped() => return,
                }
            }
        })
    });
    for look in looks.collect::<Vec<_>>() {
        if let Err(error) = look.await {
            tracing::error!("looking at an issuer's keys ended: {error}");
        }
    }
}

/// `false` when the keys could not be had.
async fn look(state: &AppState, configured: &Configured) -> bool {
    let mut asked_at = configured.asked_at.lock().await;
    let now = state.clock.now();
    if asked_at.is_some_and(|asked_at| (0..ASKED_AGAIN_MS_MIN).contains(&now.millis_since(asked_at))) {
        return true;
    }
    *asked_at = Some(now);
    let issuer = &configured.config.issuer;
    match ask(state, configured).await {
        Ok(true) => {
            tracing::info!(issuer, "took new keys into use");
            true
        }
        Ok(false) => true,
        Err(error) => {
            tracing::warn!(issuer, "cannot renew the keys, the last good ones stay: {error:#}");
            false
        }
    }
}

/// Asks, stores and takes into use; `true` when something was new.
async fn ask(state: &AppState, configured: &Configured) -> anyhow::Result<bool> {
    let issuer = &configured.config.issuer;
    let keys = fetch::fetch(&state.issuers.http, &configured.config.jwks_uri).await?;
    let mut change = state.store.change().await?;
    if store::keys(change.connection(), issuer).await? == keys {
        return Ok(false);
    }
    let now = state.clock.now();
    store::replace_keys(change.connection(), issuer, &keys, now).await?;
    change.commit(now, "issuer_keys_changed", json!({ "issuer": issuer, "keys": keys.len() })).await?;
    state.issuers.reload(&state.store).await?;
    Ok(true)
}

/// What an unverified token says of its issuer: good for choosing whom to ask, and for nothing else.
fn unverified_issuer(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Payload {
        iss: String,
    }
    if token.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Payload>(&payload).ok().map(|payload| payload.iss)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    use axum::Json;
    use axum::http::StatusCode;
    use axum::routing::get;

    use crate::test_state::{TestState, tokens};

    /// A key server on loopback that counts how often it is asked.
    struct KeyServer {
        url: String,
        asked: Arc<AtomicUsize>,
        answer: Arc<Mutex<Result<serde_json::Value, StatusCode>>>,
    }

    impl KeyServer {
        async fn start() -> Self {
            let asked = Arc::new(AtomicUsize::new(0));
            let answer = Arc::new(Mutex::new(Err(StatusCode::BAD_GATEWAY)));
            let (counter, answers) = (asked.clone(), answer.clone());
            let app = axum::Router::new().route(
                "/jwk",
                get(move || async move {
                    counter.fetch_add(1, Ordering::SeqCst);
                    answers.lock().unwrap().clone().map(Json)
                }),
            );
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}/jwk", listener.local_addr().unwrap());
            tokio::spawn(async move { axum::serve(listener, app).await });
            Self { url, asked, answer }
        }

        fn publish(&self, kid: &str, key: u8) {
            *self.answer.lock().unwrap() = Ok(serde_json::json!({ "keys": [tokens::jwk(kid, key)] }));
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }
    }

    const VENDOR_LIST: &str = "/authentication/api/v1/systemregister/vendor";

    #[tokio::test]
    async fn an_unknown_key_is_fetched_at_most_once_in_ten_seconds() {
        let server = KeyServer::start().await;
        server.publish("new", 40);
        let test = TestState::with_jwks_uri(&server.url).await;
        let token = |key| tokens::Maskinporten::vendor("310247030").key("new", key).token(&test);

        test.get(VENDOR_LIST, &token(40)).await.expect(200);
        assert_eq!(server.asked(), 1);

        server.publish("newer", 41);
        let newer = tokens::Maskinporten::vendor("310247030").key("newer", 41).token(&test);
        test.get(VENDOR_LIST, &newer).await.expect_code(401, "token_invalid");
        assert_eq!(server.asked(), 1);
        test.clock.advance_seconds(10);
        test.get(VENDOR_LIST, &newer).await.expect(200);
        assert_eq!(server.asked(), 2);
    }

    #[tokio::test]
    async fn the_last_good_keys_stay_when_the_issuer_fails_and_survive_a_restart() {
        let server = KeyServer::start().await;
        let test = TestState::with_jwks_uri(&server.url).await;
        let known = tokens::Maskinporten::vendor("310247030").token(&test);
        let unknown = tokens::Maskinporten::vendor("310247030").key("unknown", 40).token(&test);
        test.get(VENDOR_LIST, &unknown).await.expect_code(401, "token_invalid");
        assert_eq!(server.asked(), 1);
        test.get(VENDOR_LIST, &known).await.expect(200);
        let test = test.restarted().await;
        test.get(VENDOR_LIST, &known).await.expect(200);
    }

    #[tokio::test]
    async fn new_keys_are_a_change_and_the_same_keys_are_not() {
        let server = KeyServer::start().await;
        server.publish("new", 40);
        let test = TestState::with_jwks_uri(&server.url).await;
        let token = tokens::Maskinporten::vendor("310247030").key("new", 40).token(&test);
        let before = test.state.store.revision().await.unwrap();
        test.get(VENDOR_LIST, &token).await.expect(200);
        let after = test.state.store.revision().await.unwrap();
        assert!(after > before);
        test.clock.advance_seconds(60);
        let unknown = tokens::Maskinporten::vendor("310247030").key("other", 40).token(&test);
        test.get(VENDOR_LIST, &unknown).await.expect_code(401, "token_invalid");
        assert_eq!(server.asked(), 2);
        assert_eq!(test.state.store.revision().await.unwrap(), after);
    }
}
