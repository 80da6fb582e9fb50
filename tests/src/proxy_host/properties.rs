//! `get_property` and `set_property`.
//!
//! A path arrives as names joined by zero bytes. The test's own values come first (of the stream, then of the VM),
//! then what Envoy would compute from the request headers while they can be seen, then what the guest set. The guest
//! can set only on a stream, under one name, and reads it back under that name; a path of several names that it set
//! is not found again, as in Envoy.

use super::abi::{MapType, Status};
use super::state::State;

/// The path as the guest writes it.
pub(super) fn path(names: &[&str]) -> Vec<u8> {
    names.join("\0").into_bytes()
}

pub(super) fn set(state: &mut State, path: Vec<u8>, value: Vec<u8>) -> Result<(), Status> {
    let stream = state.active_stream().ok_or(Status::NotFound)?;
    stream.properties.insert(path, value);
    Ok(())
}

pub(super) fn get(state: &mut State, path: &[u8]) -> Option<Vec<u8>> {
    let path = path.strip_suffix(b"\0").unwrap_or(path);
    let of_stream = state.active_stream().and_then(|stream| stream.host_properties.get(path).cloned());
    let of_host = of_stream.or_else(|| state.properties.get(path).cloned());
    of_host.or_else(|| computed(state, path)).or_else(|| {
        let single = !path.contains(&0);
        state.active_stream().filter(|_| single).and_then(|stream| stream.properties.get(path).cloned())
    })
}

fn computed(state: &mut State, path: &[u8]) -> Option<Vec<u8>> {
    let names: Vec<&[u8]> = path.split(|byte| *byte == 0).collect();
    match names.as_slice() {
        [b"plugin_vm_id"] => Some(state.options.vm_id.clone().into_bytes()),
        [b"plugin_root_id"] => Some(Vec::new()),
        [b"request", b"headers", name] => request_header(state, name),
        [b"request", b"method"] => request_header(state, b":method"),
        [b"request", b"host"] => request_header(state, b":authority"),
        [b"request", b"scheme"] => request_header(state, b":scheme"),
        [b"request", b"path"] => request_header(state, b":path"),
        [b"request", b"url_path"] => Some(split_path(request_header(state, b":path")?).0),
        [b"request", b"query"] => Some(split_path(request_header(state, b":path")?).1),
        _ => None,
    }
}

fn request_header(state: &mut State, name: &[u8]) -> Option<Vec<u8>> {
    state.readable_map(MapType::RequestHeaders)?.first(name).map(<[u8]>::to_vec)
}

fn split_path(mut path: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
    match path.iter().position(|byte| *byte == b'?') {
        Some(at) => {
            let query = path.split_off(at).into_iter().skip(1).collect();
            (path, query)
        }
        None => (path, Vec::new()),
    }
}
