//! What the API behind is told of the caller, and that nobody but this filter can tell it.
//!
//! The header or trailer `x-systemuser`, and each that begins with `x-systemuser-`, in any letter case and with any
//! punctuation for `-`, is ours: what a client sent is removed from every call that goes through, whatever it was permitted
//! for.

use std::borrow::Cow;

use policies::{RemoteGrant, RightHeld, RightUsed};
use serde::Deserialize;

/// The header that tells all, and what the headers begin with that tell one thing each, once `-` is added.
const NAME: &str = "x-systemuser";
/// Room for the usual dictionary: a uuid, three numbers of nine digits, a system's and a client's name.
const DICTIONARY_BYTES: usize = 256;

/// Longest support id, in bytes.
const SUPPORT_ID_BYTES_MAX: usize = 64;

/// A call's own id (`x-request-id`), when it is plain enough to be written into logs and answers.
pub(crate) fn support_id(value: Cow<'_, [u8]>) -> Option<Cow<'_, str>> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if value.is_empty() || value.len() > SUPPORT_ID_BYTES_MAX {
        return None;
    }
    // Looked at to the end: many at a time.
    if value.iter().fold(false, |odd, byte| odd | !is_plain(*byte)) {
        return None;
    }
    match value {
        Cow::Borrowed(value) => std::str::from_utf8(value).ok().map(Cow::Borrowed),
        Cow::Owned(value) => String::from_utf8(value).ok().map(Cow::Owned),
    }
}

/// The names that only this filter may send.
pub(crate) fn forged<'name>(names: impl Iterator<Item = &'name [u8]>) -> Vec<String> {
    // Names that begin otherwise, as most do, are none of ours.
    let may_be = |name: &&[u8]| matches!(name.first(), Some(b'x' | b'X'));
    // Names of a call are text.
    names.filter(may_be).filter(|name| is_ours(name)).map(|name| String::from_utf8_lossy(name).into_owned()).collect()
}

/// Some servers turn everything but letters and digits in a name into one character (CGI, RFC 3875 section 4.1.18).
fn is_ours(name: &[u8]) -> bool {
    let plain = |byte: u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' };
    let mut sent = name.iter().copied().map(plain);
    name.len() >= NAME.len()
        && NAME.bytes().all(|ours| sent.next() == Some(ours))
        && matches!(sent.next(), None | Some(b'-'))
}

/// A way to tell the API behind of the caller: all that is known in one header, or one thing in a header of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IdentityHeader {
    Combined,
    Id,
    Owner,
    Party,
    System,
    Vendor,
    Client,
}

impl IdentityHeader {
    /// Unless the configuration says otherwise. One header is one call of the host.
    pub(crate) const USUAL: [Self; 1] = [Self::Combined];

