//! A proxy-wasm host on wasmtime: it runs the very module that a gateway loads, without a gateway.
//!
//! It offers ABI 0.2.1 the way Envoy 1.40 does, its traps included: a header read after the stream went on is
//! refused, a resumed call is not evaluated again, compare-and-swap is ignored for a missing key. Where a real proxy
//! would hang or let something through by accident (a second reply, a reply after the call was let through, a resume
//! of a stream that does not wait), this host says so with [`Cause::Misuse`].
//!
//! It never opens a socket, reads a clock or draws a random number: time is set by hand, HTTP calls wait until the
//! test answers them, `random_get` follows a seed. An endless loop in the guest runs out of fuel and is an error
//! value; so is a trap. gRPC calls and streams are answered `Unimplemented`.
//!
//! ```no_run
//! use gateway_tests::proxy_host::{HostOptions, ProxyHost};
//!
//! # fn main() -> anyhow::Result<()> {
//! let host = ProxyHost::load_file("filter.wasm")?;
//! let mut vm = host.start("{}", HostOptions::default())?;
//! vm.tick()?;
//! for call in vm.pending_http_calls() {
//!     vm.answer_http_call(call.token, 304, &[], b"")?;
//! }
//! let stream = vm.open_stream()?;
//! let outcome = vm.request_headers(stream, [(":method", "GET"), (":path", "/"), (":authority", "a")], true)?;
//! assert_eq!(outcome.reply().map(|reply| reply.status), Some(503));
//! vm.close_stream(stream)?;
//! # Ok(())
//! # }
//! ```
//!
//! Where to look next: `vm.rs` and `vm_streams.rs` are what a test calls; `imports.rs` lists what the guest may call;
//! `stream.rs` holds the states of one call.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::{Context as _, anyhow, bail};
use sha2::{Digest as _, Sha256};
use wasmtime::{Config, Engine, InstancePre, Linker, Module};

mod abi;
mod failure;
mod foreign;
mod guest;
mod headers;
mod imports;
mod imports_calls;
mod imports_maps;
mod imports_shared;
mod imports_vm;
mod logs;
mod metrics;
mod properties;
mod reply;
mod shared;
mod state;
mod stream;
mod vm;
mod vm_streams;
mod wasi;

pub use abi::{LogLevel, Status, encode_pairs};
pub use failure::{Cause, GuestFailure};
pub use headers::Headers;
pub use logs::{LogLine, LogSource};
pub use shared::Shared;
pub use state::HttpCall;
pub use stream::{BodyOutcome, ClosedStream, LocalReply, Outcome, StreamId};
pub use vm::Vm;

/// A compiled module, ready to be started as often as wanted. Cheap to clone.
#[derive(Clone)]
pub struct ProxyHost {
    instance_pre: InstancePre<state::State>,
}

impl ProxyHost {
    /// Compiles a module (binary, or WAT text). The same bytes are compiled once per process.
    ///
    /// # Errors
    /// When the module is not valid, is not a proxy-wasm 0.2 module, or imports what no proxy-wasm host provides.
    pub fn load(wasm: &[u8]) -> anyhow::Result<Self> {
        static COMPILED: Mutex<BTreeMap<[u8; 32], ProxyHost>> = Mutex::new(BTreeMap::new());
        let digest: [u8; 32] = Sha256::digest(wasm).into();
        // Held while compiling, so that two tests which ask for one module do not compile it twice.
        let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = compiled.get(&digest) {
            return Ok(host.clone());
        }
        let host = Self::compile(wasm)?;
        compiled.insert(digest, host.clone());
        Ok(host)
    }

    /// Reads and compiles a module from a file.
    ///
    /// # Errors
    /// As [`ProxyHost::load`], and when the file cannot be read.
    pub fn load_file(path: impl AsRef<Path>) -> anyhow::Result<Self> {
        let path = path.as_ref();
        let wasm = std::fs::read(path).with_context(|| format!("cannot read the wasm module `{}`", path.display()))?;
        Self::load(&wasm).with_context(|| format!("cannot use `{}` as a proxy-wasm module", path.display()))
    }

