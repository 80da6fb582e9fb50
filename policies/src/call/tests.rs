//! Calls as they arrive: what is read, and what is refused because it can be read in two ways.

use super::*;

fn call(path: &str, more: &[(&str, &str)]) -> Result<ApiCall, CallError> {
    let pseudo = [(":method", "GET"), (":authority", "API.example.no:8443"), (":path", path)];
    ApiCall::parse(pseudo.iter().chain(more).map(|(name, value)| (*name, value.as_bytes())))
}

fn segments(path: &str) -> Result<Vec<String>, CallError> {
    call(path, &[]).map(|call| call.segments().iter().map(str::to_owned).collect())
}

#[test]
fn clear_paths_are_decoded() {
    for (path, expected) in [
        ("/", &[""][..]),
        ("/vat/310247049/returns", &["vat", "310247049", "returns"]),
        ("/%76at/x?y=//../%2e", &["vat", "x"]),
        ("/bl%C3%A5b%C3%A6r", &["blåbær"]),
        ("/a/", &["a", ""]),
        ("/a:b@c,d", &["a:b@c,d"]),
    ] {
        assert_eq!(segments(path).unwrap(), expected, "{path}");
    }
}

#[test]
fn ambiguous_paths_are_refused() {
    for path in [
        "//api/v1",
        "/api//v1",
        "/api/../admin",
        "/api/./v1",
        "/api/%2e%2e/admin",
        "/api/%2E/admin",
        "/api/..%2fadmin",
        "/api%2fv1",
        "/api%2Fv1",
        "/api/..;/admin",
        "/api;v=1/x",
        "/api%3Bv=1/x",
        "/api\\v1",
        "/api/%5c../admin",
        "/api/%252e%252e/admin",
        "/api/%c0%ae%c0%ae/admin",
        "/api/%00",
        "/api/x%3Fq",
        "/api/x%23f",
        "/api/%0a",
        "/api/%",
        "/api/%2",
        "/api/%zz",
        "/api/ x",
        "/api/\u{e5}",
        "/api#x",
        "/api/\"x\"",
        "/api/<x>",
    ] {
        assert_eq!(segments(path), Err(CallError::PathAmbiguous), "{path}");
    }
    for path in ["", "api", "*", "http://evil/api", &format!("/{}", "a".repeat(PATH_BYTES_MAX)), &"/a".repeat(65)] {
        assert_eq!(segments(path), Err(CallError::Malformed), "{path}");
    }
    assert_eq!(segments(&"/a".repeat(64)).unwrap().len(), SEGMENTS_MAX);
}

#[test]
fn a_host_header_says_what_the_authority_says() {
    assert!(call("/", &[("host", "API.example.no:8443")]).is_ok());
    for other in ["api.example.no", "other.example.no", ""] {
        assert_eq!(call("/", &[("host", other)]), Err(CallError::Malformed), "{other}");
    }
}

#[test]
fn cookies_come_once() {
    let cookie = |headers: &[(&str, &str)]| {
        call("/", headers)
            .unwrap()
            .cookie("AltinnStudioRuntime")
            .map(|value| value.map(|value| String::from_utf8(value.to_vec()).unwrap()))
    };
    assert_eq!(cookie(&[("cookie", "a=b; AltinnStudioRuntime=x.y.z; c=d")]), Ok(Some("x.y.z".to_owned())));
    assert_eq!(cookie(&[("cookie", "a=b"), ("cookie", "AltinnStudioRuntime=x")]), Ok(Some("x".to_owned())));
    assert_eq!(cookie(&[("cookie", "altinnstudioruntime=x; xAltinnStudioRuntime=y")]), Ok(None));
    for twice in ["AltinnStudioRuntime=x; AltinnStudioRuntime=x", "AltinnStudioRuntime=x;AltinnStudioRuntime=y"] {
        assert_eq!(cookie(&[("cookie", twice)]), Err(Repeated), "{twice}");
    }
}

