//! Several workers of one gateway, a control plane and the board, step by step. Signatures are checked elsewhere.

use std::collections::BTreeMap;
use std::sync::Mutex;

use policies::snapshot::{Document, Manifest, SnapshotSettings, SystemUserState, compile, seal};
use policies::token::{SignatureError, VerificationKey};
use uuid::Uuid;

use super::*;
use crate::feed::shared::tests::MemoryShared;

/// Takes every signature for good.
struct AnySignature;

impl VerifySignature for AnySignature {
    fn verify(&self, _: &VerificationKey, _: &[u8], _: &[u8]) -> Result<(), SignatureError> {
        Ok(())
    }
}

fn config() -> Config {
    Config::parse(crate::config::tests::valid().to_string().as_bytes()).unwrap()
}

/// The control plane: a base, deltas, and how often it gave some of it.
struct ControlPlane {
    base: Vec<u8>,
    base_version: SnapshotVersion,
    deltas: Vec<(u64, Vec<u8>)>,
    policy: PolicySet,
    settings: SnapshotSettings,
    asked: usize,
}

impl ControlPlane {
    fn new(version: u64, withdrawn: u128) -> Self {
        let image = image(withdrawn);
        let config = config();
        let base_version = SnapshotVersion { epoch: 7, version };
        let key = config.snapshot_keys[0].key_id();
        let (issued_at, end) = (start(), start().plus_seconds(3600));
        let manifest = Manifest::new(config.provider.clone(), base_version, 0, 1, issued_at, end, key, &image);
        let base = seal(&manifest, &[1; 64], &image);
        let mut policy = PolicySet::deny_all(PolicyTrouble::Missing);
        policy.update(base.clone(), &config.snapshot_keys, &config.provider, start(), &AnySignature).unwrap();
        let settings = SnapshotSettings::new(document(0)).unwrap();
        Self { base, base_version, deltas: Vec::new(), policy, settings, asked: 0 }
    }

    /// Withdraws one system user more.
    fn publish(&mut self) {
        let config = config();
        let current = self.policy.manifest().unwrap().clone();
        let version = current.version.version + 1;
        let id = Uuid::from_u128((1 << 100) + u128::from(version)).to_string().parse().unwrap();
        let changed = BTreeMap::from([(id, SystemUserState::Withdrawn)]);
        let image = self.settings.delta(&changed, &self.policy).unwrap().bytes;
        let (key, end) = (current.key_id, start().plus_seconds(3600));
        let manifest = Manifest::of_delta(&current, version, version, start(), end, key, &image);
        let piece = seal(&manifest, &[1; 64], &image);
        self.policy.update(piece.clone(), &config.snapshot_keys, &config.provider, start(), &AnySignature).unwrap();
        self.deltas.push((version, piece));
    }

    fn version(&self) -> SnapshotVersion {
        self.policy.manifest().unwrap().version
    }

    /// The answer to a poll, as the control plane's feed gives it.
    fn answer(&mut self, poll: &Poll) -> Reply {
        let tag = |version: SnapshotVersion| Some(format!("\"{version}\""));
        let known = poll.if_none_match.as_deref().map(|tag| tag.trim_matches('"').parse::<SnapshotVersion>().unwrap());
        if known == Some(self.version()) {
            return Reply { status: Some(304), ..Reply::default() };
        }
        self.asked += 1;
        if let Some(known) = known.filter(|known| known.epoch == 7 && known.version >= self.base_version.version) {
            let newer = self.deltas.iter().filter(|(version, _)| *version > known.version);
            let body = newer.flat_map(|(_, piece)| piece.clone()).collect();
            return Reply { status: Some(200), etag: tag(self.version()), body, ..Reply::default() };
        }
        if poll.if_match.is_some() && poll.if_match != tag(self.base_version) {
            return Reply { status: Some(412), ..Reply::default() };
        }
        let (first, last) = poll.range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
        let last = last.min(self.base.len() - 1);
        let content_range = Some(format!("bytes {first}-{last}/{}", self.base.len()));
        let body = self.base[first..=last].to_vec();
        Reply { status: Some(206), etag: tag(self.base_version), content_range, body, ..Reply::default() }
    }
}

/// An image with so many withdrawn system users; made once, because it takes a second.
fn image(withdrawn: u128) -> Vec<u8> {
    static IMAGES: Mutex<BTreeMap<u128, Vec<u8>>> = Mutex::new(BTreeMap::new());
    let mut images = IMAGES.lock().unwrap();
    images.entry(withdrawn).or_insert_with(|| compile(&document(withdrawn)).unwrap()).clone()
}

