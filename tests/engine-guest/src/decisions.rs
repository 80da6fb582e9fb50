//! What a whole decision costs, once the token has been verified: route, token, subject, party, right, obligations.

use policies::token::VerifiedToken;
use policies::{ApiCall, Decision, PolicySet, Timestamp, authorize_verified};

use crate::clock::Clock;
use crate::document::{HOST, call_for};
use crate::figures::{Figure, median, quantile};
use crate::random::Random;
use crate::world::World;

/// A verified token.
#[derive(Debug)]
pub(crate) struct KnownToken {
    /// The system user's position.
    pub(crate) user: u32,
    /// As it came.
    pub(crate) text: String,
    /// As it was verified.
    pub(crate) verified: VerifiedToken,
}

/// Times decisions one by one: from a call that has been read, and from the headers.
pub(crate) fn figures(
    policy: &PolicySet,
    world: &World,
    tokens: &[KnownToken],
    clock: &Clock,
    (count, seed): (u32, u32),
    now: Timestamp,
) -> Result<Vec<Figure>, String> {
    let mut random = Random::new(seed.into());
    let (mut decided, mut parsed_and_decided, mut permits) = (Vec::new(), Vec::new(), 0_u32);
    for turn in 0..count {
        let token = tokens.get(random.below(tokens.len())).ok_or("no token was given")?;
        let row = world.any_row_of(token.user, &mut random);
        let question = world.question_about(token.user, row, &mut random);
        let (method, path) = call_for(question.right, question.party, random.once_in(2));
        let authorization = format!("Bearer {}", token.text);
        let request_id = format!("{:032x}", u128::from(random.number()));
        let headers = [
            (":method", method),
            (":scheme", "https"),
            (":authority", HOST),
            (":path", &path),
            ("authorization", &authorization),
            ("accept", "application/json"),
            ("user-agent", "smartcloud/4.11 (+https://smartcloud.example)"),
            ("x-request-id", &request_id),
        ];
        let parse = || ApiCall::parse(headers.iter().map(|(name, value)| (*name, value.as_bytes())));
        let decision = if turn % 2 == 0 {
            let call = parse().map_err(|error| error.to_string())?;
            let (nanoseconds, decision) = clock.time(|| authorize_verified(policy, &call, &token.verified, now));
            decided.push(nanoseconds);
            decision
        } else {
            let (nanoseconds, decision) =
                clock.time(|| parse().map(|call| authorize_verified(policy, &call, &token.verified, now)));
            parsed_and_decided.push(nanoseconds);
            decision.map_err(|error| error.to_string())?
        };
        let is_permit = matches!(decision, Decision::Permit(_));
        if is_permit != question.answer {
            return Err(format!("{method} {path} was decided otherwise than expected: {decision:?}"));
        }
        permits += u32::from(is_permit);
    }
    Ok(vec![
        Figure::new("decide.median", median(&decided), "ns"),
        Figure::new("decide.p99", quantile(&decided, 0.99), "ns"),
        Figure::new("parse_and_decide.median", median(&parsed_and_decided), "ns"),
        Figure::new("parse_and_decide.p99", quantile(&parsed_and_decided, 0.99), "ns"),
        Figure::new("decide.permits", f64::from(permits) / f64::from(count.max(1)) * 100.0, "%"),
    ])
}
