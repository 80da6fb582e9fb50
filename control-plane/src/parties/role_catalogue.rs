//! What a role stands for in policies: its code, the access packages that come with it, and those that its holders may
//! pass on.
//!
//! Data, derived from Altinn's public catalogue: `data/roles.csv` and `data/role-packages.csv`, for the roles of people
//! that the register keeps. A main administrator passes on what it does not hold itself. Packages that come in
//! organisations of one form only are given in those.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::model::{OrganizationForm, Role};

/// Whoever holds it is a main administrator, too.
const MAIN_ADMINISTRATOR: &str = "hovedadministrator";

impl Role {
    /// The value of `urn:altinn:rolecode` that policies name it by.
    pub(crate) fn role_code(self) -> &'static str {
        ROLE_CODES.get(self.code()).copied().unwrap_or("")
    }

    /// The last parts of the URNs of the access packages that its holders have in an organisation of this form.
    pub(crate) fn access_packages(self, form: Option<&OrganizationForm>) -> BTreeSet<&'static str> {
        of(self.code(), form).filter(|package| package.is_held).map(|package| package.name).collect()
    }

    /// … and of those that they may give to others.
    pub(crate) fn packages_to_pass_on(self, form: Option<&OrganizationForm>) -> BTreeSet<&'static str> {
        let is_main_administrator = self.access_packages(form).contains(MAIN_ADMINISTRATOR);
        let also = is_main_administrator.then(|| of(MAIN_ADMINISTRATOR, form)).into_iter().flatten();
        of(self.code(), form).chain(also).filter(|package| package.is_passed_on).map(|package| package.name).collect()
    }
}

/// A package that comes with a role.
struct RolePackage {
    name: &'static str,
    /// Empty: of any form.
    form: &'static str,
    is_passed_on: bool,
    is_held: bool,
}

fn of(role: &str, form: Option<&OrganizationForm>) -> impl Iterator<Item = &'static RolePackage> {
    let packages = PACKAGES.get(role).into_iter().flatten();
    packages.filter(move |package| package.form.is_empty() || form.is_some_and(|form| form.as_str() == package.form))
}

static ROLE_CODES: LazyLock<BTreeMap<&'static str, &'static str>> = LazyLock::new(|| {
    let lines = include_str!("../../data/roles.csv").lines().skip(1);
    lines.filter_map(|line| line.split_once(',')).collect()
});

static PACKAGES: LazyLock<BTreeMap<&'static str, Vec<RolePackage>>> = LazyLock::new(|| {
    let mut packages: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for line in include_str!("../../data/role-packages.csv").lines().skip(1) {
        if let [role, name, form, is_passed_on, is_held] = line.split(',').collect::<Vec<_>>()[..] {
            let (is_passed_on, is_held) = (is_passed_on == "true", is_held == "true");
            packages.entry(role).or_default().push(RolePackage { name, form, is_passed_on, is_held });
        }
    }
    packages
});

#[cfg(test)]
mod tests {
    use policies::id::AccessPackage;

    use super::*;
    use crate::access_packages;
    use crate::parties::model::ROLES;

    #[test]
    fn every_role_has_a_code_and_packages_of_the_catalogue() {
        // A board member has no package.
        assert_eq!((ROLE_CODES.len(), PACKAGES.len() + 1), (ROLES.len(), ROLES.len()));
        let form = OrganizationForm::parse("NUF").ok();
        for (role, _) in ROLES {
            assert_eq!(role.role_code().len(), 4, "{role:?}");
            let (held, passed_on) = (role.access_packages(form.as_ref()), role.packages_to_pass_on(form.as_ref()));
            assert!(held.is_subset(&passed_on), "{role:?}");
            for name in passed_on {
                assert!(access_packages::kind(&AccessPackage::from_name(name).unwrap()).is_some(), "{name}");
            }
        }
        assert_eq!(Role::DagligLeder.role_code(), "dagl");
        assert_eq!(Role::Bostyrer.role_code(), "bobe");
        assert_eq!(Role::DagligLeder.access_packages(None).len(), 133);
        assert!(Role::Styreleder.access_packages(None).contains("regnskap-okonomi-rapport"));
    }

    #[test]
    fn a_main_administrator_passes_on_what_it_does_not_hold() {
        let held = Role::Hovedadministrator.access_packages(None);
        let passed_on = Role::Hovedadministrator.packages_to_pass_on(None);
        assert!(held.is_empty() && passed_on.contains("regnskap-okonomi-rapport"));
        // Whoever holds the package of main administrators is one.
        assert!(Role::DagligLeder.packages_to_pass_on(None).is_superset(&passed_on));
        assert!(!Role::Komplementar.packages_to_pass_on(None).is_superset(&passed_on));
    }

    #[test]
    fn some_packages_come_with_one_form_of_organisation_only() {
        let name = "maskinporten-scopes-nuf";
        for (role, form, expected) in [
            (Role::Hovedadministrator, "NUF", true),
            (Role::Hovedadministrator, "AS", false),
            (Role::Hovedadministrator, "", false),
            (Role::KontaktpersonNuf, "NUF", true),
        ] {
            let of = OrganizationForm::parse(form).ok();
            assert_eq!(role.packages_to_pass_on(of.as_ref()).contains(name), expected, "{role:?} {form:?}");
        }
    }
}
