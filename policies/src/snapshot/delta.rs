//! A delta: what changed since the version in force, read and checked whole before any of it counts.
//!
//! It has the image's layout with only the sections it needs. Rights, their obligations and what grants them cannot
//! change in it: right sets mean something only beside the base's rights, so that such a change is a new base.

use std::sync::Arc;

use zerocopy::little_endian::{U32, U64};

use super::enforced::{Enforced, HeldRights, RowChange, System, SystemUserChange, UserSystem};
use super::image::check::{KnownPackages, check_reasons, check_right_sets, check_systems, right_set_count};
use super::image::{ImageError, settings, system_view};
use super::layout::{
    ChangedRowRecord, ChangedUserRecord, REASON_DIRECT, ROW_REMOVED, SYSTEM_OF_DELTA, Section, SystemRecord,
    USER_FORGOTTEN, USER_ROWS, USER_WHOLE, USER_WITHDRAWN,
};
use super::revocations::{self, RevocationRecord};
use super::sections::Sections;
use crate::id::OrganizationNumber;
use crate::route::ApiRoute;
use crate::token::TrustedIssuer;

/// Longest image of a delta, in bytes.
pub const DELTA_BYTES_MAX: usize = 8 << 20;

/// Sections that a delta may have.
const SECTIONS: [Section; 16] = [
    Section::StringBytes,
    Section::StringOffsets,
    Section::Issuers,
    Section::Keys,
    Section::KeyBytes,
    Section::Routes,
    Section::RouteSegments,
    Section::RouteTexts,
    Section::Systems,
    Section::SystemClients,
    Section::RightSetBits,
    Section::RightSetReasonOffsets,
    Section::RightSetReasons,
    Section::ChangedUsers,
    Section::ChangedRows,
    Section::Revocations,
];

/// What a delta says, ready to be taken over.
pub(crate) struct Delta {
    pub(crate) issuers: Option<Vec<TrustedIssuer>>,
    pub(crate) routes: Option<Vec<ApiRoute>>,
    pub(crate) revocations: Option<Vec<RevocationRecord>>,
    pub(crate) systems: Vec<Arc<System>>,
    pub(crate) users: Vec<([u8; 16], SystemUserChange)>,
}

impl Delta {
    /// Reads a delta's image for what is in force.
    pub(crate) fn read(bytes: Vec<u8>, current: &Enforced) -> Result<Self, ImageError> {
        let wrong = |problem| ImageError::new("delta", problem);
        if bytes.len() > DELTA_BYTES_MAX {
            return Err(wrong("longer than 8 MiB"));
        }
        let sections = Sections::read(bytes)?;
        if Section::ALL.into_iter().any(|section| sections.has(section) && !SECTIONS.contains(&section)) {
            return Err(wrong("a section that only a base has"));
        }
        let strings = sections.string_count()?;
        sections.check_strings(0..strings)?;
        let rights = current.image().rights().len();
        let sets = read_right_sets(&sections, current)?;
        let systems = read_systems(&sections)?;
        let reader = Reader { sections: &sections, current, sets: &sets, systems: &systems };
        Ok(Self {
            issuers: settings::all_issuers(&sections)?,
            routes: settings::all_routes(&sections, rights)?,
            revocations: revocations::read(&sections)?,
            users: reader.users()?,
            systems,
        })
    }
}

fn read_right_sets(sections: &Sections, current: &Enforced) -> Result<Vec<Arc<HeldRights>>, ImageError> {
    let bits = current.image().bits();
    let count = right_set_count(sections)?;
    check_right_sets(sections, 0..count, bits)?;
    let reasons: &[U32] = sections.elements(Section::RightSetReasons);
    check_reasons(sections, reasons, &mut KnownPackages::default())?;
    let words: &[U64] = sections.elements(Section::RightSetBits);
    let mut reasons = reasons.iter();
    let words_per_set = bits.div_ceil(64);
    let sets = (0..count).map(|index| {
        let words = words.iter().skip(index * words_per_set).take(words_per_set).map(|word| word.get());
        let words: Box<[u64]> = words.collect();
        let held: u32 = words.iter().map(|word| word.count_ones()).sum();
        let reasons = reasons.by_ref().take(held as usize).map(|reason| match reason.get() {
            REASON_DIRECT => None,
            package => Some(Box::from(sections.string(package))),
        });
        Arc::new(HeldRights::new(words, reasons.collect()))
    });
    Ok(sets.collect())
}

