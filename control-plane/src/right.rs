//! A right and an access package as a vendor names them: the JSON that several of Altinn's bodies share.
//!
//! [`ResourceRight`] differs from `policies::right::Right` in that its action may be left open.

use policies::id::{AccessPackage, ActionId, IdError, ResourceId};
use policies::urn;
use policies::{Timestamp, TimestampError};
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::json;

/// A resource and one action on it, or every action of the resource's current policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ResourceRight {
    pub(crate) resource: ResourceId,
    pub(crate) action: Option<ActionId>,
    /// When it ends by itself. What a system is registered with has no end.
    pub(crate) valid_to: Option<Timestamp>,
}

impl ResourceRight {
    /// Whether whoever holds this right holds `other` too, as long as `other` lasts.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let lasts = |end: Timestamp| other.valid_to.is_some_and(|other| other <= end);
        self.includes(other) && self.valid_to.is_none_or(lasts)
    }

    /// Whether `other` is this right or a part of it, however long either lasts.
    pub(crate) fn includes(&self, other: &Self) -> bool {
        self.resource == other.resource && (self.action.is_none() || self.action == other.action)
    }

    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        self.valid_to.is_some_and(|end| end <= now)
    }
}

impl Serialize for ResourceRight {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut right = serializer.serialize_struct("Right", 3)?;
        match &self.action {
            Some(action) => right.serialize_field("action", action)?,
            None => right.skip_field("action")?,
        }
        right.serialize_field("resource", &json!([{ "id": urn::RESOURCE, "value": self.resource }]))?;
        // Ours, so it is told only of a right that has one.
        match &self.valid_to {
            Some(valid_to) => right.serialize_field("validTo", valid_to)?,
            None => right.skip_field("validTo")?,
        }
        right.end()
    }
}

/// A right as it arrives, names in lower case.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RightBody {
    action: Option<String>,
    #[serde(default)]
    resource: Vec<AttributeBody>,
    /// When it ends by itself; what is stored has the name as it is written.
    #[serde(rename = "validto", alias = "validTo")]
    valid_to: Option<String>,
}

impl RightBody {
    /// When it ends by itself, where rights may have an end.
    pub(crate) fn valid_to(&self) -> Result<Option<Timestamp>, TimestampError> {
        self.valid_to.as_deref().filter(|text| !text.is_empty()).map(Timestamp::parse_rfc3339).transpose()
    }
}

#[derive(Debug, Clone, Deserialize)]
struct AttributeBody {
    id: Option<String>,
    value: Option<String>,
}

/// A right does not name exactly one resource by its URN, or names it or its action with characters that no id has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a right names exactly one `urn:altinn:resource`")]
pub(crate) struct RightFormError;

impl TryFrom<&RightBody> for ResourceRight {
    type Error = RightFormError;

    fn try_from(body: &RightBody) -> Result<Self, RightFormError> {
        let [AttributeBody { id: Some(id), value: Some(value) }] = body.resource.as_slice() else {
            return Err(RightFormError);
        };
        if id != urn::RESOURCE {
            return Err(RightFormError);
        }
        let resource = ResourceId::parse(value).map_err(|_| RightFormError)?;
        let action = match body.action.as_deref() {
            None | Some("") => None,
            Some(action) => Some(ActionId::parse(action).map_err(|_| RightFormError)?),
        };
        Ok(Self { resource, action, valid_to: None })
    }
}

/// An access package as it arrives.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct AccessPackageBody {
    #[serde(default)]
    urn: String,
}

impl TryFrom<&AccessPackageBody> for AccessPackage {
    type Error = IdError;

    fn try_from(body: &AccessPackageBody) -> Result<Self, IdError> {
        Self::parse(&body.urn)
    }
}

/// An access package as it leaves: `{"urn": …}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct AccessPackageJson {
    urn: AccessPackage,
}

/// Access packages as they leave.
pub(crate) fn access_packages_json(packages: &[AccessPackage]) -> Vec<AccessPackageJson> {
    packages.iter().map(|urn| AccessPackageJson { urn: urn.clone() }).collect()
}

/// Lists of rights and packages as the database keeps them.
pub(crate) mod stored {
    use super::*;
    use crate::store::decoded;

