//! From what has changed to a delta: only what differs from what is in force is written.

use std::collections::{BTreeMap, BTreeSet};

use zerocopy::little_endian::U32;

use super::right_sets::Reason;
use super::rights::RightTables;
use super::writer::run;
use super::{CompileError, CompileErrors, Compiler, RightSet, right_sets};
use crate::id::{AccessPackage, ActionId, OrganizationNumber, ResourceId, SystemId, SystemUserId};
use crate::policy_set::PolicySet;
use crate::route::ApiRoute;
use crate::snapshot::document::{Document, SystemDocument, SystemUserDocument};
use crate::snapshot::enforced::{ActiveUser, Enforced, Held, Known};
use crate::snapshot::image::{HeldThrough, settings};
use crate::snapshot::layout::{
    ChangedRowRecord, ChangedUserRecord, ROW_REMOVED, Run, SYSTEM_OF_DELTA, Section, USER_FORGOTTEN, USER_ROWS,
    USER_WHOLE, USER_WITHDRAWN,
};
use crate::snapshot::sections::Sections;
use crate::token::TrustedIssuer;

/// What became of a system user since the version in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SystemUserState {
    /// It is active, and this is all about it.
    Active(SystemUserDocument),
    /// It was withdrawn.
    Withdrawn,
    /// It has nothing here any more.
    Unknown,
}

/// Why there is no delta.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeltaError {
    /// Rights, or what grants them, have changed; or nothing is in force.
    #[error("what rights depend on has changed: a new base is needed")]
    NewBaseNeeded,
    /// The document has mistakes.
    #[error(transparent)]
    Document(#[from] CompileErrors),
}

/// A document read once, to make many deltas with. Its own system users do not count.
#[derive(Debug)]
pub struct SnapshotSettings {
    document: Document,
    tables: RightTables,
    issuers: Vec<TrustedIssuer>,
    routes: Vec<ApiRoute>,
}

/// The image of a delta.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeltaImage {
    /// What [`crate::snapshot::seal`] takes.
    pub bytes: Vec<u8>,
    /// Nothing has changed: such a delta only prolongs what is in force.
    pub is_empty: bool,
}

impl SnapshotSettings {
    /// Reads the document.
    pub fn new(document: Document) -> Result<Self, CompileErrors> {
        let mut compiler = Compiler::new(&document);
        compiler.issuers();
        let tables = compiler.rights();
        compiler.routes(&tables.rights);
        let Compiler { errors, strings, mut writer, .. } = compiler;
        if !errors.is_empty() {
            return Err(CompileErrors(errors));
        }
        strings.write(&mut writer);
        // As gateways read them, so that what they have can be compared.
        let read = Sections::read(writer.finish()).and_then(|sections| {
            let issuers = settings::all_issuers(&sections)?.unwrap_or_default();
            Ok((issuers, settings::all_routes(&sections, tables.rights.len())?.unwrap_or_default()))
        });
        let (issuers, routes) = read.map_err(|error| {
            let message = format!("gateways would refuse it: {error}");
            CompileErrors(vec![CompileError { path: String::new(), code: "document_unreadable", message }])
        })?;
        Ok(Self { document, tables, issuers, routes })
    }

    /// What was read.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// The actions that there are on a resource.
    pub fn actions(&self, resource: &ResourceId) -> impl Iterator<Item = &ActionId> {
        let rights = self.tables.rights.keys().filter(move |right| right.resource == *resource);
        rights.map(|right| &right.action)
    }

    /// The access package gives something here.
    pub fn gives_something(&self, package: &AccessPackage) -> bool {
        self.tables.granted_by.contains_key(package)
    }

