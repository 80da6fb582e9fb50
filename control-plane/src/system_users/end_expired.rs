//! Ends system users whose time is over, or whose system was deleted ([`systems::end`]). Each step is bounded, and a change like any other: it is in the log, vendors are
//! told, and gateways refuse the system users from the next snapshot on.

use std::time::Duration;

use serde_json::json;

use super::store;
use crate::state::AppState;
use crate::systems;

/// System users that are ended in one change.
const ENDED_AT_ONCE: i64 = 200;
/// Time between two looks: how late an end may be, besides the time of the step itself.
const PAUSE: Duration = Duration::from_secs(1);

/// Ends what is over until the service stops.
pub(crate) async fn keep_ended(state: AppState) {
    loop {
        let ended = async { Ok::<_, sqlx::Error>(systems::end::step(&state).await? | (step(&state).await? > 0)) };
        let outcome = match ended.await {
            Ok(true) => "done",
            Ok(false) => "idle",
            Err(error) => {
                tracing::error!("cannot end system users whose time is over or whose system was deleted: {error}");
                "failed"
            }
        };
        state.metrics.job("end_expired", outcome);
        tokio::select! {
            biased;
            () = state.stopped() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// Ends some; says how many.
pub(crate) async fn step(state: &AppState) -> Result<usize, sqlx::Error> {
    let now = state.clock.now();
    let mut connection = state.store.read().await?;
    let is_idle = store::expired(&mut connection, now, 1).await?.is_empty();
    drop(connection);
    if is_idle {
        return Ok(0);
    }
    let mut change = state.store.change().await?;
    let users = store::expired(change.connection(), now, ENDED_AT_ONCE).await?;
    let mut ended = Vec::with_capacity(users.len());
    for user in users {
        let Ok(user) = user.withdraw(now) else { continue };
        store::mark_withdrawn(change.connection(), &user).await?;
        ended.push(user.id);
    }
    let count = ended.len();
    change.commit(now, "system_users_expired", json!({ "systemUsers": ended })).await?;
    Ok(count)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::step;
    use crate::test_state::{TestState, story};

    fn path(id: &str) -> String {
        format!("/portvakt/v1/parties/50000001/systemusers/{id}/validity")
    }

    fn in_seconds(test: &TestState, seconds: i64) -> Value {
        use crate::state::Clock as _;
        json!(test.clock.now().plus_seconds(seconds))
    }

    #[tokio::test]
    async fn a_system_user_ends_at_the_instant_and_gateways_are_told() {
        let test = TestState::with_request().await;
        let id = test.approve().await;
        let hansen = test.administrator_of_hansen();
        let body = json!({ "validTo": in_seconds(&test, 60) });
        assert_eq!(test.put(&path(&id), &hansen, &body).await.expect(200), body);
        let gateway = test.gateway().await;
        let before = test.fetch(&gateway, None).await;
        test.clock.advance_seconds(59);
        assert_eq!(step(&test.state).await.unwrap(), 0);
        test.get(&story::lookup(), &test.maskinporten()).await.expect(200);
        test.clock.advance_seconds(1);
        assert_eq!((step(&test.state).await.unwrap(), step(&test.state).await.unwrap()), (1, 0));
        test.get(&story::lookup(), &test.maskinporten()).await.expect_code(404, "AUTH-00015");
        let after = test.fetch(&gateway, Some(&before.etag)).await.open(&test);
        assert_eq!(after.withdrawn().len(), 1);
        let events = test.get("/portvakt/v1/events", &test.vendor()).await.expect(200);
        assert_eq!(events["data"].as_array().unwrap().last().unwrap()["type"], "system_user.withdrawn");
    }

    #[tokio::test]
    async fn an_end_can_be_moved_and_taken_away() {
        let test = TestState::with_request().await;
        let id = test.approve().await;
        let hansen = test.administrator_of_hansen();
        test.put(&path(&id), &hansen, &json!({ "validTo": in_seconds(&test, 60) })).await.expect(200);
        test.put(&path(&id), &hansen, &json!({ "validTo": null })).await.expect(200);
        test.clock.advance_seconds(61);
        assert_eq!(step(&test.state).await.unwrap(), 0);
        let past = json!({ "validTo": in_seconds(&test, 0) });
        let hansen = test.administrator_of_hansen();
        test.put(&path(&id), &hansen, &past).await.expect_code(400, "field_invalid");
        test.put(&path(&id), &hansen, &json!({ "validTo": "tomorrow" })).await.expect_code(400, "json_invalid");
        let of_bakeri = path(&id).replace("50000001", "50000002");
        test.put(&of_bakeri, &test.administrator_of_bakeri(), &json!({ "validTo": null }))
            .await
            .expect_code(404, "AUTH-00015");
    }

    #[tokio::test]
    async fn a_vendor_may_ask_for_a_while_only() {
        let test = TestState::with_system().await;
        let mut request = story::request();
        request["validTo"] = in_seconds(&test, 3600);
        let created = test.post(story::REQUESTS, &test.vendor(), &request).await.expect(201);
        assert_eq!(created["validTo"], request["validTo"]);
        test.approve().await;
        test.clock.advance_seconds(3600);
        assert_eq!(step(&test.state).await.unwrap(), 1);
        request["externalRef"] = json!("other");
        for wrong in [json!("x"), in_seconds(&test, 0)] {
            request["validTo"] = wrong;
            test.post(story::REQUESTS, &test.vendor(), &request).await.expect_code(400, "field_invalid");
        }
    }

    #[tokio::test]
    async fn of_two_control_planes_one_ends_each_system_user() {
        let first = TestState::with_request().await;
        let second = first.replica().await;
        let id = first.approve().await;
        let body = json!({ "validTo": in_seconds(&first, 60) });
        first.put(&path(&id), &first.administrator_of_hansen(), &body).await.expect(200);
        first.clock.advance_seconds(60);
        let (here, there) = tokio::join!(step(&first.state), step(&second.state));
        assert_eq!(here.unwrap() + there.unwrap(), 1);
        let told = "SELECT count(*) FROM event WHERE kind = 'system_user.withdrawn'";
        let mut connection = first.state.store.read().await.unwrap();
        let told: i64 = sqlx::query_scalar(told).fetch_one(&mut *connection).await.unwrap();
        assert_eq!(told, 1);
    }
}
