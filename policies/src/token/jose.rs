//! The compact form of a JWT (RFC 7515, RFC 7519), read strictly.
//!
//! Refuses what `jsonwebtoken` lets pass: `crit`, foreign `typ`, keys inside the header, base64url with padding or
//! stray bits, members named twice.

use std::cell::RefCell;
use std::sync::Arc;

use super::cache::is_same;
use super::{Algorithm, TOKEN_BYTES_MAX, TokenError};
use crate::json::{Document, Members};

/// Longest key id that is looked up, in bytes.
const KID_BYTES_MAX: usize = 255;

/// A token's parts; nothing in it has been verified.
#[derive(Debug)]
pub(super) struct UnverifiedJwt<'token> {
    pub(super) header: Arc<JoseHeader>,
    pub(super) signing_input: &'token [u8],
    pub(super) decoded: Decoded,
}

/// What was decoded of a token, in room that one leaves to the next.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    pub(super) payload: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

/// A header that was read.
#[derive(Debug)]
pub(super) struct JoseHeader {
    /// As the token has it.
    encoded: Box<[u8]>,
    pub(super) algorithm: Algorithm,
    /// `None` where the header has none.
    pub(super) kid: Option<String>,
}

/// How many headers are remembered.
const KNOWN_HEADERS: usize = 8;

/// Headers of tokens that were accepted. What a header says depends on its text alone, and an issuer writes few.
#[derive(Debug, Default)]
pub(crate) struct KnownHeaders(RefCell<Vec<Arc<JoseHeader>>>);

impl KnownHeaders {
    fn find(&self, encoded: &[u8]) -> Option<Arc<JoseHeader>> {
        self.0.borrow().iter().find(|known| is_same(&known.encoded, encoded)).cloned()
    }

    /// Remembers the header of a token that was accepted; the one that has been remembered longest goes.
    pub(super) fn remember(&self, header: &Arc<JoseHeader>) {
        let mut known = self.0.borrow_mut();
        if known.iter().any(|known| Arc::ptr_eq(known, header)) {
            return;
        }
        if known.len() >= KNOWN_HEADERS {
            known.remove(0);
        }
        known.push(Arc::clone(header));
    }
}

pub(super) fn parse<'token>(
    token: &'token [u8],
    known: &KnownHeaders,
    mut decoded: Decoded,
) -> Result<UnverifiedJwt<'token>, TokenError> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(TokenError::TooLarge);
    }
    let (header, rest) = split_at_dot(token).ok_or(TokenError::Malformed)?;
    let (payload, signature) = split_at_dot(rest).ok_or(TokenError::Malformed)?;
    let signing_input = token.get(..header.len() + 1 + payload.len()).ok_or(TokenError::Malformed)?;
    if signature.is_empty() {
        return Err(TokenError::Malformed);
    }
    let header = match known.find(header) {
        Some(known) => known,
        None => Arc::new(read_header(header)?),
    };
    decode(payload, &mut decoded.payload)?;
    decode(signature, &mut decoded.signature)?;
    Ok(UnverifiedJwt { header, signing_input, decoded })
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
/// spelling. Replaces what is in `bytes`.
fn decode(part: &[u8], bytes: &mut Vec<u8>) -> Result<(), TokenError> {
    let (blocks, rest) = part.as_chunks::<16>();
    let mut last = [b'A'; 16];
    for (last, character) in last.iter_mut().zip(rest) {
        *last = *character;
    }
    bytes.clear();
    bytes.resize((blocks.len() + 1) * 12, 0);
    let (decoded, _) = bytes.as_chunks_mut::<12>();
    let mut seen = 0;
    for (block, decoded) in blocks.iter().zip(&mut *decoded) {
        seen |= decode_block(block, decoded);
    }
    if let Some(decoded) = decoded.last_mut() {
        seen |= decode_block(&last, decoded);
    }
    if seen & NO_CHARACTER != 0 || part.len() % 4 == 1 {
        return Err(TokenError::Malformed);
    }
    let length = part.len() * 3 / 4;
    if bytes.iter().skip(length).any(|stray| *stray != 0) {
        return Err(TokenError::Malformed);
    }
    bytes.truncate(length);
    Ok(())
}

/// Four groups of four characters are three words. The result has the mark when a character is outside the alphabet.
fn decode_block(characters: &[u8; 16], bytes: &mut [u8; 12]) -> u32 {
    let (groups, _) = characters.as_chunks::<4>();
    let bits = |place: usize, character: u8| BITS.get(place).and_then(|of| of.get(usize::from(character)));
    let group = |group: &[u8; 4]| {
        let [a, b, c, d] = *group;
        [(0, a), (1, b), (2, c), (3, d)]
            .into_iter()
            .fold(0, |all, (place, character)| all | bits(place, character).copied().unwrap_or(NO_CHARACTER))
    };
    let [a, b, c, d] = [0, 1, 2, 3].map(|place| groups.get(place).map_or(NO_CHARACTER, group));
    let words = [a | b << 24, b >> 8 | c << 16, c >> 16 | d << 8];
    for (bytes, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *bytes = word.to_le_bytes();
    }
    a | b | c | d
}

/// Marks a character outside the alphabet.
const NO_CHARACTER: u32 = 0xff00_0000;

