//! Everything around the variants: snapshots with their feeds and callers, servers, folders, and where all of it runs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use engine_guest::document::{ISSUER, provider};
use engine_guest::world::{SCOPE, Shape, World};
use p256::pkcs8::{DecodePublicKey as _, EncodePublicKey as _, LineEnding};
use policies::Timestamp;
use policies::snapshot::{Document, ModeDocument};
use serde_json::{Value, json};
use tempfile::TempDir;
use time::OffsetDateTime;

use super::Plan;
use super::bootstrap::{self, Cluster};
use super::callers::{Callers, Signer};
use super::feed;
use super::floor::Floor;
use super::load;
use super::running::Running;
use super::servers::{self, Servers};
use super::variants::{GRPC, GRPC_FAR, HTTP, HTTP_FAR, Portvakt, Variant};
use crate::bench::processors;
use crate::bench::publisher::{Published, Publisher, issuer_jwk};
use crate::bench::tokens::{FAST_KEY, Times, public_key};
use crate::wait;

/// How long tokens are valid: longer than any run.
const TOKEN_SECONDS: i64 = 3_500;
/// Loading the largest snapshot on a machine that is busy.
const LOADED_TIME_MAX: Duration = Duration::from_secs(60);

/// A snapshot to be made.
#[derive(Debug, Clone, Copy)]
pub struct Snapshot {
    pub rows: u32,
    /// Routes, instead of the usual 300.
    pub routes: Option<usize>,
    pub is_shadow: bool,
    pub tokens: usize,
    pub signer: Signer,
}

impl Snapshot {
    /// The usual settings.
    pub fn of_rows(rows: u32) -> Self {
        Self { rows, routes: None, is_shadow: false, tokens: super::TOKENS, signer: Signer::Rs256 }
    }
}

/// Where everything is.
pub struct Stage {
    folder: TempDir,
    envoy: PathBuf,
    filter: PathBuf,
    only: Vec<String>,
    servers: Servers,
    background: tokio::runtime::Handle,
    now: i64,
    feeds: RefCell<BTreeMap<String, SocketAddr>>,
    image_bytes: RefCell<BTreeMap<String, u64>>,
}

impl Stage {
    /// Starts servers and keeps this thread away from Envoy's processor.
    pub fn new(plan: &Plan, far: Duration) -> Result<Self> {
        processors::pin_this_thread(&beside())?;
        let folder = tempfile::tempdir()?;
        let (started, starting) = mpsc::channel();
        std::thread::Builder::new().name(servers::THREAD.to_owned()).spawn(move || {
            let run = || -> Result<()> {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(async {
                    let _gone = started.send((Servers::start(far).await, tokio::runtime::Handle::current()));
                    std::future::pending::<()>().await;
                });
                Ok(())
            };
            if let Err(error) = run() {
                tracing::error!("the servers ended: {error}");
            }
        })?;
        let (servers, background) = starting.recv().context("the servers did not start")?;
        Ok(Self {
            folder,
            envoy: plan.envoy.clone(),
            filter: plan.filter.clone(),
            only: plan.only.clone(),
            servers: servers?,
            background,
            now: OffsetDateTime::now_utc().unix_timestamp(),
            feeds: RefCell::default(),
            image_bytes: RefCell::default(),
        })
    }

    /// The modules that decide nothing; one of them verifies a token of these callers.
    pub fn floor(&self, callers: &Callers) -> Result<Floor> {
        Floor::write(self.folder.path(), callers.any_token().context("there are no callers")?)
    }

    /// Whether anything that needs this snapshot is measured. One million rows are what everything else stands beside.
    pub fn is_wanted(&self, name: &str) -> bool {
        self.only.is_empty() || name == "portvakt_1m" || self.only.iter().any(|start| name.starts_with(start.as_str()))
    }

