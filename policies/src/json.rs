//! JSON from strangers, strictly: bounded depth, no member twice, nothing after the value.
//!
//! A token whose claims can be read in two ways is two tokens, so the first reading must refuse it. Reading goes no deeper
//! than is allowed; plain texts and whole numbers are read at once, escapes and other numbers are `serde_json`'s. Tokens are
//! looked at as a flat [`Document`]; what is larger or rarer is made a tree. Not for configuration or documents: those are
//! read by serde into types.

mod document;

use serde_json::Number;

use document::Form;
pub(crate) use document::{Document, Members, Nodes, Value};

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
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Object(
    // Invariant: no name twice.
    Vec<(String, Json)>,
);

impl Object {
    /// Members as they were written.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }
}

/// The bytes are not one object as strict JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a JSON object that can be read in one way only")]
pub(crate) struct JsonError;

/// Reads one object, as a tree.
pub(crate) fn parse_object(bytes: &[u8]) -> Result<Object, JsonError> {
    let document = Document::parse(bytes)?;
    tree_of(document.members()).ok_or(JsonError)
}

/// What is deeper than is allowed was refused before.
fn tree_of(members: Members<'_>) -> Option<Object> {
    let member = |(name, value): (&str, Value<'_>)| Some((name.to_owned(), tree(value)?));
    members.iter().map(member).collect::<Option<_>>().map(Object)
}

fn tree(value: Value<'_>) -> Option<Json> {
    Some(match value.form()? {
        Form::Null => Json::Null,
        Form::Bool(value) => Json::Bool(value),
        Form::Whole(number) => Json::Number(number.into()),
        Form::Number(number) => Json::Number(serde_json::from_str(number).ok()?),
        Form::String(text) => Json::String(text.to_owned()),
        Form::Array => Json::Array(value.items()?.map(tree).collect::<Option<_>>()?),
        Form::Object(members) => Json::Object(tree_of(members)?),
    })
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
}

#[cfg(test)]
mod tests {
    use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

    use super::*;

    #[test]
    fn reads_what_is_clear() {
        let document = Document::parse(br#"{"a":1,"b":{"a":[true,null,"x"]}}"#).unwrap();
        let members = document.members();
        assert_eq!(members.get("a").unwrap().as_i64(), Some(1));
        assert_eq!(members.get("b").unwrap().as_object().unwrap().iter().count(), 1);
        assert!(members.get("c").is_none() && members.contains_key("b"));
        let items = members.get("b").and_then(|b| b.as_object()?.get("a")?.items()).unwrap();
        assert!(items.map(Value::as_str).eq([None, None, Some("x")]));
        assert!(document.members().get("a").unwrap().items().is_none());
        // The room of another counts for nothing.
        let document = Document::parse_in(b"{}", document.into_nodes()).unwrap();
        assert!(!document.members().contains_key("a") && document.members().iter().next().is_none());
    }

    #[test]
    fn finds_each_of_many_members() {
        let names = || (0..300).map(|number| format!("{number:x}{}", "-".repeat(number % 70)));
        let text = names().map(|name| format!(r#""{name}":"{name}""#)).collect::<Vec<_>>().join(",");
        let text = format!("{{{text}}}");
        let document = Document::parse(text.as_bytes()).unwrap();
        for name in names() {
            assert_eq!(document.members().get(&name).and_then(Value::as_str), Some(name.as_str()));
            assert!(!document.members().contains_key(&format!("{name}+")));
        }
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
        type Value = Json;

        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
            deserializer.deserialize_any(self)
        }
    }

    impl<'de> Visitor<'de> for Strict {
        type Value = Json;

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
            Ok(Json::String(value.to_owned()))
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
            let mut members: Vec<(String, _)> = Vec::new();
            while let Some(name) = map.next_key::<String>()? {
                if members.iter().any(|(known, _)| *known == name) {
                    return Err(A::Error::custom("member named twice"));
                }
                members.push((name, map.next_value_seed(Strict(levels))?));
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
        if let (Ok(object), Ok(document)) = (&expected, Document::parse(text)) {
            check_found(object, document.members());
        }
        assert_eq!(parse_object(text), expected, "{}", String::from_utf8_lossy(text));
        is_read
    }

    fn check_found(object: &Object, members: Members) {
        for (name, value) in object.iter() {
            let found = members.get(name).unwrap();
            assert_eq!(tree(found).as_ref(), Some(value));
            if let (Json::Object(object), Some(members)) = (value, found.as_object()) {
                check_found(object, members);
            }
        }
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
        let document = Document::parse(br#"{"a":1.0,"b":1e3,"c":18446744073709551615}"#).unwrap();
        assert!(document.members().iter().all(|(_, value)| value.as_i64().is_none()));
    }
}
