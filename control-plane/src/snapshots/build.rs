//! A provider's snapshot document, read from all slices at one instant.
//!
//! It holds what this provider's gateways need and no more: its own resources and routes, the system users with a right
//! or a package on them, the systems of those, and of what they hold only what matters here.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
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

/// The provider's document.
pub(super) async fn document(
    connection: &mut SqliteConnection,
    provider: &ProviderId,
    callers: &Callers,
) -> anyhow::Result<Document> {
    let catalogue = resources::store::catalogue(connection, provider).await?;
    let mut document = catalogue.document().context("a stored policy is not accepted any more")?;
    let relevant = Relevant::of(&document.resources);
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
    Ok(document)
}

/// What a provider's resources make of delegations.
struct Relevant {
    /// Every action of each resource: what a right without an action stands for.
    actions: BTreeMap<ResourceId, BTreeSet<ActionId>>,
    access_packages: BTreeSet<AccessPackage>,
}

impl Relevant {
    fn of(resources: &[ResourceDocument]) -> Self {
        let actions = resources.iter().map(|resource| {
            let actions = resource.rules.iter().flat_map(|rule| rule.actions.iter().cloned());
            (resource.id.clone(), actions.collect())
        });
        let rules = resources.iter().flat_map(|resource| &resource.rules);
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
