//! The table of relations: which organisation is accountant, auditor, … of which.
//!
//! What a main unit's relations give counts for its sub units, as all that is held for a main unit does.

use std::collections::BTreeSet;

use policies::id::OrganizationNumber;
use serde_json::json;
use uuid::Uuid;

use super::{PartyRow, party};
use crate::parties::model::{OrganizationForm, Party, Relation, RelationRole};
use crate::store::{Connection, decoded};

/// A relation through which an organisation can be somebody's client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientRelation {
    /// Altinn's `assignmentId`.
    pub(crate) id: Uuid,
    /// The organisation itself, or its main unit.
    pub(crate) from: OrganizationNumber,
    pub(crate) role: RelationRole,
    pub(crate) provider: OrganizationNumber,
    /// Of `from`.
    pub(crate) form: Option<OrganizationForm>,
}

#[derive(sqlx::FromRow)]
struct RelationRow {
    id: String,
    client: String,
    role: String,
    provider: String,
    form: Option<String>,
}

/// Stores the relation, unless it is there already.
pub(crate) async fn insert(connection: &mut Connection, id: Uuid, relation: &Relation) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO relation (id, client, role, provider) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING")
        .bind(id.hyphenated().to_string())
        .bind(relation.client.to_string())
        .bind(relation.role.code())
        .bind(relation.provider.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

pub(crate) async fn delete(connection: &mut Connection, relation: &Relation) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM relation WHERE client = $1 AND role = $2 AND provider = $3")
        .bind(relation.client.to_string())
        .bind(relation.role.code())
        .bind(relation.provider.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

/// Relations in which one of these organisations is the client, or the provider.
pub(crate) async fn of_clients_or_providers(
    connection: &mut Connection,
    clients: &BTreeSet<OrganizationNumber>,
    providers: &BTreeSet<OrganizationNumber>,
) -> Result<BTreeSet<Relation>, sqlx::Error> {
    let rows: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT client, role, provider FROM relation WHERE client IN (SELECT value FROM json_each($1)) \
         UNION SELECT client, role, provider FROM relation WHERE provider IN (SELECT value FROM json_each($2))",
    )
    .bind(json!(clients).to_string())
    .bind(json!(providers).to_string())
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(client, role, provider)| {
            Ok(Relation {
                client: decoded(OrganizationNumber::parse(&client))?,
                role: decoded(role.parse())?,
                provider: decoded(OrganizationNumber::parse(&provider))?,
            })
        })
        .collect()
}

/// Relations of these organisations (as clients) to any of these providers.
pub(crate) async fn between(
    connection: &mut Connection,
    clients: &BTreeSet<OrganizationNumber>,
    providers: &BTreeSet<OrganizationNumber>,
) -> Result<Vec<ClientRelation>, sqlx::Error> {
    let rows: Vec<RelationRow> = sqlx::query_as(
        "SELECT relation.id, client, role, provider, party.form FROM relation \
         JOIN party ON party.organization = relation.client \
         WHERE client IN (SELECT value FROM json_each($1)) AND provider IN (SELECT value FROM json_each($2)) \
         ORDER BY client, role, provider",
    )
    .bind(json!(clients).to_string())
    .bind(json!(providers).to_string())
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(client_relation).collect()
}

/// Organisations with a relation to the provider, own or through their main unit, in order of their numbers from `after` on.
pub(crate) async fn clients_of(
    connection: &mut Connection,
    provider: OrganizationNumber,
    after: &str,
    count: i64,
) -> Result<Vec<Party>, sqlx::Error> {
    let rows: Vec<PartyRow> = sqlx::query_as(
        "SELECT uuid, party_id, organization, name, main_unit, form, struck_off_at FROM party \
         WHERE organization IN (SELECT client FROM relation WHERE provider = $1 \
         UNION SELECT unit.organization FROM party AS unit JOIN relation ON relation.client = unit.main_unit \
         WHERE relation.provider = $1) \
         AND organization > $2 AND struck_off_at IS NULL ORDER BY organization LIMIT $3",
    )
    .bind(provider.to_string())
    .bind(after)
    .bind(count)
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(party).collect()
}

/// Organisations of which the provider is `role`, in order of their numbers.
pub(crate) async fn customers(
    connection: &mut Connection,
    provider: OrganizationNumber,
    role: RelationRole,
) -> Result<Vec<Party>, sqlx::Error> {
    let rows: Vec<PartyRow> = sqlx::query_as(
        "SELECT uuid, party_id, organization, name, main_unit, form, struck_off_at FROM party \
         WHERE organization IN (SELECT client FROM relation WHERE provider = $1 AND role = $2) ORDER BY organization",
    )
    .bind(provider.to_string())
    .bind(role.code())
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(party).collect()
}

fn client_relation(row: RelationRow) -> Result<ClientRelation, sqlx::Error> {
    Ok(ClientRelation {
        id: decoded(Uuid::parse_str(&row.id))?,
        from: decoded(OrganizationNumber::parse(&row.client))?,
        role: decoded(row.role.parse())?,
        provider: decoded(OrganizationNumber::parse(&row.provider))?,
        form: row.form.map(|form| decoded(OrganizationForm::parse(&form))).transpose()?,
    })
}
