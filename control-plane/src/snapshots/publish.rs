//! The publisher: makes what gateways have agree with the database, and shows it.
//!
//! A commit wakes it; a look at the revision every second repairs a missed wake-up, and finds what time alone makes
//! necessary. What system users have become goes out as a delta; where that cannot say it, a base is built beside
//! ([`build::base`]) while deltas go on. Whatever fails, the last published state stands; what does not lie in what is
//! stored is tried again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use policies::Timestamp;
use policies::id::{OrganizationNumber, ProviderId, SystemUserId};
use policies::snapshot::{CompileErrors, Document, SnapshotError, SnapshotSettings, SystemUserState};
use tokio::task::JoinHandle;

use super::build::{self, Base, Shared};
use super::callers::{self, SubUnits, SystemUserRow};
use super::line::{Line, NewBaseNeeded, Superseded};
use super::publications::PublishFailure;
use super::store;
use crate::resources;
use crate::resources::model::UnreadablePolicy;
use crate::state::AppState;
use crate::store::{Connection, Lead, Revision};

const REPAIR: Duration = Duration::from_secs(1);
/// Longest wait between two tries; each failed one makes the wait longer by [`REPAIR`].
const RETRY_MAX: Duration = Duration::from_secs(5);
/// Changed system users that are worth a new base.
const CHANGED_MAX: u32 = 20_000;
/// Time between two looks for withdrawals that are news no longer, in seconds.
const WITHDRAWALS_S: i64 = 3600;

