//! JSON from strangers, strictly: bounded depth, no member twice, nothing after the value.
//!
//! A token whose claims can be read in two ways is two tokens, so the first reading must refuse it. Reading goes no deeper
//! than is allowed, and copies no text that has no escapes in it. Not for configuration or documents: those are read by
//! serde into types.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
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
    // Invariant: names ascend, none twice.
    Vec<(Cow<'text, str>, Json<'text>)>,
);

impl<'text> Object<'text> {
    pub(crate) fn get(&self, name: &str) -> Option<&Json<'text>> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    pub(crate) fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Members by ascending name.
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
    let mut text = serde_json::Deserializer::from_slice(bytes);
    let value = JsonReader { levels: DEPTH_MAX }.deserialize(&mut text).map_err(|_| JsonError)?;
    text.end().map_err(|_| JsonError)?;
    match value {
        Json::Object(object) => Ok(object),
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

/// Reads a value that may have so many levels of arrays and objects.
#[derive(Clone, Copy)]
struct JsonReader {
    levels: usize,
}

impl JsonReader {
    fn inside<E: serde::de::Error>(self) -> Result<Self, E> {
        let levels = self.levels.checked_sub(1).ok_or_else(|| E::custom("too deep"))?;
        Ok(Self { levels })
    }
}

impl<'de> DeserializeSeed<'de> for JsonReader {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for JsonReader {
    type Value = Json<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json<'de>, E> {
        Number::from_f64(value).map(Json::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::String(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json<'de>, E> {
        Ok(Json::String(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Json<'de>, A::Error> {
        let inside = self.inside()?;
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element_seed(inside)? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json<'de>, A::Error> {
        let inside = self.inside()?;
        let mut members = Vec::new();
        while let Some(name) = map.next_key_seed(NameReader)? {
            members.push((name, map.next_value_seed(inside)?));
        }
        members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        if members.iter().zip(members.iter().skip(1)).any(|((one, _), (other, _))| one == other) {
            return Err(A::Error::custom("member named twice"));
        }
        Ok(Json::Object(Object(members)))
    }
}

/// Reads a member's name.
struct NameReader;

impl<'de> DeserializeSeed<'de> for NameReader {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for NameReader {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(value.to_owned()))
    }
}

#[cfg(test)]
mod tests {
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
