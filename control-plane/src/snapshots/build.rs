//! What a provider's gateways enforce besides system users, read at one instant; and the base that is made of it all.
//!
//! It holds what this provider's gateways need and no more: its own resources and routes. System users, and of what they
//! hold only what matters here, are [`super::callers`]'s.

use std::collections::BTreeMap;
use std::sync::Arc;

use policies::Timestamp;
use policies::id::{ProviderId, SystemId};
use policies::snapshot::{
    AlgorithmDocument, Document, IssuerDocument, IssuerKindDocument, SnapshotSettings, SystemDocument,
};
use policies::token::{Algorithms, IssuerKind, VerificationKey};
use serde_json::Value;
use tokio::sync::mpsc;

use super::callers::{self, BaseWriter, SubUnits, SystemUserRow};
use crate::issuers::{self, Issuers};
use crate::resources::model::UnreadablePolicy;
use crate::revocations::model::Revocation;
use crate::state::AppState;
use crate::store::{self, Connection, Revision};
use crate::systems::store::SystemClients;
use crate::{parties, resources, revocations, systems};

/// System users that are read at once.
const PAGE: u32 = 1000;
/// Pages that are read before they are written.
const PAGES_AHEAD: usize = 4;

/// What all providers' snapshots share, read once for all of them.
pub(super) struct Shared {
    pub(super) revision: Revision,
    issuers: Vec<IssuerDocument>,
    systems: BTreeMap<SystemId, SystemClients>,
    pub(super) sub_units: Arc<SubUnits>,
}

impl Shared {
    pub(super) async fn read(connection: &mut Connection, issuers: &Issuers) -> Result<Self, sqlx::Error> {
        Ok(Self {
            revision: store::revision(connection).await?,
            issuers: issuer_documents(connection, issuers).await?,
            systems: systems::store::all_clients(connection).await?,
            sub_units: Arc::new(parties::store::sub_units(connection).await?),
        })
    }
}

/// The provider's document without system users, and the policies that cannot be read: nobody holds a right on their
/// resources.
pub(super) async fn document(
    connection: &mut Connection,
    provider: &ProviderId,
    shared: &Shared,
    now: Timestamp,
) -> Result<(Document, Vec<UnreadablePolicy>), sqlx::Error> {
    let catalogue = resources::store::catalogue(connection, provider).await?;
    let (mut document, unreadable) = catalogue.document();
    let mut members = resources::store::access_list_members(connection, provider).await?;
    for resource in &mut document.resources {
        resource.access_list = members.remove(&resource.id).map(|members| {
            let member = |(party, actions)| policies::snapshot::AccessListMemberDocument { party, actions };
            members.into_iter().map(member).collect()
        });
    }
    let system = |(id, system): (&SystemId, &SystemClients)| SystemDocument {
        id: id.clone(),
        vendor: system.vendor,
        client_ids: system.client_ids.clone(),
    };
    document.systems = shared.systems.iter().map(system).collect();
    document.issuers = shared.issuers.clone();
    let revocations = revocations::store::all(connection, provider, now).await?;
    document.revocations = revocations.iter().map(Revocation::document).collect();
    Ok((document, unreadable))
}

/// A base before it is signed.
pub(super) struct Base {
    /// What it holds.
    pub(super) revision: Revision,
    pub(super) settings: Arc<SnapshotSettings>,
    pub(super) sub_units: Arc<SubUnits>,
    pub(super) image: Vec<u8>,
}

/// Reads all system users at one instant, page by page, and writes a base for the provider beside the reading.
pub(super) async fn base(state: &AppState, provider: &ProviderId, now: Timestamp) -> anyhow::Result<Base> {
    let mut connection = state.store.read().await?;
    let shared = Shared::read(&mut connection, &state.issuers).await?;
    let (document, _) = document(&mut connection, provider, &shared, now).await?;
    let settings = Arc::new(SnapshotSettings::new(document)?);
    let (pages, mut read) = mpsc::channel::<Vec<SystemUserRow>>(PAGES_AHEAD);
    let writing = {
        let (settings, sub_units) = (Arc::clone(&settings), Arc::clone(&shared.sub_units));
        tokio::task::spawn_blocking(move || {
            let mut writer = BaseWriter::new(&settings, &sub_units)?;
            let mut is_whole = false;
            while let Some(page) = read.blocking_recv() {
                // An empty page ends it; without one the reading has failed.
                is_whole = page.is_empty();
                for row in &page {
                    writer.add(row)?;
                }
            }
            anyhow::ensure!(is_whole, "the system users could not be read to the end");
            writer.finish()
        })
    };
    let mut after = String::new();
    loop {
        let page = callers::page(&mut connection, &after, callers::withdrawn_after(now), PAGE).await?;
        let last = page.last().map(|row| row.raw_id().to_owned());
        // A writer that has stopped says why below.
        let is_taken = pages.send(page).await.is_ok();
        match last {
            Some(last) if is_taken => after = last,
            _ => break,
        }
    }
    drop((connection, pages));
    let image = writing.await??;
    Ok(Base { revision: shared.revision, sub_units: shared.sub_units, image, settings })
}

