//! `POST /portvakt/v1/diagnoses/maskinporten`: Maskinporten said MP-303 (`invalid_altinn_customer_configuration`); which of
//! the conditions for `byExternalId` fails, and what cures it.

use axum::Json;
use axum::extract::State;
use policies::id::{MaskinportenClientId, OrganizationNumber};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::caller::VendorOrOperator;
use crate::fields::{NAME_CHARS_MAX, text};
use crate::json::OwnJson;
use crate::openapi;
use crate::problem::{Problem, codes};
use crate::state::AppState;
use crate::store::Connection;
use crate::system_users::model::SystemUser;
use crate::systems::model::System;
use crate::{requests, system_users, systems};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = DiagnoseMaskinporten)]
pub(super) struct Body {
    /// The client that asked Maskinporten for a token: `iss` of its grant.
    #[schema(value_type = String)]
    client_id: MaskinportenClientId,
    /// Whose client it is.
    #[schema(value_type = String, example = "310247030")]
    system_provider_org_no: OrganizationNumber,
    /// `systemuser_org` of the grant.
    #[schema(value_type = String, example = "310247049")]
    system_user_owner_org_no: OrganizationNumber,
    /// `externalRef` of the grant; the owner's number by default.
    external_ref: Option<String>,
}

/// What has to hold for Maskinporten to find a system user, in the order it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) enum Condition {
    /// The client is one of a system's.
    Client,
    /// The system is the vendor's.
    Vendor,
    /// The owner has a system user of the system.
    Owner,
    /// One of them has this reference.
    ExternalRef,
    /// It is not withdrawn.
    NotWithdrawn,
}

/// One condition.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MaskinportenCondition)]
pub(super) struct Finding {
    condition: Condition,
    holds: bool,
    /// What was found.
    found: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    cure: Option<String>,
}

/// Whether Maskinporten finds a system user, and if not why.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Diagnosis {
    found: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = "uuid")]
    system_user_id: Option<String>,
    /// Up to the first that does not hold.
    conditions: Vec<Finding>,
}

impl Diagnosis {
    fn holds(&mut self, condition: Condition, found: impl Into<String>) {
        self.conditions.push(Finding { condition, holds: true, found: found.into(), cure: None });
    }

    fn fails(mut self, condition: Condition, found: impl Into<String>, cure: impl Into<String>) -> Self {
        let cure = Some(cure.into());
        self.conditions.push(Finding { condition, holds: false, found: found.into(), cure });
        self
    }
}

/// Why Maskinporten finds no system user (MP-303), and what cures it.
#[utoipa::path(
    post, path = "/portvakt/v1/diagnoses/maskinporten", operation_id = "diagnoseMaskinporten", tag = openapi::LOOK_UP,
    security(("maskinporten" = ["altinn:authentication/systemuser.request.read"]), ("maskinporten" = ["portvakt:operator"])),
    request_body = Body,
    responses((status = 200, body = Diagnosis)),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: VendorOrOperator,
    OwnJson(body): OwnJson<Body>,
) -> Result<Json<Diagnosis>, Problem> {
    if !caller.may_ask_about(body.system_provider_org_no) {
        return Err(codes::VENDOR_NOT_OWNER.into());
    }
    // What no reference can be is nobody's.
    if let Some(reference) = body.external_ref.as_deref().filter(|reference| !reference.trim().is_empty()) {
        text("externalRef", reference, NAME_CHARS_MAX)?;
    }
    let mut connection = state.store.read().await?;
    Ok(Json(diagnose(&state, &mut connection, &body).await?))
}

async fn diagnose(state: &AppState, connection: &mut Connection, body: &Body) -> Result<Diagnosis, sqlx::Error> {
    let (vendor, owner) = (body.system_provider_org_no, body.system_user_owner_org_no);
    let mut diagnosis = Diagnosis { found: false, system_user_id: None, conditions: Vec::new() };
    let Some(system) = systems::store::live_of_client(connection, &body.client_id).await? else {
        let cure = "add the client id to the system's `clientId` (PUT systemregister/vendor/{systemId}); ids of deleted systems do not count";
        return Ok(diagnosis.fails(Condition::Client, "no live system has this client id", cure));
    };
    if system.vendor != vendor {
        let cure = "use a client id of the vendor's own, or let the other vendor take it off its system";
        return Ok(diagnosis.fails(Condition::Vendor, "the client id is on another vendor's system", cure));
    }
    diagnosis.holds(Condition::Client, format!("the client id is on `{}`", system.id));
    diagnosis.holds(Condition::Vendor, "the system is the vendor's");
    let external_ref = body.external_ref.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let external_ref = external_ref.map_or_else(|| owner.to_string(), str::to_owned);
    let users = system_users::store::of_system_and_owner(connection, &system.id, owner).await?;
    let live: Vec<_> = users.iter().filter(|user| user.withdrawn_at.is_none()).collect();
    let withdrawn = users.iter().rfind(|user| user.withdrawn_at.is_some() && user.external_ref == external_ref);
    let matching = live.iter().find(|user| user.external_ref == external_ref);
    if let Some(user) = matching {
        diagnosis.holds(Condition::Owner, "the owner has system users of this system");
        diagnosis.holds(Condition::ExternalRef, format!("one has the reference `{external_ref}`"));
        diagnosis.holds(Condition::NotWithdrawn, "it is not withdrawn");
        return Ok(Diagnosis { found: true, system_user_id: Some(user.id.to_string()), ..diagnosis });
    }
    let waits = waiting(state, connection, &system, owner, &external_ref).await?;
    if let Some(SystemUser { withdrawn_at: Some(at), .. }) = withdrawn {
        diagnosis.holds(Condition::Owner, "the owner had a system user of this system");
        diagnosis.holds(Condition::ExternalRef, format!("it had the reference `{external_ref}`"));
        let cure = waits.unwrap_or_else(|| "ask the owner for a new one (POST systemuser/request/vendor)".to_owned());
        return Ok(diagnosis.fails(Condition::NotWithdrawn, format!("it was withdrawn at {at}"), cure));
    }
    if live.is_empty() {
        let of_client = system_users::store::owners_acting_for(connection, &system.id, owner).await?;
        let cure = match (waits, of_client.first()) {
            (Some(waits), _) => waits,
            (None, Some(agent)) => format!(
                "{owner} is a client of the agent system user of {agent}: `systemuser_org` is the owner, {agent}; the client is named in the call to the API"
            ),
            (None, None) => "ask the owner for a system user (POST systemuser/request/vendor)".to_owned(),
        };
        return Ok(diagnosis.fails(Condition::Owner, "the owner has no system user of this system", cure));
    }
    diagnosis.holds(Condition::Owner, "the owner has system users of this system");
    let references: Vec<_> = live.iter().map(|user| format!("`{}`", user.external_ref)).collect();
    let found = format!("none has the reference `{external_ref}`, but {}", references.join(", "));
    let cure = "send one of these as `externalRef` in the grant; without it the owner's organisation number is meant";
    Ok(diagnosis.fails(Condition::ExternalRef, found, waits.unwrap_or_else(|| cure.to_owned())))
}