    /// Makes a snapshot, feeds it, and gives callers and the filter that enforces it.
    pub fn snapshot(&self, name: &'static str, of: Snapshot) -> Result<(Callers, Portvakt)> {
        eprintln!("{name}: {} rows", of.rows);
        let folder = self.folder.path().join(name);
        std::fs::create_dir_all(&folder)?;
        let files = Published::inside(&folder);
        let shape = Shape::of_rows(of.rows);
        let fast_key = public_key(FAST_KEY)?;
        let publisher = Publisher::at(Timestamp::from_unix_seconds(self.now))?
            .with_document(|document| change(document, of, fast_key));
        publisher.build(shape, &files)?;
        let mut sealed = std::fs::read(&files.head)?;
        let image = std::fs::read(&files.image)?;
        self.image_bytes.borrow_mut().insert(name.to_owned(), image.len() as u64);
        sealed.extend(image);
        let provider = provider().map_err(|error| anyhow!(error))?.to_string();
        let cluster = format!("feed-{name}");
        let feed = self.in_background(async move { feed::serve(&provider, "1.1", sealed).await })?;
        self.feeds.borrow_mut().insert(cluster.clone(), feed);
        let configuration = json!({
            "provider": "generated",
            "gateway": "bench",
            "controlPlane": {"cluster": cluster, "authority": "feed", "credential": "bench"},
            "snapshotKeys": [p256::PublicKey::from_public_key_der(publisher.key_der())?.to_public_key_pem(LineEnding::LF)?],
        });
        let times = Times { now: self.now, validity_seconds: TOKEN_SECONDS };
        let callers = Callers::new(World::new(shape)?, of.tokens, times, of.signer)?;
        let of = Portvakt { name, module: self.filter.clone(), configuration: configuration.to_string() };
        Ok((callers, of))
    }

    /// The same with one more member in its configuration, in VMs of its own.
    pub fn with(&self, name: &'static str, of: &Portvakt, member: &str, value: &str) -> Result<Portvakt> {
        let mut configuration: Value = serde_json::from_str(&of.configuration)?;
        let members = configuration.as_object_mut().context("no configuration")?;
        members.insert(member.to_owned(), serde_json::from_str(value)?);
        Ok(Portvakt { name, configuration: configuration.to_string(), ..of.clone() })
    }

    /// Size of a snapshot.
    pub fn image_megabytes(&self, name: &str) -> Result<f64> {
        let sizes = self.image_bytes.borrow();
        sizes.get(name).map(|bytes| *bytes as f64 / 1e6).with_context(|| format!("there is no snapshot `{name}`"))
    }

    /// Starts Envoy with these listeners, and waits until each of them answers as it will.
    pub async fn envoy(&self, variants: &[Variant], workers: u32, folder: &str) -> Result<Running> {
        let plain = |name: &str, address, is_http2| Cluster { name: name.to_owned(), address, is_http2 };
        let mut clusters = vec![
            bootstrap::api_cluster(self.servers.api),
            plain(HTTP, self.servers.http, false),
            plain(HTTP_FAR, self.servers.http_far, false),
            plain(GRPC, self.servers.grpc, true),
            plain(GRPC_FAR, self.servers.grpc_far, true),
        ];
        clusters.extend(self.feeds.borrow().iter().map(|(name, address)| plain(name, *address, false)));
        let listeners: Vec<_> = variants.iter().map(|variant| variant.listener.clone()).collect();
        let rendered = bootstrap::render(&listeners, &clusters, ISSUER, &issuer_jwk()?, SCOPE);
        let folder = self.folder.path().join(folder);
        let envoy = Running::start(&self.envoy, &rendered, workers, &envoys(), &folder).await?;
        for variant in variants {
            let address = envoy.address(&variant.name)?;
            let request = variant.requests.requests.first().context("no request")?;
            let answers = wait::until("a listener to have its snapshot", LOADED_TIME_MAX, async || {
                let status = load::ask(address, request).await?;
                Ok((status == variant.requests.status).then_some(()))
            });
            answers.await.with_context(|| variant.name.clone()).map_err(|error| envoy.explain(&error))?;
        }
        Ok(envoy)
    }

    fn in_background<T: Send + 'static>(&self, future: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        let (done, waiting) = mpsc::channel();
        self.background.spawn(async move {
            let _gone = done.send(future.await);
        });
        waiting.recv().context("the servers are gone")?
    }
}

fn change(document: &mut Document, of: Snapshot, fast_key: Value) {
    if let Some(issuer) = document.issuers.first_mut() {
        issuer.keys.push(fast_key);
    }
    if let Some(routes) = of.routes {
        let template = document.routes.clone();
        document.routes = (0..routes)
            .zip(template.iter().cycle())
            .map(|(number, route)| {
                let mut route = route.clone();
                if number >= template.len() {
                    route.name = format!("{}-{number}", route.name);
                    route.path = format!("/more-{number}{}", route.path);
                }
                route
            })
            .collect();
    }
    if of.is_shadow {
        for route in &mut document.routes {
            route.mode = ModeDocument::Shadow;
        }
    }
}

/// Processors of Envoy.
fn envoys() -> Vec<usize> {
    vec![0]
}

/// Processors of everything else.
fn beside() -> Vec<usize> {
    let others: Vec<usize> = (1..processors::count()).collect();
    if others.is_empty() { vec![0] } else { others }
}
