//! A call as it arrived, in one canonical form.
//!
//! A path that two servers could read in two ways is refused, never guessed: a gateway that decides about one reading
//! while the API serves another decides nothing. No setting of the proxy is relied on.

mod characters;
mod credentials;
mod path;

use crate::route::Methods;
use characters::{CAPITAL_LETTERS, Classes, DIGITS_AND_SMALL_LETTERS, NOT_ALLOWED, PLAIN};
pub(crate) use credentials::{BearerToken, Credentials, NoToken};
pub(crate) use path::Segments;
use path::{Target, percent_decode};

/// Longest path with query that is read, in bytes.
pub const PATH_BYTES_MAX: usize = 8192;
/// Most segments of a path.
pub const SEGMENTS_MAX: usize = 64;
/// Most headers that are read.
pub const HEADERS_MAX: usize = 256;

/// Why a call cannot be read in one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum CallError {
    /// A pseudo-header is missing, repeated, too long or not text.
    #[error("the call's method, host or path is missing, repeated, too long or not text")]
    Malformed,
    /// The path has `//`, a dot segment, an encoded slash, backslash, dot or percent sign, `;`, a control character, or
    /// bytes that are not UTF-8.
    #[error("the path can be read in more than one way")]
    PathAmbiguous,
    /// A header asks the server to take the call for another method or path.
    #[error("a header asks for another method or path than the call has")]
    Overridden,
}

impl CallError {
    /// Stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Malformed => "call_malformed",
            Self::PathAmbiguous => "path_ambiguous",
            Self::Overridden => "call_overridden",
        }
    }
}

/// One HTTP call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiCall {
    method: Methods,
    host: String,
    target: Target,
    // Invariant: those that have been read into what is above have no name any more.
    headers: Vec<(String, Vec<u8>)>,
    credentials: Credentials,
    /// The only route that may take it, by name, where its gateway says so.
    route: Option<String>,
}

