//! JSON bodies, read strictly enough to be safe and loosely enough for Altinn's existing clients.
//!
//! [`AltinnJson`]: member names in any letter case, strings trimmed, `null` like absent, unknown members ignored; two
//! members whose names differ only in case are refused. [`AltinnJsonList`]: the same for a bare array. [`OwnJson`]: our own namespace, exact names, nothing unknown.
//! [`PlainJson`]: exact names, for whoever reads the members one by one. All refuse other media types, members that are
//! there twice and bodies over the limit set in [`crate::service`]; depth is bounded by `serde_json`.

use std::fmt;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Number, Value};

use crate::problem::{Problem, codes};

/// A body of one of Altinn's operations. Fields of `T` are named in lower case (`#[serde(rename = "systemid")]`).
#[derive(Debug)]
pub(crate) struct AltinnJson<T>(pub(crate) T);

/// A body of one of Altinn's operations that is a bare array.
#[derive(Debug)]
pub(crate) struct AltinnJsonList<T>(pub(crate) Vec<T>);

/// A body of one of our own operations. `T` refuses unknown fields.
#[derive(Debug)]
pub(crate) struct OwnJson<T>(pub(crate) T);

/// A body whose members nobody has looked at yet.
#[derive(Debug)]
pub(crate) struct PlainJson(pub(crate) Map<String, Value>);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for AltinnJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = json_bytes(request, state, OBJECT).await?;
        let Unambiguous::<true>(value) = serde_json::from_slice(&bytes).map_err(invalid)?;
        serde_json::from_value(value).map(Self).map_err(invalid)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for AltinnJsonList<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = json_bytes(request, state, ARRAY).await?;
        let Unambiguous::<true>(value) = serde_json::from_slice(&bytes).map_err(invalid)?;
        // `serde` would read an array as the members of an object in order.
        if value.as_array().is_some_and(|entries| !entries.iter().all(Value::is_object)) {
            return Err(Problem::new(codes::JSON_INVALID).detail("expected an array of objects"));
        }
        serde_json::from_value(value).map(Self).map_err(invalid)
    }
}

impl<S: Send + Sync> FromRequest<S> for PlainJson {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = json_bytes(request, state, OBJECT).await?;
        match serde_json::from_slice(&bytes).map_err(invalid)? {
            Unambiguous::<false>(Value::Object(object)) => Ok(Self(object)),
            Unambiguous(_) => Err(Problem::new(codes::JSON_INVALID).detail("expected an object")),
        }
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for OwnJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = json_bytes(request, state, OBJECT).await?;
        serde_json::from_slice(&bytes).map(Self).map_err(invalid)
    }
}

/// A body that is not JSON, whole.
pub(crate) async fn body_bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|rejection: BytesRejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            codes::BODY_TOO_LARGE.into()
        } else {
            codes::BODY_UNREADABLE.into()
        }
    })
}

/// The media type of a body in lower case, without parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next()?.trim().to_ascii_lowercase())
}

/// Refuses a body that is not said to be JSON.
pub(crate) fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let is_json = media_type(headers).is_some_and(|media_type| {
        media_type == "application/json" || (media_type.starts_with("application/") && media_type.ends_with("+json"))
    });
    if is_json { Ok(()) } else { Err(Problem::new(codes::MEDIA_TYPE).detail("expected `application/json`")) }
}

/// What a body begins with, and what it is called.
const OBJECT: (u8, &str) = (b'{', "an object");
const ARRAY: (u8, &str) = (b'[', "an array");

async fn json_bytes<S: Send + Sync>(request: Request, state: &S, form: (u8, &str)) -> Result<Bytes, Problem> {
    require_json(request.headers())?;
    let bytes = body_bytes(request, state).await?;
    // `serde` would read an array as the members of an object in order.
    let (first, name) = form;
    if bytes.trim_ascii_start().first() != Some(&first) {
        return Err(Problem::new(codes::JSON_INVALID).detail(format!("expected {name}")));
    }
    if names_nul(&bytes) {
        return Err(Problem::new(codes::JSON_INVALID).detail("a text has the character U+0000"));
    }
    Ok(bytes)
}

/// Whether some text has the character that PostgreSQL cannot store: JSON can only write it as an escape.
fn names_nul(json: &[u8]) -> bool {
    let mut rest = json;
    while let Some(backslash) = rest.iter().position(|byte| *byte == b'\\') {
        let escape = rest.get(backslash + 1..).unwrap_or_default();
        if escape.starts_with(b"u0000") {
            return true;
        }
        // An escaped backslash begins no escape.
        rest = escape.get(1..).unwrap_or_default();
    }
    false
}

fn invalid(error: serde_json::Error) -> Problem {
    Problem::new(codes::JSON_INVALID).detail(in_words(&error.to_string()))
}

/// What is said to be wrong, without the names of Rust's types.
fn in_words(said: &str) -> String {
    let Some((before, expected)) = said.rsplit_once("expected ") else { return said.to_owned() };
    let end = expected.find([' ', ',']).unwrap_or(expected.len());
    let (name, rest) = expected.split_at(end);
    match name {
        "i8" | "i16" | "i32" | "i64" | "u8" | "u16" | "u32" | "u64" | "usize" => {
            format!("{before}expected a whole number{rest}")
        }
        "struct" => {
            // Its name follows.
            let rest = rest.trim_start().split_once(' ').map_or(String::new(), |(_, rest)| format!(" {rest}"));
            format!("{before}expected an object{rest}")
        }
        _ => said.to_owned(),
    }
}

