//! Approvals one after the other, each watched by a gateway that holds a poll.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::world::{self, World};

/// For each approval …
#[derive(Debug, Default)]
pub struct Approvals {
    /// how long the customer waited,
    pub answered: Vec<Duration>,
    /// and how long after that answer, which follows the database's commit at once, the gateway had the change.
    pub published_after: Vec<Duration>,
}

/// A vendor asks, the customer approves, and a gateway gets what has changed.
pub async fn run(world: &World, count: u32) -> Result<Approvals> {
    let (vendor, customer) = (world.vendor().await?, world.customer().await?);
    let mut ids = Vec::new();
    for number in 0..count {
        let request = json!({
            "integrationTitle": "bench", "systemId": world::SYSTEM, "partyOrgNo": world::CUSTOMER,
            "externalRef": format!("bench {number}"),
            "rights": [{ "resource": [{ "id": "urn:altinn:resource", "value": "vat" }] }],
        });
        let answer =
            vendor.post("/authentication/api/v1/systemuser/request/vendor", request).await?.expect(201)?.json()?;
        ids.push(answer.get("id").and_then(Value::as_str).context("no id")?.to_owned());
    }
    let mut approvals = Approvals::default();
    let mut version = world.poll(None).await?;
    for id in ids {
        let poll = {
            let gateway = world.gateway();
            tokio::spawn(async move { gateway.poll(Some(&version)).await.map(|version| (version, Instant::now())) })
        };
        // The poll is held once the gateway has been seen to ask.
        world.wait_for_held_poll().await?;
        let begun = Instant::now();
        let path = format!("/authentication/api/v1/systemuser/request/{}/{id}/approve", world::CUSTOMER_PARTY);
        customer.post(&path, json!({})).await?.expect(200)?;
        let answered = Instant::now();
        let (next, published) = poll.await??;
        version = next;
        approvals.answered.push(answered - begun);
        approvals.published_after.push(published.saturating_duration_since(answered));
    }
    Ok(approvals)
}
