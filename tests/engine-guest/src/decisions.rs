//! What a whole decision costs, once the token has been verified: route, token, subject, party, right, obligations.

use std::hint::black_box;

use policies::id::OrganizationNumber;
use policies::token::{Caller, VerifiedToken};
use policies::{ApiCall, CallError, Decision, PolicySet, Timestamp, authorize_verified};

use crate::clock::Clock;
use crate::document::{HOST, call_for};
use crate::figures::{Figure, median, quantile};
use crate::frames::Work;
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
        let request_id = format!("{:032x}", u128::from(random.number()));
        let headers = headers(&token.text, (method, &path), &request_id);
        let parse = || parse(&headers);
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

/// One case over and over; the share of permits in percent.
pub(crate) fn repeat(
    policy: &PolicySet,
    token: &KnownToken,
    (party, right): (OrganizationNumber, usize),
    work: Work,
    times: u32,
    now: Timestamp,
) -> Result<Figure, String> {
    let (method, path) = call_for(right, party, false);
    let headers = headers(&token.text, (method, &path), "7c1b8a523c1d4b9f8a779b0f6a2e4d33");
    let call = parse(&headers).map_err(|error| error.to_string())?;
    let Caller::SystemUser(caller) = token.verified.caller() else { return Err("not a system user".to_owned()) };
    let mut permits = 0_u32;
    for _ in 0..times {
        let is_permit = match work {
            Work::Parse => black_box(parse(black_box(&headers))).is_ok(),
            Work::Decide => {
                let decision = authorize_verified(black_box(policy), black_box(&call), &token.verified, now);
                matches!(black_box(decision), Decision::Permit(_))
            }
            Work::LookUp => black_box(policy.level_required(black_box(caller.id), party, right)).is_some(),
        };
        permits += u32::from(is_permit);
    }
    Ok(Figure::new("repeat.permits", f64::from(permits) / f64::from(times.max(1)) * 100.0, "%"))
}

/// A call's headers as a gateway hands them over.
fn headers(token: &str, (method, path): (&str, &str), request_id: &str) -> Vec<(&'static str, Vec<u8>)> {
    let header = |name, value: &str| (name, value.as_bytes().to_vec());
    vec![
        header(":method", method),
        header(":scheme", "https"),
        header(":authority", HOST),
        header(":path", path),
        header("authorization", &format!("Bearer {token}")),
        header("accept", "application/json"),
        header("user-agent", "smartcloud/4.11 (+https://smartcloud.example)"),
        header("x-request-id", request_id),
    ]
}

fn parse(headers: &[(&'static str, Vec<u8>)]) -> Result<ApiCall, CallError> {
    ApiCall::parse(headers.iter().map(|(name, value)| (*name, value.as_slice())))
}
