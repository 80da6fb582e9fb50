//! A base image in memory: checked once when it is loaded, read in place ever after.
//!
//! [`Loading`] refuses an image in which any offset, index, order or text is not as [`super::layout`] says; what is
//! written against is in [`check`]. The look-ups that follow cannot fail, and where one finds nothing it grants nothing.

pub(crate) mod check;
pub(crate) mod settings;

use std::cmp::Ordering;
use std::fmt;
use std::hint::black_box;
use std::ops::{Range, RangeInclusive};

use uuid::Uuid;
use zerocopy::little_endian::{U32, U64};

use super::layout::{
    self, ExplainPolicyRecord, ExplainRuleRecord, ObligationRecord, REASON_DIRECT, ROW_BLOCK, RightRecord, Run,
    Section, SystemRecord,
};
use super::revocations::RevocationRecord;
use super::sections::Sections;
use crate::id::SystemUserId;
use crate::right::Right;
use crate::route::RouteTable;
use crate::token::TrustedIssuer;
use crate::xacml::CompiledPolicy;
pub(crate) use check::Loading;

/// Why an image is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{section}: {problem}")]
pub struct ImageError {
    /// The part that is wrong.
    pub section: &'static str,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl ImageError {
    pub(crate) const fn new(section: &'static str, problem: &'static str) -> Self {
        Self { section, problem }
    }
}

/// A loaded image. The small tables are read into types, the large ones stay bytes.
#[derive(Debug)]
pub(crate) struct Image {
    // Invariant: passed every check of `check`.
    sections: Sections,
    issuers: Vec<TrustedIssuer>,
    routes: RouteTable,
    revocations: Vec<RevocationRecord>,
    rights: Vec<Right>,
    programs: Vec<CompiledPolicy>,
    words_per_set: usize,
    // Invariant: every party but owners is in it.
    clients: RangeInclusive<u32>,
}

/// Position of a system user in the image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemUserIndex(usize);

/// Rows of one system user.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows<'image> {
    /// First the owner, then the others ascending.
    parties: &'image [U32],
    start: usize,
}

/// Position of a right set in the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RightSetIndex(pub(crate) usize);

/// Position of a right in the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RightIndex(pub(crate) u32);

/// Why a system user holds a right.
#[derive(Debug, Clone, Copy)]
pub(crate) enum HeldThrough<'image> {
    /// This access package grants it.
    AccessPackage(PackageName<'image>),
    /// It was delegated directly.
    Direct,
}

/// An access package's name, the last part of its URN. Most decisions never read it.
#[derive(Clone, Copy)]
pub(crate) struct PackageName<'image>(Name<'image>);

#[derive(Clone, Copy)]
enum Name<'image> {
    InImage(&'image Sections, u32),
    Text(&'image str),
}

impl<'image> PackageName<'image> {
    pub(crate) fn new(name: &'image str) -> Self {
        Self(Name::Text(name))
    }

    pub(crate) fn as_str(self) -> &'image str {
        match self.0 {
            Name::InImage(sections, index) => sections.string(index),
            Name::Text(name) => name,
        }
    }
}

impl fmt::Debug for PackageName<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(formatter)
    }
}

/// A registered system.
pub(crate) struct SystemView<'image> {
    pub(crate) id: &'image str,
    pub(crate) vendor: u32,
    clients: &'image [U32],
    sections: &'image Sections,
}

impl<'image> SystemView<'image> {
    pub(crate) fn clients(&self) -> impl Iterator<Item = &'image str> + use<'image> {
        let sections = self.sections;
        self.clients.iter().map(|client| sections.string(client.get()))
    }
}

/// What must also hold when a right is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ObligationView {
    MinimumAuthenticationLevel(u32),
    Unknown,
}

impl Image {
    /// Checks an image at once.
    #[cfg(test)]
    pub(crate) fn load(bytes: Vec<u8>) -> Result<Self, ImageError> {
        let mut loading = Loading::begin(bytes)?;
        while !loading.step(usize::MAX)? {}
        loading.finish().ok_or(ImageError::new("image", "not looked at whole"))
    }

    pub(crate) fn issuers(&self) -> &[TrustedIssuer] {
        &self.issuers
    }

