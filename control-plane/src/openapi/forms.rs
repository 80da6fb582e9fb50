//! What texts and numbers look like that operations take, by where they stand and their name: what a client can check before
//! it calls. What depends on the database or the clock (whether a system is known, whether an instant is to come) is not here.
//!
//! [`describe`] puts them into the parameters and into the schemas that only requests have. Altinn's answers keep their own
//! schemas as they are.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::fields::NAME_CHARS_MAX;
use crate::parties::model::RELATION_ROLES;
use crate::party_imports::SEQUENCE_MAX;

/// Nine digits; the check digit is no matter of form.
const ORGANIZATION: &str = "^[0-9]{9}$";
const UUID: &str = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}";
const SYSTEM: &str = r"^[^\s\u0000-\u001f\u007f-\u009f]{1,255}$";
const PROVIDER: &str = "^[a-z0-9-]{1,64}$";
const RESOURCE: &str = "^[A-Za-z0-9_.-]{1,255}$";
const ACTION: &str = "^[A-Za-z0-9_.:/-]{1,128}$";
const CLIENT: &str = "^[!-~]{1,255}$";
const SCOPE: &str = r"^[!#-\[\]-~]{1,255}$";
const SNAPSHOT_VERSION: &str = r"^[0-9]{1,20}\.[0-9]{1,20}$";
/// A character that is neither blank nor a control character, and no control character beside it.
const TEXT: &str = r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$";

/// Puts the forms into a description that is otherwise whole.
#[expect(clippy::indexing_slicing, reason = "members of objects that the macros made")]
pub(super) fn describe(document: &mut Value) {
    let schemas = document["components"]["schemas"].clone();
    let (mut asked, mut answered) = (BTreeSet::new(), BTreeSet::new());
    let items = document["paths"].as_object_mut().into_iter().flat_map(Map::values_mut);
    for operation in items.filter_map(Value::as_object_mut).flat_map(Map::values_mut) {
        names(&operation["requestBody"], &schemas, &mut asked);
        names(&operation["responses"], &schemas, &mut answered);
        let id = operation["operationId"].clone();
        let operation_id = id.as_str().unwrap_or_default();
        for parameter in operation["parameters"].as_array_mut().into_iter().flatten() {
            let place = parameter["in"].as_str().unwrap_or_default().to_owned();
            let name = parameter["name"].as_str().unwrap_or_default().to_owned();
            if place == "header" {
                parameter["schema"]["type"] = "string".into();
            }
            put(&mut parameter["schema"], of_parameter(operation_id, &place, &name));
        }
    }
    for schema in &asked {
        let is_shared = answered.contains(schema);
        if schema == "CreateRevocation" {
            let only = |names: &[&str]| json!({ "required": names });
            let one = [only(&["token"]), only(&["client", "until"]), only(&["systemUser", "until"])];
            document["components"]["schemas"][schema]["oneOf"] = one.into();
        }
        let members = document["components"]["schemas"][schema].get_mut("properties").and_then(Value::as_object_mut);
        for (name, member) in members.into_iter().flatten() {
            put(member, of_member(schema, name, is_shared));
        }
    }
}

/// Names of the schemas that something refers to, and that they refer to.
fn names(value: &Value, schemas: &Value, found: &mut BTreeSet<String>) {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        let reference = value.get("$ref").and_then(Value::as_str).and_then(|reference| reference.rsplit('/').next());
        if let Some(name) = reference
            && found.insert(name.to_owned())
        {
            open.extend(schemas.get(name));
        }
        open.extend(value.as_object().into_iter().flat_map(Map::values));
        open.extend(value.as_array().into_iter().flatten());
    }
}

/// Adds what a schema does not say itself; a list's entries have the form.
fn put(schema: &mut Value, form: Option<Value>) {
    let (Some(schema), Some(Value::Object(form))) = (schema.as_object_mut(), form) else { return };
    for (keyword, value) in form {
        match schema.get_mut("items").and_then(Value::as_object_mut) {
            Some(items) if !keyword.ends_with("Items") => {
                items.entry(keyword).or_insert(value);
            }
            _ => {
                schema.entry(keyword).or_insert(value);
            }
        }
    }
}

fn pattern(pattern: &str) -> Option<Value> {
    Some(json!({ "pattern": pattern }))
}

fn uuid() -> Option<Value> {
    Some(json!({ "format": "uuid", "pattern": format!("^{UUID}$") }))
}

fn text(chars_max: usize) -> Option<Value> {
    Some(json!({ "minLength": 1, "maxLength": chars_max, "pattern": TEXT }))
}

fn one_of(values: &[&str]) -> Option<Value> {
    Some(json!({ "enum": values }))
}

