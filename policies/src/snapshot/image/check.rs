//! What an image must be before anything is read from it: in passes over its elements, in slices of any size.
//!
//! A gateway looks at a large image beside its calls, some thousand elements at a time; a test or the control plane looks
//! at it at once. The passes and their order are the same, and nothing is read before the last has passed.

use std::ops::Range;

use zerocopy::little_endian::U32;

mod tables;

use super::settings;
use super::{Image, ImageError, bucket};
use crate::id::{AccessPackage, ActionId, ResourceId};
use crate::right::Right;
use crate::route::{ApiRoute, RouteTable};
use crate::snapshot::layout::{
    ExplainPolicyRecord, ExplainRuleRecord, OBLIGATION_MINIMUM_AUTHENTICATION_LEVEL, ObligationRecord, REASON_DIRECT,
    ROW_BLOCK, RightRecord, Run, Section,
};
use crate::snapshot::revocations;
use crate::snapshot::sections::{Sections, check_ends};
use crate::token::VerificationKey;
use crate::xacml::CompiledPolicy;

pub(crate) use tables::{KnownPackages, check_reasons, check_right_sets, check_systems, right_set_count};

/// Most routes in an image: a call costs the same with as many as with one.
pub(crate) const ROUTES_MAX: usize = 10_000;
/// Most issuers in an image.
pub(crate) const ISSUERS_MAX: usize = 64;
/// Most keys in an image.
pub(crate) const KEYS_MAX: usize = 1024;
/// Most rights in an image.
pub(crate) const RIGHTS_MAX: usize = 65_535;
/// Most access packages that programs may ask for.
pub(crate) const ASKED_PACKAGES_MAX: usize = 4096;

/// An image that is being looked at.
#[derive(Debug)]
pub(crate) struct Loading {
    image: Image,
    keys: Vec<VerificationKey>,
    routes: Vec<ApiRoute>,
    packages: KnownPackages,
    pass: usize,
    position: usize,
}

/// One pass over some elements.
struct Pass {
    /// How many elements there are, after what must hold for all of them.
    begin: fn(&Sections) -> Result<usize, ImageError>,
    /// How much more work an element is than a number is to compare.
    weight: usize,
    check: fn(&mut Loading, Range<usize>) -> Result<(), ImageError>,
}

const PASSES: [Pass; 19] = [
    Pass { begin: Sections::string_count, weight: 4, check: |loading, range| loading.sections().check_strings(range) },
    Pass { begin: begin_rights, weight: 64, check: Loading::check_rights },
    Pass { begin: begin_asked, weight: 16, check: Loading::check_asked },
    Pass { begin: begin_programs, weight: 20_000, check: Loading::check_programs },
    Pass {
        begin: |sections| Ok(sections.count(Section::AccessLists)),
        weight: 256,
        check: Loading::check_access_lists,
    },
    Pass { begin: begin_right_sets, weight: 64, check: Loading::check_right_sets },
    Pass { begin: |sections| Ok(sections.count(Section::RightSetReasons)), weight: 16, check: Loading::check_reasons },
    Pass { begin: |sections| Ok(sections.count(Section::Systems)), weight: 64, check: Loading::check_systems },
    Pass { begin: |sections| Ok(sections.count(Section::SystemClients)), weight: 4, check: Loading::check_clients },
    Pass { begin: begin_directory, weight: 1, check: Loading::check_directory },
    Pass { begin: |sections| Ok(sections.count(Section::SystemUserIds)), weight: 3, check: Loading::check_ids },
    Pass { begin: |sections| Ok(sections.count(Section::WithdrawnIds)), weight: 64, check: Loading::check_withdrawn },
    Pass { begin: begin_system_columns, weight: 1, check: Loading::check_system_column },
    Pass { begin: begin_rows, weight: 8, check: Loading::check_rows },
    Pass { begin: begin_row_sets, weight: 1, check: Loading::check_row_sets },
    Pass { begin: begin_keys, weight: 20_000, check: Loading::check_keys },
    Pass { begin: begin_issuers, weight: 1024, check: Loading::check_issuers },
    Pass { begin: begin_routes, weight: 512, check: Loading::check_routes },
    Pass { begin: begin_explain, weight: 16, check: Loading::check_explain },
];

