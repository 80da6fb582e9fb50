//! What a gateway knows of the attributes that a policy speaks of, when a system user calls.

use std::collections::BTreeSet;

use crate::id::{AccessPackage, ResourceId};
use crate::urn;
use crate::xacml::Semantics;
use crate::xacml::ast::{Designator, Match};
use crate::xacml::request::CATEGORY_ENVIRONMENT;
use crate::xacml::value::DataType;

/// Attributes of the resource that differ from call to call: who is acted for. Identity numbers and older names are
/// counted in, so that they are never taken for absent.
const PARTY_ATTRIBUTES: [&str; 6] = [
    "urn:altinn:partyid",
    "urn:altinn:party:uuid",
    urn::ORGANIZATION_NUMBER,
    urn::OLD_ORGANIZATION_NUMBER,
    "urn:altinn:person:identifier-no",
    "urn:altinn:ssn",
];

/// The resource, as every request of a gateway names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resource(Option<Names>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Names {
    id: String,
    /// Owner and app, for an id that is made of them.
    app: Option<(String, String)>,
}

/// What is known of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known<'a> {
    /// It has this one value, always.
    Is(&'a str),
    /// It has the value that it is compared with.
    IsAsked,
    /// Its values are the packages that the system user holds.
    Packages,
    /// Its value is the action.
    Action,
    /// It differs from call to call.
    Varies,
    /// It is never there.
    Absent,
}

/// How two texts are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TextComparison {
    Exact,
    IgnoringCase,
}

impl Resource {
    /// The resource with this id.
    pub(crate) fn of(id: &ResourceId) -> Self {
        let app = id.as_str().strip_prefix("app_").and_then(|rest| rest.split_once('_'));
        let app = app.map(|(owner, app)| (owner.to_owned(), app.to_owned()));
        Self(Some(Names { id: id.as_str().to_owned(), app }))
    }

    /// Whichever a policy speaks of.
    pub(crate) fn any() -> Self {
        Self(None)
    }

    /// Its attributes; none if it is not known.
    pub(crate) fn attributes(&self) -> Vec<(&'static str, String)> {
        let Some(names) = &self.0 else { return Vec::new() };
        let app = names.app.iter().flat_map(|(owner, app)| [(urn::APP_OWNER, owner.clone()), (urn::APP, app.clone())]);
        [(urn::RESOURCE, names.id.clone())].into_iter().chain(app).collect()
    }

    fn known(&self, id: &str) -> Known<'_> {
        let Some(names) = &self.0 else {
            return if [urn::RESOURCE, urn::APP_OWNER, urn::APP].contains(&id) {
                Known::IsAsked
            } else {
                Known::Absent
            };
        };
        match (id, &names.app) {
            (urn::RESOURCE, _) => Known::Is(&names.id),
            (urn::APP_OWNER, Some((owner, _))) => Known::Is(owner),
            (urn::APP, Some((_, app))) => Known::Is(app),
            _ => Known::Absent,
        }
    }
}

impl<'a> Known<'a> {
    /// What is known of an attribute. An issuer is never given, which under `standard` leaves those that name one absent.
    pub(crate) fn of(designator: &Designator, resource: &'a Resource, semantics: Semantics) -> Self {
        if designator.issuer.is_some() && semantics == Semantics::Standard {
            return Self::Absent;
        }
        match (designator.category.as_str(), designator.id.as_str()) {
            (urn::CATEGORY_SUBJECT, urn::ACCESS_PACKAGE) => Self::Packages,
            (urn::CATEGORY_SUBJECT, urn::SYSTEM_USER_UUID) | (CATEGORY_ENVIRONMENT, _) => Self::Varies,
            (urn::CATEGORY_ACTION, urn::ACTION_ID) => Self::Action,
            (urn::CATEGORY_RESOURCE, id) if PARTY_ATTRIBUTES.contains(&id) => Self::Varies,
            (urn::CATEGORY_RESOURCE, id) => resource.known(id),
            _ => Self::Absent,
        }
    }
}

