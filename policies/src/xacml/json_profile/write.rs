//! Answers as JSON: in the profile's shape, or in Altinn's (small letters, nulls, one entry for each value).

use serde_json::{Map, Value, json};

use crate::xacml::Semantics;
use crate::xacml::request::Category;
use crate::xacml::response::{DecisionResult, MissingAttribute, Notice, PolicyIdentifier, Response};
use crate::xacml::xml_context;

/// Writes an answer.
pub fn write_response(response: &Response, semantics: Semantics) -> String {
    match semantics {
        Semantics::Standard => json!({ "Response": response.results.iter().map(standard).collect::<Vec<_>>() }),
        Semantics::Altinn => json!({ "response": response.results.iter().map(altinn).collect::<Vec<_>>() }),
    }
    .to_string()
}

fn standard(result: &DecisionResult) -> Value {
    let mut status = Map::from_iter([("StatusCode".to_owned(), json!({ "Value": result.status.code.uri() }))]);
    if let Some(message) = &result.status.message {
        status.insert("StatusMessage".to_owned(), json!(message));
    }
    if let Some(missing) = &result.status.missing {
        status.insert("StatusDetail".to_owned(), json!([missing_detail(missing)]));
    }
    let mut written = Map::from_iter([
        ("Decision".to_owned(), json!(result.decision.as_str())),
        ("Status".to_owned(), Value::Object(status)),
    ]);
    let mut list = |name: &str, items: Vec<Value>| {
        if !items.is_empty() {
            written.insert(name.to_owned(), Value::Array(items));
        }
    };
    list("Obligations", result.obligations.iter().map(standard_notice).collect());
    list("AssociatedAdvice", result.advice.iter().map(standard_notice).collect());
    list("Category", result.categories.iter().map(standard_category).collect());
    if !result.policies.is_empty() {
        let of = |sets: bool| -> Vec<_> {
            let wanted = result.policies.iter().filter(|policy| policy.is_set == sets);
            wanted.map(|PolicyIdentifier { id, version, .. }| json!({ "Id": id, "Version": version })).collect()
        };
        let identifiers = json!({ "PolicyIdReference": of(false), "PolicySetIdReference": of(true) });
        written.insert("PolicyIdentifierList".to_owned(), identifiers);
    }
    Value::Object(written)
}

fn standard_notice(notice: &Notice) -> Value {
    let assignment = |one: &super::super::response::Assignment| {
        let mut written = Map::from_iter([
            ("AttributeId".to_owned(), json!(one.id)),
            ("Value".to_owned(), json!(one.value)),
            ("DataType".to_owned(), json!(one.data_type)),
        ]);
        for (name, value) in [("Category", &one.category), ("Issuer", &one.issuer)] {
            if let Some(value) = value {
                written.insert(name.to_owned(), json!(value));
            }
        }
        Value::Object(written)
    };
    json!({ "Id": notice.id, "AttributeAssignment": notice.assignments.iter().map(assignment).collect::<Vec<_>>() })
}

fn standard_category(category: &Category) -> Value {
    let mut attributes = Vec::new();
    for attribute in &category.attributes {
        // An attribute has one type in JSON; values of several types are several attributes.
        let mut values = attribute.values.as_slice();
        while let Some(first) = values.first() {
            let same = values.iter().take_while(|value| value.data_type == first.data_type).count();
            let (of_type, rest) = values.split_at_checked(same).unwrap_or((values, &[]));
            let mut written = Map::from_iter([
                ("AttributeId".to_owned(), json!(attribute.id)),
                ("DataType".to_owned(), json!(first.data_type)),
                ("IncludeInResult".to_owned(), json!(true)),
                ("Value".to_owned(), json!(of_type.iter().map(|value| &value.text).collect::<Vec<_>>())),
            ]);
            if let Some(issuer) = &attribute.issuer {
                written.insert("Issuer".to_owned(), json!(issuer));
            }
            attributes.push(Value::Object(written));
            values = rest;
        }
    }
    let mut written = Map::from_iter([
        ("CategoryId".to_owned(), json!(category.category)),
        ("Attribute".to_owned(), Value::Array(attributes)),
    ]);
    if let Some(id) = &category.id {
        written.insert("Id".to_owned(), json!(id));
    }
    Value::Object(written)
}

fn altinn(result: &DecisionResult) -> Value {
    let categories: Vec<_> = result.categories.iter().map(altinn_category).collect();
    let obligations: Vec<_> = result.obligations.iter().map(altinn_notice).collect();
    let or_null = |items: Vec<Value>| if items.is_empty() { Value::Null } else { Value::Array(items) };
    json!({
        "decision": result.decision.as_str(),
        "status": {
            "statusMessage": result.status.message,
            "statusDetails": null,
            "statusCode": { "value": result.status.code.uri(), "statusCode": null },
        },
        "obligations": or_null(obligations),
        "associateAdvice": null,
        "category": or_null(categories),
        "policyIdentifierList": null,
    })
}

fn altinn_notice(notice: &Notice) -> Value {
    let assignments: Vec<_> = notice
        .assignments
        .iter()
        .map(|one| {
            json!({
                "attributeId": one.id,
                "value": one.value,
                "category": one.category,
                "dataType": one.data_type,
                "issuer": one.issuer,
            })
        })
        .collect();
    json!({ "id": notice.id, "attributeAssignment": if assignments.is_empty() { Value::Null } else { json!(assignments) } })
}

fn altinn_category(category: &Category) -> Value {
    let values = category.attributes.iter().flat_map(|attribute| {
        attribute.values.iter().map(|value| {
            json!({
                "attributeId": attribute.id,
                "value": value.text,
                "issuer": null,
                "dataType": value.data_type,
                "includeInResult": false,
            })
        })
    });
    json!({
        "categoryId": category.category,
        "id": null,
        "content": null,
        "attribute": values.collect::<Vec<_>>(),
    })
}

/// The detail as XML in a string, as the profile has it (4.2.4).
fn missing_detail(missing: &MissingAttribute) -> String {
    xml_context::missing_attribute_detail(missing)
}
