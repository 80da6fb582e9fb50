//! Names of people, directories and hosts: rfc822Name, x500Name, ipAddress, dnsName.
//!
//! Each keeps its text as written, for answers and regular expressions, and what it is compared by.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// A mail address. The local part is compared exactly, the domain without regard to letter case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rfc822Name {
    /// With the domain in small letters.
    text: Arc<str>,
}

/// A distinguished name (RFC 2253). Compared part by part, without regard to letter case and repeated spaces.
#[derive(Debug, Clone)]
pub struct X500Name {
    text: Arc<str>,
    parts: Arc<[RelativeName]>,
}

/// Types and values of one part of a distinguished name, normalised.
type RelativeName = BTreeSet<(String, String)>;

/// An address of the internet protocol, with an optional mask and ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpAddress(Arc<str>);

/// A host name, with optional ports; its first label may be `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsName(Arc<str>);

impl Rfc822Name {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (local, domain) = text.rsplit_once('@')?;
        if local.is_empty() || domain.is_empty() || text.chars().any(char::is_whitespace) {
            return None;
        }
        Some(Self { text: format!("{local}@{}", domain.to_ascii_lowercase()).into() })
    }

    /// The text, with the domain in small letters.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a pattern covers it: a whole address, a domain, or a dot and the end of a domain (XACML 3.0 A.3.14).
    pub fn is_covered_by(&self, pattern: &str) -> bool {
        let pattern = pattern.trim();
        let Some((own_local, own_domain)) = self.text.rsplit_once('@') else { return false };
        match pattern.rsplit_once('@') {
            Some((local, domain)) => local == own_local && domain.eq_ignore_ascii_case(own_domain),
            None if pattern.starts_with('.') => {
                let end = own_domain.len().checked_sub(pattern.len()).and_then(|from| own_domain.get(from..));
                end.is_some_and(|end| end.eq_ignore_ascii_case(pattern))
            }
            None => pattern.eq_ignore_ascii_case(own_domain),
        }
    }
}

impl X500Name {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let mut part = RelativeName::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (name, after) = rest.split_once('=')?;
            let (value, separator, after) = read_value(after)?;
            part.insert((normalise_type(name)?, value));
            rest = after.trim_start();
            if separator != Some('+') {
                parts.push(std::mem::take(&mut part));
            }
            if separator.is_some() && rest.is_empty() {
                return None;
            }
        }
        Some(Self { text: text.into(), parts: parts.into() })
    }

    /// The text as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is the end of the other name, or the whole of it (XACML 3.0 A.3.14).
    pub fn ends(&self, other: &Self) -> bool {
        other.parts.ends_with(&self.parts)
    }
}

impl PartialEq for X500Name {
    fn eq(&self, other: &Self) -> bool {
        self.parts == other.parts
    }
}

impl Eq for X500Name {}

impl IpAddress {
    /// The text as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let whole = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, rest) = rest.split_once(']')?;
                address.parse::<Ipv6Addr>().ok()?;
                let rest = match rest.strip_prefix("/[") {
                    Some(rest) => {
                        let (mask, rest) = rest.split_once(']')?;
                        mask.parse::<Ipv6Addr>().ok()?;
                        rest
                    }
                    None => rest,
                };
                rest.is_empty() || rest.strip_prefix(':').is_some_and(are_ports)
            }
            None => {
                let (address, ports) = text.split_once(':').map_or((text, None), |(text, ports)| (text, Some(ports)));
                let (address, mask) =
                    address.split_once('/').map_or((address, None), |(text, mask)| (text, Some(mask)));
                let is_address = |text: &str| text.parse::<Ipv4Addr>().is_ok();
                is_address(address) && mask.is_none_or(is_address) && ports.is_none_or(are_ports)
            }
        };
        whole.then(|| Self(text.into()))
    }
}

impl DnsName {
    /// The text as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let (host, ports) = text.split_once(':').map_or((text, None), |(host, ports)| (host, Some(ports)));
        let labels = host.strip_prefix("*.").unwrap_or(host);
        let is_label = |label: &str| {
            !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        (labels.split('.').all(is_label) && ports.is_none_or(are_ports)).then(|| Self(text.into()))
    }
}

impl fmt::Display for Rfc822Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl fmt::Display for X500Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl fmt::Display for IpAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A port, `-port`, `port-` or `port-port`.
fn are_ports(text: &str) -> bool {
    let is_port =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u32>().is_ok();
    match text.split_once('-') {
        None => is_port(text),
        Some(("", last)) => is_port(last),
        Some((first, "")) => is_port(first),
        Some((first, last)) => is_port(first) && is_port(last),
    }
}

/// The short name of an attribute type, in small letters.
fn normalise_type(name: &str) -> Option<String> {
    let name = name.trim().to_ascii_lowercase();
    let name = name.strip_prefix("oid.").unwrap_or(&name);
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.')) {
        return None;
    }
    Some(match name {
        "2.5.4.3" => "cn".to_owned(),
        "2.5.4.6" => "c".to_owned(),
        "2.5.4.7" => "l".to_owned(),
        "2.5.4.8" | "s" => "st".to_owned(),
        "2.5.4.9" => "street".to_owned(),
        "2.5.4.10" => "o".to_owned(),
        "2.5.4.11" => "ou".to_owned(),
        "0.9.2342.19200300.100.1.1" => "uid".to_owned(),
        "0.9.2342.19200300.100.1.25" => "dc".to_owned(),
        "1.2.840.113549.1.9.1" | "e" => "emailaddress".to_owned(),
        other => other.to_owned(),
    })
}

