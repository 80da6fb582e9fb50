//! The rows that are not one call: snapshots, control planes, keys, workers, clients that leave.
//!
//! Each is run, and its answer says what was seen; one that begins with `wrong` fails the table.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use policies::Timestamp;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

use super::gateway::AttackEnvoy;
use super::in_wasmtime::{answer, publish, with_policy, words};
use super::{Answers, Place};
use crate::cases::envoy::{CaseEnvoy, FakeControlPlane, call, now};
use crate::cases::{self, CASE_NOW, CallSpec, Case, HostKind, Publication, publish_all, wasm};
use crate::envoy::{Envoy, EnvoySettings};
use crate::proxy_host::{HostOptions, ProxyHost, Shared, Status};
use crate::sample_api::SampleApi;
use crate::wait;

const BOUND: Duration = Duration::from_secs(60);
/// Tokens with random key ids.
const FLOOD: usize = 1000;

fn note(answers: &mut Answers, row: u8, place: Place, outcome: Result<String>) {
    answers.note(row, "", place, outcome.unwrap_or_else(|error| format!("wrong: {error:#}")));
}

/// A call of the walk that is permitted, and one that is not.
fn permitted() -> Result<CallSpec> {
    Ok(serde_json::from_value(json!({ "token": {} }))?)
}

/// Shows one row; what it says was looked at.
type StateRow = fn(&ProxyHost) -> Result<String>;

/// Every row that wasmtime can show.
pub fn in_wasmtime(host: &ProxyHost) -> Result<Answers> {
    let mut answers = Answers::default();
    let rows: [(u8, StateRow); 8] = [
        (43, snapshots),
        (44, control_plane_down),
        (45, keys_rotate),
        (46, random_key_ids),
        (47, foreign_data),
        (48, vm_dies),
        (49, client_leaves),
        (50, no_secret),
    ];
    for (row, run) in rows {
        note(&mut answers, row, Place::Wasmtime, run(host));
    }
    Ok(answers)
}

fn case_now() -> Result<Timestamp> {
    Ok(Timestamp::parse_rfc3339(CASE_NOW)?)
}

/// Runs the cases whose name begins so; gives how many there are.
fn run_cases(host: &ProxyHost, wanted: impl Fn(&Case) -> bool) -> Result<usize> {
    let cases: Vec<Case> = cases::for_host(HostKind::Wasmtime)?.into_iter().filter(wanted).collect();
    for case in &cases {
        wasm::run(case, host, true).with_context(|| case.name.clone())?;
    }
    ensure!(!cases.is_empty(), "there is no such case");
    Ok(cases.len())
}

fn snapshots(host: &ProxyHost) -> Result<String> {
    let refused = |case: &Case| case.published.iter().any(|publication| publication.refused.is_some());
    let ran = run_cases(host, |case| case.name.starts_with("snapshot/") && refused(case))?;
    ensure!(ran >= 15, "only {ran} cases");
    Ok("refused, the old stays".to_owned())
}

fn control_plane_down(host: &ProxyHost) -> Result<String> {
    run_cases(host, |case| {
        ["snapshot/policy_", "snapshot/older_", "snapshot/new_epoch"].iter().any(|name| case.name.starts_with(name))
    })?;
    Ok("503, and never back".to_owned())
}

fn keys_rotate(host: &ProxyHost) -> Result<String> {
    let now = case_now()?;
    let mut vm = with_policy(host, HostOptions::default(), now)?;
    publish(&mut vm, &rotated()?, now)?;
    for (spec, must) in rotation_calls()? {
        let told = answer(&mut vm, spec.headers_at(now)?)?;
        ensure!(told == must, "answers `{told}`, must `{must}`");
    }
    Ok("the new one counts, the old one does not".to_owned())
}

fn rotated() -> Result<Publication> {
    Ok(serde_json::from_value(json!({ "document": "walk-rotated", "version": 2 }))?)
}

fn rotation_calls() -> Result<Vec<(CallSpec, &'static str)>> {
    [
        (json!({ "token": { "key": "rsa-maskinporten-new" } }), "allow"),
        (json!({ "token": { "key": "ec-maskinporten" } }), "allow"),
        (json!({ "token": {} }), "401 key_unknown"),
    ]
    .into_iter()
    .map(|(spec, must)| Ok((serde_json::from_value(spec)?, must)))
    .collect()
}