impl Loading {
    /// Reads the table of sections.
    pub(crate) fn begin(bytes: Vec<u8>) -> Result<Self, ImageError> {
        let sections = Sections::read(bytes)?;
        let wrong = |problem| ImageError::new("section table", problem);
        for section in Section::ALL {
            if section.is_of_every_base() && !sections.has(section) {
                return Err(wrong("a section is missing"));
            }
            if section.is_of_deltas_only() && sections.has(section) {
                return Err(wrong("a section of changes in a base"));
            }
        }
        if sections.count(Section::RightsDigest) != 1 {
            return Err(ImageError::new("rights digest", "not one"));
        }
        let bits = sections.count(Section::Rights) + sections.count(Section::AskedPackages);
        let image = Image {
            revocations: revocations::read(&sections)?.unwrap_or_default(),
            sections,
            issuers: Vec::new(),
            routes: RouteTable::default(),
            rights: Vec::new(),
            programs: Vec::new(),
            words_per_set: bits.div_ceil(64),
            clients: std::ops::RangeInclusive::new(u32::MAX, 0),
        };
        Ok(Self {
            image,
            keys: Vec::new(),
            routes: Vec::new(),
            packages: KnownPackages::default(),
            pass: 0,
            position: 0,
        })
    }

    /// Looks at about so many numbers; `true` when nothing is left.
    pub(crate) fn step(&mut self, numbers: usize) -> Result<bool, ImageError> {
        let mut left = numbers.max(1);
        while let Some(pass) = PASSES.get(self.pass) {
            let count = (pass.begin)(self.sections())?;
            let taken = (left / pass.weight).clamp(1, count.saturating_sub(self.position).max(1));
            let end = (self.position + taken).min(count);
            (pass.check)(self, self.position..end)?;
            self.position = end;
            if end == count {
                self.pass += 1;
                self.position = 0;
            }
            left = left.saturating_sub(taken.saturating_mul(pass.weight));
            if left == 0 {
                break;
            }
        }
        Ok(self.pass == PASSES.len())
    }

    /// The image, when all of it has been looked at.
    pub(crate) fn finish(self) -> Option<Image> {
        (self.pass == PASSES.len()).then_some(self.image)
    }

    fn sections(&self) -> &Sections {
        &self.image.sections
    }

    /// Rights, and that what they refer to is there.
    fn check_rights(&mut self, range: Range<usize>) -> Result<(), ImageError> {
        let wrong = |problem| ImageError::new("rights", problem);
        let sections = &self.image.sections;
        let records: &[RightRecord] = sections.elements(Section::Rights);
        for right in records.get(range).ok_or(wrong("cut short"))? {
            let resource = ResourceId::parse(sections.text(right.resource)?).map_err(|_| wrong("not a resource id"))?;
            let action = ActionId::parse(sections.text(right.action)?).map_err(|_| wrong("not an action id"))?;
            for run in [right.package_obligations, right.direct_obligations] {
                let obligations: Option<&[ObligationRecord]> = sections.run(Section::Obligations, run);
                obligations.ok_or(wrong("obligations outside their section"))?;
            }
            if right.access_list.get() as usize > sections.count(Section::AccessLists) {
                return Err(wrong("an access list that is not there"));
            }
            if right.program.get() as usize > sections.count(Section::Programs) {
                return Err(wrong("a program that is not there"));
            }
            let right = Right { resource, action };
            if self.image.rights.last().is_some_and(|last| *last >= right) {
                return Err(wrong("not in ascending order"));
            }
            self.image.rights.push(right);
        }
        Ok(())
    }

    fn check_asked(&mut self, range: Range<usize>) -> Result<(), ImageError> {
        let names: &[U32] = self.sections().elements(Section::AskedPackages);
        for name in names.get(range).unwrap_or(&[]) {
            AccessPackage::from_name(self.sections().text(*name)?)
                .map_err(|_| ImageError::new("asked packages", "not a package"))?;
        }
        Ok(())
    }

    fn check_programs(&mut self, range: Range<usize>) -> Result<(), ImageError> {
        let wrong = |problem| ImageError::new("programs", problem);
        let sections = &self.image.sections;
        let runs: &[Run] = sections.elements(Section::Programs);
        for run in runs.get(range).ok_or(wrong("cut short"))? {
            let bytes: &[u8] = sections.run(Section::ProgramBytes, *run).ok_or(wrong("one outside its section"))?;
            let program = CompiledPolicy::from_bytes(bytes).map_err(|_| wrong("one that cannot be run"))?;
            self.image.programs.push(program);
        }
        Ok(())
    }

