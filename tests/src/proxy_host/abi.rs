//! The numbers and the one serialisation of proxy-wasm ABI 0.2.1. No behaviour; `guest.rs` moves the bytes.

/// What a host function answers to the guest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    /// Done.
    Ok = 0,
    /// There is no such thing.
    NotFound = 1,
    /// The argument makes no sense, here or at this moment.
    BadArgument = 2,
    /// An address outside the guest's memory.
    InvalidMemoryAccess = 6,
    /// The queue holds nothing.
    Empty = 7,
    /// Somebody else wrote in between.
    CasMismatch = 8,
    /// The host failed.
    InternalFailure = 10,
    /// A connection broke.
    BrokenConnection = 11,
    /// This host has no such function.
    Unimplemented = 12,
}

/// How grave a log line is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum LogLevel {
    /// `trace`
    Trace = 0,
    /// `debug`
    Debug = 1,
    /// `info`
    Info = 2,
    /// `warn`
    Warn = 3,
    /// `error`
    Error = 4,
    /// `critical`
    Critical = 5,
}

impl LogLevel {
    pub(super) fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Trace),
            1 => Some(Self::Debug),
            2 => Some(Self::Info),
            3 => Some(Self::Warn),
            4 => Some(Self::Error),
            5 => Some(Self::Critical),
            _ => None,
        }
    }
}

/// Which header map a host function is asked about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum MapType {
    RequestHeaders,
    ResponseHeaders,
    HttpCallResponseHeaders,
    /// Trailers and gRPC metadata: known to the ABI, always absent here.
    Absent,
}

impl MapType {
    pub(super) fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::RequestHeaders),
            2 => Some(Self::ResponseHeaders),
            6 => Some(Self::HttpCallResponseHeaders),
            1 | 3 | 4 | 5 | 7 => Some(Self::Absent),
            _ => None,
        }
    }
}

/// Which buffer a host function is asked about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum BufferType {
    RequestBody,
    ResponseBody,
    HttpCallResponseBody,
    VmConfiguration,
    PluginConfiguration,
    /// Network data, gRPC and call data: known to the ABI, always absent here.
    Absent,
}

impl BufferType {
    pub(super) fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::RequestBody),
            1 => Some(Self::ResponseBody),
            4 => Some(Self::HttpCallResponseBody),
            6 => Some(Self::VmConfiguration),
            7 => Some(Self::PluginConfiguration),
            2 | 3 | 5 | 8 => Some(Self::Absent),
            _ => None,
        }
    }
}

/// Names and values in order, as bytes.
pub(super) type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Count, all sizes, then all strings, each closed by a zero byte; little-endian.
pub fn encode_pairs(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut out = size_bytes(pairs.len());
    for (name, value) in pairs {
        out.extend(size_bytes(name.len()));
        out.extend(size_bytes(value.len()));
    }
    for (name, value) in pairs {
        for part in [name, value] {
            out.extend_from_slice(part);
            out.push(0);
        }
    }
    out
}

/// The other way round. Anything malformed is an empty map, which is what Envoy makes of it.
pub(super) fn decode_pairs(bytes: &[u8]) -> Pairs {
    read_pairs(bytes).unwrap_or_default()
}

fn read_pairs(bytes: &[u8]) -> Option<Pairs> {
    const PAIRS_MAX: u32 = 1024;
    const PAIRS_BYTES_MAX: usize = 1 << 20;
    if bytes.len() > PAIRS_BYTES_MAX {
        return None;
    }
    let mut rest = bytes;
    let count = take_u32(&mut rest)?;
    if count > PAIRS_MAX {
        return None;
    }
    let mut sizes = Vec::new();
    for _ in 0..count {
        sizes.push((take_u32(&mut rest)?, take_u32(&mut rest)?));
    }
    let mut pairs = Vec::new();
    for (name, value) in sizes {
        pairs.push((take_string(&mut rest, name)?, take_string(&mut rest, value)?));
    }
    rest.is_empty().then_some(pairs)
}

fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    let (head, tail) = rest.split_first_chunk::<4>()?;
    *rest = tail;
    Some(u32::from_le_bytes(*head))
}

fn take_string(rest: &mut &[u8], size: u32) -> Option<Vec<u8>> {
    let (string, tail) = rest.split_at_checked(usize::try_from(size).ok()?)?;
    let (end, tail) = tail.split_first()?;
    *rest = tail;
    (*end == 0).then(|| string.to_vec())
}

fn size_bytes(size: usize) -> Vec<u8> {
    // A guest's memory ends at 4 GiB, so what does not fit here cannot be delivered either: `give` refuses it.
    u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, value: &str) -> (Vec<u8>, Vec<u8>) {
        (name.into(), value.into())
    }

    #[test]
    fn pairs_come_back_as_they_went() {
        for pairs in [vec![], vec![pair(":path", "/x"), pair("empty", ""), pair("twice", "1"), pair("twice", "2")]] {
            assert_eq!(decode_pairs(&encode_pairs(&pairs)), pairs);
        }
    }

    #[test]
    fn pairs_have_the_documented_form() {
        let bytes = encode_pairs(&[pair("a", "bc")]);
        assert_eq!(bytes, [1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, b'a', 0, b'b', b'c', 0]);
    }

    #[test]
    fn malformed_pairs_are_an_empty_map() {
        let good = encode_pairs(&[pair("a", "bc")]);
        for end in 0..good.len() {
            assert_eq!(decode_pairs(&good[..end]), vec![], "cut at {end}");
        }
        let mut long = good.clone();
        long.push(0);
        assert_eq!(decode_pairs(&long), vec![]);
        assert_eq!(decode_pairs(&[255, 255, 255, 255]), vec![]);
    }
}
