//! The tables of parties and role assignments; of roles, those of [`super::model::Role`]. What organisations are to each other
//! is in [`relations`].

pub(crate) mod relations;

use std::collections::{BTreeMap, BTreeSet};

use policies::Timestamp;
use policies::id::{OrganizationNumber, PartyUuid};
use serde_json::json;

use super::model::{OrganizationForm, Party, PartyId, Person, RoleAssignment};
use crate::store::{Connection, decoded, is_true};

#[derive(sqlx::FromRow)]
struct PartyRow {
    uuid: String,
    party_id: i64,
    organization: String,
    name: String,
    main_unit: Option<String>,
    form: Option<String>,
    struck_off_at: Option<i64>,
}

pub(crate) async fn find(connection: &mut Connection, id: PartyId) -> Result<Option<Party>, sqlx::Error> {
    let row: Option<PartyRow> = sqlx::query_as(
        "SELECT uuid, party_id, organization, name, main_unit, form, struck_off_at FROM party WHERE party_id = $1",
    )
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
        "SELECT uuid, party_id, organization, name, main_unit, form, struck_off_at FROM party \
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

/// Whether anybody is in the register.
pub(crate) async fn has_some(connection: &mut Connection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT CASE WHEN EXISTS (SELECT 1 FROM party) THEN 1 ELSE 0 END")
        .fetch_one(connection)
        .await
        .map(is_true)
}

/// Whether the organisation is in the register, and was not struck off.
pub(crate) async fn is_registered(
    connection: &mut Connection,
    organization: OrganizationNumber,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT CASE WHEN EXISTS (SELECT 1 FROM party WHERE organization = $1 AND struck_off_at IS NULL) THEN 1 ELSE 0 END")
        .bind(organization.to_string())
        .fetch_one(connection)
        .await
        .map(is_true)
}

/// Whether one of the party's numbers is another party's, or the party would become another organisation.
pub(crate) async fn conflicts(connection: &mut Connection, party: &Party) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT CASE WHEN EXISTS (SELECT 1 FROM party \
         WHERE (uuid = $1 OR party_id = $2 OR organization = $3) AND NOT (uuid = $1 AND organization = $3)) \
         OR EXISTS (SELECT 1 FROM person WHERE uuid = $1 OR party_id = $2) \
         THEN 1 ELSE 0 END",
    )
    .bind(party.uuid.to_string())
    .bind(party.id.as_i64())
    .bind(party.organization.to_string())
    .fetch_one(connection)
    .await
    .map(is_true)
}

