//! The compact form of a JWT (RFC 7515, RFC 7519), read strictly.
//!
//! Refuses what `jsonwebtoken` lets pass: `crit`, foreign `typ`, keys inside the header, base64url with padding or
//! stray bits, members named twice.

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
    if signature.is_empty() {
        return Err(TokenError::Malformed);
    }
    let header = decode(header)?;
    let header = json::parse_object(&header).map_err(|_| TokenError::Malformed)?;
    let (algorithm, kid) = read_header(&header)?;
    Ok(UnverifiedJwt { algorithm, kid, payload: decode(payload)?, signing_input, signature: decode(signature)? })
}

/// Canonical base64url only (RFC 4648 section 5): no padding, no `+` and `/`, no stray bits, so that a token has one
/// spelling.
fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    let (groups, rest) = part.as_bytes().as_chunks::<4>();
    let rest = match rest {
        [] => &[][..],
        [a, b] => &[*a, *b, b'A', b'A'],
        [a, b, c] => &[*a, *b, *c, b'A'],
        _ => return Err(TokenError::Malformed),
    };
    let mut bytes = vec![0; groups.len() * 3];
    let mut wrong = 0;
    for (group, three) in groups.iter().zip(bytes.as_chunks_mut::<3>().0) {
        let bits = value_of(group);
        wrong |= bits;
        let [_, first, second, third] = bits.to_be_bytes();
        *three = [first, second, third];
    }
    if let [a, b, c, d] = rest {
        let bits = value_of(&[*a, *b, *c, *d]);
        wrong |= bits;
        let [_, first, second, third] = bits.to_be_bytes();
        bytes.push(first);
        let stray = if part.len() % 4 == 3 {
            bytes.push(second);
            third
        } else {
            second | third
        };
        if stray != 0 {
            return Err(TokenError::Malformed);
        }
    }
    if wrong & NO_CHARACTER == 0 { Ok(bytes) } else { Err(TokenError::Malformed) }
}

/// Marks a character outside the alphabet.
const NO_CHARACTER: u32 = 1 << 24;

/// The 24 bits of four characters.
fn value_of([a, b, c, d]: &[u8; 4]) -> u32 {
    let value = |byte: &u8| VALUES.get(usize::from(*byte)).copied().unwrap_or(NO_CHARACTER);
    let (a, b, c, d) = (value(a), value(b), value(c), value(d));
    (a | b | c | d) & NO_CHARACTER | (a & 63) << 18 | (b & 63) << 12 | (c & 63) << 6 | (d & 63)
}

const VALUES: [u32; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut values = [NO_CHARACTER; 256];
    let mut value = 0;
    while value < alphabet.len() {
        #[expect(clippy::indexing_slicing, reason = "while compiling")]
        {
            values[alphabet[value] as usize] = value as u32;
        }
        value += 1;
    }
    values
};

fn read_header(header: &Object) -> Result<(Algorithm, Option<String>), TokenError> {
    let text = |name: &str| header.get(name).map(|value| value.as_str().ok_or(TokenError::Malformed)).transpose();
    let algorithm = text("alg")?.ok_or(TokenError::Malformed)?;
    let algorithm = Algorithm::parse(algorithm).ok_or(TokenError::AlgorithmNotAccepted)?;
    // `x5c` and `x5t` are seen in real tokens and say nothing that the key id does not; the others name a key to trust.
    if ["crit", "b64", "jwk", "jku", "x5u", "enc", "zip"].iter().any(|name| header.contains_key(name)) {
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
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    #[test]
    fn base64url_has_one_spelling() {
        let mut bytes = Vec::new();
        for number in 0..600_u32 {
            let text = URL_SAFE_NO_PAD.encode(&bytes);
            assert_eq!(decode(&text).as_ref(), Ok(&bytes));
            bytes.push((number * 167) as u8);
        }
        // Every text of up to three characters, some of them outside the alphabet, is what another decoder says it is.
        let characters = b"AQgwx09-_+/=. \n@[`{\x7f";
        let texts = |length: u32| (0..characters.len().pow(length)).map(move |number| (number, length));
        for (number, length) in (0..=3).flat_map(texts).chain(texts(5).step_by(37)) {
            let character =
                |place: u32| char::from(characters[number / characters.len().pow(place) % characters.len()]);
            let text: String = (0..length).map(character).collect();
            assert_eq!(decode(&text).ok(), URL_SAFE_NO_PAD.decode(&text).ok(), "{text:?}");
        }
        assert_eq!(decode("AAA\u{e5}").ok(), None);
    }

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
        // Whether a token may have these is the issuer's to say.
        check(r#"{"alg":"PS256","kid":"a"}"#, Ok(()));
        check(r#"{"alg":"EdDSA","kid":"a"}"#, Ok(()));
        for alg in ["none", "None", "rs256", "HS256", "RS384", "PS384", "ES384", "EDDSA", "Ed25519", ""] {
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
