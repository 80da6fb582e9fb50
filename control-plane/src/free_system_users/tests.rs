//! An organisation's own software, from its system user to the gateway.

use policies::{ApiCall, Decision, authorize, token::PureRust};
use serde_json::{Value, json};

use crate::state::Clock as _;
use crate::test_state::{TestState, story, tokens};

const FREE: &str = "/portvakt/v1/parties/50000001/free-system-users";
const CLIENT: &str = "a0000000-6e62-498d-880f-76c85c2052ae";

fn body() -> Value {
    json!({
        "integrationTitle": "Hansens eget", "clientIds": [CLIENT], "rights": story::request()["rights"],
        "accessPackages": [{ "urn": story::PACKAGE }],
    })
}

fn lookup(client: &str, reference: &str) -> String {
    let owner = "systemProviderOrgNo=310247049&systemUserOwnerOrgNo=310247049";
    format!("/authentication/api/v1/systemuser/byExternalId?clientId={client}&{owner}&externalRef={reference}")
}

async fn permits(test: &TestState, gateway: &str, user: &Value, client: &str) -> bool {
    let policy = test.fetch(gateway, None).await.open(test);
    let token = tokens::Maskinporten::new("310247049", "x:y")
        .system_user(user["id"].as_str().unwrap(), "310247049")
        .system(user["systemId"].as_str().unwrap())
        .claim("client_id", json!(client))
        .token(test);
    let authorization = format!("Bearer {token}");
    let path = "/vat/310247049/returns";
    let headers =
        [(":method", "GET"), (":authority", "api.test"), (":path", path), ("authorization", authorization.as_str())];
    let call = ApiCall::parse(headers.map(|(name, value)| (name, value.as_bytes()))).unwrap();
    matches!(authorize(&policy, &call, test.clock.now(), &PureRust), Decision::Permit(_))
}

#[tokio::test]
async fn an_organisations_own_client_gets_a_token_and_through_the_gateway() {
    let test = TestState::with_resources().await;
    let (gateway, hansen) = (test.gateway().await, test.administrator_of_hansen());
    let user = test.post(FREE, &hansen, &body()).await.expect(201);
    assert_eq!((&user["supplierOrgno"], &user["userType"]), (&json!("310247049"), &json!("standard")));
    assert_eq!((&user["rights"], &user["accessPackages"]), (&body()["rights"], &body()["accessPackages"]));
    let reference = user["externalRef"].as_str().unwrap();
    let found = test.get(&lookup(CLIENT, reference), &test.maskinporten()).await.expect(200);
    assert_eq!(found["id"], user["id"]);
    assert!(permits(&test, &gateway, &user, CLIENT).await);
    assert!(!permits(&test, &gateway, &user, story::CLIENT_ID).await);

    // It is in no register, its own organisation's neither.
    let owner = tokens::Maskinporten::vendor("310247049").token(&test);
    assert_eq!(test.get(story::SYSTEMS, &owner).await.expect(200), json!([]));
    let system = user["systemId"].as_str().unwrap();
    test.get(&format!("{}/{system}", story::SYSTEMS), &owner).await.expect_code(404, "AUTH-00011");
    test.get(&format!("/authentication/api/v1/systemregister/{system}"), &hansen).await.expect_code(404, "AUTH-00011");
    let mut request = story::request();
    (request["systemId"], request["redirectUrl"]) = (json!(system), json!(""));
    test.post(story::REQUESTS, &owner, &request).await.expect_code(404, "AUTH-00011");
    let create = format!("{}/create", story::system_users_of_hansen());
    test.post(&create, &hansen, &json!({ "systemId": system })).await.expect_code(404, "AUTH-00011");
    let listed = test.get(&story::system_users_of_hansen(), &hansen).await.expect(200);
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["id"]), (1, &user["id"]));

    // With it goes its system; the client id is free.
    let path = format!("{}/{}", story::system_users_of_hansen(), user["id"].as_str().unwrap());
    test.delete(&path, &hansen).await.expect(202);
    assert!(!permits(&test, &gateway, &user, CLIENT).await);
    test.get(&lookup(CLIENT, reference), &test.maskinporten()).await;
    let again = test.post(FREE, &hansen, &body()).await.expect(201);
    assert_ne!(again["id"], user["id"]);
}

