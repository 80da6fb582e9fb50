//! Combining algorithms: from the decisions of children to one decision, with the three kinds of Indeterminate
//! (XACML 3.0, 7.10–7.14 and appendix C).

use super::ast::Effect;
use super::response::Decision;

/// A decision with the kinds of Indeterminate told apart: what it might have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Extended {
    Permit,
    Deny,
    NotApplicable,
    /// Might have been Permit.
    IndeterminatePermit,
    /// Might have been Deny.
    IndeterminateDeny,
    /// Might have been either.
    IndeterminateBoth,
}

/// A combining algorithm. Ordered variants are the same: children are always taken in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    DenyOverrides,
    PermitOverrides,
    DenyUnlessPermit,
    PermitUnlessDeny,
    FirstApplicable,
    OnlyOneApplicable,
    /// Of XACML 1.0 and 1.1, which do not tell Indeterminates apart.
    LegacyRuleDenyOverrides,
    LegacyRulePermitOverrides,
    LegacyPolicyDenyOverrides,
    LegacyPolicyPermitOverrides,
}

/// Numbers of the algorithms in compiled policies: never changed, never given out again.
const ALGORITHMS: [(u8, Algorithm); 10] = [
    (1, Algorithm::DenyOverrides),
    (2, Algorithm::PermitOverrides),
    (3, Algorithm::DenyUnlessPermit),
    (4, Algorithm::PermitUnlessDeny),
    (5, Algorithm::FirstApplicable),
    (6, Algorithm::OnlyOneApplicable),
    (7, Algorithm::LegacyRuleDenyOverrides),
    (8, Algorithm::LegacyRulePermitOverrides),
    (9, Algorithm::LegacyPolicyDenyOverrides),
    (10, Algorithm::LegacyPolicyPermitOverrides),
];

/// Combines decisions one by one.
#[derive(Debug, Clone)]
pub(crate) struct Combiner {
    algorithm: Algorithm,
    permit: bool,
    deny: bool,
    indeterminate_permit: bool,
    indeterminate_deny: bool,
    indeterminate_both: bool,
    /// Known already, whatever comes.
    decided: Option<Extended>,
}

impl Algorithm {
    /// The algorithm with this identifier, for policies' rules or for sets' policies.
    pub(crate) fn from_uri(uri: &str, for_set: bool) -> Option<Self> {
        let (version, rest) = uri.strip_prefix("urn:oasis:names:tc:xacml:")?.split_once(':')?;
        let kind = if for_set { "policy-combining-algorithm:" } else { "rule-combining-algorithm:" };
        Some(match (version, rest.strip_prefix(kind)?) {
            ("3.0", "deny-overrides" | "ordered-deny-overrides") => Self::DenyOverrides,
            ("3.0", "permit-overrides" | "ordered-permit-overrides") => Self::PermitOverrides,
            ("3.0", "deny-unless-permit") => Self::DenyUnlessPermit,
            ("3.0", "permit-unless-deny") => Self::PermitUnlessDeny,
            ("1.0", "first-applicable") => Self::FirstApplicable,
            ("1.0", "only-one-applicable") if for_set => Self::OnlyOneApplicable,
            ("1.0", "deny-overrides") | ("1.1", "ordered-deny-overrides") if for_set => Self::LegacyPolicyDenyOverrides,
            ("1.0", "deny-overrides") | ("1.1", "ordered-deny-overrides") => Self::LegacyRuleDenyOverrides,
            ("1.0", "permit-overrides") | ("1.1", "ordered-permit-overrides") if for_set => {
                Self::LegacyPolicyPermitOverrides
            }
            ("1.0", "permit-overrides") | ("1.1", "ordered-permit-overrides") => Self::LegacyRulePermitOverrides,
            _ => return None,
        })
    }
}

impl Algorithm {
    /// The algorithm with this number.
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        ALGORITHMS.iter().find(|row| row.0 == number).map(|row| row.1)
    }

    /// The number.
    pub(crate) fn number(self) -> u8 {
        ALGORITHMS.iter().find(|row| row.1 == self).map_or(0, |row| row.0)
    }

    /// Whether it is for the children of a set, or for the rules of a policy.
    pub(crate) fn is_for(self, set: bool) -> bool {
        match self {
            Self::OnlyOneApplicable | Self::LegacyPolicyDenyOverrides | Self::LegacyPolicyPermitOverrides => set,
            Self::LegacyRuleDenyOverrides | Self::LegacyRulePermitOverrides => !set,
            _ => true,
        }
    }

    /// Whether Altinn's engine has it.
    pub(crate) fn is_known_to_altinn(self) -> bool {
        matches!(
            self,
            Self::DenyOverrides
                | Self::PermitOverrides
                | Self::DenyUnlessPermit
                | Self::PermitUnlessDeny
                | Self::FirstApplicable
        )
    }
}

