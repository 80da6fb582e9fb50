//! Bodies that are no system, each wrong in one way: all are refused with Altinn's code and path, and nothing is stored.

use serde_json::{Value, json};

use crate::test_state::{TestState, story};

fn right(id: &str, value: &str) -> Value {
    json!({ "resource": [{ "id": id, "value": value }] })
}

fn package(name: &str) -> Value {
    json!({ "urn": format!("urn:altinn:accesspackage:{name}") })
}

fn languages(nb: &Value, nn: &Value, en: &Value) -> Value {
    json!({ "nb": nb, "nn": nn, "en": en })
}

/// Member, value, code, path below `/registersystemrequest`.
fn wrong() -> Vec<(&'static str, Value, &'static str, &'static str)> {
    let vat = right("urn:altinn:resource", "vat");
    let long = "x".repeat(256);
    let text = json!("a");
    let all_but = |member: &str| {
        let mut text = languages(&text, &text, &text);
        text.as_object_mut().unwrap().remove(member);
        text
    };
    vec![
        ("vendor", json!(null), "AUTH.VLD-00000", "/vendor/id"),
        ("vendor", json!({}), "AUTH.VLD-00000", "/vendor/id"),
        ("vendor", json!({ "ID": "" }), "AUTH.VLD-00000", "/vendor/id"),
        ("vendor", json!({ "ID": "310247030" }), "AUTH.VLD-00000", "/vendor/id"),
        ("vendor", json!({ "ID": "0193:310247030" }), "AUTH.VLD-00000", "/vendor/id"),
        ("vendor", json!({ "ID": "0192:310247031" }), "AUTH.VLD-00000", "/vendor/id"),
        ("vendor", json!({ "ID": "0192:31024703" }), "AUTH.VLD-00000", "/vendor/id"),
        ("vendor", json!({ "ID": "0192:310 247 030" }), "AUTH.VLD-00000", "/vendor/id"),
        ("id", json!(null), "AUTH.VLD-00001", "/systemid"),
        ("id", json!(""), "AUTH.VLD-00001", "/systemid"),
        ("id", json!("smartcloud"), "AUTH.VLD-00001", "/systemid"),
        ("id", json!("310247030"), "AUTH.VLD-00001", "/systemid"),
        ("id", json!("310247030_"), "AUTH.VLD-00001", "/systemid"),
        ("id", json!("310247030-smartcloud"), "AUTH.VLD-00001", "/systemid"),
        ("id", json!("310247065_smartcloud"), "AUTH.VLD-00001", "/systemid"),
        ("id", json!(format!("310247030_{long}")), "AUTH.VLD-00001", "/systemid"),
        ("id", json!("310247030_a\u{1}b"), "AUTH.VLD-00001", "/systemid"),
        ("id", json!("310247030_a b"), "AUTH.VLD-00013", "/systemid"),
        ("id", json!("310247030_a\u{a0}b"), "AUTH.VLD-00013", "/systemid"),
        ("id", json!("310247030_taken"), "AUTH.VLD-00002", "/systemid"),
        ("id", json!("310247030_deleted"), "AUTH.VLD-00002", "/systemid"),
        ("name", json!(null), "name_incomplete", "/name"),
        ("name", all_but("nb"), "name_incomplete", "/name"),
        ("name", all_but("nn"), "name_incomplete", "/name"),
        ("name", all_but("en"), "name_incomplete", "/name"),
        ("name", languages(&json!(" "), &text, &text), "name_incomplete", "/name"),
        ("name", languages(&json!(long), &text, &text), "name_incomplete", "/name"),
        ("name", languages(&json!("a\nb"), &text, &text), "name_incomplete", "/name"),
        ("description", all_but("en"), "name_incomplete", "/description"),
        ("description", languages(&json!("x".repeat(2001)), &text, &text), "name_incomplete", "/description"),
        ("rights", json!([right("urn:altinn:resource", "unknown")]), "AUTH.VLD-00003", "/rights/resource"),
        ("rights", json!([vat, vat]), "AUTH.VLD-00006", "/rights/resource"),
        ("rights", json!([right("urn:altinn:org", "skd")]), "AUTH.VLD-00009", "/rights/resource"),
        ("rights", json!([right("URN:ALTINN:RESOURCE", "vat")]), "AUTH.VLD-00009", "/rights/resource"),
        ("rights", json!([right("urn:altinn:resource", "")]), "AUTH.VLD-00009", "/rights/resource"),
        ("rights", json!([{}]), "AUTH.VLD-00009", "/rights/resource"),
        (
            "rights",
            json!([{ "resource": [vat["resource"][0], vat["resource"][0]] }]),
            "AUTH.VLD-00009",
            "/rights/resource",
        ),
        ("rights", json!([right("urn:altinn:resource", "internal")]), "AUTH.VLD-00017", "/rights/resource"),
        ("rights", json!(vec![vat.clone(); 1001]), "too_many_entries", "/rights/resource"),
        ("accessPackages", json!([package("unknown")]), "AUTH.VLD-00008", "/accesspackages"),
        ("accessPackages", json!([package("eksplisitt")]), "AUTH.VLD-00008", "/accesspackages"),
        ("accessPackages", json!([{ "urn": "skatt-naering" }]), "AUTH.VLD-00008", "/accesspackages"),
        ("accessPackages", json!([{}]), "AUTH.VLD-00008", "/accesspackages"),
        ("accessPackages", json!([package("lonn"), package("lonn")]), "AUTH.VLD-00007", "/accesspackages"),
        ("accessPackages", json!([package("ansvarlig-revisor")]), "AUTH.VLD-00018", "/accesspackages"),
        ("accessPackages", json!(vec![package("lonn"); 1001]), "too_many_entries", "/accesspackages"),
        ("clientId", json!(["TAKEN"]), "AUTH.VLD-00004", "/clientid"),
        ("clientId", json!(["a", "A"]), "AUTH.VLD-00011", "/clientid"),
        ("clientId", json!(["a b"]), "client_id_invalid", "/clientid"),
        ("clientId", json!([""]), "client_id_invalid", "/clientid"),
        ("clientId", json!([long]), "client_id_invalid", "/clientid"),
        (
            "clientId",
            json!((0..1001).map(|number| format!("c{number}")).collect::<Vec<_>>()),
            "too_many_entries",
            "/clientid",
        ),
        ("allowedRedirectUrls", json!(["http://vendor.no/"]), "AUTH.VLD-00005", "/allowedredirecturls"),
        ("allowedRedirectUrls", json!(["vendor.no"]), "AUTH.VLD-00005", "/allowedredirecturls"),
        ("allowedRedirectUrls", json!([""]), "AUTH.VLD-00005", "/allowedredirecturls"),
        ("allowedRedirectUrls", json!(["https://"]), "AUTH.VLD-00005", "/allowedredirecturls"),
        ("allowedRedirectUrls", json!(["https://u:p@vendor.no/"]), "AUTH.VLD-00005", "/allowedredirecturls"),
        ("allowedRedirectUrls", json!(["https://vendor.no/#f"]), "AUTH.VLD-00005", "/allowedredirecturls"),
        ("allowedRedirectUrls", json!(["javascript:alert(1)"]), "AUTH.VLD-00005", "/allowedredirecturls"),
        (
            "allowedRedirectUrls",
            json!([format!("https://vendor.no/{}", "x".repeat(2000))]),
            "AUTH.VLD-00005",
            "/allowedredirecturls",
        ),
        ("allowedRedirectUrls", json!(vec!["https://vendor.no/"; 1001]), "too_many_entries", "/allowedredirecturls"),
    ]
}

