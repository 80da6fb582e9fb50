//! A right: one action on one resource, the unit that is delegated, looked up and explained.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{ActionId, ResourceId};

/// One XACML action on one resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Right {
    /// The resource.
    pub resource: ResourceId,
    /// What is done to it.
    pub action: ActionId,
}

impl fmt::Display for Right {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} on {}", self.action, self.resource)
    }
}
