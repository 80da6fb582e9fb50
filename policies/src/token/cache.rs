//! Tokens that were verified before, so that a caller who comes again costs no cryptography.
//!
//! Only tokens that were accepted are in it, under all of their bytes: whoever cannot sign tokens can neither fill it nor
//! make its look-ups slow. Times, issuer and key are checked again with every use
//! ([`VerifiedToken::check_again`]), so that nothing has to be dropped when keys or the policy change.

#[expect(clippy::disallowed_types, reason = "never walked through, and the hasher is an argument")]
use std::collections::HashMap;
use std::hash::BuildHasher;

use super::VerifiedToken;

/// How many tokens are remembered unless it is said otherwise.
pub const CACHED_TOKENS: usize = 16_384;
/// Most tokens that anyone may ask to be remembered.
pub const CACHED_TOKENS_MAX: usize = 131_072;
/// Bytes that there are for each token, on the whole: one of Maskinporten has about as many.
const BYTES_OF_TOKEN: usize = 1024;

/// By the keyed hash of the token; a hash that two share keeps the later one.
#[expect(clippy::disallowed_types, reason = "as above")]
type Generation<S> = HashMap<u64, (Box<str>, VerifiedToken), S>;

/// Bounded; what has not been used since half as many new ones as there is room for goes first.
#[derive(Debug)]
pub struct TokenCache<S> {
    /// Most tokens of one generation; there are two.
    generation_max: usize,
    young: Generation<S>,
    old: Generation<S>,
    young_bytes: usize,
}

/// Of a token that was found; good until the cache is changed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place(u64);

impl<S: BuildHasher + Clone> TokenCache<S> {
    /// An empty cache of the usual size. `hasher` should differ from process to process.
    pub fn new(hasher: S) -> Self {
        Self::of(CACHED_TOKENS, hasher)
    }

    /// An empty cache of so many tokens.
    pub fn of(tokens_max: usize, hasher: S) -> Self {
        let generation = || Generation::with_hasher(hasher.clone());
        Self { generation_max: tokens_max / 2, young: generation(), old: generation(), young_bytes: 0 }
    }

    /// How many tokens are in it.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the token is, if it is known.
    pub(crate) fn find(&mut self, token: &str) -> Option<Place> {
        let hash = self.young.hasher().hash_one(token);
        if let Some((token, verified)) = self.old.remove(&hash) {
            self.insert(token, verified);
        }
        self.young.get(&hash).filter(|(known, _)| is_same(known, token)).map(|_| Place(hash))
    }

    /// The verified form of the token at a place.
    pub(crate) fn at(&self, place: Place) -> Option<&VerifiedToken> {
        self.young.get(&place.0).map(|(_, verified)| verified)
    }

    /// Remembers a token.
    pub(crate) fn insert(&mut self, token: Box<str>, verified: VerifiedToken) -> Place {
        if self.young.len() >= self.generation_max
            || self.young_bytes + token.len() > self.generation_max * BYTES_OF_TOKEN
        {
            let fresh = Generation::with_hasher(self.young.hasher().clone());
            self.old = std::mem::replace(&mut self.young, fresh);
            self.young_bytes = 0;
        }
        self.young_bytes += token.len();
        let hash = self.young.hasher().hash_one(&*token);
        if let Some((before, _)) = self.young.insert(hash, (token, verified)) {
            self.young_bytes -= before.len();
        }
        Place(hash)
    }

    /// Forgets a token.
    pub(crate) fn remove(&mut self, token: &str) {
        let hash = self.young.hasher().hash_one(token);
        if let Some((token, _)) = self.young.remove(&hash) {
            self.young_bytes -= token.len();
        }
    }
}

/// Every byte is the same. Eight at a time: what WebAssembly's C library does byte by byte is a third of a look-up.
fn is_same(one: &str, other: &str) -> bool {
    let (ones, one_rest) = one.as_bytes().as_chunks::<8>();
    let (others, other_rest) = other.as_bytes().as_chunks::<8>();
    let words = |(one, other): (&[u8; 8], &[u8; 8])| u64::from_ne_bytes(*one) == u64::from_ne_bytes(*other);
    one.len() == other.len() && ones.iter().zip(others).all(words) && one_rest == other_rest
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasherDefault;

    use super::*;

    #[test]
    fn it_is_bounded_and_keeps_what_is_used() {
        let verified = super::super::fuzz::verified();
        let mut cache = TokenCache::new(BuildHasherDefault::<std::hash::DefaultHasher>::default());
        assert!(cache.is_empty());
        cache.insert("used".into(), verified.clone());
        for number in 0..2 * CACHED_TOKENS {
            cache.insert(number.to_string().into(), verified.clone());
            assert!(cache.find("used").is_some(), "{number}");
            assert!(cache.len() <= CACHED_TOKENS);
        }
        assert!(cache.find("0").is_none());
        let long = "x".repeat(CACHED_TOKENS * BYTES_OF_TOKEN / 8);
        for number in 0..20 {
            cache.insert(format!("{long}{number}").into(), verified.clone());
        }
        assert!(cache.len() <= 8, "{}", cache.len());
        cache.remove("used");
        assert!(cache.find("used").is_none());
    }

    #[test]
    fn only_the_same_token_is_found() {
        #[derive(Clone, Default)]
        struct Equal;
        impl std::hash::Hasher for Equal {
            fn finish(&self) -> u64 {
                7
            }
            fn write(&mut self, _: &[u8]) {}
        }
        let mut cache = TokenCache::new(BuildHasherDefault::<Equal>::default());
        cache.insert("a.b.c-of-some-length".into(), super::super::fuzz::verified());
        for other in ["", "a.b.c-of-some-lengtH", "A.b.c-of-some-length", "a.b.c-of-some-length ", "a.b.c-of"] {
            assert!(cache.find(other).is_none(), "{other}");
        }
        assert!(cache.find("a.b.c-of-some-length").is_some());
        cache.insert("other".into(), super::super::fuzz::verified());
        assert!(cache.find("other").is_some() && cache.find("a.b.c-of-some-length").is_none());
        assert_eq!(cache.young_bytes, 5);
    }
}
