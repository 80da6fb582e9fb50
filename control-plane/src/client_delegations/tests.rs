//! Agent system users and their clients, through every way in, and what gateways learn of it.

mod falling;
mod long_lists;
mod packages;

use policies::id::{OrganizationNumber, SystemUserId};
use serde_json::{Value, json};

use crate::test_state::{TestState, agents, story, tokens};

const HANSEN: u32 = 50_000_001;
const BAKERI: u32 = 50_000_002;
const ACCOUNTANT: u32 = 50_000_003;

/// Whether gateways know that the system user may do something for the organisation.
async fn acts_for(test: &TestState, gateway: &str, agent: &str, organization: &str) -> bool {
    let policy = test.fetch(gateway, None).await.open(test);
    let (id, party) = (SystemUserId::parse(agent).unwrap(), OrganizationNumber::parse(organization).unwrap());
    (0..policy.rights().len()).any(|right| policy.level_required(id, party, right).is_some())
}

async fn delegations(test: &TestState, agent: &str) -> Value {
    let path =
        format!("/authentication/api/v1/systemuser/agent/50000003/{}/{agent}/delegations", agents::uuid(ACCOUNTANT));
    test.get(&path, &test.accountant()).await.expect(200)
}

#[tokio::test]
async fn an_agent_is_listed_apart_from_standard_system_users() {
    let (test, id) = TestState::with_agent().await;
    let accountant = test.accountant();
    let list = test.get("/authentication/api/v1/systemuser/agent/50000003", &accountant).await.expect(200);
    assert_eq!((list.as_array().map(Vec::len), &list[0]["id"]), (Some(1), &json!(id)));
    assert_eq!((&list[0]["userType"], &list[0]["partyId"]), (&json!("agent"), &json!("50000003")));
    assert_eq!(list[0]["accessPackages"], json!([{ "urn": agents::WITHOUT_SIGNING }]));
    let standard = test.get("/authentication/api/v1/systemuser/50000003", &accountant).await.expect(200);
    assert_eq!(standard, json!([]));
    let one = test.get(&agents::agents(&id), &accountant).await.expect(200);
    assert_eq!((&one["id"], &one["accessPackages"]), (&json!(id), &list[0]["accessPackages"]));
    let path = format!("{}/agents?party={}", agents::THROUGH_VENDOR, agents::ACCOUNTANT);
    assert_eq!(test.get(&path, &test.accountant_through_vendor()).await.expect(200), list);
    let hansen = tokens::User::new(story::HANSENS_MANAGER).scope("altinn:clientdelegations.read").token(&test);
    test.get(&path, &hansen).await.expect_code(403, "AUTH-00044");
    test.delete(&format!("/authentication/api/v1/systemuser/50000003/{id}"), &accountant)
        .await
        .expect_code(400, "AUTH-00036");
}

#[tokio::test]
async fn a_client_is_added_once_and_gateways_learn_of_it() {
    let (test, agent) = TestState::with_agent().await;
    let (resource, owner) = (story::resource("annual-accounts"), test.resource_owner());
    let policy = story::policy("annual-accounts", &["read"], &[agents::WITHOUT_SIGNING]);
    test.put_xml(&format!("{resource}/policy"), &owner, &policy).await.expect(200);
    let gateway = test.gateway().await;
    assert!(!acts_for(&test, &gateway, &agent, "310247049").await);

    let added = test.add_client(&agent, HANSEN).await.expect(200);
    assert_eq!((added.as_array().map(Vec::len), &added[0]["agentSystemUserId"]), (Some(1), &json!(agent)));
    assert_eq!(added[0]["customerId"], agents::uuid(HANSEN));
    assert_eq!(added[0]["customerName"], "Rørlegger Hansen & Sønner AS");
    assert_eq!(added[0]["customerOrganizationNumber"], "310247049");
    let before = test.state.store.revision().await.unwrap();
    assert_eq!(test.add_client(&agent, HANSEN).await.expect(200), added);
    assert_eq!(test.state.store.revision().await.unwrap(), before);
    assert_eq!(delegations(&test, &agent).await, added);
    assert!(acts_for(&test, &gateway, &agent, "310247049").await);
    assert!(!acts_for(&test, &gateway, &agent, "310247057").await);

    let remove = format!("{}/client?client={}", agents::agents(&agent), agents::uuid(HANSEN));
    test.delete(&remove, &test.accountant()).await.expect(200);
    test.delete(&remove, &test.accountant()).await.expect_code(400, "AUTH-00038");
    assert!(!acts_for(&test, &gateway, &agent, "310247049").await);
    assert_eq!(delegations(&test, &agent).await, json!([]));
}

