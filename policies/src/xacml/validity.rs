//! Whether a policy is valid for a resource of the Resource Registry: every rule names the resource, and no other
//! (the registry's own check, `EnsureValidPolicy`).
//!
//! Not here: what is unwise but valid. That is for the linter.

use super::PolicyError;
use super::ast::{Attribute, Literal, PolicyDocument, PolicyElement, Rule};
use super::rights::matches;
use crate::id::ResourceId;
use crate::urn;

/// Checks the policy of a resource.
pub fn check_resource_policy(document: &PolicyDocument, resource: &ResourceId) -> Result<(), PolicyError> {
    let refuse =
        |line, code, message: String, cure| PolicyError { file: document.file.clone(), line, code, message, cure };
    let policy = match &document.root {
        PolicyElement::Policy(policy) => policy,
        PolicyElement::PolicySet(set) => {
            let message = "a resource has one policy, not a set".to_owned();
            return Err(refuse(set.line, "feature_unsupported", message, "write one `Policy`"));
        }
    };
    for rule in &policy.rules {
        check_rule(rule, resource).map_err(|wrong| refuse(wrong.line, wrong.code, wrong.message, wrong.cure))?;
    }
    Ok(())
}

/// What is wrong with a rule.
#[derive(Debug)]
pub(crate) struct WrongRule {
    pub(crate) line: u32,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) cure: &'static str,
}

/// Checks a rule of the policy of a resource.
pub(crate) fn check_rule(rule: &Rule, resource: &ResourceId) -> Result<(), WrongRule> {
    let named: Vec<_> = values(rule, urn::RESOURCE).collect();
    let is_other = |literal: &&&Literal| !literal.text.trim().eq_ignore_ascii_case(resource.as_str());
    if let Some(other) = named.iter().find(is_other) {
        return Err(WrongRule {
            line: other.line,
            code: "resource_other",
            message: format!("rule `{}` is for the resource `{}`, not `{resource}`", rule.id, other.text.trim()),
            cure: "name the resource that the policy is for",
        });
    }
    if named.is_empty() && !is_app_of(rule, resource) {
        return Err(WrongRule {
            line: rule.line,
            code: "resource_missing",
            message: format!("rule `{}` is without reference to registry resource id `{resource}`", rule.id),
            cure: "name the resource in the rule's target",
        });
    }
    Ok(())
}

/// Whether a rule names the owner and the app that the resource's id is made of, and no others.
pub(crate) fn is_app_of(rule: &Rule, resource: &ResourceId) -> bool {
    let Some((owner, app)) = resource.as_str().strip_prefix("app_").and_then(|rest| rest.split_once('_')) else {
        return false;
    };
    let all_are = |attribute, expected: &str| {
        let mut named = values(rule, attribute).peekable();
        named.peek().is_some() && named.all(|literal| literal.text.trim().eq_ignore_ascii_case(expected))
    };
    all_are(urn::APP_OWNER, owner) && all_are(urn::APP, app)
}

/// What a rule's target says about an attribute of the resource.
fn values<'a>(rule: &'a Rule, id: &'a str) -> impl Iterator<Item = &'a Literal> {
    matches(&rule.target).filter_map(move |one| match &one.attribute {
        Attribute::Designator(found) if found.category == urn::CATEGORY_RESOURCE && found.id == id => {
            Some(&one.literal)
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests;
