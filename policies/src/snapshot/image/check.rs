//! What must hold of an image before it may be enforced. Every loop is bounded by the length of a section.

use zerocopy::little_endian::{U32, U64};

use super::{Image, ImageError, RightIndex, bucket};
use crate::id::{AccessPackage, ActionId, OrganizationNumber, ResourceId, SystemId};
use crate::route::{ApiRoute, Callers, Methods, Mode, PartySource, Segment};
use crate::snapshot::layout::{
    IssuerRecord, KeyRecord, OBLIGATION_MINIMUM_AUTHENTICATION_LEVEL, ObligationRecord, REASON_DIRECT, RightRecord,
    RouteRecord, Run, Section, SegmentRecord, SystemRecord,
};
use crate::token::{IssuerKind, TrustedIssuer, VerificationKey};

/// Most routes in an image; matching looks at each.
pub(crate) const ROUTES_MAX: usize = 4096;
/// Most issuers in an image.
pub(crate) const ISSUERS_MAX: usize = 64;
/// Most keys in an image.
pub(crate) const KEYS_MAX: usize = 1024;
/// Most rights in an image.
pub(crate) const RIGHTS_MAX: usize = 65_535;

impl Image {
    /// Strings are UTF-8, cut at their offsets.
    pub(super) fn check_texts(&self) -> Result<(), ImageError> {
        let wrong = |problem| ImageError::new("strings", problem);
        let text = std::str::from_utf8(self.elements(Section::StringBytes)).map_err(|_| wrong("not UTF-8"))?;
        let offsets: &[U32] = self.elements(Section::StringOffsets);
        check_offsets(offsets, text.len()).map_err(wrong)?;
        if !offsets.iter().all(|offset| text.is_char_boundary(offset.get() as usize)) {
            return Err(wrong("an offset inside a character"));
        }
        Ok(())
    }

    /// Rights, their obligations, and the sets of them.
    pub(super) fn check_rights(&self) -> Result<(), ImageError> {
        let wrong = |problem| ImageError::new("rights", problem);
        let rights: &[RightRecord] = self.elements(Section::Rights);
        if rights.len() > RIGHTS_MAX {
            return Err(wrong("too many"));
        }
        for right in rights {
            ResourceId::parse(self.text(right.resource)?).map_err(|_| wrong("not a resource id"))?;
            ActionId::parse(self.text(right.action)?).map_err(|_| wrong("not an action id"))?;
            for run in [right.package_obligations, right.direct_obligations] {
                let obligations: Option<&[ObligationRecord]> = self.run(Section::Obligations, run);
                obligations.ok_or(wrong("obligations outside their section"))?;
            }
        }
        let obligations: &[ObligationRecord] = self.elements(Section::Obligations);
        let level_too_high = |obligation: &ObligationRecord| {
            obligation.kind.get() == OBLIGATION_MINIMUM_AUTHENTICATION_LEVEL && obligation.value.get() > 4
        };
        if obligations.iter().any(level_too_high) {
            return Err(wrong("an authentication level above 4"));
        }
        self.check_right_sets(rights.len())
    }

    fn check_right_sets(&self, rights: usize) -> Result<(), ImageError> {
        let wrong = |problem| ImageError::new("right sets", problem);
        let words: &[U64] = self.elements(Section::RightSetBits);
        let offsets: &[U32] = self.elements(Section::RightSetReasonOffsets);
        let reasons: &[U32] = self.elements(Section::RightSetReasons);
        check_offsets(offsets, reasons.len()).map_err(wrong)?;
        let sets = offsets.len() - 1;
        let words_per_set = self.words_per_set();
        if sets.checked_mul(words_per_set) != Some(words.len()) || sets == 0 {
            return Err(wrong("not as many bits as sets and rights need"));
        }
        let mut remaining = words;
        for (position, bounds) in offsets.windows(2).enumerate() {
            let (set, rest) = remaining.split_at_checked(words_per_set).ok_or(wrong("cut short"))?;
            remaining = rest;
            let held: u32 = set.iter().map(|word| word.get().count_ones()).sum();
            let [start, end] = bounds else {
                return Err(wrong("cut short"));
            };
            if end.get() - start.get() != held {
                return Err(wrong("not one reason for every right"));
            }
            if position == 0 && held != 0 {
                return Err(wrong("the first set is not empty"));
            }
            let beyond = match (rights % 64, set.last()) {
                (used @ 1.., Some(last)) => last.get() >> used,
                _ => 0,
            };
            if beyond != 0 {
                return Err(wrong("a bit beyond the last right"));
            }
        }
        for reason in reasons {
            if reason.get() != REASON_DIRECT {
                AccessPackage::from_name(self.text(*reason)?).map_err(|_| wrong("a reason that is no package"))?;
            }
        }
        Ok(())
    }

