//! Two thousand entries: every list that comes in pages has each of them exactly once, also while entries are added. The
//! lists are those of the description: what takes a `token`, or `after`.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::openapi;
use crate::openapi::tests::operations;
use crate::test_state::{TestState, story, tokens};

/// Entries that are added before the reading.
const ENTRIES: i64 = 2000;
/// Lists whose entries need more than a row: `client_delegations/tests/long_lists.rs`, `client_delegations/jobs/tests.rs`.
const ELSEWHERE: [&str; 3] = [
    "GET /authentication/api/v1/enduser/systemuser/clients",
    "GET /authentication/api/v1/enduser/systemuser/clients/available",
    "GET /portvakt/v1/parties/{party}/agents/{systemUserId}/clients/jobs/{jobId}",
];

const REQUEST: &str = "INSERT INTO system_user_request (id, kind, system, party, external_ref, integration_title, rights, \
                       access_packages, status, created_at) \
                       VALUES ($1, 'standard', '310247030_smartcloud', '310247049', $2, 'x', '[]', '[]', 'New', $3)";
const AGENT_REQUEST: &str = "INSERT INTO system_user_request (id, kind, system, party, external_ref, integration_title, rights, access_packages, \
     status, created_at) VALUES ($1, 'agent', '310247030_agent', '310247073', $2, 'x', '[]', '[]', 'New', $3)";
const CHANGE_REQUEST: &str = "INSERT INTO change_request (id, systemuser, system, party, external_ref, required_rights, unwanted_rights, \
     required_packages, unwanted_packages, status, created_at) \
     SELECT $1, id, system, owner, $2, '[]', '[]', '[]', '[]', 'New', $3 FROM systemuser WHERE kind = 'standard'";
const SYSTEM_USER: &str = "INSERT INTO systemuser (id, kind, system, owner, external_ref, integration_title, created_at) \
                           VALUES ($1, 'standard', '310247030_smartcloud', '310247049', $2, 'x', $3)";
const EVENT: &str = "INSERT INTO event (revision, kind, vendor, system, object, party) \
                     VALUES ($3, 'system_user.changed', '310247030', $1, $2, '310247057')";
const CHANGE: &str = "INSERT INTO change_log (revision, at, kind, body, party) \
                      SELECT (SELECT coalesce(max(revision), 0) + 1 FROM change_log), $3, 'tested', '{}', '310247049' WHERE $1 <> $2";

const REVOCATION: &str = "INSERT INTO revocation (id, provider, kind, issuer, value, ends_at, created_at) \
                          VALUES ($1, 'regnskapsregisteret', 'token', 'https://issuer.test/', $2, 9999999999999, $3)";
const DECISION: &str = "INSERT INTO gateway_decision (provider, number, gateway, at, body) \
                        SELECT 'regnskapsregisteret', (SELECT coalesce(max(number), 0) + 1 FROM gateway_decision \
                        WHERE provider = 'regnskapsregisteret'), 'g', $3, '{\"decision\":\"deny\",\"atMillis\":1}' WHERE $1 <> $2";

/// Operation, address, and what adds an entry: an id, a reference, an instant.
const LISTS: [(&str, &str, &str); 11] = [
    (
        "GET /authentication/api/v1/systemuser/request/vendor/bysystem/{systemId}",
        "/authentication/api/v1/systemuser/request/vendor/bysystem/310247030_smartcloud",
        REQUEST,
    ),
    (
        "GET /authentication/api/v1/systemuser/request/vendor/agent/bysystem/{systemId}",
        "/authentication/api/v1/systemuser/request/vendor/agent/bysystem/310247030_agent",
        AGENT_REQUEST,
    ),
    (
        "GET /authentication/api/v1/systemuser/changerequest/vendor/bysystem/{systemId}",
        "/authentication/api/v1/systemuser/changerequest/vendor/bysystem/310247030_smartcloud",
        CHANGE_REQUEST,
    ),
    (
        "GET /authentication/api/v1/systemuser/vendor/bysystem/{systemId}",
        "/authentication/api/v1/systemuser/vendor/bysystem/310247030_smartcloud",
        SYSTEM_USER,
    ),
    (
        "GET /authentication/api/v1/systemuser/internal/systemusers/stream",
        "/authentication/api/v1/systemuser/internal/systemusers/stream",
        SYSTEM_USER,
    ),
    ("GET /portvakt/v1/events", "/portvakt/v1/events", EVENT),
    ("GET /portvakt/v1/audit", "/portvakt/v1/audit", CHANGE),
    (
        "GET /portvakt/v1/providers/{provider}/revocations",
        "/portvakt/v1/providers/regnskapsregisteret/revocations",
        REVOCATION,
    ),
    (
        "GET /portvakt/v1/providers/{provider}/gateway-decisions",
        "/portvakt/v1/providers/regnskapsregisteret/gateway-decisions",
        DECISION,
    ),
    ("GET /portvakt/v1/parties/{party}/audit", "/portvakt/v1/parties/50000001/audit", CHANGE),
    ("GET /portvakt/v1/parties/{party}/audit", "/portvakt/v1/parties/50000001/audit?kind=tested", CHANGE),
];

