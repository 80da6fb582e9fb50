//! A linked module: what is looked up in it, and functions that are added to it.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::convert::Infallible;
use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{
    CodeSection, ConstExpr, ExportKind, ExportSection, Function, FunctionSection, GlobalSection, GlobalType,
    Instruction, MemArg, MemArgTarget, Module,
};
use wasmparser::{
    CodeSectionReader, Export, ExternalKind, FuncType, FunctionSectionReader, GlobalSectionReader, Parser, Payload,
    TypeRef, ValType,
};

/// A module's functions and globals, by index.
pub(crate) struct ModuleParts {
    types: Vec<FuncType>,
    /// The type of every function, those that it takes from its host first.
    functions: Vec<u32>,
    imported: BTreeMap<String, u32>,
    exported: BTreeMap<String, u32>,
    globals: u32,
}

/// A function of a module: its own index, and that of its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FoundFunction {
    pub(crate) index: u32,
    pub(crate) kind: u32,
}

impl ModuleParts {
    pub(crate) fn read(module: &[u8]) -> Result<Self> {
        let mut parts = Self {
            types: Vec::new(),
            functions: Vec::new(),
            imported: BTreeMap::new(),
            exported: BTreeMap::new(),
            globals: 0,
        };
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
                    match import.ty {
                        TypeRef::Func(kind) => {
                            self.imported.insert(import.name.to_owned(), self.next_function());
                            self.functions.push(kind);
                        }
                        TypeRef::Global(_) => self.globals += 1,
                        _ => {}
                    }
                }
            }
            Payload::FunctionSection(functions) => {
                for kind in functions {
                    self.functions.push(kind?);
                }
            }
            Payload::GlobalSection(globals) => self.globals += globals.count(),
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    if export.kind == ExternalKind::Func {
                        self.exported.insert(export.name.to_owned(), export.index);
                    }
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

    /// The same of a function that the module offers.
    pub(crate) fn exported(&self, name: &str, parameters: u32) -> Result<FoundFunction> {
        let index = self.exported.get(name).with_context(|| format!("the module does not export `{name}`"))?;
        self.of_words(name, *index, parameters)
    }

    /// The index of a function that is added.
    pub(crate) fn next_function(&self) -> u32 {
        self.functions.len() as u32
    }

    /// The index of a global that is added.
    pub(crate) fn next_global(&self) -> u32 {
        self.globals
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
    /// Words that begin as 0.
    pub(crate) globals: u32,
    /// What the module's own functions call, by index, and what they call in its place.
    pub(crate) led: (u32, u32),
    /// What hosts know by this name, by index.
    pub(crate) exported: Option<(&'static str, u32)>,
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

    fn parse_global_section(
        &mut self,
        globals: &mut GlobalSection,
        section: GlobalSectionReader<'_>,
    ) -> Result<(), reencode::Error<Infallible>> {
        reencode::utils::parse_global_section(self, globals, section)?;
        for _ in 0..self.globals {
            let word = GlobalType { val_type: wasm_encoder::ValType::I32, mutable: true, shared: false };
            globals.global(word, &ConstExpr::i32_const(0));
        }
        Ok(())
    }

    fn parse_export(
        &mut self,
        exports: &mut ExportSection,
        export: Export<'_>,
    ) -> Result<(), reencode::Error<Infallible>> {
        match self.exported {
            Some((name, function)) if export.name == name => {
                exports.export(name, ExportKind::Func, function);
                Ok(())
            }
            _ => reencode::utils::parse_export(self, exports, export),
        }
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
