//! Finds what a policy says and does not mean: each finding with its line, why it matters, and what to write instead.
//!
//! A policy that compiles can still permit nobody, or permit differently here and there. What is looked for are mistakes
//! that were made, each with a code of its own ([`codes`]). Whether Altinn and the standard answer differently is not
//! guessed from how a rule looks: requests made of what the policy names are decided under both (`disagreement`).
//!
//! Not here: what is wrong, which [`super::parse()`] and [`super::CompiledPolicy::compile`] refuse. Nothing is looked up:
//! names of packages and roles are passed in.

mod attributes;
mod disagreement;
mod matches;
mod policy;
mod requests;
mod rules;

use std::collections::BTreeSet;

use super::ast::{Policy, PolicyDocument, PolicyElement};
use super::rights::{ProjectedRule, Projection, Resource, project};
use super::{Semantics, ast};
use crate::id::ResourceId;
use crate::urn;

/// Something that is probably not meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Stable code.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Line in the file, from 1.
    pub line: u32,
    /// What was found.
    pub message: String,
    /// Why it matters.
    pub why: &'static str,
    /// What to do about it.
    pub fix: String,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The policy, or part of it, cannot work.
    Error,
    /// It works, but hardly as meant, or not everywhere.
    Warning,
    /// Worth knowing.
    Note,
}

/// Names that are known. What is empty is not compared with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LintCatalogue {
    /// Last parts of the URNs of access packages, in small letters.
    pub packages: BTreeSet<String>,
    /// Role codes, values of `urn:altinn:rolecode`, in small letters.
    pub roles: BTreeSet<String>,
}

/// A kind of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FindingCode {
    /// The code.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Why it matters.
    pub why: &'static str,
}

impl Severity {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// Every kind of finding.
pub fn codes() -> impl Iterator<Item = FindingCode> {
    [matches::CODES, rules::CODES, policy::CODES, disagreement::CODES].into_iter().flatten().copied()
}

/// The one resource that a policy names: by its id, or as the app of an owner.
pub fn resource_of(document: &PolicyDocument) -> Option<ResourceId> {
    match &document.root {
        PolicyElement::Policy(policy) => attributes::resource_of(policy),
        PolicyElement::PolicySet(_) => None,
    }
}

/// Finds what is not meant in a policy, sorted by line. It is the policy of `resource`, or of the one that it names itself.
pub fn lint(document: &PolicyDocument, resource: Option<&ResourceId>, known: &LintCatalogue) -> Vec<Finding> {
    let found = match &document.root {
        PolicyElement::Policy(policy) => lint_policy(document, policy, resource, known),
        PolicyElement::PolicySet(set) => vec![policy::is_set(set)],
    };
    sorted(found)
}

fn lint_policy(
    document: &PolicyDocument,
    policy: &Policy,
    resource: Option<&ResourceId>,
    known: &LintCatalogue,
) -> Vec<Finding> {
    let named = attributes::resource_of(policy);
    let resource = resource.or(named.as_ref());
    let of_resource = resource.map_or_else(Resource::any, Resource::of);
    let Projection { rules: projected, .. } = project(policy, &of_resource, Semantics::Altinn);
    let is_delegation = attributes::is_delegation(policy);
    let mut found = policy::findings(policy, resource, &projected, is_delegation);
    // Where all are, that is said once.
    let tell_dead = !is_delegation && !policy::all_dead(&projected);
    for (rule, projected) in policy.rules.iter().zip(&projected) {
        found.extend(rules::findings(rule, projected, tell_dead));
        let matches = super::rights::matches(&rule.target);
        found.extend(matches.flat_map(|one| matches::findings(one, resource, known)));
    }
    let in_target = super::rights::matches(&policy.target);
    found.extend(in_target.flat_map(|one| matches::findings(one, resource, known)));
    found.extend(matches::placeholders(policy));
    found.extend(rules::repeated(policy));
    found.extend(disagreement::findings(document, policy, resource));
    found
}

/// In order of lines, each once.
fn sorted(mut found: Vec<Finding>) -> Vec<Finding> {
    found.sort_by(|one, other| {
        (one.line, one.severity, one.code, &one.message).cmp(&(other.line, other.severity, other.code, &other.message))
    });
    found.dedup();
    found
}

impl FindingCode {
    const fn new(code: &'static str, severity: Severity, why: &'static str) -> Self {
        Self { code, severity, why }
    }

    fn at(self, line: u32, message: impl Into<String>, fix: impl Into<String>) -> Finding {
        let Self { code, severity, why } = self;
        Finding { code, severity, line, message: message.into(), why, fix: fix.into() }
    }
}

/// Whether no system user can match a rule, as far as is known.
fn is_dead(projected: &ProjectedRule) -> bool {
    projected.reasons.is_empty() && projected.rules.iter().all(|rule| rule.access_packages.is_empty())
}

/// What a match compares with: its designator; none for a selector.
fn designator(one: &ast::Match) -> Option<&ast::Designator> {
    match &one.attribute {
        ast::Attribute::Designator(designator) => Some(designator),
        ast::Attribute::Selector(_) => None,
    }
}

/// How a category is called in messages.
fn category_name(category: &str) -> &str {
    match category {
        urn::CATEGORY_SUBJECT => "subject",
        urn::CATEGORY_RESOURCE => "resource",
        urn::CATEGORY_ACTION => "action",
        super::request::CATEGORY_ENVIRONMENT => "environment",
        other => other,
    }
}

#[cfg(test)]
mod tests;
