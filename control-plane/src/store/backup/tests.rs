//! Copies are whole, private, and lead on to what gateways accept.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use super::*;
use crate::store::{Store, copying};
use crate::test_state::{TestDatabase, TestState, story};

#[tokio::test]
async fn a_copy_made_while_it_runs_is_restored_and_goes_on() {
    let test = TestState::with_request().await;
    let gateway = test.gateway().await;
    test.approve().await;
    let before = test.fetch(&gateway, None).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy");
    backup(test.database.location(), &file).await.unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(backup(test.database.location(), &file).await.unwrap_err().to_string().contains("is there already"));
    let last = test.state.store.revision().await.unwrap();

    // What comes after the copy is lost with the database.
    test.clock.advance_seconds(10);
    test.put(story::ROUTES, &test.resource_owner(), &json!({ "routes": [] })).await.expect(200);
    let lost = test.fetch(&gateway, Some(&before.etag)).await;

    let database = TestDatabase::new().await;
    assert_eq!(restore(database.location(), &file).await.unwrap(), last);
    let again = restore(database.location(), &file).await.unwrap_err().to_string();
    assert!(again.contains("there"), "{again}");
    let test = test.on(database).await;
    assert_eq!(test.fetch(&gateway, None).await, before);
    test.clock.advance_seconds(10);
    test.put(story::ROUTES, &test.resource_owner(), &json!({ "routes": [] })).await.expect(200);
    let next = test.fetch(&gateway, Some(&before.etag)).await;
    assert!(next.version() > lost.version(), "{} {}", next.etag, lost.etag);
}

#[tokio::test]
async fn a_copy_made_under_load_is_of_one_instant() {
    let test = TestState::with_system().await;
    let before = test.state.store.revision().await.unwrap().as_i64();
    let asking = tokio::spawn({
        let test = test.clone();
        async move {
            for number in 0..100 {
                let mut body = story::request();
                body["externalRef"] = json!(format!("{number}"));
                test.post(story::REQUESTS, &test.vendor(), &body).await.expect(201);
            }
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let mut asked_in_copies = Vec::new();
    for number in 0..3 {
        let file = folder.path().join(format!("copy{number}"));
        backup(test.database.location(), &file).await.unwrap();
        let database = TestDatabase::new().await;
        let last = restore(database.location(), &file).await.unwrap().as_i64();
        let store = Store::open(database.location()).await.unwrap();
        let count = "SELECT count(*) FROM system_user_request";
        let asked: i64 = sqlx::query_scalar(count).fetch_one(&mut *store.read().await.unwrap()).await.unwrap();
        // Each request is one change.
        assert_eq!(asked, last - before);
        asked_in_copies.push(asked);
    }
    asking.await.unwrap();
    assert!(asked_in_copies.is_sorted(), "{asked_in_copies:?}");
}

#[tokio::test]
async fn what_is_no_copy_is_refused_and_leaves_nothing() {
    let database = TestDatabase::new().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy");
    assert!(restore(database.location(), &file).await.unwrap_err().to_string().contains("no copy"));
    std::fs::write(&file, "no database").unwrap();
    restore(database.location(), &file).await.unwrap_err();
    let store = Store::open(database.location()).await.unwrap();
    assert_eq!(store.revision().await.unwrap(), Revision::from_u64(0));
}

#[test]
fn passwords_are_no_arguments() {
    for url in
        ["postgres://u:p%40ss%3D&+@h/d?sslmode=disable", "postgres:///d?host=/run&user=u&password=p%40ss%3D%26%2B"]
    {
        let command = client("pg_dump", &Url::parse(url).unwrap()).unwrap();
        let command = command.as_std();
        assert!(command.get_args().all(|argument| !argument.to_string_lossy().contains("ss=")), "{command:?}");
        assert!(command.get_args().all(|argument| !argument.to_string_lossy().contains("%40")), "{command:?}");
        let password = command.get_envs().find(|(name, _)| *name == "PGPASSWORD").unwrap();
        assert_eq!(password.1.unwrap(), "p@ss=&+");
    }
}

#[tokio::test]
async fn a_sqlite_database_moves_to_postgresql_with_all_that_is_in_it() {
    let to = TestDatabase::new().await;
    if !to.is_postgres() {
        let refused = copying::copy(Path::new("/nowhere"), to.location()).await.unwrap_err();
        assert!(refused.to_string().contains("PostgreSQL"), "{refused}");
        return;
    }
    let test = TestState::with_request_on_sqlite().await;
    let gateway = test.gateway().await;
    test.approve().await;
    let before = test.fetch(&gateway, None).await;
    let Database::File(file) = test.database.location().clone() else { panic!("no file") };
    let running = Store::claim(test.database.location()).unwrap();
    assert!(copying::copy(&file, to.location()).await.unwrap_err().to_string().contains("another control plane"));
    drop(running);
    let last = test.state.store.revision().await.unwrap();
    test.stop();
    assert_eq!(copying::copy(&file, to.location()).await.unwrap(), last);
    assert!(copying::copy(&file, to.location()).await.unwrap_err().to_string().contains("something in"));

    let moved = test.on(to).await;
    assert_eq!(moved.fetch(&gateway, None).await, before);
    let id = moved.request_id().await;
    let path = format!("{}/{id}", story::system_users_of_hansen());
    moved.delete(&path, &moved.administrator_of_hansen()).await.expect(202);
    let after = moved.fetch(&gateway, Some(&before.etag)).await;
    assert_eq!(after.version().version, before.version().version + 1);
}
