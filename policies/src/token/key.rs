//! Public keys that may verify: RSA of 2048 to 4096 bits for RS256, or PS256 where the key says so; P-256 for ES256;
//! Ed25519 for EdDSA; nothing else.
//!
//! A key's algorithm is the key's property. A token that names another is refused, whatever it says.

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use ed25519_dalek::VerifyingKey as Ed25519Key;
use p256::ecdsa::signature::Verifier;
use p256::pkcs8::{DecodePublicKey, EncodePublicKey};
use rsa::BigUint;
use rsa::pkcs1::{DecodeRsaPublicKey, EncodeRsaPublicKey};
use rsa::pkcs8::der::{Decode, Encode, asn1::BitStringRef};
use rsa::pkcs8::{AlgorithmIdentifierRef, ObjectIdentifier, SubjectPublicKeyInfoRef};
use rsa::traits::PublicKeyParts;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::sync::Arc;

use super::Algorithm;

/// Shortest RSA modulus, in bits.
const RSA_BITS_MIN: usize = 2048;
/// Longest RSA modulus, in bits; beyond it verification costs a worker too much.
const RSA_BITS_MAX: usize = 4096;

/// First byte of an uncompressed point (SEC 1 section 2.3.3).
const SEC1_UNCOMPRESSED: u8 = 4;
/// An RSA key that is for PSS alone (RFC 4055 section 1.2).
const ID_RSASSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
/// How the SubjectPublicKeyInfo of every Ed25519 key begins (RFC 8410 section 4); its 32 bytes follow.
const ED25519_SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Why a key may not verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a JWK (RFC 7517) or SPKI of a known form, or its numbers are not base64.
    #[error("the key is malformed")]
    Malformed,
    /// No `kid`; tokens pick keys by it.
    #[error("the key has no `kid`")]
    NoKid,
    /// `kty`, `crv` or `alg` is not one that is accepted.
    #[error("the key is neither RSA for RS256 or PS256, nor P-256 for ES256, nor Ed25519 for EdDSA")]
    NotAccepted,
    /// `use` or `key_ops` does not allow verification.
    #[error("the key is not for verifying signatures")]
    NotForSignatures,
    /// RSA outside 2048 to 4096 bits, or a public exponent that is even or below 65537; Ed25519 of small order.
    #[error(
        "an RSA key must have 2048 to 4096 bits and an odd exponent of at least 65537; an Ed25519 key a large order"
    )]
    Strength,
}

impl KeyError {
    /// Stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Malformed => "key_malformed",
            Self::NoKid => "key_without_kid",
            Self::NotAccepted => "key_not_accepted",
            Self::NotForSignatures => "key_not_for_signatures",
            Self::Strength => "key_strength",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Numbers {
    Rsa(rsa::RsaPublicKey),
    RsaPss(rsa::RsaPublicKey),
    P256(p256::PublicKey),
    Ed25519(Ed25519Key),
}

/// A public key with its id. Copies share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerificationKey(Arc<Key>);

#[derive(Debug, PartialEq, Eq)]
struct Key {
    kid: String,
    // Invariant: passed `check_rsa`, is a point on P-256, or one of Ed25519 of large order.
    numbers: Numbers,
    spki_der: Vec<u8>,
}

impl VerificationKey {
    /// Reads a JWK and refuses one that may not verify a signature here.
    ///
    /// `n` and `e` are also read in plain base64, because Altinn's key set is published so.
    pub fn from_jwk(jwk: &Value) -> Result<Self, KeyError> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let kid = text("kid").filter(|kid| !kid.is_empty()).ok_or(KeyError::NoKid)?;
        if jwk.get("use").is_some_and(|usage| usage.as_str() != Some("sig")) {
            return Err(KeyError::NotForSignatures);
        }
        if let Some(operations) = jwk.get("key_ops") {
            let operations = operations.as_array().ok_or(KeyError::Malformed)?;
            if !operations.iter().any(|operation| operation.as_str() == Some("verify")) {
                return Err(KeyError::NotForSignatures);
            }
        }
        let number = |name: &str| decode(text(name).ok_or(KeyError::Malformed)?);
        let numbers = match text("kty") {
            Some("RSA") => {
                let modulus = BigUint::from_bytes_be(&number("n")?);
                let exponent = BigUint::from_bytes_be(&number("e")?);
                // Checked before `new`, which refuses sizes of its own without saying so.
                check_rsa(&modulus, &exponent)?;
                let key = rsa::RsaPublicKey::new(modulus, exponent).map_err(|_| KeyError::Strength)?;
                // One that does not say what it is for is for RS256.
                if text("alg") == Some(Algorithm::Ps256.name()) { Numbers::RsaPss(key) } else { Numbers::Rsa(key) }
            }
            Some("EC") if text("crv") == Some("P-256") => {
                let (x, y) = (number("x")?, number("y")?);
                if x.len() != 32 || y.len() != 32 {
                    return Err(KeyError::Malformed);
                }
                let point = [&[SEC1_UNCOMPRESSED][..], &x, &y].concat();
                let key = p256::PublicKey::from_sec1_bytes(&point).map_err(|_| KeyError::Malformed)?;
                Numbers::P256(key)
            }
            Some("OKP") if text("crv") == Some("Ed25519") => Numbers::Ed25519(ed25519(&number("x")?)?),
            _ => return Err(KeyError::NotAccepted),
        };
        let key = Self::new(kid.to_owned(), numbers)?;
        match jwk.get("alg") {
            Some(alg) if alg.as_str() != Some(key.algorithm().name()) => Err(KeyError::NotAccepted),
            _ => Ok(key),
        }
    }

