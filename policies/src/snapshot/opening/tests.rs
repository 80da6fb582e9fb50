//! Bases and deltas on their way in: in order, out of order, cut, damaged and of others.

use std::collections::{BTreeMap, BTreeSet};

use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::Signer as _;
use p256::pkcs8::EncodePublicKey as _;
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::decision::PolicyTrouble;
use crate::id::{AccessPackage, OrganizationNumber, SystemUserId};
use crate::right::Right;
use crate::snapshot::image::{HeldThrough, RightIndex};
use crate::snapshot::{
    DeltaError, Document, Known, SnapshotSettings, SnapshotVersion, SystemUserDocument, SystemUserState, compile, seal,
};
use crate::token::PureRust;

/// A control plane with one provider.
struct Publisher {
    key: SigningKey,
    policy: PolicySet,
    /// The base, then every delta.
    pieces: Vec<Vec<u8>>,
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(1_795_348_800 + seconds)
}

impl Publisher {
    fn new(document: &Document) -> Self {
        let key = SigningKey::from_slice(&[9; 32]).unwrap();
        let mut publisher = Self { key, policy: PolicySet::deny_all(PolicyTrouble::Missing), pieces: Vec::new() };
        publisher.base(document, 1);
        publisher
    }

    fn snapshot_key(&self) -> SnapshotKey {
        SnapshotKey::from_spki_der(self.key.verifying_key().to_public_key_der().unwrap().as_bytes()).unwrap()
    }

    fn seal(&self, manifest: &Manifest, image: &[u8]) -> Vec<u8> {
        let signature: p256::ecdsa::Signature = self.key.sign(&manifest.signing_bytes());
        seal(manifest, &signature.to_bytes().into(), image)
    }

    fn base(&mut self, document: &Document, version: u64) {
        let image = compile(document).unwrap();
        let key_id = self.snapshot_key().key_id();
        let version = SnapshotVersion { epoch: 1, version };
        let manifest = Manifest::new(provider(), version, 0, 0, at(0), at(3600), key_id, &image);
        let piece = self.seal(&manifest, &image);
        self.take(piece.clone(), at(0)).unwrap();
        self.pieces = vec![piece];
    }

    fn delta(&mut self, document: &Document, changed: &BTreeMap<SystemUserId, SystemUserState>) -> Vec<u8> {
        let piece = self.sealed_delta(document, changed, at(3600));
        self.take(piece.clone(), at(0)).unwrap();
        self.pieces.push(piece.clone());
        piece
    }

    fn sealed_delta(
        &self,
        document: &Document,
        changed: &BTreeMap<SystemUserId, SystemUserState>,
        not_after: Timestamp,
    ) -> Vec<u8> {
        let image = compile_delta(document, changed, &self.policy).unwrap();
        let current = self.policy.manifest().unwrap();
        let next = current.version.version + 1;
        let manifest = Manifest::of_delta(current, next, 0, at(0), not_after, self.snapshot_key().key_id(), &image);
        self.seal(&manifest, &image)
    }

    fn take(&mut self, body: Vec<u8>, now: Timestamp) -> Result<(), SnapshotError> {
        let keys = [self.snapshot_key()];
        self.policy.update(body, &keys, &provider(), now, &PureRust)
    }

    /// A gateway that has taken these pieces.
    fn gateway(&self, pieces: &[Vec<u8>]) -> Gateway {
        let mut gateway = Gateway { key: self.snapshot_key(), policy: PolicySet::deny_all(PolicyTrouble::Missing) };
        gateway.take(pieces.concat()).unwrap();
        gateway
    }
}

struct Gateway {
    key: SnapshotKey,
    policy: PolicySet,
}

impl Gateway {
    fn take(&mut self, body: Vec<u8>) -> Result<(), SnapshotError> {
        self.policy.update(body, std::slice::from_ref(&self.key), &provider(), at(0), &PureRust)
    }

    fn version(&self) -> u64 {
        self.policy.manifest().unwrap().version.version
    }
}

fn compile_delta(
    document: &Document,
    changed: &BTreeMap<SystemUserId, SystemUserState>,
    current: &PolicySet,
) -> Result<Vec<u8>, DeltaError> {
    let delta = SnapshotSettings::new(document.clone())?.delta(changed, current)?;
    assert_eq!(delta.is_empty, delta.bytes.len() == 32);
    Ok(delta.bytes)
}