impl ApiCall {
    /// Reads a call from its headers, pseudo-headers (RFC 9113 section 8.3.1) among them.
    pub fn parse<'a>(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Self, CallError> {
        Self::of(headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect())
    }

    /// The same from headers that are the call's own from now on: nothing in them is copied.
    pub fn of(mut headers: Vec<(String, Vec<u8>)>) -> Result<Self, CallError> {
        if headers.len() > HEADERS_MAX {
            return Err(CallError::Malformed);
        }
        let (mut method, mut authority, mut target) = (None, None, None);
        let mut credentials = Credentials::None;
        let mut host = None;
        for (at, (name, value)) in headers.iter_mut().enumerate() {
            // What most headers begin with tells already that they are not looked at.
            let place = match name.as_bytes().first() {
                Some(b':') => match name.as_str() {
                    ":method" => &mut method,
                    ":authority" => &mut authority,
                    ":path" => &mut target,
                    _ => continue,
                },
                Some(b'a' | b'A') if is_named(name, "authorization") => {
                    credentials = credentials.and(std::mem::take(value));
                    name.clear();
                    continue;
                }
                Some(b'h' | b'H') if is_named(name, "host") => {
                    // Envoy has none beside the authority; more than one is read below.
                    host = host.or(Some(at));
                    continue;
                }
                Some(b'x' | b'X') if OVERRIDING_HEADERS.iter().any(|known| is_plain_name(name, known)) => {
                    return Err(CallError::Overridden);
                }
                _ => continue,
            };
            name.clear();
            let value = String::from_utf8(std::mem::take(value)).map_err(|_| CallError::Malformed)?;
            if place.replace(value).is_some() {
                return Err(CallError::Malformed);
            }
        }
        let authority = authority.ok_or(CallError::Malformed)?;
        // Some servers look at `host` even where `:authority` decides (RFC 9113 section 8.3.1).
        let mut hosts = headers.iter().skip(host.unwrap_or(headers.len())).filter(|(name, _)| is_named(name, "host"));
        if hosts.any(|(_, value)| value != authority.as_bytes()) {
            return Err(CallError::Malformed);
        }
        Ok(Self {
            method: Methods::of(&method.ok_or(CallError::Malformed)?),
            host: host_name(authority)?,
            target: Target::read(target.ok_or(CallError::Malformed)?)?,
            headers,
            credentials,
            route: None,
        })
    }

    /// The call reads exactly this path, without a query.
    pub fn asks_for(&self, path: &str) -> bool {
        let reads = Methods::of("GET").with(Methods::of("HEAD")).intersects(self.method);
        let wanted = path.strip_prefix('/').unwrap_or(path).split('/');
        reads && self.target.query().is_empty() && self.segments().iter().eq(wanted)
    }

    /// No other route may take the call: its gateway has routed it to what this one is for. That never lets in what would
    /// not be let in without.
    pub fn only_for(&mut self, route: String) {
        self.route = Some(route);
    }

    /// This route may take it, for all that its gateway says.
    pub(crate) fn may_be_for(&self, route: &str) -> bool {
        self.route.as_deref().is_none_or(|only| only == route)
    }

    pub(crate) fn method(&self) -> Methods {
        self.method
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn segments(&self) -> Segments<'_> {
        self.target.segments()
    }

    /// The call's one bearer token, not verified.
    pub fn bearer_token(&self) -> Option<&str> {
        match &self.credentials {
            Credentials::Bearer(token) => token.text().ok(),
            _ => None,
        }
    }

    pub(crate) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The names of all headers, as they came; empty where a header is part of what was read.
    pub fn header_names(&self) -> impl Iterator<Item = &str> {
        self.headers.iter().map(|(name, _)| name.as_str())
    }

    /// The first value of a header.
    pub fn first_header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(header, _)| is_named(header, name)).map(|(_, value)| value.as_slice())
    }

    /// The one value of a header; `Err` when it came more than once, or under a name that some servers take for it.
    pub(crate) fn header(&self, name: &str) -> Result<Option<&[u8]>, Repeated> {
        match one(self.headers.iter().filter(|(header, _)| is_plain_name(header, name)))? {
            Some((header, value)) if is_named(header, name) => Ok(Some(value)),
            Some(_) => Err(Repeated),
            None => Ok(None),
        }
    }

    /// The one value of a cookie (RFC 6265 section 4.2.1); `Err` when it came more than once. HTTP/2 may bring a header for
    /// each cookie.
    pub(crate) fn cookie(&self, name: &str) -> Result<Option<&[u8]>, Repeated> {
        let headers = self.headers.iter().filter(|(header, _)| is_named(header, "cookie"));
        let cookies = headers.flat_map(|(_, value)| value.split(|byte| *byte == b';'));
        one(cookies.filter_map(|cookie| {
            let mut parts = cookie.splitn(2, |byte| *byte == b'=');
            let (known, value) = (parts.next()?, parts.next()?);
            (without_blanks(known) == name.as_bytes()).then(|| without_blanks(value))
        }))
    }

    /// The method that a browser asks for in a CORS preflight: OPTIONS with `Origin` and `Access-Control-Request-Method`,
    /// without credentials and without a body (Fetch standard, CORS-preflight fetch). `None` for any other call.
    pub(crate) fn preflight(&self) -> Option<Methods> {
        let has = |name: &str| self.headers.iter().any(|(header, _)| is_named(header, name));
        let is_empty = !has("transfer-encoding")
            && self.headers.iter().all(|(name, value)| !is_named(name, "content-length") || value == b"0");
        let is_one = self.method == Methods::OPTIONS && matches!(self.credentials, Credentials::None) && is_empty;
        if !is_one || has("cookie") {
            return None;
        }
        self.header("origin").ok().flatten().filter(|origin| !origin.is_empty())?;
        let method = self.header("access-control-request-method").ok().flatten()?;
        let method = Methods::of(std::str::from_utf8(method).ok()?);
        (!method.is_empty()).then_some(method)
    }

    /// A page of the API's own origin, or of one of these, makes the call, as far as its browser tells: by
    /// `Sec-Fetch-Site`, `Origin`, and where that is missing `Referer`. A call that tells nothing is of no such page.
    pub(crate) fn is_from(&self, origins: &[String]) -> bool {
        let own = |origin: &str| origin.strip_prefix("https://").is_some_and(|host| host == self.host);
        let is_known = |origin: &str| own(origin) || origins.iter().any(|known| known == origin);
        // Lossy: what is not text is of no page that is known.
        let text = |name: &str| self.header(name).map(|value| value.map(String::from_utf8_lossy));
        let (Ok(site), Ok(origin), Ok(referrer)) = (text("sec-fetch-site"), text("origin"), text("referer")) else {
            return false;
        };
        match (site.as_deref(), origin.as_deref(), referrer.as_deref().map(origin_of)) {
            (Some("cross-site" | "same-site" | "none"), None, _) => false,
            (Some("same-origin" | "same-site" | "cross-site" | "none") | None, Some(origin), _) => is_known(origin),
            (Some("same-origin") | None, None, Some(referrer)) => is_known(referrer),
            (Some("same-origin"), None, None) => true,
            _ => false,
        }
    }

    /// The one value of a query parameter, decoded; `Err` when it came more than once, or the query can be read in more
    /// than one way: servers differ on `;`, on letter case, and on `name[]`.
    pub(crate) fn query_parameter(&self, name: &str) -> Result<Option<String>, Repeated> {
        let query = self.target.query();
        if query.contains(';') {
            return Err(Repeated);
        }
        let mut found = None;
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decoded = |text: &str| percent_decode(&text.replace('+', " ")).ok_or(Repeated);
            let key = decoded(key)?;
            let plain_key = key.split('[').next().unwrap_or("");
            if !plain_key.eq_ignore_ascii_case(name) {
                continue;
            }
            if key != name || found.is_some() {
                return Err(Repeated);
            }
            found = Some(decoded(value)?);
        }
        Ok(found)
    }
}

