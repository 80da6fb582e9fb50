//! The life of a request: `New` → `Accepted` | `Rejected`, or timed out if nobody decides. Each step takes the old state.

use std::fmt;

use policies::Timestamp;
use policies::id::{AccessPackage, OrganizationNumber, SystemId, SystemUserId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use crate::right::{ResourceRight, access_packages_json};
use crate::system_users::model::{Delegation, SystemUser, SystemUserKind};

/// Days after which nobody can decide any more.
pub(crate) const LIFETIME_DAYS: i64 = 180;

/// A request's id; the system user that comes of it has the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct RequestId(pub(crate) Uuid);

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(formatter)
    }
}

/// What a vendor asks of a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SystemUserRequest {
    pub(crate) id: RequestId,
    /// Of the system user that is asked for.
    pub(crate) kind: SystemUserKind,
    pub(crate) system: SystemId,
    pub(crate) party: OrganizationNumber,
    pub(crate) external_ref: String,
    pub(crate) integration_title: String,
    pub(crate) redirect_url: Option<String>,
    pub(crate) rights: Vec<ResourceRight>,
    pub(crate) access_packages: Vec<AccessPackage>,
    pub(crate) created_at: Timestamp,
    /// When what comes of it ends by itself.
    pub(crate) valid_to: Option<Timestamp>,
    /// Somebody who may not decide has passed it on to those who may.
    pub(crate) is_escalated: bool,
    pub(crate) decision: Option<CustomerDecision>,
}

/// What the customer said, who said it and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CustomerDecision {
    pub(crate) is_accepted: bool,
    pub(crate) user_id: i64,
    pub(crate) at: Timestamp,
}

impl CustomerDecision {
    /// What the columns say.
    pub(crate) fn of_columns(status: &str, user_id: Option<i64>, at: Option<i64>) -> Option<Self> {
        let (user_id, at) = (user_id?, Timestamp::from_unix_millis(at?));
        Some(Self { is_accepted: status == "Accepted", user_id, at })
    }

    /// The word for the column.
    pub(crate) fn status_text(decision: Option<Self>) -> &'static str {
        match decision {
            None => "New",
            Some(Self { is_accepted: true, .. }) => "Accepted",
            Some(Self { is_accepted: false, .. }) => "Rejected",
        }
    }
}

/// Where a request stands, in Altinn's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum Status {
    New,
    Accepted,
    Rejected,
    Timedout,
}

/// The customer has decided already, or it is too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request is not new")]
pub(crate) struct NotNewError;

/// Where something stands that came at an instant and may have been decided.
pub(crate) fn status(decision: Option<CustomerDecision>, created_at: Timestamp, now: Timestamp) -> Status {
    match decision {
        Some(CustomerDecision { is_accepted: true, .. }) => Status::Accepted,
        Some(CustomerDecision { is_accepted: false, .. }) => Status::Rejected,
        None if created_at <= newest_timed_out(now) => Status::Timedout,
        None => Status::New,
    }
}

/// What came at this instant or before, and was not decided, is too old.
pub(crate) fn newest_timed_out(now: Timestamp) -> Timestamp {
    now.plus_seconds(-LIFETIME_DAYS * 86_400)
}

impl SystemUserRequest {
    pub(crate) fn status(&self, now: Timestamp) -> Status {
        status(self.decision, self.created_at, now)
    }

    /// The customer agrees: the system user and what it is given. An agent is given nothing until it has clients.
    pub(crate) fn accept(self, user_id: i64, now: Timestamp) -> Result<(Self, SystemUser, Delegation), NotNewError> {
        let accepted = self.decide(true, user_id, now)?;
        let (own, for_clients) = match accepted.kind {
            SystemUserKind::Standard => (accepted.access_packages.clone(), Vec::new()),
            SystemUserKind::Agent => (Vec::new(), accepted.access_packages.clone()),
        };
        let user = SystemUser {
            id: SystemUserId::from_uuid(accepted.id.0),
            kind: accepted.kind,
            client_packages: for_clients,
            system: accepted.system.clone(),
            owner: accepted.party,
            external_ref: accepted.external_ref.clone(),
            integration_title: accepted.integration_title.clone(),
            created_at: now,
            withdrawn_at: None,
        };
        // What was to end before it was decided is not given.
        let rights = accepted.rights.iter().filter(|right| !right.is_over(now)).cloned().collect();
        let delegation = Delegation { party: accepted.party, rights, access_packages: own };
        Ok((accepted, user, delegation))
    }

