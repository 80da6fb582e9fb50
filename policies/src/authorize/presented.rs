//! What a call presents to say who it is, as the route takes it: a bearer token or a session cookie, and an app's token.

use crate::call::{ApiCall, BearerToken, Credentials, NoToken};
use crate::decision::DenialReason;
use crate::route::{ApiRoute, PlatformToken};
use crate::token::TokenError;

/// The token that a call presents.
#[derive(Clone, Copy)]
pub(crate) enum Presented<'call> {
    Bearer(BearerToken<'call>),
    Cookie(&'call [u8]),
}

impl<'call> Presented<'call> {
    /// By which a token that was verified before is known.
    pub(crate) fn bytes(self) -> &'call [u8] {
        match self {
            Self::Bearer(token) => token.bytes(),
            Self::Cookie(token) => token,
        }
    }

    pub(crate) fn text(self) -> Result<&'call str, DenialReason> {
        match self {
            Self::Cookie(token) => std::str::from_utf8(token).map_err(|_| TokenError::Malformed.into()),
            Self::Bearer(token) => token.text().map_err(|problem| match problem {
                NoToken::Repeated => DenialReason::CredentialsRepeated,
                NoToken::NotText => DenialReason::TokenMissing,
            }),
        }
    }
}

/// The call's one bearer token.
fn bearer(call: &ApiCall) -> Result<Presented<'_>, DenialReason> {
    match call.credentials() {
        Credentials::None | Credentials::Other => Err(DenialReason::TokenMissing),
        Credentials::Repeated => Err(DenialReason::CredentialsRepeated),
        Credentials::Bearer(token) => Ok(Presented::Bearer(token)),
    }
}

/// The cookie that Altinn's pages carry their token in.
const SESSION_COOKIE: &str = "AltinnStudioRuntime";
/// Altinn's header for the token of an app.
const PLATFORM_ACCESS_TOKEN: &str = "platformaccesstoken";

/// The call's one token: the bearer token, or where the route takes it the session cookie; never both.
pub(crate) fn credential<'call>(route: &ApiRoute, call: &'call ApiCall) -> Result<Presented<'call>, DenialReason> {
    let Some(origins) = &route.session_cookie else { return bearer(call) };
    match (call.credentials(), call.cookie(SESSION_COOKIE)) {
        (_, Ok(None)) => bearer(call),
        (Credentials::None, Ok(Some(_))) if !call.method().is_safe() && !call.is_from(origins) => {
            Err(DenialReason::OriginNotAllowed)
        }
        (Credentials::None, Ok(Some(token))) => Ok(Presented::Cookie(token)),
        _ => Err(DenialReason::CredentialsRepeated),
    }
}

/// The token came in the session cookie.
pub(super) fn is_in_cookie(route: &ApiRoute, call: &ApiCall) -> bool {
    route.session_cookie.is_some() && matches!(call.credentials(), Credentials::None)
}

/// The token of the app that calls, where the route looks at it.
pub(super) fn platform_credential<'call>(
    route: &ApiRoute,
    call: &'call ApiCall,
) -> Result<Option<&'call str>, DenialReason> {
    if route.platform_token == PlatformToken::Ignored {
        return Ok(None);
    }
    match (call.header(PLATFORM_ACCESS_TOKEN), route.platform_token) {
        (Err(_), _) => Err(DenialReason::PlatformTokenInvalid),
        (Ok(None), PlatformToken::Required) => Err(DenialReason::PlatformTokenMissing),
        (Ok(Some(token)), _) => std::str::from_utf8(token).map(Some).map_err(|_| DenialReason::PlatformTokenInvalid),
        (Ok(None), _) => Ok(None),
    }
}

pub(super) fn platform_refusal(error: TokenError) -> DenialReason {
    match error {
        TokenError::SignatureUnchecked => error.into(),
        _ => DenialReason::PlatformTokenInvalid,
    }
}
