//! Tokens that were verified before, so that a caller who comes again costs no cryptography.
//!
//! Only tokens that were accepted are in it, under all of their bytes: whoever cannot sign tokens can neither fill it nor
//! make its look-ups slow. Beside it, in a small table of its own, is which signatures were wrong (`refused`). Times, issuer
//! and key are checked again with every use ([`VerifiedToken::check_again`]), so that nothing has to be dropped when keys or
//! the policy change. How a token's last calls were decided counts only for the edition of the policy that decided them.

use std::cell::RefCell;
#[expect(clippy::disallowed_types, reason = "never walked through, and the hasher is an argument")]
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::hint::black_box;
use std::sync::{Arc, Mutex, PoisonError};

use super::refused::{NotRefused, RefusedSignatures};
use super::{IssuerKind, Reading, TokenError, TrustedIssuer, VerifiedToken, VerifySignature, verify};
use crate::Timestamp;
use crate::decision::{Denial, RightUsed};
use crate::snapshot::Edition;

/// How many tokens are remembered unless it is said otherwise.
pub const CACHED_TOKENS: usize = 16_384;
/// Most tokens that anyone may ask to be remembered.
pub const CACHED_TOKENS_MAX: usize = 262_144;
/// Bytes that there are for each token, on the whole: one of Maskinporten has about as many.
const BYTES_OF_TOKEN: usize = 1024;

/// Bytes at the end of a token that it is found by. They are the signature's: two tokens that were accepted differ there.
const TAIL_BYTES: usize = 32;

/// Tokens by the keyed hash of their ends; of two with one hash the later is kept.
#[derive(Debug)]
#[expect(clippy::disallowed_types, reason = "as above")]
struct Generation<S> {
    tokens: HashMap<u64, Entry, S>,
    bytes: usize,
}

/// Both are behind the table, where a processor fetches them at once: nearly every look-up finds neither in its caches.
#[derive(Debug)]
struct Entry {
    token: Box<[u8]>,
    known: Box<KnownToken>,
}

/// What is known of a token.
#[derive(Debug)]
pub(crate) struct KnownToken {
    pub(crate) verified: VerifiedToken,
    /// What its last permitted call was permitted for: a system user mostly calls again for the same party.
    pub(crate) permitted: Option<Decided<Arc<RightUsed>>>,
    /// What its last refused call was refused for: whoever is refused often tries again.
    pub(crate) refused: Option<Box<Decided<Denial>>>,
}

impl KnownToken {
    /// Reads what will be read soon. A processor waits for several reads at once as long as none needs the other, and these
    /// would come after the token's bytes were compared.
    fn fetch(&self) {
        black_box(self.verified.expires());
        black_box(self.permitted.as_ref().map(|permitted| permitted.how.party));
    }
}

/// How a call was decided, for which route and by what.
#[derive(Debug)]
pub(crate) struct Decided<T> {
    pub(crate) edition: Edition,
    pub(crate) route: Arc<str>,
    pub(crate) how: T,
}

impl<T> Decided<T> {
    /// This very state of the policy decided it, for this route.
    pub(crate) fn is_by(&self, edition: &Edition, route: &Arc<str>) -> bool {
        self.edition.is(edition) && Arc::ptr_eq(&self.route, route)
    }
}

