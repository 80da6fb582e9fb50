//! Ends what hangs on deleted systems: 2,000 system users and as many requests with the deletion itself, the rest in steps of
//! the same size, each a change. Meanwhile nobody takes the rest for live: the system's client ids are gone, at gateways, too.

use serde_json::json;

use super::store;
use crate::state::AppState;

/// Ends some of one system; whether there was anything to end.
pub(crate) async fn step(state: &AppState) -> Result<bool, sqlx::Error> {
    let mut connection = state.store.read().await?;
    if store::ending(&mut connection).await?.is_none() {
        return Ok(false);
    }
    drop(connection);
    let now = state.clock.now();
    let mut change = state.store.change().await?;
    // Another control plane may have been first.
    let Some(system) = store::ending(change.connection()).await? else { return Ok(false) };
    store::end_more(change.connection(), &system, now).await?;
    change.commit(now, "system_end_went_on", json!({ "system": system })).await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::step;
    use crate::state::Clock as _;
    use crate::test_state::{TestState, story, tokens};

    async fn count(test: &TestState, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&mut *test.state.store.read().await.unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn a_large_system_ends_in_steps_and_nobody_takes_the_rest_for_live() {
        let test = TestState::with_request().await;
        let first = test.approve().await;
        let mut change = test.state.store.change().await.unwrap();
        // With the one that was approved: two whole steps and one more.
        let users = "WITH RECURSIVE counted (number) AS \
                     (SELECT 1 UNION ALL SELECT number + 1 FROM counted WHERE number < 4000) \
                     INSERT INTO systemuser (id, kind, system, owner, external_ref, integration_title, created_at) \
                     SELECT '00000000-0000-4000-9000-' || substr(CAST(1000000000000 + number AS TEXT), 2), 'standard', \
                     '310247030_smartcloud', '310247049', 'ref ' || number, 'x', 0 FROM counted";
        sqlx::query(users).execute(change.connection()).await.unwrap();
        change.commit(test.clock.now(), "tested", json!({})).await.unwrap();
        assert!(!step(&test.state).await.unwrap());

        let hansen = test.administrator_of_hansen();
        let path = format!("{}/310247030_smartcloud", story::SYSTEMS);
        test.delete(&path, &test.vendor()).await.expect(200);
        let live = "SELECT count(*) FROM systemuser WHERE withdrawn_at IS NULL";
        assert_eq!(count(&test, live).await, 2001);
        assert_eq!(test.get(&story::system_users_of_hansen(), &hansen).await.expect(200), json!([]));
        test.get(&story::lookup(), &test.maskinporten()).await.expect_code(404, "AUTH-00015");
        let question = json!({
            "subject": { "type": "system_user", "id": "00000000-0000-4000-9000-000000004000" },
            "resource": { "type": "resource", "id": "vat", "properties": { "party": "310247049" } },
            "action": { "name": "read" },
        });
        let asks = tokens::Maskinporten::new("310247022", "altinn:authorization/authorize").token(&test);
        let decision = test.post("/access/v1/evaluation", &asks, &question).await.expect(200);
        assert_eq!(decision["context"]["reason"], "system_user_withdrawn");

        for left in [1, 0] {
            assert!(step(&test.state).await.unwrap());
            assert_eq!(count(&test, live).await, left);
        }
        assert!(!step(&test.state).await.unwrap());
        assert_eq!(count(&test, "SELECT count(*) FROM system_user_request WHERE archived_at IS NULL").await, 0);
        let told = "SELECT count(*) FROM event WHERE kind = 'system_user.withdrawn'";
        assert_eq!(count(&test, told).await, 4001);
        test.get(&format!("{}/{first}", story::system_users_of_hansen()), &hansen).await.expect_code(404, "AUTH-00015");
    }
}
