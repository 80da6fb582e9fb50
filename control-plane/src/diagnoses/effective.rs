//! `GET /portvakt/v1/parties/{party}/systemusers/{systemUserId}/effective`: what a system user may do, for whom, and through
//! what, as everything is stored now. Gateways have it with the next snapshot.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use policies::Timestamp;
use policies::id::{AccessPackage, ActionId, OrganizationNumber, ProviderId, ResourceId, SystemUserId};
use policies::xacml::{ResourcePolicy, RightsForm};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::caller::{PartyAccess, SystemUserOverviewRead};
use crate::openapi::{self, own};
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::resources::model::Resource;
use crate::service::beside;
use crate::state::AppState;
use crate::store::Connection;
use crate::system_users::model::Delegation;
use crate::{parties, resources, system_users};

/// What a system user may do.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct EffectiveRights {
    #[schema(value_type = String, format = "uuid")]
    system_user_id: SystemUserId,
    parties: Vec<PartyRights>,
}

/// What it may do for one party.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PartyRights {
    #[schema(value_type = String)]
    organization_number: OrganizationNumber,
    /// From the party that holds the rights to the system user.
    #[schema(value_type = Vec<own::RightsLink>)]
    chain: Vec<Link>,
    #[schema(value_type = Vec<String>)]
    access_packages: BTreeSet<AccessPackage>,
    rights: Vec<EffectiveRight>,
    /// Resources that decide by more than packages and delegations; `explain` answers about them.
    conditional: Vec<ResourceName>,
    /// Resources of which the party is on no access list.
    not_listed: Vec<ResourceName>,
}

/// One step of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "type", content = "organizationNumber")]
enum Link {
    /// The party itself.
    Party(OrganizationNumber),
    /// Its main unit, through which it comes.
    MainUnit(OrganizationNumber),
    /// The owner of the system user, whose client the party is.
    Owner(OrganizationNumber),
}

/// A resource and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct ResourceName {
    #[schema(value_type = String)]
    provider: ProviderId,
    #[schema(value_type = String)]
    resource: ResourceId,
}

/// A right, and what gives it.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct EffectiveRight {
    #[schema(value_type = String)]
    provider: ProviderId,
    #[schema(value_type = String)]
    resource: ResourceId,
    #[schema(value_type = String)]
    action: ActionId,
    minimum_authentication_level: u8,
    basis: Vec<Basis>,
}

/// What gives a right; each alone would.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", tag = "type")]
pub(super) enum Basis {
    /// The right itself was delegated.
    #[serde(rename_all = "camelCase")]
    Delegation {
        /// When that ends by itself.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>, format = "date-time", nullable = false)]
        valid_to: Option<Timestamp>,
    },
    /// A rule of the policy gives it to holders of the package.
    #[serde(rename_all = "camelCase")]
    AccessPackage {
        #[schema(value_type = String)]
        urn: AccessPackage,
        rule: String,
        /// In the policy's XML.
        line: u32,
    },
}

#[derive(Debug, Deserialize)]
pub(super) struct InPath {
    system_user_id: SystemUserId,
}

