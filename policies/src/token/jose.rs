//! The compact form of a JWT (RFC 7515, RFC 7519), read strictly.
//!
//! Refuses what `jsonwebtoken` lets pass: `crit`, foreign `typ`, keys inside the header, base64url with padding or
//! stray bits, members named twice.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Algorithm, TOKEN_BYTES_MAX, TokenError};
use crate::json::{self, Object};

/// Longest key id that is looked up, in bytes.
const KID_BYTES_MAX: usize = 255;

/// A token's parts; nothing in it has been verified.
#[derive(Debug)]
pub(super) struct UnverifiedJwt<'token> {
    pub(super) algorithm: Algorithm,
    /// `None` where the header has none.
    pub(super) kid: Option<String>,
    pub(super) payload: Vec<u8>,
    pub(super) signing_input: &'token str,
    pub(super) signature: Vec<u8>,
}

pub(super) fn parse(token: &str) -> Result<UnverifiedJwt<'_>, TokenError> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(TokenError::TooLarge);
    }
    let (signing_input, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
    let (header, payload) = signing_input.split_once('.').ok_or(TokenError::Malformed)?;
    if payload.contains('.') || signature.is_empty() {
        return Err(TokenError::Malformed);
    }
    let header = json::parse_object(&decode(header)?).map_err(|_| TokenError::Malformed)?;
    let (algorithm, kid) = read_header(&header)?;
    Ok(UnverifiedJwt { algorithm, kid, payload: decode(payload)?, signing_input, signature: decode(signature)? })
}

/// Canonical base64url only: no padding, no `+` and `/`, no stray bits, so that a token has one spelling.
fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed)
}

fn read_header(header: &Object) -> Result<(Algorithm, Option<String>), TokenError> {
    let text = |name: &str| header.get(name).map(|value| value.as_str().ok_or(TokenError::Malformed)).transpose();
    let algorithm = text("alg")?.ok_or(TokenError::Malformed)?;
    let algorithm = Algorithm::parse(algorithm).ok_or(TokenError::AlgorithmNotAccepted)?;
    // `x5c` and `x5t` are seen in real tokens and say nothing that the key id does not; the others name a key to trust.
    if ["crit", "b64", "jwk", "jku", "x5u", "enc", "zip"].iter().any(|name| header.contains_key(*name)) {
        return Err(TokenError::HeaderNotSupported);
    }
    if let Some(kind) = text("typ")?
        && !["jwt", "at+jwt", "application/at+jwt"].contains(&kind.to_ascii_lowercase().as_str())
    {
        return Err(TokenError::HeaderNotSupported);
    }
    let kid = text("kid")?;
    if kid.is_some_and(|kid| kid.is_empty() || kid.len() > KID_BYTES_MAX) {
        return Err(TokenError::KeyMissing);
    }
    Ok((algorithm, kid.map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str) -> String {
        format!("{}.{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode("{}"), URL_SAFE_NO_PAD.encode("sig"))
    }

    fn check(header: &str, expected: Result<(), TokenError>) {
        assert_eq!(parse(&token(header)).map(|_| ()), expected, "{header}");
    }

    #[test]
    fn headers() {
        check(r#"{"alg":"RS256","kid":"a"}"#, Ok(()));
        check(r#"{"alg":"ES256","kid":"a","typ":"JWT","x5c":"plain","x5t":"t"}"#, Ok(()));
        check(r#"{"alg":"RS256","kid":"a","typ":"at+jwt"}"#, Ok(()));
        for alg in ["none", "None", "rs256", "HS256", "RS384", "PS256", "ES384", "EdDSA", ""] {
            check(&format!(r#"{{"alg":"{alg}","kid":"a"}}"#), Err(TokenError::AlgorithmNotAccepted));
        }
        for extra in [
            r#""crit":["exp"]"#,
            r#""crit":[]"#,
            r#""b64":false"#,
            r#""jwk":{}"#,
            r#""jku":"https://evil""#,
            r#""x5u":"https://evil""#,
            r#""typ":"dpop+jwt""#,
            r#""typ":"logout+jwt""#,
            r#""typ":"secevent+jwt""#,
            r#""typ":"""#,
        ] {
            check(&format!(r#"{{"alg":"RS256","kid":"a",{extra}}}"#), Err(TokenError::HeaderNotSupported));
        }
        // Whether a token may go without is the issuer's to say.
        check(r#"{"alg":"RS256"}"#, Ok(()));
        check(r#"{"alg":"RS256","kid":""}"#, Err(TokenError::KeyMissing));
        check(&format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "k".repeat(256)), Err(TokenError::KeyMissing));
        for malformed in [
            r#"{"kid":"a"}"#,
            r#"{"alg":"RS256","kid":1}"#,
            r#"{"alg":["RS256"],"kid":"a"}"#,
            r#"{"alg":"RS256","alg":"none","kid":"a"}"#,
            r#"{"alg":"RS256","kid":"a","kid":"b"}"#,
            r#"{"alg":"RS256","kid":"a"} x"#,
            "[]",
            "",
        ] {
            check(malformed, Err(TokenError::Malformed));
        }
    }

    #[test]
    fn a_token_has_one_spelling() {
        let right = token(r#"{"alg":"RS256","kid":"a"}"#);
        assert!(parse(&right).is_ok());
        let mutations: [fn(&str) -> String; 8] = [
            |token| format!("{token}="),
            |token| format!("{token}.x"),
            |token| token.replacen('.', "=.", 1),
            |token| token.replacen('.', "..", 1),
            |token| token.rsplit_once('.').unwrap().0.to_owned(),
            |token| format!("{}.", token.rsplit_once('.').unwrap().0),
            |token| format!(" {token}"),
            // The last character carries two unused bits: `c2ln` has none, so use a shorter signature.
            |token| format!("{}.c2", token.rsplit_once('.').unwrap().0).replace("c2", "c3x"),
        ];
        for mutation in mutations {
            let wrong = mutation(&right);
            assert_eq!(parse(&wrong).map(|_| ()), Err(TokenError::Malformed), "{wrong}");
        }
    }

    #[test]
    fn size_is_bounded() {
        let long = |length: usize| format!("a.b.{}", "c".repeat(length - 4));
        assert_eq!(parse(&long(TOKEN_BYTES_MAX)).map(|_| ()), Err(TokenError::Malformed));
        assert_eq!(parse(&long(TOKEN_BYTES_MAX + 1)).map(|_| ()), Err(TokenError::TooLarge));
    }
}
