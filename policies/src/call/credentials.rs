//! What a call presents to say who it is; nothing about it is verified here.

/// What a call presents to say who it is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// None.
    None,
    /// One that is no bearer token.
    Other,
    /// One bearer token (RFC 6750 section 2.1), or several in one header.
    Bearer(BearerToken),
    /// More than one credential, of whatever scheme.
    Repeated,
}

/// What stands behind `Bearer` in a header, as it came. Whether it is text, and one token, is looked at only when it is to
/// be read: a token that was read before is known by its bytes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct BearerToken {
    header: Vec<u8>,
    token: std::ops::Range<usize>,
}

/// Why there is no token to be read behind `Bearer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoToken {
    /// More than one: Envoy joins headers with a comma, which no token has.
    Repeated,
    /// It is not text.
    NotText,
}

impl BearerToken {
    pub(crate) fn bytes(&self) -> &[u8] {
        self.header.get(self.token.clone()).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> Result<&str, NoToken> {
        if self.bytes().contains(&b',') {
            return Err(NoToken::Repeated);
        }
        std::str::from_utf8(self.bytes()).map_err(|_| NoToken::NotText)
    }
}

/// The scheme, which any letter case and one blank or more may follow.
const BEARER: &[u8] = b"bearer ";

impl Credentials {
    /// Adds one `authorization` header.
    pub(super) fn and(self, value: Vec<u8>) -> Self {
        if !matches!(self, Self::None) {
            return Self::Repeated;
        }
        let is_bearer = value.get(..BEARER.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(BEARER));
        if !is_bearer {
            return if value.contains(&b',') { Self::Repeated } else { Self::Other };
        }
        let is_blank = |byte: &&u8| **byte == b' ';
        let after = value.iter().rev().take_while(is_blank).count();
        let before = value.iter().skip(BEARER.len()).take_while(is_blank).count();
        let end = value.len() - after;
        Self::Bearer(BearerToken { token: (BEARER.len() + before).min(end)..end, header: value })
    }
}

// Hand-written because a token is never printed.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::None => "None",
            Self::Other => "Other",
            Self::Bearer(_) => "Bearer(…)",
            Self::Repeated => "Repeated",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::ApiCall;

    #[test]
    fn one_bearer_token_or_none() {
        let credentials = |headers: &[(&str, &str)]| {
            let pseudo = [(":method", "GET"), (":authority", "api.example.no"), (":path", "/")];
            let headers = pseudo.iter().chain(headers).map(|(name, value)| (*name, value.as_bytes()));
            ApiCall::parse(headers).unwrap().credentials
        };
        let token = |value: &str| match credentials(&[("Authorization", value)]) {
            Credentials::Bearer(token) => token.text().map(str::to_owned),
            other => panic!("{value}: {other:?}"),
        };
        for value in ["Bearer t.o.k", "bearer t.o.k", "BEARER   t.o.k", "Bearer t.o.k  "] {
            assert_eq!(token(value).as_deref(), Ok("t.o.k"), "{value}");
        }
        assert_eq!(token("Bearer ").as_deref(), Ok(""));
        assert_eq!(token("Bearer    ").as_deref(), Ok(""));
        assert_eq!(token("Bearer a,Bearer b"), Err(NoToken::Repeated));
        for value in ["Basic eDp5", "Bearer", "t.o.k", "DPoP t.o.k", ""] {
            assert_eq!(credentials(&[("authorization", value)]), Credentials::Other, "{value}");
        }
        assert_eq!(credentials(&[]), Credentials::None);
        let two_schemes = [("authorization", "Basic eDp5"), ("authorization", "Bearer a")];
        assert_eq!(credentials(&two_schemes), Credentials::Repeated);
        assert_eq!(credentials(&[("authorization", "Basic eDp5,Bearer a")]), Credentials::Repeated);
        let twice = [("authorization", "Bearer a"), ("authorization", "Bearer a")];
        assert_eq!(credentials(&twice), Credentials::Repeated);
    }
}
