//! The tables of system users and delegations. Long lists are in [`lists`], what ends by itself in [`ends`].

mod ends;
mod lists;

use std::collections::{BTreeMap, BTreeSet};

use policies::Timestamp;
use policies::id::{AccessPackage, ActionId, OrganizationNumber, ResourceId, SystemId, SystemUserId};
use serde_json::json;

use super::model::{Delegation, SystemUser, SystemUserKind};
use crate::right::{ResourceRight, stored};
use crate::store::{Connection, decoded, is_true};

pub(super) use ends::{end_right, ended_rights, expired, set_valid_to};
pub(super) use lists::{StreamEntry, of_system, stream, stream_end, stream_entry};

#[derive(sqlx::FromRow)]
struct SystemUserRow {
    id: String,
    kind: String,
    client_packages: String,
    system: String,
    owner: String,
    external_ref: String,
    integration_title: String,
    created_at: i64,
    withdrawn_at: Option<i64>,
}

#[derive(sqlx::FromRow)]
struct RightRow {
    #[sqlx(rename = "systemuser")]
    system_user: String,
    party: String,
    resource: String,
    action: Option<String>,
    valid_to: Option<i64>,
}

#[derive(sqlx::FromRow)]
struct PackageRow {
    #[sqlx(rename = "systemuser")]
    system_user: String,
    party: String,
    package: String,
}

/// The system user, withdrawn or not.
pub(crate) async fn find(connection: &mut Connection, id: SystemUserId) -> Result<Option<SystemUser>, sqlx::Error> {
    let row: Option<SystemUserRow> = sqlx::query_as("SELECT * FROM systemuser WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(connection)
        .await?;
    row.map(system_user).transpose()
}

/// The live system user of this owner, system and reference.
pub(crate) async fn find_live(
    connection: &mut Connection,
    owner: OrganizationNumber,
    system: &SystemId,
    external_ref: &str,
) -> Result<Option<SystemUser>, sqlx::Error> {
    let row: Option<SystemUserRow> = sqlx::query_as(
        "SELECT * FROM systemuser WHERE owner = $1 AND system = $2 AND external_ref = $3 AND withdrawn_at IS NULL \
         AND NOT EXISTS (SELECT 1 FROM system_end WHERE system_end.system = systemuser.system)",
    )
    .bind(owner.to_string())
    .bind(system.as_str())
    .bind(external_ref)
    .fetch_optional(connection)
    .await?;
    row.map(system_user).transpose()
}

/// The owner's live system users of this kind, oldest first.
pub(crate) async fn live_of_owner(
    connection: &mut Connection,
    owner: OrganizationNumber,
    kind: SystemUserKind,
) -> Result<Vec<SystemUser>, sqlx::Error> {
    let rows: Vec<SystemUserRow> = sqlx::query_as(
        "SELECT * FROM systemuser WHERE owner = $1 AND kind = $2 AND withdrawn_at IS NULL \
         AND NOT EXISTS (SELECT 1 FROM system_end WHERE system_end.system = systemuser.system) ORDER BY created_at, id",
    )
    .bind(owner.to_string())
    .bind(kind.code())
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(system_user).collect()
}

/// System users of a system and an owner, withdrawn ones too, the oldest first.
pub(crate) async fn of_system_and_owner(
    connection: &mut Connection,
    system: &SystemId,
    owner: OrganizationNumber,
) -> Result<Vec<SystemUser>, sqlx::Error> {
    let rows: Vec<SystemUserRow> =
        sqlx::query_as("SELECT * FROM systemuser WHERE owner = $1 AND system = $2 ORDER BY created_at, id")
            .bind(owner.to_string())
            .bind(system.as_str())
            .fetch_all(connection)
            .await?;
    rows.into_iter().map(system_user).collect()
}

/// Owners of live system users of a system that hold something for a party.
pub(crate) async fn owners_acting_for(
    connection: &mut Connection,
    system: &SystemId,
    party: OrganizationNumber,
) -> Result<Vec<OrganizationNumber>, sqlx::Error> {
    let owners: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT owner FROM systemuser WHERE system = $1 AND withdrawn_at IS NULL AND owner <> $2 AND id IN ( \
         SELECT systemuser FROM delegated_right WHERE party = $2 \
         UNION SELECT systemuser FROM delegated_access_package WHERE party = $2) ORDER BY owner",
    )
    .bind(system.as_str())
    .bind(party.to_string())
    .fetch_all(connection)
    .await?;
    owners.iter().map(|owner| decoded(OrganizationNumber::parse(owner))).collect()
}

