//! One call, one policy, one instant: one decision.
//!
//! The steps and their order are the product's: policy, route, token, subject, party, right, obligations. The route comes
//! first because the audience and scopes to demand hang on it; the right comes last, so that a caller without a valid
//! token learns nothing about rights. Each step has its own reasons to deny, and none can be skipped: a step's result is
//! the next step's argument.

mod presented;

use std::borrow::Cow;
use std::hash::BuildHasher;
use std::sync::Arc;

use crate::Timestamp;
use crate::call::{ApiCall, CallError};
use crate::decision::{
    Basis, Decision, Denial, DenialReason, GrantedThrough, Permit, RemoteGrant, RightHeld, RightUsed,
};
use crate::id::{AccessPackage, MaskinportenClientId, OrganizationNumber, SystemId, SystemUserId};
use crate::policy_set::PolicySet;
use crate::remote::{NoAnswer, RemoteAnswer, RemoteQuestion, Verdict};
use crate::right::Right;
use crate::route::{ApiRoute, Mode, PartySource, PlatformToken};
use crate::snapshot::revocations;
use crate::snapshot::{ActiveUser, Enforced, Held, HeldThrough, Known, ObligationView, RightIndex};
use crate::token::{
    self, Caller, Decided, IssuerKind, Place, Reading, SystemUserClaim, TokenCache, TokenError, TrustedIssuer,
    VerifiedToken, VerifySignature,
};
use crate::urn;
use crate::xacml::response::Notice;
use crate::xacml::{self, CompiledPolicy, Environment, GatewayAttributes};
pub(crate) use presented::{Presented, credential};
use presented::{is_in_cookie, platform_credential, platform_refusal};

/// Decides one call.
///
/// The same policy, call and instant give the same decision in every host; `signatures` only says how signatures are
/// checked, not which count.
pub fn authorize(policy: &PolicySet, call: &ApiCall, now: Timestamp, signatures: &dyn VerifySignature) -> Decision {
    decide_with(policy, call, now, |enforced, route| {
        let issuers = enforced.issuers();
        let presented = credential(route, call).and_then(Presented::text)?;
        let token = token::verify(presented, issuers, now, signatures)?;
        if let Some(app) = platform_credential(route, call)? {
            token::verify_platform(app, issuers, now, signatures).map_err(platform_refusal)?;
        }
        decide(enforced, route, call, &token, now)
    })
}

/// Decides one call whose token was verified before: its end, its issuer and its key are checked again, its signature
/// is not. The token must be the call's own. A route that demands an app's token, too, is not for this way.
pub fn authorize_verified(policy: &PolicySet, call: &ApiCall, token: &VerifiedToken, now: Timestamp) -> Decision {
    decide_with(policy, call, now, |enforced, route| {
        if route.platform_token == PlatformToken::Required {
            return Err(DenialReason::PlatformTokenMissing.into());
        }
        token.check_again(enforced.issuers(), now)?;
        decide(enforced, route, call, token, now)
    })
}

/// Decides one call like [`authorize`], without verifying a signature that was verified before, nor looking again for a
/// right that the same token used, or lacked, before for the same party, while nothing has changed.
pub fn authorize_cached<S: BuildHasher + Clone>(
    policy: &PolicySet,
    call: &ApiCall,
    now: Timestamp,
    signatures: &dyn VerifySignature,
    cache: &mut TokenCache<S>,
) -> Decision {
    decide_with(policy, call, now, |enforced, route| {
        let presented = credential(route, call)?;
        let found = cache.find(presented.bytes());
        if let Some(decided) = found.and_then(|place| decided_before(cache, place, enforced, route, call, now)) {
            return decided;
        }
        let place = remember_presented(cache, found, presented, enforced.issuers(), now, signatures)?;
        let place = match platform_credential(route, call)? {
            None => place,
            Some(app) => {
                remember_platform(cache, app, enforced.issuers(), now, signatures)?;
                // A place is good until the cache is changed.
                cache.find(presented.bytes()).ok_or(DenialReason::TokenMissing)?
            }
        };
        let token = cache.at(place).ok_or(DenialReason::TokenMissing)?;
        let decided = decide(enforced, route, call, token, now);
        if is_decided_by_names_alone(enforced, route) {
            remember_decided(cache, place, enforced, route, &decided);
        }
        decided
    })
}