/// Headers by which some servers let a caller choose another method or path.
const OVERRIDING_HEADERS: [&str; 5] =
    ["x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-rewrite-url"];

/// The origin of a URL: what stands before its path.
fn origin_of(url: &str) -> &str {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let path = url.bytes().skip(after_scheme).position(|byte| matches!(byte, b'/' | b'?' | b'#'));
    path.and_then(|at| url.get(..after_scheme + at)).unwrap_or(url)
}

/// The name of a header, in any letter case.
fn is_named(header: &str, name: &str) -> bool {
    header.eq_ignore_ascii_case(name)
}

/// Two names of headers that are one to servers that turn everything but letters and digits into one character (CGI,
/// RFC 3875 section 4.1.18).
fn is_plain_name(name: &str, other: &str) -> bool {
    let plain = |byte: u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' };
    name.len() == other.len() && name.bytes().map(plain).eq(other.bytes().map(plain))
}

fn without_blanks(mut text: &[u8]) -> &[u8] {
    while let Some(rest) = text.strip_prefix(b" ") {
        text = rest;
    }
    while let Some(rest) = text.strip_suffix(b" ") {
        text = rest;
    }
    text
}

/// A value that may come once came more than once, or in more than one reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Repeated;

fn one<T>(mut values: impl Iterator<Item = T>) -> Result<Option<T>, Repeated> {
    let first = values.next();
    if values.next().is_some() { Err(Repeated) } else { Ok(first) }
}

/// What a host may be written with.
const HOST_CHARACTERS: Classes =
    Classes::of(&[(DIGITS_AND_SMALL_LETTERS, PLAIN), (b"-._[]", PLAIN), (b":", COLON), (CAPITAL_LETTERS, CAPITAL)]);
const CAPITAL: u8 = 2;
const COLON: u8 = 4;

