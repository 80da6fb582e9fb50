//! `GET /portvakt/v1/providers/{provider}/resources/{resource}/policy?version`: the XML as it was stored.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use policies::id::ResourceId;

use super::put_resource::ResourceInPath;
use super::store;
use crate::caller::ResourceOwner;
use crate::openapi;
use crate::parameters::{PathOf, Query, whole_number};
use crate::problem::{Problem, codes};
use crate::state::AppState;
use crate::store::Connection;

/// The policy's XML as it was stored.
#[utoipa::path(
    get, path = "/portvakt/v1/providers/{provider}/resources/{resource}/policy", operation_id = "getPolicy", tag = openapi::PROVIDERS,
    security(("maskinporten" = ["portvakt:resources.write"])),
    params(("version" = Option<u64>, Query, description = "The one in force by default")),
    responses((status = 200, description = "`ETag` is the version", body = String, content_type = "application/xml"), (status = 404, description = "`provider_unknown`, `resource_unknown`, `policy_unknown`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    owner: ResourceOwner,
    PathOf(ResourceInPath { resource }): PathOf<ResourceInPath>,
    query: Query,
) -> Result<Response, Problem> {
    let version = query.parsed("version", whole_number)?;
    let mut connection = state.store.read().await?;
    check_owned(&mut connection, &owner, &resource).await?;
    let policy = store::policy_version(&mut connection, &resource, version).await?.ok_or(codes::POLICY_UNKNOWN)?;
    let etag = format!("\"{}\"", policy.version);
    Ok(([(header::CONTENT_TYPE, "application/xml".to_owned()), (header::ETAG, etag)], policy.xml).into_response())
}

/// Refuses a resource that is not the provider's.
pub(super) async fn check_owned(
    connection: &mut Connection,
    owner: &ResourceOwner,
    resource: &ResourceId,
) -> Result<(), Problem> {
    match store::find(connection, resource).await? {
        Some(resource) if resource.provider == owner.provider => Ok(()),
        _ => Err(codes::RESOURCE_UNKNOWN.into()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::{TestState, story};

    #[tokio::test]
    async fn every_stored_policy_can_be_read_again() {
        let test = TestState::with_resources().await;
        let owner = test.resource_owner();
        let path = format!("{}/policy", story::resource("vat"));
        let (first, second) = (story::policy("vat", &["read"], &[]), story::policy("vat", &["read", "write"], &[]));
        test.clock.advance_seconds(60);
        let answer = test.put_xml(&format!("{path}?semantics=standard"), &owner, &second).await.expect(200);
        assert_eq!((&answer["version"], &answer["semantics"]), (&json!(2), &json!("standard")));
        let current = test.get(&path, &owner).await;
        assert_eq!(
            (current.headers["content-type"].as_str(), current.headers["etag"].as_str()),
            ("application/xml", "\"2\"")
        );
        assert_eq!(current.bytes, second.as_bytes());
        assert_eq!(test.get(&format!("{path}?version=1"), &owner).await.bytes, first.as_bytes());
        let versions = test.get(&format!("{path}/versions"), &owner).await.expect(200);
        let of = |name: &str| versions["versions"].as_array().unwrap().iter().map(|one| one[name].clone()).collect();
        let named: [Vec<_>; 2] = ["version", "semantics"].map(of);
        assert_eq!(json!(named), json!([[2, 1], ["standard", "altinn"]]));
        assert_eq!(versions["versions"][0]["at"], test.clock.text());
    }

    #[tokio::test]
    async fn what_is_not_there_is_said() {
        let test = TestState::with_resources().await;
        let owner = test.resource_owner();
        let path = |resource| format!("{}/policy", story::resource(resource));
        test.get(&path("internal"), &owner).await.expect_code(404, "policy_unknown");
        test.get(&path("unknown"), &owner).await.expect_code(404, "resource_unknown");
        test.get(&format!("{}/versions", path("unknown")), &owner).await.expect_code(404, "resource_unknown");
        test.get(&format!("{}?version=9", path("vat")), &owner).await.expect_code(404, "policy_unknown");
        test.get(&format!("{}?version=x", path("vat")), &owner).await.expect_code(400, "query_invalid");
        assert_eq!(
            test.get(&format!("{}/versions", path("internal")), &owner).await.expect(200),
            json!({ "versions": [] })
        );
        test.get(&path("vat"), &test.vendor()).await.expect_code(403, "insufficient_scope");
    }
}
