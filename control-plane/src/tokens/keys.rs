//! The keys that sign our tokens (RS256, as Altinn's), oldest first: at any time one signs, and all are published whose
//! tokens may still be in use, or that are to sign soon.

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policies::Timestamp;
use policies::token::CLOCK_SKEW_SECONDS_MAX;
use rsa::RsaPrivateKey;
use rsa::pkcs1v15::SigningKey;
use rsa::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding};
use rsa::rand_core::{CryptoRng, Error, RngCore};
use rsa::sha2::Sha256;
use rsa::signature::{SignatureEncoding as _, Signer as _};
use rsa::traits::PublicKeyParts as _;
use serde_json::{Value, json};
use sha2::Digest as _;

use super::key_file::StoredKey;
use crate::state::Ids;

/// Length of the modulus.
const KEY_BITS: usize = 2048;
/// Life of a token, as Altinn's.
pub(super) const TOKEN_LIFETIME_S: i64 = 1800;
/// A new key is published so long before it signs, as Altinn's certificates.
pub(super) const PUBLISHED_BEFORE_S: i64 = 48 * 3600;

/// One key.
pub(super) struct TokenKey {
    pub(super) kid: String,
    pub(super) signs_from: Timestamp,
    pub(super) jwk: Value,
    private: SigningKey<Sha256>,
    pem: String,
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TokenKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl TokenKey {
    /// A new key; takes a second of the processor's time.
    pub(super) fn draw(ids: &dyn Ids, signs_from: Timestamp) -> anyhow::Result<Self> {
        let private = RsaPrivateKey::new(&mut Random(ids), KEY_BITS).context("cannot make a token key")?;
        let pem = private.to_pkcs8_pem(LineEnding::LF).context("cannot write a token key")?;
        Self::of((signs_from, pem.to_string()))
    }

    /// A key from the file.
    pub(super) fn of((signs_from, pem): StoredKey) -> anyhow::Result<Self> {
        let private = RsaPrivateKey::from_pkcs8_pem(&pem)
            .map_err(|_| anyhow::anyhow!("a token key is no RSA key in PEM, PKCS #8"))?;
        let number = |number: &rsa::BigUint| URL_SAFE_NO_PAD.encode(number.to_bytes_be());
        let (n, e) = (number(private.n()), number(private.e()));
        // RFC 7638: required members, in order, without blanks.
        let thumbprint = Sha256::digest(format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#));
        let kid = URL_SAFE_NO_PAD.encode(thumbprint);
        let jwk = json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": n, "e": e });
        Ok(Self { kid, signs_from, jwk, private: SigningKey::new(private), pem })
    }

    pub(super) fn stored(&self) -> StoredKey {
        (self.signs_from, self.pem.clone())
    }

    /// A token with these claims (RFC 7519, RFC 7515 compact).
    pub(super) fn sign(&self, claims: &Value) -> anyhow::Result<String> {
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": self.kid });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature = self.private.try_sign(signed.as_bytes()).context("cannot sign a token")?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes())))
    }
}

/// The key that signs now.
pub(super) fn signing(keys: &[TokenKey], now: Timestamp) -> Option<&TokenKey> {
    keys.iter().rfind(|key| key.signs_from <= now).or_else(|| keys.first())
}

/// Whether tokens of the key at `position` may be in use: its successor has not signed for a token's life yet.
pub(super) fn is_published(keys: &[TokenKey], position: usize, now: Timestamp) -> bool {
    let successor = keys.get(position + 1);
    successor
        .is_none_or(|next| now < next.signs_from.plus_seconds(TOKEN_LIFETIME_S + i64::from(CLOCK_SKEW_SECONDS_MAX)))
}

/// Our source of randomness, as the `rsa` crate wants it.
struct Random<'a>(&'a dyn Ids);

impl CryptoRng for Random<'_> {}

impl RngCore for Random<'_> {
    fn next_u32(&mut self) -> u32 {
        rsa::rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rsa::rand_core::impls::next_u64_via_fill(self)
    }

    #[expect(
        clippy::panic,
        reason = "the trait has no error here; the rsa crate asks `try_fill_bytes` of those that can fail"
    )]
    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        if let Err(error) = self.0.fill(bytes) {
            panic!("{error:#}");
        }
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.0.fill(bytes).map_err(|error| Error::new(std::io::Error::other(error.to_string())))
    }
}
