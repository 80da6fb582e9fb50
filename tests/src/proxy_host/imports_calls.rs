//! Host functions that decide about a stream or leave the VM: resume, reply, reset, HTTP calls, foreign functions.
//!
//! Resuming and replying happen when the callback has returned, as in Envoy; `Vm` carries them out.

use std::time::Duration;

use wasmtime::Caller;

use super::abi::{Status, decode_pairs};
use super::foreign;
use super::guest::{Guest, HostResult, Slot, Span, answer};
use super::headers::Headers;
use super::imports::Imports;
use super::reply::{self, Wanted};
use super::state::{Deferred, HttpCall, State};
use super::stream::Side;

pub(super) fn define(imports: &mut Imports<'_>) -> wasmtime::Result<()> {
    imports.define("env", "proxy_continue_stream", |caller: Caller<'_, State>, kind: u32| {
        answer(continue_stream(Guest::new(caller, "proxy_continue_stream").state(), kind))
    })?;
    imports.define("env", "proxy_close_stream", |caller: Caller<'_, State>, kind: u32| {
        answer(close_stream(Guest::new(caller, "proxy_close_stream").state(), kind))
    })?;
    imports.define("env", "proxy_clear_route_cache", |caller: Caller<'_, State>| {
        clear_route_cache(Guest::new(caller, "proxy_clear_route_cache").state());
        answer(Ok(()))
    })?;
    define_send_local_response(imports)?;
    define_http_call(imports)?;
    imports.define(
        "env",
        "proxy_call_foreign_function",
        |caller: Caller<'_, State>,
         name: u32,
         name_size: u32,
         argument: u32,
         argument_size: u32,
         data: u32,
         size: u32| {
            let slot = Slot { data, size };
            answer(call_foreign(
                &mut Guest::new(caller, "proxy_call_foreign_function"),
                Span(name, name_size),
                Span(argument, argument_size),
                slot,
            ))
        },
    )
}

fn define_send_local_response(imports: &mut Imports<'_>) -> wasmtime::Result<()> {
    imports.define(
        "env",
        "proxy_send_local_response",
        |caller: Caller<'_, State>,
         status: u32,
         details: u32,
         details_size: u32,
         body: u32,
         body_size: u32,
         headers: u32,
         headers_size: u32,
         grpc_status: i32| {
            let mut guest = Guest::new(caller, "proxy_send_local_response");
            let (details, body) = (Span(details, details_size), Span(body, body_size));
            answer(send_local_response(&mut guest, status, details, body, Span(headers, headers_size), grpc_status))
        },
    )
}

fn define_http_call(imports: &mut Imports<'_>) -> wasmtime::Result<()> {
    imports.define(
        "env",
        "proxy_http_call",
        |caller: Caller<'_, State>,
         cluster: u32,
         cluster_size: u32,
         headers: u32,
         headers_size: u32,
         body: u32,
         body_size: u32,
         trailers: u32,
         trailers_size: u32,
         timeout_millis: u32,
         token_at: u32| {
            let parts = HttpCallParts {
                cluster: Span(cluster, cluster_size),
                headers: Span(headers, headers_size),
                body: Span(body, body_size),
                trailers: Span(trailers, trailers_size),
                timeout_millis,
            };
            answer(http_call(&mut Guest::new(caller, "proxy_http_call"), &parts, token_at))
        },
    )
}

/// The sides of an HTTP stream; the downstream of a network filter is taken and does nothing, as in Envoy.
fn side(kind: u32) -> HostResult<Option<Side>> {
    match kind {
        0 => Ok(Some(Side::Request)),
        1 => Ok(Some(Side::Response)),
        2 => Ok(None),
        3 => Err(Status::Unimplemented.into()),
        _ => Err(Status::BadArgument.into()),
    }
}

fn continue_stream(state: &mut State, kind: u32) -> HostResult {
    let Some(side) = side(kind)? else { return Ok(()) };
    let id = state.active();
    match state.active_stream() {
        Some(stream) => {
            stream.hide();
            state.deferred.push_back(Deferred::Resume(id, side));
        }
        None => state.remark("a resume without a stream has no effect".to_owned()),
    }
    Ok(())
}

