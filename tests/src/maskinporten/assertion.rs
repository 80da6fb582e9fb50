//! From an assertion (a JWT a client signed) to a grant: who asks, for which scopes, for whose system user.
//!
//! The order is: form, client, key, signature, claims, reuse, scopes, `authorization_details`. Nothing from an unproven
//! assertion is believed except the client id, which is only used to find the key that must have signed it.

use std::collections::BTreeSet;

use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::{Header, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::Value;

use super::clients::{Clients, GRANT_ALGORITHMS, RegisteredClient};
use super::organization::{Iso6523, OrganizationNumber};
use super::refusal::GrantRefusal;
use super::used_assertions::{Use, UsedAssertions};

const ASSERTION_BYTES_MAX: usize = 16 * 1024;
const LIFETIME_SECONDS_MAX: i64 = 120;
const CLOCK_SKEW_SECONDS: i64 = 10;
const JTI_BYTES_MAX: usize = 255;
const EXTERNAL_REFERENCE_BYTES_MAX: usize = 255;
const SYSTEM_USER_TYPE: &str = "urn:altinn:systemuser";

/// What a client has proven and asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) client_id: String,
    /// The organisation that registered the client.
    pub(super) organization: OrganizationNumber,
    /// As asked for, without repetition; at least one.
    pub(super) scopes: Vec<String>,
    /// Absent: a token for the organisation itself.
    pub(super) system_user: Option<SystemUserOf>,
}

/// Whose system user is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SystemUserOf {
    pub(super) owner: OrganizationNumber,
    pub(super) external_ref: Option<String>,
}

/// Members that are absent stay absent, so that each has its own refusal.
#[derive(Debug, Deserialize)]
struct Claims {
    iss: Option<Value>,
    aud: Option<Value>,
    iat: Option<Value>,
    exp: Option<Value>,
    jti: Option<Value>,
    scope: Option<Value>,
    authorization_details: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthorizationDetail {
    #[serde(rename = "type")]
    kind: String,
    systemuser_org: Iso6523,
    #[serde(rename = "externalRef")]
    external_ref: Option<String>,
}

/// Checks the assertion against everything but the look-up, and notes that it is used.
pub(super) fn accept(
    assertion: &str,
    issuer: &str,
    clients: &Clients,
    used: &mut UsedAssertions,
    now: i64,
) -> Result<Grant, GrantRefusal> {
    if assertion.len() > ASSERTION_BYTES_MAX {
        return Err(GrantRefusal::invalid_request("Invalid assertion. It is too long"));
    }
    let header =
        decode_header(assertion).map_err(|_| GrantRefusal::invalid_request("Invalid assertion. It is not a JWT"))?;
    let (client, claims) = authenticate(assertion, &header, clients)?;
    check_audience(&claims, issuer)?;
    let expires = check_times(&claims, now)?;
    let jti = text(claims.jti.as_ref(), "jti")?;
    if jti.is_empty() || jti.len() > JTI_BYTES_MAX {
        return Err(invalid_claim("jti"));
    }
    match used.note(&client.id, jti, expires, now) {
        Use::First => (),
        Use::Full => return Err(GrantRefusal::unavailable("Too many grants at once")),
        Use::Repeated => return Err(GrantRefusal::used_before()),
    }
    Ok(Grant {
        client_id: client.id.clone(),
        organization: client.organization,
        scopes: check_scopes(&claims, &client.scopes)?,
        system_user: claims.authorization_details.map(read_authorization_details).transpose()?,
    })
}

fn authenticate<'clients>(
    assertion: &str,
    header: &Header,
    clients: &'clients Clients,
) -> Result<(&'clients RegisteredClient, Claims), GrantRefusal> {
    let refuse = GrantRefusal::client_authentication;
    if !GRANT_ALGORITHMS.contains(&header.alg) {
        return Err(refuse("Invalid JWT header alg"));
    }
    if header.crit.is_some() {
        return Err(refuse("Invalid JWT header crit"));
    }
    let key_id = header.kid.as_deref().ok_or_else(|| refuse("Missing JWT header kid"))?;
    let unproven = insecure_decode_claims::<Claims>(assertion)
        .map_err(|_| GrantRefusal::invalid_request("Invalid assertion. Its claims cannot be read"))?;
    let client = text(unproven.iss.as_ref(), "iss")
        .ok()
        .and_then(|client_id| clients.find(client_id))
        .ok_or_else(|| refuse("Client not found"))?;
    let key = client.key(key_id).ok_or_else(|| refuse("Unknown key id"))?;
    if key.algorithm.is_some_and(|algorithm| algorithm != header.alg) {
        return Err(refuse("Invalid JWT header alg"));
    }
    let proven = decode::<Claims>(assertion, &key.key, &signature_only(header))
        .map_err(|_| refuse("Could not validate JWT signature"))?;
    Ok((client, proven.claims))
}

