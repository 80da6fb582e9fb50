//! Who calls, as types: a handler that takes a [`Vendor`] cannot run for anybody else.
//!
//! Extraction *is* the check. 401 says that the token (or credential) does not stand, 403 that it stands and does not
//! suffice. Nothing else in this crate reads the `Authorization` header or the
//! session's cookie.

mod authorizer;
mod bearer;
pub(crate) mod cookie;
mod gateway;
mod internal_or_platform;
mod maskinporten;
mod operator;
mod party_access;
mod platform;
mod provider_administrator;
mod resource_owner;
mod session;
mod system_user;
mod vendor;
mod vendor_or_operator;

pub(crate) use crate::hash::sha256_hex;
pub(crate) use authorizer::Authorizer;
pub(crate) use bearer::{claims_of_standing, require_scope_prefix, require_token, token_to_exchange};
pub(crate) use gateway::Gateway;
pub(crate) use internal_or_platform::InternalOrPlatform;
pub(crate) use maskinporten::Maskinporten;
pub(crate) use operator::Operator;
pub(crate) use party_access::{
    AccessManagementRead, AccessManagementWrite, AccessManagementWriteInQuery, ClientAdministrationRead,
    ClientAdministrationWrite, ClientDelegationRead, ClientDelegationWrite, PartyAccess, PartyOperation, Person,
    PortalUser, SystemUserOverviewRead, party_of_query,
};
pub(crate) use platform::Platform;
pub(crate) use provider_administrator::ProviderAdministrator;
pub(crate) use resource_owner::ResourceOwner;
pub(crate) use session::{OwnToken, session_of};
pub(crate) use system_user::SystemUserCaller;
pub(crate) use vendor::{RegisterWrite, RequestRead, RequestWrite, SystemUserQuery, SystemUsersRead, Vendor};
pub(crate) use vendor_or_operator::VendorOrOperator;
