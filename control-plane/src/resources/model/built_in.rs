//! The resources that the control plane itself protects: what people may do here is decided from roles and access
//! packages by policies like any other's, `policies/*.xml`.
//!
//! They have Altinn's ids and belong to no provider; nobody can store a resource of the same id.

use policies::id::ResourceId;

/// One of Altinn's own resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum BuiltInResource {
    /// The rights of an organisation, system users included.
    AccessManagement,
    /// The list of its system users.
    SystemUserOverview,
    /// Which clients its agent system users act for.
    ClientAdministration,
}

impl BuiltInResource {
    pub(crate) const ALL: [Self; 3] = [Self::AccessManagement, Self::SystemUserOverview, Self::ClientAdministration];

    /// Its id, as Altinn has it.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::AccessManagement => "altinn_access_management",
            Self::SystemUserOverview => "altinn_system_user_overview",
            Self::ClientAdministration => "altinn_client_administration",
        }
    }

    /// Its policy.
    pub(crate) fn xml(self) -> &'static str {
        match self {
            Self::AccessManagement => include_str!("../../../policies/altinn_access_management.xml"),
            Self::SystemUserOverview => include_str!("../../../policies/altinn_system_user_overview.xml"),
            Self::ClientAdministration => include_str!("../../../policies/altinn_client_administration.xml"),
        }
    }

    /// Whether the id is one of theirs.
    pub(crate) fn is_id(id: &ResourceId) -> bool {
        Self::ALL.iter().any(|resource| resource.id() == id.as_str())
    }
}