fn close_stream(state: &mut State, kind: u32) -> HostResult {
    if side(kind)?.is_none() {
        return Ok(());
    }
    let id = state.active();
    match state.active_stream() {
        Some(_) => state.deferred.push_back(Deferred::Reset(id)),
        None => state.remark("a reset without a stream has no effect".to_owned()),
    }
    Ok(())
}

fn clear_route_cache(state: &mut State) {
    if let Some(stream) = state.active_stream() {
        stream.route_cache_cleared = stream.route_cache_cleared.saturating_add(1);
    }
}

fn send_local_response(
    guest: &mut Guest<'_>,
    status: u32,
    details: Span,
    body: Span,
    headers: Span,
    grpc_status: i32,
) -> HostResult {
    let details = guest.text(details)?;
    let body = guest.bytes(body)?;
    let pairs = decode_pairs(&guest.bytes(headers)?);
    let state = guest.state();
    let headers = Headers::from_pairs(pairs, state.options.join_repeated_headers);
    let wanted = Wanted { status, headers, body, details, grpc_status };
    let id = state.active();
    match state.active_stream() {
        Some(stream) => {
            let reply = reply::shape(wanted, &stream.request.headers);
            state.deferred.push_back(Deferred::Reply(id, reply));
        }
        None => state.remark("a reply without a stream has no effect".to_owned()),
    }
    Ok(())
}

struct HttpCallParts {
    cluster: Span,
    headers: Span,
    body: Span,
    trailers: Span,
    timeout_millis: u32,
}

fn http_call(guest: &mut Guest<'_>, parts: &HttpCallParts, token_at: u32) -> HostResult {
    let cluster = guest.text(parts.cluster)?;
    let headers = Headers::from_pairs(decode_pairs(&guest.bytes(parts.headers)?), true);
    let body = guest.bytes(parts.body)?;
    let trailers = Headers::from_pairs(decode_pairs(&guest.bytes(parts.trailers)?), true);
    guest.write_u32(token_at, 0)?;
    let state = guest.state();
    let known = state.options.clusters.as_ref().is_none_or(|clusters| clusters.contains(&cluster));
    let complete = [":method", ":path", ":authority"].iter().all(|name| headers.first(name.as_bytes()).is_some());
    if !known || !complete || i32::try_from(parts.timeout_millis).is_err() {
        return Err(Status::BadArgument.into());
    }
    if let Some(status) = state.http_calls_refused_with {
        return Err(status.into());
    }
    // Envoy counts in fours.
    let token = state.last_http_call.saturating_add(4);
    state.last_http_call = token;
    let timeout = Duration::from_millis(u64::from(parts.timeout_millis));
    let dispatched_at_unix_nanos = state.now_unix_nanos;
    let call = HttpCall { token, cluster, headers, body, trailers, timeout, dispatched_at_unix_nanos };
    state.http_calls.insert(token, call);
    guest.write_u32(token_at, token)
}

fn call_foreign(guest: &mut Guest<'_>, name: Span, argument: Span, slot: Slot) -> HostResult {
    let name = guest.text(name)?;
    let argument = guest.bytes(argument)?;
    let result = match name.as_str() {
        "verify_signature" if guest.state().options.verify_signature => foreign::verify_signature(&argument)?,
        "clear_route_cache" => {
            clear_route_cache(guest.state());
            Vec::new()
        }
        _ => return Err(Status::NotFound.into()),
    };
    // A guest that does not want the result passes no place for it.
    let at = if slot.data == 0 { 0 } else { guest.place(&result)? };
    if slot.data != 0 {
        guest.write_u32(slot.data, at)?;
    }
    if slot.size != 0 {
        guest.write_u32(slot.size, u32::try_from(result.len()).map_err(|_| Status::InternalFailure)?)?;
    }
    Ok(())
}
