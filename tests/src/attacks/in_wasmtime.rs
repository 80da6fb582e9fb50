//! The calls put to the module that gateways load, in wasmtime.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use policies::Timestamp;
use serde_json::{Value, json};

use super::{Answers, Place, Row, WORLD};
use crate::cases::{CASE_NOW, Publication, publish_all, wasm};
use crate::proxy_host::{HostOptions, LocalReply, Outcome, ProxyHost, Vm};

/// Puts every call to one VM that has the walk's snapshot.
pub fn run(rows: &[Row], host: &ProxyHost) -> Result<Answers> {
    let now = Timestamp::parse_rfc3339(CASE_NOW)?;
    let mut vm = with_policy(host, HostOptions::default(), now)?;
    let mut answers = Answers::default();
    for row in rows {
        for attack in row.attacks.iter().filter(|attack| attack.must_at(Place::Wasmtime).is_some()) {
            let headers = attack.call.headers_at(now).with_context(|| format!("row {} {}", row.row, attack.name))?;
            answers.note(row.row, &attack.name, Place::Wasmtime, answer(&mut vm, headers)?);
        }
    }
    ensure!(vm.pending_http_calls().len() <= 1, "a call made the filter ask somebody: {:?}", vm.pending_http_calls());
    Ok(answers)
}

/// A VM that has the walk's snapshot in force.
pub(super) fn with_policy(host: &ProxyHost, options: HostOptions, now: Timestamp) -> Result<Vm> {
    let now_unix_nanos = u64::try_from(now.unix_millis())? * 1_000_000;
    let options = HostOptions { now_unix_nanos, ..options };
    let mut vm = host.start(&wasm::filter_configuration()?.to_string(), options)?;
    vm.advance(Duration::from_millis(100))?;
    publish(&mut vm, &serde_json::from_value(json!({ "document": WORLD }))?, now)?;
    vm.set_now(now_unix_nanos);
    Ok(vm)
}

/// Answers the poll under way with what is published.
pub(super) fn publish(vm: &mut Vm, publication: &Publication, now: Timestamp) -> Result<()> {
    let poll = vm.pending_http_calls().first().context("the filter does not poll")?.token;
    for published in publish_all(std::slice::from_ref(publication), now)? {
        vm.answer_http_call(poll, 200, &[], &published.body)?;
    }
    Ok(())
}

/// What becomes of a call, in the words of the data.
pub(super) fn answer(vm: &mut Vm, headers: Vec<(String, String)>) -> Result<String> {
    let stream = vm.open_stream()?;
    let outcome = vm.request_headers(stream, headers, true)?;
    let told = words(&outcome);
    vm.close_stream(stream)?;
    Ok(told)
}

/// An outcome in the words of the data.
pub(super) fn words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Continue { headers } if headers.iter().any(|(_, value)| value.contains("forged")) => {
            "forged headers went through".to_owned()
        }
        Outcome::Continue { .. } => "allow".to_owned(),
        Outcome::LocalReply(reply) => reply_words(reply),
        Outcome::Paused => "held".to_owned(),
        Outcome::Reset => "reset".to_owned(),
    }
}

fn reply_words(reply: &LocalReply) -> String {
    if let Some(status) = reply.headers.get("grpc-status") {
        return format!("grpc {status}");
    }
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    match body.get("code").and_then(Value::as_str) {
        Some(code) => format!("{} {code}", reply.status),
        None => reply.status.to_string(),
    }
}
