//! What is in force: a base and, over it, what deltas have changed since.
//!
//! The overlay is small and is looked at first; without deltas it costs one comparison. What it says of a system user, a
//! row or a system replaces what the base says. Taking over a [`Delta`] cannot fail: it was read whole before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::delta::Delta;
use super::image::{
    HeldThrough, Image, PackageName, RightIndex, RightSetIndex, Rows, SystemUserIndex, SystemView, bits,
};
use super::manifest::Manifest;
use super::revocations::RevocationRecord;
use crate::id::SystemUserId;
use crate::route::RouteTable;
use crate::token::{TrustedIssuer, VerificationKey};

/// Most system users and rows that deltas may change before a new base is needed.
pub(crate) const OVERLAY_ENTRIES_MAX: usize = 1 << 20;

/// A base with its deltas.
#[derive(Debug)]
pub(crate) struct Enforced {
    manifest: Manifest,
    base: Manifest,
    image: Image,
    issuers: Option<Vec<TrustedIssuer>>,
    /// Keys that came from issuers themselves.
    issuer_keys: BTreeMap<String, Vec<VerificationKey>>,
    /// Both; `None` without such keys.
    issuers_with_keys: Option<Vec<TrustedIssuer>>,
    routes: Option<RouteTable>,
    revocations: Option<Vec<RevocationRecord>>,
    users: BTreeMap<[u8; 16], OverlaidUser>,
    systems: BTreeMap<String, Arc<System>>,
    /// Systems of the base that are replaced, by position there.
    replaced_systems: BTreeMap<usize, Arc<System>>,
    entries: usize,
    // Invariant: another one after every change.
    edition: Edition,
}

/// One state of what is in force: equal to no other one, of whatever policy, as long as somebody remembers it.
#[derive(Debug, Clone)]
pub(crate) struct Edition(Arc<()>);

impl Edition {
    fn new() -> Self {
        Self(Arc::new(()))
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// A registered system, changed or new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct System {
    pub(crate) id: String,
    pub(crate) vendor: u32,
    /// In lower case.
    pub(crate) clients: BTreeSet<String>,
}

/// What became of a system user.
#[derive(Debug)]
pub(crate) enum SystemUserChange {
    Rows(Vec<RowChange>),
    Whole { owner: u32, system: UserSystem, rows: Vec<RowChange> },
    Withdrawn,
    Forgotten,
}

/// What became of a row; `None` when the system user no longer acts for the party.
#[derive(Debug)]
pub(crate) struct RowChange {
    pub(crate) party: u32,
    pub(crate) held: Option<Arc<HeldRights>>,
}

/// Where a system user's system is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UserSystem {
    OfBase(usize),
    Changed(String),
}

/// Rights with the package that gives each; without one it was delegated directly.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HeldRights {
    words: Box<[u64]>,
    // Invariant: one for each bit.
    packages: Box<[Option<Box<str>>]>,
}

#[derive(Debug)]
enum OverlaidUser {
    /// Rows of the overlay count before those of the base.
    Rows(BTreeMap<u32, Option<Arc<HeldRights>>>),
    /// The base does not count.
    Whole {
        owner: u32,
        system: UserSystem,
        rows: BTreeMap<u32, Arc<HeldRights>>,
    },
    Withdrawn,
    Forgotten,
}

/// What is known of a system user.
pub(crate) enum Known<'a> {
    Active(ActiveUser<'a>),
    Withdrawn,
    Unknown,
}

/// An active system user.
pub(crate) struct ActiveUser<'a> {
    pub(crate) owner: u32,
    enforced: &'a Enforced,
    place: Place<'a>,
}

enum Place<'a> {
    Base(SystemUserIndex, Rows<'a>),
    Both(SystemUserIndex, Rows<'a>, &'a BTreeMap<u32, Option<Arc<HeldRights>>>),
    Overlay(&'a UserSystem, &'a BTreeMap<u32, Arc<HeldRights>>),
}

