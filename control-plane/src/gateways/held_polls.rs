//! How many polls are held for each credential: one that got about must not take every connection.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Polls held at once for one credential; each worker of a gateway holds one.
pub(crate) const HELD_POLLS_MAX: usize = 1000;

/// The polls that are held now.
#[derive(Debug, Default)]
pub(crate) struct HeldPolls(Mutex<BTreeMap<String, usize>>);

/// A place among the held polls, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct HeldPoll {
    polls: Arc<HeldPolls>,
    credential: String,
}

impl HeldPolls {
    /// A place for one more poll of this credential; `None` when all are taken.
    pub(crate) fn hold(self: &Arc<Self>, credential: &str) -> Option<HeldPoll> {
        let mut held = self.lock();
        let count = held.entry(credential.to_owned()).or_default();
        if *count >= HELD_POLLS_MAX {
            return None;
        }
        *count += 1;
        Some(HeldPoll { polls: self.clone(), credential: credential.to_owned() })
    }

    /// Polls held for all credentials together.
    pub(crate) fn count(&self) -> usize {
        self.lock().values().sum()
    }

    /// A poisoned lock holds whole counts all the same: each change is one addition or removal.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for HeldPoll {
    fn drop(&mut self) {
        let mut held = self.polls.lock();
        match held.get_mut(&self.credential) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                held.remove(&self.credential);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_per_credential_and_given_back() {
        let polls = Arc::new(HeldPolls::default());
        let mut held: Vec<_> = (0..HELD_POLLS_MAX).map(|_| polls.hold("a").unwrap()).collect();
        assert!(polls.hold("a").is_none());
        assert!(polls.hold("b").is_some());
        held.pop();
        assert!(polls.hold("a").is_some());
        drop(held);
        assert!(polls.lock().is_empty());
    }
}
