//! Signatures, behind a trait: a gateway verifies with its host's native code, every other host in Rust.

use super::key::VerificationKey;

/// Checks one signature with one key, by the key's own algorithm.
pub trait VerifySignature {
    /// `Ok` when `signature` (as a JWS carries it; ES256 as `r ‖ s`) is the key's over `message`.
    fn verify(&self, key: &VerificationKey, message: &[u8], signature: &[u8]) -> Result<(), SignatureError>;
}

/// Why a signature does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It is not the key's signature over the message.
    #[error("the signature is wrong")]
    Invalid,
    /// The host could not say.
    #[error("the signature could not be checked")]
    Unavailable,
}

/// Verification in Rust, for hosts without native code: about 1 ms for RS256 inside a gateway.
#[derive(Debug, Clone, Copy, Default)]
pub struct PureRust;

impl VerifySignature for PureRust {
    fn verify(&self, key: &VerificationKey, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        if key.is_signed(message, signature) { Ok(()) } else { Err(SignatureError::Invalid) }
    }
}

/// An ES256 signature as DER, the form that native libraries take; `None` unless it is 64 bytes with
/// `r` and `s` in `1..n` (RFC 7518 section 3.4, FIPS 186-5 section 6.4.2).
pub fn es256_der(signature: &[u8]) -> Option<Vec<u8>> {
    let signature = p256::ecdsa::Signature::from_slice(signature).ok()?;
    Some(signature.to_der().as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use p256::ecdsa::signature::{SignatureEncoding, Signer};
    use rsa::rand_core::{CryptoRng, Error, RngCore};
    use sha2::Sha256;

    /// Numbers that look random (xorshift), the same in every run.
    struct Steps(u64);

    impl RngCore for Steps {
        fn next_u32(&mut self) -> u32 {
            self.next_u64() as u32
        }

        fn next_u64(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        fn fill_bytes(&mut self, bytes: &mut [u8]) {
            bytes.iter_mut().for_each(|byte| *byte = self.next_u64() as u8);
        }

        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
            self.fill_bytes(bytes);
            Ok(())
        }
    }

    impl CryptoRng for Steps {}

    fn key_pair() -> (p256::ecdsa::SigningKey, VerificationKey) {
        use p256::pkcs8::EncodePublicKey;
        let secret = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
        let der = secret.verifying_key().to_public_key_der().unwrap();
        let key = VerificationKey::from_spki_der("k", der.as_bytes()).unwrap();
        (secret, key)
    }

    #[test]
    fn es256_verifies_its_own_and_nothing_else() {
        let (secret, key) = key_pair();
        let signature: p256::ecdsa::Signature = secret.sign(b"message");
        let signature = signature.to_bytes();
        assert_eq!(PureRust.verify(&key, b"message", &signature), Ok(()));
        assert_eq!(PureRust.verify(&key, b"massage", &signature), Err(SignatureError::Invalid));
        for wrong in [&[0; 64][..], &signature[..63], &[], &es256_der(&signature).unwrap()] {
            assert_eq!(PureRust.verify(&key, b"message", wrong), Err(SignatureError::Invalid));
        }
        let mut flipped = signature.to_vec();
        flipped[0] ^= 1;
        assert_eq!(PureRust.verify(&key, b"message", &flipped), Err(SignatureError::Invalid));
    }

    /// Another front end to such mathematics.
    fn jsonwebtoken(key: jsonwebtoken::DecodingKey, algorithm: jsonwebtoken::Algorithm, signature: &[u8]) -> bool {
        let encoded = URL_SAFE_NO_PAD.encode(signature);
        jsonwebtoken::crypto::verify(&encoded, b"message", &key, algorithm).unwrap_or(false)
    }

    #[test]
    fn rs256_verifies_its_own_and_nothing_else() {
        use rsa::pkcs8::EncodePublicKey;
        use rsa::traits::PublicKeyParts;
        let private = rsa::RsaPrivateKey::new(&mut Steps(1), 2048).unwrap();
        let public = private.to_public_key();
        let key = VerificationKey::from_spki_der("k", public.to_public_key_der().unwrap().as_bytes()).unwrap();
        let theirs =
            jsonwebtoken::DecodingKey::from_rsa_raw_components(&public.n().to_bytes_be(), &public.e().to_bytes_be());
        let check = |signature: &[u8], expected: bool| {
            assert_eq!(PureRust.verify(&key, b"message", signature).is_ok(), expected);
            assert_eq!(jsonwebtoken(theirs.clone(), jsonwebtoken::Algorithm::RS256, signature), expected);
        };
        let signature = rsa::pkcs1v15::SigningKey::<Sha256>::new(private.clone()).sign(b"message").to_vec();
        check(&signature, true);
        check(&rsa::pkcs1v15::SigningKey::<Sha256>::new(private.clone()).sign(b"massage").to_vec(), false);
        // Without the name of the hash function.
        check(&rsa::pkcs1v15::SigningKey::<Sha256>::new_unprefixed(private).sign(b"message").to_vec(), false);
        let plus_modulus = (rsa::BigUint::from_bytes_be(&signature) + public.n()).to_bytes_be();
        for wrong in
            [&[][..], &[0; 256], &[0xff; 256], &signature[1..], &[&[0][..], &signature].concat(), &plus_modulus]
        {
            check(wrong, false);
        }
    }

    #[test]
    fn der_needs_numbers_in_range() {
        const ORDER: [u8; 32] = [
            0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad,
            0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
        ];
        let one = {
            let mut one = [0; 32];
            one[31] = 1;
            one
        };
        let join = |r: [u8; 32], s: [u8; 32]| [r, s].concat();
        assert_eq!(es256_der(&join(one, one)).unwrap(), [0x30, 6, 2, 1, 1, 2, 1, 1]);
        for (r, s) in [([0; 32], one), (one, [0; 32]), (ORDER, one), (one, ORDER), ([0xff; 32], one)] {
            assert_eq!(es256_der(&join(r, s)), None);
        }
        assert_eq!(es256_der(&[1; 63]), None);
        assert_eq!(es256_der(&[1; 65]), None);
    }
}
