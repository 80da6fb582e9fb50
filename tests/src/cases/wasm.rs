//! Cases put to the filter's module in wasmtime: the same bytes that a gateway loads.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use policies::Timestamp;
use serde_json::{Value, json};

use super::{CASE_NOW, Case, Expectation, Problem, Publication, Published, keys, publish_all};
use crate::proxy_host::{HostOptions, LocalReply, Outcome, ProxyHost, Vm};

/// The configuration of the filter under test; `port` and such are the host's affair.
pub fn filter_configuration() -> Result<Value> {
    Ok(json!({
        "provider": "regnskapsregisteret",
        "gateway": "cases",
        "controlPlane": {"cluster": "control-plane", "authority": "control-plane", "credential": "cases"},
        "snapshotKeys": [keys::key("snapshot")?.public_pem()?],
        "hold": {"callsMax": 10, "millisecondsMax": 1000},
        "realm": "cases",
        "resource": {"identifier": "https://api.example.no/vat"},
        "identityHeaders": ["combined", "id", "owner", "party", "system", "vendor", "client"],
    }))
}

/// Runs one case in a host that verifies signatures natively, or in one that cannot.
pub fn run(case: &Case, host: &ProxyHost, verify_signature: bool) -> Result<()> {
    let now = Timestamp::parse_rfc3339(CASE_NOW)?;
    // The policy's age is real time for the filter: what was published was published so long ago.
    let published_at = now.plus_seconds(-i64::from(case.silent_seconds));
    let now_unix_nanos = u64::try_from(published_at.unix_millis())? * 1_000_000;
    let options = HostOptions { verify_signature, now_unix_nanos, ..HostOptions::default() };
    let mut vm = host.start(&filter_configuration()?.to_string(), options)?;
    vm.advance(Duration::from_millis(100))?;
    for (publication, published) in case.published.iter().zip(publish_all(&case.published, now)?) {
        serve(&mut vm, case, publication, &published)?;
    }
    vm.set_now(u64::try_from(now.unix_millis())? * 1_000_000);
    let headers = case.headers(now)?;
    let stream = vm.open_stream()?;
    let mut outcome = vm.request_headers(stream, headers, true)?;
    if outcome.is_paused() {
        // No snapshot has come; the call waits, and not for ever.
        vm.advance(Duration::from_millis(1100))?;
        outcome = vm.outcome(stream)?;
    }
    check(case, &outcome)?;
    vm.close_stream(stream)?;
    Ok(())
}

/// Answers the poll under way with a body, and sees what the filter does with it.
fn serve(vm: &mut Vm, case: &Case, publication: &Publication, published: &Published) -> Result<()> {
    let refused_before = vm.metric("portvakt.snapshot.refused").unwrap_or(0);
    let poll = next_poll(vm)?;
    let tag = format!("\"{}\"", published.version);
    vm.answer_http_call(poll, 200, &[("etag", tag.as_str())], &published.body)?;
    let refused = vm.metric("portvakt.snapshot.refused").unwrap_or(0) - refused_before;
    match &publication.refused {
        None => ensure!(refused == 0, "{}: a snapshot was refused: {:?}", case.name, vm.take_logs()),
        Some(code) => {
            ensure!(refused == 1, "a snapshot was applied that should be refused with `{code}`");
            let told = vm.logs().iter().any(|line| line.message.contains(&format!("code={code}")));
            ensure!(told, "a snapshot was refused, not with `{code}`: {:?}", vm.take_logs());
        }
    }
    Ok(())
}

/// The poll under way; after a refusal the filter waits before it asks again.
fn next_poll(vm: &mut Vm) -> Result<u32> {
    for _ in 0..200 {
        if let Some(call) = vm.pending_http_calls().first() {
            return Ok(call.token);
        }
        vm.advance(Duration::from_millis(100))?;
    }
    bail!("the filter does not poll")
}

fn check(case: &Case, outcome: &Outcome) -> Result<()> {
    match (outcome, &case.expect) {
        (Outcome::Continue { headers }, Expectation::Permit { headers: expected, .. }) => {
            for (name, value) in expected {
                let got = headers.get(name);
                ensure!(
                    got.as_deref() == value.as_deref(),
                    "the API gets `{name}: {}`",
                    got.as_deref().unwrap_or("(none)")
                );
            }
            Ok(())
        }
        (Outcome::LocalReply(reply), Expectation::Deny { reason, status, challenge }) => {
            check_reply(reply, reason, *status, challenge)
        }
        (Outcome::LocalReply(reply), Expectation::Permit { .. }) => {
            bail!("refused: {} {}", reply.status, String::from_utf8_lossy(&reply.body))
        }
        (Outcome::Continue { .. }, Expectation::Deny { reason, .. }) => {
            bail!("let through, where it should be refused with `{reason}`")
        }
        (Outcome::Paused | Outcome::Reset, _) => bail!("neither let through nor refused"),
    }
}

fn check_reply(reply: &LocalReply, reason: &str, status: u16, challenge: &[String]) -> Result<()> {
    let problem: Problem = serde_json::from_slice(&reply.body).context("the refusal is no problem body")?;
    ensure!(problem.code == reason, "refused with {}", String::from_utf8_lossy(&reply.body));
    ensure!(reply.status == u32::from(status), "refused with status {}", reply.status);
    ensure!(problem.status == status, "the body says status {}", problem.status);
    ensure!(reply.details == reason, "the host is told the details `{}`", reply.details);
    let header = |name: &str| reply.headers.get(name).map(|value| value.into_owned()).unwrap_or_default();
    ensure!(header("content-type") == "application/problem+json", "content type {}", header("content-type"));
    for part in challenge {
        let got = header("www-authenticate");
        ensure!(got.contains(part.as_str()), "challenged with `{got}`");
    }
    Ok(())
}
