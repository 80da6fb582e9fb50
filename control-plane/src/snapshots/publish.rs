//! The publisher: makes the snapshot of each provider agree with the database, and shows it.
//!
//! A commit wakes it; a look at the revision every second repairs a missed wake-up, and finds what time alone makes
//! necessary. Whatever fails, the last published snapshot stands; what does not lie in what is stored is tried again.

use std::time::Duration;

use anyhow::Context as _;
use axum::body::Bytes;
use policies::Timestamp;
use policies::id::ProviderId;
use policies::snapshot::{self, CompileErrors, Document, Manifest, SnapshotError, SnapshotVersion};
use policies::token::PureRust;

use super::build::{self, Callers};
use super::publications::{Publications, PublishFailure, Published};
use super::store;
use crate::resources;
use crate::resources::model::UnreadablePolicy;
use crate::state::{AppState, Ids};
use crate::store::{Revision, Store};

const REPAIR: Duration = Duration::from_secs(1);
/// Longest wait between two tries; each failed one makes the wait longer by [`REPAIR`].
const RETRY_MAX: Duration = Duration::from_secs(5);

/// This database's epoch, drawn at its first start.
pub(crate) async fn restore_epoch(store: &Store, ids: &dyn Ids) -> anyhow::Result<u64> {
    let mut change = store.change().await?;
    if let Some(epoch) = store::epoch(change.connection()).await? {
        return Ok(epoch);
    }
    let mut bytes = [0; 8];
    ids.fill(&mut bytes)?;
    // 63 bits: the database's integers are signed.
    let epoch = u64::from_be_bytes(bytes) >> 1;
    store::insert_epoch(change.connection(), epoch).await?;
    change.commit_derived().await?;
    Ok(epoch)
}

/// Shows again what was published before the last stop. What gateways would no longer accept (expired, another key,
/// another format) is not shown; its version still counts.
pub(crate) async fn restore(state: &AppState) -> anyhow::Result<()> {
    let mut connection = state.store.read().await?;
    for stored in store::all(&mut connection).await? {
        let publications = &state.publications;
        publications.exceed(&stored.provider, stored.version.version);
        match accept(publications, stored.body, &stored.provider, None, state) {
            Ok(published) => publications.announce(published),
            Err(error) => tracing::warn!(
                provider = %stored.provider, snapshot.version = %stored.version,
                "the stored snapshot is not shown again: {error}"
            ),
        }
    }
    Ok(())
}

/// Publishes until the service stops.
pub(crate) async fn keep_published(state: AppState) {
    let mut revisions = state.store.revisions();
    let mut failed_builds: u32 = 0;
    loop {
        revisions.mark_unchanged();
        let built = match publish_all(&state).await {
            Ok(Built::All(revision)) => {
                failed_builds = 0;
                state.publications.finish_build(revision);
                Some(revision)
            }
            // Reported per provider.
            Ok(Built::Some) => {
                failed_builds = failed_builds.saturating_add(1);
                None
            }
            Err(error) => {
                if failed_builds == 0 {
                    tracing::error!("cannot build snapshots, the last published ones stand: {error:#}");
                }
                failed_builds = failed_builds.saturating_add(1);
                None
            }
        };
        let pause = (REPAIR * failed_builds.max(1)).min(RETRY_MAX);
        loop {
            tokio::select! {
                biased;
                () = state.stopped() => return,
                changed = revisions.changed() => if changed.is_ok() { break },
                () = state.publications.overtaken.notified() => break,
                () = tokio::time::sleep(pause) => if is_due(&state, built).await { break },
            }
        }
    }
}

/// What became of a build of all providers.
enum Built {
    /// Each provider's snapshot agrees with this revision, or cannot be made from what is stored in it.
    All(Revision),
    /// Some failed for a reason that may pass: the disk, the database, the clock.
    Some,
}

/// Whether there is something to do that nobody woke us for.
async fn is_due(state: &AppState, built: Option<Revision>) -> bool {
    let now = state.clock.now();
    if state.publications.current().iter().any(|published| published.is_past_half_life(now)) {
        return true;
    }
    // When the database cannot be read, building says so.
    built.is_none() || state.store.revision().await.ok() != built
}

