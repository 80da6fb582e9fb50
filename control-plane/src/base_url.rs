//! Under which URL a caller has reached us: of links that this caller follows, `links.next` and `Location`.
//!
//! That is `public_url`, unless the connection comes from one of `trusted_proxies` and the proxy says otherwise. What goes to
//! other people or is compared with something (`confirmUrl`, our issuer, cookies) is `public_url`'s in any case.

use std::ops::Deref;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use url::Url;

use crate::problem::{Problem, codes};
use crate::rate_limit::PeerAddress;
use crate::state::AppState;

const PROTO: &str = "x-forwarded-proto";
const HOST: &str = "x-forwarded-host";
const PREFIX: &str = "x-forwarded-prefix";
/// Longest value of one of these headers that is looked at.
const VALUE_BYTES_MAX: usize = 2000;

/// The base of links for this caller; ends with a slash.
#[derive(Debug)]
pub(crate) struct BaseUrl(Url);

impl Deref for BaseUrl {
    type Target = Url;

    fn deref(&self) -> &Url {
        &self.0
    }
}

impl FromRequestParts<AppState> for BaseUrl {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let public_url = &state.settings.public_url;
        let is_trusted = parts.extensions.get::<PeerAddress>().is_some_and(|PeerAddress(peer)| {
            state.settings.trusted_proxies.iter().any(|proxies| proxies.contains(*peer))
        });
        if !is_trusted {
            return Ok(Self(public_url.clone()));
        }
        forwarded(&parts.headers, public_url).map(Self).ok_or_else(|| {
            Problem::new(codes::HEADER_INVALID).detail(format!("`{PROTO}`, `{HOST}` or `{PREFIX}` is malformed"))
        })
    }
}

/// What the headers say, the rest from `public_url`; `None` if together they are no base of URLs.
fn forwarded(headers: &HeaderMap, public_url: &Url) -> Option<Url> {
    let (proto, host, prefix) = (last(headers, PROTO)?, last(headers, HOST)?, last(headers, PREFIX)?);
    let mut url = public_url.clone();
    if proto.is_some() || host.is_some() {
        let proto = proto.unwrap_or(public_url.scheme());
        let host = host.unwrap_or_else(|| public_url.authority());
        // Nothing but a host and a port: no user, path, query or fragment.
        let is_plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte));
        if !is_plain || !matches!(proto, "http" | "https") {
            return None;
        }
        url = Url::parse(&format!("{proto}://{host}{}", public_url.path())).ok()?;
    }
    if let Some(prefix) = prefix {
        let is_path = prefix.starts_with('/')
            && !prefix.starts_with("//")
            && prefix.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\\".contains(&byte));
        if !is_path {
            return None;
        }
        url.set_path(&format!("{}/", prefix.trim_end_matches('/')));
    }
    Some(url)
}