#[test]
fn only_a_whole_preflight_is_one() {
    let preflight = |method: &str, headers: &[(&str, &str)]| {
        let pseudo = [(":method", method), (":authority", "a"), (":path", "/")];
        let all = pseudo.iter().chain(headers).map(|(name, value)| (*name, value.as_bytes()));
        ApiCall::parse(all).unwrap().preflight()
    };
    let whole = [("origin", "https://spa.example.no"), ("access-control-request-method", "PUT")];
    assert_eq!(preflight("OPTIONS", &whole), Some(Methods::of("PUT")));
    assert_eq!(preflight("GET", &whole), None);
    assert_eq!(preflight("OPTIONS", &whole[..1]), None);
    assert_eq!(preflight("OPTIONS", &whole[1..]), None);
    for more in [
        ("origin", "https://other.example.no"),
        ("access-control-request-method", "GET"),
        ("authorization", "Bearer x"),
        ("cookie", "a=b"),
        ("content-length", "1"),
        ("transfer-encoding", "chunked"),
    ] {
        assert_eq!(preflight("OPTIONS", &[&whole[..], &[more]].concat()), None, "{more:?}");
    }
    assert_eq!(preflight("OPTIONS", &[whole[0], ("access-control-request-method", "put")]), None);
}

#[test]
fn where_a_call_comes_from() {
    let known = ["https://ttd.apps.altinn.no".to_owned()];
    let is_from = |headers: &[(&str, &str)]| call("/", headers).unwrap().is_from(&known);
    for headers in [
        &[("origin", "https://api.example.no")][..],
        &[("origin", "https://ttd.apps.altinn.no"), ("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-origin")],
        &[("referer", "https://api.example.no/page?x=https://evil.example")],
        &[("referer", "https://ttd.apps.altinn.no")],
    ] {
        assert!(is_from(headers), "{headers:?}");
    }
    for headers in [
        &[][..],
        &[("origin", "null")],
        &[("origin", "https://evil.example")],
        &[("origin", "https://api.example.no.evil.example")],
        &[("origin", "http://api.example.no")],
        &[("origin", "https://evil.example"), ("sec-fetch-site", "same-origin")],
        &[("origin", "https://api.example.no"), ("origin", "https://evil.example")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
        &[("sec-fetch-site", "cross-site"), ("referer", "https://api.example.no/")],
        &[("sec-fetch-site", "unheard-of"), ("origin", "https://api.example.no")],
        &[("referer", "https://evil.example/https://api.example.no/")],
        &[("referer", "https://api.example.no@evil.example/")],
    ] {
        assert!(!is_from(headers), "{headers:?}");
    }
}

#[test]
fn host_without_port_in_lower_case() {
    let host = |authority: &str| {
        let all = [(":method", "GET"), (":authority", authority), (":path", "/")];
        ApiCall::parse(all.map(|(name, value)| (name, value.as_bytes()))).map(|call| call.host().to_vec())
    };
    for (authority, expected) in [("API.example.no:8443", "api.example.no"), ("[::1]:80", "[::1]"), ("a:b", "a:b")] {
        assert_eq!(host(authority).unwrap(), expected.as_bytes());
    }
    assert!(host(&"a".repeat(255)).is_ok());
    for wrong in ["", ":80", "a b", "a/b", "ex\u{e5}mple", &"a".repeat(256)] {
        assert_eq!(host(wrong), Err(CallError::Malformed), "{wrong}");
    }
}

#[test]
fn pseudo_headers_come_once() {
    let all = [(":method", "GET"), (":authority", "a"), (":path", "/")];
    let parse =
        |headers: &[(&str, &str)]| ApiCall::parse(headers.iter().map(|(name, value)| (*name, value.as_bytes())));
    assert!(parse(&all).is_ok());
    for left_out in 0..3 {
        let rest: Vec<_> =
            all.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, header)| *header).collect();
        assert_eq!(parse(&rest), Err(CallError::Malformed));
        assert_eq!(parse(&[&all[..], &all[left_out..=left_out]].concat()), Err(CallError::Malformed));
    }
    let many: Vec<_> = all.iter().copied().chain(std::iter::repeat_n(("x", "y"), HEADERS_MAX - 2)).collect();
    assert_eq!(parse(&many), Err(CallError::Malformed));
    assert!(parse(&many[1..]).is_err() && parse(&many[..HEADERS_MAX]).is_ok());
}

