//! Kinds of callers, by what they show.

use serde_json::json;

use super::calls::Call;
use super::world::{BOARD_MEMBER, ELSEWHERE, MAIN_ADMINISTRATOR, MANAGER, MANAGER_ELSEWHERE, World, id_porten};
use crate::test_state::{Answer, TestState, agents, tokens};

#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    headers: Vec<(&'static str, String)>,
}

impl Caller {
    pub(crate) async fn call(&self, test: &TestState, call: &Call) -> Answer {
        let headers: Vec<_> = self.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        test.call_with(call.method, &call.path, &headers, call.body.clone()).await
    }
}

const ALL_OF_VENDORS: &str = "altinn:authentication/systemregister.write altinn:authentication/systemuser.request.write \
                              altinn:authentication/systemuser.request.read";
const PORTAL: &str = "altinn:portal/enduser";
const THROUGH_VENDOR: &str = "altinn:clientdelegations.read altinn:clientdelegations.write";
const VENDOR: &str = "310247030";

pub(crate) async fn all(world: &World) -> Vec<Caller> {
    let test = &world.test;
    let mut callers = vec![Caller { name: "nobody", description: "shows nothing", headers: Vec::new() }];
    callers.extend(tokens_that_do_not_stand(test));
    callers.extend(machines(test).await);
    callers.extend(our_own(world));
    callers.extend(people(test));
    callers.extend(browsers(test).await);
    callers
}

fn bearer(name: &'static str, description: &'static str, token: &str) -> Caller {
    Caller { name, description, headers: vec![("authorization", format!("Bearer {token}"))] }
}

/// A token of Altinn's, with these claims beside the scope.
fn altinn(scope: &str) -> tokens::Maskinporten {
    tokens::Maskinporten::without_consumer(scope).claim("iss", json!(tokens::ALTINN)).key("a", tokens::ALTINN_KEY)
}

/// Every scope that any operation asks for, so that nothing but the token is wrong.
fn every_scope() -> String {
    format!(
        "{ALL_OF_VENDORS} {PORTAL} {THROUGH_VENDOR} altinn:authentication/systemregister.admin \
         altinn:authentication/systemuser.admin altinn:maskinporten/systemuser.read altinn:authorization/authorize \
         altinn:accessmanagement/authorizedparties portvakt:operator portvakt:resources.write portvakt:decisions"
    )
}

fn tokens_that_do_not_stand(test: &TestState) -> Vec<Caller> {
    let operator = || tokens::Maskinporten::new("310247006", &every_scope());
    let good = operator().token(test);
    let broken: String = good.rsplit_once('.').map(|(signed, _)| format!("{signed}.{}", "A".repeat(86))).unwrap();
    test.clock.advance_seconds(-3600);
    let expired = operator().token(test);
    test.clock.advance_seconds(3600);
    let foreign = operator().claim("iss", json!("https://maskinporten.test")).token(test);
    vec![
        bearer("broken token", "every scope, an operator's organisation, another signature", &broken),
        bearer("expired token", "the same, expired", &expired),
        bearer("foreign issuer", "the same, an issuer that differs by a slash", &foreign),
    ]
}

