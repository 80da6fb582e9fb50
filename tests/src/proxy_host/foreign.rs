//! The foreign function `verify_signature`, as Envoy 1.40 answers it.
//!
//! The key is an SPKI (DER or PEM, one of them), the signature PKCS#1 v1.5 for RSA and DER for ECDSA: PSS and raw
//! `r‖s` are refused, as there. Envoy also takes SHA-1 and SHA-224 and other curves; this host refuses them, so a guest
//! that leaned on them fails here first.

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use rsa::pkcs8::{AssociatedOid, DecodePublicKey};
use rsa::sha2::{Digest, Sha256, Sha384, Sha512};
use rsa::{Pkcs1v15Sign, RsaPublicKey};

use super::abi::Status;

/// Takes a serialised `VerifySignatureArguments`, gives a serialised `VerifySignatureResult`.
pub(super) fn verify_signature(arguments: &[u8]) -> Result<Vec<u8>, Status> {
    let arguments = Arguments::read(arguments).ok_or(Status::BadArgument)?;
    let result = match (arguments.public_key.as_slice(), arguments.public_key_pem.as_str()) {
        ([], "") => return Err(Status::BadArgument),
        (der, "") => verify(Key::from_der(der), &arguments),
        ([], pem) => verify(Key::from_pem(pem), &arguments),
        _ => return Err(Status::BadArgument),
    };
    Ok(match result {
        Ok(()) => vec![0x08, 1],
        Err(error) => string_field(2, error.as_bytes()),
    })
}

fn verify(key: Option<Key>, arguments: &Arguments) -> Result<(), String> {
    let hash = arguments.hash_function.to_ascii_lowercase();
    let verified = match (hash.as_str(), key) {
        ("sha256" | "sha384" | "sha512", None) => return Err("Failed to initialize digest verify.".to_owned()),
        ("sha256", Some(key)) => key.verifies::<Sha256>(arguments),
        ("sha384", Some(key)) => key.verifies::<Sha384>(arguments),
        ("sha512", Some(key)) => key.verifies::<Sha512>(arguments),
        _ => return Err(format!("{hash} is not supported.")),
    };
    if verified { Ok(()) } else { Err("Failed to verify digest. Error code: 0".to_owned()) }
}

enum Key {
    Rsa(RsaPublicKey),
    P256(p256::ecdsa::VerifyingKey),
}

impl Key {
    fn from_der(der: &[u8]) -> Option<Self> {
        let rsa = RsaPublicKey::from_public_key_der(der).ok().map(Self::Rsa);
        rsa.or_else(|| p256::ecdsa::VerifyingKey::from_public_key_der(der).ok().map(Self::P256))
    }

    fn from_pem(pem: &str) -> Option<Self> {
        let rsa = RsaPublicKey::from_public_key_pem(pem).ok().map(Self::Rsa);
        rsa.or_else(|| p256::ecdsa::VerifyingKey::from_public_key_pem(pem).ok().map(Self::P256))
    }

    fn verifies<D: Digest + AssociatedOid>(&self, arguments: &Arguments) -> bool {
        let digest = D::digest(&arguments.text);
        match self {
            Self::Rsa(key) => key.verify(Pkcs1v15Sign::new::<D>(), &digest, &arguments.signature).is_ok(),
            Self::P256(key) => p256::ecdsa::Signature::from_der(&arguments.signature)
                .is_ok_and(|signature| key.verify_prehash(&digest, &signature).is_ok()),
        }
    }
}

#[derive(Debug, Default, PartialEq)]
struct Arguments {
    hash_function: String,
    public_key: Vec<u8>,
    signature: Vec<u8>,
    text: Vec<u8>,
    public_key_pem: String,
}

impl Arguments {
    /// Protocol buffers by hand: the last value of a field counts, unknown fields are skipped.
    fn read(mut rest: &[u8]) -> Option<Self> {
        let mut arguments = Self::default();
        while !rest.is_empty() {
            let key = take_varint(&mut rest)?;
            let value = match key & 7 {
                0 => {
                    take_varint(&mut rest)?;
                    continue;
                }
                1 => {
                    take(&mut rest, 8)?;
                    continue;
                }
                2 => {
                    let size = take_varint(&mut rest)?;
                    take(&mut rest, usize::try_from(size).ok()?)?
                }
                5 => {
                    take(&mut rest, 4)?;
                    continue;
                }
                _ => return None,
            };
            match key >> 3 {
                0 => return None,
                1 => arguments.hash_function = String::from_utf8(value.to_vec()).ok()?,
                2 => arguments.public_key = value.to_vec(),
                3 => arguments.signature = value.to_vec(),
                4 => arguments.text = value.to_vec(),
                5 => arguments.public_key_pem = String::from_utf8(value.to_vec()).ok()?,
                _ => {}
            }
        }
        Some(arguments)
    }
}

