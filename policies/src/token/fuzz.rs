//! Damaged tokens: refused or read, never a panic and never without an end. The numbers are the same in every run.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{IssuerKind, SignatureError, TrustedIssuer, VerificationKey, VerifySignature, verify};
use crate::Timestamp;

/// Takes every signature for good, so that what comes behind it is read, too.
struct Believing;

impl VerifySignature for Believing {
    fn verify(&self, _: &VerificationKey, _: &[u8], _: &[u8]) -> Result<(), SignatureError> {
        Ok(())
    }
}

/// Numbers that look random (xorshift).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    /// The text with a few bytes changed, cut out, doubled or taken from a list of troublesome ones.
    pub(crate) fn damaged(&mut self, text: &[u8]) -> Vec<u8> {
        const TROUBLE: [&[u8]; 9] = [b"\"", b"{", b"[", b"]}", b"\\ud800", b"1e999", b"-", b"null", b"\xff"];
        let mut damaged = text.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(damaged.len().max(1)).min(damaged.len());
            let end = (at + self.below(12)).min(damaged.len());
            match self.below(4) {
                0 => drop(damaged.drain(at..end)),
                1 => {
                    let part = damaged[at..end].to_vec();
                    damaged.splice(at..at, part);
                }
                2 => drop(damaged.splice(at..end, TROUBLE[self.below(TROUBLE.len())].iter().copied())),
                _ => damaged[at..end].iter_mut().for_each(|byte| *byte ^= 1 << self.below(8)),
            }
        }
        damaged
    }
}

const NOW: i64 = 1_795_348_800;

/// A public key for each number.
pub(super) fn key(number: u8) -> VerificationKey {
    let point = p256::ecdsa::SigningKey::from_slice(&[number; 32]).unwrap().verifying_key().to_encoded_point(false);
    let (x, y) = (URL_SAFE_NO_PAD.encode(point.x().unwrap()), URL_SAFE_NO_PAD.encode(point.y().unwrap()));
    let key = serde_json::json!({"kty": "EC", "crv": "P-256", "kid": "k", "x": x, "y": y});
    VerificationKey::from_jwk(&key).unwrap()
}

fn issuers() -> Vec<TrustedIssuer> {
    let issuer = |issuer: &str, kind| TrustedIssuer {
        issuer: issuer.to_owned(),
        kind,
        keys: vec![key(7)],
        authentication_level: 3,
        rules: super::IssuerRules::default(),
    };
    vec![
        issuer("https://maskinporten.example/", IssuerKind::Maskinporten),
        issuer("https://altinn.example/", IssuerKind::Altinn),
    ]
}

/// A token that stands for 120 s if its signature is believed, with who may have signed it and the instant.
pub(super) fn token() -> (String, Vec<TrustedIssuer>, Timestamp) {
    let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
    let claims = format!(r#"{{"iss":"https://altinn.example/","exp":{},"urn:altinn:userid":1}}"#, NOW + 120);
    let header = encode(br#"{"alg":"ES256","kid":"k"}"#);
    let token = format!("{header}.{}.{}", encode(claims.as_bytes()), encode(&[1; 64]));
    (token, issuers(), Timestamp::from_unix_seconds(NOW))
}

/// A token that was accepted.
pub(super) fn verified() -> super::VerifiedToken {
    let (token, issuers, now) = token();
    verify(&token, &issuers, now, &Believing).unwrap()
}

#[test]
fn damaged_tokens_are_refused_or_read() {
    let header = br#"{"alg":"ES256","kid":"k","typ":"JWT"}"#;
    let raw = format!(
        r#"{{"iss":"https://maskinporten.example/","exp":{},"iat":{NOW},"client_id":"a","scope":"b c","consumer":{{"authority":"iso6523-actorid-upis","ID":"0192:310247030"}},"authorization_details":[{{"type":"urn:altinn:systemuser","systemuser_org":{{"authority":"iso6523-actorid-upis","ID":"0192:310247049"}},"systemuser_id":["f950ddae-06c3-4b57-b940-702417a90df0"],"system_id":"310247030_smartcloud"}}]}}"#,
        NOW + 120
    );
    let person = format!(
        r#"{{"iss":"https://altinn.example/","exp":{},"urn:altinn:userid":20000001,"urn:altinn:partyid":50000001,"urn:altinn:authlevel":3,"aud":["x"]}}"#,
        NOW + 120
    );
    let (issuers, now) = (issuers(), Timestamp::from_unix_seconds(NOW));
    let read = |header: &[u8], claims: &[u8]| {
        let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
        format!("{}.{}.{}", encode(header), encode(claims), encode(&[1; 64]))
    };
    assert!(verify(&read(header, raw.as_bytes()), &issuers, now, &Believing).is_ok());
    assert!(verify(&read(header, person.as_bytes()), &issuers, now, &Believing).is_ok());
    let mut numbers = Numbers(0x00c0_ffee);
    let (mut refused, mut accepted) = (0, 0);
    for round in 0..20_000 {
        let claims = if round % 2 == 0 { raw.as_bytes() } else { person.as_bytes() };
        let token = match round % 5 {
            0 => read(&numbers.damaged(header), claims),
            1 => {
                let whole = numbers.damaged(read(header, claims).as_bytes());
                String::from_utf8_lossy(&whole).into_owned()
            }
            _ => read(header, &numbers.damaged(claims)),
        };
        match verify(&token, &issuers, now, &Believing) {
            Ok(_) => accepted += 1,
            Err(_) => refused += 1,
        }
    }
    // Text can change into other text, form cannot.
    assert!(refused > 10_000 && accepted > 100, "{refused} refused, {accepted} read");
}
