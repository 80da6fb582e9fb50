//! What axum itself can do here: one route that answers as many bytes as the look-up does, and asks nobody.

use anyhow::Result;
use axum::Router;
use axum::http::header;
use axum::routing::get;

use super::load::Target;

const ANSWER: &str = r#"{"id":"00000000-0000-4000-8000-000000000000","integrationTitle":"SmartCloud","productName":"310247030_smartcloud","systemId":"310247030_smartcloud","supplierOrgno":"310247030","supplierName":"","externalRef":"310247049","userType":"standard"}"#;

/// A server in this process.
#[derive(Debug)]
pub struct Bare {
    target: Target,
    serving: tokio::task::JoinHandle<()>,
}

impl Bare {
    /// Listens when this returns.
    pub async fn start() -> Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let target = super::target(listener.local_addr()?, None, vec!["/bare".to_owned()]);
        let app = Router::new().route("/bare", get(async || ([(header::CONTENT_TYPE, "application/json")], ANSWER)));
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                eprintln!("the bare route has ended: {error}");
            }
        });
        Ok(Self { target, serving })
    }

    /// Its address.
    pub fn target(&self) -> &Target {
        &self.target
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
