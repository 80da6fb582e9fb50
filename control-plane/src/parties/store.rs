//! The tables of parties and role assignments. Only key roles are stored, see [`super::model::Role`].

use std::collections::{BTreeMap, BTreeSet};

use policies::id::{OrganizationNumber, PartyUuid};
use serde_json::json;

use super::model::{Party, PartyId, RoleAssignment};
use crate::store::{Connection, decoded, is_true};

#[derive(sqlx::FromRow)]
struct PartyRow {
    uuid: String,
    party_id: i64,
    organization: String,
    name: String,
    main_unit: Option<String>,
}

pub(crate) async fn find(connection: &mut Connection, id: PartyId) -> Result<Option<Party>, sqlx::Error> {
    let row: Option<PartyRow> =
        sqlx::query_as("SELECT uuid, party_id, organization, name, main_unit FROM party WHERE party_id = $1")
            .bind(id.as_i64())
            .fetch_optional(connection)
            .await?;
    row.map(party).transpose()
}

pub(crate) async fn find_organization(
    connection: &mut Connection,
    organization: OrganizationNumber,
) -> Result<Option<Party>, sqlx::Error> {
    let found = named(connection, &BTreeSet::new(), &BTreeSet::from([organization]), &BTreeSet::new()).await?;
    Ok(found.into_iter().next())
}

pub(crate) async fn find_uuid(connection: &mut Connection, uuid: PartyUuid) -> Result<Option<Party>, sqlx::Error> {
    let found = named(connection, &BTreeSet::new(), &BTreeSet::new(), &BTreeSet::from([uuid])).await?;
    Ok(found.into_iter().next())
}

/// The parties with one of these numbers, organisation numbers or uuids.
pub(crate) async fn named(
    connection: &mut Connection,
    ids: &BTreeSet<PartyId>,
    organizations: &BTreeSet<OrganizationNumber>,
    uuids: &BTreeSet<PartyUuid>,
) -> Result<Vec<Party>, sqlx::Error> {
    let rows: Vec<PartyRow> = sqlx::query_as(
        "SELECT uuid, party_id, organization, name, main_unit FROM party \
         WHERE party_id IN (SELECT CAST(value AS BIGINT) FROM json_each($1)) OR organization IN (SELECT value FROM json_each($2)) \
         OR uuid IN (SELECT value FROM json_each($3))",
    )
    .bind(json!(ids).to_string())
    .bind(json!(organizations).to_string())
    .bind(json!(uuids).to_string())
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(party).collect()
}

/// The roles that these users have at these organisations.
pub(crate) async fn roles(
    connection: &mut Connection,
    users: &BTreeSet<i64>,
    organizations: &BTreeSet<OrganizationNumber>,
) -> Result<Vec<RoleAssignment>, sqlx::Error> {
    let rows: Vec<(i64, String, String)> = sqlx::query_as(
        "SELECT user_id, organization, role FROM role_assignment \
         WHERE user_id IN (SELECT CAST(value AS BIGINT) FROM json_each($1)) \
         AND organization IN (SELECT value FROM json_each($2)) \
         ORDER BY user_id, organization, role",
    )
    .bind(json!(users).to_string())
    .bind(json!(organizations).to_string())
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(user_id, organization, role)| {
            let organization = decoded(OrganizationNumber::parse(&organization))?;
            Ok(RoleAssignment { user_id, organization, role: decoded(role.parse())? })
        })
        .collect()
}

pub(crate) async fn is_registered(
    connection: &mut Connection,
    organization: OrganizationNumber,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT CASE WHEN EXISTS (SELECT 1 FROM party WHERE organization = $1) THEN 1 ELSE 0 END")
        .bind(organization.to_string())
        .fetch_one(connection)
        .await
        .map(is_true)
}

/// Whether one of the party's numbers is another party's, or the party would become another organisation.
pub(super) async fn conflicts(connection: &mut Connection, party: &Party) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT CASE WHEN EXISTS (SELECT 1 FROM party \
         WHERE (uuid = $1 OR party_id = $2 OR organization = $3) AND NOT (uuid = $1 AND organization = $3)) \
         THEN 1 ELSE 0 END",
    )
    .bind(party.uuid.to_string())
    .bind(party.id.as_i64())
    .bind(party.organization.to_string())
    .fetch_one(connection)
    .await
    .map(is_true)
}

/// The party without its main unit, which [`set_main_unit`] stores.
pub(super) async fn upsert(connection: &mut Connection, party: &Party) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO party (uuid, party_id, organization, name) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (uuid) DO UPDATE SET party_id = excluded.party_id, name = excluded.name, main_unit = NULL",
    )
    .bind(party.uuid.to_string())
    .bind(party.id.as_i64())
    .bind(party.organization.to_string())
    .bind(&party.name)
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn set_main_unit(
    connection: &mut Connection,
    organization: OrganizationNumber,
    main_unit: OrganizationNumber,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE party SET main_unit = $1 WHERE organization = $2")
        .bind(main_unit.to_string())
        .bind(organization.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

/// An organisation whose main unit has a main unit.
pub(super) async fn nested_sub_unit(connection: &mut Connection) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT unit.organization FROM party AS unit JOIN party AS main ON main.organization = unit.main_unit \
         WHERE main.main_unit IS NOT NULL ORDER BY unit.organization LIMIT 1",
    )
    .fetch_optional(connection)
    .await
}

/// The sub units of every organisation that has some.
pub(crate) async fn sub_units(
    connection: &mut Connection,
) -> Result<BTreeMap<OrganizationNumber, Vec<OrganizationNumber>>, sqlx::Error> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT main_unit, organization FROM party WHERE main_unit IS NOT NULL ORDER BY main_unit, organization",
    )
    .fetch_all(connection)
    .await?;
    let mut sub_units: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (main_unit, organization) in rows {
        let main_unit = decoded(OrganizationNumber::parse(&main_unit))?;
        sub_units.entry(main_unit).or_default().push(decoded(OrganizationNumber::parse(&organization))?);
    }
    Ok(sub_units)
}

/// Takes every role at the organisation away.
pub(super) async fn unassign_all(
    connection: &mut Connection,
    organization: OrganizationNumber,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM role_assignment WHERE organization = $1")
        .bind(organization.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn assign(connection: &mut Connection, assignment: &RoleAssignment) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO role_assignment (user_id, organization, role) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
        .bind(assignment.user_id)
        .bind(assignment.organization.to_string())
        .bind(assignment.role.code())
        .execute(connection)
        .await?;
    Ok(())
}

fn party(row: PartyRow) -> Result<Party, sqlx::Error> {
    Ok(Party {
        id: decoded(PartyId::try_from(row.party_id))?,
        uuid: decoded(PartyUuid::parse(&row.uuid))?,
        organization: decoded(OrganizationNumber::parse(&row.organization))?,
        name: row.name,
        main_unit: row.main_unit.map(|main_unit| decoded(OrganizationNumber::parse(&main_unit))).transpose()?,
    })
}
