//! What a Permit is bound to: how strongly the subject must have logged in. Nothing else is known, and what is not known
//! is a refusal (XACML 3.0 section 2.12).

use policies::urn;
use policies::xacml::response::Notice;

/// The levels that a decision's obligations ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Levels {
    /// For everybody; 0 without an obligation.
    pub(super) minimum: u64,
    /// For service owners, if it says so.
    pub(super) of_service_owner: Option<u64>,
}

/// An obligation that nobody here can see to, by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnknownObligation<'a>(pub(super) &'a str);

/// The highest of each level; or the first obligation that is not known.
pub(super) fn levels(obligations: &[Notice]) -> Result<Levels, UnknownObligation<'_>> {
    let mut levels = Levels { minimum: 0, of_service_owner: None };
    for obligation in obligations {
        let unknown = UnknownObligation(&obligation.id);
        if obligation.assignments.is_empty() {
            return Err(unknown);
        }
        for assignment in &obligation.assignments {
            let level = assignment.value.trim().parse::<u64>().map_err(|_| unknown)?;
            match assignment.category.as_deref() {
                Some(urn::MINIMUM_AUTHENTICATION_LEVEL) => levels.minimum = level.max(levels.minimum),
                Some(urn::MINIMUM_AUTHENTICATION_LEVEL_ORG) => {
                    levels.of_service_owner = Some(level.max(levels.of_service_owner.unwrap_or(0)));
                }
                _ => return Err(unknown),
            }
        }
    }
    Ok(levels)
}
