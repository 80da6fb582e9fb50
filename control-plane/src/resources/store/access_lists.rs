//! The tables of access lists: who is on them, and which resources they are for.

use std::collections::{BTreeMap, BTreeSet};

use policies::id::{ActionId, OrganizationNumber, ProviderId, ResourceId};
use serde_json::json;

use crate::resources::model::{AccessListId, AccessListMode};
use crate::store::{Connection, decoded};

/// Who is on a list, and for which actions; `None` for all.
pub(crate) type AccessListMember = (OrganizationNumber, Option<BTreeSet<ActionId>>);

/// The list's members, by number; `None` when the provider has no such list.
pub(in crate::resources) async fn find_access_list(
    connection: &mut Connection,
    provider: &ProviderId,
    list: &AccessListId,
) -> Result<Option<Vec<AccessListMember>>, sqlx::Error> {
    let known: Option<String> = sqlx::query_scalar("SELECT id FROM access_list WHERE provider = $1 AND id = $2")
        .bind(provider.as_str())
        .bind(list.as_str())
        .fetch_optional(&mut *connection)
        .await?;
    if known.is_none() {
        return Ok(None);
    }
    let rows: Vec<(String, Option<String>)> = sqlx::query_as(
        "SELECT organization, actions FROM access_list_member WHERE provider = $1 AND list = $2 ORDER BY organization",
    )
    .bind(provider.as_str())
    .bind(list.as_str())
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(|(organization, actions)| member(&organization, actions)).collect::<Result<_, _>>().map(Some)
}

