//! Tokens that were verified before, so that a caller who comes again costs no cryptography.
//!
//! Only tokens that were accepted are in it, under all of their bytes: whoever cannot sign tokens can neither fill it nor
//! make its look-ups slow. Times, issuer and key are checked again with every use
//! ([`VerifiedToken::check_again`]), so that nothing has to be dropped when keys or the policy change.

#[expect(clippy::disallowed_types, reason = "never walked through, and the hasher is an argument")]
use std::collections::HashMap;
use std::hash::BuildHasher;

use super::VerifiedToken;

/// Most tokens of one generation; there are two.
const ENTRIES_MAX: usize = 8192;
/// Most bytes of tokens of one generation.
const BYTES_MAX: usize = 8 << 20;

#[expect(clippy::disallowed_types, reason = "as above")]
type Generation<S> = HashMap<Box<str>, VerifiedToken, S>;

/// Bounded; what has not been used since the last 8,192 new ones goes first.
#[derive(Debug)]
pub struct TokenCache<S> {
    young: Generation<S>,
    old: Generation<S>,
    young_bytes: usize,
}

impl<S: BuildHasher + Clone> TokenCache<S> {
    /// An empty cache. `hasher` should differ from process to process.
    pub fn new(hasher: S) -> Self {
        let generation = || Generation::with_hasher(hasher.clone());
        Self { young: generation(), old: generation(), young_bytes: 0 }
    }

    /// How many tokens are in it.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The verified form of the token, if it is known.
    pub(crate) fn get(&mut self, token: &str) -> Option<&VerifiedToken> {
        if let Some((token, verified)) = self.old.remove_entry(token) {
            self.insert(token, verified);
        }
        self.young.get(token)
    }

    /// Remembers a token.
    pub(crate) fn insert(&mut self, token: Box<str>, verified: VerifiedToken) {
        if self.young.len() >= ENTRIES_MAX || self.young_bytes + token.len() > BYTES_MAX {
            let fresh = Generation::with_hasher(self.young.hasher().clone());
            self.old = std::mem::replace(&mut self.young, fresh);
            self.young_bytes = 0;
        }
        self.young_bytes += token.len();
        self.young.insert(token, verified);
    }

    /// Forgets a token.
    pub(crate) fn remove(&mut self, token: &str) {
        if let Some((token, _)) = self.young.remove_entry(token) {
            self.young_bytes -= token.len();
        }
    }
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
        for number in 0..4 * ENTRIES_MAX {
            cache.insert(number.to_string().into(), verified.clone());
            assert!(cache.get("used").is_some(), "{number}");
            assert!(cache.len() <= 2 * ENTRIES_MAX);
        }
        assert!(cache.get("0").is_none());
        let long = "x".repeat(BYTES_MAX / 4);
        for number in 0..20 {
            cache.insert(format!("{long}{number}").into(), verified.clone());
        }
        assert!(cache.len() <= 8, "{}", cache.len());
        cache.remove("used");
        assert!(cache.get("used").is_none());
    }
}
