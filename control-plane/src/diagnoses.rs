//! Answers to "why?": what a system user may do and through what ([`effective`]), why Maskinporten finds no system user
//! ([`maskinporten`]). Nothing here changes anything.

mod effective;
mod maskinporten;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(effective::handler)).routes(routes!(maskinporten::handler))
}