/// Claims are checked here, each with its own refusal; the library checks the signature.
fn signature_only(header: &Header) -> Validation {
    let mut validation = Validation::new(header.alg);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}

fn check_audience(claims: &Claims, issuer: &str) -> Result<(), GrantRefusal> {
    let audience = match claims.aud.as_ref() {
        Some(Value::Array(audiences)) if audiences.len() == 1 => audiences.first(),
        other => other,
    };
    if text(audience, "aud")? != issuer {
        return Err(GrantRefusal::client_authentication("Invalid JWT claim aud"));
    }
    Ok(())
}

/// The instant the assertion expires, when it may be used now.
fn check_times(claims: &Claims, now: i64) -> Result<i64, GrantRefusal> {
    let issued = seconds(claims.iat.as_ref(), "iat")?;
    let expires = seconds(claims.exp.as_ref(), "exp")?;
    if issued > now + CLOCK_SKEW_SECONDS {
        return Err(GrantRefusal::invalid_claim("JWT claim iat is in the future"));
    }
    if expires <= now {
        return Err(GrantRefusal::invalid_claim("JWT is expired"));
    }
    if expires <= issued || expires - issued > LIFETIME_SECONDS_MAX {
        return Err(GrantRefusal::invalid_claim(&format!(
            "exp - iat must be between 1 and {LIFETIME_SECONDS_MAX} seconds"
        )));
    }
    Ok(expires)
}

fn check_scopes(claims: &Claims, allowed: &BTreeSet<String>) -> Result<Vec<String>, GrantRefusal> {
    let asked = claims.scope.as_ref().and_then(Value::as_str).unwrap_or_default();
    let mut scopes: Vec<String> = Vec::new();
    for scope in asked.split_ascii_whitespace() {
        if !allowed.contains(scope) {
            return Err(GrantRefusal::invalid_scope("Token request contains invalid scopes for client"));
        }
        if !scopes.iter().any(|known| known == scope) {
            scopes.push(scope.to_owned());
        }
    }
    if scopes.is_empty() {
        return Err(GrantRefusal::invalid_scope("Token request contains no scope"));
    }
    Ok(scopes)
}

fn read_authorization_details(details: Value) -> Result<SystemUserOf, GrantRefusal> {
    let refuse = GrantRefusal::authorization_details;
    let details: Vec<AuthorizationDetail> = serde_json::from_value(details)
        .map_err(|error| refuse(format!("authorization_details cannot be read: {error}")))?;
    let [detail] = <[AuthorizationDetail; 1]>::try_from(details)
        .map_err(|_| refuse("authorization_details must have exactly one entry".into()))?;
    if detail.kind != SYSTEM_USER_TYPE {
        return Err(refuse(format!("the type must be `{SYSTEM_USER_TYPE}`")));
    }
    let owner = detail.systemuser_org.organization().map_err(|reason| refuse(format!("systemuser_org: {reason}")))?;
    if let Some(reference) = &detail.external_ref
        && (reference.is_empty() || reference.len() > EXTERNAL_REFERENCE_BYTES_MAX)
    {
        return Err(refuse(format!("externalRef has 1 to {EXTERNAL_REFERENCE_BYTES_MAX} bytes")));
    }
    Ok(SystemUserOf { owner, external_ref: detail.external_ref })
}

fn text<'value>(value: Option<&'value Value>, name: &str) -> Result<&'value str, GrantRefusal> {
    value.and_then(Value::as_str).ok_or_else(|| invalid_claim(name))
}

fn seconds(value: Option<&Value>, name: &str) -> Result<i64, GrantRefusal> {
    // A range in which sums and differences of instants cannot overflow.
    value
        .and_then(Value::as_i64)
        .filter(|instant| (0..=i64::from(u32::MAX)).contains(instant))
        .ok_or_else(|| invalid_claim(name))
}

fn invalid_claim(name: &str) -> GrantRefusal {
    GrantRefusal::invalid_claim(&format!("Missing or invalid JWT claim {name}"))
}

#[cfg(test)]
mod tests;
