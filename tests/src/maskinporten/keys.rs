//! Signing keys: made at random, published as JWKs, replaced on demand.

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use p256::pkcs8::EncodePrivateKey as _;
use rsa::pkcs1::EncodeRsaPrivateKey as _;
use rsa::rand_core::OsRng;
use rsa::traits::PublicKeyParts as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Maskinporten refuses shorter ones, and so does everything that verifies.
const RSA_BITS: usize = 2048;
/// Old keys that stay published after rotation; more than one demo or test ever rotates.
const PUBLISHED_KEYS_MAX: usize = 8;

/// What the stand-in signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum SigningAlgorithm {
    #[serde(rename = "ES256")]
    Es256,
    #[default]
    #[serde(rename = "RS256")]
    Rs256,
}

/// A private key with its public JWK. Printing it shows the key id only.
#[derive(Clone)]
pub struct SigningKey {
    key_id: String,
    algorithm: Algorithm,
    private: EncodingKey,
    public: Value,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// A new key of the given kind. Takes about a second for RSA.
    pub fn generate(algorithm: SigningAlgorithm) -> Result<Self> {
        match algorithm {
            SigningAlgorithm::Es256 => Self::generate_ec(),
            SigningAlgorithm::Rs256 => Self::generate_rsa(RSA_BITS),
        }
    }

    fn generate_rsa(bits: usize) -> Result<Self> {
        let private = rsa::RsaPrivateKey::new(&mut OsRng, bits).context("could not make an RSA key")?;
        let key_id = random_id()?;
        let public = json!({
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": key_id,
            "n": URL_SAFE_NO_PAD.encode(private.n().to_bytes_be()),
            "e": URL_SAFE_NO_PAD.encode(private.e().to_bytes_be()),
        });
        let der = private.to_pkcs1_der().context("could not write the RSA key")?;
        Ok(Self { key_id, algorithm: Algorithm::RS256, private: EncodingKey::from_rsa_der(der.as_bytes()), public })
    }

    fn generate_ec() -> Result<Self> {
        let private = p256::SecretKey::random(&mut OsRng);
        let point = private.public_key().to_jwk_string();
        let mut public: Value = serde_json::from_str(&point).context("could not write the key")?;
        let Some(members) = public.as_object_mut() else { bail!("could not write the key") };
        let key_id = random_id()?;
        members.insert("use".into(), "sig".into());
        members.insert("alg".into(), "ES256".into());
        members.insert("kid".into(), key_id.clone().into());
        let der = private.to_pkcs8_der().context("could not write the EC key")?;
        Ok(Self { key_id, algorithm: Algorithm::ES256, private: EncodingKey::from_ec_der(der.as_bytes()), public })
    }

    /// The id under which the public half is published.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The public half.
    pub fn public_jwk(&self) -> &Value {
        &self.public
    }

    /// The claims as a JWT signed with this key.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String> {
        self.sign_as(self.algorithm, claims)
    }

    /// As [`SigningKey::sign`], with another algorithm of the same family.
    pub fn sign_as(&self, algorithm: Algorithm, claims: &impl Serialize) -> Result<String> {
        let mut header = Header::new(algorithm);
        header.kid = Some(self.key_id.clone());
        self.sign_with_header(&header, claims)
    }

    /// As [`SigningKey::sign`], with a header of the caller's making.
    pub fn sign_with_header(&self, header: &Header, claims: &impl Serialize) -> Result<String> {
        jsonwebtoken::encode(header, claims, &self.private).context("could not sign")
    }
}

/// The key in use and those that are still published for tokens already given out.
#[derive(Debug)]
pub(super) struct KeyRing {
    current: SigningKey,
    published: Vec<SigningKey>,
}

impl KeyRing {
    pub(super) fn new(current: SigningKey) -> Self {
        Self { current, published: Vec::new() }
    }

    pub(super) fn current(&self) -> &SigningKey {
        &self.current
    }

    /// Signs with `next` from now on; the keys before it stay published unless `drop_old`.
    pub(super) fn rotate(&mut self, next: SigningKey, drop_old: bool) {
        let old = std::mem::replace(&mut self.current, next);
        if drop_old {
            self.published.clear();
            return;
        }
        self.published.insert(0, old);
        self.published.truncate(PUBLISHED_KEYS_MAX);
    }

    /// `{"keys":[…]}`, the key in use first.
    pub(super) fn public_jwks(&self) -> Value {
        let keys: Vec<&Value> =
            std::iter::once(&self.current).chain(&self.published).map(SigningKey::public_jwk).collect();
        json!({ "keys": keys })
    }
}

/// 128 random bits as a UUID in text.
pub(super) fn random_id() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("the machine gives no randomness: {error}"))?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SigningKey {
        SigningKey::generate(SigningAlgorithm::Es256).unwrap()
    }

    fn published(ring: &KeyRing) -> Vec<String> {
        let keys = ring.public_jwks();
        keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().into()).collect()
    }

    #[test]
    fn rotation_keeps_or_drops_the_old_key() {
        let (first, second, third) = (key(), key(), key());
        let ids = [&first, &second, &third].map(|key| key.key_id().to_owned());
        let mut ring = KeyRing::new(first);
        ring.rotate(second, false);
        assert_eq!(published(&ring), [ids[1].clone(), ids[0].clone()]);
        ring.rotate(third, true);
        assert_eq!(published(&ring), [ids[2].clone()]);
    }

    #[test]
    fn the_key_set_is_bounded() {
        let mut ring = KeyRing::new(key());
        for _ in 0..20 {
            ring.rotate(key(), false);
        }
        assert_eq!(published(&ring).len(), PUBLISHED_KEYS_MAX + 1);
    }

    #[test]
    fn a_published_key_holds_no_private_part_and_debug_shows_none() {
        let key = key();
        assert!(key.public_jwk().get("d").is_none());
        assert_eq!(format!("{key:?}"), format!("SigningKey {{ key_id: {:?}, .. }}", key.key_id()));
    }
}
