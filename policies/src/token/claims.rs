//! What a token's claims say, read into types; a claim that is there but wrong is a refusal, never an absence.
//!
//! Forms seen in real tokens are all read: `authorization_details` as array (Maskinporten) or object (Altinn's
//! exchange), the organisation id under `ID` or `id`, levels and user ids as numbers or strings.

use crate::Timestamp;
use crate::id::{MaskinportenClientId, OrganizationNumber, PartyUuid, SystemId, SystemUserId};
use crate::json::{Document, Members, Nodes, Value};
use crate::urn;

use super::{IssuerKind, IssuerRules, TokenError};

/// The kinds of caller that tokens tell apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A system user: a vendor's system acting for an organisation.
    SystemUser(SystemUserClaim),
    /// A service owner (Altinn claim `urn:altinn:org`).
    ServiceOwner {
        /// Its code, for example `skd`.
        code: String,
        /// Its organisation.
        organization: Option<OrganizationNumber>,
    },
    /// An organisation through its own Maskinporten client.
    Organization {
        /// The organisation.
        organization: OrganizationNumber,
    },
    /// A person who has logged in.
    User {
        /// The user's number.
        user_id: i64,
        /// The user's own party number.
        party_id: Option<i64>,
        /// The user's own party uuid.
        party_uuid: Option<PartyUuid>,
    },
    /// A person whom nobody has identified.
    SelfIdentified {
        /// The user's number.
        user_id: i64,
    },
    /// An enterprise user, a kind that Altinn ended in 2026; refused everywhere.
    EnterpriseUser,
    /// None of these.
    Unknown,
}

/// The system user in `authorization_details`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemUserClaim {
    /// Which system user.
    pub id: SystemUserId,
    /// The organisation that owns it (`systemuser_org`), never the client acted for.
    pub owner: OrganizationNumber,
    /// The system it belongs to.
    pub system: Option<SystemId>,
    /// The reference that the vendor gave it.
    pub external_ref: Option<String>,
}

/// When a token stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    starts: Option<Timestamp>,
    pub(super) expires: Timestamp,
    clock_skew_seconds: i64,
    lifetime_seconds_max: i64,
}

impl Times {
    /// The token stands now.
    pub(super) fn check(self, now: Timestamp) -> Result<(), TokenError> {
        let skew = self.clock_skew_seconds;
        if now >= self.expires.plus_seconds(skew) {
            return Err(TokenError::Expired);
        }
        if self.starts.is_some_and(|start| start > now.plus_seconds(skew)) {
            return Err(TokenError::NotYetValid);
        }
        if self.expires > now.plus_seconds(self.lifetime_seconds_max + skew) {
            return Err(TokenError::LifetimeTooLong);
        }
        Ok(())
    }
}

/// A token's claims, unverified until the signature has been checked.
pub(super) struct Claims<'payload>(Document<'payload>);

impl<'payload> Claims<'payload> {
    /// Reads them where others were read before.
    pub(super) fn parse(payload: &'payload [u8], room: Nodes) -> Result<Self, TokenError> {
        Document::parse_in(payload, room).map(Self).map_err(|_| TokenError::Malformed)
    }

    /// Leaves the room to others.
    pub(super) fn into_room(self) -> Nodes {
        self.0.into_nodes()
    }

    pub(super) fn issuer(&self) -> Result<&str, TokenError> {
        self.text("iss")?.ok_or(TokenError::ClaimInvalid)
    }

    /// When the token stands (RFC 7519 sections 4.1.4 to 4.1.6). `exp` is demanded.
    pub(super) fn times(&self, rules: IssuerRules) -> Result<Times, TokenError> {
        let expires = self.instant("exp")?.ok_or(TokenError::ClaimInvalid)?;
        let starts = [self.instant("nbf")?, self.instant("iat")?].into_iter().flatten().max();
        let (skew, lifetime) = (rules.clock_skew_seconds.into(), rules.lifetime_seconds_max.into());
        Ok(Times { starts, expires, clock_skew_seconds: skew, lifetime_seconds_max: lifetime })
    }

    /// Refuses a token bound to a key or certificate (RFC 7800, RFC 9449): presenting it proves nothing.
    pub(super) fn check_unbound(&self) -> Result<(), TokenError> {
        let is_bearer = self.text("token_type")?.is_none_or(|kind| kind.eq_ignore_ascii_case("bearer"));
        if self.0.members().contains_key("cnf") || !is_bearer { Err(TokenError::Bound) } else { Ok(()) }
    }

