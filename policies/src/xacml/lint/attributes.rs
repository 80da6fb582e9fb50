//! The attributes that policies of Altinn speak of, and what a policy says of itself through them.

use std::collections::BTreeSet;

use super::designator;
use crate::id::ResourceId;
use crate::urn;
use crate::xacml::ast::{Policy, Rule};
use crate::xacml::rights::matches;

pub(super) const ROLE: &str = "urn:altinn:rolecode";
pub(super) const ACCESS_LIST: &str = "urn:altinn:access-list";
pub(super) const TASK: &str = "urn:altinn:task";
pub(super) const END_EVENT: &str = "urn:altinn:end-event";

/// What a subject may be asked for.
const SUBJECT: [&str; 18] = [
    ROLE,
    urn::ACCESS_PACKAGE,
    urn::SYSTEM_USER_UUID,
    ACCESS_LIST,
    urn::APP_OWNER,
    "urn:altinn:userid",
    "urn:altinn:partyid",
    "urn:altinn:party:uuid",
    "urn:altinn:partytype",
    "urn:altinn:person:uuid",
    "urn:altinn:person:identifier-no",
    "urn:altinn:ssn",
    "urn:altinn:organization:uuid",
    urn::ORGANIZATION_NUMBER,
    urn::OLD_ORGANIZATION_NUMBER,
    "urn:altinn:enterpriseuser:uuid",
    "urn:altinn:resource:delegation",
    "urn:digitaltdodsbo:rolecode",
];
/// What a resource may be asked for.
const RESOURCE: [&str; 17] = [
    urn::RESOURCE,
    urn::APP_OWNER,
    urn::APP,
    TASK,
    END_EVENT,
    "urn:altinn:event",
    "urn:altinn:event-id",
    "urn:altinn:appresource",
    "urn:altinn:subresource",
    "urn:altinn:resourceinstance",
    "urn:altinn:instance-id",
    "urn:altinn:resource:instance-id",
    "urn:altinn:partyid",
    "urn:altinn:party:uuid",
    urn::ORGANIZATION_NUMBER,
    urn::OLD_ORGANIZATION_NUMBER,
    "urn:altinn:person:identifier-no",
];
/// Attributes of the subject with names below them.
const SUBJECT_PREFIXES: [&str; 2] = ["urn:altinn:role:", "urn:altinn:external-role:"];
/// Attributes of the subject that name one party or user: what delegations are made of.
const RECIPIENTS: [&str; 8] = [
    urn::SYSTEM_USER_UUID,
    "urn:altinn:userid",
    "urn:altinn:partyid",
    "urn:altinn:party:uuid",
    "urn:altinn:person:uuid",
    "urn:altinn:organization:uuid",
    "urn:altinn:enterpriseuser:uuid",
    "urn:altinn:resource:delegation",
];

/// Whether anything sends an attribute; otherwise the nearest that something does send.
pub(super) fn unknown(category: &str, id: &str) -> Option<Option<&'static str>> {
    let known: &[&str] = match category {
        urn::CATEGORY_SUBJECT if SUBJECT_PREFIXES.iter().any(|prefix| id.starts_with(prefix)) => return None,
        urn::CATEGORY_SUBJECT => &SUBJECT,
        urn::CATEGORY_RESOURCE => &RESOURCE,
        urn::CATEGORY_ACTION => &[urn::ACTION_ID],
        _ => return None,
    };
    (!known.contains(&id)).then(|| nearest(id, known.iter().copied()))
}

/// The known name that is meant, if one is near enough.
pub(super) fn nearest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let letters: Vec<char> = written.to_lowercase().chars().take(LETTERS_MAX).collect();
    let most = letters.len() / 4;
    // Each letter that one has more is one to be added.
    let possible = known.filter(|name| name.chars().count().abs_diff(letters.len()) <= most);
    let near = possible.map(|name| (distance(&letters, name), name)).min()?;
    (near.0 <= most).then_some(near.1)
}

/// Letters of a name that are compared.
const LETTERS_MAX: usize = 80;

/// How many letters must be changed, added or left out.
fn distance(written: &[char], name: &str) -> usize {
    let mut row: Vec<usize> = (0..=written.len()).collect();
    for (above, letter) in name.chars().take(LETTERS_MAX).enumerate() {
        let mut diagonal = above;
        let mut left = above.saturating_add(1);
        let mut next = vec![left];
        for (known, up) in written.iter().zip(row.iter().skip(1)) {
            let changed = diagonal.saturating_add(usize::from(*known != letter));
            left = changed.min(up.saturating_add(1)).min(left.saturating_add(1));
            diagonal = *up;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

/// Values that the rules name for an attribute.
pub(super) fn named<'a>(rule: &'a Rule, category: &'a str, id: &'a str) -> impl Iterator<Item = &'a str> {
    matches(&rule.target)
        .filter(move |one| designator(one).is_some_and(|found| found.category == category && found.id == id))
        .map(|one| one.literal.text.trim())
}

/// The one resource that a policy names: by its id, or as the app of an owner.
pub(super) fn resource_of(policy: &Policy) -> Option<ResourceId> {
    let one = |id| {
        let values: BTreeSet<_> = policy
            .rules
            .iter()
            .flat_map(|rule| named(rule, urn::CATEGORY_RESOURCE, id))
            .map(str::to_lowercase)
            .collect();
        let first = policy.rules.iter().find_map(|rule| named(rule, urn::CATEGORY_RESOURCE, id).next());
        first.filter(|_| values.len() == 1)
    };
    let app = || Some(format!("app_{}_{}", one(urn::APP_OWNER)?, one(urn::APP)?));
    ResourceId::parse(&one(urn::RESOURCE).map(str::to_owned).or_else(app)?).ok()
}

/// Whether a policy gives rights to one party or user, as delegations do.
pub(super) fn is_delegation(policy: &Policy) -> bool {
    let gives_to_one = |rule: &Rule| {
        let mut of_subject = matches(&rule.target)
            .filter_map(designator)
            .filter(|found| found.category == urn::CATEGORY_SUBJECT)
            .peekable();
        of_subject.peek().is_some() && of_subject.all(|found| RECIPIENTS.contains(&found.id.as_str()))
    };
    policy.rules.iter().all(gives_to_one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_is_near() {
        let near = |id| unknown(urn::CATEGORY_SUBJECT, id);
        assert_eq!(near(ROLE), None);
        assert_eq!(near("urn:altinn:accesslist"), Some(Some(ACCESS_LIST)));
        assert_eq!(near("urn:altinn:rolcode"), Some(Some(ROLE)));
        assert_eq!(near("urn:example:something-else-altogether"), Some(None));
        assert_eq!(near("urn:altinn:external-role:ccr:daglig-leder"), None);
        assert_eq!(unknown(urn::CATEGORY_RESOURCE, "urn:altinn:ressource"), Some(Some(urn::RESOURCE)));
        assert_eq!(distance(&['a', 'b', 'c'], "abd"), 1);
        assert_eq!(distance(&[], "ab"), 2);
        assert_eq!(distance(&['a', 'b'], ""), 2);
    }
}
