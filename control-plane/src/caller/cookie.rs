//! The session's cookie, also under its older name, and what keeps other sites from using it: an unsafe method is taken only from our own pages.

use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use url::Url;

use crate::problem::{Problem, codes};
use crate::tokens::cookie::SESSION;

/// The name that the cookie had in Altinn 2; Altinn looks at it first.
const OLDER_SESSION: &str = ".ALTINNTOKEN";

/// The token in the session's cookie; of several cookies of the name none counts.
pub(super) fn session_of(parts: &Parts) -> Option<&str> {
    value_of(&parts.headers, OLDER_SESSION).or_else(|| value_of(&parts.headers, SESSION))
}

/// The value of the one cookie of this name.
pub(crate) fn value_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let texts = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(known, value)| *known == name && !value.is_empty()).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}

/// Refuses an unsafe method that does not come from our own pages. Browsers say where a call comes from; what does not is no
/// browser and has no cookie to begin with.
pub(super) fn require_same_origin(parts: &Parts, public_url: &Url) -> Result<(), Problem> {
    if [Method::GET, Method::HEAD, Method::OPTIONS].contains(&parts.method) {
        return Ok(());
    }
    let text = |name: &str| parts.headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let is_ours = match (text("origin"), text("sec-fetch-site")) {
        (Some(origin), site) => {
            origin == public_url.origin().ascii_serialization() && site.is_none_or(|site| site == "same-origin")
        }
        (None, site) => site == Some("same-origin"),
    };
    if is_ours { Ok(()) } else { Err(codes::CROSS_SITE.into()) }
}
