//! A base image in memory: checked once when it is loaded, read in place ever after.
//!
//! [`Loading`] refuses an image in which any offset, index, order or text is not as [`super::layout`] says; what is
//! written against is in [`check`]. The look-ups that follow cannot fail, and where one finds nothing it grants nothing.

pub(crate) mod check;
pub(crate) mod settings;

use std::cmp::Ordering;
use std::hint::black_box;
use std::ops::RangeInclusive;

use uuid::Uuid;
use zerocopy::little_endian::{U32, U64};

use super::layout::{
    self, ExplainPolicyRecord, ExplainRuleRecord, ObligationRecord, REASON_DIRECT, ROW_BLOCK, RightRecord, Run,
    Section, SystemRecord,
};
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum HeldThrough<'image> {
    /// This access package grants it; the URN's last part.
    AccessPackage(&'image str),
    /// It was delegated directly.
    Direct,
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

    /// Finds a system user by the directory of leading bits and a binary search inside its bucket.
    pub(crate) fn system_user(&self, id: SystemUserId) -> Option<SystemUserIndex> {
        let ids: &[[u8; 16]] = self.sections.elements(Section::SystemUserIds);
        let directory: &[U32] = self.sections.elements(Section::SystemUserDirectory);
        let wanted = id.as_uuid().into_bytes();
        let bucket = bucket(&wanted, directory.len());
        let start = directory.get(bucket)?.get() as usize;
        let end = directory.get(bucket + 1)?.get() as usize;
        self.fetch(Section::RowOffsets, start);
        let found = ids.get(start..end)?.binary_search(&wanted).ok()?;
        Some(SystemUserIndex(start + found))
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
            package => HeldThrough::AccessPackage(self.sections.string(package)),
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
        if self.parties.len() <= SHORT_RUN {
            return 0;
        }
        interpolated(party, *range.start(), *range.end(), self.parties.len()).unwrap_or(0)
    }

    /// Where the party is among the parties.
    fn position(&self, party: u32, range: &RangeInclusive<u32>) -> Option<usize> {
        let (owner, clients) = self.parties.split_first()?;
        if owner.get() == party { Some(0) } else { Some(1 + position(clients, party, range)?) }
    }
}

/// Runs that are searched by halves alone, in elements: they lie in few cache lines.
const SHORT_RUN: usize = 64;
/// Looks at where a number should be; the second is a few elements off when numbers lie evenly.
const INTERPOLATIONS: usize = 2;
/// First stride from there, in elements: a cache line.
const STRIDE: usize = 16;

/// Finds a number among ascending ones of `range`. Organisation numbers lie evenly, so that a long run is entered where
/// the number should be, and searched by halves only around there: a few cache lines instead of one for every half.
fn position(ascending: &[U32], wanted: u32, range: &RangeInclusive<u32>) -> Option<usize> {
    let search = |low: usize, high: usize| {
        let found = ascending.get(low..high)?.binary_search_by_key(&wanted, |number| number.get()).ok()?;
        Some(low + found)
    };
    if ascending.len() <= SHORT_RUN {
        return search(0, ascending.len());
    }
    let (mut low, mut high) = (0, ascending.len());
    let (mut least, mut greatest) = (*range.start(), *range.end());
    let mut is_above = true;
    for _ in 0..INTERPOLATIONS {
        let expected = low + interpolated(wanted, least, greatest, high - low)?;
        let number = ascending.get(expected)?.get();
        match number.cmp(&wanted) {
            Ordering::Equal => return Some(expected),
            Ordering::Less => (low, least, is_above) = (expected + 1, number + 1, true),
            Ordering::Greater => (high, greatest, is_above) = (expected, number - 1, false),
        }
    }
    // Each stride is twice the last, so that there are at most as many as a search by halves takes.
    let mut stride = STRIDE;
    if is_above {
        let (mut from, mut to) = (low, low + stride);
        while to < high && ascending.get(to - 1)?.get() < wanted {
            stride *= 2;
            (from, to) = (to, to + stride);
        }
        search(from, to.min(high))
    } else {
        let (mut from, mut to) = (high.saturating_sub(stride), high);
        while from > low && ascending.get(from)?.get() > wanted {
            stride *= 2;
            (from, to) = (from.saturating_sub(stride), from);
        }
        search(from.max(low), to)
    }
}

/// Where the number should be among `count` of `least..=greatest` that lie evenly; `None` when it is outside.
fn interpolated(wanted: u32, least: u32, greatest: u32, count: usize) -> Option<usize> {
    let (above, width) = (wanted.checked_sub(least)?, greatest.checked_sub(least)?);
    if above > width || count == 0 {
        return None;
    }
    usize::try_from(u64::from(above) * count as u64 / (u64::from(width) + 1)).ok()
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
    let bits = length.saturating_sub(1).checked_ilog2().unwrap_or(0);
    let leading = (Uuid::from_bytes(*id).as_u128() >> 96) as u32;
    leading.checked_shr(32 - bits).unwrap_or(0) as usize
}

#[cfg(test)]
mod tests;
