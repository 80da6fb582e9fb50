//! Tokens for cases: a base, changed, signed, tampered with.

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policies::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Tampering, TokenSpec, folder, keys};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Base {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    key: String,
}

/// The token at an instant.
pub fn mint(spec: &TokenSpec, now: Timestamp) -> Result<String> {
    let path = folder().join("tokens").join(format!("{}.json", spec.base));
    let text = std::fs::read_to_string(&path).with_context(|| format!("there is no token {}", path.display()))?;
    let mut base: Base = serde_json::from_str(&text)?;
    let key_name = spec.key.as_deref().unwrap_or(&base.key);
    let key = keys::key(key_name)?;
    base.header.insert("alg".to_owned(), key.algorithm().into());
    base.header.insert("kid".to_owned(), key_name.into());
    merge(&mut base.header, &spec.header);
    merge(&mut base.claims, &spec.claims);
    if let Some(bytes) = spec.fill_bytes {
        base.claims.insert("fill".to_owned(), "x".repeat(bytes).into());
    }
    let mut claims = Value::Object(base.claims);
    set_instants(&mut claims, now);
    let mut claims = spec.raw_claims.clone().unwrap_or_else(|| claims.to_string());
    for (from, to) in &spec.edit_claims {
        ensure!(claims.contains(from), "the claims have no `{from}`: {claims}");
        claims = claims.replacen(from, to, 1);
    }
    let header = spec.raw_header.clone().unwrap_or_else(|| Value::Object(base.header).to_string());
    let header = URL_SAFE_NO_PAD.encode(header);
    let signing_input = format!("{header}.{}", URL_SAFE_NO_PAD.encode(&claims));
    let signature = match spec.sign_with {
        None => key.sign(signing_input.as_bytes()),
        Some(algorithm) => key.sign_with(algorithm, signing_input.as_bytes())?,
    };
    Ok(tamper(spec.then, &header, &claims, signing_input, signature))
}

/// Order of the group of P-256 (FIPS 186-5).
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7,
    0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

fn tamper(how: Option<Tampering>, header: &str, claims: &str, signing_input: String, signature: Vec<u8>) -> String {
    let plain = format!("{signing_input}.{}", URL_SAFE_NO_PAD.encode(&signature));
    let with = |signature: &[u8]| format!("{signing_input}.{}", URL_SAFE_NO_PAD.encode(signature));
    // `r` and `s` of ES256, 32 bytes each (RFC 7518 section 3.4).
    let (r, s) = signature.split_at(signature.len() / 2);
    match how {
        None => plain,
        Some(Tampering::FlipSignature) => {
            let mut flipped = signature.clone();
            if let Some(last) = flipped.last_mut() {
                *last ^= 1;
            }
            with(&flipped)
        }
        Some(Tampering::ZeroSignature) => with(&vec![0; signature.len()]),
        Some(Tampering::EmptySignature) => format!("{signing_input}."),
        Some(Tampering::DerSignature) => with(&policies::token::es256_der(&signature).unwrap_or_default()),
        Some(Tampering::ChangeClaims) => {
            let changed = claims.replacen('{', r#"{"changed":true,"#, 1);
            format!("{header}.{}.{}", URL_SAFE_NO_PAD.encode(changed), URL_SAFE_NO_PAD.encode(&signature))
        }
        Some(Tampering::Pad) => format!("{plain}="),
        Some(Tampering::StrayBits) => stray_bits(&plain),
        Some(Tampering::ZeroR) => with(&[&[0; 32][..], s].concat()),
        Some(Tampering::ZeroS) => with(&[r, &[0; 32][..]].concat()),
        Some(Tampering::OrderR) => with(&[&P256_ORDER[..], s].concat()),
        Some(Tampering::ShortSignature) => with(signature.split_last().map_or(&[], |(_, rest)| rest)),
        Some(Tampering::LongSignature) => with(&[&signature[..], &[1]].concat()),
        Some(Tampering::PlainAlphabet) => {
            format!("{signing_input}.{}+/", URL_SAFE_NO_PAD.encode(&signature).replace('-', "+").replace('_', "/"))
        }
        Some(Tampering::TwoParts) => signing_input,
        Some(Tampering::FiveParts) => format!("{plain}.{0}.{0}", URL_SAFE_NO_PAD.encode("more")),
        Some(Tampering::FourthPart) => format!("{plain}.{}", URL_SAFE_NO_PAD.encode("more")),
        Some(Tampering::Twice) => format!("{plain},Bearer {plain}"),
    }
}

/// The next letter of the alphabet in the last place: 256 and 64 bytes both leave bits over there.
fn stray_bits(token: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut characters: Vec<char> = token.chars().collect();
    if let Some(last) = characters.last_mut() {
        let next = ALPHABET.chars().skip_while(|letter| letter != last).nth(1);
        *last = next.unwrap_or('B');
    }
    characters.into_iter().collect()
}

fn merge(into: &mut Map<String, Value>, changes: &Map<String, Value>) {
    for (name, value) in changes {
        if value.is_null() {
            into.remove(name);
        } else {
            into.insert(name.clone(), value.clone());
        }
    }
}

/// Replaces every `{"now": seconds}`.
fn set_instants(value: &mut Value, now: Timestamp) {
    if let Some(seconds) = value.as_object().filter(|object| object.len() == 1).and_then(|object| object.get("now")) {
        *value = match seconds.as_i64() {
            Some(whole) => json!(now.unix_seconds() + whole),
            None => json!(now.unix_seconds() as f64 + seconds.as_f64().unwrap_or(0.0)),
        };
        return;
    }
    match value {
        Value::Object(members) => members.values_mut().for_each(|member| set_instants(member, now)),
        Value::Array(items) => items.iter_mut().for_each(|item| set_instants(item, now)),
        _ => {}
    }
}
