//! `POST /systemuser/request/vendor`: a vendor asks a customer for a standard system user.
//!
//! Asking again for the same system, customer and reference gives the request that is already there.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use policies::Timestamp;
use policies::id::{OrganizationNumber, SystemId};
use serde::Deserialize;
use serde_json::json;

use super::model::{RequestId, Status, SystemUserRequest};
use super::{current, store};
use crate::base_url::BaseUrl;
use crate::caller::{RequestWrite, Vendor};
use crate::fields::{NAME_CHARS_MAX, text};
use crate::json::AltinnJson;
use crate::openapi::{self, altinn};
use crate::problem::{Problem, codes};
use crate::right::{AccessPackageBody, RightBody};
use crate::state::AppState;
use crate::store::{Change, Connection};
use crate::system_users::model::SystemUserKind;
use crate::systems::model::System;
use crate::{parties, requested, system_users, systems};

#[derive(Debug, Deserialize)]
pub(super) struct Body {
    #[serde(flatten)]
    asked: Asked,
    #[serde(default)]
    rights: Vec<RightBody>,
    #[serde(default, rename = "accesspackages")]
    access_packages: Vec<AccessPackageBody>,
}

/// A vendor asks a customer for a system user. Asking again gives the request that is there already.
#[utoipa::path(
    post, path = "/authentication/api/v1/systemuser/request/vendor", operation_id = "createRequest", tag = openapi::REQUESTS,
    security(("maskinporten" = ["altinn:authentication/systemuser.request.write"])),
    request_body = altinn::CreateRequestSystemUser,
    responses(
        (status = 201, description = "`Location` is the request", body = altinn::RequestSystemResponse),
        (status = 200, description = "It was there already", body = altinn::RequestSystemResponse),
        (status = 404, description = "`AUTH-00011`"),
    ),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: Vendor<RequestWrite>,
    base: BaseUrl,
    AltinnJson(body): AltinnJson<Body>,
) -> Result<Answer, Problem> {
    let now = state.clock.now();
    let mut change = state.store.change().await?;
    let connection = change.connection();
    let (system, request) = match begun(&state, connection, &caller, &body.asked, SystemUserKind::Standard).await? {
        Begun::There(existing) => return Ok(answer(&state, &base, StatusCode::OK, &existing, now)),
        Begun::New(new) => *new,
    };
    let request = SystemUserRequest {
        rights: requested::rights(connection, &system, &body.rights).await?,
        access_packages: requested::standard_packages(&system, &body.access_packages)?,
        ..request
    };
    requested::require_to_come(&request.rights, now)?;
    if request.rights.is_empty() && request.access_packages.is_empty() {
        return Err(codes::NOTHING_REQUESTED.into());
    }
    created(&state, &base, change, &caller, &request).await
}

/// What a vendor says in a request for a system user of either kind.
#[derive(Debug, Deserialize)]
pub(in crate::requests) struct Asked {
    #[serde(rename = "integrationtitle")]
    integration_title: Option<String>,
    #[serde(rename = "externalref")]
    external_ref: Option<String>,
    #[serde(default, rename = "systemid")]
    system_id: String,
    #[serde(default, rename = "partyorgno")]
    party: String,
    #[serde(rename = "redirecturl")]
    redirect_url: Option<String>,
    #[serde(rename = "validto")]
    valid_to: Option<String>,
}

/// What comes of it.
pub(in crate::requests) enum Begun {
    There(Box<SystemUserRequest>),
    /// A request of the system that asks for nothing yet.
    New(Box<(System, SystemUserRequest)>),
}

/// Looks at everything but what is asked for.
pub(in crate::requests) async fn begun(
    state: &AppState,
    connection: &mut Connection,
    caller: &Vendor<RequestWrite>,
    asked: &Asked,
    kind: SystemUserKind,
) -> Result<Begun, Problem> {
    let now = state.clock.now();
    let system = own_system(connection, caller, &asked.system_id).await?;
    let party = registered_party(connection, &asked.party).await?;
    let external_ref = match asked.external_ref.as_deref() {
        None | Some("") => party.to_string(),
        Some(reference) => text("externalRef", reference, NAME_CHARS_MAX)?,
    };
    if system_users::store::find_live(connection, party, &system.id, &external_ref).await?.is_some() {
        return Err(codes::SYSTEM_USER_EXISTS.into());
    }
    if let Some(existing) = reusable(connection, party, &system.id, &external_ref, now).await? {
        require_kind(&existing, kind, now)?;
        return Ok(Begun::There(Box::new(existing)));
    }
    let redirect_url = asked.redirect_url.as_deref().filter(|url| !url.is_empty());
    let request = SystemUserRequest {
        id: RequestId(state.ids.uuid().map_err(Problem::internal)?),
        kind,
        system: system.id.clone(),
        party,
        external_ref,
        integration_title: match asked.integration_title.as_deref() {
            None | Some("") => system.name.nb.clone(),
            Some(title) => text("integrationTitle", title, NAME_CHARS_MAX)?,
        },
        redirect_url: redirect_url.map(|url| requested::redirect_url(&system, url)).transpose()?,
        rights: Vec::new(),
        access_packages: Vec::new(),
        created_at: now,
        valid_to: valid_to(asked.valid_to.as_deref(), now)?,
        is_escalated: false,
        decision: None,
    };
    Ok(Begun::New(Box::new((system, request))))
}

