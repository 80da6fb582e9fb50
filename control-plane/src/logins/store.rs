//! The table of logins under way.

use policies::Timestamp;

use crate::store::Connection;

/// A login that was sent to a provider.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct Attempt {
    pub(super) state_sha256: String,
    pub(super) browser_sha256: String,
    pub(super) provider: String,
    pub(super) nonce: String,
    pub(super) pkce_verifier: String,
    /// Where the browser goes afterwards: an address of ours.
    pub(super) return_to: String,
    /// Milliseconds since 1970.
    pub(super) started_at: i64,
}

/// Keeps a login, and forgets those that began before an instant. Gives how many there are.
pub(super) async fn insert(
    connection: &mut Connection,
    attempt: &Attempt,
    forget_before: Timestamp,
) -> Result<i64, sqlx::Error> {
    sqlx::query("DELETE FROM login_attempt WHERE started_at < $1")
        .bind(forget_before.unix_millis())
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "INSERT INTO login_attempt (state_sha256, browser_sha256, provider, nonce, pkce_verifier, return_to, started_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(&attempt.state_sha256)
    .bind(&attempt.browser_sha256)
    .bind(&attempt.provider)
    .bind(&attempt.nonce)
    .bind(&attempt.pkce_verifier)
    .bind(&attempt.return_to)
    .bind(attempt.started_at)
    .execute(&mut *connection)
    .await?;
    sqlx::query_scalar("SELECT count(*) FROM login_attempt").fetch_one(connection).await
}

/// Takes a login out: nobody else gets it.
pub(super) async fn take(connection: &mut Connection, state_sha256: &str) -> Result<Option<Attempt>, sqlx::Error> {
    sqlx::query_as(
        "DELETE FROM login_attempt WHERE state_sha256 = $1 \
         RETURNING state_sha256, browser_sha256, provider, nonce, pkce_verifier, return_to, started_at",
    )
    .bind(state_sha256)
    .fetch_optional(connection)
    .await
}
