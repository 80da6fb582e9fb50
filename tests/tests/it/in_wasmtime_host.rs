//! The proxy-wasm host of `gateway_tests::proxy_host`, proven with guests written as text, and that it takes the
//! filter. What the filter decides is proven by the case files, not here.
//!
//! The habits checked here (what can be read when, what a body edit may do, which numbers come back) were compared
//! with Envoy 1.40 by running one module in both.

mod wat_guest;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use gateway_tests::proxy_host::{
    BodyOutcome, Cause, GuestFailure, HostOptions, Outcome, ProxyHost, Shared, Status, Vm,
};
use wat_guest::{guest, holding, on_request, reply_and};

#[test]
fn in_wasmtime_a_guest_reads_its_configuration_and_may_refuse_it() -> Result<()> {
    let host = guest(
        r#"(func (export "proxy_on_configure") (param i32 i32) (result i32)
            (call $show (call $buffer (i32.const 7) (i32.const 0) (i32.const 99) (i32.const 0) (i32.const 4)))
            (call $say_value)
            (i32.eq (local.get 1) (i32.const 4)))"#,
    )?;
    let vm = host.start("good", HostOptions::default())?;
    assert_eq!(said(&vm), ["00", "good"]);
    let failure = host.start("bad", HostOptions::default()).expect_err("three letters are refused");
    assert!(failure.is_refusal());
    assert_eq!(failure.callback, "proxy_on_configure");
    assert!(failure.log_text().contains("bad"), "{failure}");
    Ok(())
}

