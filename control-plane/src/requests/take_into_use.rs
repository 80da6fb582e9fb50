//! `POST /systemuser/{party}/create`: a customer takes a system into use by itself. The system user holds all that the system
//! may ask for, so all of it must be the customer's to give.

use axum::Json;
use axum::extract::State;
use policies::id::{OrganizationNumber, SystemId, SystemUserId};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::caller::{AccessManagementWrite, PartyAccess};
use crate::delegation_checks::{compile_policies, require_delegable};
use crate::fields::{NAME_CHARS_MAX, text};
use crate::json::AltinnJson;
use crate::openapi::{self, altinn};
use crate::problem::{Problem, codes};
use crate::state::AppState;
use crate::store::Connection;
use crate::system_users::model::{Delegation, SystemUser, SystemUserKind};
use crate::systems::model::System;
use crate::{system_users, systems};

#[derive(Debug, Deserialize)]
pub(super) struct Body {
    #[serde(rename = "integrationtitle")]
    integration_title: Option<String>,
    #[serde(default, rename = "systemid")]
    system_id: String,
}

/// A customer takes a system into use without having been asked: with all that the system may ask for.
#[utoipa::path(
    post, path = "/authentication/api/v1/systemuser/{party}/create", operation_id = "createSystemUser", tag = openapi::REQUESTS,
    security(("user" = ["altinn:portal/enduser"])),
    request_body = altinn::CreateSystemUser,
    responses(
        (status = 200, body = altinn::SystemUserInternal),
        (status = 400, description = "`AUTH-00004`, `AUTH-00052` or `AUTH-00059`"), (status = 404, description = "`AUTH-00011`"),
    ),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: PartyAccess<AccessManagementWrite>,
    AltinnJson(body): AltinnJson<Body>,
) -> Result<Json<Value>, Problem> {
    let now = state.clock.now();
    let id = SystemUserId::from_uuid(state.ids.uuid().map_err(Problem::internal)?);
    let system_id = SystemId::parse(&body.system_id).map_err(|_| codes::SYSTEM_NOT_FOUND)?;
    let mut read = state.store.read().await?;
    let offered = systems::store::find(&mut read, &system_id).await?.map(|system| system.rights).unwrap_or_default();
    compile_policies(&state, read, &offered).await?;
    let mut change = state.store.change().await?;
    let connection = change.connection();
    let system = taken_into_use(connection, &system_id, caller.organization()).await?;
    let user = SystemUser {
        id,
        kind: SystemUserKind::Standard,
        client_packages: Vec::new(),
        system: system_id,
        owner: caller.organization(),
        external_ref: caller.organization().to_string(),
        integration_title: match body.integration_title.as_deref() {
            None | Some("") => system.name.nb.clone(),
            Some(title) => text("integrationTitle", title, NAME_CHARS_MAX)?,
        },
        created_at: now,
        withdrawn_at: None,
    };
    let (rights, access_packages) = (system.rights.clone(), system.access_packages.clone());
    require_delegable(&state, connection, caller.user, &caller.party, &rights, &access_packages).await?;
    let delegations = [Delegation { party: user.owner, rights, access_packages }];
    system_users::store::insert(connection, &user, &delegations).await?;
    let log = json!({ "systemUser": user.id, "system": user.system, "party": user.owner, "by": caller.user_id() });
    change.commit(now, "system_user_created", log).await?;
    Ok(Json(user.internal_json(&system, &caller.party, &delegations)))
}

