//! What a remote decision point is asked, and what its answer means: for callers that the snapshot knows nothing of, and to
//! compare with what the snapshot decides.
//!
//! A question exists only for a call that has passed everything before the right: route, token, revocations, audience,
//! scopes, party. Where the snapshot decides, there is none to be answered ([`undecided`]). An answer is read whole or not
//! at all, and what it demands and this enforcement point does not know refuses. What follows from the two is for
//! [`crate::authorize_by_answer`].

use std::collections::BTreeSet;
use std::hash::BuildHasher;

use serde_json::json;

use crate::Timestamp;
use crate::authorize::{
    check_accepted, check_audience_and_scopes, credential, find_route, level_demanded, party, remember_presented,
    subject,
};
use crate::call::ApiCall;
use crate::id::{OrganizationNumber, SystemUserId};
use crate::json::{Json, Object, parse_object};
use crate::policy_set::PolicySet;
use crate::right::Right;
use crate::route::{Callers, Mode, PlatformToken};
use crate::snapshot::{CallerKind, Enforced, Known};
use crate::token::{Caller, TokenCache, VerifiedToken, VerifySignature};
use crate::urn;
use crate::xacml::response::{Assignment, Notice};

/// Longest answer that is read, in bytes.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Most obligations in an answer, and most assignments in one.
const OBLIGATIONS_MAX: usize = 32;

/// A question about one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteQuestion {
    // Invariant: private, and made here alone, from a verified token.
    route: String,
    subject: Subject,
    party: OrganizationNumber,
    right: Right,
    pub(crate) authentication_level: u8,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Subject {
    SystemUser { id: SystemUserId, owner: OrganizationNumber },
    ServiceOwner(String),
    Organization(OrganizationNumber),
    User(i64),
}

/// What a remote decision point answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteAnswer(pub(crate) Verdict);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// For tokens of this authentication level.
    Permit {
        level: u32,
    },
    Deny,
    ObligationUnknown,
}

/// An answer that says nothing: not one decision, Indeterminate, or not to be read in one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the remote decision point gave no decision")]
pub struct NoAnswer;

/// The question that a remote decision point has to answer for this call; `None` where the snapshot decides, or refuses for
/// another reason than that it does not know the caller.
///
/// `asked_for` says which kinds of caller are asked about on a route, by its name.
pub fn undecided<S: BuildHasher + Clone>(
    policy: &PolicySet,
    call: &ApiCall,
    now: Timestamp,
    signatures: &dyn VerifySignature,
    cache: &mut TokenCache<S>,
    asked_for: impl Fn(&str) -> Option<BTreeSet<CallerKind>>,
) -> Option<RemoteQuestion> {
    question(policy, call, now, signatures, cache, |enforced, route, callers, token| {
        let kinds = Callers::from_kinds(asked_for(route)?);
        let is_undecided = match token.caller() {
            Caller::SystemUser(claim) => {
                callers.contains(token.caller()) && matches!(enforced.system_user(claim.id), Known::Unknown)
            }
            // The route lets callers of this kind in, or not, as the snapshot says.
            caller => !callers.contains(caller),
        };
        (is_undecided && kinds.contains(token.caller())).then_some(())
    })
}

/// The question whose answer can be compared with what the snapshot says of the call's system user.
pub fn comparable<S: BuildHasher + Clone>(
    policy: &PolicySet,
    call: &ApiCall,
    now: Timestamp,
    signatures: &dyn VerifySignature,
    cache: &mut TokenCache<S>,
) -> Option<RemoteQuestion> {
    question(policy, call, now, signatures, cache, |enforced, _, callers, token| match token.caller() {
        // Who belongs to whom a decision point is not told.
        Caller::SystemUser(claim) if callers.contains(token.caller()) => {
            subject(enforced, token, claim).ok().map(|_| ())
        }
        _ => None,
    })
}

