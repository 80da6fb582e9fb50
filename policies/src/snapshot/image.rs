//! An image in memory: checked once when it is loaded, read in place ever after.
//!
//! [`Image::load`] refuses an image in which any offset, index, order or text is not as [`super::layout`] says; what is
//! written against is in [`check`]. The look-ups that follow cannot fail, and where one finds nothing it grants nothing.

pub(crate) mod check;

use std::ops::Range;

use uuid::Uuid;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::layout::{
    self, Header, ObligationRecord, REASON_DIRECT, RightRecord, Run, Section, SectionEntry, SystemRecord,
};
use crate::id::SystemUserId;
use crate::route::ApiRoute;
use crate::token::TrustedIssuer;

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

#[derive(Debug, Clone, Default)]
struct Place {
    range: Range<usize>,
    element_bytes: usize,
}

/// A loaded image. The small tables are read into types, the large ones stay bytes.
#[derive(Debug)]
pub(crate) struct Image {
    // Invariant: passed every check of `check`.
    bytes: Vec<u8>,
    places: [Place; Section::ALL.len()],
    issuers: Vec<TrustedIssuer>,
    routes: Vec<ApiRoute>,
}

/// Position of a system user in the image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemUserIndex(usize);

/// Position of a right set in the image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RightSetIndex(usize);

/// Position of a right in the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RightIndex(pub(crate) u32);

/// Why a system user holds a right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeldThrough<'image> {
    /// It was delegated directly.
    Direct,
    /// This access package grants it; the URN's last part.
    AccessPackage(&'image str),
}

/// A registered system.
pub(crate) struct SystemView<'image> {
    pub(crate) id: &'image str,
    pub(crate) vendor: u32,
    clients: &'image [U32],
    image: &'image Image,
}

impl SystemView<'_> {
    /// The client, in lower case, belongs to the system.
    pub(crate) fn has_client(&self, folded: &str) -> bool {
        self.clients.iter().any(|client| self.image.string(client.get()) == folded)
    }
}

/// What must also hold when a right is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ObligationView {
    MinimumAuthenticationLevel(u32),
    Unknown,
}

impl Image {
    /// Checks the image that begins at `start` and keeps the bytes.
    pub(crate) fn load(bytes: Vec<u8>, start: usize) -> Result<Self, ImageError> {
        let places = read_table(&bytes, start)?;
        let mut image = Self { bytes, places, issuers: Vec::new(), routes: Vec::new() };
        image.check_texts()?;
        image.check_rights()?;
        image.check_system_users()?;
        image.issuers = image.read_issuers()?;
        image.routes = image.read_routes()?;
        Ok(image)
    }

    pub(crate) fn issuers(&self) -> &[TrustedIssuer] {
        &self.issuers
    }

    pub(crate) fn routes(&self) -> &[ApiRoute] {
        &self.routes
    }

    pub(crate) fn system_user_count(&self) -> usize {
        self.elements::<[u8; 16]>(Section::SystemUserIds).len()
    }

    /// Finds a system user by the directory of leading bits and a binary search inside its bucket.
    pub(crate) fn system_user(&self, id: SystemUserId) -> Option<SystemUserIndex> {
        let ids: &[[u8; 16]] = self.elements(Section::SystemUserIds);
        let directory: &[U32] = self.elements(Section::SystemUserDirectory);
        let wanted = id.as_uuid().into_bytes();
        let bucket = bucket(&wanted, directory.len());
        let start = directory.get(bucket)?.get() as usize;
        let end = directory.get(bucket + 1)?.get() as usize;
        let found = ids.get(start..end)?.binary_search(&wanted).ok()?;
        Some(SystemUserIndex(start + found))
    }

    pub(crate) fn is_withdrawn(&self, id: SystemUserId) -> bool {
        let ids: &[[u8; 16]] = self.elements(Section::WithdrawnIds);
        ids.binary_search(&id.as_uuid().into_bytes()).is_ok()
    }

    /// The organisation that owns the system user.
    pub(crate) fn owner(&self, user: SystemUserIndex) -> Option<u32> {
        self.rows(user)?.0.first().map(|owner| owner.get())
    }

