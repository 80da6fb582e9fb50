//! Public keys that may verify: RSA of 2048 to 4096 bits for RS256, P-256 for ES256, nothing else.
//!
//! A key's algorithm is the key's property. A token that names another is refused, whatever it says.

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use p256::pkcs8::{DecodePublicKey, EncodePublicKey};
use rsa::BigUint;
use rsa::traits::PublicKeyParts;
use serde_json::Value;
use std::sync::Arc;

/// Shortest RSA modulus, in bits.
const RSA_BITS_MIN: usize = 2048;
/// Longest RSA modulus, in bits; beyond it verification costs a worker too much.
const RSA_BITS_MAX: usize = 4096;

/// First byte of an uncompressed point (SEC 1 section 2.3.3).
const SEC1_UNCOMPRESSED: u8 = 4;

/// Signature algorithms (RFC 7518 section 3.1) that are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256; what Maskinporten and Altinn sign with.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

impl Algorithm {
    /// Reads the registered name, letter case included.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            _ => None,
        }
    }

    /// The registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

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
    #[error("the key is neither RSA for RS256 nor P-256 for ES256")]
    NotAccepted,
    /// `use` or `key_ops` does not allow verification.
    #[error("the key is not for verifying signatures")]
    NotForSignatures,
    /// RSA outside 2048 to 4096 bits, or a public exponent that is even or below 65537.
    #[error("the RSA key must have 2048 to 4096 bits and an odd exponent of at least 65537")]
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
    P256(p256::PublicKey),
}

/// A public key with its id. Copies share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerificationKey(Arc<Key>);

#[derive(Debug, PartialEq, Eq)]
struct Key {
    kid: String,
    // Invariant: passed `check_rsa`, or is a point on P-256.
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
                Numbers::Rsa(rsa::RsaPublicKey::new(modulus, exponent).map_err(|_| KeyError::Strength)?)
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
        } else {
            let key = rsa::RsaPublicKey::from_public_key_der(der).map_err(|_| KeyError::Malformed)?;
            check_rsa(key.n(), key.e())?;
            Numbers::Rsa(key)
        };
        Self::new(kid.to_owned(), numbers)
    }

    fn new(kid: String, numbers: Numbers) -> Result<Self, KeyError> {
        let der = match &numbers {
            Numbers::Rsa(key) => key.to_public_key_der(),
            Numbers::P256(key) => key.to_public_key_der(),
        };
        let spki_der = der.map_err(|_| KeyError::Malformed)?.into_vec();
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
            Numbers::P256(_) => Algorithm::Es256,
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

    pub(super) fn decoding_key(&self) -> jsonwebtoken::DecodingKey {
        use p256::elliptic_curve::sec1::ToEncodedPoint;
        match &self.0.numbers {
            Numbers::Rsa(key) => {
                jsonwebtoken::DecodingKey::from_rsa_raw_components(&key.n().to_bytes_be(), &key.e().to_bytes_be())
            }
            Numbers::P256(key) => jsonwebtoken::DecodingKey::from_ec_der(key.to_encoded_point(false).as_bytes()),
        }
    }
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
        for jwk in [rsa_jwk(2048, F4), ec_jwk()] {
            let algorithm = VerificationKey::from_jwk(&jwk).unwrap().algorithm();
            check(&with(jwk.clone(), "use", json!("sig")), Ok(algorithm));
            check(&with(jwk.clone(), "alg", json!(algorithm.name())), Ok(algorithm));
            check(&with(jwk.clone(), "key_ops", json!(["verify"])), Ok(algorithm));
            check(&with(jwk.clone(), "use", json!("enc")), Err(KeyError::NotForSignatures));
            check(&with(jwk.clone(), "key_ops", json!(["encrypt"])), Err(KeyError::NotForSignatures));
            check(&with(jwk.clone(), "alg", json!("PS256")), Err(KeyError::NotAccepted));
            check(&with(jwk.clone(), "kid", json!("")), Err(KeyError::NoKid));
            check(&with(jwk, "kty", json!("oct")), Err(KeyError::NotAccepted));
        }
        check(&with(ec_jwk(), "crv", json!("P-384")), Err(KeyError::NotAccepted));
        check(&with(ec_jwk(), "x", json!(URL_SAFE_NO_PAD.encode([1; 32]))), Err(KeyError::Malformed));
    }

    #[test]
    fn altinns_plain_base64_is_read() {
        let jwk = with(rsa_jwk(2048, F4), "n", json!(STANDARD.encode(modulus(2048))));
        check(&jwk, Ok(Algorithm::Rs256));
    }

    #[test]
    fn spki_round_trips() {
        for jwk in [rsa_jwk(2048, F4), ec_jwk()] {
            let key = VerificationKey::from_jwk(&jwk).unwrap();
            let again = VerificationKey::from_spki_der(key.kid(), key.spki_der()).unwrap();
            assert_eq!(again.spki_der(), key.spki_der());
            assert_eq!(again.algorithm(), key.algorithm());
            assert!(VerificationKey::from_spki_der("a", &key.spki_der()[1..]).is_err());
        }
    }
}
