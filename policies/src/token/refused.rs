//! Signatures that were found to be wrong, so that the same token sent again and again costs no cryptography either.
//!
//! Whether a signature is a key's over a message never changes: nothing here grows old, and what a key that has gone said is
//! not asked for again. All bytes are compared, so nobody can make another's token refused; whoever fills the places only
//! makes cryptography necessary again.

use std::cell::RefCell;
use std::hash::BuildHasher;

use super::cache::is_same;
use super::{SignatureError, VerificationKey, VerifySignature};

/// How many wrong signatures are remembered, each with a token of at most [`super::TOKEN_BYTES_MAX`].
pub(super) const REFUSED_SIGNATURES: usize = 256;

/// One place for all signatures of a hash; the last one has it.
#[derive(Debug, Default)]
pub(super) struct RefusedSignatures(Vec<Option<Refused>>);

#[derive(Debug)]
struct Refused {
    key: VerificationKey,
    message: Box<[u8]>,
    signature: Box<[u8]>,
}

/// Verifies what was not found wrong before.
pub(super) struct NotRefused<'a, S> {
    pub(super) signatures: &'a dyn VerifySignature,
    pub(super) refused: &'a RefCell<RefusedSignatures>,
    pub(super) hasher: &'a S,
}

impl<S: BuildHasher> VerifySignature for NotRefused<'_, S> {
    fn verify(&self, key: &VerificationKey, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let place = || self.hasher.hash_one((message, signature)) as usize % REFUSED_SIGNATURES;
        let is_refused = |known: &Refused| {
            is_same(&known.signature, signature) && is_same(&known.message, message) && known.key.is_copy_of(key)
        };
        let is_known = |known: &[Option<Refused>]| {
            !known.is_empty() && known.get(place()).and_then(Option::as_ref).is_some_and(is_refused)
        };
        if is_known(&self.refused.borrow().0) {
            return Err(SignatureError::Invalid);
        }
        let verified = self.signatures.verify(key, message, signature);
        if verified == Err(SignatureError::Invalid) {
            let places = &mut self.refused.borrow_mut().0;
            places.resize_with(REFUSED_SIGNATURES, || None);
            if let Some(known) = places.get_mut(place()) {
                *known = Some(Refused { key: key.clone(), message: message.into(), signature: signature.into() });
            }
        }
        verified
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::hash::BuildHasherDefault;

    use super::super::{PureRust, fuzz};
    use super::*;

    /// Counts what gets through to it.
    struct Counting(Cell<usize>, Option<SignatureError>);

    impl VerifySignature for Counting {
        fn verify(&self, key: &VerificationKey, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
            self.0.set(self.0.get() + 1);
            self.1.map_or_else(|| PureRust.verify(key, message, signature), Err)
        }
    }

    #[test]
    fn what_was_wrong_once_is_not_verified_again() {
        let refused = RefCell::default();
        let hasher = BuildHasherDefault::<std::hash::DefaultHasher>::default();
        let [key, other] = [7, 8].map(fuzz::key);
        let counting = Counting(Cell::new(0), None);
        let verifying = NotRefused { signatures: &counting, refused: &refused, hasher: &hasher };
        let check = |key: &VerificationKey, message: &[u8], signature: &[u8], verified: usize| {
            assert_eq!(verifying.verify(key, message, signature), Err(SignatureError::Invalid));
            assert_eq!(counting.0.take(), verified);
        };
        check(&key, b"message", &[1; 64], 1);
        check(&key, b"message", &[1; 64], 0);
        // Another message, signature or key is another token.
        check(&key, b"massage", &[1; 64], 1);
        check(&key, b"message", &[2; 64], 1);
        check(&other, b"message", &[2; 64], 1);
        check(&other, b"message", &[2; 64], 0);
        for number in 0..10 * REFUSED_SIGNATURES as u64 {
            check(&key, &number.to_le_bytes(), &[number.to_le_bytes(); 8].concat(), 1);
        }
        assert_eq!(refused.borrow().0.len(), REFUSED_SIGNATURES);
    }

    #[test]
    fn a_host_that_could_not_say_is_asked_again() {
        let refused = RefCell::default();
        let hasher = BuildHasherDefault::<std::hash::DefaultHasher>::default();
        let failing = Counting(Cell::new(0), Some(SignatureError::Unavailable));
        let verifying = NotRefused { signatures: &failing, refused: &refused, hasher: &hasher };
        for count in 1..4 {
            assert_eq!(verifying.verify(&fuzz::key(7), b"message", &[1; 64]), Err(SignatureError::Unavailable));
            assert_eq!(failing.0.get(), count);
        }
    }
}
