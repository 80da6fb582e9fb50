//! One JSON object as one flat list: every token that is seen for the first time is read into it. It takes one allocation,
//! and copies no text that has no escapes in it. What is refused is in the parent module.

use serde_json::Number;

use super::{DEPTH_MAX, JsonError};

/// How many marks are told apart without looking at names.
const MARK_BITS: usize = 32;
/// Room for the nodes of a usual token.
const NODES_USUAL: usize = 64;
/// How many members are compared with each other before they are sorted to be compared.
const MEMBERS_FEW: usize = 16;
/// Longest whole number that is read here, in digits; each such fits.
const DIGITS_MAX: usize = 18;

/// An object that was read.
#[derive(Debug)]
pub(crate) struct Document<'text> {
    text: &'text str,
    // Invariant: the first is an object that holds all others. A member's name stands before its value; what is in an array
    // or an object stands behind it.
    nodes: Vec<Node>,
    /// Texts that had escapes.
    unescaped: Vec<String>,
    /// For the marks of one bit the first member whose name has such a one, or the very first; 0 where there is none.
    first: [u8; MARK_BITS],
}

/// Room for nodes, which one document leaves to the next.
#[derive(Debug, Default)]
pub(crate) struct Nodes(Vec<Node>);

#[derive(Debug, Clone, Copy)]
struct Node {
    kind: Kind,
    /// Of a text; equal for equal ones.
    mark: u8,
    start: u32,
    end: u32,
    /// Where what comes after the value is, or after the member of this name.
    next: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Null,
    False,
    True,
    /// A whole number that fits; `start` is its lower half.
    Whole,
    /// Any other, from `start` to `end` in the text.
    Number,
    /// From `start` to `end` in the text.
    Text,
    /// Number `start` of those that had escapes.
    Unescaped,
    Array,
    /// A bit of `start` for the mark of every name in it.
    Object,
}

/// A value in a document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Value<'a> {
    document: &'a Document<'a>,
    at: usize,
}

/// Members of an object in a document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Members<'a>(Value<'a>);