    fn name(self) -> &'static str {
        match self {
            Self::Combined => NAME,
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
pub(crate) fn tell(right: &RightUsed, headers: &[IdentityHeader], tell: impl Fn(&str, &[u8]) -> bool) -> bool {
    headers.iter().all(|header| match header {
        IdentityHeader::Combined => tell(header.name(), right.told(dictionary)),
        part => tell(part.name(), value(right, *part, &mut [0; 36], &mut [0; 9])),
    })
}

/// The same of a caller that only its token and a remote decision point know; of no system user nothing is told.
pub(crate) fn tell_remote(grant: &RemoteGrant, headers: &[IdentityHeader], tell: impl Fn(&str, &[u8]) -> bool) -> bool {
    let Some((id, owner)) = grant.system_user else { return true };
    let (id, owner, party) = (id.to_string(), owner.to_string(), grant.party.to_string());
    headers.iter().all(|header| {
        let value = match header {
            IdentityHeader::Combined => {
                let dictionary = format!("id=\"{id}\", owner=\"{owner}\", party=\"{party}\"");
                return tell(header.name(), dictionary.as_bytes());
            }
            IdentityHeader::Id => &id,
            IdentityHeader::Owner => &owner,
            IdentityHeader::Party => &party,
            IdentityHeader::System | IdentityHeader::Vendor | IdentityHeader::Client => return true,
        };
        tell(header.name(), value.as_bytes())
    })
}

/// How the dictionary begins, with room for what has one length; and where that is.
const HEAD: [u8; 88] =
    *b"id=\"00000000-0000-0000-0000-000000000000\", owner=\"000000000\", party=\"000000000\", system=";
const ID_AT: usize = 4;
const OWNER_AT: usize = 50;
const PARTY_AT: usize = 69;

/// All parts as a dictionary of strings (RFC 9651 section 3.2).
fn dictionary(held: &RightHeld) -> Vec<u8> {
    let mut head = HEAD;
    if let Some(text) = head.get_mut(ID_AT..) {
        held.system_user.as_uuid().hyphenated().encode_lower(text);
    }
    for (at, number) in [(OWNER_AT, held.owner), (PARTY_AT, held.party)] {
        if let Some(text) = head.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
            number.encode(text);
        }
    }
    let mut dictionary = Vec::with_capacity(DICTIONARY_BYTES);
    dictionary.extend_from_slice(&head);
    push_string(&mut dictionary, held.system.as_str().as_bytes());
    let mut vendor = *b", vendor=\"000000000\", client=";
    if let Some(text) = vendor.get_mut(10..).and_then(<[u8]>::first_chunk_mut) {
        held.vendor.encode(text);
    }
    dictionary.extend_from_slice(&vendor);
    push_string(&mut dictionary, held.client.as_str().as_bytes());
    dictionary
}

/// A string (RFC 9651 section 3.3.3), or for what has more than ASCII a display string (3.3.8).
fn push_string(dictionary: &mut Vec<u8>, value: &[u8]) {
    let is_odd = |byte: u8| !(b' '..=b'~').contains(&byte) || byte == b'"' || byte == b'\\';
    // Looked at to the end: many at a time.
    let is_plain = !value.iter().fold(false, |odd, byte| odd | is_odd(*byte));
    if is_plain {
        dictionary.push(b'"');
        dictionary.extend_from_slice(value);
        dictionary.push(b'"');
    } else {
        push_odd_string(dictionary, value);
    }
}

fn push_odd_string(dictionary: &mut Vec<u8>, value: &[u8]) {
    let is_ascii = value.iter().all(|byte| matches!(byte, b' '..=b'~'));
    dictionary.extend_from_slice(if is_ascii { b"\"" } else { b"%\"" });
    for byte in value {
        match (is_ascii, byte) {
            (true, b'"' | b'\\') => dictionary.extend([b'\\', *byte]),
            (true, _) | (false, b' '..=b'~') if is_ascii || !matches!(byte, b'%' | b'"') => dictionary.push(*byte),
            _ => dictionary.extend([b'%', hex_digit(byte >> 4), hex_digit(byte & 15)]),
        }
    }
    dictionary.push(b'"');
}

fn hex_digit(digit: u8) -> u8 {
    if digit < 10 { b'0' + digit } else { b'a' - 10 + digit }
}

fn value<'held>(
    held: &'held RightHeld,
    part: IdentityHeader,
    uuid: &'held mut [u8; 36],
    digits: &'held mut [u8; 9],
) -> &'held [u8] {
    match part {
        IdentityHeader::Combined => b"",
        IdentityHeader::Id => held.system_user.as_uuid().hyphenated().encode_lower(uuid).as_bytes(),
        IdentityHeader::Owner => held.owner.encode(digits).as_bytes(),
        IdentityHeader::Party => held.party.encode(digits).as_bytes(),
        IdentityHeader::System => held.system.as_str().as_bytes(),
        IdentityHeader::Vendor => held.vendor.encode(digits).as_bytes(),
        IdentityHeader::Client => held.client.as_str().as_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(names: &[&str]) -> Vec<String> {
        forged(names.iter().map(|name| name.as_bytes()))
    }

    #[test]
    fn every_spelling_is_ours() {
        let all = [
            "x-systemuser",
            "X_SystemUser",
            "x-systemuser-id",
            "X-SystemUser-ID",
            "x_systemuser_id",
            "X-Systemuser_party",
            "x.systemuser!id",
            "x-systemuser-anything",
            "x-systemuser-",
        ];
        assert_eq!(ours(&all), all);
        let others = ["x-systemusers", "x-systemuse", "systemuser-id", "ax-systemuser-id", "x-request-id", ""];
        assert!(ours(&others).is_empty());
    }

    #[test]
    fn a_support_id_is_plain() {
        for right in ["0b0e-1f", &"a".repeat(64)] {
            assert_eq!(support_id(right.as_bytes().into()).as_deref(), Some(right));
            assert_eq!(support_id(right.as_bytes().to_vec().into()).as_deref(), Some(right));
        }
        for wrong in [&b""[..], b"a\"b", b"a b", &[b'a'; 65], b"\xff"] {
            assert_eq!(support_id(wrong.into()), None);
        }
    }

    fn held(system: &str) -> RightHeld {
        RightHeld {
            system_user: "f950ddae-06c3-4b57-b940-702417a90df0".parse().unwrap(),
            owner: "310247049".parse().unwrap(),
            party: "310247030".parse().unwrap(),
            system: system.parse().unwrap(),
            vendor: "974760673".parse().unwrap(),
            client: "a2ed712d-4144-4471-839f-80ae4a68146b".parse().unwrap(),
            right: policies::right::Right { resource: "vat".parse().unwrap(), action: "read".parse().unwrap() },
            through: policies::GrantedThrough::Delegation,
        }
    }

    #[test]
    fn one_header_tells_all() {
        let expected = "id=\"f950ddae-06c3-4b57-b940-702417a90df0\", owner=\"310247049\", party=\"310247030\", \
            system=\"974760673_smartcloud\", vendor=\"974760673\", client=\"a2ed712d-4144-4471-839f-80ae4a68146b\"";
        assert_eq!(String::from_utf8(dictionary(&held("974760673_smartcloud"))).unwrap(), expected);
        assert!(expected.len() <= DICTIONARY_BYTES);
    }

    #[test]
    fn a_name_with_any_character_stays_one_value() {
        for (system, expected) in [
            ("a\"b\\c", r#", system="a\"b\\c", vendor="#),
            ("a\",party=\"974760673", r#", system="a\",party=\"974760673", vendor="#),
            ("blåbær", r#", system=%"bl%c3%a5b%c3%a6r", vendor="#),
            ("å%\"", r#", system=%"%c3%a5%25%22", vendor="#),
        ] {
            let dictionary = String::from_utf8(dictionary(&held(system))).unwrap();
            assert!(dictionary.contains(expected) && dictionary.is_ascii(), "{dictionary}");
        }
    }
}