/// JSON without a member twice; with `ALTINN` as Altinn reads it.
struct Unambiguous<const ALTINN: bool>(Value);

impl<'de, const ALTINN: bool> Deserialize<'de> for Unambiguous<ALTINN> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UnambiguousVisitor::<ALTINN>).map(Self)
    }
}

struct UnambiguousVisitor<const ALTINN: bool>;

impl<'de, const ALTINN: bool> Visitor<'de> for UnambiguousVisitor<ALTINN> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(if ALTINN { value.trim() } else { value }.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Unambiguous::<ALTINN>(value)) = sequence.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let Unambiguous::<ALTINN>(value) = members.next_value()?;
            let name = if ALTINN { name.to_lowercase() } else { name };
            let shown: String = name.chars().take(64).collect();
            if object.insert(name, value).is_some() {
                let aside = if ALTINN { ", letter case aside" } else { "" };
                return Err(A::Error::custom(format!("member `{shown}` occurs twice{aside}")));
            }
        }
        if ALTINN {
            object.retain(|_, value| !value.is_null());
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Sample {
        #[serde(rename = "systemid")]
        system_id: String,
        rights: Option<Vec<String>>,
    }

    async fn read(media_type: &str, body: impl Into<Body>) -> Result<Sample, StatusCode> {
        use axum::response::IntoResponse;
        let request = Request::post("/").header("content-type", media_type).body(body.into()).unwrap();
        AltinnJson::from_request(request, &())
            .await
            .map(|AltinnJson(sample)| sample)
            .map_err(|problem: Problem| problem.into_response().status())
    }

    #[tokio::test]
    async fn names_in_any_case_strings_trimmed_unknown_ignored() {
        let body = json!({ "SystemID": " a\n", "Rights": null, "extra": { "x": [1, 2.5, true] } }).to_string();
        let sample = read("application/json; charset=utf-8", body).await.unwrap();
        assert_eq!(sample, Sample { system_id: "a".into(), rights: None });
    }

    #[tokio::test]
    async fn members_that_differ_only_in_case_are_refused() {
        assert_eq!(read("application/json", r#"{"systemId":"a","SYSTEMID":"b"}"#).await, Err(StatusCode::BAD_REQUEST));
        assert_eq!(read("application/json", r#"{"systemId":null,"SYSTEMID":"b"}"#).await, Err(StatusCode::BAD_REQUEST));
        let inner = r#"{"systemId":"a","extra":{"a":1,"A":2}}"#;
        assert_eq!(read("application/json", inner).await, Err(StatusCode::BAD_REQUEST));
    }

    #[tokio::test]
    async fn wrong_bodies_are_refused() {
        for body in [
            "",
            "{",
            "[]",
            "[\"a\"]",
            "null",
            "{\"systemId\":7}",
            "{\"systemId\":\"a\"} x",
            "{\"systemId\":\"\\ud800\"}",
            "{\"systemId\":\"a\\\\\\u0000\"}",
        ] {
            assert_eq!(read("application/json", body).await, Err(StatusCode::BAD_REQUEST), "{body}");
        }
        assert!(read("application/json", r#"{"systemId":"\\u0000"}"#).await.is_ok());
        assert_eq!(read("application/json", vec![0xff, 0xfe]).await, Err(StatusCode::BAD_REQUEST));
        assert_eq!(read("text/plain", r#"{"systemId":"a"}"#).await, Err(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }

    #[test]
    fn what_is_wrong_is_said_in_the_words_of_the_api() {
        #[derive(Debug, Deserialize)]
        struct Inner {
            #[serde(rename = "count")]
            _count: i64,
        }
        let said = |body: &str| in_words(&serde_json::from_str::<Vec<Inner>>(body).unwrap_err().to_string());
        let number = "invalid type: floating point `1.5`, expected a whole number at line 1 column 13";
        assert_eq!(said(r#"[{"count":1.5}]"#), number);
        assert_eq!(said("[7]"), "invalid type: integer `7`, expected an object at line 1 column 2");
        assert_eq!(said("[{}]"), "missing field `count` at line 1 column 3");
    }

    #[tokio::test]
    async fn lists_are_read_alike() {
        let read = async |body: &'static str| {
            let request = Request::put("/").header("content-type", "application/json").body(body.into()).unwrap();
            AltinnJsonList::<Sample>::from_request(request, &()).await.map(|AltinnJsonList(list)| list)
        };
        let sample = Sample { system_id: "a".into(), rights: None };
        assert_eq!(read(r#" [{"SYSTEMID":" a "}]"#).await.unwrap(), [sample]);
        for wrong in ["{}", "", "[", "[[\"a\"]]", "[null]", "[7]", r#"[{"systemId":"a","SystemId":"b"}]"#] {
            assert!(read(wrong).await.is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn deep_bodies_are_refused() {
        let deep = format!("{{\"systemId\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(read("application/json", deep).await, Err(StatusCode::BAD_REQUEST));
    }
}