fn random_key_id(number: usize) -> Result<CallSpec> {
    let kid = format!("{number}-{}", number.wrapping_mul(0x9e37_79b9));
    Ok(serde_json::from_value(json!({ "token": { "key": "ec-maskinporten", "header": { "kid": kid } } }))?)
}

fn random_key_ids(host: &ProxyHost) -> Result<String> {
    let now = case_now()?;
    let mut vm = with_policy(host, HostOptions::default(), now)?;
    let waiting = vm.pending_http_calls().len();
    for number in 0..FLOOD {
        let told = answer(&mut vm, random_key_id(number)?.headers_at(now)?)?;
        ensure!(told == "401 key_unknown", "answers `{told}`");
        if number % 100 == 0 {
            let told = answer(&mut vm, permitted()?.headers_at(now)?)?;
            ensure!(told == "allow", "a valid caller gets `{told}`");
        }
    }
    let asked = vm.pending_http_calls().len().saturating_sub(waiting);
    ensure!(asked <= 1, "{asked} fetches");
    Ok("401, at most 1 fetch".to_owned())
}

fn foreign_data(host: &ProxyHost) -> Result<String> {
    let now = case_now()?;
    let shared = Shared::default();
    let options = || HostOptions { shared: shared.clone(), ..HostOptions::default() };
    let mut first = with_policy(host, options(), now)?;
    first.advance(Duration::from_millis(300))?;
    let keys = shared.keys("");
    ensure!(!keys.is_empty(), "nothing is shared");
    for garbage in [&b""[..], b"\0", b"garbage", &[0xff; 4096]] {
        for key in &keys {
            shared.overwrite("", key, garbage);
        }
        first.advance(Duration::from_millis(300))?;
        let told = answer(&mut first, permitted()?.headers_at(now)?)?;
        ensure!(told == "allow", "after foreign data: `{told}`");
    }
    // A clock that jumps: back, the age of the policy is not known any more; ahead, it is too old. Never an allow by accident.
    let mut vm = with_policy(host, HostOptions::default(), now)?;
    for (seconds, must) in [(-60, "503 policy_stale"), (86_400, "503 policy_stale"), (0, "allow")] {
        let at = now.plus_seconds(seconds);
        vm.set_now(u64::try_from(at.unix_millis())? * 1_000_000);
        let told = answer(&mut vm, permitted()?.headers_at(now)?)?;
        ensure!(told == must, "at {seconds} s: `{told}`, must `{must}`");
    }
    Ok("ignored; a clock that jumps gives 503".to_owned())
}

fn vm_dies(host: &ProxyHost) -> Result<String> {
    let now = case_now()?;
    let shared = Shared::default();
    let options = || HostOptions { shared: shared.clone(), ..HostOptions::default() };
    let mut first = with_policy(host, options(), now)?;
    first.advance(Duration::from_millis(300))?;
    // A status that the SDK does not expect traps: here when the next poll is sent.
    first.refuse_http_calls(Some(Status::CasMismatch));
    if let Some(poll) = first.pending_http_calls().first() {
        let _dies = first.fail_http_call(poll.token);
    }
    let dead = first.advance(Duration::from_secs(2));
    ensure!(dead.is_err(), "the VM lives");
    // Its successor has what is shared, and nobody else to ask.
    let now_unix_nanos = u64::try_from(now.unix_millis())? * 1_000_000 + 2_000_000_000;
    let options = HostOptions { now_unix_nanos, ..options() };
    let mut second = host.start(&wasm::filter_configuration()?.to_string(), options)?;
    second.advance(Duration::from_secs(1))?;
    let told = answer(&mut second, permitted()?.headers_at(now)?)?;
    ensure!(told == "allow", "the next call gets `{told}`");
    ensure!(second.metric("portvakt.snapshot.version") == Some(1), "another version is in force");
    Ok("the next VM decides with the same version".to_owned())
}

fn client_leaves(host: &ProxyHost) -> Result<String> {
    let now = case_now()?;
    let now_unix_nanos = u64::try_from(now.unix_millis())? * 1_000_000;
    let options = HostOptions { now_unix_nanos, ..HostOptions::default() };
    let mut vm = host.start(&wasm::filter_configuration()?.to_string(), options)?;
    vm.advance(Duration::from_millis(100))?;
    let leaves = vm.open_stream()?;
    vm.request_headers(leaves, permitted()?.headers_at(now)?, true)?;
    let stays = vm.open_stream()?;
    vm.request_headers(stays, permitted()?.headers_at(now)?, true)?;
    vm.close_stream(leaves)?;
    publish(&mut vm, &serde_json::from_str("{}")?, now)?;
    let told = words(&vm.outcome(stays)?);
    ensure!(told == "allow", "the one that stays gets `{told}`");
    vm.tick()?;
    ensure!(vm.metric("portvakt.permitted") == Some(1), "another call was let through");
    Ok("no crash, no allow".to_owned())
}

