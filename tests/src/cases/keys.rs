//! Keys by name, the same in every run: the name is the seed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Signer as _;
use p256::pkcs8::{EncodePublicKey as _, LineEnding};
use rsa::rand_core::{CryptoRng, Error, RngCore};
use rsa::signature::{RandomizedSigner as _, SignatureEncoding as _};
use rsa::traits::PublicKeyParts as _;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha384};

/// A private key.
pub enum NamedKey {
    /// RSA of 2048 bits, for RS256; the names begin with `rsa`. Of 1024 bits, which nobody may use, when with `rsa1024`.
    Rsa(Box<rsa::pkcs1v15::SigningKey<Sha256>>),
    /// RSA of 2048 bits, for PS256; the names begin with `pss`.
    RsaPss(Box<rsa::RsaPrivateKey>),
    /// For EdDSA; the names begin with `ed25519`.
    Ed25519(ed25519_dalek::SigningKey),
    /// P-256, for ES256; every other name.
    P256(p256::ecdsa::SigningKey),
}

/// The key of a name. RSA keys take about a second to make and are kept.
pub fn key(name: &str) -> Result<Arc<NamedKey>> {
    static MADE: Mutex<BTreeMap<String, Arc<NamedKey>>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(key) = made.get(name) {
        return Ok(Arc::clone(key));
    }
    let mut seed = Seed { name: name.to_owned(), counter: 0, block: Vec::new() };
    let key = if name.starts_with("rsa") {
        let bits = if name.starts_with("rsa1024") { 1024 } else { 2048 };
        let private = rsa::RsaPrivateKey::new(&mut seed, bits).context("could not make an RSA key")?;
        NamedKey::Rsa(Box::new(rsa::pkcs1v15::SigningKey::new(private)))
    } else if name.starts_with("pss") {
        NamedKey::RsaPss(Box::new(rsa::RsaPrivateKey::new(&mut seed, 2048).context("could not make an RSA key")?))
    } else if name.starts_with("ed25519") {
        let mut bytes = [0; 32];
        seed.fill_bytes(&mut bytes);
        NamedKey::Ed25519(ed25519_dalek::SigningKey::from_bytes(&bytes))
    } else {
        NamedKey::P256(p256::ecdsa::SigningKey::random(&mut seed))
    };
    Ok(Arc::clone(made.entry(name.to_owned()).or_insert(Arc::new(key))))
}

/// Algorithms that nothing here accepts for these keys: RSA keys, and those for PSS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum OtherAlgorithm {
    /// HMAC keyed with the text of the public key (PEM).
    Hs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// The same with a salt of 20 bytes.
    #[serde(rename = "PS256 with a salt of 20 bytes")]
    Ps256Salt20,
}

impl NamedKey {
    /// `RS256`, `ES256`, `PS256` or `EdDSA`.
    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::P256(_) => "ES256",
            Self::RsaPss(_) => "PS256",
            Self::Ed25519(_) => "EdDSA",
        }
    }

    /// The signature as a JWS carries it.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Rsa(key) => key.sign(message).to_vec(),
            Self::RsaPss(key) => pss(key, 32, message),
            Self::Ed25519(key) => key.sign(message).to_vec(),
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature.to_bytes().to_vec()
            }
        }
    }

    /// The signature by another algorithm than the key's own.
    pub fn sign_with(&self, algorithm: OtherAlgorithm, message: &[u8]) -> Result<Vec<u8>> {
        let private: &rsa::RsaPrivateKey = match self {
            Self::Rsa(key) => key.as_ref().as_ref(),
            Self::RsaPss(key) => key,
            _ => bail!("only RSA keys sign with {algorithm:?}"),
        };
        Ok(match algorithm {
            OtherAlgorithm::Hs256 => {
                let pem = private.to_public_key().to_public_key_pem(LineEnding::LF).context("no public key")?;
                let secret = jsonwebtoken::EncodingKey::from_secret(pem.as_bytes());
                let signed = jsonwebtoken::crypto::sign(message, &secret, jsonwebtoken::Algorithm::HS256)?;
                URL_SAFE_NO_PAD.decode(signed)?
            }
            OtherAlgorithm::Rs384 => rsa::pkcs1v15::SigningKey::<Sha384>::new(private.clone()).sign(message).to_vec(),
            OtherAlgorithm::Rs256 => rsa::pkcs1v15::SigningKey::<Sha256>::new(private.clone()).sign(message).to_vec(),
            OtherAlgorithm::Ps256 => pss(private, 32, message),
            OtherAlgorithm::Ps256Salt20 => pss(private, 20, message),
        })
    }

    /// The public half, with the key's name as its id.
    pub fn public_jwk(&self, kid: &str) -> Value {
        match self {
            Self::Rsa(key) => self.rsa_jwk(kid, key.as_ref().as_ref()),
            Self::RsaPss(key) => self.rsa_jwk(kid, key),
            Self::Ed25519(key) => json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": kid,
                "x": URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes())}),
            Self::P256(key) => {
                let point = key.verifying_key().to_encoded_point(false);
                let number = |bytes: Option<&p256::FieldBytes>| bytes.map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
                json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid,
                    "x": number(point.x()), "y": number(point.y())})
            }
        }
    }

    /// The public half in PEM; only for P-256, which is what signs snapshots.
    pub fn public_pem(&self) -> Result<String> {
        match self {
            Self::P256(key) => {
                key.verifying_key().to_public_key_pem(LineEnding::LF).context("could not write the public key")
            }
            _ => bail!("snapshots are signed with P-256"),
        }
    }

    fn rsa_jwk(&self, kid: &str, private: &rsa::RsaPrivateKey) -> Value {
        let public = private.to_public_key();
        json!({"kty": "RSA", "use": "sig", "alg": self.algorithm(), "kid": kid,
            "n": URL_SAFE_NO_PAD.encode(public.n().to_bytes_be()),
            "e": URL_SAFE_NO_PAD.encode(public.e().to_bytes_be())})
    }
}

/// A signature of RSASSA-PSS with SHA-256, the same in every run.
fn pss(private: &rsa::RsaPrivateKey, salt_bytes: usize, message: &[u8]) -> Vec<u8> {
    let mut seed = Seed { name: "salt".to_owned(), counter: 0, block: Vec::new() };
    let key = rsa::pss::SigningKey::<Sha256>::new_with_salt_len(private.clone(), salt_bytes);
    key.sign_with_rng(&mut seed, message).to_vec()
}

/// Bytes from a name: SHA-256 over name and counter. For tests only.
struct Seed {
    name: String,
    counter: u64,
    block: Vec<u8>,
}

impl RngCore for Seed {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.block.is_empty() {
                self.block = Sha256::digest(format!("{}/{}", self.name, self.counter)).to_vec();
                self.counter += 1;
            }
            *byte = self.block.pop().unwrap_or(0);
        }
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl CryptoRng for Seed {}