/// What a value is.
pub(crate) enum Form<'a> {
    Null,
    Bool(bool),
    Whole(i64),
    /// As it was written.
    Number(&'a str),
    String(&'a str),
    Array,
    Object(Members<'a>),
}

impl<'text> Document<'text> {
    /// Reads one object.
    pub(crate) fn parse(bytes: &'text [u8]) -> Result<Self, JsonError> {
        Self::parse_in(bytes, Nodes(Vec::with_capacity(NODES_USUAL)))
    }

    /// The same where a document was before.
    pub(crate) fn parse_in(bytes: &'text [u8], Nodes(mut nodes): Nodes) -> Result<Self, JsonError> {
        // Valid on the whole is valid in every text of it, which begins and ends with a quote.
        let text = std::str::from_utf8(bytes).map_err(|_| JsonError)?;
        // Every place in it fits, then.
        u32::try_from(text.len()).map_err(|_| JsonError)?;
        nodes.clear();
        let mut reader =
            Reader { bytes, at: 0, document: Self { text, nodes, unescaped: Vec::new(), first: [0; MARK_BITS] } };
        match reader.next() {
            Some(b'{') => reader.object(DEPTH_MAX - 1)?,
            _ => return Err(JsonError),
        }
        if reader.next().is_some() { Err(JsonError) } else { Ok(reader.document) }
    }

    /// Its members.
    pub(crate) fn members(&self) -> Members<'_> {
        Members(Value { document: self, at: 0 })
    }

    /// Leaves its room to another.
    pub(crate) fn into_nodes(self) -> Nodes {
        Nodes(self.nodes)
    }

    fn node(&self, at: usize) -> Option<Node> {
        self.nodes.get(at).copied()
    }

    /// Where what comes after the value is.
    fn behind(&self, at: usize) -> usize {
        self.node(at).map_or(usize::MAX, |node| node.next as usize)
    }

    fn text_of(&self, node: Node) -> Option<&str> {
        match node.kind {
            Kind::Text => self.text.get(node.start as usize..node.end as usize),
            Kind::Unescaped => self.unescaped.get(node.start as usize).map(String::as_str),
            _ => None,
        }
    }
}

impl<'a> Value<'a> {
    pub(crate) fn as_str(self) -> Option<&'a str> {
        self.document.text_of(self.document.node(self.at)?)
    }

    pub(crate) fn as_object(self) -> Option<Members<'a>> {
        let is_object = self.document.node(self.at)?.kind == Kind::Object;
        is_object.then_some(Members(self))
    }

    /// A whole number, not one written with a fraction or an exponent.
    pub(crate) fn as_i64(self) -> Option<i64> {
        match self.form()? {
            Form::Whole(number) => Some(number),
            _ => None,
        }
    }

    /// The items of an array.
    pub(crate) fn items(self) -> Option<impl Iterator<Item = Value<'a>>> {
        let array = self.document.node(self.at).filter(|node| node.kind == Kind::Array)?;
        let (document, end) = (self.document, array.next as usize);
        let first = (self.at + 1 < end).then_some(self.at + 1);
        let next = move |at: &usize| Some(document.behind(*at)).filter(|next| *next < end);
        Some(std::iter::successors(first, next).map(move |at| Value { document, at }))
    }

    /// What it is, for those who look at everything.
    pub(crate) fn form(self) -> Option<Form<'a>> {
        let node = self.document.node(self.at)?;
        Some(match node.kind {
            Kind::Null => Form::Null,
            Kind::False => Form::Bool(false),
            Kind::True => Form::Bool(true),
            Kind::Whole => Form::Whole((u64::from(node.end) << 32 | u64::from(node.start)) as i64),
            Kind::Number => Form::Number(self.document.text.get(node.start as usize..node.end as usize)?),
            Kind::Text | Kind::Unescaped => Form::String(self.document.text_of(node)?),
            Kind::Array => Form::Array,
            Kind::Object => Form::Object(Members(self)),
        })
    }
}

impl<'a> Members<'a> {
    pub(crate) fn get(self, name: &str) -> Option<Value<'a>> {
        let Self(Value { document, at }) = self;
        let (mark, object) = (mark_of(name.as_bytes()), document.node(at)?);
        if object.start & bit_of(mark) == 0 {
            return None;
        }
        let first = if at == 0 { document.first.get(usize::from(mark) % MARK_BITS) } else { None };
        let (mut at, end) = (first.map_or(at + 1, |first| usize::from(*first)), object.next as usize);
        while at < end {
            let node = document.node(at)?;
            if node.mark == mark && document.text_of(node)? == name {
                return Some(Value { document, at: at + 1 });
            }
            at = node.next as usize;
        }
        None
    }

    pub(crate) fn contains_key(self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Members as they were written.
    pub(crate) fn iter(self) -> impl Iterator<Item = (&'a str, Value<'a>)> {
        let Self(Value { document, at }) = self;
        let end = document.behind(at);
        let first = (at + 1 < end).then_some(at + 1);
        let next = move |at: &usize| Some(document.behind(*at)).filter(|next| *next < end);
        std::iter::successors(first, next)
            .filter_map(move |at| Some((document.text_of(document.node(at)?)?, Value { document, at: at + 1 })))
    }
}

/// Reads from the start on.
struct Reader<'text> {
    bytes: &'text [u8],
    /// Bytes that were read.
    at: usize,
    document: Document<'text>,
}

