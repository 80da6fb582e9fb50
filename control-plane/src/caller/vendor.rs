//! A system vendor, known by the `consumer` of its Maskinporten token (raw or exchanged).

use std::marker::PhantomData;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use policies::id::{MaskinportenClientId, OrganizationNumber};

use super::bearer::{require_scope, verified_token};
use crate::problem::{Problem, codes};
use crate::state::AppState;

const REGISTER_ADMIN: &str = "altinn:authentication/systemregister.admin";

/// What a vendor's token must allow.
pub(crate) trait VendorAccess: Send {
    /// Any of these suffices.
    const SCOPES: &[&str];
}

/// Registering and reading the vendor's systems.
#[derive(Debug)]
pub(crate) struct RegisterWrite;

impl VendorAccess for RegisterWrite {
    const SCOPES: &[&str] = &["altinn:authentication/systemregister.write", REGISTER_ADMIN];
}

/// Asking customers for system users.
#[derive(Debug)]
pub(crate) struct RequestWrite;

impl VendorAccess for RequestWrite {
    const SCOPES: &[&str] = &["altinn:authentication/systemuser.request.write"];
}

/// Following what was asked.
#[derive(Debug)]
pub(crate) struct RequestRead;

impl VendorAccess for RequestRead {
    const SCOPES: &[&str] = &["altinn:authentication/systemuser.request.read"];
}

/// Listing a system's system users. Altinn asks for the register's scope here; the scope that reads requests is as good.
#[derive(Debug)]
pub(crate) struct SystemUsersRead;

impl VendorAccess for SystemUsersRead {
    const SCOPES: &[&str] = &[
        "altinn:authentication/systemregister.write",
        REGISTER_ADMIN,
        "altinn:authentication/systemuser.request.read",
    ];
}

/// Reading one system user. Altinn asks for the scope that writes requests; the one that reads them is as good.
#[derive(Debug)]
pub(crate) struct SystemUserQuery;

impl VendorAccess for SystemUserQuery {
    const SCOPES: &[&str] =
        &["altinn:authentication/systemuser.request.write", "altinn:authentication/systemuser.request.read"];
}

/// A vendor whose token allows `A`.
#[derive(Debug)]
pub(crate) struct Vendor<A> {
    organization: OrganizationNumber,
    client_id: Option<MaskinportenClientId>,
    is_register_admin: bool,
    access: PhantomData<A>,
}

impl<A> Vendor<A> {
    pub(crate) fn organization(&self) -> OrganizationNumber {
        self.organization
    }

    /// The OAuth client that the token was issued to.
    pub(crate) fn client_id(&self) -> Option<&MaskinportenClientId> {
        self.client_id.as_ref()
    }

    /// The vendor's own, or any vendor's for the register's administrators.
    pub(crate) fn may_act_for(&self, vendor: OrganizationNumber) -> bool {
        self.is_register_admin || self.organization == vendor
    }
}

impl<A: VendorAccess> FromRequestParts<AppState> for Vendor<A> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let token = verified_token(parts, state).await?;
        require_scope(&token, A::SCOPES)?;
        let organization = token
            .consumer()
            .ok_or_else(|| Problem::new(codes::VENDOR_UNRESOLVED).challenge("Bearer error=\"invalid_token\""))?;
        let is_register_admin = A::SCOPES.contains(&REGISTER_ADMIN) && token.has_scope(REGISTER_ADMIN);
        let client_id = token.client_id().cloned();
        Ok(Self { organization, client_id, is_register_admin, access: PhantomData })
    }
}
