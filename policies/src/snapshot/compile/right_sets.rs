//! What a system user holds for a party, as a set of rights with a reason for each; equal sets are one.

use std::collections::BTreeSet;

use zerocopy::little_endian::{U32, U64};

use super::RightSet;
use super::rights::RightTables;
use super::writer::{ImageWriter, Strings};
use crate::id::AccessPackage;
use crate::right::Right;
use crate::snapshot::layout::{REASON_DIRECT, Section};

/// Why a right is held; a package comes first, as Altinn asks the resource's policy before the delegations.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    Package(AccessPackage),
    Direct,
}

impl RightTables {
    /// The set that packages and delegated rights come to; the right whose resource is not there otherwise. A right that
    /// no rule has is in no set: no route can ask for it.
    pub(crate) fn right_set(
        &self,
        packages: &BTreeSet<AccessPackage>,
        rights: &BTreeSet<Right>,
    ) -> Result<RightSet, Right> {
        let mut set = RightSet::new();
        for package in packages {
            for bit in self.granted_by.get(package).into_iter().flatten() {
                set.entry(*bit).or_insert_with(|| Reason::Package(package.clone()));
            }
        }
        for right in rights {
            if !self.resources.contains(&right.resource) {
                return Err(right.clone());
            }
            if let Some(bit) = self.rights.get(right) {
                set.entry(*bit).or_insert(Reason::Direct);
            }
        }
        Ok(set)
    }
}

/// Writes sets in this order.
pub(super) fn write<'a>(
    sets: impl IntoIterator<Item = &'a RightSet>,
    bits: usize,
    strings: &mut Strings,
    writer: &mut ImageWriter,
) {
    let words_per_set = bits.div_ceil(64);
    let (mut words, mut offsets, mut reasons) = (Vec::new(), vec![U32::ZERO], Vec::new());
    for set in sets {
        let mut own = vec![0_u64; words_per_set];
        for (bit, reason) in set {
            if let Some(word) = own.get_mut(*bit as usize / 64) {
                *word |= 1 << (bit % 64);
            }
            reasons.push(match reason {
                Reason::Package(package) => strings.intern(package.name()),
                Reason::Direct => U32::new(REASON_DIRECT),
            });
        }
        words.extend(own.into_iter().map(U64::new));
        offsets.push(U32::new(u32::try_from(reasons.len()).unwrap_or(u32::MAX)));
    }
    writer.records(Section::RightSetBits, &words);
    writer.records(Section::RightSetReasonOffsets, &offsets);
    writer.records(Section::RightSetReasons, &reasons);
}