/// Stores the request and answers.
pub(in crate::requests) async fn created(
    state: &AppState,
    base: &BaseUrl,
    mut change: Change,
    caller: &Vendor<RequestWrite>,
    request: &SystemUserRequest,
) -> Result<Answer, Problem> {
    store::insert(change.connection(), request).await?;
    let log = json!({
        "request": request.id, "kind": request.kind, "system": request.system, "party": request.party,
        "by": caller.organization(),
    });
    change.commit(request.created_at, "system_user_requested", log).await?;
    Ok(answer(state, base, StatusCode::CREATED, request, request.created_at))
}

pub(in crate::requests) type Answer = (StatusCode, [(HeaderName, String); 1], Json<serde_json::Value>);

pub(in crate::requests) fn answer(
    state: &AppState,
    base: &BaseUrl,
    status: StatusCode,
    request: &SystemUserRequest,
    now: Timestamp,
) -> Answer {
    let kind = match request.kind {
        SystemUserKind::Standard => "",
        SystemUserKind::Agent => "agent/",
    };
    let location = format!("{}authentication/api/v1/systemuser/request/{kind}{}", **base, request.id);
    (status, [(header::LOCATION, location)], Json(request.json(&state.settings.public_url, now)))
}

/// When what is asked for ends by itself: an instant in the future.
fn valid_to(text: Option<&str>, now: Timestamp) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let valid_to = Timestamp::parse_rfc3339(text).ok().filter(|valid_to| *valid_to > now);
    let wrong = || Problem::new(codes::FIELD_INVALID).detail("`validTo` is not an instant in the future (RFC 3339)");
    valid_to.map(Some).ok_or_else(wrong)
}

async fn own_system<A>(connection: &mut Connection, caller: &Vendor<A>, id: &str) -> Result<System, Problem> {
    let id = SystemId::parse(id).map_err(|_| codes::SYSTEM_NOT_FOUND)?;
    let system =
        systems::store::find(connection, &id).await?.filter(System::is_offered).ok_or(codes::SYSTEM_NOT_FOUND)?;
    if !caller.may_act_for(system.vendor) {
        return Err(codes::VENDOR_NOT_OWNER_OF_REQUESTED.into());
    }
    Ok(system)
}

async fn registered_party(connection: &mut Connection, text: &str) -> Result<OrganizationNumber, Problem> {
    let party = OrganizationNumber::parse(text)
        .map_err(|error| Problem::new(codes::PARTY_NOT_RESOLVED).detail(error.to_string()))?;
    if !parties::store::is_registered(connection, party).await? {
        return Err(codes::PARTY_NOT_RESOLVED.into());
    }
    Ok(party)
}

/// The request that answers this one. One that is over or timed out is archived to make room.
async fn reusable(
    connection: &mut Connection,
    party: OrganizationNumber,
    system: &SystemId,
    external_ref: &str,
    now: Timestamp,
) -> Result<Option<SystemUserRequest>, sqlx::Error> {
    let Some(request) = store::find_by_reference(connection, party, system, external_ref).await? else {
        return Ok(None);
    };
    if request.status(now) == Status::Timedout || current::is_over(connection, &request).await? {
        store::archive(connection, request.id, now).await?;
        return Ok(None);
    }
    Ok(Some(request))
}

