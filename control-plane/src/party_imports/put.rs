//! `PUT /portvakt/v1/parties`: parties, people, role assignments and relations, all or none.
//!
//! Parties are added or brought up to date, main unit and form included: without `mainUnit` a party is nobody's sub unit. Of
//! each organisation in `parties` or `roleAssignments` the role assignments are replaced, of each in `parties` or as `client`
//! in `relations` the relations as a client: what is not in the body is no more.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::body::{PartyBody, PersonBody, RelationBody, RoleAssignmentBody};
use super::import::{self, Import};
use crate::caller::Operator;
use crate::json::OwnJson;
use crate::openapi::{self, own};
use crate::parties::model::Role;
use crate::problem::{Problem, codes};
use crate::state::AppState;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ImportParties)]
pub(super) struct Body {
    #[serde(default)]
    parties: Vec<PartyBody>,
    #[serde(default)]
    persons: Vec<PersonBody>,
    #[serde(default)]
    role_assignments: Vec<RoleAssignmentBody>,
    #[serde(default)]
    relations: Vec<RelationBody>,
}

/// Parties, people, roles and relations, all or none. Those of every organisation that is named are replaced.
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
    store_body(&state, body, json!(operator.organization)).await.map(Json)
}

/// Stores a whole body; gives how much was in it.
pub(super) async fn store_body(state: &AppState, body: Body, by: Value) -> Result<Value, Problem> {
    let counts = json!({
        "parties": body.parties.len(), "persons": body.persons.len(),
        "roleAssignments": body.role_assignments.len(), "relations": body.relations.len(),
    });
    let named: BTreeSet<_> = body.parties.iter().map(|party| party.organization_number).collect();
    let with_roles: BTreeSet<_> =
        body.role_assignments.iter().map(|body| body.organization_number).chain(named.iter().copied()).collect();
    let with_relations: BTreeSet<_> =
        body.relations.iter().map(|body| body.client).chain(named.iter().copied()).collect();
    let now = state.clock.now();
    let mut change = state.store.change().await?;
    let connection = change.connection();
    let mut import = Import::new(&*state.ids);
    for party in body.parties {
        import.party(connection, party).await?;
    }
    for person in body.persons {
        import.person(connection, person).await?;
    }
    for organization in with_roles {
        import.unassign_all(connection, organization).await?;
    }
    for body in &body.role_assignments {
        let role: Role = body.role.parse().map_err(unknown)?;
        import.assign(connection, body, role).await?;
    }
    let mut relations = BTreeSet::new();
    for body in &body.relations {
        let relation =
            import::relation(body).ok_or_else(|| unknown(format!("`{}` is no known relation", body.role)))?;
        relations.insert(relation);
    }
    import.replace_relations(connection, &with_relations, relations).await?;
    let fallen = import.finish(connection, now).await?;
    change.commit(now, "parties_imported", json!({ "by": by, "counts": counts, "fallen": fallen })).await?;
    Ok(counts)
}

fn unknown(error: impl ToString) -> Problem {
    Problem::new(codes::JSON_INVALID).detail(error.to_string())
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
            assert_eq!(answer, json!({ "parties": 2, "persons": 0, "roleAssignments": 1, "relations": 0 }));
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
