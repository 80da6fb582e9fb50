//! Findings in a single match.

use std::collections::BTreeMap;

use super::attributes::{self, ACCESS_LIST, ROLE};
use super::{Finding, FindingCode, LintCatalogue, Severity, category_name, designator};
use crate::id::{ActionId, ResourceId};
use crate::urn;
use crate::xacml::ast::{Designator, Match, Policy};
use crate::xacml::request::CATEGORY_ENVIRONMENT;
use crate::xacml::rights::{TextComparison, matches};
use crate::xacml::value::DataType;

const PLACEHOLDER: FindingCode = FindingCode::new(
    "placeholder_left",
    Severity::Error,
    "a template's placeholder equals no value of a request, so the rule permits nobody",
);
const ACCESS_LIST_MISSPELT: FindingCode = FindingCode::new(
    "access_list_misspelt",
    Severity::Error,
    "the attribute is `urn:altinn:access-list` and its value `owner:list`; written otherwise it never matches",
);
const PACKAGE_WHOLE_URN: FindingCode = FindingCode::new(
    "package_whole_urn",
    Severity::Error,
    "requests carry the last part of a package's URN, which the whole URN never equals",
);
const FUNCTION_UNKNOWN: FindingCode = FindingCode::new(
    "function_unknown_to_altinn",
    Severity::Error,
    "Altinn's engine ends the whole decision with Indeterminate when it meets a match function that it does not know",
);
const ATTRIBUTE_UNKNOWN: FindingCode =
    FindingCode::new("attribute_unknown", Severity::Warning, "nothing sends this attribute, so the match never holds");
const PACKAGE_UNKNOWN: FindingCode = FindingCode::new(
    "package_unknown",
    Severity::Warning,
    "nobody can hold a package that is not in the catalogue, so the match never holds",
);
const ROLE_UNKNOWN: FindingCode = FindingCode::new(
    "role_unknown",
    Severity::Warning,
    "nobody can have a role that is not in the catalogue, so the match never holds",
);
const DATA_TYPE: FindingCode = FindingCode::new(
    "data_type_mismatch",
    Severity::Warning,
    "values of requests are strings; Altinn compares values of equal type only, and the standard those of the attribute's type",
);
const LETTER_CASE: FindingCode = FindingCode::new(
    "letter_case",
    Severity::Warning,
    "string-equal tells capital from small letters, and requests carry this value in small ones",
);
const BLANKS: FindingCode =
    FindingCode::new("literal_blanks", Severity::Warning, "they are part of the value, and the match never holds");
const MUST_BE_PRESENT: FindingCode = FindingCode::new(
    "must_be_present",
    Severity::Warning,
    "where the attribute is missing the answer is Indeterminate, at Altinn for the whole policy if it is of the resource or action",
);
const STRING_IS_IN: FindingCode = FindingCode::new(
    "string_is_in",
    Severity::Warning,
    "the standard has it for bags only; Altinn matched parts of texts by it until 2026 (`test:app.a` in `annentest:app.a`)",
);
const REGULAR_EXPRESSION: FindingCode = FindingCode::new(
    "regular_expression",
    Severity::Warning,
    "Altinn reads patterns as .NET does, the standard as XPath does; a pattern without `^` and `$` matches parts of texts",
);
const SELECTOR: FindingCode = FindingCode::new(
    "selector_not_evaluated",
    Severity::Error,
    "`AttributeSelector` is an optional feature of the standard; Altinn answers all requests with Indeterminate where a rule has one",
);
const IGNORED: FindingCode = FindingCode::new(
    "match_ignored_by_altinn",
    Severity::Warning,
    "Altinn does not look at it, so the rule permits more there than in the standard",
);
const ACTION_UNNAMEABLE: FindingCode = FindingCode::new(
    "action_not_nameable",
    Severity::Warning,
    "a gateway's routes name actions by ASCII letters, digits and `-_.:/`, so no call is ever for this one",
);

pub(super) const CODES: &[FindingCode] = &[
    PLACEHOLDER,
    ACCESS_LIST_MISSPELT,
    PACKAGE_WHOLE_URN,
    FUNCTION_UNKNOWN,
    ATTRIBUTE_UNKNOWN,
    PACKAGE_UNKNOWN,
    ROLE_UNKNOWN,
    DATA_TYPE,
    LETTER_CASE,
    BLANKS,
    MUST_BE_PRESENT,
    STRING_IS_IN,
    REGULAR_EXPRESSION,
    SELECTOR,
    IGNORED,
    ACTION_UNNAMEABLE,
];