/// Makes the list or replaces its members.
pub(in crate::resources) async fn put_access_list(
    connection: &mut Connection,
    provider: &ProviderId,
    list: &AccessListId,
    members: &BTreeMap<OrganizationNumber, Option<BTreeSet<ActionId>>>,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO access_list (provider, id) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(provider.as_str())
        .bind(list.as_str())
        .execute(&mut *connection)
        .await?;
    clear(connection, provider, list).await?;
    // The number has nine digits; the actions, if there are any, follow it as JSON.
    let rows = members.iter().map(|(organization, actions)| match actions {
        Some(actions) => format!("{organization}{}", json!(actions)),
        None => organization.to_string(),
    });
    sqlx::query(
        "INSERT INTO access_list_member (provider, list, organization, actions) \
         SELECT $1, $2, substr(value, 1, 9), nullif(substr(value, 10), '') FROM json_each($3)",
    )
    .bind(provider.as_str())
    .bind(list.as_str())
    .bind(json!(rows.collect::<Vec<_>>()).to_string())
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes the list away; no resource may be using it.
pub(in crate::resources) async fn delete_access_list(
    connection: &mut Connection,
    provider: &ProviderId,
    list: &AccessListId,
) -> Result<(), sqlx::Error> {
    clear(connection, provider, list).await?;
    sqlx::query("DELETE FROM access_list WHERE provider = $1 AND id = $2")
        .bind(provider.as_str())
        .bind(list.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

async fn clear(connection: &mut Connection, provider: &ProviderId, list: &AccessListId) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM access_list_member WHERE provider = $1 AND list = $2")
        .bind(provider.as_str())
        .bind(list.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

/// The resources that the list is for.
pub(in crate::resources) async fn resources_of_list(
    connection: &mut Connection,
    provider: &ProviderId,
    list: &AccessListId,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT resource FROM resource_access_list WHERE provider = $1 AND list = $2 ORDER BY resource")
        .bind(provider.as_str())
        .bind(list.as_str())
        .fetch_all(connection)
        .await
}

/// What a resource says about access lists, after a change; what is `None` stays as it was.
pub(in crate::resources) async fn set_access_lists(
    connection: &mut Connection,
    provider: &ProviderId,
    resource: &ResourceId,
    lists: Option<&BTreeSet<AccessListId>>,
    mode: Option<AccessListMode>,
) -> Result<(Vec<String>, AccessListMode), sqlx::Error> {
    if let Some(lists) = lists {
        sqlx::query("DELETE FROM resource_access_list WHERE resource = $1")
            .bind(resource.as_str())
            .execute(&mut *connection)
            .await?;
        for list in lists {
            sqlx::query("INSERT INTO resource_access_list (resource, provider, list) VALUES ($1, $2, $3)")
                .bind(resource.as_str())
                .bind(provider.as_str())
                .bind(list.as_str())
                .execute(&mut *connection)
                .await?;
        }
    }
    let mode: String = sqlx::query_scalar(
        "UPDATE resource SET access_list_mode = coalesce($1, access_list_mode) WHERE id = $2 RETURNING access_list_mode",
    )
    .bind(mode.map(AccessListMode::name))
    .bind(resource.as_str())
    .fetch_one(&mut *connection)
    .await?;
    let lists = sqlx::query_scalar("SELECT list FROM resource_access_list WHERE resource = $1 ORDER BY list")
        .bind(resource.as_str())
        .fetch_all(connection)
        .await?;
    Ok((lists, AccessListMode::from_name(&mode)))
}

/// Who may use each of the provider's resources that are for members only, by number. Nobody is an empty list.
pub(crate) async fn access_list_members(
    connection: &mut Connection,
    provider: &ProviderId,
) -> Result<BTreeMap<ResourceId, Vec<AccessListMember>>, sqlx::Error> {
    let rows: Vec<(String, Option<String>, Option<String>)> = sqlx::query_as(
        "SELECT resource.id, member.organization, member.actions FROM resource \
         LEFT JOIN resource_access_list AS used ON used.resource = resource.id \
         LEFT JOIN access_list_member AS member ON member.provider = used.provider AND member.list = used.list \
         WHERE resource.provider = $1 AND resource.access_list_mode = 'enabled'",
    )
    .bind(provider.as_str())
    .fetch_all(connection)
    .await?;
    let mut members: BTreeMap<ResourceId, BTreeMap<_, _>> = BTreeMap::new();
    for (resource, organization, actions) in rows {
        let of_resource = members.entry(decoded(ResourceId::parse(&resource))?).or_default();
        if let Some(organization) = organization {
            let (organization, actions) = member(&organization, actions)?;
            add(of_resource, organization, actions);
        }
    }
    Ok(members.into_iter().map(|(resource, members)| (resource, members.into_iter().collect())).collect())
}

/// The places that these organisations have on the lists of these resources.
pub(crate) async fn memberships(
    connection: &mut Connection,
    resources: &BTreeSet<ResourceId>,
    organizations: &BTreeSet<OrganizationNumber>,
) -> Result<Vec<(ResourceId, AccessListMember)>, sqlx::Error> {
    let rows: Vec<(String, String, Option<String>)> = sqlx::query_as(
        "SELECT used.resource, member.organization, member.actions FROM resource_access_list AS used \
         JOIN access_list_member AS member ON member.provider = used.provider AND member.list = used.list \
         WHERE used.resource IN (SELECT value FROM json_each($1)) \
         AND member.organization IN (SELECT value FROM json_each($2))",
    )
    .bind(json!(resources).to_string())
    .bind(json!(organizations).to_string())
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(resource, organization, actions)| {
            Ok((decoded(ResourceId::parse(&resource))?, member(&organization, actions)?))
        })
        .collect()
}

/// The lists that these organisations are on, each as `{provider}:{list}`.
pub(crate) async fn lists_of(
    connection: &mut Connection,
    organizations: &BTreeSet<OrganizationNumber>,
) -> Result<Vec<(OrganizationNumber, String)>, sqlx::Error> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT organization, provider || ':' || list FROM access_list_member \
         WHERE organization IN (SELECT value FROM json_each($1)) ORDER BY organization, provider, list",
    )
    .bind(json!(organizations).to_string())
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(organization, list)| Ok((decoded(OrganizationNumber::parse(&organization))?, list)))
        .collect()
}

/// A place on a second list adds its actions to those of the first.
fn add(
    members: &mut BTreeMap<OrganizationNumber, Option<BTreeSet<ActionId>>>,
    organization: OrganizationNumber,
    actions: Option<BTreeSet<ActionId>>,
) {
    let known = members.entry(organization).or_insert_with(|| Some(BTreeSet::new()));
    *known = match (known.take(), actions) {
        (Some(known), Some(actions)) => Some(known.into_iter().chain(actions).collect()),
        _ => None,
    };
}

fn member(organization: &str, actions: Option<String>) -> Result<AccessListMember, sqlx::Error> {
    let actions = actions.map(|actions| decoded(serde_json::from_str(&actions))).transpose()?;
    Ok((decoded(OrganizationNumber::parse(organization))?, actions))
}
