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
    use p256::ecdsa::signature::Signer;

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