#[test]
fn parameters_come_once() {
    let call =
        call("/?party=310247049&a=1&a=2&b=%20x+y", &[("x-party", "1"), ("X-Twice", "1"), ("x-twice", "2")]).unwrap();
    assert_eq!(call.query_parameter("party").unwrap().as_deref(), Some("310247049"));
    assert_eq!(call.query_parameter("b").unwrap().as_deref(), Some(" x y"));
    assert_eq!(call.query_parameter("a"), Err(Repeated));
    assert_eq!(call.query_parameter("c"), Ok(None));
    assert_eq!(call.header("x-party"), Ok(Some(&b"1"[..])));
    assert_eq!(call.header("x-twice"), Err(Repeated));
    assert_eq!(call.header("x-none"), Ok(None));
    assert_eq!(call.first_headers(["x-twice", "X-Party", "x-none"]), [Some(&b"1"[..]), Some(b"1"), None]);
}

#[test]
fn what_some_servers_take_for_the_parameter_is_counted() {
    let query = |query: &str| call(&format!("/?{query}"), &[]).unwrap().query_parameter("party");
    for ambiguous in [
        "PARTY=1&party=2",
        "PARTY=1",
        "party[]=1&party=2",
        "party[0]=1",
        "x=1;party=2&party=3",
        "%zz=1&party=2",
        "party=%zz",
    ] {
        assert_eq!(query(ambiguous), Err(Repeated), "{ambiguous}");
    }
    assert_eq!(query("partyx=1&party=2"), Ok(Some("2".to_owned())));
    for headers in [&[("x-party", "1"), ("x_party", "2")][..], &[("x.party", "2")], &[("x_party", "1")]] {
        assert_eq!(call("/", headers).unwrap().header("x-party"), Err(Repeated), "{headers:?}");
    }
}

#[test]
fn overriding_headers_are_refused() {
    for name in ["X-HTTP-Method-Override", "x_http_method", "X-Original-URL", "x-rewrite-url", "X-Method-Override"] {
        assert_eq!(call("/", &[(name, "x")]), Err(CallError::Overridden), "{name}");
    }
    assert!(call("/", &[("x-original-host", "x")]).is_ok());
}

#[test]
fn headers_in_one_piece_are_the_same_call() {
    let headers = [(":method", "GET"), (":authority", "A:1"), (":path", "/a/b?c"), ("authorization", "Bearer t.o.k")];
    let bytes = headers::tests::serialized(&headers.map(|(name, value)| (name.as_bytes(), value.as_bytes())));
    let whole = ApiCall::parse_serialized(bytes.clone()).unwrap();
    assert_eq!(whole, ApiCall::parse(headers.map(|(name, value)| (name, value.as_bytes()))).unwrap());
    assert_eq!((whole.bearer_token(), whole.host()), (Some("t.o.k"), &b"a"[..]));
    assert_eq!(whole.header_bytes(), bytes.len());
    assert!(whole.header_names().all(|name| name.starts_with(b"\0")));
    for length in 0..bytes.len() - 1 {
        assert_eq!(ApiCall::parse_serialized(bytes[..length].to_vec()), Err(CallError::Malformed), "{length}");
    }
    let mut not_text = bytes;
    let at = not_text.windows(13).position(|name| name == b"authorization").unwrap();
    not_text[at..at + 2].copy_from_slice(b"x\xff");
    assert_eq!(ApiCall::parse_serialized(not_text), Err(CallError::Malformed));
}

#[test]
fn a_token_is_never_printed() {
    let printed = format!("{:?}", call("/", &[("authorization", "Bearer s.e.cret")]).unwrap());
    assert!(!printed.contains("cret"), "{printed}");
}
