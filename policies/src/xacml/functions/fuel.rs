//! What a decision may still spend. Everything that takes steps pays for them.

use super::regexp::Threads;
use crate::xacml::evaluate::Failure;

/// What is left; and room for patterns, which goes where the fuel goes.
#[derive(Debug)]
pub(crate) struct Fuel {
    units: u64,
    threads: Threads,
}

/// It is not enough, for good: nothing after it can be paid for either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spent;

impl Fuel {
    pub(crate) fn new(units: u64) -> Self {
        Self { units, threads: Threads::default() }
    }

    /// Pays.
    pub(crate) fn pay(&mut self, units: u64) -> Result<(), Spent> {
        match self.units.checked_sub(units) {
            Some(left) => {
                self.units = left;
                Ok(())
            }
            None => {
                self.units = 0;
                Err(Spent)
            }
        }
    }

    /// Gives the room for patterns away for the time of a match.
    pub(super) fn lend_threads(&mut self) -> Threads {
        std::mem::take(&mut self.threads)
    }

    pub(super) fn take_back(&mut self, threads: Threads) {
        self.threads = threads;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.units == 0
    }
}

impl From<Spent> for Failure<'_> {
    fn from(_: Spent) -> Self {
        Self::processing("the decision needs more steps than allowed")
    }
}
