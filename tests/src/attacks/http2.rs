//! One HTTP/2 call, written frame by frame (RFC 9113), so that no client tidies what is sent. Of the answer only the status
//! is read.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEADER_BYTES: usize = 9;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GO_AWAY: u8 = 7;
const END_STREAM_AND_HEADERS: u8 = 0x5;
const BOUND: Duration = Duration::from_secs(15);

/// The status of the answer; `None` when the stream or the connection was reset.
pub(crate) async fn call(address: SocketAddr, headers: &[(String, String)]) -> Result<Option<u16>> {
    tokio::time::timeout(BOUND, exchange(address, headers)).await.context("no answer in time")?
}

async fn exchange(address: SocketAddr, headers: &[(String, String)]) -> Result<Option<u16>> {
    let mut stream = TcpStream::connect(address).await?;
    // `:scheme` is demanded by RFC 9113 section 8.3.1; pseudo-headers come first.
    let (pseudo, plain): (Vec<_>, Vec<_>) = headers.iter().partition(|(name, _)| name.starts_with(':'));
    let mut block = Vec::new();
    literal(&mut block, ":scheme", "http");
    for (name, value) in pseudo.into_iter().chain(plain) {
        literal(&mut block, &name.to_ascii_lowercase(), value);
    }
    let sent = [PREFACE, &frame(SETTINGS, 0, 0, &[])?, &frame(HEADERS, END_STREAM_AND_HEADERS, 1, &block)?].concat();
    stream.write_all(&sent).await?;
    loop {
        let mut header = [0; FRAME_HEADER_BYTES];
        if stream.read_exact(&mut header).await.is_err() {
            return Ok(None);
        }
        let [a, b, c, kind, _, s0, s1, s2, s3] = header;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        stream.read_exact(&mut payload).await?;
        let on_stream = u32::from_be_bytes([s0, s1, s2, s3]) == 1;
        match kind {
            HEADERS if on_stream => return status(&payload).map(Some),
            RST_STREAM if on_stream => return Ok(None),
            GO_AWAY => return Ok(None),
            _ => {}
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Result<Vec<u8>> {
    let [_, a, b, c] = u32::try_from(payload.len())?.to_be_bytes();
    let [s0, s1, s2, s3] = stream.to_be_bytes();
    Ok([&[a, b, c, kind, flags, s0, s1, s2, s3], payload].concat())
}

/// A literal that is not indexed, with its name, not Huffman-coded (RFC 7541 section 6.2.2).
fn literal(block: &mut Vec<u8>, name: &str, value: &str) {
    block.push(0);
    for text in [name, value] {
        integer(block, text.len());
        block.extend_from_slice(text.as_bytes());
    }
}

/// An integer with a prefix of seven bits (RFC 7541 section 5.1).
fn integer(block: &mut Vec<u8>, value: usize) {
    if value < 127 {
        block.push(value as u8);
        return;
    }
    block.push(127);
    let mut rest = value - 127;
    while rest >= 128 {
        block.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    block.push(rest as u8);
}

/// The first field of the answer is `:status`: indexed, or a literal under an indexed name (RFC 7541 section 6).
fn status(block: &[u8]) -> Result<u16> {
    let block = match block {
        // The size of the dynamic table may be set before.
        [first, rest @ ..] if *first & 0xe0 == 0x20 => rest,
        block => block,
    };
    let [first, rest @ ..] = block else { bail!("the answer has no status") };
    let indexed = [200_u16, 204, 206, 304, 400, 404, 500];
    if first & 0x80 != 0 {
        return indexed.get(usize::from(first & 0x7f).wrapping_sub(8)).copied().context("the first field is no status");
    }
    let [length, rest @ ..] = rest else { bail!("the status is cut short") };
    let text = rest.get(..usize::from(length & 0x7f)).context("the status is cut short")?;
    let digits = if length & 0x80 == 0 { String::from_utf8(text.to_vec())? } else { huffman_digits(text) };
    digits.parse().context("the status is no number")
}

/// Three digits in the code of RFC 7541 appendix B: `0` to `2` have five bits, the others six.
fn huffman_digits(bytes: &[u8]) -> String {
    let mut bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    let mut digits = String::new();
    while digits.len() < 3 {
        let mut code = bits.by_ref().take(5).fold(0, |code, bit| code << 1 | bit);
        if code <= 2 {
            digits.push(char::from(b'0' + code));
            continue;
        }
        code = code << 1 | bits.next().unwrap_or(1);
        // `3` is 011001.
        digits.push(char::from(b'3'.saturating_add(code.saturating_sub(0x19))));
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_in_every_form() {
        assert_eq!(status(&[0x88]).unwrap(), 200);
        assert_eq!(status(&[0x20, 0x8c]).unwrap(), 400);
        assert_eq!(status(b"\x48\x03401").unwrap(), 401);
        // 011010 00000 00001: 401; 011010 00000 011001: 403.
        assert_eq!(status(&[0x48, 0x82, 0b0110_1000, 0b0000_0001]).unwrap(), 401);
        assert_eq!(status(&[0x48, 0x83, 0b0110_1000, 0b0000_1100, 0b1111_1111]).unwrap(), 403);
        assert!(status(&[]).is_err());
    }

    #[test]
    fn long_texts_have_long_lengths() {
        let mut block = Vec::new();
        integer(&mut block, 1337);
        assert_eq!(block, [127, 0xba, 0x09]);
    }
}