/// What each character brings to the three bytes of a group, the first of them lowest, at each of its four places.
static BITS: [[u32; 256]; 4] = [bits_at(0), bits_at(1), bits_at(2), bits_at(3)];

#[expect(clippy::indexing_slicing, reason = "the compiler runs it")]
const fn bits_at(place: u32) -> [u32; 256] {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bits = [NO_CHARACTER; 256];
    let mut value = 0;
    while value < ALPHABET.len() {
        let group = (value as u32) << (18 - 6 * place);
        bits[ALPHABET[value] as usize] = group >> 16 | group & 0xff00 | (group & 0xff) << 16;
        value += 1;
    }
    bits
}

fn read_header(encoded: &[u8]) -> Result<JoseHeader, TokenError> {
    let mut header = Vec::new();
    decode(encoded, &mut header)?;
    let header = Document::parse(&header).map_err(|_| TokenError::Malformed)?;
    let (algorithm, kid) = read_members(header.members())?;
    Ok(JoseHeader { encoded: encoded.into(), algorithm, kid })
}

fn read_members(header: Members<'_>) -> Result<(Algorithm, Option<String>), TokenError> {
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

    fn decode(part: &[u8]) -> Result<Vec<u8>, TokenError> {
        // Longer than most, and not empty.
        let mut bytes = vec![7; 99];
        super::decode(part, &mut bytes).map(|()| bytes)
    }

    fn parse(token: &str) -> Result<(), TokenError> {
        super::parse(token.as_bytes(), &KnownHeaders::default(), Decoded::default()).map(|_| ())
    }

    #[test]
    fn base64url_has_one_spelling() {
        let mut bytes = Vec::new();
        for number in 0..600_u32 {
            let text = URL_SAFE_NO_PAD.encode(&bytes);
            assert_eq!(decode(text.as_bytes()).as_ref(), Ok(&bytes));
            bytes.push((number * 167) as u8);
        }
        // Every text of up to three characters, some of them outside the alphabet, is what another decoder says it is.
        let characters = b"AQgwx09-_+/=. \n@[`{\x7f";
        let texts = |length: u32| (0..characters.len().pow(length)).map(move |number| (number, length));
        for (number, length) in (0..=3).flat_map(texts).chain(texts(5).step_by(37)) {
            let character =
                |place: u32| char::from(characters[number / characters.len().pow(place) % characters.len()]);
            let text: String = (0..length).map(character).collect();
            assert_eq!(decode(text.as_bytes()).ok(), URL_SAFE_NO_PAD.decode(&text).ok(), "{text:?}");
        }
        let text = URL_SAFE_NO_PAD.encode([0x5a; 30]);
        for at in 0..text.len() {
            for byte in 0..=255 {
                let mut changed = text.clone().into_bytes();
                changed[at] = byte;
                assert_eq!(decode(&changed).ok(), URL_SAFE_NO_PAD.decode(&changed).ok(), "{changed:?}");
            }
        }
        assert_eq!(decode("AAA\u{e5}".as_bytes()).ok(), None);
    }

    fn token(header: &str) -> String {
        format!("{}.{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode("{}"), URL_SAFE_NO_PAD.encode("sig"))
    }

    fn check(header: &str, expected: Result<(), TokenError>) {
        assert_eq!(parse(&token(header)), expected, "{header}");
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
    fn a_few_headers_are_remembered_and_say_what_they_said() {
        let known = KnownHeaders::default();
        let parse =
            |header: &str| super::parse(token(header).as_bytes(), &known, Decoded::default()).map(|jwt| jwt.header);
        let header = |number: usize| format!(r#"{{"alg":"RS256","kid":"{number}"}}"#);
        let first = parse(&header(0)).unwrap();
        assert!(!Arc::ptr_eq(&first, &parse(&header(0)).unwrap()), "only where the token was accepted");
        for number in 0..KNOWN_HEADERS {
            for _ in 0..2 {
                known.remember(&parse(&header(number)).unwrap());
            }
            assert_eq!(known.0.borrow().len(), number + 1);
        }
        let again = parse(&header(0)).unwrap();
        assert_eq!((again.algorithm, again.kid.as_deref()), (Algorithm::Rs256, Some("0")));
        assert!(Arc::ptr_eq(&again, &parse(&header(0)).unwrap()));
        known.remember(&first);
        assert_eq!(known.0.borrow().len(), KNOWN_HEADERS);
        assert!(Arc::ptr_eq(&first, &parse(&header(0)).unwrap()), "the one before has gone");
        let other = parse(&header(KNOWN_HEADERS)).unwrap();
        assert_eq!(other.kid, Some(KNOWN_HEADERS.to_string()));
        assert!(parse(&header(0).replace("RS256", "none")).is_err());
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
            assert_eq!(parse(&wrong), Err(TokenError::Malformed), "{wrong}");
        }
    }

    #[test]
    fn size_is_bounded() {
        let long = |length: usize| format!("a.b.{}", "c".repeat(length - 4));
        assert_eq!(parse(&long(TOKEN_BYTES_MAX)), Err(TokenError::Malformed));
        assert_eq!(parse(&long(TOKEN_BYTES_MAX + 1)), Err(TokenError::TooLarge));
    }
}