#[tokio::test]
async fn the_same_through_a_vendors_system() {
    let (test, agent) = TestState::with_agent().await;
    let token = test.accountant_through_vendor();
    assert_eq!(test.clients_of("clients/available", &agent).await, ["310247049", "310247057"]);
    let path = format!("{}/clients?agent={agent}&client={}", agents::THROUGH_VENDOR, agents::uuid(HANSEN));
    for _ in 0..2 {
        let answer = test.send("POST", &path, &token, None).await.expect(200);
        assert_eq!(answer, json!({ "agent": agent, "client": agents::uuid(HANSEN) }));
    }
    let page = test.get(&format!("{}/clients?agent={agent}", agents::THROUGH_VENDOR), &token).await.expect(200);
    assert_eq!(
        page,
        json!({
            "links": {},
            "systemUserInformation": { "systemUserId": agent, "systemUserOwnerOrg": agents::ACCOUNTANT },
            "data": [{
                "clientId": agents::uuid(HANSEN), "clientOrganizationNumber": "310247049",
                "clientOrganizationName": "Rørlegger Hansen & Sønner AS",
            }],
        })
    );
    test.delete(&path, &token).await.expect(200);
    test.delete(&path, &token).await.expect_code(400, "AUTH-00038");
}

#[tokio::test]
async fn parameters_through_a_vendors_system_have_altinns_codes() {
    let (test, agent) = TestState::with_agent().await;
    let token = test.accountant_through_vendor();
    let clients = format!("{}/clients", agents::THROUGH_VENDOR);
    let unknown = agents::uuid(9);
    for path in [clients.clone(), format!("{clients}?agent=7"), format!("{clients}?agent={unknown}")] {
        test.get(&path, &token).await.expect_invalid(&["AUTH.VLD-00014"]);
    }
    for path in [format!("{clients}?agent={agent}"), format!("{clients}?agent={agent}&client=x")] {
        test.send("POST", &path, &token, None).await.expect_invalid(&["AUTH.VLD-00016"]);
        test.delete(&path, &token).await.expect_invalid(&["AUTH.VLD-00016"]);
    }
    let answer = test.send("POST", &format!("{clients}?agent=x"), &token, None).await;
    assert_eq!(answer.json["validationErrors"][1]["paths"], json!(["?client"]));
    answer.expect_invalid(&["AUTH.VLD-00014", "AUTH.VLD-00016"]);
    let unknown = format!("{}/agents?party=310247065", agents::THROUGH_VENDOR);
    test.get(&unknown, &token).await.expect_code(404, "party_not_found");
    test.get(&unknown.replace("310247065", "x"), &token).await.expect_code(400, "query_invalid");
    test.get(&format!("{clients}?agent={agent}&token=x"), &token).await.expect_code(400, "query_invalid");
    // A standard system user of the same owner.
    let body = json!({ "systemId": agents::SYSTEM, "partyOrgNo": agents::ACCOUNTANT, "externalRef": "own",
                       "accessPackages": [{ "urn": "urn:altinn:accesspackage:a-ordning" }] });
    let standard = test.post(story::REQUESTS, &test.vendor(), &body).await.expect(201);
    let standard = standard["id"].as_str().unwrap();
    let approve = format!("/authentication/api/v1/systemuser/request/50000003/{standard}/approve");
    test.send("POST", &approve, &test.accountant(), None).await.expect(200);
    test.get(&format!("{clients}?agent={standard}"), &token).await.expect_invalid(&["AUTH.VLD-00015"]);
    test.add_client(standard, HANSEN).await.expect_code(400, "AUTH-00034");
    test.delete(&agents::agents(standard), &test.accountant()).await.expect_code(400, "AUTH-00034");
}