fn no_secret(host: &ProxyHost) -> Result<String> {
    let now = case_now()?;
    let mut vm = with_policy(host, HostOptions::default(), now)?;
    for row in super::rows()? {
        for attack in row.attacks.iter().filter(|attack| attack.must_at(Place::Wasmtime).is_some()) {
            answer(&mut vm, attack.call.headers_at(now)?)?;
            // The log says why with the tick.
            vm.advance(Duration::from_millis(100))?;
        }
    }
    ensure!(
        vm.logs().iter().any(|line| line.message.contains("key_unknown")),
        "the log says nothing of what was refused"
    );
    let told = vm.logs().iter().map(|line| line.message.clone()).chain(vm.metrics().into_keys());
    check_no_secret(told)?;
    Ok("none".to_owned())
}

/// No line holds a token, a credential or a key.
fn check_no_secret(lines: impl Iterator<Item = String>) -> Result<()> {
    for line in lines {
        // How the header and the claims of a token begin, and where a credential stands.
        let shows = ["eyJ", "Bearer cases", "PRIVATE", "BEGIN PUBLIC"].iter().find(|secret| line.contains(**secret));
        if let Some(shows) = shows {
            bail!("a line shows `{shows}`: {line}");
        }
    }
    Ok(())
}

/// The rows that are looked at in the Envoy that every call was put to.
pub(super) async fn after_all(envoy: &AttackEnvoy) -> Result<Answers> {
    let mut answers = Answers::default();
    note(&mut answers, 46, Place::Raw, flood(envoy).await);
    note(&mut answers, 50, Place::Raw, logs_of(&envoy.envoy).await);
    Ok(answers)
}

async fn flood(envoy: &AttackEnvoy) -> Result<String> {
    let asked = async || -> Result<u64> {
        let stats = envoy.envoy.stats(".upstream_rq_total").await?;
        Ok(stats.iter().filter(|(name, _)| !name.contains("sample-api")).map(|(_, count)| count).sum())
    };
    let before = asked().await?;
    let address = envoy.address(Place::Raw)?;
    for number in 0..FLOOD {
        let refused = call(address, &random_key_id(number)?.headers_at(now())?).await?;
        ensure!(refused.status == 401, "answers {} {}", refused.status, refused.body);
        if number % 100 == 0 {
            let valid = call(address, &permitted()?.headers_at(now())?).await?;
            ensure!(valid.status == 200, "a valid caller gets {} {}", valid.status, valid.body);
        }
    }
    // A poll may have come to its end meanwhile, and a new one begun.
    let asked = asked().await? - before;
    ensure!(asked <= 3, "{asked} requests to others");
    Ok("401, at most 1 fetch".to_owned())
}

async fn logs_of(envoy: &Envoy) -> Result<String> {
    let mut lines: Vec<String> = envoy.stats("").await?.into_keys().collect();
    for file in [envoy.log(), envoy.access_log()] {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        ensure!(text.contains("key_unknown"), "{} says nothing of what was refused", file.display());
        lines.extend(text.lines().map(str::to_owned));
    }
    check_no_secret(lines.into_iter())?;
    Ok("none".to_owned())
}

/// The rows that need an Envoy of their own.
pub async fn in_envoy(program: &Path, filter_wasm: &Path, folder: &Path) -> Result<Answers> {
    let mut answers = Answers::default();
    let snapshots = bad_snapshots(program, filter_wasm, &folder.join("43")).await;
    note(&mut answers, 43, Place::Raw, snapshots);
    let rotation = rotation(program, filter_wasm, &folder.join("45")).await;
    note(&mut answers, 45, Place::Raw, rotation);
    match down_at_start(program, filter_wasm, &folder.join("44")).await {
        Ok(()) => {
            note(&mut answers, 44, Place::Raw, Ok("503, and never back".to_owned()));
            note(&mut answers, 49, Place::Raw, Ok("no crash, no allow".to_owned()));
        }
        Err(error) => {
            note(&mut answers, 44, Place::Raw, Err(error));
            note(&mut answers, 49, Place::Raw, Err(anyhow::anyhow!("see row 44")));
        }
    }
    Ok(answers)
}

