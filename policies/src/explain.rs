//! Why a system user may or may not: the rule that gives a right, or what it is short of.
//!
//! The same code decides as for calls; this only looks around it. What it looks at is the policy that gateways enforce, so
//! an explanation is never about something else. Reasons are values, each with a stable `code` in JSON; in words they are
//! in nb, nn and en ([`Explanation::text`]). For operators and for the parties themselves: an explanation names packages
//! and parties, and is not for a caller who only has a token.

mod words;

use serde::Serialize;

use crate::Timestamp;
use crate::authorize::UseOfRight;
use crate::decision::{DenialReason, GrantedThrough, PolicyTrouble};
use crate::id::{ActionId, OrganizationNumber, SystemUserId};
use crate::policy_set::PolicySet;
use crate::right::Right;
use crate::snapshot::{ActiveUser, Enforced, Held, HeldThrough, Known, RightIndex, SnapshotVersion};

/// Other parties that are named at most.
pub const PARTIES_MAX: usize = 5;
/// Packages that are named at most.
pub const PACKAGES_MAX: usize = 20;

/// May this system user do this for this party?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Who acts.
    pub system_user: SystemUserId,
    /// For whom.
    pub party: OrganizationNumber,
    /// What.
    pub right: Right,
    /// Authentication level of its token, 0 to 4.
    pub authentication_level: u8,
}

/// The answer, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// A call with the right token would go through.
    pub permitted: bool,
    /// Code of the refusal ([`DenialReason::code`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denial: Option<&'static str>,
    /// What decided: `epoch.version` of the snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_version: Option<String>,
    /// Why, the most telling first; never empty.
    pub reasons: Vec<Reason>,
}

/// Where a policy says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleReference {
    /// `PolicyId`.
    pub policy: String,
    /// `Version` of the policy.
    pub policy_version: String,
    /// `RuleId`; none where the policy decides as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Line in the policy's XML, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "code", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Reason {
    /// An access package gives the right.
    GrantedByPackage {
        /// The URN's last part.
        package: String,
        /// The rule that says so.
        rule: Option<RuleReference>,
    },
    /// The right was delegated directly.
    GrantedByDelegation {
        /// The rule that makes it a right that can be delegated.
        rule: Option<RuleReference>,
    },
    /// The policy as a whole permits.
    GrantedByPolicy {
        /// The policy.
        policy: Option<RuleReference>,
    },
    /// No policy can be used.
    PolicyUnusable {
        /// [`DenialReason::code`].
        trouble: &'static str,
    },
    /// No such system user has anything to do with this API provider.
    SystemUserUnknown,
    /// It was withdrawn.
    SystemUserWithdrawn,
    /// The system user does not act for the party.
    PartyNotRepresented,
    /// The resource is none of this API provider's.
    ResourceUnknown,
    /// No rule is about the action.
    ActionUnknown {
        /// Actions that there are.
        actions: Vec<ActionId>,
    },
    /// It holds something on the resource, but not this: a near miss.
    HoldsOtherActions {
        /// The package through which; none for a direct delegation.
        package: Option<String>,
        /// What it may do.
        actions: Vec<ActionId>,
    },
    /// It holds the right for other parties: a near miss.
    HoldsForOtherParties {
        /// Some of them.
        parties: Vec<OrganizationNumber>,
        /// How many there are.
        count: usize,
    },
    /// What would give the right.
    WouldBeGrantedBy {
        /// Access packages, by the URN's last part; empty where only delegation gives it.
        packages: Vec<String>,
    },
    /// The authentication level is too low.
    AuthenticationLevelTooLow {
        /// The level it takes.
        required: u8,
        /// The token's.
        present: u8,
    },
    /// The policy demands something that gateways cannot do.
    ObligationUnknown,
    /// The party is not on the resource's access list.
    PartyNotListed,
    /// The policy says Deny.
    PolicyDenies {
        /// The policy.
        policy: Option<RuleReference>,
    },
    /// The policy has no answer.
    PolicyIndeterminate {
        /// The policy.
        policy: Option<RuleReference>,
    },
}

/// Most ranges of an `Accept-Language` that are read.
const RANGES_MAX: usize = 32;

/// `q=` of a range in thousandths (RFC 9110 section 12.4.2); what cannot be read does not count.
fn weight_of(parameter: &str) -> u16 {
    if parameter.is_empty() {
        return 1000;
    }
    let value = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q=")).map(str::trim);
    match value.and_then(|value| value.parse::<f32>().ok()) {
        Some(weight) if (0.0..=1.0).contains(&weight) => (weight * 1000.0) as u16,
        _ => 0,
    }
}

/// A language of explanations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Language {
    /// Norwegian bokmål.
    Nb,
    /// Norwegian nynorsk.
    Nn,
    /// English.
    En,
}