    pub(crate) fn routes(&self) -> &RouteTable {
        &self.routes
    }

    pub(crate) fn system_user_count(&self) -> usize {
        self.sections.count(Section::SystemUserIds)
    }

    /// Bits in a right set: rights, then asked packages.
    pub(crate) fn bits(&self) -> usize {
        self.rights.len() + self.sections.count(Section::AskedPackages)
    }

    /// What right sets, and deltas with them, are made for.
    pub(crate) fn rights_digest(&self) -> Option<&[u8; 32]> {
        self.sections.elements::<[u8; 32]>(Section::RightsDigest).first()
    }

    /// Finds a system user: its leading bits give the bucket in the directory, those that follow about where in it.
    pub(crate) fn system_user(&self, id: SystemUserId) -> Option<SystemUserIndex> {
        let ids: &[[u8; 16]] = self.sections.elements(Section::SystemUserIds);
        let directory: &[U32] = self.sections.elements(Section::SystemUserDirectory);
        let wanted = id.as_uuid().as_u128();
        let bucket = bucket(id.as_uuid().as_bytes(), directory.len());
        let start = directory.get(bucket)?.get() as usize;
        let end = directory.get(bucket + 1)?.get() as usize;
        let expected = share_of(following_bits(wanted, directory.len()), end.checked_sub(start)?);
        self.fetch(Section::RowOffsets, start + expected);
        let number = |id: &[u8; 16]| u128::from_be_bytes(*id);
        let ids = ids.get(start..end)?;
        let found = match walk(ids, 0..ids.len(), expected, wanted, number) {
            Walk::Found(position) => position,
            Walk::Absent => return None,
            Walk::Beyond(rest, _) => by_halves(ids, rest, wanted, number)?,
        };
        Some(SystemUserIndex(start + found))
    }

    /// What is revoked.
    pub(crate) fn revocations(&self) -> &[RevocationRecord] {
        &self.revocations
    }

    pub(crate) fn is_withdrawn(&self, id: SystemUserId) -> bool {
        let ids: &[[u8; 16]] = self.sections.elements(Section::WithdrawnIds);
        ids.binary_search(&id.as_uuid().into_bytes()).is_ok()
    }

    /// System users that were withdrawn a short time ago, in order.
    pub(crate) fn withdrawn(&self) -> impl Iterator<Item = SystemUserId> {
        let ids: &[[u8; 16]] = self.sections.elements(Section::WithdrawnIds);
        ids.iter().map(|id| SystemUserId::from_uuid(Uuid::from_bytes(*id)))
    }

    /// Position of the system user's system.
    pub(crate) fn system_of(&self, user: SystemUserIndex) -> Option<usize> {
        self.sections.narrow(Section::SystemUserSystems, user.0)
    }

