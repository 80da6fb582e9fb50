//! What a role stands for in policies: its code, and the access packages that come with it.
//!
//! Data, derived from Altinn's public catalogue: `data/roles.csv` and `data/role-packages.csv`, for the key roles that the
//! register keeps. Packages that a role gives in organisations of one form only are left out: forms are not known here.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::model::Role;

impl Role {
    /// The value of `urn:altinn:rolecode` that policies name it by.
    pub(crate) fn role_code(self) -> &'static str {
        ROLE_CODES.get(self.code()).copied().unwrap_or("")
    }

    /// The last parts of the URNs of the access packages that its holders have.
    pub(crate) fn access_packages(self) -> &'static [&'static str] {
        PACKAGES.get(self.code()).map_or(&[], Vec::as_slice)
    }
}

static ROLE_CODES: LazyLock<BTreeMap<&'static str, &'static str>> =
    LazyLock::new(|| rows(include_str!("../../data/roles.csv")).collect());

static PACKAGES: LazyLock<BTreeMap<&'static str, Vec<&'static str>>> = LazyLock::new(|| {
    let mut packages: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (role, package) in rows(include_str!("../../data/role-packages.csv")) {
        packages.entry(role).or_default().push(package);
    }
    packages
});

/// Both columns of a table, its heading left out.
fn rows(table: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    table.lines().skip(1).filter_map(|line| line.split_once(','))
}

#[cfg(test)]
mod tests {
    use policies::id::AccessPackage;

    use super::*;
    use crate::access_packages;
    use crate::parties::model::ROLES;

    #[test]
    fn every_role_has_a_code_and_packages_of_the_catalogue() {
        assert_eq!((ROLE_CODES.len(), PACKAGES.len()), (ROLES.len(), ROLES.len()));
        for (role, _) in ROLES {
            assert_eq!(role.role_code().len(), 4, "{role:?}");
            assert!(role.access_packages().len() > 100, "{role:?}");
            for name in role.access_packages() {
                assert!(access_packages::kind(&AccessPackage::from_name(name).unwrap()).is_some(), "{name}");
            }
        }
        assert_eq!(Role::DagligLeder.role_code(), "dagl");
        assert_eq!(Role::Bostyrer.role_code(), "bobe");
        assert!(Role::Styreleder.access_packages().contains(&"regnskap-okonomi-rapport"));
    }
}
