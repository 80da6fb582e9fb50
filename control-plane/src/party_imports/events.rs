//! `POST /portvakt/v1/parties/events`: what has happened in the register since, as numbered events, all or none.
//!
//! Sent again, an event changes nothing: what is not after the stream's position is passed over. Numbers follow each other,
//! unless `after` says which number the sender had read up to; Altinn's register leaves some out. A batch that begins behind
//! the position is refused, so that nothing is ever missing.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::body::{PartyBody, PersonBody, RelationBody, RoleAssignmentBody};
use super::import::{self, Import};
use super::store;
use crate::caller::Operator;
use crate::json::OwnJson;
use crate::openapi::{self, own};
use crate::problem::{Problem, codes};
use crate::state::AppState;
use crate::store::Connection;

/// Events in one body.
const EVENTS_MAX: usize = 1000;
/// Largest sequence number: what JSON numbers carry everywhere.
pub(crate) const SEQUENCE_MAX: i64 = (1 << 53) - 1;
const STREAM_NAME_CHARS_MAX: usize = 32;

/// Where events come from; each stream has its own numbers. `register` unless another is named.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct StreamName(String);

impl Default for StreamName {
    fn default() -> Self {
        Self("register".to_owned())
    }
}

impl StreamName {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let is_name = (1..=STREAM_NAME_CHARS_MAX).contains(&text.len())
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if is_name {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("the name of a stream is 1 to {STREAM_NAME_CHARS_MAX} of a-z, 0-9 and -"))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for StreamName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = TakePartyEvents)]
pub(super) struct Body {
    #[serde(default)]
    #[schema(value_type = Option<String>, nullable = false)]
    stream: StreamName,
    /// The last event before these that the sender knows of.
    after: Option<i64>,
    events: Vec<Event>,
}

/// A number and, beside it, the one thing that the event says.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PartyEvent)]
struct Event {
    sequence: i64,
    #[serde(flatten)]
    said: Said,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PartyEventSaid)]
enum Said {
    Party(PartyBody),
    Person(PersonBody),
    RoleAdded(RoleAssignmentBody),
    RoleRemoved(RoleAssignmentBody),
    RelationAdded(RelationBody),
    RelationRemoved(RelationBody),
}