    /// The organisation in `consumer`, or in Altinn's claim; both may be there if they agree.
    pub(super) fn consumer(&self) -> Result<Option<OrganizationNumber>, TokenError> {
        let consumer = self.0.members().get("consumer").map(organization).transpose()?;
        let altinn = match self.text(urn::CLAIM_ORGANIZATION_NUMBER)? {
            Some(number) => Some(OrganizationNumber::parse(number).map_err(|_| TokenError::ClaimInvalid)?),
            None => None,
        };
        match (consumer, altinn) {
            (Some(consumer), Some(altinn)) if consumer != altinn => Err(TokenError::CallerAmbiguous),
            (consumer, altinn) => Ok(consumer.or(altinn)),
        }
    }

    pub(super) fn client_id(&self) -> Result<Option<MaskinportenClientId>, TokenError> {
        let parse = |text| MaskinportenClientId::parse(text).map_err(|_| TokenError::ClaimInvalid);
        self.text("client_id")?.map(parse).transpose()
    }

    /// The token's own id (RFC 7519 section 4.1.7).
    pub(super) fn token_id(&self) -> Result<Option<&str>, TokenError> {
        self.text("jti")
    }

    /// Scopes, separated by blanks (RFC 6749 section 3.3).
    pub(super) fn scopes(&self) -> Result<&str, TokenError> {
        Ok(self.text("scope")?.unwrap_or_default())
    }

    /// Audiences; Maskinporten writes `unspecified` for a token without one.
    pub(super) fn audiences(&self) -> Result<Vec<String>, TokenError> {
        let text = |value: Value| value.as_str().map(str::to_owned).ok_or(TokenError::ClaimInvalid);
        let Some(value) = self.0.members().get("aud") else { return Ok(Vec::new()) };
        let audiences = match value.items() {
            Some(items) => items.map(text).collect::<Result<_, _>>()?,
            None => vec![text(value)?],
        };
        let unspecified = matches!(audiences.as_slice(), [only] if only == "unspecified");
        Ok(if unspecified { Vec::new() } else { audiences })
    }

    /// Level 0 to 4; a token without the claim has level 0.
    pub(super) fn authentication_level(&self) -> Result<u8, TokenError> {
        let Some(level) = self.integer(urn::CLAIM_AUTHENTICATION_LEVEL)? else {
            return Ok(0);
        };
        u8::try_from(level).ok().filter(|level| *level <= 4).ok_or(TokenError::ClaimInvalid)
    }

    /// Who calls, by the claims that tell the kinds apart, of which [`Self::consumer`] has read one. A token of two kinds is
    /// refused, and so is one of Maskinporten with claims that are Altinn's to make.
    pub(super) fn caller(
        &self,
        kind: IssuerKind,
        organization: Option<OrganizationNumber>,
    ) -> Result<Caller, TokenError> {
        const ALTINNS: [&str; 4] =
            [urn::CLAIM_ORG, urn::CLAIM_ORGANIZATION_NUMBER, urn::CLAIM_USER_ID, urn::CLAIM_PARTY_ID];
        if kind == IssuerKind::Maskinporten && ALTINNS.iter().any(|claim| self.0.members().contains_key(claim)) {
            return Err(TokenError::CallerAmbiguous);
        }
        let user_id = self.integer(urn::CLAIM_USER_ID)?;
        let party_id = self.integer(urn::CLAIM_PARTY_ID)?;
        let code = self.text(urn::CLAIM_ORG)?;
        let method = self.text(urn::CLAIM_AUTHENTICATION_METHOD)?;
        if method == Some(urn::METHOD_ENTERPRISE_USER) {
            return Ok(Caller::EnterpriseUser);
        }
        if let Some(details) = self.0.members().get("authorization_details") {
            // A person's claims beside a system user's: Altinn lets the person win, silently. Here neither does.
            if user_id.is_some() || party_id.is_some() || code.is_some() {
                return Err(TokenError::CallerAmbiguous);
            }
            return system_user(details).map(Caller::SystemUser);
        }
        if let Some(user_id) = user_id {
            if code.is_some() || organization.is_some() {
                return Err(TokenError::CallerAmbiguous);
            }
            if method == Some(urn::METHOD_SELF_IDENTIFIED) {
                return Ok(Caller::SelfIdentified { user_id });
            }
            let parse = |text| PartyUuid::parse(text).map_err(|_| TokenError::ClaimInvalid);
            let party_uuid = self.text(urn::CLAIM_PARTY_UUID)?.map(parse).transpose()?;
            return Ok(Caller::User { user_id, party_id, party_uuid });
        }
        if let Some(code) = code {
            return Ok(Caller::ServiceOwner { code: code.to_owned(), organization });
        }
        Ok(organization.map_or(Caller::Unknown, |organization| Caller::Organization { organization }))
    }