/// The configured issuers with their last good keys. One without keys is trusted with nothing yet.
async fn issuer_documents(connection: &mut Connection, issuers: &Issuers) -> Result<Vec<IssuerDocument>, sqlx::Error> {
    let mut documents = Vec::new();
    for trusted in issuers.at_gateways() {
        documents.push(IssuerDocument {
            kind: match trusted.kind {
                IssuerKind::Maskinporten => IssuerKindDocument::Maskinporten,
                IssuerKind::Altinn => IssuerKindDocument::Altinn,
                IssuerKind::Platform => IssuerKindDocument::Platform,
            },
            keys: listed(issuers::store::keys(connection, &trusted.issuer).await?, trusted.rules.algorithms),
            authentication_level: trusted.authentication_level,
            clock_skew_seconds: trusted.rules.clock_skew_seconds,
            token_lifetime_seconds_max: trusted.rules.lifetime_seconds_max,
            key_id_required: trusted.rules.is_key_id_required,
            audience_required: trusted.rules.is_audience_required,
            algorithms: trusted.rules.algorithms.iter().map(AlgorithmDocument::from).collect(),
            issuer: trusted.issuer,
        });
    }
    Ok(documents)
}

/// The keys for algorithms that the issuer may use; they were stored when others may have been configured.
fn listed(mut keys: Vec<Value>, algorithms: Algorithms) -> Vec<Value> {
    let is_other = |key: VerificationKey| !algorithms.contains(key.algorithm());
    keys.retain(|jwk| !VerificationKey::from_jwk(jwk).is_ok_and(is_other));
    keys
}

#[cfg(test)]
mod tests {
    use policies::{ApiCall, Decision, DenialReason, authorize, token::PureRust};
    use serde_json::json;

    use crate::state::Clock as _;
    use crate::test_state::{TestState, story, tokens};

    /// `None` for a permit.
    async fn denial(test: &TestState, gateway: &str, method: &str, path: &str) -> Option<DenialReason> {
        let id = test.request_id_of_last().await;
        let token = tokens::Maskinporten::vendor("310247030").system_user(&id, "310247049").token(test);
        denial_of(test, gateway, method, path, &token).await
    }

    async fn denial_of(test: &TestState, gateway: &str, method: &str, path: &str, token: &str) -> Option<DenialReason> {
        let policy = test.fetch(gateway, None).await.open(test);
        let authorization = format!("Bearer {token}");
        let headers = [
            (":method", method),
            (":authority", "api.test"),
            (":path", path),
            ("authorization", authorization.as_str()),
        ];
        let call = ApiCall::parse(headers.map(|(name, value)| (name, value.as_bytes()))).unwrap();
        match authorize(&policy, &call, test.clock.now(), &PureRust) {
            Decision::Permit(_) => None,
            Decision::Denial(denial) => Some(denial.reason),
        }
    }

    const VAT: &str = "/vat/310247049/returns";
    const ACCOUNTS: &str = "/annual-accounts/310247049";

    /// The story's routes, and one that sends VAT returns.
    async fn put_write_route(test: &TestState) {
        let owner = test.resource_owner();
        let policy = format!("{}/policy", story::resource("vat"));
        test.put_xml(&policy, &owner, &story::policy("vat", &["read", "write"], &[])).await.expect(200);
        let mut routes = story::routes();
        let mut write = routes["routes"][0].clone();
        (write["name"], write["methods"], write["action"]) = (json!("send"), json!(["POST"]), json!("write"));
        routes["routes"].as_array_mut().unwrap().push(write);
        test.put(story::ROUTES, &owner, &routes).await.expect(200);
    }

    #[tokio::test]
    async fn rights_come_by_delegation_and_by_package() {
        let test = TestState::with_request().await;
        test.approve().await;
        let gateway = test.gateway().await;
        assert_eq!(denial(&test, &gateway, "GET", VAT).await, None);
        assert_eq!(denial(&test, &gateway, "GET", ACCOUNTS).await, None);
        assert_eq!(
            denial(&test, &gateway, "GET", "/annual-accounts/310247057").await,
            Some(DenialReason::PartyNotRepresented)
        );
    }

    #[tokio::test]
    async fn what_was_not_approved_is_not_held() {
        let test = TestState::with_system().await;
        let mut request = story::request();
        request["accessPackages"] = json!([]);
        test.post(story::REQUESTS, &test.vendor(), &request).await.expect(201);
        test.approve().await;
        let gateway = test.gateway().await;
        assert_eq!(denial(&test, &gateway, "GET", VAT).await, None);
        assert_eq!(denial(&test, &gateway, "GET", ACCOUNTS).await, Some(DenialReason::RightMissing));
    }

    #[tokio::test]
    async fn a_right_without_action_follows_the_policy() {
        let test = TestState::with_request().await;
        test.approve().await;
        let gateway = test.gateway().await;
        put_write_route(&test).await;
        assert_eq!(denial(&test, &gateway, "POST", VAT).await, None);
    }

