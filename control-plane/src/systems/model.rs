//! A registered system, what was done to it, and their JSON forms.

use policies::Timestamp;
use policies::id::{AccessPackage, MaskinportenClientId, OrganizationNumber, SystemId};
use serde::Serialize;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use crate::fields::LocalizedText;
use crate::right::{ResourceRight, access_packages_json};

/// What a vendor registered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct System {
    pub(crate) id: SystemId,
    pub(crate) internal_id: Uuid,
    pub(crate) vendor: OrganizationNumber,
    pub(crate) name: LocalizedText,
    pub(crate) description: LocalizedText,
    pub(crate) rights: Vec<ResourceRight>,
    pub(crate) access_packages: Vec<AccessPackage>,
    pub(crate) client_ids: Vec<MaskinportenClientId>,
    pub(crate) redirect_urls: Vec<RedirectUrl>,
    pub(crate) is_visible: bool,
    pub(crate) is_deleted: bool,
    /// In no register: its vendor's own, for one system user.
    pub(crate) is_free: bool,
    pub(crate) created_at: Timestamp,
}

/// All that a vendor may change of a system.
#[derive(Debug)]
pub(crate) struct SystemContent {
    pub(crate) name: LocalizedText,
    pub(crate) description: LocalizedText,
    pub(crate) rights: Vec<ResourceRight>,
    pub(crate) access_packages: Vec<AccessPackage>,
    pub(crate) client_ids: Vec<MaskinportenClientId>,
    pub(crate) redirect_urls: Vec<RedirectUrl>,
    pub(crate) is_visible: bool,
}

impl System {
    pub(crate) fn new(
        id: SystemId,
        internal_id: Uuid,
        vendor: OrganizationNumber,
        content: SystemContent,
        created_at: Timestamp,
    ) -> Self {
        let SystemContent { name, description, rights, access_packages, client_ids, redirect_urls, is_visible } =
            content;
        Self {
            id,
            internal_id,
            vendor,
            name,
            description,
            rights,
            access_packages,
            client_ids,
            redirect_urls,
            is_visible,
            is_deleted: false,
            is_free: false,
            created_at,
        }
    }

    /// The same live system with other content.
    pub(crate) fn replace(self, content: SystemContent) -> Self {
        let is_free = self.is_free;
        Self { is_free, ..Self::new(self.id, self.internal_id, self.vendor, content, self.created_at) }
    }

    /// Whether it is in the register and may be used.
    pub(crate) fn is_offered(&self) -> bool {
        !self.is_deleted && !self.is_free
    }

    /// Altinn's `RegisterSystemRequest`: what the vendor sent, in the form that is stored.
    pub(crate) fn registration_json(&self) -> Value {
        let mut json = self.whole_json();
        if let Some(members) = json.as_object_mut() {
            members.remove("isDeleted");
        }
        json
    }

    /// Altinn's `RegisteredSystemResponse`: all of it, for the vendor.
    pub(crate) fn whole_json(&self) -> Value {
        json!({
            "id": self.id,
            "vendor": { "ID": self.vendor.iso6523() },
            "name": self.name,
            "description": self.description,
            "rights": self.rights,
            "accessPackages": access_packages_json(&self.access_packages),
            "isDeleted": self.is_deleted,
            "clientId": self.client_ids,
            "isVisible": self.is_visible,
            "allowedRedirectUrls": self.redirect_urls,
        })
    }

    /// Altinn's `RegisteredSystemDTO`: what lists show.
    pub(crate) fn listed_json(&self) -> Value {
        json!({
            "systemId": self.id,
            "systemVendorOrgNumber": self.vendor,
            "systemVendorOrgName": "",
            "name": self.name,
            "description": self.description,
            "rights": self.rights,
            "accessPackages": access_packages_json(&self.access_packages),
            "isVisible": self.is_visible,
        })
    }
}

/// What was done to a system, in Altinn's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChangeKind {
    Create,
    Update,
    RightsUpdate,
    AccessPackageUpdate,
    Delete,
}