/// The system of a system user.
pub(crate) enum AnySystem<'a> {
    OfBase(SystemView<'a>),
    Changed(&'a System),
}

/// What is held for one party.
#[derive(Clone, Copy)]
pub(crate) enum Held<'a> {
    InBase(&'a Image, RightSetIndex),
    Changed(&'a HeldRights),
    /// The owner itself, for whom nothing is held.
    Nothing,
}

impl Enforced {
    pub(crate) fn new(manifest: Manifest, image: Image) -> Self {
        Self {
            base: manifest.clone(),
            manifest,
            image,
            issuers: None,
            issuer_keys: BTreeMap::new(),
            issuers_with_keys: None,
            routes: None,
            revocations: None,
            users: BTreeMap::new(),
            systems: BTreeMap::new(),
            replaced_systems: BTreeMap::new(),
            entries: 0,
            edition: Edition::new(),
        }
    }

    /// The last piece that was taken over.
    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The base under it.
    pub(crate) fn base(&self) -> &Manifest {
        &self.base
    }

    pub(crate) fn image(&self) -> &Image {
        &self.image
    }

    /// What was decided by this very state may be decided so again.
    pub(crate) fn edition(&self) -> &Edition {
        &self.edition
    }

    /// System users and rows that deltas have changed.
    pub(crate) fn overlay_entries(&self) -> usize {
        self.entries
    }

    pub(crate) fn issuers(&self) -> &[TrustedIssuer] {
        self.issuers_with_keys.as_deref().unwrap_or_else(|| self.signed_issuers())
    }

    fn signed_issuers(&self) -> &[TrustedIssuer] {
        self.issuers.as_deref().unwrap_or_else(|| self.image.issuers())
    }

    pub(crate) fn set_issuer_keys(&mut self, issuer: &str, keys: &[VerificationKey]) {
        if keys.is_empty() {
            self.issuer_keys.remove(issuer);
        } else {
            self.issuer_keys.insert(issuer.to_owned(), keys.to_vec());
        }
        self.join_issuer_keys();
    }

    fn join_issuer_keys(&mut self) {
        self.edition = Edition::new();
        if self.issuer_keys.is_empty() {
            self.issuers_with_keys = None;
            return;
        }
        let mut issuers = self.signed_issuers().to_vec();
        for issuer in &mut issuers {
            for key in self.issuer_keys.get(&issuer.issuer).into_iter().flatten() {
                let is_new = issuer.keys.iter().all(|known| known.kid() != key.kid());
                if is_new && issuer.rules.algorithms.contains(key.algorithm()) {
                    issuer.keys.push(key.clone());
                }
            }
        }
        self.issuers_with_keys = Some(issuers);
    }

    pub(crate) fn routes(&self) -> &RouteTable {
        self.routes.as_ref().unwrap_or_else(|| self.image.routes())
    }

    pub(crate) fn revocations(&self) -> &[RevocationRecord] {
        self.revocations.as_deref().unwrap_or_else(|| self.image.revocations())
    }

    /// How many system users are active.
    pub(crate) fn system_user_count(&self) -> usize {
        let in_base = |id: &[u8; 16]| self.in_base(*id).is_some();
        let added = self.users.iter().filter(|(id, user)| user.is_active() && !in_base(id)).count();
        let removed = self.users.iter().filter(|(id, user)| !user.is_active() && in_base(id)).count();
        self.image.system_user_count() + added - removed
    }

    pub(crate) fn is_active(&self, id: [u8; 16]) -> bool {
        match self.users.get(&id) {
            Some(user) => user.is_active(),
            None => self.in_base(id).is_some(),
        }
    }

    pub(crate) fn system_user(&self, id: SystemUserId) -> Known<'_> {
        let changed = if self.users.is_empty() { None } else { self.users.get(id.as_uuid().as_bytes()) };
        let in_base = || {
            let index = self.image.system_user(id)?;
            let rows = self.image.rows(index)?;
            Some((index, rows, rows.owner()?))
        };
        let (owner, place) = match changed {
            Some(OverlaidUser::Withdrawn) => return Known::Withdrawn,
            Some(OverlaidUser::Forgotten) => return Known::Unknown,
            Some(OverlaidUser::Whole { owner, system, rows }) => (*owner, Place::Overlay(system, rows)),
            Some(OverlaidUser::Rows(changes)) => match in_base() {
                Some((index, rows, owner)) => (owner, Place::Both(index, rows, changes)),
                None => return Known::Unknown,
            },
            None => match in_base() {
                Some((index, rows, owner)) => (owner, Place::Base(index, rows)),
                None if self.image.is_withdrawn(id) => return Known::Withdrawn,
                None => return Known::Unknown,
            },
        };
        Known::Active(ActiveUser { owner, enforced: self, place })
    }

    /// Every id that the base or a delta calls withdrawn.
    pub(crate) fn withdrawn(&self) -> BTreeSet<SystemUserId> {
        let in_base = self.image.withdrawn().filter(|id| !self.users.contains_key(id.as_uuid().as_bytes()));
        let changed = self.users.iter().filter(|(_, user)| matches!(user, OverlaidUser::Withdrawn));
        let changed = changed.map(|(id, _)| SystemUserId::from_uuid(uuid::Uuid::from_bytes(*id)));
        in_base.chain(changed).collect()
    }

    /// A system by its id, as system users of the base and of deltas see it.
    pub(crate) fn system_named(&self, id: &str) -> Option<AnySystem<'_>> {
        if let Some(system) = self.systems.get(id) {
            return Some(AnySystem::Changed(system));
        }
        self.image.system_named(id).and_then(|position| self.image.system(position)).map(AnySystem::OfBase)
    }

    fn in_base(&self, id: [u8; 16]) -> Option<SystemUserIndex> {
        self.image.system_user(SystemUserId::from_uuid(uuid::Uuid::from_bytes(id)))
    }

    fn system(&self, system: &UserSystem) -> Option<AnySystem<'_>> {
        match system {
            UserSystem::Changed(id) => self.systems.get(id).map(|system| AnySystem::Changed(system)),
            UserSystem::OfBase(position) => self.system_of_base(*position),
        }
    }

    fn system_of_base(&self, position: usize) -> Option<AnySystem<'_>> {
        match self.replaced_systems.get(&position) {
            Some(system) => Some(AnySystem::Changed(system)),
            None => self.image.system(position).map(AnySystem::OfBase),
        }
    }

    /// The delta fits in beside what is there.
    pub(crate) fn has_room_for(&self, delta: &Delta) -> bool {
        let rows = |change: &SystemUserChange| match change {
            SystemUserChange::Rows(rows) | SystemUserChange::Whole { rows, .. } => rows.len(),
            SystemUserChange::Withdrawn | SystemUserChange::Forgotten => 0,
        };
        let more: usize = delta.users.iter().map(|(_, change)| 1 + rows(change)).sum();
        self.entries + more <= OVERLAY_ENTRIES_MAX
    }

    /// Takes a delta over.
    pub(crate) fn apply(&mut self, delta: Delta, manifest: Manifest) {
        self.edition = Edition::new();
        if delta.issuers.is_some() {
            self.issuers = delta.issuers;
            self.join_issuer_keys();
        }
        if let Some(routes) = delta.routes {
            self.routes = Some(RouteTable::new(routes));
        }
        if delta.revocations.is_some() {
            self.revocations = delta.revocations;
        }
        for system in delta.systems {
            if let Some(position) = self.image.system_named(&system.id) {
                self.replaced_systems.insert(position, Arc::clone(&system));
            }
            self.systems.insert(system.id.clone(), system);
        }
        for (id, change) in delta.users {
            self.entries += 1;
            match change {
                SystemUserChange::Withdrawn => drop(self.users.insert(id, OverlaidUser::Withdrawn)),
                SystemUserChange::Forgotten => drop(self.users.insert(id, OverlaidUser::Forgotten)),
                SystemUserChange::Whole { owner, system, rows } => {
                    self.entries += rows.len();
                    let rows = rows.into_iter().filter_map(|row| Some((row.party, row.held?))).collect();
                    self.users.insert(id, OverlaidUser::Whole { owner, system, rows });
                }
                SystemUserChange::Rows(rows) => {
                    self.entries += rows.len();
                    let user = self.users.entry(id).or_insert_with(|| OverlaidUser::Rows(BTreeMap::new()));
                    user.change_rows(rows);
                }
            }
        }
        self.manifest = manifest;
    }
}

