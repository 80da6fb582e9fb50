//! The feed with a hand-set clock. What snapshots it takes is proven by the cases; here is when it asks.

mod workers;

use policies::token::PureRust;

use super::poll::{BACK_OFF_MILLIS_MAX, BACK_OFF_MILLIS_MIN};
use super::shared::tests::MemoryShared;
use super::*;
use crate::config::Config;

/// The only worker of its gateway, which asks.
fn feed(now: Timestamp) -> Feed {
    let config = Config::parse(crate::config::tests::valid().to_string().as_bytes()).unwrap();
    let mut feed = Feed::new(config.followed(), 0x1234, now);
    feed.look(&MemoryShared::default(), now, &PureRust);
    feed
}

fn reply(status: Option<u16>) -> Reply {
    Reply { status, ..Reply::default() }
}

/// The reply to the last poll.
fn replied(feed: &mut Feed, reply: Reply, now: Timestamp) -> Outcome {
    feed.replied(feed.polls.last_ticket(), reply, &MemoryShared::default(), now, &PureRust)
}

fn start() -> Timestamp {
    Timestamp::from_unix_seconds(1_000_000)
}

/// How long after `now` the next poll comes, in milliseconds.
fn wait(feed: &mut Feed, now: Timestamp) -> i64 {
    let due = (0..200_000).find(|millis| feed.poll(now.plus_millis(*millis)).is_some());
    due.unwrap()
}

#[test]
fn the_first_poll_names_provider_gateway_and_worker() {
    let mut feed = feed(start());
    let poll = feed.poll(start()).unwrap();
    assert_eq!(poll.path, "/snapshots/regnskapsregisteret?gateway=gateway&worker=0000000000001234&refused=0");
    assert_eq!((poll.prefer.as_str(), poll.if_none_match, poll.timeout_seconds), ("wait=25", None, 35));
    assert_eq!(feed.poll(start().plus_seconds(3600)), None, "one poll at a time");
}

#[test]
fn before_the_first_snapshot_everything_is_denied() {
    assert!(!feed(start()).is_ready());
    // A control plane that has nothing, or says nothing changed, has not given a policy.
    for status in [Some(304), Some(503), Some(404), None] {
        let mut feed = feed(start());
        feed.poll(start()).unwrap();
        assert_eq!(replied(&mut feed, reply(status), start()), Outcome::Failed { status });
        assert!(!feed.is_ready());
    }
}

#[test]
fn failures_are_spread_and_doubled_up_to_a_bound() {
    let mut feed = feed(start());
    let mut now = start();
    let mut waits = Vec::new();
    for _ in 0..10 {
        let waited = wait(&mut feed, now);
        now = now.plus_millis(waited);
        waits.push(waited);
        replied(&mut feed, reply(None), now);
    }
    assert_eq!(waits[0], 0);
    for (failures, waited) in waits.iter().enumerate().skip(1) {
        let full = (BACK_OFF_MILLIS_MIN << (failures - 1).min(6)).min(BACK_OFF_MILLIS_MAX);
        assert!((full / 2..=full).contains(waited), "after {failures}: {waited} of {full}");
    }
}

#[test]
fn retry_after_is_honoured_within_a_bound() {
    for (asked, least, most) in [(3, 3000, 3000), (-5, 100, 200), (1_000_000, 60_000, 60_000)] {
        let mut feed = feed(start());
        feed.poll(start()).unwrap();
        replied(&mut feed, Reply { retry_after_seconds: Some(asked), ..reply(Some(503)) }, start());
        let waited = wait(&mut feed, start());
        assert!((least..=most).contains(&waited), "{asked}: {waited}");
    }
}

#[test]
fn a_refused_snapshot_is_counted_told_and_not_asked_for_at_once() {
    let mut feed = feed(start());
    feed.poll(start()).unwrap();
    let garbage = Reply { body: b"garbage".to_vec(), ..reply(Some(200)) };
    assert_eq!(replied(&mut feed, garbage, start()), Outcome::Refused(SnapshotError::Length));
    assert!(feed.poll(start()).is_none());
    let poll = feed.poll(start().plus_millis(200)).unwrap();
    assert!(poll.path.ends_with("&refused=1"), "{}", poll.path);
    assert!(!feed.is_ready());
}

#[test]
fn a_poll_that_was_not_sent_is_tried_again() {
    let mut feed = feed(start());
    feed.poll(start()).unwrap();
    feed.not_sent(feed.polls.last_ticket(), start());
    assert!(wait(&mut feed, start()) >= 100);
}

#[test]
fn a_clock_that_is_set_back_stops_neither_polls_nor_staleness() {
    let mut feed = feed(start());
    feed.poll(start()).unwrap();
    replied(&mut feed, reply(Some(503)), start());
    assert!(feed.poll(start().plus_millis(50)).is_none());
    assert!(feed.poll(start().plus_seconds(-7200)).is_some());
}
