//! One call, one policy, one instant: one decision.
//!
//! The steps and their order are the product's: policy, route, token, subject, party, right, obligations. The route comes
//! first because the audience and scopes to demand hang on it; the right comes last, so that a caller without a valid
//! token learns nothing about rights. Each step has its own reasons to deny, and none can be skipped: a step's result is
//! the next step's argument.

use crate::Timestamp;
use crate::call::{ApiCall, CallError, Credentials};
use crate::decision::{Basis, Decision, Denial, DenialReason, Permit, RightHeld};
use crate::id::{AccessPackage, ActionId, MaskinportenClientId, OrganizationNumber, ResourceId, SystemId};
use crate::policy_set::PolicySet;
use crate::right::Right;
use crate::route::{ApiRoute, Mode, PartySource};
use crate::snapshot::{HeldThrough, Image, ObligationView, RightIndex, SystemUserIndex};
use crate::token::{self, Caller, SystemUserClaim, VerifiedToken, VerifySignature};
use crate::urn;

/// Decides one call.
///
/// The same policy, call and instant give the same decision in every host; `signatures` only says how signatures are
/// checked, not which count.
pub fn authorize(policy: &PolicySet, call: &ApiCall, now: Timestamp, signatures: &dyn VerifySignature) -> Decision {
    let image = match policy.image(now) {
        Ok(image) => image,
        Err(trouble) => return deny(trouble),
    };
    let route = match find_route(image, call) {
        Ok(route) => route,
        Err(reason) => return deny(reason),
    };
    let basis = match route.mode {
        Mode::Off => Basis::RouteOff,
        Mode::Enforce => match decide(image, route, call, now, signatures) {
            Ok(basis) => basis,
            Err(denial) => return Decision::Denial(named(denial, route)),
        },
        Mode::Shadow => {
            decide(image, route, call, now, signatures).unwrap_or_else(|denial| Basis::Shadow(named(denial, route)))
        }
    };
    Decision::Permit(Box::new(Permit { route: route.name.clone(), basis }))
}

/// The most specific route that takes the call. Where a still more specific one would take it on a server that ignores
/// letter case or a trailing slash, it is not clear which right the call needs.
fn find_route<'image>(image: &'image Image, call: &ApiCall) -> Result<&'image ApiRoute, DenialReason> {
    let routes = image.routes();
    let position = routes.iter().position(|route| route.matches(call)).ok_or(DenialReason::NoRoute)?;
    let (more_specific, rest) = routes.split_at(position);
    if more_specific.iter().any(|route| route.nearly_matches(call)) {
        return Err(CallError::PathAmbiguous.into());
    }
    rest.first().ok_or(DenialReason::NoRoute)
}

fn deny(reason: impl Into<DenialReason>) -> Decision {
    Decision::Denial(Box::new(Denial::new(reason.into())))
}

fn named(mut denial: Box<Denial>, route: &ApiRoute) -> Box<Denial> {
    denial.route = Some(route.name.clone());
    denial
}

fn decide(
    image: &Image,
    route: &ApiRoute,
    call: &ApiCall,
    now: Timestamp,
    signatures: &dyn VerifySignature,
) -> Result<Basis, Box<Denial>> {
    let token = verified_token(image, call, now, signatures).map_err(|reason| Box::new(Denial::new(reason)))?;
    check_route_demands(route, &token)?;
    let Caller::SystemUser(claim) = token.caller() else {
        return Ok(Basis::CallerKind { organization: token.consumer() });
    };
    let asked = Asked { right: right(image, route.right), claim };
    let subject = subject(image, &token, claim).map_err(|reason| asked.denial(reason, None))?;
    let party = party(route, call, claim).map_err(|reason| asked.denial(reason, None))?;
    let held = image
        .row(subject.user, party.as_u32())
        .ok_or(DenialReason::PartyNotRepresented)
        .and_then(|set| image.held_through(set, route.right).ok_or(DenialReason::RightMissing))
        .map_err(|reason| asked.denial(reason, Some(party)))?;
    check_obligations(image, route.right, held, &token).map_err(|(reason, level)| {
        let mut denial = asked.denial(reason, Some(party));
        denial.level_required = level;
        denial
    })?;
    let access_package = match held {
        HeldThrough::Direct => None,
        // A loaded image has checked the name.
        HeldThrough::AccessPackage(name) => {
            Some(AccessPackage::from_name(name).map_err(|_| asked.denial(DenialReason::RightMissing, Some(party)))?)
        }
    };
    // A loaded image has a right for every route.
    let right = asked.right.clone().ok_or_else(|| asked.denial(DenialReason::RightMissing, Some(party)))?;
    Ok(Basis::Right(Box::new(RightHeld {
        system_user: claim.id,
        owner: claim.owner,
        party,
        system: subject.system,
        vendor: subject.vendor,
        client: subject.client,
        right,
        access_package,
    })))
}

/// What a system user asked for, to be told when it is refused.
struct Asked<'token> {
    right: Option<Right>,
    claim: &'token SystemUserClaim,
}

