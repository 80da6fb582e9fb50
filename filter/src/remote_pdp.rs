//! A remote decision point (XACML JSON profile): asked for calls whose caller the snapshot does not know, on routes that
//! say so; and, beside some calls that the snapshot decided, asked to compare.
//!
//! It is never asked for what the snapshot decides, and its answer never changes that. What waits, what is remembered and
//! what is under way is bounded; without an answer in time the call is refused. A reply comes to whichever context has
//! sent: a call asks for itself, and what is only compared the root asks for, at its tick.

use std::collections::{BTreeMap, VecDeque};

use std::time::Duration;

use policies::remote::{ANSWER_BYTES_MAX, NoAnswer, RemoteAnswer, RemoteQuestion, comparable, undecided};
use policies::token::{TokenCache, VerifySignature};
use policies::{ApiCall, Decision, Denial, DenialReason, PolicySet, Timestamp, authorize_by_answer};

use crate::config::RemotePdpConfig;
use crate::host;

/// Comparisons that wait in a worker; what comes then is not compared.
const COMPARISONS_MAX: usize = 100;
/// … and that are under way.
const COMPARISONS_UNDER_WAY_MAX: usize = 4;

pub(crate) struct RemotePdp {
    config: RemotePdpConfig,
    answers: Answers,
    waiting: usize,
    decided: u32,
    comparisons: VecDeque<Comparison>,
    under_way: Vec<(u32, Comparison)>,
}

/// A call that waits for an answer. It is counted until it is given back.
pub(crate) struct Asked {
    pub(crate) token: u32,
    pub(crate) asked_at: Timestamp,
    question: RemoteQuestion,
    request: String,
}

/// A call that was decided, to be compared.
pub(crate) struct Comparison {
    question: RemoteQuestion,
    was_permitted: bool,
    support_id: Option<String>,
}

/// What becomes of a call that the snapshot could not decide.
pub(crate) enum Turn {
    Asked(Asked),
    /// By an answer of a short time ago, or because it cannot be asked.
    Decided(Decision),
}

/// How an answer compares with what the snapshot decided.
pub(crate) enum RemotelyCompared {
    Same,
    /// It would permit what was refused, or else refuse what was permitted.
    Otherwise {
        decision: Decision,
        support_id: Option<String>,
    },
    NoAnswer,
}

impl RemotePdp {
    pub(crate) fn new(config: RemotePdpConfig) -> Self {
        let millis_max = i64::from(config.cache_seconds_max) * 1000;
        Self {
            answers: Answers::new(config.cache_entries_max, millis_max),
            config,
            waiting: 0,
            decided: 0,
            comparisons: VecDeque::new(),
            under_way: Vec::new(),
        }
    }

    /// Asks about a refused call, in the call's own context, where the snapshot could not decide it; `None` where it has.
    /// A call that may not wait is decided by what is known.
    #[expect(clippy::too_many_arguments, reason = "what decides a call, and how")]
    pub(crate) fn ask(
        &mut self,
        denial: &Denial,
        policy: &PolicySet,
        call: &ApiCall,
        now: Timestamp,
        signatures: &dyn VerifySignature,
        tokens: &mut TokenCache<foldhash::fast::RandomState>,
        may_wait: bool,
    ) -> Option<Turn> {
        if !matches!(denial.reason, DenialReason::SystemUserUnknown | DenialReason::CallerNotAllowed) {
            return None;
        }
        let routes = &self.config.routes;
        let question = undecided(policy, call, now, signatures, tokens, |route| routes.get(route).cloned())?;
        let request = question.request();
        if let Some(answer) = self.answers.find(&request, now) {
            return Some(Turn::Decided(authorize_by_answer(&question, Ok(answer))));
        }
        let has_room = may_wait && self.waiting < self.config.calls_max;
        let Some(token) = has_room.then(|| self.send(&request)).flatten() else {
            return Some(Turn::Decided(authorize_by_answer(&question, Err(NoAnswer))));
        };
        self.waiting += 1;
        Some(Turn::Asked(Asked { token, asked_at: now, question, request }))
    }

