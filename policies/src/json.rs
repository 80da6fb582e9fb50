//! JSON from strangers, strictly: bounded depth, no member twice, nothing after the value.
//!
//! A token whose claims can be read in two ways is two tokens, so the first reading must refuse it. Reading goes no deeper
//! than is allowed, and copies no text that has no escapes in it. Every token that is seen for the first time comes through
//! here, so plain texts and whole numbers are read at once; escapes and other numbers are `serde_json`'s. Not for
//! configuration or documents: those are read by serde into types.

use std::borrow::Cow;

use serde_json::Number;

/// Deepest nesting of arrays and objects that is read.
pub(crate) const DEPTH_MAX: usize = 8;

/// A JSON value in which every object names each member once.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json<'text> {
    Null,
    Bool(bool),
    Number(Number),
    String(Cow<'text, str>),
    Array(Vec<Json<'text>>),
    Object(Object<'text>),
}

/// Members of an object, by name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Object<'text>(
    // Invariant: no name twice.
    Vec<(Cow<'text, str>, Json<'text>)>,
);

impl<'text> Object<'text> {
    pub(crate) fn get(&self, name: &str) -> Option<&Json<'text>> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    pub(crate) fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Members as they were written.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Json<'text>)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }
}

/// The bytes are not one object as strict JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a JSON object that can be read in one way only")]
pub(crate) struct JsonError;

/// Reads one object.
pub(crate) fn parse_object(bytes: &[u8]) -> Result<Object<'_>, JsonError> {
    // Valid on the whole is valid in every text of it, which begins and ends with a quote.
    let text = std::str::from_utf8(bytes).map_err(|_| JsonError)?;
    let mut reader = Reader { text, at: 0 };
    match (reader.value(DEPTH_MAX)?, reader.next()) {
        (Json::Object(object), None) => Ok(object),
        _ => Err(JsonError),
    }
}

impl<'text> Json<'text> {
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_object(&self) -> Option<&Object<'text>> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// A whole number, not one written with a fraction or an exponent.
    pub(crate) fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Number(number) => number.as_i64(),
            _ => None,
        }
    }
}

/// How many members are compared with each other before they are sorted to be compared.
const MEMBERS_FEW: usize = 16;
/// Longest whole number that is read here, in digits; each such fits.
const DIGITS_MAX: usize = 18;

/// Reads from the start on.
struct Reader<'text> {
    text: &'text str,
    /// Bytes that were read.
    at: usize,
}