    /// Compiles what differs from the policy in force: of issuers, routes and systems whatever the document says
    /// otherwise, of system users those that are named.
    pub fn delta(
        &self,
        changed: &BTreeMap<SystemUserId, SystemUserState>,
        current: &PolicySet,
    ) -> Result<DeltaImage, DeltaError> {
        let current = current.enforced_whatever_the_time().ok_or(DeltaError::NewBaseNeeded)?;
        if current.image().rights_digest() != Some(&self.tables.digest) {
            return Err(DeltaError::NewBaseNeeded);
        }
        let mut compiler = Compiler::new(&self.document);
        if self.issuers != current.issuers() {
            compiler.issuers();
        }
        if self.routes != current.routes().all() {
            compiler.routes(&self.tables.rights);
        }
        compiler.changed_revocations(current.revocations());
        let mut writer = DeltaWriter { current, tables: &self.tables, sets: BTreeMap::new(), rows: Vec::new() };
        let mut users = Vec::new();
        let mut systems = compiler.changed_systems(current);
        for (id, state) in changed {
            if let Err(error) = compiler.changed_user(*id, state, &mut writer, &mut systems, &mut users) {
                compiler.errors.push(error);
            }
        }
        let system_order: BTreeMap<&SystemId, u32> = systems.keys().copied().zip(0..).collect();
        let records: Vec<ChangedUserRecord> = users.into_iter().filter_map(|user| user.record(&system_order)).collect();
        if !systems.is_empty() {
            compiler.systems(systems.into_values());
        }
        let DeltaWriter { sets, rows, .. } = writer;
        if !sets.is_empty() {
            let mut sets: Vec<_> = sets.into_iter().collect();
            sets.sort_by_key(|(_, position)| *position);
            let sets = sets.iter().map(|(set, _)| set);
            right_sets::write(sets, self.tables.bits, &mut compiler.strings, &mut compiler.writer);
        }
        if !records.is_empty() {
            compiler.writer.records(Section::ChangedUsers, &records);
            compiler.writer.records(Section::ChangedRows, &rows);
        }
        let Compiler { errors, strings, mut writer, .. } = compiler;
        if !errors.is_empty() {
            return Err(CompileErrors(errors).into());
        }
        if !strings.is_empty() {
            strings.write(&mut writer);
        }
        Ok(DeltaImage { is_empty: writer.is_empty(), bytes: writer.finish() })
    }
}

/// Where a system user's system is.
enum SystemPlace<'document> {
    None,
    OfBase(u32),
    OfDelta(&'document SystemId),
}

struct ChangedUser<'document> {
    id: SystemUserId,
    change: u32,
    owner: u32,
    system: SystemPlace<'document>,
    rows: Run,
}

impl ChangedUser<'_> {
    fn record(self, systems: &BTreeMap<&SystemId, u32>) -> Option<ChangedUserRecord> {
        let system = match self.system {
            SystemPlace::None => 0,
            SystemPlace::OfBase(position) => position,
            SystemPlace::OfDelta(id) => *systems.get(id)? | SYSTEM_OF_DELTA,
        };
        Some(ChangedUserRecord {
            id: self.id.as_uuid().into_bytes(),
            change: U32::new(self.change),
            owner: U32::new(self.owner),
            system: U32::new(system),
            rows: self.rows,
        })
    }
}

struct DeltaWriter<'a> {
    current: &'a Enforced,
    tables: &'a RightTables,
    sets: BTreeMap<RightSet, u32>,
    rows: Vec<ChangedRowRecord>,
}

impl DeltaWriter<'_> {
    fn row(&mut self, party: u32, set: Option<RightSet>) {
        let right_set = match set {
            None => ROW_REMOVED,
            Some(set) => {
                let next = u32::try_from(self.sets.len()).unwrap_or(u32::MAX);
                *self.sets.entry(set).or_insert(next)
            }
        };
        self.rows.push(ChangedRowRecord { party: U32::new(party), right_set: U32::new(right_set) });
    }

    /// Rows that are not as they were.
    fn changed_rows(&mut self, active: &ActiveUser<'_>, rows: &BTreeMap<u32, RightSet>) {
        let before = active.rows();
        let parties: BTreeSet<u32> = before.keys().chain(rows.keys()).copied().collect();
        for party in parties {
            match (before.get(&party), rows.get(&party)) {
                (Some(held), Some(set)) if is_same(*held, set) => {}
                // Nothing for the owner is the same whether the row is there or not.
                (Some(held), None) if party == active.owner && held.all().is_empty() => {}
                (None, Some(set)) if party == active.owner && set.is_empty() => {}
                (_, set) => self.row(party, set.cloned()),
            }
        }
    }
}