    fn text(&self, name: &str) -> Result<Option<&str>, TokenError> {
        text(self.0.members(), name, TokenError::ClaimInvalid)
    }

    /// A whole number, or a string of one.
    fn integer(&self, name: &str) -> Result<Option<i64>, TokenError> {
        let read = |value: Value| match value.as_str() {
            Some(text) => text.parse().ok(),
            None => value.as_i64(),
        };
        self.0.members().get(name).map(|value| read(value).ok_or(TokenError::ClaimInvalid)).transpose()
    }

    /// A NumericDate (RFC 7519 section 2) in whole seconds. Fractions are refused: no issuer here writes them.
    fn instant(&self, name: &str) -> Result<Option<Timestamp>, TokenError> {
        let read = |value: Value| value.as_i64().filter(|seconds| *seconds > 0).map(Timestamp::from_unix_seconds);
        self.0.members().get(name).map(|value| read(value).ok_or(TokenError::ClaimInvalid)).transpose()
    }
}

/// `{"authority":"iso6523-actorid-upis","ID":"0192:…"}`.
fn organization(value: Value) -> Result<OrganizationNumber, TokenError> {
    let members = value.as_object().ok_or(TokenError::ClaimInvalid)?;
    let text = |name| text(members, name, TokenError::ClaimInvalid);
    if text("authority")?.is_some_and(|authority| authority != urn::ISO6523_AUTHORITY) {
        return Err(TokenError::ClaimInvalid);
    }
    let id = match (text("ID")?, text("id")?) {
        (Some(id), None) | (None, Some(id)) => id,
        _ => return Err(TokenError::ClaimInvalid),
    };
    OrganizationNumber::from_iso6523(id).map_err(|_| TokenError::ClaimInvalid)
}

/// Exactly one entry, of the system user's type, naming exactly one system user and one organisation.
fn system_user(details: Value) -> Result<SystemUserClaim, TokenError> {
    const WRONG: TokenError = TokenError::AuthorizationDetailsInvalid;
    let entry = match details.items() {
        Some(entries) => only(entries).ok_or(WRONG)?,
        None => details,
    };
    let entry = entry.as_object().ok_or(WRONG)?;
    let text = |name| text(entry, name, WRONG);
    if text("type")? != Some(urn::SYSTEM_USER) {
        return Err(WRONG);
    }
    let id = entry.get("systemuser_id").and_then(Value::items).and_then(only).and_then(Value::as_str);
    let system = text("system_id")?.map(|system| SystemId::parse(system).map_err(|_| WRONG)).transpose()?;
    Ok(SystemUserClaim {
        id: SystemUserId::parse(id.ok_or(WRONG)?).map_err(|_| WRONG)?,
        owner: entry.get("systemuser_org").ok_or(WRONG).and_then(|value| organization(value).map_err(|_| WRONG))?,
        system,
        external_ref: text("externalRef")?.map(str::to_owned),
    })
}

/// A member that is a text, if it is there.
fn text<'a>(members: Members<'a>, name: &str, wrong: TokenError) -> Result<Option<&'a str>, TokenError> {
    members.get(name).map(|value| value.as_str().ok_or(wrong)).transpose()
}