    pub(crate) fn system(&self, user: SystemUserIndex) -> Option<SystemView<'_>> {
        let system = self.narrow(Section::SystemUserSystems, user.0)?;
        let record = self.elements::<SystemRecord>(Section::Systems).get(system)?;
        let clients = self.run(Section::SystemClients, record.clients)?;
        Some(SystemView { id: self.string(record.id.get()), vendor: record.vendor.get(), clients, image: self })
    }

    /// The rights that the system user holds for a party; `None` when it does not act for that party at all.
    pub(crate) fn row(&self, user: SystemUserIndex, party: u32) -> Option<RightSetIndex> {
        let (parties, start) = self.rows(user)?;
        let (owner, clients) = parties.split_first()?;
        let position = if owner.get() == party {
            0
        } else {
            1 + clients.binary_search_by_key(&party, |client| client.get()).ok()?
        };
        self.narrow(Section::RowRightSets, start + position).map(RightSetIndex)
    }

    /// Why the set holds the right; `None` when it does not.
    pub(crate) fn held_through(&self, set: RightSetIndex, right: RightIndex) -> Option<HeldThrough<'_>> {
        let words_per_set = self.words_per_set();
        let words: &[U64] = self.elements(Section::RightSetBits);
        let words = words.get(set.0 * words_per_set..(set.0 + 1) * words_per_set)?;
        let (word, bit) = (right.0 as usize / 64, right.0 % 64);
        let holding = words.get(word)?.get();
        if holding >> bit & 1 == 0 {
            return None;
        }
        let before: u32 = words.iter().take(word).map(|word| word.get().count_ones()).sum();
        let rank = before + (holding & ((1 << bit) - 1)).count_ones();
        let offsets: &[U32] = self.elements(Section::RightSetReasonOffsets);
        let reasons: &[U32] = self.elements(Section::RightSetReasons);
        match reasons.get(offsets.get(set.0)?.get() as usize + rank as usize)?.get() {
            REASON_DIRECT => Some(HeldThrough::Direct),
            package => Some(HeldThrough::AccessPackage(self.string(package))),
        }
    }

    /// Resource and action of a right.
    pub(crate) fn right(&self, right: RightIndex) -> Option<(&str, &str)> {
        let record = self.right_record(right)?;
        Some((self.string(record.resource.get()), self.string(record.action.get())))
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
        let records: &[ObligationRecord] = self.run(Section::Obligations, run)?;
        Some(records.iter().map(|record| match record.kind.get() {
            layout::OBLIGATION_MINIMUM_AUTHENTICATION_LEVEL => {
                ObligationView::MinimumAuthenticationLevel(record.value.get())
            }
            _ => ObligationView::Unknown,
        }))
    }

    fn right_record(&self, right: RightIndex) -> Option<&RightRecord> {
        self.elements::<RightRecord>(Section::Rights).get(right.0 as usize)
    }

    fn words_per_set(&self) -> usize {
        self.elements::<RightRecord>(Section::Rights).len().div_ceil(64)
    }

    /// The parties of a system user, and where its rows begin.
    fn rows(&self, user: SystemUserIndex) -> Option<(&[U32], usize)> {
        let offsets: &[U32] = self.elements(Section::RowOffsets);
        let start = offsets.get(user.0)?.get() as usize;
        let end = offsets.get(user.0 + 1)?.get() as usize;
        Some((self.elements::<U32>(Section::RowParties).get(start..end)?, start))
    }

    /// An element of a section whose elements are 2 or 4 bytes wide.
    fn narrow(&self, section: Section, index: usize) -> Option<usize> {
        if self.element_bytes(section) == 2 {
            self.elements::<U16>(section).get(index).map(|value| usize::from(value.get()))
        } else {
            self.elements::<U32>(section).get(index).map(|value| value.get() as usize)
        }
    }

    fn string(&self, index: u32) -> &str {
        let offsets: &[U32] = self.elements(Section::StringOffsets);
        let bytes: &[u8] = self.elements(Section::StringBytes);
        let place = |index: usize| offsets.get(index).map(|offset| offset.get() as usize);
        let bytes = match (place(index as usize), place(index as usize + 1)) {
            (Some(start), Some(end)) => bytes.get(start..end),
            _ => None,
        };
        bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or("")
    }

    fn run<T>(&self, section: Section, run: Run) -> Option<&[T]>
    where
        T: FromBytes + Immutable + KnownLayout + Unaligned,
    {
        let start = run.start.get() as usize;
        self.elements::<T>(section).get(start..start.checked_add(run.count.get() as usize)?)
    }

    /// A section as its elements. The width was checked at load; a wrong `T` would give nothing, which grants nothing.
    fn elements<T>(&self, section: Section) -> &[T]
    where
        T: FromBytes + Immutable + KnownLayout + Unaligned,
    {
        let bytes = self.place(section).and_then(|place| self.bytes.get(place.range.clone())).unwrap_or(&[]);
        <[T]>::ref_from_bytes(bytes).unwrap_or(&[])
    }

    fn element_bytes(&self, section: Section) -> usize {
        self.place(section).map_or(0, |place| place.element_bytes)
    }

    fn place(&self, section: Section) -> Option<&Place> {
        self.places.get(section as usize - 1)
    }
}