/// The party without its main unit, which [`set_main_unit`] stores. It is in the register (again).
pub(crate) async fn upsert(connection: &mut Connection, party: &Party) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO party (uuid, party_id, organization, name, form) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (uuid) DO UPDATE SET party_id = excluded.party_id, name = excluded.name, form = excluded.form, \
         main_unit = NULL, struck_off_at = NULL",
    )
    .bind(party.uuid.to_string())
    .bind(party.id.as_i64())
    .bind(party.organization.to_string())
    .bind(&party.name)
    .bind(party.form.as_ref().map(OrganizationForm::as_str))
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) async fn set_main_unit(
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
pub(crate) async fn nested_sub_unit(connection: &mut Connection) -> Result<Option<String>, sqlx::Error> {
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

/// The sub units of these organisations.
pub(crate) async fn units_of(
    connection: &mut Connection,
    main_units: &BTreeSet<OrganizationNumber>,
) -> Result<BTreeSet<OrganizationNumber>, sqlx::Error> {
    let units: Vec<String> = sqlx::query_scalar(
        "SELECT organization FROM party WHERE main_unit IN (SELECT value FROM json_each($1)) AND struck_off_at IS NULL",
    )
    .bind(json!(main_units).to_string())
    .fetch_all(connection)
    .await?;
    units.iter().map(|unit| decoded(OrganizationNumber::parse(unit))).collect()
}

/// Takes every role at the organisation away.
pub(crate) async fn unassign_all(
    connection: &mut Connection,
    organization: OrganizationNumber,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM role_assignment WHERE organization = $1")
        .bind(organization.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

pub(crate) async fn assign(connection: &mut Connection, assignment: &RoleAssignment) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO role_assignment (user_id, organization, role) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
        .bind(assignment.user_id)
        .bind(assignment.organization.to_string())
        .bind(assignment.role.code())
        .execute(connection)
        .await?;
    Ok(())
}

pub(crate) async fn unassign(connection: &mut Connection, assignment: &RoleAssignment) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM role_assignment WHERE user_id = $1 AND organization = $2 AND role = $3")
        .bind(assignment.user_id)
        .bind(assignment.organization.to_string())
        .bind(assignment.role.code())
        .execute(connection)
        .await?;
    Ok(())
}

/// Marks an organisation that has left the register. Its roles and relations are the caller's to end.
pub(crate) async fn strike_off(
    connection: &mut Connection,
    organization: OrganizationNumber,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE party SET struck_off_at = $1 WHERE organization = $2 AND struck_off_at IS NULL")
        .bind(now.unix_millis())
        .bind(organization.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

/// Whether one of the person's numbers is another party's.
pub(crate) async fn person_conflicts(connection: &mut Connection, person: &Person) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT CASE WHEN EXISTS (SELECT 1 FROM party WHERE uuid = $1 OR party_id = $2) \
         OR EXISTS (SELECT 1 FROM person WHERE (party_id = $2 OR user_id = $3) AND uuid <> $1) THEN 1 ELSE 0 END",
    )
    .bind(person.uuid.to_string())
    .bind(person.id.as_i64())
    .bind(person.user_id)
    .fetch_one(connection)
    .await
    .map(is_true)
}

pub(crate) async fn upsert_person(connection: &mut Connection, person: &Person) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO person (uuid, party_id, user_id, name) VALUES ($1, $2, $3, $4) ON CONFLICT (uuid) DO UPDATE SET \
         party_id = excluded.party_id, user_id = excluded.user_id, name = excluded.name",
    )
    .bind(person.uuid.to_string())
    .bind(person.id.as_i64())
    .bind(person.user_id)
    .bind(&person.name)
    .execute(connection)
    .await?;
    Ok(())
}

/// The person that a user is.
pub(crate) async fn person_of_user(connection: &mut Connection, user_id: i64) -> Result<Option<Person>, sqlx::Error> {
    let row: Option<(String, i64, String)> =
        sqlx::query_as("SELECT uuid, party_id, name FROM person WHERE user_id = $1")
            .bind(user_id)
            .fetch_optional(connection)
            .await?;
    let Some((uuid, party_id, name)) = row else { return Ok(None) };
    Ok(Some(Person {
        uuid: decoded(PartyUuid::parse(&uuid))?,
        id: decoded(PartyId::try_from(party_id))?,
        user_id,
        name,
    }))
}

/// The user id of a person.
pub(crate) async fn user_id(connection: &mut Connection, person: PartyUuid) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar("SELECT user_id FROM person WHERE uuid = $1")
        .bind(person.to_string())
        .fetch_optional(connection)
        .await
}

fn party(row: PartyRow) -> Result<Party, sqlx::Error> {
    Ok(Party {
        id: decoded(PartyId::try_from(row.party_id))?,
        uuid: decoded(PartyUuid::parse(&row.uuid))?,
        organization: decoded(OrganizationNumber::parse(&row.organization))?,
        name: row.name,
        main_unit: row.main_unit.map(|main_unit| decoded(OrganizationNumber::parse(&main_unit))).transpose()?,
        form: row.form.map(|form| decoded(OrganizationForm::parse(&form))).transpose()?,
        is_struck_off: row.struck_off_at.is_some(),
    })
}