/// What has happened in the register of parties since, all or none. Events that were taken before are passed over.
#[utoipa::path(
    post, path = "/portvakt/v1/parties/events", operation_id = "takePartyEvents", tag = openapi::PARTIES,
    security(("maskinporten" = ["portvakt:operator"])),
    request_body = Body,
    responses((status = 200, body = own::TakenEvents), (status = 409, description = "`event_gap`, `party_conflict` or `main_unit_nested`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    operator: Operator,
    OwnJson(body): OwnJson<Body>,
) -> Result<Json<Value>, Problem> {
    let Some((first, last)) = bounds(&body)? else {
        let mut connection = state.store.read().await?;
        let position = store::position(&mut connection, body.stream.as_str()).await?;
        return Ok(Json(answer(&body.stream, position, 0, 0)));
    };
    let now = state.clock.now();
    let mut change = state.store.change().await?;
    let connection = change.connection();
    let position = store::position(connection, body.stream.as_str()).await?;
    if body.after.unwrap_or(first - 1) > position {
        return Err(Problem::new(codes::EVENT_GAP).member("position", position));
    }
    let total = body.events.len();
    let events: Vec<_> = body.events.into_iter().filter(|event| event.sequence > position).collect();
    let (applied, passed_over) = (events.len(), total - events.len());
    if events.is_empty() {
        return Ok(Json(answer(&body.stream, position, 0, passed_over)));
    }
    let mut import = Import::new(&*state.ids);
    for event in events {
        let sequence = event.sequence;
        apply(connection, &mut import, event.said).await.map_err(|problem| problem.member("sequence", sequence))?;
    }
    let fallen = import.finish(connection, now).await?;
    store::set_position(connection, body.stream.as_str(), last).await?;
    let log = json!({
        "by": operator.organization, "stream": body.stream.as_str(), "from": position, "to": last, "fallen": fallen,
    });
    change.commit(now, "party_events_taken", log).await?;
    Ok(Json(answer(&body.stream, last, applied, passed_over)))
}

fn answer(stream: &StreamName, position: i64, applied: usize, passed_over: usize) -> Value {
    json!({ "stream": stream.as_str(), "position": position, "applied": applied, "passedOver": passed_over })
}

/// The first and the last number, once all are in order.
fn bounds(body: &Body) -> Result<Option<(i64, i64)>, Problem> {
    if body.events.len() > EVENTS_MAX {
        return Err(Problem::new(codes::FIELD_INVALID).detail(format!("`events`: at most {EVENTS_MAX}")));
    }
    if body.after.is_some_and(|after| !(0..=SEQUENCE_MAX).contains(&after)) {
        return Err(Problem::new(codes::FIELD_INVALID).detail(format!("`after`: expected 0 to {SEQUENCE_MAX}")));
    }
    let mut previous = body.after;
    let mut first = None;
    for event in &body.events {
        let sequence = event.sequence;
        if !(1..=SEQUENCE_MAX).contains(&sequence) {
            return Err(Problem::new(codes::FIELD_INVALID).detail(format!("`sequence`: expected 1 to {SEQUENCE_MAX}")));
        }
        let follows = match previous {
            None => true,
            Some(previous) if body.after.is_some() => sequence > previous,
            Some(previous) => sequence == previous + 1,
        };
        if !follows {
            return Err(Problem::new(codes::EVENTS_UNORDERED).member("sequence", sequence));
        }
        first.get_or_insert(sequence);
        previous = Some(sequence);
    }
    Ok(first.zip(previous))
}

/// Stores what an event says. Roles that nothing follows from here are passed over: a register has many more.
async fn apply(connection: &mut Connection, import: &mut Import<'_>, said: Said) -> Result<(), Problem> {
    match said {
        Said::Party(party) => import.party(connection, party).await,
        Said::Person(person) => import.person(connection, person).await,
        Said::RoleAdded(body) => match body.role.parse() {
            Ok(role) => import.assign(connection, &body, role).await,
            Err(_) => Ok(()),
        },
        Said::RoleRemoved(body) => match body.role.parse() {
            Ok(role) => import.unassign(connection, &body, role).await,
            Err(_) => Ok(()),
        },
        Said::RelationAdded(body) => match import::relation(&body) {
            Some(relation) => import.relate(connection, relation).await,
            None => Ok(()),
        },
        Said::RelationRemoved(body) => match import::relation(&body) {
            Some(relation) => import.unrelate(connection, relation).await,
            None => Ok(()),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::test_state::{Answer, TestState, story};

    const EVENTS: &str = "/portvakt/v1/parties/events";
    const POSITION: &str = "/portvakt/v1/parties/events/position";
    const ACCOUNTANT: &str = "310247073";

    fn accountant() -> Value {
        json!({ "partyId": 50_000_003, "partyUuid": "00000000-0000-4000-8000-000050000003",
                "organizationNumber": ACCOUNTANT, "name": "Tall og Talent AS", "organizationForm": "AS" })
    }

    fn relation(role: &str) -> Value {
        json!({ "client": "310247049", "role": role, "provider": ACCOUNTANT })
    }

    async fn send(test: &TestState, body: Value) -> Answer {
        test.post(EVENTS, &test.operator(), &body).await
    }

    async fn position(test: &TestState) -> i64 {
        test.get(POSITION, &test.operator()).await.expect(200)["position"].as_i64().unwrap()
    }

    async fn relations(test: &TestState) -> i64 {
        let mut connection = test.state.store.read().await.unwrap();
        sqlx::query_scalar("SELECT count(*) FROM relation").fetch_one(&mut *connection).await.unwrap()
    }

    #[tokio::test]
    async fn events_are_taken_once_however_often_they_are_sent() {
        let test = TestState::with_resources().await;
        assert_eq!(position(&test).await, 0);
        let first = json!({ "events": [
            { "sequence": 1, "party": accountant() },
            { "sequence": 2, "relationAdded": relation("regnskapsforer") },
        ]});
        let answer = send(&test, first.clone()).await.expect(200);
        assert_eq!(answer, json!({ "stream": "register", "position": 2, "applied": 2, "passedOver": 0 }));
        let before = test.state.store.revision().await.unwrap();
        let answer = send(&test, first).await.expect(200);
        assert_eq!(answer, json!({ "stream": "register", "position": 2, "applied": 0, "passedOver": 2 }));
        assert_eq!(test.state.store.revision().await.unwrap(), before);
        let overlapping = json!({ "events": [
            { "sequence": 2, "relationAdded": relation("regnskapsforer") },
            { "sequence": 3, "relationRemoved": relation("regnskapsforer") },
            { "sequence": 4, "relationAdded": relation("revisor") },
            { "sequence": 5, "relationAdded": relation("eierkommune") },
        ]});
        let answer = send(&test, overlapping).await.expect(200);
        assert_eq!((&answer["applied"], &answer["passedOver"], &answer["position"]), (&json!(3), &json!(1), &json!(5)));
        assert_eq!(relations(&test).await, 1);
    }

    #[tokio::test]
    async fn gaps_are_refused_and_left_out_numbers_are_not() {
        let test = TestState::with_resources().await;
        send(&test, json!({ "events": [{ "sequence": 1, "party": accountant() }] })).await.expect(200);
        let relation = relation("revisor");
        for (body, status, code) in [
            (json!({ "events": [{ "sequence": 3, "relationAdded": relation }] }), 409, "event_gap"),
            (json!({ "after": 2, "events": [{ "sequence": 3, "relationAdded": relation }] }), 409, "event_gap"),
            (
                json!({ "events": [{ "sequence": 2, "relationAdded": relation }, { "sequence": 4, "relationRemoved": relation }] }),
                400,
                "events_unordered",
            ),
            (
                json!({ "after": 1, "events": [{ "sequence": 3, "relationAdded": relation }, { "sequence": 3, "relationRemoved": relation }] }),
                400,
                "events_unordered",
            ),
            (json!({ "after": 3, "events": [{ "sequence": 3, "relationAdded": relation }] }), 400, "events_unordered"),
            (json!({ "events": [{ "sequence": 0, "relationAdded": relation }] }), 400, "field_invalid"),
            (json!({ "after": -1, "events": [{ "sequence": 2, "relationAdded": relation }] }), 400, "field_invalid"),
            (json!({ "stream": "A B", "events": [] }), 400, "json_invalid"),
            (json!({ "events": [{ "sequence": 2 }] }), 400, "json_invalid"),
            (
                json!({ "events": [{ "sequence": 2, "relationAdded": relation, "relationRemoved": relation }] }),
                400,
                "json_invalid",
            ),
            (json!({ "events": [{ "sequence": 2, "other": relation }] }), 400, "json_invalid"),
        ] {
            let answer = send(&test, body.clone()).await;
            assert_eq!((answer.status, &answer.json["code"]), (status, &json!(code)), "{body} {}", answer.json);
        }
        assert_eq!(position(&test).await, 1);
        send(&test, json!({ "after": 1, "events": [{ "sequence": 7, "relationAdded": relation }] })).await.expect(200);
        assert_eq!((position(&test).await, relations(&test).await), (7, 1));
        send(&test, json!({ "stream": "other", "events": [] })).await.expect(200);
    }

    #[tokio::test]
    async fn of_a_batch_with_a_wrong_event_nothing_is_stored() {
        let test = TestState::with_resources().await;
        for (event, status, code) in [
            (
                json!({ "sequence": 2, "relationAdded": { "client": "310247049", "role": "revisor", "provider": "310247065" } }),
                400,
                "party_unknown",
            ),
            (
                json!({ "sequence": 2, "relationAdded": { "client": ACCOUNTANT, "role": "revisor", "provider": ACCOUNTANT } }),
                400,
                "relation_to_itself",
            ),
            (
                json!({ "sequence": 2, "roleAdded": { "personUuid": "00000000-0000-4000-8000-000020000009", "organizationNumber": ACCOUNTANT, "role": "daglig-leder" } }),
                400,
                "party_unknown",
            ),
            (
                json!({ "sequence": 2, "roleAdded": { "organizationNumber": ACCOUNTANT, "role": "daglig-leder" } }),
                400,
                "field_invalid",
            ),
            (
                json!({ "sequence": 2, "person": { "partyId": 50_000_003, "partyUuid": "00000000-0000-4000-8000-000020000009", "userId": 9, "name": "Kari" } }),
                409,
                "party_conflict",
            ),
        ] {
            let answer = send(&test, json!({ "events": [{ "sequence": 1, "party": accountant() }, event] })).await;
            assert_eq!(answer.json["sequence"], 2);
            answer.expect_code(status, code);
        }
        assert_eq!(position(&test).await, 0);
    }

    #[tokio::test]
    async fn people_can_be_named_by_uuid_and_lose_what_they_got() {
        let test = TestState::with_resources().await;
        let role = json!({ "personUuid": "00000000-0000-4000-8000-000020000009", "organizationNumber": "310247049", "role": "styreleder" });
        send(&test, json!({ "events": [
            { "sequence": 1, "person": { "partyId": 50_000_009, "partyUuid": "00000000-0000-4000-8000-000020000009", "userId": 20_000_009, "name": "Kari" } },
            { "sequence": 2, "roleAdded": role },
        ]})).await.expect(200);
        let kari = crate::test_state::tokens::User::new(20_000_009).token(&test);
        test.get(&story::system_users_of_hansen(), &kari).await.expect(200);
        send(&test, json!({ "events": [{ "sequence": 3, "roleRemoved": role }] })).await.expect(200);
        test.get(&story::system_users_of_hansen(), &kari).await.expect_code(403, "AUTH-00066");
    }

    #[tokio::test]
    async fn after_a_whole_import_the_position_is_set() {
        let test = TestState::with_resources().await;
        test.put(POSITION, &test.operator(), &json!({ "position": 1_000_000 })).await.expect(200);
        let answer = send(&test, json!({ "events": [{ "sequence": 1_000_001, "party": accountant() }] })).await;
        assert_eq!(answer.expect(200)["applied"], 1);
        test.put(POSITION, &test.operator(), &json!({ "position": -1 })).await.expect_code(400, "field_invalid");
        test.put(POSITION, &test.vendor(), &json!({ "position": 1 })).await.expect_code(403, "insufficient_scope");
        test.get(POSITION, &test.vendor()).await.expect_code(403, "insufficient_scope");
        test.post(EVENTS, &test.vendor(), &json!({ "events": [] })).await.expect_code(403, "insufficient_scope");
    }

    #[tokio::test]
    async fn two_senders_at_once_do_not_take_an_event_twice() {
        let test = TestState::with_resources().await;
        let body = json!({ "events": [{ "sequence": 1, "party": accountant() }] });
        let (one, two) = tokio::join!(send(&test, body.clone()), send(&test, body.clone()));
        let applied = one.expect(200)["applied"].as_i64().unwrap() + two.expect(200)["applied"].as_i64().unwrap();
        assert_eq!(applied, 1);
    }
}
