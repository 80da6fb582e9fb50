//! Shared data and shared queues, with the rules of Envoy's: one map per `vm_id`, values with a counter for
//! compare-and-swap, queues owned by whoever registered their name last.
//!
//! The rules that surprise: a swap with counter 0 always succeeds, and for a key that does not exist the counter is
//! not looked at. Nothing here notifies by itself: `Vm::deliver_queue_events` plays the event loop.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::abi::Status;

/// What the VMs of one proxy share. Clones are the same store.
#[derive(Clone, Debug, Default)]
pub struct Shared(Arc<Mutex<Store>>);

#[derive(Debug, Default)]
struct Store {
    values: BTreeMap<(String, Vec<u8>), (Vec<u8>, u32)>,
    last_cas: u32,
    queue_names: BTreeMap<(String, String), u32>,
    queues: BTreeMap<u32, Queue>,
    last_vm: u64,
    /// Notifications that no VM has been told yet: VM and queue.
    events: VecDeque<(u64, u32)>,
}

#[derive(Debug, Default)]
struct Queue {
    owner: u64,
    messages: VecDeque<Vec<u8>>,
}

impl Shared {
    /// A value, as another module with the same `vm_id` would read it.
    #[must_use]
    pub fn value(&self, vm_id: &str, key: &str) -> Option<Vec<u8>> {
        self.get(vm_id, key.as_bytes()).map(|(value, _)| value)
    }

    /// Overwrites a value, as another module with the same `vm_id` may at any time.
    pub fn overwrite(&self, vm_id: &str, key: &str, value: &[u8]) {
        // Counter 0 always succeeds.
        let _ = self.set(vm_id, key.as_bytes(), value, 0);
    }

    /// The keys of a `vm_id`.
    #[must_use]
    pub fn keys(&self, vm_id: &str) -> Vec<String> {
        let store = self.store();
        let of_vm = store.values.keys().filter(|(owner, _)| owner == vm_id);
        of_vm.map(|(_, key)| String::from_utf8_lossy(key).into_owned()).collect()
    }

    /// Drops the values of a `vm_id`, as happens when its last VM goes.
    pub fn forget(&self, vm_id: &str) {
        self.store().values.retain(|(owner, _), _| owner != vm_id);
    }

    /// How many messages wait in a queue.
    #[must_use]
    pub fn queue_length(&self, vm_id: &str, name: &str) -> Option<usize> {
        let token = self.resolve_queue(vm_id, name)?;
        self.store().queues.get(&token).map(|queue| queue.messages.len())
    }

    pub(super) fn get(&self, vm_id: &str, key: &[u8]) -> Option<(Vec<u8>, u32)> {
        self.store().values.get(&(vm_id.to_owned(), key.to_vec())).cloned()
    }

    pub(super) fn set(&self, vm_id: &str, key: &[u8], value: &[u8], cas: u32) -> Result<(), Status> {
        let mut store = self.store();
        let key = (vm_id.to_owned(), key.to_vec());
        let present = store.values.get(&key).map(|(_, counter)| *counter);
        if cas != 0 && present.is_some_and(|counter| counter != cas) {
            return Err(Status::CasMismatch);
        }
        store.last_cas = next_after(store.last_cas);
        let counter = store.last_cas;
        store.values.insert(key, (value.to_vec(), counter));
        Ok(())
    }

    pub(super) fn register_queue(&self, vm_id: &str, name: &str, owner: u64) -> u32 {
        let mut store = self.store();
        let next = u32::try_from(store.queue_names.len()).unwrap_or(u32::MAX).saturating_add(1);
        let token = *store.queue_names.entry((vm_id.to_owned(), name.to_owned())).or_insert(next);
        store.queues.entry(token).or_default().owner = owner;
        token
    }

    pub(super) fn resolve_queue(&self, vm_id: &str, name: &str) -> Option<u32> {
        self.store().queue_names.get(&(vm_id.to_owned(), name.to_owned())).copied()
    }

    pub(super) fn enqueue(&self, token: u32, message: Vec<u8>) -> Result<(), Status> {
        let mut store = self.store();
        let queue = store.queues.get_mut(&token).ok_or(Status::NotFound)?;
        queue.messages.push_back(message);
        let owner = queue.owner;
        store.events.push_back((owner, token));
        Ok(())
    }

    pub(super) fn dequeue(&self, token: u32) -> Result<Vec<u8>, Status> {
        let mut store = self.store();
        let queue = store.queues.get_mut(&token).ok_or(Status::NotFound)?;
        queue.messages.pop_front().ok_or(Status::Empty)
    }

    pub(super) fn next_vm(&self) -> u64 {
        let mut store = self.store();
        store.last_vm = store.last_vm.wrapping_add(1);
        store.last_vm
    }

    /// The queues about which this VM has not been told, and no longer is.
    pub(super) fn take_events(&self, vm: u64) -> Vec<u32> {
        let mut store = self.store();
        let (mine, others): (VecDeque<_>, _) = std::mem::take(&mut store.events).into_iter().partition(|e| e.0 == vm);
        store.events = others;
        mine.into_iter().map(|(_, token)| token).collect()
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counters and tokens skip 0, which means "none".
fn next_after(counter: u32) -> u32 {
    counter.checked_add(1).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swap_needs_the_counter_that_was_read() {
        let shared = Shared::default();
        shared.set("vm", b"k", b"one", 0).unwrap();
        let (_, counter) = shared.get("vm", b"k").unwrap();
        shared.set("vm", b"k", b"two", counter).unwrap();
        assert_eq!(shared.set("vm", b"k", b"three", counter), Err(Status::CasMismatch));
        assert_eq!(shared.value("vm", "k"), Some(b"two".to_vec()));
    }

    #[test]
    fn a_missing_key_ignores_the_counter() {
        let shared = Shared::default();
        assert_eq!(shared.set("vm", b"k", b"v", 77), Ok(()));
        assert_eq!(shared.value("other", "k"), None);
        shared.forget("vm");
        assert_eq!(shared.value("vm", "k"), None);
    }

    #[test]
    fn only_the_last_to_register_a_queue_is_told() {
        let shared = Shared::default();
        let (first, second) = (shared.next_vm(), shared.next_vm());
        let token = shared.register_queue("vm", "q", first);
        assert_eq!(shared.register_queue("vm", "q", second), token);
        shared.enqueue(token, b"m".to_vec()).unwrap();
        assert_eq!(shared.take_events(first), [0_u32; 0]);
        assert_eq!(shared.take_events(second), [token]);
        assert_eq!(shared.queue_length("vm", "q"), Some(1));
        assert_eq!(shared.dequeue(token), Ok(b"m".to_vec()));
        assert_eq!(shared.dequeue(token), Err(Status::Empty));
        assert_eq!(shared.enqueue(99, vec![]), Err(Status::NotFound));
    }
}
