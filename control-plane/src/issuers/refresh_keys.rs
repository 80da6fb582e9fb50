//! Looking again at an issuer's keys: at start, every so often, and when a token names a key that is not known.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policies::Timestamp;
use policies::token::TOKEN_BYTES_MAX;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;

use super::{Configured, fetch, store};
use crate::state::AppState;

/// Strangers make us ask an issuer at most once in this time, whatever they send.
const ASKED_AGAIN_MS_MIN: i64 = 10_000;
/// Wait after a failed look.
const RETRY: Duration = Duration::from_secs(10);

/// A look at an issuer's keys: under way, or the last one. It runs in a task of its own, so that nobody who waits for it
/// can end it by going away.
#[derive(Debug)]
pub(super) struct Look {
    asked_at: Timestamp,
    /// Whether the keys could be had; `None` while it is under way.
    outcome: watch::Receiver<Option<bool>>,
}

impl Look {
    fn is_under_way(&self) -> bool {
        // Without a sender the task ended without an outcome.
        self.outcome.borrow().is_none() && self.outcome.has_changed().is_ok()
    }
}

/// Why somebody looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Occasion {
    /// A token that nobody has verified: answered by a look of just now, if there was one.
    Token,
    /// It is time to: the issuer is asked, whatever strangers made us do before.
    Time,
}

/// Looks at the keys of the issuer that the (unverified) token names, unless that was done just now.
/// Failures are logged; the last good keys stay.
pub(crate) async fn refresh(state: &AppState, token: &str) {
    let Some(issuer) = unverified_issuer(token) else { return };
    if let Some(configured) = state.issuers.configured.iter().find(|configured| configured.issuer == issuer) {
        look(state, configured, Occasion::Token).await;
    }
}

