//! A second snapshot that decides beside the one in force: what would change if it were enforced is counted and logged.
//!
//! It never answers a call, holds none and is waited for by none. Where it has nothing to say (not there yet, too old,
//! over), nothing is compared. It comes as the other does, from where the configuration says, in the processor's spare
//! time, and only to workers that serve calls.

use policies::token::{TokenCache, VerifySignature};
use policies::{ApiCall, Decision, Denial, DenialReason, Permit, Timestamp, authorize_cached};

use crate::config::Config;
use crate::feed::Feed;
use crate::follower::Follower;

/// Most tokens that are remembered for it.
const TOKENS_MAX: usize = 4096;

pub(crate) struct Shadow {
    pub(crate) follower: Follower,
    tokens: TokenCache<foldhash::fast::RandomState>,
}

/// What it says of a call that was decided.
pub(crate) enum Compared {
    Same,
    /// Both refuse, for different reasons.
    OtherReason,
    /// It would refuse what was permitted.
    Denies(Box<Denial>),
    /// It would permit what was refused.
    Permits(Permit),
}

impl Shadow {
    /// `None` where none is configured.
    pub(crate) fn new(config: &Config, worker: u64, now: Timestamp) -> Option<Self> {
        let followed = config.shadow_followed()?;
        let tokens_max = config.token_cache.tokens_max.min(TOKENS_MAX);
        Some(Self {
            follower: Follower::new(Feed::new(followed, worker, now)),
            tokens: TokenCache::of(tokens_max, foldhash::fast::RandomState::default()),
        })
    }

    /// Decides the call too; `None` when there is nothing to compare.
    pub(crate) fn compare(
        &mut self,
        call: &ApiCall,
        decided: &Decision,
        now: Timestamp,
        signatures: &dyn VerifySignature,
    ) -> Option<Compared> {
        self.follower.feed.version()?;
        let says_nothing = |decision: &Decision| matches!(decision, Decision::Denial(denial) if matches!(denial.reason, DenialReason::Policy(_)));
        if says_nothing(decided) {
            return None;
        }
        let shadow = authorize_cached(self.follower.feed.policy(now), call, now, signatures, &mut self.tokens);
        if says_nothing(&shadow) {
            return None;
        }
        Some(match (decided, shadow) {
            (Decision::Permit(_), Decision::Denial(denial)) => Compared::Denies(denial),
            (Decision::Denial(_), Decision::Permit(permit)) => Compared::Permits(permit),
            (Decision::Denial(one), Decision::Denial(other)) if one.reason != other.reason => Compared::OtherReason,
            _ => Compared::Same,
        })
    }
}
