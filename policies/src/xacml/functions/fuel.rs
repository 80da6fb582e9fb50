//! What a decision may still spend. Everything that takes steps pays before it does.

use crate::xacml::evaluate::Failure;

/// What is left.
#[derive(Debug)]
pub(crate) struct Fuel(u64);

/// It is not enough, for good: nothing after it can be paid for either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spent;

impl Fuel {
    pub(crate) fn new(units: u64) -> Self {
        Self(units)
    }

    /// Pays.
    pub(crate) fn pay(&mut self, units: u64) -> Result<(), Spent> {
        match self.0.checked_sub(units) {
            Some(left) => {
                self.0 = left;
                Ok(())
            }
            None => {
                self.0 = 0;
                Err(Spent)
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0 == 0
    }
}

impl From<Spent> for Failure<'_> {
    fn from(_: Spent) -> Self {
        Self::processing("the decision needs more steps than allowed")
    }
}