/// Match functions that Altinn's engine knows, by the last parts of their URNs, besides those that have findings of their
/// own.
const KNOWN_TO_ALTINN: [&str; 8] = [
    "string-equal",
    "string-equal-ignore-case",
    "anyURI-equal",
    "integer-equal",
    "integer-one-and-only",
    "time-equal",
    "date-equal",
    "dateTime-equal",
];
/// Attributes whose values are uuids.
const UUIDS: [&str; 5] = [
    urn::SYSTEM_USER_UUID,
    "urn:altinn:party:uuid",
    "urn:altinn:person:uuid",
    "urn:altinn:organization:uuid",
    "urn:altinn:enterpriseuser:uuid",
];

/// What is to be said of one match.
pub(super) fn findings(one: &Match, resource: Option<&ResourceId>, known: &LintCatalogue) -> Vec<Finding> {
    let Some(found) = designator(one) else {
        let fix = "use an `AttributeDesignator`";
        return vec![SELECTOR.at(one.line, "an `AttributeSelector` looks into the request's content", fix)];
    };
    let text = one.literal.text.trim();
    let mut findings: Vec<Finding> = [
        ignored(found),
        attribute(one, found, text),
        function(one),
        of_catalogue(one, found, text, known),
        data_type(one, found),
        letter_case(one, found, text, resource),
        blanks(one, text),
        unnameable(one, found, text),
    ]
    .into_iter()
    .flatten()
    .collect();
    if found.must_be_present && found.category != CATEGORY_ENVIRONMENT {
        let message = format!("`{}` must be present", found.id);
        findings.push(MUST_BE_PRESENT.at(found.line, message, "write `MustBePresent=\"false\"`"));
    }
    findings
}

/// `[ORG]`, `{app}` and the like, each once, where it first stands.
pub(super) fn placeholders(policy: &Policy) -> Vec<Finding> {
    let mut counts: BTreeMap<&str, (u32, usize)> = BTreeMap::new();
    let targets = policy.rules.iter().map(|rule| &rule.target).chain([&policy.target]);
    for one in targets.flat_map(matches) {
        let text = one.literal.text.trim();
        if is_placeholder(text) {
            let (_, count) = counts.entry(text).or_insert((one.literal.line, 0));
            *count = count.saturating_add(1);
        }
    }
    let each = counts.into_iter().map(|(text, (line, count))| {
        let times = if count == 1 { String::new() } else { format!(" ({count} times, first here)") };
        PLACEHOLDER.at(line, format!("`{text}` is a placeholder{times}"), "write what it stands for")
    });
    each.collect()
}

fn is_placeholder(text: &str) -> bool {
    let pairs = [("[", "]"), ("{", "}"), ("<", ">"), ("${", "}")];
    let inside = pairs.iter().find_map(|(open, close)| text.strip_prefix(open)?.strip_suffix(close));
    inside.is_some_and(|name| {
        !name.is_empty() && name.chars().all(|letter| letter.is_alphanumeric() || "_- {}".contains(letter))
    })
}

fn ignored(found: &Designator) -> Option<Finding> {
    let categories = [urn::CATEGORY_SUBJECT, urn::CATEGORY_RESOURCE, urn::CATEGORY_ACTION];
    if !categories.contains(&found.category.as_str()) {
        let message = format!("`{}` of the {}", found.id, category_name(&found.category));
        let fix = "leave it out, and have what enforces the decision check it";
        return Some(IGNORED.at(found.line, message, fix));
    }
    let issuer = found.issuer.as_ref()?;
    let message = format!("issuer `{issuer}` of `{}`", found.id);
    Some(IGNORED.at(found.line, message, "leave `Issuer` out"))
}

