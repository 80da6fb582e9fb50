//! Puts sections and strings into an image.

use std::collections::BTreeMap;

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{Immutable, IntoBytes};

use crate::snapshot::layout::{Header, IMAGE_FORMAT, IMAGE_MAGIC, Run, SECTION_ALIGNMENT, Section, SectionEntry};

/// A run of elements; positions beyond 32 bits are caught by the limits on what is written.
pub(super) fn run(start: usize, count: usize) -> Run {
    let number = |value: usize| U32::new(u32::try_from(value).unwrap_or(u32::MAX));
    Run { start: number(start), count: number(count) }
}

/// Strings, each once.
#[derive(Default)]
pub(super) struct Strings {
    indexes: BTreeMap<String, u32>,
    bytes: Vec<u8>,
    offsets: Vec<U32>,
}

impl Strings {
    pub(super) fn intern(&mut self, text: &str) -> U32 {
        if let Some(index) = self.indexes.get(text) {
            return U32::new(*index);
        }
        let index = u32::try_from(self.offsets.len()).unwrap_or(u32::MAX);
        self.offsets.push(U32::new(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)));
        self.bytes.extend_from_slice(text.as_bytes());
        self.indexes.insert(text.to_owned(), index);
        U32::new(index)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    pub(super) fn write(mut self, writer: &mut ImageWriter) {
        self.offsets.push(U32::new(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)));
        writer.records(Section::StringBytes, &self.bytes);
        writer.records(Section::StringOffsets, &self.offsets);
    }
}

/// Sections on their way into an image.
#[derive(Default)]
pub(super) struct ImageWriter {
    sections: BTreeMap<Section, (usize, Vec<u8>)>,
}

impl ImageWriter {
    pub(super) fn is_empty(&self) -> bool {
        self.sections.is_empty()
    }

    pub(super) fn records<T: IntoBytes + Immutable>(&mut self, section: Section, records: &[T]) {
        self.sections.insert(section, (size_of::<T>(), records.as_bytes().to_vec()));
    }

    /// Numbers below `bound`, 2 bytes wide where that holds them all.
    pub(super) fn narrow(&mut self, section: Section, values: &[u32], bound: usize) {
        if bound <= usize::from(u16::MAX) {
            let values: Vec<U16> =
                values.iter().map(|value| U16::new(u16::try_from(*value).unwrap_or(u16::MAX))).collect();
            self.records(section, &values);
        } else {
            let values: Vec<U32> = values.iter().map(|value| U32::new(*value)).collect();
            self.records(section, &values);
        }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        let aligned = |length: usize| length.next_multiple_of(SECTION_ALIGNMENT);
        let contents = size_of::<Header>() + self.sections.len() * size_of::<SectionEntry>();
        let mut offset = aligned(contents);
        let mut entries = Vec::new();
        for (section, (element_bytes, bytes)) in &self.sections {
            entries.push(SectionEntry {
                kind: U32::new(*section as u32),
                element_bytes: U32::new(u32::try_from(*element_bytes).unwrap_or(u32::MAX)),
                offset: U64::new(offset as u64),
                length_bytes: U64::new(bytes.len() as u64),
                reserved: U64::ZERO,
            });
            offset = aligned(offset + bytes.len());
        }
        let header = Header {
            magic: IMAGE_MAGIC,
            format: U16::new(IMAGE_FORMAT),
            reader_format_min: U16::new(IMAGE_FORMAT),
            section_count: U32::new(u32::try_from(entries.len()).unwrap_or(u32::MAX)),
            image_bytes: U64::new(offset as u64),
            reserved: U64::ZERO,
        };
        let mut image = Vec::with_capacity(offset);
        image.extend_from_slice(header.as_bytes());
        image.extend_from_slice(entries.as_bytes());
        image.resize(aligned(image.len()), 0);
        for (_, bytes) in self.sections.into_values() {
            image.extend_from_slice(&bytes);
            image.resize(aligned(image.len()), 0);
        }
        image
    }
}