/// One reference is one system user, of one kind: the other kind's request is in the way.
fn require_kind(existing: &SystemUserRequest, kind: SystemUserKind, now: Timestamp) -> Result<(), Problem> {
    if existing.kind == kind {
        return Ok(());
    }
    let code = match existing.status(now) {
        Status::Rejected => codes::REFERENCE_REJECTED,
        Status::Accepted => codes::REFERENCE_ACCEPTED,
        Status::New | Status::Timedout => codes::REFERENCE_PENDING,
    };
    Err(Problem::new(code).detail(format!("a request for a system user of type {}", existing.kind.code())))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::requests::model::LIFETIME_DAYS;
    use crate::test_state::{Answer, TestState, story, tokens};

    async fn requested_with(test: &TestState, member: &str, value: Value) -> Answer {
        let mut body = story::request();
        body[member] = value;
        test.post(story::REQUESTS, &test.vendor(), &body).await
    }

    #[tokio::test]
    async fn a_request_is_created_with_its_location() {
        let test = TestState::with_system().await;
        let answer = test.post(story::REQUESTS, &test.vendor(), &story::request()).await;
        let location = answer.headers["location"].clone();
        let request = answer.expect(201);
        let id = request["id"].as_str().unwrap();
        assert_eq!(location, format!("http://portvakt.test/authentication/api/v1/systemuser/request/{id}"));
        let mut expected = story::request();
        for (member, value) in [
            ("id", json!(id)),
            ("externalRef", json!("310247049")),
            ("status", json!("New")),
            (
                "confirmUrl",
                json!(format!(
                    "http://portvakt.test/accessmanagement/ui/systemuser/request?id={id}&DONTCHOOSEREPORTEE=true"
                )),
            ),
            ("escalated", json!(false)),
            ("created", json!(test.clock.text())),
            ("timedOut", json!(false)),
        ] {
            expected[member] = value;
        }
        assert_eq!(request, expected);
    }

    #[tokio::test]
    async fn the_same_request_is_the_same_request() {
        let test = TestState::with_system().await;
        let first = test.post(story::REQUESTS, &test.vendor(), &story::request()).await.expect(201);
        let before = test.state.store.revision().await.unwrap();
        let second = test.post(story::REQUESTS, &test.vendor(), &story::request()).await.expect(200);
        assert_eq!(first, second);
        assert_eq!(test.state.store.revision().await.unwrap(), before);
        let other = requested_with(&test, "externalRef", json!("other")).await.expect(201);
        assert_ne!(first["id"], other["id"]);
    }

    #[tokio::test]
    async fn two_at_once_make_one_request() {
        let test = TestState::with_system().await;
        let (vendor, body) = (test.vendor(), story::request());
        let (one, two) =
            tokio::join!(test.post(story::REQUESTS, &vendor, &body), test.post(story::REQUESTS, &vendor, &body));
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 201]);
        assert_eq!(one.json["id"], two.json["id"]);
    }

    #[tokio::test]
    async fn an_accepted_request_bars_another_and_a_timed_out_one_does_not() {
        let test = TestState::with_request().await;
        test.approve().await;
        test.post(story::REQUESTS, &test.vendor(), &story::request()).await.expect_code(400, "AUTH-00004");

        let test = TestState::with_request().await;
        let old = test.request_id().await;
        test.clock.advance_seconds(LIFETIME_DAYS * 86_400);
        let seen = test.get(&format!("{}/{old}", story::REQUESTS), &test.vendor()).await.expect(200);
        assert_eq!((&seen["status"], &seen["timedOut"]), (&json!("Timedout"), &json!(true)));
        let new = test.post(story::REQUESTS, &test.vendor(), &story::request()).await.expect(201);
        assert_ne!(new["id"], old);
        test.get(&format!("{}/{old}", story::REQUESTS), &test.vendor()).await.expect_code(404, "AUTH-00010");
    }

    #[tokio::test]
    async fn every_wrong_request_has_its_code_and_nothing_is_stored() {
        let test = TestState::with_system().await;
        let before = test.state.store.revision().await.unwrap();
        let right = |resource: &str| json!([{ "resource": [{ "id": "urn:altinn:resource", "value": resource }] }]);
        for (member, value, status, code) in [
            ("systemId", json!("310247030_other"), 404, "AUTH-00011"),
            ("systemId", json!(null), 404, "AUTH-00011"),
            ("partyOrgNo", json!("310247048"), 400, "AUTH-00000"),
            ("partyOrgNo", json!("310247065"), 400, "AUTH-00000"),
            ("partyOrgNo", json!(null), 400, "AUTH-00000"),
            ("partyOrgNo", json!(310247049), 400, "json_invalid"),
            ("rights", right("internal"), 400, "AUTH-00001"),
            ("rights", right("unknown"), 400, "AUTH-00001"),
            ("rights", json!([{ "action": "fly", "resource": right("vat")[0]["resource"] }]), 400, "AUTH-00001"),
            ("rights", json!([{ "resource": [] }]), 400, "AUTH-00001"),
            ("accessPackages", json!([{ "urn": "urn:altinn:accesspackage:skatt-naering" }]), 400, "AUTH-00063"),
            ("accessPackages", json!([{ "urn": "regnskap" }]), 400, "AUTH-00063"),
            ("redirectUrl", json!("https://evil.no/done"), 400, "AUTH-00021"),
            ("redirectUrl", json!("https://smartcloud.no:8443/done"), 400, "AUTH-00021"),
            ("redirectUrl", json!("http://smartcloud.no/done"), 400, "AUTH-00021"),
            ("redirectUrl", json!("https://user@smartcloud.no/done"), 400, "AUTH-00021"),
            ("redirectUrl", json!("https://smartcloud.no/DONE"), 400, "AUTH-00021"),
            ("redirectUrl", json!("https://smartcloud.no/done/"), 400, "AUTH-00021"),
            ("redirectUrl", json!("https://smartcloud.no/done/../other"), 400, "AUTH-00021"),
            ("redirectUrl", json!("https://smartcloud.no/done#token"), 400, "AUTH-00021"),
            ("redirectUrl", json!("https://smartcloud.no.evil.no/done"), 400, "AUTH-00021"),
            ("redirectUrl", json!("https://smartcloud.no\\@evil.no/done"), 400, "AUTH-00021"),
            ("redirectUrl", json!("https:smartcloud.no/done"), 400, "AUTH-00021"),
            ("redirectUrl", json!("//smartcloud.no/done"), 400, "AUTH-00021"),
            ("redirectUrl", json!("javascript:alert(1)"), 400, "AUTH-00021"),
            ("redirectUrl", json!(format!("https://smartcloud.no/done?{}", "x".repeat(2000))), 400, "AUTH-00021"),
            ("rights", json!(vec![right("vat")[0].clone(); 1001]), 400, "field_invalid"),
            ("externalRef", json!("x".repeat(256)), 400, "field_invalid"),
            ("integrationTitle", json!("x".repeat(256)), 400, "field_invalid"),
        ] {
            requested_with(&test, member, value).await.expect_code(status, code);
        }
        let nothing = json!({ "systemId": "310247030_smartcloud", "partyOrgNo": "310247049", "rights": [], "accessPackages": [] });
        test.post(story::REQUESTS, &test.vendor(), &nothing).await.expect_code(400, "AUTH-00059");
        assert_eq!(test.state.store.revision().await.unwrap(), before);
    }

    #[tokio::test]
    async fn an_empty_redirect_url_is_none() {
        let test = TestState::with_system().await;
        let request = requested_with(&test, "redirectUrl", json!("")).await.expect(201);
        assert_eq!(request["redirectUrl"], Value::Null);
    }

    #[tokio::test]
    async fn rights_may_name_one_action_and_redirects_may_add_a_query() {
        let test = TestState::with_system().await;
        let mut body = story::request();
        body["rights"] = json!([{ "action": "read", "resource": [{ "id": "urn:altinn:resource", "value": "vat" }] }]);
        body["redirectUrl"] = json!("HTTPS://SmartCloud.no:443/done?customer=7");
        let request = test.post(story::REQUESTS, &test.vendor(), &body).await.expect(201);
        assert_eq!((&request["rights"], &request["redirectUrl"]), (&body["rights"], &body["redirectUrl"]));
    }

    #[tokio::test]
    async fn client_packages_and_systems_without_redirects() {
        let test = TestState::with_resources().await;
        let mut system = story::system();
        let package = json!([{ "urn": "urn:altinn:accesspackage:ansvarlig-revisor" }]);
        system["accessPackages"] = package.clone();
        system["isVisible"] = json!(false);
        system["allowedRedirectUrls"] = json!([]);
        test.post(story::SYSTEMS, &test.vendor(), &system).await.expect(200);
        requested_with(&test, "accessPackages", package).await.expect_code(400, "AUTH-00026");
        let body = json!({ "systemId": "310247030_smartcloud", "partyOrgNo": "310247049", "accessPackages": system["accessPackages"] });
        test.post(story::REQUESTS, &test.vendor(), &body).await.expect_code(400, "AUTH-00064");
    }

    #[tokio::test]
    async fn only_the_systems_vendor_asks() {
        let test = TestState::with_system().await;
        let foreign = tokens::Maskinporten::vendor("310247065").token(&test);
        test.post(story::REQUESTS, &foreign, &story::request()).await.expect_code(401, "vendor_not_owner_of_requested");
        let reader =
            tokens::Maskinporten::new("310247030", "altinn:authentication/systemuser.request.read").token(&test);
        test.post(story::REQUESTS, &reader, &story::request()).await.expect_code(403, "insufficient_scope");
    }
}
