//! A provider's snapshot document, read from all slices at one instant.
//!
//! It holds what this provider's gateways need and no more: its own resources and routes, the system users with a right
//! or a package on them, the systems of those, and of what they hold only what matters here.

use std::collections::{BTreeMap, BTreeSet};

use policies::Timestamp;
use policies::id::{AccessPackage, ActionId, ProviderId, ResourceId, SystemId, SystemUserId};
use policies::right::Right;
use policies::snapshot::{
    DelegationDocument, Document, IssuerDocument, IssuerKindDocument, ResourceDocument, SystemDocument,
    SystemUserDocument, SystemUserKind,
};
use sqlx::SqliteConnection;

use crate::config::IssuerKindConfig;
use crate::issuers::{self, Issuers};
use crate::resources::model::UnreadablePolicy;
use crate::store::{self, Revision};
use crate::system_users::model::{Delegation, SystemUser};
use crate::systems::store::SystemClients;
use crate::{resources, system_users, systems};

/// Days for which gateways are told that a system user was withdrawn rather than never known.
const WITHDRAWN_DAYS: i64 = 7;

/// All that is stored about callers, read once for all providers.
pub(super) struct Callers {
    pub(super) revision: Revision,
    issuers: Vec<IssuerDocument>,
    system_users: Vec<SystemUser>,
    delegations: BTreeMap<SystemUserId, Vec<Delegation>>,
    systems: BTreeMap<SystemId, SystemClients>,
}

impl Callers {
    pub(super) async fn read(
        connection: &mut SqliteConnection,
        issuers: &Issuers,
        now: Timestamp,
    ) -> Result<Self, sqlx::Error> {
        let withdrawn_after = now.plus_seconds(-WITHDRAWN_DAYS * 86_400);
        Ok(Self {
            revision: store::revision(connection).await?,
            issuers: issuer_documents(connection, issuers).await?,
            system_users: system_users::store::live_or_withdrawn_after(connection, withdrawn_after).await?,
            delegations: system_users::store::all_delegations(connection).await?,
            systems: systems::store::all_clients(connection).await?,
        })
    }
}

/// The provider's document, and the policies that cannot be read: nobody holds a right on their resources.
pub(super) async fn document(
    connection: &mut SqliteConnection,
    provider: &ProviderId,
    callers: &Callers,
) -> Result<(Document, Vec<UnreadablePolicy>), sqlx::Error> {
    let catalogue = resources::store::catalogue(connection, provider).await?;
    let (mut document, unreadable) = catalogue.document();
    let is_readable =
        |resource: &&ResourceDocument| unreadable.iter().all(|unreadable| unreadable.resource != resource.id);
    let relevant = Relevant::of(document.resources.iter().filter(is_readable));
    let mut used_systems = BTreeSet::new();
    for user in &callers.system_users {
        let held = callers.delegations.get(&user.id).into_iter().flatten();
        let delegations: Vec<_> = held.filter_map(|delegation| relevant.part_of(delegation)).collect();
        if delegations.is_empty() {
            continue;
        }
        if user.withdrawn_at.is_some() {
            document.withdrawn_system_users.insert(user.id);
            continue;
        }
        used_systems.insert(&user.system);
        document.system_users.push(SystemUserDocument {
            id: user.id,
            owner: user.owner,
            system: user.system.clone(),
            kind: SystemUserKind::Standard,
            delegations,
        });
    }
    // A system user's system exists (foreign key); were it missing, `compile` would refuse the document.
    let systems = used_systems.into_iter().filter_map(|id| Some((id, callers.systems.get(id)?)));
    document.systems = systems
        .map(|(id, system)| SystemDocument {
            id: id.clone(),
            vendor: system.vendor,
            client_ids: system.client_ids.clone(),
        })
        .collect();
    document.issuers = callers.issuers.clone();
    Ok((document, unreadable))
}

/// What a provider's resources make of delegations.
struct Relevant {
    /// Every action of each resource: what a right without an action stands for.
    actions: BTreeMap<ResourceId, BTreeSet<ActionId>>,
    access_packages: BTreeSet<AccessPackage>,
}

impl Relevant {
    fn of<'a>(resources: impl Iterator<Item = &'a ResourceDocument> + Clone) -> Self {
        let actions = resources.clone().map(|resource| {
            let actions = resource.rules.iter().flat_map(|rule| rule.actions.iter().cloned());
            (resource.id.clone(), actions.collect())
        });
        let rules = resources.flat_map(|resource| &resource.rules);
        Self {
            actions: actions.collect(),
            access_packages: rules.flat_map(|rule| rule.access_packages.iter().cloned()).collect(),
        }
    }

    /// The part that concerns these resources; `None` when nothing does.
    fn part_of(&self, delegation: &Delegation) -> Option<DelegationDocument> {
        let rights: BTreeSet<Right> = delegation
            .rights
            .iter()
            .flat_map(|right| {
                let known = self.actions.get(&right.resource).into_iter().flatten();
                let meant = known.filter(|action| right.action.as_ref().is_none_or(|named| named == *action));
                meant.map(|action| Right { resource: right.resource.clone(), action: action.clone() })
            })
            .collect();
        let packages = delegation.access_packages.iter().filter(|package| self.access_packages.contains(package));
        let access_packages: BTreeSet<AccessPackage> = packages.cloned().collect();
        let is_empty = rights.is_empty() && access_packages.is_empty();
        (!is_empty).then_some(DelegationDocument { party: delegation.party, rights, access_packages })
    }
}

/// The configured issuers with their last good keys. One without keys is trusted with nothing yet.
async fn issuer_documents(
    connection: &mut SqliteConnection,
    issuers: &Issuers,
) -> Result<Vec<IssuerDocument>, sqlx::Error> {
    let mut documents = Vec::new();
    for config in issuers.configs() {
        documents.push(IssuerDocument {
            issuer: config.issuer.clone(),
            kind: match config.kind {
                IssuerKindConfig::Maskinporten => IssuerKindDocument::Maskinporten,
                IssuerKindConfig::Altinn => IssuerKindDocument::Altinn,
            },
            keys: issuers::store::keys(connection, &config.issuer).await?,
            authentication_level: config.authentication_level,
        });
    }
    Ok(documents)
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
        assert_eq!(denial(&test, &gateway, "GET", VAT).await, Some(DenialReason::RightMissing));
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
}
