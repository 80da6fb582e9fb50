//! `DELETE /portvakt/v1/providers/{provider}/access-lists/{list}`: not while a resource uses it.

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::json;

use super::put_access_list::ListInPath;
use super::store;
use crate::caller::ResourceOwner;
use crate::openapi;
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::state::AppState;

/// Deletes an access list that no resource names.
#[utoipa::path(
    delete, path = "/portvakt/v1/providers/{provider}/access-lists/{list}", operation_id = "deleteAccessList", tag = openapi::PROVIDERS,
    security(("maskinporten" = ["portvakt:resources.write"])),
    responses((status = 204), (status = 404, description = "`provider_unknown`, `access_list_unknown`"), (status = 409, description = "`access_list_in_use`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    owner: ResourceOwner,
    PathOf(ListInPath { list }): PathOf<ListInPath>,
) -> Result<StatusCode, Problem> {
    let mut change = state.store.change().await?;
    let connection = change.connection();
    if store::find_access_list(connection, &owner.provider, &list).await?.is_none() {
        return Err(codes::ACCESS_LIST_UNKNOWN.into());
    }
    let resources = store::resources_of_list(connection, &owner.provider, &list).await?;
    if !resources.is_empty() {
        return Err(Problem::new(codes::ACCESS_LIST_IN_USE).member("resources", resources));
    }
    store::delete_access_list(connection, &owner.provider, &list).await?;
    let log = json!({ "accessList": list, "provider": owner.provider, "by": owner.organization });
    change.commit(state.clock.now(), "access_list_deleted", log).await?;
    Ok(StatusCode::NO_CONTENT)
}
