//! The one table of problem codes: Altinn's with Altinn's exact texts and status, and ours (snake case) where Altinn has none.
//!
//! The README lists them; a test compares the two.

use axum::http::StatusCode;

/// A stable code, its HTTP status and its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProblemCode {
    pub(crate) code: &'static str,
    pub(crate) status: StatusCode,
    pub(crate) title: &'static str,
}

impl ProblemCode {
    /// Altinn's codes have capitals and keep Altinn's type URN.
    pub(crate) fn urn_prefix(self) -> &'static str {
        if self.code.starts_with(|first: char| first.is_ascii_uppercase()) {
            "urn:altinn:error:"
        } else {
            "urn:portvakt:error:"
        }
    }
}

/// A code of one wrong part of a body; the answer as a whole is [`VALIDATION`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InvalidCode {
    pub(crate) code: &'static str,
    pub(crate) title: &'static str,
}

macro_rules! problem_codes {
    ($($name:ident = $code:literal, $status:ident, $title:literal;)+) => {
        $(pub(crate) const $name: ProblemCode =
            ProblemCode { code: $code, status: StatusCode::$status, title: $title };)+

        pub(crate) const ALL: &[ProblemCode] = &[$($name),+];
    };
}

macro_rules! invalid_codes {
    ($($name:ident = $code:literal, $title:literal;)+) => {
        $(pub(crate) const $name: InvalidCode = InvalidCode { code: $code, title: $title };)+

        #[cfg(test)]
        pub(crate) const ALL_INVALID: &[InvalidCode] = &[$($name),+];
    };
}

