//! A header map with the habits of Envoy's: lower-case names, pseudo headers first, some headers in one slot.
//!
//! Repeats of a header that Envoy keeps in one slot are joined with a comma, so two `authorization` headers reach the
//! guest as one value. Others stay apart: a guest that asks for one value gets the first, one that asks for all pairs
//! sees every one.

use std::borrow::Cow;
use std::fmt;

use super::abi::Pairs;

/// The request and common headers of Envoy's `header_map.h`, and those that its stock filters register. Seen in Envoy
/// 1.40: `cookie` and `accept-language`, for example, are not among them.
const ONE_SLOT: [&str; 43] = [
    ":authority",
    ":method",
    ":path",
    ":protocol",
    ":scheme",
    ":status",
    "accept",
    "accept-encoding",
    "access-control-request-headers",
    "access-control-request-method",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "expect",
    "grpc-accept-encoding",
    "grpc-message",
    "grpc-status",
    "grpc-timeout",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "location",
    "origin",
    "pragma",
    "proxy-connection",
    "referer",
    "server",
    "te",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-forwarded-client-cert",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-request-id",
];

/// Headers of a request or a response, in order. Values are bytes; the accessors show text, replacing what is not.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Headers(Pairs);

impl Headers {
    /// The first value of a header.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        self.first(name.as_bytes()).map(String::from_utf8_lossy)
    }

    /// Every value of a header.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<Cow<'_, str>> {
        self.0.iter().filter(|(n, _)| is(n, name.as_bytes())).map(|(_, v)| String::from_utf8_lossy(v)).collect()
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        self.0.iter().map(|(name, value)| (String::from_utf8_lossy(name), String::from_utf8_lossy(value)))
    }

    /// How many there are, repeats counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn from_pairs(pairs: Pairs, join: bool) -> Self {
        let mut headers = Self::default();
        for (name, value) in pairs {
            headers.add(&name, &value, join);
        }
        headers
    }

    pub(super) fn joined(self, join: bool) -> Self {
        Self::from_pairs(self.0, join)
    }

    pub(super) fn pairs(&self) -> &Pairs {
        &self.0
    }

    pub(super) fn first(&self, name: &[u8]) -> Option<&[u8]> {
        self.0.iter().find(|(n, _)| is(n, name)).map(|(_, value)| value.as_slice())
    }

    pub(super) fn add(&mut self, name: &[u8], value: &[u8], join: bool) {
        let name = name.to_ascii_lowercase();
        let one_slot = join && ONE_SLOT.iter().any(|known| known.as_bytes() == name);
        if one_slot && let Some((_, present)) = self.0.iter_mut().find(|(n, _)| *n == name) {
            present.push(b',');
            present.extend_from_slice(value);
            return;
        }
        let end = self.0.len();
        let at = if name.starts_with(b":") {
            self.0.iter().position(|(n, _)| !n.starts_with(b":")).unwrap_or(end)
        } else {
            end
        };
        self.0.insert(at, (name, value.to_vec()));
    }

    pub(super) fn set(&mut self, name: &[u8], value: &[u8]) {
        self.remove(name);
        self.add(name, value, false);
    }

    pub(super) fn remove(&mut self, name: &[u8]) {
        self.0.retain(|(n, _)| !is(n, name));
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len().saturating_add(value.len())).sum()
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for Headers {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(pairs: T) -> Self {
        let pairs = pairs.into_iter().map(|(name, value)| (name.as_ref().to_vec(), value.as_ref().to_vec()));
        Self::from_pairs(pairs.collect(), false)
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>, const COUNT: usize> From<[(N, V); COUNT]> for Headers {
    fn from(pairs: [(N, V); COUNT]) -> Self {
        pairs.into_iter().collect()
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> From<Vec<(N, V)>> for Headers {
    fn from(pairs: Vec<(N, V)>) -> Self {
        pairs.into_iter().collect()
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> From<&[(N, V)]> for Headers {
    fn from(pairs: &[(N, V)]) -> Self {
        pairs.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect()
    }
}

fn is(present: &[u8], wanted: &[u8]) -> bool {
    present.eq_ignore_ascii_case(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_authorizations_become_one_value() {
        let headers = Headers::from([("Authorization", "Bearer a"), ("authorization", "Bearer b")]);
        assert_eq!(headers.clone().joined(true).all("authorization"), ["Bearer a,Bearer b"]);
        assert_eq!(headers.joined(false).all("authorization"), ["Bearer a", "Bearer b"]);
    }

    #[test]
    fn other_repeats_stay_apart_and_the_first_is_the_value() {
        let headers = Headers::from([("x-party", "1"), ("X-Party", "2")]).joined(true);
        assert_eq!(headers.all("x-party"), ["1", "2"]);
        assert_eq!(headers.get("x-party").as_deref(), Some("1"));
    }

    #[test]
    fn pseudo_headers_come_first() {
        let headers = Headers::from([("x-a", "1"), (":path", "/"), (":method", "GET")]);
        let names: Vec<_> = headers.iter().map(|(name, _)| name.into_owned()).collect();
        assert_eq!(names, [":path", ":method", "x-a"]);
    }

    #[test]
    fn setting_a_header_replaces_every_repeat() {
        let mut headers = Headers::from([("x-a", "1"), ("x-b", "2"), ("x-a", "3")]);
        headers.set(b"X-A", b"4");
        assert_eq!(headers, Headers::from([("x-b", "2"), ("x-a", "4")]));
    }
}
