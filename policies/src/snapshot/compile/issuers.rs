//! Issuers and their keys.

use zerocopy::little_endian::U32;

use super::Compiler;
use super::writer::run;
use crate::snapshot::document::{IssuerDocument, IssuerKindDocument};
use crate::snapshot::image::check::{ISSUERS_MAX, KEYS_MAX};
use crate::snapshot::layout::{
    ISSUER_ALGORITHMS, ISSUER_AUDIENCE_REQUIRED, ISSUER_KEY_ID_OPTIONAL, IssuerRecord, KeyRecord, Section,
};
use crate::token::{Algorithm, Algorithms, CLOCK_SKEW_SECONDS_MAX, LIFETIME_SECONDS_LIMITS, VerificationKey};

impl Compiler<'_> {
    pub(super) fn issuers(&mut self) {
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
        if issuers.len() > ISSUERS_MAX {
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
            if issuer.clock_skew_seconds > CLOCK_SKEW_SECONDS_MAX {
                self.error(path.clone(), "clock_skew", "clocks may differ by 0 to 10 seconds");
            }
            if !LIFETIME_SECONDS_LIMITS.contains(&issuer.token_lifetime_seconds_max) {
                self.error(path.clone(), "token_lifetime", "a token may be valid for 60 to 86400 seconds");
            }
            let algorithms = Algorithms::of(issuer.algorithms.iter().map(|algorithm| Algorithm::from(*algorithm)));
            if algorithms.is_none() {
                self.error(path.clone(), "no_algorithm", "an issuer has at least one algorithm");
            }
            let algorithms = algorithms.unwrap_or_default();
            let first = key_records.len();
            for key in self.keys(issuer, algorithms, &path) {
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
                    IssuerKindDocument::Platform => 3,
                },
                authentication_level: issuer.authentication_level,
                clock_skew_seconds: issuer.clock_skew_seconds,
                rules: if issuer.key_id_required { 0 } else { ISSUER_KEY_ID_OPTIONAL }
                    | if issuer.audience_required { ISSUER_AUDIENCE_REQUIRED } else { 0 }
                    | (algorithms.bits() ^ Algorithms::USUAL.bits()) << ISSUER_ALGORITHMS,
                lifetime_seconds_max: U32::new(issuer.token_lifetime_seconds_max),
                keys: run(first, key_records.len() - first),
            });
        }
        if key_records.len() > KEYS_MAX {
            self.error("/issuers".to_owned(), "too_many_keys", "a snapshot holds at most 1024 keys");
        }
        self.writer.records(Section::Issuers, &records);
        self.writer.records(Section::Keys, &key_records);
        self.writer.records(Section::KeyBytes, &key_bytes);
    }

    fn keys(&mut self, issuer: &IssuerDocument, algorithms: Algorithms, path: &str) -> Vec<VerificationKey> {
        let mut keys: Vec<VerificationKey> = Vec::new();
        for (position, jwk) in issuer.keys.iter().enumerate() {
            let path = format!("{path}/keys/{position}");
            match VerificationKey::from_jwk(jwk) {
                Ok(key) if keys.iter().any(|known| known.kid() == key.kid()) => {
                    self.error(path, "key_twice", format!("key id `{}` is there twice", key.kid()));
                }
                Ok(key) if !algorithms.contains(key.algorithm()) => {
                    let name = key.algorithm().name();
                    self.error(path, "key_algorithm", format!("the issuer does not list the key's algorithm, {name}"));
                }
                Ok(key) => keys.push(key),
                Err(error) => self.error(path, error.code(), error.to_string()),
            }
        }
        keys.sort_by(|left, right| left.kid().cmp(right.kid()));
        keys
    }
}
