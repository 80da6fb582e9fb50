//! The tables of providers and resources. Those of access lists are in [`access_lists`].

mod access_lists;

use std::collections::{BTreeMap, BTreeSet};

use policies::Timestamp;
use policies::id::{OrganizationNumber, ProviderId, ResourceId};
use policies::snapshot::RouteDocument;
use policies::xacml::Semantics;
use serde_json::json;

use super::model::{
    AccessListMode, Catalogue, PolicyVersion, Resource, ResourceState, parse_semantics, semantics_name,
};
use crate::fields::LocalizedText;
use crate::store::{Connection, decoded, is_true};

pub(crate) use access_lists::{AccessListMember, access_list_members, lists_of, memberships};
pub(super) use access_lists::{
    delete_access_list, find_access_list, put_access_list, resources_of_list, set_access_lists,
};

#[derive(sqlx::FromRow)]
struct ResourceRow {
    id: String,
    provider: String,
    delegable: i64,
    policy: Option<String>,
    semantics: String,
}

#[derive(sqlx::FromRow)]
struct PolicyVersionRow {
    version: i64,
    at: i64,
    semantics: String,
    xml: String,
}

/// Ids of all providers, in order.
pub(crate) async fn providers(connection: &mut Connection) -> Result<Vec<ProviderId>, sqlx::Error> {
    let ids: Vec<String> = sqlx::query_scalar("SELECT id FROM provider ORDER BY id").fetch_all(connection).await?;
    ids.iter().map(|id| decoded(ProviderId::parse(id))).collect()
}

/// The provider's organisation; `None` when there is no such provider.
pub(crate) async fn provider_organization(
    connection: &mut Connection,
    provider: &ProviderId,
) -> Result<Option<OrganizationNumber>, sqlx::Error> {
    let text: Option<String> = sqlx::query_scalar("SELECT organization FROM provider WHERE id = $1")
        .bind(provider.as_str())
        .fetch_optional(connection)
        .await?;
    text.map(|text| decoded(OrganizationNumber::parse(&text))).transpose()
}

pub(super) async fn upsert_provider(
    connection: &mut Connection,
    provider: &ProviderId,
    organization: OrganizationNumber,
    name: &str,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    // A change of the organisation revokes the gateways' credentials: a trigger, because those are another slice's.
    sqlx::query(
        "INSERT INTO provider (id, organization, name) VALUES ($1, $2, $3) \
         ON CONFLICT (id) DO UPDATE SET organization = excluded.organization, name = excluded.name, \
         changed_hands_at = CASE WHEN provider.organization = excluded.organization THEN provider.changed_hands_at \
         ELSE $4 END",
    )
    .bind(provider.as_str())
    .bind(organization.to_string())
    .bind(name)
    .bind(now.unix_millis())
    .execute(connection)
    .await?;
    Ok(())
}

/// The resource, whoever's it is.
pub(crate) async fn find(connection: &mut Connection, id: &ResourceId) -> Result<Option<Resource>, sqlx::Error> {
    let row: Option<ResourceRow> =
        sqlx::query_as("SELECT id, provider, delegable, policy, semantics FROM resource WHERE id = $1")
            .bind(id.as_str())
            .fetch_optional(connection)
            .await?;
    row.map(resource).transpose()
}

/// Whether each of these resources can be delegated; those that there are.
pub(crate) async fn delegability(
    connection: &mut Connection,
    ids: &BTreeSet<ResourceId>,
) -> Result<BTreeMap<ResourceId, bool>, sqlx::Error> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT id, CAST(CASE WHEN delegable = 1 THEN 1 ELSE 0 END AS BIGINT) FROM resource \
         WHERE id IN (SELECT value FROM json_each($1))",
    )
    .bind(json!(ids).to_string())
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(|(id, delegable)| Ok((decoded(ResourceId::parse(&id))?, delegable == 1))).collect()
}