/// What the system user holds, one delegation per party; a withdrawn one's last delegations.
pub(crate) async fn delegations(connection: &mut Connection, id: SystemUserId) -> Result<Vec<Delegation>, sqlx::Error> {
    let rights: Vec<RightRow> = sqlx::query_as(
        "SELECT systemuser, party, resource, action, valid_to FROM delegated_right WHERE systemuser = $1 \
         ORDER BY party, position",
    )
    .bind(id.to_string())
    .fetch_all(&mut *connection)
    .await?;
    let packages: Vec<PackageRow> = sqlx::query_as(
        "SELECT systemuser, party, package FROM delegated_access_package WHERE systemuser = $1 ORDER BY party, position",
    )
    .bind(id.to_string())
    .fetch_all(connection)
    .await?;
    Ok(held(rights, packages)?.remove(&id).unwrap_or_default())
}

/// What the system user holds for its owner.
pub(crate) async fn held_for_owner(connection: &mut Connection, user: &SystemUser) -> Result<Delegation, sqlx::Error> {
    let held = delegations(connection, user.id).await?.into_iter().find(|held| held.party == user.owner);
    Ok(held.unwrap_or(Delegation { party: user.owner, rights: Vec::new(), access_packages: Vec::new() }))
}

/// Replaces what the system user holds for the party.
pub(crate) async fn replace_delegation(
    connection: &mut Connection,
    id: SystemUserId,
    delegation: &Delegation,
) -> Result<(), sqlx::Error> {
    for statement in [
        "DELETE FROM delegated_right WHERE systemuser = $1 AND party = $2",
        "DELETE FROM delegated_access_package WHERE systemuser = $1 AND party = $2",
    ] {
        sqlx::query(statement)
            .bind(id.to_string())
            .bind(delegation.party.to_string())
            .execute(&mut *connection)
            .await?;
    }
    insert_delegation(connection, id, delegation).await
}

/// Which of these system users there are, and whether they are live.
pub(crate) async fn are_live(
    connection: &mut Connection,
    ids: &BTreeSet<SystemUserId>,
) -> Result<BTreeMap<SystemUserId, bool>, sqlx::Error> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT id, CASE WHEN withdrawn_at IS NULL \
         AND NOT EXISTS (SELECT 1 FROM system_end WHERE system_end.system = systemuser.system) THEN 1 ELSE 0 END FROM systemuser \
         WHERE id IN (SELECT value FROM json_each($1))",
    )
    .bind(json!(ids).to_string())
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(|(id, is_live)| Ok((decoded(SystemUserId::parse(&id))?, is_true(is_live)))).collect()
}

/// What these system users hold for these parties, live ones only.
pub(crate) async fn live_delegations(
    connection: &mut Connection,
    ids: &BTreeSet<SystemUserId>,
    parties: &BTreeSet<OrganizationNumber>,
) -> Result<BTreeMap<SystemUserId, Vec<Delegation>>, sqlx::Error> {
    let (ids, parties) = (json!(ids).to_string(), json!(parties).to_string());
    let rights: Vec<RightRow> = sqlx::query_as(
        "SELECT held.systemuser, party, resource, action, held.valid_to FROM delegated_right AS held \
         JOIN systemuser ON systemuser.id = held.systemuser AND systemuser.withdrawn_at IS NULL \
         AND NOT EXISTS (SELECT 1 FROM system_end WHERE system_end.system = systemuser.system) \
         WHERE held.systemuser IN (SELECT value FROM json_each($1)) AND party IN (SELECT value FROM json_each($2)) \
         ORDER BY held.systemuser, party, position",
    )
    .bind(&ids)
    .bind(&parties)
    .fetch_all(&mut *connection)
    .await?;
    let packages: Vec<PackageRow> = sqlx::query_as(
        "SELECT held.systemuser, party, package FROM delegated_access_package AS held \
         JOIN systemuser ON systemuser.id = held.systemuser AND systemuser.withdrawn_at IS NULL \
         AND NOT EXISTS (SELECT 1 FROM system_end WHERE system_end.system = systemuser.system) \
         WHERE held.systemuser IN (SELECT value FROM json_each($1)) AND party IN (SELECT value FROM json_each($2)) \
         ORDER BY held.systemuser, party, position",
    )
    .bind(&ids)
    .bind(&parties)
    .fetch_all(connection)
    .await?;
    held(rights, packages)
}

