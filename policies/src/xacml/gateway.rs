//! What a gateway decides from: the few attributes that it knows, without a request in between.
//!
//! The answer is that of the request with the same attributes, each with one `Attribute` for its values.

use std::borrow::Cow;

use super::Environment;
use super::altinn::{AltinnPolicy, Texts};
use super::ast::{Effect, NoticeKind};
use super::evaluate::{self, Attributes};
use super::program::{Instruction, Program, at};
use super::response::{Assignment, Decision, Notice, StatusCode};
use crate::urn;

/// Values that are not access packages.
const OTHERS: usize = 7;

/// What is known of a call when it is decided. Every text is one value of type string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatewayAttributes<'a> {
    /// Uuid of the system user: subject attribute `urn:altinn:systemuser:uuid`.
    pub system_user: &'a str,
    /// Last parts of the URNs of the access packages that it holds for the party: subject attribute
    /// `urn:altinn:accesspackage`.
    pub access_packages: &'a [&'a str],
    /// The resource: resource attribute `urn:altinn:resource`, and for `app_{org}_{app}` also `urn:altinn:org` and
    /// `urn:altinn:app`.
    pub resource: &'a str,
    /// Number of the organisation acted for: resource attributes `urn:altinn:organization:identifier-no` and
    /// `urn:altinn:organizationnumber`.
    pub party_organization: &'a str,
    /// The action: action attribute `urn:oasis:names:tc:xacml:1.0:action:action-id`.
    pub action: &'a str,
}

/// The answer to a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayDecision<'p> {
    /// The decision. Only a Permit lets a call through.
    pub decision: Decision,
    /// Why, if it is Indeterminate.
    pub status: StatusCode,
    /// What must be done with it; who does not understand one must refuse.
    pub obligations: Cow<'p, [Notice]>,
}

impl<'a> GatewayAttributes<'a> {
    /// Category, id and text of every value.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, &'static str, &'a str)> + use<'a> {
        let (owner, app) = match app_of(self.resource) {
            Some((owner, app)) => (Some(owner), Some(app)),
            None => (None, None),
        };
        let of_subject = [(urn::CATEGORY_SUBJECT, urn::SYSTEM_USER_UUID, Some(self.system_user))];
        let packages =
            self.access_packages.iter().map(|name| (urn::CATEGORY_SUBJECT, urn::ACCESS_PACKAGE, Some(*name)));
        let others = [
            (urn::CATEGORY_RESOURCE, urn::RESOURCE, Some(self.resource)),
            (urn::CATEGORY_RESOURCE, urn::APP_OWNER, owner),
            (urn::CATEGORY_RESOURCE, urn::APP, app),
            (urn::CATEGORY_RESOURCE, urn::ORGANIZATION_NUMBER, Some(self.party_organization)),
            (urn::CATEGORY_RESOURCE, urn::OLD_ORGANIZATION_NUMBER, Some(self.party_organization)),
            (urn::CATEGORY_ACTION, urn::ACTION_ID, Some(self.action)),
        ];
        let all = of_subject.into_iter().chain(packages).chain(others);
        all.filter_map(|(category, id, text)| Some((category, id, text?)))
    }

    /// How many values there are, at most.
    pub(crate) fn count(&self) -> usize {
        self.access_packages.len().saturating_add(OTHERS)
    }
}

/// Owner and name of the app whose resource this is.
fn app_of(resource: &str) -> Option<(&str, &str)> {
    resource.strip_prefix("app_")?.split_once('_')
}

pub(super) fn decide_standard<'p>(
    program: &'p Program,
    known: &GatewayAttributes<'_>,
    environment: Environment,
) -> GatewayDecision<'p> {
    let attributes = Attributes::of_gateway(known, environment.now);
    let evaluated = evaluate::decide(program, &attributes, environment.fuel_max);
    GatewayDecision {
        decision: evaluated.decision,
        status: evaluated.status_code(),
        obligations: Cow::Owned(evaluated.obligations),
    }
}

pub(super) fn decide_altinn<'p>(
    policy: &'p AltinnPolicy,
    known: &GatewayAttributes<'_>,
    environment: Environment,
) -> GatewayDecision<'p> {
    match policy.evaluate(&Texts::of_gateway(known), environment.fuel_max) {
        Ok((decision, _)) => GatewayDecision {
            decision,
            status: StatusCode::Ok,
            obligations: Cow::Borrowed(if decision == Decision::Permit { policy.obligations() } else { &[] }),
        },
        Err(failure) => GatewayDecision {
            decision: Decision::Indeterminate,
            status: failure.code(),
            obligations: Cow::Borrowed(&[]),
        },
    }
}

/// The root's own obligations on Permit. Of their assignments those that are literals: what an obligation says otherwise
/// depends on the request that it was told for.
pub(super) fn obligations_of_root(program: &Program) -> Vec<Notice> {
    let Some(root) = program.root() else { return Vec::new() };
    let notices = root.notices.of(&program.notices).iter();
    let on_permit = notices.filter(|notice| (notice.kind, notice.effect) == (NoticeKind::Obligation, Effect::Permit));
    on_permit
        .map(|notice| {
            let assignments = notice.assignments.of(&program.assignments).iter().filter_map(|assignment| {
                let [Instruction::Literal(position)] = assignment.value.of(&program.code) else { return None };
                let value = &at(&program.literals, *position)?.value;
                Some(Assignment {
                    id: assignment.id.to_string(),
                    category: assignment.category.as_deref().map(str::to_owned),
                    issuer: assignment.issuer.as_deref().map(str::to_owned),
                    data_type: value.data_type().uri().to_owned(),
                    value: value.to_string(),
                })
            });
            Notice { id: notice.id.to_string(), assignments: assignments.collect() }
        })
        .collect()
}

#[cfg(test)]
mod tests;
