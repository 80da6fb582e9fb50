//! What falls when the register changes: whatever was passed on along a relation that carries it no longer.
//!
//! Called in the transaction that changes the register, so that no instant has the one without the other. Gateways are told
//! as of any other change.

use std::collections::{BTreeMap, BTreeSet};

use policies::Timestamp;
use policies::id::{OrganizationNumber, SystemUserId};
use serde_json::{Value, json};

use super::model::ClientDelegation;
use super::{candidates, store};
use crate::parties;
use crate::store::Connection;
use crate::system_users;
use crate::system_users::model::{SystemUser, SystemUserKind};

/// Takes away what no longer stands for these organisations and their sub units, and all that those which were struck off
/// had. Gives what fell and why, for the change log.
pub(crate) async fn follow(
    connection: &mut Connection,
    touched: &BTreeSet<OrganizationNumber>,
    struck_off: &BTreeSet<OrganizationNumber>,
    now: Timestamp,
) -> Result<Vec<Value>, sqlx::Error> {
    let mut fallen = withdraw_system_users(connection, struck_off, now).await?;
    let mut clients = parties::store::units_of(connection, touched).await?;
    clients.extend(touched);
    let mut by_system_user: BTreeMap<SystemUserId, Vec<ClientDelegation>> = BTreeMap::new();
    for delegation in store::of_clients(connection, &clients).await? {
        by_system_user.entry(delegation.system_user).or_default().push(delegation);
    }
    for (id, delegations) in by_system_user {
        let user = system_users::store::find(connection, id).await?.filter(|user| user.withdrawn_at.is_none());
        if let Some(user) = user {
            fallen.extend(of_one(connection, &user, &delegations).await?);
        }
    }
    Ok(fallen)
}

/// Clients that one agent system user acts for no longer.
async fn of_one(
    connection: &mut Connection,
    user: &SystemUser,
    delegations: &[ClientDelegation],
) -> Result<Vec<Value>, sqlx::Error> {
    let organizations = delegations.iter().map(|delegation| delegation.client).collect();
    let mut fallen = Vec::new();
    for candidate in candidates::named(connection, user.owner, &organizations).await? {
        let client = candidate.party.organization;
        let lost = candidate.lacks(&user.client_packages);
        // The owner is a client of its own by its own decision.
        let stands = !candidate.party.is_struck_off && (lost.is_empty() || client == user.owner);
        let delegation = delegations.iter().find(|delegation| delegation.client == client);
        if let (false, Some(delegation)) = (stands, delegation) {
            store::delete(connection, delegation).await?;
            let because = if candidate.party.is_struck_off { "client_struck_off" } else { "relation_ended" };
            fallen.push(json!({
                "systemUser": user.id, "provider": user.owner, "client": client, "because": because,
                "lost": lost, "left": candidate.basis(),
            }));
        }
    }
    Ok(fallen)
}

/// Nobody acts by way of an organisation that is no more.
async fn withdraw_system_users(
    connection: &mut Connection,
    owners: &BTreeSet<OrganizationNumber>,
    now: Timestamp,
) -> Result<Vec<Value>, sqlx::Error> {
    let mut fallen = Vec::new();
    for owner in owners {
        for kind in [SystemUserKind::Standard, SystemUserKind::Agent] {
            for user in system_users::store::live_of_owner(connection, *owner, kind).await? {
                let Ok(user) = user.withdraw(now) else { continue };
                system_users::store::mark_withdrawn(connection, &user).await?;
                store::forget_all(connection, user.id).await?;
                fallen.push(json!({ "systemUser": user.id, "owner": owner, "because": "owner_struck_off" }));
            }
        }
    }
    Ok(fallen)
}
