//! The list of what is revoked.

use std::collections::BTreeMap;

use zerocopy::little_endian::I64;

use super::Compiler;
use crate::snapshot::document::{RevocationDocument, RevokedDocument};
use crate::snapshot::layout::Section;
use crate::snapshot::revocations::{REVOCATIONS_MAX, RevocationRecord, Revoked};

/// The document's list as gateways have it: in order, each once, the longest time of equal ones.
pub(super) fn records(revocations: &[RevocationDocument]) -> Vec<RevocationRecord> {
    let mut until: BTreeMap<[u8; 32], i64> = BTreeMap::new();
    for revocation in revocations {
        let digest = match &revocation.revoked {
            RevokedDocument::Token { issuer, id } => Revoked::Token { issuer, id }.digest(),
            RevokedDocument::Client(client) => Revoked::Client(&client.folded()).digest(),
            RevokedDocument::SystemUser(id) => Revoked::SystemUser(&id.to_string()).digest(),
        };
        let millis = revocation.until.unix_millis();
        let longest = until.entry(digest).or_insert(millis);
        *longest = millis.max(*longest);
    }
    let record = |(digest, millis)| RevocationRecord { digest, until: I64::new(millis) };
    until.into_iter().map(record).collect()
}

impl Compiler<'_> {
    /// Writes the list of a base: nothing where nothing is revoked.
    pub(super) fn revocations(&mut self) {
        let records = records(&self.document.revocations);
        self.check_revocations(&records);
        if !records.is_empty() {
            self.writer.records(Section::Revocations, &records);
        }
    }

    /// Writes the list of a delta if it is not the one in force.
    pub(super) fn changed_revocations(&mut self, current: &[RevocationRecord]) {
        let records = records(&self.document.revocations);
        self.check_revocations(&records);
        if records != current {
            self.writer.records(Section::Revocations, &records);
        }
    }

    fn check_revocations(&mut self, records: &[RevocationRecord]) {
        if records.len() > REVOCATIONS_MAX {
            self.error("/revocations".to_owned(), "too_many_revocations", "a snapshot holds at most 10000 revocations");
        }
    }
}
