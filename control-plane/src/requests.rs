//! Requests for system users: a vendor asks, the customer decides.
//!
//! [`model`] is the life of a request; [`approve`] is where a system user comes into being. A request is over when the
//! vendor has withdrawn it, or the customer has withdrawn the system user that came of it ([`current`]).

mod approve;
mod create;
mod current;
mod get;
pub(crate) mod model;
mod reject;
mod store;
mod withdraw;

use axum::Router;
use axum::routing::{get, post};

use crate::state::AppState;

pub(crate) fn routes() -> Router<AppState> {
    const BASE: &str = "/authentication/api/v1/systemuser/request";
    Router::new()
        .route(&format!("{BASE}/vendor"), post(create::handler))
        .route(&format!("{BASE}/vendor/{{request_id}}"), get(get::for_vendor).delete(withdraw::handler))
        .route(
            &format!("{BASE}/vendor/byexternalref/{{system_id}}/{{organization}}/{{external_ref}}"),
            get(get::for_vendor_by_reference),
        )
        .route(&format!("{BASE}/{{party}}/{{request_id}}"), get(get::for_party))
        .route(&format!("{BASE}/{{party}}/{{request_id}}/approve"), post(approve::handler))
        .route(&format!("{BASE}/{{party}}/{{request_id}}/reject"), post(reject::handler))
}