/// What is to be known of these resources to decide about them, without their policies.
pub(crate) async fn states(
    connection: &mut Connection,
    ids: &BTreeSet<ResourceId>,
) -> Result<Vec<ResourceState>, sqlx::Error> {
    let rows: Vec<(String, String, Option<i64>, String)> = sqlx::query_as(
        "SELECT id, semantics, policy_version, access_list_mode FROM resource \
         WHERE id IN (SELECT value FROM json_each($1)) ORDER BY id",
    )
    .bind(json!(ids).to_string())
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(id, semantics, policy_version, mode)| {
            Ok(ResourceState {
                id: decoded(ResourceId::parse(&id))?,
                semantics: decoded(parse_semantics(&semantics))?,
                policy_version,
                access_list_mode: AccessListMode::from_name(&mode),
            })
        })
        .collect()
}

/// The XML of the policy in force.
pub(crate) async fn policy_xml(connection: &mut Connection, id: &ResourceId) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT policy FROM resource WHERE id = $1").bind(id.as_str()).fetch_one(connection).await
}

/// The provider's resources, in order of their ids, and its routes, in the order it gave them.
pub(crate) async fn catalogue(connection: &mut Connection, provider: &ProviderId) -> Result<Catalogue, sqlx::Error> {
    let routes: String = sqlx::query_scalar("SELECT routes FROM provider WHERE id = $1")
        .bind(provider.as_str())
        .fetch_one(&mut *connection)
        .await?;
    let rows: Vec<ResourceRow> = sqlx::query_as(
        "SELECT id, provider, delegable, policy, semantics FROM resource WHERE provider = $1 ORDER BY id",
    )
    .bind(provider.as_str())
    .fetch_all(connection)
    .await?;
    Ok(Catalogue {
        provider: provider.clone(),
        resources: rows.into_iter().map(resource).collect::<Result<_, _>>()?,
        routes: decoded(serde_json::from_str(&routes))?,
    })
}

pub(super) async fn upsert(
    connection: &mut Connection,
    provider: &ProviderId,
    id: &ResourceId,
    title: &LocalizedText,
    delegable: bool,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO resource (id, provider, title_nb, title_nn, title_en, delegable) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (id) DO UPDATE SET title_nb = excluded.title_nb, title_nn = excluded.title_nn, \
         title_en = excluded.title_en, delegable = excluded.delegable",
    )
    .bind(id.as_str())
    .bind(provider.as_str())
    .bind(&title.nb)
    .bind(&title.nn)
    .bind(&title.en)
    .bind(i64::from(delegable))
    .execute(connection)
    .await?;
    Ok(())
}

/// Puts a policy in force and keeps it as a version of its own, whose number is returned.
pub(super) async fn replace_policy(
    connection: &mut Connection,
    id: &ResourceId,
    xml: &str,
    semantics: Semantics,
    now: Timestamp,
) -> Result<i64, sqlx::Error> {
    let version = sqlx::query_scalar(
        "INSERT INTO resource_policy_version (resource, version, at, semantics, xml) \
         SELECT $1, coalesce(max(version), 0) + 1, $2, $3, $4 FROM resource_policy_version WHERE resource = $1 \
         RETURNING version",
    )
    .bind(id.as_str())
    .bind(now.unix_millis())
    .bind(semantics_name(semantics))
    .bind(xml)
    .fetch_one(&mut *connection)
    .await?;
    sqlx::query("UPDATE resource SET policy = $1, semantics = $2, policy_version = $3 WHERE id = $4")
        .bind(xml)
        .bind(semantics_name(semantics))
        .bind(version)
        .bind(id.as_str())
        .execute(connection)
        .await?;
    Ok(version)
}

/// The resource's policy in force, or one of its versions.
pub(super) async fn policy_version(
    connection: &mut Connection,
    id: &ResourceId,
    version: Option<i64>,
) -> Result<Option<PolicyVersion>, sqlx::Error> {
    let row: Option<PolicyVersionRow> = sqlx::query_as(
        "SELECT version, at, semantics, xml FROM resource_policy_version \
         WHERE resource = $1 AND version = coalesce($2, (SELECT policy_version FROM resource WHERE id = $1))",
    )
    .bind(id.as_str())
    .bind(version)
    .fetch_optional(connection)
    .await?;
    row.map(stored_policy).transpose()
}