/// The bucket of a uuid in a directory of `length` entries (a power of two and one more): its leading bits.
pub(crate) fn bucket(id: &[u8; 16], length: usize) -> usize {
    let bits = length.saturating_sub(1).checked_ilog2().unwrap_or(0);
    let leading = (Uuid::from_bytes(*id).as_u128() >> 96) as u32;
    leading.checked_shr(32 - bits).unwrap_or(0) as usize
}

/// Reads header and table: where each section is. Every section once, inside the image, of a width it may have.
fn read_table(bytes: &[u8], start: usize) -> Result<[Place; Section::ALL.len()], ImageError> {
    const HEADER: &str = "header";
    const TABLE: &str = "section table";
    let image = bytes.get(start..).ok_or(ImageError::new(HEADER, "cut short"))?;
    let (header, rest) = Header::ref_from_prefix(image).map_err(|_| ImageError::new(HEADER, "cut short"))?;
    if header.magic != layout::IMAGE_MAGIC {
        return Err(ImageError::new(HEADER, "not an image"));
    }
    if header.reader_format_min.get() > layout::IMAGE_FORMAT || header.format.get() == 0 {
        return Err(ImageError::new(HEADER, "a format that this reader does not know"));
    }
    if header.image_bytes.get() != image.len() as u64 {
        return Err(ImageError::new(HEADER, "the length is not the image's"));
    }
    let count = header.section_count.get() as usize;
    if count > layout::SECTIONS_MAX {
        return Err(ImageError::new(HEADER, "too many sections"));
    }
    let (entries, _) =
        <[SectionEntry]>::ref_from_prefix_with_elems(rest, count).map_err(|_| ImageError::new(TABLE, "cut short"))?;
    let contents = size_of::<Header>() + count * size_of::<SectionEntry>();
    let mut places: [Option<Place>; Section::ALL.len()] = Default::default();
    for entry in entries {
        let kind = entry.kind.get();
        let Some(section) = Section::ALL.into_iter().find(|section| *section as u32 == kind) else {
            if kind & layout::SECTION_OPTIONAL != 0 {
                continue;
            }
            return Err(ImageError::new(TABLE, "a section that this reader does not know"));
        };
        let size = |value: U64| usize::try_from(value.get()).ok();
        let (Some(offset), Some(length)) = (size(entry.offset), size(entry.length_bytes)) else {
            return Err(ImageError::new(TABLE, "a section outside the image"));
        };
        let end = offset.checked_add(length).filter(|end| offset >= contents && *end <= image.len());
        let Some(end) = end else {
            return Err(ImageError::new(TABLE, "a section outside the image"));
        };
        let element_bytes = entry.element_bytes.get() as usize;
        if !section.element_bytes().contains(&element_bytes) || !length.is_multiple_of(element_bytes) {
            return Err(ImageError::new(TABLE, "a section of a wrong width or length"));
        }
        let place = places.get_mut(section as usize - 1).ok_or(ImageError::new(TABLE, "a section out of place"))?;
        if place.is_some() {
            return Err(ImageError::new(TABLE, "a section twice"));
        }
        *place = Some(Place { range: start + offset..start + end, element_bytes });
    }
    if places.iter().any(Option::is_none) {
        return Err(ImageError::new(TABLE, "a section is missing"));
    }
    Ok(places.map(Option::unwrap_or_default))
}

#[cfg(test)]
mod tests;
