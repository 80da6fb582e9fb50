//! The catalogue of access packages: which exist, and what may be done with each.
//!
//! Data, derived from Altinn's public catalogue: `data/access-packages.csv`. Delegable and assignable packages are for
//! standard and agent system users; delegable ones that are not assignable (client packages) for agents only.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use policies::id::AccessPackage;

/// What may be done with a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PackageKind {
    /// Can be passed on for a client.
    pub(crate) is_delegable: bool,
    /// Can be given to a standard system user.
    pub(crate) is_assignable: bool,
}

/// The package's kind; `None` when the catalogue does not have it.
pub(crate) fn kind(package: &AccessPackage) -> Option<PackageKind> {
    CATALOGUE.get(package.name()).copied()
}

/// The last parts of the URNs of all packages.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    CATALOGUE.keys().copied()
}

static CATALOGUE: LazyLock<BTreeMap<&'static str, PackageKind>> = LazyLock::new(|| {
    include_str!("../data/access-packages.csv")
        .lines()
        .skip(1)
        .filter_map(|line| {
            let (name, flags) = line.split_once(',')?;
            let (delegable, assignable) = flags.split_once(',')?;
            Some((name, PackageKind { is_delegable: delegable == "true", is_assignable: assignable == "true" }))
        })
        .collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_whole() {
        let count = |delegable, assignable| {
            let kind = PackageKind { is_delegable: delegable, is_assignable: assignable };
            CATALOGUE.values().filter(|found| **found == kind).count()
        };
        assert_eq!(CATALOGUE.len(), 223);
        assert_eq!((count(true, true), count(true, false), count(false, true), count(false, false)), (164, 6, 11, 42));
        assert!(CATALOGUE.keys().all(|name| AccessPackage::from_name(name).is_ok()));
    }
}
