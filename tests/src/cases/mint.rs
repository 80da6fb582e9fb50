//! Tokens for cases: a base, changed, signed, tampered with.

use anyhow::{Context as _, Result};
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
    let mut claims = Value::Object(base.claims);
    set_instants(&mut claims, now);
    let claims = spec.raw_claims.clone().unwrap_or_else(|| claims.to_string());
    let header = URL_SAFE_NO_PAD.encode(Value::Object(base.header).to_string());
    let signing_input = format!("{header}.{}", URL_SAFE_NO_PAD.encode(&claims));
    let signature = key.sign(signing_input.as_bytes());
    Ok(tamper(spec.then, &header, &claims, signing_input, signature))
}

fn tamper(how: Option<Tampering>, header: &str, claims: &str, signing_input: String, mut signature: Vec<u8>) -> String {
    let plain = format!("{signing_input}.{}", URL_SAFE_NO_PAD.encode(&signature));
    match how {
        None => plain,
        Some(Tampering::FlipSignature) => {
            if let Some(last) = signature.last_mut() {
                *last ^= 1;
            }
            format!("{signing_input}.{}", URL_SAFE_NO_PAD.encode(&signature))
        }
        Some(Tampering::ZeroSignature) => {
            format!("{signing_input}.{}", URL_SAFE_NO_PAD.encode(vec![0; signature.len()]))
        }
        Some(Tampering::EmptySignature) => format!("{signing_input}."),
        Some(Tampering::DerSignature) => {
            let der = policies::token::es256_der(&signature).unwrap_or_default();
            format!("{signing_input}.{}", URL_SAFE_NO_PAD.encode(der))
        }
        Some(Tampering::ChangeClaims) => {
            let changed = claims.replacen('{', r#"{"changed":true,"#, 1);
            format!("{header}.{}.{}", URL_SAFE_NO_PAD.encode(changed), URL_SAFE_NO_PAD.encode(&signature))
        }
        Some(Tampering::Pad) => format!("{plain}="),
        Some(Tampering::StrayBits) => stray_bits(&plain),
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
        *value = json!(now.unix_seconds() + seconds.as_i64().unwrap_or(0));
        return;
    }
    match value {
        Value::Object(members) => members.values_mut().for_each(|member| set_instants(member, now)),
        Value::Array(items) => items.iter_mut().for_each(|item| set_instants(item, now)),
        _ => {}
    }
}