pub(crate) async fn insert(
    connection: &mut Connection,
    user: &SystemUser,
    delegations: &[Delegation],
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO systemuser (id, kind, client_packages, system, owner, external_ref, integration_title, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(user.id.to_string())
    .bind(user.kind.code())
    .bind(stored::packages_text(&user.client_packages))
    .bind(user.system.as_str())
    .bind(user.owner.to_string())
    .bind(&user.external_ref)
    .bind(&user.integration_title)
    .bind(user.created_at.unix_millis())
    .execute(&mut *connection)
    .await?;
    for delegation in delegations {
        insert_delegation(connection, user.id, delegation).await?;
    }
    Ok(())
}

pub(crate) async fn update_title(connection: &mut Connection, user: &SystemUser) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE systemuser SET integration_title = $1 WHERE id = $2")
        .bind(&user.integration_title)
        .bind(user.id.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

pub(crate) async fn mark_withdrawn(connection: &mut Connection, user: &SystemUser) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE systemuser SET withdrawn_at = $1 WHERE id = $2")
        .bind(user.withdrawn_at.map(Timestamp::unix_millis))
        .bind(user.id.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

/// What the system user holds for one party more.
pub(crate) async fn insert_delegation(
    connection: &mut Connection,
    id: SystemUserId,
    delegation: &Delegation,
) -> Result<(), sqlx::Error> {
    for (position, right) in (0_i64..).zip(&delegation.rights) {
        sqlx::query(
            "INSERT INTO delegated_right (systemuser, party, position, resource, action, valid_to) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(id.to_string())
        .bind(delegation.party.to_string())
        .bind(position)
        .bind(right.resource.as_str())
        .bind(right.action.as_ref().map(ActionId::as_str))
        .bind(right.valid_to.map(Timestamp::unix_millis))
        .execute(&mut *connection)
        .await?;
    }
    for (position, package) in (0_i64..).zip(&delegation.access_packages) {
        sqlx::query(
            "INSERT INTO delegated_access_package (systemuser, party, position, package) VALUES ($1, $2, $3, $4)",
        )
        .bind(id.to_string())
        .bind(delegation.party.to_string())
        .bind(position)
        .bind(package.to_string())
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// What an agent holds for each of its clients from now on; the clients' own rows are the caller's.
pub(crate) async fn set_client_packages(
    connection: &mut Connection,
    id: SystemUserId,
    packages: &[AccessPackage],
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE systemuser SET client_packages = $1 WHERE id = $2")
        .bind(stored::packages_text(packages))
        .bind(id.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

/// Takes away all that the system user holds for a party.
pub(crate) async fn delete_delegation(
    connection: &mut Connection,
    id: SystemUserId,
    party: OrganizationNumber,
) -> Result<(), sqlx::Error> {
    for statement in [
        "DELETE FROM delegated_right WHERE systemuser = $1 AND party = $2",
        "DELETE FROM delegated_access_package WHERE systemuser = $1 AND party = $2",
    ] {
        sqlx::query(statement).bind(id.to_string()).bind(party.to_string()).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Rows that come ordered by system user and party, as delegations.
fn held(
    rights: Vec<RightRow>,
    packages: Vec<PackageRow>,
) -> Result<BTreeMap<SystemUserId, Vec<Delegation>>, sqlx::Error> {
    let mut parties: BTreeMap<(String, String), (Vec<ResourceRight>, Vec<AccessPackage>)> = BTreeMap::new();
    for row in rights {
        let right = ResourceRight {
            resource: decoded(ResourceId::parse(&row.resource))?,
            action: row.action.map(|action| decoded(ActionId::parse(&action))).transpose()?,
            valid_to: row.valid_to.map(Timestamp::from_unix_millis),
        };
        parties.entry((row.system_user, row.party)).or_default().0.push(right);
    }
    for row in packages {
        let package = decoded(AccessPackage::parse(&row.package))?;
        parties.entry((row.system_user, row.party)).or_default().1.push(package);
    }
    let mut held: BTreeMap<SystemUserId, Vec<Delegation>> = BTreeMap::new();
    for ((system_user, party), (rights, access_packages)) in parties {
        let party = decoded(OrganizationNumber::parse(&party))?;
        let delegation = Delegation { party, rights, access_packages };
        held.entry(decoded(SystemUserId::parse(&system_user))?).or_default().push(delegation);
    }
    Ok(held)
}

fn system_user(row: SystemUserRow) -> Result<SystemUser, sqlx::Error> {
    Ok(SystemUser {
        id: decoded(SystemUserId::parse(&row.id))?,
        kind: decoded(row.kind.parse())?,
        client_packages: stored::packages(&row.client_packages)?,
        system: decoded(SystemId::parse(&row.system))?,
        owner: decoded(OrganizationNumber::parse(&row.owner))?,
        external_ref: row.external_ref,
        integration_title: row.integration_title,
        created_at: Timestamp::from_unix_millis(row.created_at),
        withdrawn_at: row.withdrawn_at.map(Timestamp::from_unix_millis),
    })
}
