//! The register's tables. That of the change log is in [`changes`].

mod changes;

use std::collections::{BTreeMap, BTreeSet};

use policies::Timestamp;
use policies::id::{MaskinportenClientId, OrganizationNumber, SystemId};
use serde_json::json;
use uuid::Uuid;

use super::model::{RedirectUrl, System};
use crate::fields::LocalizedText;
use crate::right::stored;
use crate::store::{Connection, decoded, is_true};

#[derive(sqlx::FromRow)]
struct SystemRow {
    id: String,
    internal_id: String,
    vendor: String,
    name_nb: String,
    name_nn: String,
    name_en: String,
    description_nb: String,
    description_nn: String,
    description_en: String,
    rights: String,
    access_packages: String,
    redirect_urls: String,
    is_visible: i64,
    is_free: i64,
    created_at: i64,
    deleted_at: Option<i64>,
}

pub(super) use changes::{append_change, changes};

/// The system, deleted or not.
pub(crate) async fn find(connection: &mut Connection, id: &SystemId) -> Result<Option<System>, sqlx::Error> {
    let row: Option<SystemRow> =
        sqlx::query_as("SELECT * FROM system WHERE id = $1").bind(id.as_str()).fetch_optional(&mut *connection).await?;
    match row {
        Some(row) => {
            let client_ids = client_ids(connection, id).await?;
            Ok(Some(system(row, client_ids)?))
        }
        None => Ok(None),
    }
}

/// A system as far as gateways need to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SystemClients {
    pub(crate) vendor: OrganizationNumber,
    /// None for a deleted system: its client ids are free, so nobody can use its system users any more.
    pub(crate) client_ids: BTreeSet<MaskinportenClientId>,
}

/// Vendor and client ids of every system.
pub(crate) async fn all_clients(connection: &mut Connection) -> Result<BTreeMap<SystemId, SystemClients>, sqlx::Error> {
    let rows: Vec<(String, String, Option<String>)> = sqlx::query_as(
        "SELECT system.id, system.vendor, system_client.client_id FROM system \
         LEFT JOIN system_client ON system_client.system = system.id AND system.deleted_at IS NULL",
    )
    .fetch_all(connection)
    .await?;
    let mut systems = BTreeMap::new();
    for (id, vendor, client_id) in rows {
        let vendor = decoded(OrganizationNumber::parse(&vendor))?;
        let system = systems
            .entry(decoded(SystemId::parse(&id))?)
            .or_insert_with(|| SystemClients { vendor, client_ids: BTreeSet::new() });
        if let Some(client_id) = client_id {
            system.client_ids.insert(decoded(MaskinportenClientId::parse(&client_id))?);
        }
    }
    Ok(systems)
}

/// A vendor's registered systems that are not deleted, by id.
pub(super) async fn of_vendor(
    connection: &mut Connection,
    vendor: OrganizationNumber,
) -> Result<Vec<System>, sqlx::Error> {
    let rows: Vec<SystemRow> =
        sqlx::query_as("SELECT * FROM system WHERE vendor = $1 AND deleted_at IS NULL AND is_free = 0 ORDER BY id")
            .bind(vendor.to_string())
            .fetch_all(&mut *connection)
            .await?;
    with_clients(connection, rows).await
}

/// How many those are.
pub(super) async fn count_of_vendor(
    connection: &mut Connection,
    vendor: OrganizationNumber,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT count(*) FROM system WHERE vendor = $1 AND deleted_at IS NULL AND is_free = 0")
        .bind(vendor.to_string())
        .fetch_one(connection)
        .await
}

/// Systems that may be found and are not deleted, by id.
pub(super) async fn visible(connection: &mut Connection) -> Result<Vec<System>, sqlx::Error> {
    let rows: Vec<SystemRow> =
        sqlx::query_as("SELECT * FROM system WHERE is_visible = 1 AND deleted_at IS NULL ORDER BY id")
            .fetch_all(&mut *connection)
            .await?;
    with_clients(connection, rows).await
}

/// Those of these systems that there are, deleted or not.
pub(crate) async fn named(
    connection: &mut Connection,
    ids: &BTreeSet<SystemId>,
) -> Result<BTreeMap<SystemId, System>, sqlx::Error> {
    let rows: Vec<SystemRow> = sqlx::query_as("SELECT * FROM system WHERE id IN (SELECT value FROM json_each($1))")
        .bind(json!(ids).to_string())
        .fetch_all(&mut *connection)
        .await?;
    let systems = with_clients(connection, rows).await?;
    Ok(systems.into_iter().map(|system| (system.id.clone(), system)).collect())
}

async fn with_clients(connection: &mut Connection, rows: Vec<SystemRow>) -> Result<Vec<System>, sqlx::Error> {
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let clients: Vec<(String, String)> = sqlx::query_as(
        "SELECT system, client_id FROM system_client WHERE system IN (SELECT value FROM json_each($1)) \
         ORDER BY system, position",
    )
    .bind(json!(ids).to_string())
    .fetch_all(connection)
    .await?;
    let mut of_system: BTreeMap<String, Vec<MaskinportenClientId>> = BTreeMap::new();
    for (system, client_id) in clients {
        of_system.entry(system).or_default().push(decoded(MaskinportenClientId::parse(&client_id))?);
    }
    rows.into_iter()
        .map(|row| {
            let client_ids = of_system.remove(&row.id).unwrap_or_default();
            system(row, client_ids)
        })
        .collect()
}

/// The live system that this client may use.
pub(crate) async fn live_of_client(
    connection: &mut Connection,
    client_id: &MaskinportenClientId,
) -> Result<Option<System>, sqlx::Error> {
    match system_of_client(connection, client_id).await? {
        Some(id) => Ok(find(connection, &id).await?.filter(|system| !system.is_deleted)),
        None => Ok(None),
    }
}

