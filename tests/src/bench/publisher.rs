//! The control plane's side: builds, seals and changes the snapshot of an invented world.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow};
use engine_guest::document::{document, provider};
use engine_guest::figures::Figure;
use engine_guest::session::NOW;
use engine_guest::world::{Shape, World, system_id};
use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::Signer as _;
use p256::pkcs8::EncodePublicKey as _;
use policies::snapshot::{
    Document, Holding, Manifest, SnapshotBuilder, SnapshotKey, SnapshotSettings, SnapshotVersion, SystemUserState,
    open, seal,
};
use policies::token::PureRust;
use policies::{PolicySet, Timestamp};
use serde_json::Value;

use super::tokens;

/// How long everything is valid, in seconds.
const VALIDITY_SECONDS: i64 = 24 * 3600;
/// Calls of `holding` that are timed.
const HOLDINGS_TIMED: usize = 20_000;

/// A published snapshot in two files, as gateways fetch it.
#[derive(Debug, Clone)]
pub struct Published {
    /// Manifest and signature.
    pub head: PathBuf,
    /// The image.
    pub image: PathBuf,
}

impl Published {
    /// The files of a snapshot in a folder.
    pub fn inside(folder: &Path) -> Self {
        Self { head: folder.join("head"), image: folder.join("image") }
    }
}

/// Signs snapshots.
pub struct Publisher {
    key: SigningKey,
    key_der: Vec<u8>,
    document: Document,
    now: Timestamp,
}

impl Publisher {
    /// With the key that all of these snapshots are signed with, at the time that measuring programs live in.
    pub fn new() -> Result<Self> {
        Self::at(Timestamp::from_unix_seconds(NOW))
    }

    /// At another time.
    pub fn at(now: Timestamp) -> Result<Self> {
        let key = SigningKey::from_slice(&[9; 32]).context("not a key")?;
        let key_der = key.verifying_key().to_public_key_der().context("no public key")?.as_bytes().to_vec();
        Ok(Self { key, key_der, document: document(&tokens::issuer_key()?)?, now })
    }

    /// With other settings.
    pub fn with_document(self, change: impl FnOnce(&mut Document)) -> Self {
        let mut document = self.document;
        change(&mut document);
        Self { document, ..self }
    }

    /// The public key, as gateways pin it.
    pub fn key_der(&self) -> &[u8] {
        &self.key_der
    }

    /// The settings without system users.
    pub fn document(&self) -> &Document {
        &self.document
    }

    fn snapshot_key(&self) -> Result<SnapshotKey> {
        Ok(SnapshotKey::from_spki_der(&self.key_der)?)
    }

    fn signature(&self, manifest: &Manifest) -> [u8; 64] {
        let signature: p256::ecdsa::Signature = self.key.sign(&manifest.signing_bytes());
        signature.to_bytes().into()
    }

