//! System users as the publisher reads them: all of them one by one for a base, the changed ones for a delta.
//!
//! The tables belong to the slices `system_users` and `parties`; this reads them in one statement because ten million
//! delegations do not pass through types. What is read is checked as it is taken apart.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use policies::Timestamp;
use policies::id::{AccessPackage, ActionId, OrganizationNumber, ResourceId, SystemId, SystemUserId};
use policies::right::Right;
use policies::snapshot::{
    DelegationDocument, Holding, SnapshotBuilder, SnapshotSettings, SystemUserDocument, SystemUserKind, SystemUserState,
};

use crate::store::{Connection, Revision, decoded};

/// Sub units by main unit: what is held for the main unit is held for them.
pub(super) type SubUnits = BTreeMap<OrganizationNumber, Vec<OrganizationNumber>>;

/// Days for which gateways are told that a system user was withdrawn rather than never known.
const WITHDRAWN_DAYS: i64 = 7;
/// Different holdings that are remembered while a base is built.
const HOLDINGS_MAX: usize = 1 << 20;

/// A system user with everything it holds, rights and packages as `party field field` lines.
#[derive(sqlx::FromRow)]
pub(super) struct SystemUserRow {
    id: String,
    owner: String,
    system: String,
    withdrawn_at: Option<i64>,
    rights: Option<String>,
    packages: Option<String>,
}

const SELECT: &str = "SELECT id, owner, system, withdrawn_at, \
    (SELECT string_agg(party || '\u{1f}' || resource || '\u{1f}' || coalesce(action, ''), '\u{1e}') \
     FROM delegated_right WHERE systemuser = systemuser.id) AS rights, \
    (SELECT string_agg(party || '\u{1f}' || package, '\u{1e}') \
     FROM delegated_access_package WHERE systemuser = systemuser.id) AS packages \
    FROM systemuser";

/// All that are live or were withdrawn a short time ago, in order of their ids, from `after` on.
pub(super) async fn page(
    connection: &mut Connection,
    after: &str,
    withdrawn_after: Timestamp,
    count: u32,
) -> Result<Vec<SystemUserRow>, sqlx::Error> {
    let sql = format!("{SELECT} WHERE id > $1 AND (withdrawn_at IS NULL OR withdrawn_at > $2) ORDER BY id LIMIT $3");
    sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(after)
        .bind(withdrawn_after.unix_millis())
        .bind(i64::from(count))
        .fetch_all(connection)
        .await
}

/// Those that a change has touched since a revision, at most `count`, and those whose withdrawal is news no longer.
pub(super) async fn changed(
    connection: &mut Connection,
    since: Revision,
    count: u32,
) -> Result<Vec<SystemUserRow>, sqlx::Error> {
    let sql = format!(
        "{SELECT} WHERE id IN (SELECT systemuser FROM system_user_revision WHERE revision > $1 LIMIT $2) ORDER BY id"
    );
    sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(since.as_i64()).bind(i64::from(count)).fetch_all(connection).await
}

/// Those of these.
pub(super) async fn named(
    connection: &mut Connection,
    ids: &BTreeSet<SystemUserId>,
) -> Result<Vec<SystemUserRow>, sqlx::Error> {
    let ids = serde_json::Value::from(ids.iter().map(ToString::to_string).collect::<Vec<_>>()).to_string();
    let sql = format!("{SELECT} WHERE id IN (SELECT value FROM json_each($1)) ORDER BY id");
    sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(ids).fetch_all(connection).await
}

/// Those that act for one of these parties.
pub(super) async fn acting_for(
    connection: &mut Connection,
    parties: &BTreeSet<OrganizationNumber>,
    count: u32,
) -> Result<BTreeSet<SystemUserId>, sqlx::Error> {
    let parties = serde_json::Value::from(parties.iter().map(ToString::to_string).collect::<Vec<_>>()).to_string();
    let ids: Vec<String> = sqlx::query_scalar(
        "SELECT systemuser FROM delegated_right WHERE party IN (SELECT value FROM json_each($1)) \
         UNION SELECT systemuser FROM delegated_access_package WHERE party IN (SELECT value FROM json_each($1)) LIMIT $2",
    )
    .bind(parties)
    .bind(i64::from(count))
    .fetch_all(connection)
    .await?;
    ids.iter().map(|id| decoded(SystemUserId::parse(id))).collect()
}

/// Withdrawals before this instant are forgotten.
pub(super) fn withdrawn_after(now: Timestamp) -> Timestamp {
    now.plus_seconds(-WITHDRAWN_DAYS * 86_400)
}

/// What a system user holds for one party, as it is stored.
#[derive(Default, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Held<'row> {
    /// Resource and action; every action when it is empty.
    rights: BTreeSet<(&'row str, &'row str)>,
    packages: BTreeSet<&'row str>,
}

impl SystemUserRow {
    pub(super) fn id(&self) -> Result<SystemUserId, sqlx::Error> {
        decoded(SystemUserId::parse(&self.id))
    }

    pub(super) fn raw_id(&self) -> &str {
        &self.id
    }

    fn owner(&self) -> Result<OrganizationNumber, sqlx::Error> {
        decoded(OrganizationNumber::parse(&self.owner))
    }

    fn system(&self) -> Result<SystemId, sqlx::Error> {
        decoded(SystemId::parse(&self.system))
    }

