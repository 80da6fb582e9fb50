//! Sending events: in order for each webhook, several webhooks at once, nothing for ever.
//!
//! 2xx takes an event, 410 ends the webhook, anything else (a redirect too: none is followed) is a failure and tried again
//! after a pause that grows.

use std::sync::Arc;
use std::time::Duration;

use policies::Timestamp;
use reqwest::StatusCode;
use reqwest::redirect::Policy;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;
use url::Url;

use super::addresses::{self, AddressError, PublicOnly};
use super::model::Webhook;
use super::signature::signature;
use super::store;
use crate::events;
use crate::events::model::Event;
use crate::state::AppState;

/// Longest that one delivery takes.
const DELIVERY_TIME_MAX: Duration = Duration::from_secs(10);
/// Longest that one webhook is served before others have their turn.
const TURN_TIME_MAX: Duration = Duration::from_secs(15);
/// Webhooks that are served at once.
const WEBHOOKS_AT_ONCE: i64 = 16;
/// Events that are sent to one webhook before others have their turn.
const EVENTS_AT_ONCE: i64 = 50;
/// Wait without anything new; how late a retry may be.
const PAUSE: Duration = Duration::from_secs(2);
/// How long nobody else serves a webhook, in seconds: longer than a turn and its last delivery.
const CLAIM_S: i64 = 60;
const ERROR_CHARS_MAX: usize = 200;

/// What sends.
#[derive(Debug)]
pub(crate) struct Sender {
    client: reqwest::Client,
    allow_private: bool,
}

/// Why an event was not taken.
struct Refusal {
    error: String,
    is_gone: bool,
}

impl Sender {
    pub(crate) fn new(allow_private: bool) -> anyhow::Result<Self> {
        let builder = || {
            let builder = reqwest::Client::builder().timeout(DELIVERY_TIME_MAX).redirect(Policy::none()).no_proxy();
            if allow_private { builder } else { builder.dns_resolver(Arc::new(PublicOnly)) }
        };
        let client = match builder().build() {
            Ok(client) => client,
            Err(error) => {
                tracing::warn!("webhooks over https will fail, is the package `ca-certificates` installed? {error}");
                builder().tls_certs_only([]).build()?
            }
        };
        Ok(Self { client, allow_private })
    }

    /// An address that may be called.
    pub(super) fn address(&self, text: &str) -> Result<Url, AddressError> {
        addresses::parse(text, self.allow_private)
    }

    async fn send(&self, webhook: &Webhook, event: &Event, now_s: i64) -> Result<(), Refusal> {
        let failed = |error: String| Refusal { error: error.chars().take(ERROR_CHARS_MAX).collect(), is_gone: false };
        let url = self.address(&webhook.url).map_err(|error| failed(error.to_string()))?;
        let (id, body) = (format!("evt_{}", event.id), json!(event).to_string());
        let signature = signature(&webhook.secret, &id, now_s, &body)
            .ok_or_else(|| failed("the stored secret cannot be read".to_owned()))?;
        let request = self.client.post(url).header("content-type", "application/json");
        let request = request.header("user-agent", concat!("portvakt/", env!("CARGO_PKG_VERSION")));
        let request = request.header("webhook-id", &id).header("webhook-timestamp", now_s.to_string());
        // Nothing of the answer but its status is read.
        match request.header("webhook-signature", signature).body(body).send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => {
                let is_gone = answer.status() == StatusCode::GONE;
                Err(Refusal { error: format!("answered {}", answer.status().as_u16()), is_gone })
            }
            Err(error) => Err(failed(reason(&error))),
        }
    }
}

/// What went wrong, without the address.
fn reason(error: &reqwest::Error) -> String {
    let mut source: &dyn std::error::Error = error;
    while let Some(deeper) = source.source() {
        source = deeper;
    }
    let what = if error.is_timeout() { "took too long" } else { "could not be reached" };
    format!("{what}: {source}")
}

/// Delivers until the service stops.
pub(crate) async fn keep_delivered(state: AppState) {
    let mut revisions = state.store.revisions();
    loop {
        revisions.mark_unchanged();
        let outcome = match deliver_due(&state).await {
            // There may be more.
            Ok(served) if served > 0 => {
                state.metrics.job("webhooks", "done");
                if state.is_stopping() {
                    return;
                }
                continue;
            }
            Ok(_) => "idle",
            Err(error) => {
                tracing::error!("cannot deliver webhooks: {error}");
                "failed"
            }
        };
        state.metrics.job("webhooks", outcome);
        tokio::select! {
            biased;
            () = state.stopped() => return,
            _changed = revisions.changed(), if outcome == "idle" => {}
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// Gives every webhook whose turn it is one; says how many had it.
pub(super) async fn deliver_due(state: &AppState) -> Result<usize, sqlx::Error> {
    let mut connection = state.store.read().await?;
    let due = store::due(&mut connection, state.clock.now(), WEBHOOKS_AT_ONCE).await?;
    drop(connection);
    let mut turns = JoinSet::new();
    for webhook in due {
        let state = state.clone();
        turns.spawn(async move {
            tokio::select! {
                served = deliver(&state, webhook) => served,
                // What was sent and not noted is sent again.
                () = state.stopped() => Ok(()),
            }
        });
    }
    let mut served = 0;
    while let Some(turn) = turns.join_next().await {
        match turn {
            Ok(delivered) => delivered?,
            Err(error) => tracing::error!("a delivery of webhooks ended: {error}"),
        }
        served += 1;
    }
    Ok(served)
}

/// Takes the webhook's turn, until the instant that is given; `None` when another control plane has it, or has had it.
async fn claim(state: &AppState, webhook: &Webhook) -> Result<Option<Timestamp>, sqlx::Error> {
    let now = state.clock.now();
    let until = now.plus_seconds(CLAIM_S);
    let mut change = state.store.change().await?;
    let is_ours = store::claim(change.connection(), webhook, now, until).await?;
    change.commit_derived().await?;
    Ok(is_ours.then_some(until))
}

/// Sends what a webhook has not had yet, until something is not taken.
async fn deliver(state: &AppState, mut webhook: Webhook) -> Result<(), sqlx::Error> {
    let Some(claimed_until) = claim(state, &webhook).await? else { return Ok(()) };
    let until = Instant::now() + TURN_TIME_MAX;
    let mut connection = state.store.read().await?;
    let events = events::store::after(&mut connection, webhook.vendor, webhook.delivered, EVENTS_AT_ONCE).await?;
    drop(connection);
    let count = events.len();
    for (number, event) in (1..).zip(events) {
        match state.webhook_sender.send(&webhook, &event, state.clock.now().unix_seconds()).await {
            Ok(()) => webhook.taken(event.id, state.clock.now()),
            Err(refusal) => {
                webhook.failed(refusal.error, refusal.is_gone, state.clock.now());
                if webhook.disabled_at.is_some() {
                    tracing::warn!(webhook.id = %webhook.id, "a webhook is switched off: it has not taken anything for days");
                }
            }
        }
        let is_last = number == count || webhook.failing_since.is_some() || Instant::now() >= until;
        // Until the last one the turn stays ours: nobody else may send what comes next.
        if !is_last {
            webhook.next_attempt_at = claimed_until;
        }
        let mut change = state.store.change().await?;
        store::update(change.connection(), &webhook).await?;
        change.commit_derived().await?;
        if is_last {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