const CHANGE_KINDS: [(ChangeKind, &str); 5] = [
    (ChangeKind::Create, "create"),
    (ChangeKind::Update, "update"),
    (ChangeKind::RightsUpdate, "rightsupdate"),
    (ChangeKind::AccessPackageUpdate, "accesspackageupdate"),
    (ChangeKind::Delete, "delete"),
];

/// No change is called so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a change of a system")]
pub(crate) struct ChangeKindError;

impl ChangeKind {
    pub(crate) fn name(self) -> &'static str {
        CHANGE_KINDS.iter().find(|(kind, _)| *kind == self).map_or("unknown", |(_, name)| name)
    }

    pub(crate) fn parse(name: &str) -> Result<Self, ChangeKindError> {
        CHANGE_KINDS.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind).ok_or(ChangeKindError)
    }
}

/// One line of a system's change log.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SystemChange {
    pub(crate) kind: ChangeKind,
    pub(crate) organization: OrganizationNumber,
    pub(crate) client_id: Option<MaskinportenClientId>,
    pub(crate) at: Timestamp,
    /// What was sent, in the form that is stored; null for a deletion.
    pub(crate) data: Value,
}

impl SystemChange {
    /// Altinn's `SystemChangeLog`.
    pub(crate) fn json(&self, system: &System) -> Value {
        json!({
            "systemInternalId": system.internal_id,
            "changedByOrgNumber": self.organization,
            "changeType": self.kind.name(),
            "changedData": self.data,
            "clientId": self.client_id,
            "created": self.at,
        })
    }
}

/// A page of the vendor's to which a customer may be sent back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RedirectUrl {
    text: String,
    url: Url,
}

/// The text is not an absolute https URL without user and fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a redirect URL is an absolute https URL without user and fragment")]
pub(crate) struct RedirectUrlError;

impl RedirectUrl {
    const CHARS_MAX: usize = 2000;

    pub(crate) fn parse(text: &str) -> Result<Self, RedirectUrlError> {
        // `Url` forgives backslashes, blanks and missing slashes; what other readers see differently is refused.
        let is_plain = text.len() <= Self::CHARS_MAX
            && text.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"))
            && !text.get(8..).is_some_and(|rest| rest.starts_with('/'))
            && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        let url = Url::parse(text).map_err(|_| RedirectUrlError)?;
        let has_user = !url.username().is_empty() || url.password().is_some();
        if !is_plain || url.host_str().is_none_or(str::is_empty) || has_user || url.fragment().is_some() {
            return Err(RedirectUrlError);
        }
        Ok(Self { text: text.to_owned(), url })
    }

    /// Whether a customer may be sent to `other`: same scheme, host, port and path. The query is the vendor's own.
    pub(crate) fn allows(&self, other: &Self) -> bool {
        self.url.origin() == other.url.origin() && self.url.path() == other.url.path()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

impl Serialize for RedirectUrl {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirect_urls_are_compared_by_scheme_host_port_and_path() {
        let allowed = RedirectUrl::parse("https://vendor.no/done").unwrap();
        for same in [
            "https://vendor.no/done",
            "https://vendor.no:443/done?x=1",
            "HTTPS://VENDOR.no/done",
            "https://vendor.no/a/../done",
        ] {
            assert!(allowed.allows(&RedirectUrl::parse(same).unwrap()), "{same}");
        }
        for other in [
            "https://vendor.no/Done",
            "https://vendor.no/done/",
            "https://vendor.no/done/more",
            "https://vendor.no:8443/done",
            "https://vendor.no.evil.no/done",
            "https://www.vendor.no/done",
        ] {
            assert!(!allowed.allows(&RedirectUrl::parse(other).unwrap()), "{other}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for wrong in [
            "",
            "vendor.no/done",
            "http://vendor.no/done",
            "https://",
            "https:///done",
            "https:vendor.no/done",
            "https://vendor.no@evil.no/done",
            "https://user:word@vendor.no/done",
            "https://vendor.no/done#x",
            "https://vendor.no\\@evil.no/done",
            "https://vendor.no/do ne",
            "javascript:alert(1)",
        ] {
            assert!(RedirectUrl::parse(wrong).is_err(), "{wrong}");
        }
    }
}
