//! What the tests of decisions ask, in the story's words.

use serde_json::{Value, json};

use crate::test_state::{Answer, TestState, tokens};

pub(super) const AUTHORIZE: &str = "/authorization/api/v1/authorize";
pub(super) const DECISION: &str = "/authorization/api/v1/decision";
pub(super) const HANSEN: (&str, &str) = ("urn:altinn:organization:identifier-no", "310247049");
pub(super) const BAKERI: (&str, &str) = ("urn:altinn:organization:identifier-no", "310247057");

pub(super) fn authorizer(test: &TestState) -> String {
    tokens::Maskinporten::new("310247022", "altinn:authorization/authorize").token(test)
}

pub(super) fn platform(test: &TestState) -> String {
    tokens::Maskinporten::new("310247006", "portvakt:decisions").token(test)
}

/// A request in the JSON profile: subject, action and resource with these attributes.
pub(super) fn request(subject: &[(&str, &str)], action: &str, resource: &[(&str, &str)]) -> Value {
    let attributes = |attributes: &[(&str, &str)]| {
        let attribute = |(id, value): &(&str, &str)| json!({ "AttributeId": id, "Value": value });
        json!([{ "Attribute": attributes.iter().map(attribute).collect::<Vec<_>>() }])
    };
    json!({ "Request": {
        "ReturnPolicyIdList": true,
        "AccessSubject": attributes(subject),
        "Action": attributes(&[("urn:oasis:names:tc:xacml:1.0:action:action-id", action)]),
        "Resource": attributes(resource),
    }})
}

/// A request about one of the story's resources.
pub(super) fn asks(subject: (&str, &str), action: &str, resource: &str, party: (&str, &str)) -> Value {
    request(&[subject], action, &[("urn:altinn:resource", resource), party])
}

/// The answer to a service owner.
pub(super) async fn authorized(test: &TestState, body: &Value) -> Answer {
    test.post(AUTHORIZE, &authorizer(test), body).await
}

/// The one decision that a service owner is given.
pub(super) async fn decided(test: &TestState, body: &Value) -> String {
    let answer = authorized(test, body).await.expect(200);
    assert_eq!(answer["response"].as_array().map(Vec::len), Some(1), "{answer}");
    answer["response"][0]["decision"].as_str().unwrap().to_owned()
}

/// Status code of the one Indeterminate that a service owner is given.
pub(super) async fn refused(test: &TestState, body: &Value) -> String {
    let answer = authorized(test, body).await.expect(200);
    let results = answer["response"].as_array().unwrap();
    assert_eq!((results.len(), &results[0]["decision"]), (1, &json!("Indeterminate")), "{answer}");
    results[0]["status"]["statusCode"]["value"].as_str().unwrap().rsplit(':').next().unwrap().to_owned()
}