    pub(crate) fn system(&self, system: usize) -> Option<SystemView<'_>> {
        let record = self.sections.elements::<SystemRecord>(Section::Systems).get(system)?;
        system_view(&self.sections, record)
    }

    /// Position of a system, by its id.
    pub(crate) fn system_named(&self, id: &str) -> Option<usize> {
        let systems: &[SystemRecord] = self.sections.elements(Section::Systems);
        systems.binary_search_by(|record| self.sections.string(record.id.get()).cmp(id)).ok()
    }

    pub(crate) fn system_count(&self) -> usize {
        self.sections.count(Section::Systems)
    }

    /// The rows of a system user.
    pub(crate) fn rows(&self, user: SystemUserIndex) -> Option<Rows<'_>> {
        let (start, end) = (self.row_offset(user.0)?, self.row_offset(user.0 + 1)?);
        Some(Rows { parties: self.sections.elements::<U32>(Section::RowParties).get(start..end)?, start })
    }

    /// The rights that a system user holds for a party; `None` when it does not act for that party at all.
    pub(crate) fn row(&self, rows: Rows<'_>, party: u32) -> Option<RightSetIndex> {
        self.fetch(Section::RowRightSets, rows.start + rows.expected(party, &self.clients));
        let position = rows.position(party, &self.clients)?;
        self.sections.narrow(Section::RowRightSets, rows.start + position).map(RightSetIndex)
    }

    /// Every party of a system user with its right set, the owner first.
    pub(crate) fn all_rows(&self, rows: Rows<'_>) -> impl Iterator<Item = (u32, RightSetIndex)> {
        rows.parties.iter().enumerate().filter_map(move |(position, party)| {
            let set = self.sections.narrow(Section::RowRightSets, rows.start + position)?;
            Some((party.get(), RightSetIndex(set)))
        })
    }

    /// Why the set holds the right; `None` when it does not.
    pub(crate) fn held_through(&self, set: RightSetIndex, right: RightIndex) -> Option<HeldThrough<'_>> {
        let (words, first_reason) = self.right_set(set)?;
        let rank = rank(words, right.0)?;
        let reasons: &[U32] = self.sections.elements(Section::RightSetReasons);
        Some(self.through(*reasons.get(first_reason + rank)?))
    }

    /// Everything that the set holds: bits with their reasons, ascending.
    pub(crate) fn all_held(&self, set: RightSetIndex) -> Vec<(u32, HeldThrough<'_>)> {
        let Some((words, first_reason)) = self.right_set(set) else { return Vec::new() };
        let reasons: &[U32] = self.sections.elements(Section::RightSetReasons);
        let reasons = reasons.iter().skip(first_reason).map(|reason| self.through(*reason));
        bits(words.iter().map(|word| word.get())).zip(reasons).collect()
    }

    fn right_set(&self, set: RightSetIndex) -> Option<(&[U64], usize)> {
        let start = set.0.checked_mul(self.words_per_set)?;
        let words: &[U64] = self.sections.elements(Section::RightSetBits);
        let words = words.get(start..start.checked_add(self.words_per_set)?)?;
        let offsets: &[U32] = self.sections.elements(Section::RightSetReasonOffsets);
        Some((words, offsets.get(set.0)?.get() as usize))
    }

    fn through(&self, reason: U32) -> HeldThrough<'_> {
        match reason.get() {
            REASON_DIRECT => HeldThrough::Direct,
            package => HeldThrough::AccessPackage(PackageName(Name::InImage(&self.sections, package))),
        }
    }

    /// Resource and action of a right.
    pub(crate) fn right(&self, right: RightIndex) -> Option<&Right> {
        self.rights.get(right.0 as usize)
    }

    /// Every right, in order.
    pub(crate) fn rights(&self) -> &[Right] {
        &self.rights
    }

    /// Position of a right.
    pub(crate) fn right_named(&self, right: &Right) -> Option<RightIndex> {
        self.rights.binary_search(right).ok().and_then(|position| u32::try_from(position).ok()).map(RightIndex)
    }

    /// Where a right comes from: the package that gives it (none: it can be delegated), with the rule's id and line.
    pub(crate) fn rules_of(&self, right: RightIndex) -> impl Iterator<Item = (Option<&str>, &str, u32)> {
        let rules: &[ExplainRuleRecord] = self.sections.elements(Section::ExplainRules);
        rules.iter().filter(move |rule| rule.right.get() == right.0).map(|rule| {
            let package = (rule.package.get() != REASON_DIRECT).then(|| self.sections.string(rule.package.get()));
            (package, self.sections.string(rule.rule.get()), rule.line.get())
        })
    }

    /// Id and version of the policy that a resource has.
    pub(crate) fn policy_of(&self, resource: &str) -> Option<(&str, &str)> {
        let policies: &[ExplainPolicyRecord] = self.sections.elements(Section::ExplainPolicies);
        let policy = policies.iter().find(|policy| self.sections.string(policy.resource.get()) == resource)?;
        Some((self.sections.string(policy.policy.get()), self.sections.string(policy.version.get())))
    }

    /// The program that decides about the right before delegations do.
    pub(crate) fn program(&self, right: RightIndex) -> Option<&CompiledPolicy> {
        let position = self.right_record(right)?.program.get().checked_sub(1)?;
        self.programs.get(position as usize)
    }

    /// Access packages that programs ask for; the first has the bit after the last right.
    pub(crate) fn asked_packages(&self) -> impl Iterator<Item = &str> {
        self.sections.elements::<U32>(Section::AskedPackages).iter().map(|name| self.sections.string(name.get()))
    }

    /// The party may use the right as far as access lists go; `None` when the right is not there.
    pub(crate) fn is_listed(&self, right: RightIndex, party: u32) -> Option<bool> {
        let Some(position) = self.right_record(right)?.access_list.get().checked_sub(1) else { return Some(true) };
        let run = self.sections.elements::<Run>(Section::AccessLists).get(position as usize)?;
        let parties: &[U32] = self.sections.run(Section::AccessListParties, *run)?;
        Some(parties.binary_search_by_key(&party, |listed| listed.get()).is_ok())
    }

    /// The obligations of a right held so; `None` when they cannot be read, which refuses.
    pub(crate) fn obligations(
        &self,
        right: RightIndex,
        held: HeldThrough<'_>,
    ) -> Option<impl Iterator<Item = ObligationView> + use<'_>> {
        let record = self.right_record(right)?;
        let run = match held {
            HeldThrough::Direct => record.direct_obligations,
            HeldThrough::AccessPackage(_) => record.package_obligations,
        };
        let records: &[ObligationRecord] = self.sections.run(Section::Obligations, run)?;
        Some(records.iter().map(|record| match record.kind.get() {
            layout::OBLIGATION_MINIMUM_AUTHENTICATION_LEVEL => {
                ObligationView::MinimumAuthenticationLevel(record.value.get())
            }
            _ => ObligationView::Unknown,
        }))
    }

    /// Reads near what will be read soon. A processor waits for several reads at once as long as none needs the other, and
    /// these would come after a search: at ten million rows waiting for memory is most of a look-up.
    fn fetch(&self, section: Section, index: usize) {
        black_box(self.sections.narrow(section, index));
    }

    fn right_record(&self, right: RightIndex) -> Option<&RightRecord> {
        self.sections.elements::<RightRecord>(Section::Rights).get(right.0 as usize)
    }

    fn row_offset(&self, index: usize) -> Option<usize> {
        let base = self.sections.elements::<U32>(Section::RowOffsetBases).get(index / ROW_BLOCK)?;
        (base.get() as usize).checked_add(self.sections.narrow(Section::RowOffsets, index)?)
    }
}