impl Combiner {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            permit: false,
            deny: false,
            indeterminate_permit: false,
            indeterminate_deny: false,
            indeterminate_both: false,
            decided: None,
        }
    }

    /// Whether no further decision matters.
    pub(crate) fn is_decided(&self) -> bool {
        self.decided.is_some()
    }

    /// Takes the next decision.
    pub(crate) fn add(&mut self, decision: Extended) {
        use Extended::{Deny, IndeterminateBoth, IndeterminateDeny, IndeterminatePermit, NotApplicable, Permit};
        match decision {
            Permit => self.permit = true,
            Deny => self.deny = true,
            NotApplicable => {}
            IndeterminatePermit => self.indeterminate_permit = true,
            IndeterminateDeny => self.indeterminate_deny = true,
            IndeterminateBoth => self.indeterminate_both = true,
        }
        self.decided = match (self.algorithm, decision) {
            (
                Algorithm::DenyOverrides
                | Algorithm::LegacyRuleDenyOverrides
                | Algorithm::PermitUnlessDeny
                | Algorithm::LegacyPolicyDenyOverrides,
                Deny,
            ) => Some(Deny),
            (
                Algorithm::PermitOverrides
                | Algorithm::LegacyRulePermitOverrides
                | Algorithm::DenyUnlessPermit
                | Algorithm::LegacyPolicyPermitOverrides,
                Permit,
            ) => Some(Permit),
            (Algorithm::LegacyPolicyDenyOverrides, other) if other.is_indeterminate() => Some(Deny),
            (Algorithm::FirstApplicable | Algorithm::OnlyOneApplicable, other) if other != NotApplicable => Some(other),
            _ => self.decided,
        };
    }

    /// The combined decision.
    pub(crate) fn finish(&self) -> Extended {
        if let Some(decided) = self.decided {
            return decided;
        }
        let any_indeterminate = self.indeterminate_permit || self.indeterminate_deny || self.indeterminate_both;
        match self.algorithm {
            Algorithm::DenyOverrides => {
                if self.indeterminate_both || (self.indeterminate_deny && (self.indeterminate_permit || self.permit)) {
                    Extended::IndeterminateBoth
                } else if self.indeterminate_deny {
                    Extended::IndeterminateDeny
                } else if self.permit {
                    Extended::Permit
                } else if self.indeterminate_permit {
                    Extended::IndeterminatePermit
                } else {
                    Extended::NotApplicable
                }
            }
            Algorithm::PermitOverrides => {
                if self.indeterminate_both || (self.indeterminate_permit && (self.indeterminate_deny || self.deny)) {
                    Extended::IndeterminateBoth
                } else if self.indeterminate_permit {
                    Extended::IndeterminatePermit
                } else if self.deny {
                    Extended::Deny
                } else if self.indeterminate_deny {
                    Extended::IndeterminateDeny
                } else {
                    Extended::NotApplicable
                }
            }
            Algorithm::DenyUnlessPermit => Extended::Deny,
            Algorithm::PermitUnlessDeny => Extended::Permit,
            Algorithm::FirstApplicable | Algorithm::OnlyOneApplicable => Extended::NotApplicable,
            Algorithm::LegacyRuleDenyOverrides => {
                // What might have been a Deny counts before a Permit.
                if self.indeterminate_deny || self.indeterminate_both {
                    Extended::IndeterminateBoth
                } else if self.permit {
                    Extended::Permit
                } else if any_indeterminate {
                    Extended::IndeterminateBoth
                } else {
                    Extended::NotApplicable
                }
            }
            Algorithm::LegacyRulePermitOverrides => {
                if self.indeterminate_permit || self.indeterminate_both {
                    Extended::IndeterminateBoth
                } else if self.deny {
                    Extended::Deny
                } else if any_indeterminate {
                    Extended::IndeterminateBoth
                } else {
                    Extended::NotApplicable
                }
            }
            Algorithm::LegacyPolicyDenyOverrides if self.permit => Extended::Permit,
            Algorithm::LegacyPolicyPermitOverrides if self.deny => Extended::Deny,
            Algorithm::LegacyPolicyPermitOverrides if any_indeterminate => Extended::IndeterminateBoth,
            Algorithm::LegacyPolicyDenyOverrides | Algorithm::LegacyPolicyPermitOverrides => Extended::NotApplicable,
        }
    }
}

impl Extended {
    pub(crate) fn is_indeterminate(self) -> bool {
        matches!(self, Self::IndeterminatePermit | Self::IndeterminateDeny | Self::IndeterminateBoth)
    }

    /// What it would be if it cannot be known whether it applies (7.13, table 7).
    pub(crate) fn if_uncertain(self) -> Self {
        match self {
            Self::Permit => Self::IndeterminatePermit,
            Self::Deny => Self::IndeterminateDeny,
            other => other,
        }
    }

    /// The effect, if it is one.
    pub(crate) fn effect(self) -> Option<Effect> {
        match self {
            Self::Permit => Some(Effect::Permit),
            Self::Deny => Some(Effect::Deny),
            _ => None,
        }
    }

    /// As it is answered.
    pub(crate) fn decision(self) -> Decision {
        match self {
            Self::Permit => Decision::Permit,
            Self::Deny => Decision::Deny,
            Self::NotApplicable => Decision::NotApplicable,
            Self::IndeterminatePermit | Self::IndeterminateDeny | Self::IndeterminateBoth => Decision::Indeterminate,
        }
    }
}

impl From<Effect> for Extended {
    fn from(effect: Effect) -> Self {
        match effect {
            Effect::Permit => Self::Permit,
            Effect::Deny => Self::Deny,
        }
    }
}

#[cfg(test)]
mod tests;
