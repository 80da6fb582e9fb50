//! Images against a plain reading of their documents, and against damage.

use std::collections::BTreeSet;

use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::id::{AccessPackage, OrganizationNumber, SystemId};
use crate::right::Right;
use crate::snapshot::document::{Document, SystemUserDocument};
use crate::snapshot::layout::{Header, SectionEntry};
use crate::snapshot::{SystemUserKind, compile};

/// Numbers that look random and are the same in every run (xorshift).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for position in 1..items.len() {
            items.swap(position, self.below(position + 1));
        }
    }
}

fn organizations(count: usize) -> Vec<OrganizationNumber> {
    (310_000_000..).filter_map(OrganizationNumber::from_u32).take(count).collect()
}

/// Resources with packages, and system users that hold some of it for some parties.
fn generate(numbers: &mut Numbers, users: usize, resources: usize) -> Document {
    let parties = organizations(40);
    let package = |number: usize| format!("urn:altinn:accesspackage:p{number}");
    let actions = ["read", "write", "sign"];
    let mut document: Document = serde_json::from_value(json!({
        "provider": "generated",
        "systems": (0..3).map(|number| json!({"id": format!("{}_s{number}", parties[number]), "vendor": parties[number], "clientIds": [format!("client-{number}")]})).collect::<Vec<_>>(),
        "resources": (0..resources).map(|number| json!({"id": format!("r{number}"), "minimumAuthenticationLevel": number % 5, "rules": [
            {"actions": &actions[..1 + number % 3], "accessPackages": [package(number % 7), package(number % 5)]},
            {"actions": ["own"]},
        ]})).collect::<Vec<_>>(),
    }))
    .unwrap();
    for _ in 0..users {
        let owner = parties[numbers.below(parties.len())];
        let kind = if numbers.below(2) == 0 { SystemUserKind::Standard } else { SystemUserKind::Agent };
        let mut for_parties = BTreeSet::new();
        match kind {
            SystemUserKind::Standard => for_parties.extend((numbers.below(4) > 0).then_some(owner)),
            SystemUserKind::Agent => {
                for_parties.extend((0..numbers.below(6)).map(|_| parties[numbers.below(parties.len())]))
            }
        }
        let mut delegations = Vec::new();
        for party in for_parties {
            let rights: Vec<_> = (0..numbers.below(4))
                .map(|_| json!({"resource": format!("r{}", numbers.below(resources)), "action": actions[numbers.below(3)]}))
                .collect();
            let packages: Vec<_> = (0..numbers.below(3)).map(|_| package(numbers.below(9))).collect();
            delegations.push(json!({"party": party, "rights": rights, "accessPackages": packages}));
        }
        let system = document.systems[numbers.below(3)].id.clone();
        let user = json!({
            "id": Uuid::from_u64_pair(numbers.next(), numbers.next()), "owner": owner, "system": system, "kind": kind,
            "delegations": delegations,
        });
        document.system_users.push(serde_json::from_value(user).unwrap());
    }
    document
}

/// What the document says, without any table: the package that gives the right comes first, then direct delegation.
fn plain_reading(
    document: &Document,
    user: &SystemUserDocument,
    party: OrganizationNumber,
    right: &Right,
) -> Option<Option<AccessPackage>> {
    let delegation = user.delegations.iter().find(|delegation| delegation.party == party)?;
    let rules =
        document.resources.iter().filter(|resource| resource.id == right.resource).flat_map(|resource| &resource.rules);
    let granting: BTreeSet<_> =
        rules.filter(|rule| rule.actions.contains(&right.action)).flat_map(|rule| &rule.access_packages).collect();
    let package = delegation.access_packages.iter().find(|package| granting.contains(package));
    match package {
        Some(package) => Some(Some(package.clone())),
        None => delegation.rights.contains(right).then_some(None),
    }
}

fn all_rights(image: &Image) -> Vec<(RightIndex, Right)> {
    image.rights().iter().zip(0..).map(|(right, index)| (RightIndex(index), right.clone())).collect()
}

