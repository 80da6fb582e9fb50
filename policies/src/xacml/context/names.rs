//! What a request names: all that a decision about it may look up in the [`World`](super::World).

use std::collections::BTreeSet;

use super::enrich::{APP, OLD_ORGANIZATION, OWNER, PARTY_ID, PARTY_UUID, USER_ID};
use crate::urn;
use crate::xacml::request::{Category, Request};

/// Texts as they stand in the request, whether or not they are what they should be. Of every attribute of a category the
/// first value counts, as in the decision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Resources, apps as `app_{owner}_{app}`.
    pub resources: BTreeSet<String>,
    /// Numbers of parties.
    pub parties: BTreeSet<String>,
    /// Uuids of parties.
    pub party_uuids: BTreeSet<String>,
    /// Numbers of organisations.
    pub organizations: BTreeSet<String>,
    /// Numbers of users.
    pub users: BTreeSet<String>,
    /// Uuids of system users.
    pub system_users: BTreeSet<String>,
}

impl Names {
    /// What a request names.
    pub fn of(request: &Request) -> Self {
        let mut names = Self::default();
        for category in &request.categories {
            names.add(category);
        }
        names
    }

    /// How many names there are.
    pub fn count(&self) -> usize {
        let sets = [&self.resources, &self.parties, &self.party_uuids, &self.organizations];
        let sets = sets.into_iter().chain([&self.users, &self.system_users]);
        sets.map(BTreeSet::len).fold(0, usize::saturating_add)
    }

    fn add(&mut self, category: &Category) {
        let of = |id| first(category, id);
        let named: &mut [(&mut BTreeSet<String>, Option<&str>)] = match category.category.as_str() {
            urn::CATEGORY_SUBJECT => &mut [
                (&mut self.system_users, of(urn::SYSTEM_USER_UUID)),
                (&mut self.users, of(USER_ID)),
                (&mut self.party_uuids, of(PARTY_UUID)),
            ],
            urn::CATEGORY_RESOURCE => &mut [
                (&mut self.resources, of(urn::RESOURCE)),
                (&mut self.parties, of(PARTY_ID)),
                (&mut self.party_uuids, of(PARTY_UUID)),
            ],
            _ => return,
        };
        for (names, name) in named {
            names.extend(name.map(str::to_owned));
        }
        let organizations = [of(urn::ORGANIZATION_NUMBER), of(OLD_ORGANIZATION)];
        self.organizations.extend(organizations.into_iter().flatten().map(str::to_owned));
        if category.category == urn::CATEGORY_RESOURCE
            && let (Some(owner), Some(app)) = (of(OWNER), of(APP))
        {
            self.resources.insert(format!("app_{owner}_{app}"));
        }
    }
}

/// The first value of an attribute.
fn first<'a>(category: &'a Category, id: &str) -> Option<&'a str> {
    let mut of_id = category.attributes.iter().filter(|attribute| attribute.id == id);
    of_id.find_map(|attribute| attribute.values.first()).map(|value| value.text.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xacml::testing::request;

    #[test]
    fn everything_that_is_looked_up_is_named() {
        let names = Names::of(&request(&[
            "subject urn:altinn:systemuser:uuid string s",
            "subject urn:altinn:userid string u",
            "subject urn:altinn:organization:identifier-no string o",
            "resource urn:altinn:organizationnumber string p",
            "resource urn:altinn:partyid string 7",
            "resource urn:altinn:party:uuid string q",
            "resource urn:altinn:resource string vat",
            "resource urn:altinn:org string skd",
            "resource urn:altinn:app string report",
            "action urn:altinn:resource string not-this",
            "subject urn:altinn:resource string nor-this",
        ]));
        let set = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(names.resources, set(&["vat", "app_skd_report"]));
        assert_eq!((&names.parties, &names.party_uuids), (&set(&["7"]), &set(&["q"])));
        assert_eq!((&names.organizations, &names.users), (&set(&["o", "p"]), &set(&["u"])));
        assert_eq!((&names.system_users, names.count()), (&set(&["s"]), 8));
        // Of a category only the first counts, however many there are.
        let request = request(&["resource urn:altinn:resource string a", "resource urn:altinn:resource string b"]);
        assert_eq!(Names::of(&request).resources, set(&["a"]));
    }
}