fn question<S: BuildHasher + Clone>(
    policy: &PolicySet,
    call: &ApiCall,
    now: Timestamp,
    signatures: &dyn VerifySignature,
    cache: &mut TokenCache<S>,
    is_asked: impl FnOnce(&Enforced, &str, Callers, &VerifiedToken) -> Option<()>,
) -> Option<RemoteQuestion> {
    let enforced = policy.enforced(now).ok()?;
    let route = find_route(enforced, call).ok()?;
    if route.mode != Mode::Enforce || route.platform_token != PlatformToken::Ignored {
        return None;
    }
    let presented = credential(route, call).ok()?;
    let found = cache.find(presented.bytes());
    let place = remember_presented(cache, found, presented, enforced.issuers(), now, signatures).ok()?;
    let token = cache.at(place)?;
    check_accepted(enforced, route, call, token, now).ok()?;
    check_audience_and_scopes(route, token).ok()?;
    is_asked(enforced, &route.name, route.callers, token)?;
    let (subject, own) = match token.caller() {
        Caller::SystemUser(claim) => (Subject::SystemUser { id: claim.id, owner: claim.owner }, Some(claim.owner)),
        Caller::ServiceOwner { code, organization } => (Subject::ServiceOwner(code.clone()), *organization),
        Caller::Organization { organization } => (Subject::Organization(*organization), Some(*organization)),
        Caller::User { user_id, .. } | Caller::SelfIdentified { user_id } => (Subject::User(*user_id), None),
        Caller::EnterpriseUser | Caller::Unknown => return None,
    };
    Some(RemoteQuestion {
        route: route.name.to_string(),
        subject,
        party: party(route, call, own).ok()?,
        right: enforced.image().right(route.right)?.clone(),
        authentication_level: token.authentication_level(),
    })
}

impl RemoteQuestion {
    /// The route that the call took.
    pub fn route(&self) -> &str {
        &self.route
    }

    /// The organisation acted for.
    pub fn party(&self) -> OrganizationNumber {
        self.party
    }

    /// The right that the call needs.
    pub fn right(&self) -> &Right {
        &self.right
    }

    /// The system user and its owner, where it is one that calls.
    pub fn system_user(&self) -> Option<(SystemUserId, OrganizationNumber)> {
        match &self.subject {
            Subject::SystemUser { id, owner } => Some((*id, *owner)),
            _ => None,
        }
    }

    /// The request (XACML JSON profile 1.1). Equal questions have equal bytes, and those of two callers differ.
    pub fn request(&self) -> String {
        let (subject, value) = match &self.subject {
            Subject::SystemUser { id, .. } => (urn::SYSTEM_USER_UUID, id.to_string()),
            Subject::ServiceOwner(code) => (urn::APP_OWNER, code.clone()),
            Subject::Organization(organization) => (urn::ORGANIZATION_NUMBER, organization.to_string()),
            Subject::User(number) => (urn::CLAIM_USER_ID, number.to_string()),
        };
        let attribute = |id: &str, value: &str| json!({ "AttributeId": id, "Value": value });
        let of = |attributes: &[serde_json::Value]| json!([{ "Attribute": attributes }]);
        json!({ "Request": {
            "AccessSubject": of(&[attribute(subject, &value)]),
            "Action": of(&[attribute(urn::ACTION_ID, self.right.action.as_str())]),
            "Resource": of(&[
                attribute(urn::RESOURCE, self.right.resource.as_str()),
                attribute(urn::ORGANIZATION_NUMBER, &self.party.to_string()),
            ]),
        } })
        .to_string()
    }
}

impl RemoteAnswer {
    /// Reads an answer in the profile's letter case or in Altinn's.
    pub fn read(bytes: &[u8]) -> Result<Self, NoAnswer> {
        if bytes.len() > ANSWER_BYTES_MAX {
            return Err(NoAnswer);
        }
        let document = parse_object(bytes).map_err(|_| NoAnswer)?;
        let result = match member(&document, "Response")? {
            Some(Json::Array(results)) => match results.as_slice() {
                [Json::Object(result)] => result,
                _ => return Err(NoAnswer),
            },
            Some(Json::Object(result)) => result,
            _ => return Err(NoAnswer),
        };
        match text(result, "Decision")? {
            Some("Permit") => Ok(Self(permitted(&obligations(result)?))),
            Some("Deny" | "NotApplicable") => Ok(Self(Verdict::Deny)),
            _ => Err(NoAnswer),
        }
    }

    /// It permits, to tokens of some authentication level.
    pub fn is_permit(self) -> bool {
        matches!(self.0, Verdict::Permit { .. })
    }
}

/// Advice binds nobody; an obligation that is not understood does (XACML 3.0 section 7.18).
fn permitted(obligations: &[Notice]) -> Verdict {
    let demanded = obligations.iter().map(level_demanded).try_fold(0, |most, level| Some(most.max(level?)));
    demanded.map_or(Verdict::ObligationUnknown, |level| Verdict::Permit { level })
}

fn obligations(result: &Object) -> Result<Vec<Notice>, NoAnswer> {
    let notice = |notice: &Object| -> Result<Notice, NoAnswer> {
        let assignments = objects(notice, "AttributeAssignment")?.into_iter().map(|assignment| {
            Ok(Assignment {
                id: text(assignment, "AttributeId")?.unwrap_or_default().to_owned(),
                category: text(assignment, "Category")?.map(str::to_owned),
                issuer: text(assignment, "Issuer")?.map(str::to_owned),
                data_type: text(assignment, "DataType")?.unwrap_or_default().to_owned(),
                value: match member(assignment, "Value")? {
                    Some(Json::String(value)) => value.clone(),
                    Some(Json::Number(value)) => value.to_string(),
                    _ => return Err(NoAnswer),
                },
            })
        });
        let id = text(notice, "Id")?.unwrap_or_default().to_owned();
        Ok(Notice { id, assignments: assignments.collect::<Result<_, _>>()? })
    };
    objects(result, "Obligations")?.into_iter().map(notice).collect()
}

