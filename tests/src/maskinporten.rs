//! A stand-in for Maskinporten: a real JWT-bearer grant, on a loopback port, with invented organisations.
//!
//! It stands for a foreign party. So it shares no code with `policies` and `control-plane`: what it gets wrong about
//! tokens, they must not get wrong in the same way. It asks the control plane's look-up over HTTP with a token of its
//! own, exactly as Maskinporten does, and never gives out a system-user token that the look-up did not name.
//!
//! It is also the other issuers a demo needs: `platform`, which signs the tokens of people who have logged in, and `login`,
//! where people log in.
//!
//! Where to look next: `assertion` reads and checks a grant, `token` answers it, `lookup` asks the control plane,
//! `admin` is what tests and the demo turn (register a client, rotate keys), `client` is the vendor's side.

mod admin;
mod assertion;
pub mod client;
mod clients;
mod keys;
pub mod login;
mod lookup;
mod metadata;
mod organization;
mod platform;
mod refusal;
mod state;
mod token;
mod used_assertions;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post, put};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub use keys::{SigningAlgorithm, SigningKey};
pub use organization::OrganizationNumber;
use state::State;

/// Larger than any grant or key set a client sends.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Where the stand-in listens and which organisation it is when it asks the look-up.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub listen: SocketAddr,
    pub organization: OrganizationNumber,
}

/// A running stand-in; it stops when [`Maskinporten::stop`] is awaited or the value is dropped.
#[derive(Debug)]
pub struct Maskinporten {
    base_url: String,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Maskinporten {
    /// Makes the keys, binds the port and serves.
    pub async fn start(options: Options) -> Result<Self> {
        let listener = TcpListener::bind(options.listen)
            .await
            .with_context(|| format!("could not listen on {}", options.listen))?;
        let address = listener.local_addr().context("could not read the address")?;
        let base_url = format!("http://{address}");
        let issuer = format!("{base_url}/");
        let organization = options.organization;
        let state = tokio::task::spawn_blocking(move || State::new(issuer, organization))
            .await
            .context("making the keys was interrupted")??;

        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(
            axum::serve(listener, router(Arc::new(state)))
                .with_graceful_shutdown(async move {
                    // An error means that the handle is gone, which is also a reason to stop.
                    let _handle_dropped = stopped.await;
                })
                .into_future(),
        );
        Ok(Self { base_url, stop: Some(stop), serving })
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Finishes the answers that are under way and frees the port.
    pub async fn stop(mut self) -> Result<()> {
        if let Some(stop) = self.stop.take() {
            // An error means that serving has ended already.
            let _already_stopped = stop.send(());
        }
        self.serving.await.context("the stand-in was interrupted")?.context("the stand-in failed")
    }
}

fn router(state: Arc<State>) -> Router {
    let platform = platform::PATH;
    Router::new()
        .route("/token", post(token::issue))
        .route("/jwk", get(metadata::keys))
        .route("/.well-known/oauth-authorization-server", get(metadata::authorization_server))
        .route(&format!("/{platform}.well-known/openid-configuration"), get(platform::openid_configuration))
        .route(&format!("/{platform}.well-known/openid-configuration/jwks"), get(platform::keys))
        .merge(login::routes())
        .route("/standin/control-plane", put(admin::set_control_plane))
        .route("/standin/clients", post(admin::register_client))
        .route("/standin/rotate-keys", post(admin::rotate_keys))
        .route("/standin/token-lifetime", put(admin::set_token_lifetime))
        .route("/standin/user-token", post(platform::user_token))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(state)
}
