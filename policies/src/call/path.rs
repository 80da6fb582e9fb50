//! A request's target: a path that can be read in one way only, in its segments, and the query behind it.
//!
//! A path that two servers could read in two ways is refused, never guessed. What most paths have, plain segments, stays
//! where it came; nothing is copied.

use smallvec::SmallVec;

use super::characters::{CAPITAL_LETTERS, Classes, DIGITS_AND_SMALL_LETTERS, NOT_ALLOWED, PLAIN};
use super::{CallError, PATH_BYTES_MAX, SEGMENTS_MAX};

/// A path and a query (RFC 9112 section 3.2.1), the path decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    // Invariant: the path, decoded, each segment behind a `/`; and behind them the query as it came.
    text: String,
    // Invariant: the end of each segment, ascending, at bounds of characters. No segment is `.` or `..`; only the last may
    // be empty.
    ends: SmallVec<[u16; USUAL_SEGMENTS]>,
    query: usize,
    has_capitals: bool,
}

/// Segments of a path, decoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segments<'target> {
    text: &'target str,
    ends: &'target [u16],
    has_capitals: bool,
}

impl Target {
    pub(super) fn read(target: String) -> Result<Self, CallError> {
        if target.len() > PATH_BYTES_MAX || !target.starts_with('/') {
            return Err(CallError::Malformed);
        }
        let mut ends = SmallVec::new();
        let (mut path_bytes, mut seen, mut before) = (target.len(), 0, SEPARATOR);
        for (at, byte) in target.bytes().enumerate().skip(1) {
            if byte == b'?' {
                path_bytes = at;
                break;
            }
            let class = PATH_CHARACTERS.class(byte);
            if class == SEPARATOR {
                ends.push(at as u16);
                seen |= if before == SEPARATOR { NOT_ALLOWED } else { 0 };
            }
            seen |= class;
            before = class;
        }
        ends.push(path_bytes as u16);
        if ends.len() > SEGMENTS_MAX {
            return Err(CallError::Malformed);
        }
        if seen & NOT_ALLOWED != 0 {
            return Err(CallError::PathAmbiguous);
        }
        let query = (path_bytes + 1).min(target.len());
        let read = Self { text: target, ends, query, has_capitals: seen & CAPITAL != 0 };
        // Most paths have no dot, and nothing to decode.
        if seen & DOT != 0 && read.segments().iter().any(|segment| matches!(segment, "." | "..")) {
            return Err(CallError::PathAmbiguous);
        }
        if seen & TO_BE_DECODED == 0 { Ok(read) } else { read.decoded() }
    }

    /// The same with its segments decoded.
    fn decoded(&self) -> Result<Self, CallError> {
        let mut text = String::with_capacity(self.text.len());
        let mut ends = SmallVec::with_capacity(self.ends.len());
        for segment in self.segments().iter() {
            text.push('/');
            text.push_str(&decoded_segment(segment)?);
            // Decoded it is no longer than it was.
            ends.push(u16::try_from(text.len()).map_err(|_| CallError::Malformed)?);
        }
        let path_bytes = text.len();
        text.push_str(self.query());
        Ok(Self { text, ends, query: path_bytes, has_capitals: true })
    }

    pub(crate) fn segments(&self) -> Segments<'_> {
        Segments { text: &self.text, ends: &self.ends, has_capitals: self.has_capitals }
    }

    pub(crate) fn query(&self) -> &str {
        self.text.get(self.query..).unwrap_or_default()
    }
}

impl<'target> Segments<'target> {
    pub(crate) fn len(self) -> usize {
        self.ends.len()
    }

    /// Some letter may be a capital one.
    pub(crate) fn has_capitals(self) -> bool {
        self.has_capitals
    }

    pub(crate) fn get(self, position: usize) -> Option<&'target str> {
        let end = usize::from(*self.ends.get(position)?);
        let before = position.checked_sub(1).and_then(|before| self.ends.get(before));
        let start = before.map_or(1, |before| usize::from(*before) + 1);
        self.text.get(start..end)
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = &'target str> {
        let mut start = 1;
        self.ends.iter().map(move |end| {
            let end = usize::from(*end);
            let segment = self.text.get(start..end).unwrap_or_default();
            start = end + 1;
            segment
        })
    }

    /// Those before the last, where that is empty: what is left when a slash at the end does not count. `None` for `/`.
    pub(crate) fn without_trailing_slash(self) -> Option<Self> {
        let (last, before) = self.split_last()?;
        (last.is_empty() && before.len() > 0).then_some(before)
    }

    /// The last, and those before it.
    fn split_last(self) -> Option<(&'target str, Self)> {
        let (_, before) = self.ends.split_last()?;
        Some((self.get(before.len())?, Self { ends: before, ..self }))
    }
}

/// Segments for which a call needs no memory of its own.
const USUAL_SEGMENTS: usize = 8;

const TO_BE_DECODED: u8 = 2;
const SEPARATOR: u8 = 4;
const DOT: u8 = 8;
const CAPITAL: u8 = 16;

/// RFC 3986 section 3.3 without `;`, whose parameters some servers strip.
const PATH_CHARACTERS: Classes = Classes::of(&[
    (DIGITS_AND_SMALL_LETTERS, PLAIN),
    (b"-_~!$&'()*+,=:@", PLAIN),
    (CAPITAL_LETTERS, CAPITAL),
    (b"%", TO_BE_DECODED),
    (b"/", SEPARATOR),
    (b".", DOT),
]);

fn decoded_segment(part: &str) -> Result<String, CallError> {
    let decoded = percent_decode(part).ok_or(CallError::PathAmbiguous)?;
    // An encoded separator or dot changes the path's shape when decoded; an encoded `%` may be decoded twice.
    let encoded = part.to_ascii_lowercase();
    let reshaping = ["%2f", "%5c", "%2e", "%25", "%3b", "%3f", "%23"].iter().any(|code| encoded.contains(code));
    if reshaping || decoded.chars().any(char::is_control) || matches!(decoded.as_str(), "." | "..") {
        return Err(CallError::PathAmbiguous);
    }
    Ok(decoded)
}

/// Decodes `%xx`; `None` when one is cut short or the bytes are not UTF-8.
pub(super) fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let value = digit(rest.next())? * 16 + digit(rest.next())?;
            bytes.push(u8::try_from(value).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_told_one_by_one_and_all_together() {
        let target = Target::read("/a/bl%C3%A5b/C/?x=%2F/y".to_owned()).unwrap();
        let segments = target.segments();
        assert_eq!(segments.iter().collect::<Vec<_>>(), ["a", "blåb", "C", ""]);
        assert_eq!(
            (0..5).map(|at| segments.get(at)).collect::<Vec<_>>(),
            [Some("a"), Some("blåb"), Some("C"), Some(""), None]
        );
        let (last, before) = segments.split_last().unwrap();
        assert_eq!((last, before.len(), before.get(2), before.get(3)), ("", 3, Some("C"), None));
        assert!(segments.has_capitals() && !Target::read("/a?B".to_owned()).unwrap().segments().has_capitals());
        assert_eq!(target.query(), "x=%2F/y");
        for (plain, query) in [("/a", ""), ("/a?", ""), ("/a?b?c", "b?c")] {
            assert_eq!(Target::read(plain.to_owned()).unwrap().query(), query, "{plain}");
        }
    }
}
