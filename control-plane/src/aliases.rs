//! Other paths to the same operations: those that Altinn's own pages call (`/accessmanagement/api/v1`), and a slash at the
//! end that they send. An alias is the operation itself, whoever calls: the path is replaced before anything looks at it.
//!
//! The description has each of them beside its operation ([`describe`]).

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, Uri};
use axum::middleware::map_request;
use serde_json::{Map, Value, json};

/// Another path to an operation. A name in braces stands for one part of the path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Alias {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    /// With what is added to the query, if anything.
    pub(crate) operation: &'static str,
}

const fn alias(method: &'static str, path: &'static str, operation: &'static str) -> Alias {
    Alias { method, path, operation }
}

/// The first path that fits counts, whatever the method.
#[rustfmt::skip]
pub(crate) const ALIASES: &[Alias] = &[
    alias("GET", "/accessmanagement/api/v1/systemuser/request/{requestId}", "/authentication/api/v1/systemuser/request/{requestId}"),
    alias("POST", "/accessmanagement/api/v1/systemuser/request/{party}/{requestId}/approve", "/authentication/api/v1/systemuser/request/{party}/{requestId}/approve"),
    alias("POST", "/accessmanagement/api/v1/systemuser/request/{party}/{requestId}/reject", "/authentication/api/v1/systemuser/request/{party}/{requestId}/reject"),
    alias("POST", "/accessmanagement/api/v1/systemuser/request/{party}/{requestId}/escalate", "/authentication/api/v1/systemuser/request/{party}/{requestId}/escalate"),
    alias("GET", "/accessmanagement/api/v1/systemuser/agentrequest/{requestId}", "/authentication/api/v1/systemuser/request/agent/{requestId}"),
    alias("POST", "/accessmanagement/api/v1/systemuser/agentrequest/{party}/{requestId}/approve", "/authentication/api/v1/systemuser/request/agent/{party}/{requestId}/approve"),
    alias("POST", "/accessmanagement/api/v1/systemuser/agentrequest/{party}/{requestId}/reject", "/authentication/api/v1/systemuser/request/agent/{party}/{requestId}/reject"),
    alias("POST", "/accessmanagement/api/v1/systemuser/agentrequest/{party}/{requestId}/escalate", "/authentication/api/v1/systemuser/request/agent/{party}/{requestId}/escalate"),
    alias("GET", "/accessmanagement/api/v1/systemuser/changerequest/{requestId}", "/authentication/api/v1/systemuser/changerequest/{requestId}"),
    alias("POST", "/accessmanagement/api/v1/systemuser/changerequest/{party}/{requestId}/approve", "/authentication/api/v1/systemuser/changerequest/{party}/{requestId}/approve"),
    alias("POST", "/accessmanagement/api/v1/systemuser/changerequest/{party}/{requestId}/reject", "/authentication/api/v1/systemuser/changerequest/{party}/{requestId}/reject"),
    alias("GET", "/accessmanagement/api/v1/systemuser/agentrequest/{requestId}/logout", "/accessmanagement/api/v1/systemuser/request/{requestId}/logout"),
    alias("GET", "/accessmanagement/api/v1/systemuser/{partyUuid}/pending", "/portvakt/v1/pending-requests?party={partyUuid}"),
    alias("GET", "/accessmanagement/api/v1/systemuser/agentdelegation/{party}/{systemUserId}/customers", "/authentication/api/v1/systemuser/agent/{party}/clients?systemUserId={systemUserId}"),
    alias("GET", "/accessmanagement/api/v1/systemuser/agentdelegation/{party}/{systemUserId}/delegation", "/authentication/api/v1/systemuser/agent/{party}/{party}/{systemUserId}/delegations"),
    alias("POST", "/accessmanagement/api/v1/systemuser/agentdelegation/{party}/{systemUserId}/delegation", "/authentication/api/v1/systemuser/agent/{party}/{systemUserId}"),
    alias("DELETE", "/accessmanagement/api/v1/systemuser/agentdelegation/{party}/{systemUserId}/delegation", "/authentication/api/v1/systemuser/agent/{party}/{systemUserId}/client"),
    alias("GET", "/accessmanagement/api/v1/systemuser/agentdelegation/{party}/{systemUserId}/self", "/authentication/api/v1/systemuser/agent/{party}/{systemUserId}/self"),
    alias("POST", "/accessmanagement/api/v1/systemuser/agentdelegation/{party}/{systemUserId}/self", "/authentication/api/v1/systemuser/agent/{party}/{systemUserId}/self"),
    alias("DELETE", "/accessmanagement/api/v1/systemuser/agentdelegation/{party}/{systemUserId}/self", "/authentication/api/v1/systemuser/agent/{party}/{systemUserId}/self"),
    alias("GET", "/accessmanagement/api/v1/systemuser/agent/{party}", "/authentication/api/v1/systemuser/agent/{party}"),
    alias("GET", "/accessmanagement/api/v1/systemuser/agent/{party}/{systemUserId}", "/authentication/api/v1/systemuser/agent/{party}/{systemUserId}"),
    alias("DELETE", "/accessmanagement/api/v1/systemuser/agent/{party}/{systemUserId}", "/authentication/api/v1/systemuser/agent/{party}/{systemUserId}"),
    alias("GET", "/accessmanagement/api/v1/systemuser/{party}", "/authentication/api/v1/systemuser/{party}"),
    alias("POST", "/accessmanagement/api/v1/systemuser/{party}", "/authentication/api/v1/systemuser/{party}/create"),
    alias("GET", "/accessmanagement/api/v1/systemuser/{party}/{systemUserId}", "/authentication/api/v1/systemuser/{party}/{systemUserId}"),
    alias("DELETE", "/accessmanagement/api/v1/systemuser/{party}/{systemUserId}", "/authentication/api/v1/systemuser/{party}/{systemUserId}"),
    alias("GET", "/accessmanagement/api/v1/systemregister", "/authentication/api/v1/systemregister"),
    alias("GET", "/accessmanagement/api/v1/systemregister/rights/{systemId}", "/authentication/api/v1/systemregister/{systemId}/rights"),
    alias("GET", "/authentication/api/v1/systemuser/agent/{party}/{systemUserId}/self/", "/authentication/api/v1/systemuser/agent/{party}/{systemUserId}/self"),
    alias("POST", "/authentication/api/v1/systemuser/agent/{party}/{systemUserId}/self/", "/authentication/api/v1/systemuser/agent/{party}/{systemUserId}/self"),
    alias("DELETE", "/authentication/api/v1/systemuser/agent/{party}/{systemUserId}/self/", "/authentication/api/v1/systemuser/agent/{party}/{systemUserId}/self"),
];

