//! What the API behind is told of the caller, and that nobody but this filter can tell it.
//!
//! Every header or trailer that begins with `x-systemuser-`, in any letter case and with any punctuation for `-`, is ours:
//! what a client sent is removed from every call that goes through, whatever it was permitted for.

use policies::RightHeld;

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
    name.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' })
        .zip(PREFIX.bytes())
        .filter(|(sent, ours)| sent == ours)
        .count()
        == PREFIX.len()
}

/// The headers that tell a permitted call's system user.
pub(crate) fn headers(held: &RightHeld) -> [(&'static str, String); 6] {
    [
        ("x-systemuser-id", held.system_user.to_string()),
        ("x-systemuser-owner", held.owner.to_string()),
        ("x-systemuser-party", held.party.to_string()),
        ("x-systemuser-system", held.system.to_string()),
        ("x-systemuser-vendor", held.vendor.to_string()),
        ("x-systemuser-client", held.client.to_string()),
    ]
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
    fn a_support_id_is_plain() {
        let id = |value: &[u8]| ClientHeaders::read(&[("x-request-id".to_owned(), value.to_vec())]).support_id;
        assert_eq!(id(b"0b0e-1f").as_deref(), Some("0b0e-1f"));
        for wrong in [&b""[..], b"a\"b", b"a b", &[b'a'; 65], b"\xff"] {
            assert_eq!(id(wrong), None);
        }
    }
}