impl Language {
    /// Of the languages of an `Accept-Language` (RFC 9110 section 12.5.4) the one with the highest weight that there are words
    /// in, of several the first; `no` is bokmål. English where there is none.
    pub fn of_header(accept: &str) -> Self {
        let mut best: Option<(u16, Self)> = None;
        for part in accept.split(',').take(RANGES_MAX) {
            let (tag, weight) = part.split_once(';').unwrap_or((part, ""));
            let Some(language) = Self::of_range(tag.trim()) else { continue };
            let weight = weight_of(weight.trim());
            if weight > 0 && best.is_none_or(|(known, _)| weight > known) {
                best = Some((weight, language));
            }
        }
        best.map_or(Self::En, |(_, language)| language)
    }

    /// The language that a range begins with, in any letter case.
    fn of_range(range: &str) -> Option<Self> {
        let first = range.split_once('-').map_or(range, |(first, _)| first);
        let known = [("nb", Self::Nb), ("no", Self::Nb), ("nn", Self::Nn), ("en", Self::En)];
        known.into_iter().find(|(tag, _)| first.eq_ignore_ascii_case(tag)).map(|(_, language)| language)
    }

    /// What is said in it, of three ways to say something.
    pub fn choose<T>(self, nb: T, nn: T, en: T) -> T {
        match self {
            Self::Nb => nb,
            Self::Nn => nn,
            Self::En => en,
        }
    }

    /// Its tag (RFC 5646).
    pub fn tag(self) -> &'static str {
        self.choose("nb", "nn", "en")
    }
}

/// Explains what the policy in force says.
///
/// ```
/// use policies::explain::{Language, Question, Reason, explain};
/// use policies::{PolicySet, PolicyTrouble, Timestamp};
///
/// let question = Question {
///     system_user: "f950ddae-06c3-4b57-b940-702417a90df0".parse()?,
///     party: "310247049".parse()?,
///     right: policies::right::Right { resource: "vat".parse()?, action: "read".parse()? },
///     authentication_level: 3,
/// };
/// let policy = PolicySet::deny_all(PolicyTrouble::Missing);
/// let explanation = explain(&policy, &question, Timestamp::from_unix_seconds(1_795_348_800));
/// assert!(!explanation.permitted);
/// assert_eq!(explanation.text(Language::En), ["No policy can be used: policy_missing."]);
/// # Ok::<(), policies::id::IdError>(())
/// ```
pub fn explain(policy: &PolicySet, question: &Question, now: Timestamp) -> Explanation {
    match policy.enforced(now) {
        Err(trouble) => unusable(trouble),
        Ok(enforced) => Look { enforced, question, now }.explanation(),
    }
}

impl Explanation {
    /// Every reason in words.
    pub fn text(&self, language: Language) -> Vec<String> {
        self.reasons.iter().map(|reason| words::of(reason, language)).collect()
    }
}

fn unusable(trouble: PolicyTrouble) -> Explanation {
    let code = DenialReason::from(trouble).code();
    let reasons = vec![Reason::PolicyUnusable { trouble: code }];
    Explanation { permitted: false, denial: Some(code), snapshot_version: None, reasons }
}

struct Look<'a> {
    enforced: &'a Enforced,
    question: &'a Question,
    now: Timestamp,
}