/// The live system that has this client id.
pub(crate) async fn system_of_client(
    connection: &mut Connection,
    client_id: &MaskinportenClientId,
) -> Result<Option<SystemId>, sqlx::Error> {
    let id: Option<String> = sqlx::query_scalar("SELECT system FROM system_client WHERE lower(client_id) = $1")
        .bind(client_id.folded())
        .fetch_optional(connection)
        .await?;
    id.map(|id| decoded(SystemId::parse(&id))).transpose()
}

pub(crate) async fn insert(connection: &mut Connection, system: &System) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO system (id, internal_id, vendor, name_nb, name_nn, name_en, description_nb, description_nn, \
         description_en, rights, access_packages, redirect_urls, is_visible, is_free, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    )
    .bind(system.id.as_str())
    .bind(system.internal_id.to_string())
    .bind(system.vendor.to_string())
    .bind(&system.name.nb)
    .bind(&system.name.nn)
    .bind(&system.name.en)
    .bind(&system.description.nb)
    .bind(&system.description.nn)
    .bind(&system.description.en)
    .bind(stored::rights_text(&system.rights))
    .bind(stored::packages_text(&system.access_packages))
    .bind(json!(system.redirect_urls).to_string())
    .bind(i64::from(system.is_visible))
    .bind(i64::from(system.is_free))
    .bind(system.created_at.unix_millis())
    .execute(&mut *connection)
    .await?;
    insert_clients(connection, system).await
}

/// Stores all that may change of a live system.
pub(crate) async fn update(connection: &mut Connection, system: &System) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE system SET name_nb = $1, name_nn = $2, name_en = $3, description_nb = $4, description_nn = $5, \
         description_en = $6, rights = $7, access_packages = $8, redirect_urls = $9, is_visible = $10 WHERE id = $11",
    )
    .bind(&system.name.nb)
    .bind(&system.name.nn)
    .bind(&system.name.en)
    .bind(&system.description.nb)
    .bind(&system.description.nn)
    .bind(&system.description.en)
    .bind(stored::rights_text(&system.rights))
    .bind(stored::packages_text(&system.access_packages))
    .bind(json!(system.redirect_urls).to_string())
    .bind(i64::from(system.is_visible))
    .bind(system.id.as_str())
    .execute(&mut *connection)
    .await?;
    delete_clients(connection, &system.id).await?;
    insert_clients(connection, system).await
}

/// Ends the system, and by triggers the first of what hangs on it ([`end_more`]). Its client ids are free.
pub(super) async fn delete(connection: &mut Connection, id: &SystemId, now: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE system SET deleted_at = $1 WHERE id = $2")
        .bind(now.unix_millis())
        .bind(id.as_str())
        .execute(&mut *connection)
        .await?;
    delete_clients(connection, id).await
}

/// A deleted system of which something is left to end.
pub(super) async fn ending(connection: &mut Connection) -> Result<Option<SystemId>, sqlx::Error> {
    let id: Option<String> = sqlx::query_scalar("SELECT system FROM system_end ORDER BY at, system LIMIT 1")
        .fetch_optional(connection)
        .await?;
    id.map(|id| decoded(SystemId::parse(&id))).transpose()
}

/// Ends, by triggers, the next of what hangs on a deleted system: 2,000 system users and as many requests.
pub(super) async fn end_more(connection: &mut Connection, id: &SystemId, now: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE system_end SET at = $1 WHERE system = $2")
        .bind(now.unix_millis())
        .bind(id.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

async fn delete_clients(connection: &mut Connection, id: &SystemId) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM system_client WHERE system = $1").bind(id.as_str()).execute(connection).await?;
    Ok(())
}

async fn insert_clients(connection: &mut Connection, system: &System) -> Result<(), sqlx::Error> {
    for (position, client_id) in (0_i64..).zip(&system.client_ids) {
        sqlx::query("INSERT INTO system_client (client_id, system, position) VALUES ($1, $2, $3)")
            .bind(client_id.as_str())
            .bind(system.id.as_str())
            .bind(position)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn client_ids(connection: &mut Connection, system: &SystemId) -> Result<Vec<MaskinportenClientId>, sqlx::Error> {
    let texts: Vec<String> =
        sqlx::query_scalar("SELECT client_id FROM system_client WHERE system = $1 ORDER BY position")
            .bind(system.as_str())
            .fetch_all(connection)
            .await?;
    texts.iter().map(|text| decoded(MaskinportenClientId::parse(text))).collect()
}

fn system(row: SystemRow, client_ids: Vec<MaskinportenClientId>) -> Result<System, sqlx::Error> {
    let redirect_urls: Vec<String> = decoded(serde_json::from_str(&row.redirect_urls))?;
    Ok(System {
        id: decoded(SystemId::parse(&row.id))?,
        internal_id: decoded(Uuid::parse_str(&row.internal_id))?,
        vendor: decoded(OrganizationNumber::parse(&row.vendor))?,
        name: LocalizedText { nb: row.name_nb, nn: row.name_nn, en: row.name_en },
        description: LocalizedText { nb: row.description_nb, nn: row.description_nn, en: row.description_en },
        rights: stored::rights(&row.rights)?,
        access_packages: stored::packages(&row.access_packages)?,
        client_ids,
        redirect_urls: redirect_urls.iter().map(|text| decoded(RedirectUrl::parse(text))).collect::<Result<_, _>>()?,
        is_visible: is_true(row.is_visible),
        is_deleted: row.deleted_at.is_some(),
        is_free: is_true(row.is_free),
        created_at: Timestamp::from_unix_millis(row.created_at),
    })
}
