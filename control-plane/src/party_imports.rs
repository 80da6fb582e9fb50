//! How the register of parties comes in: whole bodies ([`put`]), numbered events ([`events`]) or a file ([`file`]).
//!
//! All of them go through [`import`], which also lets fall, in the same transaction, what had been passed on along a relation
//! that is no more. What is kept is the business of [`crate::parties`].

mod body;
mod events;
pub(crate) mod file;
mod import;
mod position;
mod put;
mod store;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;

pub(crate) use events::SEQUENCE_MAX;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(put::handler))
        .routes(routes!(events::handler))
        .routes(routes!(position::get, position::put))
}