/// What the call's token was permitted or refused for last, where that is what it asks for again and nothing has changed since
/// but the time.
fn decided_before<S: BuildHasher + Clone>(
    cache: &TokenCache<S>,
    place: Place,
    enforced: &Enforced,
    route: &ApiRoute,
    call: &ApiCall,
    now: Timestamp,
) -> Option<Result<Basis, Box<Denial>>> {
    let known = cache.known(place)?;
    let permitted = known.permitted.as_ref().filter(|permitted| permitted.is_by(enforced.edition(), &route.name));
    let refused = known.refused.as_deref().filter(|refused| refused.is_by(enforced.edition(), &route.name));
    let token = Some(&known.verified).filter(|_| permitted.is_some() || refused.is_some())?;
    // An app's token is another one.
    let Caller::SystemUser(claim) = token.caller() else { return None };
    let party =
        party(route, call, Some(claim.owner)).ok().filter(|_| route.platform_token == PlatformToken::Ignored)?;
    let permitted = permitted.map(|permitted| &permitted.how).filter(|right| right.party == party);
    let refused = refused.map(|refused| &refused.how).filter(|denial| denial.party == Some(party));
    let decided = match (permitted, refused) {
        (Some(right), _) => Ok(right),
        (None, Some(denial)) => Err(denial),
        (None, None) => return None,
    };
    token.check_time_again(now).and_then(|()| check_accepted(enforced, route, call, token, now)).ok()?;
    Some(match decided {
        Ok(right) => Ok(Basis::Right(Arc::clone(right))),
        Err(denial) => Err(Box::new(denial.clone())),
    })
}

/// Remembers what the party's number and the snapshot alone have decided.
fn remember_decided<S: BuildHasher + Clone>(
    cache: &mut TokenCache<S>,
    place: Place,
    enforced: &Enforced,
    route: &ApiRoute,
    decided: &Result<Basis, Box<Denial>>,
) {
    let Some(known) = cache.known_mut(place) else { return };
    let (edition, route) = (enforced.edition().clone(), Arc::clone(&route.name));
    match decided {
        Ok(Basis::Right(right)) => known.permitted = Some(Decided { edition, route, how: Arc::clone(right) }),
        // The party is known where everything about token and caller stood.
        Err(denial) if denial.party.is_some() => {
            known.refused = Some(Box::new(Decided { edition, route, how: Denial::clone(denial) }));
        }
        _ => {}
    }
}

/// The same token has the route's right for the same party whenever it asks: nothing else about the call or the instant
/// counts, as it may in a program.
fn is_decided_by_names_alone(enforced: &Enforced, route: &ApiRoute) -> bool {
    enforced.image().program(route.right).is_none()
}

/// Decides a call that the snapshot could not decide by what a remote decision point answered to its question. Without an
/// answer it is refused.
pub fn authorize_by_answer(question: &RemoteQuestion, answer: Result<RemoteAnswer, NoAnswer>) -> Decision {
    let (reason, level_required) = match answer.map(|answer| answer.0) {
        Ok(Verdict::Permit { level }) if u32::from(question.authentication_level) >= level => {
            let basis = Basis::Remote(Box::new(RemoteGrant {
                system_user: question.system_user(),
                party: question.party(),
                right: question.right().clone(),
            }));
            return Decision::Permit(Permit { route: question.route().into(), basis });
        }
        Ok(Verdict::Permit { level }) => (DenialReason::AuthenticationLevelTooLow, u8::try_from(level).ok()),
        Ok(Verdict::ObligationUnknown) => (DenialReason::ObligationUnknown, None),
        Ok(Verdict::Deny) => (DenialReason::RemoteDenies, None),
        Err(NoAnswer) => (DenialReason::RemoteUnavailable, None),
    };
    Decision::Denial(Box::new(Denial {
        route: Some(question.route().into()),
        system_user: question.system_user().map(|(id, _)| id),
        party: Some(question.party()),
        right: Some(question.right().clone()),
        level_required,
        ..Denial::new(reason)
    }))
}

