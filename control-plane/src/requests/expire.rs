//! Marks requests that nobody decided in time, so that whoever follows the changes hears of it. Nothing depends on it: a
//! request's state follows from its age ([`super::model::SystemUserRequest::status`]).

use serde_json::json;

use super::model::newest_timed_out;
use super::store;
use crate::state::AppState;

/// Marks at most `count` requests, each in a change of its own; gives how many.
pub(crate) async fn expire(state: &AppState, count: i64) -> Result<usize, sqlx::Error> {
    let now = state.clock.now();
    let mut connection = state.store.read().await?;
    let too_old = store::timed_out(&mut connection, newest_timed_out(now), count).await?;
    drop(connection);
    for request in &too_old {
        let mut change = state.store.change().await?;
        // Another replica may have been first.
        if store::mark_timed_out(change.connection(), request.id, now).await? {
            let log = json!({ "request": request.id, "system": request.system, "party": request.party });
            change.commit(now, "request_timed_out", log).await?;
        }
    }
    Ok(too_old.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::requests::model::LIFETIME_DAYS;
    use crate::test_state::{TestState, story};

    async fn marked(test: &TestState) -> i64 {
        let mut connection = test.state.store.read().await.unwrap();
        let count = "SELECT count(*) FROM change_log WHERE kind = 'request_timed_out'";
        sqlx::query_scalar(count).fetch_one(&mut *connection).await.unwrap()
    }

    #[tokio::test]
    async fn each_request_that_is_too_old_is_marked_once() {
        let test = TestState::with_request().await;
        let decided = test.request_id().await;
        let reject = format!("{}/reject", story::request_of_hansen(&decided));
        test.send("POST", &reject, &test.administrator_of_hansen(), None).await.expect(200);
        for reference in ["a", "b", "c"] {
            let mut request = story::request();
            request["externalRef"] = json!(reference);
            test.post(story::REQUESTS, &test.vendor(), &request).await.expect(201);
        }
        test.clock.advance_seconds(LIFETIME_DAYS * 86_400 - 1);
        assert_eq!(expire(&test.state, 100).await.unwrap(), 0);
        test.clock.advance_seconds(1);
        assert_eq!((expire(&test.state, 2).await.unwrap(), marked(&test).await), (2, 2));
        assert_eq!((expire(&test.state, 2).await.unwrap(), marked(&test).await), (1, 3));
        assert_eq!((expire(&test.state, 2).await.unwrap(), marked(&test).await), (0, 3));
        let path = format!("{}/byexternalref/310247030_smartcloud/310247049/a", story::REQUESTS);
        let request = test.get(&path, &test.vendor()).await.expect(200);
        assert_eq!((&request["status"], &request["timedOut"]), (&json!("Timedout"), &json!(true)));
    }

    #[tokio::test]
    async fn of_two_control_planes_one_marks_each_request() {
        let first = TestState::with_request().await;
        let second = first.replica().await;
        for reference in ["a", "b", "c"] {
            let mut request = story::request();
            request["externalRef"] = json!(reference);
            first.post(story::REQUESTS, &first.vendor(), &request).await.expect(201);
        }
        first.clock.advance_seconds(LIFETIME_DAYS * 86_400);
        let (here, there) = tokio::join!(expire(&first.state, 100), expire(&second.state, 100));
        assert!(here.unwrap().max(there.unwrap()) == 4 && marked(&first).await == 4);
    }
}
