//! A small control plane: signs bases and deltas of an invented world for now, and serves them as the real one does.
//!
//! What is signed and hashed is ready before it is published, so that a time is the feed's alone. Two bases take turns:
//! one with the probe's route, one without, so that each swap is seen in the answer to a call.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use engine_guest::document::{HOST, document, provider};
use engine_guest::world::{RESOURCES, SCOPE, SYSTEMS, Shape, World, resource_id, system_id};
use policies::snapshot::{
    Document, Manifest, SnapshotBuilder, SnapshotKey, SnapshotSettings, SnapshotVersion, SystemUserState, open, seal,
};
use policies::token::PureRust;
use policies::{PolicySet, PolicyTrouble, Timestamp};
use serde_json::json;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::bench::tokens;
use crate::cases::keys;

const EPOCH: u64 = 1;
const KEY: &str = "bench snapshot";
/// How long everything is valid, in seconds.
const VALIDITY_SECONDS: i64 = 24 * 3600;
/// About how many bytes an image has for each row; the first guess.
const BYTES_PER_ROW: usize = 13;
/// The system user that changes.
const CHANGING: u32 = 7;

/// What a call is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    NoRoute,
    TokenMissing,
    PartyNotRepresented,
    SystemUserWithdrawn,
}

impl Answers {
    /// The problem's code.
    pub fn needle(self) -> &'static str {
        match self {
            Self::NoRoute => "no_route",
            Self::TokenMissing => "token_missing",
            Self::PartyNotRepresented => "party_not_represented",
            Self::SystemUserWithdrawn => "system_user_withdrawn",
        }
    }
}

/// Everything that is published at one time.
#[derive(Debug, Clone)]
struct Published {
    base_version: u64,
    base: Bytes,
    /// Version and piece.
    deltas: Vec<(u64, Bytes)>,
}

impl Published {
    fn version(&self) -> u64 {
        self.deltas.last().map_or(self.base_version, |(version, _)| *version)
    }
}

/// The control plane.
pub struct Publisher {
    world: World,
    settings: SnapshotSettings,
    /// Without the probe's route, and with it.
    images: [Vec<u8>; 2],
    /// Which image is published next.
    turn: usize,
    is_withdrawn: bool,
    policy: PolicySet,
    prepared: Option<Published>,
    published: watch::Sender<Published>,
}

impl Publisher {
    /// Builds two bases of at least this length, and publishes the first.
    pub fn new(bytes: usize) -> Result<Self> {
        let mut rows = bytes / BYTES_PER_ROW;
        let without = settings_document(false)?;
        let (world, image) = loop {
            let world = World::new(Shape::of_rows(u32::try_from(rows)?))?;
            let image = image(&without, &world)?;
            if image.len() >= bytes {
                break (world, image);
            }
            rows = rows * bytes / image.len() + rows / 200;
        };
        let images = [image, self::image(&settings_document(true)?, &world)?];
        let base = Bytes::from(base_piece(1, images.first().context("no image")?)?);
        let published = watch::Sender::new(Published { base_version: 1, base, deltas: Vec::new() });
        let policy = PolicySet::deny_all(PolicyTrouble::Missing);
        let settings = SnapshotSettings::new(without)?;
        Ok(Self { world, settings, images, turn: 1, is_withdrawn: false, policy, prepared: None, published })
    }

    /// Length of a base, in bytes.
    pub fn image_bytes(&self) -> usize {
        self.images.first().map_or(0, Vec::len)
    }

    /// The key that gateways pin.
    pub fn key_pem(&self) -> Result<String> {
        keys::key(KEY)?.public_pem()
    }

