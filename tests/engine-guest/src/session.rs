//! The program: takes requests, one after the other, and answers with figures.

use std::io::{Read, Write};

use policies::id::{OrganizationNumber, ProviderId};
use policies::snapshot::{Opening, SnapshotKey};
use policies::token::{
    self, IssuerKind, IssuerRules, PureRust, SignatureError, TrustedIssuer, VerificationKey, VerifySignature,
};
use policies::{PolicySet, PolicyTrouble, Timestamp};

use crate::clock::Clock;
use crate::decisions::{self, KnownToken};
use crate::document::{ISSUER, provider};
use crate::figures::Figure;
use crate::frames::{self, DONE, Request};
use crate::loads::{self, LoadTimes};
use crate::look_ups::{self, LookUps};
use crate::world::{self, World};

/// When everything here happens, in seconds: snapshots and tokens are made for it.
pub const NOW: i64 = 1_795_348_800;

/// Serves requests to the end of the input.
pub fn serve(input: &mut impl Read, output: &mut impl Write) -> Result<(), String> {
    let clock = Clock::calibrated();
    let mut session = Session {
        clock,
        provider: provider()?,
        keys: Vec::new(),
        issuers: Vec::new(),
        policy: PolicySet::deny_all(PolicyTrouble::Missing),
        arriving: None,
        loads: Vec::new(),
        world: None,
        tokens: Vec::new(),
    };
    let mut buffer = Vec::new();
    while let Some(request) = frames::read(input, &mut buffer).map_err(|error| error.to_string())? {
        let Some(figures) = session.take(request)? else { continue };
        let mut answer: String = figures.iter().map(|figure| format!("{figure}\n")).collect();
        answer.push_str(DONE);
        answer.push('\n');
        output.write_all(answer.as_bytes()).and_then(|()| output.flush()).map_err(|error| error.to_string())?;
    }
    Ok(())
}

struct Session {
    clock: Clock,
    provider: ProviderId,
    keys: Vec<SnapshotKey>,
    issuers: Vec<TrustedIssuer>,
    policy: PolicySet,
    arriving: Option<Arriving>,
    loads: Vec<LoadTimes>,
    world: Option<World>,
    tokens: Vec<KnownToken>,
}

struct Arriving {
    opening: Opening,
    step_numbers: usize,
    times: LoadTimes,
}

impl Session {
    /// The answer, where there is one.
    fn take(&mut self, request: Request<'_>) -> Result<Option<Vec<Figure>>, String> {
        let figures = match request {
            Request::SnapshotKey(der) => {
                self.keys = vec![SnapshotKey::from_spki_der(der).map_err(|error| error.to_string())?];
                vec![Figure::new("clock.reading", self.clock.reading_nanoseconds(), "ns")]
            }
            Request::IssuerKey(jwk) => {
                self.issuers = vec![issuer(jwk)?];
                Vec::new()
            }
            Request::Load { step_numbers, head } => return self.begin(step_numbers, head).map(|()| None),
            Request::Slice(bytes) => return self.slice(bytes),
            Request::Loads => loads::figures(&self.loads),
            Request::World(shape) => {
                let world = World::new(shape).map_err(|error| error.to_string())?;
                for (position, right) in self.policy.rights().iter().enumerate() {
                    if world::right_at(position).as_ref() != Ok(right) {
                        return Err(format!("right {position} is `{right}`"));
                    }
                }
                self.world = Some(world);
                Vec::new()
            }
            Request::Token { user, token } => vec![self.token(user, token)?],
            Request::LookUps { batches, seed, changed } => {
                look_ups::figures(&self.policy, self.world()?, &self.clock, LookUps { batches, seed, changed })?
            }
            Request::Decisions { count, seed } => {
                decisions::figures(&self.policy, self.world()?, &self.tokens, &self.clock, (count, seed), now())?
            }
            Request::Repeat { work, token, party, right, times } => {
                let party = OrganizationNumber::from_u32(party).ok_or("not a party")?;
                let token = self.tokens.get(token as usize).ok_or("no such token")?;
                vec![decisions::repeat(&self.policy, token, (party, right as usize), work, times, now())?]
            }
            Request::Change { is_checked, rows, piece } => vec![self.change(is_checked, rows, piece)?],
        };
        Ok(Some(figures))
    }

