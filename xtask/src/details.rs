//! The finished module says why a call was refused where access logs look for it: in Envoy's `%RESPONSE_CODE_DETAILS%`.
//!
//! The hostcall that answers a call (`proxy_send_local_response`) takes details, but the SDK (0.2.5) always passes none, and
//! calling the host past it takes `unsafe`. So the linked module gets a function of its own before that import: where there
//! are no details and the answer begins as a refusal does, the refusal's code, where it stands in memory, is the details.
//! How a refusal begins is written in `filter/src/reply.rs`; whatever begins otherwise goes to the host as it came.

use anyhow::{Context, Result, ensure};
use std::convert::Infallible;
use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{
    BlockType, CodeSection, Function, FunctionSection, Instruction, MemArg, MemArgTarget, Module, ValType,
};
use wasmparser::{CodeSectionReader, FunctionSectionReader, Import, Parser, Payload, TypeRef};

const IMPORT: &str = "proxy_send_local_response";
/// What stands before the code in the body of a refusal; before that of a gRPC refusal stands nothing.
const BEFORE_CODE: &[u8; 29] = br#"{"type":"urn:portvakt:denial:"#;
/// What stands behind it, in a body and in a message of gRPC.
const BEHIND_CODE: [u8; 2] = [b'"', b':'];
/// Longest code, in bytes.
const CODE_BYTES_MAX: i32 = 64;
/// The import's parameters: status; details, body, headers, each as where and how long; status of gRPC, -1 for none.
const PARAMETERS: u32 = 8;
const DETAILS: u32 = 1;
const DETAILS_SIZE: u32 = 2;
const BODY: u32 = 3;
const BODY_SIZE: u32 = 4;
const GRPC_STATUS: u32 = 7;

/// Puts the function in.
pub(crate) fn with_details(module: &[u8]) -> Result<Vec<u8>> {
    let mut led = Led::find(module)?;
    let mut finished = Module::new();
    led.parse_core_module(&mut finished, Parser::new(0), module).context("the module cannot be read")?;
    Ok(finished.finish())
}

/// Where the function goes, and what is led through it.
struct Led {
    import: u32,
    /// Its type, by index.
    kind: u32,
    /// The new function.
    function: u32,
}

impl Led {
    fn find(module: &[u8]) -> Result<Self> {
        let (mut imported, mut found, mut own) = (0, None, 0);
        for payload in Parser::new(0).parse_all(module) {
            match payload.context("the module cannot be read")? {
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        let Import { name, ty, .. } = import.context("the module's imports cannot be read")?;
                        let TypeRef::Func(kind) = ty else { continue };
                        if name == IMPORT {
                            found = Some((imported, kind));
                        }
                        imported += 1;
                    }
                }
                Payload::FunctionSection(functions) => own = functions.count(),
                _ => {}
            }
        }
        let (import, kind) = found.with_context(|| format!("the module does not import `{IMPORT}`"))?;
        ensure!(parameters(module, kind)? == Some(PARAMETERS), "`{IMPORT}` is not as the ABI 0.2.1 has it");
        Ok(Self { import, kind, function: imported + own })
    }
}

/// How many parameters a function type has, when all are 32 bits and so is its one result.
fn parameters(module: &[u8], kind: u32) -> Result<Option<u32>> {
    let is_word = |value: &wasmparser::ValType| *value == wasmparser::ValType::I32;
    for payload in Parser::new(0).parse_all(module) {
        let Payload::TypeSection(types) = payload? else { continue };
        let Some(kind) = types.into_iter_err_on_gc_types().nth(kind as usize).transpose()? else { continue };
        let fits = kind.params().iter().chain(kind.results()).all(is_word) && kind.results().len() == 1;
        return Ok(fits.then(|| u32::try_from(kind.params().len()).ok()).flatten());
    }
    Ok(None)
}

impl Reencode for Led {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, reencode::Error<Infallible>> {
        Ok(if function == self.import { self.function } else { function })
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), reencode::Error<Infallible>> {
        reencode::utils::parse_function_section(self, functions, section)?;
        functions.function(self.kind);
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), reencode::Error<Infallible>> {
        reencode::utils::parse_code_section(self, code, section)?;
        code.function(&telling_why(self.import));
        Ok(())
    }
}

