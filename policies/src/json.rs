//! JSON from strangers, strictly: bounded depth, no member twice, nothing after the value.
//!
//! A token whose claims can be read in two ways is two tokens, so the first reading must refuse it. Depth is counted by
//! a loop before any recursive parser sees the text. Not for configuration or documents: those are read by serde into
//! types.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

/// Deepest nesting of arrays and objects that is read.
pub(crate) const DEPTH_MAX: usize = 8;

/// A JSON value in which every object names each member once.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    Array(Vec<Json>),
    Object(Object),
}

/// Members of an object, by name.
pub(crate) type Object = BTreeMap<String, Json>;

/// The bytes are not one object as strict JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a JSON object that can be read in one way only")]
pub(crate) struct JsonError;

/// Reads one object.
pub(crate) fn parse_object(bytes: &[u8]) -> Result<Object, JsonError> {
    if depth(bytes) > DEPTH_MAX {
        return Err(JsonError);
    }
    match serde_json::from_slice(bytes) {
        Ok(Json::Object(object)) => Ok(object),
        _ => Err(JsonError),
    }
}

impl Json {
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_object(&self) -> Option<&Object> {
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

/// The greatest number of brackets open at once, outside strings; no more than a guide for text that is not JSON.
fn depth(bytes: &[u8]) -> usize {
    let (mut open, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in bytes {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'{' | b'[') => {
                open += 1;
                deepest = deepest.max(open);
            }
            (false, b'}' | b']') => open = open.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json, E> {
        Number::from_f64(value).map(Json::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element()? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut object = Object::new();
        while let Some((name, value)) = map.next_entry::<String, Json>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("member named twice"));
            }
        }
        Ok(Json::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_clear() {
        let object = parse_object(br#"{"a":1,"b":{"a":[true,null,"x"]}}"#).unwrap();
        assert_eq!(object["a"].as_i64(), Some(1));
        assert_eq!(object["b"].as_object().unwrap().len(), 1);
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

    #[test]
    fn nesting_is_bounded_before_parsing() {
        let nested = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
        assert!(parse_object(nested(DEPTH_MAX).as_bytes()).is_ok());
        assert!(parse_object(nested(DEPTH_MAX + 1).as_bytes()).is_err());
        assert!(parse_object(nested(100_000).as_bytes()).is_err());
        // Brackets inside strings, after an escaped quote, do not count.
        assert!(parse_object(br#"{"a":"[[[[[[[[[[\"[[[[[[[["}"#).is_ok());
    }

    #[test]
    fn fractions_are_not_whole_numbers() {
        let object = parse_object(br#"{"a":1.0,"b":1e3,"c":18446744073709551615}"#).unwrap();
        assert!(object.values().all(|value| value.as_i64().is_none()));
    }
}