#[tokio::test]
async fn who_is_no_client_or_lacks_a_package_is_not_added() {
    let (test, agent) = TestState::with_agent().await;
    test.add_client(&agent, ACCOUNTANT).await.expect_code(400, "AUTH-00079");
    test.add_client(&agent, 9).await.expect_code(400, "AUTH-00079");
    let two = test.agent_for("two", &[agents::WITHOUT_SIGNING, agents::HOUSING]).await;
    let refused = test.add_client(&two, HANSEN).await;
    assert_eq!(refused.json["missing"], json!([agents::HOUSING]));
    refused.expect_code(400, "AUTH-00080");
    assert!(test.clients_of("clients/available", &two).await.is_empty());

    // Business manager as well, of a housing cooperative: now the relations carry both together.
    for (form, carries) in [("AS", false), ("ESEK", true), ("BRL", true)] {
        let mut hansen = story::parties()["parties"][0].clone();
        hansen["organizationForm"] = json!(form);
        let relations = ["regnskapsforer", "forretningsforer"].map(|role| agents::relation("310247049", role));
        let body = json!({ "parties": [hansen], "relations": relations });
        test.put("/portvakt/v1/parties", &test.operator(), &body).await.expect(200);
        let available = test.clients_of("clients/available", &two).await;
        assert_eq!(available.len(), usize::from(carries), "{form}");
    }
    test.add_client(&two, HANSEN).await.expect(200);
    let path = "/authentication/api/v1/systemuser/agent/50000003/clients";
    let query = format!("packages={}&packages=forretningsforer-eiendom", agents::WITHOUT_SIGNING);
    let found = test.get(&format!("{path}?{query}"), &test.accountant()).await.expect(200);
    assert_eq!((found.as_array().map(Vec::len), &found[0]["partyUuid"]), (Some(1), &json!(agents::uuid(HANSEN))));
    assert_eq!(found[0]["access"][0], json!({ "role": "forretningsforer", "packages": ["forretningsforer-eiendom"] }));
    assert_eq!(test.get(path, &test.accountant()).await.expect(200).as_array().map(Vec::len), Some(2));
    for wrong in ["packages=%20", "facilitator=x", &format!("facilitator={0}&facilitator={0}", agents::uuid(3))] {
        test.get(&format!("{path}?{wrong}"), &test.accountant()).await.expect_code(400, "query_invalid");
    }
    let foreign = format!("{path}?facilitator={}", agents::uuid(HANSEN));
    test.get(&foreign, &test.accountant()).await.expect_code(400, "AUTH-00045");
}

#[tokio::test]
async fn an_agent_ends_when_it_has_no_clients() {
    let (test, agent) = TestState::with_agent().await;
    test.add_client(&agent, HANSEN).await.expect(200);
    let (path, accountant) = (agents::agents(&agent), test.accountant());
    test.delete(&path, &accountant).await.expect_code(400, "AUTH-00035");
    let remove = format!("{path}/client?client={}&provider={}", agents::uuid(HANSEN), agents::uuid(ACCOUNTANT));
    test.delete(&remove, &accountant).await.expect(200);
    let foreign = format!("{path}?facilitatorId={}", agents::uuid(HANSEN));
    test.delete(&foreign, &accountant).await.expect_code(400, "AUTH-00033");
    test.delete(&format!("{path}?facilitatorId={}", agents::uuid(ACCOUNTANT)), &accountant).await.expect(200);
    test.delete(&path, &accountant).await.expect_code(404, "AUTH-00015");
    test.add_client(&agent, HANSEN).await.expect_code(404, "AUTH-00015");
    assert_eq!(test.get("/authentication/api/v1/systemuser/agent/50000003", &accountant).await.expect(200), json!([]));
    // Its request went with it.
    assert_ne!(test.agent_request().await, agent);
}

#[tokio::test]
async fn the_owner_may_be_a_client_of_its_own_agent() {
    let (test, agent) = TestState::with_agent().await;
    let (accountant, own) = (test.accountant(), format!("{}/self", agents::agents(&agent)));
    let with_slash = format!("{own}/?partyUuid={}", agents::uuid(ACCOUNTANT));
    assert_eq!(test.get(&own, &accountant).await.expect(200), json!(false));
    for path in [&own, &with_slash] {
        assert_eq!(test.send("POST", path, &accountant, None).await.expect(200), json!(true));
    }
    assert_eq!(test.get(&with_slash, &accountant).await.expect(200), json!(true));
    let listed = delegations(&test, &agent).await;
    assert_eq!(
        (&listed[0]["customerId"], listed.as_array().map(Vec::len)),
        (&json!(agents::uuid(ACCOUNTANT)), Some(1))
    );
    // It needs no relation, so no import takes it away.
    let body =
        json!({ "parties": agents::parties()["parties"], "roleAssignments": agents::parties()["roleAssignments"] });
    test.put("/portvakt/v1/parties", &test.operator(), &body).await.expect(200);
    assert_eq!(test.get(&own, &accountant).await.expect(200), json!(true));
    assert_eq!(test.delete(&with_slash, &accountant).await.expect(200), json!(true));
    test.delete(&own, &accountant).await.expect_code(400, "AUTH-00038");
    let foreign = format!("{own}?partyUuid={}", agents::uuid(HANSEN));
    test.send("POST", &foreign, &accountant, None).await.expect_code(400, "AUTH-00040");
}

