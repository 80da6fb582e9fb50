//! The story that the tests tell: SmartCloud AS asks Rørlegger Hansen & Sønner AS for a system user.

use policies::urn;
use serde_json::{Value, json};

pub(crate) const SYSTEMS: &str = "/authentication/api/v1/systemregister/vendor";
pub(crate) const REQUESTS: &str = "/authentication/api/v1/systemuser/request/vendor";
pub(crate) const PROVIDER: &str = "/portvakt/v1/providers/regnskapsregisteret";
pub(crate) const ROUTES: &str = "/portvakt/v1/providers/regnskapsregisteret/routes";
pub(crate) const CLIENT_ID: &str = "32ef65ac-6e62-498d-880f-76c85c2052ae";
pub(crate) const PACKAGE: &str = "urn:altinn:accesspackage:regnskap-okonomi-rapport";
pub(crate) const HANSENS_MANAGER: i64 = 20_000_001;
pub(crate) const BAKERIS_MANAGER: i64 = 20_000_002;

pub(crate) fn parties() -> Value {
    json!({
        "parties": [
            { "partyId": 50_000_001, "partyUuid": "00000000-0000-4000-8000-000050000001", "organizationNumber": "310247049", "name": "Rørlegger Hansen & Sønner AS" },
            { "partyId": 50_000_002, "partyUuid": "00000000-0000-4000-8000-000050000002", "organizationNumber": "310247057", "name": "Fjordbakeriet AS" },
        ],
        "roleAssignments": [
            { "userId": HANSENS_MANAGER, "organizationNumber": "310247049", "role": "daglig-leder" },
            { "userId": BAKERIS_MANAGER, "organizationNumber": "310247057", "role": "innehaver" },
        ],
    })
}

pub(crate) fn resource(id: &str) -> String {
    format!("{PROVIDER}/resources/{id}")
}

pub(crate) fn routes() -> Value {
    json!({ "routes": [
        { "name": "vat-returns", "methods": ["GET"], "path": "/vat/{party}/returns", "resource": "vat", "action": "read", "party": { "path": "party" } },
        { "name": "annual-accounts", "methods": ["GET"], "path": "/annual-accounts/{party}", "resource": "annual-accounts", "action": "read", "party": { "path": "party" } },
    ]})
}

/// An XACML policy in the Resource Registry's form.
pub(crate) fn policy(resource: &str, actions: &[&str], packages: &[&str]) -> String {
    let matches = |category: &str, id: &str, value: &str| {
        format!(
            "<AllOf><Match MatchId=\"{}\"><AttributeValue DataType=\"http://www.w3.org/2001/XMLSchema#string\">{value}</AttributeValue>\
             <AttributeDesignator AttributeId=\"{id}\" Category=\"{category}\" DataType=\"http://www.w3.org/2001/XMLSchema#string\" MustBePresent=\"false\"/></Match></AllOf>",
            urn::STRING_EQUAL
        )
    };
    let any_of = |all_of: String| if all_of.is_empty() { String::new() } else { format!("<AnyOf>{all_of}</AnyOf>") };
    let names = packages.iter().map(|package| package.trim_start_matches(urn::ACCESS_PACKAGE_PREFIX));
    // A role's holders may pass the right on; a system user has it by delegation, or by one of the packages.
    let role = matches(urn::CATEGORY_SUBJECT, "urn:altinn:rolecode", "dagl")
        .replace(urn::STRING_EQUAL, urn::STRING_EQUAL_IGNORE_CASE);
    let packages: String = names.map(|name| matches(urn::CATEGORY_SUBJECT, urn::ACCESS_PACKAGE, name)).collect();
    let subjects = any_of(role + &packages);
    let resources = any_of(matches(urn::CATEGORY_RESOURCE, urn::RESOURCE, resource));
    let actions = any_of(actions.iter().map(|action| matches(urn::CATEGORY_ACTION, urn::ACTION_ID, action)).collect());
    format!(
        "<Policy xmlns=\"{}\" PolicyId=\"{resource}\" Version=\"1.0\" RuleCombiningAlgId=\"{}\"><Target/>\
         <Rule RuleId=\"1\" Effect=\"Permit\"><Target>{subjects}{resources}{actions}</Target></Rule></Policy>",
        urn::XACML_NAMESPACE,
        urn::RULE_DENY_OVERRIDES
    )
}

/// The system as it is registered; `isDeleted` and the vendor's form aside, also as it is read.
pub(crate) fn system() -> Value {
    json!({
        "id": "310247030_smartcloud",
        "vendor": { "authority": "iso6523-actorid-upis", "ID": "0192:310247030" },
        "name": { "nb": "SmartCloud", "nn": "SmartCloud", "en": "SmartCloud" },
        "description": { "nb": "Regnskap i skyen", "nn": "Rekneskap i skya", "en": "Accounting in the cloud" },
        "rights": [
            { "resource": [{ "id": "urn:altinn:resource", "value": "vat" }] },
        ],
        "accessPackages": [{ "urn": PACKAGE }],
        "clientId": [CLIENT_ID],
        "allowedRedirectUrls": ["https://smartcloud.no/done"],
        "isVisible": true,
    })
}

pub(crate) fn request() -> Value {
    json!({
        "integrationTitle": "SmartCloud for Hansen",
        "systemId": "310247030_smartcloud",
        "partyOrgNo": "310247049",
        "rights": [{ "resource": [{ "id": "urn:altinn:resource", "value": "vat" }] }],
        "accessPackages": [{ "urn": PACKAGE }],
        "redirectUrl": "https://smartcloud.no/done",
    })
}

pub(crate) fn request_of_hansen(id: &str) -> String {
    format!("/authentication/api/v1/systemuser/request/50000001/{id}")
}

pub(crate) fn request_of_bakeri(id: &str) -> String {
    format!("/authentication/api/v1/systemuser/request/50000002/{id}")
}

pub(crate) fn system_users_of_hansen() -> String {
    "/authentication/api/v1/systemuser/50000001".to_owned()
}

pub(crate) fn system_users_of_bakeri() -> String {
    "/authentication/api/v1/systemuser/50000002".to_owned()
}

pub(crate) fn lookup() -> String {
    format!(
        "/authentication/api/v1/systemuser/byExternalId\
         ?clientId={CLIENT_ID}&systemProviderOrgNo=310247030&systemUserOwnerOrgNo=310247049"
    )
}

pub(crate) fn feed(query: &str) -> String {
    format!("/snapshots/regnskapsregisteret?{query}")
}
