//! Looks up and decides what an approver may pass on.

use std::collections::BTreeSet;

use policies::id::{AccessPackage, OrganizationNumber};

use super::model::{DelegationCheck, PackageCheck, ReasonCode, RightCheck};
use crate::access_packages;
use crate::decisions::of_user::{LoggedInUser, Verdict};
use crate::decisions::passing_on::{self, PassedOn, PolicySubjects};
use crate::parties::model::RoleAssignment;
use crate::parties::{self, Party};
use crate::problem::Problem;
use crate::resources;
use crate::right::ResourceRight;
use crate::state::AppState;
use crate::store::Connection;

/// What `approver` may pass on of `party`'s rights and packages to a standard system user, from what `connection` sees.
/// Packages of agent system users are bound when a client is added, not here: give none for them.
pub(crate) async fn check(
    state: &AppState,
    connection: &mut Connection,
    approver: LoggedInUser,
    party: &Party,
    rights: &[ResourceRight],
    access_packages: &[AccessPackage],
) -> Result<DelegationCheck, Problem> {
    let mut check = DelegationCheck::default();
    if !rights.is_empty() {
        let decided = passing_on::decide(state, connection, approver, party, rights).await?;
        let resources = rights.iter().map(|right| right.resource.clone()).collect();
        let delegable = resources::store::delegability(connection, &resources).await?;
        for (right, decided) in rights.iter().zip(decided) {
            if delegable.get(&right.resource) == Some(&true) {
                check.rights.extend(of_right(right, decided));
            } else {
                check.rights.push(refused(right, vec![ReasonCode::ResourceNotDelegable]));
            }
        }
    }
    if !access_packages.is_empty() {
        let held = packages_to_pass_on(connection, approver, party).await?;
        check.access_packages = access_packages.iter().map(|package| of_package(package, &held)).collect();
    }
    Ok(check)
}

/// Refuses unless all of it may be given to a standard system user of the party by this user.
pub(crate) async fn require_delegable(
    state: &AppState,
    connection: &mut Connection,
    approver: LoggedInUser,
    party: &Party,
    rights: &[ResourceRight],
    access_packages: &[AccessPackage],
) -> Result<(), Problem> {
    check(state, connection, approver, party, rights, access_packages).await?.require_all()
}

/// A right, action by action.
fn of_right(right: &ResourceRight, decided: Option<PassedOn>) -> Vec<RightCheck> {
    let Some(PassedOn { verdicts, subjects }) = decided else {
        return vec![refused(right, vec![ReasonCode::Unknown])];
    };
    let of_action = |(action, verdict)| {
        let (is_passed_on, reasons, needed_level) = match verdict {
            Verdict::Permitted => (true, vec![ReasonCode::RoleAccess], None),
            Verdict::LevelTooLow { needed } => (false, vec![ReasonCode::InsufficientAuthenticationLevel], Some(needed)),
            Verdict::NotListed => (false, vec![ReasonCode::AccessListValidationFail], None),
            Verdict::Refused => (false, missing(subjects), None),
            Verdict::Undecided => (false, vec![ReasonCode::Unknown], None),
        };
        RightCheck { right: right.clone(), action: Some(action), is_passed_on, reasons, needed_level }
    };
    verdicts.into_iter().map(of_action).collect()
}

/// What would have given it: roles and packages where the policy names some, and a delegation in any case.
fn missing(subjects: PolicySubjects) -> Vec<ReasonCode> {
    let roles = subjects.roles.then_some(ReasonCode::MissingRoleAccess);
    let packages = subjects.access_packages.then_some(ReasonCode::MissingPackageAccess);
    roles.into_iter().chain(packages).chain([ReasonCode::MissingDelegationAccess]).collect()
}

fn refused(right: &ResourceRight, reasons: Vec<ReasonCode>) -> RightCheck {
    let action = right.action.clone();
    RightCheck { right: right.clone(), action, is_passed_on: false, reasons, needed_level: None }
}

fn of_package(package: &AccessPackage, held: &BTreeSet<&'static str>) -> PackageCheck {
    let reason = match access_packages::kind(package) {
        None => ReasonCode::PackageUnknown,
        Some(kind) if !kind.is_assignable => ReasonCode::PackageNotAssignable,
        Some(_) if held.contains(package.name()) => ReasonCode::PackageAccess,
        Some(_) => ReasonCode::MissingPackageAccess,
    };
    let is_passed_on = reason == ReasonCode::PackageAccess;
    PackageCheck { package: package.clone(), is_passed_on, reasons: vec![reason] }
}

/// Through the approver's roles at the party, and at its main unit.
async fn packages_to_pass_on(
    connection: &mut Connection,
    approver: LoggedInUser,
    party: &Party,
) -> Result<BTreeSet<&'static str>, Problem> {
    let organizations: BTreeSet<OrganizationNumber> = [party.organization].into_iter().chain(party.main_unit).collect();
    let roles = parties::store::roles(connection, &[approver.user_id].into(), &organizations).await?;
    let of_role = |assignment: RoleAssignment| {
        let form = party.form.as_ref().filter(|_| assignment.organization == party.organization);
        assignment.role.packages_to_pass_on(form)
    };
    Ok(roles.into_iter().flat_map(of_role).collect())
}