async fn machines(test: &TestState) -> Vec<Caller> {
    let of = |organization: &str, scope: &str| tokens::Maskinporten::new(organization, scope).token(test);
    let vendor = |scope: &str| of(VENDOR, &format!("altinn:authentication/{scope}"));
    let exchange = "/authentication/api/v1/exchange/maskinporten";
    let exchanged = test.get(exchange, &of(VENDOR, ALL_OF_VENDORS)).await.text();
    let altinns = altinn(ALL_OF_VENDORS)
        .claim("consumer", json!({ "authority": "iso6523-actorid-upis", "ID": format!("0192:{VENDOR}") }))
        .claim("urn:altinn:orgNumber", json!(VENDOR))
        .claim("urn:altinn:authenticatemethod", json!("maskinporten"))
        .claim("urn:altinn:authlevel", json!(3));
    let service_owner = altinn("altinn:serviceowner altinn:serviceowner/instances.read")
        .claim("urn:altinn:org", json!("digdir"))
        .claim("urn:altinn:orgNumber", json!("310247022"));
    let agent = |scope: &str| {
        let id = "00000000-0000-4000-8000-0000000000ff";
        tokens::Maskinporten::new(VENDOR, scope).system_user(id, "310247049").token(test)
    };
    vec![
        bearer("vendor without scope", "Maskinporten, the system's vendor", &of(VENDOR, "other:scope")),
        bearer("vendor, register", "the same, systemregister.write", &vendor("systemregister.write")),
        bearer("vendor, requests write", "the same, systemuser.request.write", &vendor("systemuser.request.write")),
        bearer("vendor, requests read", "the same, systemuser.request.read", &vendor("systemuser.request.read")),
        bearer("vendor, exchanged here", "the three scopes, a token that we exchanged", &exchanged),
        bearer("vendor, exchanged by Altinn", "the three scopes, Altinn's token", &altinns.token(test)),
        bearer("foreign vendor", "Maskinporten, the three scopes, another vendor", &of(ELSEWHERE, ALL_OF_VENDORS)),
        bearer("foreign vendor, exchanged", "the same, Altinn's token", &{
            let token = altinn(ALL_OF_VENDORS).claim("urn:altinn:orgNumber", json!(ELSEWHERE));
            token.token(test)
        }),
        bearer("register administrator", "another organisation, systemregister.admin", &{
            of("310247006", "altinn:authentication/systemregister.admin")
        }),
        bearer("no organisation", "Maskinporten, every scope, no `consumer`", &{
            tokens::Maskinporten::without_consumer(&every_scope()).token(test)
        }),
        bearer("Maskinporten", "its own look-up scope, in `lookup_organizations`", &test.maskinporten()),
        bearer("look-up by another", "the same scope, another organisation", &{
            of(VENDOR, "altinn:maskinporten/systemuser.read")
        }),
        bearer("service owner", "Altinn's token with urn:altinn:org", &service_owner.token(test)),
        bearer("organisation with user scopes", "Maskinporten, the customer's organisation, scopes of people", &{
            of("310247049", &format!("{PORTAL} {THROUGH_VENDOR}"))
        }),
        bearer("system user without scope", "Maskinporten, for an unknown system user", &agent("other:scope")),
        bearer("unknown system user", "the same, every scope", &agent(&every_scope())),
    ]
}

fn our_own(world: &World) -> Vec<Caller> {
    let test = &world.test;
    let of = |organization: &str, scope: &str| tokens::Maskinporten::new(organization, scope).token(test);
    let app = tokens::Maskinporten::without_consumer("")
        .claim("iss", json!("platform"))
        .claim("urn:altinn:app", json!("access-management"))
        .key("p", tokens::PLATFORM_KEY);
    let agent = tokens::Maskinporten::new(VENDOR, "altinn:accessmanagement/authorizedparties")
        .system_user(&world.ids.agent, agents::ACCOUNTANT)
        .system(agents::SYSTEM);
    vec![
        bearer("agent system user", "Maskinporten, scope authorizedparties", &agent.token(test)),
        bearer("operator", "portvakt:operator, in `operators`", &test.operator()),
        bearer("operator elsewhere", "the same scope, another organisation", &of(ELSEWHERE, "portvakt:operator")),
        bearer("resource owner", "portvakt:resources.write, the provider's organisation", &test.resource_owner()),
        bearer("resource owner elsewhere", "the same scope, another provider's organisation", &{
            of(ELSEWHERE, "portvakt:resources.write")
        }),
        bearer("gateway", "the provider's gateway credential", &world.gateway),
        bearer("gateway elsewhere", "another provider's", &world.gateway_elsewhere),
        bearer("authorizer", "altinn:authorization/authorize", &of(ELSEWHERE, "altinn:authorization/authorize")),
        bearer("platform, decisions", "portvakt:decisions, in `operators`", &of("310247006", "portvakt:decisions")),
        bearer("platform, internal", "altinn:authentication/systemuser.admin", &{
            of("310247006", "altinn:authentication/systemuser.admin")
        }),
        Caller {
            name: "platform app",
            description: "a platform access token, and no other",
            headers: vec![("platformaccesstoken", app.token(test))],
        },
    ]
}