    /// Reads a SubjectPublicKeyInfo (RFC 5280), the form that snapshots carry.
    pub fn from_spki_der(kid: &str, der: &[u8]) -> Result<Self, KeyError> {
        let numbers = if let Ok(key) = p256::PublicKey::from_public_key_der(der) {
            Numbers::P256(key)
        } else if let Some(key) = der.strip_prefix(&ED25519_SPKI) {
            Numbers::Ed25519(ed25519(key)?)
        } else if let Some(key) = rsa_pss(der) {
            check_rsa(key.n(), key.e())?;
            Numbers::RsaPss(key)
        } else {
            let key = rsa::RsaPublicKey::from_public_key_der(der).map_err(|_| KeyError::Malformed)?;
            check_rsa(key.n(), key.e())?;
            Numbers::Rsa(key)
        };
        Self::new(kid.to_owned(), numbers)
    }

    fn new(kid: String, numbers: Numbers) -> Result<Self, KeyError> {
        let spki_der = match &numbers {
            Numbers::Rsa(key) => key.to_public_key_der().map_err(|_| KeyError::Malformed)?.into_vec(),
            Numbers::P256(key) => key.to_public_key_der().map_err(|_| KeyError::Malformed)?.into_vec(),
            Numbers::RsaPss(key) => rsa_pss_der(key).ok_or(KeyError::Malformed)?,
            Numbers::Ed25519(key) => [&ED25519_SPKI[..], key.as_bytes()].concat(),
        };
        Ok(Self(Arc::new(Key { kid, numbers, spki_der })))
    }

    /// The key's id.
    pub fn kid(&self) -> &str {
        &self.0.kid
    }

    /// The one algorithm it verifies.
    pub fn algorithm(&self) -> Algorithm {
        match self.0.numbers {
            Numbers::Rsa(_) => Algorithm::Rs256,
            Numbers::RsaPss(_) => Algorithm::Ps256,
            Numbers::P256(_) => Algorithm::Es256,
            Numbers::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    /// SubjectPublicKeyInfo, DER; what Envoy's `verify_signature` takes.
    pub fn spki_der(&self) -> &[u8] {
        &self.0.spki_der
    }

    /// Id and key are the same; quicker than comparing numbers.
    pub(super) fn is_copy_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || (self.0.kid == other.0.kid && self.0.spki_der == other.0.spki_der)
    }

    /// It is the key's signature over the message, by the key's own algorithm.
    pub(super) fn is_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.0.numbers {
            Numbers::Rsa(key) => {
                key.verify(rsa::Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message), signature).is_ok()
            }
            Numbers::RsaPss(key) => key.verify(rsa::Pss::new::<Sha256>(), &Sha256::digest(message), signature).is_ok(),
            Numbers::P256(key) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| p256::ecdsa::VerifyingKey::from(key).verify(message, &signature).is_ok()),
            // Strict: no signature has another spelling, and none is by a key of small order.
            Numbers::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
        }
    }
}

