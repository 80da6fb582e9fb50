//! `GET /portvakt/v1/providers/{provider}/access-lists/{list}`: who is on the list, and which resources it is for.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::put_access_list::{ListInPath, MemberJson};
use super::store;
use crate::caller::ResourceOwner;
use crate::openapi::{self, own};
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::state::AppState;

/// Who is on the list, and which resources name it.
#[utoipa::path(
    get, path = "/portvakt/v1/providers/{provider}/access-lists/{list}", operation_id = "getAccessList", tag = openapi::PROVIDERS,
    security(("maskinporten" = ["portvakt:resources.write"])),
    responses((status = 200, body = own::AccessList), (status = 404, description = "`provider_unknown`, `access_list_unknown`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    owner: ResourceOwner,
    PathOf(ListInPath { list }): PathOf<ListInPath>,
) -> Result<Json<Value>, Problem> {
    let mut connection = state.store.read().await?;
    let members = store::find_access_list(&mut connection, &owner.provider, &list).await?;
    let members = members.ok_or(codes::ACCESS_LIST_UNKNOWN)?.into_iter();
    let members: Vec<_> =
        members.map(|(organization_number, actions)| MemberJson { organization_number, actions }).collect();
    let resources = store::resources_of_list(&mut connection, &owner.provider, &list).await?;
    Ok(Json(json!({ "id": list, "members": members, "resources": resources })))
}