impl TextComparison {
    /// The comparison that a match function stands for, if it is one of texts.
    pub(crate) fn of(function: &str) -> Option<Self> {
        match function {
            urn::STRING_EQUAL => Some(Self::Exact),
            urn::STRING_EQUAL_IGNORE_CASE => Some(Self::IgnoringCase),
            _ => None,
        }
    }

    /// What of a text is compared: two texts are equal if it is, as the evaluator of the semantics sees them.
    pub(crate) fn key(self, text: &str, semantics: Semantics) -> String {
        match (self, semantics) {
            (Self::Exact, _) => text.to_owned(),
            (Self::IgnoringCase, Semantics::Altinn) => fold(text).collect(),
            (Self::IgnoringCase, Semantics::Standard) => text.chars().flat_map(char::to_lowercase).collect(),
        }
    }

    /// Whether a literal equals a value of the request.
    pub(crate) fn holds(self, literal: &str, value: &str, semantics: Semantics) -> bool {
        self.key(literal, semantics) == self.key(value, semantics)
    }
}

/// Letter by letter, where a letter has one capital: as .NET's `OrdinalIgnoreCase`, beyond ASCII too.
fn fold(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(|letter| {
        let mut upper = letter.to_uppercase();
        match (upper.next(), upper.next()) {
            (Some(one), None) => one,
            _ => letter,
        }
    })
}

/// A literal's text as it is compared; none if it never equals a text of the request, for its type.
pub(crate) fn literal(one: &Match) -> Option<&str> {
    // Every value that a gateway sends is a string.
    (one.literal.data_type == DataType::String.uri()).then_some(one.literal.text.as_str())
}

/// Packages that a literal stands for: as it is written, and in small letters where case does not count. Those are how
/// packages are spelled everywhere else.
pub(crate) fn spellings(text: &str, comparison: TextComparison, semantics: Semantics) -> BTreeSet<AccessPackage> {
    let small = text.to_lowercase();
    let folded: String = fold(text).collect::<String>().to_ascii_lowercase();
    let candidates = [text, small.as_str(), folded.as_str()].into_iter();
    candidates
        .filter(|candidate| comparison.holds(text, candidate, semantics))
        .filter_map(|candidate| AccessPackage::from_name(candidate).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xacml::response::Decision;
    use crate::xacml::testing::{PERMIT_OVERRIDES, decide, policy, request, rule, target};

    /// Letters whose cases are not simple: the comparison here is the evaluators'.
    #[test]
    fn texts_are_compared_as_the_evaluators_do() {
        let texts = ["a", "A", "ø", "Ø", "ß", "ẞ", "SS", "ſ", "s", "İ", "i", "ı", "K", "k", "ς", "σ", "Σ", "ǆ", "ǅ"];
        for semantics in [Semantics::Altinn, Semantics::Standard] {
            for comparison in [TextComparison::Exact, TextComparison::IgnoringCase] {
                for literal in texts {
                    let mut xml = policy(
                        "p",
                        PERMIT_OVERRIDES,
                        &rule("r", "Permit", &target(&[&format!("subject id {literal}")])),
                    );
                    if comparison == TextComparison::IgnoringCase {
                        xml = xml.replace(urn::STRING_EQUAL, urn::STRING_EQUAL_IGNORE_CASE);
                    }
                    for value in texts {
                        let decided = decide(&xml, &request(&[&format!("subject id string {value}")]), semantics);
                        let holds = comparison.holds(literal, value, semantics);
                        assert_eq!(decided.decision == Decision::Permit, holds, "{literal} {value} {semantics:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_package_is_spelled_as_written_and_in_small_letters() {
        let spelled = |text, comparison| {
            let found = spellings(text, comparison, Semantics::Altinn);
            found.iter().map(AccessPackage::name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(spelled("Skatt", TextComparison::Exact), "Skatt");
        assert_eq!(spelled("Skatt", TextComparison::IgnoringCase), "Skatt skatt");
        assert_eq!(spelled("urn:altinn:accesspackage:skatt", TextComparison::IgnoringCase), "");
        assert_eq!(spelled("ſkatt", TextComparison::IgnoringCase), "skatt");
    }
}
