//! A large base is taken over in slices: no callback computes for so long that calls wait. Counted in instructions, which
//! are the same on every machine, in a host whose clock stands still during a callback.

use std::time::Duration;

use gateway_tests::cases::{keys, wasm};
use gateway_tests::proxy_host::{HostOptions, ProxyHost, Shared, Vm};
use policies::snapshot::{Document, Manifest, SnapshotKey, SnapshotVersion, compile, seal};
use serde_json::json;

use crate::filter_in_wasmtime::now;

/// Most instructions of one callback: some five milliseconds of a gateway's worker.
const INSTRUCTIONS_MAX: u64 = 60_000_000;
/// Length of a part, in bytes.
const PART_BYTES: usize = 1 << 20;

/// A sealed base of more than a dozen parts.
fn base(version: u64) -> Vec<u8> {
    let withdrawn: Vec<String> = (1..=800_000_u128).map(|number| uuid(number << 20)).collect();
    let document = json!({"provider": "regnskapsregisteret", "withdrawnSystemUsers": withdrawn});
    let document: Document = serde_json::from_value(document).unwrap();
    let image = compile(&document).unwrap();
    let key = keys::key("snapshot").unwrap();
    let key_id = SnapshotKey::from_public_key_pem(&key.public_pem().unwrap()).unwrap().key_id();
    let version = SnapshotVersion { epoch: 1, version };
    let end = now().plus_seconds(3600);
    let manifest = Manifest::new(document.provider, version, version.version - 1, 1, now(), end, key_id, &image);
    seal(&manifest, key.sign(&manifest.signing_bytes()).as_slice().try_into().unwrap(), &image)
}

fn uuid(number: u128) -> String {
    let digits = format!("{number:032x}");
    let (a, rest) = digits.split_at(8);
    let (b, rest) = rest.split_at(4);
    let (c, rest) = rest.split_at(4);
    let (d, e) = rest.split_at(4);
    format!("{a}-{b}-{c}-{d}-{e}")
}

fn worker(shared: &Shared, seed: u64) -> Vm {
    let options = HostOptions {
        now_unix_nanos: now().unix_millis() as u64 * 1_000_000,
        shared: shared.clone(),
        random_seed: seed,
        ..HostOptions::default()
    };
    let configuration = wasm::filter_configuration().unwrap().to_string();
    ProxyHost::from_environment().unwrap().start(&configuration, options).unwrap()
}

/// Answers every poll under way with the part that it asks for; gives the most instructions of one reply.
fn answer(vm: &mut Vm, base: &[u8], version: u64) -> u64 {
    let mut most = 0;
    for call in vm.pending_http_calls() {
        let text = |name: &str| call.headers.get(name).map(|value| value.into_owned()).unwrap_or_default();
        let tag = format!("\"1.{version}\"");
        if text(":method") != "GET" {
            vm.answer_http_call(call.token, 204, &[], b"").unwrap();
        } else if text("if-none-match") == tag {
            vm.answer_http_call(call.token, 304, &[], b"").unwrap();
        } else {
            let first: usize =
                text("range").strip_prefix("bytes=").unwrap().split_once('-').unwrap().0.parse().unwrap();
            let last = (first + PART_BYTES).min(base.len()) - 1;
            let range = format!("bytes {first}-{last}/{}", base.len());
            let headers = [("etag", tag.as_str()), ("content-range", range.as_str())];
            vm.answer_http_call(call.token, 206, &headers, &base[first..=last]).unwrap();
        }
        most = most.max(vm.fuel_used());
    }
    most
}

#[test]
fn no_callback_takes_long_while_a_large_base_is_taken_over() {
    let shared = Shared::default();
    let mut workers = [worker(&shared, 1), worker(&shared, 2)];
    for version in 1..=2 {
        let base = base(version);
        assert!(base.len() > 12 * PART_BYTES);
        let (mut most, mut sum, mut rounds) = (0, 0, 0);
        while workers.iter().any(|vm| vm.metric("portvakt.snapshot.version") != Some(version)) {
            rounds += 1;
            assert!(rounds < 2000, "not taken over");
            for vm in &mut workers {
                if vm.advance(Duration::from_millis(1)).unwrap() > 0 {
                    most = most.max(vm.fuel_used());
                    sum += vm.fuel_used();
                }
                most = most.max(answer(vm, &base, version));
            }
        }
        assert!(most < INSTRUCTIONS_MAX, "{most} in one callback");
        assert!(sum > 3 * INSTRUCTIONS_MAX, "{sum} in all: nothing is cut into slices");
    }
}