/// Sees to it that the cache has the token of the app that calls, verified, and still standing.
fn remember_platform<S: BuildHasher + Clone>(
    cache: &mut TokenCache<S>,
    app: &str,
    issuers: &[TrustedIssuer],
    now: Timestamp,
    signatures: &dyn VerifySignature,
) -> Result<Place, DenialReason> {
    let verify = |signatures: &dyn VerifySignature, _: &Reading| token::verify_platform(app, issuers, now, signatures);
    let is_platform = |kind| kind == IssuerKind::Platform;
    let found = cache.find(app.as_bytes());
    remember(cache, (app.as_bytes(), found), issuers, now, is_platform, signatures, verify).map_err(platform_refusal)
}

/// Sees to it that the cache has the token that a call presents, which was found there or not, verified, and still standing.
pub(crate) fn remember_presented<S: BuildHasher + Clone>(
    cache: &mut TokenCache<S>,
    found: Option<Place>,
    presented: Presented<'_>,
    issuers: &[TrustedIssuer],
    now: Timestamp,
    signatures: &dyn VerifySignature,
) -> Result<Place, DenialReason> {
    let is_bearer = |kind| kind != IssuerKind::Platform;
    // One that is accepted is text; of another it is asked first whether it is.
    let verify = |signatures: &dyn VerifySignature, reading: &Reading| {
        let verified = token::verify_bytes(presented.bytes(), issuers, now, signatures, reading);
        verified.map_err(|error| presented.text().map_or_else(|reason| reason, |_| error.into()))
    };
    remember(cache, (presented.bytes(), found), issuers, now, is_bearer, signatures, verify)
}

/// Sees to it that the cache has the token, which was found there or not, verified, and still standing.
fn remember<S: BuildHasher + Clone, E>(
    cache: &mut TokenCache<S>,
    (token, found): (&[u8], Option<Place>),
    issuers: &[TrustedIssuer],
    now: Timestamp,
    wanted: impl Fn(IssuerKind) -> bool,
    signatures: &dyn VerifySignature,
    verify: impl FnOnce(&dyn VerifySignature, &Reading) -> Result<VerifiedToken, E>,
) -> Result<Place, E> {
    let stands = |token: &VerifiedToken| wanted(token.kind()) && token.check_again(issuers, now).is_ok();
    match found {
        Some(place) if cache.at(place).is_some_and(stands) => return Ok(place),
        // Verified anew also when something about it has changed, so that the reason is the same as without a cache.
        Some(_) => cache.remove(token),
        None => {}
    }
    let verified = verify(&cache.not_refused(signatures), cache.reading())?;
    Ok(cache.insert(token.into(), verified))
}

fn decide_with(
    policy: &PolicySet,
    call: &ApiCall,
    now: Timestamp,
    basis: impl FnOnce(&Enforced, &ApiRoute) -> Result<Basis, Box<Denial>>,
) -> Decision {
    let enforced = match policy.enforced(now) {
        Ok(enforced) => enforced,
        Err(trouble) => return deny(trouble),
    };
    let route = match find_route(enforced, call) {
        Ok(route) => route,
        Err(reason) => {
            return match preflight(enforced, call) {
                Some(route) => permit(route, Basis::Preflight),
                None => deny(reason),
            };
        }
    };
    if route.mode == Mode::Off {
        return permit(route, Basis::RouteOff);
    }
    match (route.mode, basis(enforced, route)) {
        (_, Ok(basis)) => permit(route, basis),
        (Mode::Shadow, Err(denial)) => permit(route, Basis::Shadow(named(denial, route))),
        (_, Err(denial)) => Decision::Denial(named(denial, route)),
    }
}

fn permit(route: &ApiRoute, basis: Basis) -> Decision {
    Decision::Permit(Permit { route: Arc::clone(&route.name), basis })
}

/// The most specific route that takes the call. Where a still more specific one would take it on a server that ignores
/// letter case or a trailing slash, it is not clear which right the call needs. Where the gateway names another, none does.
pub(crate) fn find_route<'a>(enforced: &'a Enforced, call: &ApiCall) -> Result<&'a ApiRoute, DenialReason> {
    let mut is_near = false;
    for route in enforced.routes().candidates(call) {
        if route.matches(call) {
            if is_near {
                return Err(CallError::PathAmbiguous.into());
            }
            return if call.may_be_for(&route.name) { Ok(route) } else { Err(DenialReason::NoRoute) };
        }
        is_near |= route.nearly_matches(call);
    }
    Err(DenialReason::NoRoute)
}

