//! Which access packages an organisation holds for another by what it is to it: an accountant, an auditor, a business manager.
//!
//! Data, derived from Altinn's public catalogue: `data/relation-packages.csv`. Some packages come only with clients of one
//! form of organisation.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::model::{OrganizationForm, RelationRole};

impl RelationRole {
    /// The last parts of the URNs of the access packages that the provider holds for a client of this form.
    pub(crate) fn access_packages(self, form: Option<&OrganizationForm>) -> impl Iterator<Item = &'static str> {
        let packages = PACKAGES.get(self.code()).map_or(&[][..], Vec::as_slice);
        packages
            .iter()
            .filter(move |(_, only)| only.is_empty() || form.is_some_and(|form| form.as_str() == *only))
            .map(|(package, _)| *package)
    }
}

/// By role: packages, and the form of client that they come with (empty: any).
static PACKAGES: LazyLock<BTreeMap<&'static str, Vec<(&'static str, &'static str)>>> = LazyLock::new(|| {
    let mut packages: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for line in include_str!("../../data/relation-packages.csv").lines().skip(1) {
        let mut fields = line.split(',');
        if let (Some(role), Some(package), Some(form)) = (fields.next(), fields.next(), fields.next()) {
            packages.entry(role).or_default().push((package, form));
        }
    }
    packages
});

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use policies::id::AccessPackage;

    use super::*;
    use crate::access_packages;
    use crate::parties::model::RELATION_ROLES;

    fn of(role: RelationRole, form: &str) -> BTreeSet<&'static str> {
        role.access_packages(OrganizationForm::parse(form).ok().as_ref()).collect()
    }

    #[test]
    fn every_role_has_packages_of_the_catalogue() {
        assert_eq!(PACKAGES.keys().copied().collect::<BTreeSet<_>>(), RELATION_ROLES.map(|(_, code)| code).into());
        for (package, _) in PACKAGES.values().flatten() {
            assert!(access_packages::kind(&AccessPackage::from_name(package).unwrap()).is_some(), "{package}");
        }
    }

    #[test]
    fn some_packages_come_with_one_form_of_client_only() {
        use RelationRole::{Forretningsforer, Regnskapsforer, Revisor};
        for form in ["ESEK", "BRL"] {
            assert_eq!(of(Forretningsforer, form), BTreeSet::from(["forretningsforer-eiendom"]));
        }
        assert!(of(Forretningsforer, "NUF").contains("skatt-naering"));
        assert_eq!(of(Forretningsforer, "NUF").len(), 8);
        assert!(of(Forretningsforer, "AS").is_empty() && of(Forretningsforer, "").is_empty());
        for form in ["AS", ""] {
            assert_eq!((of(Regnskapsforer, form).len(), of(Revisor, form).len()), (3, 2));
        }
    }
}
