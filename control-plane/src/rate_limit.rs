//! How many calls one address may make: a bucket of tokens each, refilled evenly (`rate_limit_per_s`, `rate_limit_burst`).
//!
//! The address is that of the connection, or what the proxy in front says it is (`client_address_header`). Of IPv6 the
//! first 64 bits count: who has one such address has all of them. Memory is bounded: when there are [`ADDRESSES_MAX`],
//! those that have been quiet make room, and while nobody is quiet, newcomers share one bucket.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::HeaderName;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::time::Instant;

use crate::problem::{Problem, codes};
use crate::state::AppState;

/// Addresses that are told apart at once.
const ADDRESSES_MAX: usize = 20_000;

/// Where a connection comes from; set by whoever takes connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PeerAddress(pub(crate) IpAddr);

/// The limit, and who has used how much of it.
#[derive(Debug)]
pub(crate) struct RateLimit {
    per_s: u32,
    burst: u32,
    address_header: Option<HeaderName>,
    buckets: Mutex<HashMap<Option<IpAddr>, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl RateLimit {
    /// `per_s` 0 is no limit.
    pub(crate) fn new(per_s: u32, burst: u32, address_header: Option<HeaderName>) -> Self {
        Self { per_s, burst: burst.max(1), address_header, buckets: Mutex::default() }
    }

    /// Takes a token, or says when there is one again.
    fn take(&self, address: Option<IpAddr>, now: Instant) -> Result<(), Duration> {
        if self.per_s == 0 {
            return Ok(());
        }
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut address = address;
        if buckets.len() >= ADDRESSES_MAX && !buckets.contains_key(&address) {
            let (per_s, burst) = (f64::from(self.per_s), f64::from(self.burst));
            buckets.retain(|_, bucket| bucket.tokens + now.duration_since(bucket.at).as_secs_f64() * per_s < burst);
            if buckets.len() >= ADDRESSES_MAX {
                address = None;
            }
        }
        let full = Bucket { tokens: f64::from(self.burst), at: now };
        let bucket = buckets.entry(address).or_insert(full);
        let refill = now.duration_since(bucket.at).as_secs_f64() * f64::from(self.per_s);
        bucket.tokens = (bucket.tokens + refill).min(f64::from(self.burst));
        bucket.at = now;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - bucket.tokens) / f64::from(self.per_s)))
    }

    /// Who calls; `None` when that is not known.
    fn address(&self, request: &Request) -> Option<IpAddr> {
        let said = self.address_header.as_ref().and_then(|name| request.headers().get_all(name).iter().next_back());
        let said = said.and_then(|value| value.to_str().ok()).and_then(|text| text.rsplit(',').next());
        let peer = || request.extensions().get::<PeerAddress>().map(|PeerAddress(address)| *address);
        said.and_then(|text| text.trim().parse().ok()).or_else(peer).map(network)
    }
}

/// What stands for an address: itself, or its /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

/// Refuses a call too many with 429 and `Retry-After`.
pub(crate) async fn limited(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let address = state.rate_limit.address(&request);
    match state.rate_limit.take(address, Instant::now()) {
        Ok(()) => next.run(request).await,
        Err(wait) => {
            let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
            Problem::new(codes::TOO_MANY_CALLS).retry_after_s(seconds).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;
    use crate::test_state::TestState;

    fn address(number: u32) -> Option<IpAddr> {
        Some(IpAddr::V4(number.into()))
    }

    #[tokio::test]
    async fn a_burst_then_an_even_rate_and_nobody_pays_for_another() {
        let (limit, start) = (RateLimit::new(10, 3, None), Instant::now());
        for _ in 0..3 {
            assert_eq!(limit.take(address(1), start), Ok(()));
        }
        let wait = limit.take(address(1), start).unwrap_err();
        assert!(wait > Duration::from_millis(90) && wait <= Duration::from_millis(100), "{wait:?}");
        assert_eq!(limit.take(address(2), start), Ok(()));
        assert_eq!(limit.take(address(1), start + Duration::from_millis(101)), Ok(()));
        assert!(limit.take(address(1), start + Duration::from_millis(101)).is_err());
        assert_eq!(RateLimit::new(0, 1, None).take(address(1), start), Ok(()));
    }

    #[tokio::test]
    async fn memory_is_bounded() {
        let (limit, start) = (RateLimit::new(1, 2, None), Instant::now());
        let most = u32::try_from(ADDRESSES_MAX).unwrap();
        for number in 0..most + 1_000 {
            let _shared_bucket_may_be_empty = limit.take(address(number), start);
        }
        assert!(limit.buckets.lock().unwrap().len() <= ADDRESSES_MAX + 1);
        assert_eq!(limit.take(address(most + 5_000), start + Duration::from_secs(10)), Ok(()));
        assert!(limit.buckets.lock().unwrap().len() < 10);
    }

    #[tokio::test]
    async fn the_last_address_that_the_proxy_names_counts() {
        let limit = RateLimit::new(1, 1, Some(HeaderName::from_static("x-forwarded-for")));
        let request = |headers: &[&str]| {
            let mut request = Request::get("/");
            for header in headers {
                request = request.header("x-forwarded-for", *header);
            }
            let mut request = request.body(Body::empty()).unwrap();
            request.extensions_mut().insert(PeerAddress(IpAddr::from([10, 0, 0, 1])));
            request
        };
        for (headers, expected) in [
            (&["1.1.1.1, 2.2.2.2"][..], "2.2.2.2"),
            (&["1.1.1.1", "3.3.3.3"], "3.3.3.3"),
            (&["2001:db8:0:1:2:3:4:5"], "2001:db8:0:1::"),
            (&["::ffff:4.4.4.4"], "4.4.4.4"),
            (&["unknown"], "10.0.0.1"),
            (&[], "10.0.0.1"),
        ] {
            assert_eq!(limit.address(&request(headers)), Some(expected.parse().unwrap()), "{headers:?}");
        }
        assert_eq!(RateLimit::new(1, 1, None).address(&request(&["1.1.1.1"])), Some(IpAddr::from([10, 0, 0, 1])));
    }

    #[tokio::test]
    async fn a_call_too_many_is_told_to_come_later() {
        let test = TestState::new().await.with_rate_limit(RateLimit::new(1, 2, None));
        test.get("/healthz", "").await.expect(200);
        test.get("/nowhere", "").await.expect_code(404, "not_found");
        let answer = test.get("/healthz", "").await;
        assert_eq!(answer.headers["retry-after"], "1");
        answer.expect_code(429, "too_many_calls");
    }
}