impl<'text> Reader<'text> {
    /// A value that may have so many levels of arrays and objects.
    fn value(&mut self, levels: usize) -> Result<Json<'text>, JsonError> {
        match self.next().ok_or(JsonError)? {
            b'"' => self.string().map(Json::String),
            b'{' => self.object(levels.checked_sub(1).ok_or(JsonError)?).map(Json::Object),
            b'[' => self.array(levels.checked_sub(1).ok_or(JsonError)?).map(Json::Array),
            b't' => self.rest_of_word("rue", Json::Bool(true)),
            b'f' => self.rest_of_word("alse", Json::Bool(false)),
            b'n' => self.rest_of_word("ull", Json::Null),
            b'-' | b'0'..=b'9' => self.number().map(Json::Number),
            _ => Err(JsonError),
        }
    }

    /// Behind its opening brace.
    fn object(&mut self, levels: usize) -> Result<Object<'text>, JsonError> {
        let mut members = Vec::with_capacity(if levels + 1 == DEPTH_MAX { MEMBERS_FEW } else { 0 });
        let mut next = self.next();
        if next == Some(b'}') {
            return Ok(Object(members));
        }
        loop {
            if next != Some(b'"') {
                return Err(JsonError);
            }
            let name = self.string()?;
            if self.next() != Some(b':') {
                return Err(JsonError);
            }
            members.push((name, self.value(levels)?));
            match self.next() {
                Some(b',') => next = self.next(),
                Some(b'}') if are_named_once(&members) => return Ok(Object(members)),
                _ => return Err(JsonError),
            }
        }
    }

    /// Behind its opening bracket.
    fn array(&mut self, levels: usize) -> Result<Vec<Json<'text>>, JsonError> {
        let mut items = Vec::new();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(items);
        }
        loop {
            items.push(self.value(levels)?);
            match self.next() {
                Some(b',') => {}
                Some(b']') => return Ok(items),
                _ => return Err(JsonError),
            }
        }
    }

    /// Behind its opening quote.
    fn string(&mut self) -> Result<Cow<'text, str>, JsonError> {
        let start = self.at;
        let mut has_escapes = false;
        loop {
            let rest = self.text.as_bytes().get(self.at..).ok_or(JsonError)?;
            let plain = plain_bytes(rest);
            self.at += plain + 1;
            match rest.get(plain) {
                Some(b'"') if has_escapes => {
                    let quoted = self.text.get(start.wrapping_sub(1)..self.at).ok_or(JsonError)?;
                    return serde_json::from_str(quoted).map(Cow::Owned).map_err(|_| JsonError);
                }
                Some(b'"') => return self.text.get(start..self.at - 1).map(Cow::Borrowed).ok_or(JsonError),
                Some(b'\\') => {
                    has_escapes = true;
                    self.at += 1;
                }
                // A control character, or the end.
                _ => return Err(JsonError),
            }
        }
    }

    /// Behind its first character.
    fn number(&mut self) -> Result<Number, JsonError> {
        let rest = self.text.get(self.at.wrapping_sub(1)..).ok_or(JsonError)?;
        let is_of_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let length = rest.bytes().take_while(is_of_number).count();
        let number = rest.get(..length).ok_or(JsonError)?;
        self.at += length - 1;
        let is_plain =
            length <= DIGITS_MAX && !number.starts_with('0') && number.bytes().all(|byte| byte.is_ascii_digit());
        if is_plain {
            return Ok(number.bytes().fold(0, |whole, digit| whole * 10 + u64::from(digit - b'0')).into());
        }
        serde_json::from_str(number).map_err(|_| JsonError)
    }

    fn rest_of_word(&mut self, rest: &str, value: Json<'text>) -> Result<Json<'text>, JsonError> {
        let is_there = self.text.as_bytes().get(self.at..).is_some_and(|text| text.starts_with(rest.as_bytes()));
        self.at += rest.len();
        if is_there { Ok(value) } else { Err(JsonError) }
    }

    /// The next byte that is not blank, which is then read.
    fn next(&mut self) -> Option<u8> {
        let next = self.peek();
        self.at += 1;
        next
    }

    /// The next byte that is not blank.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                next => return next.copied(),
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

fn are_named_once(members: &[(Cow<'_, str>, Json<'_>)]) -> bool {
    if members.len() <= MEMBERS_FEW {
        // Only names that have a mark in common are compared.
        let mut marks = 0;
        return members.iter().enumerate().all(|(count, (name, _))| {
            let mark = mark_of(name.as_bytes());
            let is_new = marks & mark == 0 || members.iter().take(count).all(|(known, _)| known != name);
            marks |= mark;
            is_new
        });
    }
    let mut names: Vec<&str> = members.iter().map(|(name, _)| &**name).collect();
    names.sort_unstable();
    !names.array_windows().any(|[one, next]| one == next)
}

/// One bit, by a name's length and ends.
fn mark_of(name: &[u8]) -> u64 {
    let end = |byte: Option<&u8>| byte.copied().map_or(0, usize::from);
    1 << ((name.len() * 5 + end(name.first()) + end(name.last()) * 3) % 64)
}

#[cfg(test)]
mod tests {
    use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

    use super::*;

    #[test]
    fn reads_what_is_clear() {
        let object = parse_object(br#"{"a":1,"b":{"a":[true,null,"x"]}}"#).unwrap();
        assert_eq!(object.get("a").unwrap().as_i64(), Some(1));
        assert_eq!(object.get("b").unwrap().as_object().unwrap().iter().count(), 1);
        assert!(object.get("c").is_none() && object.contains_key("b"));
    }

    #[test]
    fn refuses_what_can_be_read_in_two_ways() {
        for wrong in [
            &br#"{"a":1,"a":2}"#[..],
            br#"{"a":1,"\u0061":2}"#,
            br#"{"b":{"a":1,"a":1}}"#,
            br#"{"b":[{"a":1,"a":1}]}"#,
            br#"{"a":1} x"#,
            br#"{"a":1}{"a":1}"#,
            b"\xef\xbb\xbf{}",
            b"{\"a\":\"\xff\"}",
            b"[]",
            b"",
            br#"{"a":1e999}"#,
        ] {
            assert_eq!(parse_object(wrong), Err(JsonError), "{}", String::from_utf8_lossy(wrong));
        }
    }

    /// The same through serde, which takes its time.
    struct Strict(usize);

    impl<'de> DeserializeSeed<'de> for Strict {
        type Value = Json<'static>;

        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
            deserializer.deserialize_any(self)
        }
    }

    impl<'de> Visitor<'de> for Strict {
        type Value = Json<'static>;

        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("a JSON value")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Json::Null)
        }

        fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
            Ok(Json::Bool(value))
        }

        fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
            Ok(Json::Number(value.into()))
        }

        fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
            Ok(Json::Number(value.into()))
        }

        fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Self::Value, E> {
            Number::from_f64(value).map(Json::Number).ok_or_else(|| E::custom("not a number"))
        }

        fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
            Ok(Json::String(Cow::Owned(value.to_owned())))
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
            let levels = self.0.checked_sub(1).ok_or_else(|| A::Error::custom("too deep"))?;
            let mut items = Vec::new();
            while let Some(item) = sequence.next_element_seed(Strict(levels))? {
                items.push(item);
            }
            Ok(Json::Array(items))
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let levels = self.0.checked_sub(1).ok_or_else(|| A::Error::custom("too deep"))?;
            let mut members: Vec<(Cow<'static, str>, _)> = Vec::new();
            while let Some(name) = map.next_key::<String>()? {
                if members.iter().any(|(known, _)| *known == name) {
                    return Err(A::Error::custom("member named twice"));
                }
                members.push((name.into(), map.next_value_seed(Strict(levels))?));
            }
            Ok(Json::Object(Object(members)))
        }
    }

    fn check_as_serde_reads(text: &[u8]) -> bool {
        let mut reader = serde_json::Deserializer::from_slice(text);
        let read = Strict(DEPTH_MAX).deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
        let expected = match read {
            Ok(Json::Object(object)) => Ok(object),
            _ => Err(JsonError),
        };
        let is_read = expected.is_ok();
        assert_eq!(parse_object(text), expected, "{}", String::from_utf8_lossy(text));
        is_read
    }

    #[test]
    fn reads_what_serde_reads() {
        let whole = r#" { "a" : [ 1 , -2, 0, -0, 0.5, 1e3, 123456789012345678, 18446744073709551616 ] ,
            "iss":"https://maskinporten.example/","b\u00e5\n":"\ud83d\ude00 \"x\" \\","å":{"":{},"c":[[],[null,true,false]]}}"#.as_bytes();
        assert!(check_as_serde_reads(whole));
        let many = |last: usize| {
            format!("{{{},\"{last}\":0}}", (0..40).map(|name| format!("\"{name}\":0")).collect::<Vec<_>>().join(","))
        };
        assert!(check_as_serde_reads(many(40).as_bytes()) && !check_as_serde_reads(many(17).as_bytes()));
        for end in 0..whole.len() {
            check_as_serde_reads(&whole[..end]);
        }
        let mut read = 0;
        for at in 0..whole.len() {
            for byte in *b"\"\\{}[]:,.+-019eEnu \n\t\0\x1f\x7f\x80\xa5\xc3\xff" {
                let mut changed = whole.to_vec();
                changed[at] = byte;
                read += usize::from(check_as_serde_reads(&changed));
            }
        }
        let mut numbers = crate::token::Numbers(7);
        for _ in 0..20_000 {
            read += usize::from(check_as_serde_reads(&numbers.damaged(whole)));
        }
        assert!(read > 2_000, "{read}");
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
        assert!(parse_object(nested(DEPTH_MAX).as_bytes()).is_ok());
        assert!(parse_object(nested(DEPTH_MAX + 1).as_bytes()).is_err());
        assert!(parse_object(nested(100_000).as_bytes()).is_err());
        assert!(parse_object(format!(r#"{{"a":{}"#, "[".repeat(100_000)).as_bytes()).is_err());
        // Brackets inside strings, after an escaped quote, do not count.
        assert!(parse_object(br#"{"a":"[[[[[[[[[[\"[[[[[[[["}"#).is_ok());
    }

    #[test]
    fn fractions_are_not_whole_numbers() {
        let object = parse_object(br#"{"a":1.0,"b":1e3,"c":18446744073709551615}"#).unwrap();
        assert!(object.iter().all(|(_, value)| value.as_i64().is_none()));
    }
}