impl Rows<'_> {
    /// The organisation that owns the system user.
    pub(crate) fn owner(&self) -> Option<u32> {
        self.parties.first().map(|owner| owner.get())
    }

    /// About where the party is among the parties.
    fn expected(&self, party: u32, range: &RangeInclusive<u32>) -> usize {
        interpolated(party, *range.start(), *range.end(), self.parties.len()).unwrap_or(0)
    }

    /// Where the party is among the parties.
    fn position(&self, party: u32, range: &RangeInclusive<u32>) -> Option<usize> {
        let (owner, clients) = self.parties.split_first()?;
        if owner.get() == party { Some(0) } else { Some(1 + position(clients, party, range)?) }
    }
}

/// Elements that are looked at one after the other from where the wanted one should be: they lie in few cache lines, and
/// a processor fetches the next before it is asked for. A search by halves would wait for each.
const WALK: usize = 32;
/// Walks before a search by halves. Where numbers lie evenly the first ends nearly always.
const WALKS: usize = 2;

/// How a walk ended.
enum Walk<K> {
    Found(usize),
    Absent,
    /// The wanted one can only be in this rest, which begins after or ends before the last one looked at.
    Beyond(Range<usize>, K),
}

/// Walks towards the wanted one among ascending elements of a range, from where it should be.
fn walk<T, K: Ord + Copy>(
    ascending: &[T],
    range: Range<usize>,
    expected: usize,
    wanted: K,
    key: impl Fn(&T) -> K,
) -> Walk<K> {
    let Some(mut last) = ascending.get(expected).map(&key) else { return Walk::Absent };
    let (low, high) = (expected.saturating_sub(WALK).max(range.start), (expected + WALK).min(range.end));
    match last.cmp(&wanted) {
        Ordering::Equal => Walk::Found(expected),
        Ordering::Less => {
            for (element, position) in ascending.get(expected + 1..high).unwrap_or(&[]).iter().zip(expected + 1..) {
                last = key(element);
                if last >= wanted {
                    return if last == wanted { Walk::Found(position) } else { Walk::Absent };
                }
            }
            if high == range.end { Walk::Absent } else { Walk::Beyond(high..range.end, last) }
        }
        Ordering::Greater => {
            for (element, back) in ascending.get(low..expected).unwrap_or(&[]).iter().rev().zip(1..) {
                last = key(element);
                if last <= wanted {
                    return if last == wanted { Walk::Found(expected - back) } else { Walk::Absent };
                }
            }
            if low == range.start { Walk::Absent } else { Walk::Beyond(range.start..low, last) }
        }
    }
}

