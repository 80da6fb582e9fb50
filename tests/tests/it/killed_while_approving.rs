//! `kill -9` at random points of 200 approvals, on both databases: every approval is whole or absent, none that was
//! acknowledged is lost, and what is published is what is stored.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gateway_tests::stack::Storage;

use crate::without_gateway::{Callers, Scene, Seeded, on_postgres};

const APPROVALS: usize = 200;
/// Longest life, in milliseconds: some end before the first answer.
const LIFE_MS_MAX: u64 = 900;
/// The same in every run; the moments differ all the same, because machines do.
const SEED: u64 = 0x5eed_0000_0000_0200;
/// After this many kills it lives on.
const KILLS_MAX: usize = 6;
const PUBLISHED_WITHIN: Duration = Duration::from_secs(60);

async fn nothing_is_half_done_or_lost(storage: impl FnOnce(&tempfile::TempDir) -> Storage) {
    let mut scene = Scene::with_requests(APPROVALS, storage).await;
    let mut random = Seeded(SEED);
    let mut approved: BTreeSet<String> = BTreeSet::new();
    let mut kills = 0;
    while approved.len() < APPROVALS {
        let api = Callers::of(&scene.platform, &scene.platform.control_plane.base_url()).await.unwrap();
        let open: Vec<String> = scene.requests.iter().filter(|id| !approved.contains(*id)).cloned().collect();
        let life = (kills < KILLS_MAX).then(|| Duration::from_millis(random.below(LIFE_MS_MAX)));
        let (tried, acknowledged) = approve_while_it_lives(&mut scene, &api, &open, life).await;
        if life.is_some() {
            kills += 1;
            scene.platform.control_plane.restart().await.unwrap();
        }

        let api = Callers::of(&scene.platform, &scene.platform.control_plane.base_url()).await.unwrap();
        // What was approved in an earlier life is looked at again in the end; that nothing else was is seen by the number of
        // system users that are published.
        for (id, is_approved) in look_at(&scene, &api, open.get(..tried).unwrap_or_default()).await {
            assert!(is_approved || !acknowledged.contains(&id), "lost: {id} after {kills} kills");
            if is_approved {
                approved.insert(id);
            }
        }
        let keys = &scene.platform.snapshot_keys;
        api.until_published(keys, approved.len(), PUBLISHED_WITHIN).await.unwrap();
    }
    let api = Callers::of(&scene.platform, &scene.platform.control_plane.base_url()).await.unwrap();
    for (id, is_approved) in look_at(&scene, &api, &scene.requests).await {
        assert!(is_approved, "undone: {id}");
        assert!(api.is_enforced(&id).await.unwrap(), "{id} is approved and not enforced");
    }
    assert!(kills > 0, "all was approved before the first kill");
}

/// What the database says of these requests.
async fn look_at(scene: &Scene, api: &Callers, requests: &[String]) -> Vec<(String, bool)> {
    let next = AtomicUsize::new(0);
    let look = async || {
        let mut seen = Vec::new();
        while let Some(id) = requests.get(next.fetch_add(1, Ordering::SeqCst)) {
            seen.push((id.clone(), scene.is_approved(api, id).await.unwrap()));
        }
        seen
    };
    let (a, b, c, d) = tokio::join!(look(), look(), look(), look());
    [a, b, c, d].concat()
}

/// Approves, four at a time, until all is approved or the life ends with `kill -9`; gives how many were tried, and what was
/// acknowledged.
async fn approve_while_it_lives(
    scene: &mut Scene,
    api: &Callers,
    open: &[String],
    life: Option<Duration>,
) -> (usize, BTreeSet<String>) {
    let next = AtomicUsize::new(0);
    let work = async || {
        let mut acknowledged = Vec::new();
        while let Some(id) = open.get(next.fetch_add(1, Ordering::SeqCst)) {
            if !api.approve(id).await {
                break;
            }
            acknowledged.push(id.clone());
        }
        acknowledged
    };
    let workers = async {
        let (a, b, c, d) = tokio::join!(work(), work(), work(), work());
        [a, b, c, d].concat()
    };
    let kill = async {
        if let Some(life) = life {
            tokio::time::sleep(life).await;
            scene.platform.control_plane.kill().unwrap();
        }
    };
    let (acknowledged, ()) = tokio::join!(workers, kill);
    (next.load(Ordering::SeqCst).min(open.len()), acknowledged.into_iter().collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite() {
    nothing_is_half_done_or_lost(|_| Storage::File).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres_15() {
    nothing_is_half_done_or_lost(on_postgres).await;
}
