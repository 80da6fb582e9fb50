//! A flood of tokens whose keys nobody knows: how often the issuer is asked, and whether valid callers notice.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use engine_guest::figures::Figure;
use serde_json::json;

use super::Plan;
use super::probe::{Probe, exchange};
use super::recovery::{self, call};
use crate::bench::report::Report;
use crate::faults::now;

/// Shortest time between two tries, as configured.
const INTERVAL_SECONDS: u64 = 10;
/// Tokens in a second, over all connections.
const TOKENS_A_SECOND: u32 = 1_000;

/// Floods for so long.
pub fn run(plan: &Plan, seconds: u64, report: &mut Report) -> Result<()> {
    let stage = recovery::Stage::set(plan, |configuration| {
        configuration["issuerKeys"] = json!([{"issuer": "https://maskinporten.example/", "cluster": "control-plane",
            "authority": "maskinporten.example", "path": "/jwks", "intervalSeconds": INTERVAL_SECONDS}]);
    })?;
    let valid = Probe::start(stage.address, call(seconds + 60)?)?;
    recovery::enforced(std::slice::from_ref(&valid), Instant::now(), 1)?;
    let began = Instant::now();
    let until = began + Duration::from_secs(seconds);
    let refused = Arc::new(AtomicU32::new(0));
    let floods: Vec<_> = (0..plan.workers)
        .map(|number| {
            let (address, refused) = (stage.address, Arc::clone(&refused));
            let pause = Duration::from_secs(1) * plan.workers / TOKENS_A_SECOND;
            std::thread::spawn(move || flood(address, number, pause, until, &refused))
        })
        .collect();
    for flood in floods {
        flood.join().map_err(|_| anyhow::anyhow!("a caller failed"))??;
    }
    let refused = refused.load(Ordering::Relaxed);
    ensure!(refused > 0, "no token was sent");
    let wrong = valid.samples().iter().filter(|sample| sample.sent > began && !sample.is_answer("200")).count();
    // The first begins with the first token.
    let intervals = (seconds / INTERVAL_SECONDS + 1) as f64;
    report.add(
        "",
        [
            Figure::new("feed.unknown_keys.tokens", f64::from(refused) / seconds as f64, "1/s"),
            Figure::new("feed.unknown_keys.fetches_an_interval", stage.keys_asked() as f64 / intervals, "fetches"),
            Figure::new("feed.unknown_keys.valid_callers_refused", wrong as f64, "calls"),
        ],
    );
    Ok(())
}

/// Sends a token with a key of its own each time, no faster than that.
fn flood(address: SocketAddr, number: u32, pause: Duration, until: Instant, refused: &AtomicU32) -> Result<()> {
    let mut stream = TcpStream::connect(address).context("Envoy does not take a connection")?;
    stream.set_nodelay(true)?;
    let mut next = Instant::now();
    for counter in 0_u64.. {
        let sent = Instant::now();
        if sent >= until {
            break;
        }
        let header = json!({"alg": "RS256", "kid": format!("{number}-{counter}")}).to_string();
        let seconds = now().unix_millis() / 1000;
        let claims = json!({"iss": "https://maskinporten.example/", "iat": seconds, "exp": seconds + 60}).to_string();
        let token = format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let head = "GET /vat/310247049/returns HTTP/1.1\r\nhost: api.example.no\r\n";
        let code = exchange(&mut stream, format!("{head}authorization: Bearer {token}\r\n\r\n").as_bytes())?;
        ensure!(code == "key_unknown", "answered {code}");
        refused.fetch_add(1, Ordering::Relaxed);
        next += pause;
        crate::bench::pause(next.saturating_duration_since(Instant::now()));
    }
    Ok(())
}
