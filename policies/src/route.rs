//! Routes: which right a call needs. A template is compared segment by segment; there are no patterns to backtrack. Which
//! templates are compared at all is found in a tree of segments, so that a call costs the same with ten routes and with
//! thousands.

use std::collections::BTreeMap;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::call::{ApiCall, Segments};
use crate::snapshot::CallerKind;
use crate::snapshot::RightIndex;
use crate::token::Caller;

/// One route, ready to match.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ApiRoute {
    pub(crate) name: Arc<str>,
    /// `None` for any host.
    pub(crate) host: Option<String>,
    pub(crate) methods: Methods,
    pub(crate) segments: Vec<Segment>,
    pub(crate) right: RightIndex,
    pub(crate) party: PartySource,
    pub(crate) callers: Callers,
    pub(crate) scopes: Vec<String>,
    pub(crate) audiences: Vec<String>,
    pub(crate) mode: Mode,
    /// CORS preflights for it pass.
    pub(crate) takes_preflight: bool,
    /// The session cookie is taken; calls that change something, then, only from the API's own pages and those of these
    /// origins.
    pub(crate) session_cookie: Option<Vec<String>>,
    pub(crate) platform_token: PlatformToken,
}

impl ApiRoute {
    /// A browser asks whether it may make a call that would be this route's (Fetch standard, CORS-preflight fetch).
    pub(crate) fn matches_preflight(&self, call: &ApiCall, asked_for: Methods) -> bool {
        self.takes_preflight
            && self.methods.intersects(asked_for)
            && self.host.as_deref().is_none_or(|host| host.as_bytes() == call.host())
            && self.matches_path(call.segments(), |literal, part| literal == part)
    }

    /// The call is this route's.
    pub(crate) fn matches(&self, call: &ApiCall) -> bool {
        self.methods.intersects(call.method())
            && self.host.as_deref().is_none_or(|host| host.as_bytes() == call.host())
            && self.matches_path(call.segments(), |literal, part| literal == part)
    }

    /// A lenient server would take the call for this route's: one that ignores letter case and a trailing slash.
    pub(crate) fn nearly_matches(&self, call: &ApiCall) -> bool {
        let path = call.segments();
        let path = path.without_trailing_slash().unwrap_or(path);
        self.methods.intersects(call.method())
            && self.host.as_deref().is_none_or(|host| host.as_bytes() == call.host())
            && self.matches_path(path, |literal, part| literal.eq_ignore_ascii_case(part))
    }

    fn matches_path(&self, path: Segments<'_>, same: impl Fn(&str, &str) -> bool) -> bool {
        let (fixed, rest) = match self.segments.split_last() {
            Some((Segment::Rest, fixed)) => (fixed, true),
            _ => (self.segments.as_slice(), false),
        };
        let long_enough = if rest { path.len() >= fixed.len() } else { path.len() == fixed.len() };
        long_enough
            && fixed.iter().zip(path.iter()).all(|(segment, part)| match segment {
                Segment::Literal(literal) => same(literal, part),
                Segment::Parameter(_) => !part.is_empty(),
                Segment::Rest => false,
            })
    }
}

/// Routes in the order in which they match, found by their path.
#[derive(Debug, Default)]
pub(crate) struct RouteTable {
    routes: Vec<ApiRoute>,
    // Invariant: the first is the root; children come after their parents.
    nodes: Vec<Node>,
}

/// Positions of routes, mostly of one.
type Found = SmallVec<[usize; 4]>;

/// Where the paths of some routes meet.
#[derive(Debug, Default)]
struct Node {
    /// By literal in lower case.
    literals: BTreeMap<Box<str>, usize>,
    parameter: Option<usize>,
    /// Routes that end here, and those that take any rest from here on.
    ends: Vec<usize>,
    rests: Vec<usize>,
}

impl RouteTable {
    pub(crate) fn new(routes: Vec<ApiRoute>) -> Self {
        let mut nodes = vec![Node::default()];
        for (position, route) in routes.iter().enumerate() {
            let mut at = 0;
            let mut takes_rest = false;
            for segment in &route.segments {
                let next = nodes.len();
                let Some(node) = nodes.get_mut(at) else { break };
                at = match segment {
                    Segment::Literal(literal) => {
                        *node.literals.entry(literal.to_ascii_lowercase().into()).or_insert(next)
                    }
                    Segment::Parameter(_) => *node.parameter.get_or_insert(next),
                    Segment::Rest => {
                        takes_rest = true;
                        break;
                    }
                };
                if at == next {
                    nodes.push(Node::default());
                }
            }
            if let Some(node) = nodes.get_mut(at) {
                let list = if takes_rest { &mut node.rests } else { &mut node.ends };
                list.push(position);
            }
        }
        Self { routes, nodes }
    }