problem_codes! {
    // Altinn's.
    VALIDATION = "STD-00000", BAD_REQUEST, "One or more validation errors occurred.";
    PARTY_NOT_RESOLVED = "AUTH-00000", BAD_REQUEST, "Can't resolve the Organisation Number from the logged in Reportee PartyId.";
    RIGHTS_NOT_DELEGABLE = "AUTH-00001", BAD_REQUEST, "One or more Right not found or not delegable.";
    SYSTEM_USER_EXISTS = "AUTH-00004", BAD_REQUEST, "Failed to create new SystemUser, existing SystemUser tied to the given System-Id.";
    REFERENCE_ACCEPTED = "AUTH-00006", BAD_REQUEST, "The combination of External Ids refer to an already Accepted SystemUser.";
    REFERENCE_PENDING = "AUTH-00007", BAD_REQUEST, "The combination of External Ids refer to a Pending Request, please reuse or delete.";
    REFERENCE_REJECTED = "AUTH-00009", BAD_REQUEST, "The combination of External Ids refer to a Rejected Request, please delete and renew the Request.";
    REQUEST_NOT_FOUND = "AUTH-00010", NOT_FOUND, "The Id does not refer to a Request in our system.";
    SYSTEM_NOT_FOUND = "AUTH-00011", NOT_FOUND, "The Id does not refer to a Registered System.";
    REQUEST_NOT_NEW = "AUTH-00013", CONFLICT, "The Status of the Request is not New.";
    DELEGATION_FAILED = "AUTH-00014", FORBIDDEN, "DelegationCheck failed with unknown error.";
    SYSTEM_USER_NOT_FOUND = "AUTH-00015", NOT_FOUND, "The SystemUser was not found.";
    NO_ROLE_ACCESS = "AUTH-00016", FORBIDDEN, "DelegationCheck failed with error: Has not access by a delegation of role in ER or Altinn.";
    NO_DIRECT_DELEGATION = "AUTH-00018", FORBIDDEN, "DelegationCheck failed with error: Has not access by direct delegation.";
    DELEGATION_LEVEL = "AUTH-00020", FORBIDDEN, "DelegationCheck failed with error: The service requires explicit authentication level and the reportee is missing this.";
    REDIRECT_URL_INVALID = "AUTH-00021", BAD_REQUEST, "The RedirectUri was not found or not valid.";
    VENDOR_UNRESOLVED = "AUTH-00023", UNAUTHORIZED, "Can't resolve the Organisation Number for the Vendor from the Token.";
    SYSTEM_USER_NOT_OWNED = "AUTH-00024", FORBIDDEN, "you don't have rights to delete this systemuser";
    NO_REDIRECT_URLS = "AUTH-00026", BAD_REQUEST, "No redirect uris are set for the system";
    AGENT_REQUEST_NOT_FOUND = "AUTH-00030", NOT_FOUND, "The Id does not refer to an AgentRequest in our system.";
    FACILITATOR_MISMATCH = "AUTH-00031", BAD_REQUEST, "Party does not match delegation facilitator.";
    AGENT_NOT_DELETED = "AUTH-00033", BAD_REQUEST, "Failed to delete the agent system user";
    SYSTEM_USER_NOT_AGENT = "AUTH-00034", BAD_REQUEST, "The system user type of the provided system user GUID is not an agent.";
    AGENT_HAS_CLIENTS = "AUTH-00035", BAD_REQUEST, "The system user has delegations from customer. Remove the delegations before deleting the system user";
    SYSTEM_USER_NOT_STANDARD = "AUTH-00036", BAD_REQUEST, "The system user type of the provided system user GUID is not standard.";
    DELEGATION_NOT_FOUND = "AUTH-00038", BAD_REQUEST, "Delegation not found";
    FACILITATOR_MISMATCH_AT_REMOVAL = "AUTH-00039", BAD_REQUEST, "Party does not match delegation facilitator";
    PARTY_NOT_OWN = "AUTH-00040", BAD_REQUEST, "Party does not match delegation assignments";
    PARTY_REQUEST_MISMATCH = "AUTH-00041", FORBIDDEN, "Party does not match request's orgno";
    FORBIDDEN = "AUTH-00044", FORBIDDEN, "Forbidden";
    CLIENTS_NOT_LISTED = "AUTH-00045", BAD_REQUEST, "Failed to get clients";
    PARTY_AGENT_REQUEST_MISMATCH = "AUTH-00042", FORBIDDEN, "Party does not match agent request's orgno";
    NO_CLIENT_PACKAGES = "AUTH-00058", BAD_REQUEST, "No AccessPackages found, an Agent SystemUser must have at least one";
    PACKAGES_INVALID = "AUTH-00052", BAD_REQUEST, "One or more access packages are invalid";
    PACKAGES_NOT_HELD = "AUTH-00053", BAD_REQUEST, "The user does not have enough access to delegate the requested access packages";
    NOTHING_REQUESTED = "AUTH-00059", BAD_REQUEST, "No AccessPackages or Single Rights found, a SystemUser must have at least one";
    CHANGE_REQUEST_NOT_NEW = "AUTH-00061", CONFLICT, "The Status of the Request is not New. Please generate a new CorrellationId for a new Change Request";
    PACKAGE_NOT_IN_SYSTEM = "AUTH-00063", BAD_REQUEST, "One or more accesspackage is not found in the referenced system in the System Register.";
    PACKAGE_NOT_ASSIGNABLE = "AUTH-00064", BAD_REQUEST, "One or more access packages cannot be delegated. Either they are intended for clients or they cannot be delegated further.";
    PACKAGE_NOT_FOR_CLIENTS = "AUTH-00065", BAD_REQUEST, "One or more access packages cannot be delegated because they are not intended for client relationships";
    NOT_PARTY_ADMINISTRATOR = "AUTH-00066", FORBIDDEN, "The request requires logged in user to have accessmanager write.";
    NO_PACKAGE_ACCESS = "AUTH-00068", FORBIDDEN, "DelegationCheck failed with error: Has not access by a delegation of package in Altinn.";
    NOT_ON_ACCESS_LIST = "AUTH-00069", FORBIDDEN, "DelegationCheck failed with error: The receiver does not have the right based on Access List delegation.";
    RESOURCE_NOT_DELEGABLE = "AUTH-00070", FORBIDDEN, "DelegationCheck failed with error: The resource cannot be delegated to another user or entity.";
    CLIENT_NOT_FOUND = "AUTH-00079", BAD_REQUEST, "Client not found.";
    CLIENT_LACKS_PACKAGES = "AUTH-00080", BAD_REQUEST, "Client does not have the accesspackages the agent system user requires";

    // Ours: the caller.
    TOKEN_MISSING = "token_missing", UNAUTHORIZED, "The call carries no bearer token.";
    TOKEN_INVALID = "token_invalid", UNAUTHORIZED, "The bearer token is not accepted.";
    INSUFFICIENT_SCOPE = "insufficient_scope", FORBIDDEN, "The token lacks a scope that this operation needs.";
    CALLER_KIND = "caller_kind_refused", FORBIDDEN, "This kind of caller may not use this operation.";
    AUTHENTICATION_LEVEL = "authentication_level_too_low", FORBIDDEN, "The operation needs a higher authentication level.";
    CROSS_SITE = "cross_site_refused", FORBIDDEN, "With a cookie this is only taken from our own pages.";
    SESSION_ENDED = "session_ended", FORBIDDEN, "The session has ended; log in again.";
    USER_UNKNOWN = "user_unknown", FORBIDDEN, "Nobody knows which user the person is.";
    LOGIN_PROVIDER_UNKNOWN = "login_provider_unknown", BAD_REQUEST, "There is no such provider of logins.";
    RETURN_ADDRESS_FOREIGN = "return_address_foreign", BAD_REQUEST, "People return to our own pages only.";
    LOGIN_EXPIRED = "login_expired", BAD_REQUEST, "The login was not begun here, has ended, or took too long; begin again.";
    LOGIN_REFUSED = "login_refused", FORBIDDEN, "The provider has not logged the person in.";
    LOGIN_PROVIDER_FAILED = "login_provider_failed", BAD_GATEWAY, "The provider of logins does not answer as it should.";
    TOKENS_NOT_ISSUED = "tokens_not_issued", NOT_FOUND, "This control plane issues no tokens.";
    EXCHANGE_PROVIDER_UNKNOWN = "exchange_provider_unknown", BAD_REQUEST, "Tokens of this provider are not exchanged.";
    ENTERPRISE_USERS_ENDED = "enterprise_users_ended", GONE, "Enterprise users are no longer accepted.";
    ORGANIZATION_NOT_ALLOWED = "organization_not_allowed", FORBIDDEN, "The organisation in the token may not use this operation.";
    VENDOR_NOT_OWNER = "vendor_not_owner", FORBIDDEN, "The system belongs to another vendor.";
    VENDOR_NOT_OWNER_OF_REQUESTED = "vendor_not_owner_of_requested", UNAUTHORIZED, "The system belongs to another vendor.";
    PROVIDER_NOT_OWNED = "provider_not_owned", FORBIDDEN, "The API provider is another organisation.";
    CREDENTIAL_INVALID = "credential_invalid", UNAUTHORIZED, "The gateway credential is not known, or was revoked.";
    CREDENTIAL_OTHER_PROVIDER = "credential_other_provider", FORBIDDEN, "The gateway credential belongs to another API provider.";

    // Ours: the form of the call.
    NOT_FOUND = "not_found", NOT_FOUND, "There is nothing at this path.";
    METHOD_NOT_ALLOWED = "method_not_allowed", METHOD_NOT_ALLOWED, "The path does not have this method.";
    PATH_INVALID = "path_invalid", BAD_REQUEST, "A part of the path is not what it should be.";
    QUERY_INVALID = "query_invalid", BAD_REQUEST, "A query parameter is missing, repeated or not what it should be.";
    HEADER_INVALID = "header_invalid", BAD_REQUEST, "A header is not what it should be.";
    JSON_INVALID = "json_invalid", BAD_REQUEST, "The body is not the JSON that this operation takes.";
    MEDIA_TYPE = "media_type_unsupported", UNSUPPORTED_MEDIA_TYPE, "The body's media type is not what this operation takes.";
    BODY_TOO_LARGE = "body_too_large", PAYLOAD_TOO_LARGE, "The body is larger than allowed.";
    BODY_UNREADABLE = "body_unreadable", BAD_REQUEST, "The body could not be read.";
    PRECONDITION_FAILED = "precondition_failed", PRECONDITION_FAILED, "It has changed since it was read.";
    FIELD_INVALID = "field_invalid", BAD_REQUEST, "A field of the body is not what it should be.";

    EVALUATION_INVALID = "evaluation_invalid", BAD_REQUEST, "The body is no access evaluation request.";

    // Ours, answered in Altinn's plain text.
    SYSTEM_EXISTS = "system_exists", CONFLICT, "There is a system with this id.";
    SYSTEM_UNKNOWN = "system_unknown", NOT_FOUND, "There is no such system of this vendor.";
    CORRELATION_ID_INVALID = "correlation_id_invalid", BAD_REQUEST, "The correlation id is no uuid, or the system user's own.";
    SYSTEM_DELETED = "system_deleted", BAD_REQUEST, "The system is deleted.";

    // Ours: parties, resources, system users, gateways.
    MAY_APPROVE = "may_approve", CONFLICT, "Who may approve does not pass on.";
    SYSTEM_USER_GONE = "system_user_gone", GONE, "There is no such system user.";
    PARTY_UNKNOWN = "party_unknown", BAD_REQUEST, "The organisation is not in the register of parties.";
    PARTY_NOT_FOUND = "party_not_found", NOT_FOUND, "The party is not in the register of parties.";
    PARTY_CONFLICT = "party_conflict", CONFLICT, "The number already belongs to another party.";
    EVENT_GAP = "event_gap", CONFLICT, "Events between the last one that was taken and these are missing.";
    EVENTS_UNORDERED = "events_unordered", BAD_REQUEST, "The events' sequence numbers do not follow each other.";
    CLIENT_JOB_UNKNOWN = "client_job_unknown", NOT_FOUND, "The agent system user has no such job.";
    CLIENTS_LACK_PACKAGES = "clients_lack_packages", CONFLICT, "Clients' relations do not carry all of the access packages.";
    RELATION_TO_ITSELF = "relation_to_itself", BAD_REQUEST, "An organisation has no relation to itself.";
    MAIN_UNIT_OF_ITSELF = "main_unit_of_itself", BAD_REQUEST, "An organisation is not its own main unit.";
    MAIN_UNIT_NESTED = "main_unit_nested", CONFLICT, "A main unit is nobody's sub unit.";
    PROVIDER_UNKNOWN = "provider_unknown", NOT_FOUND, "There is no such API provider.";
    CREDENTIAL_UNKNOWN = "credential_unknown", NOT_FOUND, "The API provider has no such gateway credential.";
    REVOCATION_UNKNOWN = "revocation_unknown", NOT_FOUND, "The API provider has no such revocation.";
    REVOCATIONS_TOO_MANY = "revocations_too_many", CONFLICT, "The API provider has as many revocations as gateways take.";
    RESOURCE_UNKNOWN = "resource_unknown", NOT_FOUND, "The API provider has no such resource.";
    RESOURCE_OTHER_PROVIDER = "resource_other_provider", CONFLICT, "The resource id belongs to another API provider.";
    ACCESS_LIST_UNKNOWN = "access_list_unknown", NOT_FOUND, "The API provider has no such access list.";
    ACCESS_LIST_IN_USE = "access_list_in_use", CONFLICT, "A resource uses the access list.";
    POLICY_UNKNOWN = "policy_unknown", NOT_FOUND, "The resource has no such policy.";
    POLICY_INVALID = "policy_invalid", BAD_REQUEST, "The resource policy is not accepted.";
    POLICY_REFUSED = "policy_refused", BAD_REQUEST, "With this resource policy the provider's snapshot would not be accepted by a gateway.";
    POLICY_UNREADABLE = "policy_unreadable", CONFLICT, "A stored resource policy is not accepted any more; store it anew first.";
    ROUTES_INVALID = "routes_invalid", BAD_REQUEST, "The routes are not accepted.";
    SNAPSHOT_REPLACED = "snapshot_replaced", PRECONDITION_FAILED, "The snapshot of which a part is asked for is no longer published.";
    SNAPSHOT_PART_OUTSIDE = "snapshot_part_outside", RANGE_NOT_SATISFIABLE, "The part that is asked for begins behind the snapshot's end.";
    TOO_MANY_POLLS = "too_many_polls", TOO_MANY_REQUESTS, "Too many polls are held for this gateway credential.";
    SNAPSHOT_UNPUBLISHED = "snapshot_unpublished", SERVICE_UNAVAILABLE, "No snapshot is published for this API provider yet.";

    SYSTEMS_TOO_MANY = "systems_too_many", CONFLICT, "The vendor has as many systems as it may have.";
    WEBHOOK_UNKNOWN = "webhook_unknown", NOT_FOUND, "The vendor has no such webhook.";
    WEBHOOKS_TOO_MANY = "webhooks_too_many", CONFLICT, "The vendor has as many webhooks as it may have.";

    // Ours: the service.
    TOO_MANY_CALLS = "too_many_calls", TOO_MANY_REQUESTS, "Too many calls come from this address.";
    DATABASE_BUSY = "database_busy", SERVICE_UNAVAILABLE, "The database is busy.";
    STOPPING = "stopping", SERVICE_UNAVAILABLE, "The control plane is stopping.";
    TIMED_OUT = "timed_out", SERVICE_UNAVAILABLE, "The operation took too long. It may have been done all the same; look before you try again.";
    INTERNAL = "internal", INTERNAL_SERVER_ERROR, "The control plane failed. The operation may have been done all the same; look before you try again.";
}

