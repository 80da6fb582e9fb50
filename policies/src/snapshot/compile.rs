//! From a document to an image: every mistake found and named, or an image that [`super::Image`] accepts.
//!
//! Order in the document does not matter; equal content gives equal bytes. Partial evaluation happens here: what a
//! system user holds for a party becomes one set of rights, shared by all who hold the same for the same reasons.

mod right_sets;
mod routes;
mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use zerocopy::little_endian::{U16, U32};

use super::document::{Document, IssuerDocument, IssuerKindDocument, SystemUserDocument, SystemUserKind};
use super::image::bucket;
use super::layout::{
    IssuerRecord, KeyRecord, OBLIGATION_MINIMUM_AUTHENTICATION_LEVEL, OBLIGATION_UNKNOWN, ObligationRecord,
    RightRecord, Run, Section, SystemRecord,
};
use crate::id::{OrganizationNumber, ResourceId, SystemId};
use crate::right::Right;
use crate::token::VerificationKey;
use right_sets::RightSets;
use writer::{ImageWriter, Strings, run};

/// One mistake in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileError {
    /// Where, as a JSON Pointer (RFC 6901).
    pub path: String,
    /// Stable code.
    pub code: &'static str,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// Every mistake in a document; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileErrors(pub Vec<CompileError>);

impl fmt::Display for CompileErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, error) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { "; " };
            write!(formatter, "{separator}{}: {} ({})", error.path, error.message, error.code)?;
        }
        Ok(())
    }
}

impl std::error::Error for CompileErrors {}

/// Compiles a document into an image.
///
/// ```
/// let document = serde_json::from_str(r#"{"provider": "regnskapsregisteret"}"#)?;
/// let image = policies::snapshot::compile(&document)?;
/// assert_eq!(image, policies::snapshot::compile(&document)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn compile(document: &Document) -> Result<Vec<u8>, CompileErrors> {
    let mut compiler =
        Compiler { document, errors: Vec::new(), strings: Strings::default(), writer: ImageWriter::default() };
    compiler.issuers();
    let rights = compiler.rights();
    compiler.routes(&rights);
    let systems = compiler.systems();
    compiler.system_users(&rights, &systems);
    let Compiler { errors, strings, mut writer, .. } = compiler;
    strings.write(&mut writer);
    if !errors.is_empty() {
        return Err(CompileErrors(errors));
    }
    Ok(writer.finish())
}

/// Position of every right in the image.
type RightTable = BTreeMap<Right, u32>;
/// Position of every system in the image, and its vendor.
type SystemTable = BTreeMap<SystemId, u32>;

struct Compiler<'document> {
    document: &'document Document,
    errors: Vec<CompileError>,
    strings: Strings,
    writer: ImageWriter,
}

