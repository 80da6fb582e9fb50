//! What gateways are given after each change, and what they are given when something fails.

use policies::snapshot::SnapshotVersion;
use policies::{Decision, DenialReason};

use crate::state::Clock as _;
use crate::test_state::{Fetched, TestState, story, tokens};

#[tokio::test]
async fn approval_permits_and_withdrawal_denies() {
    let test = TestState::with_request().await;
    let gateway = test.gateway().await;
    let before = test.fetch(&gateway, None).await;
    let id = test.request_id().await;
    let token = tokens::Maskinporten::vendor("310247030").system_user(&id, "310247049").token(&test);
    let Decision::Denial(denial) = before.clone().decide(&test, &token) else { panic!("permitted before approval") };
    assert_eq!(denial.reason, DenialReason::SystemUserUnknown);

    test.approve().await;
    let approved = test.fetch(&gateway, Some(&before.etag)).await;
    assert_eq!(approved.version().version, before.version().version + 1);
    assert!(matches!(approved.clone().decide(&test, &token), Decision::Permit(_)));

    let path = format!("{}/{id}", story::system_users_of_hansen());
    test.delete(&path, &test.administrator_of_hansen()).await.expect(202);
    let withdrawn = test.fetch(&gateway, Some(&approved.etag)).await;
    let Decision::Denial(denial) = withdrawn.decide(&test, &token) else { panic!("permitted after withdrawal") };
    assert_eq!(denial.reason, DenialReason::SystemUserWithdrawn);
}

fn refused(test: &TestState, fetched: Fetched, token: &str) -> Option<DenialReason> {
    match fetched.decide(test, token) {
        Decision::Permit(_) => None,
        Decision::Denial(denial) => Some(denial.reason),
    }
}

#[tokio::test]
async fn a_deleted_systems_system_users_are_refused_with_the_revision_of_the_deletion() {
    let test = TestState::with_request().await;
    let gateway = test.gateway().await;
    let id = test.approve().await;
    let token = tokens::Maskinporten::vendor("310247030").system_user(&id, "310247049").token(&test);
    let approved = test.fetch(&gateway, None).await;
    assert_eq!(refused(&test, approved.clone(), &token), None);

    let before = test.state.store.revision().await.unwrap().as_u64();
    test.delete(&format!("{}/310247030_smartcloud", story::SYSTEMS), &test.vendor()).await.expect(200);
    let deleted = test.fetch(&gateway, Some(&approved.etag)).await;
    assert_eq!(deleted.version().version, approved.version().version + 1);
    assert_eq!(deleted.clone().open(&test).manifest().unwrap().revision, before + 1);
    assert_eq!(refused(&test, deleted, &token), Some(DenialReason::SystemUserWithdrawn));

    // The client id is free: with another system it does not bring the system users back.
    let mut other = story::system();
    other["id"] = serde_json::json!("310247030_other");
    test.post(story::SYSTEMS, &test.vendor(), &other).await.expect(200);
    test.built().await;
    assert_eq!(refused(&test, test.fetch(&gateway, None).await, &token), Some(DenialReason::SystemUserWithdrawn));
}

#[tokio::test]
async fn a_systems_other_client_ids_are_in_the_next_delta() {
    let test = TestState::with_request().await;
    let gateway = test.gateway().await;
    let id = test.approve().await;
    let token = tokens::Maskinporten::vendor("310247030").system_user(&id, "310247049").token(&test);
    let path = format!("{}/310247030_smartcloud", story::SYSTEMS);
    let with_clients = async |clients: serde_json::Value| {
        let known = test.fetch(&gateway, None).await;
        let mut system = story::system();
        system["clientId"] = clients;
        test.put(&path, &test.vendor(), &system).await.expect(200);
        test.fetch(&gateway, Some(&known.etag)).await
    };
    let without = with_clients(serde_json::json!(["other"])).await;
    assert_eq!(refused(&test, without, &token), Some(DenialReason::ClientMismatch));
    let with = with_clients(serde_json::json!(["other", story::CLIENT_ID.to_uppercase()])).await;
    assert_eq!(refused(&test, with, &token), None);
}

#[tokio::test]
async fn what_a_system_may_no_longer_ask_for_its_system_users_keep() {
    let test = TestState::with_request().await;
    let gateway = test.gateway().await;
    let id = test.approve().await;
    let token = tokens::Maskinporten::vendor("310247030").system_user(&id, "310247049").token(&test);
    let path = format!("{}/310247030_smartcloud", story::SYSTEMS);
    test.put(&format!("{path}/rights"), &test.vendor(), &serde_json::json!([])).await.expect(200);
    assert_eq!(refused(&test, test.fetch(&gateway, None).await, &token), None);
}

