//! The headers of a call in one piece of memory, as a gateway hands them over: nothing is copied out of it.

use std::ops::Range;

use super::HEADERS_MAX;

/// Names and values, in their order.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Headers {
    // Invariant: as the ABI of proxy-wasm (0.2.1) hands headers over: how many, how long each name and value is, in 32 bits
    // and little-endian; then these, each with a zero behind it.
    bytes: Vec<u8>,
    // Invariant: at most `HEADERS_MAX`, and no more than there are.
    count: usize,
}

/// A header, and where it stands.
pub(super) struct Header<'call> {
    pub(super) name: &'call [u8],
    pub(super) value: &'call [u8],
    /// Where the name begins.
    pub(super) name_at: usize,
    /// Where the value begins.
    pub(super) value_at: usize,
}

impl Headers {
    /// Headers one after the other; `None` when there are more than [`HEADERS_MAX`].
    pub(super) fn each<'a>(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Option<Self> {
        let headers: Vec<_> = headers.into_iter().take(HEADERS_MAX + 1).collect();
        let size = headers.iter().map(|(name, value)| LENGTHS_BYTES + name.len() + value.len() + 2).sum::<usize>();
        let length = |length: usize| u32::try_from(length).ok().map(u32::to_le_bytes);
        let mut bytes = Vec::with_capacity(COUNT_BYTES + size);
        bytes.extend_from_slice(&length(headers.len())?);
        for (name, value) in &headers {
            bytes.extend_from_slice(&length(name.len())?);
            bytes.extend_from_slice(&length(value.len())?);
        }
        for (name, value) in headers {
            for part in [name.as_bytes(), value] {
                bytes.extend_from_slice(part);
                bytes.push(0);
            }
        }
        Self::serialized(bytes)
    }

    /// Headers as the ABI hands them over; `None` when there are more than [`HEADERS_MAX`].
    pub(super) fn serialized(bytes: Vec<u8>) -> Option<Self> {
        let count = u32::from_le_bytes(*bytes.first_chunk()?);
        let count = usize::try_from(count).ok().filter(|count| *count <= HEADERS_MAX)?;
        (bytes.len() >= COUNT_BYTES + count * LENGTHS_BYTES).then_some(Self { bytes, count })
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// What they take, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Every header. Where the bytes do not have what they say, there is none.
    pub(super) fn iter(&self) -> Iter<'_> {
        let lengths = self.bytes.get(COUNT_BYTES..COUNT_BYTES + self.count * LENGTHS_BYTES).unwrap_or_default();
        Iter { bytes: &self.bytes, lengths: lengths.as_chunks().0.iter(), at: COUNT_BYTES + lengths.len() }
    }

    /// What stands between two positions.
    pub(super) fn between(&self, range: Range<usize>) -> &[u8] {
        self.bytes.get(range).unwrap_or_default()
    }

    /// The same, to be written in another letter case.
    pub(super) fn between_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        self.bytes.get_mut(range).unwrap_or_default()
    }

    /// Makes a name, by where it begins, one that no header has.
    pub(super) fn forget_name(&mut self, at: usize) {
        if let Some(first) = self.bytes.get_mut(at) {
            *first = 0;
        }
    }
}

const COUNT_BYTES: usize = 4;
const LENGTHS_BYTES: usize = 8;

pub(super) struct Iter<'call> {
    bytes: &'call [u8],
    lengths: std::slice::Iter<'call, [u8; LENGTHS_BYTES]>,
    /// Where the next name begins.
    at: usize,
}

impl<'call> Iterator for Iter<'call> {
    type Item = Header<'call>;

    fn next(&mut self) -> Option<Header<'call>> {
        let both = u64::from_le_bytes(*self.lengths.next()?);
        let [name_bytes, value_bytes] = [both as u32, (both >> 32) as u32].map(|length| length as usize);
        let rest = self.bytes.get(self.at..)?;
        let (name, rest) = rest.split_at_checked(name_bytes)?;
        let value = rest.get(1..)?.get(..value_bytes)?;
        let name_at = self.at;
        let value_at = name_at + name_bytes + 1;
        self.at = value_at + value_bytes + 1;
        Some(Header { name, value, name_at, value_at })
    }
}