    /// Builds a base, writes it, and says what that took. Meant for a process that does nothing else: its peak memory is
    /// one of the figures.
    pub fn build(&self, shape: Shape, files: &Published) -> Result<Vec<Figure>> {
        let world = World::new(shape)?;
        let started = Instant::now();
        let mut order: Vec<u32> = (0..shape.system_users).collect();
        order.sort_unstable_by_key(|user| world.system_user_id(*user));
        let generating = started.elapsed();

        let mut builder = SnapshotBuilder::new(&self.document)?;
        let mut holdings = Vec::new();
        for template in world.templates() {
            holdings.push(builder.holding(&template.packages, &template.rights).map_err(|right| anyhow!("{right}"))?);
        }
        let systems = (0..engine_guest::world::SYSTEMS).map(system_id).collect::<Result<Vec<_>, _>>()?;
        for user in order {
            let system = systems.get(world.system(user)).context("no such system")?;
            let rows = world.rows(user).filter_map(|row| Some((row.party, *holdings.get(row.template?)?)));
            let rows: Vec<(_, Holding)> = rows.collect();
            let id = world.system_user_id(user);
            builder.system_user(id, world.owner(user), system, rows).map_err(|error| anyhow!("{error:?}"))?;
        }
        let holding_nanoseconds = time_holdings(&mut builder, &world)?;
        let image = builder.finish()?;
        let now = self.now;
        let version = SnapshotVersion { epoch: 1, version: 1 };
        let not_after = now.plus_seconds(VALIDITY_SECONDS);
        let key_id = self.snapshot_key()?.key_id();
        let manifest =
            Manifest::new(provider().map_err(|error| anyhow!(error))?, version, 0, 0, now, not_after, key_id, &image);
        let mut head = manifest.signing_bytes();
        head.extend(self.signature(&manifest));
        let seconds = started.elapsed().as_secs_f64();
        std::fs::write(&files.head, head)?;
        std::fs::write(&files.image, &image)?;
        Ok(vec![
            Figure::new("build.image", image.len() as f64 / 1e6, "MB"),
            Figure::new("build.bytes_per_row", image.len() as f64 / f64::from(shape.rows.max(1)), "B"),
            Figure::new("build.time", seconds, "s"),
            Figure::new("build.sorting", generating.as_secs_f64(), "s"),
            Figure::new("build.holding", holding_nanoseconds, "ns"),
            Figure::new("build.memory_peak", memory_peak_bytes()? / 1e6, "MB"),
        ])
    }

    /// A gateway's policy, in this process.
    pub fn open(&self, files: &Published) -> Result<PolicySet> {
        let mut body = std::fs::read(&files.head)?;
        body.extend(std::fs::read(&files.image)?);
        let provider = provider().map_err(|error| anyhow!(error))?;
        let now = self.now;
        Ok(open(body, &[self.snapshot_key()?], &provider, None, now, &PureRust)?)
    }

    /// A piece that brings `policy` to what `world` says of these system users; `policy` takes it over.
    pub fn change(&self, world: &World, users: &BTreeSet<u32>, policy: &mut PolicySet) -> Result<Change> {
        let state = |user: &u32| Ok((world.system_user_id(*user), SystemUserState::Active(world.system_user(*user)?)));
        let changed: BTreeMap<_, _> = users.iter().map(state).collect::<Result<_>>()?;
        // As a control plane keeps it: read once for many deltas.
        let settings = SnapshotSettings::new(self.document.clone())?;
        let started = Instant::now();
        let image = settings.delta(&changed, policy)?.bytes;
        let now = self.now;
        let current = policy.manifest().context("nothing is in force")?;
        let (version, not_after) = (current.version.version + 1, now.plus_seconds(VALIDITY_SECONDS));
        let key = self.snapshot_key()?;
        let manifest = Manifest::of_delta(current, version, 0, now, not_after, key.key_id(), &image);
        let piece = seal(&manifest, &self.signature(&manifest), &image);
        let compile_microseconds = started.elapsed().as_secs_f64() * 1e6;
        policy.update(piece.clone(), &[key], &provider().map_err(|error| anyhow!(error))?, now, &PureRust)?;
        Ok(Change { piece, compile_microseconds })
    }
}

/// A delta.
pub struct Change {
    /// As it is published.
    pub piece: Vec<u8>,
    /// What compiling and signing it took.
    pub compile_microseconds: f64,
}

/// What one call of `holding` costs when its set is known already, in nanoseconds.
fn time_holdings(builder: &mut SnapshotBuilder<'_>, world: &World) -> Result<f64> {
    let started = Instant::now();
    for template in world.templates().iter().cycle().take(HOLDINGS_TIMED) {
        let holding = builder.holding(&template.packages, &template.rights);
        std::hint::black_box(holding).map_err(|right| anyhow!("{right}"))?;
    }
    Ok(started.elapsed().as_nanos() as f64 / HOLDINGS_TIMED as f64)
}

/// Most memory that this process has had resident.
fn memory_peak_bytes() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1024.0)
}

/// The JWK of the key that signs tokens.
pub fn issuer_jwk() -> Result<Value> {
    tokens::issuer_key()
}
