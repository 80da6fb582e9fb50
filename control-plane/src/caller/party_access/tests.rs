use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde_json::json;

use super::*;
use crate::service::with_manners;
use crate::test_state::{Answer, TestState, story, tokens};

/// A control plane with one path for each of the operations that people do.
async fn with_operations() -> TestState {
    let mut test = TestState::with_resources().await;
    let routes = Router::new()
        .route("/am-r/{party}", get(named::<AccessManagementRead>))
        .route("/am-w/{party}", get(named::<AccessManagementWrite>))
        .route("/ov-r/{party}", get(named::<SystemUserOverviewRead>))
        .route("/ca-r/{party}", get(named::<ClientAdministrationRead>))
        .route("/ca-w/{party}", get(named::<ClientAdministrationWrite>))
        .route("/cd-r", get(named::<ClientDelegationRead>))
        .route("/cd-w", get(named::<ClientDelegationWrite>))
        .route("/portal", get(async |caller: PortalUser| caller.user.user_id.to_string()))
        .route("/may/{party}", get(may_manage));
    test.replace_app(with_manners(routes, test.state.clone()));
    test
}

async fn named<O: PartyOperation>(caller: PartyAccess<O>) -> String {
    format!("{} {}", caller.user_id(), caller.organization())
}

async fn may_manage(State(state): State<AppState>, caller: PortalUser, PathOf(party): PathOf<PartyInPath>) -> String {
    let mut connection = state.store.read().await.unwrap();
    let party = parties::store::find(&mut connection, party.party).await.unwrap().unwrap();
    let may = caller.may(&state, &mut connection, &party, BuiltInResource::AccessManagement, "write").await;
    may.unwrap().to_string()
}

#[track_caller]
fn expect_text(answer: &Answer, text: &str) {
    assert_eq!((answer.status, answer.bytes.as_ref()), (200, text.as_bytes()), "{}", answer.json);
}

const OF_PARTY: [&str; 5] = ["am-r", "am-w", "ov-r", "ca-r", "ca-w"];

#[tokio::test]
async fn a_manager_may_everything_at_its_own_organisation_and_nothing_elsewhere() {
    let test = with_operations().await;
    let hansen = test.administrator_of_hansen();
    for operation in OF_PARTY {
        expect_text(&test.get(&format!("/{operation}/50000001"), &hansen).await, "20000001 310247049");
        let code = if operation.starts_with("am") { "AUTH-00066" } else { "AUTH-00044" };
        for foreign in ["50000002", "50000099"] {
            test.get(&format!("/{operation}/{foreign}"), &hansen).await.expect_code(403, code);
        }
        test.get(&format!("/{operation}/x"), &hansen).await.expect_code(400, "path_invalid");
    }
    expect_text(&test.get("/portal", &hansen).await, "20000001");
    expect_text(&test.get("/may/50000001", &hansen).await, "true");
    expect_text(&test.get("/may/50000002", &hansen).await, "false");
}

#[tokio::test]
async fn the_policies_obligation_demands_level_3() {
    let test = with_operations().await;
    let low = tokens::User::new(story::HANSENS_MANAGER).level(2).token(&test);
    for operation in OF_PARTY {
        let answer = test.get(&format!("/{operation}/50000001"), &low).await;
        answer.expect_code(403, "authentication_level_too_low");
    }
    // Whoever may nothing there is not told that a higher level would help.
    test.get("/ca-r/50000002", &low).await.expect_code(403, "AUTH-00044");
    expect_text(&test.get("/portal", &low).await, "20000001");
}

