//! `PUT /portvakt/v1/parties`: parties and role assignments, all or none.
//!
//! Parties are added or brought up to date, main unit included: without `mainUnit` a party is nobody's sub unit. Of each organisation that the body names, in `parties` or in
//! `roleAssignments`, the role assignments are replaced: who is not in the body has no role there any more.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use policies::id::{OrganizationNumber, PartyUuid};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::model::{Party, PartyId, Role, RoleAssignment};
use super::store;
use crate::caller::Operator;
use crate::fields::{NAME_CHARS_MAX, text};
use crate::json::OwnJson;
use crate::openapi::{self, own};
use crate::problem::{Problem, codes};
use crate::state::AppState;
use crate::store::Connection;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ImportParties)]
pub(super) struct Body {
    #[serde(default)]
    parties: Vec<PartyBody>,
    #[serde(default)]
    role_assignments: Vec<RoleAssignmentBody>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ImportedParty)]
struct PartyBody {
    #[schema(value_type = u32)]
    party_id: PartyId,
    #[schema(value_type = String, format = "uuid")]
    party_uuid: PartyUuid,
    #[schema(value_type = String, example = "310247049")]
    organization_number: OrganizationNumber,
    name: String,
    #[schema(value_type = Option<String>)]
    main_unit: Option<OrganizationNumber>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ImportedRoleAssignment)]
struct RoleAssignmentBody {
    user_id: u32,
    #[schema(value_type = String, example = "310247049")]
    organization_number: OrganizationNumber,
    #[schema(value_type = String, example = "daglig-leder")]
    role: Role,
}

