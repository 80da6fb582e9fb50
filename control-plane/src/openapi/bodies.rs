//! Schemas of bodies that operations take and that types of other crates, or no types at all, read.

#![expect(dead_code, reason = "only their schemas are used")]

use utoipa::ToSchema;

/// Which call needs which right.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct ApiRoute {
    /// In logs and metrics; unique.
    name: String,
    /// In lower case, without port; `*` (the default) for any.
    #[schema(nullable = false, example = "api.example.no")]
    host: Option<String>,
    #[schema(example = json!(["GET"]))]
    methods: Vec<String>,
    /// Literal segments, `{name}` for one segment, `**` at the end for any rest.
    #[schema(example = "/vat/{party}/returns")]
    path: String,
    resource: String,
    /// One that the resource's policy has.
    action: String,
    party: RouteParty,
    /// Who is let in; system users only by default. Only a system user's right is checked.
    #[schema(nullable = false)]
    callers: Option<Vec<RouteCaller>>,
    /// The token has all of them.
    #[schema(nullable = false)]
    scopes: Option<Vec<String>>,
    /// A token that names an audience names one of these.
    #[schema(nullable = false)]
    audiences: Option<Vec<String>>,
    #[schema(nullable = false)]
    mode: Option<RouteMode>,
    /// CORS preflights pass to the API.
    #[schema(nullable = false)]
    preflight: Option<bool>,
    #[schema(nullable = false)]
    session_cookie: Option<RouteCookie>,
    #[schema(nullable = false)]
    platform_token: Option<RoutePlatformToken>,
}

/// Where a call names the party that it concerns; `owner`: it is the system user's owner.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum RouteParty {
    /// A part of the path.
    Path(String),
    Header(String),
    Query(String),
    Owner,
}

/// A kind of caller.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum RouteCaller {
    SystemUser,
    ServiceOwner,
    Organization,
    User,
    SelfIdentified,
}

/// `shadow`: a denial is logged and the call goes through. `off`: nothing is decided.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum RouteMode {
    Enforce,
    Shadow,
    Off,
}

/// The token may come in the cookie `AltinnStudioRuntime`.
#[derive(ToSchema)]
pub(crate) struct RouteCookie {
    /// Origins besides the API's own whose pages may make calls that change something.
    #[schema(nullable = false)]
    origins: Option<Vec<String>>,
}

/// What becomes of the header `PlatformAccessToken`.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum RoutePlatformToken {
    Ignored,
    Optional,
    Required,
}

/// A token to look at (RFC 7662).
#[derive(ToSchema)]
pub(crate) struct TokenToIntrospect {
    token: String,
    /// Changes nothing.
    #[schema(nullable = false)]
    token_type_hint: Option<String>,
}

/// One question. What it does not mention, a question of several takes from around it.
#[derive(ToSchema)]
pub(crate) struct AccessEvaluation {
    subject: AccessSubject,
    action: AccessAction,
    resource: AccessResource,
    /// `party`: the organisation that is acted for. `authentication_level`: how the subject has logged in, 0 to 4.
    #[schema(nullable = false, value_type = Option<Object>)]
    context: Option<()>,
}

/// Several questions, or one without `evaluations`.
#[derive(ToSchema)]
pub(crate) struct AccessEvaluations {
    #[schema(nullable = false)]
    subject: Option<AccessSubject>,
    #[schema(nullable = false)]
    action: Option<AccessAction>,
    #[schema(nullable = false)]
    resource: Option<AccessResource>,
    #[schema(nullable = false, value_type = Option<Object>)]
    context: Option<()>,
    /// At most 256, each with what differs from what is around it.
    #[schema(nullable = false, value_type = Option<Vec<Object>>, max_items = 256)]
    evaluations: Option<()>,
    #[schema(nullable = false)]
    options: Option<AccessOptions>,
}

/// Who would do it.
#[derive(ToSchema)]
pub(crate) struct AccessSubject {
    /// `system_user`, `organization`, `user` or `service_owner`; others are a denial (`subject_type_unknown`).
    #[schema(example = "system_user")]
    r#type: String,
    id: String,
}

/// What would be done.
#[derive(ToSchema)]
pub(crate) struct AccessAction {
    #[schema(example = "read")]
    name: String,
}

/// With what.
#[derive(ToSchema)]
pub(crate) struct AccessResource {
    /// `resource`; others are a denial (`resource_type_unknown`).
    #[schema(example = "resource")]
    r#type: String,
    #[schema(example = "vat")]
    id: String,
    /// `party`: the organisation that is acted for.
    #[schema(nullable = false, value_type = Option<Object>)]
    properties: Option<()>,
}

/// How several questions are answered.
#[derive(ToSchema)]
pub(crate) struct AccessOptions {
    #[schema(nullable = false)]
    evaluations_semantic: Option<EvaluationsSemantic>,
}

/// `execute_all` by default.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum EvaluationsSemantic {
    ExecuteAll,
    DenyOnFirstDeny,
    PermitOnFirstPermit,
}
