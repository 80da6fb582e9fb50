//! The finished module says why a call was refused where access logs look for it: in Envoy's `%RESPONSE_CODE_DETAILS%`.
//!
//! The hostcall that answers a call (`proxy_send_local_response`) takes details, but the SDK (0.2.5) always passes none, and
//! calling the host past it takes `unsafe`. So the linked module gets a function of its own before that import: where there
//! are no details and the answer begins as a refusal does, the refusal's code, where it stands in memory, is the details.
//! How a refusal begins is written in `filter/src/reply.rs`; whatever begins otherwise goes to the host as it came.

use crate::module::{ModuleParts, append};
use anyhow::Result;
use wasm_encoder::{BlockType, Function, Instruction, MemArg, MemArgTarget, ValType};

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
    let parts = ModuleParts::read(module)?;
    let import = parts.imported(IMPORT, PARAMETERS)?;
    parts.put_before(import, telling_why(import.index), module)
}

/// Finds the code of a refusal, passes it as details, and calls the host.
fn telling_why(import: u32) -> Function {
    let [at, first, behind, byte] = [PARAMETERS, PARAMETERS + 1, PARAMETERS + 2, PARAMETERS + 3];
    const AS_IT_CAME: u32 = 0;
    let mut body = Function::new([(4, ValType::I32)]);
    let mut put = |instructions: &[Instruction<'_>]| append(&mut body, instructions);
    use Instruction::*;
    put(&[Block(BlockType::Empty), LocalGet(DETAILS_SIZE), BrIf(AS_IT_CAME)]);
    // Where the code begins, and what stands behind it.
    put(&[LocalGet(GRPC_STATUS), I32Const(-1), I32Eq, If(BlockType::Empty)]);
    put(&[LocalGet(BODY_SIZE), I32Const(BEFORE_CODE.len() as i32), I32LtU, BrIf(AS_IT_CAME + 1)]);
    let (words, rest) = BEFORE_CODE.as_chunks();
    for (offset, expected) in (0..).step_by(4).zip(words) {
        put(&[LocalGet(BODY), I32Load(byte_at(offset))]);
        put(&[I32Const(i32::from_le_bytes(*expected)), I32Ne, BrIf(AS_IT_CAME + 1)]);
    }
    for (offset, expected) in (4 * words.len() as u64..).zip(rest) {
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

/// Memory so far behind an address that may be any.
fn byte_at(offset: u64) -> MemArg {
    MemArg { offset, align: 0, target: MemArgTarget::Memory(0), ordering: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::testing::calls;
    use wasm_encoder::{
        CodeSection, EntityType, ExportKind, ExportSection, FunctionSection, ImportSection, Module, TypeSection,
    };

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