/// Publishes until the service stops or another control plane has the lead.
pub(super) async fn publish_while_leading(state: &AppState, lead: &mut Lead, lines: &mut BTreeMap<ProviderId, Line>) {
    let mut revisions = state.store.revisions();
    let mut failed_builds: u32 = 0;
    let mut providers: BTreeMap<ProviderId, Provider> =
        std::mem::take(lines).into_values().map(Provider::of_line).collect();
    while lead.is_held().await {
        revisions.mark_unchanged();
        let published = publish_all(state, &mut providers).await;
        let outcome = match &published {
            Ok(Built::All(_)) => "done",
            Ok(Built::Building) => "waiting",
            Ok(Built::Superseded) => "superseded",
            Ok(Built::Some) | Err(_) => "failed",
        };
        state.metrics.job("publish", outcome);
        let built = match published {
            Ok(Built::All(revision)) => {
                failed_builds = 0;
                finish_build(state, revision).await;
                Some(revision)
            }
            Ok(Built::Building) => None,
            Ok(Built::Superseded) => break,
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
        state.publications.beat();
        let pause = (REPAIR * failed_builds.max(1)).min(RETRY_MAX);
        let is_stopping = loop {
            tokio::select! {
                biased;
                () = state.stopped() => break true,
                changed = revisions.changed() => if changed.is_ok() { break false },
                () = state.publications.overtaken.notified() => break false,
                () = tokio::time::sleep(pause) => {
                    state.publications.beat();
                    if !lead.is_held().await || is_due(state, built).await { break false }
                }
            }
        };
        if is_stopping {
            break;
        }
    }
    lines.extend(providers.into_iter().map(|(id, provider)| (id, provider.line)));
}

/// Says what is built, to the other control planes as well.
async fn finish_build(state: &AppState, revision: Revision) {
    let is_news = *state.publications.follow_built().borrow() != Some(revision);
    state.publications.finish_build(revision);
    if state.store.is_shared() && is_news {
        let said = async {
            let mut change = state.store.change().await?;
            store::set_built(change.connection(), revision).await?;
            change.commit_derived().await
        };
        if let Err(error) = said.await {
            tracing::warn!("cannot tell the other control planes what is built: {error}");
        }
    }
}

/// What became of a look at all providers.
enum Built {
    /// What each provider's gateways have agrees with this revision, or cannot be made from what is stored in it.
    All(Revision),
    /// Some wait for a base that is being built.
    Building,
    /// Some failed for a reason that may pass: the disk, the database, the clock.
    Some,
    /// Another control plane publishes.
    Superseded,
}

/// Whether there is something to do that nobody woke us for.
async fn is_due(state: &AppState, built: Option<Revision>) -> bool {
    let now = state.clock.now();
    if state.publications.current().iter().any(|published| published.is_past_half_life(now)) {
        return true;
    }
    // When the database cannot be read, building says so.
    built.is_none() || state.store.revision().await.ok() != built || is_overtaken(state).await.unwrap_or(true)
}

/// Whether gateways at other control planes were seen to have a later version than what is published.
async fn is_overtaken(state: &AppState) -> Result<bool, sqlx::Error> {
    if !state.store.is_shared() {
        return Ok(false);
    }
    let mut connection = state.store.read().await?;
    let mut floors = store::floors(&mut connection).await?;
    floors.retain(|(provider, version)| *version > state.publications.last_version(provider));
    for (provider, version) in &floors {
        state.publications.exceed(provider, *version);
    }
    Ok(!floors.is_empty())
}

/// A provider as the publisher keeps it.
struct Provider {
    line: Line,
    /// A base on its way.
    building: Option<JoinHandle<anyhow::Result<Base>>>,
    /// No base can be made of what is stored at this revision.
    unbuildable: Option<Revision>,
    withdrawals_seen_at: Timestamp,
}

impl Provider {
    fn new(provider: ProviderId) -> Self {
        Self::of_line(Line::new(provider)).1
    }

    fn of_line(line: Line) -> (ProviderId, Self) {
        let withdrawals_seen_at = Timestamp::from_unix_seconds(0);
        (line.provider().clone(), Self { line, building: None, unbuildable: None, withdrawals_seen_at })
    }
}

/// Brings what every provider's gateways have up to date.
async fn publish_all(state: &AppState, providers: &mut BTreeMap<ProviderId, Provider>) -> anyhow::Result<Built> {
    let mut outcome = Outcome::default();
    for (id, provider) in providers.iter_mut() {
        if let Err(error) = finish_base(state, provider).await {
            outcome.failed(state, id, &error);
        }
    }
    let _overtaken = is_overtaken(state).await?;
    let seen = see_all(state, providers).await?;
    let revision = seen.revision;
    for (id, seen) in seen.providers {
        let provider = providers.entry(id.clone()).or_insert_with(|| Provider::new(id.clone()));
        match seen {
            Err(error) => outcome.failed(state, &id, &error.into()),
            Ok(seen) => match publish(state, provider, &seen, revision).await {
                Err(error) => outcome.failed(state, &id, &error),
                Ok(Step::Building) => outcome.is_building = true,
                // Said when the building failed.
                Ok(Step::Unbuildable) => {}
                Ok(Step::Done) if seen.unreadable.is_empty() => state.publications.forget_failure(&id),
                Ok(Step::Done) => report_unreadable(state, &id, &seen.unreadable),
            },
        }
    }
    Ok(match outcome {
        Outcome { is_superseded: true, .. } => Built::Superseded,
        Outcome { may_pass: true, .. } => Built::Some,
        Outcome { is_building: true, .. } => Built::Building,
        Outcome { .. } => Built::All(revision),
    })
}

#[derive(Default)]
struct Outcome {
    is_building: bool,
    may_pass: bool,
    is_superseded: bool,
}

impl Outcome {
    fn failed(&mut self, state: &AppState, provider: &ProviderId, error: &anyhow::Error) {
        if error.is::<Superseded>() {
            self.is_superseded = true;
            return;
        }
        self.may_pass |= !is_in_what_is_stored(error);
        report(state, provider, error);
    }
}

/// Everything that is stored, seen at one instant.
struct SeenAll {
    revision: Revision,
    providers: Vec<(ProviderId, Result<Seen, sqlx::Error>)>,
}

/// What one provider's gateways should have.
struct Seen {
    document: Document,
    unreadable: Vec<UnreadablePolicy>,
    sub_units: Arc<SubUnits>,
    /// System users that may have changed; `None` when they are so many that a base is better.
    changed: Option<Vec<SystemUserRow>>,
}

async fn see_all(state: &AppState, providers: &mut BTreeMap<ProviderId, Provider>) -> Result<SeenAll, sqlx::Error> {
    let mut connection = state.store.read().await?;
    let shared = Shared::read(&mut connection, &state.issuers).await?;
    // Not earlier: whatever had ended when a change was stored has ended for whoever sees that change.
    let now = state.clock.now();
    let mut seen = Vec::new();
    for id in resources::store::providers(&mut connection).await? {
        let provider = see(&mut connection, &id, providers.get_mut(&id), &shared, now).await;
        seen.push((id, provider));
    }
    Ok(SeenAll { revision: shared.revision, providers: seen })
}

async fn see(
    connection: &mut Connection,
    id: &ProviderId,
    provider: Option<&mut Provider>,
    shared: &Shared,
    now: Timestamp,
) -> Result<Seen, sqlx::Error> {
    let (document, unreadable) = build::document(connection, id, shared, now).await?;
    let changed = match provider {
        Some(provider) => changed(connection, provider, &shared.sub_units, now).await?,
        None => None,
    };
    Ok(Seen { document, unreadable, sub_units: Arc::clone(&shared.sub_units), changed })
}

/// System users that may have changed since the last piece.
async fn changed(
    connection: &mut Connection,
    provider: &mut Provider,
    sub_units: &Arc<SubUnits>,
    now: Timestamp,
) -> Result<Option<Vec<SystemUserRow>>, sqlx::Error> {
    let Some(synced) = provider.line.synced else { return Ok(None) };
    let mut rows = callers::changed(connection, synced, CHANGED_MAX + 1).await?;
    let mut others = BTreeSet::new();
    if now.millis_since(provider.withdrawals_seen_at) >= WITHDRAWALS_S * 1000 {
        provider.withdrawals_seen_at = now;
        others.extend(provider.line.policy().read().withdrawn());
    }
    match &provider.line.sub_units {
        Some(known) if known == sub_units => {}
        Some(known) => {
            let mains = different(known, sub_units);
            others.extend(callers::acting_for(connection, &mains, CHANGED_MAX + 1).await?);
        }
        // After a restart: what the last piece was made with is not known.
        None => {
            let mains = sub_units.keys().copied().collect();
            others.extend(callers::acting_for(connection, &mains, CHANGED_MAX + 1).await?);
        }
    }
    rows.extend(callers::named(connection, &others).await?);
    Ok((rows.len() <= CHANGED_MAX as usize).then_some(rows))
}

/// Main units whose sub units are not the same.
fn different(left: &SubUnits, right: &SubUnits) -> BTreeSet<OrganizationNumber> {
    left.keys().chain(right.keys()).filter(|main| left.get(main) != right.get(main)).copied().collect()
}

enum Step {
    Done,
    Building,
    Unbuildable,
}

/// Publishes what is seen, or has a base built that does.
async fn publish(state: &AppState, provider: &mut Provider, seen: &Seen, revision: Revision) -> anyhow::Result<Step> {
    let known = provider.line.settings.as_ref().filter(|settings| *settings.document() == seen.document).cloned();
    let settings = match known {
        Some(known) => known,
        None => match SnapshotSettings::new(seen.document.clone()) {
            Ok(settings) => Arc::new(settings),
            Err(error) => {
                publish_with_last_settings(state, provider, seen, revision).await?;
                return Err(error.into());
            }
        },
    };
    let Some(rows) = seen.changed.as_ref().filter(|_| !provider.line.needs_base(state)) else {
        publish_without_system_users(state, provider, &settings).await?;
        return Ok(have_base_built(state, provider, revision));
    };
    let states = states(rows, &settings, &seen.sub_units, state.clock.now())?;
    match provider.line.publish_delta(state, &settings, &states, revision).await? {
        Ok(()) => {
            provider.line.synced = Some(revision);
            provider.line.sub_units = Some(Arc::clone(&seen.sub_units));
            if provider.line.is_long() {
                // What gateways have is right; the base only saves them work.
                have_base_built(state, provider, revision);
            }
            Ok(Step::Done)
        }
        Err(NewBaseNeeded) => {
            publish_with_last_settings(state, provider, seen, revision).await?;
            Ok(have_base_built(state, provider, revision))
        }
    }
}

/// So many system users have changed that they wait for a base: what systems have become does not. That a system has
/// ended, or another client, is enforced at once.
async fn publish_without_system_users(
    state: &AppState,
    provider: &mut Provider,
    settings: &Arc<SnapshotSettings>,
) -> anyhow::Result<()> {
    // The delta says the revision up to which system users are known: after a restart the others are looked at again.
    if let Some(synced) = provider.line.synced.filter(|_| !provider.line.needs_base(state)) {
        let _needs_base = provider.line.publish_delta(state, settings, &BTreeMap::new(), synced).await?;
    }
    Ok(())
}

/// While the rest has to wait, system users change: what is withdrawn does not wait.
async fn publish_with_last_settings(
    state: &AppState,
    provider: &mut Provider,
    seen: &Seen,
    revision: Revision,
) -> anyhow::Result<()> {
    let (Some(settings), Some(rows)) = (provider.line.settings.clone(), &seen.changed) else { return Ok(()) };
    let states = states(rows, &settings, &seen.sub_units, state.clock.now())?;
    // Systems that are new with them are not in the last settings; those system users wait.
    let known = |state: &SystemUserState| match state {
        SystemUserState::Active(user) => settings.document().systems.iter().any(|system| system.id == user.system),
        SystemUserState::Withdrawn | SystemUserState::Unknown => true,
    };
    let states = states.into_iter().filter(|(_, state)| known(state)).collect();
    // A base that is needed in any case takes the rest.
    let _needs_base = provider.line.publish_delta(state, &settings, &states, revision).await?;
    Ok(())
}

fn states(
    rows: &[SystemUserRow],
    settings: &SnapshotSettings,
    sub_units: &SubUnits,
    now: Timestamp,
) -> Result<BTreeMap<SystemUserId, SystemUserState>, sqlx::Error> {
    rows.iter().map(|row| Ok((row.id()?, callers::state(row, settings, sub_units, now)?))).collect()
}

/// Begins to build a base, unless one is being built or cannot be.
fn have_base_built(state: &AppState, provider: &mut Provider, revision: Revision) -> Step {
    if provider.unbuildable == Some(revision) {
        return Step::Unbuildable;
    }
    if provider.building.is_none() {
        let (state, id) = (state.clone(), provider.line.provider().clone());
        provider.building = Some(tokio::spawn(async move {
            let begun = tokio::time::Instant::now();
            let base = build::base(&state, &id, state.clock.now()).await;
            state.metrics.built(&id, begun.elapsed());
            state.publications.overtaken.notify_one();
            base
        }));
    }
    Step::Building
}

/// Publishes a base that is ready, with what has become of system users since it was read.
async fn finish_base(state: &AppState, provider: &mut Provider) -> anyhow::Result<()> {
    let Some(building) = provider.building.take_if(|building| building.is_finished()) else { return Ok(()) };
    let published = async {
        let base = building.await??;
        let mut connection = state.store.read().await?;
        let revision = crate::store::revision(&mut connection).await?;
        let rows = callers::changed(&mut connection, base.revision, u32::MAX).await?;
        drop(connection);
        let states = states(&rows, &base.settings, &base.sub_units, state.clock.now())?;
        provider.line.publish_base(state, base, &states, revision).await
    };
    match published.await {
        Ok(()) => {
            provider.unbuildable = None;
            Ok(())
        }
        Err(error) => {
            if is_in_what_is_stored(&error) {
                provider.unbuildable = state.store.revision().await.ok();
            }
            Err(error)
        }
    }
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
mod tests;
