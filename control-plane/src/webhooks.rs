//! Webhooks: the events of [`crate::events`], sent to a vendor's own address, signed as Standard Webhooks says.
//!
//! Each webhook has a cursor, so deliveries are in order, survive a restart, and repeat an event rather than lose it
//! (`webhook-id` stays the same). [`deliver`] sends, [`signature`] signs, [`addresses`] keeps us from being sent to our own
//! neighbours. The secret is shown once.

mod addresses;
mod create;
mod delete;
mod deliver;
mod enable;
mod list;
pub(crate) mod model;
mod signature;
mod store;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;

pub(crate) use deliver::{Sender, keep_delivered};

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list::handler, create::handler))
        .routes(routes!(delete::handler))
        .routes(routes!(enable::handler))
}