#[tokio::test]
async fn other_parties_have_no_business_with_an_agent() {
    let (test, agent) = TestState::with_agent().await;
    test.add_client(&agent, HANSEN).await.expect(200);
    let (hansen, own) = (test.administrator_of_hansen(), agents::agents(&agent));
    let client = format!("client={}", agents::uuid(BAKERI));
    for (method, path) in [
        ("GET", own.clone()),
        ("DELETE", own.clone()),
        ("POST", format!("{own}?{client}")),
        ("DELETE", format!("{own}/client?{client}")),
        ("GET", format!("{own}/self")),
        ("GET", "/authentication/api/v1/systemuser/agent/50000003/clients".to_owned()),
        ("GET", format!("/authentication/api/v1/systemuser/agent/50000003/{}/{agent}/delegations", agents::uuid(3))),
    ] {
        assert_eq!(test.send(method, &path, &hansen, None).await.status, 403, "{method} {path}");
        // Through its own party the agent is not there, or not its own to delete.
        let through_own = path.replace("50000003", "50000001");
        let answer = test.send(method, &through_own, &hansen, None).await;
        match (method, path == own) {
            ("DELETE", true) => answer.expect_code(403, "AUTH-00024"),
            _ => assert!(matches!(answer.status, 404 | 400) || path.ends_with("/clients"), "{method} {through_own}"),
        }
        assert_eq!(test.send(method, &path, "", None).await.status, 401);
        assert_eq!(test.send(method, &path, &test.vendor(), None).await.status, 403);
    }
    let scopes = "altinn:clientdelegations.read altinn:clientdelegations.write";
    let hansen = tokens::User::new(story::HANSENS_MANAGER).scope(scopes).token(&test);
    let path = format!("{}/clients?agent={agent}&{client}", agents::THROUGH_VENDOR);
    for method in ["GET", "POST", "DELETE"] {
        test.send(method, &path, &hansen, None).await.expect_code(403, "AUTH-00044");
        assert_eq!(test.send(method, &path, &test.accountant(), None).await.status, 403, "{method}: wrong scope");
    }
    let foreign_provider = format!("{own}?{client}&provider={}", agents::uuid(HANSEN));
    test.send("POST", &foreign_provider, &test.accountant(), None).await.expect_code(400, "AUTH-00031");
    let foreign_provider = format!("{own}/client?{client}&provider={}", agents::uuid(HANSEN));
    test.delete(&foreign_provider, &test.accountant()).await.expect_code(400, "AUTH-00039");
    assert_eq!(delegations(&test, &agent).await.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn of_many_who_add_the_same_client_at_once_one_adds_it() {
    let (test, agent) = TestState::with_agent().await;
    let before = test.state.store.revision().await.unwrap();
    let mut adding = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (test, agent) = (test.clone(), agent.clone());
        adding.spawn(async move { test.add_client(&agent, HANSEN).await.expect(200)[0]["delegationId"].clone() });
    }
    let ids = adding.join_all().await;
    assert!(ids.iter().all(|id| *id == ids[0]));
    assert_eq!(test.state.store.revision().await.unwrap().as_i64(), before.as_i64() + 1);
}

#[tokio::test]
async fn a_system_user_asks_whom_it_may_act_for() {
    const PATH: &str = "/accessmanagement/api/v1/enduser/authorizedparties";
    const SCOPE: &str = "altinn:accessmanagement/authorizedparties";
    let (test, agent) = TestState::with_agent().await;
    test.add_client(&agent, HANSEN).await.expect(200);
    let unit = json!({ "partyId": 50_000_009, "partyUuid": agents::uuid(50_000_009), "name": "Hansen avd. Nord",
                       "organizationNumber": "310247065", "mainUnit": "310247049", "organizationForm": "BEDR" });
    test.put("/portvakt/v1/parties", &test.operator(), &json!({ "parties": [unit] })).await.expect(200);
    let token = |id: &str, owner: &str, scope: &str| {
        let token = tokens::Maskinporten::new("310247030", scope).system_user(id, owner);
        token.system("310247030_agent").token(&test)
    };
    let answer = test.get(PATH, &token(&agent, agents::ACCOUNTANT, SCOPE)).await.expect(200);
    assert_eq!(answer["links"], json!({}));
    assert_eq!(answer["data"].as_array().map(Vec::len), Some(1));
    let client = &answer["data"][0];
    assert_eq!(
        (&client["partyUuid"], &client["organizationNumber"]),
        (&json!(agents::uuid(HANSEN)), &json!("310247049"))
    );
    assert_eq!(client["authorizedAccessPackages"], json!(["regnskapsforer-uten-signeringsrettighet"]));
    assert_eq!(client["subunits"][0]["organizationNumber"], "310247065");
    test.get(PATH, &token(&agent, "310247049", SCOPE)).await.expect_code(404, "AUTH-00015");
    test.get(PATH, &token(&agents::uuid(9), agents::ACCOUNTANT, SCOPE)).await.expect_code(404, "AUTH-00015");
    test.get(PATH, &token(&agent, agents::ACCOUNTANT, "x")).await.expect_code(403, "insufficient_scope");
    let vendor = tokens::Maskinporten::new("310247030", SCOPE).token(&test);
    test.get(PATH, &vendor).await.expect_code(403, "caller_kind_refused");
}