    /// Every route, in order.
    pub(crate) fn all(&self) -> &[ApiRoute] {
        &self.routes
    }

    /// In order, all routes that match the call or nearly do, and perhaps others.
    pub(crate) fn candidates(&self, call: &ApiCall) -> impl Iterator<Item = &ApiRoute> {
        let path = call.segments();
        let mut found = Found::new();
        self.walk(path, &mut found);
        if let Some(rest) = path.without_trailing_slash() {
            self.walk(rest, &mut found);
        }
        if found.len() > 1 {
            found.sort_unstable();
            found.dedup();
        }
        found.into_iter().filter_map(|position| self.routes.get(position))
    }

    /// Follows a path along every branch that takes it; each node is reached by one way only.
    fn walk(&self, path: Segments<'_>, found: &mut Found) {
        let mut next = Some((0_usize, 0_usize));
        // Most paths branch nowhere.
        let mut waiting = Vec::new();
        while let Some((at, depth)) = next.take().or_else(|| waiting.pop()) {
            let Some(node) = self.nodes.get(at) else { continue };
            node.rests.iter().for_each(|route| found.push(*route));
            let Some(segment) = path.get(depth) else {
                node.ends.iter().for_each(|route| found.push(*route));
                continue;
            };
            let literal = if path.has_capitals() {
                node.literals.get(segment.to_ascii_lowercase().as_str())
            } else {
                node.literals.get(segment)
            };
            next = literal.map(|literal| (*literal, depth + 1));
            if let Some(parameter) = node.parameter
                && let Some(other) = next.replace((parameter, depth + 1))
            {
                waiting.push(other);
            }
        }
    }
}

/// One segment of a path template.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Segment {
    /// This text, letter case included.
    Literal(String),
    /// Any one segment that is not empty.
    Parameter(String),
    /// Any number of segments; only at the end.
    Rest,
}

/// Why a path template cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TemplateError {
    #[error("a path template begins with `/`")]
    NotAbsolute,
    #[error("a segment is empty")]
    EmptySegment,
    #[error("a parameter is written `{{name}}`, with letters, digits and `_`")]
    Parameter,
    #[error("a parameter is named twice")]
    ParameterTwice,
    #[error("`**` stands only at the end")]
    RestNotLast,
    #[error("a literal segment has a character that is not allowed there: write it as the decoded path has it")]
    Literal,
}

/// Reads a path template.
pub(crate) fn parse_template(template: &str) -> Result<Vec<Segment>, TemplateError> {
    let path = template.strip_prefix('/').ok_or(TemplateError::NotAbsolute)?;
    if path.is_empty() {
        return Ok(vec![Segment::Literal(String::new())]);
    }
    let mut segments: Vec<Segment> = Vec::new();
    for part in path.split('/') {
        if segments.last() == Some(&Segment::Rest) {
            return Err(TemplateError::RestNotLast);
        }
        let segment = parse_segment(part)?;
        if matches!(segment, Segment::Parameter(_)) && segments.contains(&segment) {
            return Err(TemplateError::ParameterTwice);
        }
        segments.push(segment);
    }
    Ok(segments)
}

fn parse_segment(part: &str) -> Result<Segment, TemplateError> {
    if part.is_empty() {
        return Err(TemplateError::EmptySegment);
    }
    if part == "**" {
        return Ok(Segment::Rest);
    }
    if part.contains(['{', '}', '*']) {
        let name = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')).ok_or(TemplateError::Parameter)?;
        let named = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        return if named { Ok(Segment::Parameter(name.to_owned())) } else { Err(TemplateError::Parameter) };
    }
    let forbidden = |character: char| {
        character.is_control() || character.is_whitespace() || matches!(character, '\\' | '%' | ';' | '?' | '#')
    };
    if part.contains(forbidden) || part == "." || part == ".." {
        return Err(TemplateError::Literal);
    }
    Ok(Segment::Literal(part.to_owned()))
}

/// Where a call names its party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PartySource {
    /// The segment at this position.
    Path(usize),
    Header(String),
    Query(String),
    Owner,
}

/// Whether a route's decisions bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Enforce,
    Shadow,
    Off,
}

/// What becomes of the header `PlatformAccessToken`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlatformToken {
    Ignored,
    Optional,
    Required,
}