#[tokio::test]
async fn what_changes_no_image_publishes_nothing() {
    let test = TestState::with_request().await;
    let gateway = test.gateway().await;
    let before = test.fetch(&gateway, None).await;
    let path = format!("{}/reject", story::request_of_hansen(&test.request_id().await));
    test.send("POST", &path, &test.administrator_of_hansen(), None).await.expect(200);
    test.built().await;
    assert_eq!(test.fetch(&gateway, None).await.etag, before.etag);
}

#[tokio::test]
async fn a_snapshot_is_renewed_at_half_its_life_and_not_before() {
    let test = TestState::with_request().await;
    let gateway = test.gateway().await;
    let before = test.fetch(&gateway, None).await;
    test.clock.advance_seconds(43_199);
    test.touch().await;
    assert_eq!(test.fetch(&gateway, None).await.etag, before.etag);
    test.clock.advance_seconds(1);
    test.touch().await;
    let renewed = test.fetch(&gateway, None).await;
    assert!(renewed.version() > before.version());
    assert_eq!(renewed.version().version, test.clock.now().unix_seconds().unsigned_abs());
}

#[tokio::test]
async fn versions_go_on_after_a_restart() {
    let test = TestState::with_request().await;
    let gateway = test.gateway().await;
    let before = test.fetch(&gateway, None).await;
    let test = test.restarted().await;
    assert_eq!(test.fetch(&gateway, None).await, before);
    test.approve().await;
    let after = test.fetch(&gateway, Some(&before.etag)).await;
    assert_eq!(after.version(), SnapshotVersion { version: before.version().version + 1, ..before.version() });
}

#[tokio::test]
async fn an_expired_snapshot_is_not_shown_after_a_restart_and_its_version_counts() {
    let test = TestState::with_request().await;
    let gateway = test.gateway().await;
    let before = test.fetch(&gateway, None).await;
    test.clock.advance_seconds(86_400);
    let test = test.restarted().await;
    let after = test.fetch(&gateway, Some(&before.etag)).await;
    assert!(after.version() > before.version());
}

#[tokio::test]
async fn after_a_restore_versions_go_on_from_what_gateways_have() {
    let test = TestState::with_request().await;
    let gateway = test.gateway().await;
    let before = test.fetch(&gateway, None).await.version();
    let ahead = SnapshotVersion { version: before.version + 100, ..before };
    let after = test.fetch(&gateway, Some(&format!("\"{ahead}\""))).await;
    assert_eq!(after.version(), SnapshotVersion { version: ahead.version + 1, ..before });
    let other_epoch = SnapshotVersion { epoch: before.epoch + 1, version: 1_000 };
    assert_eq!(test.fetch(&gateway, Some(&format!("\"{other_epoch}\""))).await, test.fetch(&gateway, None).await);
}

#[tokio::test]
async fn a_restored_copy_gives_no_version_to_something_else() {
    let test = TestState::with_request().await;
    let gateway = test.gateway().await;
    let copied = test.fetch(&gateway, None).await;
    let copy = test.copy_of_database().await;
    let test = test.restarted().await;
    test.clock.advance_seconds(10);
    test.approve().await;
    let lost = test.fetch(&gateway, Some(&copied.etag)).await;

    test.copy_of_database().await;
    test.restore_database(&copy).await;
    test.clock.advance_seconds(10);
    let test = test.restarted().await;
    assert_eq!(test.fetch(&gateway, None).await, copied);
    test.put(story::ROUTES, &test.resource_owner(), &serde_json::json!({ "routes": [] })).await.expect(200);
    let next = test.fetch(&gateway, Some(&copied.etag)).await;
    assert!(next.version() > lost.version(), "{} {}", next.etag, lost.etag);
}

#[tokio::test]
async fn what_gateways_would_refuse_is_not_published_and_shown_to_operators() {
    let test = TestState::with_request().await;
    let gateway = test.gateway().await;
    let before = test.fetch(&gateway, None).await;
    let set_routes = async |routes: &str| {
        let mut change = test.state.store.change().await.unwrap();
        sqlx::query("UPDATE provider SET routes = $1").bind(routes).execute(change.connection()).await.unwrap();
        change.commit(test.clock.now(), "tested", serde_json::json!({})).await.unwrap();
        test.built().await;
    };
    let mut broken = story::routes();
    broken["routes"][0]["resource"] = serde_json::json!("unknown");
    set_routes(&broken["routes"].to_string()).await;
    let ready = test.get("/readyz", "").await.expect(200);
    assert_eq!(ready["publishFailures"]["regnskapsregisteret"]["code"], "snapshot_refused");
    assert_eq!(test.fetch(&gateway, None).await, before);

    set_routes("[{}]").await;
    let ready = test.get("/readyz", "").await.expect(200);
    assert_eq!(ready["publishFailures"]["regnskapsregisteret"]["code"], "snapshot_refused");

    set_routes("[]").await;
    let ready = test.get("/readyz", "").await.expect(200);
    assert_eq!(ready["publishFailures"], serde_json::json!({}));
    assert!(test.fetch(&gateway, None).await.version() > before.version());
}