/// Brings every provider's snapshot up to date.
async fn publish_all(state: &AppState) -> anyhow::Result<Built> {
    let now = state.clock.now();
    let mut documents = Vec::new();
    let callers = {
        let mut connection = state.store.read().await?;
        let callers = Callers::read(&mut connection, &state.issuers, now).await?;
        for provider in resources::store::providers(&mut connection).await? {
            let document = build::document(&mut connection, &provider, &callers).await;
            documents.push((provider, document));
        }
        callers
    };
    let mut is_whole = true;
    for (provider, document) in documents {
        let published = match document {
            Ok((document, unreadable)) => publish(state, document, callers.revision).await.map(|()| unreadable),
            Err(error) => Err(error.into()),
        };
        match published {
            Ok(unreadable) if unreadable.is_empty() => state.publications.forget_failure(&provider),
            Ok(unreadable) => report_unreadable(state, &provider, &unreadable),
            Err(error) => {
                is_whole &= is_in_what_is_stored(&error);
                report(state, &provider, &error);
            }
        }
    }
    Ok(if is_whole { Built::All(callers.revision) } else { Built::Some })
}

/// Publishes the document, unless the same is published already and need not be renewed.
async fn publish(state: &AppState, document: Document, revision: Revision) -> anyhow::Result<()> {
    let state = state.clone();
    let (state, sealed) = tokio::task::spawn_blocking(move || {
        let sealed = seal(&state, &document, revision);
        (state, sealed)
    })
    .await?;
    let Some(published) = sealed? else { return Ok(()) };
    let mut change = state.store.change().await?;
    store::replace(change.connection(), &published.manifest, &published.body).await?;
    change.commit_derived().await?;
    tracing::info!(
        provider = %published.manifest.provider,
        snapshot.version = %published.version(),
        snapshot.bytes = published.body.len(),
        "published a snapshot"
    );
    state.publications.announce(published);
    Ok(())
}

/// Compiles, signs and opens; `None` when there is nothing new to say.
fn seal(state: &AppState, document: &Document, revision: Revision) -> anyhow::Result<Option<Published>> {
    let now = state.clock.now();
    let publications = &state.publications;
    let image = snapshot::compile(document)?;
    let last_version = publications.last_version(&document.provider);
    let current = publications.follow(&document.provider).borrow().clone();
    let key = publications.signing_key();
    let manifest = Manifest::new(
        document.provider.clone(),
        SnapshotVersion { epoch: publications.epoch(), version: next_version(last_version, now) },
        current.as_ref().map_or(0, |current| current.version().version),
        revision.as_u64(),
        now,
        now.plus_seconds(state.settings.snapshot_validity_s),
        key.pinned().key_id(),
        &image,
    );
    if let Some(current) = &current
        && current.version().version == last_version
        && current.manifest.image_digest() == manifest.image_digest()
        && !current.is_past_half_life(now)
    {
        return Ok(None);
    }
    let body = snapshot::seal(&manifest, &key.sign(&manifest.signing_bytes()), &image);
    let current = current.as_ref().map(|current| &current.manifest);
    accept(publications, body, &document.provider, current, state)
        .map(Some)
        .context("a gateway would not accept the snapshot")
}

/// Above the last one, and at least the seconds since 1970: a database restored from an older copy does not know the
/// last versions, and must not give them to something else.
fn next_version(last_version: u64, now: Timestamp) -> u64 {
    last_version.saturating_add(1).max(u64::try_from(now.unix_seconds()).unwrap_or(0))
}

/// Opens a body as a gateway would.
fn accept(
    publications: &Publications,
    body: Vec<u8>,
    provider: &ProviderId,
    current: Option<&Manifest>,
    state: &AppState,
) -> anyhow::Result<Published> {
    let shown = Bytes::from(body.clone());
    let keys = [publications.signing_key().pinned().clone()];
    let policy = snapshot::open(body, &keys, provider, current, state.clock.now(), &PureRust)?;
    let manifest = policy.manifest().context("the snapshot has no manifest")?.clone();
    Ok(Published { manifest, body: shown })
}

/// Whether the same data would fail again, so that only a change can help.
fn is_in_what_is_stored(error: &anyhow::Error) -> bool {
    error.downcast_ref::<CompileErrors>().is_some()
        || matches!(error.downcast_ref::<SnapshotError>(), Some(SnapshotError::TooLarge))
        || matches!(error.downcast_ref::<sqlx::Error>(), Some(sqlx::Error::Decode(_)))
}

fn report_unreadable(state: &AppState, provider: &ProviderId, unreadable: &[UnreadablePolicy]) {
    let message = unreadable.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let failure = PublishFailure { code: "policy_unreadable".to_owned(), message, since: state.clock.now() };
    if state.publications.fail(provider, failure.clone()) {
        tracing::error!(provider = %provider, "refusing every call to some resources: {}", failure.message);
    }
}

