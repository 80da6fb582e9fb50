//! `PUT /portvakt/v1/providers/{provider}/resources/{resource}/policy?semantics`: the resource's XACML policy, read as
//! Altinn does (`altinn`, the default) or as the standard says (`standard`). Each is kept as a version. The answer tells what
//! the linter finds; no finding is a reason to refuse a policy.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{FromRequest, Request, State};
use policies::id::ResourceId;
use policies::xacml::lint::{Finding, LintCatalogue, lint};
use policies::xacml::{self, ResourcePolicy, Semantics, XacmlError};
use serde_json::{Value, json};

use super::model::{parse_semantics, semantics_name};
use super::put_resource::ResourceInPath;
use super::store;
use crate::access_packages;
use crate::caller::ResourceOwner;
use crate::json::{body_bytes, media_type};
use crate::openapi::{self, own};
use crate::parameters::{PathOf, Query};
use crate::problem::{Problem, codes};
use crate::service::beside;
use crate::state::AppState;

/// Most findings that are told.
const FINDINGS_MAX: usize = 200;

/// A body of XML, as text.
pub(super) struct Xml(String);

impl FromRequest<AppState> for Xml {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        let is_xml = media_type(request.headers()).is_some_and(|media_type| {
            matches!(media_type.as_str(), "application/xml" | "text/xml" | "application/xacml+xml")
        });
        if !is_xml {
            return Err(Problem::new(codes::MEDIA_TYPE).detail("expected `application/xml`"));
        }
        let bytes = body_bytes(request, state).await?;
        String::from_utf8(bytes.into()).map(Self).map_err(|_| Problem::new(codes::POLICY_INVALID).detail("not UTF-8"))
    }
}

