//! Traps for tests: a module like the one that ships, except that one of its callbacks ends the VM at a certain call.
//!
//! The module that ships has no way to be told to trap. Here its bytes are changed: an export is led through a new
//! function that counts its calls, and traps at one of them. Everything else stays as it is, byte for byte.

use anyhow::{Context as _, Result, ensure};

/// How the VM ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trap {
    /// As after a panic.
    Unreachable,
    /// After all memory that the host gives has been taken.
    OutOfMemory,
}

const TYPE: u8 = 1;
const IMPORT: u8 = 2;
const FUNCTION: u8 = 3;
const GLOBAL: u8 = 6;
const EXPORT: u8 = 7;
const CODE: u8 = 10;

/// The module with a trap at the `at_call`th call of the export, counted from 1 in each VM.
pub fn with_trap(module: &[u8], export: &str, at_call: u32, trap: Trap) -> Result<Vec<u8>> {
    let header = module.get(..8).context("no WebAssembly")?;
    ensure!(header.starts_with(b"\0asm"), "no WebAssembly");
    let mut sections = sections(module.get(8..).unwrap_or_default())?;
    let imported = imported(section(&sections, IMPORT)?)?;
    let (exports, target) = exports_led_through(
        section(&sections, EXPORT)?,
        export,
        |functions| imported.functions + functions,
        section(&sections, FUNCTION)?,
    )?;
    let type_index = type_of(section(&sections, FUNCTION)?, target - imported.functions)?;
    let parameters = parameters(section(&sections, TYPE)?, type_index)?;
    let mut globals = section(&sections, GLOBAL)?.to_vec();
    let counter = imported.globals + count(&globals)?;
    // A mutable i32, at first 0.
    append(&mut globals, &[0x7f, 1, 0x41, 0, 0x0b])?;
    let mut functions = section(&sections, FUNCTION)?.to_vec();
    append(&mut functions, &unsigned(type_index))?;
    let mut code = section(&sections, CODE)?.to_vec();
    let body = body(counter, at_call, trap, parameters, target);
    append(&mut code, &[unsigned(u32::try_from(body.len())?), body].concat())?;
    for (id, bytes) in &mut sections {
        match *id {
            EXPORT => exports.clone_into(bytes),
            GLOBAL => globals.clone_into(bytes),
            FUNCTION => functions.clone_into(bytes),
            CODE => code.clone_into(bytes),
            _ => {}
        }
    }
    let mut changed = header.to_vec();
    for (id, bytes) in sections {
        changed.push(id);
        changed.extend(unsigned(u32::try_from(bytes.len())?));
        changed.extend(bytes);
    }
    Ok(changed)
}

fn body(counter: u32, at_call: u32, trap: Trap, parameters: u32, target: u32) -> Vec<u8> {
    let counter = unsigned(counter);
    // No locals; counter = counter + 1; if counter == at_call.
    let mut body = [&[0, 0x23][..], &counter, &[0x41, 1, 0x6a, 0x24], &counter, &[0x23], &counter, &[0x41]].concat();
    body.extend(signed(at_call));
    body.extend([0x46, 0x04, 0x40]);
    if trap == Trap::OutOfMemory {
        // loop: memory.grow 64 pages; again unless that gave -1.
        body.extend([0x03, 0x40, 0x41, 0xc0, 0x00, 0x40, 0x00, 0x41, 0x7f, 0x47, 0x0d, 0x00, 0x0b]);
    }
    // unreachable; end; the real one with the same arguments.
    body.extend([0x00, 0x0b]);
    for parameter in 0..parameters {
        body.push(0x20);
        body.extend(unsigned(parameter));
    }
    body.push(0x10);
    body.extend(unsigned(target));
    body.push(0x0b);
    body
}

fn sections(mut rest: &[u8]) -> Result<Vec<(u8, Vec<u8>)>> {
    let mut sections = Vec::new();
    while !rest.is_empty() {
        let id = byte(&mut rest)?;
        let length = number(&mut rest)?;
        sections.push((id, take(&mut rest, length)?.to_vec()));
    }
    Ok(sections)
}

fn section(sections: &[(u8, Vec<u8>)], id: u8) -> Result<&[u8]> {
    let found = sections.iter().find(|(section, _)| *section == id);
    found.map(|(_, bytes)| bytes.as_slice()).with_context(|| format!("there is no section {id}"))
}

struct Imported {
    functions: u32,
    globals: u32,
}

