//! Tables that bases and deltas both have: right sets and systems.

use std::ops::Range;

use zerocopy::little_endian::{U32, U64};

use crate::id::{AccessPackage, OrganizationNumber, SystemId};
use crate::snapshot::image::ImageError;
use crate::snapshot::layout::{REASON_DIRECT, Section, SystemRecord};
use crate::snapshot::sections::{Sections, check_ends};

/// Number of right sets; the offsets of their reasons are in order.
pub(crate) fn right_set_count(sections: &Sections) -> Result<usize, ImageError> {
    let offsets: &[U32] = sections.elements(Section::RightSetReasonOffsets);
    if offsets.is_empty() && !sections.has(Section::RightSetBits) {
        return Ok(0);
    }
    check_ends(offsets, sections.count(Section::RightSetReasons))
        .map_err(|problem| ImageError::new("right sets", problem))?;
    Ok(offsets.len() - 1)
}

/// Each of these sets has one reason for each of its bits, and no bit beyond the last.
pub(crate) fn check_right_sets(sections: &Sections, range: Range<usize>, bits: usize) -> Result<(), ImageError> {
    let wrong = |problem| ImageError::new("right sets", problem);
    let words_per_set = bits.div_ceil(64);
    let words: &[U64] = sections.elements(Section::RightSetBits);
    let offsets: &[U32] = sections.elements(Section::RightSetReasonOffsets);
    if offsets.len().saturating_sub(1).checked_mul(words_per_set) != Some(words.len()) {
        return Err(wrong("not as many bits as sets and rights need"));
    }
    for index in range {
        let set = words.get(index * words_per_set..(index + 1) * words_per_set).ok_or(wrong("cut short"))?;
        let held: u32 = set.iter().map(|word| word.get().count_ones()).sum();
        let reasons = match (offsets.get(index), offsets.get(index + 1)) {
            (Some(start), Some(end)) => end.get().checked_sub(start.get()),
            _ => None,
        };
        if reasons != Some(held) {
            return Err(wrong("not one reason for every right"));
        }
        let beyond = match (bits % 64, set.last()) {
            (used @ 1.., Some(last)) => last.get() >> used,
            _ => 0,
        };
        if beyond != 0 {
            return Err(wrong("a bit beyond the last right"));
        }
    }
    Ok(())
}

/// Strings that were found to be names of access packages: many rights are held through few.
#[derive(Debug, Default)]
pub(crate) struct KnownPackages {
    /// A bit for each string.
    words: Vec<u64>,
}

impl KnownPackages {
    /// The string is such a name.
    fn check(&mut self, sections: &Sections, name: U32) -> Result<(), ImageError> {
        let (word, bit) = (name.get() as usize / 64, 1 << (name.get() % 64));
        if self.words.get(word).is_some_and(|known| known & bit != 0) {
            return Ok(());
        }
        AccessPackage::from_name(sections.text(name)?)
            .map_err(|_| ImageError::new("right sets", "a reason that is no package"))?;
        if self.words.len() <= word {
            // The string is there: there are not more bits than offsets of strings.
            self.words.resize(word + 1, 0);
        }
        if let Some(known) = self.words.get_mut(word) {
            *known |= bit;
        }
        Ok(())
    }
}

/// Names of access packages, or [`REASON_DIRECT`].
pub(crate) fn check_reasons(sections: &Sections, reasons: &[U32], known: &mut KnownPackages) -> Result<(), ImageError> {
    let mut named = reasons.iter().filter(|reason| reason.get() != REASON_DIRECT);
    named.try_for_each(|reason| known.check(sections, *reason))
}

/// Systems with their vendor and clients, ascending by id.
pub(crate) fn check_systems(sections: &Sections, range: Range<usize>) -> Result<(), ImageError> {
    let wrong = |problem| ImageError::new("systems", problem);
    let systems: &[SystemRecord] = sections.elements(Section::Systems);
    let mut last = match range.start.checked_sub(1).and_then(|before| systems.get(before)) {
        Some(system) => sections.text(system.id)?,
        None => "",
    };
    for system in systems.get(range).ok_or(wrong("cut short"))? {
        let id = sections.text(system.id)?;
        SystemId::parse(id).map_err(|_| wrong("not a system id"))?;
        if id <= last {
            return Err(wrong("not in ascending order"));
        }
        last = id;
        OrganizationNumber::from_u32(system.vendor.get()).ok_or(wrong("not an organization number"))?;
        let clients: Option<&[U32]> = sections.run(Section::SystemClients, system.clients);
        clients.ok_or(wrong("clients outside their section"))?;
    }
    Ok(())
}
