//! The finished module hands the headers of a request to the filter in one piece, as the host handed them over.
//!
//! What the SDK (0.2.5) makes of that piece, two strings of each header, costs a call more than its decision; reading it as
//! it is takes `unsafe`. Buffers the SDK gives as they come. So the linked module gets a function of its own before the
//! hostcall that hands buffers over (`proxy_get_buffer_bytes`): whoever asks for data of a downstream connection, which no
//! HTTP filter has, gets the headers of the request, as `proxy_get_header_map_pairs` writes them.
//!
//! `filter/src/host.rs` asks for them so.

use crate::module::{ModuleParts, append};
use anyhow::Result;
use wasm_encoder::{BlockType, Function, Instruction, ValType};

const BUFFER: &str = "proxy_get_buffer_bytes";
/// Its parameters: which buffer; from where; how much; where to write where that is; where to write how long it is.
const WHICH: u32 = 0;
const AT: u32 = 3;
const SIZE: u32 = 4;
const BUFFER_PARAMETERS: u32 = 5;
/// Data of a downstream connection, among buffers.
const DOWNSTREAM_DATA: i32 = 2;

const HEADERS: &str = "proxy_get_header_map_pairs";
/// Its parameters: which headers; the rest as above.
const HEADERS_PARAMETERS: u32 = 3;
/// The headers of the request, among maps of headers.
const REQUEST: i32 = 0;

/// Puts the function in.
pub(crate) fn in_one(module: &[u8]) -> Result<Vec<u8>> {
    let parts = ModuleParts::read(module)?;
    let (buffer, headers) = (parts.imported(BUFFER, BUFFER_PARAMETERS)?, parts.imported(HEADERS, HEADERS_PARAMETERS)?);
    parts.put_before(buffer, handing_over(buffer.index, headers.index), module)
}

fn handing_over(buffer: u32, headers: u32) -> Function {
    let mut body = Function::new([]);
    use Instruction::*;
    append(&mut body, &[LocalGet(WHICH), I32Const(DOWNSTREAM_DATA), I32Eq, If(BlockType::Result(ValType::I32))]);
    append(&mut body, &[I32Const(REQUEST), LocalGet(AT), LocalGet(SIZE), Call(headers), Else]);
    for parameter in 0..BUFFER_PARAMETERS {
        body.instruction(&LocalGet(parameter));
    }
    append(&mut body, &[Call(buffer), End, End]);
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::testing::calls;
    use wasm_encoder::{
        CodeSection, EntityType, ExportKind, ExportSection, FunctionSection, ImportSection, Module, TypeSection,
    };

    /// A module that takes both hostcalls, and calls each.
    fn module(buffer: &str, headers: &str) -> Vec<u8> {
        let mut types = TypeSection::new();
        for parameters in [BUFFER_PARAMETERS, HEADERS_PARAMETERS] {
            types.ty().function(vec![ValType::I32; parameters as usize], [ValType::I32]);
        }
        let mut imports = ImportSection::new();
        imports.import("env", buffer, EntityType::Function(0)).import("env", headers, EntityType::Function(1));
        let (mut functions, mut exports, mut code) = (FunctionSection::new(), ExportSection::new(), CodeSection::new());
        for (import, parameters) in [BUFFER_PARAMETERS, HEADERS_PARAMETERS].into_iter().enumerate() {
            functions.function(import as u32);
            exports.export(&format!("calls {import}"), ExportKind::Func, import as u32 + 2);
            let mut body = Function::new([]);
            for parameter in 0..parameters {
                body.instruction(&Instruction::LocalGet(parameter));
            }
            code.function(body.instruction(&Instruction::Call(import as u32)).instruction(&Instruction::End));
        }
        let mut module = Module::new();
        module.section(&types).section(&imports).section(&functions).section(&exports).section(&code);
        module.finish()
    }

    #[test]
    fn buffers_are_asked_for_through_the_new_function() {
        let before = module(BUFFER, HEADERS);
        assert_eq!(calls(&before), [vec![0], vec![1]]);
        assert_eq!(calls(&in_one(&before).unwrap()), [vec![4], vec![1], vec![1, 0]]);
    }

    #[test]
    fn a_module_that_reads_headers_or_buffers_otherwise_is_refused() {
        assert!(in_one(&module(BUFFER, "proxy_get_header_map_value")).is_err());
        assert!(in_one(&module("proxy_get_buffer", HEADERS)).is_err());
        assert!(in_one(b"\0asm nonsense").is_err());
    }
}
