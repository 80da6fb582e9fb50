//! The API's description: OpenAPI 3.1 at `/portvakt/v1/openapi.json`, a page that reads it at `/portvakt/v1/docs/`.
//!
//! It is made of the handlers' own annotations, so that an operation cannot be served without being described: a slice's
//! `routes()` is an [`OpenApiRouter`] and takes handlers through `routes!` only. What an annotation has to say is
//!
//! ```text
//! /// What it does, in a sentence: the summary. A second paragraph becomes the description.
//! #[utoipa::path(
//!     post, path = "/portvakt/v1/things/{thing_id}",
//!     operation_id = "createThing", tag = openapi::SYSTEMS,
//!     security(("maskinporten" = ["portvakt:things.write"])),   // none for what anybody may call
//!     params(("color" = Option<String>, Query, description = "Red by default")),
//!     request_body = Body,                                       // derives ToSchema, as = CreateThing
//!     responses((status = 201, body = ThingJson), (status = 404, description = "`thing_unknown`")),
//! )]
//! ```
//!
//! [`forms`] adds what texts and numbers look like, by their name. [`finish`] adds what is the same everywhere: parts of the path ([`finish::PATH_PARTS`]), the problem body of failures
//! and the titles of the codes they name, and the failures that any call of that form can have (400, 401, 403, 413, 415,
//! 500, 503). Schemas of Altinn's forms are in [`altinn`]; bodies of ours derive `ToSchema` where they are. Tests refuse
//! an operation without words, an answer or a row in the README.

pub(crate) mod altinn;
pub(crate) mod bodies;
pub(crate) mod clients;
pub(crate) mod finish;
mod forms;
pub(crate) mod own;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::LazyLock;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderValue, header};
use axum::middleware::map_response;
use axum::response::IntoResponse;
use axum::response::Response;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::state::AppState;

/// Tags: one per part of the API, in the order of the page.
pub(crate) const SYSTEMS: &str = "System register";
pub(crate) const REQUESTS: &str = "System user requests";
pub(crate) const SYSTEM_USERS: &str = "System users";
pub(crate) const CLIENTS: &str = "Client delegation";
pub(crate) const LOOK_UP: &str = "Maskinporten";
pub(crate) const LOGIN: &str = "Tokens and login";
pub(crate) const DECISIONS: &str = "Decisions";
pub(crate) const PARTIES: &str = "Parties";
pub(crate) const PROVIDERS: &str = "API providers";
pub(crate) const GATEWAYS: &str = "Gateways";
pub(crate) const EVENTS: &str = "Events";
pub(crate) const SERVICE: &str = "Service";

/// All tags, with what is under them.
const TAGS: [(&str, &str); 12] = [
    (SYSTEMS, "What vendors offer, and which rights a system may ever ask for."),
    (REQUESTS, "A vendor asks, the customer decides."),
    (SYSTEM_USERS, "What came of it: a system that acts for an organisation."),
    (CLIENTS, "Agent system users and the clients that they act for."),
    (LOOK_UP, "Which system user may this client use for this organisation?"),
    (LOGIN, "Exchanged tokens, our keys, login."),
    (DECISIONS, "May this subject do this? XACML (JSON profile) and AuthZEN 1.0."),
    (PARTIES, "The register of organisations, roles and relations."),
    (PROVIDERS, "Resources, policies, access lists and routes of API providers."),
    (GATEWAYS, "Gateway credentials, the snapshot feed, and what each gateway enforces."),
    (EVENTS, "What has happened: events, webhooks, audit."),
    (SERVICE, "Health, keys, and this description."),
];

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Portvakt",
        description = "System users, enforced in your own gateway. Paths under `/authentication`, `/authorization`, \
                       `/accessmanagement` and `/register` are Altinn's, with Altinn's JSON and problem codes; `/access/v1` is \
                       AuthZEN's; those under `/portvakt` and `/snapshots` are Portvakt's own.",
    ),
    components(schemas(own::Problem))
)]
struct Base;

/// The description as it is served.
static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());

/// The whole description.
pub(crate) fn document() -> serde_json::Value {
    let mut base = Base::openapi();
    let (_, operations) = crate::operations().split_for_parts();
    base.merge(operations);
    finish::finish(base, &TAGS)
}

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get_document))
}

/// The page. It brings its own scripts and loads nothing from elsewhere.
pub(crate) fn page() -> Router<AppState> {
    let page =
        SwaggerUi::new("/portvakt/v1/docs").config(Config::from("/portvakt/v1/openapi.json").validator_url("none"));
    Router::from(page).layer(map_response(async |mut response: Response| {
        let policy = HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
             connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        );
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
        response
    }))
}

/// This description (OpenAPI 3.1).
#[utoipa::path(
    get, path = "/portvakt/v1/openapi.json", operation_id = "getOpenApi", tag = SERVICE,
    responses((status = 200, description = "The document", body = Object)),
)]
async fn get_document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.clone())
}