    /// By party, what is held for a main unit included in what is held for its sub units.
    fn held(&self, sub_units: &SubUnits) -> Result<BTreeMap<OrganizationNumber, Held<'_>>, sqlx::Error> {
        let mut held: BTreeMap<OrganizationNumber, Held<'_>> = BTreeMap::new();
        for line in self.rights.as_deref().into_iter().flat_map(|text| text.split('\u{1e}')) {
            let mut fields = line.split('\u{1f}');
            let (Some(party), Some(resource), Some(action)) = (fields.next(), fields.next(), fields.next()) else {
                return Err(sqlx::Error::Decode("a delegated right is not stored whole".into()));
            };
            held.entry(decoded(OrganizationNumber::parse(party))?).or_default().rights.insert((resource, action));
        }
        for line in self.packages.as_deref().into_iter().flat_map(|text| text.split('\u{1e}')) {
            let (party, package) = line
                .split_once('\u{1f}')
                .ok_or_else(|| sqlx::Error::Decode("a delegated access package is not stored whole".into()))?;
            held.entry(decoded(OrganizationNumber::parse(party))?).or_default().packages.insert(package);
        }
        if sub_units.is_empty() {
            return Ok(held);
        }
        let inherited: Vec<_> = held
            .iter()
            .filter_map(|(party, held)| Some((sub_units.get(party)?, held.clone())))
            .flat_map(|(units, held)| units.iter().map(move |unit| (*unit, held.clone())))
            .collect();
        for (unit, more) in inherited {
            let of_unit = held.entry(unit).or_default();
            of_unit.rights.extend(more.rights);
            of_unit.packages.extend(more.packages);
        }
        Ok(held)
    }
}

impl Held<'_> {
    /// The part that concerns these resources.
    fn relevant(&self, settings: &SnapshotSettings) -> Result<(BTreeSet<AccessPackage>, BTreeSet<Right>), sqlx::Error> {
        let mut rights = BTreeSet::new();
        for (resource, action) in &self.rights {
            let resource = decoded(ResourceId::parse(resource))?;
            let wanted = if action.is_empty() { None } else { Some(decoded(ActionId::parse(action))?) };
            let meant =
                settings.actions(&resource).filter(|known| wanted.as_ref().is_none_or(|wanted| wanted == *known));
            rights.extend(meant.map(|action| Right { resource: resource.clone(), action: action.clone() }));
        }
        let mut packages = BTreeSet::new();
        for package in &self.packages {
            let package = decoded(AccessPackage::parse(package))?;
            if settings.gives_something(&package) {
                packages.insert(package);
            }
        }
        Ok((packages, rights))
    }
}

/// What became of a system user, as far as it concerns these resources.
pub(super) fn state(
    row: &SystemUserRow,
    settings: &SnapshotSettings,
    sub_units: &SubUnits,
    now: Timestamp,
) -> Result<SystemUserState, sqlx::Error> {
    let mut delegations = Vec::new();
    for (party, held) in row.held(sub_units)? {
        let (access_packages, rights) = held.relevant(settings)?;
        if !access_packages.is_empty() || !rights.is_empty() {
            delegations.push(DelegationDocument { party, rights, access_packages });
        }
    }
    if delegations.is_empty() {
        return Ok(SystemUserState::Unknown);
    }
    match row.withdrawn_at {
        Some(at) if at > withdrawn_after(now).unix_millis() => Ok(SystemUserState::Withdrawn),
        Some(_) => Ok(SystemUserState::Unknown),
        None => Ok(SystemUserState::Active(SystemUserDocument {
            id: row.id()?,
            owner: row.owner()?,
            system: row.system()?,
            kind: SystemUserKind::Agent,
            delegations,
        })),
    }
}

/// Puts system users into a base, those of no concern left out.
pub(super) struct BaseWriter<'settings> {
    settings: &'settings SnapshotSettings,
    sub_units: &'settings SubUnits,
    builder: SnapshotBuilder<'settings>,
    /// Holdings by what is held.
    holdings: HashMap<String, Holding>,
}

impl<'settings> BaseWriter<'settings> {
    pub(super) fn new(settings: &'settings SnapshotSettings, sub_units: &'settings SubUnits) -> anyhow::Result<Self> {
        let builder = SnapshotBuilder::new(settings.document())?;
        Ok(Self { settings, sub_units, builder, holdings: HashMap::new() })
    }

    pub(super) fn add(&mut self, row: &SystemUserRow) -> anyhow::Result<()> {
        let mut rows = Vec::new();
        for (party, held) in row.held(self.sub_units)? {
            let holding = self.holding(&held)?;
            if !self.builder.is_empty(holding) {
                rows.push((party, holding));
            }
        }
        if rows.is_empty() {
            return Ok(());
        }
        let id = row.id()?;
        if row.withdrawn_at.is_some() {
            self.builder.withdrawn(id);
            return Ok(());
        }
        self.builder
            .system_user(id, row.owner()?, &row.system()?, rows)
            .map_err(|error| policies::snapshot::CompileErrors(vec![error]).into())
    }

    pub(super) fn finish(self) -> anyhow::Result<Vec<u8>> {
        Ok(self.builder.finish()?)
    }

    fn holding(&mut self, held: &Held<'_>) -> anyhow::Result<Holding> {
        let mut key = String::new();
        for (resource, action) in &held.rights {
            key.extend([resource, "\u{1f}", action, "\u{1e}"]);
        }
        key.push('\u{1d}');
        for package in &held.packages {
            key.extend([package, "\u{1e}"]);
        }
        if let Some(known) = self.holdings.get(&key) {
            return Ok(*known);
        }
        let (packages, rights) = held.relevant(self.settings)?;
        let holding = self
            .builder
            .holding(&packages, &rights)
            .map_err(|right| anyhow::anyhow!("the resource of `{right}` is not in the catalogue"))?;
        if self.holdings.len() == HOLDINGS_MAX {
            self.holdings.clear();
        }
        self.holdings.insert(key, holding);
        Ok(holding)
    }
}
