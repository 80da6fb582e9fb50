//! Parts of a base (RFC 9110, 14): what a gateway cannot take in one answer it asks for with `Range`.
//!
//! Only bases come in parts. `If-Match` with the base's version joins the parts to one; a base that was replaced
//! meanwhile is 412, and the gateway begins anew. Deltas are short and always whole.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use policies::snapshot::SnapshotVersion;

use super::feed::{MEDIA_TYPE, etag, versions};
use super::publications::Published;
use crate::problem::{Problem, codes};

/// First and last byte that are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ByteRange {
    first: usize,
    last: usize,
}

impl ByteRange {
    /// The one range of `Range: bytes=FIRST-LAST`; `None` without the header. Other forms are refused: a gateway that
    /// asked for one would not take a whole base either.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let mut values = headers.get_all(header::RANGE).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let range = value.to_str().ok().and_then(|value| value.strip_prefix("bytes=")).and_then(Self::parse);
        match (range, values.next()) {
            (Some(range), None) => Ok(Some(range)),
            _ => Err(Problem::new(codes::HEADER_INVALID).detail("`Range` must be `bytes=FIRST-LAST`")),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-')?;
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        let range = Self { first: number(first)?, last: number(last)? };
        (range.first <= range.last).then_some(range)
    }
}

/// The part of the base of what is published.
pub(super) fn answer(published: &Published, range: ByteRange, headers: &HeaderMap) -> Result<Response, Problem> {
    let version = published.base_version();
    if let Some(wanted) = wanted_base(headers)
        && wanted != version
    {
        return Err(codes::SNAPSHOT_REPLACED.into());
    }
    let length = published.base.len();
    if range.first >= length {
        return Err(codes::SNAPSHOT_PART_OUTSIDE.into());
    }
    let last = range.last.min(length - 1);
    let headers = [
        (header::CONTENT_TYPE, MEDIA_TYPE.to_owned()),
        (header::ETAG, etag(version)),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::CONTENT_RANGE, format!("bytes {}-{last}/{length}", range.first)),
    ];
    Ok((StatusCode::PARTIAL_CONTENT, headers, Body::from(published.base.slice(range.first..=last))).into_response())
}

/// The base that a gateway has begun with.
pub(super) fn wanted_base(headers: &HeaderMap) -> Option<SnapshotVersion> {
    versions(headers, &header::IF_MATCH).into_iter().next()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::test_state::{TestState, story};

    #[test]
    fn one_closed_range_is_read() {
        let read = |text: &'static str| {
            let headers = HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static(text))]);
            ByteRange::of(&headers).ok().flatten()
        };
        assert_eq!(read("bytes=0-0"), Some(ByteRange { first: 0, last: 0 }));
        assert_eq!(read("bytes=5-9"), Some(ByteRange { first: 5, last: 9 }));
        for wrong in [
            "bytes=9-5",
            "bytes=5-",
            "bytes=-5",
            "bytes=0-1,2-3",
            "lines=0-1",
            "bytes=+0-1",
            "bytes=0-99999999999999999999",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(ByteRange::of(&HeaderMap::new()).ok(), Some(None));
    }

    #[tokio::test]
    async fn a_base_comes_in_parts_and_deltas_after_it() {
        let test = TestState::with_request().await;
        let gateway = test.gateway().await;
        let whole = test.fetch(&gateway, None).await;
        let authorization = format!("Bearer {gateway}");
        let part = async |range: &str, base: Option<&str>| {
            let mut headers = vec![("authorization", authorization.as_str()), ("range", range)];
            headers.extend(base.map(|base| ("if-match", base)));
            test.get_with(&story::feed(""), &headers).await
        };
        let first = part("bytes=0-99", None).await;
        assert_eq!((first.status, first.bytes.len()), (206, 100));
        let base = first.headers["etag"].clone();
        test.approve().await;
        test.built().await;
        let rest = part("bytes=100-999999999", Some(&base)).await;
        assert_eq!(rest.status, 206);
        let length = 100 + rest.bytes.len();
        assert_eq!(rest.headers["content-range"], format!("bytes 100-{}/{length}", length - 1));
        let body = [first.bytes, rest.bytes].concat();
        let mut policy = test.open("regnskapsregisteret", body.into());
        assert_eq!(format!("\"{}\"", policy.manifest().unwrap().version), base);

        let newest = test.fetch(&gateway, Some(&base)).await;
        assert!(newest.version() > whole.version());
        let delta = test.poll(&gateway, Some(&base), "wait=0").await;
        test.update(&mut policy, "regnskapsregisteret", delta.bytes).unwrap();
        assert_eq!(policy.manifest().unwrap().version, newest.version());

        part(&format!("bytes={length}-{length}"), Some(&base)).await.expect_code(416, "snapshot_part_outside");
        part("bytes=0-99", Some("\"7.7\"")).await.expect_code(412, "snapshot_replaced");
        part("bytes=0-", Some(&base)).await.expect_code(400, "header_invalid");
    }
}
