//! `POST /systemregister/vendor`: a vendor registers a system. Everything wrong with the body is reported at once.

use axum::Json;
use axum::extract::State;
use policies::id::{OrganizationNumber, SystemId};
use serde_json::json;
use uuid::Uuid;

use super::model::{ChangeKind, System};
use super::registration::{Body, SYSTEM_ID, Wrong};
use super::{change_log, store};
use crate::caller::{RegisterWrite, Vendor};
use crate::json::AltinnJson;
use crate::openapi::{self, altinn};
use crate::problem::{Invalid, Problem, codes};
use crate::state::AppState;

const VENDOR: &str = "/registersystemrequest/vendor/id";
/// Systems of a vendor that are not deleted: lists of systems have no pages.
const SYSTEMS_MAX: i64 = 1000;

/// A vendor registers a system. Everything wrong with the body is reported at once.
#[utoipa::path(
    post, path = "/authentication/api/v1/systemregister/vendor", operation_id = "registerSystem", tag = openapi::SYSTEMS,
    security(("maskinporten" = ["altinn:authentication/systemregister.write"])),
    request_body = altinn::RegisterSystemRequest,
    responses((status = 200, description = "The internal id", content_type = "application/json", body = String), (status = 409, description = "As plain text `system_exists`, or `systems_too_many`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: Vendor<RegisterWrite>,
    AltinnJson(body): AltinnJson<Body>,
) -> Result<Json<Uuid>, Problem> {
    let vendor = body.vendor().map_err(|_| Problem::validation(vec![Invalid::at(codes::VENDOR_NUMBER, VENDOR)]))?;
    if !caller.may_act_for(vendor) {
        return Err(codes::VENDOR_NOT_OWNER.into());
    }
    let now = state.clock.now();
    let internal_id = state.ids.uuid().map_err(Problem::internal)?;
    let mut change = state.store.change().await?;

    let mut wrong = Wrong::default();
    let id = system_id(body.id(), vendor, &mut wrong);
    if let Some(id) = &id
        && store::find(change.connection(), id).await?.is_some()
    {
        wrong.add(codes::SYSTEM_ID_EXISTS, SYSTEM_ID);
    }
    let content = body.check(change.connection(), None, &mut wrong).await?;
    let id = match id {
        Some(id) if wrong.is_empty() => id,
        _ => return Err(wrong.into()),
    };
    if store::count_of_vendor(change.connection(), vendor).await? >= SYSTEMS_MAX {
        return Err(codes::SYSTEMS_TOO_MANY.into());
    }
    let system = System::new(id, internal_id, vendor, content, now);
    let exists = || Problem::new(codes::SYSTEM_EXISTS).plain_text(format!("The System already exist: {}", system.id));
    store::insert(change.connection(), &system).await.map_err(|error| match &error {
        sqlx::Error::Database(refused) if refused.is_unique_violation() => exists(),
        _ => error.into(),
    })?;
    let data = system.registration_json();
    change_log::append(change.connection(), &system.id, &caller, ChangeKind::Create, data, now).await?;
    let log = json!({ "system": system.id, "by": caller.organization() });
    change.commit(now, "system_registered", log).await?;
    Ok(Json(internal_id))
}

fn system_id(text: &str, vendor: OrganizationNumber, wrong: &mut Wrong) -> Option<SystemId> {
    if text.chars().any(char::is_whitespace) {
        wrong.add(codes::SYSTEM_ID_BLANKS, SYSTEM_ID);
    }
    let has_name = text.strip_prefix(&format!("{vendor}_")).is_some_and(|name| !name.is_empty());
    let id = SystemId::parse(text).ok().filter(|_| has_name);
    if id.is_none() {
        wrong.add(codes::SYSTEM_ID_FORMAT, SYSTEM_ID);
    }
    id
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::test_state::{TestState, story, tokens};

    const PATH: &str = "/authentication/api/v1/systemregister/vendor";

    /// Registers the story's system with one member changed.
    async fn registered_with(test: &TestState, member: &str, value: Value) -> crate::test_state::Answer {
        let mut body = story::system();
        body[member] = value;
        test.post(PATH, &test.vendor(), &body).await
    }

    #[tokio::test]
    async fn a_system_is_registered_and_read_back() {
        let test = TestState::with_resources().await;
        let answer = test.post(PATH, &test.vendor(), &story::system()).await.expect(200);
        assert!(uuid::Uuid::parse_str(answer.as_str().unwrap()).is_ok());
        let read = test.get(&format!("{PATH}/310247030_smartcloud"), &test.vendor()).await.expect(200);
        let mut expected = story::system();
        expected["vendor"] = json!({ "ID": "0192:310247030" });
        expected["isDeleted"] = json!(false);
        assert_eq!(read, expected);
    }

    #[tokio::test]
    async fn a_vendor_has_a_thousand_systems_at_most() {
        let test = TestState::with_system().await;
        let systems = "WITH RECURSIVE counted (number) AS \
                       (SELECT 1 UNION ALL SELECT number + 1 FROM counted WHERE number < 998) \
                       INSERT INTO system (id, internal_id, vendor, name_nb, name_nn, name_en, description_nb, description_nn, \
                       description_en, rights, access_packages, redirect_urls, is_visible, created_at) \
                       SELECT '310247030_' || number, '00000000-0000-4000-9000-' || substr(CAST(1000000000000 + number AS TEXT), 2), \
                       '310247030', 'x', 'x', 'x', '', '', '', '[]', '[]', '[]', \
                       0, 0 FROM counted";
        let mut change = test.state.store.change().await.unwrap();
        sqlx::query(systems).execute(change.connection()).await.unwrap();
        change.commit_derived().await.unwrap();
        let mut other = story::system();
        (other["id"], other["clientId"]) = (json!("310247030_last"), json!(["last"]));
        test.post(PATH, &test.vendor(), &other).await.expect(200);
        (other["id"], other["clientId"]) = (json!("310247030_more"), json!(["more"]));
        let before = test.state.store.revision().await.unwrap();
        test.post(PATH, &test.vendor(), &other).await.expect_code(409, "systems_too_many");
        assert_eq!(test.state.store.revision().await.unwrap(), before);
        test.delete(&format!("{PATH}/310247030_1"), &test.vendor()).await.expect(200);
        test.post(PATH, &test.vendor(), &other).await.expect(200);
    }

    #[tokio::test]
    async fn names_in_any_letter_case_are_read() {
        let test = TestState::with_resources().await;
        let body = json!({
            "ID": " 310247030_other ", "Vendor": { "Authority": "iso6523-actorid-upis", "id": "0192:310247030" },
            "NAME": { "NB": "a", "Nn": "b", "en": "c" }, "Rights": [{ "Resource": [{ "ID": "urn:altinn:resource", "Value": "vat" }] }],
            "ClientId": ["Other_Client"], "allowedredirecturls": ["https://other.no/"], "accesspackages": [], "IsVisible": true,
        });
        test.post(PATH, &test.vendor(), &body).await.expect(200);
    }

    #[tokio::test]
    async fn the_same_system_twice_is_refused() {
        let test = TestState::with_resources().await;
        test.post(PATH, &test.vendor(), &story::system()).await.expect(200);
        test.post(PATH, &test.vendor(), &story::system()).await.expect_invalid(&["AUTH.VLD-00002", "AUTH.VLD-00004"]);
        registered_with(&test, "clientId", json!([])).await.expect_invalid(&["AUTH.VLD-00002"]);
    }

    #[tokio::test]
    async fn client_ids_are_unique_whatever_their_letter_case() {
        let test = TestState::with_resources().await;
        test.post(PATH, &test.vendor(), &story::system()).await.expect(200);
        let mut body = story::system();
        body["id"] = json!("310247030_second");
        body["clientId"] = json!([story::CLIENT_ID.to_uppercase()]);
        test.post(PATH, &test.vendor(), &body).await.expect_invalid(&["AUTH.VLD-00004"]);
        body["clientId"] = json!(["a", "A"]);
        test.post(PATH, &test.vendor(), &body).await.expect_invalid(&["AUTH.VLD-00011"]);
    }

    #[tokio::test]
    async fn members_of_another_type_are_no_system() {
        let test = TestState::with_resources().await;
        for (member, value) in [("rights", json!(7)), ("clientId", json!("one")), ("isVisible", json!("yes"))] {
            registered_with(&test, member, value).await.expect_code(400, "json_invalid");
        }
    }

    #[tokio::test]
    async fn only_the_vendor_and_the_registers_administrator_register() {
        let test = TestState::with_resources().await;
        test.post(PATH, "", &story::system()).await.expect_code(401, "token_missing");
        let foreign = tokens::Maskinporten::vendor("310247065").token(&test);
        test.post(PATH, &foreign, &story::system()).await.expect_code(403, "vendor_not_owner");
        let unscoped = tokens::Maskinporten::new("310247030", "altinn:other").token(&test);
        test.post(PATH, &unscoped, &story::system()).await.expect_code(403, "insufficient_scope");
        let admin = tokens::Maskinporten::new("310247065", "altinn:authentication/systemregister.admin").token(&test);
        test.post(PATH, &admin, &story::system()).await.expect(200);
    }

    #[tokio::test]
    async fn oversized_and_deep_bodies_are_refused() {
        let test = TestState::with_resources().await;
        let large = json!({ "id": "x".repeat(10 * 1024 * 1024) });
        test.post(PATH, &test.vendor(), &large).await.expect_code(413, "body_too_large");
        let deep = format!("{{\"id\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        test.send("POST", PATH, &test.vendor(), Some(("application/json", deep)))
            .await
            .expect_code(400, "json_invalid");
        let text = Some(("text/plain", "{}".to_owned()));
        test.send("POST", PATH, &test.vendor(), text).await.expect_code(415, "media_type_unsupported");
    }
}