fn provider() -> ProviderId {
    "generated".parse().unwrap()
}

fn parties() -> Vec<OrganizationNumber> {
    (310_000_000..).filter_map(OrganizationNumber::from_u32).take(6).collect()
}

fn user_id(number: u64) -> SystemUserId {
    // Spread over the buckets, and the same in every run.
    SystemUserId::from_uuid(Uuid::from_u64_pair(number.wrapping_mul(0x9e37_79b9_7f4a_7c15), number))
}

/// Three resources, two systems, no system user.
fn settings() -> Document {
    let parties = parties();
    let system = |number: usize| json!({"id": format!("{}_s{number}", parties[number]), "vendor": parties[number], "clientIds": [format!("client-{number}")]});
    serde_json::from_value(json!({
        "provider": "generated",
        "systems": [system(0), system(1), system(2)],
        "resources": (0..3).map(|number| json!({"id": format!("r{number}"), "rules": [
            {"actions": ["read", "write"], "accessPackages": [format!("urn:altinn:accesspackage:p{number}"), "urn:altinn:accesspackage:p9"]},
        ]})).collect::<Vec<_>>(),
        "routes": [{"name": "a", "methods": ["GET"], "path": "/a", "resource": "r0", "action": "read", "party": "owner"}],
    }))
    .unwrap()
}

/// A system user that holds something chosen by `seed`.
fn user(number: u64, seed: u64) -> SystemUserDocument {
    let (parties, document) = (parties(), settings());
    let owner = parties[seed as usize % 2];
    let delegations =
        parties.iter().enumerate().filter(|(position, _)| seed >> position & 1 == 1).map(|(position, party)| {
            let package = format!("urn:altinn:accesspackage:p{}", (seed as usize + position) % 4);
            let right = json!({"resource": format!("r{}", (seed as usize + position) % 3), "action": "write"});
            let rights = if seed.is_multiple_of(3) { json!([right]) } else { json!([]) };
            json!({"party": party, "accessPackages": [package], "rights": rights})
        });
    let delegations: Vec<_> = delegations.collect();
    serde_json::from_value(json!({
        "id": user_id(number), "owner": owner, "system": document.systems[seed as usize % 3].id, "kind": "agent",
        "delegations": delegations,
    }))
    .unwrap()
}

/// Everything that a policy says, without how it is stored.
fn contents(policy: &PolicySet, numbers: u64) -> BTreeSet<String> {
    let enforced = policy.enforced(at(0)).unwrap();
    let mut all = BTreeSet::new();
    for route in enforced.routes().all() {
        all.insert(format!("route {}", route.name));
    }
    for number in 0..numbers {
        let id = user_id(number);
        let user = match enforced.system_user(id) {
            Known::Unknown => continue,
            Known::Withdrawn => {
                all.insert(format!("{id} withdrawn"));
                continue;
            }
            Known::Active(user) => user,
        };
        let system = user.system().unwrap();
        all.insert(format!("{id} {} {} {} {:?}", user.owner, system.id(), system.vendor(), system.clients()));
        for party in parties() {
            let Some(held) = user.row(party.as_u32()) else { continue };
            all.insert(format!("{id} {party}"));
            for (right, index) in enforced.image().rights().iter().zip(0..) {
                match held.through(RightIndex(index)) {
                    None => continue,
                    Some(HeldThrough::Direct) => all.insert(format!("{id} {party} {right} direct")),
                    Some(HeldThrough::AccessPackage(name)) => {
                        all.insert(format!("{id} {party} {right} {}", name.as_str()))
                    }
                };
            }
        }
    }
    all
}

const USERS: u64 = 24;