// Hand-written because a token is never printed.
impl std::fmt::Debug for Headers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.iter().map(|header| String::from_utf8_lossy(header.name))).finish()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// As a host would write them.
    pub(in crate::call) fn serialized(headers: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut bytes = u32::try_from(headers.len()).unwrap().to_le_bytes().to_vec();
        for length in headers.iter().flat_map(|(name, value)| [name.len(), value.len()]) {
            bytes.extend(u32::try_from(length).unwrap().to_le_bytes());
        }
        for part in headers.iter().flat_map(|(name, value)| [name, value]) {
            bytes.extend([part, &b"\0"[..]].concat());
        }
        bytes
    }

    fn pairs(headers: &Headers) -> Vec<(&[u8], &[u8])> {
        headers.iter().map(|header| (header.name, header.value)).collect()
    }

    #[test]
    fn both_forms_are_the_same() {
        let headers = [(":path", &b"/a"[..]), ("x-empty", b""), ("x-bytes", &[0, 255, 0])];
        let as_bytes = headers.map(|(name, value)| (name.as_bytes(), value));
        let whole = Headers::serialized(serialized(&as_bytes)).unwrap();
        let each = Headers::each(headers).unwrap();
        assert!(whole == each && whole.len() == 3);
        assert_eq!(pairs(&whole), as_bytes);
        for header in whole.iter() {
            assert_eq!(whole.between(header.name_at..header.name_at + header.name.len()), header.name);
            assert_eq!(whole.between(header.value_at..header.value_at + header.value.len()), header.value);
        }
        assert_eq!(pairs(&Headers::serialized(vec![0; 4]).unwrap()), []);
    }

    #[test]
    fn what_is_cut_short_or_says_what_is_not_there_has_fewer_headers_than_it_says() {
        let whole = serialized(&[(b":path", b"/a"), (b"x-one", b"1")]);
        let has_all =
            |bytes: Vec<u8>| Headers::serialized(bytes).is_some_and(|headers| headers.iter().count() == headers.len());
        // The last zero stands behind everything.
        assert!(has_all(whole.clone()) && has_all(whole[..whole.len() - 1].to_vec()));
        for length in 0..whole.len() - 1 {
            assert!(!has_all(whole[..length].to_vec()), "{length}");
        }
        for at in 0..20 {
            for byte in [0x7f, 0xff] {
                let mut wrong = whole.clone();
                wrong[at] = byte;
                assert!(!has_all(wrong), "{at}");
            }
        }
        assert!(!has_all([&1_u32.to_le_bytes()[..], &[255; 8], &[0; 64]].concat()));
    }

    #[test]
    fn their_number_is_bounded() {
        let most = vec![(&b"x"[..], &b"y"[..]); HEADERS_MAX];
        let one_more = [&most[..], &most[..1]].concat();
        let each = |headers: &[(&[u8], &[u8])]| Headers::each(headers.iter().map(|(_, value)| ("x", *value))).is_some();
        assert!(each(&most) && Headers::serialized(serialized(&most)).is_some());
        assert!(!each(&one_more) && Headers::serialized(serialized(&one_more)).is_none());
    }

    #[test]
    fn a_name_can_be_forgotten() {
        let mut headers = Headers::each([("authorization", &b"Bearer s.e.cret"[..]), ("accept", b"*/*")]).unwrap();
        let at = headers.iter().next().unwrap().name_at;
        headers.forget_name(at);
        headers.forget_name(1000);
        assert_eq!(pairs(&headers), [(&b"\0uthorization"[..], &b"Bearer s.e.cret"[..]), (b"accept", b"*/*")]);
        assert!(!format!("{headers:?}").contains("cret"));
    }
}