    fn check_access_lists(&mut self, range: Range<usize>) -> Result<(), ImageError> {
        let wrong = |problem| ImageError::new("access lists", problem);
        let runs: &[Run] = self.sections().elements(Section::AccessLists);
        for run in runs.get(range).ok_or(wrong("cut short"))? {
            let parties: Option<&[U32]> = self.sections().run(Section::AccessListParties, *run);
            let parties = parties.ok_or(wrong("one outside its section"))?;
            if !parties.is_sorted_by(|left, right| left.get() < right.get()) {
                return Err(wrong("parties not in ascending order"));
            }
        }
        Ok(())
    }

    fn check_right_sets(&mut self, range: Range<usize>) -> Result<(), ImageError> {
        let bits = self.image.rights.len() + self.sections().count(Section::AskedPackages);
        check_right_sets(self.sections(), range.clone(), bits)?;
        // The empty set is the first: a row that holds nothing needs one.
        if range.start == 0 && !self.image.all_held(super::RightSetIndex(0)).is_empty() {
            return Err(ImageError::new("right sets", "the first set is not empty"));
        }
        Ok(())
    }

    fn check_reasons(&mut self, range: Range<usize>) -> Result<(), ImageError> {
        let sections = &self.image.sections;
        let reasons: &[U32] = sections.elements(Section::RightSetReasons);
        check_reasons(sections, reasons.get(range).unwrap_or(&[]), &mut self.packages)
    }

    fn check_systems(&mut self, range: Range<usize>) -> Result<(), ImageError> {
        check_systems(self.sections(), range)
    }

    fn check_clients(&mut self, range: Range<usize>) -> Result<(), ImageError> {
        let clients: &[U32] = self.sections().elements(Section::SystemClients);
        clients.get(range).unwrap_or(&[]).iter().try_for_each(|client| self.sections().text(*client).map(|_| ()))
    }

    fn check_directory(&mut self, range: Range<usize>) -> Result<(), ImageError> {
        let directory: &[U32] = self.sections().elements(Section::SystemUserDirectory);
        let with_next = range.start..(range.end + 1).min(directory.len());
        let sorted = directory.get(with_next).is_some_and(|part| part.is_sorted_by(|a, b| a.get() <= b.get()));
        if sorted { Ok(()) } else { Err(ImageError::new("system user directory", "offsets fall")) }
    }

    /// Ids ascend, and each is in its bucket.
    fn check_ids(&mut self, range: Range<usize>) -> Result<(), ImageError> {
        let wrong = |problem| ImageError::new("system users", problem);
        let ids: &[[u8; 16]] = self.sections().elements(Section::SystemUserIds);
        let directory: &[U32] = self.sections().elements(Section::SystemUserDirectory);
        let with_last = range.start.saturating_sub(1)..range.end;
        let ids = ids.get(with_last.clone()).ok_or(wrong("cut short"))?;
        if !ids.is_sorted_by(|left, right| left < right) {
            return Err(wrong("not in ascending order"));
        }
        for (position, id) in with_last.zip(ids) {
            let bucket = bucket(id, directory.len());
            let place = |at: usize| directory.get(at).map_or(usize::MAX, |offset| offset.get() as usize);
            if !(place(bucket)..place(bucket + 1)).contains(&position) {
                return Err(wrong("one outside its bucket"));
            }
        }
        Ok(())
    }

    fn check_withdrawn(&mut self, range: Range<usize>) -> Result<(), ImageError> {
        let wrong = |problem| ImageError::new("withdrawn system users", problem);
        let ids: &[[u8; 16]] = self.sections().elements(Section::SystemUserIds);
        let withdrawn: &[[u8; 16]] = self.sections().elements(Section::WithdrawnIds);
        let withdrawn = withdrawn.get(range.start.saturating_sub(1)..range.end).ok_or(wrong("cut short"))?;
        if !withdrawn.is_sorted_by(|left, right| left < right) {
            return Err(wrong("not in ascending order"));
        }
        if withdrawn.iter().any(|id| ids.binary_search(id).is_ok()) {
            return Err(wrong("one that is active, too"));
        }
        Ok(())
    }

