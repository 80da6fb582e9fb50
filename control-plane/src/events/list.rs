//! `GET /portvakt/v1/events?after=`: the vendor's events, in order; waits for one if it is asked to.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::store;
use crate::base_url::BaseUrl;
use crate::caller::{RequestRead, Vendor};
use crate::openapi::{self, own};
use crate::parameters::{Query, whole_number};
use crate::problem::Problem;
use crate::state::AppState;

const PAGE_EVENTS: i64 = 100;
/// Longest wait, in seconds; shorter than an operation may take.
const WAIT_S_MAX: u64 = 25;

/// What has happened to the vendor's systems, in order.
///
/// To follow: ask again with `links.next`, which is there even when nothing is new. `wait` holds the answer until
/// something is.
#[utoipa::path(
    get, path = "/portvakt/v1/events", operation_id = "listEvents", tag = openapi::EVENTS,
    security(("maskinporten" = ["altinn:authentication/systemuser.request.read"])),
    params(
        ("after" = Option<i64>, Query, description = "The last event that is known; from the first without it"),
        ("wait" = Option<u32>, Query, description = "Seconds to wait for an event; after 25 the answer comes in any case. 0 by default"),
    ),
    responses((status = 200, body = own::EventPage)),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: Vendor<RequestRead>,
    query: Query,
    base: BaseUrl,
) -> Result<Json<Value>, Problem> {
    let after = query.parsed("after", whole_number::<i64>)?.unwrap_or(0);
    let seconds =
        |text: &str| text.parse::<i32>().ok().and_then(|seconds| u64::try_from(seconds).ok()).ok_or("no seconds");
    let wait = query.parsed("wait", seconds)?.unwrap_or(0).min(WAIT_S_MAX);
    let until = Instant::now() + Duration::from_secs(wait);
    let mut revisions = state.store.revisions();
    let events = loop {
        revisions.mark_unchanged();
        let mut connection = state.store.read().await?;
        let events = store::after(&mut connection, caller.organization(), after, PAGE_EVENTS).await?;
        drop(connection);
        if !events.is_empty() || Instant::now() >= until {
            break events;
        }
        tokio::select! {
            _changed = revisions.changed() => {}
            () = tokio::time::sleep_until(until) => {}
            () = state.stopped() => break events,
        }
    };
    let last = events.last().map_or(after, |event| event.id);
    let next = format!("{}portvakt/v1/events?after={last}", *base);
    Ok(Json(json!({ "links": { "next": next }, "data": events })))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::test_state::{TestState, story, tokens};

    const EVENTS: &str = "/portvakt/v1/events";

    fn kinds(page: &Value) -> Vec<&str> {
        page["data"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect()
    }

    #[tokio::test]
    async fn a_vendor_follows_what_happens_to_its_systems() {
        let test = TestState::with_request().await;
        let id = test.approve().await;
        let page = test.get(EVENTS, &test.vendor()).await.expect(200);
        assert_eq!(
            kinds(&page),
            ["system_user_request.created", "system_user_request.accepted", "system_user.created"]
        );
        let created = &page["data"][2];
        assert_eq!(created["timestamp"], test.clock.text());
        assert_eq!(
            created["data"],
            json!({
                "systemId": "310247030_smartcloud", "systemUserId": id, "partyOrgNo": "310247049",
                "revision": test.state.store.revision().await.unwrap().as_i64(),
            })
        );
        let next = page["links"]["next"].as_str().unwrap().strip_prefix("http://portvakt.test").unwrap().to_owned();
        assert_eq!(kinds(&test.get(&next, &test.vendor()).await.expect(200)), Vec::<&str>::new());
        let path = format!("{}/{id}", story::system_users_of_hansen());
        test.delete(&path, &test.administrator_of_hansen()).await.expect(202);
        assert_eq!(kinds(&test.get(&next, &test.vendor()).await.expect(200)), ["system_user.withdrawn"]);
    }

    #[tokio::test]
    async fn other_vendors_are_told_nothing() {
        let test = TestState::with_request().await;
        let foreign = tokens::Maskinporten::vendor("310247065").token(&test);
        assert_eq!(test.get(EVENTS, &foreign).await.expect(200)["data"], json!([]));
        let writer =
            tokens::Maskinporten::new("310247030", "altinn:authentication/systemuser.request.write").token(&test);
        test.get(EVENTS, &writer).await.expect_code(403, "insufficient_scope");
        for wrong in ["after=x", "wait=-1", "wait=1.5", "wait=2147483648"] {
            test.get(&format!("{EVENTS}?{wrong}"), &test.vendor()).await.expect_code(400, "query_invalid");
        }
    }

    #[tokio::test]
    async fn whoever_waits_is_told_at_once() {
        let test = TestState::with_system().await;
        let path = format!("{EVENTS}?wait=25");
        let vendor = test.vendor();
        let body = story::request();
        let (page, _) = tokio::join!(test.get(&path, &vendor), test.post(story::REQUESTS, &vendor, &body));
        assert_eq!(kinds(&page.expect(200)), ["system_user_request.created"]);
        let known = test.get(EVENTS, &test.vendor()).await.expect(200)["data"][0]["id"].as_str().unwrap().to_owned();
        let path = format!("{EVENTS}?after={known}&wait=25");
        let held = test.get(&path, &vendor);
        let (page, ()) = tokio::join!(held, async { test.stop() });
        assert_eq!(page.expect(200)["data"], json!([]));
    }

    #[tokio::test]
    async fn a_vendor_is_told_once_that_nobody_decided() {
        let test = TestState::with_request().await;
        test.clock.advance_seconds(181 * 86_400);
        crate::requests::expire(&test.state, 100).await.unwrap();
        crate::requests::expire(&test.state, 100).await.unwrap();
        let page = test.get(EVENTS, &test.vendor()).await.expect(200);
        assert_eq!(kinds(&page), ["system_user_request.created", "system_user_request.timed_out"]);
    }

    #[tokio::test]
    async fn a_change_that_fails_tells_nothing() {
        let test = TestState::with_system().await;
        let mut change = test.state.store.change().await.unwrap();
        let insert = "INSERT INTO system_user_request (id, system, party, external_ref, integration_title, rights, \
                      access_packages, status, created_at) \
                      VALUES ('x', '310247030_smartcloud', '310247049', 'x', 'x', '[]', '[]', 'New', 0)";
        sqlx::query(insert).execute(change.connection()).await.unwrap();
        drop(change);
        assert_eq!(test.get(EVENTS, &test.vendor()).await.expect(200)["data"], json!([]));
    }
}
