//! Host functions about header maps, buffers and properties.

use wasmtime::Caller;

use super::abi::{BufferType, MapType, Pairs, Status, decode_pairs, encode_pairs};
use super::guest::{Guest, HostResult, Slot, Span, answer};
use super::headers::Headers;
use super::imports::Imports;
use super::properties;
use super::state::State;
use super::stream::Side;

pub(super) fn define(imports: &mut Imports<'_>) -> wasmtime::Result<()> {
    define_maps(imports)?;
    define_values(imports)?;
    define_buffers(imports)?;
    imports.define(
        "env",
        "proxy_get_property",
        |caller: Caller<'_, State>, path: u32, path_size: u32, data: u32, size: u32| {
            answer(get_property(
                &mut Guest::new(caller, "proxy_get_property"),
                Span(path, path_size),
                Slot { data, size },
            ))
        },
    )?;
    imports.define(
        "env",
        "proxy_set_property",
        |caller: Caller<'_, State>, path: u32, path_size: u32, value: u32, value_size: u32| {
            answer(set_property(
                &mut Guest::new(caller, "proxy_set_property"),
                Span(path, path_size),
                Span(value, value_size),
            ))
        },
    )
}

fn define_maps(imports: &mut Imports<'_>) -> wasmtime::Result<()> {
    imports.define(
        "env",
        "proxy_get_header_map_pairs",
        |caller: Caller<'_, State>, map: u32, data: u32, size: u32| {
            answer(get_pairs(&mut Guest::new(caller, "proxy_get_header_map_pairs"), map, Slot { data, size }))
        },
    )?;
    imports.define(
        "env",
        "proxy_set_header_map_pairs",
        |caller: Caller<'_, State>, map: u32, pairs: u32, size: u32| {
            answer(set_pairs(&mut Guest::new(caller, "proxy_set_header_map_pairs"), map, Span(pairs, size)))
        },
    )?;
    imports.define("env", "proxy_get_header_map_size", |caller: Caller<'_, State>, map: u32, at: u32| {
        answer(map_size(&mut Guest::new(caller, "proxy_get_header_map_size"), map, at))
    })
}

fn define_values(imports: &mut Imports<'_>) -> wasmtime::Result<()> {
    imports.define(
        "env",
        "proxy_get_header_map_value",
        |caller: Caller<'_, State>, map: u32, name: u32, name_size: u32, data: u32, size: u32| {
            answer(get_value(
                &mut Guest::new(caller, "proxy_get_header_map_value"),
                map,
                Span(name, name_size),
                Slot { data, size },
            ))
        },
    )?;
    imports.define(
        "env",
        "proxy_add_header_map_value",
        |caller: Caller<'_, State>, map: u32, name: u32, name_size: u32, value: u32, value_size: u32| {
            answer(change(
                &mut Guest::new(caller, "proxy_add_header_map_value"),
                map,
                Span(name, name_size),
                Some(Span(value, value_size)),
                |change| {
                    change.headers.add(&change.name, &change.value, change.join);
                },
            ))
        },
    )?;
    imports.define(
        "env",
        "proxy_replace_header_map_value",
        |caller: Caller<'_, State>, map: u32, name: u32, name_size: u32, value: u32, value_size: u32| {
            answer(change(
                &mut Guest::new(caller, "proxy_replace_header_map_value"),
                map,
                Span(name, name_size),
                Some(Span(value, value_size)),
                |change| {
                    change.headers.set(&change.name, &change.value);
                },
            ))
        },
    )?;
    imports.define(
        "env",
        "proxy_remove_header_map_value",
        |caller: Caller<'_, State>, map: u32, name: u32, name_size: u32| {
            answer(change(
                &mut Guest::new(caller, "proxy_remove_header_map_value"),
                map,
                Span(name, name_size),
                None,
                |change| {
                    change.headers.remove(&change.name);
                },
            ))
        },
    )
}

fn define_buffers(imports: &mut Imports<'_>) -> wasmtime::Result<()> {
    imports.define(
        "env",
        "proxy_get_buffer_bytes",
        |caller: Caller<'_, State>, buffer: u32, start: u32, length: u32, data: u32, size: u32| {
            answer(get_buffer(
                &mut Guest::new(caller, "proxy_get_buffer_bytes"),
                buffer,
                Span(start, length),
                Slot { data, size },
            ))
        },
    )?;
    imports.define(
        "env",
        "proxy_set_buffer_bytes",
        |caller: Caller<'_, State>, buffer: u32, start: u32, length: u32, data: u32, size: u32| {
            answer(set_buffer(
                &mut Guest::new(caller, "proxy_set_buffer_bytes"),
                buffer,
                Span(start, length),
                Span(data, size),
            ))
        },
    )?;
    imports.define(
        "env",
        "proxy_get_buffer_status",
        |caller: Caller<'_, State>, buffer: u32, length_at: u32, flags_at: u32| {
            answer(buffer_status(&mut Guest::new(caller, "proxy_get_buffer_status"), buffer, length_at, flags_at))
        },
    )
}

fn map_type(number: u32) -> HostResult<MapType> {
    Ok(MapType::from_number(number).ok_or(Status::BadArgument)?)
}

/// All pairs of a map that is out of reach are no pairs, while one value of it is `BadArgument`: Envoy's habit.
fn get_pairs(guest: &mut Guest<'_>, map: u32, slot: Slot) -> HostResult {
    let map = map_type(map)?;
    let encoded = match guest.state().readable_map(map) {
        Some(headers) if !headers.is_empty() => encode_pairs(headers.pairs()),
        _ => Vec::new(),
    };
    guest.give(&encoded, slot)
}