    fn world(&self) -> Result<&World, String> {
        self.world.as_ref().ok_or_else(|| "whose rows these are was not said".to_owned())
    }

    fn begin(&mut self, step_numbers: u32, head: &[u8]) -> Result<(), String> {
        let Self { clock, keys, provider, .. } = self;
        let (begin, opening) = clock.time(|| Opening::begin(head, keys, provider, None, now(), &PureRust));
        let (opening, _) = opening.map_err(|error| error.to_string())?;
        let times = LoadTimes { begin, ..LoadTimes::default() };
        self.arriving = Some(Arriving { opening, step_numbers: step_numbers as usize, times });
        Ok(())
    }

    /// Takes a slice; after the last one the snapshot is looked at and put in force, and that is answered.
    fn slice(&mut self, bytes: &[u8]) -> Result<Option<Vec<Figure>>, String> {
        let mut arriving = self.arriving.take().ok_or("a slice of nothing")?;
        let (pushed, result) = self.clock.time(|| arriving.opening.push(bytes));
        result.map_err(|error| error.to_string())?;
        arriving.times.pushes.push(pushed);
        if arriving.opening.bytes_missing() > 0 {
            self.arriving = Some(arriving);
            return Ok(None);
        }
        let Arriving { mut opening, step_numbers, mut times } = arriving;
        loop {
            let (stepped, result) = self.clock.time(|| opening.step(step_numbers));
            times.steps.push(stepped);
            if result.map_err(|error| error.to_string())? {
                break;
            }
        }
        let policy = opening.finish().map_err(|error| error.to_string())?;
        (times.drop, _) = self.clock.time(|| self.policy = policy);
        self.loads.push(times);
        Ok(Some(Vec::new()))
    }

    fn token(&mut self, user: u32, token: &[u8]) -> Result<Figure, String> {
        let text = std::str::from_utf8(token).map_err(|error| error.to_string())?.to_owned();
        let (nanoseconds, verified) = self.clock.time(|| token::verify(&text, &self.issuers, now(), &PureRust));
        let verified = verified.map_err(|error| error.to_string())?;
        self.tokens.push(KnownToken { user, text, verified });
        Ok(Figure::new("token.verify", nanoseconds / 1e3, "us"))
    }

    fn change(&mut self, is_checked: bool, rows: u32, piece: &[u8]) -> Result<Figure, String> {
        let signatures: &dyn VerifySignature = if is_checked { &PureRust } else { &TakenForGood };
        let body = piece.to_vec();
        let Self { clock, policy, keys, provider, world, .. } = self;
        if let Some(world) = world {
            world.change(rows);
        }
        let (nanoseconds, result) = clock.time(|| policy.update(body, keys, provider, now(), signatures));
        result.map_err(|error| error.to_string())?;
        Ok(Figure::new("change.apply", nanoseconds / 1e3, "us"))
    }
}

fn now() -> Timestamp {
    Timestamp::from_unix_seconds(NOW)
}

fn issuer(jwk: &[u8]) -> Result<TrustedIssuer, String> {
    let jwk = serde_json::from_slice(jwk).map_err(|error| error.to_string())?;
    let key = VerificationKey::from_jwk(&jwk).map_err(|error| error.to_string())?;
    let kind = IssuerKind::Maskinporten;
    Ok(TrustedIssuer {
        issuer: ISSUER.to_owned(),
        kind,
        keys: vec![key],
        authentication_level: 3,
        rules: IssuerRules::default(),
    })
}

/// Leaves the cryptography out of a measurement; nothing else may.
struct TakenForGood;

impl VerifySignature for TakenForGood {
    fn verify(&self, _: &VerificationKey, _: &[u8], _: &[u8]) -> Result<(), SignatureError> {
        Ok(())
    }
}
