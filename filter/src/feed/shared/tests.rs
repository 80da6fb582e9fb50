//! The board in memory, and several workers at it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::*;
use crate::config::Config;

/// Values, each with what names its state.
type Values = BTreeMap<String, (Vec<u8>, u32)>;

/// Shared data as Envoy has it: a state that names each write, and no way to add only what is missing.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryShared {
    values: Rc<RefCell<Values>>,
    pub(crate) woken: Rc<RefCell<BTreeSet<String>>>,
}

impl MemoryShared {
    pub(crate) fn keys(&self) -> Vec<String> {
        self.values.borrow().keys().cloned().collect()
    }

    /// What somebody else with the same `vm_id` writes.
    pub(crate) fn overwrite(&self, key: &str, value: &[u8]) {
        assert!(self.set(key, value, None));
    }
}

impl SharedData for MemoryShared {
    fn get(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        self.values.borrow().get(key).filter(|(value, _)| !value.is_empty()).cloned()
    }

    fn set(&self, key: &str, value: &[u8], state: Option<u32>) -> bool {
        let mut values = self.values.borrow_mut();
        let known = values.get(key).map_or(0, |(_, state)| *state);
        if state.is_some_and(|state| state != 0 && known != 0 && state != known) {
            return false;
        }
        values.insert(key.to_owned(), (value.to_vec(), known + 1));
        true
    }

    fn wake(&self, queue: &str) {
        self.woken.borrow_mut().insert(queue.to_owned());
    }
}

/// A host without shared data.
pub(crate) struct NoShared;

impl SharedData for NoShared {
    fn get(&self, _: &str) -> Option<(Vec<u8>, u32)> {
        None
    }

    fn set(&self, _: &str, _: &[u8], _: Option<u32>) -> bool {
        false
    }

    fn wake(&self, _: &str) {}
}

fn board(worker: u64) -> Board {
    Board::new(Config::parse(crate::config::tests::valid().to_string().as_bytes()).unwrap().followed(), worker)
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(1_000_000_000 + millis)
}

#[test]
fn one_worker_leads_until_it_is_silent() {
    let shared = MemoryShared::default();
    let (one, two) = (board(1), board(2));
    assert_eq!((one.lead(&shared, at(0), true), two.lead(&shared, at(0), true)), (Lead::This, Lead::Another));
    assert_eq!((one.lead(&shared, at(900), true), two.lead(&shared, at(1500), true)), (Lead::This, Lead::Another));
    assert_eq!((two.lead(&shared, at(1900), true), one.lead(&shared, at(1900), true)), (Lead::This, Lead::Another));
    assert_eq!(one.lead(&shared, at(-3_600_000), true), Lead::This, "the clock was set back");
    assert_eq!(board(3).lead(&NoShared, at(0), true), Lead::Nobody);
}

#[test]
fn who_serves_calls_takes_the_place_of_one_that_does_not() {
    let shared = MemoryShared::default();
    let (one, two, three) = (board(1), board(2), board(3));
    assert_eq!(one.lead(&shared, at(0), false), Lead::This);
    assert_eq!(two.lead(&shared, at(1), true), Lead::AnotherThatIsIdle);
    assert_eq!(two.relieve(&shared, at(1)), Lead::This);
    assert_eq!((one.lead(&shared, at(2), false), three.relieve(&shared, at(2))), (Lead::Another, Lead::Another));
    // A lease that ran out is anybody's.
    assert_eq!(one.lead(&shared, at(2000), true), Lead::This);
    assert_eq!((two.lead(&shared, at(2001), true), two.relieve(&shared, at(2001))), (Lead::Another, Lead::Another));
    // A place that was taken as busy is told to be idle at once, and the other way round.
    assert_eq!(one.lead(&shared, at(2002), false), Lead::This);
    assert_eq!(two.lead(&shared, at(2003), true), Lead::AnotherThatIsIdle);
    assert_eq!(one.lead(&shared, at(2004), true), Lead::This);
    assert_eq!(two.relieve(&shared, at(2005)), Lead::Another);
}

#[test]
fn what_others_write_counts_as_missing() {
    let shared = MemoryShared::default();
    let (one, two) = (board(1), board(2));
    one.lead(&shared, at(0), true);
    let version = SnapshotVersion { epoch: 7, version: 3 };
    let current = Some(BoardBase { slot: 1, version, bytes: 5, parts: 1, batches: 2 });
    let head = Head { last_success_millis: 9, current, coming: None };
    one.set_head(&shared, &head);
    assert_eq!(two.head(&shared), Some(head));
    one.tell(&shared, WorkerState { worker: 1, seen_millis: at(0).unix_millis(), applied: Some(version), refused: 1 });
    two.tell(&shared, WorkerState { worker: 2, seen_millis: at(0).unix_millis(), applied: None, refused: 0 });
    assert_eq!(one.workers(&shared, at(0)).len(), 2);
    assert_eq!(one.workers(&shared, at(0))[0].applied, Some(version));
    assert_eq!(one.workers(&shared, at(SILENT_MILLIS + 1)), []);
    for key in shared.keys() {
        let (value, _) = shared.get(&key).unwrap();
        for forged in [b"".to_vec(), vec![0; 200], [&value[..], b"x"].concat(), value[1..].to_vec()] {
            shared.overwrite(&key, &forged);
            assert_eq!(two.lead(&shared, at(0), true) == Lead::Another, !key.ends_with("lease"), "{key}");
            assert_eq!(two.head(&shared).is_some(), !key.ends_with("head"), "{key}");
            assert_eq!(two.workers(&shared, at(0)).is_empty(), key.ends_with("workers"), "{key}");
        }
        shared.overwrite(&key, &value);
    }
    let (head, _) = shared.get(&shared.keys()[0]).unwrap();
    shared.overwrite(&shared.keys()[1], &head);
    assert_eq!(two.lead(&shared, at(0), true), Lead::This, "a record is good under its own name only");
}