#[test]
fn an_image_says_what_its_document_says() {
    let mut numbers = Numbers(0x5eed);
    for (users, resources) in [(0, 1), (1, 1), (3, 2), (60, 30), (600, 70)] {
        let document = generate(&mut numbers, users, resources);
        let image = Image::load(compile(&document).unwrap()).unwrap();
        let rights = all_rights(&image);
        assert_eq!(image.system_user_count(), users);
        for user in &document.system_users {
            let index = image.system_user(user.id).unwrap();
            assert_eq!(image.rows(index).unwrap().owner(), Some(user.owner.as_u32()));
            assert_eq!(image.system(image.system_of(index).unwrap()).unwrap().id, user.system.as_str());
            for party in organizations(41) {
                let row = image.row(image.rows(index).unwrap(), party.as_u32());
                let named = party == user.owner || user.delegations.iter().any(|delegation| delegation.party == party);
                assert_eq!(row.is_some(), named);
                // All rights for the parties that are named; others have no row to look in.
                let Some(row) = row else { continue };
                for (position, right) in &rights {
                    let held = image.held_through(row, *position).map(|held| match held {
                        HeldThrough::Direct => None,
                        HeldThrough::AccessPackage(name) => Some(AccessPackage::from_name(name.as_str()).unwrap()),
                    });
                    assert_eq!(held, plain_reading(&document, user, party, right), "{} {party} {right}", user.id);
                }
            }
        }
        let nobody = SystemUserId::from_uuid(Uuid::from_u64_pair(numbers.next(), 1));
        assert!(image.system_user(nobody).is_none());
    }
}

#[test]
fn numbers_are_found_wherever_they_are() {
    let mut numbers = Numbers(23);
    for (count, spread) in [(1, 1), (64, 3), (65, 1), (500, 1000), (5000, 7), (5000, 40_000)] {
        let mut all: Vec<u32> = (0..count).map(|_| 300_000_000 + numbers.below(count * spread) as u32).collect();
        // Not evenly at all: most of them at the end.
        all.extend((0..count / 2).map(|number| 800_000_000 + number as u32));
        all.sort_unstable();
        all.dedup();
        let ascending: Vec<U32> = all.iter().map(|number| U32::new(*number)).collect();
        for range in [300_000_000..=900_000_000, 0..=u32::MAX] {
            for (at, number) in all.iter().enumerate() {
                assert_eq!(position(&ascending, *number, &range), Some(at));
                for other in [number - 1, number + 1] {
                    assert_eq!(position(&ascending, other, &range), all.binary_search(&other).ok());
                }
            }
            for outside in [0, 299_999_999, 900_000_001, u32::MAX] {
                assert_eq!(position(&ascending, outside, &range), None);
            }
            assert_eq!(position(&[], 1, &range), None);
        }
    }
}

/// Ids that are not drawn, as of version 7: a bucket may hold all of them.
#[test]
fn system_users_are_found_however_their_ids_begin() {
    let mut numbers = Numbers(41);
    let mut document = generate(&mut numbers, 700, 1);
    for (user, number) in document.system_users.iter_mut().zip(0..) {
        let low = if number % 3 == 0 { numbers.next() } else { number << 60 | number };
        user.id = SystemUserId::from_uuid(Uuid::from_u64_pair(0x0192_8d3b_7c00_7000 + number / 400, low));
    }
    let image = Image::load(compile(&document).unwrap()).unwrap();
    for user in &document.system_users {
        let index = image.system_user(user.id).unwrap();
        assert_eq!(image.rows(index).unwrap().owner(), Some(user.owner.as_u32()));
        let beside = SystemUserId::from_uuid(Uuid::from_u128(user.id.as_uuid().as_u128() ^ 1 << 30));
        assert!(image.system_user(beside).is_none());
    }
}

#[test]
fn order_does_not_matter_and_equal_content_gives_equal_bytes() {
    let mut numbers = Numbers(7);
    let document = generate(&mut numbers, 80, 20);
    let image = compile(&document).unwrap();
    for _ in 0..5 {
        let mut shuffled = document.clone();
        numbers.shuffle(&mut shuffled.system_users);
        numbers.shuffle(&mut shuffled.systems);
        numbers.shuffle(&mut shuffled.resources);
        for user in &mut shuffled.system_users {
            numbers.shuffle(&mut user.delegations);
        }
        assert!(compile(&shuffled).unwrap() == image);
    }
}