invalid_codes! {
    VENDOR_NUMBER = "AUTH.VLD-00000", "the org number identifier is not valid ISO6523 identifier";
    SYSTEM_ID_FORMAT = "AUTH.VLD-00001", "The system id does not match the format orgnumber_xxxx...";
    SYSTEM_ID_EXISTS = "AUTH.VLD-00002", "The system id already exists";
    RESOURCE_NOT_FOUND = "AUTH.VLD-00003", "One or more resources specified in rights were not found in Altinn's resource register.";
    CLIENT_ID_EXISTS = "AUTH.VLD-00004", "One of the client id is already tagged with an existing system";
    REDIRECT_URL_FORMAT = "AUTH.VLD-00005", "One or more of the redirect urls format is not valid. The valid format is https://xxx.xx";
    DUPLICATE_RIGHTS = "AUTH.VLD-00006", "One or more duplicate rights found";
    DUPLICATE_PACKAGES = "AUTH.VLD-00007", "One or more duplicate access package(s) found";
    PACKAGE_INVALID = "AUTH.VLD-00008", "One or all the accesspackage(s) is not found in altinn's access packages or is not delegable";
    RESOURCE_FORMAT = "AUTH.VLD-00009", "One or more resource id is in wrong format. The valid format is urn:altinn:resource";
    DUPLICATE_CLIENT_IDS = "AUTH.VLD-00011", "Request contains duplicate client ids";
    SYSTEM_ID_MISMATCH = "AUTH.VLD-00012", "The system ID in the request body does not match the system ID in the URL";
    SYSTEM_ID_BLANKS = "AUTH.VLD-00013", "System ID cannot have spaces in id (leading, trailing or in between the id)";
    AGENT_PARAMETER = "AUTH.VLD-00014", "The agent query parameter is missing or invalid";
    NOT_AGENT = "AUTH.VLD-00015", "SystemUser is not a valid system user of type agent";
    CLIENT_PARAMETER = "AUTH.VLD-00016", "The client query parameter is missing or invalid";
    RESOURCE_TYPE_NOT_DELEGABLE = "AUTH.VLD-00017", "One or more resources specified in rights is of resource type which is not delegable.";
    CLIENT_PACKAGE_VISIBLE = "AUTH.VLD-00018", "Access packages meant for system user for client relations can't be used in combination with the flag isVisible: true";
    CLIENT_ID_FORMAT = "client_id_invalid", "A client id is neither a GUID nor a Maskinporten name of at most 255 characters";
    TOO_MANY_ENTRIES = "too_many_entries", "A list has more entries than a system may have";
    NAME_INCOMPLETE = "name_incomplete", "Name and description need a text in each of nb, nn and en";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_have_one_of_two_forms() {
        let codes: Vec<_> =
            ALL.iter().map(|problem| problem.code).chain(ALL_INVALID.iter().map(|invalid| invalid.code)).collect();
        assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len());
        for code in codes {
            let ours = code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            let altinns = ["STD-", "AUTH-", "AUTH.VLD-"].iter().any(|prefix| {
                code.strip_prefix(prefix)
                    .is_some_and(|number| number.len() == 5 && number.bytes().all(|byte| byte.is_ascii_digit()))
            });
            assert!(ours || altinns, "{code}");
        }
    }

    #[test]
    fn the_readme_lists_every_code_with_its_status() {
        let readme = include_str!("../../README.md");
        for ProblemCode { code, status, .. } in ALL {
            assert!(readme.contains(&format!("| `{code}` | {} |", status.as_u16())), "README lacks {code}");
        }
        for InvalidCode { code, .. } in ALL_INVALID {
            assert!(readme.contains(&format!("`{code}`")), "README lacks {code}");
        }
    }
}