fn read_systems(sections: &Sections) -> Result<Vec<Arc<System>>, ImageError> {
    check_systems(sections, 0..sections.count(Section::Systems))?;
    let records: &[SystemRecord] = sections.elements(Section::Systems);
    records
        .iter()
        .map(|record| {
            let view = system_view(sections, record).ok_or(ImageError::new("systems", "clients outside"))?;
            let clients = view.clients().map(str::to_owned).collect();
            Ok(Arc::new(System { id: view.id.to_owned(), vendor: view.vendor, clients }))
        })
        .collect()
}

struct Reader<'a> {
    sections: &'a Sections,
    current: &'a Enforced,
    sets: &'a [Arc<HeldRights>],
    systems: &'a [Arc<System>],
}

impl Reader<'_> {
    fn users(&self) -> Result<Vec<([u8; 16], SystemUserChange)>, ImageError> {
        let wrong = |problem| ImageError::new("changed system users", problem);
        let records: &[ChangedUserRecord] = self.sections.elements(Section::ChangedUsers);
        if !records.is_sorted_by(|left, right| left.id < right.id) {
            return Err(wrong("not in ascending order"));
        }
        records
            .iter()
            .map(|record| {
                let change = match record.change.get() {
                    USER_ROWS if !self.current.is_active(record.id) => {
                        return Err(wrong("rows of one that is not active"));
                    }
                    USER_ROWS => SystemUserChange::Rows(self.rows(record)?),
                    USER_WHOLE => {
                        let owner = OrganizationNumber::from_u32(record.owner.get());
                        owner.ok_or(wrong("an owner that is no organization"))?;
                        let system = self.system(record.system.get())?;
                        SystemUserChange::Whole { owner: record.owner.get(), system, rows: self.rows(record)? }
                    }
                    USER_WITHDRAWN => SystemUserChange::Withdrawn,
                    USER_FORGOTTEN => SystemUserChange::Forgotten,
                    _ => return Err(wrong("a change that this reader does not know")),
                };
                Ok((record.id, change))
            })
            .collect()
    }

    fn rows(&self, record: &ChangedUserRecord) -> Result<Vec<RowChange>, ImageError> {
        let wrong = |problem| ImageError::new("changed rows", problem);
        let rows: Option<&[ChangedRowRecord]> = self.sections.run(Section::ChangedRows, record.rows);
        let rows = rows.ok_or(wrong("outside their section"))?;
        if !rows.is_sorted_by(|left, right| left.party.get() < right.party.get()) {
            return Err(wrong("not in ascending order"));
        }
        rows.iter()
            .map(|row| {
                let held = match row.right_set.get() {
                    ROW_REMOVED => None,
                    set => Some(self.sets.get(set as usize).cloned().ok_or(wrong("a right set that is not there"))?),
                };
                Ok(RowChange { party: row.party.get(), held })
            })
            .collect()
    }

    fn system(&self, system: u32) -> Result<UserSystem, ImageError> {
        let missing = ImageError::new("changed system users", "a system that is not there");
        if system & SYSTEM_OF_DELTA == 0 {
            return self
                .current
                .image()
                .system(system as usize)
                .map(|_| UserSystem::OfBase(system as usize))
                .ok_or(missing);
        }
        let system = self.systems.get((system & !SYSTEM_OF_DELTA) as usize).ok_or(missing)?;
        Ok(UserSystem::Changed(system.id.clone()))
    }
}
