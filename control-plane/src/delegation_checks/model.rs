//! The result of a check, in Altinn's words, and the refusal that follows from it.

use policies::id::{AccessPackage, ActionId};
use serde::Serialize;
use serde_json::{Value, json};

use crate::problem::{Problem, ProblemCode, codes};
use crate::right::ResourceRight;

/// Why something can, or cannot, be passed on; Altinn's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) enum ReasonCode {
    /// By a role or a package of the approver.
    RoleAccess,
    PackageAccess,
    /// No role of the approver gives it.
    MissingRoleAccess,
    /// Nobody gave it to the approver.
    MissingDelegationAccess,
    /// No access package that the approver may pass on gives it, or is it.
    MissingPackageAccess,
    /// The approver must have logged in more strongly.
    InsufficientAuthenticationLevel,
    /// The party is on none of the resource's access lists.
    AccessListValidationFail,
    /// The resource is unknown or not open for delegation.
    ResourceNotDelegable,
    /// The package is unknown.
    PackageUnknown,
    /// The package is not for standard system users.
    PackageNotAssignable,
    /// The package is for clients: what the approver holds does not matter, each client is looked at when it is added.
    ClientPackage,
    /// The resource has no policy, its policy cannot decide, or does not have the action.
    Unknown,
}

/// One action of one right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RightCheck {
    /// As it was asked for.
    pub(crate) right: ResourceRight,
    /// The action that is looked at; `None` when there is none to look at.
    pub(crate) action: Option<ActionId>,
    pub(crate) is_passed_on: bool,
    /// At least one; the first decides the refusal.
    pub(crate) reasons: Vec<ReasonCode>,
    /// The level that the approver must have logged in with, where that is the reason.
    pub(crate) needed_level: Option<u64>,
}

/// One access package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PackageCheck {
    pub(crate) package: AccessPackage,
    pub(crate) is_passed_on: bool,
    pub(crate) reasons: Vec<ReasonCode>,
}

/// All of what is asked for, in its order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct DelegationCheck {
    pub(crate) rights: Vec<RightCheck>,
    pub(crate) access_packages: Vec<PackageCheck>,
}

impl DelegationCheck {
    /// Whether all of it can be passed on.
    pub(crate) fn is_whole(&self) -> bool {
        self.refusal_code().is_none()
    }

    /// Refuses with Altinn's code for the first thing that cannot be passed on; `reasons` names every one.
    pub(crate) fn require_all(&self) -> Result<(), Problem> {
        let Some(code) = self.refusal_code() else { return Ok(()) };
        let rights = self.rights.iter().filter(|right| !right.is_passed_on).map(RightCheck::json);
        let packages = self.access_packages.iter().filter(|package| !package.is_passed_on).map(PackageCheck::json);
        Err(Problem::new(code).member("reasons", rights.chain(packages).collect::<Vec<_>>()))
    }

    /// What an agent system user is to have for its clients: nobody's own packages are looked at.
    pub(crate) fn of_client_packages(packages: &[AccessPackage]) -> Self {
        let check = |package: &AccessPackage| PackageCheck {
            package: package.clone(),
            is_passed_on: true,
            reasons: vec![ReasonCode::ClientPackage],
        };
        Self { rights: Vec::new(), access_packages: packages.iter().map(check).collect() }
    }

    /// Everything, whether it can be passed on or not, and the code of the refusal if not all of it can.
    pub(crate) fn json(&self) -> Value {
        json!({
            "result": self.is_whole(),
            "code": self.refusal_code().map(|code| code.code),
            "rights": self.rights.iter().map(RightCheck::json).collect::<Vec<_>>(),
            "accessPackages": self.access_packages.iter().map(PackageCheck::json).collect::<Vec<_>>(),
        })
    }

    fn refusal_code(&self) -> Option<ProblemCode> {
        let right = self.rights.iter().find(|right| !right.is_passed_on);
        let package = self.access_packages.iter().find(|package| !package.is_passed_on);
        right.map(|right| right_code(&right.reasons)).or_else(|| package.map(|package| package_code(&package.reasons)))
    }
}

impl RightCheck {
    fn json(&self) -> Value {
        let right = ResourceRight {
            resource: self.right.resource.clone(),
            action: self.action.as_ref().or(self.right.action.as_ref()).cloned(),
            valid_to: self.right.valid_to,
        };
        let mut check = json!(right);
        if let Value::Object(members) = &mut check {
            members.insert("result".to_owned(), json!(self.is_passed_on));
            members.insert("reasonCodes".to_owned(), json!(self.reasons));
            if let Some(level) = self.needed_level {
                members.insert("requiredAuthenticationLevel".to_owned(), json!(level));
            }
        }
        check
    }
}

impl PackageCheck {
    fn json(&self) -> Value {
        json!({ "urn": self.package, "result": self.is_passed_on, "reasonCodes": self.reasons })
    }
}

fn right_code(reasons: &[ReasonCode]) -> ProblemCode {
    match reasons.first() {
        Some(ReasonCode::MissingRoleAccess) => codes::NO_ROLE_ACCESS,
        Some(ReasonCode::MissingPackageAccess) => codes::NO_PACKAGE_ACCESS,
        Some(ReasonCode::MissingDelegationAccess) => codes::NO_DIRECT_DELEGATION,
        Some(ReasonCode::InsufficientAuthenticationLevel) => codes::DELEGATION_LEVEL,
        Some(ReasonCode::AccessListValidationFail) => codes::NOT_ON_ACCESS_LIST,
        Some(ReasonCode::ResourceNotDelegable) => codes::RESOURCE_NOT_DELEGABLE,
        _ => codes::DELEGATION_FAILED,
    }
}

fn package_code(reasons: &[ReasonCode]) -> ProblemCode {
    match reasons.first() {
        Some(ReasonCode::PackageUnknown | ReasonCode::PackageNotAssignable) => codes::PACKAGES_INVALID,
        _ => codes::PACKAGES_NOT_HELD,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn right(action: &str, reasons: &[ReasonCode]) -> RightCheck {
        let resource = policies::id::ResourceId::parse("vat").unwrap();
        RightCheck {
            right: ResourceRight { resource, action: None, valid_to: None },
            action: Some(ActionId::parse(action).unwrap()),
            is_passed_on: reasons == [ReasonCode::RoleAccess],
            reasons: reasons.to_vec(),
            needed_level: None,
        }
    }

    #[test]
    fn the_first_that_fails_decides_and_all_are_named() {
        let package = AccessPackage::from_name("regnskap-okonomi-rapport").unwrap();
        let package = PackageCheck { package, is_passed_on: false, reasons: vec![ReasonCode::MissingPackageAccess] };
        let mut check = DelegationCheck {
            rights: vec![
                right("read", &[ReasonCode::RoleAccess]),
                right("write", &[ReasonCode::AccessListValidationFail]),
                right("sign", &[ReasonCode::MissingRoleAccess, ReasonCode::MissingDelegationAccess]),
            ],
            access_packages: vec![package],
        };
        assert_eq!(check.refusal_code(), Some(codes::NOT_ON_ACCESS_LIST));
        assert!(check.require_all().is_err() && !check.is_whole());
        assert_eq!(check.json()["rights"][2]["reasonCodes"], json!(["MissingRoleAccess", "MissingDelegationAccess"]));
        check.rights.truncate(1);
        assert_eq!(check.refusal_code(), Some(codes::PACKAGES_NOT_HELD));
        check.access_packages.clear();
        assert!(check.require_all().is_ok() && check.is_whole());
        assert_eq!(check.json()["rights"][0]["action"], "read");
    }
}
