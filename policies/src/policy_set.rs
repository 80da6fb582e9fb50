//! The policy in force: a loaded snapshot, or a policy that denies everything and says why.
//!
//! There is no "no policy" to branch on anywhere else: before the first snapshot, and when the last one is too old, the
//! policy is one that denies.

use crate::Timestamp;
use crate::decision::PolicyTrouble;
use crate::snapshot::{Image, Manifest};

/// What decides.
#[derive(Debug)]
pub struct PolicySet(State);

#[derive(Debug)]
enum State {
    Enforce(Box<(Manifest, Image)>),
    DenyAll(PolicyTrouble),
}

impl PolicySet {
    /// A policy that denies every call for this reason.
    pub fn deny_all(trouble: PolicyTrouble) -> Self {
        Self(State::DenyAll(trouble))
    }

    pub(crate) fn enforce(manifest: Manifest, image: Image) -> Self {
        Self(State::Enforce(Box::new((manifest, image))))
    }

    /// What is enforced; `None` for a policy that denies everything.
    pub fn manifest(&self) -> Option<&Manifest> {
        match &self.0 {
            State::Enforce(policy) => Some(&policy.0),
            State::DenyAll(_) => None,
        }
    }

    /// How many system users it knows.
    pub fn system_user_count(&self) -> usize {
        match &self.0 {
            State::Enforce(policy) => policy.1.system_user_count(),
            State::DenyAll(_) => 0,
        }
    }

    pub(crate) fn image(&self, now: Timestamp) -> Result<&Image, PolicyTrouble> {
        match &self.0 {
            State::Enforce(policy) if now < policy.0.not_after => Ok(&policy.1),
            State::Enforce(_) => Err(PolicyTrouble::Expired),
            State::DenyAll(trouble) => Err(*trouble),
        }
    }
}
