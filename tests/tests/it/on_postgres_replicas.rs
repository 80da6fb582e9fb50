//! Two control planes on one PostgreSQL database; the one that publishes is killed under load. No acknowledged approval
//! is lost, and a gateway that turns to the other one has what is approved there within two seconds.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gateway_tests::stack::ControlPlane;

use crate::without_gateway::{Callers, Scene, on_postgres};

const APPROVALS: usize = 120;
/// The first one is killed after this many.
const KILL_AFTER: usize = 40;
const FOLLOWED_WITHIN: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_is_killed_and_gateways_follow_the_other() {
    let mut storage = None;
    let mut scene = Scene::with_requests(APPROVALS, |folder| storage.insert(on_postgres(folder)).clone()).await;
    let other_folder = scene.folder.path().join("other");
    std::fs::create_dir(&other_folder).unwrap();
    let program = &scene.platform.programs.control_plane;
    let standin = &scene.platform.standin;
    let other = ControlPlane::start(program, &other_folder, 0, standin, storage.unwrap()).await.unwrap();
    let keys = scene.platform.snapshot_keys.clone();
    assert_eq!(other.snapshot_keys().await.unwrap(), keys);
    let here = Callers::of(&scene.platform, &scene.platform.control_plane.base_url()).await.unwrap();
    let there = Callers::of(&scene.platform, &other.base_url()).await.unwrap();
    // Both serve what the first one has published.
    here.until_published(&keys, 0, Duration::from_secs(10)).await.unwrap();

    let requests = scene.requests.clone();
    let (next, acknowledged) = (AtomicUsize::new(0), Mutex::new(BTreeSet::new()));
    let take = || requests.get(next.fetch_add(1, Ordering::SeqCst));
    let at_first = async {
        while let Some(id) = take() {
            if !here.approve(id).await {
                break;
            }
            acknowledged.lock().unwrap().insert(id.clone());
        }
    };
    let killed_at = Mutex::new(None);
    let at_other = async {
        let mut follow = None;
        while let Some(id) = take() {
            if there.approve(id).await {
                acknowledged.lock().unwrap().insert(id.clone());
            }
            let killed_at: Option<Instant> = *killed_at.lock().unwrap();
            if let (Some(killed_at), None) = (killed_at, follow) {
                // What a gateway sees that asks the other one from now on.
                while !there.is_enforced(id).await.unwrap() {
                    assert!(killed_at.elapsed() < FOLLOWED_WITHIN * 5, "{}", other.log_tail());
                    tokio::task::yield_now().await;
                }
                follow = Some(killed_at.elapsed());
            }
        }
        follow
    };
    let control_plane = &mut scene.platform.control_plane;
    let kill = async {
        while acknowledged.lock().unwrap().len() < KILL_AFTER {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        control_plane.kill().unwrap();
        *killed_at.lock().unwrap() = Some(Instant::now());
    };
    let ((), follow, ()) = tokio::join!(at_first, at_other, kill);
    let follow = follow.expect("nothing was approved after the kill");
    assert!(follow < FOLLOWED_WITHIN, "the gateway followed after {follow:?}");

    let mut approved = 0;
    for id in &requests {
        let is_approved = scene.is_approved(&there, id).await.unwrap();
        assert!(is_approved || !acknowledged.lock().unwrap().contains(id), "lost: {id}");
        approved += usize::from(is_approved);
    }
    assert!(approved >= APPROVALS - 1, "{approved} of {APPROVALS}");
    there.until_published(&keys, approved, FOLLOWED_WITHIN).await.unwrap();

    // Started again it follows: it shows what the other one published.
    scene.platform.control_plane.restart().await.unwrap();
    let here = Callers::of(&scene.platform, &scene.platform.control_plane.base_url()).await.unwrap();
    here.until_published(&keys, approved, Duration::from_secs(10)).await.unwrap();
    eprintln!("a gateway followed {} ms after the kill", follow.as_millis());
}
