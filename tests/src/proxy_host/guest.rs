//! The guest's memory as a host function sees it: spans that are copied in, values that are given out.
//!
//! Every address is checked; a bad one is `InvalidMemoryAccess` to the guest and never a panic of the host.

use wasmtime::{Caller, Extern};

use super::abi::Status;
use super::state::State;

/// An address and a size in the guest's memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span(pub(super) u32, pub(super) u32);

/// Where the guest wants the address and the size of a value that the host allocates.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) data: u32,
    pub(super) size: u32,
}

/// Why a host function does not answer `Ok`.
#[derive(Debug)]
pub(super) enum Fault {
    Status(Status),
    /// The guest trapped while it allocated memory for an answer, or asked to be ended.
    Trap(wasmtime::Error),
}

impl From<Status> for Fault {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

pub(super) type HostResult<T = ()> = Result<T, Fault>;

/// What the guest gets as the number that a host function returns.
pub(super) fn answer(result: HostResult) -> wasmtime::Result<u32> {
    match result {
        Ok(()) => Ok(Status::Ok as u32),
        Err(Fault::Status(status)) => Ok(status as u32),
        Err(Fault::Trap(error)) => Err(error),
    }
}

pub(super) struct Guest<'a> {
    caller: Caller<'a, State>,
}

impl<'a> Guest<'a> {
    /// The guest while it calls this function, which is noted: what a gateway pays for is how often it is called.
    pub(super) fn new(mut caller: Caller<'a, State>, function: &'static str) -> Self {
        caller.data_mut().host_calls.push(function);
        Self { caller }
    }

    /// The same for a function of WASI.
    pub(super) fn of_wasi(caller: Caller<'a, State>) -> Self {
        Self { caller }
    }

    pub(super) fn state(&mut self) -> &mut State {
        self.caller.data_mut()
    }

    pub(super) fn bytes(&mut self, Span(at, size): Span) -> HostResult<Vec<u8>> {
        let memory = self.memory()?;
        let range = range(at, size)?;
        Ok(memory.data(&self.caller).get(range).ok_or(Status::InvalidMemoryAccess)?.to_vec())
    }

    /// Names are compared as text; a byte that is not UTF-8 is replaced and so matches nothing.
    pub(super) fn text(&mut self, span: Span) -> HostResult<String> {
        Ok(String::from_utf8_lossy(&self.bytes(span)?).into_owned())
    }

    pub(super) fn write(&mut self, at: u32, bytes: &[u8]) -> HostResult {
        let memory = self.memory()?;
        let size = u32::try_from(bytes.len()).map_err(|_| Status::InvalidMemoryAccess)?;
        let target = memory.data_mut(&mut self.caller).get_mut(range(at, size)?).ok_or(Status::InvalidMemoryAccess)?;
        target.copy_from_slice(bytes);
        Ok(())
    }

    pub(super) fn write_u32(&mut self, at: u32, value: u32) -> HostResult {
        self.write(at, &value.to_le_bytes())
    }

    pub(super) fn write_u64(&mut self, at: u32, value: u64) -> HostResult {
        self.write(at, &value.to_le_bytes())
    }

    /// Hands a value over: the guest allocates, the host fills. Nothing is allocated for nothing.
    pub(super) fn give(&mut self, bytes: &[u8], slot: Slot) -> HostResult {
        let at = self.place(bytes)?;
        self.write_u32(slot.data, at)?;
        self.write_u32(slot.size, u32::try_from(bytes.len()).map_err(|_| Status::InvalidMemoryAccess)?)
    }

    /// Copies bytes into memory that the guest allocates for them; 0 when there are none.
    pub(super) fn place(&mut self, bytes: &[u8]) -> HostResult<u32> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let at = self.allocate(bytes.len())?;
        self.write(at, bytes)?;
        Ok(at)
    }

    fn allocate(&mut self, size: usize) -> HostResult<u32> {
        let size = u32::try_from(size).map_err(|_| Status::InvalidMemoryAccess)?;
        // Envoy's order: a guest that exports `malloc` is asked through it.
        let exports = ["malloc", "proxy_on_memory_allocate"];
        let allocator = exports.into_iter().find_map(|name| self.caller.get_export(name).and_then(Extern::into_func));
        let allocator = allocator.ok_or(Status::InternalFailure)?;
        let allocator = allocator.typed::<u32, u32>(&self.caller).map_err(Fault::Trap)?;
        let at = allocator.call(&mut self.caller, size).map_err(Fault::Trap)?;
        if at == 0 { Err(Status::InvalidMemoryAccess.into()) } else { Ok(at) }
    }

    fn memory(&mut self) -> HostResult<wasmtime::Memory> {
        let memory = self.caller.get_export("memory").and_then(Extern::into_memory);
        Ok(memory.ok_or(Status::InvalidMemoryAccess)?)
    }
}

fn range(at: u32, size: u32) -> HostResult<std::ops::Range<usize>> {
    let end = at.checked_add(size).ok_or(Status::InvalidMemoryAccess)?;
    let to_usize = |number: u32| usize::try_from(number).map_err(|_| Status::InvalidMemoryAccess);
    Ok(to_usize(at)?..to_usize(end)?)
}
