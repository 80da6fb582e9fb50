//! Whether an answer is one that the API's description has: every call of every test is looked at.
//!
//! What is checked of a schema is what a client's code depends on: types, required members, values of enumerations.

use std::sync::LazyLock;

use serde_json::Value;

use super::Answer;

static DOCUMENT: LazyLock<Value> = LazyLock::new(crate::openapi::document);

/// Panics at an answer that the description does not have.
pub(super) fn check(method: &str, path: &str, answer: &Answer) {
    let path = path.split('?').next().unwrap();
    let Some(operation) = operation(method, path) else { return };
    let (status, called) = (answer.status.to_string(), format!("{method} {path}"));
    let Some(response) = operation["responses"].get(&status) else {
        panic!("{called} answered {status}, which is not described: {}", answer.json);
    };
    let Some(content) = response.get("content").and_then(Value::as_object) else {
        assert!(answer.bytes.is_empty(), "{called} answered {status} with a body, which is not described");
        return;
    };
    let media_type = answer.headers.get("content-type").map_or("", String::as_str).split(';').next().unwrap().trim();
    let Some(media) = content.get(media_type) else {
        panic!("{called} answered {status} as `{media_type}`, which is not described");
    };
    if media_type.ends_with("json")
        && let Some(schema) = media.get("schema")
        && let Err(difference) = fits(&answer.json, schema, &called)
    {
        panic!("{called} answered {status} otherwise than described: {difference}: {}", answer.json);
    }
}

/// The operation that takes this call; literal parts of a path are looked at before named ones.
fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let parts: Vec<&str> = path.split('/').collect();
    let literal = |template: &str| -> Option<Vec<bool>> {
        let of_template: Vec<&str> = template.split('/').collect();
        let fits = of_template.len() == parts.len()
            && of_template
                .iter()
                .zip(&parts)
                .all(|(of_template, part)| of_template.starts_with('{') || of_template == part);
        fits.then(|| of_template.iter().map(|part| !part.starts_with('{')).collect())
    };
    let paths = DOCUMENT["paths"].as_object()?.iter();
    let (_, item) = paths
        .filter_map(|(template, item)| Some((literal(template)?, item)))
        .max_by(|left, right| left.0.cmp(&right.0))?;
    item.get(method.to_lowercase())
}

/// Says where a value is not what the schema has.
fn fits(value: &Value, schema: &Value, at: &str) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        return fits(value, DOCUMENT.pointer(reference.trim_start_matches('#')).unwrap(), at);
    }
    for form in ["oneOf", "anyOf"] {
        if let Some(schemas) = schema[form].as_array()
            && schemas.iter().all(|schema| fits(value, schema, at).is_err())
        {
            return Err(format!("{at} fits none of {form}"));
        }
    }
    for schema in schema["allOf"].as_array().into_iter().flatten() {
        fits(value, schema, at)?;
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one.as_str()],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let is_of_type = |name: &&str| match *name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => value.is_null(),
    };
    if !types.is_empty() && !types.iter().any(is_of_type) {
        return Err(format!("{at} is not of type {types:?}"));
    }
    if let Some(values) = schema["enum"].as_array()
        && !values.contains(value)
    {
        return Err(format!("{at} is none of {values:?}"));
    }
    if let Some(members) = value.as_object() {
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            members.get(name).ok_or_else(|| format!("{at} has no `{name}`"))?;
        }
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            if let Some(member) = members.get(name) {
                fits(member, schema, &format!("{at}.{name}"))?;
            }
        }
    }
    for (position, item) in value.as_array().into_iter().flatten().enumerate() {
        fits(item, &schema["items"], &format!("{at}[{position}]"))?;
    }
    Ok(())
}

#[test]
fn answers_that_are_not_described_are_found() {
    let answer = |status: u16, media_type: &str, json: Value| Answer {
        status,
        headers: [("content-type".to_owned(), media_type.to_owned())].into(),
        bytes: json.to_string().into(),
        json,
    };
    let path = "/portvakt/v1/snapshot-keys?x=1";
    let found = |answer: Answer| std::panic::catch_unwind(|| check("GET", path, &answer)).is_err();
    let good = serde_json::json!({ "keys": [{ "kid": "k", "pem": "p" }] });
    let of_good = &operation("GET", "/portvakt/v1/snapshot-keys").unwrap()["responses"]["200"];
    assert!(of_good.is_object() && operation("GET", "/nowhere").is_none());
    assert!(found(answer(204, "application/json", good.clone())));
    assert!(found(answer(200, "text/plain", good)));
    assert!(found(answer(200, "application/json", serde_json::json!([]))));
}
