//! The life of a change request: `New` → `Accepted` | `Rejected`, or timed out if nobody decides; and what an accepted one
//! makes of what the system user holds.

use std::collections::BTreeMap;
use std::fmt;

use policies::Timestamp;
use policies::id::{AccessPackage, ActionId, OrganizationNumber, ResourceId, SystemId, SystemUserId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use crate::requests::model::{CustomerDecision, NotNewError, Status, status};
use crate::right::{ResourceRight, access_packages_json};
use crate::system_users::model::{Delegation, SystemUser};

/// A change request's id: the vendor's correlation id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ChangeRequestId(pub(crate) Uuid);

impl fmt::Display for ChangeRequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(formatter)
    }
}

/// What a system user is to hold and not to hold. No right or package is in both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct WantedChange {
    pub(crate) required_rights: Vec<ResourceRight>,
    pub(crate) unwanted_rights: Vec<ResourceRight>,
    pub(crate) required_packages: Vec<AccessPackage>,
    pub(crate) unwanted_packages: Vec<AccessPackage>,
}

/// The actions of resources' policies; a resource without a policy that can be read has none.
pub(crate) type Actions = BTreeMap<ResourceId, Vec<ActionId>>;

impl WantedChange {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Something is both required and unwanted.
    pub(crate) fn contradicts_itself(&self) -> bool {
        let overlap = |left: &ResourceRight, right: &ResourceRight| left.includes(right) || right.includes(left);
        self.required_rights.iter().any(|right| self.unwanted_rights.iter().any(|other| overlap(right, other)))
            || self.required_packages.iter().any(|package| self.unwanted_packages.contains(package))
    }

    /// The part that is not so already.
    pub(crate) fn difference(&self, held: &Delegation) -> Self {
        let is_touched =
            |right: &&ResourceRight| held.rights.iter().any(|holds| holds.includes(right) || right.includes(holds));
        let has = |package: &&AccessPackage| held.access_packages.contains(package);
        Self {
            required_rights: held.missing_rights(&self.required_rights),
            unwanted_rights: self.unwanted_rights.iter().filter(is_touched).cloned().collect(),
            required_packages: held.missing_packages(&self.required_packages),
            unwanted_packages: self.unwanted_packages.iter().filter(has).cloned().collect(),
        }
    }

    /// What is held after the change. Of a right for every action, one unwanted action leaves the others that the policy has
    /// now, and none that it gets later.
    pub(crate) fn applied_to(&self, held: Delegation, actions: &Actions) -> Delegation {
        let mut rights = Vec::new();
        for right in held.rights {
            let mut left = vec![right];
            for unwanted in &self.unwanted_rights {
                left = left.into_iter().flat_map(|right| without(right, unwanted, actions)).collect();
            }
            rights.extend(left);
        }
        for required in &self.required_rights {
            if !rights.iter().any(|right| right.covers(required)) {
                rights.retain(|right| !required.covers(right));
                rights.push(required.clone());
            }
        }
        let mut access_packages = held.access_packages;
        access_packages.retain(|package| !self.unwanted_packages.contains(package));
        for required in &self.required_packages {
            if !access_packages.contains(required) {
                access_packages.push(required.clone());
            }
        }
        Delegation { party: held.party, rights, access_packages }
    }
}

/// What is left of a right.
fn without(right: ResourceRight, unwanted: &ResourceRight, actions: &Actions) -> Vec<ResourceRight> {
    if unwanted.includes(&right) {
        return Vec::new();
    }
    match &unwanted.action {
        Some(action) if right.includes(unwanted) => {
            let others = actions.get(&right.resource).into_iter().flatten().filter(|other| *other != action);
            let left = |action: &ActionId| ResourceRight { action: Some(action.clone()), ..right.clone() };
            others.map(left).collect()
        }
        _ => vec![right],
    }
}

/// What a vendor asks to have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChangeRequest {
    pub(crate) id: ChangeRequestId,
    pub(crate) system_user: SystemUserId,
    pub(crate) system: SystemId,
    pub(crate) party: OrganizationNumber,
    pub(crate) external_ref: String,
    pub(crate) wanted: WantedChange,
    pub(crate) redirect_url: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) decision: Option<CustomerDecision>,
}

impl ChangeRequest {
    /// A new one, of this system user.
    pub(crate) fn new(
        id: ChangeRequestId,
        user: &SystemUser,
        wanted: WantedChange,
        redirect_url: Option<String>,
        created_at: Timestamp,
    ) -> Self {
        Self {
            id,
            system_user: user.id,
            system: user.system.clone(),
            party: user.owner,
            external_ref: user.external_ref.clone(),
            wanted,
            redirect_url,
            created_at,
            decision: None,
        }
    }

    pub(crate) fn status(&self, now: Timestamp) -> Status {
        status(self.decision, self.created_at, now)
    }

    /// The customer agrees, or does not.
    pub(crate) fn decide(self, is_accepted: bool, user_id: i64, now: Timestamp) -> Result<Self, NotNewError> {
        match self.status(now) {
            Status::New => Ok(Self { decision: Some(CustomerDecision { is_accepted, user_id, at: now }), ..self }),
            Status::Accepted | Status::Rejected | Status::Timedout => Err(NotNewError),
        }
    }

