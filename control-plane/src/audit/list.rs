//! `GET /portvakt/v1/audit` and `GET /portvakt/v1/parties/{party}/audit`: changes, the newest first.

use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policies::id::OrganizationNumber;
use serde_json::{Value, json};
use url::Url;

use super::store;
use crate::base_url::BaseUrl;
use crate::caller::{AccessManagementRead, Operator, PartyAccess};
use crate::openapi::{self, own};
use crate::parameters::Query;
use crate::problem::Problem;
use crate::state::AppState;

const PAGE_ENTRIES: i64 = 50;

/// All changes, the newest first.
#[utoipa::path(
    get, path = "/portvakt/v1/audit", operation_id = "listAudit", tag = openapi::EVENTS,
    security(("maskinporten" = ["portvakt:operator"])),
    params(
        ("kind" = Option<String>, Query, description = "Changes of this kind only"),
        ("token" = Option<String>, Query, description = "From `links.next`"),
    ),
    responses((status = 200, body = own::AuditPage)),
)]
pub(super) async fn for_operator(
    State(state): State<AppState>,
    _operator: Operator,
    query: Query,
    base: BaseUrl,
) -> Result<Json<Value>, Problem> {
    page(&state, &query, (&base, "portvakt/v1/audit"), None).await
}

/// Changes that concern the organisation, the newest first.
#[utoipa::path(
    get, path = "/portvakt/v1/parties/{party}/audit", operation_id = "listPartyAudit", tag = openapi::EVENTS,
    security(("user" = ["altinn:portal/enduser"])),
    params(
        ("kind" = Option<String>, Query, description = "Changes of this kind only"),
        ("token" = Option<String>, Query, description = "From `links.next`"),
    ),
    responses((status = 200, body = own::AuditPage)),
)]
pub(super) async fn for_party(
    State(state): State<AppState>,
    caller: PartyAccess<AccessManagementRead>,
    query: Query,
    base: BaseUrl,
) -> Result<Json<Value>, Problem> {
    let path = format!("portvakt/v1/parties/{}/audit", caller.party.id);
    page(&state, &query, (&base, &path), Some(caller.organization())).await
}

async fn page(
    state: &AppState,
    query: &Query,
    (base, path): (&BaseUrl, &str),
    party: Option<OrganizationNumber>,
) -> Result<Json<Value>, Problem> {
    let before = query.parsed("token", revision)?.unwrap_or(i64::MAX);
    let kind = query.text("kind").unwrap_or_default();
    let mut connection = state.store.read().await?;
    let mut entries = store::before(&mut connection, before, kind, party, PAGE_ENTRIES + 1).await?;
    let mut links = json!({});
    if entries.len() > PAGE_ENTRIES as usize {
        entries.pop();
        if let (Some(last), Some(links)) = (entries.last(), links.as_object_mut()) {
            let mut next = Url::clone(base);
            next.set_path(&format!("{}{path}", base.path()));
            let mut pairs = next.query_pairs_mut();
            pairs.append_pair("token", &URL_SAFE_NO_PAD.encode(last.revision.to_string()));
            if !kind.is_empty() {
                pairs.append_pair("kind", kind);
            }
            drop(pairs);
            links.insert("next".to_owned(), next.as_str().into());
        }
    }
    Ok(Json(json!({ "links": links, "data": entries })))
}

/// The revision in a page's token.
fn revision(token: &str) -> Result<i64, &'static str> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.and_then(|text| text.parse().ok()).ok_or("no token of ours")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::{TestState, story};

    const AUDIT: &str = "/portvakt/v1/audit";
    const OF_HANSEN: &str = "/portvakt/v1/parties/50000001/audit";

    #[tokio::test]
    async fn operators_see_who_did_what_and_by_what_right() {
        let test = TestState::with_request().await;
        let id = test.approve().await;
        let page = test.get(AUDIT, &test.operator()).await.expect(200);
        let newest = &page["data"][0];
        assert_eq!((&newest["kind"], &newest["at"]), (&json!("request_approved"), &json!(test.clock.text())));
        assert_eq!(newest["change"]["request"], id);
        assert_eq!(newest["change"]["by"], story::HANSENS_MANAGER);
        assert!(newest["basis"].as_str().unwrap().contains("altinn_access_management"));
        let of_kind = test.get(&format!("{AUDIT}?kind=provider_stored"), &test.operator()).await.expect(200);
        assert_eq!(of_kind["data"].as_array().unwrap().len(), 1);
        test.get(AUDIT, &test.vendor()).await.expect_code(403, "insufficient_scope");
        test.get(&format!("{AUDIT}?token=x"), &test.operator()).await.expect_code(400, "query_invalid");
    }

    #[tokio::test]
    async fn pages_follow_each_other_without_gaps() {
        let test = TestState::new().await;
        for _ in 0..120 {
            test.put("/portvakt/v1/parties", &test.operator(), &json!({})).await.expect(200);
        }
        let (mut path, mut seen) = (AUDIT.to_owned(), Vec::new());
        loop {
            let page = test.get(&path, &test.operator()).await.expect(200);
            seen.extend(page["data"].as_array().unwrap().iter().map(|entry| entry["revision"].as_i64().unwrap()));
            let Some(next) = page["links"]["next"].as_str() else { break };
            path = next.strip_prefix("http://portvakt.test").unwrap().to_owned();
        }
        let newest = test.state.store.revision().await.unwrap().as_i64();
        assert_eq!(seen, (1..=newest).rev().collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn an_organisation_sees_what_concerns_it_and_nothing_else() {
        let test = TestState::with_request().await;
        test.approve().await;
        test.delete(&format!("{}/310247030_smartcloud", story::SYSTEMS), &test.vendor()).await.expect(200);
        let kinds = async |path: &str, token: String| {
            let page = test.get(path, &token).await.expect(200);
            page["data"].as_array().unwrap().iter().map(|entry| entry["kind"].clone()).collect::<Vec<_>>()
        };
        let seen = kinds(OF_HANSEN, test.administrator_of_hansen()).await;
        assert_eq!(seen, ["system_deleted", "request_approved", "system_user_requested"]);
        let of_bakeri = OF_HANSEN.replace("50000001", "50000002");
        assert_eq!(kinds(&of_bakeri, test.administrator_of_bakeri()).await, Vec::<String>::new());
        test.get(OF_HANSEN, &test.administrator_of_bakeri()).await.expect_code(403, "AUTH-00066");
    }

    #[tokio::test]
    async fn the_database_refuses_to_change_the_log() {
        let test = TestState::with_resources().await;
        for statement in ["UPDATE change_log SET kind = 'x'", "DELETE FROM change_log WHERE revision = 1"] {
            let mut change = test.state.store.change().await.unwrap();
            let refused = sqlx::query(statement).execute(change.connection()).await.unwrap_err();
            assert!(refused.to_string().contains("append-only"), "{refused}");
        }
    }
}