#[test]
fn a_base_with_deltas_says_what_a_new_base_says() {
    let mut users: BTreeMap<SystemUserId, SystemUserDocument> =
        (0..USERS / 2).map(|number| (user_id(number), user(number, number * 5 + 1))).collect();
    let mut document = settings();
    let with_users = |document: &Document, users: &BTreeMap<_, SystemUserDocument>, withdrawn: &BTreeSet<_>| Document {
        system_users: users.values().cloned().collect(),
        withdrawn_system_users: withdrawn.clone(),
        ..document.clone()
    };
    let mut withdrawn = BTreeSet::new();
    let mut publisher = Publisher::new(&with_users(&document, &users, &withdrawn));
    let mut seed: u64 = 77;
    for round in 0..300 {
        let mut changed = BTreeMap::new();
        for _ in 0..=seed % 3 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let number = (seed >> 33) % USERS;
            let id = user_id(number);
            match (seed >> 50) % 5 {
                0 => {
                    users.remove(&id);
                    withdrawn.insert(id);
                    changed.insert(id, SystemUserState::Withdrawn);
                }
                1 => {
                    users.remove(&id);
                    withdrawn.remove(&id);
                    changed.insert(id, SystemUserState::Unknown);
                }
                _ => {
                    let user = user(number, seed >> 40);
                    withdrawn.remove(&id);
                    users.insert(id, user.clone());
                    changed.insert(id, SystemUserState::Active(user));
                }
            }
        }
        if round % 7 == 0 {
            let client = format!("client-{round}");
            document.systems[round % 3].client_ids.insert(client.parse().unwrap());
        }
        if round % 50 == 0 {
            document.routes[0].name = format!("route-{round}");
        }
        let piece = publisher.delta(&document, &changed);
        assert!(piece.len() < 4096, "{}", piece.len());
        let whole = with_users(&document, &users, &withdrawn);
        let fresh = Publisher::new(&whole);
        assert_eq!(contents(&publisher.policy, USERS), contents(&fresh.policy, USERS), "round {round}");
        assert_eq!(publisher.policy.system_user_count(), users.len());
        assert_eq!(publisher.policy.withdrawn(), withdrawn.iter().copied().collect::<Vec<_>>());
    }
    // Whoever comes late takes it all at once, or in parts.
    let late = publisher.gateway(&publisher.pieces);
    assert_eq!(contents(&late.policy, USERS), contents(&publisher.policy, USERS));
    let mut in_parts = publisher.gateway(&publisher.pieces[..100]);
    in_parts.take(publisher.pieces[90..].concat()).unwrap();
    assert_eq!(contents(&in_parts.policy, USERS), contents(&publisher.policy, USERS));
}

fn published() -> (Document, Publisher) {
    let document = Document { system_users: (0..8).map(|number| user(number, number + 3)).collect(), ..settings() };
    let publisher = Publisher::new(&document);
    (document, publisher)
}

fn one(number: u64, seed: u64) -> BTreeMap<SystemUserId, SystemUserState> {
    BTreeMap::from([(user_id(number), SystemUserState::Active(user(number, seed)))])
}

#[test]
fn a_change_of_one_row_is_small() {
    let (document, mut publisher) = published();
    let mut changed = document.system_users[3].clone();
    changed.delegations[0].access_packages = BTreeSet::from(["urn:altinn:accesspackage:p9".parse().unwrap()]);
    let delta = publisher.delta(&document, &BTreeMap::from([(changed.id, SystemUserState::Active(changed))]));
    assert!(delta.len() <= 700, "{}", delta.len());
    assert_eq!(publisher.policy.changes_since_base(), 2);
    let withdrawal = publisher.delta(&document, &BTreeMap::from([(user_id(3), SystemUserState::Withdrawn)]));
    assert!(withdrawal.len() <= 500, "{}", withdrawal.len());
}

#[test]
fn an_empty_delta_changes_nothing_but_the_end() {
    let (document, mut publisher) = published();
    let before = contents(&publisher.policy, USERS);
    let renewal = publisher.sealed_delta(&document, &BTreeMap::new(), at(7200));
    assert!(renewal.len() <= 350, "{}", renewal.len());
    publisher.take(renewal.clone(), at(0)).unwrap();
    assert_eq!(contents(&publisher.policy, USERS), before);
    assert!(publisher.policy.enforced(at(7199)).is_ok());
    // A base that has ended alone stands with the delta that prolongs it.
    let keys = [publisher.snapshot_key()];
    let mut late = PolicySet::deny_all(PolicyTrouble::Missing);
    let base = publisher.pieces[0].clone();
    assert_eq!(late.update(base.clone(), &keys, &provider(), at(3600), &PureRust), Err(SnapshotError::Expired));
    let both = [base, renewal].concat();
    late.update(both, &keys, &provider(), at(3600), &PureRust).unwrap();
    assert_eq!(late.enforced(at(7200)).map(|_| ()), Err(PolicyTrouble::Expired));
}