/// A value up to its separator: normalised, with the separator and what follows.
fn read_value(text: &str) -> Option<(String, Option<char>, &str)> {
    let text = text.trim_start();
    let (mut value, mut quoted, mut after_quote) = (String::new(), false, false);
    // How much of the value was written with escapes, and so keeps its spaces.
    let mut kept = 0;
    let mut rest = text;
    loop {
        let mut letters = rest.chars();
        let Some(letter) = letters.next() else {
            return (!quoted).then(|| (normalise(&value, kept), None, ""));
        };
        rest = letters.as_str();
        match letter {
            '\\' => {
                let (escaped, after) = read_escape(rest)?;
                value.push_str(&escaped);
                kept = value.len();
                rest = after;
            }
            '"' if quoted => (quoted, after_quote, kept) = (false, true, value.len()),
            '"' if value.is_empty() && !after_quote => quoted = true,
            '"' => return None,
            _ if quoted => value.push(letter),
            ',' | ';' | '+' => return Some((normalise(&value, kept), Some(letter), rest)),
            ' ' => value.push(' '),
            _ if after_quote => return None,
            _ => value.push(letter),
        }
    }
}

/// What an escape stands for: one special letter, or the bytes of hexadecimal pairs.
fn read_escape(text: &str) -> Option<(String, &str)> {
    let letter = text.chars().next()?;
    if !letter.is_ascii_hexdigit() {
        return Some((letter.to_string(), text.get(letter.len_utf8()..)?));
    }
    let mut bytes = Vec::new();
    let mut rest = text;
    loop {
        let (pair, after) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(pair, 16).ok()?);
        rest = after;
        match after.strip_prefix('\\') {
            Some(more) if more.starts_with(|letter: char| letter.is_ascii_hexdigit()) => rest = more,
            _ => return Some((String::from_utf8(bytes).ok()?, rest)),
        }
    }
}

/// Small letters, single spaces, none at the end but escaped ones.
fn normalise(value: &str, kept: usize) -> String {
    let end = value.trim_end_matches(' ').len().max(kept);
    let mut normal = String::new();
    for letter in value.get(..end).unwrap_or(value).chars() {
        if letter != ' ' || !normal.ends_with(' ') {
            normal.extend(letter.to_lowercase());
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_addresses() {
        let name = |text| Rfc822Name::parse(text).unwrap();
        assert_eq!(name("Anderson@SUN.com"), name("Anderson@sun.COM"));
        assert_ne!(name("anderson@sun.com"), name("Anderson@sun.com"));
        for (pattern, covers) in [
            ("Anderson@sun.com", true),
            ("anderson@sun.com", false),
            ("SUN.com", true),
            ("un.com", false),
            (".com", true),
            (".sun.com", false),
            ("", false),
        ] {
            assert_eq!(name("Anderson@Sun.Com").is_covered_by(pattern), covers, "{pattern}");
        }
        for wrong in ["", "a", "@b", "a@", "a b@c"] {
            assert!(Rfc822Name::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn distinguished_names() {
        let name = |text| X500Name::parse(text).unwrap_or_else(|| panic!("{text}"));
        for (one, other) in [
            ("cn=AHA,ou=Sun Labs,o=Sun,c=US", "CN = aha , OU=Sun  Labs ; O=Sun,C=us "),
            ("cn=a+uid=b,c=US", "UID=b+CN=a,c=US"),
            ("cn=a\\,b", "cn=\"a,b\""),
            ("cn=\\C3\\B8", "cn=ø"),
            ("2.5.4.3=a", "OID.2.5.4.3=A"),
            ("", " "),
        ] {
            assert_eq!(name(one), name(other));
        }
        assert_ne!(name("cn=a,o=b"), name("o=b,cn=a"));
        assert_ne!(name("cn=a\\ "), name("cn=a"));
        assert!(name("O=Medico Corp,C=US").ends(&name("cn=John Smith,o=Medico Corp, c=US")));
        assert!(!name("cn=John Smith,o=Medico Corp").ends(&name("cn=John Smith,o=Medico Corp, c=US")));
        for wrong in
            ["a", "=a", "cn=a,", "cn=a,b", "cn=\"a", "cn=\"a\"b", "cn=a\\", "cn=a\\4", "c n=a", "cn=\\FF", "cn=a+"]
        {
            assert!(X500Name::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn addresses_and_hosts() {
        for right in [
            "127.0.0.1",
            "122.45.38.245/255.255.255.64:8080",
            "10.0.0.1:80-90",
            "10.0.0.1:-90",
            "[::1]",
            "[fe80::1]/[ff00::]:80-",
        ] {
            assert_eq!(IpAddress::parse(right).unwrap().to_string(), right);
        }
        for wrong in
            ["", "1.2.3", "1.2.3.256", "1.2.3.4/8", "1.2.3.4:", "1.2.3.4:a", "[::1", "[::1]x", "::1", "1.2.3.4:-"]
        {
            assert!(IpAddress::parse(wrong).is_none(), "{wrong}");
        }
        for right in ["some.host.name:147-874", "a.different.host:-45", "*.example.org", "localhost"] {
            assert_eq!(DnsName::parse(right).unwrap().to_string(), right);
        }
        for wrong in ["", ".", "a..b", "a.*.b", "a b", "a:", "*"] {
            assert!(DnsName::parse(wrong).is_none(), "{wrong}");
        }
    }
}