/// HTTP methods (RFC 9110 section 9, RFC 5789), as a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Methods(u32);

impl Methods {
    const ALL_BITS: u32 = 0b111_1111;
    /// GET, HEAD and OPTIONS.
    const SAFE_BITS: u32 = 0b100_0011;
    pub(crate) const OPTIONS: Self = Self(0b100_0000);

    /// The set of one method, empty when it is not one that routes can name. Letter case counts.
    pub(crate) fn of(method: &str) -> Self {
        Self(match method {
            "GET" => 1,
            "HEAD" => 1 << 1,
            "POST" => 1 << 2,
            "PUT" => 1 << 3,
            "PATCH" => 1 << 4,
            "DELETE" => 1 << 5,
            "OPTIONS" => 1 << 6,
            _ => 0,
        })
    }

    pub(crate) fn from_bits(bits: u32) -> Option<Self> {
        (bits != 0 && bits <= Self::ALL_BITS).then_some(Self(bits))
    }

    pub(crate) fn bits(self) -> u32 {
        self.0
    }

    pub(crate) fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Calls of this method change nothing (RFC 9110 section 9.2.1).
    pub(crate) fn is_safe(self) -> bool {
        self.0 & !Self::SAFE_BITS == 0
    }

    /// The sets have a method in common.
    pub(crate) fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Kinds of caller, as a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Callers(u32);

impl Callers {
    const ALL_BITS: u32 = 0b1_1111;

    pub(crate) fn from_kinds(kinds: impl IntoIterator<Item = CallerKind>) -> Self {
        Self(kinds.into_iter().fold(0, |bits, kind| bits | 1 << kind as u32))
    }

    pub(crate) fn from_bits(bits: u32) -> Option<Self> {
        (bits != 0 && bits <= Self::ALL_BITS).then_some(Self(bits))
    }

    pub(crate) fn bits(self) -> u32 {
        self.0
    }

    /// The caller is of a kind in the set. Enterprise users and unknown callers are of none.
    pub(crate) fn contains(self, caller: &Caller) -> bool {
        let kind = match caller {
            Caller::SystemUser(_) => CallerKind::SystemUser,
            Caller::ServiceOwner { .. } => CallerKind::ServiceOwner,
            Caller::Organization { .. } => CallerKind::Organization,
            Caller::User { .. } => CallerKind::User,
            Caller::SelfIdentified { .. } => CallerKind::SelfIdentified,
            Caller::EnterpriseUser | Caller::Unknown => return false,
        };
        self.0 >> kind as u32 & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates() {
        assert_eq!(
            parse_template("/vat/{party}/returns"),
            Ok(vec![
                Segment::Literal("vat".to_owned()),
                Segment::Parameter("party".to_owned()),
                Segment::Literal("returns".to_owned())
            ])
        );
        assert_eq!(parse_template("/files/**").map(|segments| segments.len()), Ok(2));
        assert_eq!(parse_template("/"), Ok(vec![Segment::Literal(String::new())]));
        for (wrong, error) in [
            ("vat", TemplateError::NotAbsolute),
            ("", TemplateError::NotAbsolute),
            ("//a", TemplateError::EmptySegment),
            ("/a/", TemplateError::EmptySegment),
            ("/{}", TemplateError::Parameter),
            ("/{a", TemplateError::Parameter),
            ("/a*", TemplateError::Parameter),
            ("/{a-b}", TemplateError::Parameter),
            ("/{a}/{a}", TemplateError::ParameterTwice),
            ("/**/a", TemplateError::RestNotLast),
            ("/a%20b", TemplateError::Literal),
            ("/..", TemplateError::Literal),
            ("/a;b", TemplateError::Literal),
        ] {
            assert_eq!(parse_template(wrong), Err(error), "{wrong}");
        }
    }

    #[test]
    fn methods_are_exact() {
        assert_eq!(Methods::of("OPTIONS"), Methods::OPTIONS);
        for (method, is_safe) in [("GET", true), ("HEAD", true), ("OPTIONS", true), ("POST", false), ("DELETE", false)]
        {
            assert_eq!(Methods::of(method).is_safe(), is_safe, "{method}");
        }
        assert!(Methods::of("get").is_empty());
        assert!(Methods::of("TRACE").is_empty());
        assert!(Methods::of("GET").with(Methods::of("PUT")).intersects(Methods::of("PUT")));
        assert!(!Methods::of("GET").intersects(Methods::of("HEAD")));
        assert!(!Methods::of("GET").intersects(Methods::of("BREW")));
    }
}