fn by_halves<T, K: Ord>(ascending: &[T], range: Range<usize>, wanted: K, key: impl Fn(&T) -> K) -> Option<usize> {
    let found = ascending.get(range.clone())?.binary_search_by_key(&wanted, key).ok()?;
    Some(range.start + found)
}

/// Finds a number among ascending ones of `bounds`. Organisation numbers lie evenly, so that a run is entered where the
/// number should be: one cache line or two instead of one for every half.
fn position(ascending: &[U32], wanted: u32, bounds: &RangeInclusive<u32>) -> Option<usize> {
    let number = |number: &U32| number.get();
    let (mut least, mut greatest) = (*bounds.start(), *bounds.end());
    let mut range = 0..ascending.len();
    for _ in 0..WALKS {
        let expected = range.start + interpolated(wanted, least, greatest, range.len())?;
        match walk(ascending, range, expected, wanted, number) {
            Walk::Found(position) => return Some(position),
            Walk::Absent => return None,
            Walk::Beyond(rest, last) if last < wanted => (range, least) = (rest, last + 1),
            Walk::Beyond(rest, last) => (range, greatest) = (rest, last - 1),
        }
    }
    by_halves(ascending, range, wanted, number)
}

/// Where the number should be among `count` of `least..=greatest` that lie evenly; `None` when it is outside.
fn interpolated(wanted: u32, least: u32, greatest: u32, count: usize) -> Option<usize> {
    let (above, width) = (wanted.checked_sub(least)?, greatest.checked_sub(least)?);
    if above > width || count == 0 {
        return None;
    }
    usize::try_from(u64::from(above) * count as u64 / (u64::from(width) + 1)).ok()
}

/// The bits of a uuid after those that choose its bucket in a directory of `length` entries.
fn following_bits(id: u128, length: usize) -> u32 {
    (id >> (96 - bucket_bits(length).min(96))) as u32
}

/// Where among `count` evenly spread numbers of 32 bits this one should be.
fn share_of(number: u32, count: usize) -> usize {
    ((u64::from(number) * count as u64) >> 32) as usize
}

/// A system as a record of these sections says.
pub(crate) fn system_view<'a>(sections: &'a Sections, record: &SystemRecord) -> Option<SystemView<'a>> {
    let clients = sections.run(Section::SystemClients, record.clients)?;
    Some(SystemView { id: sections.string(record.id.get()), vendor: record.vendor.get(), clients, sections })
}

/// How many bits before this one are set; `None` when it is not set itself.
fn rank(words: &[U64], bit: u32) -> Option<usize> {
    let (word, bit) = (bit as usize / 64, bit % 64);
    let holding = words.get(word)?.get();
    if holding >> bit & 1 == 0 {
        return None;
    }
    let before: u32 = words.iter().take(word).map(|word| word.get().count_ones()).sum();
    Some((before + (holding & ((1 << bit) - 1)).count_ones()) as usize)
}

/// Positions of the bits that are set, ascending.
pub(crate) fn bits(words: impl Iterator<Item = u64>) -> impl Iterator<Item = u32> {
    words.zip(0_u32..).flat_map(|(word, position)| {
        (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| position * 64 + bit)
    })
}

/// The bucket of a uuid in a directory of `length` entries (a power of two and one more): its leading bits.
pub(crate) fn bucket(id: &[u8; 16], length: usize) -> usize {
    let leading = (Uuid::from_bytes(*id).as_u128() >> 96) as u32;
    leading.checked_shr(32 - bucket_bits(length)).unwrap_or(0) as usize
}

fn bucket_bits(length: usize) -> u32 {
    length.saturating_sub(1).checked_ilog2().unwrap_or(0)
}

#[cfg(test)]
mod tests;
