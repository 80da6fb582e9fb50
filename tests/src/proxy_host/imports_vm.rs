//! Host functions about the VM itself: log, time, ticks, status, metrics, contexts.

use wasmtime::Caller;

use super::abi::{LogLevel, Status};
use super::guest::{Guest, HostResult, Slot, Span, answer};
use super::imports::Imports;
use super::logs::LogSource;
use super::state::{ROOT, State};

pub(super) fn define(imports: &mut Imports<'_>) -> wasmtime::Result<()> {
    imports.define("env", "proxy_log", |caller: Caller<'_, State>, level: u32, data: u32, size: u32| {
        answer(log(&mut Guest::new(caller, "proxy_log"), level, Span(data, size)))
    })?;
    imports.define("env", "proxy_get_log_level", |caller: Caller<'_, State>, at: u32| {
        let mut guest = Guest::new(caller, "proxy_get_log_level");
        let level = guest.state().options.log_level as u32;
        answer(guest.write_u32(at, level))
    })?;
    imports.define("env", "proxy_get_current_time_nanoseconds", |caller: Caller<'_, State>, at: u32| {
        let mut guest = Guest::new(caller, "proxy_get_current_time_nanoseconds");
        let now = guest.state().now_unix_nanos;
        answer(guest.write_u64(at, now))
    })?;
    imports.define("env", "proxy_set_tick_period_milliseconds", |caller: Caller<'_, State>, millis: u32| {
        set_tick_period(Guest::new(caller, "proxy_set_tick_period_milliseconds").state(), millis);
        answer(Ok(()))
    })?;
    imports.define("env", "proxy_set_effective_context", |caller: Caller<'_, State>, context: u32| {
        answer(set_effective_context(Guest::new(caller, "proxy_set_effective_context").state(), context))
    })?;
    imports.define("env", "proxy_done", |caller: Caller<'_, State>| {
        Guest::new(caller, "proxy_done").state().done = true;
        answer(Ok(()))
    })?;
    imports.define("env", "proxy_get_status", |caller: Caller<'_, State>, code: u32, data: u32, size: u32| {
        answer(call_status(&mut Guest::new(caller, "proxy_get_status"), code, Slot { data, size }))
    })?;
    define_metrics(imports)
}

fn define_metrics(imports: &mut Imports<'_>) -> wasmtime::Result<()> {
    imports.define(
        "env",
        "proxy_define_metric",
        |caller: Caller<'_, State>, kind: u32, data: u32, size: u32, at: u32| {
            answer(define_metric(&mut Guest::new(caller, "proxy_define_metric"), kind, Span(data, size), at))
        },
    )?;
    imports.define("env", "proxy_increment_metric", |caller: Caller<'_, State>, id: u32, offset: i64| {
        answer(Guest::new(caller, "proxy_increment_metric").state().metrics.increment(id, offset).map_err(Into::into))
    })?;
    imports.define("env", "proxy_record_metric", |caller: Caller<'_, State>, id: u32, value: u64| {
        answer(Guest::new(caller, "proxy_record_metric").state().metrics.record(id, value).map_err(Into::into))
    })?;
    imports.define("env", "proxy_get_metric", |caller: Caller<'_, State>, id: u32, at: u32| {
        let mut guest = Guest::new(caller, "proxy_get_metric");
        let value = guest.state().metrics.read(id);
        answer(value.map_err(Into::into).and_then(|value| guest.write_u64(at, value)))
    })
}

fn log(guest: &mut Guest<'_>, level: u32, message: Span) -> HostResult {
    let level = LogLevel::from_number(level).ok_or(Status::BadArgument)?;
    let message = guest.text(message)?;
    guest.state().log(level, LogSource::Guest, message);
    Ok(())
}

fn set_tick_period(state: &mut State, millis: u32) {
    let nanos = u64::from(millis).saturating_mul(1_000_000);
    state.tick_period_nanos = (nanos > 0).then_some(nanos);
    state.next_tick_unix_nanos = state.now_unix_nanos.saturating_add(nanos);
}

fn set_effective_context(state: &mut State, context: u32) -> HostResult {
    // 0 is the VM's own context: it exists, and acting as it is acting as nobody else.
    let exists = context == 0 || context == ROOT || state.streams.contains_key(&context);
    if !exists {
        return Err(Status::BadArgument.into());
    }
    state.effective = context;
    Ok(())
}

fn call_status(guest: &mut Guest<'_>, code_at: u32, message: Slot) -> HostResult {
    let (code, text) = guest.state().call_status;
    guest.write_u32(code_at, code)?;
    guest.give(text.as_bytes(), message)
}

fn define_metric(guest: &mut Guest<'_>, kind: u32, name: Span, at: u32) -> HostResult {
    let name = guest.text(name)?;
    let id = guest.state().metrics.define(kind, name)?;
    guest.write_u32(at, id)
}