/// The system, if an organisation that does not use it yet can take it into use: with all that it may ask for.
pub(super) async fn taken_into_use(
    connection: &mut Connection,
    id: &SystemId,
    owner: OrganizationNumber,
) -> Result<System, Problem> {
    let system = systems::store::find(connection, id).await?.filter(System::is_offered);
    let system = system.ok_or(codes::SYSTEM_NOT_FOUND)?;
    if system_users::store::find_live(connection, owner, id, &owner.to_string()).await?.is_some() {
        return Err(codes::SYSTEM_USER_EXISTS.into());
    }
    if system.rights.is_empty() && system.access_packages.is_empty() {
        return Err(codes::NOTHING_REQUESTED.into());
    }
    Ok(system)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::{TestState, story};

    fn path() -> String {
        format!("{}/create", story::system_users_of_hansen())
    }

    #[tokio::test]
    async fn a_customer_makes_a_system_user_with_all_that_the_system_has() {
        let test = TestState::with_system().await;
        let hansen = test.administrator_of_hansen();
        let body = json!({ "IntegrationTitle": " Regnskap ", "SystemId": "310247030_smartcloud" });
        let user = test.post(&path(), &hansen, &body).await.expect(200);
        assert_eq!((&user["integrationTitle"], &user["externalRef"]), (&json!("Regnskap"), &json!("310247049")));
        assert_eq!((&user["userType"], &user["partyId"]), (&json!("standard"), &json!("50000001")));
        let id = user["id"].as_str().unwrap();
        let held =
            test.get(&format!("{}/{id}/delegations", story::system_users_of_hansen()), &hansen).await.expect(200);
        assert_eq!(held["rights"], story::system()["rights"]);
        assert_eq!(held["accessPackages"], story::system()["accessPackages"]);
        assert_eq!(test.get(&story::lookup(), &test.maskinporten()).await.expect(200)["id"], id);

        test.post(&path(), &hansen, &body).await.expect_code(400, "AUTH-00004");
        test.post(story::REQUESTS, &test.vendor(), &story::request()).await.expect_code(400, "AUTH-00004");
    }

    #[tokio::test]
    async fn of_many_at_once_one_is_made() {
        let test = TestState::with_system().await;
        let hansen = test.administrator_of_hansen();
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..6 {
            let (test, hansen) = (test.clone(), hansen.clone());
            let body = json!({ "systemId": "310247030_smartcloud" });
            calls.spawn(async move { test.post(&path(), &hansen, &body).await.status });
        }
        let mut statuses = calls.join_all().await;
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400, 400, 400, 400, 400]);
    }

    #[tokio::test]
    async fn what_cannot_be_given_makes_no_system_user() {
        let test = TestState::with_system().await;
        let before = test.state.store.revision().await.unwrap();
        let hansen = test.administrator_of_hansen();
        let body = json!({ "systemId": "310247030_smartcloud" });
        test.post(&path(), &test.administrator_of_bakeri(), &body).await.expect_code(403, "AUTH-00066");
        test.post(&path(), &test.vendor(), &body).await.expect_code(403, "insufficient_scope");
        for (body, status, code) in [
            (json!({ "systemId": "310247030_other" }), 404, "AUTH-00011"),
            (json!({}), 404, "AUTH-00011"),
            (json!({ "systemId": 7 }), 400, "json_invalid"),
            (json!({ "systemId": "310247030_smartcloud", "integrationTitle": "x".repeat(256) }), 400, "field_invalid"),
        ] {
            test.post(&path(), &hansen, &body).await.expect_code(status, code);
        }
        assert_eq!(test.state.store.revision().await.unwrap(), before);
        let mut system = story::system();
        system["isVisible"] = json!(false);
        for (id, rights, packages, code) in [
            ("310247030_none", json!([]), json!([]), "AUTH-00059"),
            (
                "310247030_agent",
                json!([]),
                json!([{ "urn": "urn:altinn:accesspackage:ansvarlig-revisor" }]),
                "AUTH-00052",
            ),
        ] {
            (system["id"], system["clientId"]) = (json!(id), json!([]));
            (system["rights"], system["accessPackages"]) = (rights, packages);
            test.post(story::SYSTEMS, &test.vendor(), &system).await.expect(200);
            test.post(&path(), &hansen, &json!({ "systemId": id })).await.expect_code(400, code);
        }
        test.delete(&format!("{}/310247030_smartcloud", story::SYSTEMS), &test.vendor()).await.expect(200);
        test.post(&path(), &hansen, &body).await.expect_code(404, "AUTH-00011");
    }
}