/// The cure when a request for just this waits for an answer.
async fn waiting(
    state: &AppState,
    connection: &mut Connection,
    system: &System,
    owner: OrganizationNumber,
    external_ref: &str,
) -> Result<Option<String>, sqlx::Error> {
    let request = requests::store::find_by_reference(connection, owner, &system.id, external_ref).await?;
    let status = request.map(|request| (request.id, request.status(state.clock.now())));
    Ok(status.map(|(id, status)| match status {
        requests::model::Status::New => format!("request {id} waits for the owner's approval"),
        status => format!("request {id} is {status:?}: ask anew"),
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::test_state::{TestState, story, tokens};

    const PATH: &str = "/portvakt/v1/diagnoses/maskinporten";

    fn body() -> Value {
        json!({ "clientId": story::CLIENT_ID, "systemProviderOrgNo": "310247030", "systemUserOwnerOrgNo": "310247049" })
    }

    /// The condition that fails, and its cure.
    async fn failing(test: &TestState, body: &Value) -> (String, String) {
        let diagnosis = test.post(PATH, &test.vendor(), body).await.expect(200);
        assert_eq!(diagnosis["found"], false, "{diagnosis}");
        let conditions = diagnosis["conditions"].as_array().unwrap();
        let (last, others) = conditions.split_last().unwrap();
        assert!(others.iter().all(|condition| condition["holds"] == true) && last["holds"] == false, "{diagnosis}");
        (last["condition"].as_str().unwrap().to_owned(), last["cure"].as_str().unwrap().to_owned())
    }

    #[tokio::test]
    async fn each_cause_is_told_with_its_cure() {
        let test = TestState::with_request().await;
        let mut other = body();
        other["clientId"] = json!("unknown_client");
        assert_eq!(failing(&test, &other).await.0, "client");
        let (condition, cure) = failing(&test, &body()).await;
        assert_eq!((condition.as_str(), cure.contains("waits for the owner's approval")), ("owner", true), "{cure}");
        let id = test.approve().await;
        let diagnosis = test.post(PATH, &test.vendor(), &body()).await.expect(200);
        assert_eq!((&diagnosis["found"], &diagnosis["systemUserId"]), (&json!(true), &json!(id)));
        let mut reference = body();
        reference["externalRef"] = json!("other");
        assert_eq!(failing(&test, &reference).await.0, "externalRef");
        let mut owner = body();
        owner["systemUserOwnerOrgNo"] = json!("310247057");
        let (condition, cure) = failing(&test, &owner).await;
        assert_eq!((condition.as_str(), cure.starts_with("ask the owner")), ("owner", true), "{cure}");
        let path = format!("{}/{id}", story::system_users_of_hansen());
        test.delete(&path, &test.administrator_of_hansen()).await.expect(202);
        assert_eq!(failing(&test, &body()).await.0, "notWithdrawn");
    }

    #[tokio::test]
    async fn vendors_ask_about_themselves_and_operators_about_all() {
        let test = TestState::with_request().await;
        test.approve().await;
        let foreign = tokens::Maskinporten::vendor("310247065").token(&test);
        test.post(PATH, &foreign, &body()).await.expect_code(403, "vendor_not_owner");
        let mut own = body();
        own["systemProviderOrgNo"] = json!("310247065");
        let diagnosis = test.post(PATH, &foreign, &own).await.expect(200);
        assert_eq!(diagnosis["conditions"][0]["condition"], "vendor");
        assert!(!diagnosis.to_string().contains("310247030"), "{diagnosis}");
        assert_eq!(test.post(PATH, &test.operator(), &body()).await.expect(200)["found"], true);
        test.post(PATH, &test.maskinporten(), &body()).await.expect_code(403, "insufficient_scope");
        test.post(PATH, &test.vendor(), &json!({})).await.expect_code(400, "json_invalid");
    }
}