#[test]
fn in_wasmtime_what_is_no_proxy_wasm_module_is_refused_with_the_reason() {
    let refusal = |text: &str| format!("{:#}", ProxyHost::load(text.as_bytes()).err().expect("must be refused"));
    assert!(refusal("(module)").contains("proxy_abi_version_0_2_1"));
    assert!(refusal("not wasm").contains("does not compile"));
    let abi = r#"(func (export "proxy_abi_version_0_2_1"))"#;
    let foreign = refusal(&format!(r#"(module (import "env" "open_file" (func)) {abi})"#));
    assert!(foreign.contains("`env.open_file`, which no proxy-wasm host provides"), "{foreign}");
    let wrong = refusal(&format!(r#"(module (import "env" "proxy_done" (func (param i64))) {abi})"#));
    assert!(wrong.contains("do not fit the proxy-wasm ABI"), "{wrong}");
}

#[test]
fn in_wasmtime_headers_go_on_as_the_guest_left_them() -> Result<()> {
    let mut vm = start(&on_request(
        r##"(call $show (call $header (i32.const 0) #"X-Who" (i32.const 0) (i32.const 4)))
            (call $say_value)
            (call $show (call $header (i32.const 0) #"x-none" (i32.const 0) (i32.const 4)))
            (call $show (call $set_header (i32.const 0) #"x-who" #"guest"))
            (i32.const 0)"##,
    ))?;
    let stream = vm.open_stream()?;
    let outcome = vm.request_headers(stream, [(":path", "/"), ("x-who", "client"), ("X-WHO", "again")], true)?;
    let headers = outcome.headers().context("must go on")?;
    assert_eq!(headers.all("x-who"), ["guest"]);
    assert_eq!(said(&vm), ["00", "client", "01", "00"]);
    assert!(vm.request_headers(stream, [(":path", "/")], true).is_err(), "headers come once");
    Ok(())
}

#[test]
fn in_wasmtime_a_local_reply_is_complete() -> Result<()> {
    let mut vm = start(&on_request(&reply_and("(i32.const 1)")))?;
    let stream = vm.open_stream()?;
    let outcome = vm.request_headers(stream, [(":path", "/")], true)?;
    let reply = outcome.reply().context("must be answered")?;
    assert_eq!((reply.status, reply.body.as_slice()), (403, &b"no"[..]));
    assert_eq!(reply.details, "pv_no_right");
    assert_eq!(reply.headers.get("x-a").as_deref(), Some("1"));
    assert_eq!(reply.headers.get("content-length").as_deref(), Some("2"));
    assert_eq!(vm.close_stream(stream)?.outcome, outcome);
    Ok(())
}

#[test]
fn in_wasmtime_a_reply_wins_over_continue() -> Result<()> {
    let mut vm = start(&on_request(&reply_and("(i32.const 0)")))?;
    let stream = vm.open_stream()?;
    assert!(vm.request_headers(stream, [(":path", "/")], true)?.reply().is_some());
    Ok(())
}

#[test]
fn in_wasmtime_a_held_call_goes_on_when_a_http_call_is_answered() -> Result<()> {
    let mut vm = start(&holding(r#"(drop (call $resume (i32.const 0)))"#))?;
    vm.advance(Duration::from_millis(100))?;
    let calls = vm.pending_http_calls();
    let call = calls.first().context("the tick must have dispatched a call")?;
    assert_eq!((call.cluster.as_str(), call.timeout), ("feed", Duration::from_millis(1500)));
    assert_eq!(call.headers.get(":path").as_deref(), Some("/s"));

    let stream = vm.open_stream()?;
    assert_eq!(vm.request_headers(stream, [(":path", "/")], true)?, Outcome::Paused);
    assert!(vm.request_body(stream, b"x", true).is_err(), "a proxy keeps the body of a held call back");
    vm.answer_http_call(call.token, 200, &[("etag", "\"1.7\"")], b"snapshot")?;
    assert!(vm.outcome(stream)?.headers().is_some());
    assert_eq!(said(&vm), ["00", "200", "00"], "dispatched, answered, acting as the stream");
    assert!(vm.answer_http_call(call.token, 200, &[], b"").is_err(), "a call is answered once");
    Ok(())
}

#[test]
fn in_wasmtime_a_failed_http_call_has_no_headers_and_reading_one_is_a_bad_argument() -> Result<()> {
    let mut vm = start(&holding(""))?;
    vm.tick()?;
    let token = vm.pending_http_calls().first().context("no call")?.token;
    vm.fail_http_call(token)?;
    assert_eq!(said(&vm), ["00", "02", "02"], "dispatched, status unreadable, no such stream");
    vm.take_logs();
    vm.refuse_http_calls(Some(Status::InternalFailure));
    vm.tick()?;
    assert_eq!(said(&vm), ["10"]);
    assert!(vm.pending_http_calls().is_empty());
    Ok(())
}

#[test]
fn in_wasmtime_an_unknown_cluster_is_a_bad_argument() -> Result<()> {
    let clusters = Some(BTreeSet::from(["other".to_owned()]));
    let mut vm = guest(&holding(""))?.start("", HostOptions { clusters, ..HostOptions::default() })?;
    vm.tick()?;
    assert_eq!(said(&vm), ["02"]);
    Ok(())
}

#[test]
fn in_wasmtime_a_stream_that_left_cannot_be_acted_for() -> Result<()> {
    let mut vm = start(&holding(r#"(drop (call $resume (i32.const 0)))"#))?;
    vm.tick()?;
    let stream = vm.open_stream()?;
    vm.request_headers(stream, [(":path", "/")], true)?;
    assert_eq!(vm.close_stream(stream)?.outcome, Outcome::Paused);
    let token = vm.pending_http_calls().first().context("no call")?.token;
    vm.answer_http_call(token, 200, &[], b"")?;
    assert_eq!(said(&vm), ["00", "200", "02"]);
    assert!(vm.logs().iter().any(|line| line.message == "a resume without a stream has no effect"));
    Ok(())
}

#[test]
fn in_wasmtime_nothing_can_be_read_after_resuming() -> Result<()> {
    let mut vm = start(&on_request(
        r##"(drop (call $resume (i32.const 0)))
            (call $show (call $header (i32.const 0) #":path" (i32.const 0) (i32.const 4)))
            (call $show (call $set_header (i32.const 0) #"x-late" #"1"))
            (i32.const 1)"##,
    ))?;
    let stream = vm.open_stream()?;
    let outcome = vm.request_headers(stream, [(":path", "/")], true)?;
    assert_eq!(outcome.headers().context("resumed in its own callback")?.get("x-late"), None);
    assert_eq!(said(&vm), ["02", "02"]);
    Ok(())
}

#[test]
fn in_wasmtime_what_would_let_a_call_through_by_accident_is_misuse() -> Result<()> {
    let twice = format!("{}{}", reply_and(""), reply_and("(i32.const 1)"));
    let let_through_then_denied = format!("(drop (call $resume (i32.const 0))){}", reply_and("(i32.const 1)"));
    let resumed_twice = "(drop (call $resume (i32.const 0)))(drop (call $resume (i32.const 0)))(i32.const 1)";
    for (body, expected) in [
        (twice.as_str(), "it replied to stream 2"),
        (&let_through_then_denied, "it replied to stream 2"),
        (resumed_twice, "it resumed stream 2, which does not wait"),
    ] {
        let mut vm = start(&on_request(body))?;
        let stream = vm.open_stream()?;
        let failure = vm.request_headers(stream, [(":path", "/")], true).expect_err(expected);
        let Cause::Misuse(what) = &failure.cause else { anyhow::bail!("not misuse: {failure}") };
        assert!(what.starts_with(expected), "{what}");
        vm.open_stream().context("the VM lives on")?;
    }
    Ok(())
}

#[test]
fn in_wasmtime_an_endless_loop_a_trap_and_an_exit_are_values_and_the_vm_is_dead() -> Result<()> {
    let options = HostOptions { fuel_per_callback: 1_000_000, ..HostOptions::default() };
    let fails = |body: &str| -> Result<Vec<GuestFailure>> {
        let body = format!(r##"(call $say #"last words") {body}"##);
        let mut vm = guest(&on_request(&body))?.start("", options.clone())?;
        let stream = vm.open_stream()?;
        let failure = vm.request_headers(stream, [(":path", "/")], true).err().context("must fail")?;
        ensure!(failure.callback == "proxy_on_request_headers" && failure.context == 2, "{failure}");
        ensure!(failure.to_string().contains("last words"), "{failure}");
        Ok(vec![failure, vm.open_stream().err().context("must be dead")?])
    };
    for (body, first) in [
        ("(loop $on (br $on)) (i32.const 0)", "OutOfFuel(1000000)"),
        ("(unreachable)", "Trap(\"wasm trap: wasm `unreachable` instruction executed"),
        ("(call $exit (i32.const 7)) (i32.const 0)", "Exit(7)"),
    ] {
        let causes: Vec<_> = fails(body)?.iter().map(|failure| format!("{:?}", failure.cause)).collect();
        assert!(causes.first().is_some_and(|cause| cause.starts_with(first)), "{causes:?}");
        assert_eq!(causes.get(1).map(String::as_str), Some("Dead"));
    }
    Ok(())
}

#[test]
fn in_wasmtime_a_bad_address_is_a_status_and_memory_has_a_limit() -> Result<()> {
    let options = HostOptions { memory_bytes_max: 4 << 16, ..HostOptions::default() };
    let host = guest(&on_request(
        r##"(call $show (call $log (i32.const 2) (i32.const -4) (i32.const 9)))
            (call $show (call $log (i32.const 9) (i32.const 0) (i32.const 0)))
            (call $show (call $header (i32.const 0) #":path" (i32.const -1) (i32.const 4)))
            (call $show (i32.eq (memory.grow (i32.const 2)) (i32.const 2)))
            (call $show (i32.eq (memory.grow (i32.const 1)) (i32.const -1)))
            (i32.const 0)"##,
    ))?;
    let mut vm = host.start("", options)?;
    let stream = vm.open_stream()?;
    vm.request_headers(stream, [(":path", "/")], true)?;
    assert_eq!(said(&vm), ["06", "02", "06", "01", "01"]);
    assert_eq!(vm.memory_bytes(), 4 << 16);
    Ok(())
}

#[test]
fn in_wasmtime_a_stream_ends_with_log_done_delete() -> Result<()> {
    let mut vm = start(
        r##"(func (export "proxy_on_log") (param i32) (call $say #"log")
            (call $show (call $header (i32.const 0) #":path" (i32.const 0) (i32.const 4)))
            (call $show (call $set_header (i32.const 0) #"x-late" #"1")))
          (func (export "proxy_on_done") (param i32) (result i32) (call $say #"done") (i32.const 1))
          (func (export "proxy_on_delete") (param i32) (call $say #"delete"))"##,
    )?;
    let stream = vm.open_stream()?;
    assert!(vm.request_headers(stream, [(":path", "/")], true)?.headers().is_some(), "no callback means continue");
    vm.close_stream(stream)?;
    assert_eq!(said(&vm), ["log", "00", "02", "done", "delete"], "in the access log headers can be read, not set");
    assert!(vm.close_stream(stream).is_err());
    assert!(vm.shut_down()?);
    Ok(())
}

#[test]
fn in_wasmtime_two_vms_share_data_and_queues() -> Result<()> {
    let host = guest(
        r##"(func (export "proxy_on_vm_start") (param i32 i32) (result i32) (call $period (i32.const 50)) (i32.eqz))
          (func (export "proxy_on_tick") (param i32)
            (call $show (call $shared #"key" (i32.const 0) (i32.const 4) (i32.const 8)))
            (call $show (call $share #"key" #"value" (i32.load (i32.const 8))))
            (call $show (call $share #"key" #"value" (i32.const 99)))
            (call $show (call $resolve #"" #"other" (i32.const 8)))
            (call $show (call $register #"queue" (i32.const 8)))
            (call $show (call $enqueue (i32.load (i32.const 8)) #"message")))
          (func (export "proxy_on_queue_ready") (param i32 i32)
            (call $show (call $dequeue (local.get 1) (i32.const 0) (i32.const 4)))
            (call $say_value)
            (call $show (call $dequeue (local.get 1) (i32.const 0) (i32.const 4))))"##,
    )?;
    let shared = Shared::default();
    let options = HostOptions { vm_id: "pv".to_owned(), shared: shared.clone(), ..HostOptions::default() };
    let mut first = host.start("", options.clone())?;
    let mut second = host.start("", options)?;
    first.tick()?;
    assert_eq!(said(&first), ["01", "00", "08", "01", "00", "00"], "a missing key takes any counter, later it counts");
    assert_eq!(first.deliver_queue_events()?, 1);
    assert_eq!(shared.queue_length("pv", "queue"), Some(0));
    second.tick()?;
    assert_eq!((first.deliver_queue_events()?, second.deliver_queue_events()?), (0, 1), "the last to register is told");
    assert_eq!(said(&second), ["00", "00", "08", "01", "00", "00", "00", "message", "07"]);
    assert_eq!(shared.value("pv", "key"), Some(b"value".to_vec()));
    Ok(())
}

#[test]
fn in_wasmtime_time_and_randomness_come_from_the_test() -> Result<()> {
    let host = guest(&on_request(
        r##"(drop (call $now (i32.const 32)))
            (drop (call $random (i32.const 40) (i32.const 12)))
            (call $say (i32.const 32) (i32.const 20))
            (i32.const 0)"##,
    ))?;
    let draw = |now_unix_nanos, random_seed| -> Result<Vec<String>> {
        let mut vm = host.start("", HostOptions { random_seed, ..HostOptions::default() })?;
        vm.set_now(now_unix_nanos);
        let stream = vm.open_stream()?;
        vm.request_headers(stream, [(":path", "/")], true)?;
        Ok(said(&vm))
    };
    assert_eq!(draw(5, 1)?, draw(5, 1)?);
    assert_ne!(draw(5, 1)?, draw(6, 1)?);
    assert_ne!(draw(5, 1)?, draw(5, 2)?);
    Ok(())
}

#[test]
fn in_wasmtime_ticks_follow_the_clock() -> Result<()> {
    let mut vm = start(
        r##"(func (export "proxy_on_vm_start") (param i32 i32) (result i32) (call $period (i32.const 50)) (i32.eqz))
          (func (export "proxy_on_tick") (param i32) (call $say #"tick"))"##,
    )?;
    let begin = vm.now();
    assert_eq!(vm.advance(Duration::from_millis(120))?, 2);
    assert_eq!(vm.advance(Duration::from_millis(29))?, 0);
    assert_eq!(vm.advance(Duration::from_millis(1))?, 1);
    assert_eq!((vm.now() - begin, said(&vm).len()), (150_000_000, 3));
    let mut silent = start("")?;
    assert!(matches!(silent.tick().expect_err("no period").cause, Cause::NotPossible(_)));
    Ok(())
}

#[test]
fn in_wasmtime_metrics_properties_and_foreign_functions_are_seen() -> Result<()> {
    let text = on_request(
        r##"(drop (call $define (i32.const 0) #"pv.calls" (i32.const 8)))
            (call $show (call $increment (i32.load (i32.const 8)) (i64.const 3)))
            (call $show (call $set_property #"pv.decision" #"permit"))
            (call $show (call $property #"xds\00route_name" (i32.const 0) (i32.const 4)))
            (call $say_value)
            (call $show (call $foreign #"verify_signature" #"" (i32.const 0) (i32.const 4)))
            (call $show (call $foreign #"no_such_function" #"" (i32.const 0) (i32.const 4)))
            (call $show (call $grpc_cancel (i32.const 1)))
            (i32.const 0)"##,
    );
    for (verify_signature, expected) in [(true, "02"), (false, "01")] {
        let mut vm = guest(&text)?.start("", HostOptions { verify_signature, ..HostOptions::default() })?;
        let stream = vm.open_stream()?;
        vm.set_stream_property(stream, &["xds", "route_name"], b"vat")?;
        vm.request_headers(stream, [(":path", "/")], true)?;
        assert_eq!(said(&vm), ["00", "00", "00", "vat", expected, "01", "12"]);
        assert_eq!(vm.metric("pv.calls"), Some(3));
        let closed = vm.close_stream(stream)?;
        assert_eq!(closed.properties.get("pv.decision"), Some(&b"permit".to_vec()));
        assert!(vm.logs().iter().any(|line| line.message.contains("`proxy_grpc_cancel` is not implemented")));
    }
    Ok(())
}

#[test]
fn in_wasmtime_a_body_can_be_held_and_edited() -> Result<()> {
    let mut vm = start(
        r##"(func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
            (if (i32.eqz (local.get 2)) (then (return (i32.const 1))))
            (call $show (call $edit (i32.const 0) (i32.const 1) (i32.const 2) #"-"))
            (call $show (call $edit (i32.const 0) (i32.const 0) (i32.const 2) #"<"))
            (call $show (call $edit (i32.const 0) (i32.const 99) (i32.const 0) #">"))
            (i32.const 0))"##,
    )?;
    let stream = vm.open_stream()?;
    vm.request_headers(stream, [(":path", "/")], false)?;
    assert_eq!(vm.request_body(stream, b"abc", false)?, BodyOutcome::Paused);
    assert_eq!(vm.request_body(stream, b"def", true)?, BodyOutcome::Continue { body: b"<cdef>".to_vec() });
    assert_eq!(said(&vm), ["02", "00", "00"]);
    Ok(())
}

#[test]
fn in_wasmtime_the_filter_refuses_an_unknown_configuration_field_by_name() -> Result<()> {
    let host = ProxyHost::from_environment()?;
    let failure = host.start(r#"{"no_such_field": 1}"#, HostOptions::default()).err().context("must be refused")?;
    ensure!(failure.is_refusal(), "{failure}");
    ensure!(failure.log_text().contains("no_such_field"), "{failure}");
    Ok(())
}

fn start(text: &str) -> Result<Vm> {
    Ok(guest(text)?.start("", HostOptions::default())?)
}

/// What the guest itself logged.
fn said(vm: &Vm) -> Vec<String> {
    let of_guest = |line: &&gateway_tests::proxy_host::LogLine| format!("{:?}", line.source) == "Guest";
    vm.logs().iter().filter(of_guest).map(|line| line.message.clone()).collect()
}