/// Parties and role assignments, all or none. Role assignments of every organisation that is named are replaced.
#[utoipa::path(
    put, path = "/portvakt/v1/parties", operation_id = "importParties", tag = openapi::PARTIES,
    security(("maskinporten" = ["portvakt:operator"])),
    request_body = Body,
    responses((status = 200, body = own::ImportedParties), (status = 409, description = "`party_conflict` or `main_unit_nested`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    operator: Operator,
    OwnJson(body): OwnJson<Body>,
) -> Result<Json<Value>, Problem> {
    let counts = json!({ "parties": body.parties.len(), "roleAssignments": body.role_assignments.len() });
    let of_parties = body.parties.iter().map(|party| party.organization_number);
    let of_roles = body.role_assignments.iter().map(|assignment| assignment.organization_number);
    let named: BTreeSet<_> = of_parties.chain(of_roles).collect();
    let mut change = state.store.change().await?;
    let mut sub_units = Vec::new();
    for party in body.parties {
        let party = Party {
            id: party.party_id,
            uuid: party.party_uuid,
            organization: party.organization_number,
            name: text("name", &party.name, NAME_CHARS_MAX)?,
            main_unit: party.main_unit,
        };
        if store::conflicts(change.connection(), &party).await? {
            let which = format!("party {}, organisation {}", party.id, party.organization);
            return Err(Problem::new(codes::PARTY_CONFLICT).detail(which));
        }
        store::upsert(change.connection(), &party).await?;
        sub_units.extend(party.main_unit.map(|main_unit| (party.organization, main_unit)));
    }
    // Only now: a main unit may come after its sub units.
    for (organization, main_unit) in sub_units {
        put_main_unit(change.connection(), organization, main_unit).await?;
    }
    if let Some(organization) = store::nested_sub_unit(change.connection()).await? {
        let detail = format!("the main unit of {organization} is a sub unit itself");
        return Err(Problem::new(codes::MAIN_UNIT_NESTED).detail(detail));
    }
    for organization in named {
        store::unassign_all(change.connection(), organization).await?;
    }
    for assignment in body.role_assignments {
        let organization = assignment.organization_number;
        if assignment.user_id == 0 {
            return Err(Problem::new(codes::FIELD_INVALID).detail("`userId` is 0"));
        }
        if !store::is_registered(change.connection(), organization).await? {
            return Err(Problem::new(codes::PARTY_UNKNOWN).detail(organization.to_string()));
        }
        let user_id = i64::from(assignment.user_id);
        store::assign(change.connection(), &RoleAssignment { user_id, organization, role: assignment.role }).await?;
    }
    let log = json!({ "by": operator.organization, "counts": counts });
    change.commit(state.clock.now(), "parties_imported", log).await?;
    Ok(Json(counts))
}

async fn put_main_unit(
    connection: &mut Connection,
    organization: OrganizationNumber,
    main_unit: OrganizationNumber,
) -> Result<(), Problem> {
    if organization == main_unit {
        return Err(Problem::new(codes::MAIN_UNIT_OF_ITSELF).detail(organization.to_string()));
    }
    if !store::is_registered(connection, main_unit).await? {
        return Err(Problem::new(codes::PARTY_UNKNOWN).detail(format!("main unit {main_unit}")));
    }
    store::set_main_unit(connection, organization, main_unit).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::{TestState, story, tokens};

    const PATH: &str = "/portvakt/v1/parties";

    fn party(id: u32, uuid_end: u32, organization: &str) -> serde_json::Value {
        json!({ "partyId": id, "partyUuid": format!("00000000-0000-4000-8000-{uuid_end:012}"),
                "organizationNumber": organization, "name": "Rørlegger" })
    }

    #[tokio::test]
    async fn parties_are_added_and_brought_up_to_date() {
        let test = TestState::new().await;
        let body = json!({
            "parties": [party(1, 1, "310247049"), party(2, 2, "310247057")],
            "roleAssignments": [{ "userId": 7, "organizationNumber": "310247049", "role": "daglig-leder" }],
        });
        for _ in 0..2 {
            let answer = test.put(PATH, &test.operator(), &body).await.expect(200);
            assert_eq!(answer, json!({ "parties": 2, "roleAssignments": 1 }));
        }
        test.put(PATH, &test.operator(), &json!({ "parties": [party(3, 1, "310247049")] })).await.expect(200);
        test.put(PATH, &test.operator(), &json!({})).await.expect(200);
    }

    #[tokio::test]
    async fn an_import_replaces_the_roles_of_the_organisations_that_it_names() {
        let test = TestState::with_request().await;
        let of_hansen = story::request_of_hansen(&test.request_id().await);
        let (old, new) = (test.administrator_of_hansen(), tokens::User::new(7).token(&test));
        let role = json!({ "userId": 7, "organizationNumber": "310247049", "role": "daglig-leder" });
        test.put(PATH, &test.operator(), &json!({ "roleAssignments": [role] })).await.expect(200);
        let approve = format!("{of_hansen}/approve");
        test.send("POST", &approve, &old, None).await.expect_code(403, "AUTH-00066");
        test.get(&of_hansen, &new).await.expect(200);
        let bakeri = story::system_users_of_bakeri();
        test.get(&bakeri, &test.administrator_of_bakeri()).await.expect(200);

        let hansen = story::parties()["parties"][0].clone();
        test.put(PATH, &test.operator(), &json!({ "parties": [hansen] })).await.expect(200);
        test.send("POST", &approve, &new, None).await.expect_code(403, "AUTH-00066");
        test.get(&bakeri, &test.administrator_of_bakeri()).await.expect(200);
    }

    #[tokio::test]
    async fn nothing_of_a_wrong_import_is_stored() {
        let test = TestState::new().await;
        let before = test.state.store.revision().await.unwrap();
        for (body, status, code) in [
            (json!({ "parties": [party(1, 1, "310247049"), party(1, 2, "310247057")] }), 409, "party_conflict"),
            (json!({ "parties": [party(1, 1, "310247049"), party(2, 1, "310247057")] }), 409, "party_conflict"),
            (json!({ "parties": [party(1, 1, "310247049"), party(2, 2, "310247049")] }), 409, "party_conflict"),
            (json!({ "parties": [party(0, 1, "310247049")] }), 400, "json_invalid"),
            (json!({ "parties": [party(1, 1, "310247048")] }), 400, "json_invalid"),
            (json!({ "parties": [{ "partyId": 1 }] }), 400, "json_invalid"),
            (json!({ "people": [] }), 400, "json_invalid"),
            (
                json!({ "roleAssignments": [{ "userId": 7, "organizationNumber": "310247049", "role": "daglig-leder" }] }),
                400,
                "party_unknown",
            ),
            (
                json!({ "roleAssignments": [{ "userId": 7, "organizationNumber": "310247049", "role": "chef" }] }),
                400,
                "json_invalid",
            ),
            (
                json!({ "roleAssignments": [{ "userId": -1, "organizationNumber": "310247049", "role": "innehaver" }] }),
                400,
                "json_invalid",
            ),
        ] {
            test.put(PATH, &test.operator(), &body).await.expect_code(status, code);
        }
        assert_eq!(test.state.store.revision().await.unwrap(), before);
    }

    fn sub_unit(id: u32, organization: &str, main_unit: &str) -> serde_json::Value {
        let mut sub_unit = party(id, id, organization);
        sub_unit["mainUnit"] = json!(main_unit);
        sub_unit
    }

    async fn sub_units(test: &TestState) -> String {
        let mut connection = test.state.store.read().await.unwrap();
        json!(crate::parties::store::sub_units(&mut connection).await.unwrap()).to_string()
    }

    #[tokio::test]
    async fn sub_units_come_before_or_after_their_main_unit_and_may_leave_it() {
        let test = TestState::new().await;
        let units =
            [sub_unit(2, "310247057", "310247049"), party(1, 1, "310247049"), sub_unit(3, "310247065", "310247049")];
        test.put(PATH, &test.operator(), &json!({ "parties": units })).await.expect(200);
        assert_eq!(sub_units(&test).await, r#"{"310247049":["310247057","310247065"]}"#);
        test.put(PATH, &test.operator(), &json!({ "parties": [party(2, 2, "310247057")] })).await.expect(200);
        assert_eq!(sub_units(&test).await, r#"{"310247049":["310247065"]}"#);
    }

    #[tokio::test]
    async fn a_main_unit_is_registered_another_party_and_no_sub_unit() {
        let test = TestState::new().await;
        test.put(PATH, &test.operator(), &json!({ "parties": [party(1, 1, "310247049"), party(2, 2, "310247057")] }))
            .await
            .expect(200);
        for (parties, status, code) in [
            (vec![sub_unit(3, "310247065", "310247022")], 400, "party_unknown"),
            (vec![sub_unit(1, "310247049", "310247049")], 400, "main_unit_of_itself"),
            (
                vec![sub_unit(1, "310247049", "310247057"), sub_unit(2, "310247057", "310247049")],
                409,
                "main_unit_nested",
            ),
            (
                vec![sub_unit(2, "310247057", "310247049"), sub_unit(3, "310247065", "310247057")],
                409,
                "main_unit_nested",
            ),
            (vec![sub_unit(3, "310247065", "310247066")], 400, "json_invalid"),
        ] {
            test.put(PATH, &test.operator(), &json!({ "parties": parties })).await.expect_code(status, code);
        }
        assert_eq!(sub_units(&test).await, "{}");
        // The second level may come with a later import, too.
        test.put(PATH, &test.operator(), &json!({ "parties": [sub_unit(2, "310247057", "310247049")] }))
            .await
            .expect(200);
        let top = json!({ "parties": [party(3, 3, "310247065"), sub_unit(1, "310247049", "310247065")] });
        test.put(PATH, &test.operator(), &top).await.expect_code(409, "main_unit_nested");
    }

    #[tokio::test]
    async fn only_operators_import() {
        let test = TestState::new().await;
        let body = json!({});
        test.put(PATH, "", &body).await.expect_code(401, "token_missing");
        test.put(PATH, "x.y.z", &body).await.expect_code(401, "token_invalid");
        let vendor = tokens::Maskinporten::vendor("310247030").token(&test);
        test.put(PATH, &vendor, &body).await.expect_code(403, "insufficient_scope");
        let stranger = tokens::Maskinporten::new("310247030", "portvakt:operator").token(&test);
        test.put(PATH, &stranger, &body).await.expect_code(403, "organization_not_allowed");
    }
}