    /// The call waits no more: answered, or gone.
    pub(crate) fn waits_no_more(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// Decides by the reply at hand.
    pub(crate) fn conclude(&mut self, asked: Asked, headers: usize, body_bytes: usize, now: Timestamp) -> Decision {
        self.waits_no_more();
        let answer = answer_at_hand(headers, body_bytes);
        if let Ok(answer) = answer {
            self.answers.remember(asked.request, answer, now);
        }
        authorize_by_answer(&asked.question, answer)
    }

    /// Keeps a call that was decided to be compared, if it is its turn.
    #[expect(clippy::too_many_arguments, reason = "what decides a call, and what was decided")]
    pub(crate) fn keep(
        &mut self,
        decision: &Decision,
        policy: &PolicySet,
        call: &ApiCall,
        now: Timestamp,
        signatures: &dyn VerifySignature,
        tokens: &mut TokenCache<foldhash::fast::RandomState>,
        support_id: Option<&str>,
    ) {
        if self.config.compare_one_in == 0 {
            return;
        }
        self.decided = self.decided.wrapping_add(1);
        if !self.decided.is_multiple_of(self.config.compare_one_in) || self.comparisons.len() >= COMPARISONS_MAX {
            return;
        }
        if let Some(question) = comparable(policy, call, now, signatures, tokens) {
            let was_permitted = matches!(decision, Decision::Permit(_));
            let support_id = support_id.map(str::to_owned);
            self.comparisons.push_back(Comparison { question, was_permitted, support_id });
        }
    }

    /// Asks about calls that are to be compared; `false` when the host does not take a request.
    pub(crate) fn ask_to_compare(&mut self) -> bool {
        while self.under_way.len() < COMPARISONS_UNDER_WAY_MAX {
            let Some(comparison) = self.comparisons.pop_front() else { break };
            match self.send(&comparison.question.request()) {
                Some(token) => self.under_way.push((token, comparison)),
                None => return false,
            }
        }
        true
    }

    /// Compares with the reply at hand; `None` when it is to nothing that was asked to compare.
    pub(crate) fn compare(&mut self, token: u32, headers: usize, body_bytes: usize) -> Option<RemotelyCompared> {
        let position = self.under_way.iter().position(|(sent, _)| *sent == token)?;
        let (_, Comparison { question, was_permitted, support_id }) = self.under_way.swap_remove(position);
        let Ok(answer) = answer_at_hand(headers, body_bytes) else { return Some(RemotelyCompared::NoAnswer) };
        let decision = authorize_by_answer(&question, Ok(answer));
        Some(match matches!(decision, Decision::Permit(_)) == was_permitted {
            true => RemotelyCompared::Same,
            false => RemotelyCompared::Otherwise { decision, support_id },
        })
    }

    fn send(&self, request: &str) -> Option<u32> {
        let config = &self.config;
        let mut headers = vec![
            (":method", "POST"),
            (":path", config.path.as_str()),
            (":authority", config.authority.as_str()),
            ("content-type", "application/json"),
            ("accept", "application/json"),
        ];
        headers.extend(config.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let time_max = Duration::from_millis(config.milliseconds_max.into());
        let token = host::send(&config.cluster, headers, Some(request.as_bytes()), time_max);
        if token.is_none() {
            log::warn!("the remote decision point cannot be asked: is there a cluster `{}`?", config.cluster);
        }
        token
    }
}

fn answer_at_hand(headers: usize, body_bytes: usize) -> Result<RemoteAnswer, NoAnswer> {
    // A host that got no answer has no headers, and must not be asked for one.
    let status = if headers == 0 { None } else { host::reply_header(":status") };
    let status = status.and_then(|status| status.parse().ok());
    let answer = read_at_hand(status, body_bytes);
    if answer.is_err() {
        log::warn!("the remote decision point gave no decision status={}", status.unwrap_or(0));
    }
    answer
}

fn read_at_hand(status: Option<u16>, body_bytes: usize) -> Result<RemoteAnswer, NoAnswer> {
    // One byte more than may be: what was cut must not look whole.
    read(status, &host::reply_body(body_bytes.min(ANSWER_BYTES_MAX + 1)))
}

/// Reads an answer; anything but 200 is none.
fn read(status: Option<u16>, body: &[u8]) -> Result<RemoteAnswer, NoAnswer> {
    if status == Some(200) { RemoteAnswer::read(body) } else { Err(NoAnswer) }
}

/// Answers of a short time ago, by the request's bytes; the oldest go first.
struct Answers {
    entries_max: usize,
    millis_max: i64,
    by_request: BTreeMap<String, (RemoteAnswer, Timestamp)>,
    in_order: VecDeque<String>,
}

impl Answers {
    fn new(entries_max: usize, millis_max: i64) -> Self {
        Self { entries_max, millis_max, by_request: BTreeMap::new(), in_order: VecDeque::new() }
    }

    fn find(&self, request: &str, now: Timestamp) -> Option<RemoteAnswer> {
        let (answer, at) = self.by_request.get(request)?;
        // Also when the clock was set back.
        (0..self.millis_max).contains(&now.millis_since(*at)).then_some(*answer)
    }

    fn remember(&mut self, request: String, answer: RemoteAnswer, now: Timestamp) {
        if self.millis_max == 0 {
            return;
        }
        if let Some(known) = self.by_request.get_mut(&request) {
            *known = (answer, now);
            return;
        }
        if self.by_request.len() >= self.entries_max
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.by_request.remove(&oldest);
        }
        self.in_order.push_back(request.clone());
        self.by_request.insert(request, (answer, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(millis: i64) -> Timestamp {
        Timestamp::from_unix_millis(1_000_000 + millis)
    }

    fn answer(decision: &str) -> RemoteAnswer {
        read(Some(200), format!("{{\"Response\":[{{\"Decision\":\"{decision}\"}}]}}").as_bytes()).unwrap()
    }

    #[test]
    fn answers_count_for_a_time_and_the_oldest_go_first() {
        let mut answers = Answers::new(2, 100);
        answers.remember("a".to_owned(), answer("Permit"), now(0));
        assert!(answers.find("a", now(99)).is_some_and(RemoteAnswer::is_permit));
        assert_eq!(
            (answers.find("a", now(100)), answers.find("a", now(-1)), answers.find("b", now(0))),
            (None, None, None)
        );
        answers.remember("a".to_owned(), answer("Deny"), now(100));
        assert!(answers.find("a", now(150)).is_some_and(|answer| !answer.is_permit()));
        answers.remember("b".to_owned(), answer("Permit"), now(150));
        answers.remember("c".to_owned(), answer("Permit"), now(150));
        assert_eq!(answers.find("a", now(150)), None);
        assert!(answers.find("b", now(150)).is_some() && answers.find("c", now(150)).is_some());
        assert_eq!((answers.by_request.len(), answers.in_order.len()), (2, 2));
    }

    #[test]
    fn nothing_is_remembered_where_an_answer_counts_for_one_call() {
        let mut answers = Answers::new(2, 0);
        answers.remember("a".to_owned(), answer("Permit"), now(0));
        assert_eq!(answers.find("a", now(0)), None);
    }

    #[test]
    fn only_a_200_is_an_answer() {
        let body = br#"{"Response":[{"Decision":"Permit"}]}"#;
        for status in [None, Some(201), Some(401), Some(503), Some(504)] {
            assert_eq!(read(status, body), Err(NoAnswer));
        }
    }
}