#[test]
fn what_rights_depend_on_needs_a_new_base() {
    let (document, publisher) = published();
    let mut other = document.clone();
    other.resources[0].minimum_authentication_level = 4;
    assert_eq!(compile_delta(&other, &BTreeMap::new(), &publisher.policy), Err(DeltaError::NewBaseNeeded));
    let nothing = PolicySet::deny_all(PolicyTrouble::Missing);
    assert_eq!(compile_delta(&document, &BTreeMap::new(), &nothing), Err(DeltaError::NewBaseNeeded));
    let mut broken = user(1, 4);
    broken.system = "310247030_unknown".parse().unwrap();
    let error =
        compile_delta(&document, &BTreeMap::from([(broken.id, SystemUserState::Active(broken))]), &publisher.policy);
    assert!(matches!(error, Err(DeltaError::Document(errors)) if errors.0[0].code == "system_unknown"));
}

#[test]
fn a_delta_is_for_one_version_only() {
    let (document, mut publisher) = published();
    let base = publisher.pieces[0].clone();
    let first = publisher.delta(&document, &one(1, 9));
    let second = publisher.delta(&document, &one(2, 10));
    let mut gateway = publisher.gateway(std::slice::from_ref(&base));
    assert_eq!(gateway.take(second.clone()), Err(SnapshotError::Gap));
    assert_eq!(gateway.version(), 1);
    // What comes before a gap stays, what comes after does not count.
    assert_eq!(gateway.take([first.clone(), base.clone()].concat()), Err(SnapshotError::Manifest));
    gateway.take(first.clone()).unwrap();
    assert_eq!(gateway.take(first.clone()), Err(SnapshotError::InForce));
    assert_eq!(gateway.take([base.clone(), first.clone()].concat()), Err(SnapshotError::InForce));
    gateway.take([base.clone(), first.clone(), second].concat()).unwrap();
    assert_eq!(gateway.version(), 3);
    // A base whose delta is wrong is not taken either.
    let mut damaged = first.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let mut fresh = Gateway { key: publisher.snapshot_key(), policy: PolicySet::deny_all(PolicyTrouble::Missing) };
    assert_eq!(fresh.take([base, damaged].concat()), Err(SnapshotError::Hash));
    assert!(fresh.policy.manifest().is_none());
    assert_eq!(fresh.take(first.clone()), Err(SnapshotError::Gap));
    // Another line: the base was built anew.
    publisher.base(&document, 9);
    let mut anew = publisher.gateway(&publisher.pieces);
    assert_eq!(anew.take(first), Err(SnapshotError::Gap));
}

#[test]
fn a_delta_of_others_is_refused() {
    let (document, publisher) = published();
    let delta = publisher.sealed_delta(&document, &one(1, 9), at(3600));
    let refused = |key: &SnapshotKey, provider: &str, now: Timestamp| {
        let mut gateway = publisher.gateway(&publisher.pieces);
        let result =
            gateway.policy.update(delta.clone(), std::slice::from_ref(key), &provider.parse().unwrap(), now, &PureRust);
        assert_eq!(gateway.version(), 1);
        result.unwrap_err()
    };
    let key = publisher.snapshot_key();
    let other = SigningKey::from_slice(&[8; 32]).unwrap();
    let other = SnapshotKey::from_spki_der(other.verifying_key().to_public_key_der().unwrap().as_bytes()).unwrap();
    assert_eq!(refused(&other, "generated", at(0)), SnapshotError::KeyUnknown);
    assert_eq!(refused(&key, "other", at(0)), SnapshotError::Provider);
    assert_eq!(refused(&key, "generated", at(3600)), SnapshotError::Expired);
    assert_eq!(refused(&key, "generated", at(-301)), SnapshotError::Times);
}