#[test]
fn every_list_in_pages_is_looked_at() {
    let document = openapi::document();
    let is_paged = |operation: &Value| {
        let parameters = operation["parameters"].as_array().unwrap();
        parameters.iter().any(|parameter| {
            parameter["in"] == "query" && ["token", "after"].iter().any(|name| parameter["name"] == *name)
        })
    };
    let paged: BTreeSet<_> =
        operations(&document).into_iter().filter(|(_, operation)| is_paged(operation)).map(|(name, _)| name).collect();
    let looked_at: BTreeSet<_> =
        LISTS.iter().map(|(operation, ..)| *operation).chain(ELSEWHERE).map(str::to_owned).collect();
    assert_eq!(paged, looked_at);
}

#[tokio::test]
async fn each_of_two_thousand_is_on_one_page_also_while_some_are_added() {
    for (position, (_, path, insert)) in LISTS.into_iter().enumerate() {
        let (test, _) = TestState::with_agent().await;
        test.post(story::REQUESTS, &test.vendor(), &story::request()).await.expect(201);
        test.approve().await;
        let internal = tokens::Maskinporten::new("310247006", "altinn:authentication/systemuser.admin").token(&test);
        let token = match position {
            0..=3 | 5 => test.vendor(),
            4 => internal,
            6..=8 => test.operator(),
            _ => test.administrator_of_hansen(),
        };
        let few = read(&test, path, &token, None).await;
        add(&test, insert, 0, ENTRIES, 1_000_000).await;
        let all = read(&test, path, &token, None).await;
        assert_eq!(all.len(), few.len() + 2000, "{path}");
        let meanwhile = read(&test, path, &token, Some(insert)).await;
        assert!(meanwhile.is_superset(&all), "{path}: {:?}", all.difference(&meanwhile).next());
    }
}

/// What is on all pages, each of it on one of them; perhaps with some more added every eighth page.
async fn read(test: &TestState, path: &str, token: &str, insert: Option<&'static str>) -> BTreeSet<String> {
    let (mut seen, mut next, mut pages) = (BTreeSet::new(), Some(path.to_owned()), 0);
    while let Some(page) = next {
        let page = test.get(&page, token).await.expect(200);
        let entries = page["data"].as_array().unwrap();
        for entry in entries {
            let id =
                ["id", "revision", "number"].map(|name| &entry[name]).into_iter().find(|id| !id.is_null()).unwrap();
            assert!(seen.insert(id.to_string()), "{path}: {id} twice, on page {pages}");
        }
        let link = page["links"]["next"].as_str().filter(|_| !entries.is_empty());
        next = link.map(|link| link.strip_prefix("http://portvakt.test").unwrap().to_owned());
        assert!(entries.len() <= 100, "{path}: {} entries on page {pages}", entries.len());
        pages += 1;
        if let Some(insert) = insert.filter(|_| pages % 8 == 0 && pages < 80) {
            // Some with ids below those that were shown, some above.
            add(test, insert, 10_000 + pages * 20, 20, 2_000_000).await;
        }
    }
    seen
}

/// Entries come by twos at one instant.
async fn add(test: &TestState, insert: &'static str, first: i64, count: i64, instant: i64) {
    let mut change = test.state.store.change().await.unwrap();
    for number in first..first + count {
        sqlx::query(insert)
            .bind(id(number))
            .bind(format!("ref {number}"))
            .bind(instant + number / 2)
            .execute(change.connection())
            .await
            .unwrap();
    }
    change.commit_derived().await.unwrap();
}

/// Ids whose order is not that of the instants.
fn id(number: i64) -> String {
    format!("{:08x}-0000-4000-8000-{number:012}", (number * 7919) % 4093)
}
