//! What the API behind is told of the caller, and that nobody but this filter can tell it.
//!
//! Every header or trailer that begins with `x-systemuser-`, in any letter case and with any punctuation for `-`, is ours:
//! what a client sent is removed from every call that goes through, whatever it was permitted for.

use policies::id::OrganizationNumber;
use policies::{RemoteGrant, RightHeld};
use serde::Deserialize;

/// What our headers begin with.
const PREFIX: &str = "x-systemuser-";
/// Longest support id, in bytes.
const SUPPORT_ID_BYTES_MAX: usize = 64;

/// What is remembered of the client's own headers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ClientHeaders {
    /// Names that only this filter may send.
    pub(crate) forged: Vec<String>,
    /// Names the call in logs on both sides (`x-request-id`).
    pub(crate) support_id: Option<String>,
}

impl ClientHeaders {
    pub(crate) fn read(headers: &[(String, Vec<u8>)]) -> Self {
        let forged = forged(headers);
        let support_id = headers.iter().find(|(name, _)| name == "x-request-id").and_then(|(_, value)| {
            let plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
            let fits = !value.is_empty() && value.len() <= SUPPORT_ID_BYTES_MAX && value.iter().all(plain);
            fits.then(|| String::from_utf8_lossy(value).into_owned())
        });
        Self { forged, support_id }
    }
}

/// The names that only this filter may send.
pub(crate) fn forged(headers: &[(String, Vec<u8>)]) -> Vec<String> {
    headers.iter().map(|(name, _)| name).filter(|name| is_ours(name)).cloned().collect()
}

/// Some servers turn everything but letters and digits in a name into one character (CGI, RFC 3875 section 4.1.18).
fn is_ours(name: &str) -> bool {
    let begins = name.bytes().next().is_some_and(|byte| byte.eq_ignore_ascii_case(&b'x'));
    begins
        && name
            .bytes()
            .map(|byte| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' })
            .zip(PREFIX.bytes())
            .filter(|(sent, ours)| sent == ours)
            .count()
            == PREFIX.len()
}

/// One thing that the API behind can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IdentityHeader {
    Id,
    Owner,
    Party,
    System,
    Vendor,
    Client,
}

impl IdentityHeader {
    pub(crate) const ALL: [Self; 6] = [Self::Id, Self::Owner, Self::Party, Self::System, Self::Vendor, Self::Client];

    fn name(self) -> &'static str {
        match self {
            Self::Id => "x-systemuser-id",
            Self::Owner => "x-systemuser-owner",
            Self::Party => "x-systemuser-party",
            Self::System => "x-systemuser-system",
            Self::Vendor => "x-systemuser-vendor",
            Self::Client => "x-systemuser-client",
        }
    }
}

/// Tells these of a permitted call's system user, one after the other, until one cannot be told.
pub(crate) fn tell(held: &RightHeld, headers: &[IdentityHeader], tell: impl Fn(&str, &str) -> bool) -> bool {
    headers.iter().all(|header| {
        let mut text = [0; 36];
        let value = match header {
            IdentityHeader::Id => &*held.system_user.as_uuid().hyphenated().encode_lower(&mut text),
            IdentityHeader::Owner => digits(held.owner, &mut text),
            IdentityHeader::Party => digits(held.party, &mut text),
            IdentityHeader::System => held.system.as_str(),
            IdentityHeader::Vendor => digits(held.vendor, &mut text),
            IdentityHeader::Client => held.client.as_str(),
        };
        tell(header.name(), value)
    })
}

/// The same of a caller that only its token and a remote decision point know; of no system user nothing is told.
pub(crate) fn tell_remote(grant: &RemoteGrant, headers: &[IdentityHeader], tell: impl Fn(&str, &str) -> bool) -> bool {
    let Some((id, owner)) = grant.system_user else { return true };
    headers.iter().all(|header| match header {
        IdentityHeader::Id => tell(header.name(), &id.to_string()),
        IdentityHeader::Owner => tell(header.name(), &owner.to_string()),
        IdentityHeader::Party => tell(header.name(), &grant.party.to_string()),
        IdentityHeader::System | IdentityHeader::Vendor | IdentityHeader::Client => true,
    })
}

/// The nine digits, without what formatting costs.
fn digits(organization: OrganizationNumber, text: &mut [u8; 36]) -> &str {
    let mut rest = organization.as_u32();
    for place in text.iter_mut().take(9).rev() {
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    text.get(..9).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(names: &[&str]) -> Vec<String> {
        let headers: Vec<_> = names.iter().map(|name| ((*name).to_owned(), b"x".to_vec())).collect();
        ClientHeaders::read(&headers).forged
    }

    #[test]
    fn every_spelling_is_ours() {
        let ours = [
            "x-systemuser-id",
            "X-SystemUser-ID",
            "x_systemuser_id",
            "X-Systemuser_party",
            "x.systemuser!id",
            "x-systemuser-anything",
        ];
        assert_eq!(read(&ours), ours);
        assert!(read(&["x-systemuser", "systemuser-id", "ax-systemuser-id", "x-request-id", ""]).is_empty());
    }

    #[test]
    fn numbers_have_nine_digits() {
        for number in ["310247049", "974760673"] {
            assert_eq!(digits(number.parse().unwrap(), &mut [0; 36]), number);
        }
    }

    #[test]
    fn a_support_id_is_plain() {
        let id = |value: &[u8]| ClientHeaders::read(&[("x-request-id".to_owned(), value.to_vec())]).support_id;
        assert_eq!(id(b"0b0e-1f").as_deref(), Some("0b0e-1f"));
        for wrong in [&b""[..], b"a\"b", b"a b", &[b'a'; 65], b"\xff"] {
            assert_eq!(id(wrong), None);
        }
    }
}