fn of_parameter(operation_id: &str, place: &str, name: &str) -> Option<Value> {
    match (place, name) {
        ("path", "party") => Some(json!({ "minimum": 1, "maximum": i32::MAX })),
        ("path", "organization") => pattern(ORGANIZATION),
        ("path", "provider") => pattern(PROVIDER),
        ("path", "resource") => pattern(RESOURCE),
        ("path", "list") => pattern(PROVIDER),
        ("path", "role") => one_of(&RELATION_ROLES.map(|(_, code)| code)),
        ("path", "exchangeProvider") => one_of(&["maskinporten", "id-porten", "altinnstudio"]),
        ("path", "systemId") => pattern(SYSTEM),
        // Of the pages' paths it may be the number, too.
        ("query", "party") | ("path", "partyUuid") => Some(json!({ "pattern": format!("^([0-9]{{9}}|{UUID})$") })),
        ("path", "systemUserId") => uuid(),
        // Empty is as good as absent.
        ("query", "provider") if operation_id == "logIn" => pattern("^[a-z0-9-]{0,64}$"),
        ("query", "packages") => Some(json!({ "minLength": 1 })),
        ("query", "orgno" | "systemProviderOrgNo" | "systemUserOwnerOrgNo") => pattern(ORGANIZATION),
        ("query", "system-id") => pattern(SYSTEM),
        ("query", "clientId") => pattern(CLIENT),
        ("query", "resource") => pattern(RESOURCE),
        (
            "query",
            "agent" | "client" | "facilitator" | "facilitatorId" | "partyUuid" | "systemUserId" | "system-user-id"
            | "correlation-id" | "provider",
        ) => uuid(),
        ("query", "stream") => pattern("^[a-z0-9-]{0,32}$"),
        ("query", "semantics") => one_of(&["altinn", "standard"]),
        ("query", "gateway" | "worker") => text(64),
        ("query", "applied") => pattern(SNAPSHOT_VERSION),
        ("header", "If-Match") => pattern(r#"^(\*|(W/)?"[!#-+--~]*"(, ?(W/)?"[!#-+--~]*")*)$"#),
        ("header", "Range") => pattern("^bytes=[0-9]{1,15}-[0-9]{1,15}$"),
        ("header", "Prefer") => pattern("^wait=[0-9]{1,5}$"),
        _ => None,
    }
}

/// `is_shared`: answers have the schema, too.
fn of_member(schema: &str, name: &str, is_shared: bool) -> Option<Value> {
    match (schema, name) {
        ("AccessPackage", "urn") => pattern("^urn:altinn:accesspackage:"),
        ("VendorInfo", "ID") => pattern("^0192:[0-9]{9}$"),
        ("Right", "resource") => Some(json!({ "minItems": 1 })),
        ("FreeSystemUser", "clientIds") => Some(json!({ "minItems": 1, "maxItems": 10, "pattern": CLIENT })),
        ("ApiRoute", "scopes") => pattern(SCOPE),
        ("ApiRoute", "name" | "host" | "path") => Some(json!({ "minLength": 1 })),
        ("ApiRoute", "methods") => Some(json!({ "minItems": 1, "minLength": 1 })),
        ("GatewayDecisionEntry", name) if !["atMillis", "decision"].contains(&name) => text(300),
        ("RevokedToken", _) => text(500),
        ("AccessSubject" | "AccessResource", "id" | "type") | ("AccessAction", "name") => {
            Some(json!({ "minLength": 1 }))
        }
        ("UserIdentity", "userId") => Some(json!({ "minimum": 1 })),
        ("RightValidity", "resource") => pattern(RESOURCE),
        ("RightValidity", "action") => pattern(ACTION),
        _ if is_shared => None,
        ("RegisterSystemRequest", "id") => pattern(r"^[0-9]{9}_[^\s\u0000-\u001f\u007f-\u009f]{1,245}$"),
        ("RegisterSystemRequest", "clientId") => pattern(CLIENT),
        // Empty is as good as absent.
        (
            "CreateRequestSystemUser" | "CreateAgentRequestSystemUser" | "CreateSystemUser",
            "externalRef" | "integrationTitle",
        ) => Some(json!({ "maxLength": NAME_CHARS_MAX, "pattern": r"^[^\u0000-\u001f\u007f-\u009f]*$" })),
        ("ImportedParty" | "ImportedPerson", "partyId") => Some(json!({ "minimum": 1, "maximum": i32::MAX })),
        ("ImportedParty", "organizationForm") => pattern("^[A-ZÆØÅ]{2,4}$"),
        ("ImportedRelation", "role") => one_of(&RELATION_ROLES.map(|(_, code)| code)),
        ("ImportedRelation", "client" | "provider") | ("Explain", "party") => pattern(ORGANIZATION),
        (
            "CreateGatewayCredential" | "GatewayWorkers" | "GatewayWorker" | "GatewayDecisions",
            "name" | "gateway" | "worker",
        ) => text(64),
        ("GatewayWorkers", "workers") => Some(json!({ "maxItems": 256 })),
        ("GatewayWorker", "applied") => pattern(SNAPSHOT_VERSION),
        ("GatewayDecisions", "decisions") => Some(json!({ "maxItems": 500 })),
        ("CreateRevocation", "client") => pattern(CLIENT),
        ("CreateWebhook", "url") => Some(json!({ "format": "uri", "pattern": "^https?://", "maxLength": 2000 })),
        ("CreateClientJob", "clients") => Some(json!({ "maxItems": 20_000, "format": "uuid" })),
        ("PutAccessList", "members") => Some(json!({ "maxItems": 20_000 })),
        ("PutAccessListMember", "actions") => Some(json!({ "minItems": 1, "maxItems": 64, "pattern": ACTION })),
        ("PutResource", "accessLists") => Some(json!({ "maxItems": 32, "pattern": PROVIDER })),
        ("PutResource", "accessListMode") => Some(json!({ "enum": ["enabled", "disabled", null] })),
        ("Explain", "authenticationLevel") => Some(json!({ "maximum": 4 })),
        ("SetEventPosition", "position") => Some(json!({ "minimum": 0, "maximum": SEQUENCE_MAX })),
        ("DiagnoseMaskinporten", "externalRef") => Some(json!({ "maxLength": NAME_CHARS_MAX })),
        ("TakePartyEvents", "events") => Some(json!({ "maxItems": 1000 })),
        (_, "organizationNumber" | "mainUnit" | "partyOrgNo" | "systemProviderOrgNo" | "systemUserOwnerOrgNo") => {
            pattern(ORGANIZATION)
        }
        (_, "systemId") => pattern(SYSTEM),
        (_, "clientId") => pattern(CLIENT),
        (_, "resource") => pattern(RESOURCE),
        (_, "action") => pattern(ACTION),
        (_, "stream") => pattern("^[a-z0-9-]{1,32}$"),
        (_, "redirectUrl" | "allowedRedirectUrls") => Some(json!({ "format": "uri", "maxLength": 2000 })),
        (_, "name" | "integrationTitle" | "externalRef" | "identity" | "nb" | "nn" | "en") => text(NAME_CHARS_MAX),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openapi::document;

    /// Texts of requests whose form is not told: whatever there is, or more than a pattern can say.
    const FREE: [&str; 12] = [
        "Right.action",
        "RouteCookie.origins",
        "AttributePair.id",
        "AttributePair.value",
        "ApiRoute.audiences",
        "ImportedRoleAssignment.role",
        "VendorInfo.authority",
        "LocalizedText.nb",
        "LocalizedText.nn",
        "LocalizedText.en",
        "TokenToIntrospect.token",
        "TokenToIntrospect.token_type_hint",
    ];

    #[test]
    fn every_text_of_a_request_has_a_form() {
        let document = document();
        let schemas = &document["components"]["schemas"];
        let mut asked = BTreeSet::new();
        for operation in
            document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values())
        {
            names(&operation["requestBody"], schemas, &mut asked);
        }
        assert!(asked.len() > 30, "{asked:?}");
        let mut formless = Vec::new();
        for schema in &asked {
            assert_ne!(schemas[schema].get("properties"), Some(&Value::Null), "{schema}");
            for (name, member) in schemas[schema]["properties"].as_object().into_iter().flatten() {
                let text = member.get("items").unwrap_or(member);
                let is_text = text["type"] == "string" || text["type"] == json!(["string", "null"]);
                let has_form =
                    ["format", "pattern", "enum", "minLength", "maxLength"].iter().any(|form| text.get(form).is_some());
                if is_text && !has_form && !FREE.contains(&format!("{schema}.{name}").as_str()) {
                    formless.push(format!("{schema}.{name}"));
                }
            }
        }
        assert!(formless.is_empty(), "{formless:?}");
    }

    #[test]
    fn every_text_in_a_path_and_query_has_a_form() {
        let free =
            ["externalRef", "external-ref", "token", "goto", "code", "state", "kind", "packages", "If-None-Match"];
        let document = document();
        for (path, item) in document["paths"].as_object().unwrap() {
            for parameter in
                item.as_object().unwrap().values().flat_map(|operation| operation["parameters"].as_array().unwrap())
            {
                let (name, schema) = (parameter["name"].as_str().unwrap(), &parameter["schema"]);
                let has_form = ["format", "pattern", "enum", "minimum"].iter().any(|form| schema.get(form).is_some());
                assert!(has_form || schema["type"] == "boolean" || free.contains(&name), "{path}: {name}: {schema}");
            }
        }
    }
}
