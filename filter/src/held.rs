//! Calls that wait for the first snapshot, or for an issuer's keys, in order of arrival, each for a bounded time.

use std::collections::BTreeMap;

use policies::{ApiCall, Timestamp};

use crate::call::Passage;
use crate::config::Hold;

/// Most bytes of headers that wait in one worker.
const HELD_BYTES_MAX: usize = 16 << 20;

/// A call, and what is needed to answer it later.
pub(crate) struct HeldCall {
    pub(crate) call: ApiCall,
    pub(crate) passage: Passage,
    deadline: Timestamp,
}

pub(crate) struct HeldCalls {
    limits: Hold,
    calls: BTreeMap<u32, HeldCall>,
}

impl HeldCalls {
    pub(crate) fn new(limits: Hold) -> Self {
        Self { limits, calls: BTreeMap::new() }
    }

    /// Keeps the call; gives it back when there is no room.
    pub(crate) fn hold(
        &mut self,
        context_id: u32,
        call: ApiCall,
        passage: Passage,
        now: Timestamp,
    ) -> Result<(), Box<ApiCall>> {
        let bytes: usize = self.calls.values().map(|held| held.call.header_bytes()).sum();
        if self.calls.len() >= self.limits.calls_max || bytes + call.header_bytes() > HELD_BYTES_MAX {
            return Err(Box::new(call));
        }
        let deadline = now.plus_millis(i64::from(self.limits.milliseconds_max));
        self.calls.insert(context_id, HeldCall { call, passage, deadline });
        Ok(())
    }

    /// One more may wait.
    pub(crate) fn has_room(&self) -> bool {
        self.calls.len() < self.limits.calls_max
    }

    /// The client has left.
    pub(crate) fn forget(&mut self, context_id: u32) {
        self.calls.remove(&context_id);
    }

    /// Every call.
    pub(crate) fn take_all(&mut self) -> Vec<(u32, HeldCall)> {
        std::mem::take(&mut self.calls).into_iter().collect()
    }

    /// The calls whose time is over, also when the clock was set back meanwhile.
    pub(crate) fn take_expired(&mut self, now: Timestamp) -> Vec<(u32, HeldCall)> {
        let longest = i64::from(self.limits.milliseconds_max);
        let over = |held: &HeldCall| now >= held.deadline || held.deadline.millis_since(now) > longest;
        self.calls.extract_if(.., |_, held| over(held)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A call with nothing but what every call has: three names and values with a byte behind each, how long each is, and how
    /// many headers there are.
    const SMALLEST_BYTES: usize = 33 + 3 * 8 + 4;

    #[test]
    fn number_and_time_are_bounded() {
        let call = |bytes: usize| {
            let filling = vec![b'x'; bytes.saturating_sub(SMALLEST_BYTES + 8 + 3)];
            let all = [(":method", &b"GET"[..]), (":authority", b"a"), (":path", b"/"), ("x", &filling)];
            ApiCall::parse(all.into_iter().take(if bytes == 0 { 3 } else { 4 })).unwrap()
        };
        let smallest = call(0).header_bytes();
        assert_eq!((smallest, call(1000).header_bytes()), (SMALLEST_BYTES, 1000));
        let now = Timestamp::from_unix_seconds(1);
        let mut held = HeldCalls::new(Hold { calls_max: 2, milliseconds_max: 100 });
        let hold = |held: &mut HeldCalls, id, bytes, now| held.hold(id, call(bytes), Passage::default(), now).is_ok();
        assert!(hold(&mut held, 1, HELD_BYTES_MAX - 100, now));
        assert!(!hold(&mut held, 2, 101, now));
        assert!(hold(&mut held, 2, 100, now.plus_millis(50)));
        assert!(!hold(&mut held, 3, 0, now));
        assert!(held.take_expired(now.plus_millis(99)).is_empty());
        let expired: Vec<u32> = held.take_expired(now.plus_millis(100)).into_iter().map(|(id, _)| id).collect();
        assert_eq!(expired, [1]);
        held.forget(2);
        assert!(held.take_all().is_empty());
        assert!(hold(&mut held, 4, 0, now));
        assert_eq!(held.take_expired(now.plus_millis(-1)).len(), 1, "the clock was set back");
    }
}