    fn check_system_column(&mut self, range: Range<usize>) -> Result<(), ImageError> {
        let systems = self.image.system_count();
        let mut column = range.map(|index| self.sections().narrow(Section::SystemUserSystems, index));
        if column.all(|system| system.is_some_and(|at| at < systems)) {
            Ok(())
        } else {
            Err(ImageError::new("system users", "a system that is not there"))
        }
    }

    /// Each system user has its owner's row, and ascending ones after it.
    fn check_rows(&mut self, range: Range<usize>) -> Result<(), ImageError> {
        let wrong = |problem| ImageError::new("rows", problem);
        let (mut least, mut greatest) = self.image.clients.clone().into_inner();
        let parties: &[U32] = self.image.sections.elements(Section::RowParties);
        let mut start = self.image.row_offset(range.start);
        for index in range {
            let end = self.image.row_offset(index + 1);
            let rows = start.zip(end).and_then(|(start, end)| parties.get(start..end)).ok_or(wrong("offsets fall"))?;
            start = end;
            let (owner, clients) = rows.split_first().ok_or(wrong("a system user without its owner"))?;
            if !are_ascending_without(clients, owner.get()) {
                return Err(wrong("parties not in ascending order"));
            }
            if let [first, ..] = clients
                && let [.., last] = clients
            {
                (least, greatest) = (least.min(first.get()), greatest.max(last.get()));
            }
        }
        self.image.clients = least..=greatest;
        Ok(())
    }

    fn check_row_sets(&mut self, range: Range<usize>) -> Result<(), ImageError> {
        let sets = self.sections().count(Section::RightSetReasonOffsets).saturating_sub(1);
        if self.sections().are_narrow_below(Section::RowRightSets, range, sets) {
            Ok(())
        } else {
            Err(ImageError::new("rows", "a right set that is not there"))
        }
    }

    fn check_keys(&mut self, range: Range<usize>) -> Result<(), ImageError> {
        self.keys.append(&mut settings::read_keys(&self.image.sections, range)?);
        Ok(())
    }

    fn check_issuers(&mut self, range: Range<usize>) -> Result<(), ImageError> {
        settings::read_issuers(&self.image.sections, range, &self.keys, &mut self.image.issuers)
    }

    fn check_routes(&mut self, range: Range<usize>) -> Result<(), ImageError> {
        let rights = self.image.rights.len();
        self.routes.append(&mut settings::read_routes(&self.image.sections, range, rights)?);
        if self.routes.len() == self.sections().count(Section::Routes) {
            self.image.routes = RouteTable::new(std::mem::take(&mut self.routes));
        }
        Ok(())
    }

    fn check_explain(&mut self, range: Range<usize>) -> Result<(), ImageError> {
        let wrong = |problem| ImageError::new("explanations", problem);
        let sections = self.sections();
        if range.start == 0 {
            for policy in sections.elements::<ExplainPolicyRecord>(Section::ExplainPolicies) {
                for text in [policy.resource, policy.policy, policy.version] {
                    sections.text(text)?;
                }
            }
        }
        let rules: &[ExplainRuleRecord] = sections.elements(Section::ExplainRules);
        for rule in rules.get(range).unwrap_or(&[]) {
            sections.text(rule.rule)?;
            if rule.package.get() != REASON_DIRECT {
                sections.text(rule.package)?;
            }
            if rule.right.get() as usize >= self.image.rights.len() {
                return Err(wrong("a right that is not there"));
            }
        }
        Ok(())
    }
}

/// Each number is less than the next, and none is this one. Every number is looked at, which needs no branch for each.
fn are_ascending_without(numbers: &[U32], other: u32) -> bool {
    let with_next = numbers.iter().zip(numbers.get(1..).unwrap_or(&[]));
    let wrong_order = with_next.fold(0, |wrong, (number, next)| wrong | u32::from(number.get() >= next.get()));
    numbers.iter().fold(wrong_order, |wrong, number| wrong | u32::from(number.get() == other)) == 0
}

