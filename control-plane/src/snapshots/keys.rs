//! `GET /portvakt/v1/snapshot-keys`: the public keys that gateways pin. Open to all.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::openapi::{self, own};
use crate::state::AppState;

/// The public keys that gateways pin.
#[utoipa::path(
    get, path = "/portvakt/v1/snapshot-keys", operation_id = "listSnapshotKeys", tag = openapi::GATEWAYS,
    responses((status = 200, body = own::SnapshotKeys)),
)]
pub(super) async fn handler(State(state): State<AppState>) -> Json<Value> {
    let key = state.publications.signing_key();
    Json(json!({ "keys": [{ "keyId": key.key_id_hex(), "pem": key.public_pem() }] }))
}

#[cfg(test)]
mod tests {
    use crate::test_state::TestState;

    #[tokio::test]
    async fn anybody_may_read_the_public_keys() {
        let test = TestState::new().await;
        let keys = test.get("/portvakt/v1/snapshot-keys", "").await.expect(200);
        assert_eq!(keys["keys"][0]["keyId"].as_str().unwrap().len(), 16);
        assert!(keys["keys"][0]["pem"].as_str().unwrap().contains("BEGIN PUBLIC KEY"));
    }
}
