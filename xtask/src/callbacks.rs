//! The finished module without the callbacks that it does nothing in.
//!
//! The SDK exports every callback of the ABI, and a host that finds one calls it: for every response, every log entry,
//! every end of a stream. Entering a VM costs a gateway more than a decision does, so what has nothing to do is not there.

use anyhow::{Context, Result, ensure};
use std::convert::Infallible;
use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{ExportSection, Module};
use wasmparser::{CustomSectionReader, Export, Parser};

/// What a host needs of the module, besides its callbacks.
const ENTRIES: [&str; 4] = ["memory", "_initialize", "proxy_abi_version_0_2_1", "proxy_on_memory_allocate"];

/// Callbacks that the filter implements, or that the SDK needs for its own book-keeping.
const CALLBACKS: [&str; 10] = [
    "proxy_on_vm_start",
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_on_http_call_response",
    "proxy_on_queue_ready",
    "proxy_on_request_body",
    "proxy_on_request_headers",
    "proxy_on_request_trailers",
    "proxy_on_tick",
];

/// Drops every other export, and what only tools read.
pub(crate) fn only_needed(module: &[u8]) -> Result<Vec<u8>> {
    let mut kept = Kept { exports: 0 };
    let mut finished = Module::new();
    kept.parse_core_module(&mut finished, Parser::new(0), module).context("the module cannot be read")?;
    ensure!(
        kept.exports == ENTRIES.len() + CALLBACKS.len(),
        "the module exports {} of what hosts need, not {}: has the SDK other names?",
        kept.exports,
        ENTRIES.len() + CALLBACKS.len()
    );
    Ok(finished.finish())
}

struct Kept {
    exports: usize,
}

impl Reencode for Kept {
    type Error = Infallible;

    fn parse_export(
        &mut self,
        exports: &mut ExportSection,
        export: Export<'_>,
    ) -> Result<(), reencode::Error<Infallible>> {
        if ENTRIES.contains(&export.name) || CALLBACKS.contains(&export.name) {
            self.exports += 1;
            reencode::utils::parse_export(self, exports, export)?;
        }
        Ok(())
    }

    fn parse_custom_section(
        &mut self,
        _: &mut Module,
        _: CustomSectionReader<'_>,
    ) -> Result<(), reencode::Error<Infallible>> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_encoder::{CodeSection, ExportKind, Function, FunctionSection, Instruction, TypeSection};

    fn module(names: &[&str]) -> Vec<u8> {
        let (mut types, mut functions, mut code) = (TypeSection::new(), FunctionSection::new(), CodeSection::new());
        types.ty().function([], []);
        let mut exports = ExportSection::new();
        for (name, index) in names.iter().zip(0..) {
            functions.function(0);
            let mut body = Function::new([]);
            body.instruction(&Instruction::End);
            code.function(&body);
            exports.export(name, ExportKind::Func, index);
        }
        let mut module = Module::new();
        module.section(&types).section(&functions).section(&exports).section(&code);
        module.finish()
    }

    #[test]
    fn what_nothing_is_done_in_is_not_exported() {
        let needed: Vec<&str> = ENTRIES.into_iter().chain(CALLBACKS).collect();
        let more = [&needed[..], &["proxy_on_response_headers", "proxy_on_log"]].concat();
        let finished = only_needed(&module(&more)).unwrap();
        let text = String::from_utf8_lossy(&finished);
        assert!(needed.iter().all(|name| text.contains(name)), "{text}");
        assert!(!text.contains("proxy_on_response_headers") && !text.contains("proxy_on_log"), "{text}");
    }

    #[test]
    fn a_module_that_lacks_one_is_refused() {
        let needed: Vec<&str> = ENTRIES.into_iter().chain(CALLBACKS).skip(1).collect();
        assert!(only_needed(&module(&needed)).is_err());
        assert!(only_needed(b"\0asm nonsense").is_err());
    }
}