/// The route that a CORS preflight is for, where it lets preflights pass. One that could be for another route is for none.
fn preflight<'a>(enforced: &'a Enforced, call: &ApiCall) -> Option<&'a ApiRoute> {
    let asked_for = call.preflight()?;
    let route = enforced.routes().candidates(call).find(|route| route.matches_preflight(call, asked_for));
    route.filter(|route| call.may_be_for(&route.name))
}

fn deny(reason: impl Into<DenialReason>) -> Decision {
    Decision::Denial(reason.into().into())
}

fn named(mut denial: Box<Denial>, route: &ApiRoute) -> Box<Denial> {
    denial.route = Some(Arc::clone(&route.name));
    denial
}

fn decide(
    enforced: &Enforced,
    route: &ApiRoute,
    call: &ApiCall,
    token: &VerifiedToken,
    now: Timestamp,
) -> Result<Basis, Box<Denial>> {
    check_accepted(enforced, route, call, token, now)?;
    check_audience(route, token)?;
    if !route.callers.contains(token.caller()) {
        return Err(Box::new(Denial::new(DenialReason::CallerNotAllowed)));
    }
    check_scopes(route, token)?;
    let Caller::SystemUser(claim) = token.caller() else {
        return Ok(Basis::CallerKind { organization: token.consumer() });
    };
    let asked = Asked { right: enforced.image().right(route.right), claim };
    // A loaded image has a right for every route.
    let right = asked.right.ok_or_else(|| asked.denial(DenialReason::RightMissing, None))?;
    let subject = subject(enforced, token, claim).map_err(|reason| asked.denial(reason, None))?;
    let party = party(route, call, Some(claim.owner)).map_err(|reason| asked.denial(reason, None))?;
    let refused = |reason| asked.denial(reason, Some(party));
    let held = subject.user.row(party.as_u32()).ok_or(DenialReason::PartyNotRepresented).map_err(refused)?;
    let authentication_level = token.authentication_level();
    let use_of_right = UseOfRight {
        enforced,
        right: route.right,
        names: right,
        system_user: claim.id,
        party,
        authentication_level,
        now,
    };
    let through = use_of_right.granted(held).map_err(|(reason, level)| {
        let mut denial = refused(reason);
        denial.level_required = level;
        denial
    })?;
    Ok(Basis::Right(Arc::new(RightUsed::new(RightHeld {
        system_user: claim.id,
        owner: claim.owner,
        party,
        system: subject.system,
        vendor: subject.vendor,
        client: subject.client,
        right: right.clone(),
        through,
    }))))
}

/// What a system user asked for, to be told when it is refused.
struct Asked<'a> {
    right: Option<&'a Right>,
    claim: &'a SystemUserClaim,
}

impl Asked<'_> {
    fn denial(&self, reason: DenialReason, party: Option<OrganizationNumber>) -> Box<Denial> {
        let right = self.right.cloned();
        Box::new(Denial { system_user: Some(self.claim.id), party, right, ..Denial::new(reason) })
    }
}

/// Refuses a verified token that is revoked, or that came in the session cookie and is not for it.
pub(crate) fn check_accepted(
    enforced: &Enforced,
    route: &ApiRoute,
    call: &ApiCall,
    token: &VerifiedToken,
    now: Timestamp,
) -> Result<(), TokenError> {
    if revocations::is_revoked(enforced.revocations(), token, now) {
        return Err(TokenError::Revoked);
    }
    // The cookie is Altinn's, so what is in it must be, too.
    if is_in_cookie(route, call) && token.kind() != IssuerKind::Altinn {
        return Err(TokenError::IssuerUnknown);
    }
    Ok(())
}

/// What a route demands of a token, whoever calls.
pub(crate) fn check_audience_and_scopes(route: &ApiRoute, token: &VerifiedToken) -> Result<(), Box<Denial>> {
    check_audience(route, token)?;
    check_scopes(route, token)
}

