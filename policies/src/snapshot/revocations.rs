//! Tokens, clients and system users that are refused whatever else is known of them, each until an instant.
//!
//! A list stands in a base, and a delta replaces it whole. It names nobody: an entry is a hash of what is revoked, so
//! that a gateway can ask for what a token says and read nothing else. An empty list costs a request one comparison.

use zerocopy::little_endian::I64;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::image::ImageError;
use super::layout::Section;
use super::sections::Sections;
use crate::Timestamp;
use crate::token::{Caller, VerifiedToken};

/// Most entries in a list.
pub const REVOCATIONS_MAX: usize = 10_000;

/// One entry; ascending by digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RevocationRecord {
    pub(crate) digest: [u8; 32],
    /// Milliseconds since 1970 from which on it no longer counts.
    pub(crate) until: I64,
}

/// What can be revoked.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Revoked<'a> {
    /// A token, by its issuer and its `jti`.
    Token { issuer: &'a str, id: &'a str },
    /// A Maskinporten client, its id in lower case.
    Client(&'a str),
    /// A system user, its id in lower case.
    SystemUser(&'a str),
}

impl Revoked<'_> {
    pub(crate) fn digest(self) -> [u8; 32] {
        let (kind, texts) = match self {
            Self::Token { issuer, id } => (1_u8, [issuer, id]),
            Self::Client(client) => (2, [client, ""]),
            Self::SystemUser(id) => (3, [id, ""]),
        };
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[kind]);
        for text in texts {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        *hasher.finalize().as_bytes()
    }
}

/// The list of a base or of a delta; `None` where it has no word on it.
pub(crate) fn read(sections: &Sections) -> Result<Option<Vec<RevocationRecord>>, ImageError> {
    if !sections.has(Section::Revocations) {
        return Ok(None);
    }
    let records: &[RevocationRecord] = sections.elements(Section::Revocations);
    let wrong = |problem| ImageError::new("revocations", problem);
    if records.len() > REVOCATIONS_MAX {
        return Err(wrong("too many"));
    }
    if !records.is_sorted_by(|left, right| left.digest < right.digest) {
        return Err(wrong("not in ascending order"));
    }
    Ok(Some(records.to_vec()))
}

/// Something about the token is on the list now.
pub(crate) fn is_revoked(list: &[RevocationRecord], token: &VerifiedToken, now: Timestamp) -> bool {
    if list.is_empty() {
        return false;
    }
    token.revocation_digests(digests).iter().any(|digest| {
        let found = list.binary_search_by(|record| record.digest.cmp(digest));
        let record = found.ok().and_then(|position| list.get(position));
        record.is_some_and(|record| now.unix_millis() < record.until.get())
    })
}

/// Under what a token may be revoked.
fn digests(token: &VerifiedToken) -> Vec<[u8; 32]> {
    let of_token = token.token_id().map(|id| Revoked::Token { issuer: token.issuer(), id }.digest());
    let of_client = token.client_id().map(|client| Revoked::Client(&client.folded()).digest());
    let of_system_user = match token.caller() {
        Caller::SystemUser(claim) => Some(Revoked::SystemUser(&claim.id.to_string()).digest()),
        _ => None,
    };
    [of_token, of_client, of_system_user].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_revoked_is_told_apart() {
        let digests = [
            Revoked::Token { issuer: "a", id: "bc" },
            Revoked::Token { issuer: "ab", id: "c" },
            Revoked::Token { issuer: "abc", id: "" },
            Revoked::Client("abc"),
            Revoked::SystemUser("abc"),
        ]
        .map(Revoked::digest);
        for (position, digest) in digests.iter().enumerate() {
            assert!(!digests[..position].contains(digest), "{position}");
        }
    }
}
