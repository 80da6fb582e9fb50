//! What `sslmode` in the URL does, as the server sees it.

use std::str::FromStr as _;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// "May we speak TLS?" in PostgreSQL's protocol: length and code (section 55.7 of its manual).
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// First byte of a TLS handshake (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;
/// First byte of a message in the clear: its length is far below 2^24.
const CLEAR: u8 = 0;

/// The first eight bytes that a server gets, and the one that follows its answer to them.
async fn first_bytes(mode: &str, answer: u8) -> ([u8; 8], Option<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut asked, mut next) = ([0; 8], [0; 1]);
        stream.read_exact(&mut asked).await.unwrap();
        stream.write_all(&[answer]).await.unwrap();
        let count = stream.read(&mut next).await.unwrap_or(0);
        (asked, (count > 0).then_some(next[0]))
    });
    let options = PgConnectOptions::from_str(&format!("postgres://u@{address}/d?sslmode={mode}")).unwrap();
    assert!(PgConnection::connect_with(&options).await.is_err());
    server.await.unwrap()
}

#[tokio::test]
async fn sslmode_is_kept() {
    let _chosen_before = rustls::crypto::ring::default_provider().install_default();
    for mode in ["prefer", "require", "verify-ca", "verify-full"] {
        assert_eq!(first_bytes(mode, b'S').await, (SSL_REQUEST, Some(HANDSHAKE)), "{mode}");
    }
    assert_eq!(first_bytes("prefer", b'N').await, (SSL_REQUEST, Some(CLEAR)));
    for mode in ["require", "verify-ca", "verify-full"] {
        assert_eq!(first_bytes(mode, b'N').await, (SSL_REQUEST, None), "{mode}");
    }
    assert_ne!(first_bytes("disable", b'S').await.0, SSL_REQUEST);
}