#[test]
fn pieces_cut_or_damaged_anywhere_are_refused_and_change_nothing() {
    let (document, mut publisher) = published();
    let base = publisher.pieces[0].clone();
    let delta = publisher.delta(&document, &one(1, 9));
    for (pieces, body) in [(vec![], base.clone()), (vec![base.clone()], delta.clone())] {
        let start = || match pieces.as_slice() {
            [] => Gateway { key: publisher.snapshot_key(), policy: PolicySet::deny_all(PolicyTrouble::Missing) },
            pieces => publisher.gateway(pieces),
        };
        let mut gateway = start();
        let before = gateway.policy.manifest().cloned();
        for length in 0..body.len() {
            assert!(gateway.take(body[..length].to_vec()).is_err(), "{length}");
        }
        // Every byte is signed or hashed; a few of each kind are enough for the slow arithmetic.
        for position in (0..body.len()).step_by(body.len() / 60 + 1) {
            let mut damaged = body.clone();
            damaged[position] ^= 0x40;
            assert!(gateway.take(damaged).is_err(), "{position}");
        }
        assert_eq!(gateway.policy.manifest().cloned(), before);
        gateway.take(body).unwrap();
    }
}

/// Images whose signer has lost its mind: read as they are, without hashes in the way.
#[test]
fn a_damaged_delta_is_refused_or_still_answers() {
    let (document, publisher) = published();
    let changed: BTreeMap<_, _> = one(1, 9).into_iter().chain(one(20, 13)).collect();
    let mut document = document;
    document.routes[0].name = "other".to_owned();
    document.systems[0].client_ids.insert("more".parse().unwrap());
    let image = compile_delta(&document, &changed, &publisher.policy).unwrap();
    let mut refused = 0;
    for position in 0..image.len() {
        for damage in [1, 0x80, 0xff] {
            let mut gateway = publisher.gateway(&publisher.pieces);
            let enforced = gateway.policy.enforced_whatever_the_time_mut().unwrap();
            let mut damaged = image.clone();
            damaged[position] ^= damage;
            match Delta::read(damaged, enforced) {
                Err(_) => refused += 1,
                Ok(delta) => {
                    let manifest = enforced.manifest().clone();
                    enforced.apply(delta, manifest);
                    contents(&gateway.policy, USERS);
                }
            }
        }
    }
    assert!(refused > image.len(), "{refused} of {}", image.len() * 3);
}

#[test]
fn a_base_comes_in_slices() {
    let (_, publisher) = published();
    let body = publisher.pieces[0].clone();
    let keys = [publisher.snapshot_key()];
    let (mut opening, head) = Opening::begin(&body, &keys, &provider(), None, at(0), &PureRust).unwrap();
    assert_eq!(opening.bytes_missing(), body.len() - head);
    assert_eq!(opening.step(1).unwrap_err(), SnapshotError::Length);
    for slice in body[head..].chunks(100) {
        opening.push(slice).unwrap();
    }
    assert_eq!(opening.push(&[0]).unwrap_err(), SnapshotError::Length);
    let mut steps = 0;
    while !opening.step(50).unwrap() {
        steps += 1;
    }
    assert!(steps > 10);
    let policy = opening.finish().unwrap();
    assert_eq!(contents(&policy, USERS), contents(&publisher.policy, USERS));

    let (mut damaged, _) = Opening::begin(&body, &keys, &provider(), None, at(0), &PureRust).unwrap();
    let mut image = body[head..].to_vec();
    image[60] ^= 1;
    assert_eq!(damaged.push(&image).unwrap_err(), SnapshotError::Hash);
    let (unfinished, _) = Opening::begin(&body, &keys, &provider(), None, at(0), &PureRust).unwrap();
    assert_eq!(unfinished.finish().unwrap_err(), SnapshotError::Length);
}

#[test]
fn a_right_that_no_rule_has_is_in_no_set() {
    let mut document = settings();
    let mut user = user(1, 6);
    user.delegations[0].rights =
        BTreeSet::from([Right { resource: "r0".parse().unwrap(), action: "unknown".parse().unwrap() }]);
    user.delegations[0].access_packages = BTreeSet::from([AccessPackage::from_name("p8").unwrap()]);
    let party = user.delegations[0].party;
    document.system_users = vec![user];
    let publisher = Publisher::new(&document);
    let Known::Active(user) = publisher.policy.enforced(at(0)).unwrap().system_user(user_id(1)) else { panic!() };
    assert!(user.row(party.as_u32()).unwrap().all().is_empty());
}