/// Runs a statement that no slice has.
async fn execute(test: &TestState, sql: &'static str) {
    let mut change = test.state.store.change().await.unwrap();
    sqlx::query(sql).execute(change.connection()).await.unwrap();
    change.commit_derived().await.unwrap();
}

#[tokio::test]
async fn a_withdrawal_that_could_not_be_written_is_published_without_another_change() {
    let test = TestState::with_request().await;
    let gateway = test.gateway().await;
    let id = test.approve().await;
    let approved = test.fetch(&gateway, None).await;
    let (fill, clear) = if test.database.is_postgres() {
        (
            "ALTER TABLE snapshot_delta ADD CONSTRAINT disk_full CHECK (false) NOT VALID",
            "ALTER TABLE snapshot_delta DROP CONSTRAINT disk_full",
        )
    } else {
        (
            "CREATE TRIGGER disk_full BEFORE INSERT ON snapshot_delta BEGIN SELECT RAISE(ABORT, 'disk is full'); END",
            "DROP TRIGGER disk_full",
        )
    };
    execute(&test, fill).await;
    let built = test.state.publications.follow_built();
    let path = format!("{}/{id}", story::system_users_of_hansen());
    test.delete(&path, &test.administrator_of_hansen()).await.expect(202);
    while test.get("/readyz", "").await.expect(200)["publishFailures"] == serde_json::json!({}) {
        tokio::task::yield_now().await;
    }
    let ready = test.get("/readyz", "").await.expect(200);
    assert_eq!(ready["publishFailures"]["regnskapsregisteret"]["code"], "build_failed");
    let withdrawn_at = test.state.store.revision().await.unwrap();
    assert!(*built.borrow() < Some(withdrawn_at));

    execute(&test, clear).await;
    let withdrawn = test.fetch(&gateway, Some(&approved.etag)).await;
    let token = tokens::Maskinporten::vendor("310247030").system_user(&id, "310247049").token(&test);
    let Decision::Denial(denial) = withdrawn.decide(&test, &token) else { panic!("permitted after withdrawal") };
    assert_eq!(denial.reason, DenialReason::SystemUserWithdrawn);
    assert_eq!(test.get("/readyz", "").await.expect(200)["publishFailures"], serde_json::json!({}));
}

#[tokio::test]
async fn a_system_with_more_system_users_than_a_delta_takes_ends_for_all_of_them() {
    let test = TestState::with_request().await;
    test.approve().await;
    let gateway = test.gateway().await;
    let mut change = test.state.store.change().await.unwrap();
    for statement in [
        "WITH RECURSIVE counted (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM counted WHERE number < 20001) \
         INSERT INTO systemuser (id, kind, system, owner, external_ref, integration_title, created_at) \
         SELECT '00000000-0000-4000-9000-' || substr(CAST(1000000000000 + number AS TEXT), 2), 'standard', \
                '310247030_smartcloud', '310247049', 'ref ' || number, 'x', 0 FROM counted",
        "INSERT INTO delegated_right (systemuser, party, position, resource, action) \
         SELECT id, owner, 0, 'vat', NULL FROM systemuser WHERE created_at = 0",
    ] {
        sqlx::query(statement).execute(change.connection()).await.unwrap();
    }
    change.commit(test.clock.now(), "tested", serde_json::json!({})).await.unwrap();
    let last = "00000000-0000-4000-9000-000000020001";
    let token = tokens::Maskinporten::vendor("310247030").system_user(last, "310247049").token(&test);
    let before = test.fetch(&gateway, None).await;
    assert_eq!(refused(&test, before.clone(), &token), None);

    test.delete(&format!("{}/310247030_smartcloud", story::SYSTEMS), &test.vendor()).await.expect(200);
    let after = test.fetch(&gateway, Some(&before.etag)).await;
    // Its client ids are gone at once; that it is withdrawn follows in steps.
    assert_eq!(refused(&test, after, &token), Some(DenialReason::ClientMismatch));
    while crate::systems::end::step(&test.state).await.unwrap() {}
    test.built().await;
    let after = test.fetch(&gateway, None).await;
    assert_eq!(refused(&test, after, &token), Some(DenialReason::SystemUserWithdrawn));
}
