//! Decides what was asked: looks up, decides beside the asynchronous work, writes the answer.

use axum::http::header;
use axum::response::{IntoResponse as _, Response as HttpResponse};
use policies::xacml::context::{self, EntryPoint, Names, World};
use policies::xacml::request::Request;
use policies::xacml::response::Response;
use policies::xacml::{Environment, FUEL_MAX, Semantics, json_profile, xml_context};

use super::facts::Facts;
use super::question::{Format, Question};
use super::world;
use crate::problem::Problem;
use crate::service::beside;
use crate::state::AppState;

/// Steps that all decisions of one request may take together, each policy and delegation of a decision its part.
const REQUEST_FUEL_MAX: u64 = 20_000_000;

/// Most resources, parties and subjects that one request may name: each is looked up with each.
pub(super) const NAMES_MAX: usize = 1_024;

/// The answer to a question, as it goes out. Always 200: what is wrong with the question is an Indeterminate.
pub(super) async fn answer(state: &AppState, question: Question) -> Result<HttpResponse, Problem> {
    let names = question.names();
    if names.count() > NAMES_MAX {
        let refused = question.refused(format!("a request names at most {NAMES_MAX} resources, parties and subjects"));
        return Ok(written(question.format, Semantics::Altinn, &refused));
    }
    let facts = look_up(state, &names).await?;
    let state = state.clone();
    beside(move || {
        let semantics = facts.semantics(&names);
        let response = match question.request(semantics) {
            Ok(request) => {
                let world = world::of(&facts, &names, &state.compiled_policies);
                decide(semantics, &request, &world, question.entry, &state)
            }
            Err(refused) => refused,
        };
        written(question.format, semantics, &response)
    })
    .await
}

fn written(format: Format, semantics: Semantics, response: &Response) -> HttpResponse {
    let (media_type, body) = match format {
        Format::Json => ("application/json", json_profile::write_response(response, semantics)),
        Format::Xml => ("application/xml", xml_context::write_response(response)),
    };
    ([(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, "no-store")], body).into_response()
}

/// Reads what the request names, at one instant.
pub(super) async fn look_up(state: &AppState, names: &Names) -> Result<Facts, Problem> {
    let mut connection = state.store.read().await?;
    Ok(Facts::read(&mut connection, names, &state.compiled_policies).await?)
}

/// Decides; the decisions of one request share its steps.
fn decide(semantics: Semantics, request: &Request, world: &World, entry: EntryPoint, state: &AppState) -> Response {
    let decisions = request.decisions(semantics).map_or(1, |decisions| decisions.len());
    decide_with(share(decisions), semantics, request, world, entry, state)
}

/// Steps that each of so many decisions may take.
pub(super) fn share(decisions: usize) -> u64 {
    let decisions = u64::try_from(decisions.max(1)).unwrap_or(u64::MAX);
    (REQUEST_FUEL_MAX / decisions).min(FUEL_MAX)
}

/// Decides, each decision within so many steps.
pub(super) fn decide_with(
    fuel_max: u64,
    semantics: Semantics,
    request: &Request,
    world: &World,
    entry: EntryPoint,
    state: &AppState,
) -> Response {
    let environment = Environment { fuel_max, ..Environment::at(state.clock.now()) };
    context::decide_as(semantics, request, world, entry, environment)
}
