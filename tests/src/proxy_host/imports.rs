//! What the guest may import: every `proxy_*` function of ABI 0.2.1, and the WASI functions that it needs.
//!
//! A `proxy_*` or WASI function that this host does not implement is answered `Unimplemented` (or `ENOSYS`) and
//! remarked in the log; an import that no proxy-wasm host provides makes loading fail, with its name.

use std::collections::BTreeSet;

use anyhow::{anyhow, bail};
use wasmtime::{ExternType, FuncType, IntoFunc, Linker, Module, Val};

use super::abi::Status;
use super::state::State;
use super::{imports_calls, imports_maps, imports_shared, imports_vm, wasi};

pub(super) const WASI_MODULES: [&str; 2] = ["wasi_snapshot_preview1", "wasi_unstable"];

/// `ENOSYS` in WASI.
const WASI_NOT_SUPPORTED: i32 = 52;

/// A linker that remembers what it has.
pub(super) struct Imports<'a> {
    linker: &'a mut Linker<State>,
    defined: BTreeSet<(&'static str, &'static str)>,
}

impl Imports<'_> {
    pub(super) fn define<Params, Results>(
        &mut self,
        module: &'static str,
        name: &'static str,
        function: impl IntoFunc<State, Params, Results>,
    ) -> wasmtime::Result<()> {
        self.linker.func_wrap(module, name, function)?;
        self.defined.insert((module, name));
        Ok(())
    }
}

/// Defines what the module may ask for, and a stub for each other proxy or WASI function that it does ask for.
pub(super) fn define_all(linker: &mut Linker<State>, module: &Module) -> anyhow::Result<()> {
    let mut imports = Imports { linker, defined: BTreeSet::new() };
    define_known(&mut imports).map_err(|error| anyhow!("cannot define the host functions: {error:#}"))?;
    for import in module.imports() {
        let (from, name) = (import.module(), import.name());
        if imports.defined.contains(&(from, name)) {
            continue;
        }
        let ExternType::Func(of) = import.ty() else {
            bail!("the module imports `{from}.{name}`, which is not a function: no proxy-wasm host provides it");
        };
        let code = match from {
            "env" if name.starts_with("proxy_") => Status::Unimplemented as i32,
            _ if WASI_MODULES.contains(&from) => WASI_NOT_SUPPORTED,
            _ => bail!("the module imports `{from}.{name}`, which no proxy-wasm host provides"),
        };
        define_stub(imports.linker, (from, name), of, code)?;
    }
    Ok(())
}

fn define_known(imports: &mut Imports<'_>) -> wasmtime::Result<()> {
    imports_vm::define(imports)?;
    imports_maps::define(imports)?;
    imports_calls::define(imports)?;
    imports_shared::define(imports)?;
    wasi::define(imports)
}

fn define_stub(linker: &mut Linker<State>, import: (&str, &str), of: FuncType, code: i32) -> anyhow::Result<()> {
    let (module, name) = import;
    let called = name.to_owned();
    let stub = linker.func_new(module, name, of, move |mut caller, _, results| {
        caller.data_mut().remark(format!("`{called}` is not implemented by this host"));
        if let Some(result) = results.first_mut() {
            *result = Val::I32(code);
        }
        Ok(())
    });
    stub.map(|_| ()).map_err(|error| anyhow!("cannot define `{module}.{name}`: {error:#}"))
}