/// Two systems are there: one live, one deleted.
async fn with_taken() -> TestState {
    let test = TestState::with_resources().await;
    for (id, client_id) in [("310247030_taken", "taken"), ("310247030_deleted", "deleted")] {
        let mut system = story::system();
        (system["id"], system["clientId"]) = (json!(id), json!([client_id]));
        test.post(story::SYSTEMS, &test.vendor(), &system).await.expect(200);
    }
    test.delete(&format!("{}/310247030_deleted", story::SYSTEMS), &test.vendor()).await.expect(200);
    test
}

#[tokio::test]
async fn each_wrong_body_has_its_code_and_path() {
    let test = with_taken().await;
    let before = test.state.store.revision().await.unwrap();
    for (member, value, code, path) in wrong() {
        let shown: String = format!("{member} {value}").chars().take(80).collect();
        let mut body = story::system();
        body[member] = value;
        let answer = test.post(story::SYSTEMS, &test.vendor(), &body).await;
        assert!(answer.invalid_codes().contains(&code.to_owned()), "{shown}: {}", answer.json);
        let errors = answer.json["validationErrors"].as_array().unwrap();
        let found = errors.iter().find(|error| error["code"] == code).unwrap();
        assert_eq!(found["paths"], json!([format!("/registersystemrequest{path}")]), "{shown}");
    }
    assert_eq!(test.state.store.revision().await.unwrap(), before);
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_at_once() {
    let test = with_taken().await;
    let mut body = story::system();
    for (member, value) in [
        ("id", json!("310247065_a b")),
        ("name", json!({})),
        ("rights", json!([{}, right("urn:altinn:resource", "unknown")])),
        ("accessPackages", json!([package("unknown"), package("ansvarlig-revisor")])),
        ("clientId", json!(["taken", "a", "A"])),
        ("allowedRedirectUrls", json!(["http://vendor.no/"])),
    ] {
        body[member] = value;
    }
    let answer = test.post(story::SYSTEMS, &test.vendor(), &body).await;
    answer.expect_invalid(&[
        "AUTH.VLD-00013",
        "AUTH.VLD-00001",
        "name_incomplete",
        "AUTH.VLD-00009",
        "AUTH.VLD-00003",
        "AUTH.VLD-00008",
        "AUTH.VLD-00018",
        "AUTH.VLD-00004",
        "AUTH.VLD-00011",
        "AUTH.VLD-00005",
    ]);
}

#[tokio::test]
async fn the_same_rules_hold_when_a_system_is_replaced() {
    let test = with_taken().await;
    test.post(story::SYSTEMS, &test.vendor(), &story::system()).await.expect(200);
    let before = test.state.store.revision().await.unwrap();
    let path = format!("{}/310247030_smartcloud", story::SYSTEMS);
    for (member, value, code, _) in wrong() {
        // Identity is another question there.
        if ["vendor", "id"].contains(&member) {
            continue;
        }
        let mut body = story::system();
        body[member] = value;
        let answer = test.put(&path, &test.vendor(), &body).await;
        assert!(answer.invalid_codes().contains(&code.to_owned()), "{member}: {}", answer.json);
    }
    assert_eq!(test.state.store.revision().await.unwrap(), before);
}
