//! The part of WASI that an ordinary Rust program with nothing but standard streams and a clock needs, on wasmtime.
//!
//! The real clock, unlike the one of the proxy-wasm host: here time is what is measured.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow};
use wasmtime::{Caller, Config, Engine, Extern, Linker, Memory, Module, OptLevel, Store};

use super::guest::{Input, Output};

const MODULE: &str = "wasi_snapshot_preview1";
const SUCCESS: u32 = 0;
const BAD_DESCRIPTOR: u32 = 8;
const FAULT: u32 = 21;
const INPUT_OUTPUT: u32 = 29;

/// A compiled program.
#[derive(Clone)]
pub struct Program {
    module: Module,
}

impl Program {
    /// Compiles a module for speed.
    pub fn compile(path: &Path) -> Result<Self> {
        let mut config = Config::new();
        config.cranelift_opt_level(OptLevel::Speed);
        let engine = Engine::new(&config).map_err(in_words)?;
        let bytes = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let module = Module::new(&engine, &bytes).map_err(in_words).context("the program could not be compiled")?;
        Ok(Self { module })
    }
}

struct State {
    input: Input,
    output: Output,
    memory: Option<Memory>,
    memory_bytes: Arc<AtomicUsize>,
    started: Instant,
}

/// The program has ended by itself.
#[derive(Debug)]
struct Exited(i32);

impl std::error::Error for Exited {}

impl std::fmt::Display for Exited {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "exit code {}", self.0)
    }
}

/// Runs the program to its end.
pub fn run(program: &Program, input: Input, output: Output, memory_bytes: Arc<AtomicUsize>) -> Result<()> {
    let engine = program.module.engine();
    let state = State { input, output, memory: None, memory_bytes, started: Instant::now() };
    let mut store = Store::new(engine, state);
    let linker = linker(&program.module).map_err(in_words)?;
    let instance = linker.instantiate(&mut store, &program.module).map_err(in_words)?;
    let memory = instance.get_memory(&mut store, "memory").context("the program has no memory")?;
    store.data_mut().memory = Some(memory);
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start").map_err(in_words)?;
    match start.call(&mut store, ()) {
        Ok(()) => Ok(()),
        Err(error) => match error.downcast_ref::<Exited>() {
            Some(Exited(0)) => Ok(()),
            _ => Err(in_words(error)),
        },
    }
}

fn in_words(error: wasmtime::Error) -> anyhow::Error {
    anyhow!("{error:?}")
}

fn linker(module: &Module) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(module.engine());
    linker.func_wrap(MODULE, "clock_time_get", |mut caller: Caller<'_, State>, clock: u32, _: u64, at: u32| {
        let nanoseconds = match clock {
            1 => caller.data().started.elapsed(),
            _ => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        };
        write(&mut caller, at, &(nanoseconds.as_nanos() as u64).to_le_bytes())
    })?;
    linker.func_wrap(
        MODULE,
        "fd_read",
        |mut caller: Caller<'_, State>, descriptor: u32, parts: u32, count: u32, read_at: u32| {
            note_memory(&mut caller);
            if descriptor == 0 { transfer(&mut caller, parts, count, read_at, fill) } else { BAD_DESCRIPTOR }
        },
    )?;
    linker.func_wrap(
        MODULE,
        "fd_write",
        |mut caller: Caller<'_, State>, descriptor: u32, parts: u32, count: u32, written_at: u32| {
            note_memory(&mut caller);
            match descriptor {
                1 => transfer(&mut caller, parts, count, written_at, |state, bytes| state.output.write(bytes)),
                2 => transfer(&mut caller, parts, count, written_at, |_, bytes| std::io::stderr().write(bytes)),
                _ => BAD_DESCRIPTOR,
            }
        },
    )?;
    // The same seed in every run: only hash tables ask.
    linker.func_wrap(MODULE, "random_get", |mut caller: Caller<'_, State>, at: u32, size: u32| {
        write(&mut caller, at, &vec![7; size as usize])
    })?;
    linker.func_wrap(MODULE, "environ_sizes_get", nothing)?;
    linker.func_wrap(MODULE, "args_sizes_get", nothing)?;
    linker.func_wrap(MODULE, "environ_get", |_: u32, _: u32| SUCCESS)?;
    linker.func_wrap(MODULE, "args_get", |_: u32, _: u32| SUCCESS)?;
    linker.func_wrap(MODULE, "proc_exit", |code: i32| -> wasmtime::Result<()> {
        Err(wasmtime::Error::new(Exited(code)))
    })?;
    linker.define_unknown_imports_as_traps(module)?;
    Ok(linker)
}

/// No strings, in no bytes.
fn nothing(mut caller: Caller<'_, State>, count_at: u32, size_at: u32) -> u32 {
    match write(&mut caller, count_at, &[0; 4]) {
        SUCCESS => write(&mut caller, size_at, &[0; 4]),
        error => error,
    }
}

fn memory(caller: &mut Caller<'_, State>) -> Option<Memory> {
    caller.data().memory.or_else(|| caller.get_export("memory").and_then(Extern::into_memory))
}

fn note_memory(caller: &mut Caller<'_, State>) {
    if let Some(memory) = memory(caller) {
        let size = memory.data_size(&*caller);
        caller.data().memory_bytes.store(size, Ordering::Relaxed);
    }
}

fn write(caller: &mut Caller<'_, State>, at: u32, bytes: &[u8]) -> u32 {
    match memory(caller).map(|memory| memory.write(caller, at as usize, bytes)) {
        Some(Ok(())) => SUCCESS,
        _ => FAULT,
    }
}

fn fill(state: &mut State, bytes: &mut [u8]) -> std::io::Result<usize> {
    state.input.read(bytes)
}

/// Moves bytes between a stream and the first part that is not empty: streams may move less than was asked for.
fn transfer(
    caller: &mut Caller<'_, State>,
    parts: u32,
    count: u32,
    moved_at: u32,
    stream: impl Fn(&mut State, &mut [u8]) -> std::io::Result<usize>,
) -> u32 {
    let Some(memory) = memory(caller) else { return FAULT };
    let (data, state) = memory.data_and_store_mut(&mut *caller);
    let number = |data: &[u8], at: usize| {
        let bytes = data.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
    };
    let mut moved = 0;
    for part in 0..count as usize {
        let at = parts as usize + part * 8;
        let (Some(start), Some(length)) = (number(data, at), number(data, at + 4)) else { return FAULT };
        if length == 0 {
            continue;
        }
        let Some(bytes) = data.get_mut(start..start + length) else { return FAULT };
        match stream(state, bytes) {
            Ok(bytes) => moved = bytes as u32,
            Err(_) => return INPUT_OUTPUT,
        }
        break;
    }
    write(caller, moved_at, &moved.to_le_bytes())
}