fn attribute(one: &Match, found: &Designator, text: &str) -> Option<Finding> {
    let name = &found.id;
    if found.category == urn::CATEGORY_SUBJECT && name.starts_with("urn:altinn:accesslist") {
        let owner = name.strip_prefix("urn:altinn:accesslist:").unwrap_or("OWNER");
        let value = if text.contains(':') { text.to_owned() } else { format!("{owner}:{text}") };
        let fix = format!("write `{ACCESS_LIST}` with the value `{value}`");
        return Some(ACCESS_LIST_MISSPELT.at(found.line, format!("`{name}` with the value `{text}`"), fix));
    }
    if found.category == urn::CATEGORY_SUBJECT && name == ACCESS_LIST && !text.contains(':') {
        let fix = format!("write the list's owner before it: `OWNER:{text}`");
        return Some(ACCESS_LIST_MISSPELT.at(
            one.literal.line,
            format!("the access list `{text}` without its owner"),
            fix,
        ));
    }
    if name == urn::ACCESS_PACKAGE && text.starts_with("urn:") {
        let last = text.rsplit(':').next().unwrap_or_default();
        return Some(PACKAGE_WHOLE_URN.at(one.literal.line, format!("`{text}`"), format!("write `{last}`")));
    }
    let near = attributes::unknown(&found.category, name)?;
    let message = format!("`{name}` is no attribute of the {} at Altinn", category_name(&found.category));
    let fix = near.map_or_else(
        || "remove the match, or correct its `AttributeId`".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    Some(ATTRIBUTE_UNKNOWN.at(found.line, message, fix))
}

fn function(one: &Match) -> Option<Finding> {
    let name = one.function.rsplit(':').next().unwrap_or_default();
    let message = format!("`{name}`");
    match name {
        "string-is-in" => Some(STRING_IS_IN.at(one.line, message, "write `string-equal`")),
        "string-regexp-match" => Some(REGULAR_EXPRESSION.at(
            one.line,
            message,
            "write each value with `string-equal`, as an `AllOf` of its own",
        )),
        _ if KNOWN_TO_ALTINN.contains(&name) => None,
        _ => {
            let message = format!("`{}` in a target", one.function);
            Some(FUNCTION_UNKNOWN.at(one.line, message, "write `string-equal` or `string-equal-ignore-case`"))
        }
    }
}

fn of_catalogue(one: &Match, found: &Designator, text: &str, known: &LintCatalogue) -> Option<Finding> {
    if found.category != urn::CATEGORY_SUBJECT || text.starts_with("urn:") {
        return None;
    }
    let (code, kind, names) = match found.id.as_str() {
        urn::ACCESS_PACKAGE => (PACKAGE_UNKNOWN, "access package", &known.packages),
        ROLE => (ROLE_UNKNOWN, "role", &known.roles),
        _ => return None,
    };
    let written = text.to_lowercase();
    if names.is_empty() || names.contains(&written) {
        return None;
    }
    let near = attributes::nearest(&written, names.iter().map(String::as_str));
    let fix = near
        .map_or_else(|| "remove the match, or correct its value".to_owned(), |near| format!("did you mean `{near}`?"));
    Some(code.at(one.literal.line, format!("there is no {kind} `{text}`"), fix))
}

fn data_type(one: &Match, found: &Designator) -> Option<Finding> {
    let string = DataType::String.uri();
    let short = |uri: &str| DataType::from_uri(uri).map_or_else(|| uri.to_owned(), |known| known.to_string());
    let (value, attribute) = (one.literal.data_type.as_str(), found.data_type.as_str());
    let message = if value != attribute {
        format!("the value is {}, the attribute {}", short(value), short(attribute))
    } else if value != string && found.category != CATEGORY_ENVIRONMENT {
        format!("`{}` is compared as {}", found.id, short(value))
    } else {
        return None;
    };
    Some(DATA_TYPE.at(one.literal.line, message, format!("write `{string}` in both places")))
}

/// Values that are always sent in one spelling, compared with another.
fn letter_case(one: &Match, found: &Designator, text: &str, resource: Option<&ResourceId>) -> Option<Finding> {
    if TextComparison::of(&one.function) != Some(TextComparison::Exact) {
        return None;
    }
    let id = found.id.as_str();
    let sent = if UUIDS.contains(&id) || id == urn::ACCESS_PACKAGE {
        text.to_lowercase()
    } else {
        let resource = resource?.as_str();
        let app = resource.strip_prefix("app_").and_then(|rest| rest.split_once('_'));
        match (found.category.as_str(), id) {
            (urn::CATEGORY_RESOURCE, urn::RESOURCE) => resource.to_owned(),
            (urn::CATEGORY_RESOURCE, urn::APP_OWNER) => app?.0.to_owned(),
            (urn::CATEGORY_RESOURCE, urn::APP) => app?.1.to_owned(),
            _ => return None,
        }
    };
    let differs = text != sent && text.eq_ignore_ascii_case(&sent);
    let message = format!("`{text}` is not how `{id}` is sent");
    differs.then(|| {
        LETTER_CASE.at(one.literal.line, message, format!("write `{sent}`, or use `string-equal-ignore-case`"))
    })
}

fn blanks(one: &Match, text: &str) -> Option<Finding> {
    let message = format!("`{}` has blanks around it", text);
    (one.literal.text != text).then(|| BLANKS.at(one.literal.line, message, "write the value without them"))
}

fn unnameable(one: &Match, found: &Designator, text: &str) -> Option<Finding> {
    let is_action = found.category == urn::CATEGORY_ACTION && found.id == urn::ACTION_ID;
    let message = format!("the action `{text}`");
    (is_action && ActionId::parse(text).is_err())
        .then(|| ACTION_UNNAMEABLE.at(one.literal.line, message, "give it another name"))
}
