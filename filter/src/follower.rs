//! Follows one control plane: the feed's polls as calls of the host, their replies, and the feed's work in slices.
//!
//! What came of it is told to the caller, who counts and logs; a follower decides nothing.

use std::time::Duration;

use policies::Timestamp;
use policies::token::VerifySignature;

use crate::config::Followed;
use crate::feed::{Feed, Outcome, Poll, Reply};
use crate::host::{self, HostSharedData};

/// How long a worker goes on with such work before calls are served, in milliseconds.
const SLICE_MILLIS: i64 = 4;
/// … and for how many steps: of a part each, about a millisecond, or of looking at numbers, about half of one.
const SLICE_STEPS_MAX: usize = 4;

pub(crate) struct Follower {
    pub(crate) feed: Feed,
    /// Polls under way: the host's tokens, and the feed's tickets.
    polls: Vec<(u32, u32)>,
}

impl Follower {
    pub(crate) fn new(feed: Feed) -> Self {
        Self { feed, polls: Vec::new() }
    }

    /// Looks at what others have, and does a slice of the work that is left.
    pub(crate) fn look(&mut self, signatures: &dyn VerifySignature) -> Vec<Outcome> {
        let began = host::now();
        let mut outcomes = vec![self.feed.look(&HostSharedData, began, signatures)];
        for _ in 1..SLICE_STEPS_MAX {
            if outcomes.last() != Some(&Outcome::Unchanged) || !self.feed.is_busy() || !self.feed.is_moving() {
                break;
            }
            let now = host::now();
            // Also when the clock was set.
            if !(0..SLICE_MILLIS).contains(&now.millis_since(began)) {
                break;
            }
            outcomes.pop();
            outcomes.push(self.feed.work_on(&HostSharedData, now, signatures));
        }
        outcomes
    }

    /// Sends the polls that are due; `false` when the host does not take one.
    pub(crate) fn poll(&mut self, followed: Followed<'_>) -> bool {
        let now = host::now();
        while let Some(poll) = self.feed.poll(now) {
            if !self.send(followed, &poll, now) {
                return false;
            }
        }
        true
    }

    /// Takes the reply at hand; `None` when it is to none of the polls.
    pub(crate) fn take_reply(
        &mut self,
        token: u32,
        headers: usize,
        body_bytes: usize,
        signatures: &dyn VerifySignature,
    ) -> Option<Outcome> {
        let poll = self.polls.iter().position(|(sent, _)| *sent == token)?;
        let (_, ticket) = self.polls.swap_remove(poll);
        // A host that got no answer has no headers, and must not be asked for one.
        let header = |name| if headers == 0 { None } else { host::reply_header(name) };
        let status = header(":status").and_then(|status| status.parse().ok());
        let reply = Reply {
            status,
            retry_after_seconds: header("retry-after").and_then(|seconds| seconds.parse().ok()),
            etag: header("etag"),
            content_range: header("content-range"),
            body: if matches!(status, Some(200 | 206)) { host::reply_body(body_bytes) } else { Vec::new() },
        };
        Some(self.feed.replied(ticket, reply, &HostSharedData, host::now(), signatures))
    }

    fn send(&mut self, followed: Followed<'_>, poll: &Poll, now: Timestamp) -> bool {
        let control_plane = followed.control_plane;
        let authorization = format!("Bearer {}", control_plane.credential);
        let mut headers = vec![
            (":method", "GET"),
            (":path", poll.path.as_str()),
            (":authority", control_plane.authority.as_str()),
            ("authorization", authorization.as_str()),
            ("accept", "application/vnd.portvakt.snapshot"),
            ("prefer", poll.prefer.as_str()),
            ("range", poll.range.as_str()),
        ];
        headers.extend(poll.if_none_match.as_deref().map(|version| ("if-none-match", version)));
        headers.extend(poll.if_match.as_deref().map(|version| ("if-match", version)));
        let token = host::send(&control_plane.cluster, headers, None, Duration::from_secs(poll.timeout_seconds));
        match token {
            Some(token) => self.polls.push((token, poll.ticket)),
            None => {
                log::warn!("the control plane cannot be asked: is there a cluster `{}`?", control_plane.cluster);
                self.feed.not_sent(poll.ticket, now);
            }
        }
        token.is_some()
    }
}