impl<'document> Compiler<'document> {
    /// Systems that gateways know otherwise than the document has them.
    fn changed_systems(&self, current: &Enforced) -> BTreeMap<&'document SystemId, &'document SystemDocument> {
        let document = self.document;
        let is_changed = |system: &&SystemDocument| {
            current.system_named(system.id.as_str()).is_some_and(|known| {
                let clients: BTreeSet<String> = system.client_ids.iter().map(|client| client.folded()).collect();
                known.vendor() != system.vendor.as_u32()
                    || known.clients() != clients.iter().map(String::as_str).collect::<BTreeSet<_>>()
            })
        };
        document.systems.iter().filter(is_changed).map(|system| (&system.id, system)).collect()
    }

    fn changed_user(
        &mut self,
        id: SystemUserId,
        state: &SystemUserState,
        writer: &mut DeltaWriter<'_>,
        systems: &mut BTreeMap<&'document SystemId, &'document SystemDocument>,
        users: &mut Vec<ChangedUser<'document>>,
    ) -> Result<(), CompileError> {
        let known = writer.current.system_user(id);
        let gone = |change| ChangedUser { id, change, owner: 0, system: SystemPlace::None, rows: run(0, 0) };
        let user = match (state, &known) {
            (SystemUserState::Withdrawn, Known::Withdrawn) | (SystemUserState::Unknown, Known::Unknown) => {
                return Ok(());
            }
            (SystemUserState::Withdrawn, _) => {
                users.push(gone(USER_WITHDRAWN));
                return Ok(());
            }
            (SystemUserState::Unknown, _) => {
                users.push(gone(USER_FORGOTTEN));
                return Ok(());
            }
            (SystemUserState::Active(user), _) => user,
        };
        let wrong = |code, message: String| CompileError { path: format!("/systemUsers/{id}"), code, message };
        let mut rows: BTreeMap<u32, RightSet> = BTreeMap::new();
        for delegation in &user.delegations {
            let set = writer.tables.right_set(&delegation.access_packages, &delegation.rights);
            let set = set
                .map_err(|right| wrong("resource_unknown", format!("the resource of right `{right}` is not there")))?;
            if rows.insert(delegation.party.as_u32(), set).is_some() {
                return Err(wrong("party_twice", format!("party {} is there twice", delegation.party)));
            }
        }
        let first = writer.rows.len();
        if let Known::Active(active) = &known
            && is_same_user(active, user.owner, &user.system)
        {
            writer.changed_rows(active, &rows);
            let count = writer.rows.len() - first;
            if count > 0 {
                users.push(ChangedUser { rows: run(first, count), ..gone(USER_ROWS) });
            }
            return Ok(());
        }
        for (party, set) in rows {
            writer.row(party, Some(set));
        }
        let system = match writer.current.image().system_named(user.system.as_str()) {
            Some(position) => SystemPlace::OfBase(u32::try_from(position).unwrap_or(u32::MAX)),
            None => {
                let system = self.document.systems.iter().find(|system| system.id == user.system);
                let system =
                    system.ok_or_else(|| wrong("system_unknown", format!("system `{}` is not there", user.system)))?;
                systems.insert(&system.id, system);
                SystemPlace::OfDelta(&system.id)
            }
        };
        let rows = run(first, writer.rows.len() - first);
        users.push(ChangedUser { id, change: USER_WHOLE, owner: user.owner.as_u32(), system, rows });
        Ok(())
    }
}

fn is_same_user(active: &ActiveUser<'_>, owner: OrganizationNumber, system: &SystemId) -> bool {
    active.owner == owner.as_u32() && active.system().is_some_and(|known| known.id() == system.as_str())
}

fn is_same(held: Held<'_>, set: &RightSet) -> bool {
    let held = held.all();
    held.len() == set.len()
        && held.iter().zip(set).all(|((bit, through), (wanted, reason))| {
            bit == wanted
                && match (through, reason) {
                    (HeldThrough::Direct, Reason::Direct) => true,
                    (HeldThrough::AccessPackage(name), Reason::Package(package)) => name.as_str() == package.name(),
                    _ => false,
                }
        })
}