/// The authority's host in lower case, without port.
fn host_name(mut authority: String) -> Result<String, CallError> {
    let seen = authority.bytes().fold(PLAIN, |seen, byte| seen | HOST_CHARACTERS.class(byte));
    if seen & COLON != 0
        && let Some(colon) = authority.bytes().rposition(|byte| byte == b':')
        && authority.bytes().skip(colon + 1).all(|byte| byte.is_ascii_digit())
    {
        authority.truncate(colon);
    }
    if authority.is_empty() || authority.len() > 255 || seen & NOT_ALLOWED != 0 {
        return Err(CallError::Malformed);
    }
    if seen & CAPITAL != 0 {
        authority.make_ascii_lowercase();
    }
    Ok(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(path: &str, more: &[(&str, &str)]) -> Result<ApiCall, CallError> {
        let pseudo = [(":method", "GET"), (":authority", "API.example.no:8443"), (":path", path)];
        ApiCall::parse(pseudo.iter().chain(more).map(|(name, value)| (*name, value.as_bytes())))
    }

    fn segments(path: &str) -> Result<Vec<String>, CallError> {
        call(path, &[]).map(|call| call.segments().iter().map(str::to_owned).collect())
    }

    #[test]
    fn clear_paths_are_decoded() {
        for (path, expected) in [
            ("/", &[""][..]),
            ("/vat/310247049/returns", &["vat", "310247049", "returns"]),
            ("/%76at/x?y=//../%2e", &["vat", "x"]),
            ("/bl%C3%A5b%C3%A6r", &["blåbær"]),
            ("/a/", &["a", ""]),
            ("/a:b@c,d", &["a:b@c,d"]),
        ] {
            assert_eq!(segments(path).unwrap(), expected, "{path}");
        }
    }

    #[test]
    fn ambiguous_paths_are_refused() {
        for path in [
            "//api/v1",
            "/api//v1",
            "/api/../admin",
            "/api/./v1",
            "/api/%2e%2e/admin",
            "/api/%2E/admin",
            "/api/..%2fadmin",
            "/api%2fv1",
            "/api%2Fv1",
            "/api/..;/admin",
            "/api;v=1/x",
            "/api%3Bv=1/x",
            "/api\\v1",
            "/api/%5c../admin",
            "/api/%252e%252e/admin",
            "/api/%c0%ae%c0%ae/admin",
            "/api/%00",
            "/api/x%3Fq",
            "/api/x%23f",
            "/api/%0a",
            "/api/%",
            "/api/%2",
            "/api/%zz",
            "/api/ x",
            "/api/\u{e5}",
            "/api#x",
            "/api/\"x\"",
            "/api/<x>",
        ] {
            assert_eq!(segments(path), Err(CallError::PathAmbiguous), "{path}");
        }
        for path in ["", "api", "*", "http://evil/api", &format!("/{}", "a".repeat(PATH_BYTES_MAX)), &"/a".repeat(65)] {
            assert_eq!(segments(path), Err(CallError::Malformed), "{path}");
        }
        assert_eq!(segments(&"/a".repeat(64)).unwrap().len(), SEGMENTS_MAX);
    }

    #[test]
    fn a_host_header_says_what_the_authority_says() {
        assert!(call("/", &[("host", "API.example.no:8443")]).is_ok());
        for other in ["api.example.no", "other.example.no", ""] {
            assert_eq!(call("/", &[("host", other)]), Err(CallError::Malformed), "{other}");
        }
    }

    #[test]
    fn cookies_come_once() {
        let cookie = |headers: &[(&str, &str)]| {
            call("/", headers)
                .unwrap()
                .cookie("AltinnStudioRuntime")
                .map(|value| value.map(|value| String::from_utf8(value.to_vec()).unwrap()))
        };
        assert_eq!(cookie(&[("cookie", "a=b; AltinnStudioRuntime=x.y.z; c=d")]), Ok(Some("x.y.z".to_owned())));
        assert_eq!(cookie(&[("cookie", "a=b"), ("cookie", "AltinnStudioRuntime=x")]), Ok(Some("x".to_owned())));
        assert_eq!(cookie(&[("cookie", "altinnstudioruntime=x; xAltinnStudioRuntime=y")]), Ok(None));
        for twice in ["AltinnStudioRuntime=x; AltinnStudioRuntime=x", "AltinnStudioRuntime=x;AltinnStudioRuntime=y"] {
            assert_eq!(cookie(&[("cookie", twice)]), Err(Repeated), "{twice}");
        }
    }

    #[test]
    fn only_a_whole_preflight_is_one() {
        let preflight = |method: &str, headers: &[(&str, &str)]| {
            let pseudo = [(":method", method), (":authority", "a"), (":path", "/")];
            let all = pseudo.iter().chain(headers).map(|(name, value)| (*name, value.as_bytes()));
            ApiCall::parse(all).unwrap().preflight()
        };
        let whole = [("origin", "https://spa.example.no"), ("access-control-request-method", "PUT")];
        assert_eq!(preflight("OPTIONS", &whole), Some(Methods::of("PUT")));
        assert_eq!(preflight("GET", &whole), None);
        assert_eq!(preflight("OPTIONS", &whole[..1]), None);
        assert_eq!(preflight("OPTIONS", &whole[1..]), None);
        for more in [
            ("origin", "https://other.example.no"),
            ("access-control-request-method", "GET"),
            ("authorization", "Bearer x"),
            ("cookie", "a=b"),
            ("content-length", "1"),
            ("transfer-encoding", "chunked"),
        ] {
            assert_eq!(preflight("OPTIONS", &[&whole[..], &[more]].concat()), None, "{more:?}");
        }
        assert_eq!(preflight("OPTIONS", &[whole[0], ("access-control-request-method", "put")]), None);
    }

    #[test]
    fn where_a_call_comes_from() {
        let known = ["https://ttd.apps.altinn.no".to_owned()];
        let is_from = |headers: &[(&str, &str)]| call("/", headers).unwrap().is_from(&known);
        for headers in [
            &[("origin", "https://api.example.no")][..],
            &[("origin", "https://ttd.apps.altinn.no"), ("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-origin")],
            &[("referer", "https://api.example.no/page?x=https://evil.example")],
            &[("referer", "https://ttd.apps.altinn.no")],
        ] {
            assert!(is_from(headers), "{headers:?}");
        }
        for headers in [
            &[][..],
            &[("origin", "null")],
            &[("origin", "https://evil.example")],
            &[("origin", "https://api.example.no.evil.example")],
            &[("origin", "http://api.example.no")],
            &[("origin", "https://evil.example"), ("sec-fetch-site", "same-origin")],
            &[("origin", "https://api.example.no"), ("origin", "https://evil.example")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "none")],
            &[("sec-fetch-site", "cross-site"), ("referer", "https://api.example.no/")],
            &[("sec-fetch-site", "unheard-of"), ("origin", "https://api.example.no")],
            &[("referer", "https://evil.example/https://api.example.no/")],
            &[("referer", "https://api.example.no@evil.example/")],
        ] {
            assert!(!is_from(headers), "{headers:?}");
        }
    }

    #[test]
    fn host_without_port_in_lower_case() {
        assert_eq!(call("/", &[]).unwrap().host(), "api.example.no");
        assert_eq!(host_name("[::1]:80".to_owned()).unwrap(), "[::1]");
        for wrong in ["", ":80", "a b", "a/b", "ex\u{e5}mple"] {
            assert_eq!(host_name(wrong.to_owned()), Err(CallError::Malformed), "{wrong}");
        }
    }

    #[test]
    fn pseudo_headers_come_once() {
        let all = [(":method", "GET"), (":authority", "a"), (":path", "/")];
        let parse =
            |headers: &[(&str, &str)]| ApiCall::parse(headers.iter().map(|(name, value)| (*name, value.as_bytes())));
        assert!(parse(&all).is_ok());
        for left_out in 0..3 {
            let rest: Vec<_> =
                all.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, header)| *header).collect();
            assert_eq!(parse(&rest), Err(CallError::Malformed));
            assert_eq!(parse(&[&all[..], &all[left_out..=left_out]].concat()), Err(CallError::Malformed));
        }
        let many: Vec<_> = all.iter().copied().chain(std::iter::repeat_n(("x", "y"), HEADERS_MAX - 2)).collect();
        assert_eq!(parse(&many), Err(CallError::Malformed));
        assert!(parse(&many[1..]).is_err() && parse(&many[..HEADERS_MAX]).is_ok());
    }

    #[test]
    fn parameters_come_once() {
        let call = call("/?party=310247049&a=1&a=2&b=%20x+y", &[("x-party", "1"), ("X-Twice", "1"), ("x-twice", "1")])
            .unwrap();
        assert_eq!(call.query_parameter("party").unwrap().as_deref(), Some("310247049"));
        assert_eq!(call.query_parameter("b").unwrap().as_deref(), Some(" x y"));
        assert_eq!(call.query_parameter("a"), Err(Repeated));
        assert_eq!(call.query_parameter("c"), Ok(None));
        assert_eq!(call.header("x-party"), Ok(Some(&b"1"[..])));
        assert_eq!(call.header("x-twice"), Err(Repeated));
        assert_eq!(call.header("x-none"), Ok(None));
    }

    #[test]
    fn what_some_servers_take_for_the_parameter_is_counted() {
        let query = |query: &str| call(&format!("/?{query}"), &[]).unwrap().query_parameter("party");
        for ambiguous in [
            "PARTY=1&party=2",
            "PARTY=1",
            "party[]=1&party=2",
            "party[0]=1",
            "x=1;party=2&party=3",
            "%zz=1&party=2",
            "party=%zz",
        ] {
            assert_eq!(query(ambiguous), Err(Repeated), "{ambiguous}");
        }
        assert_eq!(query("partyx=1&party=2"), Ok(Some("2".to_owned())));
        for headers in [&[("x-party", "1"), ("x_party", "2")][..], &[("x.party", "2")], &[("x_party", "1")]] {
            assert_eq!(call("/", headers).unwrap().header("x-party"), Err(Repeated), "{headers:?}");
        }
    }

    #[test]
    fn overriding_headers_are_refused() {
        for name in ["X-HTTP-Method-Override", "x_http_method", "X-Original-URL", "x-rewrite-url", "X-Method-Override"]
        {
            assert_eq!(call("/", &[(name, "x")]), Err(CallError::Overridden), "{name}");
        }
        assert!(call("/", &[("x-original-host", "x")]).is_ok());
    }

    #[test]
    fn a_token_is_never_printed() {
        let printed = format!("{:?}", call("/", &[("authorization", "Bearer s.e.cret")]).unwrap());
        assert!(!printed.contains("cret"), "{printed}");
    }
}