fn document(withdrawn: u128) -> Document {
    let withdrawn: Vec<String> = (1..=withdrawn).map(|number| Uuid::from_u128(number << 20).to_string()).collect();
    serde_json::from_value(serde_json::json!({
        "provider": "regnskapsregisteret",
        "withdrawnSystemUsers": withdrawn,
    }))
    .unwrap()
}

struct Gateway {
    shared: MemoryShared,
    workers: Vec<Feed>,
    now: Timestamp,
}

impl Gateway {
    fn new(workers: u64) -> Self {
        let workers = (1..=workers).map(|worker| Feed::new(config().followed(), worker, start())).collect();
        Self { shared: MemoryShared::default(), workers, now: start() }
    }

    /// A tick of every worker; who asks is answered, if there is a control plane.
    fn tick(&mut self, control_plane: Option<&mut ControlPlane>) {
        self.now = self.now.plus_millis(1);
        let mut control_plane = control_plane;
        for worker in &mut self.workers {
            worker.look(&self.shared, self.now, &AnySignature);
            while let Some(poll) = worker.poll(self.now) {
                let reply = control_plane.as_mut().map_or_else(Reply::default, |plane| plane.answer(&poll));
                worker.replied(poll.ticket, reply, &self.shared, self.now, &AnySignature);
                if worker.is_busy() {
                    break;
                }
            }
            worker.report(&self.shared, self.now);
        }
    }

    /// One part, or one body, comes to the first worker; the others have not looked yet.
    fn first_worker_takes_a_part_from(&mut self, control_plane: &mut ControlPlane) {
        let worker = &mut self.workers[0];
        worker.look(&self.shared, self.now, &AnySignature);
        let poll = worker.poll(self.now).unwrap();
        worker.replied(poll.ticket, control_plane.answer(&poll), &self.shared, self.now, &AnySignature);
    }

    fn versions(&self) -> Vec<Option<SnapshotVersion>> {
        self.workers.iter().map(Feed::version).collect()
    }

    /// Ticks until every worker enforces what is published.
    fn settle(&mut self, control_plane: &mut ControlPlane) {
        for _ in 0..500 {
            if self.versions().iter().all(|version| *version == Some(control_plane.version())) {
                return;
            }
            self.tick(Some(control_plane));
        }
        panic!("{:?} instead of {}", self.versions(), control_plane.version());
    }
}

#[test]
fn one_asks_and_all_follow_base_and_deltas() {
    let mut plane = ControlPlane::new(3, 150_000);
    let parts = plane.base.len().div_ceil(shared::PART_BYTES);
    assert!(parts > 2, "a base in parts");
    let mut gateway = Gateway::new(4);
    gateway.settle(&mut plane);
    assert_eq!(plane.asked, parts, "each part is asked for once");
    plane.publish();
    plane.publish();
    gateway.now = gateway.now.plus_seconds(1);
    gateway.settle(&mut plane);
    assert!(gateway.workers.iter().all(|worker| worker.refused == 0 && worker.is_ready()));
    assert_eq!(gateway.workers.iter().filter(|worker| worker.is_asking).count(), 1);
}

#[test]
fn parts_are_asked_for_beside_each_other_and_count_in_their_order() {
    let mut plane = ControlPlane::new(3, 450_000);
    let mut gateway = Gateway::new(1);
    let (shared, now) = (gateway.shared.clone(), gateway.now);
    let worker = &mut gateway.workers[0];
    worker.look(&shared, now, &AnySignature);
    let first = worker.poll(now).unwrap();
    assert_eq!(worker.poll(now), None, "how many parts there are is not known");
    worker.replied(first.ticket, plane.answer(&first), &shared, now, &AnySignature);
    let polls: Vec<Poll> = std::iter::from_fn(|| worker.poll(now)).collect();
    assert_eq!(polls.len(), poll::PARTS_UNDER_WAY_MAX);
    let ranges: std::collections::BTreeSet<&str> = polls.iter().map(|poll| poll.range.as_str()).collect();
    assert_eq!(ranges.len(), polls.len(), "each another part");
    // The second fails, the others come the wrong way round.
    for (position, poll) in polls.iter().enumerate().rev() {
        let reply = if position == 1 { Reply { status: Some(503), ..Reply::default() } } else { plane.answer(poll) };
        worker.replied(poll.ticket, reply, &shared, now, &AnySignature);
    }
    assert_eq!(worker.coming.as_ref().map(|coming| coming.first_missing()), Some(2 * shared::PART_BYTES as u64));
    assert_eq!(worker.poll(now), None, "what came after a failure was sent before it");
    let again = worker.poll(now.plus_millis(200)).unwrap();
    assert_eq!(again.range, polls[1].range);
    worker.replied(again.ticket, plane.answer(&again), &shared, now.plus_millis(200), &AnySignature);
    let whole = plane.base.len().div_ceil(shared::PART_BYTES).min(1 + polls.len());
    assert_eq!(worker.coming.as_ref().map(|coming| coming.first_missing()), Some((whole * shared::PART_BYTES) as u64));
    gateway.now = gateway.now.plus_seconds(1);
    gateway.settle(&mut plane);
    assert_eq!(gateway.workers[0].refused, 0);
}