async fn bad_snapshots(program: &Path, filter_wasm: &Path, folder: &Path) -> Result<String> {
    let published = json!([
        { "version": 5 },
        { "document": "walk-withdrawn", "version": 4, "refused": "snapshot_not_newer" },
        { "document": "walk-withdrawn", "version": 6, "damage": { "flip": 10 }, "refused": "snapshot_signature" },
        { "document": "walk-withdrawn", "version": 6, "damage": { "cut": 100 }, "refused": "snapshot_broken" },
        { "document": "walk-withdrawn", "version": 6, "damage": { "grow": 100 }, "refused": "snapshot_broken" },
        { "document": "walk-withdrawn", "version": 6, "key": "another", "refused": "snapshot_key" },
        { "document": "walk-withdrawn", "version": 6, "provider": "skatteetaten", "refused": "snapshot_of_another_provider" },
        { "document": "walk-withdrawn", "version": 7, "delta": true, "gap": true, "refused": "snapshot_gap" },
        { "document": "walk-withdrawn", "version": 6, "notAfterSeconds": 2_678_401, "refused": "snapshot_times" },
    ]);
    let published: Vec<Publication> = serde_json::from_value(published)?;
    let envoy = CaseEnvoy::start(program, filter_wasm, &published, folder).await?;
    envoy.expect(&permitted()?, 200).await?;
    let refused = envoy.refused().await?;
    ensure!(refused >= 8, "only {refused} snapshots were refused");
    Ok("refused, the old stays".to_owned())
}

async fn rotation(program: &Path, filter_wasm: &Path, folder: &Path) -> Result<String> {
    let published = [serde_json::from_str("{}")?, rotated()?];
    let envoy = CaseEnvoy::start(program, filter_wasm, &published, folder).await?;
    for (spec, must) in rotation_calls()? {
        envoy.expect(&spec, if must == "allow" { 200 } else { 401 }).await?;
    }
    Ok("the new one counts, the old one does not".to_owned())
}

/// The control plane is not there when Envoy starts: calls wait, one client leaves, one is answered 503. Then it comes, and
/// offers what is older after what is newer.
async fn down_at_start(program: &Path, filter_wasm: &Path, folder: &Path) -> Result<()> {
    // A port that was free a moment ago: nobody listens there.
    let control_plane = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let sample_api = SampleApi::start().await?;
    let envoy = Envoy::start(&EnvoySettings {
        program: program.to_owned(),
        filter_wasm: filter_wasm.to_owned(),
        filter_configuration: wasm::filter_configuration()?,
        port: 0,
        workers: 1,
        control_plane,
        sample_api: sample_api.address(),
        directory: folder.to_owned(),
    })
    .await?;
    let address: SocketAddr = envoy.base_url().trim_start_matches("http://").parse()?;
    let headers = permitted()?.headers_at(now())?;
    leave_while_held(address, &headers).await?;
    let waited = call(address, &headers).await?;
    ensure!(waited.status == 503 && waited.body.contains("policy_missing"), "{} {}", waited.status, waited.body);

    let published: [Publication; 2] = [
        serde_json::from_value(json!({ "version": 5 }))?,
        serde_json::from_value(json!({ "document": "walk-withdrawn", "version": 1, "refused": "snapshot_not_newer" }))?,
    ];
    let bodies = publish_all(&published, now())?.into_iter().map(|published| published.body.into());
    let served = FakeControlPlane::start_at(control_plane, bodies.collect()).await?;
    wait::until("the control plane's return to be noticed", BOUND, async || Ok(served.are_all_done(2).then_some(())))
        .await
        .with_context(|| envoy.log_tail())?;
    let decided = call(address, &headers).await?;
    ensure!(decided.status == 200, "after its return {} {}", decided.status, decided.body);
    ensure!(sample_api.calls() == 1, "{} calls reached the API", sample_api.calls());
    Ok(())
}

async fn leave_while_held(address: SocketAddr, headers: &[(String, String)]) -> Result<()> {
    let token = headers.iter().find(|(name, _)| name == "authorization").context("no token")?;
    let mut stream = TcpStream::connect(address).await?;
    let call = format!("GET /vat/310247049/returns HTTP/1.1\r\nhost: a\r\nauthorization: {}\r\n\r\n", token.1);
    stream.write_all(call.as_bytes()).await?;
    stream.shutdown().await?;
    Ok(())
}
