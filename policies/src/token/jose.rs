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
    pub(super) signing_input: &'token [u8],
    pub(super) signature: Vec<u8>,
}

pub(super) fn parse(token: &[u8]) -> Result<UnverifiedJwt<'_>, TokenError> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(TokenError::TooLarge);
    }
    let (header, rest) = split_at_dot(token).ok_or(TokenError::Malformed)?;
    let (payload, signature) = split_at_dot(rest).ok_or(TokenError::Malformed)?;
    let signing_input = token.get(..header.len() + 1 + payload.len()).ok_or(TokenError::Malformed)?;
    if signature.is_empty() {
        return Err(TokenError::Malformed);
    }
    let mut values = Vec::with_capacity(payload.len().max(signature.len()));
    let header = decode(header, &mut values)?;
    let header = json::parse_object(&header).map_err(|_| TokenError::Malformed)?;
    let (algorithm, kid) = read_header(&header)?;
    let (payload, signature) = (decode(payload, &mut values)?, decode(signature, &mut values)?);
    Ok(UnverifiedJwt { algorithm, kid, payload, signing_input, signature })
}

/// What comes before the first dot, and what comes behind it.
fn split_at_dot(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (blocks, _) = text.as_chunks::<16>();
    // Many at a time; which of them it is only where there is one.
    let none = blocks.iter().take_while(|block| !block.iter().fold(false, |dot, byte| dot | (*byte == b'.'))).count();
    let start = none * 16;
    let dot = start + text.get(start..)?.iter().position(|byte| *byte == b'.')?;
    Some((text.get(..dot)?, text.get(dot + 1..)?))
}

/// Canonical base64url only (RFC 4648 section 5): no padding, no `+` and `/`, no stray bits, so that a token has one
/// spelling. `values` is room to work in. Step by step, so that the compiler takes many characters at a time.
fn decode(part: &[u8], values: &mut Vec<u8>) -> Result<Vec<u8>, TokenError> {
    values.clear();
    values.extend_from_slice(part);
    values.resize(part.len().next_multiple_of(16), b'A');
    let mut seen = [0; 16];
    for block in values.as_chunks_mut::<16>().0 {
        for (value, seen) in block.iter_mut().zip(&mut seen) {
            *value = value_of(*value);
            *seen |= *value;
        }
    }
    if seen.iter().any(|seen| seen & NO_CHARACTER != 0) || part.len() % 4 == 1 {
        return Err(TokenError::Malformed);
    }
    let groups = values.as_chunks_mut::<4>().0;
    for group in &mut *groups {
        *group = packed(u32::from_le_bytes(*group)).to_le_bytes();
    }
    let mut bytes = vec![0; groups.len() * 3];
    // Four groups of three bytes are three words.
    for (four, three) in groups.as_chunks::<4>().0.iter().zip(bytes.as_chunks_mut::<4>().0.as_chunks_mut::<3>().0) {
        let [a, b, c, d] = four.map(u32::from_le_bytes);
        *three = [a | b << 24, b >> 8 | c << 16, c >> 16 | d << 8].map(u32::to_le_bytes);
    }
    let length = part.len() * 3 / 4;
    if bytes.iter().skip(length).any(|stray| *stray != 0) {
        return Err(TokenError::Malformed);
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// Marks a character outside the alphabet.
const NO_CHARACTER: u8 = 0x80;

/// A character's six bits, or the mark.
fn value_of(character: u8) -> u8 {
    let choose = |value: u8, first: u8, count: u8, start: u8| {
        let place = character.wrapping_sub(first);
        if place < count { place.wrapping_add(start) } else { value }
    };
    let value = choose(NO_CHARACTER, b'A', 26, 0);
    let value = choose(value, b'a', 26, 26);
    let value = choose(value, b'0', 10, 52);
    let value = choose(value, b'-', 1, 62);
    choose(value, b'_', 1, 63)
}

/// Three bytes from the bits of four characters, the first of each lowest.
fn packed(values: u32) -> u32 {
    let first = values << 2 & 0xfc | values >> 12 & 0x03;
    let second = values << 4 & 0xf000 | values >> 10 & 0x0f00;
    let third = values << 6 & 0x00c0_0000 | values >> 8 & 0x003f_0000;
    first | second | third
}

fn read_header(header: &Object) -> Result<(Algorithm, Option<String>), TokenError> {
    let text = |name: &str| header.get(name).map(|value| value.as_str().ok_or(TokenError::Malformed)).transpose();
    let algorithm = text("alg")?.ok_or(TokenError::Malformed)?;
    let algorithm = Algorithm::parse(algorithm).ok_or(TokenError::AlgorithmNotAccepted)?;
    // `x5c` and `x5t` are seen in real tokens and say nothing that the key id does not; the others name a key to trust.
    if ["crit", "b64", "jwk", "jku", "x5u", "enc", "zip"].iter().any(|name| header.contains_key(name)) {
        return Err(TokenError::HeaderNotSupported);
    }
    if let Some(kind) = text("typ")?
        && !["jwt", "at+jwt", "application/at+jwt"].iter().any(|known| kind.eq_ignore_ascii_case(known))
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
        let (mut bytes, mut values) = (Vec::new(), Vec::new());
        for number in 0..600_u32 {
            let text = URL_SAFE_NO_PAD.encode(&bytes);
            assert_eq!(decode(text.as_bytes(), &mut values).as_ref(), Ok(&bytes));
            bytes.push((number * 167) as u8);
        }
        // Every text of up to three characters, some of them outside the alphabet, is what another decoder says it is.
        let characters = b"AQgwx09-_+/=. \n@[`{\x7f";
        let texts = |length: u32| (0..characters.len().pow(length)).map(move |number| (number, length));
        for (number, length) in (0..=3).flat_map(texts).chain(texts(5).step_by(37)) {
            let character =
                |place: u32| char::from(characters[number / characters.len().pow(place) % characters.len()]);
            let text: String = (0..length).map(character).collect();
            assert_eq!(decode(text.as_bytes(), &mut values).ok(), URL_SAFE_NO_PAD.decode(&text).ok(), "{text:?}");
        }
        let text = URL_SAFE_NO_PAD.encode([0x5a; 30]);
        for at in 0..text.len() {
            for byte in 0..=255 {
                let mut changed = text.clone().into_bytes();
                changed[at] = byte;
                assert_eq!(decode(&changed, &mut values).ok(), URL_SAFE_NO_PAD.decode(&changed).ok(), "{changed:?}");
            }
        }
        assert_eq!(decode("AAA\u{e5}".as_bytes(), &mut values).ok(), None);
    }

    fn token(header: &str) -> String {
        format!("{}.{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode("{}"), URL_SAFE_NO_PAD.encode("sig"))
    }

    fn check(header: &str, expected: Result<(), TokenError>) {
        assert_eq!(parse(token(header).as_bytes()).map(|_| ()), expected, "{header}");
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
        assert!(parse(right.as_bytes()).is_ok());
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
            assert_eq!(parse(wrong.as_bytes()).map(|_| ()), Err(TokenError::Malformed), "{wrong}");
        }
    }

    #[test]
    fn size_is_bounded() {
        let long = |length: usize| format!("a.b.{}", "c".repeat(length - 4));
        assert_eq!(parse(long(TOKEN_BYTES_MAX).as_bytes()).map(|_| ()), Err(TokenError::Malformed));
        assert_eq!(parse(long(TOKEN_BYTES_MAX + 1).as_bytes()).map(|_| ()), Err(TokenError::TooLarge));
    }
}