#[test]
fn what_changes_right_after_a_base_is_heard_of_at_once() {
    let mut plane = ControlPlane::new(3, 10);
    let mut gateway = Gateway::new(1);
    let (shared, now) = (gateway.shared.clone(), gateway.now);
    let worker = &mut gateway.workers[0];
    worker.look(&shared, now, &AnySignature);
    let mut waits = Vec::new();
    for _ in 0..3 {
        while worker.is_busy() {
            worker.look(&shared, now, &AnySignature);
        }
        let poll = worker.poll(now).expect("no pause between the polls");
        worker.replied(poll.ticket, plane.answer(&poll), &shared, now, &AnySignature);
        waits.push(poll.prefer);
    }
    assert_eq!(waits, ["wait=25", "wait=0", "wait=25"], "a base, whether it is alone, and what comes next");
    assert_eq!(worker.poll(now), None, "whoever does not hold a poll is not asked in a loop");
}

#[test]
fn a_worker_that_is_done_first_does_not_take_its_policy_for_old() {
    let mut plane = ControlPlane::new(3, 150_000);
    let mut gateway = Gateway::new(3);
    for _ in 0..500 {
        gateway.tick(Some(&mut plane));
        for worker in gateway.workers.iter().filter(|worker| worker.is_ready()) {
            assert!(worker.age_millis(gateway.now).is_some_and(|age| age < 10_000));
        }
    }
    assert!(gateway.workers.iter().all(Feed::is_ready));
}

#[test]
fn a_new_worker_takes_everything_from_the_board_while_nobody_answers() {
    let mut plane = ControlPlane::new(3, 150_000);
    let mut gateway = Gateway::new(2);
    gateway.settle(&mut plane);
    plane.publish();
    gateway.now = gateway.now.plus_seconds(1);
    gateway.settle(&mut plane);
    // The one that leads dies, and so does the control plane.
    gateway.workers.remove(0);
    gateway.now = gateway.now.plus_seconds(2);
    gateway.workers.insert(0, Feed::new(config().followed(), 9, gateway.now));
    let asked = plane.asked;
    for _ in 0..50 {
        gateway.tick(None);
    }
    assert_eq!((gateway.versions(), plane.asked), (vec![Some(plane.version()); 2], asked));
    assert!(gateway.workers[0].is_ready());
}

#[test]
fn a_new_base_replaces_the_old_one_everywhere_and_its_memory_is_given_back() {
    let mut plane = ControlPlane::new(3, 150_000);
    let mut gateway = Gateway::new(3);
    gateway.settle(&mut plane);
    let mut newer = ControlPlane::new(4, 150_000);
    gateway.now = gateway.now.plus_seconds(1);
    gateway.settle(&mut newer);
    for _ in 0..20 {
        gateway.tick(Some(&mut newer));
    }
    let kept: usize =
        gateway.shared.keys().iter().filter_map(|key| gateway.shared.get(key)).map(|(value, _)| value.len()).sum();
    assert!(kept < newer.base.len() + 10_000, "{kept} bytes are kept");
    // An older control plane changes nothing.
    gateway.now = gateway.now.plus_seconds(1);
    for _ in 0..100 {
        gateway.tick(Some(&mut plane));
    }
    assert_eq!(gateway.versions(), [Some(newer.version()); 3]);
}

#[test]
fn who_serves_nothing_begins_with_a_base_at_its_own_tick() {
    let mut plane = ControlPlane::new(3, 150_000);
    let mut gateway = Gateway::new(2);
    gateway.settle(&mut plane);
    let mut newer = ControlPlane::new(4, 150_000);
    gateway.now = gateway.now.plus_seconds(1);
    gateway.workers[1].set_serves(false);
    gateway.workers[1].set_woken(true);
    for _ in 0..100 {
        gateway.tick(Some(&mut newer));
        assert!(!gateway.workers[1].is_busy());
    }
    assert_eq!(gateway.versions(), [Some(newer.version()), Some(plane.version())]);
    gateway.workers[1].set_woken(false);
    gateway.settle(&mut newer);
}

