//! The sections of an image in memory: found by the table, read in place.
//!
//! Shared by bases ([`super::image`]) and deltas ([`super::delta`]). Whether the contents make sense is theirs to check;
//! a look-up outside a section finds nothing.

use std::ops::Range;

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::image::ImageError;
use super::layout::{self, Header, Run, Section, SectionEntry};

#[derive(Debug, Clone, Default)]
struct Place {
    range: Range<usize>,
    element_bytes: usize,
}

/// Bytes, and where each section is in them.
#[derive(Debug)]
pub(crate) struct Sections {
    // Invariant: every place lies inside the bytes and is a whole number of elements.
    bytes: Vec<u8>,
    places: [Option<Place>; Section::ALL.len()],
}

impl Sections {
    /// Reads header and table: every section once, inside the image, of a width it may have.
    pub(crate) fn read(bytes: Vec<u8>) -> Result<Self, ImageError> {
        const HEADER: &str = "header";
        const TABLE: &str = "section table";
        let (header, rest) = Header::ref_from_prefix(&bytes).map_err(|_| ImageError::new(HEADER, "cut short"))?;
        if header.magic != layout::IMAGE_MAGIC {
            return Err(ImageError::new(HEADER, "not an image"));
        }
        if header.reader_format_min.get() > layout::IMAGE_FORMAT || header.format.get() < layout::IMAGE_FORMAT {
            return Err(ImageError::new(HEADER, "a format that this reader does not know"));
        }
        if header.image_bytes.get() != bytes.len() as u64 {
            return Err(ImageError::new(HEADER, "the length is not the image's"));
        }
        let count = header.section_count.get() as usize;
        if count > layout::SECTIONS_MAX {
            return Err(ImageError::new(HEADER, "too many sections"));
        }
        let (entries, _) = <[SectionEntry]>::ref_from_prefix_with_elems(rest, count)
            .map_err(|_| ImageError::new(TABLE, "cut short"))?;
        let contents = size_of::<Header>() + count * size_of::<SectionEntry>();
        let mut places: [Option<Place>; Section::ALL.len()] = std::array::from_fn(|_| None);
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
            let end = offset.checked_add(length).filter(|end| offset >= contents && *end <= bytes.len());
            let Some(end) = end else {
                return Err(ImageError::new(TABLE, "a section outside the image"));
            };
            let element_bytes = entry.element_bytes.get() as usize;
            if !section.element_bytes().contains(&element_bytes) || !length.is_multiple_of(element_bytes) {
                return Err(ImageError::new(TABLE, "a section of a wrong width or length"));
            }
            let place = places.get_mut(section.position()).ok_or(ImageError::new(TABLE, "a section out of place"))?;
            if place.replace(Place { range: offset..end, element_bytes }).is_some() {
                return Err(ImageError::new(TABLE, "a section twice"));
            }
        }
        Ok(Self { bytes, places })
    }

    /// The section is there, if only without elements.
    pub(crate) fn has(&self, section: Section) -> bool {
        self.place(section).is_some()
    }

    /// Number of elements in the section.
    pub(crate) fn count(&self, section: Section) -> usize {
        self.place(section).map_or(0, |place| place.range.len() / place.element_bytes)
    }

    /// A section as its elements. The width was checked when the table was read; a wrong `T` would give nothing, which
    /// grants nothing.
    pub(crate) fn elements<T>(&self, section: Section) -> &[T]
    where
        T: FromBytes + Immutable + KnownLayout + Unaligned,
    {
        let bytes = self.place(section).and_then(|place| self.bytes.get(place.range.clone())).unwrap_or(&[]);
        <[T]>::ref_from_bytes(bytes).unwrap_or(&[])
    }

    /// A run of a section's elements; `None` when it leaves the section.
    pub(crate) fn run<T>(&self, section: Section, run: Run) -> Option<&[T]>
    where
        T: FromBytes + Immutable + KnownLayout + Unaligned,
    {
        let start = run.start.get() as usize;
        self.elements::<T>(section).get(start..start.checked_add(run.count.get() as usize)?)
    }

    /// An element of a section whose elements are 2 or 4 bytes wide.
    pub(crate) fn narrow(&self, section: Section, index: usize) -> Option<usize> {
        if self.place(section)?.element_bytes == 2 {
            self.elements::<U16>(section).get(index).map(|value| usize::from(value.get()))
        } else {
            self.elements::<U32>(section).get(index).map(|value| value.get() as usize)
        }
    }

    /// Elements that are 2 or 4 bytes wide are there, and each is below `bound`.
    pub(crate) fn are_narrow_below(&self, section: Section, range: Range<usize>, bound: usize) -> bool {
        // The greatest counts: looking for it needs no branch for each.
        let greatest = match self.place(section).map(|place| place.element_bytes) {
            Some(2) => {
                let numbers: Option<&[U16]> = self.elements(section).get(range);
                numbers.map(|numbers| numbers.iter().map(|number| u32::from(number.get())).max())
            }
            Some(_) => {
                let numbers: Option<&[U32]> = self.elements(section).get(range);
                numbers.map(|numbers| numbers.iter().map(|number| number.get()).max())
            }
            None => None,
        };
        greatest.is_some_and(|greatest| greatest.is_none_or(|greatest| (greatest as usize) < bound))
    }

    /// A string; empty where there is none.
    pub(crate) fn string(&self, index: u32) -> &str {
        self.string_bytes(index as usize).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or("")
    }

    /// A string that must be there.
    pub(crate) fn text(&self, index: U32) -> Result<&str, ImageError> {
        let missing = ImageError::new("strings", "a string that is not there");
        let bytes = self.string_bytes(index.get() as usize).ok_or(missing)?;
        std::str::from_utf8(bytes).map_err(|_| ImageError::new("strings", "not UTF-8"))
    }

    /// Strings are UTF-8, and their offsets span their section.
    pub(crate) fn check_strings(&self, range: Range<usize>) -> Result<(), ImageError> {
        let wrong = |problem| ImageError::new("strings", problem);
        for index in range {
            let bytes = self.string_bytes(index).ok_or(wrong("offsets fall"))?;
            std::str::from_utf8(bytes).map_err(|_| wrong("not UTF-8"))?;
        }
        Ok(())
    }

    /// Number of strings; their offsets begin and end where they must.
    pub(crate) fn string_count(&self) -> Result<usize, ImageError> {
        let offsets: &[U32] = self.elements(Section::StringOffsets);
        if offsets.is_empty() && !self.has(Section::StringBytes) {
            return Ok(0);
        }
        let wrong = |problem| ImageError::new("strings", problem);
        check_ends(offsets, self.count(Section::StringBytes)).map_err(wrong)?;
        Ok(offsets.len() - 1)
    }

    fn string_bytes(&self, index: usize) -> Option<&[u8]> {
        let offsets: &[U32] = self.elements(Section::StringOffsets);
        let start = offsets.get(index)?.get() as usize;
        let end = offsets.get(index.checked_add(1)?)?.get() as usize;
        self.elements::<u8>(Section::StringBytes).get(start..end)
    }

    fn place(&self, section: Section) -> Option<&Place> {
        self.places.get(section.position())?.as_ref()
    }
}

/// Offsets begin at 0 and end at `length`.
pub(crate) fn check_ends(offsets: &[U32], length: usize) -> Result<(), &'static str> {
    let ends = (offsets.first().map(|first| first.get()), offsets.last().map(|last| last.get() as usize));
    if ends == (Some(0), Some(length)) { Ok(()) } else { Err("offsets do not span their section") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_has_its_own_position() {
        for (position, section) in Section::ALL.into_iter().enumerate() {
            assert_eq!(section.position(), position, "{section:?}");
        }
    }
}
