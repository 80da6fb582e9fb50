//! The step beside the calls that marks what customers did not decide in time.
//!
//! Bounded: at most [`MARKED_MAX`] requests of each sort at a time. Whatever fails is tried again with the next step.

use std::time::Duration;

use crate::state::AppState;
use crate::{change_requests, requests};

const STEP: Duration = Duration::from_secs(60);
/// Requests of each sort that one step marks.
const MARKED_MAX: i64 = 100;

/// Marks until the service stops.
pub(crate) async fn keep_marked(state: AppState) {
    loop {
        let requests = requests::expire(&state, MARKED_MAX).await;
        let change_requests = change_requests::expire(&state, MARKED_MAX).await;
        for failure in [requests.err(), change_requests.err()].into_iter().flatten() {
            tracing::warn!("cannot mark requests that are too old: {failure}");
        }
        tokio::select! {
            () = state.stopped() => return,
            () = tokio::time::sleep(STEP) => {}
        }
    }
}