#[test]
fn taking_something_away_never_gives_more() {
    let mut numbers = Numbers(11);
    let document = generate(&mut numbers, 30, 12);
    let held = |document: &Document| -> BTreeSet<(SystemUserId, u32, Right)> {
        let image = Image::load(compile(document).unwrap()).unwrap();
        let rights = all_rights(&image);
        let mut all = BTreeSet::new();
        for user in &document.system_users {
            let index = image.system_user(user.id).unwrap();
            for party in organizations(40) {
                let Some(row) = image.row(image.rows(index).unwrap(), party.as_u32()) else { continue };
                let holding = rights.iter().filter(|(position, _)| image.held_through(row, *position).is_some());
                all.extend(holding.map(|(_, right)| (user.id, party.as_u32(), right.clone())));
            }
        }
        all
    };
    let before = held(&document);
    assert!(before.len() > 20);
    for user in 0..document.system_users.len() {
        for delegation in 0..document.system_users[user].delegations.len() {
            let mut less = document.clone();
            less.system_users[user].delegations.remove(delegation);
            let after = held(&less);
            assert!(after.is_subset(&before));
        }
    }
}

#[test]
fn slices_of_any_size_come_to_the_same() {
    let image = compile(&full()).unwrap();
    for numbers in [1, 7, 1000, usize::MAX] {
        let mut loading = Loading::begin(image.clone()).unwrap();
        let mut steps = 1;
        while !loading.step(numbers).unwrap() {
            assert!(numbers < usize::MAX);
            steps += 1;
        }
        assert!(steps < 10_000);
        assert_eq!(loading.finish().unwrap().rights().len(), Image::load(image.clone()).unwrap().rights().len());
    }
    let mut unfinished = Loading::begin(image).unwrap();
    assert!(!unfinished.step(1).unwrap());
    assert!(unfinished.finish().is_none());
}

#[test]
fn access_lists_are_for_their_rights_only() {
    let image = Image::load(compile(&full()).unwrap()).unwrap();
    let listed = |action: &str, resource: &str, party: u32| {
        let right = Right { resource: resource.parse().unwrap(), action: action.parse().unwrap() };
        let position = image.rights().iter().position(|known| *known == right).unwrap();
        image.is_listed(RightIndex(position as u32), party).unwrap()
    };
    assert!(listed("read", "r1", 310247049) && listed("own", "r1", 310247049));
    assert!(listed("read", "r1", 310247057) && !listed("own", "r1", 310247057));
    assert!(!listed("read", "r1", 310247065) && listed("read", "r0", 310247065));
}

