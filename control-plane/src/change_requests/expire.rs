//! Marks change requests that nobody decided in time, so that whoever follows the changes hears of it. Nothing depends on
//! it: their state follows from their age.

use serde_json::json;

use super::store;
use crate::requests::model::newest_timed_out;
use crate::state::AppState;

/// Marks at most `count` change requests, each in a change of its own; gives how many.
pub(crate) async fn expire(state: &AppState, count: i64) -> Result<usize, sqlx::Error> {
    let now = state.clock.now();
    let mut connection = state.store.read().await?;
    let too_old = store::timed_out(&mut connection, newest_timed_out(now), count).await?;
    drop(connection);
    for request in &too_old {
        let mut change = state.store.change().await?;
        // Another replica may have been first.
        if store::mark_timed_out(change.connection(), request.id, now).await? {
            let log = json!({
                "request": request.id, "systemUser": request.system_user, "system": request.system, "party": request.party,
            });
            change.commit(now, "change_request_timed_out", log).await?;
        }
    }
    Ok(too_old.len())
}
