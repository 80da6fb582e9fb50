//! The table of clients of agent system users. What is held for each is among the delegations of [`crate::system_users`].

use std::collections::BTreeSet;

use policies::Timestamp;
use policies::id::{AccessPackage, OrganizationNumber, SystemUserId};
use serde_json::json;
use uuid::Uuid;

use super::model::ClientDelegation;
use crate::store::{Connection, decoded, is_true};
use crate::system_users;
use crate::system_users::model::Delegation;

#[derive(sqlx::FromRow)]
struct ClientRow {
    id: String,
    #[sqlx(rename = "systemuser")]
    system_user: String,
    client: String,
    created_at: i64,
    created_by: i64,
}

/// The client, and the packages that are held for it.
pub(crate) async fn insert(
    connection: &mut Connection,
    delegation: &ClientDelegation,
    packages: &[AccessPackage],
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO client_delegation (id, systemuser, client, created_at, created_by) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(delegation.id.hyphenated().to_string())
    .bind(delegation.system_user.to_string())
    .bind(delegation.client.to_string())
    .bind(delegation.created_at.unix_millis())
    .bind(delegation.created_by)
    .execute(&mut *connection)
    .await?;
    insert_packages(connection, delegation, packages).await
}

/// Replaces what is held for the client.
pub(crate) async fn replace_packages(
    connection: &mut Connection,
    delegation: &ClientDelegation,
    packages: &[AccessPackage],
) -> Result<(), sqlx::Error> {
    system_users::store::delete_delegation(connection, delegation.system_user, delegation.client).await?;
    insert_packages(connection, delegation, packages).await
}

/// Takes the client away, with all that is held for it.
pub(crate) async fn delete(connection: &mut Connection, delegation: &ClientDelegation) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM client_delegation WHERE id = $1")
        .bind(delegation.id.hyphenated().to_string())
        .execute(&mut *connection)
        .await?;
    system_users::store::delete_delegation(connection, delegation.system_user, delegation.client).await
}

/// Forgets whom a withdrawn system user acted for. What it held stays: it says which gateways must be told.
pub(crate) async fn forget_all(connection: &mut Connection, system_user: SystemUserId) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM client_delegation WHERE systemuser = $1")
        .bind(system_user.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

pub(crate) async fn find(
    connection: &mut Connection,
    system_user: SystemUserId,
    client: OrganizationNumber,
) -> Result<Option<ClientDelegation>, sqlx::Error> {
    let row: Option<ClientRow> =
        sqlx::query_as("SELECT * FROM client_delegation WHERE systemuser = $1 AND client = $2")
            .bind(system_user.to_string())
            .bind(client.to_string())
            .fetch_optional(connection)
            .await?;
    row.map(client_delegation).transpose()
}

/// The system user's clients in order of their numbers, from `after` on.
pub(crate) async fn page(
    connection: &mut Connection,
    system_user: SystemUserId,
    after: &str,
    count: i64,
) -> Result<Vec<ClientDelegation>, sqlx::Error> {
    let rows: Vec<ClientRow> = sqlx::query_as(
        "SELECT * FROM client_delegation WHERE systemuser = $1 AND client > $2 ORDER BY client LIMIT $3",
    )
    .bind(system_user.to_string())
    .bind(after)
    .bind(count)
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(client_delegation).collect()
}

pub(crate) async fn has_some(connection: &mut Connection, system_user: SystemUserId) -> Result<bool, sqlx::Error> {
    let sql = "SELECT CASE WHEN EXISTS (SELECT 1 FROM client_delegation WHERE systemuser = $1) THEN 1 ELSE 0 END";
    sqlx::query_scalar(sql).bind(system_user.to_string()).fetch_one(connection).await.map(is_true)
}

/// Everything that acts for one of these organisations as a client.
pub(crate) async fn of_clients(
    connection: &mut Connection,
    clients: &BTreeSet<OrganizationNumber>,
) -> Result<Vec<ClientDelegation>, sqlx::Error> {
    let rows: Vec<ClientRow> = sqlx::query_as(
        "SELECT * FROM client_delegation WHERE client IN (SELECT value FROM json_each($1)) ORDER BY systemuser, client",
    )
    .bind(json!(clients).to_string())
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(client_delegation).collect()
}

async fn insert_packages(
    connection: &mut Connection,
    delegation: &ClientDelegation,
    packages: &[AccessPackage],
) -> Result<(), sqlx::Error> {
    let held = Delegation { party: delegation.client, rights: Vec::new(), access_packages: packages.to_vec() };
    system_users::store::insert_delegation(connection, delegation.system_user, &held).await
}

fn client_delegation(row: ClientRow) -> Result<ClientDelegation, sqlx::Error> {
    Ok(ClientDelegation {
        id: decoded(Uuid::parse_str(&row.id))?,
        system_user: decoded(SystemUserId::parse(&row.system_user))?,
        client: decoded(OrganizationNumber::parse(&row.client))?,
        created_at: Timestamp::from_unix_millis(row.created_at),
        created_by: row.created_by,
    })
}
