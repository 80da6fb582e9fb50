//! A refused grant, in the form Maskinporten answers: an OAuth error, a sentence with the MP-code, a trace id.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::keys::random_id;

/// Why no token was given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GrantRefusal {
    status: StatusCode,
    error: &'static str,
    code: &'static str,
    description: String,
}

impl GrantRefusal {
    /// The call itself is not a grant: parameters missing, repeated, or an assertion that is no JWT.
    pub(super) fn invalid_request(description: impl Into<String>) -> Self {
        Self::bad("invalid_request", "MP-100", description)
    }

    pub(super) fn unsupported_grant_type() -> Self {
        Self::bad("unsupported_grant_type", "MP-100", "Only the JWT bearer grant is supported")
    }

    /// The caller could not be proven to be the client it says it is.
    pub(super) fn client_authentication(description: &str) -> Self {
        Self::bad("invalid_grant", "MP-110", format!("Invalid assertion. Client authentication failed. {description}"))
    }

    /// The client is proven, but a claim of the grant is missing or wrong.
    pub(super) fn invalid_claim(description: &str) -> Self {
        Self::bad("invalid_grant", "MP-120", format!("Invalid assertion. {description}"))
    }

    pub(super) fn used_before() -> Self {
        Self::bad("invalid_grant", "MP-121", "Invalid assertion. Grant is used before")
    }

    pub(super) fn invalid_scope(description: &str) -> Self {
        Self::bad("invalid_scope", "MP-120", description)
    }

    /// RFC 9396 section 5: the kind, the members or the values of `authorization_details` are not acceptable.
    pub(super) fn authorization_details(description: String) -> Self {
        Self::bad("invalid_authorization_details", "MP-120", description)
    }

    /// The look-up knows no system user for this client, owner and external reference.
    pub(super) fn no_system_user() -> Self {
        Self::bad(
            "invalid_altinn_customer_configuration",
            "MP-303",
            "The system user was not found for this client, organisation and external reference",
        )
    }

    /// Nothing is wrong with the grant; it could not be answered now.
    pub(super) fn unavailable(description: impl Into<String>) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            error: "server_error",
            code: "MP-500",
            description: description.into(),
        }
    }

    fn bad(error: &'static str, code: &'static str, description: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, code, description: description.into() }
    }

    #[cfg(test)]
    pub(super) fn code(&self) -> (&'static str, &'static str) {
        (self.error, self.code)
    }
}

impl IntoResponse for GrantRefusal {
    fn into_response(self) -> Response {
        tracing::info!(error = self.error, code = self.code, "grant refused: {}", self.description);
        let trace = random_id().unwrap_or_else(|_| "none".into());
        let body = json!({
            "error": self.error,
            "error_description": format!("{} ({}, trace_id: {trace})", self.description, self.code),
        });
        (self.status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
    }
}