fn check_audience(route: &ApiRoute, token: &VerifiedToken) -> Result<(), Box<Denial>> {
    // A token that names audiences is for those alone (RFC 7519 section 4.1.3), also where the route asks for none.
    let audiences = token.audiences();
    let meant = audiences.iter().any(|audience| route.audiences.contains(audience));
    let asked = !audiences.is_empty() || !route.audiences.is_empty();
    if asked && !meant {
        return Err(Box::new(Denial::new(DenialReason::AudienceMismatch)));
    }
    Ok(())
}

fn check_scopes(route: &ApiRoute, token: &VerifiedToken) -> Result<(), Box<Denial>> {
    let missing: Vec<_> = route.scopes.iter().filter(|scope| !token.has_scope(scope)).cloned().collect();
    if !missing.is_empty() {
        return Err(Box::new(Denial { scopes: missing, ..Denial::new(DenialReason::ScopeMissing) }));
    }
    Ok(())
}

/// A system user that is what its token says it is.
pub(crate) struct Subject<'a> {
    user: ActiveUser<'a>,
    system: SystemId,
    vendor: OrganizationNumber,
    client: MaskinportenClientId,
}

/// The system user is active, owned by the organisation in the token, and of a system that the token's vendor and client
/// belong to.
pub(crate) fn subject<'a>(
    enforced: &'a Enforced,
    token: &VerifiedToken,
    claim: &SystemUserClaim,
) -> Result<Subject<'a>, DenialReason> {
    let user = match enforced.system_user(claim.id) {
        Known::Active(user) => user,
        Known::Withdrawn => return Err(DenialReason::SystemUserWithdrawn),
        Known::Unknown => return Err(DenialReason::SystemUserUnknown),
    };
    if user.owner != claim.owner.as_u32() {
        return Err(DenialReason::OwnerMismatch);
    }
    let known = user.system().ok_or(DenialReason::SystemMismatch)?;
    if claim.system.as_ref().is_some_and(|named| named.as_str() != known.id()) {
        return Err(DenialReason::SystemMismatch);
    }
    let vendor = token.consumer().filter(|vendor| vendor.as_u32() == known.vendor());
    let client = token.client_id().filter(|client| known.has_client(client.as_str()));
    Ok(Subject {
        user,
        // The same as the token names; a loaded image has checked it.
        system: claim.system.clone().unwrap_or_else(|| SystemId::of_image(known.id())),
        vendor: vendor.ok_or(DenialReason::VendorMismatch)?,
        client: client.cloned().ok_or(DenialReason::ClientMismatch)?,
    })
}

/// The organisation that the call acts for; `own` is the caller's.
pub(crate) fn party(
    route: &ApiRoute,
    call: &ApiCall,
    own: Option<OrganizationNumber>,
) -> Result<OrganizationNumber, DenialReason> {
    let named = match &route.party {
        PartySource::Owner => return own.ok_or(DenialReason::PartyMissing),
        PartySource::Path(position) => call.segments().get(*position).map(Cow::Borrowed),
        PartySource::Header(name) => {
            let value = call.header(name).map_err(|_| DenialReason::PartyInvalid)?;
            value.map(|value| Cow::Owned(String::from_utf8_lossy(value).trim_matches(' ').to_owned()))
        }
        PartySource::Query(name) => call.query_parameter(name).map_err(|_| DenialReason::PartyInvalid)?.map(Cow::Owned),
    };
    let named = named.ok_or(DenialReason::PartyMissing)?;
    let organization_urn = named.strip_prefix(urn::ORGANIZATION_NUMBER).and_then(|rest| rest.strip_prefix(':'));
    let number = organization_urn.or_else(|| named.strip_prefix(urn::ISO6523_PREFIX)).unwrap_or(&named);
    OrganizationNumber::parse(number).map_err(|_| DenialReason::PartyInvalid)
}

/// A system user using a right for a party, once it is known who all of them are.
pub(crate) struct UseOfRight<'a> {
    pub(crate) enforced: &'a Enforced,
    pub(crate) right: RightIndex,
    pub(crate) names: &'a Right,
    pub(crate) system_user: SystemUserId,
    pub(crate) party: OrganizationNumber,
    pub(crate) authentication_level: u8,
    pub(crate) now: Timestamp,
}

/// Why not, and the authentication level that it takes.
pub(crate) type Refusal = (DenialReason, Option<u8>);