    /// Serves gateways as long as the runtime runs.
    pub async fn serve(&self) -> Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port for the control plane")?;
        let address = listener.local_addr()?;
        let app = Router::new()
            .route("/snapshots/generated", get(poll))
            .route("/snapshots/generated/workers", post(async || StatusCode::NO_CONTENT))
            .with_state(self.published.subscribe());
        tokio::spawn(axum::serve(listener, app).into_future());
        Ok(address)
    }

    /// A call whose answer tells one base from the other.
    pub fn probe_call(&self) -> Result<Arc<[u8]>> {
        Ok(format!("GET /probe HTTP/1.1\r\nhost: {HOST}\r\n\r\n").into_bytes().into())
    }

    /// How the probe is answered by what is published.
    pub fn expected(&self) -> Answers {
        if self.turn == 1 { Answers::NoRoute } else { Answers::TokenMissing }
    }

    /// A call of the system user that changes, for somebody who is not its client.
    pub fn system_user_call(&self) -> Result<Arc<[u8]>> {
        let mut random = engine_guest::random::Random::new(5);
        let party = self.world.stranger(&mut random);
        let times = tokens::Times { now: now().unix_millis() / 1000, validity_seconds: 590 };
        let token = tokens::token_at(&self.world, CHANGING, 0, times, &*keys::key(tokens::KEY)?, tokens::KEY)?;
        let call = format!(
            "GET /api/{}/v1/{party}/items HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer {token}\r\n\r\n",
            resource_id(RESOURCES - 1)
        );
        Ok(call.into_bytes().into())
    }

    /// How that is answered by what is published.
    pub fn expected_of_system_user(&self) -> Answers {
        if self.is_withdrawn { Answers::SystemUserWithdrawn } else { Answers::PartyNotRepresented }
    }

    /// Makes the other base ready.
    pub fn prepare_base(&mut self) -> Result<()> {
        let version = self.published.borrow().version() + 1;
        let image = self.images.get(self.turn).context("no image")?;
        let base = Bytes::from(base_piece(version, image)?);
        self.prepared = Some(Published { base_version: version, base, deltas: Vec::new() });
        self.turn = 1 - self.turn;
        Ok(())
    }

    /// Makes a change of one system user ready.
    pub fn prepare_change(&mut self) -> Result<()> {
        let mut published = self.published.borrow().clone();
        let (keys, provider) = ([snapshot_key()?], provider().map_err(|error| anyhow!(error))?);
        let current = self.policy.manifest().map(|manifest| manifest.version.version);
        if current != Some(published.version()) {
            self.policy = open(published.base.to_vec(), &keys, &provider, None, now(), &PureRust)?;
        }
        let state = if self.is_withdrawn {
            SystemUserState::Active(self.world.system_user(CHANGING)?)
        } else {
            SystemUserState::Withdrawn
        };
        let changed = BTreeMap::from([(self.world.system_user_id(CHANGING), state)]);
        let image = self.settings.delta(&changed, &self.policy)?.bytes;
        let current = self.policy.manifest().context("nothing is in force")?;
        let version = current.version.version + 1;
        let not_after = now().plus_seconds(VALIDITY_SECONDS);
        let manifest = Manifest::of_delta(current, version, 0, now(), not_after, snapshot_key()?.key_id(), &image);
        let piece = seal(&manifest, &signature(&manifest)?, &image);
        self.policy.update(piece.clone(), &keys, &provider, now(), &PureRust)?;
        published.deltas.push((version, piece.into()));
        self.prepared = Some(published);
        self.is_withdrawn = !self.is_withdrawn;
        Ok(())
    }

    /// Publishes what is ready; gives when.
    pub fn publish(&mut self) -> Instant {
        let at = Instant::now();
        if let Some(prepared) = self.prepared.take() {
            self.published.send_replace(prepared);
        }
        at
    }
}

/// The settings, perhaps with the probe's route.
fn settings_document(with_probe: bool) -> Result<Document> {
    let mut document = document(&tokens::issuer_key()?)?;
    if with_probe {
        document.routes.push(serde_json::from_value(json!({
            "name": "probe", "host": HOST, "methods": ["GET"], "path": "/probe", "resource": resource_id(0),
            "action": "read", "party": "owner", "scopes": [SCOPE],
        }))?);
    }
    Ok(document)
}

