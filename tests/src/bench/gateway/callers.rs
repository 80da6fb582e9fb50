//! Who calls and with what: requests for rows of an invented world, each with a token of its own, written out beforehand.

use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use engine_guest::document::{HOST, call_for};
use engine_guest::random::Random;
use engine_guest::world::World;
use policies::id::OrganizationNumber;

use super::load::Requests;
use crate::bench::tokens::{FAST_KEY, KEY, Times, token_at};
use crate::cases::keys;

/// System users with their tokens.
pub struct Callers {
    world: World,
    callers: Vec<(u32, String)>,
}

/// Whose signature tokens have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signer {
    /// As Maskinporten's.
    Rs256,
    /// Ten times as fast to make.
    Es256,
}

impl Signer {
    fn key_name(self) -> &'static str {
        match self {
            Self::Rs256 => KEY,
            Self::Es256 => FAST_KEY,
        }
    }
}

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A right that is held, for a party that is acted for.
    Good,
    /// A party that nobody acts for.
    OtherParty,
    /// A signature that is not the issuer's.
    Tampered,
}

impl Callers {
    /// So many, half of them by rows (so mostly agents with many clients).
    pub fn new(world: World, count: usize, times: Times, signer: Signer) -> Result<Self> {
        let name = signer.key_name();
        let key = keys::key(name)?;
        let mut random = Random::new(77);
        let mut callers = Vec::new();
        for number in 0..count {
            let user = match number % 2 {
                0 => world.any_row(&mut random).0,
                _ => random.below(world.shape().system_users as usize) as u32,
            };
            callers.push((user, token_at(&world, user, number, times, &key, name)?));
        }
        Ok(Self { world, callers })
    }

    /// A caller's token.
    pub fn any_token(&self) -> Option<&str> {
        self.callers.first().map(|(_, token)| token.as_str())
    }

    /// A request of each of the first so many, with so many headers besides what every request has.
    pub fn requests(&self, kind: Kind, count: usize, more_headers: usize, status: u16) -> Result<Requests> {
        let mut random = Random::new(78);
        let of = |(user, token): &(u32, String)| self.request(*user, token, kind, more_headers, &mut random);
        let requests = self.callers.iter().take(count).map(of).collect::<Result<Vec<_>>>()?;
        Ok(Requests { requests: Arc::new(requests), status })
    }

    /// Two requests of each of the first so many, one after the other once all have made one: what a token was permitted for
    /// last is not what it asks for next. Those with one right only cannot ask for anything else, and ask again.
    pub fn requests_in_turn(&self, count: usize, status: u16) -> Result<Requests> {
        const TRIES: usize = 16;
        let mut random = Random::new(80);
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for (user, token) in self.callers.iter().take(count) {
            let mut request = || self.request(*user, token, Kind::Good, 0, &mut random);
            let one = request()?;
            let mut other = request()?;
            for _ in 0..TRIES {
                if other != one {
                    break;
                }
                other = request()?;
            }
            first.push(one);
            second.push(other);
        }
        first.append(&mut second);
        Ok(Requests { requests: Arc::new(first), status })
    }

    /// Requests that the first so many routes take, of those callers that hold a right there.
    pub fn requests_on(&self, routes: usize) -> Result<Requests> {
        let mut random = Random::new(79);
        let mut requests = Vec::new();
        for (user, token) in &self.callers {
            let row = self.world.any_row_of(*user, &mut random);
            let template = row.template.and_then(|template| self.world.templates().get(template));
            let held = template.context("a row without rights")?.held.iter().copied();
            // Three routes to a resource: list, one item, write.
            let of_list = held.filter(|right| right % 2 == 0).find(|right| right / 2 * 3 < routes);
            requests.extend(of_list.map(|right| written(right, row.party, false, token, 0)));
        }
        ensure!(!requests.is_empty(), "nobody holds a right on these routes");
        Ok(Requests { requests: Arc::new(requests), status: 200 })
    }

    fn request(&self, user: u32, token: &str, kind: Kind, more: usize, random: &mut Random) -> Result<Vec<u8>> {
        let row = self.world.any_row_of(user, random);
        let template = row.template.and_then(|template| self.world.templates().get(template));
        let held = template.context("a row without rights")?.held.as_slice();
        let right = held.get(random.below(held.len())).copied().context("nothing is held")?;
        let party = if kind == Kind::OtherParty { self.world.stranger(random) } else { row.party };
        let token = if kind == Kind::Tampered { tampered(token) } else { token.to_owned() };
        Ok(written(right, party, random.once_in(2), &token, more))
    }
}

/// The token with another character in the middle of its signature.
fn tampered(token: &str) -> String {
    let middle = token.len() - 100;
    let other = |character: char| if character == 'A' { 'B' } else { 'A' };
    token.char_indices().map(|(at, character)| if at == middle { other(character) } else { character }).collect()
}

fn written(right: usize, party: OrganizationNumber, one_item: bool, token: &str, more: usize) -> Vec<u8> {
    let (method, path) = call_for(right, party, one_item);
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer {token}\r\n");
    request.push_str("accept: application/json\r\nuser-agent: smartcloud/1.0\r\n");
    for number in 0..more {
        let _infallible = write!(request, "x-more-{number:02}: value-{number:02}-of-some-length\r\n");
    }
    if method == "POST" {
        request.push_str("content-length: 0\r\n");
    }
    request.push_str("\r\n");
    request.into_bytes()
}