    /// The filter that is to be proven: the file named by `FILTER_WASM_PATH`, which `cargo xtask test` sets.
    ///
    /// # Errors
    /// As [`ProxyHost::load_file`], and when the variable is not set.
    pub fn from_environment() -> anyhow::Result<Self> {
        let path = std::env::var_os("FILTER_WASM_PATH").filter(|path| !path.is_empty()).context(
            "FILTER_WASM_PATH does not name the filter's wasm module: run `cargo xtask test`, which builds it",
        )?;
        Self::load_file(Path::new(&path))
    }

    /// Starts one VM with one root context: `_initialize`, context create, VM start, configure.
    ///
    /// # Errors
    /// [`Cause::Refused`] when the guest does not accept its configuration; otherwise when a start-up callback fails.
    pub fn start(&self, plugin_configuration: &str, options: HostOptions) -> Result<Vm, GuestFailure> {
        Vm::start(&self.instance_pre, plugin_configuration, options)
    }

    fn compile(wasm: &[u8]) -> anyhow::Result<Self> {
        let engine = engine()?;
        let module = Module::new(engine, wasm).map_err(|error| anyhow!("the module does not compile: {error:#}"))?;
        if !["proxy_abi_version_0_2_1", "proxy_abi_version_0_2_0"].iter().any(|name| module.get_export(name).is_some())
        {
            bail!("the module does not export `proxy_abi_version_0_2_1`: it is not a proxy-wasm 0.2 module");
        }
        let mut linker = Linker::new(engine);
        imports::define_all(&mut linker, &module)?;
        let instance_pre = linker
            .instantiate_pre(&module)
            .map_err(|error| anyhow!("the module's imports do not fit the proxy-wasm ABI: {error:#}"))?;
        Ok(Self { instance_pre })
    }
}

/// How one VM is started. The defaults are those of Envoy with nothing configured, at 2026-01-01T00:00:00Z.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// Nanoseconds since 1970; moved later by [`Vm::set_now`] and [`Vm::advance`].
    pub now_unix_nanos: u64,
    /// Whether the foreign function `verify_signature` exists, as it does in Envoy and not elsewhere.
    pub verify_signature: bool,
    /// The name under which VMs share data and queues.
    pub vm_id: String,
    /// What `get_vm_configuration` answers.
    pub vm_configuration: Vec<u8>,
    /// Data and queues; give several VMs a clone of one to play the workers of one proxy.
    pub shared: Shared,
    /// The clusters that exist; `None` means every name does.
    pub clusters: Option<BTreeSet<String>>,
    /// Lines below this are dropped, and the guest is told so when it asks.
    pub log_level: LogLevel,
    /// Seed of `random_get`.
    pub random_seed: u64,
    /// What one callback may use before it counts as endless; about one unit per wasm instruction.
    pub fuel_per_callback: u64,
    /// The guest's memory ends here (Envoy's V8: 1 GiB).
    pub memory_bytes_max: usize,
    /// Whether repeated headers that Envoy keeps in one slot (`authorization` among them) are joined with a comma.
    pub join_repeated_headers: bool,
    /// Environment variables that WASI shows to the guest.
    pub environment: Vec<(String, String)>,
}

impl Default for HostOptions {
    fn default() -> Self {
        Self {
            now_unix_nanos: 1_767_225_600_000_000_000,
            verify_signature: true,
            vm_id: String::new(),
            vm_configuration: Vec::new(),
            shared: Shared::default(),
            clusters: None,
            log_level: LogLevel::Trace,
            random_seed: 1,
            fuel_per_callback: 5_000_000_000,
            memory_bytes_max: 1 << 30,
            join_repeated_headers: true,
            environment: Vec::new(),
        }
    }
}

fn engine() -> anyhow::Result<&'static Engine> {
    static ENGINE: OnceLock<Result<Engine, String>> = OnceLock::new();
    let made = ENGINE.get_or_init(|| {
        let mut config = Config::new();
        config.consume_fuel(true);
        Engine::new(&config).map_err(|error| format!("{error:#}"))
    });
    made.as_ref().map_err(|error| anyhow!("wasmtime cannot start: {error}"))
}
