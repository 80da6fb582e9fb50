//! A vendor about what is its own, or an operator about everything.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use policies::id::OrganizationNumber;

use super::{Operator, RequestRead, Vendor};
use crate::problem::Problem;
use crate::state::AppState;

/// The vendor, or `None` for an operator.
#[derive(Debug)]
pub(crate) struct VendorOrOperator(Option<Vendor<RequestRead>>);

impl VendorOrOperator {
    pub(crate) fn may_ask_about(&self, vendor: OrganizationNumber) -> bool {
        self.0.as_ref().is_none_or(|caller| caller.may_act_for(vendor))
    }
}

impl FromRequestParts<AppState> for VendorOrOperator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        if Operator::from_request_parts(parts, state).await.is_ok() {
            return Ok(Self(None));
        }
        Ok(Self(Some(Vendor::from_request_parts(parts, state).await?)))
    }
}