    /// Systems, system users and their rows.
    pub(super) fn check_system_users(&self) -> Result<(), ImageError> {
        let systems: &[SystemRecord] = self.elements(Section::Systems);
        for system in systems {
            let wrong = |problem| ImageError::new("systems", problem);
            SystemId::parse(self.text(system.id)?).map_err(|_| wrong("not a system id"))?;
            OrganizationNumber::from_u32(system.vendor.get()).ok_or(wrong("not an organization number"))?;
            let clients: Option<&[U32]> = self.run(Section::SystemClients, system.clients);
            clients.ok_or(wrong("clients outside their section"))?;
        }
        for client in self.elements::<U32>(Section::SystemClients) {
            self.text(*client)?;
        }
        let wrong = |problem| ImageError::new("system users", problem);
        let ids: &[[u8; 16]] = self.elements(Section::SystemUserIds);
        if !ids.is_sorted_by(|left, right| left < right) {
            return Err(wrong("not in ascending order"));
        }
        let withdrawn: &[[u8; 16]] = self.elements(Section::WithdrawnIds);
        if !withdrawn.is_sorted_by(|left, right| left < right) {
            return Err(wrong("the withdrawn ones are not in ascending order"));
        }
        if withdrawn.iter().any(|id| ids.binary_search(id).is_ok()) {
            return Err(wrong("one that is both active and withdrawn"));
        }
        self.check_directory(ids)?;
        if self
            .place(Section::SystemUserSystems)
            .is_none_or(|place| place.range.len() / place.element_bytes != ids.len())
        {
            return Err(wrong("not one system for every system user"));
        }
        if (0..ids.len())
            .any(|index| self.narrow(Section::SystemUserSystems, index).is_none_or(|at| at >= systems.len()))
        {
            return Err(wrong("a system that is not there"));
        }
        self.check_rows(ids.len())
    }

    fn check_directory(&self, ids: &[[u8; 16]]) -> Result<(), ImageError> {
        let wrong = |problem| ImageError::new("system user directory", problem);
        let directory: &[U32] = self.elements(Section::SystemUserDirectory);
        check_offsets(directory, ids.len()).map_err(wrong)?;
        let buckets = directory.len() - 1;
        if !buckets.is_power_of_two() || buckets.ilog2() > 32 {
            return Err(wrong("not a power of two"));
        }
        for (position, id) in ids.iter().enumerate() {
            let bucket = bucket(id, directory.len());
            let place = |at: usize| directory.get(at).map_or(usize::MAX, |offset| offset.get() as usize);
            if !(place(bucket)..place(bucket + 1)).contains(&position) {
                return Err(wrong("a system user outside its bucket"));
            }
        }
        Ok(())
    }

    fn check_rows(&self, system_users: usize) -> Result<(), ImageError> {
        let wrong = |problem| ImageError::new("rows", problem);
        let offsets: &[U32] = self.elements(Section::RowOffsets);
        let parties: &[U32] = self.elements(Section::RowParties);
        check_offsets(offsets, parties.len()).map_err(wrong)?;
        if offsets.len() - 1 != system_users {
            return Err(wrong("not one run for every system user"));
        }
        for bounds in offsets.windows(2) {
            let [start, end] = bounds else {
                return Err(wrong("cut short"));
            };
            let rows = parties.get(start.get() as usize..end.get() as usize).ok_or(wrong("cut short"))?;
            let (owner, clients) = rows.split_first().ok_or(wrong("a system user without its owner"))?;
            if !clients.is_sorted_by(|left, right| left.get() < right.get())
                || clients.iter().any(|party| party == owner)
            {
                return Err(wrong("parties not in ascending order"));
            }
        }
        let sets = self.elements::<U32>(Section::RightSetReasonOffsets).len() - 1;
        let columns = self.place(Section::RowRightSets).map_or(0, |place| place.range.len() / place.element_bytes);
        if columns != parties.len() {
            return Err(wrong("not one right set for every row"));
        }
        if (0..columns).any(|index| self.narrow(Section::RowRightSets, index).is_none_or(|set| set >= sets)) {
            return Err(wrong("a right set that is not there"));
        }
        Ok(())
    }

