//! `PUT /portvakt/v1/providers/{provider}/resources/{resource}`: what the resource is called, whether rights on it can be
//! delegated, and whether it is for the members of access lists only. Its policy is put apart.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use policies::id::{ProviderId, ResourceId};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::model::built_in::BuiltInResource;
use super::model::{AccessListId, AccessListMode};
use super::store;
use crate::caller::ResourceOwner;
use crate::fields::{LocalizedText, NAME_CHARS_MAX, text};
use crate::json::OwnJson;
use crate::openapi::{self, own};
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::state::AppState;
use crate::store::Connection;

/// Most access lists of one resource.
const ACCESS_LISTS_MAX: usize = 32;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = PutResource)]
pub(super) struct Body {
    title: TitleBody,
    delegable: bool,
    /// Absent: as they are, so that nobody opens a resource by not knowing of them.
    #[schema(value_type = Option<Vec<String>>)]
    access_lists: Option<BTreeSet<AccessListId>>,
    #[schema(value_type = Option<String>, example = "disabled")]
    access_list_mode: Option<AccessListMode>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ResourceTitle)]
struct TitleBody {
    nb: String,
    nn: String,
    en: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct ResourceInPath {
    pub(super) resource: ResourceId,
}

/// A resource: its title, whether rights on it can be delegated, its access lists.
#[utoipa::path(
    put, path = "/portvakt/v1/providers/{provider}/resources/{resource}", operation_id = "putResource", tag = openapi::PROVIDERS,
    security(("maskinporten" = ["portvakt:resources.write"])),
    request_body = Body,
    responses(
        (status = 201, body = own::Resource),
        (status = 200, description = "It was there already", body = own::Resource),
        (status = 404, description = "`provider_unknown`"),
        (status = 409, description = "`resource_other_provider`"),
    ),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    owner: ResourceOwner,
    PathOf(ResourceInPath { resource: id }): PathOf<ResourceInPath>,
    OwnJson(body): OwnJson<Body>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let title = LocalizedText {
        nb: text("title.nb", &body.title.nb, NAME_CHARS_MAX)?,
        nn: text("title.nn", &body.title.nn, NAME_CHARS_MAX)?,
        en: text("title.en", &body.title.en, NAME_CHARS_MAX)?,
    };
    let mut change = state.store.change().await?;
    let existing = store::find(change.connection(), &id).await?;
    let is_others = existing.as_ref().is_some_and(|resource| resource.provider != owner.provider);
    if is_others || BuiltInResource::is_id(&id) {
        return Err(codes::RESOURCE_OTHER_PROVIDER.into());
    }
    check_access_lists(change.connection(), &owner.provider, body.access_lists.as_ref()).await?;
    store::upsert(change.connection(), &owner.provider, &id, &title, body.delegable).await?;
    let (lists, mode) = store::set_access_lists(
        change.connection(),
        &owner.provider,
        &id,
        body.access_lists.as_ref(),
        body.access_list_mode,
    )
    .await?;
    let log = json!({
        "resource": id, "provider": owner.provider, "delegable": body.delegable, "accessLists": lists,
        "accessListMode": mode, "by": owner.organization,
    });
    change.commit(state.clock.now(), "resource_stored", log).await?;
    let status = if existing.is_none() { StatusCode::CREATED } else { StatusCode::OK };
    let answer = json!({
        "id": id, "title": title, "delegable": body.delegable, "accessLists": lists, "accessListMode": mode,
    });
    Ok((status, Json(answer)))
}

/// Refuses lists that the provider does not have.
async fn check_access_lists(
    connection: &mut Connection,
    provider: &ProviderId,
    lists: Option<&BTreeSet<AccessListId>>,
) -> Result<(), Problem> {
    let invalid = |detail: String| Problem::new(codes::FIELD_INVALID).detail(detail);
    if lists.is_some_and(|lists| lists.len() > ACCESS_LISTS_MAX) {
        return Err(invalid(format!("`accessLists`: at most {ACCESS_LISTS_MAX}")));
    }
    for list in lists.into_iter().flatten() {
        if store::find_access_list(connection, provider, list).await?.is_none() {
            return Err(invalid(format!("`accessLists`: there is no list `{}`", list.as_str())));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::{TestState, story, tokens};

    #[tokio::test]
    async fn the_provider_stores_its_resources() {
        let test = TestState::with_resources().await;
        let body = json!({ "title": { "nb": "a", "nn": "b", "en": "c" }, "delegable": true });
        test.put(&story::resource("new"), &test.resource_owner(), &body).await.expect(201);
        test.put(&story::resource("new"), &test.resource_owner(), &body).await.expect(200);
        for wrong in [json!({}), json!({ "title": { "nb": "a" }, "delegable": true }), json!([])] {
            test.put(&story::resource("new"), &test.resource_owner(), &wrong).await.expect_code(400, "json_invalid");
        }
        test.put(&story::resource("a%20b"), &test.resource_owner(), &body).await.expect_code(400, "path_invalid");
    }

    #[tokio::test]
    async fn nobody_stores_anothers_resources() {
        let test = TestState::with_resources().await;
        let body = json!({ "title": { "nb": "a", "nn": "b", "en": "c" }, "delegable": true });
        let scope = "portvakt:resources.write";
        let stranger = tokens::Maskinporten::new("310247065", scope).token(&test);
        test.put(&story::resource("vat"), &stranger, &body).await.expect_code(403, "provider_not_owned");
        let unknown = "/portvakt/v1/providers/unknown/resources/vat";
        test.put(unknown, &test.resource_owner(), &body).await.expect_code(404, "provider_unknown");

        let other = json!({ "organizationNumber": "310247065", "name": "Other" });
        test.put("/portvakt/v1/providers/other", &test.operator(), &other).await.expect(201);
        let path = "/portvakt/v1/providers/other/resources/vat";
        test.put(path, &stranger, &body).await.expect_code(409, "resource_other_provider");
    }
}
