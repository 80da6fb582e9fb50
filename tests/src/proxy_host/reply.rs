//! A local reply as Envoy makes it: length and type added, and rewritten for a gRPC caller. What the HTTP codec adds
//! later (`date`, `server`, `content-length: 0`) is not here.

use super::headers::Headers;
use super::stream::LocalReply;

/// What the guest asked for.
pub(super) struct Wanted {
    pub(super) status: u32,
    pub(super) headers: Headers,
    pub(super) body: Vec<u8>,
    pub(super) details: String,
    /// Negative when the guest leaves it to the HTTP status.
    pub(super) grpc_status: i32,
}

pub(super) fn shape(wanted: Wanted, request: &Headers) -> LocalReply {
    let Wanted { status, mut headers, body, details, grpc_status } = wanted;
    // Access logs are split at white space, so Envoy lets none into the details.
    let details = details.replace(|character: char| character.is_ascii_whitespace(), "_");
    headers.remove(b":status");
    if is_grpc(request) {
        let code = if grpc_status < 0 { grpc_status_of(status) } else { grpc_status };
        headers.set(b"content-type", b"application/grpc");
        headers.set(b"grpc-status", code.to_string().as_bytes());
        if !body.is_empty() {
            headers.set(b"grpc-message", percent_encoded(&body).as_bytes());
        }
        headers.remove(b"content-length");
        return LocalReply { status: 200, headers, body: Vec::new(), details };
    }
    if body.is_empty() {
        headers.remove(b"content-length");
        headers.remove(b"content-type");
    } else {
        headers.set(b"content-length", body.len().to_string().as_bytes());
        if headers.first(b"content-type").is_none() {
            headers.set(b"content-type", b"text/plain");
        }
    }
    LocalReply { status, headers, body, details }
}

fn is_grpc(request: &Headers) -> bool {
    let content_type = request.first(b"content-type").unwrap_or_default();
    content_type == b"application/grpc" || content_type.starts_with(b"application/grpc+")
}

/// gRPC's own table of HTTP statuses.
fn grpc_status_of(http: u32) -> i32 {
    match http {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => 14,
        _ => 2,
    }
}

/// `grpc-message` allows printable ASCII without the percent sign.
fn percent_encoded(text: &[u8]) -> String {
    let mut out = String::new();
    for byte in text {
        match byte {
            b'%' => out.push_str("%25"),
            0x20..=0x7e => out.push(char::from(*byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(status: u32, body: &[u8], headers: Headers) -> Wanted {
        Wanted { status, headers, body: body.to_vec(), details: String::new(), grpc_status: -1 }
    }

    #[test]
    fn a_body_gets_its_length_and_a_type() {
        let reply = shape(wanted(401, b"no", Headers::default()), &Headers::default());
        assert_eq!(reply.headers, Headers::from([("content-length", "2"), ("content-type", "text/plain")]));
        let problem = Headers::from([("content-type", "application/problem+json")]);
        let reply = shape(wanted(401, b"{}", problem), &Headers::default());
        assert_eq!(reply.headers.get("content-type").as_deref(), Some("application/problem+json"));
    }

    #[test]
    fn no_body_means_no_type() {
        let typed = Headers::from([("content-type", "application/problem+json")]);
        assert_eq!(shape(wanted(401, b"", typed), &Headers::default()).headers, Headers::default());
    }

    #[test]
    fn a_grpc_caller_gets_trailers_only() {
        let request = Headers::from([("content-type", "application/grpc+proto")]);
        let reply = shape(wanted(403, "100% nei, ø".as_bytes(), Headers::default()), &request);
        assert_eq!((reply.status, reply.body.len()), (200, 0));
        assert_eq!(reply.headers.get("grpc-status").as_deref(), Some("7"));
        assert_eq!(reply.headers.get("grpc-message").as_deref(), Some("100%25 nei, %C3%B8"));
    }
}