impl UseOfRight<'_> {
    /// What grants it: policy and delegations with their obligations, and then the access list (Altinn's order).
    pub(crate) fn granted(&self, held: Held<'_>) -> Result<GrantedThrough, Refusal> {
        let image = self.enforced.image();
        let through = match image.program(self.right) {
            Some(program) => self.by_program(program, held)?,
            None => self.by_right_set(held)?,
        };
        match image.is_listed(self.right, self.party.as_u32()) {
            Some(true) => Ok(through),
            _ => Err((DenialReason::PartyNotListed, None)),
        }
    }

    fn by_right_set(&self, held: Held<'_>) -> Result<GrantedThrough, Refusal> {
        let through = held.through(self.right).ok_or((DenialReason::RightMissing, None))?;
        let unknown = (DenialReason::ObligationUnknown, None);
        for obligation in self.enforced.image().obligations(self.right, through).ok_or(unknown)? {
            match obligation {
                ObligationView::MinimumAuthenticationLevel(level) => self.check_level(level)?,
                ObligationView::Unknown => return Err(unknown),
            }
        }
        match through {
            HeldThrough::Direct => Ok(GrantedThrough::Delegation),
            // A loaded image has checked the name.
            HeldThrough::AccessPackage(name) => {
                Ok(GrantedThrough::AccessPackage(AccessPackage::of_image(name.as_str())))
            }
        }
    }

    /// The policy first; delegations only where it is not applicable, and with its obligations (as Altinn does).
    fn by_program(&self, program: &CompiledPolicy, held: Held<'_>) -> Result<GrantedThrough, Refusal> {
        let rights = self.enforced.image().rights().len();
        let asked = self.enforced.image().asked_packages().zip(rights..);
        let holds = |bit: usize| u32::try_from(bit).is_ok_and(|bit| held.through(RightIndex(bit)).is_some());
        let packages: Vec<&str> = asked.filter(|(_, bit)| holds(*bit)).map(|(name, _)| name).collect();
        let (system_user, party) = (self.system_user.to_string(), self.party.to_string());
        let attributes = GatewayAttributes {
            system_user: &system_user,
            access_packages: &packages,
            resource: self.names.resource.as_str(),
            party_organization: &party,
            action: self.names.action.as_str(),
        };
        let decided = program.decide_attributes(&attributes, Environment::at_gateway(self.now));
        match decided.decision {
            xacml::response::Decision::Permit => {
                self.check_notices(&decided.obligations)?;
                Ok(GrantedThrough::Policy)
            }
            xacml::response::Decision::NotApplicable => {
                held.through(self.right).ok_or((DenialReason::RightMissing, None))?;
                self.check_notices(&program.obligations_on_permit())?;
                Ok(GrantedThrough::Delegation)
            }
            xacml::response::Decision::Deny => Err((DenialReason::PolicyDenies, None)),
            xacml::response::Decision::Indeterminate => Err((DenialReason::PolicyIndeterminate, None)),
        }
    }

    /// Every obligation is a minimum authentication level that the token has; anything else refuses.
    fn check_notices(&self, obligations: &[Notice]) -> Result<(), Refusal> {
        for obligation in obligations {
            self.check_level(level_demanded(obligation).ok_or((DenialReason::ObligationUnknown, None))?)?;
        }
        Ok(())
    }

    fn check_level(&self, level: u32) -> Result<(), Refusal> {
        if u32::from(self.authentication_level) >= level {
            return Ok(());
        }
        Err((DenialReason::AuthenticationLevelTooLow, u8::try_from(level).ok()))
    }
}

/// The authentication level that an obligation demands; `None` when it demands something else, too.
pub(crate) fn level_demanded(obligation: &Notice) -> Option<u32> {
    let mut demanded = obligation.assignments.first().map(|_| 0)?;
    for assignment in &obligation.assignments {
        match assignment.category.as_deref() {
            Some(urn::MINIMUM_AUTHENTICATION_LEVEL) => demanded = demanded.max(assignment.value.trim().parse().ok()?),
            // For service owners alone.
            Some(urn::MINIMUM_AUTHENTICATION_LEVEL_ORG) => {}
            _ => return None,
        }
    }
    Some(demanded)
}
