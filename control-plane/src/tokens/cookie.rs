//! The cookie of a session: a token that scripts cannot read (RFC 6265bis).

use axum::http::HeaderValue;
use url::{Host, Url};

use super::keys::TOKEN_LIFETIME_S;

/// Altinn's name for it.
pub(crate) const SESSION: &str = "AltinnStudioRuntime";

/// Sets it to a token; `None` if a token could be in no header, which none is.
pub(crate) fn session(public_url: &Url, token: &str) -> Option<HeaderValue> {
    set(public_url, SESSION, token, "/", TOKEN_LIFETIME_S)
}

/// Takes it away.
pub(crate) fn no_session(public_url: &Url) -> Option<HeaderValue> {
    set(public_url, SESSION, "", "/", 0)
}

/// A cookie that no script reads and no other site's forms and scripts send along.
pub(crate) fn set(public_url: &Url, name: &str, value: &str, path: &str, max_age_s: i64) -> Option<HeaderValue> {
    let secure = if is_secure(public_url) { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path={path}; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&text).ok()
}

/// Only on this very machine may cookies travel without TLS.
fn is_secure(public_url: &Url) -> bool {
    let is_loopback = match public_url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    public_url.scheme() == "https" || !is_loopback
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_secure_unless_everything_is_on_this_machine() {
        for (public_url, is_secure) in [
            ("https://portvakt.test/", true),
            ("http://portvakt.test/", true),
            ("https://127.0.0.1/", true),
            ("http://127.0.0.1:8080/", false),
            ("http://[::1]:8080/", false),
            ("http://localhost:8080/", false),
        ] {
            let cookie = session(&Url::parse(public_url).unwrap(), "a.b.c").unwrap();
            let cookie = cookie.to_str().unwrap();
            assert!(cookie.starts_with("AltinnStudioRuntime=a.b.c; Path=/; Max-Age=1800; HttpOnly; SameSite=Lax"));
            assert_eq!(cookie.ends_with("; Secure"), is_secure, "{public_url}");
        }
    }
}
