//! Routes: read, checked against each other, and put in the order in which they match.

use std::collections::BTreeMap;

use zerocopy::little_endian::U32;

use super::Compiler;
use super::writer::run;
use crate::right::Right;
use crate::route::{self, Callers, Methods, Segment};
use crate::snapshot::document::{ModeDocument, PartyDocument, PlatformTokenDocument, RouteDocument};
use crate::snapshot::layout::{
    ROUTE_PLATFORM_TOKEN, ROUTE_PLATFORM_TOKEN_REQUIRED, ROUTE_PREFLIGHT, ROUTE_SESSION_COOKIE, RouteRecord, Run,
    Section, SegmentRecord,
};

/// How specific a route is: an exact host before any host, then segment by segment a literal before a parameter before
/// a rest. Two routes of one key take the same calls.
type Specificity = (bool, String, Vec<(u8, String)>);

/// Most origins of one route.
const ORIGINS_MAX: usize = 32;

struct ReadRoute<'document> {
    document: &'document RouteDocument,
    path: String,
    specificity: Specificity,
    segments: Vec<Segment>,
    methods: Methods,
    right: u32,
}

impl<'document> Compiler<'document> {
    pub(super) fn routes(&mut self, rights: &BTreeMap<Right, u32>) {
        let document = self.document;
        if document.routes.len() > crate::snapshot::image::check::ROUTES_MAX {
            self.error("/routes".to_owned(), "too_many_routes", "a snapshot holds at most 10,000 routes");
        }
        let mut routes: Vec<ReadRoute<'document>> = Vec::new();
        for (position, route) in document.routes.iter().enumerate() {
            if let Some(route) = self.read_route(route, format!("/routes/{position}"), rights) {
                routes.push(route);
            }
        }
        routes.sort_by(|left, right| {
            left.specificity.cmp(&right.specificity).then_with(|| left.document.name.cmp(&right.document.name))
        });
        self.check_conflicts(&routes);
        let (mut records, mut segments, mut texts) = (Vec::new(), Vec::new(), Vec::new());
        for route in &routes {
            records.push(self.route_record(route, &mut segments, &mut texts));
        }
        self.writer.records(Section::Routes, &records);
        self.writer.records(Section::RouteSegments, &segments);
        self.writer.records(Section::RouteTexts, &texts);
    }