/// A point of large order.
fn ed25519(bytes: &[u8]) -> Result<Ed25519Key, KeyError> {
    let bytes = bytes.try_into().map_err(|_| KeyError::Malformed)?;
    let key = Ed25519Key::from_bytes(bytes).map_err(|_| KeyError::Malformed)?;
    if key.is_weak() { Err(KeyError::Strength) } else { Ok(key) }
}

/// The RSA key of a SubjectPublicKeyInfo that is for PSS alone, without parameters; ours have none.
fn rsa_pss(der: &[u8]) -> Option<rsa::RsaPublicKey> {
    let info = SubjectPublicKeyInfoRef::from_der(der).ok()?;
    if info.algorithm.oid != ID_RSASSA_PSS || info.algorithm.parameters.is_some() {
        return None;
    }
    rsa::RsaPublicKey::from_pkcs1_der(info.subject_public_key.as_bytes()?).ok()
}

fn rsa_pss_der(key: &rsa::RsaPublicKey) -> Option<Vec<u8>> {
    let key = key.to_pkcs1_der().ok()?;
    let algorithm = AlgorithmIdentifierRef { oid: ID_RSASSA_PSS, parameters: None };
    let subject_public_key = BitStringRef::from_bytes(key.as_bytes()).ok()?;
    SubjectPublicKeyInfoRef { algorithm, subject_public_key }.to_der().ok()
}

fn check_rsa(modulus: &BigUint, exponent: &BigUint) -> Result<(), KeyError> {
    let strong = (RSA_BITS_MIN..=RSA_BITS_MAX).contains(&modulus.bits())
        && *exponent >= BigUint::from(65537_u32)
        && exponent.bits() <= 32
        && exponent.to_bytes_le().first().is_some_and(|byte| byte % 2 == 1);
    if strong { Ok(()) } else { Err(KeyError::Strength) }
}

