//! What a service owner may send and is not decided: 200 with one Indeterminate and a status that tells why, or a refusal
//! of the call itself, never a 5xx. The limits are named where they are kept.

use policies::xacml::request::{CATEGORIES_MAX, DECISIONS_MAX, REQUEST_BYTES_MAX, VALUES_MAX};
use serde_json::{Value, json};

use super::judge::NAMES_MAX;
use super::story::{AUTHORIZE, HANSEN, asks, authorized, authorizer, decided, refused, request};
use crate::service::BODY_BYTES_MAX;
use crate::test_state::{TestState, story};

const SYSTEM_USER: &str = "urn:altinn:systemuser:uuid";
const VAT: (&str, &str) = ("urn:altinn:resource", "vat");

/// A system user that has the right asked for, and the request that asks for it.
async fn permitted() -> (TestState, String, Value) {
    let test = TestState::with_request().await;
    let id = test.approve().await;
    let body = asks((SYSTEM_USER, &id), "read", "vat", HANSEN);
    assert_eq!(decided(&test, &body).await, "Permit");
    (test, id, body)
}

/// Status code of the one Indeterminate that a text is answered with.
async fn refused_text(test: &TestState, text: impl Into<Vec<u8>>) -> String {
    let answer =
        test.send_bytes("POST", AUTHORIZE, &authorizer(test), "application/json", text.into()).await.expect(200);
    assert_eq!(answer["response"].as_array().map(Vec::len), Some(1), "{answer}");
    assert_eq!(answer["response"][0]["decision"], "Indeterminate", "{answer}");
    answer["response"][0]["status"]["statusCode"]["value"].as_str().unwrap().rsplit(':').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_system_user_stands_alone() {
    let (test, id, good) = permitted().await;
    let other = "00000000-0000-4000-8000-00000000ffff";
    let hansen = [VAT, HANSEN];
    let subjects = |subjects: &[(&str, &str)]| request(subjects, "read", &hansen);
    assert_eq!(refused(&test, &subjects(&[(SYSTEM_USER, &id), (SYSTEM_USER, other)])).await, "processing-error");
    assert_eq!(refused(&test, &subjects(&[(SYSTEM_USER, &id), (SYSTEM_USER, &id)])).await, "processing-error");
    assert_eq!(refused(&test, &subjects(&[(SYSTEM_USER, &id), ("urn:altinn:userid", "1")])).await, "processing-error");
    assert_eq!(
        refused(&test, &subjects(&[(SYSTEM_USER, &id), ("urn:altinn:rolecode", "DAGL")])).await,
        "processing-error"
    );
    assert_eq!(refused(&test, &subjects(&[(SYSTEM_USER, "alice")])).await, "processing-error");
    assert_eq!(refused(&test, &subjects(&[])).await, "processing-error");
    let mut two_values = good.clone();
    two_values["Request"]["AccessSubject"][0]["Attribute"][0]["Value"] = json!([id, other]);
    assert_eq!(refused(&test, &two_values).await, "processing-error");
    let mut two_categories = good.clone();
    let subject = |id: &str| json!({ "Id": id, "Attribute": [{ "AttributeId": SYSTEM_USER, "Value": id }] });
    two_categories["Request"]["AccessSubject"] = json!([subject(&id), subject(other)]);
    assert_eq!(refused(&test, &two_categories).await, "processing-error");
    let mut in_general = good;
    in_general["Request"]["Category"] = json!([{
        "CategoryId": "urn:oasis:names:tc:xacml:1.0:subject-category:access-subject",
        "Attribute": [{ "AttributeId": SYSTEM_USER, "Value": other }],
    }]);
    assert_eq!(refused(&test, &in_general).await, "processing-error");
}

#[tokio::test]
async fn values_are_strings_of_three_types() {
    let (test, _, good) = permitted().await;
    for value in [json!(1), json!(true), json!(null), json!({}), json!([1]), json!([["x"]])] {
        let mut body = good.clone();
        body["Request"]["Action"][0]["Attribute"][0]["Value"] = value.clone();
        let expected = if value.is_null() { "syntax-error" } else { "processing-error" };
        assert_eq!(refused(&test, &body).await, expected, "{value}");
    }
    for (data_type, is_read) in
        [("string", true), ("http://www.w3.org/2001/XMLSchema#string", true), ("boolean", false), ("x", false)]
    {
        let mut body = good.clone();
        body["Request"]["Action"][0]["Attribute"][0]["DataType"] = json!(data_type);
        if is_read {
            assert_eq!(decided(&test, &body).await, "Permit", "{data_type}");
        } else {
            assert_eq!(refused(&test, &body).await, "processing-error", "{data_type}");
        }
    }
}

#[tokio::test]
async fn members_of_wrong_shapes_are_refused_and_unknown_ones_are_left() {
    let (test, _, good) = permitted().await;
    let mut body = good.clone();
    for (name, value) in
        [("RecipientSubject", json!([{}])), ("XPathVersion", json!("x")), ("Surprise", json!({ "a": [1] }))]
    {
        body["Request"][name] = value;
    }
    body["Surprise"] = json!([[]]);
    assert_eq!(decided(&test, &body).await, "Permit");
    for (path, value) in [
        ("/Request", json!([])),
        ("/Request", json!("x")),
        ("/Request/AccessSubject", json!("x")),
        ("/Request/AccessSubject", json!([1])),
        ("/Request/AccessSubject/0/Attribute", json!(7)),
        ("/Request/AccessSubject/0/Attribute/0/AttributeId", json!(7)),
        ("/Request/AccessSubject/0/Attribute/0/AttributeId", json!(null)),
        ("/Request/ReturnPolicyIdList", json!("true")),
    ] {
        let mut body = good.clone();
        *body.pointer_mut(path).unwrap() = value.clone();
        assert_eq!(refused(&test, &body).await, "syntax-error", "{path} {value}");
    }
    for multi in [
        json!(1),
        json!({ "RequestReference": 1 }),
        json!({ "RequestReference": [{}, {}] }),
        json!({ "RequestReference": [{ "ReferenceId": [1] }] }),
    ] {
        let mut body = good.clone();
        body["Request"]["MultiRequests"] = multi.clone();
        assert_eq!(refused(&test, &body).await, "syntax-error", "{multi}");
    }
}

#[tokio::test]
async fn texts_that_can_be_read_in_two_ways_or_not_at_all_are_refused() {
    let (test, _, good) = permitted().await;
    let good = good.to_string();
    for text in [
        String::new(),
        "{".to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        "{}".to_owned(),
        format!("{good} {good}"),
        good.replacen("\"Action\":", "\"Action\":[],\"Action\":", 1),
        good.replacen("\"Action\":", "\"action\":[],\"Action\":", 1),
        good.replacen("\"Value\":", "\"Value\":\"x\",\"Value\":", 1),
        format!("{{\"Request\":{}1{}}}", "{\"a\":".repeat(100_000), "}".repeat(100_000)),
        format!("{{\"Request\":{}", "[".repeat(500_000)),
    ] {
        let shown: String = text.chars().take(60).collect();
        assert_eq!(refused_text(&test, text).await, "syntax-error", "{shown}");
    }
    assert_eq!(refused_text(&test, b"{\"Request\":{\"\xff\":1}}".to_vec()).await, "syntax-error");
    assert_eq!(refused_text(&test, vec![0; 1000]).await, "syntax-error");
    // As Altinn reads it: a byte order mark, UTF-16 and a comma too many.
    let marked = [&b"\xef\xbb\xbf"[..], good.replace("]}", "],}").as_bytes()].concat();
    let wide: Vec<u8> = std::iter::once(0xfeff).chain(good.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    for bytes in [marked, wide] {
        let answer =
            test.send_bytes("POST", AUTHORIZE, &authorizer(&test), "application/json", bytes).await.expect(200);
        assert_eq!(answer["response"][0]["decision"], "Permit");
    }
}

#[tokio::test]
async fn how_much_may_be_sent_is_bounded() {
    let (test, id, good) = permitted().await;
    let padded = |bytes: usize| {
        let mut body = good.clone();
        body["Request"]["Surprise"] = json!("x".repeat(bytes));
        body.to_string()
    };
    let token = authorizer(&test);
    let too_large = Some(("application/json", padded(BODY_BYTES_MAX)));
    test.send("POST", AUTHORIZE, &token, too_large).await.expect_code(413, "body_too_large");
    assert_eq!(refused_text(&test, padded(REQUEST_BYTES_MAX)).await, "syntax-error");

    let mut values = good.clone();
    values["Request"]["Resource"][0]["Attribute"][0]["Value"] = json!(vec!["x"; VALUES_MAX]);
    assert_eq!(refused(&test, &values).await, "processing-error");
    let mut categories = good.clone();
    categories["Request"]["Resource"] = json!(vec![json!({}); CATEGORIES_MAX]);
    assert_eq!(refused(&test, &categories).await, "processing-error");

    let multi = |references: usize| {
        let mut body = good.clone();
        for (name, category) in [("s", "AccessSubject"), ("a", "Action"), ("r", "Resource")] {
            body["Request"][category][0]["Id"] = json!(name);
        }
        let reference = json!({ "ReferenceId": ["s", "a", "r"] });
        body["Request"]["MultiRequests"] = json!({ "RequestReference": vec![reference; references] });
        body
    };
    for references in [DECISIONS_MAX + 1, 10_000] {
        assert_eq!(refused(&test, &multi(references)).await, "processing-error", "{references}");
    }
    let most = authorized(&test, &multi(DECISIONS_MAX)).await.expect(200);
    let permits = most["response"].as_array().unwrap().iter().filter(|one| one["decision"] == "Permit").count();
    assert_eq!(permits, DECISIONS_MAX);
    // One reference is none: the request is decided as a whole.
    let one = authorized(&test, &multi(1)).await.expect(200);
    assert_eq!(one["response"].as_array().unwrap().len(), 1);

    let named = |count: usize| {
        let resource = |at: usize| json!({ "Attribute": [{ "AttributeId": VAT.0, "Value": format!("r{at}") }] });
        let mut body = good.clone();
        body["Request"]["Resource"] = json!((0..count / 2).map(resource).collect::<Vec<_>>());
        let subject = |at: usize| json!({ "Attribute": [{ "AttributeId": SYSTEM_USER, "Value": format!("s{at}") }] });
        body["Request"]["AccessSubject"] = json!((0..count / 2).map(subject).collect::<Vec<_>>());
        body["Request"]["Action"] = json!([]);
        body
    };
    assert!(CATEGORIES_MAX < NAMES_MAX && named(CATEGORIES_MAX).to_string().len() < REQUEST_BYTES_MAX);
    assert_eq!(refused(&test, &named(CATEGORIES_MAX)).await, "processing-error");
    let mut more = named(CATEGORIES_MAX - 2);
    for category in more["Request"]["Resource"].as_array_mut().unwrap() {
        let party = json!({ "AttributeId": HANSEN.0, "Value": category["Attribute"][0]["Value"] });
        category["Attribute"].as_array_mut().unwrap().push(party);
    }
    let answer = authorized(&test, &more).await.expect(200);
    let message = answer["response"][0]["status"]["statusMessage"].as_str().unwrap();
    assert!(message.contains("names at most"), "{message}");

    // As many subjects, resources and parties as may be named, all looked up.
    let many = |of: &dyn Fn(usize) -> Value| json!((0..300).map(of).collect::<Vec<_>>());
    let attribute = |id: &str, value: &str| json!({ "AttributeId": id, "Value": value });
    let body = json!({ "Request": {
        "AccessSubject": many(&|at| json!({ "Id": format!("s{at}"), "Attribute": [attribute(SYSTEM_USER, &id.replace("00000000", &format!("{at:08}")))] })),
        "Action": [{ "Id": "a", "Attribute": [attribute("urn:oasis:names:tc:xacml:1.0:action:action-id", "read")] }],
        "Resource": many(&|at| json!({ "Id": format!("r{at}"), "Attribute": [attribute(VAT.0, "vat"), attribute("urn:altinn:partyid", &format!("{}", 50_000_001 + at))] })),
        "MultiRequests": { "RequestReference": (0..DECISIONS_MAX).map(|at| json!({ "ReferenceId": [format!("s{at}"), "a", format!("r{at}")] })).collect::<Vec<_>>() },
    }});
    let answer = authorized(&test, &body).await.expect(200);
    assert_eq!(
        (answer["response"].as_array().unwrap().len(), &answer["response"][0]["decision"]),
        (DECISIONS_MAX, &json!("Permit"))
    );
}

#[tokio::test]
async fn what_is_named_is_there_or_it_is_not_decided() {
    let (test, id, good) = permitted().await;
    let subject = (SYSTEM_USER, id.as_str());
    assert_eq!(refused(&test, &asks(subject, "read", "unknown", HANSEN)).await, "processing-error");
    // It has no policy yet.
    assert_eq!(refused(&test, &asks(subject, "read", "internal", HANSEN)).await, "processing-error");
    assert_eq!(refused(&test, &request(&[subject], "read", &[HANSEN])).await, "processing-error");
    for party in ["0", "-1", "x", "99999999999999999999", "310247048", "\u{0}", "'; --", &"9".repeat(10_000)] {
        for attribute in [HANSEN.0, "urn:altinn:partyid", "urn:altinn:party:uuid"] {
            assert_eq!(
                decided(&test, &asks(subject, "read", "vat", (attribute, party))).await,
                "NotApplicable",
                "{attribute} {party}"
            );
        }
    }
    assert_eq!(decided(&test, &request(&[subject], "read", &[VAT])).await, "NotApplicable");
    let mut unknown_reference = good;
    unknown_reference["Request"]["MultiRequests"] =
        json!({ "RequestReference": [{ "ReferenceId": ["x"] }, { "ReferenceId": [] }] });
    assert_eq!(refused(&test, &unknown_reference).await, "processing-error");
    // A stored policy that this version no longer reads decides nothing.
    test.spoil_policy("vat").await;
    assert_eq!(refused(&test, &asks(subject, "read", "vat", HANSEN)).await, "processing-error");
    let xml = story::policy("vat", &["read"], &[]);
    test.put_xml(&format!("{}/policy", story::resource("vat")), &test.resource_owner(), &xml).await.expect(200);
    assert_eq!(decided(&test, &asks(subject, "read", "vat", HANSEN)).await, "Permit");
}