fn image(document: &Document, world: &World) -> Result<Vec<u8>> {
    let mut builder = SnapshotBuilder::new(document)?;
    let mut holdings = Vec::new();
    for template in world.templates() {
        holdings.push(builder.holding(&template.packages, &template.rights).map_err(|right| anyhow!("{right}"))?);
    }
    let systems = (0..SYSTEMS).map(system_id).collect::<Result<Vec<_>, _>>()?;
    let mut order: Vec<u32> = (0..world.shape().system_users).collect();
    order.sort_unstable_by_key(|user| world.system_user_id(*user));
    for user in order {
        let system = systems.get(world.system(user)).context("no such system")?;
        let rows = world.rows(user).filter_map(|row| Some((row.party, *holdings.get(row.template?)?))).collect();
        let added = builder.system_user(world.system_user_id(user), world.owner(user), system, rows);
        added.map_err(|error| anyhow!("{error:?}"))?;
    }
    Ok(builder.finish()?)
}

fn base_piece(version: u64, image: &[u8]) -> Result<Vec<u8>> {
    let provider = provider().map_err(|error| anyhow!(error))?;
    let (now, key_id) = (now(), snapshot_key()?.key_id());
    let version = SnapshotVersion { epoch: EPOCH, version };
    let not_after = now.plus_seconds(VALIDITY_SECONDS);
    let manifest = Manifest::new(provider, version, version.version - 1, 0, now, not_after, key_id, image);
    Ok(seal(&manifest, &signature(&manifest)?, image))
}

fn signature(manifest: &Manifest) -> Result<[u8; 64]> {
    let signature = keys::key(KEY)?.sign(&manifest.signing_bytes());
    signature.as_slice().try_into().context("snapshots are signed with P-256")
}

fn snapshot_key() -> Result<SnapshotKey> {
    Ok(SnapshotKey::from_public_key_pem(&keys::key(KEY)?.public_pem()?)?)
}

fn now() -> Timestamp {
    let millis = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
    Timestamp::from_unix_millis(i64::try_from(millis).unwrap_or(0))
}

async fn poll(State(mut published): State<watch::Receiver<Published>>, headers: HeaderMap) -> Response {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let version = |name| text(name)?.trim_matches('"').parse::<SnapshotVersion>().ok();
    let known = version(header::IF_NONE_MATCH);
    let wait = headers.get("prefer").and_then(|value| value.to_str().ok()?.strip_prefix("wait=")?.parse().ok());
    let is_news = |published: &Published| known.is_none_or(|known| known.version < published.version());
    let news = tokio::time::timeout(Duration::from_secs(wait.unwrap_or(0)), published.wait_for(is_news)).await;
    let current = match news {
        Ok(Ok(current)) => current.clone(),
        _ => return StatusCode::NOT_MODIFIED.into_response(),
    };
    let tag = |version: u64| format!("\"{EPOCH}.{version}\"");
    if let Some(known) = known.filter(|known| known.version >= current.base_version) {
        let newer = current.deltas.iter().filter(|(version, _)| *version > known.version);
        let body: Vec<u8> = newer.flat_map(|(_, piece)| piece.iter().copied()).collect();
        return ([(header::ETAG, tag(current.version()))], body).into_response();
    }
    if version(header::IF_MATCH).is_some_and(|wanted| wanted.version != current.base_version) {
        return StatusCode::PRECONDITION_FAILED.into_response();
    }
    let range = text(header::RANGE).and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let Some((Ok(first), Ok(last))) = range.map(|(first, last)| (first.parse::<usize>(), last.parse::<usize>())) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let total = current.base.len();
    let last = last.min(total.saturating_sub(1));
    if first > last {
        return StatusCode::RANGE_NOT_SATISFIABLE.into_response();
    }
    let headers =
        [(header::ETAG, tag(current.base_version)), (header::CONTENT_RANGE, format!("bytes {first}-{last}/{total}"))];
    (StatusCode::PARTIAL_CONTENT, headers, current.base.slice(first..=last)).into_response()
}