fn decode(text: &str) -> Result<Vec<u8>, KeyError> {
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const URL: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::URL_SAFE, LENIENT);
    const PLAIN: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, LENIENT);
    URL.decode(text).or_else(|_| PLAIN.decode(text)).map_err(|_| KeyError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use p256::elliptic_curve::sec1::ToEncodedPoint;
    use serde_json::json;

    /// A number of `bits` bits that has the form of a modulus; nobody can sign with it.
    fn modulus(bits: usize) -> Vec<u8> {
        let mut bytes = vec![0xc5; bits / 8];
        bytes[0] = 0x80;
        bytes
    }

    fn rsa_jwk(bits: usize, exponent: &[u8]) -> Value {
        json!({"kty":"RSA","kid":"a","n":URL_SAFE_NO_PAD.encode(modulus(bits)),"e":URL_SAFE_NO_PAD.encode(exponent)})
    }

    fn ec_jwk() -> Value {
        let key = p256::SecretKey::from_slice(&[7; 32]).unwrap().public_key().to_encoded_point(false);
        json!({"kty":"EC","crv":"P-256","kid":"b","x":URL_SAFE_NO_PAD.encode(key.x().unwrap()),"y":URL_SAFE_NO_PAD.encode(key.y().unwrap())})
    }

    fn ed25519_jwk() -> Value {
        let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]).verifying_key();
        json!({"kty":"OKP","crv":"Ed25519","kid":"c","x":URL_SAFE_NO_PAD.encode(key.as_bytes())})
    }

    fn with(mut jwk: Value, name: &str, value: Value) -> Value {
        jwk[name] = value;
        jwk
    }

    fn check(jwk: &Value, expected: Result<Algorithm, KeyError>) {
        assert_eq!(VerificationKey::from_jwk(jwk).map(|key| key.algorithm()), expected, "{jwk}");
    }

    const F4: &[u8] = &[1, 0, 1];

    #[test]
    fn strength_is_bounded_both_ways() {
        check(&rsa_jwk(2048, F4), Ok(Algorithm::Rs256));
        check(&rsa_jwk(4096, F4), Ok(Algorithm::Rs256));
        check(&rsa_jwk(1024, F4), Err(KeyError::Strength));
        check(&rsa_jwk(2040, F4), Err(KeyError::Strength));
        check(&rsa_jwk(8192, F4), Err(KeyError::Strength));
        for exponent in [&[3_u8][..], &[1], &[], &[1, 0, 0], &[1, 0, 0, 0, 1]] {
            check(&rsa_jwk(2048, exponent), Err(KeyError::Strength));
        }
    }

    #[test]
    fn only_keys_for_signatures() {
        for jwk in [rsa_jwk(2048, F4), ec_jwk(), ed25519_jwk()] {
            let algorithm = VerificationKey::from_jwk(&jwk).unwrap().algorithm();
            check(&with(jwk.clone(), "use", json!("sig")), Ok(algorithm));
            check(&with(jwk.clone(), "alg", json!(algorithm.name())), Ok(algorithm));
            check(&with(jwk.clone(), "key_ops", json!(["verify"])), Ok(algorithm));
            check(&with(jwk.clone(), "use", json!("enc")), Err(KeyError::NotForSignatures));
            check(&with(jwk.clone(), "key_ops", json!(["encrypt"])), Err(KeyError::NotForSignatures));
            check(&with(jwk.clone(), "alg", json!("PS384")), Err(KeyError::NotAccepted));
            check(&with(jwk.clone(), "kid", json!("")), Err(KeyError::NoKid));
            check(&with(jwk, "kty", json!("oct")), Err(KeyError::NotAccepted));
        }
        check(&with(ec_jwk(), "crv", json!("P-384")), Err(KeyError::NotAccepted));
        check(&with(ec_jwk(), "alg", json!("PS256")), Err(KeyError::NotAccepted));
        // Only the key itself can say that it is for PS256.
        check(&with(rsa_jwk(2048, F4), "alg", json!("PS256")), Ok(Algorithm::Ps256));
        check(&with(rsa_jwk(1024, F4), "alg", json!("PS256")), Err(KeyError::Strength));
        check(&with(ec_jwk(), "x", json!(URL_SAFE_NO_PAD.encode([1; 32]))), Err(KeyError::Malformed));
    }

    #[test]
    fn ed25519_is_one_curve_and_no_small_order() {
        check(&ed25519_jwk(), Ok(Algorithm::EdDsa));
        for (name, value, error) in [
            ("alg", json!("ES256"), KeyError::NotAccepted),
            ("alg", json!("Ed448"), KeyError::NotAccepted),
            ("crv", json!("Ed448"), KeyError::NotAccepted),
            ("crv", json!("X25519"), KeyError::NotAccepted),
            ("kty", json!("EC"), KeyError::NotAccepted),
            ("x", json!(URL_SAFE_NO_PAD.encode([7; 31])), KeyError::Malformed),
            // The neutral element: every signature of zeros would be its.
            ("x", json!(URL_SAFE_NO_PAD.encode([&[1][..], &[0; 31]].concat())), KeyError::Strength),
        ] {
            check(&with(ed25519_jwk(), name, value), Err(error));
        }
    }

    #[test]
    fn altinns_plain_base64_is_read() {
        let jwk = with(rsa_jwk(2048, F4), "n", json!(STANDARD.encode(modulus(2048))));
        check(&jwk, Ok(Algorithm::Rs256));
    }

    #[test]
    fn spki_round_trips() {
        let rsa_pss = with(rsa_jwk(2048, F4), "alg", json!("PS256"));
        for jwk in [rsa_jwk(2048, F4), rsa_pss, ec_jwk(), ed25519_jwk()] {
            let key = VerificationKey::from_jwk(&jwk).unwrap();
            let again = VerificationKey::from_spki_der(key.kid(), key.spki_der()).unwrap();
            assert_eq!(again.spki_der(), key.spki_der());
            assert_eq!(again.algorithm(), key.algorithm());
            assert!(VerificationKey::from_spki_der("a", &key.spki_der()[1..]).is_err());
        }
    }
}
