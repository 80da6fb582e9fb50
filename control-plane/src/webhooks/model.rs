//! A webhook, and when a delivery that failed is tried again.

use policies::Timestamp;
use policies::id::OrganizationNumber;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// Seconds after the first failure, the second, …; the last is repeated.
const PAUSES_S: [i64; 7] = [5, 30, 120, 600, 3_600, 10_800, 21_600];
/// Days of failure after which a webhook is switched off.
pub(super) const FAILING_DAYS_MAX: i64 = 5;

/// A vendor's address, and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Webhook {
    pub(super) id: Uuid,
    pub(super) vendor: OrganizationNumber,
    pub(super) url: String,
    pub(super) secret: String,
    pub(super) created_at: Timestamp,
    /// The last event that was taken.
    pub(super) delivered: i64,
    /// Failures in a row.
    pub(super) attempts: i64,
    pub(super) failing_since: Option<Timestamp>,
    pub(super) next_attempt_at: Timestamp,
    pub(super) last_error: Option<String>,
    pub(super) disabled_at: Option<Timestamp>,
}

/// How a webhook is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum WebhookState {
    /// What there was to deliver was taken.
    Active,
    /// The last delivery failed; it is tried again.
    Failing,
    /// Switched off after days of failure, or by answering 410.
    Disabled,
}

/// A webhook as its vendor sees it; never its secret.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Webhook)]
pub(super) struct WebhookJson {
    #[schema(value_type = String, format = "uuid")]
    id: Uuid,
    url: String,
    state: WebhookState,
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
    /// The last event that was taken.
    delivered: String,
    #[schema(value_type = Option<String>, format = "date-time", required)]
    failing_since: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = "date-time", required)]
    next_attempt_at: Option<Timestamp>,
    #[schema(required)]
    last_error: Option<String>,
}

impl Webhook {
    /// The event was taken.
    pub(super) fn taken(&mut self, event: i64, now: Timestamp) {
        self.delivered = event;
        self.next_attempt_at = now;
        self.attempts = 0;
        self.failing_since = None;
        self.last_error = None;
    }

    /// A delivery failed; `is_gone` says that nobody wants any more.
    pub(super) fn failed(&mut self, error: String, is_gone: bool, now: Timestamp) {
        let since = *self.failing_since.get_or_insert(now);
        let pause = usize::try_from(self.attempts).ok().and_then(|attempts| PAUSES_S.get(attempts).or(PAUSES_S.last()));
        self.attempts += 1;
        self.next_attempt_at = now.plus_seconds(pause.copied().unwrap_or(0));
        self.last_error = Some(error);
        if is_gone || now >= since.plus_seconds(FAILING_DAYS_MAX * 86_400) {
            self.disabled_at = Some(now);
        }
    }

    /// Begins anew where it was.
    pub(super) fn enable(&mut self, now: Timestamp) {
        self.attempts = 0;
        self.failing_since = None;
        self.last_error = None;
        self.disabled_at = None;
        self.next_attempt_at = now;
    }

    pub(super) fn json(&self) -> WebhookJson {
        let state = match (self.disabled_at, self.failing_since) {
            (Some(_), _) => WebhookState::Disabled,
            (None, Some(_)) => WebhookState::Failing,
            (None, None) => WebhookState::Active,
        };
        WebhookJson {
            id: self.id,
            url: self.url.clone(),
            state,
            created_at: self.created_at,
            delivered: self.delivered.to_string(),
            failing_since: self.failing_since,
            next_attempt_at: (state == WebhookState::Failing).then_some(self.next_attempt_at),
            last_error: self.last_error.clone(),
        }
    }
}
