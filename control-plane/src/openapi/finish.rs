//! What annotations need not say, because it follows from their form: parts of the path, the body of failures, and the
//! failures that every call of that form can have.

use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

use super::forms;
use crate::aliases;
use crate::parameters::in_camel_case;
use crate::problem::codes;

/// Parts of paths, by their name in the code: what they are, and the format of the text.
pub(super) const PATH_PARTS: &[(&str, &str, &str)] = &[
    ("credential_id", "uuid", "The gateway credential"),
    ("exchange_provider", "", "`id-porten`, `maskinporten` or `altinnstudio`"),
    ("external_ref", "", "The vendor's own reference"),
    ("facilitator", "uuid", "The party's uuid"),
    ("id", "uuid", "The object"),
    ("job_id", "uuid", "The job"),
    ("list", "", "The access list"),
    ("organization", "organization-number", "The customer: nine digits, checked modulo 11"),
    ("party", "int64", "The organisation's party id in the register of parties"),
    ("party_uuid", "uuid", "The organisation in the register of parties"),
    ("provider", "", "The API provider"),
    ("role", "", "What the organisation is to its customers, for example `regnskapsforer`"),
    ("request_id", "uuid", "The request"),
    ("resource", "", "The resource"),
    ("system_id", "", "The system: its vendor's organisation number, `_`, a name"),
    ("system_user_id", "uuid", "The system user"),
];

/// Ways to prove who calls.
const SECURITY_SCHEMES: [(&str, &str); 3] = [
    (
        "maskinporten",
        "A token of Maskinporten (raw, or exchanged by Altinn). `consumer` says which organisation calls, the scopes are the operation's.",
    ),
    ("user", "A person's token, of level 3 or more; which party it may act for follows from roles and packages."),
    ("gateway", "A gateway credential (`pvgw_…`), as its operator was given it."),
];

/// The document with all that is the same everywhere; `tags` in their order.
#[expect(clippy::indexing_slicing, reason = "members of objects that the macros made")]
pub(super) fn finish(document: OpenApi, tags: &[(&str, &str)]) -> Value {
    let mut document = json!(document);
    let mut paths = Map::new();
    if let Value::Object(described) = document["paths"].take() {
        for (path, mut item) in described {
            for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut)
            {
                finish_operation(&path, operation);
            }
            paths.insert(in_camel_case(&path), item);
        }
    }
    aliases::describe(&mut paths);
    document["paths"] = Value::Object(paths);
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    let tag = |(name, description): &(&str, &str)| json!({ "name": name, "description": description });
    document["tags"] = tags.iter().map(tag).collect();
    let scheme = |(name, description): &(&str, &str)| {
        let scheme = json!({ "type": "http", "scheme": "bearer", "description": description });
        ((*name).to_owned(), scheme)
    };
    forms::describe(&mut document);
    document["components"]["securitySchemes"] = SECURITY_SCHEMES.iter().map(scheme).collect::<Map<_, _>>().into();
    document
}

fn finish_operation(path: &str, operation: &mut Map<String, Value>) {
    let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
    if let Some(parameters) = parameters.as_array_mut() {
        add_path_parts(path, parameters);
    }
    let takes_something = !operation.get("parameters").is_some_and(|parameters| *parameters == json!([]));
    let takes_body = operation.contains_key("requestBody");
    let is_open = operation.get("security").is_none();
    if is_open {
        operation.insert("security".to_owned(), json!([]));
    }
    let failures = [
        (takes_something || takes_body, "400", "What was sent is not what the operation takes; `code` says how"),
        (!is_open, "401", "The token is missing or does not stand; `reason` says why"),
        (!is_open, "403", "The caller is known and may not do this"),
        (takes_body, "413", "`body_too_large`"),
        (takes_body, "415", "`media_type_unsupported`"),
        (true, "429", "`too_many_calls`; `Retry-After` says when to come again"),
        (true, "500", "`internal`"),
        (true, "503", "`database_busy`, `timed_out` or `stopping`; `Retry-After` says when to come again"),
    ];
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    for (can_fail, status, description) in failures {
        if can_fail && !responses.contains_key(status) {
            responses.insert(status.to_owned(), json!({ "description": description }));
        }
    }
    for (status, response) in responses.iter_mut() {
        finish_response(status, response);
    }
}

#[expect(clippy::indexing_slicing, reason = "members of objects that the macros made")]
fn finish_response(status: &str, response: &mut Value) {
    // A number or a truth value is JSON, too.
    if let Some(content) = response.get_mut("content").and_then(Value::as_object_mut)
        && content.get("text/plain").is_some_and(|plain| plain["schema"]["type"] != "string")
        && let Some(value) = content.remove("text/plain")
    {
        content.insert("application/json".to_owned(), value);
    }
    let is_failure = status.starts_with(['4', '5']);
    if is_failure && response.get("content").is_none() {
        let problem = json!({ "schema": { "$ref": "#/components/schemas/Problem" } });
        let says = |form: &str| response["description"].as_str().is_some_and(|said| said.contains(form));
        // Some answers of Altinn's are a sentence and nothing else, or a number.
        let (is_sentence, is_number) = (says("plain text"), says("The number"));
        let mut content = json!({ "application/problem+json": problem });
        if is_sentence {
            content["text/plain"] = json!({ "schema": { "type": "string" } });
        }
        if is_number {
            content["application/json"] = json!({ "schema": { "type": "integer" } });
        }
        response["content"] = content;
    }
    let said = response["description"].as_str().unwrap_or_default();
    response["description"] = match said {
        "" => reason(status).into(),
        said => with_titles(said).into(),
    };
}

/// The text with the title behind each code that it names.
fn with_titles(text: &str) -> String {
    let mut told = String::new();
    for (position, part) in text.split('`').enumerate() {
        // Every other part stands between back-ticks.
        if position % 2 == 0 {
            told.push_str(part);
            continue;
        }
        told.push_str(&format!("`{part}`"));
        if let Some(problem) = codes::ALL.iter().find(|problem| problem.code == part) {
            told.push_str(&format!(" ({})", problem.title.trim_end_matches('.')));
        }
    }
    told
}

fn reason(status: &str) -> &'static str {
    let status = status.parse::<u16>().ok().and_then(|status| axum::http::StatusCode::from_u16(status).ok());
    status.and_then(|status| status.canonical_reason()).unwrap_or("Answer")
}

fn add_path_parts(path: &str, parameters: &mut Vec<Value>) {
    for name in path.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
        if parameters.iter_mut().any(|parameter| parameter["name"] == name) {
            continue;
        }
        let known = PATH_PARTS.iter().find(|(known, ..)| *known == name);
        let Some((_, format, description)) = known else { continue };
        let schema = match *format {
            "int64" => json!({ "type": "integer", "format": "int64" }),
            "" => json!({ "type": "string" }),
            format => json!({ "type": "string", "format": format }),
        };
        parameters.push(json!({
            "name": name, "in": "path", "required": true, "description": description, "schema": schema,
        }));
    }
    for parameter in parameters.iter_mut().filter(|parameter| parameter["in"] == "path") {
        parameter["name"] = in_camel_case(parameter["name"].as_str().unwrap_or_default()).into();
    }
}