#[tokio::test]
async fn rights_are_given_later_and_client_ids_change() {
    let test = TestState::with_resources().await;
    let (gateway, hansen) = (test.gateway().await, test.administrator_of_hansen());
    let empty = json!({ "integrationTitle": "Tomt", "clientIds": [CLIENT] });
    let user = test.post(FREE, &hansen, &empty).await.expect(201);
    assert_eq!((&user["rights"], &user["accessPackages"]), (&json!([]), &json!([])));
    assert!(!permits(&test, &gateway, &user, CLIENT).await);
    let path = format!("{FREE}/{}", user["id"].as_str().unwrap());
    let mut changed = body();
    changed["clientIds"] = json!(["b0000000-6e62-498d-880f-76c85c2052ae", CLIENT]);
    changed["rights"][0]["action"] = json!("read");
    let shown = test.put(&path, &hansen, &changed).await.expect(200);
    assert_eq!((&shown["integrationTitle"], &shown["rights"]), (&json!("Hansens eget"), &changed["rights"]));
    assert!(permits(&test, &gateway, &user, CLIENT).await);
    changed["clientIds"] = json!(["b0000000-6e62-498d-880f-76c85c2052ae"]);
    test.put(&path, &hansen, &changed).await.expect(200);
    assert!(!permits(&test, &gateway, &user, CLIENT).await);
    assert!(permits(&test, &gateway, &user, "b0000000-6e62-498d-880f-76c85c2052ae").await);
    test.put(&path, &hansen, &json!({ "integrationTitle": "Tomt", "clientIds": ["c"] })).await.expect(200);
    assert!(!permits(&test, &gateway, &user, "c").await);
}

#[tokio::test]
async fn only_what_one_may_pass_on_and_clients_that_are_free() {
    let test = TestState::with_request().await;
    let vendors = test.approve().await;
    let before = test.state.store.revision().await.unwrap();
    let hansen = test.administrator_of_hansen();
    test.post(FREE, &test.administrator_of_bakeri(), &body()).await.expect_code(403, "AUTH-00066");
    test.post(FREE, &test.vendor(), &body()).await.expect_code(403, "insufficient_scope");
    let ten: Vec<_> = (0..11).map(|number| json!(format!("c{number}"))).collect();
    for (member, value, status, code) in [
        ("clientIds", json!([]), 400, "field_invalid"),
        ("clientIds", json!(ten), 400, "field_invalid"),
        ("clientIds", json!([story::CLIENT_ID]), 400, "STD-00000"),
        ("clientIds", json!(["a", "A"]), 400, "STD-00000"),
        ("clientIds", json!(["a b"]), 400, "STD-00000"),
        ("integrationTitle", json!(""), 400, "field_invalid"),
        ("integrationTitle", json!("x".repeat(256)), 400, "field_invalid"),
        ("rights", json!([{ "resource": [{ "id": "urn:altinn:resource", "value": "unknown" }] }]), 400, "AUTH-00001"),
        ("rights", json!([{ "resource": [{ "id": "urn:altinn:resource", "value": "internal" }] }]), 400, "AUTH-00001"),
        ("accessPackages", json!([{ "urn": "x" }]), 400, "AUTH-00052"),
        ("accessPackages", json!([{ "urn": "urn:altinn:accesspackage:ansvarlig-revisor" }]), 400, "AUTH-00064"),
    ] {
        let mut wrong = body();
        wrong[member] = value;
        test.post(FREE, &hansen, &wrong).await.expect_code(status, code);
    }
    // A vendor's system's is changed in another way.
    test.put(&format!("{FREE}/{vendors}"), &hansen, &body()).await.expect_code(404, "AUTH-00015");
    assert_eq!(test.state.store.revision().await.unwrap(), before);
    let contact = 20_000_009;
    let roles = json!({ "roleAssignments": [
        { "userId": contact, "organizationNumber": "310247049", "role": "norsk-representant" },
    ]});
    test.put("/portvakt/v1/parties", &test.operator(), &roles).await.expect(200);
    let contact = tokens::User::new(contact).token(&test);
    test.post(FREE, &contact, &body()).await.expect_code(403, "AUTH-00016");
}
