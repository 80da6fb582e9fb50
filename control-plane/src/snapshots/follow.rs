//! Several control planes on one database: one has the lead and publishes ([`publish`]), the others show what it
//! published. Each commit elsewhere wakes them; a look every half second repairs a missed one.
//!
//! The lead saves work and nothing depends on it: whoever stores a publication checks that it follows the stored one.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;
use policies::id::ProviderId;

use super::line::Line;
use super::publish;
use super::signing_key::SigningKey;
use super::store;
use crate::state::{AppState, Ids};
use crate::store::{Lead, Store};

const LOOK: Duration = Duration::from_millis(500);

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

/// Fails when the other control planes on this database sign with another key: gateways would refuse half of what they
/// are given.
pub(crate) async fn check_signing_key(store: &Store, key: &SigningKey) -> anyhow::Result<()> {
    let mut change = store.change().await?;
    match store::setting(change.connection(), store::SIGNING_KEY).await? {
        Some(known) => {
            ensure!(
                known == key.public_pem(),
                "the other control planes on this database sign with another key: give this one the same file, or \
                 replace the key with `control-plane adopt-signing-key`"
            );
            Ok(())
        }
        None => {
            store::set(change.connection(), store::SIGNING_KEY, key.public_pem()).await?;
            Ok(change.commit_derived().await?)
        }
    }
}

/// From now on the control planes on this database sign with this key.
pub(crate) async fn adopt_signing_key(store: &Store, key: &SigningKey) -> anyhow::Result<()> {
    let mut change = store.change().await?;
    store::set(change.connection(), store::SIGNING_KEY, key.public_pem()).await?;
    Ok(change.commit_derived().await?)
}

/// Shows again what was published before the last stop. What gateways would no longer accept (expired, another key,
/// another format) is not shown; its version still counts.
pub(crate) async fn restore(state: &AppState) -> anyhow::Result<()> {
    let mut lines = BTreeMap::new();
    take_over(state, &mut lines).await?;
    state.publications.keep_restored(lines);
    Ok(())
}

/// Publishes, or shows what is published elsewhere, until the service stops.
pub(crate) async fn keep_published(state: AppState) {
    let mut lead = match state.store.lead() {
        Ok(lead) => lead,
        Err(error) => return tracing::error!("nothing is published: {error:#}"),
    };
    let mut lines = state.publications.take_restored();
    while follow(&state, &mut lead, &mut lines).await {
        state.publications.lead(true);
        publish::publish_while_leading(&state, &mut lead, &mut lines).await;
        state.publications.lead(false);
    }
    lead.give_back().await;
}

/// Shows what is published elsewhere, until this process has the lead; `false` when the service stops.
async fn follow(state: &AppState, lead: &mut Lead, lines: &mut BTreeMap<ProviderId, Line>) -> bool {
    let mut commits = state.store.commits();
    let mut has_failed = false;
    while !state.is_stopping() {
        commits.mark_unchanged();
        state.publications.beat();
        // First the lead, then the look: what another one published before it lost the lead is seen.
        let is_leading = lead.is_held().await;
        match look(state, lines, is_leading).await {
            Ok(()) if is_leading => return true,
            Ok(()) => has_failed = false,
            Err(error) => {
                if !has_failed {
                    tracing::error!("cannot read what is published, the last snapshots stand: {error:#}");
                }
                has_failed = true;
            }
        }
        tokio::select! {
            biased;
            () = state.stopped() => {}
            _ = commits.changed() => {}
            () = state.publications.overtaken.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    false
}

async fn look(state: &AppState, lines: &mut BTreeMap<ProviderId, Line>, is_leading: bool) -> anyhow::Result<()> {
    // Read first: what is published later than this was built is shown all the same.
    let built = store::built(&mut *state.store.read().await?).await?;
    take_over(state, lines).await?;
    if !is_leading {
        pass_claims_on(state).await?;
        if let Some(built) = built {
            state.publications.finish_build(built);
        }
    }
    Ok(())
}

/// Brings the lines up to what is stored, and shows what is new.
async fn take_over(state: &AppState, lines: &mut BTreeMap<ProviderId, Line>) -> anyhow::Result<()> {
    let mut connection = state.store.read().await?;
    for head in store::heads(&mut connection).await? {
        let known = lines.get_mut(&head.provider);
        if known.as_ref().is_some_and(|line| line.stored == Some(head.last)) {
            continue;
        }
        state.publications.exceed(&head.provider, head.last);
        if let Some(line) = known
            && let Some(last) = line.last_of_base(head.base)
        {
            let deltas = store::deltas_after(&mut connection, &head.provider, last).await?;
            if line.take_deltas(state, deltas).is_ok() {
                line.show(state);
                continue;
            }
        }
        let stored = store::find(&mut connection, &head.provider).await?;
        let line = restored(state, head.provider, stored).await?;
        line.show(state);
        lines.insert(line.provider().clone(), line);
    }
    Ok(())
}

/// The line that is stored; one that shows nothing when gateways would not accept it.
async fn restored(state: &AppState, provider: ProviderId, stored: store::Stored) -> anyhow::Result<Line> {
    let (gateway, last) = (state.clone(), stored.last);
    let opened = tokio::task::spawn_blocking(move || Line::restore(&gateway, stored)).await?;
    Ok(opened.unwrap_or_else(|error| {
        tracing::warn!(
            provider = %provider, snapshot.version = last,
            "the stored snapshot is not shown: {error}"
        );
        Line::unshown(provider, last)
    }))
}

/// Lets whoever publishes know of versions that gateways have and the database does not.
async fn pass_claims_on(state: &AppState) -> Result<(), sqlx::Error> {
    let claims = state.publications.take_claims();
    if claims.is_empty() {
        return Ok(());
    }
    let mut change = state.store.change().await?;
    for (provider, version) in claims {
        store::raise_floor(change.connection(), &provider, version).await?;
    }
    change.commit_derived().await
}

#[cfg(test)]
mod tests;
