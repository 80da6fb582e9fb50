//! What a call presents to say who it is; nothing about it is verified here.

use std::ops::Range;

use super::headers::Headers;

/// What a call presents to say who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credentials<'call> {
    /// None.
    None,
    /// One that is no bearer token.
    Other,
    /// One bearer token (RFC 6750 section 2.1), or several in one header.
    Bearer(BearerToken<'call>),
    /// More than one credential, of whatever scheme.
    Repeated,
}

/// What stands behind `Bearer` in a header, as it came. Whether it is text, and one token, is looked at only when it is to
/// be read: a token that was read before is known by its bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct BearerToken<'call>(&'call [u8]);

/// Why there is no token to be read behind `Bearer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoToken {
    /// More than one: Envoy joins headers with a comma, which no token has.
    Repeated,
    /// It is not text.
    NotText,
}

impl<'call> BearerToken<'call> {
    pub(crate) fn bytes(self) -> &'call [u8] {
        self.0
    }

    pub(crate) fn text(self) -> Result<&'call str, NoToken> {
        if self.0.contains(&b',') {
            return Err(NoToken::Repeated);
        }
        std::str::from_utf8(self.0).map_err(|_| NoToken::NotText)
    }
}

// Hand-written because a token is never printed.
impl std::fmt::Debug for BearerToken<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("…")
    }
}

/// [`Credentials`] whose token is among a call's headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Authorization {
    None,
    Other,
    Bearer(Range<usize>),
    Repeated,
}

/// The scheme, which any letter case and one blank or more may follow.
const BEARER: &[u8] = b"bearer ";

impl Authorization {
    /// Adds one `authorization` header, whose value begins there.
    pub(super) fn and(self, value: &[u8], begin: usize) -> Self {
        if self != Self::None {
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
        Self::Bearer(begin + (BEARER.len() + before).min(end)..begin + end)
    }

    pub(super) fn within<'call>(&self, headers: &'call Headers) -> Credentials<'call> {
        match self {
            Self::None => Credentials::None,
            Self::Other => Credentials::Other,
            Self::Bearer(token) => Credentials::Bearer(BearerToken(headers.between(token.clone()))),
            Self::Repeated => Credentials::Repeated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::ApiCall;

    #[test]
    fn one_bearer_token_or_none() {
        let call = |headers: &[(&str, &str)]| {
            let pseudo = [(":method", "GET"), (":authority", "api.example.no"), (":path", "/")];
            let headers = pseudo.iter().chain(headers).map(|(name, value)| (*name, value.as_bytes()));
            ApiCall::parse(headers).unwrap()
        };
        let credentials = |headers: &[(&str, &str)]| call(headers).authorization;
        let token = |value: &str| match call(&[("Authorization", value)]).credentials() {
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
            assert_eq!(credentials(&[("authorization", value)]), Authorization::Other, "{value}");
        }
        assert_eq!(credentials(&[]), Authorization::None);
        let two_schemes = [("authorization", "Basic eDp5"), ("authorization", "Bearer a")];
        assert_eq!(credentials(&two_schemes), Authorization::Repeated);
        assert_eq!(credentials(&[("authorization", "Basic eDp5,Bearer a")]), Authorization::Repeated);
        let twice = [("authorization", "Bearer a"), ("authorization", "Bearer a")];
        assert_eq!(credentials(&twice), Authorization::Repeated);
    }
}
