//! What a host says to the program: a kind, a length, and bytes; numbers are little-endian.
//!
//! The program answers each request but [`Request::Slice`] with lines, the last of them [`DONE`].

use std::io::{self, Read, Write};

use crate::world::Shape;

/// The line after an answer.
pub const DONE: &str = "done";
/// Longest frame, in bytes.
const FRAME_BYTES_MAX: usize = 16 << 20;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request<'bytes> {
    /// The key that signs snapshots: SubjectPublicKeyInfo, DER.
    SnapshotKey(&'bytes [u8]),
    /// The key that signs tokens: a JWK.
    IssuerKey(&'bytes [u8]),
    /// A snapshot follows in slices: numbers to a step, manifest and signature. Answered when it is in force.
    Load {
        /// Numbers to look at in one step.
        step_numbers: u32,
        /// Manifest and signature.
        head: &'bytes [u8],
    },
    /// The next bytes of the image; not answered.
    Slice(&'bytes [u8]),
    /// The times of every load so far.
    Loads,
    /// Whose rows are in the snapshot.
    World(Shape),
    /// A system user's token, to be verified and kept.
    Token {
        /// Whose it is.
        user: u32,
        /// The token.
        token: &'bytes [u8],
    },
    /// Time look-ups of rows.
    LookUps {
        /// Batches to time.
        batches: u32,
        /// Which questions.
        seed: u32,
        /// Ask about the first so many rows that were changed; 0 for any row.
        changed: u32,
    },
    /// Time whole decisions.
    Decisions {
        /// How many.
        count: u32,
        /// Which calls.
        seed: u32,
    },
    /// A delta.
    Change {
        /// Without, its signature is taken for good: what remains is the engine's.
        is_checked: bool,
        /// How many rows have changed with it, those before counted.
        rows: u32,
        /// The signed piece.
        piece: &'bytes [u8],
    },
    /// Do one thing over and over, untimed: for whoever counts instructions.
    Repeat {
        /// What.
        work: Work,
        /// The token, by position.
        token: u32,
        /// For whom.
        party: u32,
        /// The right, by position.
        right: u32,
        /// How often.
        times: u32,
    },
}

/// What is done over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Reading the call.
    Parse,
    /// Deciding about it.
    Decide,
    /// Only finding the row and the right.
    LookUp,
}

impl Work {
    const ALL: [Self; 3] = [Self::Parse, Self::Decide, Self::LookUp];
}

impl Request<'_> {
    /// Writes the request as a frame.
    pub fn write(&self, output: &mut impl Write) -> io::Result<()> {
        let (kind, numbers, bytes): (u8, Vec<u32>, &[u8]) = match self {
            Self::SnapshotKey(der) => (1, vec![], der),
            Self::IssuerKey(jwk) => (2, vec![], jwk),
            Self::Load { step_numbers, head } => (3, vec![*step_numbers], head),
            Self::Slice(bytes) => (4, vec![], bytes),
            Self::Loads => (5, vec![], &[]),
            Self::World(shape) => (6, vec![shape.system_users, shape.agents, shape.rows], &[]),
            Self::Token { user, token } => (7, vec![*user], token),
            Self::LookUps { batches, seed, changed } => (8, vec![*batches, *seed, *changed], &[]),
            Self::Decisions { count, seed } => (9, vec![*count, *seed], &[]),
            Self::Change { is_checked, rows, piece } => (10, vec![u32::from(*is_checked), *rows], piece),
            Self::Repeat { work, token, party, right, times } => {
                (11, vec![*work as u32, *token, *party, *right, *times], &[])
            }
        };
        let length = u32::try_from(numbers.len() * 4 + bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut head = vec![kind];
        head.extend(length.to_le_bytes());
        head.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        output.write_all(&head)?;
        output.write_all(bytes)
    }
}

/// Reads the next request into `buffer`; `None` at the end of the input.
pub fn read<'buffer>(input: &mut impl Read, buffer: &'buffer mut Vec<u8>) -> io::Result<Option<Request<'buffer>>> {
    let mut kind = [0];
    if input.read(&mut kind)? == 0 {
        return Ok(None);
    }
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    buffer.resize(length, 0);
    input.read_exact(buffer)?;
    let [kind] = kind;
    parse(kind, buffer).map(Some).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn parse(kind: u8, bytes: &[u8]) -> Option<Request<'_>> {
    let mut rest = bytes;
    let mut number = || {
        let (number, after) = rest.split_first_chunk()?;
        rest = after;
        Some(u32::from_le_bytes(*number))
    };
    Some(match kind {
        1 => Request::SnapshotKey(bytes),
        2 => Request::IssuerKey(bytes),
        3 => Request::Load { step_numbers: number()?, head: rest },
        4 => Request::Slice(bytes),
        5 => Request::Loads,
        6 => Request::World(Shape { system_users: number()?, agents: number()?, rows: number()? }),
        7 => Request::Token { user: number()?, token: rest },
        8 => Request::LookUps { batches: number()?, seed: number()?, changed: number()? },
        9 => Request::Decisions { count: number()?, seed: number()? },
        10 => Request::Change { is_checked: number()? == 1, rows: number()?, piece: rest },
        11 => Request::Repeat {
            work: *Work::ALL.get(number()? as usize)?,
            token: number()?,
            party: number()?,
            right: number()?,
            times: number()?,
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_read_back() {
        let requests = [
            Request::SnapshotKey(b"der"),
            Request::IssuerKey(b"{}"),
            Request::Load { step_numbers: 7, head: b"head" },
            Request::Slice(b""),
            Request::Loads,
            Request::World(Shape::of_rows(1_000)),
            Request::Token { user: 3, token: b"a.b.c" },
            Request::LookUps { batches: 1, seed: 2, changed: 3 },
            Request::Decisions { count: 4, seed: 5 },
            Request::Change { is_checked: true, rows: 6, piece: b"piece" },
            Request::Repeat { work: Work::LookUp, token: 7, party: 8, right: 9, times: 10 },
        ];
        let mut bytes = Vec::new();
        for request in &requests {
            request.write(&mut bytes).unwrap();
        }
        let (mut input, mut buffer) = (bytes.as_slice(), Vec::new());
        for request in requests {
            assert_eq!(read(&mut input, &mut buffer).unwrap(), Some(request));
        }
        assert_eq!(read(&mut input, &mut buffer).unwrap(), None);
    }

    #[test]
    fn what_is_no_request_is_an_error() {
        let mut buffer = Vec::new();
        for wrong in [&[0, 0, 0, 0, 0][..], &[9, 4, 0, 0, 0, 1, 2, 3, 4], &[4, 1, 0, 0, 0], &[4, 0, 0, 0, 255], &[4, 0]]
        {
            assert!(read(&mut &wrong[..], &mut buffer).is_err(), "{wrong:?}");
        }
    }
}