    fn read_route(
        &mut self,
        document: &'document RouteDocument,
        path: String,
        rights: &BTreeMap<Right, u32>,
    ) -> Option<ReadRoute<'document>> {
        let errors_before = self.errors.len();
        if document.name.is_empty() || document.name.len() > 128 || document.name.contains(char::is_control) {
            self.error(
                format!("{path}/name"),
                "route_name",
                "a route's name has 1 to 128 bytes, none a control character",
            );
        }
        let host = document.host.as_str();
        let host_allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'_');
        if host != "*" && (host.is_empty() || !host.bytes().all(host_allowed)) {
            self.error(format!("{path}/host"), "route_host", "a host is a name in lower case without port, or `*`");
        }
        let mut methods = Methods::of("");
        for method in &document.methods {
            let one = Methods::of(method);
            if one.is_empty() {
                let message = format!("`{method}` is not GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS");
                self.error(format!("{path}/methods"), "route_method", message);
            }
            methods = methods.with(one);
        }
        if document.methods.is_empty() {
            self.error(format!("{path}/methods"), "route_method", "a route has a method");
        }
        if document.callers.is_empty() {
            self.error(format!("{path}/callers"), "route_callers", "a route lets some kind of caller in");
        }
        let right = Right { resource: document.resource.clone(), action: document.action.clone() };
        if !rights.contains_key(&right) {
            let message = format!("no rule of a resource's policy has the right `{right}`");
            self.error(path.clone(), "route_right_unknown", message);
        }
        let segments = match route::parse_template(&document.path) {
            Ok(segments) => segments,
            Err(error) => {
                self.error(format!("{path}/path"), "route_path", error.to_string());
                return None;
            }
        };
        self.check_party(document, &path, &segments);
        self.check_origins(document, &path);
        let position = rights.get(&right).copied();
        if self.errors.len() > errors_before {
            return None;
        }
        let shape = segments.iter().map(|segment| match segment {
            Segment::Literal(literal) => (0, literal.clone()),
            Segment::Parameter(_) => (1, String::new()),
            Segment::Rest => (2, String::new()),
        });
        let specificity = (host == "*", host.to_owned(), shape.collect());
        Some(ReadRoute { document, path, specificity, segments, methods, right: position? })
    }

    fn check_origins(&mut self, document: &RouteDocument, path: &str) {
        let Some(cookie) = &document.session_cookie else { return };
        if cookie.origins.len() > ORIGINS_MAX {
            let message = "a route has at most 32 origins";
            self.error(format!("{path}/sessionCookie/origins"), "route_origins", message);
        }
        for origin in &cookie.origins {
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            let allowed = |byte: u8| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'_' | b':')
            };
            if !host.is_some_and(|host| !host.is_empty() && host.bytes().all(allowed)) {
                let message =
                    format!("`{origin}` is no origin: scheme, host in lower case, and a port that is not usual");
                self.error(format!("{path}/sessionCookie/origins"), "route_origin", message);
            }
        }
        if document.mode == ModeDocument::Off {
            self.error(format!("{path}/sessionCookie"), "route_off", "a route that is off looks at no token");
        }
    }

    fn check_party(&mut self, document: &RouteDocument, path: &str, segments: &[Segment]) {
        let token = |name: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            !name.is_empty() && name.bytes().all(allowed)
        };
        let problem = match &document.party {
            PartyDocument::Path(name) if parameter(segments, name).is_none() => {
                format!("the path has no parameter `{name}`")
            }
            PartyDocument::Header(name) if !token(name) => format!("`{name}` is not a header's name"),
            PartyDocument::Query(name) if name.is_empty() => "a query parameter has a name".to_owned(),
            _ => return,
        };
        self.error(format!("{path}/party"), "route_party", problem);
    }

    /// Two routes that take the same call leave open which right it needs.
    fn check_conflicts(&mut self, routes: &[ReadRoute<'_>]) {
        for (position, route) in routes.iter().enumerate() {
            let same = routes.iter().skip(position + 1).take_while(|other| other.specificity == route.specificity);
            for other in same.filter(|other| other.methods.intersects(route.methods)) {
                let message = format!("takes the same calls as route `{}`", route.document.name);
                self.error(other.path.clone(), "route_conflict", message);
            }
        }
        let mut names: Vec<(&str, &str)> =
            routes.iter().map(|route| (route.document.name.as_str(), route.path.as_str())).collect();
        names.sort_unstable();
        for pair in names.windows(2) {
            if let [(left, _), (right, path)] = pair
                && left == right
            {
                self.error(format!("{path}/name"), "route_name_twice", format!("route `{right}` is there twice"));
            }
        }
    }

    fn route_record(
        &mut self,
        route: &ReadRoute<'_>,
        segments: &mut Vec<SegmentRecord>,
        texts: &mut Vec<U32>,
    ) -> RouteRecord {
        let document = route.document;
        let first_segment = segments.len();
        for segment in &route.segments {
            let (kind, text) = match segment {
                Segment::Literal(literal) => (1, literal.as_str()),
                Segment::Parameter(name) => (2, name.as_str()),
                Segment::Rest => (3, ""),
            };
            segments.push(SegmentRecord { kind: U32::new(kind), text: self.strings.intern(text) });
        }
        let (party_kind, party) = match &document.party {
            PartyDocument::Path(name) => (1, U32::new(parameter(&route.segments, name).unwrap_or(u32::MAX))),
            PartyDocument::Header(name) => (2, self.strings.intern(&name.to_ascii_lowercase())),
            PartyDocument::Query(name) => (3, self.strings.intern(name)),
            PartyDocument::Owner => (4, U32::ZERO),
        };
        let host = if document.host == "*" { "" } else { document.host.as_str() };
        RouteRecord {
            name: self.strings.intern(&document.name),
            host: self.strings.intern(host),
            methods: U32::new(route.methods.bits()),
            segments: run(first_segment, segments.len() - first_segment),
            right: U32::new(route.right),
            party_kind: U32::new(party_kind),
            party,
            callers: U32::new(Callers::from_kinds(document.callers.iter().copied()).bits()),
            scopes: self.texts(document.scopes.iter().map(|scope| scope.as_str()), texts),
            audiences: self.texts(document.audiences.iter().map(String::as_str), texts),
            mode: U32::new(match document.mode {
                ModeDocument::Enforce => 0,
                ModeDocument::Shadow => 1,
                ModeDocument::Off => 2,
            }),
            options: U32::new(options(document)),
            origins: self
                .texts(document.session_cookie.iter().flat_map(|cookie| &cookie.origins).map(String::as_str), texts),
        }
    }

    fn texts<'text>(&mut self, values: impl Iterator<Item = &'text str>, texts: &mut Vec<U32>) -> Run {
        let first = texts.len();
        for value in values {
            texts.push(self.strings.intern(value));
        }
        run(first, texts.len() - first)
    }
}

fn options(document: &RouteDocument) -> u32 {
    let platform_token = match document.platform_token {
        PlatformTokenDocument::Ignored => 0,
        PlatformTokenDocument::Optional => ROUTE_PLATFORM_TOKEN,
        PlatformTokenDocument::Required => ROUTE_PLATFORM_TOKEN | ROUTE_PLATFORM_TOKEN_REQUIRED,
    };
    let when = |holds: bool, option: u32| if holds { option } else { 0 };
    platform_token
        | when(document.preflight, ROUTE_PREFLIGHT)
        | when(document.session_cookie.is_some(), ROUTE_SESSION_COOKIE)
}

/// Position of a parameter's segment.
fn parameter(segments: &[Segment], name: &str) -> Option<u32> {
    let position = segments.iter().position(|segment| matches!(segment, Segment::Parameter(known) if known == name))?;
    u32::try_from(position).ok()
}
