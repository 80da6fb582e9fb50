//! Builds an image from system users that come one by one, in order: memory grows with the image, not with the database.

use std::collections::{BTreeMap, BTreeSet};

use zerocopy::little_endian::U32;

use super::rights::RightTables;
use super::writer::run;
use super::{CompileError, CompileErrors, Compiler, RightSet, right_sets};
use crate::id::{AccessPackage, OrganizationNumber, SystemId, SystemUserId};
use crate::right::Right;
use crate::snapshot::document::{Document, SystemDocument};
use crate::snapshot::image::bucket;
use crate::snapshot::layout::{ROW_BLOCK, Section, SystemRecord};

/// What is held, known to a builder: packages and rights that were given to [`SnapshotBuilder::holding`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holding(u32);

/// Builds the image of a snapshot.
///
/// ```
/// use policies::snapshot::{Document, SnapshotBuilder};
///
/// let document: Document = serde_json::from_value(serde_json::json!({
///     "provider": "regnskapsregisteret",
///     "resources": [{"id": "vat", "rules": [{"actions": ["read"], "accessPackages": ["urn:altinn:accesspackage:skatt"]}]}],
///     "systems": [{"id": "310247030_smartcloud", "vendor": "310247030", "clientIds": ["client"]}],
/// }))?;
/// let mut builder = SnapshotBuilder::new(&document)?;
/// let holding = builder.holding(&["urn:altinn:accesspackage:skatt".parse()?].into(), &[].into()).map_err(|_| "resource")?;
/// let (user, owner) = ("f950ddae-06c3-4b57-b940-702417a90df0".parse()?, "310247049".parse()?);
/// builder.system_user(user, owner, &"310247030_smartcloud".parse()?, vec![(owner, holding)]).map_err(|error| error.code)?;
/// let image = builder.finish()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SnapshotBuilder<'document> {
    compiler: Compiler<'document>,
    tables: RightTables,
    systems: BTreeMap<&'document SystemId, (u32, &'document SystemDocument)>,
    /// Sets by what is in them.
    known_sets: BTreeMap<RightSet, Holding>,
    /// Of each holding: its set's position in the image, once a row has it.
    positions: Vec<Option<u32>>,
    /// Sets in the order of the image.
    sets: Vec<Holding>,
    ids: Vec<[u8; 16]>,
    user_systems: Vec<u32>,
    offsets: Vec<u32>,
    parties: Vec<U32>,
    right_sets: Vec<u32>,
    withdrawn: BTreeSet<SystemUserId>,
}

impl<'document> SnapshotBuilder<'document> {
    /// Reads everything of the document but its system users, which come one by one.
    pub fn new(document: &'document Document) -> Result<Self, CompileErrors> {
        let (builder, errors) = Self::begin(document);
        if errors.is_empty() { Ok(builder) } else { Err(CompileErrors(errors)) }
    }

    /// Reads the document as far as it goes.
    pub(super) fn begin(document: &'document Document) -> (Self, Vec<CompileError>) {
        let mut compiler = Compiler::new(document);
        compiler.issuers();
        compiler.revocations();
        let tables = compiler.rights();
        compiler.routes(&tables.rights);
        let mut systems = BTreeMap::new();
        for (position, system) in document.systems.iter().enumerate() {
            let number = u32::try_from(position).unwrap_or(u32::MAX);
            if systems.insert(&system.id, (number, system)).is_some() {
                let message = format!("system `{}` is there twice", system.id);
                compiler.error(format!("/systems/{position}"), "system_twice", message);
            }
        }
        let errors = std::mem::take(&mut compiler.errors);
        let builder = Self {
            compiler,
            tables,
            systems,
            known_sets: BTreeMap::from([(RightSet::new(), Holding(0))]),
            positions: vec![Some(0)],
            sets: vec![Holding(0)],
            ids: Vec::new(),
            user_systems: Vec::new(),
            offsets: vec![0],
            parties: Vec::new(),
            right_sets: Vec::new(),
            withdrawn: BTreeSet::new(),
        };
        (builder, errors)
    }

    /// What packages and directly delegated rights come to; the right whose resource is not in the document otherwise.
    pub fn holding(&mut self, packages: &BTreeSet<AccessPackage>, rights: &BTreeSet<Right>) -> Result<Holding, Right> {
        let set = self.tables.right_set(packages, rights)?;
        let next = Holding(u32::try_from(self.positions.len()).unwrap_or(u32::MAX));
        let holding = *self.known_sets.entry(set).or_insert(next);
        if holding == next {
            self.positions.push(None);
        }
        Ok(holding)
    }

    /// The holding gives nothing here.
    pub fn is_empty(&self, holding: Holding) -> bool {
        holding.0 == 0
    }

    /// Adds a system user with its rows, in any order; system users come in ascending order of their ids.
    pub fn system_user(
        &mut self,
        id: SystemUserId,
        owner: OrganizationNumber,
        system: &SystemId,
        mut rows: Vec<(OrganizationNumber, Holding)>,
    ) -> Result<(), CompileError> {
        let wrong = |code, message| CompileError { path: format!("/systemUsers/{id}"), code, message };
        let bytes = id.as_uuid().into_bytes();
        if self.ids.last().is_some_and(|last| *last >= bytes) {
            let (code, problem) = if self.ids.last() == Some(&bytes) {
                ("system_user_twice", "is there twice")
            } else {
                ("system_user_order", "comes after a higher one")
            };
            return Err(wrong(code, format!("system user `{id}` {problem}")));
        }
        let Some((system, _)) = self.systems.get(system).copied() else {
            return Err(wrong("system_unknown", format!("system `{system}` is not there")));
        };
        rows.sort_unstable_by_key(|(party, _)| *party);
        if rows.windows(2).any(|pair| matches!(pair, [(left, _), (right, _)] if left == right)) {
            return Err(wrong("party_twice", format!("a party of system user `{id}` is there twice")));
        }
        let of_owner = rows.iter().find(|(party, _)| *party == owner).map_or(Holding(0), |(_, holding)| *holding);
        self.push_row(owner, of_owner);
        for (party, holding) in rows.into_iter().filter(|(party, _)| *party != owner) {
            self.push_row(party, holding);
        }
        let end = u32::try_from(self.parties.len())
            .map_err(|_| wrong("too_many_rows", "a snapshot holds at most 4,294,967,295 rows".to_owned()))?;
        self.offsets.push(end);
        self.ids.push(bytes);
        self.user_systems.push(system);
        Ok(())
    }

