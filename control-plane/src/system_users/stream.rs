//! `GET /systemuser/internal/systemusers/stream` and `/systemuser/internal/systemusers/{systemUserId}`: every system user in
//! the order of its last change, for those who keep a copy.
//!
//! Whoever reads on from the last number it has seen misses nothing: a change gives a system user a higher number than all
//! that were given before. Withdrawn ones stay.

use axum::Json;
use axum::extract::State;
use policies::id::SystemUserId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::store::{self, StreamEntry};
use crate::base_url::BaseUrl;
use crate::caller::InternalOrPlatform;
use crate::openapi::{self, altinn};
use crate::page;
use crate::parameters::{PathOf, Query};
use crate::problem::{Problem, codes};
use crate::state::AppState;

/// Entries of a page of the stream.
const ENTRIES_MAX: i64 = 100;
const PATH: [&str; 4] = ["systemuser", "internal", "systemusers", "stream"];

#[derive(Debug, Deserialize)]
pub(super) struct InPath {
    system_user_id: SystemUserId,
}

/// All system users, withdrawn ones too, in the order of their last change.
///
/// Every page that has entries has a `next`; whoever stores it and comes back reads on from there.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemuser/internal/systemusers/stream", operation_id = "streamSystemUsers", tag = openapi::SYSTEM_USERS,
    security(("maskinporten" = ["altinn:authentication/systemuser.admin"])),
    params(("token" = Option<String>, Query, description = "From `links.next`; from the beginning without one")),
    responses((status = 200, body = altinn::SystemUserStream)),
)]
pub(super) async fn stream(
    State(state): State<AppState>,
    _caller: InternalOrPlatform,
    query: Query,
    base: BaseUrl,
) -> Result<Json<Value>, Problem> {
    let after: i64 = page::token(&query)?.unwrap_or(0);
    let mut connection = state.store.read().await?;
    let entries = store::stream(&mut connection, after, ENTRIES_MAX).await?;
    let end = store::stream_end(&mut connection).await?;
    let (first, last) = (entries.first().map(|entry| entry.number), entries.last().map(|entry| entry.number));
    let links = match last {
        Some(last) => json!({ "next": page::next_url(&base, &PATH, &last) }),
        None => json!({}),
    };
    Ok(Json(json!({
        "links": links,
        "stats": { "pageStart": first.unwrap_or(0), "pageEnd": last.unwrap_or(0), "sequenceMax": end },
        "data": entries.iter().map(register_json).collect::<Vec<_>>(),
    })))
}

/// One system user as the stream has it, withdrawn or not.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemuser/internal/systemusers/{system_user_id}", operation_id = "getSystemUserOfStream", tag = openapi::SYSTEM_USERS,
    security(("maskinporten" = ["altinn:authentication/systemuser.admin"])),
    responses((status = 200, body = altinn::SystemUserRegister), (status = 410, description = "`system_user_gone`")),
)]
pub(super) async fn one(
    State(state): State<AppState>,
    _caller: InternalOrPlatform,
    PathOf(InPath { system_user_id }): PathOf<InPath>,
) -> Result<Json<Value>, Problem> {
    let mut connection = state.store.read().await?;
    let entry = store::stream_entry(&mut connection, system_user_id).await?.ok_or(codes::SYSTEM_USER_GONE)?;
    Ok(Json(register_json(&entry)))
}