    /// Rights in Altinn's JSON form.
    pub(crate) fn rights_text(rights: &[ResourceRight]) -> String {
        json!(rights).to_string()
    }

    pub(crate) fn rights(text: &str) -> Result<Vec<ResourceRight>, sqlx::Error> {
        let bodies: Vec<RightBody> = decoded(serde_json::from_str(text))?;
        let right = |body: &RightBody| {
            let right = decoded(ResourceRight::try_from(body))?;
            Ok(ResourceRight { valid_to: decoded(body.valid_to())?, ..right })
        };
        bodies.iter().map(right).collect()
    }

    /// Packages as a list of URNs.
    pub(crate) fn packages_text(packages: &[AccessPackage]) -> String {
        json!(packages).to_string()
    }

    pub(crate) fn packages(text: &str) -> Result<Vec<AccessPackage>, sqlx::Error> {
        decoded(serde_json::from_str(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn right(json: serde_json::Value) -> Result<ResourceRight, RightFormError> {
        ResourceRight::try_from(&serde_json::from_value::<RightBody>(json).unwrap())
    }

    #[test]
    fn a_right_reads_what_it_writes() {
        for json in [
            json!({ "resource": [{ "id": "urn:altinn:resource", "value": "vat" }] }),
            json!({ "action": "read", "resource": [{ "id": "urn:altinn:resource", "value": "vat" }] }),
        ] {
            let right = right(json.clone()).unwrap();
            assert_eq!(json!(right), json);
            let end = Timestamp::parse_rfc3339("2026-12-01T00:00:00Z").unwrap();
            let until = ResourceRight { valid_to: Some(end), ..right.clone() };
            assert_eq!(stored::rights(&stored::rights_text(std::slice::from_ref(&until))).unwrap(), [until]);
            assert_eq!(stored::rights(&stored::rights_text(std::slice::from_ref(&right))).unwrap(), [right]);
        }
    }

    #[test]
    fn a_right_names_exactly_one_resource() {
        for json in [
            json!({}),
            json!({ "resource": [] }),
            json!({ "resource": [{ "id": "urn:altinn:org", "value": "skd" }] }),
            json!({ "resource": [{ "id": "urn:altinn:resource", "value": "" }] }),
            json!({ "resource": [{ "id": "urn:altinn:resource", "value": "a b" }] }),
            json!({ "resource": [{ "id": "urn:altinn:resource" }] }),
            json!({ "resource": [{ "id": "urn:altinn:resource", "value": "a" }, { "id": "urn:altinn:resource", "value": "b" }] }),
        ] {
            assert_eq!(right(json.clone()), Err(RightFormError), "{json}");
        }
    }

    #[test]
    fn an_open_action_covers_every_action_and_not_the_other_way_round() {
        let every = right(json!({ "resource": [{ "id": "urn:altinn:resource", "value": "vat" }] })).unwrap();
        let read =
            right(json!({ "action": "read", "resource": [{ "id": "urn:altinn:resource", "value": "vat" }] })).unwrap();
        assert!(every.covers(&read) && every.covers(&every) && read.covers(&read));
        assert!(!read.covers(&every));
    }

    #[test]
    fn a_right_covers_what_ends_no_later() {
        let right = |action: Option<&str>, end: Option<i64>| ResourceRight {
            resource: ResourceId::parse("vat").unwrap(),
            action: action.map(|action| ActionId::parse(action).unwrap()),
            valid_to: end.map(Timestamp::from_unix_seconds),
        };
        for (holds, other, covers) in [
            (right(None, None), right(Some("read"), Some(1)), true),
            (right(None, Some(2)), right(Some("read"), Some(2)), true),
            (right(None, Some(1)), right(Some("read"), Some(2)), false),
            (right(None, Some(1)), right(None, None), false),
            (right(Some("read"), None), right(None, Some(1)), false),
        ] {
            assert_eq!(holds.covers(&other), covers, "{holds:?} {other:?}");
            assert_eq!(holds.includes(&other), holds.action.is_none());
        }
        assert!(right(None, Some(1)).is_over(Timestamp::from_unix_seconds(1)));
        assert!(
            !right(None, Some(2)).is_over(Timestamp::from_unix_seconds(1))
                && !right(None, None).is_over(Timestamp::from_unix_seconds(1))
        );
    }
}