impl OverlaidUser {
    fn is_active(&self) -> bool {
        matches!(self, Self::Rows(_) | Self::Whole { .. })
    }

    fn change_rows(&mut self, changes: Vec<RowChange>) {
        for RowChange { party, held } in changes {
            match self {
                Self::Rows(rows) => drop(rows.insert(party, held)),
                Self::Whole { rows, .. } => match held {
                    Some(held) => drop(rows.insert(party, held)),
                    None => drop(rows.remove(&party)),
                },
                // A delta with rows for one that is not active was refused.
                Self::Withdrawn | Self::Forgotten => {}
            }
        }
    }
}

impl<'a> ActiveUser<'a> {
    pub(crate) fn system(&self) -> Option<AnySystem<'a>> {
        match self.place {
            Place::Base(index, _) | Place::Both(index, _, _) => {
                self.enforced.system_of_base(self.enforced.image.system_of(index)?)
            }
            Place::Overlay(system, _) => self.enforced.system(system),
        }
    }

    /// What is held for a party; `None` when the system user does not act for it at all.
    pub(crate) fn row(&self, party: u32) -> Option<Held<'a>> {
        let image = &self.enforced.image;
        let in_base = |rows: Rows<'a>| image.row(rows, party).map(|set| Held::InBase(image, set));
        let found = match self.place {
            Place::Base(_, rows) => return in_base(rows),
            Place::Both(_, rows, changes) => match changes.get(&party) {
                Some(changed) => changed.as_deref().map(Held::Changed),
                None => in_base(rows),
            },
            Place::Overlay(_, rows) => rows.get(&party).map(|held| Held::Changed(held)),
        };
        found.or((party == self.owner).then_some(Held::Nothing))
    }

    /// Every party, ascending, with what is held for it. Where nothing is held for the owner, it may be missing.
    pub(crate) fn rows(&self) -> BTreeMap<u32, Held<'a>> {
        let image = &self.enforced.image;
        let of_base = |rows| image.all_rows(rows).map(|(party, set)| (party, Held::InBase(image, set)));
        match self.place {
            Place::Base(_, rows) => of_base(rows).collect(),
            Place::Both(_, rows, changes) => {
                let mut rows: BTreeMap<_, _> = of_base(rows).collect();
                for (party, change) in changes {
                    match change {
                        Some(held) => drop(rows.insert(*party, Held::Changed(held))),
                        None => drop(rows.remove(party)),
                    }
                }
                rows
            }
            Place::Overlay(_, rows) => {
                rows.iter().map(|(party, held)| (*party, Held::Changed(held.as_ref()))).collect()
            }
        }
    }
}

