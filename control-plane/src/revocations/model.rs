//! What is revoked, and until when.

use policies::Timestamp;
use policies::id::{MaskinportenClientId, SystemUserId};
use policies::snapshot::{RevocationDocument, RevokedDocument};
use policies::token::{CLOCK_SKEW_SECONDS_MAX, LIFETIME_SECONDS_LIMITS};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::fields::text;
use crate::problem::{Problem, codes};

/// Longest issuer or token id, in characters.
const TEXT_CHARS_MAX: usize = 500;
/// Longest time that something is revoked for, in seconds.
const REVOKED_SECONDS_MAX: i64 = 366 * 24 * 3600;

/// One revocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Revocation {
    pub(super) id: Uuid,
    pub(super) revoked: RevokedDocument,
    pub(super) until: Timestamp,
    pub(super) created_at: Timestamp,
}

/// What is asked for: exactly one of `token`, `client` and `systemUser`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = CreateRevocation)]
pub(super) struct Body {
    #[schema(nullable = false)]
    token: Option<TokenBody>,
    /// A Maskinporten client.
    #[schema(nullable = false)]
    client: Option<String>,
    #[schema(value_type = Option<String>, format = "uuid", nullable = false)]
    system_user: Option<Uuid>,
    /// The instant from which on it no longer counts. A token's is the longest that a token can live, unless told.
    #[schema(value_type = Option<String>, format = "date-time", nullable = false)]
    until: Option<Timestamp>,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RevokedToken)]
struct TokenBody {
    /// Claim `iss`.
    issuer: String,
    /// Claim `jti`.
    id: String,
}

/// A revocation as it is shown.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Revocation)]
pub(crate) struct RevocationJson {
    #[schema(value_type = String, format = "uuid")]
    id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    token: Option<TokenBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    client: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, format = "uuid", nullable = false)]
    system_user: Option<Uuid>,
    #[schema(value_type = String, format = "date-time")]
    until: Timestamp,
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
}

impl Body {
    /// What is revoked and until when, checked.
    pub(super) fn check(self, now: Timestamp) -> Result<(RevokedDocument, Timestamp), Problem> {
        let wrong = |detail: &str| Problem::new(codes::FIELD_INVALID).detail(detail);
        let (revoked, default) = match (self.token, self.client, self.system_user) {
            (Some(token), None, None) => {
                let issuer = text("token.issuer", &token.issuer, TEXT_CHARS_MAX)?;
                let id = text("token.id", &token.id, TEXT_CHARS_MAX)?;
                let longest = i64::from(*LIFETIME_SECONDS_LIMITS.end()) + 2 * i64::from(CLOCK_SKEW_SECONDS_MAX);
                let longest = now.plus_seconds(longest);
                (RevokedDocument::Token { issuer, id }, Some(longest))
            }
            (None, Some(client), None) => {
                let client =
                    MaskinportenClientId::parse(client.trim()).map_err(|_| wrong("`client` is no client id"))?;
                (RevokedDocument::Client(client), None)
            }
            (None, None, Some(id)) => (RevokedDocument::SystemUser(SystemUserId::from_uuid(id)), None),
            _ => return Err(wrong("exactly one of `token`, `client` and `systemUser` says what is revoked")),
        };
        let until = self.until.or(default).ok_or_else(|| wrong("`until` is missing"))?;
        if until <= now || until > now.plus_seconds(REVOKED_SECONDS_MAX) {
            return Err(wrong("`until` is in the past, or more than 366 days away"));
        }
        Ok((revoked, until))
    }
}

impl Revocation {
    /// As snapshots have it.
    pub(crate) fn document(&self) -> RevocationDocument {
        RevocationDocument { revoked: self.revoked.clone(), until: self.until }
    }

    pub(super) fn json(&self) -> RevocationJson {
        let (token, client, system_user) = match &self.revoked {
            RevokedDocument::Token { issuer, id } => {
                (Some(TokenBody { issuer: issuer.clone(), id: id.clone() }), None, None)
            }
            RevokedDocument::Client(client) => (None, Some(client.to_string()), None),
            RevokedDocument::SystemUser(id) => (None, None, Some(id.as_uuid())),
        };
        RevocationJson { id: self.id, token, client, system_user, until: self.until, created_at: self.created_at }
    }

    /// For the change log: what, not the token's id, which is as good as a name.
    pub(super) fn log(&self) -> Value {
        match &self.revoked {
            RevokedDocument::Token { issuer, .. } => json!({ "kind": "token", "issuer": issuer }),
            RevokedDocument::Client(client) => json!({ "kind": "client", "client": client.to_string() }),
            RevokedDocument::SystemUser(id) => json!({ "kind": "system_user", "systemUser": id.to_string() }),
        }
    }
}
