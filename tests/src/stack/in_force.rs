//! What the operator sees: which version is in force where.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::cast;
use super::platform::{OPERATOR_SCOPE, Platform};
use crate::wait;

const EVERYWHERE_SECONDS_MAX: u64 = 30;

/// One version, in force in every worker of a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    pub version: String,
    pub workers: usize,
}

#[derive(Debug, Deserialize)]
struct WorkerReport {
    gateway: String,
    version: Option<String>,
}

impl Platform {
    /// Waits until every worker of the gateway has reported the newest version, as the operator's list shows it.
    pub async fn newest_in_force(&self, gateway: &str) -> Result<InForce> {
        let newest = self.published_version().await?;
        let api = self.api_as(&self.operator, OPERATOR_SCOPE).await?;
        let path = format!("/portvakt/v1/providers/{}/gateways", cast::PROVIDER_ID);
        let what = format!("version {newest} to be in force in every worker of {gateway}");
        let workers = wait::until(&what, Duration::from_secs(EVERYWHERE_SECONDS_MAX), async || {
            let list = api.get(&path).await?.expect(200)?;
            let list: Vec<WorkerReport> = serde_json::from_str(&list.body).context("the list of workers")?;
            let workers: Vec<_> = list.iter().filter(|report| report.gateway == gateway).collect();
            let all = workers.iter().all(|report| report.version.as_deref() == Some(&newest));
            Ok((all && !workers.is_empty()).then_some(workers.len()))
        })
        .await?;
        Ok(InForce { version: newest, workers })
    }

    /// The version that the feed gives out now, asked for as a gateway asks.
    async fn published_version(&self) -> Result<String> {
        let feed = self.api()?.with_token(&self.gateway_credential);
        let answer = feed.get(&format!("/snapshots/{}", cast::PROVIDER_ID)).await?.expect(200)?;
        let tag = answer.header("etag").context("the snapshot has no version")?;
        Ok(tag.trim_matches('"').to_owned())
    }
}