    #[tokio::test]
    async fn a_right_with_an_action_is_for_that_action_only() {
        let test = TestState::with_system().await;
        let mut request = story::request();
        request["rights"][0]["action"] = json!("read");
        test.post(story::REQUESTS, &test.vendor(), &request).await.expect(201);
        test.approve().await;
        let gateway = test.gateway().await;
        put_write_route(&test).await;
        assert_eq!(denial(&test, &gateway, "GET", VAT).await, None);
        assert_eq!(denial(&test, &gateway, "POST", VAT).await, Some(DenialReason::RightMissing));
    }

    #[tokio::test]
    async fn withdrawn_system_users_are_named_for_seven_days() {
        let test = TestState::with_request().await;
        let id = test.approve().await;
        let gateway = test.gateway().await;
        let path = format!("{}/{id}", story::system_users_of_hansen());
        test.delete(&path, &test.administrator_of_hansen()).await.expect(202);
        assert_eq!(denial(&test, &gateway, "GET", VAT).await, Some(DenialReason::SystemUserWithdrawn));
        test.clock.advance_seconds(7 * 86_400);
        test.touch().await;
        assert_eq!(denial(&test, &gateway, "GET", VAT).await, Some(DenialReason::SystemUserUnknown));
    }

    #[tokio::test]
    async fn a_policy_that_cannot_be_read_refuses_its_calls_and_stops_nothing_else() {
        let test = TestState::with_request().await;
        let id = test.approve().await;
        let gateway = test.gateway().await;
        test.spoil_policy("vat").await;
        assert_eq!(denial(&test, &gateway, "GET", VAT).await, Some(DenialReason::ObligationUnknown));
        assert_eq!(denial(&test, &gateway, "GET", ACCOUNTS).await, None);
        let ready = test.get("/readyz", "").await.expect(200);
        let failure = &ready["publishFailures"]["regnskapsregisteret"];
        assert_eq!(failure["code"], "policy_unreadable");
        assert!(failure["message"].as_str().unwrap().contains("`vat`"), "{failure}");

        let path = format!("{}/{id}", story::system_users_of_hansen());
        test.delete(&path, &test.administrator_of_hansen()).await.expect(202);
        assert_eq!(denial(&test, &gateway, "GET", ACCOUNTS).await, Some(DenialReason::SystemUserWithdrawn));
        let policy = format!("{}/policy", story::resource("vat"));
        test.put_xml(&policy, &test.resource_owner(), &story::policy("vat", &["read"], &[])).await.expect(200);
        test.built().await;
        assert_eq!(test.get("/readyz", "").await.expect(200)["publishFailures"], json!({}));
    }

    #[tokio::test]
    async fn a_policy_that_cannot_be_read_refuses_callers_without_rights_too() {
        let test = TestState::with_resources().await;
        let mut routes = story::routes();
        routes["routes"][0]["callers"] = json!(["organization"]);
        test.put(story::ROUTES, &test.resource_owner(), &routes).await.expect(200);
        let gateway = test.gateway().await;
        let token = test.vendor();
        assert_eq!(denial_of(&test, &gateway, "GET", VAT, &token).await, None);
        test.spoil_policy("vat").await;
        assert_eq!(denial_of(&test, &gateway, "GET", VAT, &token).await, Some(DenialReason::CallerNotAllowed));
    }

    #[tokio::test]
    async fn gateways_know_only_who_has_a_right_there() {
        let test = TestState::with_request().await;
        test.approve().await;
        let other = json!({ "organizationNumber": "310247065", "name": "Other" });
        test.put("/portvakt/v1/providers/other", &test.operator(), &other).await.expect(201);
        let path = "/portvakt/v1/providers/other/gateway-credentials";
        let credential = test.post(path, &test.operator(), &json!({ "name": "other" })).await.expect(201);
        test.built().await;
        let count = async |provider: &str, credential: &str| {
            let answer = test.get(&format!("/snapshots/{provider}"), credential).await;
            test.open(provider, answer.bytes).system_user_count()
        };
        assert_eq!(count("other", credential["credential"].as_str().unwrap()).await, 0);
        assert_eq!(count("regnskapsregisteret", &test.gateway().await).await, 1);
    }

    #[tokio::test]
    async fn gateways_take_the_tokens_that_are_exchanged_here() {
        let test = TestState::with_tokens().await;
        test.post(story::SYSTEMS, &test.vendor(), &story::system()).await.expect(200);
        test.post(story::REQUESTS, &test.vendor(), &story::request()).await.expect(201);
        let id = test.approve().await;
        let original = tokens::Maskinporten::vendor("310247030").system_user(&id, "310247049").token(&test);
        let exchanged = test.get("/authentication/api/v1/exchange/maskinporten", &original).await;
        let exchanged = String::from_utf8(exchanged.bytes.to_vec()).unwrap();
        let gateway = test.gateway().await;
        assert_eq!(denial_of(&test, &gateway, "GET", VAT, &exchanged).await, None);
        let foreign = VAT.replace("310247049", "310247057");
        let denied = denial_of(&test, &gateway, "GET", &foreign, &exchanged).await;
        assert_eq!(denied, Some(DenialReason::PartyNotRepresented));
    }
}
