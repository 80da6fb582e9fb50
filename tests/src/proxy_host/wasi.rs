//! The few WASI functions that a proxy-wasm guest needs: output, time by hand, seeded randomness, no files.
//!
//! Anything else that a module imports from WASI is answered `ENOSYS` by a stub of `imports.rs`.

use wasmtime::Caller;

use super::abi::LogLevel;
use super::failure::Exited;
use super::guest::{Fault, Guest, HostResult, Span};
use super::imports::{Imports, WASI_MODULES};
use super::logs::LogSource;
use super::state::State;

const BAD_DESCRIPTOR: u32 = 8;
const FAULT: u32 = 21;
const INVALID: u32 = 28;
const NOT_SUPPORTED: u32 = 58;

/// The limit of Envoy's host.
const RANDOM_BYTES_MAX: u32 = 64 * 1024;
/// Far more than any runtime passes to one `fd_write`.
const PARTS_MAX: u32 = 1024;

pub(super) fn define(imports: &mut Imports<'_>) -> wasmtime::Result<()> {
    for module in WASI_MODULES {
        define_output(imports, module)?;
        define_environment(imports, module)?;
        imports.define(
            module,
            "clock_time_get",
            |caller: Caller<'_, State>, clock: u32, _precision: u64, at: u32| {
                errno(clock_time_get(&mut Guest::of_wasi(caller), clock, at))
            },
        )?;
        imports.define(module, "random_get", |caller: Caller<'_, State>, at: u32, size: u32| {
            errno(random_get(&mut Guest::of_wasi(caller), at, size))
        })?;
        imports.define(module, "sched_yield", || 0_u32)?;
        imports.define(module, "proc_exit", |code: i32| -> wasmtime::Result<()> {
            Err(wasmtime::Error::new(Exited(code)))
        })?;
    }
    Ok(())
}

fn define_output(imports: &mut Imports<'_>, module: &'static str) -> wasmtime::Result<()> {
    imports.define(
        module,
        "fd_write",
        |caller: Caller<'_, State>, descriptor: u32, parts: u32, count: u32, written_at: u32| {
            errno(fd_write(&mut Guest::of_wasi(caller), descriptor, parts, count, written_at))
        },
    )?;
    imports.define(module, "fd_close", |_descriptor: u32| 0_u32)?;
    imports.define(module, "fd_fdstat_get", |caller: Caller<'_, State>, descriptor: u32, at: u32| {
        errno(fd_fdstat_get(&mut Guest::of_wasi(caller), descriptor, at))
    })
}

fn define_environment(imports: &mut Imports<'_>, module: &'static str) -> wasmtime::Result<()> {
    imports.define(module, "environ_sizes_get", |caller: Caller<'_, State>, count_at: u32, size_at: u32| {
        errno(environ_sizes_get(&mut Guest::of_wasi(caller), count_at, size_at))
    })?;
    imports.define(module, "environ_get", |caller: Caller<'_, State>, pointers: u32, strings: u32| {
        errno(environ_get(&mut Guest::of_wasi(caller), pointers, strings))
    })?;
    imports.define(module, "args_get", |_pointers: u32, _strings: u32| 0_u32)?;
    imports.define(module, "args_sizes_get", |caller: Caller<'_, State>, count_at: u32, size_at: u32| {
        let mut guest = Guest::of_wasi(caller);
        errno(guest.write_u32(count_at, 0).and_then(|()| guest.write_u32(size_at, 0)).map(|()| 0))
    })
}

/// WASI knows no proxy statuses: whatever goes wrong with memory is a fault.
fn errno(result: HostResult<u32>) -> wasmtime::Result<u32> {
    match result {
        Ok(code) => Ok(code),
        Err(Fault::Status(_)) => Ok(FAULT),
        Err(Fault::Trap(error)) => Err(error),
    }
}

fn fd_write(guest: &mut Guest<'_>, descriptor: u32, parts: u32, count: u32, written_at: u32) -> HostResult<u32> {
    let (level, source) = match descriptor {
        1 => (LogLevel::Info, LogSource::Stdout),
        2 => (LogLevel::Error, LogSource::Stderr),
        _ => return Ok(BAD_DESCRIPTOR),
    };
    if count > PARTS_MAX {
        return Ok(INVALID);
    }
    let mut text = Vec::new();
    for part in guest.bytes(Span(parts, count.saturating_mul(8)))?.chunks_exact(8) {
        let (at, size) = part.split_at(4);
        let number = |bytes: &[u8]| bytes.try_into().map_or(0, u32::from_le_bytes);
        text.extend(guest.bytes(Span(number(at), number(size)))?);
    }
    let written = u32::try_from(text.len()).unwrap_or(u32::MAX);
    if !text.is_empty() {
        let text = text.strip_suffix(b"\n").unwrap_or(&text);
        guest.state().log(level, source, String::from_utf8_lossy(text).into_owned());
    }
    guest.write_u32(written_at, written)?;
    Ok(0)
}

fn fd_fdstat_get(guest: &mut Guest<'_>, descriptor: u32, at: u32) -> HostResult<u32> {
    if descriptor != 1 && descriptor != 2 {
        return Ok(BAD_DESCRIPTOR);
    }
    let may_write = 64_u64;
    guest.write_u64(at, 0)?;
    guest.write_u64(at.saturating_add(8), may_write)?;
    guest.write_u64(at.saturating_add(16), 0)?;
    Ok(0)
}

fn environment(guest: &mut Guest<'_>) -> Vec<Vec<u8>> {
    let of = &guest.state().options.environment;
    of.iter().map(|(name, value)| format!("{name}={value}\0").into_bytes()).collect()
}

fn environ_sizes_get(guest: &mut Guest<'_>, count_at: u32, size_at: u32) -> HostResult<u32> {
    let strings = environment(guest);
    let size: usize = strings.iter().map(Vec::len).sum();
    guest.write_u32(count_at, u32::try_from(strings.len()).unwrap_or(u32::MAX))?;
    guest.write_u32(size_at, u32::try_from(size).unwrap_or(u32::MAX))?;
    Ok(0)
}

fn environ_get(guest: &mut Guest<'_>, mut pointers: u32, mut strings: u32) -> HostResult<u32> {
    for string in environment(guest) {
        guest.write_u32(pointers, strings)?;
        guest.write(strings, &string)?;
        pointers = pointers.saturating_add(4);
        strings = strings.saturating_add(u32::try_from(string.len()).unwrap_or(u32::MAX));
    }
    Ok(0)
}

/// The realtime and the monotonic clock are the same hand-set one.
fn clock_time_get(guest: &mut Guest<'_>, clock: u32, at: u32) -> HostResult<u32> {
    if clock > 1 {
        return Ok(NOT_SUPPORTED);
    }
    let now = guest.state().now_unix_nanos;
    guest.write_u64(at, now)?;
    Ok(0)
}

fn random_get(guest: &mut Guest<'_>, at: u32, size: u32) -> HostResult<u32> {
    if size > RANDOM_BYTES_MAX {
        return Ok(INVALID);
    }
    let mut bytes = Vec::new();
    for _ in 0..size.div_ceil(8) {
        bytes.extend(guest.state().next_random().to_le_bytes());
    }
    bytes.truncate(usize::try_from(size).unwrap_or(0));
    guest.write(at, &bytes)?;
    Ok(0)
}
