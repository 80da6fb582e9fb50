//! Host functions about shared data and shared queues; the rules are in `shared.rs`.

use wasmtime::Caller;

use super::abi::Status;
use super::guest::{Guest, HostResult, Slot, Span, answer};
use super::imports::Imports;
use super::state::State;

pub(super) fn define(imports: &mut Imports<'_>) -> wasmtime::Result<()> {
    imports.define(
        "env",
        "proxy_get_shared_data",
        |caller: Caller<'_, State>, key: u32, key_size: u32, data: u32, size: u32, cas_at: u32| {
            answer(get_data(
                &mut Guest::new(caller, "proxy_get_shared_data"),
                Span(key, key_size),
                Slot { data, size },
                cas_at,
            ))
        },
    )?;
    imports.define(
        "env",
        "proxy_set_shared_data",
        |caller: Caller<'_, State>, key: u32, key_size: u32, value: u32, value_size: u32, cas: u32| {
            answer(set_data(
                &mut Guest::new(caller, "proxy_set_shared_data"),
                Span(key, key_size),
                Span(value, value_size),
                cas,
            ))
        },
    )?;
    imports.define(
        "env",
        "proxy_register_shared_queue",
        |caller: Caller<'_, State>, name: u32, name_size: u32, token_at: u32| {
            answer(register_queue(
                &mut Guest::new(caller, "proxy_register_shared_queue"),
                Span(name, name_size),
                token_at,
            ))
        },
    )?;
    imports.define(
        "env",
        "proxy_resolve_shared_queue",
        |caller: Caller<'_, State>, vm_id: u32, vm_id_size: u32, name: u32, name_size: u32, token_at: u32| {
            answer(resolve_queue(
                &mut Guest::new(caller, "proxy_resolve_shared_queue"),
                Span(vm_id, vm_id_size),
                Span(name, name_size),
                token_at,
            ))
        },
    )?;
    imports.define(
        "env",
        "proxy_enqueue_shared_queue",
        |caller: Caller<'_, State>, token: u32, data: u32, size: u32| {
            answer(enqueue(&mut Guest::new(caller, "proxy_enqueue_shared_queue"), token, Span(data, size)))
        },
    )?;
    imports.define(
        "env",
        "proxy_dequeue_shared_queue",
        |caller: Caller<'_, State>, token: u32, data: u32, size: u32| {
            answer(dequeue(&mut Guest::new(caller, "proxy_dequeue_shared_queue"), token, Slot { data, size }))
        },
    )
}

fn get_data(guest: &mut Guest<'_>, key: Span, slot: Slot, cas_at: u32) -> HostResult {
    let key = guest.bytes(key)?;
    let options = &guest.state().options;
    let (value, cas) = options.shared.get(&options.vm_id, &key).ok_or(Status::NotFound)?;
    guest.give(&value, slot)?;
    guest.write_u32(cas_at, cas)
}

fn set_data(guest: &mut Guest<'_>, key: Span, value: Span, cas: u32) -> HostResult {
    let key = guest.bytes(key)?;
    let value = guest.bytes(value)?;
    let options = &guest.state().options;
    Ok(options.shared.set(&options.vm_id, &key, &value, cas)?)
}

fn register_queue(guest: &mut Guest<'_>, name: Span, token_at: u32) -> HostResult {
    let name = guest.text(name)?;
    let state = guest.state();
    let token = state.options.shared.register_queue(&state.options.vm_id, &name, state.vm);
    guest.write_u32(token_at, token)
}

fn resolve_queue(guest: &mut Guest<'_>, vm_id: Span, name: Span, token_at: u32) -> HostResult {
    let vm_id = guest.text(vm_id)?;
    let name = guest.text(name)?;
    let options = &guest.state().options;
    let vm_id = if vm_id.is_empty() { &options.vm_id } else { &vm_id };
    let token = options.shared.resolve_queue(vm_id, &name).ok_or(Status::NotFound)?;
    guest.write_u32(token_at, token)
}

fn enqueue(guest: &mut Guest<'_>, token: u32, message: Span) -> HostResult {
    let message = guest.bytes(message)?;
    Ok(guest.state().options.shared.enqueue(token, message)?)
}

fn dequeue(guest: &mut Guest<'_>, token: u32, slot: Slot) -> HostResult {
    let message = guest.state().options.shared.dequeue(token)?;
    guest.give(&message, slot)
}