    /// Altinn's `ChangeRequestResponse`.
    pub(crate) fn json(&self, public_url: &Url, now: Timestamp) -> Value {
        let status = self.status(now);
        let confirm_url =
            format!("{public_url}accessmanagement/ui/systemuser/changerequest?id={}&DONTCHOOSEREPORTEE=true", self.id);
        self.json_with(&json!(status), &confirm_url, status == Status::Timedout)
    }

    /// The same for one that is not stored: nothing to confirm.
    pub(crate) fn unstored_json(&self) -> Value {
        let status = if self.wanted.is_empty() { "NoChangeNeeded" } else { "New" };
        self.json_with(&json!(status), "", false)
    }

    fn json_with(&self, status: &Value, confirm_url: &str, is_timed_out: bool) -> Value {
        json!({
            "id": self.id,
            "externalRef": self.external_ref,
            "systemId": self.system,
            "systemUserId": self.system_user,
            "partyOrgNo": self.party,
            "requiredRights": self.wanted.required_rights,
            "unwantedRights": self.wanted.unwanted_rights,
            "requiredAccessPackages": access_packages_json(&self.wanted.required_packages),
            "unwantedAccessPackages": access_packages_json(&self.wanted.unwanted_packages),
            "status": status,
            "redirectUrl": self.redirect_url,
            "confirmUrl": confirm_url,
            "created": self.created_at,
            "timedOut": is_timed_out,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn right(text: &str) -> ResourceRight {
        let (resource, action) =
            text.split_once(':').map_or((text, None), |(resource, action)| (resource, Some(action)));
        ResourceRight {
            resource: ResourceId::parse(resource).unwrap(),
            action: action.map(|action| ActionId::parse(action).unwrap()),
            valid_to: None,
        }
    }

    fn rights(texts: &[&str]) -> Vec<ResourceRight> {
        texts.iter().map(|text| right(text)).collect()
    }

    fn package(name: &str) -> AccessPackage {
        AccessPackage::from_name(name).unwrap()
    }

    fn held(texts: &[&str]) -> Delegation {
        let party = OrganizationNumber::parse("310247049").unwrap();
        Delegation { party, rights: rights(texts), access_packages: vec![package("a"), package("b")] }
    }

    fn change(required: &[&str], unwanted: &[&str]) -> WantedChange {
        WantedChange { required_rights: rights(required), unwanted_rights: rights(unwanted), ..WantedChange::default() }
    }

    #[test]
    fn rights_come_and_go() {
        let actions: Actions = [(
            ResourceId::parse("vat").unwrap(),
            ["read", "write", "sign"].map(|action| ActionId::parse(action).unwrap()).into(),
        )]
        .into();
        for (before, required, unwanted, after) in [
            (&["vat"][..], &["tax"][..], &[][..], &["vat", "tax"][..]),
            (&["vat"], &["vat", "vat:read"], &[], &["vat"]),
            (&["vat:read"], &["vat:write"], &[], &["vat:read", "vat:write"]),
            (&["vat:read", "tax"], &["vat"], &[], &["tax", "vat"]),
            (&["vat", "tax"], &[], &["vat"], &["tax"]),
            (&["vat:read", "vat:write"], &[], &["vat"], &[]),
            (&["vat:read", "vat:write"], &[], &["vat:read"], &["vat:write"]),
            (&["vat"], &[], &["vat:read"], &["vat:write", "vat:sign"]),
            (&["vat"], &[], &["vat:read", "vat:sign"], &["vat:write"]),
            // The policy cannot be read: nothing is left rather than too much.
            (&["tax"], &[], &["tax:read"], &[]),
            (&["vat"], &[], &["tax"], &["vat"]),
        ] {
            let changed = change(required, unwanted).applied_to(held(before), &actions);
            assert_eq!(changed.rights, rights(after), "{before:?} {required:?} {unwanted:?}");
            // Once more changes nothing.
            let again = change(required, unwanted);
            assert_eq!(again.applied_to(changed.clone(), &actions), changed);
            assert!(again.difference(&changed).is_empty(), "{before:?} {required:?} {unwanted:?}");
        }
    }

    #[test]
    fn packages_come_and_go() {
        let wanted = WantedChange {
            required_packages: vec![package("b"), package("c")],
            unwanted_packages: vec![package("a"), package("d")],
            ..WantedChange::default()
        };
        let difference = wanted.difference(&held(&[]));
        assert_eq!(difference.required_packages, [package("c")]);
        assert_eq!(difference.unwanted_packages, [package("a")]);
        let changed = wanted.applied_to(held(&["vat"]), &Actions::new());
        assert_eq!(changed.access_packages, [package("b"), package("c")]);
        assert_eq!(changed.rights, rights(&["vat"]));
    }

    #[test]
    fn what_is_required_is_not_unwanted() {
        assert!(change(&["vat"], &["vat:read"]).contradicts_itself());
        assert!(change(&["vat:read"], &["vat"]).contradicts_itself());
        assert!(!change(&["vat:read"], &["vat:write", "tax"]).contradicts_itself());
        assert!(WantedChange::default().is_empty() && !WantedChange::default().contradicts_itself());
    }
}