    /// The customer refuses.
    pub(crate) fn reject(self, user_id: i64, now: Timestamp) -> Result<Self, NotNewError> {
        self.decide(false, user_id, now)
    }

    /// Whoever may not decide passes it on to those who may.
    pub(crate) fn escalate(self, now: Timestamp) -> Result<Self, NotNewError> {
        match self.status(now) {
            Status::New => Ok(Self { is_escalated: true, ..self }),
            Status::Accepted | Status::Rejected | Status::Timedout => Err(NotNewError),
        }
    }

    fn decide(self, is_accepted: bool, user_id: i64, now: Timestamp) -> Result<Self, NotNewError> {
        match self.status(now) {
            Status::New => Ok(Self { decision: Some(CustomerDecision { is_accepted, user_id, at: now }), ..self }),
            Status::Accepted | Status::Rejected | Status::Timedout => Err(NotNewError),
        }
    }

    /// Altinn's `RequestSystemResponse`, or `AgentRequestSystemResponse`, which has no rights.
    pub(crate) fn json(&self, public_url: &Url, now: Timestamp) -> Value {
        let status = self.status(now);
        let page = match self.kind {
            SystemUserKind::Standard => "request",
            SystemUserKind::Agent => "agentrequest",
        };
        let mut json = json!({
            "id": self.id,
            "integrationTitle": self.integration_title,
            "externalRef": self.external_ref,
            "systemId": self.system,
            "partyOrgNo": self.party,
            "rights": self.rights,
            "accessPackages": access_packages_json(&self.access_packages),
            "status": status,
            "redirectUrl": self.redirect_url,
            "confirmUrl": format!(
                "{public_url}accessmanagement/ui/systemuser/{page}?id={}&DONTCHOOSEREPORTEE=true", self.id
            ),
            "escalated": self.is_escalated,
            "created": self.created_at,
            "timedOut": status == Status::Timedout,
        });
        if let Some(members) = json.as_object_mut() {
            if self.kind == SystemUserKind::Agent {
                members.remove("rights");
            }
            // Ours, so it is told only where it was asked for.
            if let Some(valid_to) = self.valid_to {
                members.insert("validTo".to_owned(), json!(valid_to));
            }
        }
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> SystemUserRequest {
        SystemUserRequest {
            id: RequestId(Uuid::from_u128(1)),
            kind: SystemUserKind::Standard,
            system: SystemId::parse("310247030_smartcloud").unwrap(),
            party: OrganizationNumber::parse("310247049").unwrap(),
            external_ref: "310247049".to_owned(),
            integration_title: "SmartCloud".to_owned(),
            redirect_url: None,
            rights: Vec::new(),
            access_packages: Vec::new(),
            created_at: Timestamp::from_unix_seconds(0),
            valid_to: None,
            is_escalated: false,
            decision: None,
        }
    }

    #[test]
    fn a_request_is_decided_once() {
        let now = Timestamp::from_unix_seconds(1);
        let (accepted, user, delegation) = request().accept(7, now).unwrap();
        assert_eq!(accepted.status(now), Status::Accepted);
        assert_eq!(user.id.as_uuid(), accepted.id.0);
        assert_eq!((user.owner, delegation.party), (accepted.party, accepted.party));
        assert_eq!(accepted.clone().accept(7, now), Err(NotNewError));
        assert_eq!(accepted.reject(7, now), Err(NotNewError));
        let rejected = request().reject(7, now).unwrap();
        assert_eq!(rejected.status(now), Status::Rejected);
        assert_eq!(rejected.accept(7, now), Err(NotNewError));
    }

    #[test]
    fn a_request_times_out_after_180_days() {
        let last = Timestamp::from_unix_seconds(LIFETIME_DAYS * 86_400 - 1);
        assert_eq!(request().status(last), Status::New);
        assert_eq!(request().status(last.plus_seconds(1)), Status::Timedout);
        assert!(request().accept(7, last).is_ok());
        assert_eq!(request().accept(7, last.plus_seconds(1)), Err(NotNewError));
    }
}
