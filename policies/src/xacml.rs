//! A resource's rights policy: XACML 3.0 as Altinn's Resource Registry stores it, read for system users.
//!
//! A system user gets a right in two ways: the policy names an access package that it holds, or the right was delegated
//! to it directly. So of each rule this reads the actions and the packages; subjects of other kinds (role codes, users,
//! service owners) can never match a system user and grant it nothing. What cannot be expressed so, or not yet (conditions,
//! policy sets, rules that deny, instance state), is refused with its line: a policy is never enforced in part.

mod reader;

use std::collections::BTreeSet;

use crate::id::{AccessPackage, ActionId, ResourceId};

/// Longest policy that is read, in bytes.
pub const POLICY_BYTES_MAX: usize = 1 << 20;

/// A policy in the form that decides about system users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourcePolicy {
    rules: Vec<PolicyRule>,
    minimum_authentication_level: u8,
    unknown_obligations: BTreeSet<String>,
}

/// One rule: it permits the actions to holders of any one of the packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRule {
    /// The actions.
    pub actions: BTreeSet<ActionId>,
    /// The packages; none when the rule names none, which leaves its actions to direct delegation.
    pub access_packages: BTreeSet<AccessPackage>,
}

/// Why a policy is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct XacmlError {
    /// Line in the XML, from 1.
    pub line: u32,
    /// Stable code.
    pub code: &'static str,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl ResourcePolicy {
    /// Reads the policy of a resource.
    pub fn parse(xml: &str, resource: &ResourceId) -> Result<Self, XacmlError> {
        reader::read(xml, resource)
    }

    /// The rules, in order.
    pub fn rules(&self) -> &[PolicyRule] {
        &self.rules
    }

    /// Every action that some rule permits.
    pub fn actions(&self) -> BTreeSet<ActionId> {
        self.rules.iter().flat_map(|rule| rule.actions.iter().cloned()).collect()
    }

    /// Obligation `urn:altinn:minimum-authenticationlevel`, 0 when there is none.
    pub fn minimum_authentication_level(&self) -> u8 {
        self.minimum_authentication_level
    }

    /// Ids of obligations that gateways do not know; one is enough to refuse every call.
    pub fn unknown_obligations(&self) -> &BTreeSet<String> {
        &self.unknown_obligations
    }
}