/// A document with something in every section.
fn full() -> Document {
    let mut numbers = Numbers(3);
    let mut document = generate(&mut numbers, 12, 4);
    let key = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap().verifying_key().to_encoded_point(false);
    let number = |bytes: Option<&p256::FieldBytes>| {
        use base64::Engine;
        bytes.map(|bytes| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
    };
    let issuers = json!([{"issuer": "https://maskinporten.example/", "kind": "maskinporten",
        "keys": [{"kty": "EC", "crv": "P-256", "kid": "k", "x": number(key.x()), "y": number(key.y())}]}]);
    document.issuers = serde_json::from_value(issuers).unwrap();
    let routes = json!([
        {"name": "a", "methods": ["GET"], "path": "/a/{party}/**", "resource": "r0", "action": "read", "party": {"path": "party"}, "scopes": ["s"], "audiences": ["x"]},
        {"name": "b", "host": "b.example", "methods": ["PUT"], "path": "/b", "resource": "r1", "action": "own", "party": {"header": "x-party"}},
    ]);
    document.routes = serde_json::from_value(routes).unwrap();
    document.withdrawn_system_users.insert(SystemUserId::from_uuid(Uuid::from_u128(5)));
    document.resources[0].unknown_obligations.insert("urn:example".to_owned());
    document.resources[1].access_list = serde_json::from_value(json!([
        {"party": "310247049"}, {"party": "310247057", "actions": ["read"]},
    ]))
    .unwrap();
    document.resources[0].rules[0].id = Some("rule".to_owned());
    document
}

/// Asks an image everything; whatever it answers, it answers.
fn ask_everything(image: &Image, document: &Document) {
    let mut parties = organizations(8);
    parties.extend(document.system_users.iter().map(|user| user.owner));
    for user in &document.system_users {
        image.is_withdrawn(user.id);
        let Some(index) = image.system_user(user.id) else { continue };
        image.rows(index).unwrap().owner();
        image.system_of(index).and_then(|system| image.system(system)).map(|system| system.clients().count());
        for party in &parties {
            let Some(row) = image.row(image.rows(index).unwrap(), party.as_u32()) else { continue };
            for right in (0..20).map(RightIndex) {
                let held = image.held_through(row, right);
                held.and_then(|held| image.obligations(right, held)).map(Iterator::count);
                image.is_listed(right, party.as_u32());
                image.right(right);
            }
        }
    }
}

#[test]
fn an_image_cut_at_any_byte_is_refused() {
    let image = compile(&full()).unwrap();
    assert!(Image::load(image.clone()).is_ok());
    for length in 0..image.len() {
        assert!(Image::load(image[..length].to_vec()).is_err(), "{length}");
    }
    let longer = [&image[..], &[0]].concat();
    assert!(Image::load(longer).is_err());
}

#[test]
fn a_damaged_image_is_refused_or_still_answers() {
    let document = full();
    let image = compile(&document).unwrap();
    let mut numbers = Numbers(19);
    let mut refused = 0;
    for position in 0..image.len() {
        for damage in [1, 1 + numbers.below(254) as u8] {
            let mut damaged = image.clone();
            damaged[position] ^= damage;
            match Image::load(damaged) {
                Ok(image) => ask_everything(&image, &document),
                Err(_) => refused += 1,
            }
        }
    }
    // Texts and identities can change into others; what gives an image its shape cannot.
    assert!(refused > image.len() / 2, "{refused} of {} refused", image.len() * 2);
}

/// Where a section is in an image.
fn section_range(image: &[u8], wanted: Section) -> Range<usize> {
    let number = |at: usize| u64::from_le_bytes(image[at..at + 8].try_into().unwrap()) as usize;
    let entries = (0..section_count(image)).map(|section| size_of::<Header>() + section * size_of::<SectionEntry>());
    let kind = (wanted as u32).to_le_bytes();
    let entry = entries.into_iter().find(|entry| image[*entry..entry + 4] == kind).unwrap();
    number(entry + 8)..number(entry + 8) + number(entry + 16)
}

#[test]
fn parties_out_of_order_or_twice_are_refused_wherever_they_are() {
    let mut document = generate(&mut Numbers(5), 0, 2);
    let parties = organizations(80);
    for clients in [0, 1, 2, 3, 4, 5, 7, 8, 9, 33, 64] {
        let delegations: Vec<_> = parties[10..10 + clients].iter().map(|party| json!({"party": party})).collect();
        let user = json!({"id": Uuid::from_u64_pair(clients as u64, 1), "owner": parties[5], "kind": "agent",
            "system": document.systems[0].id, "delegations": delegations});
        document.system_users.push(serde_json::from_value(user).unwrap());
    }
    let image = compile(&document).unwrap();
    let section = section_range(&image, Section::RowParties);
    assert_eq!(section.len(), 4 * (11 + 136), "owners and clients");
    let loaded = Image::load(image.clone()).unwrap();
    let problem = |damaged: Vec<u8>| Image::load(damaged).map(|_| ()).unwrap_err().problem;
    let mut tried = 0;
    for user in 0..loaded.system_user_count() {
        let rows = loaded.rows(SystemUserIndex(user)).unwrap();
        let place = |row: usize| section.start + 4 * (rows.start + row);
        for row in 1..rows.parties.len() {
            // As great as the one before, as the one after, and as the owner.
            for other in [row - 1, row + 1, 0].into_iter().filter(|other| *other < rows.parties.len()) {
                let mut damaged = image.clone();
                damaged.copy_within(place(other)..place(other) + 4, place(row));
                assert_eq!(problem(damaged), "parties not in ascending order", "user {user}, {other} at {row}");
                tried += 1;
            }
        }
    }
    assert!(tried > 300, "{tried}");
}

#[test]
fn each_reason_must_be_a_package_however_often_it_comes() {
    let mut document = generate(&mut Numbers(5), 200, 9);
    // A name that no package has.
    let name: SystemId = format!("{}_blå", organizations(1)[0]).parse().unwrap();
    let renamed = std::mem::replace(&mut document.systems[0].id, name.clone());
    for user in document.system_users.iter_mut().filter(|user| user.system == renamed) {
        user.system = name.clone();
    }
    let image = compile(&document).unwrap();
    let loaded = Image::load(image.clone()).unwrap();
    let no_package = (0..9999).find(|string| loaded.sections.string(*string).ends_with("_blå")).unwrap();
    let reasons = section_range(&image, Section::RightSetReasons);
    assert!(reasons.len() > 400, "{} bytes", reasons.len());
    for place in reasons.step_by(4) {
        for (wrong, problem) in [(9999, "a string that is not there"), (no_package, "a reason that is no package")] {
            let mut damaged = image.clone();
            damaged[place..place + 4].copy_from_slice(&u32::to_le_bytes(wrong));
            assert_eq!(Image::load(damaged).map(|_| ()).unwrap_err().problem, problem);
        }
    }
}

fn section_count(image: &[u8]) -> usize {
    u32::from_le_bytes(image[12..16].try_into().unwrap()) as usize
}

#[test]
fn every_section_must_be_where_the_table_says() {
    let image = compile(&full()).unwrap();
    let (header, table) = (size_of::<Header>(), size_of::<SectionEntry>());
    for section in 0..section_count(&image) {
        let entry = header + section * table;
        let kind = u32::from_le_bytes(image[entry..entry + 4].try_into().unwrap());
        if kind & layout::SECTION_OPTIONAL != 0 {
            // Nobody misses it.
            continue;
        }
        for (field, width) in [(0, 4), (4, 4), (8, 8), (16, 8)] {
            for value in [u64::MAX, 1 << 31, image.len() as u64, 3] {
                let mut damaged = image.clone();
                let bytes = value.to_le_bytes();
                damaged[entry + field..entry + field + width].copy_from_slice(&bytes[..width]);
                // Nothing is nothing wherever it is.
                let is_empty = image[entry + 16..entry + 24] == [0; 8];
                if damaged != image && !(is_empty && (field == 8 || kind == Section::ProgramBytes as u32)) {
                    assert!(Image::load(damaged).is_err(), "section {section}, field at {field}, value {value}");
                }
            }
        }
    }
}

#[test]
fn a_section_that_is_not_known_refuses_unless_it_is_optional() {
    let image = compile(&full()).unwrap();
    let with_extra = |kind: u32| {
        let (header, table) = (size_of::<Header>(), size_of::<SectionEntry>());
        let count = section_count(&image);
        let mut bytes = image[..header + count * table].to_vec();
        let mut entry = bytes[bytes.len() - table..].to_vec();
        entry[..4].copy_from_slice(&kind.to_le_bytes());
        bytes.extend_from_slice(&entry);
        bytes.extend_from_slice(&image[header + count * table..]);
        // Everything behind the table has moved by one entry.
        for section in 0..=count {
            let at = header + section * table + 8;
            let offset = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) + table as u64;
            bytes[at..at + 8].copy_from_slice(&offset.to_le_bytes());
        }
        bytes[12..16].copy_from_slice(&(count as u32 + 1).to_le_bytes());
        let length = bytes.len() as u64;
        bytes[16..24].copy_from_slice(&length.to_le_bytes());
        Image::load(bytes).map(|_| ())
    };
    assert_eq!(with_extra(layout::SECTION_OPTIONAL | 99), Ok(()));
    assert_eq!(with_extra(99).unwrap_err().problem, "a section that this reader does not know");
    assert_eq!(with_extra(Section::ExplainPolicies as u32).unwrap_err().problem, "a section twice");
}