    /// A system user that was withdrawn a short time ago.
    pub fn withdrawn(&mut self, id: SystemUserId) {
        self.withdrawn.insert(id);
    }

    /// The image.
    pub fn finish(self) -> Result<Vec<u8>, CompileErrors> {
        let Self { mut compiler, tables, systems, known_sets, sets, ids, user_systems, offsets, .. } = self;
        let writer = &mut compiler.writer;
        writer.records(Section::RowParties, &self.parties);
        drop(self.parties);
        writer.narrow(Section::RowRightSets, &self.right_sets, sets.len());
        drop(self.right_sets);
        let bases: Vec<U32> =
            offsets.chunks(ROW_BLOCK).filter_map(|block| block.first()).map(|base| U32::new(*base)).collect();
        let block_offsets: Vec<u32> = offsets
            .chunks(ROW_BLOCK)
            .flat_map(|block| block.iter().map(|offset| offset - block.first().copied().unwrap_or(0)))
            .collect();
        let highest = block_offsets.iter().max().copied().unwrap_or(0);
        writer.records(Section::RowOffsetBases, &bases);
        writer.narrow(Section::RowOffsets, &block_offsets, highest as usize + 1);
        writer.records(Section::SystemUserDirectory, &directory(&ids));
        let withdrawn: Vec<[u8; 16]> = self
            .withdrawn
            .iter()
            .map(|id| id.as_uuid().into_bytes())
            .filter(|id| ids.binary_search(id).is_err())
            .collect();
        writer.records(Section::WithdrawnIds, &withdrawn);
        writer.records(Section::SystemUserIds, &ids);
        drop(ids);
        let used: BTreeSet<u32> = user_systems.iter().copied().collect();
        let used: Vec<_> = systems.into_values().filter(|(position, _)| used.contains(position)).collect();
        // What had no position would be refused when the image is opened: it is nobody's.
        let mut new_positions = vec![u32::MAX; compiler.document.systems.len()];
        for ((old, _), new) in used.iter().zip(0..) {
            if let Some(position) = new_positions.get_mut(*old as usize) {
                *position = new;
            }
        }
        let column: Vec<u32> =
            user_systems.into_iter().map(|old| new_positions.get(old as usize).copied().unwrap_or(u32::MAX)).collect();
        compiler.writer.narrow(Section::SystemUserSystems, &column, used.len());
        compiler.systems(used.into_iter().map(|(_, system)| system));
        let mut by_holding: Vec<(&RightSet, Holding)> =
            known_sets.iter().map(|(set, holding)| (set, *holding)).collect();
        by_holding.sort_by_key(|(_, holding)| *holding);
        let ordered = sets.iter().filter_map(|holding| by_holding.get(holding.0 as usize)).map(|(set, _)| *set);
        right_sets::write(ordered, tables.bits, &mut compiler.strings, &mut compiler.writer);
        let Compiler { strings, mut writer, errors, .. } = compiler;
        if !errors.is_empty() {
            return Err(CompileErrors(errors));
        }
        strings.write(&mut writer);
        Ok(writer.finish())
    }

    fn push_row(&mut self, party: OrganizationNumber, holding: Holding) {
        let next = u32::try_from(self.sets.len()).unwrap_or(u32::MAX);
        let Some(position) = self.positions.get_mut(holding.0 as usize) else { return };
        let set = *position.get_or_insert(next);
        if set == next {
            self.sets.push(holding);
        }
        self.parties.push(U32::new(party.as_u32()));
        self.right_sets.push(set);
    }
}

impl<'document> Compiler<'document> {
    /// Systems in this order.
    pub(super) fn systems(&mut self, systems: impl Iterator<Item = &'document SystemDocument>) {
        let (mut records, mut clients) = (Vec::new(), Vec::new());
        for system in systems {
            let first = clients.len();
            for client in &system.client_ids {
                clients.push(self.strings.intern(&client.folded()));
            }
            records.push(SystemRecord {
                id: self.strings.intern(system.id.as_str()),
                vendor: system.vendor.as_u32().into(),
                clients: run(first, clients.len() - first),
            });
        }
        self.writer.records(Section::Systems, &records);
        self.writer.records(Section::SystemClients, &clients);
    }
}

/// Positions by leading bits, sixteen to thirty-two ids a bucket: small enough to stay in a processor's cache, as where in
/// its bucket an id is needs no search.
fn directory(ids: &[[u8; 16]]) -> Vec<U32> {
    let buckets = 1_usize << ids.len().checked_ilog2().map_or(0, |bits| bits.saturating_sub(4).min(28));
    let mut counts = vec![0_u32; buckets + 1];
    for id in ids {
        if let Some(count) = counts.get_mut(bucket(id, buckets + 1) + 1) {
            *count += 1;
        }
    }
    let mut position = 0;
    counts
        .into_iter()
        .map(|count| {
            position += count;
            U32::new(position)
        })
        .collect()
}