/// Altinn's `SystemUserRegisterDTO`.
fn register_json(entry: &StreamEntry) -> Value {
    let user = &entry.user;
    json!({
        "id": user.id,
        "partyOrgNo": user.owner,
        "partyId": entry.party.to_string(),
        "integrationTitle": user.integration_title,
        "isDeleted": user.withdrawn_at.is_some(),
        "lastChanged": entry.last_changed,
        "created": user.created_at,
        "sequenceNo": entry.number,
        "systemUserType": user.kind,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use crate::test_state::{TestState, story, tokens};

    const STREAM: &str = "/authentication/api/v1/systemuser/internal/systemusers/stream";

    fn reader(test: &TestState) -> String {
        tokens::Maskinporten::new("310247006", "altinn:authentication/systemuser.admin").token(test)
    }

    #[tokio::test]
    async fn every_change_comes_with_a_higher_number_withdrawals_too() {
        let test = TestState::with_request().await;
        let reader = reader(&test);
        let empty = test.get(STREAM, &reader).await.expect(200);
        let stats = json!({ "pageStart": 0, "pageEnd": 0, "sequenceMax": 0 });
        assert_eq!(empty, json!({ "links": {}, "stats": stats, "data": [] }));

        let created = test.clock.text();
        let id = test.approve().await;
        let page = test.get(STREAM, &reader).await.expect(200);
        assert_eq!(
            page["data"],
            json!([{
                "id": id, "partyOrgNo": "310247049", "partyId": "50000001", "integrationTitle": "SmartCloud for Hansen",
                "isDeleted": false, "lastChanged": created, "created": created, "sequenceNo": 1,
                "systemUserType": "standard",
            }])
        );
        assert_eq!(page["stats"], json!({ "pageStart": 1, "pageEnd": 1, "sequenceMax": 1 }));
        let next = page["links"]["next"].as_str().unwrap().strip_prefix("http://portvakt.test").unwrap().to_owned();
        assert_eq!(test.get(&next, &reader).await.expect(200)["data"], json!([]));

        test.clock.advance_seconds(5);
        let path = format!("{}/{id}", story::system_users_of_hansen());
        test.delete(&path, &test.administrator_of_hansen()).await.expect(202);
        let page = test.get(&next, &reader).await.expect(200);
        let entry = &page["data"][0];
        assert_eq!((&entry["isDeleted"], &entry["sequenceNo"]), (&json!(true), &json!(2)));
        assert_eq!((&entry["lastChanged"], &entry["created"]), (&json!(test.clock.text()), &json!(created)));
        let one = format!("/authentication/api/v1/systemuser/internal/systemusers/{id}");
        assert_eq!(test.get(&one, &reader).await.expect(200), *entry);
    }

    #[tokio::test]
    async fn a_copy_is_whole_also_while_system_users_are_added_and_changed() {
        let test = TestState::with_request().await;
        let reader = reader(&test);
        test.approve().await;
        let insert = async |first: u32, count: u32| {
            let mut change = test.state.store.change().await.unwrap();
            for number in first..first + count {
                sqlx::query(
                    "INSERT INTO systemuser (id, kind, system, owner, external_ref, integration_title, created_at) \
                     VALUES ($1, 'standard', '310247030_smartcloud', '310247049', $2, 'x', 0)",
                )
                .bind(format!("00000000-0000-4000-9000-{number:012}"))
                .bind(format!("ref {number}"))
                .execute(change.connection())
                .await
                .unwrap();
            }
            change.commit_derived().await.unwrap();
        };
        insert(0, 2000).await;
        let (mut seen, mut numbers) = (BTreeSet::new(), Vec::new());
        let (mut path, mut pages) = (STREAM.to_owned(), 0);
        loop {
            let page = test.get(&path, &reader).await.expect(200);
            let Some(next) = page["links"]["next"].as_str() else { break };
            for entry in page["data"].as_array().unwrap() {
                numbers.push(entry["sequenceNo"].as_i64().unwrap());
                seen.insert(entry["id"].as_str().unwrap().to_owned());
            }
            path = next.strip_prefix("http://portvakt.test").unwrap().to_owned();
            pages += 1;
            if pages == 3 {
                insert(5000, 150).await;
                let mut change = test.state.store.change().await.unwrap();
                // One that was shown, and one that was not.
                sqlx::query(
                    "UPDATE systemuser SET integration_title = 'y' WHERE external_ref IN ('ref 0', 'ref 1999')",
                )
                .execute(change.connection())
                .await
                .unwrap();
                change.commit_derived().await.unwrap();
            }
        }
        assert_eq!(seen.len(), 2151);
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]));
        // The one that was shown before its change came again.
        assert_eq!(numbers.len(), 2152);
    }

    #[tokio::test]
    async fn only_the_platform_reads_it_and_tokens_are_ours() {
        let test = TestState::with_request().await;
        test.get(STREAM, &test.vendor()).await.expect_code(403, "insufficient_scope");
        test.get(STREAM, "").await.expect_code(401, "token_missing");
        let reader = reader(&test);
        for token in ["x", "e30", "%00", &"a".repeat(5000)] {
            test.get(&format!("{STREAM}?token={token}"), &reader).await.expect_code(400, "query_invalid");
        }
        let one = "/authentication/api/v1/systemuser/internal/systemusers/00000000-0000-4000-8000-000000000000";
        test.get(one, &reader).await.expect_code(410, "system_user_gone");
        test.get(&one.replace("0000-4000", "x"), &reader).await.expect_code(400, "path_invalid");
    }
}