#[test]
fn who_serves_calls_takes_the_place_of_one_that_serves_none_and_not_amid_a_base() {
    let mut plane = ControlPlane::new(3, 150_000);
    let mut gateway = Gateway::new(3);
    gateway.settle(&mut plane);
    gateway.workers[0].set_serves(false);
    gateway.workers[1].set_serves(false);
    let leading = |gateway: &Gateway| gateway.workers.iter().map(|worker| worker.is_leading).collect::<Vec<_>>();
    let newer = &mut ControlPlane::new(4, 150_000);
    gateway.now = gateway.now.plus_seconds(1);
    // The first part is there when the third looks.
    gateway.first_worker_takes_a_part_from(newer);
    gateway.workers[2].look(&gateway.shared, gateway.now, &AnySignature);
    assert_eq!(leading(&gateway), [true, false, false]);
    gateway.settle(newer);
    for _ in 0..3 {
        gateway.tick(Some(newer));
    }
    assert_eq!(leading(&gateway), [false, false, true]);
    let asking = gateway.workers.iter().filter(|worker| worker.is_asking).count();
    let refused: u64 = gateway.workers.iter().map(|worker| worker.refused).sum();
    assert_eq!((asking, refused), (1, 0));
    // What comes next comes through it, and it stays.
    newer.publish();
    gateway.now = gateway.now.plus_millis(600);
    gateway.settle(newer);
    assert_eq!(leading(&gateway), [false, false, true]);
    // It dies: those that serve nothing do not wait for somebody else.
    gateway.workers.remove(2);
    newer.publish();
    gateway.now = gateway.now.plus_seconds(2);
    gateway.settle(newer);
}

#[test]
fn whoever_leads_next_does_not_wait_for_the_rest_of_a_base() {
    let mut plane = ControlPlane::new(3, 150_000);
    let mut gateway = Gateway::new(2);
    // One part has come when its worker dies.
    gateway.first_worker_takes_a_part_from(&mut plane);
    gateway.workers.remove(0);
    for _ in 0..3 {
        gateway.tick(None);
    }
    assert!(gateway.workers[0].is_busy(), "it waits for the parts");
    gateway.now = gateway.now.plus_seconds(2);
    gateway.settle(&mut plane);
}

#[test]
fn what_somebody_else_writes_on_the_board_is_refused_and_asked_for_again() {
    let mut plane = ControlPlane::new(3, 150_000);
    let mut gateway = Gateway::new(2);
    gateway.settle(&mut plane);
    let mut newer = ControlPlane::new(4, 150_000);
    gateway.now = gateway.now.plus_seconds(1);
    for _ in 0..3 {
        gateway.tick(Some(&mut newer));
    }
    for key in gateway.shared.keys() {
        gateway.shared.overwrite(&key, &[7; 500]);
    }
    for _ in 0..300 {
        gateway.tick(Some(&mut newer));
        assert!(gateway.versions().iter().all(|version| version.is_some_and(|version| version.version >= 3)));
    }
    gateway.now = gateway.now.plus_seconds(6);
    gateway.settle(&mut newer);
}

#[test]
fn a_worker_that_was_stopped_does_not_lead_two() {
    let mut plane = ControlPlane::new(3, 10);
    let mut gateway = Gateway::new(2);
    gateway.settle(&mut plane);
    gateway.now = gateway.now.plus_seconds(1);
    let poll = gateway.workers[0].poll(gateway.now).unwrap();
    // It hangs for longer than its lease, and another asks meanwhile.
    gateway.now = gateway.now.plus_seconds(3);
    gateway.workers[1].look(&gateway.shared, gateway.now, &AnySignature);
    assert!(gateway.workers[1].is_leading);
    plane.publish();
    let reply = plane.answer(&poll);
    gateway.workers[0].replied(poll.ticket, reply, &gateway.shared, gateway.now, &AnySignature);
    assert!(!gateway.workers[0].is_leading);
    gateway.settle(&mut plane);
    assert_eq!(gateway.workers.iter().map(|worker| worker.refused).sum::<u64>(), 0);
}

#[test]
fn the_age_of_the_policy_is_that_of_the_one_that_asks() {
    let mut plane = ControlPlane::new(3, 10);
    let mut gateway = Gateway::new(2);
    gateway.settle(&mut plane);
    for _ in 0..3 {
        gateway.now = gateway.now.plus_seconds(600);
        gateway.tick(Some(&mut plane));
        gateway.tick(Some(&mut plane));
        assert!(gateway.workers.iter().all(|worker| worker.age_millis(gateway.now).unwrap() < 1000));
    }
    for _ in 0..3 {
        gateway.now = gateway.now.plus_seconds(400);
        gateway.tick(None);
    }
    let trouble = |worker: &Feed| format!("{:?}", worker.policy(gateway.now));
    assert!(gateway.workers.iter().all(|worker| trouble(worker).contains("Stale")));
}
