//! A call as it arrived, in one canonical form.
//!
//! A path that two servers could read in two ways is refused, never guessed: a gateway that decides about one reading
//! while the API serves another decides nothing. No setting of the proxy is relied on.

mod characters;
mod credentials;
mod headers;
mod path;

use std::ops::Range;

use crate::route::Methods;
use characters::{CAPITAL_LETTERS, Classes, DIGITS_AND_SMALL_LETTERS, NOT_ALLOWED, PLAIN};
use credentials::Authorization;
pub(crate) use credentials::{BearerToken, Credentials, NoToken};
use headers::{Header, Headers};
pub(crate) use path::Segments;
use path::{Target, percent_decode};
use smallvec::SmallVec;

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
    /// The authority's host in lower case, without port, among the headers.
    host: Range<usize>,
    target: Target,
    // Invariant: those that have been read into what is above and below have names that no header has.
    headers: Headers,
    authorization: Authorization,
    /// The only route that may take it, by name, where its gateway says so.
    route: Option<String>,
}

impl ApiCall {
    /// Reads a call from its headers, pseudo-headers (RFC 9113 section 8.3.1) among them.
    pub fn parse<'a>(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Self, CallError> {
        Self::of(Headers::each(headers))
    }

    /// The same from headers as the ABI of proxy-wasm hands them over, all in one (0.2.1, `proxy_get_header_map_pairs`). They
    /// are the call's own from now on, and stay where they are.
    pub fn parse_serialized(headers: Vec<u8>) -> Result<Self, CallError> {
        Self::of(Headers::serialized(headers))
    }

    fn of(headers: Option<Headers>) -> Result<Self, CallError> {
        let mut headers = headers.ok_or(CallError::Malformed)?;
        let (mut method, mut authority, mut target) = (None, None, None);
        let mut authorization = Authorization::None;
        let (mut count, mut has_host) = (0, false);
        let mut read = SmallVec::<[usize; 4]>::new();
        for Header { name, value, name_at, value_at } in headers.iter() {
            count += 1;
            // What most headers begin with tells already that they are not looked at.
            let is_new = match name.first() {
                Some(b':') => match name {
                    b":method" => method.replace(Methods::of(text(value)?)).is_none(),
                    b":authority" => authority.replace((value, value_at)).is_none(),
                    b":path" => target.replace(Target::read(text(value)?.to_owned())).is_none(),
                    _ => continue,
                },
                Some(b'a' | b'A') if is_named(name, "authorization") => {
                    authorization = authorization.and(value, value_at);
                    true
                }
                Some(b'h' | b'H') if is_named(name, "host") => {
                    // Envoy has none beside the authority.
                    has_host = true;
                    continue;
                }
                Some(b'x' | b'X') => {
                    if OVERRIDING_HEADERS.iter().any(|known| is_plain_name(name, known)) {
                        return Err(CallError::Overridden);
                    }
                    // One of these may have to be taken off the call, by its name: characters of a token (RFC 9110 section 5.6.2)
                    // are ASCII. Looked at to the end, many at a time.
                    if name.iter().fold(0, |all, byte| all | byte) > 0x7f {
                        return Err(CallError::Malformed);
                    }
                    continue;
                }
                _ => continue,
            };
            if !is_new {
                return Err(CallError::Malformed);
            }
            read.push(name_at);
        }
        let (authority, authority_at) = authority.filter(|_| count == headers.len()).ok_or(CallError::Malformed)?;
        // Some servers look at `host` even where `:authority` decides (RFC 9113 section 8.3.1).
        let is_other = |header: Header<'_>| is_named(header.name, "host") && header.value != authority;
        if has_host && headers.iter().any(is_other) {
            return Err(CallError::Malformed);
        }
        let host = host_bytes(authority)?;
        let host = authority_at..authority_at + host;
        headers.between_mut(host.clone()).make_ascii_lowercase();
        read.iter().for_each(|name_at| headers.forget_name(*name_at));
        Ok(Self {
            method: method.ok_or(CallError::Malformed)?,
            host,
            target: target.ok_or(CallError::Malformed)??,
            headers,
            authorization,
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

    /// Letters, digits and a few signs.
    pub(crate) fn host(&self) -> &[u8] {
        self.headers.between(self.host.clone())
    }

    pub(crate) fn segments(&self) -> Segments<'_> {
        self.target.segments()
    }

    /// The call's one bearer token, not verified.
    pub fn bearer_token(&self) -> Option<&str> {
        match self.credentials() {
            Credentials::Bearer(token) => token.text().ok(),
            _ => None,
        }
    }

    pub(crate) fn credentials(&self) -> Credentials<'_> {
        self.authorization.within(&self.headers)
    }

    /// The names of all headers, as they came; those of headers that are part of what was read begin with a zero.
    pub fn header_names(&self) -> impl Iterator<Item = &[u8]> {
        self.headers.iter().map(|header| header.name)
    }

    /// What the call's headers take, in bytes.
    pub fn header_bytes(&self) -> usize {
        self.headers.bytes()
    }

    /// The first value of each of these headers.
    pub fn first_headers<const COUNT: usize>(&self, names: [&str; COUNT]) -> [Option<&[u8]>; COUNT] {
        let mut values = [None; COUNT];
        for header in self.headers.iter() {
            for (name, value) in names.iter().zip(&mut values) {
                if is_named(header.name, name) {
                    value.get_or_insert(header.value);
                }
            }
        }
        values
    }

    /// The values of a header.
    fn named<'call>(&'call self, name: &str) -> impl Iterator<Item = &'call [u8]> {
        self.headers.iter().filter(move |header| is_named(header.name, name)).map(|header| header.value)
    }

    /// The one value of a header; `Err` when it came more than once, or under a name that some servers take for it.
    pub(crate) fn header(&self, name: &str) -> Result<Option<&[u8]>, Repeated> {
        match one(self.headers.iter().filter(|header| is_plain_name(header.name, name)))? {
            Some(header) if is_named(header.name, name) => Ok(Some(header.value)),
            Some(_) => Err(Repeated),
            None => Ok(None),
        }
    }

    /// The one value of a cookie (RFC 6265 section 4.2.1); `Err` when it came more than once. HTTP/2 may bring a header for
    /// each cookie.
    pub(crate) fn cookie(&self, name: &str) -> Result<Option<&[u8]>, Repeated> {
        let cookies = self.named("cookie").flat_map(|value| value.split(|byte| *byte == b';'));
        one(cookies.filter_map(|cookie| {
            let mut parts = cookie.splitn(2, |byte| *byte == b'=');
            let (known, value) = (parts.next()?, parts.next()?);
            (without_blanks(known) == name.as_bytes()).then(|| without_blanks(value))
        }))
    }

    /// The method that a browser asks for in a CORS preflight: OPTIONS with `Origin` and `Access-Control-Request-Method`,
    /// without credentials and without a body (Fetch standard, CORS-preflight fetch). `None` for any other call.
    pub(crate) fn preflight(&self) -> Option<Methods> {
        let has = |name: &str| self.named(name).next().is_some();
        let is_empty = !has("transfer-encoding") && self.named("content-length").all(|value| value == b"0");
        let is_one = self.method == Methods::OPTIONS && matches!(self.credentials(), Credentials::None) && is_empty;
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
        let own = |origin: &str| origin.strip_prefix("https://").is_some_and(|host| host.as_bytes() == self.host());
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
fn is_named(header: &[u8], name: &str) -> bool {
    header.eq_ignore_ascii_case(name.as_bytes())
}

/// Two names of headers that are one to servers that turn everything but letters and digits into one character (CGI,
/// RFC 3875 section 4.1.18).
fn is_plain_name(name: &[u8], other: &str) -> bool {
    let plain = |byte: u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' };
    name.len() == other.len() && name.iter().copied().map(plain).eq(other.bytes().map(plain))
}

fn text(value: &[u8]) -> Result<&str, CallError> {
    std::str::from_utf8(value).map_err(|_| CallError::Malformed)
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
    Classes::of(&[(DIGITS_AND_SMALL_LETTERS, PLAIN), (CAPITAL_LETTERS, PLAIN), (b"-._[]", PLAIN), (b":", COLON)]);
const COLON: u8 = 2;

/// How long an authority's host is, without port, in bytes.
fn host_bytes(authority: &[u8]) -> Result<usize, CallError> {
    let seen = authority.iter().fold(PLAIN, |seen, byte| seen | HOST_CHARACTERS.class(*byte));
    let has_port = |colon: &usize| authority.iter().skip(colon + 1).all(u8::is_ascii_digit);
    let colon = if seen & COLON == 0 { None } else { authority.iter().rposition(|byte| *byte == b':') };
    let bytes = colon.filter(has_port).unwrap_or(authority.len());
    if bytes == 0 || bytes > 255 || seen & NOT_ALLOWED != 0 { Err(CallError::Malformed) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests;
