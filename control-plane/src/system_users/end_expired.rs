//! Ends system users whose time is over, or whose system was deleted ([`systems::end`]), and single rights whose time is over.
//! Each step is bounded, and a change like any other: it is in the log, vendors are told, and gateways enforce it from the
//! next snapshot on.
//!
//! Ends are kept here and not at the gateways: a snapshot says what holds and has no instants, so an end is one more change,
//! in the log and in the events with its instant, and nothing in the path of a request looks at a clock for it.

use std::time::Duration;

use serde_json::json;

use super::store;
use crate::state::AppState;
use crate::systems;

/// System users, or rights, that are ended in one change.
const ENDED_AT_ONCE: i64 = 200;
/// Time between two looks: how late an end may be, besides the time of the step itself.
const PAUSE: Duration = Duration::from_secs(1);

/// Ends what is over until the service stops.
pub(crate) async fn keep_ended(state: AppState) {
    loop {
        let ended = async {
            let of_systems = systems::end::step(&state).await?;
            let ended = step(&state).await? + end_rights(&state).await?;
            Ok::<_, sqlx::Error>(of_systems || ended > 0)
        };
        let outcome = match ended.await {
            Ok(true) => "done",
            Ok(false) => "idle",
            Err(error) => {
                tracing::error!(
                    "cannot end system users and rights whose time is over or whose system was deleted: {error}"
                );
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
    // Another control plane may have been first.
    let users = store::expired(change.connection(), now, ENDED_AT_ONCE).await?;
    let mut ended = Vec::with_capacity(users.len());
    for user in users {
        let Ok(user) = user.withdraw(now) else { continue };
        store::mark_withdrawn(change.connection(), &user).await?;
        ended.push(user.id);
    }
    let count = ended.len();
    if count > 0 {
        change.commit(now, "system_users_expired", json!({ "systemUsers": ended })).await?;
    }
    Ok(count)
}

/// Ends some single rights; says how many.
pub(crate) async fn end_rights(state: &AppState) -> Result<usize, sqlx::Error> {
    let now = state.clock.now();
    let mut connection = state.store.read().await?;
    let is_idle = store::ended_rights(&mut connection, now, 1).await?.is_empty();
    drop(connection);
    if is_idle {
        return Ok(0);
    }
    let mut change = state.store.change().await?;
    // As above.
    let rights = store::ended_rights(change.connection(), now, ENDED_AT_ONCE).await?;
    let mut ended = Vec::with_capacity(rights.len());
    for right in &rights {
        store::end_right(change.connection(), right).await?;
        ended.push(json!({
            "systemUser": right.system_user, "party": right.party, "resource": right.resource, "action": right.action,
        }));
    }
    if !ended.is_empty() {
        change.commit(now, "rights_expired", json!({ "rights": ended })).await?;
    }
    Ok(rights.len())
}

#[cfg(test)]
mod tests {
    use policies::id::{OrganizationNumber, SystemUserId};
    use serde_json::{Value, json};

    use super::{end_rights, step};
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
        let before = test.state.store.revision().await.unwrap();
        for wrong in [json!({ "validTo": "tomorrow" }), json!({}), json!({ "rights": [] })] {
            test.put(&path(&id), &hansen, &wrong).await.expect_code(400, "json_invalid");
        }
        assert_eq!(test.state.store.revision().await.unwrap(), before);
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

    /// Whether gateways let the system user do this for Hansen.
    async fn may(test: &TestState, gateway: &str, id: &str, resource: &str) -> bool {
        let policy = test.fetch(gateway, None).await.open(test);
        let (id, hansen) = (SystemUserId::parse(id).unwrap(), OrganizationNumber::parse("310247049").unwrap());
        let of_resource = |number: &usize| policy.rights()[*number].resource.as_str() == resource;
        let mut numbers = (0..policy.rights().len()).filter(of_resource);
        numbers.any(|right| policy.level_required(id, hansen, right).is_some())
    }

    fn vat_until(end: &Value) -> Value {
        json!({ "resource": [{ "id": "urn:altinn:resource", "value": "vat" }], "validTo": end })
    }

    #[tokio::test]
    async fn a_single_right_ends_and_the_rest_stays() {
        let test = TestState::with_system().await;
        let (mut request, until) = (story::request(), vat_until(&in_seconds(&test, 60)));
        request["rights"] = json!([until]);
        let created = test.post(story::REQUESTS, &test.vendor(), &request).await.expect(201);
        assert_eq!(created["rights"], request["rights"]);
        let (id, hansen, gateway) = (test.approve().await, test.administrator_of_hansen(), test.gateway().await);
        let held = format!("{}/{id}/delegations", story::system_users_of_hansen());
        assert_eq!(test.get(&held, &hansen).await.expect(200)["rights"], request["rights"]);
        let effective = format!("/portvakt/v1/parties/50000001/systemusers/{id}/effective");
        let effective = test.get(&effective, &hansen).await.expect(200);
        let basis =
            effective["parties"][0]["rights"].as_array().unwrap().iter().find(|right| right["resource"] == "vat");
        assert_eq!(basis.unwrap()["basis"], json!([{ "type": "delegation", "validTo": until["validTo"] }]));
        test.clock.advance_seconds(59);
        assert_eq!(end_rights(&test.state).await.unwrap(), 0);
        assert!(may(&test, &gateway, &id, "vat").await);
        test.clock.advance_seconds(1);
        assert_eq!((end_rights(&test.state).await.unwrap(), end_rights(&test.state).await.unwrap()), (1, 0));
        assert!(!may(&test, &gateway, &id, "vat").await && may(&test, &gateway, &id, "annual-accounts").await);
        let hansen = test.administrator_of_hansen();
        assert_eq!(test.get(&held, &hansen).await.expect(200)["rights"], json!([]));
        let events = test.get("/portvakt/v1/events", &test.vendor()).await.expect(200);
        assert_eq!(events["data"].as_array().unwrap().last().unwrap()["type"], "system_user.changed");
        let audit = test.get("/portvakt/v1/parties/50000001/audit?kind=rights_expired", &hansen).await.expect(200);
        assert_eq!(audit["data"][0]["change"]["rights"][0]["resource"], "vat");
    }

    #[tokio::test]
    async fn an_end_of_a_right_is_an_instant_to_come_and_one_only() {
        let test = TestState::with_system().await;
        let before = test.state.store.revision().await.unwrap();
        let mut request = story::request();
        let (soon, later) = (vat_until(&in_seconds(&test, 60)), vat_until(&in_seconds(&test, 90)));
        for rights in [
            json!([vat_until(&json!("tomorrow"))]),
            json!([vat_until(&in_seconds(&test, 0))]),
            json!([soon, later]),
            json!([soon, story::request()["rights"][0]]),
        ] {
            request["rights"] = rights;
            test.post(story::REQUESTS, &test.vendor(), &request).await.expect_code(400, "field_invalid");
        }
        assert_eq!(test.state.store.revision().await.unwrap(), before);
        request["rights"] = json!([soon, soon]);
        let created = test.post(story::REQUESTS, &test.vendor(), &request).await.expect(201);
        assert_eq!(created["rights"], json!([soon]));
        // Approved too late, it is not given at all.
        test.clock.advance_seconds(60);
        let id = test.approve().await;
        let held = format!("{}/{id}/delegations", story::system_users_of_hansen());
        assert_eq!(test.get(&held, &test.administrator_of_hansen()).await.expect(200)["rights"], json!([]));
    }

    #[tokio::test]
    async fn the_owner_ends_a_right_earlier_and_a_change_request_later() {
        let test = TestState::with_request().await;
        let (id, hansen) = (test.approve().await, test.administrator_of_hansen());
        let until = |seconds: i64| json!({ "validTo": null, "rights": [{ "resource": "vat", "validTo": in_seconds(&test, seconds) }] });
        assert_eq!(test.put(&path(&id), &hansen, &until(60)).await.expect(200), until(60));
        test.put(&path(&id), &hansen, &until(30)).await.expect(200);
        let before = test.state.store.revision().await.unwrap();
        test.put(&path(&id), &hansen, &until(31)).await.expect_code(400, "field_invalid");
        test.put(&path(&id), &hansen, &until(0)).await.expect_code(400, "field_invalid");
        let mut many = until(30);
        many["rights"] = json!(vec![until(30)["rights"][0].clone(); 1001]);
        test.put(&path(&id), &hansen, &many).await.expect_code(400, "field_invalid");
        let mut unknown = until(30);
        unknown["rights"][0]["action"] = json!("read");
        test.put(&path(&id), &hansen, &unknown).await.expect_code(400, "AUTH-00001");
        assert_eq!(test.state.store.revision().await.unwrap(), before);

        let change = "/authentication/api/v1/systemuser/changerequest";
        let ask = format!("{change}/vendor?correlation-id=11111111-0000-4000-8000-000000000001&system-user-id={id}");
        let body = json!({ "requiredRights": [vat_until(&in_seconds(&test, 300))] });
        test.post(&ask, &test.vendor(), &body).await.expect(201);
        let approve = format!("{change}/50000001/11111111-0000-4000-8000-000000000001/approve");
        test.send("POST", &approve, &hansen, None).await.expect(200);
        let held = format!("{}/{id}/delegations", story::system_users_of_hansen());
        assert_eq!(test.get(&held, &hansen).await.expect(200)["rights"], body["requiredRights"]);
        test.clock.advance_seconds(31);
        assert_eq!(end_rights(&test.state).await.unwrap(), 0);
        // One action of a right with an end is taken away like one of any other.
        let ask = ask.replace("000000000001&", "000000000002&");
        let body = json!({ "unwantedRights": [{ "action": "read", "resource": [{ "id": "urn:altinn:resource", "value": "vat" }] }] });
        test.post(&ask, &test.vendor(), &body).await.expect(201);
        let approve = approve.replace("000000000001/", "000000000002/");
        test.send("POST", &approve, &test.administrator_of_hansen(), None).await.expect(200);
        assert_eq!(test.get(&held, &test.administrator_of_hansen()).await.expect(200)["rights"], json!([]));
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
        let mut connection = first.state.store.read().await.unwrap();
        for once in [
            "SELECT count(*) FROM event WHERE kind = 'system_user.withdrawn'",
            "SELECT count(*) FROM change_log WHERE kind = 'system_users_expired'",
        ] {
            let count: i64 = sqlx::query_scalar(once).fetch_one(&mut *connection).await.unwrap();
            assert_eq!(count, 1, "{once}");
        }
    }
}