/// Finds the code of a refusal, passes it as details, and calls the host.
fn telling_why(import: u32) -> Function {
    let [at, first, behind, byte] = [PARAMETERS, PARAMETERS + 1, PARAMETERS + 2, PARAMETERS + 3];
    const AS_IT_CAME: u32 = 0;
    let mut body = Function::new([(4, ValType::I32)]);
    let mut put = |instructions: &[Instruction<'_>]| {
        for instruction in instructions {
            body.instruction(instruction);
        }
    };
    use Instruction::*;
    put(&[Block(BlockType::Empty), LocalGet(DETAILS_SIZE), BrIf(AS_IT_CAME)]);
    // Where the code begins, and what stands behind it.
    put(&[LocalGet(GRPC_STATUS), I32Const(-1), I32Eq, If(BlockType::Empty)]);
    put(&[LocalGet(BODY_SIZE), I32Const(BEFORE_CODE.len() as i32), I32LtU, BrIf(AS_IT_CAME + 1)]);
    for (offset, expected) in (0..).zip(BEFORE_CODE) {
        put(&[LocalGet(BODY), I32Load8U(byte_at(offset))]);
        put(&[I32Const(i32::from(*expected)), I32Ne, BrIf(AS_IT_CAME + 1)]);
    }
    let [in_body, in_message] = BEHIND_CODE.map(i32::from);
    put(&[LocalGet(BODY), I32Const(BEFORE_CODE.len() as i32), I32Add, LocalSet(first)]);
    put(&[I32Const(in_body), LocalSet(behind), Else]);
    put(&[LocalGet(BODY), LocalSet(first), I32Const(in_message), LocalSet(behind), End]);
    // Letters and `_`, up to there.
    put(&[LocalGet(first), LocalSet(at), Loop(BlockType::Empty)]);
    put(&[LocalGet(at), LocalGet(BODY), LocalGet(BODY_SIZE), I32Add, I32GeU, BrIf(AS_IT_CAME + 1)]);
    put(&[LocalGet(at), I32Load8U(byte_at(0)), LocalTee(byte)]);
    put(&[LocalGet(behind), I32Eq, If(BlockType::Empty)]);
    put(&[LocalGet(first), LocalSet(DETAILS), LocalGet(at), LocalGet(first), I32Sub, LocalSet(DETAILS_SIZE)]);
    put(&[Br(AS_IT_CAME + 2), End]);
    put(&[LocalGet(byte), I32Const(i32::from(b'a')), I32Sub, I32Const(26), I32LtU]);
    put(&[LocalGet(byte), I32Const(i32::from(b'_')), I32Eq, I32Or, I32Eqz, BrIf(AS_IT_CAME + 1)]);
    put(&[LocalGet(at), I32Const(1), I32Add, LocalTee(at), LocalGet(first), I32Sub]);
    put(&[I32Const(CODE_BYTES_MAX), I32LeU, BrIf(0), End, End]);
    for parameter in 0..PARAMETERS {
        put(&[LocalGet(parameter)]);
    }
    put(&[Call(import), End]);
    body
}

fn byte_at(offset: u64) -> MemArg {
    MemArg { offset, align: 0, target: MemArgTarget::Memory(0), ordering: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_encoder::{EntityType, ExportKind, ExportSection, ImportSection, TypeSection};
    use wasmparser::Operator;

    /// A module that imports it after another function, and calls it from its one own function.
    fn module(import: &str, parameters: usize) -> Vec<u8> {
        let mut types = TypeSection::new();
        types.ty().function([], []);
        types.ty().function(vec![ValType::I32; parameters], [ValType::I32]);
        let mut imports = ImportSection::new();
        imports.import("env", "proxy_log", EntityType::Function(0)).import("env", import, EntityType::Function(1));
        let mut functions = FunctionSection::new();
        functions.function(0);
        let mut exports = ExportSection::new();
        exports.export("refuse", ExportKind::Func, 2);
        let mut refuse = Function::new([]);
        for _ in 0..parameters {
            refuse.instruction(&Instruction::I32Const(0));
        }
        refuse.instruction(&Instruction::Call(1)).instruction(&Instruction::Drop).instruction(&Instruction::End);
        let mut code = CodeSection::new();
        code.function(&refuse);
        let mut module = Module::new();
        module.section(&types).section(&imports).section(&functions).section(&exports).section(&code);
        module.finish()
    }

    /// What each function calls.
    fn calls(module: &[u8]) -> Vec<Vec<u32>> {
        let mut all = Vec::new();
        for payload in Parser::new(0).parse_all(module) {
            let Payload::CodeSectionEntry(body) = payload.unwrap() else { continue };
            let operators = body.get_operators_reader().unwrap().into_iter().map(Result::unwrap);
            all.push(operators.filter_map(|operator| match operator {
                Operator::Call { function_index } => Some(function_index),
                _ => None,
            }));
        }
        all.into_iter().map(Iterator::collect).collect()
    }

    #[test]
    fn calls_of_the_host_go_through_the_function_and_no_others_do() {
        assert_eq!(calls(&module(IMPORT, 8)), [[1]]);
        // The function is the fourth; it calls the host itself.
        assert_eq!(calls(&with_details(&module(IMPORT, 8)).unwrap()), [[3], [1]]);
    }

    #[test]
    fn a_module_that_answers_otherwise_is_refused() {
        assert!(with_details(&module("proxy_send_local_reply", 8)).is_err());
        assert!(with_details(&module(IMPORT, 7)).is_err());
        assert!(with_details(b"\0asm nonsense").is_err());
    }
}