fn take<'a>(rest: &mut &'a [u8], size: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(size)?;
    *rest = tail;
    Some(head)
}

fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..70).step_by(7) {
        let byte = *take(rest, 1)?.first()?;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn string_field(number: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![(number << 3) | 2];
    let mut size = value.len();
    while size >= 0x80 {
        out.push(u8::try_from(size & 0x7f).unwrap_or_default() | 0x80);
        size >>= 7;
    }
    out.push(u8::try_from(size).unwrap_or_default());
    out.extend_from_slice(value);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use p256::ecdsa::signature::Signer as _;
    use p256::pkcs8::EncodePublicKey as _;
    use rsa::pkcs1::EncodeRsaPublicKey as _;

    const VALID: [u8; 2] = [8, 1];
    const TEXT: &[u8] = b"header.payload";

    fn arguments(hash: &str, key: &[u8], signature: &[u8]) -> Vec<u8> {
        let parts = [(1, hash.as_bytes()), (2, key), (3, signature), (4, TEXT)];
        parts.into_iter().flat_map(|(number, value)| string_field(number, value)).collect()
    }

    fn p256_key() -> p256::ecdsa::SigningKey {
        p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap()
    }

    fn p256_spki() -> Vec<u8> {
        p256_key().verifying_key().to_public_key_der().unwrap().into_vec()
    }

    /// The same key every time; 512 bits are far too few for real use and enough for a SHA-256 signature.
    fn rsa_key() -> rsa::RsaPrivateKey {
        rsa::RsaPrivateKey::new(&mut Counter(1), 512).unwrap()
    }

    struct Counter(u64);

    impl rsa::rand_core::RngCore for Counter {
        fn next_u32(&mut self) -> u32 {
            (self.next_u64() >> 32) as u32
        }

        fn next_u64(&mut self) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            self.0
        }

        fn fill_bytes(&mut self, bytes: &mut [u8]) {
            bytes.iter_mut().for_each(|byte| *byte = (self.next_u64() >> 56) as u8);
        }

        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rsa::rand_core::Error> {
            self.fill_bytes(bytes);
            Ok(())
        }
    }

    impl rsa::rand_core::CryptoRng for Counter {}

    #[test]
    fn es256_is_verified_over_a_der_signature() {
        let signature: p256::ecdsa::Signature = p256_key().sign(TEXT);
        let der = signature.to_der();
        assert_eq!(verify_signature(&arguments("sha256", &p256_spki(), der.as_bytes())).unwrap(), VALID);
        assert_ne!(verify_signature(&arguments("sha512", &p256_spki(), der.as_bytes())).unwrap(), VALID);
    }

    #[test]
    fn a_raw_ecdsa_signature_is_refused() {
        let signature: p256::ecdsa::Signature = p256_key().sign(TEXT);
        let result = verify_signature(&arguments("sha256", &p256_spki(), &signature.to_bytes())).unwrap();
        assert_ne!(result, VALID);
        assert_eq!(result.first(), Some(&0x12), "an error text, and no `result` at all");
    }

    #[test]
    fn rs256_is_verified_over_an_spki_and_not_over_pkcs1() {
        let key = rsa_key();
        let signature = key.sign(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(TEXT)).unwrap();
        let spki = key.to_public_key().to_public_key_der().unwrap();
        assert_eq!(verify_signature(&arguments("sha256", spki.as_bytes(), &signature)).unwrap(), VALID);
        let pkcs1 = key.to_public_key().to_pkcs1_der().unwrap();
        let result = verify_signature(&arguments("sha256", pkcs1.as_bytes(), &signature)).unwrap();
        assert_eq!(result, string_field(2, b"Failed to initialize digest verify."));
        let mut other = signature.clone();
        other[0] ^= 1;
        assert_ne!(verify_signature(&arguments("sha256", spki.as_bytes(), &other)).unwrap(), VALID);
    }

    #[test]
    fn malformed_arguments_are_bad() {
        let good = arguments("sha256", &p256_spki(), b"sig");
        assert_eq!(verify_signature(&good[..good.len() - 1]), Err(Status::BadArgument));
        assert_eq!(verify_signature(&[]), Err(Status::BadArgument), "no key");
        let both = [good, string_field(5, b"-----BEGIN PUBLIC KEY-----")].concat();
        assert_eq!(verify_signature(&both), Err(Status::BadArgument), "two keys");
        assert_eq!(verify_signature(&[0xff; 11]), Err(Status::BadArgument), "a number without end");
    }

    #[test]
    fn an_unknown_hash_is_named() {
        let result = verify_signature(&arguments("md5", &p256_spki(), b"")).unwrap();
        assert_eq!(result, string_field(2, b"md5 is not supported."));
    }
}
