//! `GET /portvakt/v1/providers/{provider}/resources/{resource}/policy/versions`: when which policy was stored.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::get_policy::check_owned;
use super::model::semantics_name;
use super::put_resource::ResourceInPath;
use super::store;
use crate::caller::ResourceOwner;
use crate::openapi::{self, own};
use crate::parameters::PathOf;
use crate::problem::Problem;
use crate::state::AppState;

/// Most versions that are listed; older ones are kept and can be read by their number.
const VERSIONS_MAX: u32 = 1_000;

/// When which policy was stored; the newest 1,000.
#[utoipa::path(
    get, path = "/portvakt/v1/providers/{provider}/resources/{resource}/policy/versions", operation_id = "listPolicyVersions", tag = openapi::PROVIDERS,
    security(("maskinporten" = ["portvakt:resources.write"])),
    responses((status = 200, body = own::PolicyVersions), (status = 404, description = "`provider_unknown`, `resource_unknown`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    owner: ResourceOwner,
    PathOf(ResourceInPath { resource }): PathOf<ResourceInPath>,
) -> Result<Json<Value>, Problem> {
    let mut connection = state.store.read().await?;
    check_owned(&mut connection, &owner, &resource).await?;
    let versions = store::policy_versions(&mut connection, &resource, VERSIONS_MAX).await?;
    let versions: Vec<_> = versions
        .iter()
        .map(|policy| {
            json!({ "version": policy.version, "at": policy.at, "semantics": semantics_name(policy.semantics) })
        })
        .collect();
    Ok(Json(json!({ "versions": versions })))
}