#[tokio::test]
async fn through_a_vendors_system_the_scope_decides_and_the_party_is_in_the_query() {
    let test = with_operations().await;
    let user = |scope: &str| tokens::User::new(story::HANSENS_MANAGER).scope(scope).token(&test);
    let (read, write) = (user("altinn:clientdelegations.read"), user("altinn:clientdelegations.write"));
    for party in ["310247049", "00000000-0000-4000-8000-000050000001"] {
        expect_text(&test.get(&format!("/cd-r?party={party}"), &read).await, "20000001 310247049");
        expect_text(&test.get(&format!("/cd-w?Party={party}"), &write).await, "20000001 310247049");
    }
    test.get("/cd-w?party=310247049", &read).await.expect_code(403, "insufficient_scope");
    test.get("/cd-r?party=310247049", &test.administrator_of_hansen()).await.expect_code(403, "insufficient_scope");
    for foreign in ["310247057", "310247014", "00000000-0000-4000-8000-000050000002"] {
        test.get(&format!("/cd-r?party={foreign}"), &read).await.expect_code(403, "AUTH-00044");
    }
    for wrong in ["", "?party=", "?party=50000001", "?party=310247048", "?party=310247049&party=310247049"] {
        test.get(&format!("/cd-r{wrong}"), &read).await.expect_code(400, "query_invalid");
    }
    // Such a token opens nothing of the portal.
    test.get("/am-r/50000001", &read).await.expect_code(403, "insufficient_scope");
    test.get("/portal", &read).await.expect_code(403, "insufficient_scope");
}

#[tokio::test]
async fn machines_are_nobody_who_has_logged_in() {
    let test = with_operations().await;
    let machine = tokens::Maskinporten::new("310247049", "altinn:portal/enduser").token(&test);
    for path in ["/am-w/50000001", "/portal"] {
        test.get(path, "").await.expect_code(401, "token_missing");
        test.get(path, &machine).await.expect_code(403, "caller_kind_refused");
    }
}

#[tokio::test]
async fn a_main_units_manager_manages_the_sub_unit() {
    let test = TestState::with_resources().await;
    let hansen = test.administrator_of_hansen();
    test.get(&story::system_users_of_bakeri(), &hansen).await.expect_code(403, "AUTH-00066");
    let mut bakeri = story::parties()["parties"][1].clone();
    bakeri["mainUnit"] = json!("310247049");
    test.put("/portvakt/v1/parties", &test.operator(), &json!({ "parties": [bakeri] })).await.expect(200);
    test.get(&story::system_users_of_bakeri(), &hansen).await.expect(200);
}

#[tokio::test]
async fn whoever_asks_the_decision_point_is_told_the_same() {
    let test = TestState::with_resources().await;
    let authorizer = tokens::Maskinporten::new("310247022", "altinn:authorization/authorize").token(&test);
    let asks = |user: i64, party: &str| {
        let category = |id: &str, value: &str| json!([{ "Attribute": [{ "AttributeId": id, "Value": value }] }]);
        json!({ "Request": {
            "AccessSubject": category("urn:altinn:userid", &user.to_string()),
            "Action": category("urn:oasis:names:tc:xacml:1.0:action:action-id", "write"),
            "Resource": [{ "Attribute": [
                { "AttributeId": "urn:altinn:resource", "Value": "altinn_access_management" },
                { "AttributeId": "urn:altinn:partyid", "Value": party },
            ]}],
        }})
    };
    for (party, decision) in [("50000001", "Permit"), ("50000002", "NotApplicable")] {
        let body = asks(story::HANSENS_MANAGER, party);
        let answer = test.post("/authorization/api/v1/authorize", &authorizer, &body).await.expect(200);
        assert_eq!(answer["response"][0]["decision"], decision, "{answer}");
    }
}

#[tokio::test]
async fn nobody_stores_a_resource_with_a_built_in_id() {
    let test = TestState::with_resources().await;
    let body = json!({ "title": { "nb": "a", "nn": "b", "en": "c" }, "delegable": true });
    for resource in BuiltInResource::ALL {
        let path = story::resource(resource.id());
        test.put(&path, &test.resource_owner(), &body).await.expect_code(409, "resource_other_provider");
    }
}
