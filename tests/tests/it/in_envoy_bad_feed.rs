//! What comes from the control plane is damaged, foreign or old: refused and counted, and the last good policy stays.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use gateway_tests::http::loopback_client;
use gateway_tests::stack::cast::{FJORDBAKERIET, ROERLEGGER, vat_path};
use gateway_tests::stack::{Gateway, GatewayOptions};
use gateway_tests::story::moves::{self, Wanted};
use gateway_tests::wait;
use tokio::net::TcpListener;

use crate::in_envoy_stage::Stage;

/// Stands between the gateway and the control plane: hands on what comes, or gives something else in its place.
#[derive(Clone)]
struct Meddler {
    control_plane: String,
    instead: Arc<Mutex<Option<Vec<u8>>>>,
    given: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<Bytes>>>,
}

impl Meddler {
    async fn start(control_plane: String) -> (Self, SocketAddr) {
        let meddler = Self { control_plane, instead: Arc::default(), given: Arc::default(), seen: Arc::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().fallback(meddle).with_state(meddler.clone());
        tokio::spawn(axum::serve(listener, app).into_future());
        (meddler, address)
    }

    fn give(&self, body: Option<Vec<u8>>) {
        *self.instead.lock().unwrap() = body;
    }

    /// All the snapshots that went through, oldest first.
    fn seen(&self) -> Vec<Bytes> {
        self.seen.lock().unwrap().clone()
    }
}

async fn meddle(State(meddler): State<Meddler>, request: Request) -> Response {
    let instead = meddler.instead.lock().unwrap().clone();
    if let Some(body) = instead {
        meddler.given.fetch_add(1, Ordering::SeqCst);
        return (StatusCode::OK, [("etag", "\"9.9\"")], body).into_response();
    }
    let path = request.uri().path_and_query().unwrap().as_str();
    let mut forwarded = loopback_client().unwrap().get(format!("{}{path}", meddler.control_plane));
    for name in ["authorization", "if-none-match", "prefer"] {
        if let Some(value) = request.headers().get(name) {
            forwarded = forwarded.header(name, value);
        }
    }
    let Ok(answer) = forwarded.send().await else { return StatusCode::BAD_GATEWAY.into_response() };
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = answer.bytes().await.unwrap();
    if status == StatusCode::OK {
        meddler.seen.lock().unwrap().push(body.clone());
    }
    let mut handed_on = (status, body).into_response();
    for name in ["etag", "content-type", "retry-after"] {
        if let Some(value) = headers.get(name) {
            handed_on.headers_mut().insert(name, value.clone());
        }
    }
    handed_on
}

/// Waits until the gateway has been given it twice, so that it has dealt with the first, and looks that calls are decided
/// as before.
async fn check_without_effect(gateway: &Gateway, meddler: &Meddler, what: &str, token: &str) {
    let before = meddler.given.load(Ordering::SeqCst);
    wait::until(&format!("{what} to be taken twice"), Duration::from_secs(30), async || {
        gateway.get(&vat_path(ROERLEGGER), Some(token)).await?.expect(200)?;
        Ok((meddler.given.load(Ordering::SeqCst) >= before + 2).then_some(()))
    })
    .await
    .unwrap();
    check_decisions(gateway, what, token).await;
}

/// Waits until the gateway has refused a further snapshot, and looks that calls are decided as before.
async fn check_refused(gateway: &Gateway, what: &str, token: &str) {
    let before = gateway.count("portvakt.snapshot.refused").await.unwrap();
    wait::until(&format!("{what} to be refused"), Duration::from_secs(30), async || {
        gateway.get(&vat_path(ROERLEGGER), Some(token)).await?.expect(200)?;
        Ok((gateway.count("portvakt.snapshot.refused").await? > before).then_some(()))
    })
    .await
    .unwrap();
    check_decisions(gateway, what, token).await;
}

async fn check_decisions(gateway: &Gateway, what: &str, token: &str) {
    gateway.get(&vat_path(ROERLEGGER), Some(token)).await.unwrap().expect(200).unwrap();
    let refused = gateway.get(&vat_path(FJORDBAKERIET), Some(token)).await.unwrap().expect(403).unwrap();
    assert_eq!(refused.code(), "party_not_represented", "{what}");
}

#[tokio::test]
async fn a_snapshot_is_whole_or_refused_and_the_last_good_one_stays() {
    let stage = Stage::set().await;
    let (meddler, address) = Meddler::start(stage.platform.control_plane.base_url()).await;
    let options =
        GatewayOptions { workers: 1, poll_seconds: 1, control_plane: Some(address), ..GatewayOptions::default() };
    let gateway = stage.gateway_with(options).await;
    gateway.get("/", None).await.unwrap().expect(403).unwrap();
    let older = meddler.seen().first().unwrap().to_vec();
    let (_, token) = moves::system_user_of(&stage.platform, ROERLEGGER, Wanted::Vat).await.unwrap();
    let token = token.access_token;
    moves::first_permit(&gateway, &vat_path(ROERLEGGER), &token).await.unwrap();
    let good = meddler.seen().last().unwrap().to_vec();
    assert_ne!(older, good);
    assert_eq!(gateway.count("portvakt.snapshot.refused").await.unwrap(), 0);

    let flipped = |position: usize| {
        let mut body = good.clone();
        body[position] ^= 1;
        body
    };
    let damaged = [
        ("nothing", Vec::new()),
        ("a page of HTML", b"<html>502 Bad Gateway</html>".repeat(100)),
        ("a snapshot cut off", good[..good.len() / 2].to_vec()),
        ("a snapshot with something after it", [good.as_slice(), b"x"].concat()),
        ("a snapshot with another first byte", flipped(0)),
        ("a snapshot with another last byte", flipped(good.len() - 1)),
        ("a snapshot with another byte in the middle", flipped(good.len() / 2)),
    ];
    for (what, body) in damaged {
        meddler.give(Some(body));
        check_refused(&gateway, what, &token).await;
    }

    // The base that is under what is in force: good, and known.
    meddler.give(Some(older));
    check_without_effect(&gateway, &meddler, "an older snapshot", &token).await;

    meddler.give(None);
    let (_, theirs) = moves::system_user_of(&stage.platform, FJORDBAKERIET, Wanted::Vat).await.unwrap();
    moves::first_permit(&gateway, &vat_path(FJORDBAKERIET), &theirs.access_token).await.unwrap();
}