impl Look<'_> {
    fn explanation(&self) -> Explanation {
        let version: SnapshotVersion = self.enforced.manifest().version;
        let (denial, reasons) = match self.decide() {
            Ok(reason) => (None, vec![reason]),
            Err((denial, reasons)) => (Some(denial.code()), reasons),
        };
        Explanation { permitted: denial.is_none(), denial, snapshot_version: Some(version.to_string()), reasons }
    }

    fn decide(&self) -> Result<Reason, (DenialReason, Vec<Reason>)> {
        let Question { system_user, party, right: names, authentication_level } = self.question;
        let user = match self.enforced.system_user(*system_user) {
            Known::Active(user) => user,
            Known::Withdrawn => {
                return Err((DenialReason::SystemUserWithdrawn, vec![Reason::SystemUserWithdrawn]));
            }
            Known::Unknown => return Err((DenialReason::SystemUserUnknown, vec![Reason::SystemUserUnknown])),
        };
        let Some(right) = self.enforced.image().right_named(names) else {
            return Err((DenialReason::RightMissing, vec![self.unknown_right()]));
        };
        let Some(held) = user.row(party.as_u32()) else {
            let mut reasons = vec![Reason::PartyNotRepresented];
            reasons.extend(self.other_parties(&user, right));
            return Err((DenialReason::PartyNotRepresented, reasons));
        };
        let use_of_right = UseOfRight {
            enforced: self.enforced,
            right,
            names,
            system_user: *system_user,
            party: *party,
            authentication_level: *authentication_level,
            now: self.now,
        };
        match use_of_right.granted(held) {
            Ok(GrantedThrough::AccessPackage(package)) => {
                let rule = self.rule(right, Some(package.name()));
                Ok(Reason::GrantedByPackage { package: package.name().to_owned(), rule })
            }
            Ok(GrantedThrough::Delegation) => Ok(Reason::GrantedByDelegation { rule: self.rule(right, None) }),
            Ok(GrantedThrough::Policy) => Ok(Reason::GrantedByPolicy { policy: self.policy() }),
            Err((denial, level)) => Err((denial, self.refusal(denial, level, &user, right, held))),
        }
    }

    fn refusal(
        &self,
        denial: DenialReason,
        level: Option<u8>,
        user: &ActiveUser<'_>,
        right: RightIndex,
        held: Held<'_>,
    ) -> Vec<Reason> {
        match (denial, level) {
            (DenialReason::AuthenticationLevelTooLow, Some(required)) => {
                vec![Reason::AuthenticationLevelTooLow { required, present: self.question.authentication_level }]
            }
            (DenialReason::PartyNotListed, _) => vec![Reason::PartyNotListed],
            (DenialReason::PolicyDenies, _) => vec![Reason::PolicyDenies { policy: self.policy() }],
            (DenialReason::PolicyIndeterminate, _) => vec![Reason::PolicyIndeterminate { policy: self.policy() }],
            (DenialReason::RightMissing, _) => {
                let mut reasons = self.other_actions(held);
                reasons.extend(self.other_parties(user, right));
                reasons.push(self.would_be_granted(right));
                reasons
            }
            _ => vec![Reason::ObligationUnknown],
        }
    }

    fn unknown_right(&self) -> Reason {
        let rights = self.enforced.image().rights();
        let of_resource = rights.iter().filter(|right| right.resource == self.question.right.resource);
        let actions: Vec<ActionId> = of_resource.map(|right| right.action.clone()).collect();
        if actions.is_empty() { Reason::ResourceUnknown } else { Reason::ActionUnknown { actions } }
    }

    /// What it may do on the resource instead, by what gives it.
    fn other_actions(&self, held: Held<'_>) -> Vec<Reason> {
        let rights = self.enforced.image().rights();
        let mut found: Vec<(Option<String>, Vec<ActionId>)> = Vec::new();
        for (bit, through) in held.all() {
            let Some(right) = rights.get(bit as usize) else { continue };
            if right.resource != self.question.right.resource {
                continue;
            }
            let package = match through {
                HeldThrough::Direct => None,
                HeldThrough::AccessPackage(name) => Some(name.as_str().to_owned()),
            };
            match found.iter_mut().find(|(known, _)| *known == package) {
                Some((_, actions)) => actions.push(right.action.clone()),
                None => found.push((package, vec![right.action.clone()])),
            }
        }
        found.into_iter().map(|(package, actions)| Reason::HoldsOtherActions { package, actions }).collect()
    }

    /// For whom it holds the right instead.
    fn other_parties(&self, user: &ActiveUser<'_>, right: RightIndex) -> Option<Reason> {
        let holding = user.rows().into_iter().filter(|(_, held)| held.through(right).is_some());
        let all: Vec<_> = holding.filter_map(|(party, _)| OrganizationNumber::from_u32(party)).collect();
        let parties: Vec<_> = all.iter().take(PARTIES_MAX).copied().collect();
        (!all.is_empty()).then_some(Reason::HoldsForOtherParties { parties, count: all.len() })
    }

    fn would_be_granted(&self, right: RightIndex) -> Reason {
        let rules = self.enforced.image().rules_of(right);
        let packages = rules.filter_map(|(package, _, _)| package).take(PACKAGES_MAX).map(str::to_owned);
        Reason::WouldBeGrantedBy { packages: packages.collect() }
    }

    fn rule(&self, right: RightIndex, package: Option<&str>) -> Option<RuleReference> {
        let mut rules = self.enforced.image().rules_of(right);
        let (_, rule, line) = rules.find(|(of_package, _, _)| *of_package == package)?;
        let (rule, line) = (Some(rule.to_owned()), Some(line).filter(|line| *line > 0));
        self.policy().map(|policy| RuleReference { rule, line, ..policy })
    }

    fn policy(&self) -> Option<RuleReference> {
        let (policy, version) = self.enforced.image().policy_of(self.question.right.resource.as_str())?;
        Some(RuleReference { policy: policy.to_owned(), policy_version: version.to_owned(), rule: None, line: None })
    }
}

#[cfg(test)]
mod tests;