/// The same service, reached by the aliases too.
pub(crate) fn followed(service: Router) -> Router {
    let replaced = map_request(async |mut request: Request| {
        if let Some(uri) = operation(request.method(), request.uri()) {
            *request.uri_mut() = uri;
        }
        request
    });
    // What is around a fallback comes before the routing of the service in it.
    Router::new().fallback_service(service).layer(replaced)
}

/// The methods that an alias has; `None` for a path that is none. One that has not been replaced is called with another.
pub(crate) fn methods(path: &str) -> Option<String> {
    let first = ALIASES.iter().find(|alias| alias.applied(path).is_some())?;
    let of_path = ALIASES.iter().filter(|alias| alias.path == first.path).map(|alias| alias.method);
    // Whoever may read may ask what it would get.
    let methods: Vec<_> =
        of_path.flat_map(|method| if method == "GET" { vec!["GET", "HEAD"] } else { vec![method] }).collect();
    Some(methods.join(","))
}

/// The operation that an alias leads to.
fn operation(method: &Method, uri: &Uri) -> Option<Uri> {
    // Whoever may read may ask what it would get.
    let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
    let first = ALIASES.iter().find(|alias| alias.applied(uri.path()).is_some())?;
    let alias = ALIASES.iter().find(|alias| alias.path == first.path && alias.method == method)?;
    let path = alias.applied(uri.path())?;
    let join = if path.contains('?') { '&' } else { '?' };
    let path = uri.query().map_or_else(|| path.clone(), |query| format!("{path}{join}{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path.parse().ok()?);
    Uri::from_parts(parts).ok()
}

impl Alias {
    /// The operation's path with this path's values, as they were sent.
    fn applied(&self, path: &str) -> Option<String> {
        let (mut parts, mut values) = (path.split('/'), Vec::new());
        for expected in self.path.split('/') {
            let part = parts.next()?;
            match name(expected) {
                Some(name) if !part.is_empty() => values.push((name, part)),
                None if part == expected => {}
                _ => return None,
            }
        }
        if parts.next().is_some() {
            return None;
        }
        let filled = self.operation.split_inclusive(['/', '=']).map(|part| {
            let (word, end) = part.split_at(part.trim_end_matches(['/', '=']).len());
            let value = name(word).and_then(|word| values.iter().find(|(name, _)| *name == word));
            format!("{}{end}", value.map_or(word, |(_, value)| value))
        });
        Some(filled.collect())
    }
}

impl Alias {
    /// Parameters of the operation's query that are parts of this path.
    fn in_query(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let pairs = self.operation.split_once('?').map_or("", |(_, query)| query).split('&');
        pairs.filter_map(|pair| pair.split_once('=')).filter_map(|(queried, part)| Some((queried, name(part)?)))
    }
}

/// `party` of `{party}`.
fn name(part: &str) -> Option<&str> {
    part.strip_prefix('{')?.strip_suffix('}')
}

/// Adds the aliases to the paths of a description.
#[expect(clippy::indexing_slicing, reason = "members of objects that the macros made")]
pub(crate) fn describe(paths: &mut Map<String, Value>) {
    for alias in ALIASES {
        let path = alias.operation.split('?').next().unwrap_or(alias.operation);
        let method = alias.method.to_lowercase();
        let same = |described: &&String| is_same(described, path);
        let Some(found) = paths.keys().find(same).cloned() else { continue };
        let Some(mut operation) = paths.get(&found).and_then(|item| item.get(&method)).cloned() else { continue };
        let suffix = if alias.path.ends_with('/') { "WithSlash" } else { "InPages" };
        operation["operationId"] = format!("{}{suffix}", operation["operationId"].as_str().unwrap_or_default()).into();
        operation["description"] = format!("The same as `{} {found}`.", alias.method).into();
        if let Some(parameters) = operation["parameters"].as_array_mut() {
            for (queried, part) in alias.in_query() {
                let is_queried = |parameter: &&mut Value| parameter["name"] == queried;
                parameters.iter_mut().filter(is_queried).for_each(|parameter| parameter["name"] = part.into());
            }
            keep_those_of(alias.path, parameters);
        }
        let item = paths.entry(alias.path).or_insert_with(|| json!({}));
        item[method] = operation;
    }
}

/// The same path, but for names.
fn is_same(one: &str, other: &str) -> bool {
    let is_same = |(one, other): (&str, &str)| one == other || (name(one).is_some() && name(other).is_some());
    one.split('/').count() == other.split('/').count() && one.split('/').zip(other.split('/')).all(is_same)
}

/// Parameters that are parts of the alias; what the operation has in its query may be one.
fn keep_those_of(path: &str, parameters: &mut Vec<Value>) {
    let names: Vec<_> = path.split('/').filter_map(name).collect();
    let is_part = |parameter: &Value| names.iter().any(|name| parameter["name"] == *name);
    parameters.retain(|parameter| parameter["in"] != "path" || is_part(parameter));
    for parameter in parameters.iter_mut().filter(|parameter| is_part(parameter)) {
        parameter["in"] = "path".into();
        parameter["required"] = true.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openapi;
    use crate::test_state::{TestState, agents, story};

    #[test]
    fn every_alias_is_described_and_leads_to_an_operation() {
        let document = openapi::document();
        for alias in ALIASES {
            let described = &document["paths"][alias.path][alias.method.to_lowercase()];
            assert!(described["operationId"].is_string(), "{alias:?}");
        }
    }

    #[test]
    fn values_go_to_their_places_and_the_query_stays() {
        let led = |method: Method, uri: &str| operation(&method, &uri.parse().unwrap()).map(|uri| uri.to_string());
        let pages = "/accessmanagement/api/v1/systemuser";
        let altinn = "/authentication/api/v1/systemuser";
        for (method, from, to) in [
            (
                Method::POST,
                format!("{pages}/request/5/a%2Fb/approve?x=1"),
                format!("{altinn}/request/5/a%2Fb/approve?x=1"),
            ),
            (Method::GET, format!("{pages}/agentrequest/7"), format!("{altinn}/request/agent/7")),
            (Method::HEAD, format!("{pages}/5/u"), format!("{altinn}/5/u")),
            (Method::GET, format!("{pages}/agent/5"), format!("{altinn}/agent/5")),
            (Method::POST, format!("{pages}/5"), format!("{altinn}/5/create")),
            (
                Method::GET,
                format!("{pages}/agentdelegation/5/u/customers?facilitator=f"),
                format!("{altinn}/agent/5/clients?systemUserId=u&facilitator=f"),
            ),
            (
                Method::GET,
                format!("{pages}/agentdelegation/5/u/delegation"),
                format!("{altinn}/agent/5/5/u/delegations"),
            ),
            (
                Method::DELETE,
                format!("{altinn}/agent/5/u/self/?partyUuid=p"),
                format!("{altinn}/agent/5/u/self?partyUuid=p"),
            ),
        ] {
            assert_eq!(led(method, &from), Some(to), "{from}");
        }
        for (method, other) in [
            (Method::PUT, format!("{pages}/5")),
            (Method::DELETE, format!("{pages}/agentrequest/7")),
            (Method::GET, format!("{pages}/5/u/more")),
            (Method::GET, format!("{pages}//u")),
            (Method::GET, format!("{pages}/")),
            (Method::GET, format!("{altinn}/5/u/")),
            (Method::GET, "*".to_owned()),
        ] {
            assert_eq!(led(method, &other), None, "{other}");
        }
    }

    #[tokio::test]
    async fn a_method_that_an_alias_does_not_have_is_not_allowed() {
        let test = TestState::new().await;
        let document = openapi::document();
        for alias in ALIASES {
            let path =
                alias.path.split('/').map(|part| name(part).map_or(part, |_| "00000000-0000-4000-8000-000000000001"));
            let path = path.collect::<Vec<_>>().join("/");
            for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "TRACE"] {
                if document["paths"][alias.path][method.to_lowercase()].is_null() {
                    let answer = test.send(method, &path, "", None).await;
                    assert!(answer.headers["allow"].split(',').any(|allowed| allowed == alias.method), "{path}");
                    answer.expect_code(405, "method_not_allowed");
                }
            }
        }
    }

    #[tokio::test]
    async fn altinns_pages_approve_list_and_delete() {
        let test = TestState::with_request().await;
        let (id, hansen) = (test.request_id().await, test.administrator_of_hansen());
        let pages = "/accessmanagement/api/v1/systemuser";
        let shown = test.get(&format!("{pages}/request/{id}"), &hansen).await.expect(200);
        assert_eq!(shown["partyId"], 50_000_001);
        let approve = format!("{pages}/request/50000001/{id}/approve");
        test.send("POST", &approve, &test.administrator_of_bakeri(), None).await.expect_code(403, "AUTH-00066");
        assert_eq!(test.send("POST", &approve, &hansen, None).await.expect(200), json!(true));
        let listed = test.get(&format!("{pages}/50000001"), &hansen).await.expect(200);
        assert_eq!(listed, test.get(&story::system_users_of_hansen(), &hansen).await.expect(200));
        test.delete(&format!("{pages}/50000001/{id}"), &hansen).await.expect(202);
        test.get(&format!("{pages}/50000001/{id}"), &hansen).await.expect_code(404, "AUTH-00015");
        let body = json!({ "systemId": "310247030_smartcloud", "integrationTitle": "x" });
        test.post(&format!("{pages}/50000001"), &hansen, &body).await.expect(200);
    }

    #[tokio::test]
    async fn altinns_pages_give_an_agent_its_clients() {
        let (test, agent) = TestState::with_agent().await;
        let accountant = test.accountant();
        let pages = format!("/accessmanagement/api/v1/systemuser/agentdelegation/50000003/{agent}");
        let customers = test.get(&format!("{pages}/customers"), &accountant).await.expect(200);
        assert_eq!(customers.as_array().unwrap().len(), 2);
        let client = format!("{pages}/delegation?client={}", agents::uuid(50_000_001));
        test.send("POST", &client, &accountant, None).await.expect(200);
        let listed = test.get(&format!("{pages}/delegation"), &accountant).await.expect(200);
        assert_eq!((listed.as_array().unwrap().len(), &listed[0]["agentSystemUserId"]), (1, &json!(agent)));
        test.delete(&client, &accountant).await.expect(200);
        assert_eq!(test.get(&format!("{pages}/delegation"), &accountant).await.expect(200), json!([]));
        for end in ["", "/"] {
            let own = format!("{}/self{end}", agents::agents(&agent));
            assert_eq!(test.send("POST", &own, &accountant, None).await.expect(200), json!(true));
            assert_eq!(test.get(&own, &accountant).await.expect(200), json!(true));
            assert_eq!(test.delete(&own, &accountant).await.expect(200), json!(true));
        }
    }
}