fn only<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    items.next().filter(|_| items.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn claims(value: &Value) -> Claims<'static> {
        Claims::parse(value.to_string().leak().as_bytes(), Nodes::default()).unwrap()
    }

    fn entry() -> Value {
        json!({"type":"urn:altinn:systemuser","systemuser_id":["f950ddae-06c3-4b57-b940-702417a90df0"],
            "systemuser_org":{"authority":"iso6523-actorid-upis","ID":"0192:310247049"},"system_id":"310247030_smartcloud"})
    }

    fn caller(claims: &Claims<'_>, kind: IssuerKind) -> Result<Caller, TokenError> {
        claims.caller(kind, claims.consumer()?)
    }

    fn details(details: Value) -> Result<Caller, TokenError> {
        let claims = claims(&json!({"authorization_details":details,"consumer":{"ID":"0192:310247030"}}));
        caller(&claims, IssuerKind::Maskinporten)
    }

    #[test]
    fn a_system_user_in_every_form_that_is_seen() {
        let expected = SystemUserClaim {
            id: SystemUserId::parse("f950ddae-06c3-4b57-b940-702417a90df0").unwrap(),
            owner: OrganizationNumber::parse("310247049").unwrap(),
            system: Some(SystemId::parse("310247030_smartcloud").unwrap()),
            external_ref: None,
        };
        let mut lower = entry();
        lower["systemuser_org"] = json!({"authority":"iso6523-actorid-upis","id":"0192:310247049"});
        for form in [json!([entry()]), entry(), lower] {
            assert_eq!(details(form), Ok(Caller::SystemUser(expected.clone())));
        }
    }

    #[test]
    fn anything_but_exactly_one_system_user_is_refused() {
        let with = |name: &str, value: Value| {
            let mut entry = entry();
            entry[name] = value;
            entry
        };
        let id = "f950ddae-06c3-4b57-b940-702417a90df0";
        for wrong in [
            json!([]),
            json!([entry(), entry()]),
            json!([entry(), {"type":"other"}]),
            json!([{"type":"other"}]),
            json!("x"),
            json!([with("type", json!("URN:ALTINN:SYSTEMUSER"))]),
            json!([with("systemuser_id", json!([]))]),
            json!([with("systemuser_id", json!([id, id]))]),
            json!([with("systemuser_id", json!(id))]),
            json!([with("systemuser_id", json!(["not-a-uuid"]))]),
            json!([with("systemuser_org", json!({"ID":"310247049"}))]),
            json!([with("systemuser_org", json!({"ID":"0192:310247048"}))]),
            json!([with("systemuser_org", json!({"ID":"0192:310247049","id":"0192:310247049"}))]),
            json!([with("systemuser_org", json!({"authority":"other","ID":"0192:310247049"}))]),
            json!([with("systemuser_org", json!("0192:310247049"))]),
            json!([with("system_id", json!(1))]),
        ] {
            assert_eq!(details(wrong.clone()), Err(TokenError::AuthorizationDetailsInvalid), "{wrong}");
        }
    }

    #[test]
    fn kinds_are_told_apart() {
        let kind = |value: Value| caller(&claims(&value), IssuerKind::Altinn);
        let organization = OrganizationNumber::parse("310247030").unwrap();
        let consumer = json!({"authority":"iso6523-actorid-upis","ID":"0192:310247030"});
        assert_eq!(kind(json!({"consumer": consumer})), Ok(Caller::Organization { organization }));
        assert_eq!(kind(json!({"urn:altinn:orgNumber":"310247030"})), Ok(Caller::Organization { organization }));
        assert_eq!(
            kind(json!({"urn:altinn:org":"skd","urn:altinn:orgNumber":"310247030"})),
            Ok(Caller::ServiceOwner { code: "skd".to_owned(), organization: Some(organization) })
        );
        assert_eq!(
            kind(json!({"urn:altinn:userid":"20000001","urn:altinn:partyid":50000001})),
            Ok(Caller::User { user_id: 20_000_001, party_id: Some(50_000_001), party_uuid: None })
        );
        assert_eq!(
            kind(json!({"urn:altinn:userid":1,"urn:altinn:authenticatemethod":"SelfIdentified"})),
            Ok(Caller::SelfIdentified { user_id: 1 })
        );
        assert_eq!(
            kind(
                json!({"urn:altinn:userid":1,"urn:altinn:orgNumber":"310247030","urn:altinn:authenticatemethod":"virksomhetsbruker"})
            ),
            Ok(Caller::EnterpriseUser)
        );
        assert_eq!(kind(json!({"sub":"x"})), Ok(Caller::Unknown));
        for ambiguous in [
            json!({"authorization_details":[entry()],"urn:altinn:userid":1}),
            json!({"authorization_details":[entry()],"urn:altinn:org":"skd"}),
            json!({"urn:altinn:userid":1,"urn:altinn:org":"skd"}),
            json!({"urn:altinn:userid":1,"consumer":consumer}),
            json!({"consumer":consumer,"urn:altinn:orgNumber":"310247049"}),
        ] {
            assert_eq!(kind(ambiguous.clone()), Err(TokenError::CallerAmbiguous), "{ambiguous}");
        }
        for altinns in ["urn:altinn:org", "urn:altinn:orgNumber", "urn:altinn:userid", "urn:altinn:partyid"] {
            let caller = caller(&claims(&json!({altinns: "310247030"})), IssuerKind::Maskinporten);
            assert_eq!(caller, Err(TokenError::CallerAmbiguous), "{altinns}");
        }
    }

    #[test]
    fn times() {
        let now = Timestamp::from_unix_seconds(1_000_000);
        let check = |value: Value, expected: Result<(), TokenError>| {
            assert_eq!(
                claims(&value).times(IssuerRules::default()).and_then(|times| times.check(now)),
                expected,
                "{value}"
            );
        };
        check(json!({"exp":1_000_060}), Ok(()));
        check(json!({"exp":999_991}), Ok(()));
        check(json!({"exp":999_990}), Err(TokenError::Expired));
        check(json!({"exp":1_000_060,"nbf":1_000_010,"iat":1_000_010}), Ok(()));
        check(json!({"exp":1_000_060,"nbf":1_000_011}), Err(TokenError::NotYetValid));
        check(json!({"exp":1_000_060,"iat":1_000_011}), Err(TokenError::NotYetValid));
        check(json!({"exp":1_003_610}), Ok(()));
        check(json!({"exp":1_003_611}), Err(TokenError::LifetimeTooLong));
        for wrong in [
            json!(null),
            json!("1000060"),
            json!(0),
            json!(-1),
            json!(1_000_060.5),
            json!(1e300),
            json!(u64::MAX),
            json!([1]),
        ] {
            check(json!({"exp": wrong}), Err(TokenError::ClaimInvalid));
            check(json!({"exp":1_000_060,"iat": wrong}), Err(TokenError::ClaimInvalid));
        }
        check(json!({}), Err(TokenError::ClaimInvalid));
        check(json!({"exp":i64::MAX}), Err(TokenError::LifetimeTooLong));
        let strict = IssuerRules { clock_skew_seconds: 0, lifetime_seconds_max: 120, ..IssuerRules::default() };
        let strictly = |exp: i64| claims(&json!({ "exp": exp })).times(strict).and_then(|times| times.check(now));
        assert_eq!(strictly(1_000_120), Ok(()));
        assert_eq!(strictly(1_000_121), Err(TokenError::LifetimeTooLong));
        assert_eq!(strictly(1_000_000), Err(TokenError::Expired));
    }

    #[test]
    fn audiences_scopes_and_levels() {
        let audiences = |value: Value| claims(&value).audiences();
        assert_eq!(audiences(json!({})), Ok(vec![]));
        assert_eq!(audiences(json!({"aud":"unspecified"})), Ok(vec![]));
        assert_eq!(audiences(json!({"aud":["a","b"]})), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(audiences(json!({"aud":{"a":1}})), Err(TokenError::ClaimInvalid));
        assert_eq!((claims(&json!({"scope":"a  b"})).scopes(), claims(&json!({})).scopes()), (Ok("a  b"), Ok("")));
        assert_eq!(claims(&json!({"scope":["a"]})).scopes(), Err(TokenError::ClaimInvalid));
        let level = |value: Value| claims(&json!({"urn:altinn:authlevel": value})).authentication_level();
        assert_eq!(level(json!(3)), Ok(3));
        assert_eq!(level(json!("3")), Ok(3));
        assert_eq!(level(json!(5)), Err(TokenError::ClaimInvalid));
        assert_eq!(level(json!("x")), Err(TokenError::ClaimInvalid));
        assert_eq!(claims(&json!({})).authentication_level(), Ok(0));
        assert_eq!(claims(&json!({"cnf":{"jkt":"x"}})).check_unbound(), Err(TokenError::Bound));
        assert_eq!(claims(&json!({"token_type":"DPoP"})).check_unbound(), Err(TokenError::Bound));
        assert_eq!(claims(&json!({"token_type":"bearer"})).check_unbound(), Ok(()));
    }
}
