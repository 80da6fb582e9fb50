//! What an approver may pass on to a system user: every right, action by action, and every access package of what is asked
//! for, each with its reasons ([`model`]).
//!
//! [`check`] is the one way to find out, for everything that gives a system user something: approvals, changes, dry runs.
//! It stores nothing. Whoever gives something calls [`require_delegable`] in the same transaction: all of it can be passed on,
//! or nothing is; and [`compile_policies`] before it begins.

mod check;
pub(crate) mod model;
mod of_access_packages;
mod of_resource;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;

pub(crate) use crate::decisions::passing_on::compile as compile_policies;
pub(crate) use check::{check, require_delegable};

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(of_resource::handler)).routes(routes!(of_access_packages::handler))
}