/// What a system user may do, for whom, and through what.
#[utoipa::path(
    get, path = "/portvakt/v1/parties/{party}/systemusers/{system_user_id}/effective",
    operation_id = "getEffectiveRights", tag = openapi::SYSTEM_USERS,
    security(("user" = ["altinn:portal/enduser"])),
    responses((status = 200, body = EffectiveRights), (status = 404, description = "`AUTH-00015`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: PartyAccess<SystemUserOverviewRead>,
    PathOf(InPath { system_user_id }): PathOf<InPath>,
) -> Result<Json<EffectiveRights>, Problem> {
    let mut connection = state.store.read().await?;
    let user = system_users::store::find(&mut connection, system_user_id)
        .await?
        .filter(|user| user.owner == caller.organization() && user.withdrawn_at.is_none())
        .ok_or(codes::SYSTEM_USER_NOT_FOUND)?;
    let delegations = system_users::store::delegations(&mut connection, user.id).await?;
    let sub_units = parties::store::sub_units(&mut connection).await?;
    let stored = stored(&mut connection).await?;
    drop(connection);
    let rights = beside(move || {
        let policies: Vec<_> = stored.into_iter().filter_map(Enforced::of).collect();
        let parties = delegations.iter().flat_map(|delegation| {
            let units =
                sub_units.get(&delegation.party).into_iter().flatten().map(|unit| (*unit, Some(delegation.party)));
            let policies = &policies;
            std::iter::once((delegation.party, None))
                .chain(units)
                .map(move |(party, main_unit)| of_party(party, main_unit, user.owner, delegation, policies))
        });
        EffectiveRights { system_user_id: user.id, parties: parties.collect() }
    })
    .await?;
    Ok(Json(rights))
}

/// Who is on a resource's access lists, and for which actions; `None`: for all.
type Members = BTreeMap<OrganizationNumber, Option<BTreeSet<ActionId>>>;

/// Every resource, with the members of its access lists if only they may use it.
async fn stored(connection: &mut Connection) -> Result<Vec<(Resource, Option<Members>)>, sqlx::Error> {
    let mut all = Vec::new();
    for provider in resources::store::providers(connection).await? {
        let catalogue = resources::store::catalogue(connection, &provider).await?;
        let mut members = resources::store::access_list_members(connection, &provider).await?;
        for resource in catalogue.resources {
            let listed = members.remove(&resource.id).map(|members| members.into_iter().collect());
            all.push((resource, listed));
        }
    }
    Ok(all)
}

/// A resource whose policy can be read.
struct Enforced {
    name: ResourceName,
    policy: ResourcePolicy,
    members: Option<Members>,
}

impl Enforced {
    fn of((resource, members): (Resource, Option<Members>)) -> Option<Self> {
        let policy = ResourcePolicy::read(resource.policy?.as_bytes(), &resource.id, resource.semantics).ok()?;
        Some(Self { name: ResourceName { provider: resource.provider, resource: resource.id }, policy, members })
    }

    /// Whether access lists let the party do the action.
    fn lists(&self, party: OrganizationNumber, action: &ActionId) -> bool {
        self.members.as_ref().is_none_or(|members| match members.get(&party) {
            Some(actions) => actions.as_ref().is_none_or(|actions| actions.contains(action)),
            None => false,
        })
    }
}

fn of_party(
    party: OrganizationNumber,
    main_unit: Option<OrganizationNumber>,
    owner: OrganizationNumber,
    held: &Delegation,
    policies: &[Enforced],
) -> PartyRights {
    let chain = std::iter::once(Link::Party(party))
        .chain(main_unit.map(Link::MainUnit))
        .chain((held.party != owner).then_some(Link::Owner(owner)));
    let mut rights = PartyRights {
        organization_number: party,
        chain: chain.collect(),
        access_packages: held.access_packages.iter().cloned().collect(),
        rights: Vec::new(),
        conditional: Vec::new(),
        not_listed: Vec::new(),
    };
    for enforced in policies {
        let Enforced { name, policy, .. } = enforced;
        let is_conditional = matches!(policy.form(), RightsForm::General { .. });
        if is_conditional && policy.access_packages().iter().any(|package| held.access_packages.contains(package)) {
            rights.conditional.push(name.clone());
        }
        for action in policy.actions() {
            let basis = basis(held, name, policy, &action);
            if basis.is_empty() {
                continue;
            }
            if enforced.lists(party, &action) {
                rights.rights.push(EffectiveRight {
                    provider: name.provider.clone(),
                    resource: name.resource.clone(),
                    action,
                    minimum_authentication_level: policy.minimum_authentication_level(),
                    basis,
                });
            } else if !rights.not_listed.contains(name) {
                rights.not_listed.push(name.clone());
            }
        }
    }
    rights
}

/// Everything that gives the action.
fn basis(held: &Delegation, name: &ResourceName, policy: &ResourcePolicy, action: &ActionId) -> Vec<Basis> {
    let of_action = held.rights.iter().filter(|right| {
        right.resource == name.resource && right.action.as_ref().is_none_or(|delegated| delegated == action)
    });
    // Of several the one that lasts longest.
    let delegated =
        of_action.map(|right| right.valid_to).max_by_key(|end| end.map_or(i64::MAX, Timestamp::unix_millis));
    let mut basis: Vec<_> = delegated.map(|valid_to| Basis::Delegation { valid_to }).into_iter().collect();
    for rule in policy.rules().iter().filter(|rule| rule.actions.contains(action)) {
        for urn in rule.access_packages.iter().filter(|package| held.access_packages.contains(package)) {
            basis.push(Basis::AccessPackage { urn: urn.clone(), rule: rule.id.clone(), line: rule.line });
        }
    }
    basis
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::{TestState, story};

    fn path(id: &str) -> String {
        format!("/portvakt/v1/parties/50000001/systemusers/{id}/effective")
    }

    #[tokio::test]
    async fn every_right_is_told_with_what_gives_it() {
        let test = TestState::with_request().await;
        let id = test.approve().await;
        let hansen = test.administrator_of_hansen();
        let effective = test.get(&path(&id), &hansen).await.expect(200);
        let party = &effective["parties"][0];
        assert_eq!(party["organizationNumber"], "310247049");
        assert_eq!(party["chain"], json!([{ "type": "party", "organizationNumber": "310247049" }]));
        assert_eq!(party["accessPackages"], json!([story::PACKAGE]));
        let rights = party["rights"].as_array().unwrap();
        assert_eq!(rights.len(), 2, "{effective}");
        assert_eq!((&rights[0]["resource"], &rights[0]["action"]), (&json!("annual-accounts"), &json!("read")));
        assert_eq!(
            rights[0]["basis"],
            json!([{ "type": "accessPackage", "urn": story::PACKAGE, "rule": "1", "line": 1 }])
        );
        assert_eq!(rights[1]["basis"], json!([{ "type": "delegation" }]));
        let restricted =
            json!({ "title": { "nb": "a", "nn": "b", "en": "c" }, "delegable": true, "accessListMode": "enabled" });
        test.put(&story::resource("vat"), &test.resource_owner(), &restricted).await.expect(200);
        let party = &test.get(&path(&id), &hansen).await.expect(200)["parties"][0];
        assert_eq!(party["notListed"], json!([{ "provider": "regnskapsregisteret", "resource": "vat" }]));
        assert_eq!(party["rights"].as_array().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn what_is_held_for_a_main_unit_is_held_for_its_sub_units() {
        let test = TestState::with_request().await;
        let id = test.approve().await;
        let mut unit = story::parties()["parties"][1].clone();
        unit["mainUnit"] = json!("310247049");
        test.put("/portvakt/v1/parties", &test.operator(), &json!({ "parties": [unit] })).await.expect(200);
        let effective = test.get(&path(&id), &test.administrator_of_hansen()).await.expect(200);
        let unit = &effective["parties"][1];
        assert_eq!(
            unit["chain"],
            json!([
                { "type": "party", "organizationNumber": "310247057" },
                { "type": "mainUnit", "organizationNumber": "310247049" },
            ])
        );
        assert_eq!(unit["rights"], effective["parties"][0]["rights"]);
    }

    #[tokio::test]
    async fn only_the_owners_people_are_told() {
        let test = TestState::with_request().await;
        let id = test.approve().await;
        let bakeri = test.administrator_of_bakeri();
        assert_eq!(test.get(&path(&id), &bakeri).await.status, 403);
        let through_own_party = path(&id).replace("50000001", "50000002");
        test.get(&through_own_party, &bakeri).await.expect_code(404, "AUTH-00015");
    }
}