fn imported(mut rest: &[u8]) -> Result<Imported> {
    let mut imported = Imported { functions: 0, globals: 0 };
    for _ in 0..number(&mut rest)? {
        for _ in ["module", "field"] {
            let length = number(&mut rest)?;
            take(&mut rest, length)?;
        }
        match byte(&mut rest)? {
            0 => {
                number(&mut rest)?;
                imported.functions += 1;
            }
            3 => {
                take(&mut rest, 2)?;
                imported.globals += 1;
            }
            kind => anyhow::bail!("imports of kind {kind} are not expected here"),
        }
    }
    Ok(imported)
}

/// The export section with the export led to the function that will be the last, and the function that it was.
fn exports_led_through(
    exports: &[u8],
    name: &str,
    position: impl Fn(u32) -> u32,
    functions: &[u8],
) -> Result<(Vec<u8>, u32)> {
    let mut rest = exports;
    let exports_count = number(&mut rest)?;
    let mut changed = unsigned(exports_count);
    let mut target = None;
    for _ in 0..exports_count {
        let length = number(&mut rest)?;
        let exported = take(&mut rest, length)?;
        let (kind, mut index) = (byte(&mut rest)?, number(&mut rest)?);
        if kind == 0 && exported == name.as_bytes() {
            target = Some(index);
            index = position(count(functions)?);
        }
        changed.extend(unsigned(length));
        changed.extend(exported);
        changed.push(kind);
        changed.extend(unsigned(index));
    }
    Ok((changed, target.with_context(|| format!("`{name}` is not exported"))?))
}

fn type_of(mut functions: &[u8], position: u32) -> Result<u32> {
    let functions_count = number(&mut functions)?;
    ensure!(position < functions_count, "a function that is imported");
    for _ in 0..position {
        number(&mut functions)?;
    }
    number(&mut functions)
}

fn parameters(mut types: &[u8], position: u32) -> Result<u32> {
    let types_count = number(&mut types)?;
    ensure!(position < types_count, "no such type");
    let mut parameters = 0;
    for _ in 0..=position {
        ensure!(byte(&mut types)? == 0x60, "a type that is no function");
        parameters = number(&mut types)?;
        take(&mut types, parameters)?;
        let results = number(&mut types)?;
        take(&mut types, results)?;
    }
    Ok(parameters)
}

fn count(mut vector: &[u8]) -> Result<u32> {
    number(&mut vector)
}

/// Adds an element to the end of a vector.
fn append(vector: &mut Vec<u8>, element: &[u8]) -> Result<()> {
    let mut rest = vector.as_slice();
    let elements = number(&mut rest)?;
    *vector = [&unsigned(elements + 1), rest, element].concat();
    Ok(())
}

fn byte(rest: &mut &[u8]) -> Result<u8> {
    let (first, after) = rest.split_first().context("cut short")?;
    *rest = after;
    Ok(*first)
}

fn take<'a>(rest: &mut &'a [u8], length: u32) -> Result<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(length as usize).context("cut short")?;
    *rest = after;
    Ok(taken)
}

/// A number as LEB128.
fn number(rest: &mut &[u8]) -> Result<u32> {
    let mut number = 0_u64;
    for shift in (0..35).step_by(7) {
        let next = byte(rest)?;
        number |= u64::from(next & 0x7f) << shift;
        if next < 0x80 {
            return Ok(u32::try_from(number)?);
        }
    }
    anyhow::bail!("a number that is too long")
}

fn unsigned(mut number: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push(number as u8 & 0x7f | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// As an `i32.const` takes it: the last byte's second bit is the sign.
fn signed(number: u32) -> Vec<u8> {
    let mut bytes = unsigned(number);
    if let Some(last) = bytes.last_mut().filter(|last| **last & 0x40 != 0) {
        *last |= 0x80;
        bytes.push(0);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_leb128() {
        for number_ in [0, 1, 63, 64, 127, 128, 300, 70_000] {
            assert_eq!(number(&mut unsigned(number_).as_slice()).unwrap(), number_);
        }
        assert_eq!((signed(63), signed(64), signed(100)), (vec![63], vec![0xc0, 0], vec![0xe4, 0]));
    }

    #[test]
    fn what_is_no_module_is_refused() {
        for bytes in [&b""[..], b"\0asm", b"\0elf\x01\0\0\0", b"\0asm\x01\0\0\0"] {
            assert!(with_trap(bytes, "x", 1, Trap::Unreachable).is_err());
        }
    }
}
