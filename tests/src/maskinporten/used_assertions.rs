//! Remembers the ids of assertions for as long as they could be used a second time.

use std::collections::BTreeMap;

/// An assertion lives for two minutes, so this is more than five hundred grants a second.
const REMEMBERED_MAX: usize = 65_536;

/// What became of an assertion id.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Use {
    First,
    /// No room to remember it: it must not be accepted, because it could then be used again.
    Full,
    Repeated,
}

#[derive(Debug, Default)]
pub(super) struct UsedAssertions {
    // Invariant: at most `REMEMBERED_MAX` entries. The value is the second after which the assertion is refused anyway.
    expiry: BTreeMap<(String, String), i64>,
}

impl UsedAssertions {
    /// Notes that `client` used the assertion `id`, which is refused as too old after `expires`.
    pub(super) fn note(&mut self, client: &str, id: &str, expires: i64, now: i64) -> Use {
        let key = (client.to_owned(), id.to_owned());
        if self.expiry.get(&key).is_some_and(|expires| *expires >= now) {
            return Use::Repeated;
        }
        if self.expiry.len() >= REMEMBERED_MAX {
            self.expiry.retain(|_, expires| *expires >= now);
        }
        if self.expiry.len() >= REMEMBERED_MAX {
            return Use::Full;
        }
        self.expiry.insert(key, expires);
        Use::First
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_used_once_per_client() {
        let mut used = UsedAssertions::default();
        assert_eq!(used.note("a", "1", 100, 50), Use::First);
        assert_eq!(used.note("a", "1", 100, 100), Use::Repeated);
        assert_eq!(used.note("b", "1", 100, 50), Use::First);
        assert_eq!(used.note("a", "1", 300, 101), Use::First);
    }

    #[test]
    fn memory_is_bounded_and_forgets_the_expired_only() {
        let mut used = UsedAssertions::default();
        for id in 0..REMEMBERED_MAX {
            assert_eq!(used.note("a", &id.to_string(), 100, 50), Use::First);
        }
        assert_eq!(used.note("a", "one more", 100, 50), Use::Full);
        assert_eq!(used.note("a", "0", 100, 50), Use::Repeated);
        assert_eq!(used.note("a", "one more", 300, 101), Use::First);
        assert_eq!(used.expiry.len(), 1);
    }
}