/// The value that the nearest proxy gave; the inner `None` without the header, the outer for one that is no text.
fn last<'a>(headers: &'a HeaderMap, name: &str) -> Option<Option<&'a str>> {
    let Some(value) = headers.get_all(name).iter().next_back() else { return Some(None) };
    let text = value.to_str().ok().filter(|text| text.len() <= VALUE_BYTES_MAX)?;
    Some(text.rsplit(',').next().map(str::trim).filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::test_state::{TestState, story};

    fn base(headers: &[(&str, &str)]) -> Option<String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(axum::http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        forwarded(&map, &Url::parse("http://portvakt.test/base/").unwrap()).map(String::from)
    }

    #[test]
    fn what_the_nearest_proxy_says_counts_and_the_rest_is_ours() {
        for (headers, expected) in [
            (&[][..], "http://portvakt.test/base/"),
            (&[(PROTO, "https")], "https://portvakt.test/base/"),
            (&[(HOST, "api.example.no:8443")], "http://api.example.no:8443/base/"),
            (&[(PROTO, "https"), (HOST, "evil.test, api.example.no")], "https://api.example.no/base/"),
            (&[(HOST, "evil.test"), (HOST, "[2001:db8::1]")], "http://[2001:db8::1]/base/"),
            (&[(PREFIX, "/portvakt")], "http://portvakt.test/portvakt/"),
            (&[(PREFIX, "/")], "http://portvakt.test/"),
            (&[(PROTO, "https"), (HOST, "a.no"), (PREFIX, "/b/c/")], "https://a.no/b/c/"),
            (&[(PROTO, ""), (HOST, " ")], "http://portvakt.test/base/"),
        ] {
            assert_eq!(base(headers).as_deref(), Some(expected), "{headers:?}");
        }
        let long = "x".repeat(VALUE_BYTES_MAX + 1);
        for (name, value) in [
            (PROTO, "javascript"),
            (HOST, "user@a.no"),
            (HOST, "a.no/path"),
            (HOST, "a.no?x"),
            (HOST, "a b"),
            (HOST, "a.no:70000"),
            (PREFIX, "no-slash"),
            (PREFIX, "//evil.test"),
            (PREFIX, "/a?b"),
            (PREFIX, "/a\\b"),
            (PREFIX, long.as_str()),
        ] {
            assert_eq!(base(&[(name, value)]), None, "{name}: {value}");
        }
    }

    const FORWARDED: [(&str, &str); 3] = [(PROTO, "https"), (HOST, "api.example.no"), (PREFIX, "/portvakt")];

    /// Asks for a new system user from this address; gives `Location` and `confirmUrl`.
    async fn asked(test: &TestState, external_ref: &str) -> (String, String) {
        let mut body = story::request();
        body["externalRef"] = json!(external_ref);
        let authorization = format!("Bearer {}", test.vendor());
        let headers = [&FORWARDED[..], &[("authorization", authorization.as_str())]].concat();
        let answer = test.post_with(story::REQUESTS, &headers, &body).await;
        let location = answer.headers["location"].clone();
        (location, answer.expect(201)["confirmUrl"].as_str().unwrap().to_owned())
    }

    #[tokio::test]
    async fn only_a_trusted_proxy_says_where_links_go() {
        let test = TestState::with_system().await;
        let ours = "http://portvakt.test/authentication/api/v1/systemuser/request/";
        assert!(asked(&test, "nobody in front").await.0.starts_with(ours));
        let test = test.behind_proxy("10.1.0.0/16", "10.2.0.1");
        assert!(asked(&test, "not this one").await.0.starts_with(ours));
        let test = test.behind_proxy("10.1.0.0/16", "10.1.2.3");
        let (location, confirm_url) = asked(&test, "this one").await;
        assert!(location.starts_with("https://api.example.no/portvakt/authentication/api/v1/systemuser/request/"));
        assert!(confirm_url.starts_with("http://portvakt.test/accessmanagement/ui/systemuser/request?id="));
    }

    #[tokio::test]
    async fn every_next_page_is_where_the_caller_came_from() {
        let test = TestState::with_system().await;
        for number in 0..51 {
            let mut body = story::request();
            body["externalRef"] = json!(format!("{number}"));
            test.post(story::REQUESTS, &test.vendor(), &body).await.expect(201);
        }
        let test = test.behind_proxy("10.1.2.3", "10.1.2.3");
        let (vendor, operator) = (test.vendor(), test.operator());
        let of_system = format!("{}/bysystem/310247030_smartcloud", story::REQUESTS);
        for (path, token) in
            [(of_system.as_str(), &vendor), ("/portvakt/v1/events", &vendor), ("/portvakt/v1/audit", &operator)]
        {
            let authorization = format!("Bearer {token}");
            let headers = [&FORWARDED[..], &[("authorization", authorization.as_str())]].concat();
            let next = test.get_with(path, &headers).await.expect(200)["links"]["next"].clone();
            let expected = format!("https://api.example.no/portvakt{path}?");
            assert!(next.as_str().unwrap().starts_with(&expected), "{next}");
        }
        let wrong = [("x-forwarded-host", "a/b"), ("authorization", &format!("Bearer {vendor}"))];
        test.get_with(&of_system, &wrong).await.expect_code(400, "header_invalid");
    }
}