impl Compiler<'_> {
    fn error(&mut self, path: String, code: &'static str, message: impl Into<String>) {
        self.errors.push(CompileError { path, code, message: message.into() });
    }

    fn issuers(&mut self) {
        let mut issuers: Vec<(usize, &IssuerDocument)> = self.document.issuers.iter().enumerate().collect();
        issuers.sort_by(|left, right| left.1.issuer.cmp(&right.1.issuer));
        for pair in issuers.windows(2) {
            if let [(_, left), (position, right)] = pair
                && left.issuer == right.issuer
            {
                self.error(
                    format!("/issuers/{position}"),
                    "issuer_twice",
                    format!("issuer `{}` is there twice", right.issuer),
                );
            }
        }
        if issuers.len() > super::image::check::ISSUERS_MAX {
            self.error("/issuers".to_owned(), "too_many_issuers", "a snapshot holds at most 64 issuers");
        }
        let (mut records, mut key_records, mut key_bytes) = (Vec::new(), Vec::new(), Vec::new());
        for (position, issuer) in issuers {
            let path = format!("/issuers/{position}");
            if issuer.issuer.is_empty() {
                self.error(path.clone(), "issuer_empty", "an issuer has a name");
            }
            if issuer.authentication_level > 4 {
                self.error(path.clone(), "authentication_level", "an authentication level is 0 to 4");
            }
            let first = key_records.len();
            for key in self.keys(issuer, &path) {
                let start = key_bytes.len();
                key_bytes.extend_from_slice(key.spki_der());
                let kid = self.strings.intern(key.kid());
                key_records.push(KeyRecord { kid, spki: run(start, key.spki_der().len()) });
            }
            records.push(IssuerRecord {
                issuer: self.strings.intern(&issuer.issuer),
                kind: match issuer.kind {
                    IssuerKindDocument::Maskinporten => 1,
                    IssuerKindDocument::Altinn => 2,
                },
                authentication_level: issuer.authentication_level,
                reserved: U16::ZERO,
                keys: run(first, key_records.len() - first),
            });
        }
        if key_records.len() > super::image::check::KEYS_MAX {
            self.error("/issuers".to_owned(), "too_many_keys", "a snapshot holds at most 1024 keys");
        }
        self.writer.records(Section::Issuers, &records);
        self.writer.records(Section::Keys, &key_records);
        self.writer.records(Section::KeyBytes, &key_bytes);
    }

    fn keys(&mut self, issuer: &IssuerDocument, path: &str) -> Vec<VerificationKey> {
        let mut keys: Vec<VerificationKey> = Vec::new();
        for (position, jwk) in issuer.keys.iter().enumerate() {
            let path = format!("{path}/keys/{position}");
            match VerificationKey::from_jwk(jwk) {
                Ok(key) if keys.iter().any(|known| known.kid() == key.kid()) => {
                    self.error(path, "key_twice", format!("key id `{}` is there twice", key.kid()));
                }
                Ok(key) => keys.push(key),
                Err(error) => self.error(path, error.code(), error.to_string()),
            }
        }
        keys.sort_by(|left, right| left.kid().cmp(right.kid()));
        keys
    }

    /// Every right that a policy grants or a delegation names, with its obligations.
    fn rights(&mut self) -> RightTable {
        let document = self.document;
        let mut obligations_of: BTreeMap<&ResourceId, Run> = BTreeMap::new();
        let mut obligations = Vec::new();
        let mut rights: BTreeSet<Right> = BTreeSet::new();
        let mut resources: Vec<_> = document.resources.iter().enumerate().collect();
        resources.sort_by(|left, right| left.1.id.cmp(&right.1.id));
        for (position, resource) in resources {
            let path = format!("/resources/{position}");
            if resource.minimum_authentication_level > 4 {
                self.error(path.clone(), "authentication_level", "an authentication level is 0 to 4");
            }
            let first = obligations.len();
            if resource.minimum_authentication_level > 0 {
                let level = u32::from(resource.minimum_authentication_level);
                let kind = U32::new(OBLIGATION_MINIMUM_AUTHENTICATION_LEVEL);
                obligations.push(ObligationRecord { kind, value: U32::new(level) });
            }
            for unknown in &resource.unknown_obligations {
                let value = self.strings.intern(unknown);
                obligations.push(ObligationRecord { kind: U32::new(OBLIGATION_UNKNOWN), value });
            }
            if obligations_of.insert(&resource.id, run(first, obligations.len() - first)).is_some() {
                self.error(path, "resource_twice", format!("resource `{}` is there twice", resource.id));
            }
            let actions = resource.rules.iter().flat_map(|rule| &rule.actions);
            rights.extend(actions.map(|action| Right { resource: resource.id.clone(), action: action.clone() }));
        }
        let delegations = document.system_users.iter().flat_map(|user| &user.delegations);
        let delegated = delegations.flat_map(|delegation| &delegation.rights);
        rights.extend(delegated.filter(|right| obligations_of.contains_key(&right.resource)).cloned());
        let mut records = Vec::new();
        for right in &rights {
            // Every right's resource is in the table; one that is not would lose its obligations.
            let Some(obligations) = obligations_of.get(&right.resource).copied() else {
                self.error(
                    "/resources".to_owned(),
                    "resource_unknown",
                    format!("the resource of `{right}` is not there"),
                );
                continue;
            };
            records.push(RightRecord {
                resource: self.strings.intern(right.resource.as_str()),
                action: self.strings.intern(right.action.as_str()),
                package_obligations: obligations,
                // Altinn's delegation policies have none of their own and take the resource policy's.
                direct_obligations: obligations,
            });
        }
        if records.len() > super::image::check::RIGHTS_MAX {
            self.error("/resources".to_owned(), "too_many_rights", "a snapshot holds at most 65,535 rights");
        }
        self.writer.records(Section::Rights, &records);
        self.writer.records(Section::Obligations, &obligations);
        rights.into_iter().zip(0..).collect()
    }

    fn systems(&mut self) -> SystemTable {
        let mut systems: Vec<_> = self.document.systems.iter().enumerate().collect();
        systems.sort_by(|left, right| left.1.id.cmp(&right.1.id));
        let mut table = SystemTable::new();
        let (mut records, mut clients) = (Vec::new(), Vec::new());
        for (position, system) in systems {
            let first = clients.len();
            for client in &system.client_ids {
                clients.push(self.strings.intern(&client.folded()));
            }
            let index = u32::try_from(records.len()).unwrap_or(u32::MAX);
            records.push(SystemRecord {
                id: self.strings.intern(system.id.as_str()),
                vendor: system.vendor.as_u32().into(),
                clients: run(first, clients.len() - first),
            });
            if table.insert(system.id.clone(), index).is_some() {
                let message = format!("system `{}` is there twice", system.id);
                self.error(format!("/systems/{position}"), "system_twice", message);
            }
        }
        self.writer.records(Section::Systems, &records);
        self.writer.records(Section::SystemClients, &clients);
        table
    }

    fn system_users(&mut self, rights: &RightTable, systems: &SystemTable) {
        let document = self.document;
        let mut users: Vec<_> = document.system_users.iter().enumerate().collect();
        users.sort_by_key(|(_, user)| user.id);
        let mut sets = RightSets::new(document, rights);
        let (mut ids, mut user_systems) = (Vec::new(), Vec::new());
        let (mut offsets, mut parties, mut right_sets) = (vec![U32::ZERO], Vec::new(), Vec::new());
        for (position, user) in users {
            let path = format!("/systemUsers/{position}");
            if ids.last() == Some(user.id.as_uuid().as_bytes()) {
                self.error(path.clone(), "system_user_twice", format!("system user `{}` is there twice", user.id));
            }
            if document.withdrawn_system_users.contains(&user.id) {
                let message = format!("system user `{}` is both active and withdrawn", user.id);
                self.error(path.clone(), "system_user_withdrawn", message);
            }
            let system = systems.get(&user.system).copied().unwrap_or_else(|| {
                self.error(
                    format!("{path}/system"),
                    "system_unknown",
                    format!("system `{}` is not there", user.system),
                );
                0
            });
            ids.push(user.id.as_uuid().into_bytes());
            user_systems.push(system);
            for (party, set) in self.rows(user, &path, &mut sets) {
                parties.push(U32::new(party.as_u32()));
                right_sets.push(set);
            }
            offsets.push(U32::new(u32::try_from(parties.len()).unwrap_or(u32::MAX)));
        }
        if parties.len() > u32::MAX as usize {
            self.error("/systemUsers".to_owned(), "too_many_rows", "a snapshot holds at most 4,294,967,295 rows");
        }
        self.writer.records(Section::SystemUserDirectory, &directory(&ids));
        self.writer.records(Section::SystemUserIds, &ids);
        self.writer.narrow(Section::SystemUserSystems, &user_systems, systems.len());
        self.writer.records(Section::RowOffsets, &offsets);
        self.writer.records(Section::RowParties, &parties);
        self.writer.narrow(Section::RowRightSets, &right_sets, sets.len());
        sets.write(&mut self.strings, &mut self.writer);
        let withdrawn: Vec<[u8; 16]> =
            document.withdrawn_system_users.iter().map(|id| id.as_uuid().into_bytes()).collect();
        self.writer.records(Section::WithdrawnIds, &withdrawn);
    }

    /// A system user's rows: its owner first, then the others ascending.
    fn rows(
        &mut self,
        user: &SystemUserDocument,
        path: &str,
        sets: &mut RightSets<'_>,
    ) -> Vec<(OrganizationNumber, u32)> {
        let mut owner_set = 0;
        let mut clients = BTreeMap::new();
        let mut seen = BTreeSet::new();
        // Sets are numbered as they are met, so they are met in an order of their own.
        let mut delegations: Vec<_> = user.delegations.iter().enumerate().collect();
        delegations.sort_by_key(|(_, delegation)| delegation.party);
        for (position, delegation) in delegations {
            let path = format!("{path}/delegations/{position}");
            if !seen.insert(delegation.party) {
                let message = format!("party {} is there twice", delegation.party);
                self.error(format!("{path}/party"), "party_twice", message);
            }
            if user.kind == SystemUserKind::Standard && delegation.party != user.owner {
                let message = format!("a standard system user acts for its owner {} only", user.owner);
                self.error(format!("{path}/party"), "party_not_owner", message);
            }
            let set = match sets.intern(delegation) {
                Ok(set) => set,
                Err(right) => {
                    let message = format!("the resource of right `{right}` is not there");
                    self.error(format!("{path}/rights"), "resource_unknown", message);
                    continue;
                }
            };
            if delegation.party == user.owner {
                owner_set = set;
            } else {
                clients.insert(delegation.party, set);
            }
        }
        std::iter::once((user.owner, owner_set)).chain(clients).collect()
    }
}

/// Positions by leading bits, four to eight ids a bucket.
fn directory(ids: &[[u8; 16]]) -> Vec<U32> {
    let buckets = 1_usize << ids.len().checked_ilog2().map_or(0, |bits| bits.saturating_sub(2).min(28));
    let mut counts = vec![0_u32; buckets + 1];
    for id in ids {
        if let Some(count) = counts.get_mut(bucket(id, buckets + 1) + 1) {
            *count += 1;
        }
    }
    let mut position = 0;
    counts
        .into_iter()
        .map(|count| {
            position += count;
            U32::new(position)
        })
        .collect()
}

#[cfg(test)]
mod tests;
