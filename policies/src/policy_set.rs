//! The policy in force: a loaded snapshot, or a policy that denies everything and says why.
//!
//! There is no "no policy" to branch on anywhere else: before the first snapshot, and when the last one is too old, the
//! policy is one that denies.

use std::collections::BTreeSet;

use crate::Timestamp;
use crate::decision::PolicyTrouble;
use crate::id::{OrganizationNumber, SystemUserId};
use crate::right::Right;
use crate::snapshot::{Enforced, Known, Manifest, ObligationView, RightIndex};
use crate::token::{IssuerKind, VerificationKey};

/// What decides.
#[derive(Debug)]
pub struct PolicySet(State);

/// What anybody may know of the API (RFC 9728).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectedResource<'policy> {
    /// Whose bearer tokens are taken.
    pub authorization_servers: Vec<&'policy str>,
    /// Scopes that some route demands, in order.
    pub scopes: Vec<&'policy str>,
}

#[derive(Debug)]
enum State {
    Enforce(Box<Enforced>),
    DenyAll(PolicyTrouble),
}

impl PolicySet {
    /// A policy that denies every call for this reason.
    pub fn deny_all(trouble: PolicyTrouble) -> Self {
        Self(State::DenyAll(trouble))
    }

    pub(crate) fn enforce(enforced: Enforced) -> Self {
        Self(State::Enforce(Box::new(enforced)))
    }

    /// What is enforced, the last delta included; `None` for a policy that denies everything.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.enforced_whatever_the_time().map(Enforced::manifest)
    }

    /// The base under the deltas.
    pub fn base(&self) -> Option<&Manifest> {
        self.enforced_whatever_the_time().map(Enforced::base)
    }

    /// How many system users it knows.
    pub fn system_user_count(&self) -> usize {
        self.enforced_whatever_the_time().map_or(0, Enforced::system_user_count)
    }

    /// How many system users and rows deltas have changed: what a new base would save.
    pub fn changes_since_base(&self) -> usize {
        self.enforced_whatever_the_time().map_or(0, Enforced::overlay_entries)
    }

    /// Lets keys of a trusted issuer verify that came from the issuer itself, beside those of the snapshot, in the place
    /// of those that did before. Where the snapshot has a key of the same id, that one counts; an issuer that the snapshot
    /// does not trust stays untrusted. A new base knows nothing of them.
    pub fn set_issuer_keys(&mut self, issuer: &str, keys: &[VerificationKey]) {
        if let Some(enforced) = self.enforced_whatever_the_time_mut() {
            enforced.set_issuer_keys(issuer, keys);
        }
    }

    /// The system user may act.
    pub fn is_active(&self, id: SystemUserId) -> bool {
        self.enforced_whatever_the_time().is_some_and(|enforced| matches!(enforced.system_user(id), Known::Active(_)))
    }

    /// System users that are told to have been withdrawn, in order.
    pub fn withdrawn(&self) -> Vec<SystemUserId> {
        self.enforced_whatever_the_time().map(|enforced| enforced.withdrawn().into_iter().collect()).unwrap_or_default()
    }

    /// Every right that can be held, in order.
    pub fn rights(&self) -> &[Right] {
        self.enforced_whatever_the_time().map_or(&[], |enforced| enforced.image().rights())
    }

    /// The authentication level that a system user needs to use a right for a party, whatever the time; the right by its
    /// position in [`Self::rights`]. `None` when it may not use it, or when a program decides that.
    pub fn level_required(&self, id: SystemUserId, party: OrganizationNumber, right: usize) -> Option<u32> {
        let enforced = self.enforced_whatever_the_time()?;
        let right = RightIndex(u32::try_from(right).ok()?);
        let Known::Active(user) = enforced.system_user(id) else { return None };
        let through = user.row(party.as_u32())?.through(right)?;
        let image = enforced.image();
        if image.program(right).is_some() || image.is_listed(right, party.as_u32()) != Some(true) {
            return None;
        }
        image.obligations(right, through)?.try_fold(0, |highest, obligation| match obligation {
            ObligationView::MinimumAuthenticationLevel(level) => Some(highest.max(level)),
            ObligationView::Unknown => None,
        })
    }

    /// What anybody may know of the API.
    pub fn protected_resource(&self, now: Timestamp) -> Result<ProtectedResource<'_>, PolicyTrouble> {
        let enforced = self.enforced(now)?;
        let bearers = enforced.issuers().iter().filter(|issuer| issuer.kind != IssuerKind::Platform);
        let scopes: BTreeSet<&str> =
            enforced.routes().all().iter().flat_map(|route| &route.scopes).map(String::as_str).collect();
        Ok(ProtectedResource {
            authorization_servers: bearers.map(|issuer| issuer.issuer.as_str()).collect(),
            scopes: scopes.into_iter().collect(),
        })
    }

    pub(crate) fn enforced(&self, now: Timestamp) -> Result<&Enforced, PolicyTrouble> {
        match &self.0 {
            State::Enforce(enforced) if now < enforced.manifest().not_after => Ok(enforced),
            State::Enforce(_) => Err(PolicyTrouble::Expired),
            State::DenyAll(trouble) => Err(*trouble),
        }
    }

    /// For whoever does not decide with it.
    pub(crate) fn enforced_whatever_the_time(&self) -> Option<&Enforced> {
        match &self.0 {
            State::Enforce(enforced) => Some(enforced),
            State::DenyAll(_) => None,
        }
    }

    pub(crate) fn enforced_whatever_the_time_mut(&mut self) -> Option<&mut Enforced> {
        match &mut self.0 {
            State::Enforce(enforced) => Some(enforced),
            State::DenyAll(_) => None,
        }
    }
}
