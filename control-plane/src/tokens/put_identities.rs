//! `PUT /portvakt/v1/user-identities`: which user somebody is whom an OIDC provider identifies.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::store;
use crate::caller::Operator;
use crate::fields::{NAME_CHARS_MAX, text};
use crate::json::OwnJson;
use crate::openapi;
use crate::problem::{Problem, codes};
use crate::state::AppState;

/// Most identities in one body.
const IDENTITIES_MAX: usize = 10_000;

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = PutUserIdentities)]
pub(super) struct Body {
    identities: Vec<IdentityBody>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = UserIdentity)]
struct IdentityBody {
    /// National identity number (`pid`), or the provider's `sub`.
    identity: String,
    #[schema(example = 20_000_001)]
    user_id: i64,
}

/// Says which users people are who log in.
///
/// Added to what is known; identities are stored hashed.
#[utoipa::path(
    put, path = "/portvakt/v1/user-identities", operation_id = "putUserIdentities", tag = openapi::LOGIN,
    security(("maskinporten" = ["portvakt:operator"])),
    request_body = Body,
    responses((status = 200, description = "How many", body = Object)),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: Operator,
    OwnJson(body): OwnJson<Body>,
) -> Result<Json<Value>, Problem> {
    if body.identities.len() > IDENTITIES_MAX {
        return Err(Problem::new(codes::FIELD_INVALID).detail(format!("`identities`: at most {IDENTITIES_MAX}")));
    }
    let mut change = state.store.change().await?;
    for IdentityBody { identity, user_id } in &body.identities {
        let identity = text("identities.identity", identity, NAME_CHARS_MAX)?;
        if *user_id <= 0 {
            return Err(Problem::new(codes::FIELD_INVALID).detail("`identities.userId` is a positive number"));
        }
        store::put_identity(change.connection(), &identity, *user_id).await?;
    }
    let count = json!({ "identities": body.identities.len() });
    let log = json!({ "identities": body.identities.len(), "by": caller.organization });
    change.commit(state.clock.now(), "user_identities_put", log).await?;
    Ok(Json(count))
}