/// The resource's XACML policy. Each is kept as a version; what the linter finds refuses nothing.
#[utoipa::path(
    put, path = "/portvakt/v1/providers/{provider}/resources/{resource}/policy", operation_id = "putPolicy", tag = openapi::PROVIDERS,
    security(("maskinporten" = ["portvakt:resources.write"])),
    params(("semantics" = Option<String>, Query, description = "`altinn` (the default) or `standard`")),
    request_body(content = String, content_type = "application/xml"),
    responses((status = 200, body = own::StoredPolicy), (status = 404, description = "`provider_unknown`, `resource_unknown`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    owner: ResourceOwner,
    PathOf(ResourceInPath { resource: id }): PathOf<ResourceInPath>,
    query: Query,
    Xml(xml): Xml,
) -> Result<Json<Value>, Problem> {
    let semantics = query.parsed("semantics", parse_semantics)?.unwrap_or(Semantics::Altinn);
    let resource = id.clone();
    let (xml, looked_at) = beside(move || {
        let looked_at = look_at(&xml, &resource, semantics);
        (xml, looked_at)
    })
    .await?;
    let (policy, findings) = looked_at?;
    let mut change = state.store.change().await?;
    store::find(change.connection(), &id)
        .await?
        .filter(|resource| resource.provider == owner.provider)
        .ok_or(codes::RESOURCE_UNKNOWN)?;
    let now = state.clock.now();
    let version = store::replace_policy(change.connection(), &id, &xml, semantics, now).await?;
    // Another resource's policy that cannot be read any more is no reason to refuse this one.
    let catalogue = store::catalogue(change.connection(), &owner.provider).await?;
    catalogue.check().map_err(|errors| super::put_routes::refused(codes::POLICY_REFUSED, &errors))?;
    let mut answer = json!({
        "resource": id,
        "version": version,
        "semantics": semantics_name(semantics),
        "actions": policy.actions(),
        "minimumAuthenticationLevel": policy.minimum_authentication_level(),
    });
    let log = json!({ "policy": answer, "provider": owner.provider, "by": owner.organization });
    change.commit(now, "policy_stored", log).await?;
    if let Some(answer) = answer.as_object_mut() {
        let told: Vec<_> = findings.iter().take(FINDINGS_MAX).map(finding_json).collect();
        answer.insert("findings".to_owned(), json!(told));
        answer.insert("findingCount".to_owned(), json!(findings.len()));
    }
    Ok(Json(answer))
}

/// The policy as gateways enforce it, if it can be read and is the resource's; and what is probably not meant in it.
fn look_at(xml: &str, resource: &ResourceId, semantics: Semantics) -> Result<(ResourcePolicy, Vec<Finding>), Problem> {
    let refused = |error: XacmlError| {
        Problem::new(codes::POLICY_INVALID)
            .detail(&error.message)
            .member("line", error.line)
            .member("reason", error.code)
    };
    let policy = ResourcePolicy::read(xml.as_bytes(), resource, semantics).map_err(refused)?;
    let document = xacml::parse("policy.xml", xml.as_bytes()).map_err(|error| refused(error.into()))?;
    // Which role codes there are is not known here: the catalogue has those of the register only.
    let known =
        LintCatalogue { packages: access_packages::names().map(str::to_owned).collect(), roles: BTreeSet::new() };
    let findings = lint(&document, Some(resource), &known);
    Ok((policy, findings))
}

fn finding_json(finding: &Finding) -> Value {
    json!({
        "code": finding.code,
        "severity": finding.severity.as_str(),
        "line": finding.line,
        "message": finding.message,
        "why": finding.why,
        "fix": finding.fix,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::{TestState, story};

    #[tokio::test]
    async fn a_policy_is_stored_and_says_its_actions() {
        let test = TestState::with_resources().await;
        let path = format!("{}/policy", story::resource("vat"));
        let xml = story::policy("vat", &["read", "write"], &[]);
        let answer = test.put_xml(&path, &test.resource_owner(), &xml).await.expect(200);
        assert_eq!(answer["actions"], json!(["read", "write"]));
    }

    #[tokio::test]
    async fn what_is_probably_not_meant_is_told_and_the_policy_stored() {
        let test = TestState::with_resources().await;
        let path = format!("{}/policy", story::resource("vat"));
        let xml = story::policy("vat", &["read"], &["urn:altinn:accesspackage:skattnaering"]);
        let answer = test.put_xml(&path, &test.resource_owner(), &xml).await.expect(200);
        let findings = answer["findings"].as_array().unwrap();
        let finding = findings.iter().find(|one| one["code"] == "package_unknown").unwrap();
        assert_eq!((&finding["severity"], &finding["line"]), (&json!("warning"), &json!(1)), "{finding}");
        for member in ["message", "why", "fix"] {
            assert!(!finding[member].as_str().unwrap().is_empty(), "{finding}");
        }
        let known = story::policy("vat", &["read"], &[story::PACKAGE]);
        let answer = test.put_xml(&path, &test.resource_owner(), &known).await.expect(200);
        assert_eq!(answer["version"], json!(3));
        assert!(answer["findings"].as_array().unwrap().iter().all(|one| one["code"] != "package_unknown"));
        // Of many only the first are told.
        let (before, rule) = xml.split_once("<Rule RuleId=\"1\"").unwrap();
        let rule = rule.strip_suffix("</Policy>").unwrap();
        let rules: String = (0..210).map(|at| format!("<Rule RuleId=\"{at}\"{rule}")).collect();
        let large = format!("{before}{rules}</Policy>");
        let answer = test.put_xml(&path, &test.resource_owner(), &large).await.expect(200);
        assert_eq!(answer["findings"].as_array().unwrap().len(), super::FINDINGS_MAX);
        assert!(answer["findingCount"].as_u64().unwrap() >= 210, "{}", answer["findingCount"]);
    }

    #[tokio::test]
    async fn a_wrong_policy_is_refused_with_its_line() {
        let test = TestState::with_resources().await;
        let before = test.state.store.revision().await.unwrap();
        let path = format!("{}/policy", story::resource("vat"));
        let owner = test.resource_owner();
        for xml in ["", "no xml", "<a/>", "<a>", "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>"] {
            let answer = test.put_xml(&path, &owner, xml).await;
            assert!(answer.json["line"].is_u64(), "{xml}: {}", answer.json);
            answer.expect_code(400, "policy_invalid");
        }
        let other = story::policy("annual-accounts", &["read"], &[]);
        test.put_xml(&path, &owner, &other).await.expect_code(400, "policy_invalid");
        let xml = story::policy("vat", &["read"], &[]);
        test.put(&path, &owner, &json!({})).await.expect_code(415, "media_type_unsupported");
        test.put_xml(&format!("{path}?semantics=xacml"), &owner, &xml).await.expect_code(400, "query_invalid");
        let unknown = format!("{}/policy", story::resource("unknown"));
        test.put_xml(&unknown, &owner, &story::policy("unknown", &["read"], &[]))
            .await
            .expect_code(404, "resource_unknown");
        test.put_xml(&path, &test.vendor(), &xml).await.expect_code(403, "insufficient_scope");
        assert_eq!(test.state.store.revision().await.unwrap(), before);
    }

    #[tokio::test]
    async fn a_policy_that_takes_a_routes_action_away_is_refused() {
        let test = TestState::with_resources().await;
        let path = format!("{}/policy", story::resource("vat"));
        let xml = story::policy("vat", &["write"], &[]);
        test.put_xml(&path, &test.resource_owner(), &xml).await.expect_code(400, "policy_refused");
    }
}
