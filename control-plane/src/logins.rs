//! Login of people through OpenID Connect (code flow with PKCE): [`start`] sends the browser to a provider, [`callback`] takes it
//! back and begins a session, which [`crate::tokens`] renews and ends.
//!
//! There are no passwords of ours. A login is bound to the browser that began it, used once, and forgotten after ten minutes.

mod callback;
mod page;
mod provider;
mod start;
mod store;

use axum::http::StatusCode;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::problem::Problem;
use crate::state::AppState;

pub(crate) use provider::LoginProviders;

/// Where logins happen.
const PATH: &str = "/authentication/api/v1/authentication";
/// Seconds that a person may take at the provider.
const ATTEMPT_S: i64 = 600;
/// Binds a login to the browser that began it.
const COOKIE: &str = "PortvaktLogin";

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(start::handler)).routes(routes!(callback::handler))
}

/// Sends the browser somewhere, with cookies.
fn redirect(location: &str, cookies: impl IntoIterator<Item = HeaderValue>) -> Result<Response, Problem> {
    let location = HeaderValue::from_str(location).map_err(Problem::internal)?;
    let no_store = HeaderValue::from_static("no-store");
    let headers = [(header::LOCATION, location), (header::CACHE_CONTROL, no_store)];
    let mut response = (StatusCode::SEE_OTHER, headers).into_response();
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}