fn begin_rights(sections: &Sections) -> Result<usize, ImageError> {
    let wrong = |problem| ImageError::new("rights", problem);
    let rights = sections.count(Section::Rights);
    if rights > RIGHTS_MAX {
        return Err(wrong("too many"));
    }
    let obligations: &[ObligationRecord] = sections.elements(Section::Obligations);
    let level_too_high = |obligation: &ObligationRecord| {
        obligation.kind.get() == OBLIGATION_MINIMUM_AUTHENTICATION_LEVEL && obligation.value.get() > 4
    };
    if obligations.iter().any(level_too_high) {
        return Err(wrong("an authentication level above 4"));
    }
    Ok(rights)
}

fn begin_asked(sections: &Sections) -> Result<usize, ImageError> {
    let asked = sections.count(Section::AskedPackages);
    if asked > ASKED_PACKAGES_MAX { Err(ImageError::new("asked packages", "too many")) } else { Ok(asked) }
}

fn begin_programs(sections: &Sections) -> Result<usize, ImageError> {
    let programs = sections.count(Section::Programs);
    if programs > sections.count(Section::Rights) { Err(ImageError::new("programs", "too many")) } else { Ok(programs) }
}

fn begin_right_sets(sections: &Sections) -> Result<usize, ImageError> {
    let sets = right_set_count(sections)?;
    if sets == 0 { Err(ImageError::new("right sets", "none")) } else { Ok(sets) }
}

fn begin_directory(sections: &Sections) -> Result<usize, ImageError> {
    let wrong = |problem| ImageError::new("system user directory", problem);
    let directory: &[U32] = sections.elements(Section::SystemUserDirectory);
    check_ends(directory, sections.count(Section::SystemUserIds)).map_err(wrong)?;
    let buckets = directory.len() - 1;
    if !buckets.is_power_of_two() || buckets.ilog2() > 32 {
        return Err(wrong("not a power of two"));
    }
    Ok(directory.len())
}

fn begin_system_columns(sections: &Sections) -> Result<usize, ImageError> {
    let systems = sections.count(Section::SystemUserSystems);
    if systems == sections.count(Section::SystemUserIds) {
        Ok(systems)
    } else {
        Err(ImageError::new("system users", "not one system for every system user"))
    }
}

fn begin_rows(sections: &Sections) -> Result<usize, ImageError> {
    let wrong = |problem| ImageError::new("rows", problem);
    let users = sections.count(Section::SystemUserIds);
    let (bases, offsets) = (sections.count(Section::RowOffsetBases), sections.count(Section::RowOffsets));
    if offsets != users + 1 || bases != offsets.div_ceil(ROW_BLOCK) {
        return Err(wrong("not one run for every system user"));
    }
    let offset = |index: usize| {
        let base = sections.elements::<U32>(Section::RowOffsetBases).get(index / ROW_BLOCK)?.get() as usize;
        base.checked_add(sections.narrow(Section::RowOffsets, index)?)
    };
    if (offset(0), offset(users)) != (Some(0), Some(sections.count(Section::RowParties))) {
        return Err(wrong("offsets do not span their section"));
    }
    Ok(users)
}

fn begin_row_sets(sections: &Sections) -> Result<usize, ImageError> {
    let columns = sections.count(Section::RowRightSets);
    if columns == sections.count(Section::RowParties) {
        Ok(columns)
    } else {
        Err(ImageError::new("rows", "not one right set for every row"))
    }
}

fn begin_keys(sections: &Sections) -> Result<usize, ImageError> {
    let keys = sections.count(Section::Keys);
    if keys > KEYS_MAX { Err(ImageError::new("keys", "too many")) } else { Ok(keys) }
}

fn begin_issuers(sections: &Sections) -> Result<usize, ImageError> {
    let issuers = sections.count(Section::Issuers);
    if issuers > ISSUERS_MAX { Err(ImageError::new("issuers", "too many")) } else { Ok(issuers) }
}

fn begin_routes(sections: &Sections) -> Result<usize, ImageError> {
    let routes = sections.count(Section::Routes);
    if routes > ROUTES_MAX { Err(ImageError::new("routes", "too many")) } else { Ok(routes) }
}

fn begin_explain(sections: &Sections) -> Result<usize, ImageError> {
    if sections.count(Section::ExplainPolicies) > RIGHTS_MAX {
        return Err(ImageError::new("explanations", "too many"));
    }
    // One more, so that policies are looked at where there is no rule.
    Ok(sections.count(Section::ExplainRules).max(1))
}
