//! Which worker asks the control plane for all: one that serves calls rather than one that serves none.
//!
//! Who asks works on a new base from its first part on. A VM that no call waits for (that of Envoy's main thread) would share
//! the processors with those that are waited for, so it asks only until another can. The lease itself is in
//! [`super::shared`].

use policies::Timestamp;

use super::Feed;
use super::shared::{Lead, SharedData};

impl Feed {
    /// Becomes, or stays, the one that asks, unless another is.
    pub(super) fn lead(&self, shared: &dyn SharedData, now: Timestamp) -> Lead {
        match self.board.lead(shared, now, self.serves) {
            Lead::AnotherThatIsIdle if self.may_relieve(shared, now) => self.board.relieve(shared, now),
            lead => lead,
        }
    }

    /// This worker serves calls and has what the others have, and no base is on its way that would have to be fetched again.
    fn may_relieve(&self, shared: &dyn SharedData, now: Timestamp) -> bool {
        let is_at_rest =
            self.version().is_some() && self.coming.is_none() && !self.is_behind && !self.is_distrustful(now);
        self.serves && is_at_rest && self.board.head(shared).is_some_and(|head| head.coming.is_none())
    }
}