impl Reader<'_> {
    /// A value that may have so many levels of arrays and objects, from its first byte on.
    fn value(&mut self, first: u8, levels: usize) -> Result<(), JsonError> {
        match first {
            b'"' => self.string(),
            b'{' => self.object(levels.checked_sub(1).ok_or(JsonError)?),
            b'[' => self.array(levels.checked_sub(1).ok_or(JsonError)?),
            b't' => self.rest_of_word(b"rue", Kind::True),
            b'f' => self.rest_of_word(b"alse", Kind::False),
            b'n' => self.rest_of_word(b"ull", Kind::Null),
            b'-' | b'0'..=b'9' => self.number(),
            _ => Err(JsonError),
        }
    }

    /// Behind its opening brace.
    fn object(&mut self, levels: usize) -> Result<(), JsonError> {
        let place = self.push(Kind::Object, 0, 0);
        let (mut members, mut marks) = (0, 0);
        let mut next = self.next();
        if next == Some(b'}') {
            return self.end(place, marks);
        }
        loop {
            if next != Some(b'"') {
                return Err(JsonError);
            }
            let name = self.document.nodes.len();
            self.string()?;
            // Only names whose marks have a bit in common are compared.
            let bit = bit_of(self.document.node(name).ok_or(JsonError)?.mark);
            if marks & bit != 0 && members < MEMBERS_FEW && self.is_named_before(place, name) {
                return Err(JsonError);
            }
            if place == 0
                && marks & bit == 0
                && let Some(first) = self.document.first.get_mut(bit.trailing_zeros() as usize)
            {
                *first = u8::try_from(name).unwrap_or(1);
            }
            marks |= bit;
            members += 1;
            if self.next() != Some(b':') {
                return Err(JsonError);
            }
            let first = self.next().ok_or(JsonError)?;
            self.value(first, levels)?;
            let behind = self.document.nodes.len() as u32;
            self.document.nodes.get_mut(name).ok_or(JsonError)?.next = behind;
            match self.next() {
                Some(b',') => next = self.next(),
                Some(b'}') => break,
                _ => return Err(JsonError),
            }
        }
        self.end(place, marks)?;
        if members > MEMBERS_FEW && !self.are_named_once(place) { Err(JsonError) } else { Ok(()) }
    }

    /// The object, which has not ended, has a member of this name before.
    fn is_named_before(&self, place: usize, name: usize) -> bool {
        let document = &self.document;
        let text = |at: usize| document.node(at).and_then(|node| document.text_of(node));
        let wanted = text(name);
        let mut at = place + 1;
        while at < name {
            if text(at) == wanted {
                return true;
            }
            at = document.behind(at);
        }
        false
    }

    fn are_named_once(&self, place: usize) -> bool {
        let members = Members(Value { document: &self.document, at: place });
        let mut names: Vec<&str> = members.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        !names.array_windows().any(|[one, next]| one == next)
    }

    /// Behind its opening bracket.
    fn array(&mut self, levels: usize) -> Result<(), JsonError> {
        let place = self.push(Kind::Array, 0, 0);
        let mut next = self.next();
        if next == Some(b']') {
            return self.end(place, 0);
        }
        loop {
            self.value(next.ok_or(JsonError)?, levels)?;
            match self.next() {
                Some(b',') => next = self.next(),
                Some(b']') => return self.end(place, 0),
                _ => return Err(JsonError),
            }
        }
    }

    /// Behind its opening quote.
    fn string(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        let mut has_escapes = false;
        loop {
            let rest = self.bytes.get(self.at..).ok_or(JsonError)?;
            let plain = plain_bytes(rest);
            self.at += plain + 1;
            match rest.get(plain) {
                Some(b'"') if has_escapes => return self.unescape(start),
                Some(b'"') => break,
                Some(b'\\') => {
                    has_escapes = true;
                    self.at += 1;
                }
                // A control character, or the end.
                _ => return Err(JsonError),
            }
        }
        let mark = mark_of(self.bytes.get(start..self.at - 1).ok_or(JsonError)?);
        self.push_text(Kind::Text, mark, start, self.at - 1);
        Ok(())
    }

    /// A text with escapes that was read, from behind its opening quote to its closing one.
    fn unescape(&mut self, start: usize) -> Result<(), JsonError> {
        let quoted = self.document.text.get(start.wrapping_sub(1)..self.at).ok_or(JsonError)?;
        let text: String = serde_json::from_str(quoted).map_err(|_| JsonError)?;
        self.push_text(Kind::Unescaped, mark_of(text.as_bytes()), self.document.unescaped.len(), 0);
        self.document.unescaped.push(text);
        Ok(())
    }

    /// Behind its first character.
    fn number(&mut self) -> Result<(), JsonError> {
        let start = self.at.wrapping_sub(1);
        let rest = self.document.text.get(start..).ok_or(JsonError)?;
        let is_of_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let length = rest.bytes().take_while(is_of_number).count();
        let number = rest.get(..length).ok_or(JsonError)?;
        self.at += length - 1;
        let is_plain =
            length <= DIGITS_MAX && !number.starts_with('0') && number.bytes().all(|byte| byte.is_ascii_digit());
        let whole = if is_plain {
            Some(number.bytes().fold(0, |whole, digit| whole * 10 + i64::from(digit - b'0')))
        } else {
            serde_json::from_str::<Number>(number).map_err(|_| JsonError)?.as_i64()
        };
        match whole {
            Some(whole) => self.push(Kind::Whole, whole as u32, (whole >> 32) as u32),
            None => self.push(Kind::Number, start as u32, (start + length) as u32),
        };
        Ok(())
    }

    fn rest_of_word(&mut self, rest: &[u8], kind: Kind) -> Result<(), JsonError> {
        let is_there = self.bytes.get(self.at..).is_some_and(|text| text.starts_with(rest));
        self.at += rest.len();
        self.push(kind, 0, 0);
        if is_there { Ok(()) } else { Err(JsonError) }
    }

    fn push(&mut self, kind: Kind, start: u32, end: u32) -> usize {
        let place = self.document.nodes.len();
        self.document.nodes.push(Node { kind, mark: 0, start, end, next: place as u32 + 1 });
        place
    }

    fn push_text(&mut self, kind: Kind, mark: u8, start: usize, end: usize) {
        let next = self.document.nodes.len() as u32 + 1;
        self.document.nodes.push(Node { kind, mark, start: start as u32, end: end as u32, next });
    }

    /// An array or an object has been read.
    fn end(&mut self, place: usize, marks: u32) -> Result<(), JsonError> {
        let next = self.document.nodes.len() as u32;
        let node = self.document.nodes.get_mut(place).ok_or(JsonError)?;
        (node.start, node.next) = (marks, next);
        Ok(())
    }

    /// The next byte that is not blank, which is then read.
    fn next(&mut self) -> Option<u8> {
        loop {
            let next = self.bytes.get(self.at).copied();
            self.at += 1;
            if !matches!(next, Some(b' ' | b'\n' | b'\r' | b'\t')) {
                return next;
            }
        }
    }
}

/// How many bytes come before a quote, a backslash, a control character or the end.
fn plain_bytes(text: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    const QUOTES: u64 = ONES * b'"' as u64;
    const BACKSLASHES: u64 = ONES * b'\\' as u64;
    // The high bit of every byte that is zero; of some above such a one, too.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let (words, rest) = text.as_chunks::<8>();
    let mut plain = 0;
    for word in words {
        let word = u64::from_le_bytes(*word);
        let controls = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let stops = zeros(word ^ QUOTES) | zeros(word ^ BACKSLASHES) | controls;
        if stops != 0 {
            return plain + stops.trailing_zeros() as usize / 8;
        }
        plain += 8;
    }
    plain + rest.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | ..0x20)).count()
}

/// By a text's length and ends.
fn mark_of(text: &[u8]) -> u8 {
    let end = |byte: Option<&u8>| byte.copied().unwrap_or(0);
    let length = (text.len() as u8).wrapping_mul(5);
    length.wrapping_add(end(text.first())).wrapping_add(end(text.last()).wrapping_mul(3))
}

/// One bit for a mark.
fn bit_of(mark: u8) -> u32 {
    1 << (usize::from(mark) % MARK_BITS)
}