/// A member, named with a capital or a small letter, but not with both. Null is none.
fn member<'a>(object: &'a Object, name: &str) -> Result<Option<&'a Json>, NoAnswer> {
    let mut named = object.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    match (named.next(), named.next()) {
        (_, Some(_)) => Err(NoAnswer),
        (found, None) => Ok(found.filter(|value| **value != Json::Null)),
    }
}

fn text<'a>(object: &'a Object, name: &str) -> Result<Option<&'a str>, NoAnswer> {
    match member(object, name)? {
        None => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or(NoAnswer),
    }
}

fn objects<'a>(object: &'a Object, name: &str) -> Result<Vec<&'a Object>, NoAnswer> {
    match member(object, name)? {
        None => Ok(Vec::new()),
        Some(Json::Array(items)) if items.len() <= OBLIGATIONS_MAX => {
            items.iter().map(|item| item.as_object().ok_or(NoAnswer)).collect()
        }
        Some(_) => Err(NoAnswer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Verdict, NoAnswer> {
        RemoteAnswer::read(text.as_bytes()).map(|answer| answer.0)
    }

    fn permit_with(obligations: &str) -> Result<Verdict, NoAnswer> {
        read(&format!("{{\"Response\":[{{\"Decision\":\"Permit\",\"Obligations\":{obligations}}}]}}"))
    }

    #[test]
    fn one_decision_is_an_answer() {
        assert_eq!(read(r#"{"Response":[{"Decision":"Permit"}]}"#), Ok(Verdict::Permit { level: 0 }));
        assert_eq!(
            read(r#"{"response":[{"decision":"Permit","obligations":null}]}"#),
            Ok(Verdict::Permit { level: 0 })
        );
        for decision in ["Deny", "NotApplicable"] {
            assert_eq!(read(&format!("{{\"Response\":[{{\"Decision\":\"{decision}\"}}]}}")), Ok(Verdict::Deny));
        }
    }

    #[test]
    fn anything_else_is_none() {
        for text in [
            "",
            "{}",
            "Permit",
            r#"{"Response":[]}"#,
            r#"{"Response":[{"Decision":"Permit"},{"Decision":"Permit"}]}"#,
            r#"{"Response":[{"Decision":"Indeterminate"}]}"#,
            r#"{"Response":[{"Decision":"permit"}]}"#,
            r#"{"Response":[{"Decision":"Permit","Decision":"Permit"}]}"#,
            r#"{"Response":[{"Decision":"Permit","decision":"Deny"}]}"#,
            r#"{"Response":[{"Decision":"Permit"}],"response":[]}"#,
            r#"{"Response":[{"Decision":"Permit","Obligations":[1]}]}"#,
            r#"{"Response":[{"Decision":"Permit","Obligations":{}}]}"#,
        ] {
            assert_eq!(read(text), Err(NoAnswer), "{text}");
        }
        let long = format!("{{\"Response\":[{{\"Decision\":\"Permit\"}}]}}{}", " ".repeat(ANSWER_BYTES_MAX));
        assert_eq!(read(&long), Err(NoAnswer));
    }

    #[test]
    fn the_highest_level_counts_and_what_is_not_understood_refuses() {
        let level = |value: &str, category: &str| {
            format!(
                "{{\"Id\":\"o\",\"AttributeAssignment\":[{{\"AttributeId\":\"a\",\"Value\":{value},\"Category\":\"{category}\"}}]}}"
            )
        };
        let (two, four) =
            (level("\"2\"", urn::MINIMUM_AUTHENTICATION_LEVEL), level("4", urn::MINIMUM_AUTHENTICATION_LEVEL));
        assert_eq!(permit_with(&format!("[{two},{four}]")), Ok(Verdict::Permit { level: 4 }));
        let other = level("\"2\"", "urn:example:send-a-letter");
        assert_eq!(permit_with(&format!("[{two},{other}]")), Ok(Verdict::ObligationUnknown));
        assert_eq!(permit_with(r#"[{"Id":"o"}]"#), Ok(Verdict::ObligationUnknown));
        let too_many = vec![two; OBLIGATIONS_MAX + 1].join(",");
        assert_eq!(permit_with(&format!("[{too_many}]")), Err(NoAnswer));
    }
}