fn report(state: &AppState, provider: &ProviderId, error: &anyhow::Error) {
    let code = if is_in_what_is_stored(error) { "snapshot_refused" } else { "build_failed" };
    let failure = PublishFailure { code: code.to_owned(), message: format!("{error:#}"), since: state.clock.now() };
    if state.publications.fail(provider, failure) {
        tracing::error!(provider = %provider, "published nothing, the last snapshot stands: {error:#}");
    }
}

#[cfg(test)]
mod tests {
    use policies::{ApiCall, Decision, DenialReason, authorize};

    use super::*;
    use crate::state::Clock as _;
    use crate::test_state::{Fetched, TestState, story, tokens};

    fn decide(test: &TestState, fetched: Fetched, token: &str) -> Decision {
        let policy = fetched.open(test);
        let authorization = format!("Bearer {token}");
        let headers = [
            (":method", "GET"),
            (":authority", "api.test"),
            (":path", "/vat/310247049/returns"),
            ("authorization", authorization.as_str()),
        ];
        let call = ApiCall::parse(headers.map(|(name, value)| (name, value.as_bytes()))).unwrap();
        authorize(&policy, &call, test.clock.now(), &PureRust)
    }

    #[tokio::test]
    async fn approval_permits_and_withdrawal_denies() {
        let test = TestState::with_request().await;
        let gateway = test.gateway().await;
        let before = test.fetch(&gateway, None).await;
        let id = test.request_id().await;
        let token = tokens::Maskinporten::vendor("310247030").system_user(&id, "310247049").token(&test);
        let Decision::Denial(denial) = decide(&test, before.clone(), &token) else {
            panic!("permitted before approval")
        };
        assert_eq!(denial.reason, DenialReason::SystemUserUnknown);

        test.approve().await;
        let approved = test.fetch(&gateway, Some(&before.etag)).await;
        assert_eq!(approved.version().version, before.version().version + 1);
        assert!(matches!(decide(&test, approved.clone(), &token), Decision::Permit(_)));

        let path = format!("{}/{id}", story::system_users_of_hansen());
        test.delete(&path, &test.administrator_of_hansen()).await.expect(202);
        let withdrawn = test.fetch(&gateway, Some(&approved.etag)).await;
        let Decision::Denial(denial) = decide(&test, withdrawn, &token) else { panic!("permitted after withdrawal") };
        assert_eq!(denial.reason, DenialReason::SystemUserWithdrawn);
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

    #[test]
    fn versions_grow_with_the_clock_and_never_stand_still() {
        let at = Timestamp::from_unix_seconds;
        assert_eq!(next_version(0, at(1_795_348_800)), 1_795_348_800);
        assert_eq!(next_version(1_795_348_800, at(1_795_348_800)), 1_795_348_801);
        assert_eq!(next_version(1_795_348_800, at(-1)), 1_795_348_801);
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
        test.restore_database(&copy);
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
            sqlx::query("UPDATE provider SET routes = ?").bind(routes).execute(change.connection()).await.unwrap();
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
        execute(
            &test,
            "CREATE TRIGGER disk_full BEFORE UPDATE ON snapshot BEGIN SELECT RAISE(ABORT, 'disk is full'); END",
        )
        .await;
        let mut built = test.state.publications.follow_built();
        built.mark_unchanged();
        let path = format!("{}/{id}", story::system_users_of_hansen());
        test.delete(&path, &test.administrator_of_hansen()).await.expect(202);
        while test.get("/readyz", "").await.expect(200)["publishFailures"] == serde_json::json!({}) {
            tokio::task::yield_now().await;
        }
        let ready = test.get("/readyz", "").await.expect(200);
        assert_eq!(ready["publishFailures"]["regnskapsregisteret"]["code"], "build_failed");
        assert!(!built.has_changed().unwrap());

        execute(&test, "DROP TRIGGER disk_full").await;
        let withdrawn = test.fetch(&gateway, Some(&approved.etag)).await;
        let token = tokens::Maskinporten::vendor("310247030").system_user(&id, "310247049").token(&test);
        let Decision::Denial(denial) = decide(&test, withdrawn, &token) else { panic!("permitted after withdrawal") };
        assert_eq!(denial.reason, DenialReason::SystemUserWithdrawn);
        assert_eq!(test.get("/readyz", "").await.expect(200)["publishFailures"], serde_json::json!({}));
    }
}
