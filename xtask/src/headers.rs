//! The finished module hands the headers of a request to the filter in one piece, as the host handed them over.
//!
//! The SDK (0.2.5) takes that piece apart and makes two of each header, which costs a call more than its decision; reading
//! it as it is takes `unsafe`. So the linked module gets a function of its own before the hostcall that hands headers over
//! (`proxy_get_header_map_pairs`): to the SDK it looks as if the request had one header, without a name, whose value is all
//! of them. What stands before that value is written where the host leaves room for it: in the memory that it asks the
//! module for, which is therefore a little more than it asked for. From a host that puts the headers elsewhere they are read
//! one by one.
//!
//! `filter/src/host.rs` knows it by that: no header is without a name.

use crate::module::{Additions, ModuleParts, append, byte_at};
use anyhow::Result;
use wasm_encoder::{BlockType, Function, Instruction, MemArg, MemArgTarget, ValType};

const IMPORT: &str = "proxy_get_header_map_pairs";
const ALLOCATE: &str = "proxy_on_memory_allocate";
/// The import's parameters: which headers; where to write where they are; where to write how long they are.
const MAP: u32 = 0;
const AT: u32 = 1;
const SIZE: u32 = 2;
const PARAMETERS: u32 = 3;
/// The headers of the request, among maps of headers.
const REQUEST: i32 = 0;
/// One header, how long its name and its value are, 32 bits each; and a zero behind the name, which is empty.
const BEFORE: i32 = 13;
/// The zero behind the value.
const BEHIND: i32 = 1;

/// Puts the functions in.
pub(crate) fn in_one(module: &[u8]) -> Result<Vec<u8>> {
    let parts = ModuleParts::read(module)?;
    let (import, allocate) = (parts.imported(IMPORT, PARAMETERS)?, parts.exported(ALLOCATE, 1)?);
    let new = NewFunctions { import: import.index, allocate: allocate.index, room: parts.next_global() };
    let additions = Additions {
        functions: vec![(import.kind, new.handing_over()), (allocate.kind, new.allocating())],
        globals: 2,
        led: (import.index, parts.next_function()),
        exported: Some((ALLOCATE, parts.next_function() + 1)),
    };
    additions.put_into(module)
}

/// By index: what they call, and the globals that they share.
struct NewFunctions {
    import: u32,
    allocate: u32,
    /// Whether room is to be made. The next: where what was asked for then begins, 0 for nowhere.
    room: u32,
}

impl NewFunctions {
    fn given(&self) -> u32 {
        self.room + 1
    }