/// The resource's policies as they were stored, newest first, at most `count_max`; their XML is left out.
pub(super) async fn policy_versions(
    connection: &mut Connection,
    id: &ResourceId,
    count_max: u32,
) -> Result<Vec<PolicyVersion>, sqlx::Error> {
    let rows: Vec<PolicyVersionRow> = sqlx::query_as(
        "SELECT version, at, semantics, '' AS xml FROM resource_policy_version \
         WHERE resource = $1 ORDER BY version DESC LIMIT $2",
    )
    .bind(id.as_str())
    .bind(i64::from(count_max))
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(stored_policy).collect()
}

pub(super) async fn replace_routes(
    connection: &mut Connection,
    provider: &ProviderId,
    routes: &[RouteDocument],
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE provider SET routes = $1 WHERE id = $2")
        .bind(json!(routes).to_string())
        .bind(provider.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

fn resource(row: ResourceRow) -> Result<Resource, sqlx::Error> {
    Ok(Resource {
        id: decoded(ResourceId::parse(&row.id))?,
        provider: decoded(ProviderId::parse(&row.provider))?,
        delegable: is_true(row.delegable),
        policy: row.policy,
        semantics: decoded(parse_semantics(&row.semantics))?,
    })
}

fn stored_policy(row: PolicyVersionRow) -> Result<PolicyVersion, sqlx::Error> {
    Ok(PolicyVersion {
        version: row.version,
        at: Timestamp::from_unix_millis(row.at),
        semantics: decoded(parse_semantics(&row.semantics))?,
        xml: row.xml,
    })
}

#[cfg(test)]
mod tests {
    use sqlx::Connection as _;

    use super::*;

    #[tokio::test]
    async fn a_policy_that_was_stored_before_versions_were_kept_is_the_first() {
        sqlx::any::install_default_drivers();
        let mut database = Connection::connect("sqlite::memory:").await.unwrap();
        let before = [
            include_str!("../../migrations/sqlite/0001_initial.sql"),
            include_str!("../../migrations/sqlite/0002_credential_revocation.sql"),
            "INSERT INTO provider (id, organization, name) VALUES ('p', '310247022', 'P'); \
             INSERT INTO resource (id, provider, title_nb, title_nn, title_en, delegable, policy) \
             VALUES ('with', 'p', '', '', '', 1, '<Policy/>'), ('without', 'p', '', '', '', 1, NULL); \
             INSERT INTO change_log (at, kind, body) \
             VALUES (1000, 'policy_stored', '{\"policy\":{\"resource\":\"with\"}}'), \
             (2000, 'policy_stored', '{\"policy\":{\"resource\":\"with\"}}'), (3000, 'other', '{}')",
            include_str!("../../migrations/sqlite/0003_decision_context.sql"),
        ];
        for script in before {
            sqlx::raw_sql(script).execute(&mut database).await.unwrap();
        }
        let [with, without] = ["with", "without"].map(|id| ResourceId::parse(id).unwrap());
        let first = PolicyVersion {
            version: 1,
            at: Timestamp::from_unix_millis(2000),
            semantics: Semantics::Altinn,
            xml: "<Policy/>".to_owned(),
        };
        assert_eq!(policy_version(&mut database, &with, None).await.unwrap(), Some(first));
        assert_eq!(policy_version(&mut database, &without, None).await.unwrap(), None);
        let ids = BTreeSet::from([with.clone(), without]);
        let versions: Vec<_> =
            states(&mut database, &ids).await.unwrap().into_iter().map(|state| state.policy_version).collect();
        assert_eq!(versions, [Some(1), None]);
        let now = Timestamp::from_unix_seconds(4);
        assert_eq!(replace_policy(&mut database, &with, "<P/>", Semantics::Standard, now).await.unwrap(), 2);
        assert_eq!(policy_versions(&mut database, &with, 10).await.unwrap().len(), 2);
    }
}