/// Everybody with the same roles at both organisations that decide something.
fn people(test: &TestState) -> Vec<Caller> {
    let user = |id: i64| tokens::User::new(id).token(test);
    let through_vendor = |id: i64| tokens::User::new(id).scope(THROUGH_VENDOR).token(test);
    let with = |claims: &[(&str, serde_json::Value)]| {
        let token = altinn(&format!("{PORTAL} {THROUGH_VENDOR}"))
            .claim("urn:altinn:userid", json!(MANAGER))
            .claim("urn:altinn:authlevel", json!(3));
        claims.iter().fold(token, |token, (name, value)| token.claim(name, value.clone())).token(test)
    };
    vec![
        bearer("manager", "a person, managing director of the party, level 3", &user(MANAGER)),
        bearer("manager, level 2", "the same, level 2", &tokens::User::new(MANAGER).level(2).token(test)),
        bearer("manager without scope", "the same, no scope", &tokens::User::new(MANAGER).scope("openid").token(test)),
        bearer("manager through vendor", "the same, clientdelegations.read and .write", &through_vendor(MANAGER)),
        bearer("main administrator", "a person with Altinn's role hovedadministrator", &user(MAIN_ADMINISTRATOR)),
        bearer("main administrator through vendor", "the same, clientdelegations", &through_vendor(MAIN_ADMINISTRATOR)),
        bearer("board member", "a person with a role that gives nothing", &user(BOARD_MEMBER)),
        bearer("board member through vendor", "the same, clientdelegations", &through_vendor(BOARD_MEMBER)),
        bearer("manager elsewhere", "managing director of another organisation", &user(MANAGER_ELSEWHERE)),
        bearer("manager elsewhere through vendor", "the same, clientdelegations", &through_vendor(MANAGER_ELSEWHERE)),
        bearer("person without a role", "anywhere", &user(20_000_099)),
        bearer("self-identified", "the manager's number, all scopes of people, SelfIdentified", &{
            with(&[("urn:altinn:authenticatemethod", json!("SelfIdentified")), ("urn:altinn:authlevel", json!(0))])
        }),
        bearer("enterprise user", "the same, virksomhetsbruker with an organisation number", &{
            with(&[
                ("urn:altinn:authenticatemethod", json!("virksomhetsbruker")),
                ("urn:altinn:orgNumber", json!("310247049")),
            ])
        }),
    ]
}

/// A token that we issued to the manager, in the session's cookie.
async fn browsers(test: &TestState) -> Vec<Caller> {
    let original = id_porten(test, &format!("openid {PORTAL}"));
    let issued = test.get("/authentication/api/v1/exchange/id-porten", &original).await.text();
    let cookie = format!("AltinnStudioRuntime={issued}");
    let vendor = test.get("/authentication/api/v1/exchange/maskinporten", &test.vendor()).await.text();
    let of = |name, description, cookie: &str, site: &str| Caller {
        name,
        description,
        headers: vec![("cookie", cookie.to_owned()), ("sec-fetch-site", site.to_owned())],
    };
    vec![
        bearer("ID-porten's token", "the manager's, not exchanged", &original),
        bearer("manager, our token", "exchanged by us from ID-porten's", &issued),
        of("manager, cookie", "the same in AltinnStudioRuntime, from our own pages", &cookie, "same-origin"),
        of("manager, cookie of another site", "the same, sent by a page of another site", &cookie, "cross-site"),
        of(
            "vendor's token in a cookie",
            "a machine's token where a person's belongs",
            &{ format!("AltinnStudioRuntime={vendor}") },
            "same-origin",
        ),
    ]
}
