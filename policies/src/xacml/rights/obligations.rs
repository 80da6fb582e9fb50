//! What a policy demands of whoever lets a call through.

use std::collections::BTreeSet;

use super::{GeneralReason, XacmlError};
use crate::urn;
use crate::xacml::Semantics;
use crate::xacml::ast::{AssignmentExpression, Effect, Expression, Literal, NoticeExpression, NoticeKind, Policy};

/// Highest authentication level that there is.
const LEVEL_MAX: u8 = 4;

/// The obligations of a Permit.
#[derive(Debug, Default)]
pub(super) struct Obligations {
    pub(super) minimum_authentication_level: u8,
    /// Ids of those that gateways do not know.
    pub(super) unknown: BTreeSet<String>,
    /// What is not known before the call is.
    pub(super) reasons: Vec<GeneralReason>,
}

/// Reads them. Those of a denial have nothing to add: the gateway refuses anyway.
pub(super) fn read(policy: &Policy, semantics: Semantics) -> Result<Obligations, XacmlError> {
    let mut read = Obligations::default();
    for notice in policy.notices.iter().filter(|notice| notice.effect == Effect::Permit) {
        let computed = notice.assignments.iter().find(|one| !matches!(one.expression, Expression::Literal(_)));
        // Altinn leaves such assignments out. The standard computes them, and fails if it cannot: advice, too.
        if let (Some(computed), Semantics::Standard) = (computed, semantics) {
            let message = format!("`{}` is computed from the request", computed.id);
            read.reasons.push(GeneralReason { line: computed.line, code: "obligation_expression", message });
        }
        if notice.kind == NoticeKind::Obligation {
            read.add(notice)?;
        }
    }
    Ok(read)
}

impl Obligations {
    fn add(&mut self, notice: &NoticeExpression) -> Result<(), XacmlError> {
        let literals: Vec<_> = notice.assignments.iter().filter_map(literal).collect();
        let mut known = !literals.is_empty();
        for (assignment, literal) in literals {
            match assignment.category.as_deref() {
                Some(urn::MINIMUM_AUTHENTICATION_LEVEL) => {
                    let level = literal.text.trim().parse().ok().filter(|level| *level <= LEVEL_MAX);
                    let level = level.ok_or_else(|| XacmlError {
                        line: assignment.line,
                        code: "obligation_level",
                        message: format!("an authentication level is a number from 0 to {LEVEL_MAX}"),
                    })?;
                    self.minimum_authentication_level = self.minimum_authentication_level.max(level);
                }
                // For service owners alone.
                Some(urn::MINIMUM_AUTHENTICATION_LEVEL_ORG) => {}
                _ => known = false,
            }
        }
        if !known {
            self.unknown.insert(notice.id.clone());
        }
        Ok(())
    }
}

fn literal(assignment: &AssignmentExpression) -> Option<(&AssignmentExpression, &Literal)> {
    match &assignment.expression {
        Expression::Literal(literal) => Some((assignment, literal)),
        _ => None,
    }
}
