//! Equality of absolute URIs as .NET's `System.Uri` has it: without regard to the letter case of scheme and host, to the
//! user and to the fragment; a port that is the scheme's own is none, and no path is the root.
//!
//! Escapes and dots in paths are compared as they are written.

/// Ports that need not be written.
const DEFAULT_PORTS: [(&str, &str); 5] =
    [("http", "80"), ("https", "443"), ("ftp", "21"), ("ws", "80"), ("wss", "443")];

/// The parts of a URI that are compared.
struct Parts<'a> {
    scheme: &'a str,
    /// Host and port, for those with an authority.
    authority: Option<(&'a str, &'a str)>,
    /// Path and query.
    rest: &'a str,
}

/// Whether both are the same; none if one of them is no absolute URI.
pub(super) fn same(one: &str, other: &str) -> Option<bool> {
    let (one, other) = (Parts::of(one)?, Parts::of(other)?);
    let same_authority = match (one.authority, other.authority) {
        (Some((host, port)), Some((other_host, other_port))) => {
            host.eq_ignore_ascii_case(other_host) && port == other_port
        }
        (None, None) => true,
        _ => false,
    };
    Some(one.scheme.eq_ignore_ascii_case(other.scheme) && same_authority && one.rest == other.rest)
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let (scheme, rest) = super::trimmed(text).split_once(':')?;
        let of_scheme = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '-' | '.');
        if !scheme.starts_with(|letter: char| letter.is_ascii_alphabetic()) || !scheme.chars().all(of_scheme) {
            return None;
        }
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let Some(after) = rest.strip_prefix("//") else {
            return (!rest.is_empty()).then_some(Self { scheme, authority: None, rest });
        };
        let end = after.find(['/', '?']).unwrap_or(after.len());
        let (authority, rest) = after.split_at_checked(end)?;
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, port),
            _ => (host, ""),
        };
        if host.is_empty() && !scheme.eq_ignore_ascii_case("file") {
            return None;
        }
        let is_default = |(of, known): &(&str, &str)| scheme.eq_ignore_ascii_case(of) && port == *known;
        let port = if DEFAULT_PORTS.iter().any(is_default) { "" } else { port };
        Some(Self { scheme, authority: Some((host, port)), rest: if rest.is_empty() { "/" } else { rest } })
    }
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn only_absolute_uris_are_compared() {
        for (one, other, answer) in [
            ("urn:a:b", "urn:a:b", Some(true)),
            ("urn:a:b", "URN:a:b", Some(true)),
            ("urn:a:b", "urn:a:B", Some(false)),
            ("http://Example.org", "HTTP://example.ORG/", Some(true)),
            ("http://example.org:80/a", "http://example.org/a", Some(true)),
            ("http://example.org:81/a", "http://example.org/a", Some(false)),
            ("https://example.org:80/a", "https://example.org/a", Some(false)),
            ("http://example.org/a", "http://example.org/A", Some(false)),
            ("http://user@example.org/a#b", "http://example.org/a", Some(true)),
            ("http://example.org/a?b", "http://example.org/a?c", Some(false)),
            (" urn:a:b\n", "urn:a:b", Some(true)),
            ("urn:a", "http://urn:a", Some(false)),
            ("not a uri", "not a uri", None),
            ("a", "a", None),
            ("urn:", "urn:", None),
            ("1a:b", "1a:b", None),
            ("http://", "http://", None),
            ("urn:a", "", None),
        ] {
            assert_eq!(same(one, other), answer, "{one} {other}");
            assert_eq!(same(other, one), answer, "{other} {one}");
        }
    }
}