/// Bounded; what has not been used since half as many new ones as there is room for goes first.
#[derive(Debug)]
pub struct TokenCache<S> {
    /// Most tokens of one generation; there are two.
    generation_max: usize,
    young: Generation<S>,
    old: Generation<S>,
    refused: RefCell<RefusedSignatures>,
    reading: Reading,
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
        let (young, old) = (Generation::new(hasher.clone()), Generation::new(hasher));
        let (refused, reading) = Default::default();
        Self { generation_max: tokens_max / 2, young, old, refused, reading }
    }

    /// How many tokens are in it.
    pub fn len(&self) -> usize {
        self.young.tokens.len() + self.old.tokens.len()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the token is, if it is known.
    pub(crate) fn find(&mut self, token: &[u8]) -> Option<Place> {
        let hash = self.hash(token);
        if self.young.has(hash, token) {
            return Some(Place(hash));
        }
        let entry = self.old.take(hash, token)?;
        Some(self.insert_entry(hash, entry))
    }

    /// The token at a place.
    pub(crate) fn known(&self, place: Place) -> Option<&KnownToken> {
        self.young.tokens.get(&place.0).map(|entry| &*entry.known)
    }

    /// The same, for what is to be remembered of it.
    pub(crate) fn known_mut(&mut self, place: Place) -> Option<&mut KnownToken> {
        self.young.tokens.get_mut(&place.0).map(|entry| &mut *entry.known)
    }

    /// The verified form of the token at a place.
    pub(crate) fn at(&self, place: Place) -> Option<&VerifiedToken> {
        self.known(place).map(|known| &known.verified)
    }

    /// The verified form of a bearer token that is known and stands still.
    fn standing(&mut self, token: &[u8], issuers: &[TrustedIssuer], now: Timestamp) -> Option<&VerifiedToken> {
        let place = self.find(token)?;
        let stands =
            |token: &&VerifiedToken| token.kind() != IssuerKind::Platform && token.check_again(issuers, now).is_ok();
        self.at(place).filter(stands)
    }

    /// Verifies signatures, but not again those that were found to be wrong.
    pub(crate) fn not_refused<'a>(&'a self, signatures: &'a dyn VerifySignature) -> impl VerifySignature + 'a {
        NotRefused { signatures, refused: &self.refused, hasher: self.young.tokens.hasher() }
    }

    /// What tokens that were read leave to the next.
    pub(crate) fn reading(&self) -> &Reading {
        &self.reading
    }

    /// Remembers a token.
    pub(crate) fn insert(&mut self, token: Box<[u8]>, verified: VerifiedToken) -> Place {
        let hash = self.hash(&token);
        let known = Box::new(KnownToken { verified, permitted: None, refused: None });
        self.insert_entry(hash, Entry { token, known })
    }

    /// Forgets a token.
    pub(crate) fn remove(&mut self, token: &[u8]) {
        let hash = self.hash(token);
        self.young.take(hash, token);
    }

    fn hash(&self, token: &[u8]) -> u64 {
        let tail = token.get(token.len().saturating_sub(TAIL_BYTES)..).unwrap_or_default();
        self.young.tokens.hasher().hash_one(tail)
    }

    fn insert_entry(&mut self, hash: u64, entry: Entry) -> Place {
        if self.young.tokens.len() >= self.generation_max
            || self.young.bytes + entry.token.len() > self.generation_max * BYTES_OF_TOKEN
        {
            // What the old ones had room in, the new ones will need.
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(hash, entry);
        Place(hash)
    }
}

impl<S: BuildHasher> Generation<S> {
    #[expect(clippy::disallowed_types, reason = "as above")]
    fn new(hasher: S) -> Self {
        Self { tokens: HashMap::with_hasher(hasher), bytes: 0 }
    }

    fn clear(&mut self) {
        self.tokens.clear();
        self.bytes = 0;
    }

    fn has(&self, hash: u64, token: &[u8]) -> bool {
        self.tokens.get(&hash).is_some_and(|entry| {
            entry.known.fetch();
            is_same(&entry.token, token)
        })
    }

    fn insert(&mut self, hash: u64, entry: Entry) {
        self.bytes += entry.token.len();
        if let Some(before) = self.tokens.insert(hash, entry) {
            self.bytes -= before.token.len();
        }
    }

    /// Takes this very token out.
    fn take(&mut self, hash: u64, token: &[u8]) -> Option<Entry> {
        if !self.has(hash, token) {
            return None;
        }
        let entry = self.tokens.remove(&hash)?;
        self.bytes -= entry.token.len();
        Some(entry)
    }
}

/// Verifies a bearer token like [`verify`], but not the signature of one that was verified before and stands still. For a
/// host of many threads: nobody waits for another's cryptography.
pub fn verify_remembered<S: BuildHasher + Clone>(
    cache: &Mutex<TokenCache<S>>,
    token: &str,
    issuers: &[TrustedIssuer],
    now: Timestamp,
    signatures: &dyn VerifySignature,
) -> Result<VerifiedToken, TokenError> {
    // Whoever panicked there lost a token at most: each is whole.
    let locked = || cache.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = locked().standing(token.as_bytes(), issuers, now) {
        return Ok(known.clone());
    }
    // Verified anew also when something about it has changed, so that the reason is the same as without a cache.
    let verified = verify(token, issuers, now, signatures);
    match &verified {
        Ok(verified) => {
            locked().insert(token.as_bytes().into(), verified.clone());
        }
        Err(_) => locked().remove(token.as_bytes()),
    }
    verified
}

/// Every byte is the same. Looked at to the end, which a compiler turns into comparing sixteen at a time; what the C library
/// does in WebAssembly, byte by byte until one differs, is a third of a look-up.
pub(super) fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |differs, (one, other)| differs | (one ^ other)) == 0
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasherDefault;
    use std::sync::atomic::Ordering;

    use super::super::SignatureError;
    use super::*;

    type Hasher = BuildHasherDefault<std::hash::DefaultHasher>;

    #[test]
    fn it_is_bounded_and_keeps_what_is_used() {
        let verified = super::super::fuzz::verified();
        let mut cache = TokenCache::new(Hasher::default());
        assert!(cache.is_empty());
        cache.insert(b"used"[..].into(), verified.clone());
        for number in 0..2 * CACHED_TOKENS {
            cache.insert(number.to_string().into_bytes().into(), verified.clone());
            assert!(cache.find(b"used").is_some(), "{number}");
            assert!(cache.len() <= CACHED_TOKENS);
        }
        assert!(cache.find(b"0").is_none());
        let long = "x".repeat(CACHED_TOKENS * BYTES_OF_TOKEN / 8);
        for number in 0..20 {
            cache.insert(format!("{long}{number}").into_bytes().into(), verified.clone());
        }
        assert!(cache.len() <= 8, "{}", cache.len());
        cache.remove(b"used");
        assert!(cache.find(b"used").is_none());
    }

    #[test]
    fn a_signature_is_verified_once_while_the_token_stands() {
        #[derive(Default)]
        struct Counting(std::sync::atomic::AtomicUsize);
        impl VerifySignature for Counting {
            fn verify(&self, _: &super::super::VerificationKey, _: &[u8], _: &[u8]) -> Result<(), SignatureError> {
                self.0.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
        }
        let (token, issuers, now) = super::super::fuzz::token();
        let (signatures, cache) = (Counting::default(), Mutex::new(TokenCache::of(2, Hasher::default())));
        let verify = |issuers: &[TrustedIssuer], now| {
            let verified = verify_remembered(&cache, &token, issuers, now, &signatures);
            (verified.map(|token| token.expires()), signatures.0.load(Ordering::Relaxed))
        };
        let expires = now.plus_seconds(120);
        assert_eq!((verify(&issuers, now), verify(&issuers, now)), ((Ok(expires), 1), (Ok(expires), 1)));
        let without_keys: Vec<_> =
            issuers.iter().cloned().map(|issuer| TrustedIssuer { keys: Vec::new(), ..issuer }).collect();
        assert_eq!(verify(&without_keys, now), (Err(TokenError::KeyUnknown), 1));
        assert!(cache.lock().unwrap().is_empty());
        assert_eq!((verify(&issuers, now), verify(&issuers, now)), ((Ok(expires), 2), (Ok(expires), 2)));
        let platform: Vec<_> =
            issuers.iter().cloned().map(|issuer| TrustedIssuer { kind: IssuerKind::Platform, ..issuer }).collect();
        assert_eq!(verify(&platform, now), (Err(TokenError::IssuerUnknown), 2));
        assert_eq!(verify(&issuers, now), (Ok(expires), 3));
        assert_eq!(verify(&issuers, expires.plus_seconds(10)), (Err(TokenError::Expired), 3));
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
        cache.insert(b"a.b.c-of-some-length"[..].into(), super::super::fuzz::verified());
        for other in ["", "a.b.c-of-some-lengtH", "A.b.c-of-some-length", "a.b.c-of-some-length ", "a.b.c-of"] {
            assert!(cache.find(other.as_bytes()).is_none(), "{other}");
        }
        assert!(cache.find(b"a.b.c-of-some-length").is_some());
        cache.insert(b"other"[..].into(), super::super::fuzz::verified());
        assert!(cache.find(b"other").is_some() && cache.find(b"a.b.c-of-some-length").is_none());
        assert_eq!((cache.len(), cache.young.bytes), (1, 5));
        cache.remove(b"OTHER");
        assert!(cache.find(b"other").is_some(), "another token with its hash does not make it forgotten");
    }
}