impl Asked<'_> {
    fn denial(&self, reason: DenialReason, party: Option<OrganizationNumber>) -> Box<Denial> {
        let right = self.right.clone();
        Box::new(Denial { system_user: Some(self.claim.id), party, right, ..Denial::new(reason) })
    }
}

fn verified_token(
    image: &Image,
    call: &ApiCall,
    now: Timestamp,
    signatures: &dyn VerifySignature,
) -> Result<VerifiedToken, DenialReason> {
    match call.credentials() {
        Credentials::None | Credentials::Other => Err(DenialReason::TokenMissing),
        Credentials::Repeated => Err(DenialReason::CredentialsRepeated),
        Credentials::Bearer(token) => Ok(token::verify(token, image.issuers(), now, signatures)?),
    }
}

/// Audience, kind of caller, scopes.
fn check_route_demands(route: &ApiRoute, token: &VerifiedToken) -> Result<(), Box<Denial>> {
    // A token that names audiences is for those alone (RFC 7519 section 4.1.3), also where the route asks for none.
    let audiences = token.audiences();
    let meant = audiences.iter().any(|audience| route.audiences.contains(audience));
    let asked = !audiences.is_empty() || !route.audiences.is_empty();
    if asked && !meant {
        return Err(Box::new(Denial::new(DenialReason::AudienceMismatch)));
    }
    if !route.callers.contains(token.caller()) {
        return Err(Box::new(Denial::new(DenialReason::CallerNotAllowed)));
    }
    let missing: Vec<_> = route.scopes.iter().filter(|scope| !token.has_scope(scope)).cloned().collect();
    if !missing.is_empty() {
        return Err(Box::new(Denial { scopes: missing, ..Denial::new(DenialReason::ScopeMissing) }));
    }
    Ok(())
}

/// A system user that is what its token says it is.
struct Subject {
    user: SystemUserIndex,
    system: SystemId,
    vendor: OrganizationNumber,
    client: MaskinportenClientId,
}

/// The system user is active, owned by the organisation in the token, and of a system that the token's vendor and client
/// belong to.
fn subject(image: &Image, token: &VerifiedToken, claim: &SystemUserClaim) -> Result<Subject, DenialReason> {
    let user = image.system_user(claim.id).ok_or_else(|| {
        if image.is_withdrawn(claim.id) { DenialReason::SystemUserWithdrawn } else { DenialReason::SystemUserUnknown }
    })?;
    if image.owner(user) != Some(claim.owner.as_u32()) {
        return Err(DenialReason::OwnerMismatch);
    }
    let view = image.system(user).ok_or(DenialReason::SystemMismatch)?;
    let system = SystemId::parse(view.id).map_err(|_| DenialReason::SystemMismatch)?;
    if claim.system.as_ref().is_some_and(|named| *named != system) {
        return Err(DenialReason::SystemMismatch);
    }
    let vendor = token.consumer().filter(|vendor| vendor.as_u32() == view.vendor);
    let client = token.client_id().filter(|client| view.has_client(&client.folded()));
    Ok(Subject {
        user,
        system,
        vendor: vendor.ok_or(DenialReason::VendorMismatch)?,
        client: client.cloned().ok_or(DenialReason::ClientMismatch)?,
    })
}

/// The organisation that the call acts for.
fn party(route: &ApiRoute, call: &ApiCall, claim: &SystemUserClaim) -> Result<OrganizationNumber, DenialReason> {
    let named = match &route.party {
        PartySource::Owner => return Ok(claim.owner),
        PartySource::Path(position) => call.segments().get(*position).cloned(),
        PartySource::Header(name) => {
            call.header(name).map_err(|_| DenialReason::PartyInvalid)?.map(|value| value.trim_matches(' ').to_owned())
        }
        PartySource::Query(name) => call.query_parameter(name).map_err(|_| DenialReason::PartyInvalid)?,
    };
    let named = named.ok_or(DenialReason::PartyMissing)?;
    let organization_urn = named.strip_prefix(urn::ORGANIZATION_NUMBER).and_then(|rest| rest.strip_prefix(':'));
    let number = organization_urn.or_else(|| named.strip_prefix(urn::ISO6523_PREFIX)).unwrap_or(&named);
    OrganizationNumber::parse(number).map_err(|_| DenialReason::PartyInvalid)
}

fn check_obligations(
    image: &Image,
    right: RightIndex,
    held: HeldThrough<'_>,
    token: &VerifiedToken,
) -> Result<(), (DenialReason, Option<u8>)> {
    let unknown = (DenialReason::ObligationUnknown, None);
    for obligation in image.obligations(right, held).ok_or(unknown)? {
        match obligation {
            ObligationView::MinimumAuthenticationLevel(level) => {
                if u32::from(token.authentication_level()) < level {
                    return Err((DenialReason::AuthenticationLevelTooLow, u8::try_from(level).ok()));
                }
            }
            ObligationView::Unknown => return Err(unknown),
        }
    }
    Ok(())
}

fn right(image: &Image, index: RightIndex) -> Option<Right> {
    let (resource, action) = image.right(index)?;
    Some(Right { resource: ResourceId::parse(resource).ok()?, action: ActionId::parse(action).ok()? })
}
