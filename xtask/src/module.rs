//! A linked module: what is looked up in it, and functions that are added to it.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::convert::Infallible;
use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{CodeSection, Function, FunctionSection, Instruction, Module};
use wasmparser::{CodeSectionReader, FuncType, FunctionSectionReader, Parser, Payload, TypeRef, ValType};

/// A module's functions, by index.
pub(crate) struct ModuleParts {
    types: Vec<FuncType>,
    /// The type of every function, those that it takes from its host first.
    functions: Vec<u32>,
    imported: BTreeMap<String, u32>,
}

/// A function of a module: its own index, and that of its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FoundFunction {
    pub(crate) index: u32,
    pub(crate) kind: u32,
}

impl ModuleParts {
    pub(crate) fn read(module: &[u8]) -> Result<Self> {
        let mut parts = Self { types: Vec::new(), functions: Vec::new(), imported: BTreeMap::new() };
        for payload in Parser::new(0).parse_all(module) {
            parts.take(payload.context("the module cannot be read")?)?;
        }
        Ok(parts)
    }

    fn take(&mut self, payload: Payload<'_>) -> Result<()> {
        match payload {
            Payload::TypeSection(types) => self.types = types.into_iter_err_on_gc_types().collect::<Result<_, _>>()?,
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import?;
                    if let TypeRef::Func(kind) = import.ty {
                        self.imported.insert(import.name.to_owned(), self.next_function());
                        self.functions.push(kind);
                    }
                }
            }
            Payload::FunctionSection(functions) => {
                for kind in functions {
                    self.functions.push(kind?);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A function that the module takes from its host; its parameters, so many, and one result are 32 bits each.
    pub(crate) fn imported(&self, name: &str, parameters: u32) -> Result<FoundFunction> {
        let index = *self.imported.get(name).with_context(|| format!("the module does not import `{name}`"))?;
        let are_words = |function: &FuncType| {
            function.params().len() == parameters as usize
                && function.results().len() == 1
                && function.params().iter().chain(function.results()).all(|value| *value == ValType::I32)
        };
        let kind = self.functions.get(index as usize).copied();
        let kind = kind.filter(|kind| self.types.get(*kind as usize).is_some_and(are_words));
        let kind = kind.with_context(|| format!("`{name}` is not as the ABI 0.2.1 has it"))?;
        Ok(FoundFunction { index, kind })
    }

    /// The module, of which these are the parts, with a function more: what called this one calls it in its place.
    pub(crate) fn put_before(&self, of: FoundFunction, body: Function, module: &[u8]) -> Result<Vec<u8>> {
        let mut finished = Module::new();
        PutBefore { of, added: self.next_function(), body }
            .parse_core_module(&mut finished, Parser::new(0), module)
            .context("the module cannot be read")?;
        Ok(finished.finish())
    }

    fn next_function(&self) -> u32 {
        self.functions.len() as u32
    }
}

/// A function that is added behind all others, and the one that it stands before.
struct PutBefore {
    of: FoundFunction,
    added: u32,
    body: Function,
}

impl Reencode for PutBefore {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, reencode::Error<Infallible>> {
        Ok(if function == self.of.index { self.added } else { function })
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), reencode::Error<Infallible>> {
        reencode::utils::parse_function_section(self, functions, section)?;
        functions.function(self.of.kind);
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), reencode::Error<Infallible>> {
        reencode::utils::parse_code_section(self, code, section)?;
        code.function(&self.body);
        Ok(())
    }
}

/// Adds instructions to a function's body.
pub(crate) fn append(body: &mut Function, instructions: &[Instruction<'_>]) {
    for instruction in instructions {
        body.instruction(instruction);
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use wasmparser::Operator;

    /// What each of a module's own functions calls.
    pub(crate) fn calls(module: &[u8]) -> Vec<Vec<u32>> {
        let mut all = Vec::new();
        for payload in Parser::new(0).parse_all(module) {
            let Payload::CodeSectionEntry(body) = payload.unwrap() else { continue };
            let operators = body.get_operators_reader().unwrap().into_iter().map(Result::unwrap);
            let called = operators.filter_map(|operator| match operator {
                Operator::Call { function_index } => Some(function_index),
                _ => None,
            });
            all.push(called.collect());
        }
        all
    }
}