    pub(super) fn read_issuers(&self) -> Result<Vec<TrustedIssuer>, ImageError> {
        let wrong = |problem| ImageError::new("issuers", problem);
        let records: &[IssuerRecord] = self.elements(Section::Issuers);
        if records.len() > ISSUERS_MAX || self.elements::<KeyRecord>(Section::Keys).len() > KEYS_MAX {
            return Err(wrong("too many"));
        }
        let mut issuers: Vec<TrustedIssuer> = Vec::with_capacity(records.len());
        for record in records {
            let kind = match record.kind {
                1 => IssuerKind::Maskinporten,
                2 => IssuerKind::Altinn,
                _ => return Err(wrong("a kind that this reader does not know")),
            };
            let issuer = self.text(record.issuer)?.to_owned();
            if issuer.is_empty()
                || record.authentication_level > 4
                || issuers.iter().any(|known| known.issuer == issuer)
            {
                return Err(wrong("without a name, twice, or with a level above 4"));
            }
            let records: &[KeyRecord] =
                self.run(Section::Keys, record.keys).ok_or(wrong("keys outside their section"))?;
            let mut keys: Vec<VerificationKey> = Vec::with_capacity(records.len());
            for record in records {
                let der: &[u8] = self.run(Section::KeyBytes, record.spki).ok_or(wrong("a key outside its section"))?;
                let key = VerificationKey::from_spki_der(self.text(record.kid)?, der);
                let key = key.map_err(|_| wrong("a key that may not verify"))?;
                if key.kid().is_empty() || keys.iter().any(|known| known.kid() == key.kid()) {
                    return Err(wrong("a key without an id, or an id twice"));
                }
                keys.push(key);
            }
            issuers.push(TrustedIssuer { issuer, kind, keys, authentication_level: record.authentication_level });
        }
        Ok(issuers)
    }

    pub(super) fn read_routes(&self) -> Result<Vec<ApiRoute>, ImageError> {
        let wrong = |problem| ImageError::new("routes", problem);
        let records: &[RouteRecord] = self.elements(Section::Routes);
        if records.len() > ROUTES_MAX {
            return Err(wrong("too many"));
        }
        records
            .iter()
            .map(|record| {
                let segments: &[SegmentRecord] =
                    self.run(Section::RouteSegments, record.segments).ok_or(wrong("segments outside their section"))?;
                let segments =
                    segments.iter().map(|segment| self.read_segment(segment)).collect::<Result<Vec<_>, _>>()?;
                let right = RightIndex(record.right.get());
                self.right_record(right).ok_or(wrong("a right that is not there"))?;
                let host = self.text(record.host)?;
                Ok(ApiRoute {
                    name: self.text(record.name)?.to_owned(),
                    host: (!host.is_empty()).then(|| host.to_owned()),
                    methods: Methods::from_bits(record.methods.get()).ok_or(wrong("methods that are not known"))?,
                    party: self.read_party(record, &segments)?,
                    segments,
                    right,
                    callers: Callers::from_bits(record.callers.get()).ok_or(wrong("callers that are not known"))?,
                    scopes: self.texts(record.scopes)?,
                    audiences: self.texts(record.audiences)?,
                    mode: match record.mode.get() {
                        0 => Mode::Enforce,
                        1 => Mode::Shadow,
                        2 => Mode::Off,
                        _ => return Err(wrong("a mode that this reader does not know")),
                    },
                })
            })
            .collect()
    }

    fn read_segment(&self, record: &SegmentRecord) -> Result<Segment, ImageError> {
        match record.kind.get() {
            1 => Ok(Segment::Literal(self.text(record.text)?.to_owned())),
            2 => Ok(Segment::Parameter(self.text(record.text)?.to_owned())),
            3 => Ok(Segment::Rest),
            _ => Err(ImageError::new("routes", "a kind of segment that this reader does not know")),
        }
    }

    fn read_party(&self, record: &RouteRecord, segments: &[Segment]) -> Result<PartySource, ImageError> {
        let wrong = |problem| ImageError::new("routes", problem);
        match record.party_kind.get() {
            1 => {
                let position = record.party.get() as usize;
                let is_parameter = matches!(segments.get(position), Some(Segment::Parameter(_)));
                // A rest before it would move it; the rest is always last.
                if is_parameter {
                    Ok(PartySource::Path(position))
                } else {
                    Err(wrong("a party that is not in the path"))
                }
            }
            2 => Ok(PartySource::Header(self.text(record.party)?.to_owned())),
            3 => Ok(PartySource::Query(self.text(record.party)?.to_owned())),
            4 => Ok(PartySource::Owner),
            _ => Err(wrong("a source of the party that this reader does not know")),
        }
    }

    fn texts(&self, run: Run) -> Result<Vec<String>, ImageError> {
        let indexes: &[U32] =
            self.run(Section::RouteTexts, run).ok_or(ImageError::new("routes", "texts outside their section"))?;
        indexes.iter().map(|index| self.text(*index).map(str::to_owned)).collect()
    }

    fn text(&self, index: U32) -> Result<&str, ImageError> {
        let strings = self.elements::<U32>(Section::StringOffsets).len() - 1;
        if index.get() as usize >= strings {
            return Err(ImageError::new("strings", "a string that is not there"));
        }
        Ok(self.string(index.get()))
    }
}

/// Offsets begin at 0, never fall, and end at `length`.
fn check_offsets(offsets: &[U32], length: usize) -> Result<(), &'static str> {
    let ends = (offsets.first().map(|first| first.get()), offsets.last().map(|last| last.get() as usize));
    if ends != (Some(0), Some(length)) {
        return Err("offsets do not span their section");
    }
    if !offsets.is_sorted_by(|left, right| left.get() <= right.get()) {
        return Err("offsets fall");
    }
    Ok(())
}
