//! Numbers, texts and lists, as bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ProgramError, Result, STRINGS_MAX, wrong};
use crate::xacml::ast::Effect;

const DENY: u8 = 0;
const PERMIT: u8 = 1;
/// Most entries that room is made for before they are there.
const BELIEVED_MAX: usize = 256;

/// Writes twice: first to see which texts there are, then with their positions.
pub(super) struct Writer {
    strings: BTreeMap<String, u32>,
    collecting: bool,
    bytes: Vec<u8>,
}

impl Writer {
    /// One that only looks which texts there are.
    pub(super) fn collecting() -> Self {
        Self { strings: BTreeMap::new(), collecting: true, bytes: Vec::new() }
    }

    /// One that writes, in the order of the texts.
    pub(super) fn with_strings(mut self) -> Self {
        for (position, (_, at)) in (0..).zip(&mut self.strings) {
            *at = position;
        }
        let mut writer = Self { strings: BTreeMap::new(), collecting: false, bytes: Vec::new() };
        writer.count(self.strings.len());
        for text in self.strings.keys() {
            writer.count(text.len());
            writer.bytes.extend_from_slice(text.as_bytes());
        }
        writer.strings = self.strings;
        writer
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    pub(super) fn number(&mut self, number: u32) {
        let mut rest = number;
        loop {
            let [low, ..] = rest.to_le_bytes();
            rest >>= 7;
            if rest == 0 {
                return self.byte(low & 0x7f);
            }
            self.byte(low | 0x80);
        }
    }

    /// How many follow. Longer lists than can be written are longer than can be read, too.
    pub(super) fn count(&mut self, count: usize) {
        self.number(u32::try_from(count).unwrap_or(u32::MAX));
    }

    pub(super) fn string(&mut self, text: &str) {
        if self.collecting {
            self.strings.insert(text.to_owned(), 0);
        } else {
            self.number(self.strings.get(text).copied().unwrap_or(u32::MAX));
        }
    }

    /// Which of two texts there are, and those.
    pub(super) fn two(&mut self, first: Option<&str>, second: Option<&str>) {
        self.byte(u8::from(first.is_some()) | (u8::from(second.is_some()) << 1));
        for text in [first, second].into_iter().flatten() {
            self.string(text);
        }
    }

    pub(super) fn effect(&mut self, effect: Effect) {
        self.byte(if effect == Effect::Permit { PERMIT } else { DENY });
    }
}

/// A text that there may be.
type Optional = Option<Arc<str>>;

/// Takes from the front, or refuses the whole.
pub(super) struct Reader<'b> {
    bytes: &'b [u8],
    strings: Vec<(Arc<str>, bool)>,
}

impl<'b> Reader<'b> {
    /// Reads the texts, which stand first.
    pub(super) fn new(bytes: &'b [u8]) -> Result<Self> {
        let mut reader = Self { bytes, strings: Vec::new() };
        let count = reader.count(STRINGS_MAX, "the number of texts")?;
        let mut strings: Vec<(Arc<str>, bool)> = Vec::with_capacity(count.min(BELIEVED_MAX));
        for _ in 0..count {
            let length = reader.count(usize::MAX, "the length of a text")?;
            let bytes = reader.take(length)?;
            let text = std::str::from_utf8(bytes).map_err(|_| ProgramError { what: "the UTF-8 of a text" })?;
            if strings.last().is_some_and(|(before, _)| &**before >= text) {
                return wrong("the order of the texts");
            }
            strings.push((text.into(), false));
        }
        reader.strings = strings;
        Ok(reader)
    }

    /// Nothing may be left over.
    pub(super) fn finish(&self) -> Result<()> {
        if !self.bytes.is_empty() {
            return wrong("its end");
        }
        if self.strings.iter().any(|(_, used)| !used) {
            return wrong("a text that nothing uses");
        }
        Ok(())
    }

    fn take(&mut self, count: usize) -> Result<&'b [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(ProgramError { what: "its length" })?;
        self.bytes = rest;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        let (byte, rest) = self.bytes.split_first().ok_or(ProgramError { what: "its length" })?;
        self.bytes = rest;
        Ok(*byte)
    }

    pub(super) fn number(&mut self) -> Result<u32> {
        let mut number = 0_u64;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    return wrong("a number that is longer than needed");
                }
                return u32::try_from(number).map_err(|_| ProgramError { what: "a number" });
            }
        }
        wrong("a number")
    }

    /// How many entries follow: no more than `max`, nor than there are bytes.
    pub(super) fn count(&mut self, max: usize, what: &'static str) -> Result<usize> {
        match usize::try_from(self.number()?) {
            Ok(count) if count <= max && count <= self.bytes.len() => Ok(count),
            _ => wrong(what),
        }
    }

    /// A list of entries, each of at least one byte.
    pub(super) fn list<T>(
        &mut self,
        max: usize,
        what: &'static str,
        mut entry: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        let count = self.count(max, what)?;
        // What a count says is believed only as far as it costs little.
        let mut entries = Vec::with_capacity(count.min(BELIEVED_MAX));
        for _ in 0..count {
            entries.push(entry(self)?);
        }
        Ok(entries)
    }

    /// A position in a table that has so many entries.
    pub(super) fn position(&mut self, length: usize, what: &'static str) -> Result<u32> {
        let position = self.number()?;
        match usize::try_from(position) {
            Ok(index) if index < length => Ok(position),
            _ => wrong(what),
        }
    }

    pub(super) fn string(&mut self) -> Result<Arc<str>> {
        let index = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        let (text, used) = self.strings.get_mut(index).ok_or(ProgramError { what: "the position of a text" })?;
        *used = true;
        Ok(Arc::clone(text))
    }

    /// Two texts that there may be.
    pub(super) fn two(&mut self) -> Result<(Optional, Optional)> {
        let which = self.byte()?;
        if which > 3 {
            return wrong("which texts there are");
        }
        let mut text = |bit: u8| if which & bit == 0 { Ok(None) } else { self.string().map(Some) };
        Ok((text(1)?, text(2)?))
    }

    pub(super) fn boolean(&mut self) -> Result<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => wrong("a yes or no"),
        }
    }

    pub(super) fn effect(&mut self) -> Result<Effect> {
        match self.byte()? {
            DENY => Ok(Effect::Deny),
            PERMIT => Ok(Effect::Permit),
            _ => wrong("an effect"),
        }
    }
}
