//! What a resource's policy means for system users at a gateway: the rights policy.
//!
//! A system user has exactly one `urn:altinn:systemuser:uuid` and any number of access packages; a gateway knows the
//! resource, the party and the action, and nothing of roles, users or instances. Most policies then say no more than which
//! package gives which action: [`RightsForm::Exact`], rules that can be compiled into a look-up. That form is used only
//! where it is proven to answer as the policy itself does, a delegation coming second; every other policy is
//! [`RightsForm::General`] and is evaluated as it stands, with the reasons why.
//!
//! Not here: which policies are unwise. That is for [`super::lint`]. The proof is in `project`, what a gateway knows in
//! `vocabulary`.

mod held;
mod literals;
mod obligations;
mod project;
mod unknowable;
mod vocabulary;

use std::collections::BTreeSet;

use super::ast::{Policy, PolicyDocument, PolicyElement};
use super::validity::check_resource_policy;
use super::{CompiledPolicy, PolicyError, Semantics};
use crate::id::{AccessPackage, ActionId, ResourceId};

pub(crate) use literals::compared;
pub(crate) use project::{ProjectedRule, Projection, algorithm, category_of, matches, project};
pub(crate) use vocabulary::{Resource, TextComparison};

/// Longest policy that is read, in bytes.
pub const POLICY_BYTES_MAX: usize = 1 << 20;

/// A resource's policy as gateways enforce it.
#[derive(Debug, Clone)]
pub struct ResourcePolicy {
    semantics: Semantics,
    policy_id: String,
    policy_version: String,
    actions: BTreeSet<ActionId>,
    access_packages: BTreeSet<AccessPackage>,
    rules: Vec<PolicyRule>,
    minimum_authentication_level: u8,
    unknown_obligations: BTreeSet<String>,
    /// Invariant: if it is there, `rules` and `unknown_obligations` are empty and the level is 0.
    general: Option<Box<General>>,
}

#[derive(Debug, Clone)]
struct General {
    policy: CompiledPolicy,
    reasons: Vec<GeneralReason>,
    unknowable: Vec<GeneralReason>,
}

/// One rule: it permits the actions to holders of any one of the packages. A rule of the XACML whose packages depend on
/// the action is several of these, with the same id and line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRule {
    /// `RuleId`; Altinn accepts two rules with the same.
    pub id: String,
    /// Line in the XML, from 1.
    pub line: u32,
    /// The actions, spelled as in the policy.
    pub actions: BTreeSet<ActionId>,
    /// The packages; none when no system user can match the rule, which leaves its actions to direct delegation.
    pub access_packages: BTreeSet<AccessPackage>,
}

/// How a policy is enforced.
#[derive(Debug, Clone, Copy)]
pub enum RightsForm<'a> {
    /// [`ResourcePolicy::rules`] are the whole policy. For every action of [`ResourcePolicy::actions`] and every set of
    /// packages, some rule permits where evaluation gives Permit, and none where it gives NotApplicable; it gives nothing
    /// else. An action that the policy does not name is permitted by none.
    Exact,
    /// The policy is evaluated for every call. Obligations come with the decision.
    General {
        /// What is evaluated.
        policy: &'a CompiledPolicy,
        /// Why the exact form does not do, in order of lines; at least one.
        reasons: &'a [GeneralReason],
    },
}

