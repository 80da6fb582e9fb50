//! A linked module: what is looked up in it, and functions that are added to it.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::convert::Infallible;
use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{CodeSection, Function, FunctionSection, Instruction, MemArg, MemArgTarget, Module};
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
        let index = self.imported.get(name).with_context(|| format!("the module does not import `{name}`"))?;
        self.of_words(name, *index, parameters)
    }

    /// The index of a function that is added.
    pub(crate) fn next_function(&self) -> u32 {
        self.functions.len() as u32
    }

    fn of_words(&self, name: &str, index: u32, parameters: u32) -> Result<FoundFunction> {
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
}

/// What is added to a module, behind what it has.
pub(crate) struct Additions {
    /// Functions, each by its type's index and its body.
    pub(crate) functions: Vec<(u32, Function)>,
    /// What the module's own functions call, by index, and what they call in its place.
    pub(crate) led: (u32, u32),
}

impl Additions {
    pub(crate) fn put_into(mut self, module: &[u8]) -> Result<Vec<u8>> {
        let mut finished = Module::new();
        self.parse_core_module(&mut finished, Parser::new(0), module).context("the module cannot be read")?;
        Ok(finished.finish())
    }
}

impl Reencode for Additions {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, reencode::Error<Infallible>> {
        let (from, to) = self.led;
        Ok(if function == from { to } else { function })
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), reencode::Error<Infallible>> {
        reencode::utils::parse_function_section(self, functions, section)?;
        for (kind, _) in &self.functions {
            functions.function(*kind);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), reencode::Error<Infallible>> {
        reencode::utils::parse_code_section(self, code, section)?;
        for (_, body) in &self.functions {
            code.function(body);
        }
        Ok(())
    }
}

/// Adds instructions to a function's body.
pub(crate) fn append(body: &mut Function, instructions: &[Instruction<'_>]) {
    for instruction in instructions {
        body.instruction(instruction);
    }
}

/// Memory so far behind an address that may be any.
pub(crate) fn byte_at(offset: u64) -> MemArg {
    MemArg { offset, align: 0, target: MemArgTarget::Memory(0), ordering: None }
}
