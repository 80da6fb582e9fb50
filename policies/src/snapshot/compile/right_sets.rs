//! What a system user holds for a party, as a set of rights with a reason for each; equal sets are one.

use std::collections::BTreeMap;

use zerocopy::little_endian::{U32, U64};

use super::RightTable;
use super::writer::{ImageWriter, Strings};
use crate::id::AccessPackage;
use crate::right::Right;
use crate::snapshot::document::{DelegationDocument, Document};
use crate::snapshot::layout::{REASON_DIRECT, Section};

/// Why a right is held; a package comes first, as Altinn asks the resource's policy before the delegations.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    Package(AccessPackage),
    Direct,
}

/// Rights by position in the image, each with its reason.
type RightSet = BTreeMap<u32, Reason>;

pub(super) struct RightSets<'compile> {
    rights: &'compile RightTable,
    granted_by: BTreeMap<&'compile AccessPackage, Vec<u32>>,
    indexes: BTreeMap<RightSet, u32>,
}

impl<'compile> RightSets<'compile> {
    pub(super) fn new(document: &'compile Document, rights: &'compile RightTable) -> Self {
        let mut granted_by: BTreeMap<&AccessPackage, Vec<u32>> = BTreeMap::new();
        for resource in &document.resources {
            for rule in &resource.rules {
                let actions = rule.actions.iter().cloned();
                let granted: Vec<u32> = actions
                    .filter_map(|action| rights.get(&Right { resource: resource.id.clone(), action }).copied())
                    .collect();
                for package in &rule.access_packages {
                    granted_by.entry(package).or_default().extend(&granted);
                }
            }
        }
        Self { rights, granted_by, indexes: BTreeMap::from([(RightSet::new(), 0)]) }
    }

    pub(super) fn len(&self) -> usize {
        self.indexes.len()
    }

    /// Position of the delegation's set; the right whose resource is not there otherwise.
    pub(super) fn intern(&mut self, delegation: &DelegationDocument) -> Result<u32, Right> {
        let mut set = RightSet::new();
        for package in &delegation.access_packages {
            for right in self.granted_by.get(package).into_iter().flatten() {
                set.entry(*right).or_insert_with(|| Reason::Package(package.clone()));
            }
        }
        for right in &delegation.rights {
            let position = self.rights.get(right).ok_or_else(|| right.clone())?;
            set.entry(*position).or_insert(Reason::Direct);
        }
        let next = u32::try_from(self.indexes.len()).unwrap_or(u32::MAX);
        Ok(*self.indexes.entry(set).or_insert(next))
    }

    pub(super) fn write(self, strings: &mut Strings, writer: &mut ImageWriter) {
        let words_per_set = self.rights.len().div_ceil(64);
        let mut sets: Vec<(RightSet, u32)> = self.indexes.into_iter().collect();
        sets.sort_by_key(|(_, index)| *index);
        let (mut words, mut offsets, mut reasons) = (Vec::new(), vec![U32::ZERO], Vec::new());
        for (set, _) in &sets {
            let mut bits = vec![0_u64; words_per_set];
            for (right, reason) in set {
                if let Some(word) = bits.get_mut(*right as usize / 64) {
                    *word |= 1 << (right % 64);
                }
                reasons.push(match reason {
                    Reason::Package(package) => strings.intern(package.name()),
                    Reason::Direct => U32::new(REASON_DIRECT),
                });
            }
            words.extend(bits.into_iter().map(U64::new));
            offsets.push(U32::new(u32::try_from(reasons.len()).unwrap_or(u32::MAX)));
        }
        writer.records(Section::RightSetBits, &words);
        writer.records(Section::RightSetReasonOffsets, &offsets);
        writer.records(Section::RightSetReasons, &reasons);
    }
}
