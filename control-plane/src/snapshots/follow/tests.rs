//! Several control planes on one database; on SQLite, where there is one, these end at once.

use policies::snapshot::SnapshotVersion;
use serde_json::json;

use super::*;
use crate::test_state::{Answer, TestState};

/// What a gateway gets from this control plane once it has something else than `known`.
async fn next(test: &TestState, gateway: &str, known: &str) -> Answer {
    let answer = test.poll(gateway, Some(known), "wait=60").await;
    assert_eq!(answer.status, 200, "{}", answer.json);
    answer
}

fn version(answer: &Answer) -> SnapshotVersion {
    answer.headers["etag"].trim_matches('"').parse().unwrap()
}

#[tokio::test]
async fn what_one_publishes_all_show() {
    let first = TestState::with_request().await;
    if !first.database.is_postgres() {
        return;
    }
    let gateway = first.gateway().await;
    let before = first.fetch(&gateway, None).await;
    let second = first.replica().await;
    assert_eq!(second.fetch(&gateway, None).await, before);
    let (held, _) = tokio::join!(next(&second, &gateway, &before.etag), second.approve());
    assert_eq!(version(&held).version, before.version().version + 1);
    assert_eq!(first.fetch(&gateway, None).await, second.fetch(&gateway, None).await);
    assert_eq!(second.get("/readyz", "").await.expect(200)["publishFailures"], json!({}));
}

#[tokio::test]
async fn another_one_publishes_when_the_first_stops() {
    let first = TestState::with_request().await;
    if !first.database.is_postgres() {
        return;
    }
    let gateway = first.gateway().await;
    let before = first.fetch(&gateway, None).await;
    let second = first.replica().await;
    first.stop();
    second.approve().await;
    let after = second.fetch(&gateway, Some(&before.etag)).await;
    assert_eq!(after.version().version, before.version().version + 1);
}

#[tokio::test]
async fn two_that_publish_give_no_version_to_two_things() {
    let first = TestState::with_request().await;
    if !first.database.is_postgres() {
        return;
    }
    let gateway = first.gateway().await;
    let before = first.fetch(&gateway, None).await;
    let second = first.replica().await;
    second.fetch(&gateway, None).await;
    // Both take themselves for the one that has the lead, as after a pause of one of them.
    let alone = tokio::spawn({
        let state = second.state.clone();
        async move {
            let mut lines = BTreeMap::new();
            take_over(&state, &mut lines).await.unwrap();
            let mut lead = Lead::of_the_only_one();
            publish::publish_while_leading(&state, &mut lead, &mut lines).await;
        }
    });
    let mut known = before.etag.clone();
    for seconds in 1..=5 {
        first.clock.advance_seconds(seconds * 50_000);
        first.touch().await;
        let renewed = next(&first, &gateway, &known).await;
        let shown = next(&second, &gateway, &known).await;
        if version(&shown) == version(&renewed) {
            assert_eq!(shown.bytes, renewed.bytes);
        }
        known = renewed.headers["etag"].clone();
    }
    second.stop();
    alone.await.unwrap();
    let mut connection = first.state.store.read().await.unwrap();
    let stored = store::find(&mut connection, &ProviderId::parse("regnskapsregisteret").unwrap()).await.unwrap();
    let opened = Line::restore(&first.state, stored).unwrap();
    assert!(opened.stored.unwrap() > before.version().version);
}

#[tokio::test]
async fn a_gateway_that_is_ahead_of_a_follower_may_know_more_than_it() {
    let first = TestState::with_request().await;
    if !first.database.is_postgres() {
        return;
    }
    let gateway = first.gateway().await;
    let before = first.fetch(&gateway, None).await;
    let second = first.replica().await;
    second.fetch(&gateway, None).await;
    first.approve().await;
    let approved = first.fetch(&gateway, Some(&before.etag)).await;
    // Known to the database: not a reason for anything.
    assert_eq!(second.poll(&gateway, Some(&approved.etag), "wait=0").await.status, 304);
    second.built().await;
    assert_eq!(second.fetch(&gateway, None).await, approved);
    // Unknown to the database: it was restored from an older copy.
    let ahead = SnapshotVersion { version: approved.version().version + 100, ..approved.version() };
    let answer = next(&second, &gateway, &format!("\"{ahead}\"")).await;
    assert_eq!(version(&answer), SnapshotVersion { version: ahead.version + 1, ..ahead });
}

#[tokio::test]
async fn all_sign_with_the_same_key() {
    let test = TestState::new().await;
    let folder = tempfile::tempdir().unwrap();
    let own = SigningKey::open(&test.database.folder().join("portvakt.key.pem"), &*test.state.ids).unwrap();
    let other = SigningKey::open(&folder.path().join("other.pem"), &*test.state.ids).unwrap();
    check_signing_key(&test.state.store, &own).await.unwrap();
    let refused = check_signing_key(&test.state.store, &other).await.unwrap_err();
    assert!(refused.to_string().contains("adopt-signing-key"), "{refused}");
    adopt_signing_key(&test.state.store, &other).await.unwrap();
    check_signing_key(&test.state.store, &other).await.unwrap();
    check_signing_key(&test.state.store, &own).await.unwrap_err();
}

#[tokio::test]
async fn the_lead_is_one_control_planes_until_it_gives_it_back() {
    let test = TestState::without_publisher().await;
    if !test.database.is_postgres() {
        assert!(test.state.store.lead().unwrap().is_held().await);
        return;
    }
    let mut first = test.state.store.lead().unwrap();
    let mut second = test.state.store.lead().unwrap();
    assert!(first.is_held().await && !second.is_held().await && first.is_held().await);
    first.give_back().await;
    assert!(second.is_held().await && !first.is_held().await);
    drop(second);
    while !first.is_held().await {
        tokio::task::yield_now().await;
    }
}
