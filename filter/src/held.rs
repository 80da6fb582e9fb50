//! Calls that arrived before the first snapshot and wait for it, in order of arrival, each for a bounded time.

use std::collections::BTreeMap;

use policies::{ApiCall, Timestamp};

use crate::config::Hold;
use crate::identity::ClientHeaders;

/// A call, and what is needed to answer it later.
pub(crate) struct HeldCall {
    pub(crate) call: ApiCall,
    pub(crate) client_headers: ClientHeaders,
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
        client_headers: ClientHeaders,
        now: Timestamp,
    ) -> Result<(), ClientHeaders> {
        if self.calls.len() >= self.limits.calls_max {
            return Err(client_headers);
        }
        let deadline = now.plus_millis(i64::from(self.limits.milliseconds_max));
        self.calls.insert(context_id, HeldCall { call, client_headers, deadline });
        Ok(())
    }

    /// The client has left.
    pub(crate) fn forget(&mut self, context_id: u32) {
        self.calls.remove(&context_id);
    }

    /// Every call.
    pub(crate) fn take_all(&mut self) -> Vec<(u32, HeldCall)> {
        std::mem::take(&mut self.calls).into_iter().collect()
    }

    /// The calls whose time is over.
    pub(crate) fn take_expired(&mut self, now: Timestamp) -> Vec<(u32, HeldCall)> {
        self.calls.extract_if(.., |_, held| now >= held.deadline).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_and_time_are_bounded() {
        let call = || {
            let headers = [(":method", &b"GET"[..]), (":authority", b"a"), (":path", b"/")];
            ApiCall::parse(headers).unwrap()
        };
        let now = Timestamp::from_unix_seconds(1);
        let mut held = HeldCalls::new(Hold { calls_max: 2, milliseconds_max: 100 });
        assert!(held.hold(1, call(), ClientHeaders::default(), now).is_ok());
        assert!(held.hold(2, call(), ClientHeaders::default(), now.plus_millis(50)).is_ok());
        assert!(held.hold(3, call(), ClientHeaders::default(), now).is_err());
        assert!(held.take_expired(now.plus_millis(99)).is_empty());
        let expired: Vec<u32> = held.take_expired(now.plus_millis(100)).into_iter().map(|(id, _)| id).collect();
        assert_eq!(expired, [1]);
        held.forget(2);
        assert!(held.take_all().is_empty());
    }
}
