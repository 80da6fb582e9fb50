//! Every URN and registered name of Altinn, Maskinporten, XACML and ISO 6523 that Portvakt speaks, once.
//!
//! Spelled as the services spell them; nothing here is ours to change.

/// Claim and grant type of a system user in `authorization_details` (RFC 9396; Maskinporten).
pub const SYSTEM_USER: &str = "urn:altinn:systemuser";
/// XACML subject attribute that names a system user.
pub const SYSTEM_USER_UUID: &str = "urn:altinn:systemuser:uuid";
/// XACML resource attribute that names a resource of the Resource Registry.
pub const RESOURCE: &str = "urn:altinn:resource";
/// XACML subject attribute whose value is the last part of an access package's URN.
pub const ACCESS_PACKAGE: &str = "urn:altinn:accesspackage";
/// What every access package's URN begins with.
pub const ACCESS_PACKAGE_PREFIX: &str = "urn:altinn:accesspackage:";
/// XACML attribute that names an organisation by its number.
pub const ORGANIZATION_NUMBER: &str = "urn:altinn:organization:identifier-no";
/// The same, as Altinn named it before.
pub const OLD_ORGANIZATION_NUMBER: &str = "urn:altinn:organizationnumber";
/// XACML resource attribute: owner of an app.
pub const APP_OWNER: &str = "urn:altinn:org";
/// XACML resource attribute: name of an app, unique for its owner.
pub const APP: &str = "urn:altinn:app";
/// Authority of organisation numbers in `consumer` and `systemuser_org` (ISO 6523 through PEPPOL).
pub const ISO6523_AUTHORITY: &str = "iso6523-actorid-upis";
/// ISO 6523 scheme of Norwegian organisation numbers, with its separator.
pub const ISO6523_PREFIX: &str = "0192:";

/// XACML attribute of the action.
pub const ACTION_ID: &str = "urn:oasis:names:tc:xacml:1.0:action:action-id";
/// Category of a minimum authentication level obligation's assignment.
pub const MINIMUM_AUTHENTICATION_LEVEL: &str = "urn:altinn:minimum-authenticationlevel";
/// The same, for service owners; it does not concern system users.
pub const MINIMUM_AUTHENTICATION_LEVEL_ORG: &str = "urn:altinn:minimum-authenticationlevel-org";

/// XACML 3.0 namespace of policies.
pub const XACML_NAMESPACE: &str = "urn:oasis:names:tc:xacml:3.0:core:schema:wd-17";
/// XACML category of the subject.
pub const CATEGORY_SUBJECT: &str = "urn:oasis:names:tc:xacml:1.0:subject-category:access-subject";
/// XACML category of the resource.
pub const CATEGORY_RESOURCE: &str = "urn:oasis:names:tc:xacml:3.0:attribute-category:resource";
/// XACML category of the action.
pub const CATEGORY_ACTION: &str = "urn:oasis:names:tc:xacml:3.0:attribute-category:action";
/// XACML environment attribute: the time of day.
pub const CURRENT_TIME: &str = "urn:oasis:names:tc:xacml:1.0:environment:current-time";
/// XACML environment attribute: the date.
pub const CURRENT_DATE: &str = "urn:oasis:names:tc:xacml:1.0:environment:current-date";
/// XACML environment attribute: the instant.
pub const CURRENT_DATE_TIME: &str = "urn:oasis:names:tc:xacml:1.0:environment:current-dateTime";
/// XACML match function.
pub const STRING_EQUAL: &str = "urn:oasis:names:tc:xacml:1.0:function:string-equal";
/// XACML match function that folds letter case.
pub const STRING_EQUAL_IGNORE_CASE: &str = "urn:oasis:names:tc:xacml:3.0:function:string-equal-ignore-case";
/// XACML rule-combining algorithm that most of Altinn's policies use.
pub const RULE_DENY_OVERRIDES: &str = "urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:deny-overrides";
/// XACML rule-combining algorithm.
pub const RULE_PERMIT_OVERRIDES: &str = "urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:permit-overrides";

/// Claim of an Altinn token: the service owner's code.
pub const CLAIM_ORG: &str = "urn:altinn:org";
/// Claim of an Altinn token: the organisation's number.
pub const CLAIM_ORGANIZATION_NUMBER: &str = "urn:altinn:orgNumber";
/// Claim of an Altinn token: the user's number.
pub const CLAIM_USER_ID: &str = "urn:altinn:userid";
/// Claim of an Altinn token: the user's own party number.
pub const CLAIM_PARTY_ID: &str = "urn:altinn:partyid";
/// Claim of an Altinn token: the user's own party uuid.
pub const CLAIM_PARTY_UUID: &str = "urn:altinn:party:uuid";
/// Claim of an Altinn token: authentication level, 0 to 4.
pub const CLAIM_AUTHENTICATION_LEVEL: &str = "urn:altinn:authlevel";
/// Claim of an Altinn token: how the caller logged in.
pub const CLAIM_AUTHENTICATION_METHOD: &str = "urn:altinn:authenticatemethod";
/// Value of [`CLAIM_AUTHENTICATION_METHOD`] for a self-identified user.
pub const METHOD_SELF_IDENTIFIED: &str = "SelfIdentified";
/// Value of [`CLAIM_AUTHENTICATION_METHOD`] for an enterprise user, a kind that Altinn ended in 2026.
pub const METHOD_ENTERPRISE_USER: &str = "virksomhetsbruker";