/// Looks at every issuer's keys now and then every `every`, until the service stops.
pub(crate) async fn keep_fresh(state: AppState, every: Duration) {
    let looks = state.issuers.configured.iter().map(|configured| {
        let (state, configured) = (state.clone(), configured.clone());
        tokio::spawn(async move {
            loop {
                let had = tokio::select! {
                    had = look(&state, &configured, Occasion::Time) => had,
                    () = state.stopped() => return,
                };
                let wait = if had { every } else { RETRY.min(every) };
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

/// `false` when the keys could not be had. Waits for a look that is under way, or begins one.
async fn look(state: &AppState, configured: &Arc<Configured>, occasion: Occasion) -> bool {
    let mut outcome = {
        // A poisoned lock holds a whole look all the same: it is only ever replaced.
        let mut last = configured.last_look.lock().unwrap_or_else(PoisonError::into_inner);
        let now = state.clock.now();
        match &*last {
            Some(look) if look.is_under_way() || (occasion == Occasion::Token && is_recent(look, now)) => {
                look.outcome.clone()
            }
            _ => {
                let outcome = begin(state.clone(), configured.clone());
                *last = Some(Look { asked_at: now, outcome: outcome.clone() });
                outcome
            }
        }
    };
    // An error says that the task ended without an outcome.
    outcome.wait_for(Option::is_some).await.is_ok_and(|outcome| *outcome == Some(true))
}

fn is_recent(look: &Look, now: Timestamp) -> bool {
    (0..ASKED_AGAIN_MS_MIN).contains(&now.millis_since(look.asked_at))
}

/// Asks in a task of its own.
fn begin(state: AppState, configured: Arc<Configured>) -> watch::Receiver<Option<bool>> {
    let (sender, outcome) = watch::channel(None);
    tokio::spawn(async move {
        let issuer = &configured.issuer;
        let asked = ask(&state, &configured).await;
        match &asked {
            Ok(true) => tracing::info!(issuer, "took new keys into use"),
            Ok(false) => {}
            Err(error) => tracing::warn!(issuer, "cannot renew the keys, the last good ones stay: {error:#}"),
        }
        sender.send_replace(Some(asked.is_ok()));
    });
    outcome
}

/// Asks, stores and takes into use; `true` when something was new.
async fn ask(state: &AppState, configured: &Configured) -> anyhow::Result<bool> {
    let issuer = &configured.issuer;
    let keys = fetch::fetch(&state.issuers.http, &configured.jwks_uri, configured.algorithms()).await?;
    let mut change = state.store.change().await?;
    let is_new = store::keys(change.connection(), issuer).await? != keys;
    if is_new {
        let now = state.clock.now();
        store::replace_keys(change.connection(), issuer, &keys, now).await?;
        change.commit(now, "issuer_keys_changed", json!({ "issuer": issuer, "keys": keys.len() })).await?;
    } else {
        drop(change);
    }
    // Also when nothing is new: an earlier look may have stored keys and then failed to take them into use.
    state.issuers.reload(&state.store).await?;
    Ok(is_new)
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
    use std::sync::{Arc, Mutex};

    use axum::Json;
    use axum::http::StatusCode;
    use axum::routing::get;
    use tokio::sync::{Semaphore, watch};

    use super::{Occasion, look};
    use crate::state::Clock as _;
    use crate::test_state::{TestState, tokens};

    /// A key server on loopback that counts how often it is asked.
    struct KeyServer {
        url: String,
        asked: watch::Sender<usize>,
        /// Answers wait for a permit while there is none.
        gate: Arc<Semaphore>,
        answer: Arc<Mutex<Result<serde_json::Value, StatusCode>>>,
    }

    impl KeyServer {
        async fn start() -> Self {
            let asked = watch::Sender::new(0);
            let gate = Arc::new(Semaphore::new(1));
            let answer = Arc::new(Mutex::new(Err(StatusCode::BAD_GATEWAY)));
            let (counter, answers, opened) = (asked.clone(), answer.clone(), gate.clone());
            let app = axum::Router::new().route(
                "/jwk",
                get(move || async move {
                    counter.send_modify(|asked| *asked += 1);
                    let _open = opened.acquire().await.unwrap();
                    answers.lock().unwrap().clone().map(Json)
                }),
            );
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}/jwk", listener.local_addr().unwrap());
            tokio::spawn(async move { axum::serve(listener, app).await });
            Self { url, asked, gate, answer }
        }

        fn publish(&self, kid: &str, key: u8) {
            *self.answer.lock().unwrap() = Ok(serde_json::json!({ "keys": [tokens::jwk(kid, key)] }));
        }

        fn asked(&self) -> usize {
            *self.asked.borrow()
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

    #[tokio::test]
    async fn a_caller_that_goes_away_ends_no_look() {
        let server = KeyServer::start().await;
        server.publish("new", 40);
        let test = TestState::with_jwks_uri(&server.url).await;
        let token = tokens::Maskinporten::vendor("310247030").key("new", 40).token(&test);
        let closed = server.gate.clone().acquire_owned().await.unwrap();
        let (impatient, same_token) = (test.clone(), token.clone());
        let gone = tokio::spawn(async move { impatient.get(VENDOR_LIST, &same_token).await });
        server.asked.subscribe().wait_for(|asked| *asked == 1).await.unwrap();
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        drop(closed);
        test.get(VENDOR_LIST, &token).await.expect(200);
        assert_eq!(server.asked(), 1);
    }

    #[tokio::test]
    async fn the_regular_look_asks_whatever_strangers_made_us_do() {
        let server = KeyServer::start().await;
        let test = TestState::with_jwks_uri(&server.url).await;
        let unknown = tokens::Maskinporten::vendor("310247030").key("new", 40).token(&test);
        test.get(VENDOR_LIST, &unknown).await.expect_code(401, "token_invalid");
        let configured = &test.state.issuers.configured[0];
        assert!(!look(&test.state, configured, Occasion::Token).await, "the outcome of the look just now");
        assert_eq!(server.asked(), 1);
        server.publish("new", 40);
        assert!(look(&test.state, configured, Occasion::Time).await);
        assert_eq!(server.asked(), 2);
        test.get(VENDOR_LIST, &unknown).await.expect(200);
    }

    #[tokio::test]
    async fn keys_that_were_stored_and_not_used_come_into_use_with_the_next_look() {
        let server = KeyServer::start().await;
        server.publish("new", 40);
        let test = TestState::with_jwks_uri(&server.url).await;
        let configured = &test.state.issuers.configured[0];
        let keys = [tokens::jwk("new", 40)];
        let mut change = test.state.store.change().await.unwrap();
        super::store::replace_keys(change.connection(), tokens::MASKINPORTEN, &keys, test.clock.now()).await.unwrap();
        change.commit_derived().await.unwrap();
        assert!(look(&test.state, configured, Occasion::Time).await);
        assert_eq!(test.state.issuers.trusted()[0].keys[0].kid(), "new");
    }
}