fn set_pairs(guest: &mut Guest<'_>, map: u32, pairs: Span) -> HostResult {
    let map = map_type(map)?;
    let pairs: Pairs = decode_pairs(&guest.bytes(pairs)?);
    let join = guest.state().options.join_repeated_headers;
    let headers = guest.state().writable_map(map).ok_or(Status::BadArgument)?;
    *headers = Headers::from_pairs(pairs, join);
    Ok(())
}

fn map_size(guest: &mut Guest<'_>, map: u32, at: u32) -> HostResult {
    let map = map_type(map)?;
    let bytes = guest.state().writable_map(map).ok_or(Status::BadArgument)?.bytes();
    guest.write_u32(at, u32::try_from(bytes).map_err(|_| Status::InternalFailure)?)
}

fn get_value(guest: &mut Guest<'_>, map: u32, name: Span, slot: Slot) -> HostResult {
    let map = map_type(map)?;
    let name = guest.bytes(name)?;
    let headers = guest.state().readable_map(map).ok_or(Status::BadArgument)?;
    let value = headers.first(&name).ok_or(Status::NotFound)?.to_vec();
    guest.give(&value, slot)
}

struct Change<'a> {
    headers: &'a mut Headers,
    name: Vec<u8>,
    value: Vec<u8>,
    join: bool,
}

fn change(
    guest: &mut Guest<'_>,
    map: u32,
    name: Span,
    value: Option<Span>,
    apply: impl FnOnce(Change<'_>),
) -> HostResult {
    let map = map_type(map)?;
    let name = guest.bytes(name)?;
    let value = match value {
        Some(span) => guest.bytes(span)?,
        None => Vec::new(),
    };
    let join = guest.state().options.join_repeated_headers;
    let headers = guest.state().writable_map(map).ok_or(Status::BadArgument)?;
    apply(Change { headers, name, value, join });
    Ok(())
}

fn buffer(state: &mut State, number: u32) -> HostResult<&[u8]> {
    let buffer = match BufferType::from_number(number).ok_or(Status::BadArgument)? {
        // A body that is not there is empty rather than unknown.
        BufferType::RequestBody => Some(body(state, Side::Request).map_or(&[][..], |body| body.as_slice())),
        BufferType::ResponseBody => Some(body(state, Side::Response).map_or(&[][..], |body| body.as_slice())),
        BufferType::HttpCallResponseBody => state.http_answer.as_ref().map(|answer| answer.body.as_slice()),
        BufferType::VmConfiguration => Some(state.options.vm_configuration.as_slice()),
        BufferType::PluginConfiguration => state.plugin_configuration.as_deref(),
        BufferType::Absent => None,
    };
    Ok(buffer.ok_or(Status::NotFound)?)
}

fn body(state: &mut State, side: Side) -> Option<&mut Vec<u8>> {
    state.active_stream().and_then(|stream| stream.body(side))
}

fn get_buffer(guest: &mut Guest<'_>, number: u32, Span(start, length): Span, slot: Slot) -> HostResult {
    let bytes = buffer(guest.state(), number)?;
    let start = usize::try_from(start).map_err(|_| Status::BadArgument)?;
    let length = usize::try_from(length).map_err(|_| Status::BadArgument)?;
    let part = bytes.get(start..).unwrap_or_default();
    let part = part.get(..length.min(part.len())).unwrap_or_default().to_vec();
    if part.is_empty() {
        // Nothing is written, not even an address.
        return Ok(());
    }
    guest.give(&part, slot)
}

/// Replace a beginning, or append: Envoy knows no other edit of a body.
fn set_buffer(guest: &mut Guest<'_>, number: u32, Span(start, length): Span, data: Span) -> HostResult {
    let side = match BufferType::from_number(number).ok_or(Status::BadArgument)? {
        BufferType::RequestBody => Side::Request,
        BufferType::ResponseBody => Side::Response,
        _ => return Err(Status::BadArgument.into()),
    };
    let data = guest.bytes(data)?;
    let body = body(guest.state(), side).ok_or(Status::BadArgument)?;
    let start = usize::try_from(start).map_err(|_| Status::BadArgument)?;
    let length = usize::try_from(length).map_err(|_| Status::BadArgument)?;
    if start == 0 {
        body.splice(..length.min(body.len()), data);
    } else if start >= body.len() {
        body.extend(data);
    } else {
        return Err(Status::BadArgument.into());
    }
    Ok(())
}

fn buffer_status(guest: &mut Guest<'_>, number: u32, length_at: u32, flags_at: u32) -> HostResult {
    let length = u32::try_from(buffer(guest.state(), number)?.len()).map_err(|_| Status::InternalFailure)?;
    guest.write_u32(length_at, length)?;
    guest.write_u32(flags_at, 0)
}

fn get_property(guest: &mut Guest<'_>, path: Span, slot: Slot) -> HostResult {
    let path = guest.bytes(path)?;
    let value = properties::get(guest.state(), &path).ok_or(Status::NotFound)?;
    guest.give(&value, slot)
}

fn set_property(guest: &mut Guest<'_>, path: Span, value: Span) -> HostResult {
    let path = guest.bytes(path)?;
    let value = guest.bytes(value)?;
    Ok(properties::set(guest.state(), path, value)?)
}