    /// Calls the host; what it put where there is room before it becomes the value of one header.
    fn handing_over(&self) -> Function {
        let [status, header] = [PARAMETERS, PARAMETERS + 1];
        let mut body = Function::new([(2, ValType::I32)]);
        let mut put = |instructions: &[Instruction<'_>]| append(&mut body, instructions);
        use Instruction::*;
        put(&[LocalGet(MAP), I32Const(REQUEST), I32Eq, GlobalSet(self.room), I32Const(0), GlobalSet(self.given())]);
        put(&[LocalGet(MAP), LocalGet(AT), LocalGet(SIZE), Call(self.import), LocalSet(status)]);
        put(&[I32Const(0), GlobalSet(self.room)]);
        put(&[Block(BlockType::Empty), LocalGet(status), BrIf(0)]);
        put(&[GlobalGet(self.given()), I32Eqz, BrIf(0)]);
        put(&[LocalGet(AT), I32Load(word_at(0)), GlobalGet(self.given()), I32Ne, BrIf(0)]);
        put(&[GlobalGet(self.given()), I32Const(BEFORE), I32Sub, LocalSet(header)]);
        put(&[LocalGet(header), I32Const(1), I32Store(word_at(0))]);
        put(&[LocalGet(header), I32Const(0), I32Store(word_at(4))]);
        put(&[LocalGet(header), LocalGet(SIZE), I32Load(word_at(0)), I32Store(word_at(8))]);
        put(&[LocalGet(header), I32Const(0), I32Store8(byte_at(12))]);
        put(&[GlobalGet(self.given()), LocalGet(SIZE), I32Load(word_at(0)), I32Add, I32Const(0)]);
        put(&[I32Store8(byte_at(0))]);
        put(&[LocalGet(AT), LocalGet(header), I32Store(word_at(0))]);
        put(&[LocalGet(SIZE), LocalGet(SIZE), I32Load(word_at(0)), I32Const(BEFORE + BEHIND), I32Add]);
        put(&[I32Store(word_at(0)), End, LocalGet(status), End]);
        body
    }

    /// Allocates what the host asks for, once with room before and behind it.
    fn allocating(&self) -> Function {
        const BYTES: u32 = 0;
        let mut body = Function::new([]);
        let mut put = |instructions: &[Instruction<'_>]| append(&mut body, instructions);
        use Instruction::*;
        put(&[GlobalGet(self.room), I32Eqz, If(BlockType::Empty)]);
        put(&[LocalGet(BYTES), Call(self.allocate), Return, End]);
        put(&[I32Const(0), GlobalSet(self.room)]);
        put(&[LocalGet(BYTES), I32Const(BEFORE + BEHIND), I32Add, Call(self.allocate)]);
        put(&[I32Const(BEFORE), I32Add, GlobalSet(self.given()), GlobalGet(self.given()), End]);
        body
    }
}

fn word_at(offset: u64) -> MemArg {
    MemArg { offset, align: 2, target: MemArgTarget::Memory(0), ordering: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_encoder::{
        CodeSection, ConstExpr, EntityType, ExportKind, ExportSection, FunctionSection, GlobalSection, GlobalType,
        ImportSection, Module, TypeSection,
    };
    use wasmparser::{Operator, Parser, Payload};

    /// A module that takes the hostcall, calls it, and offers an allocator that calls nothing.
    fn module(import: &str, export: &str) -> Vec<u8> {
        let mut types = TypeSection::new();
        types.ty().function(vec![ValType::I32; 3], [ValType::I32]);
        types.ty().function([ValType::I32], [ValType::I32]);
        let mut imports = ImportSection::new();
        imports.import("env", import, EntityType::Function(0));
        let mut functions = FunctionSection::new();
        functions.function(1).function(1);
        let mut globals = GlobalSection::new();
        let word = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
        globals.global(word, &ConstExpr::i32_const(0));
        let mut exports = ExportSection::new();
        exports.export("read", ExportKind::Func, 1).export(export, ExportKind::Func, 2);
        let (mut read, mut allocate) = (Function::new([]), Function::new([]));
        for _ in 0..PARAMETERS {
            read.instruction(&Instruction::LocalGet(0));
        }
        read.instruction(&Instruction::Call(0)).instruction(&Instruction::End);
        allocate.instruction(&Instruction::LocalGet(0)).instruction(&Instruction::End);
        let mut code = CodeSection::new();
        code.function(&read).function(&allocate);
        let mut module = Module::new();
        module.section(&types).section(&imports).section(&functions).section(&globals).section(&exports).section(&code);
        module.finish()
    }

    /// What each function calls, and the allocator's place.
    fn calls(module: &[u8]) -> (Vec<Vec<u32>>, u32) {
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
        (all, ModuleParts::read(module).unwrap().exported(ALLOCATE, 1).unwrap().index)
    }

    #[test]
    fn the_hostcall_and_the_allocator_are_called_through_the_new_functions() {
        let before = module(IMPORT, ALLOCATE);
        assert_eq!(calls(&before), (vec![vec![0], vec![]], 2));
        let finished = in_one(&before).unwrap();
        assert_eq!(calls(&finished), (vec![vec![3], vec![], vec![0], vec![2, 2]], 4));
        assert_eq!(ModuleParts::read(&finished).unwrap().next_global(), 3);
    }

    #[test]
    fn a_module_that_reads_headers_otherwise_is_refused() {
        assert!(in_one(&module("proxy_get_header_map_value", ALLOCATE)).is_err());
        assert!(in_one(&module(IMPORT, "malloc")).is_err());
        assert!(in_one(b"\0asm nonsense").is_err());
    }
}
