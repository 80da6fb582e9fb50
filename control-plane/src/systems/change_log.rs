//! `GET /systemregister/vendor/{systemId}/changelog`: what was done to a system, newest first; the newest
//! [`CHANGES_MAX`], and no more than [`DATA_BYTES_MAX`] of them. And how the operations write it.

use axum::Json;
use axum::extract::State;
use policies::Timestamp;
use policies::id::SystemId;
use serde_json::Value;

use super::model::{ChangeKind, SystemChange};
use super::{own, store};
use crate::caller::{RegisterWrite, Vendor};
use crate::openapi::{self, altinn};
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::state::AppState;
use crate::store::Connection;

/// Lines of a change log that are shown.
const CHANGES_MAX: i64 = 1000;
/// Bytes of changed data that are shown; the newest line is, however long it is.
const DATA_BYTES_MAX: i64 = 4 << 20;

/// What was done to a system, newest first.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemregister/vendor/{system_id}/changelog", operation_id = "listSystemChanges", tag = openapi::SYSTEMS,
    security(("maskinporten" = ["altinn:authentication/systemregister.write"])),
    responses((status = 200, body = Vec<altinn::SystemChangeLog>), (status = 404, description = "As plain text `system_unknown`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: Vendor<RegisterWrite>,
    PathOf(id): PathOf<SystemId>,
) -> Result<Json<Vec<Value>>, Problem> {
    let mut connection = state.store.read().await?;
    let unknown = || Problem::new(codes::SYSTEM_UNKNOWN).plain_text(format!("System with ID {id} not found."));
    let system = own(&mut connection, &caller, &id, unknown).await?;
    let changes = store::changes(&mut connection, &id, CHANGES_MAX, DATA_BYTES_MAX).await?;
    Ok(Json(changes.iter().map(|change| change.json(&system)).collect()))
}

/// Writes a line, within the operation that it tells of.
pub(super) async fn append(
    connection: &mut Connection,
    system: &SystemId,
    caller: &Vendor<RegisterWrite>,
    kind: ChangeKind,
    data: Value,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    let (organization, client_id) = (caller.organization(), caller.client_id().cloned());
    store::append_change(connection, system, &SystemChange { kind, organization, client_id, at, data }).await
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::test_state::{TestState, story, tokens};

    #[tokio::test]
    async fn everything_that_was_done_is_there_newest_first() {
        let test = TestState::with_system().await;
        let system = format!("{}/310247030_smartcloud", story::SYSTEMS);
        let registered = test.get(&system, &test.vendor()).await.expect(200);
        test.clock.advance_seconds(1);
        test.put(&system, &test.vendor(), &story::system()).await.expect(200);
        test.put(&format!("{system}/rights"), &test.vendor(), &story::system()["rights"]).await.expect(200);
        test.put(&format!("{system}/accesspackages"), &test.vendor(), &json!([])).await.expect(200);
        let admin = tokens::Maskinporten::new("310247065", "altinn:authentication/systemregister.admin").token(&test);
        test.delete(&system, &admin).await.expect(200);

        let log = test.get(&format!("{system}/changelog"), &test.vendor()).await.expect(200);
        let column = |name: &str| log.as_array().unwrap().iter().map(|line| line[name].clone()).collect::<Vec<_>>();
        assert_eq!(column("changeType"), ["delete", "accesspackageupdate", "rightsupdate", "update", "create"]);
        assert_eq!(column("changedByOrgNumber")[0..2], ["310247065", "310247030"]);
        assert_eq!(log[0]["changedData"], Value::Null);
        assert_eq!(log[1]["changedData"], json!([]));
        assert_eq!(log[2]["changedData"], story::system()["rights"]);
        assert_eq!(log[4]["changedData"]["name"], registered["name"]);
        assert_eq!(log[4]["clientId"], story::CLIENT_ID);
        assert_eq!(log[0]["created"], test.clock.text());
        assert_ne!(log[4]["created"], log[3]["created"]);
        assert!(column("systemInternalId").windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[tokio::test]
    async fn it_is_its_vendors() {
        let test = TestState::with_system().await;
        let path = format!("{}/310247030_smartcloud/changelog", story::SYSTEMS);
        let foreign = tokens::Maskinporten::vendor("310247065").token(&test);
        test.get(&path, &foreign).await.expect_code(403, "vendor_not_owner");
        let unknown = test.get(&path.replace("smartcloud", "other"), &test.vendor()).await;
        assert_eq!((unknown.status, unknown.text()), (404, "System with ID 310247030_other not found.".to_owned()));
    }
}