/// Something that the exact form cannot express.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GeneralReason {
    /// Line in the XML, from 1.
    pub line: u32,
    /// Stable code.
    pub code: &'static str,
    /// What it is.
    pub message: String,
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
    /// Reads the policy of a resource as Altinn does.
    pub fn parse(xml: &str, resource: &ResourceId) -> Result<Self, XacmlError> {
        Self::read(xml.as_bytes(), resource, Semantics::Altinn)
    }

    /// Reads the policy of a resource, UTF-8 or UTF-16.
    pub fn read(xml: &[u8], resource: &ResourceId, semantics: Semantics) -> Result<Self, XacmlError> {
        if xml.len() > POLICY_BYTES_MAX {
            let message = format!("a policy has at most {POLICY_BYTES_MAX} bytes");
            return Err(XacmlError { line: 1, code: "policy_too_large", message });
        }
        Self::of_document(&super::parse("policy.xml", xml)?, resource, semantics)
    }

    /// The policy of a resource from its tree.
    pub fn of_document(
        document: &PolicyDocument,
        resource: &ResourceId,
        semantics: Semantics,
    ) -> Result<Self, XacmlError> {
        let policy = only_policy(document)?;
        if policy.rules.is_empty() {
            let message = "the policy has no rule".to_owned();
            return Err(XacmlError { line: policy.line, code: "policy_without_rules", message });
        }
        check_resource_policy(document, resource)?;
        let compiled = CompiledPolicy::compile(document, &[], semantics)?;
        let obligations = obligations::read(policy, semantics)?;
        let projection = project(policy, &Resource::of(resource), semantics);
        let of_rules = projection.rules.iter().flat_map(|rule| rule.reasons.iter().cloned());
        let mut reasons: Vec<_> = projection.reasons.into_iter().chain(of_rules).chain(obligations.reasons).collect();
        reasons.sort();
        reasons.dedup();
        let mut read = Self {
            semantics,
            policy_id: policy.id.clone(),
            policy_version: policy.version.to_string(),
            actions: literals::actions(policy, semantics),
            access_packages: literals::packages(policy, semantics),
            rules: Vec::new(),
            minimum_authentication_level: 0,
            unknown_obligations: BTreeSet::new(),
            general: None,
        };
        if reasons.is_empty() {
            read.rules = projection.rules.into_iter().flat_map(|rule| rule.rules).collect();
            read.minimum_authentication_level = obligations.minimum_authentication_level;
            read.unknown_obligations = obligations.unknown;
        } else {
            let unknowable = unknowable::unknowable(policy, semantics);
            read.general = Some(Box::new(General { policy: compiled, reasons, unknowable }));
        }
        Ok(read)
    }

    /// How it was read.
    pub fn semantics(&self) -> Semantics {
        self.semantics
    }

    /// `PolicyId`
    pub fn policy_id(&self) -> &str {
        &self.policy_id
    }

    /// `Version`
    pub fn policy_version(&self) -> String {
        self.policy_version.clone()
    }

    /// How it is enforced.
    pub fn form(&self) -> RightsForm<'_> {
        match &self.general {
            None => RightsForm::Exact,
            Some(general) => RightsForm::General { policy: &general.policy, reasons: &general.reasons },
        }
    }

    /// What the policy asks that a gateway cannot tell it, in order of lines: packages beyond [`Self::access_packages`], and
    /// what of the party is not its organisation number. A policy that asks for any of it must not be decided in a gateway:
    /// the answer would not be that of the policy. Empty in the exact form.
    pub fn unknowable(&self) -> &[GeneralReason] {
        self.general.as_ref().map_or(&[], |general| &general.unknowable)
    }

    /// The rules, in order; empty in the general form.
    pub fn rules(&self) -> &[PolicyRule] {
        &self.rules
    }

    /// Every action that the policy names, in either form, spelled as there.
    pub fn actions(&self) -> BTreeSet<ActionId> {
        self.actions.clone()
    }

    /// Every package that the policy names for the subject, in either form; where letter case does not count, in small
    /// letters too.
    pub fn access_packages(&self) -> BTreeSet<AccessPackage> {
        self.access_packages.clone()
    }

    /// Obligation `urn:altinn:minimum-authenticationlevel`, 0 when there is none. In the general form it is 0: the
    /// decision brings it.
    pub fn minimum_authentication_level(&self) -> u8 {
        self.minimum_authentication_level
    }

    /// Ids of obligations that gateways do not know; one is enough to refuse every call. In the general form there is
    /// none: the decision brings them.
    pub fn unknown_obligations(&self) -> &BTreeSet<String> {
        &self.unknown_obligations
    }
}

/// The document's one policy.
fn only_policy(document: &PolicyDocument) -> Result<&Policy, XacmlError> {
    match &document.root {
        PolicyElement::Policy(policy) => Ok(policy),
        PolicyElement::PolicySet(set) => {
            let message = "a resource has one policy, not a set; write one `Policy`".to_owned();
            Err(XacmlError { line: set.line, code: "policy_element", message })
        }
    }
}

impl From<PolicyError> for XacmlError {
    fn from(error: PolicyError) -> Self {
        let PolicyError { line, code, message, cure, .. } = error;
        // Codes that resource policies had before there was an engine for all of XACML.
        let code = match code {
            "xml_malformed" => "policy_not_xml",
            "document_element" | "element_unknown" | "element_missing" | "element_twice" => "policy_element",
            "algorithm_unknown" => "policy_combining_algorithm",
            "rule_id_twice" => "rule_twice",
            other => other,
        };
        Self { line, code, message: format!("{message}; {cure}") }
    }
}

#[cfg(test)]
pub(crate) mod generated;
#[cfg(test)]
mod tests;