impl<'a> AnySystem<'a> {
    pub(crate) fn id(&self) -> &'a str {
        match self {
            Self::OfBase(view) => view.id,
            Self::Changed(system) => &system.id,
        }
    }

    pub(crate) fn vendor(&self) -> u32 {
        match self {
            Self::OfBase(view) => view.vendor,
            Self::Changed(system) => system.vendor,
        }
    }

    /// The client, in any letter case, belongs to the system.
    pub(crate) fn has_client(&self, client: &str) -> bool {
        // Most write it in lower case, as it stands here.
        let is_same =
            |known: &str| known.len() == client.len() && (known == client || known.eq_ignore_ascii_case(client));
        match self {
            Self::OfBase(view) => view.clients().any(is_same),
            Self::Changed(system) => system.clients.iter().any(|known| is_same(known)),
        }
    }

    /// Clients in lower case.
    pub(crate) fn clients(&self) -> BTreeSet<&'a str> {
        match self {
            Self::OfBase(view) => view.clients().collect(),
            Self::Changed(system) => system.clients.iter().map(String::as_str).collect(),
        }
    }
}

impl<'a> Held<'a> {
    /// Why the right is held; `None` when it is not.
    pub(crate) fn through(self, right: RightIndex) -> Option<HeldThrough<'a>> {
        match self {
            Self::InBase(image, set) => image.held_through(set, right),
            Self::Changed(held) => held.through(right.0),
            Self::Nothing => None,
        }
    }

    /// Every bit with its reason, ascending.
    pub(crate) fn all(self) -> Vec<(u32, HeldThrough<'a>)> {
        match self {
            Self::InBase(image, set) => image.all_held(set),
            Self::Changed(held) => {
                let through = held.packages.iter().map(|package| through(package.as_deref()));
                bits(held.words.iter().copied()).zip(through).collect()
            }
            Self::Nothing => Vec::new(),
        }
    }
}

impl HeldRights {
    pub(crate) fn new(words: Box<[u64]>, packages: Box<[Option<Box<str>>]>) -> Self {
        Self { words, packages }
    }

    fn through(&self, bit: u32) -> Option<HeldThrough<'_>> {
        let (word, bit) = (bit as usize / 64, bit % 64);
        let holding = *self.words.get(word)?;
        if holding >> bit & 1 == 0 {
            return None;
        }
        let before: u32 = self.words.iter().take(word).map(|word| word.count_ones()).sum();
        let rank = before + (holding & ((1 << bit) - 1)).count_ones();
        self.packages.get(rank as usize).map(|package| through(package.as_deref()))
    }
}

fn through(package: Option<&str>) -> HeldThrough<'_> {
    package.map_or(HeldThrough::Direct, |name| HeldThrough::AccessPackage(PackageName::new(name)))
}
