//! Issuers with their keys, and routes: the small tables that a base has and a delta may replace whole.

use std::ops::Range;

use zerocopy::little_endian::U32;

use super::check::{ISSUERS_MAX, KEYS_MAX, ROUTES_MAX};
use super::{ImageError, RightIndex};
use crate::route::{ApiRoute, Callers, Methods, Mode, PartySource, PlatformToken, Segment};
use crate::snapshot::layout::{
    ISSUER_ALGORITHMS, ISSUER_AUDIENCE_REQUIRED, ISSUER_KEY_ID_OPTIONAL, IssuerRecord, KeyRecord, ROUTE_PLATFORM_TOKEN,
    ROUTE_PLATFORM_TOKEN_REQUIRED, ROUTE_PREFLIGHT, ROUTE_SESSION_COOKIE, RouteRecord, Run, Section, SegmentRecord,
};
use crate::snapshot::sections::Sections;
use crate::token::{Algorithms, CLOCK_SKEW_SECONDS_MAX, IssuerKind, IssuerRules, TrustedIssuer, VerificationKey};

/// All issuers at once; `None` where the sections have no word on them.
pub(crate) fn all_issuers(sections: &Sections) -> Result<Option<Vec<TrustedIssuer>>, ImageError> {
    if !sections.has(Section::Issuers) {
        return Ok(None);
    }
    let (issuers, keys) = (sections.count(Section::Issuers), sections.count(Section::Keys));
    if issuers > ISSUERS_MAX || keys > KEYS_MAX {
        return Err(ImageError::new("issuers", "too many"));
    }
    let mut read = Vec::new();
    read_issuers(sections, 0..issuers, &read_keys(sections, 0..keys)?, &mut read)?;
    Ok(Some(read))
}

/// All routes at once; `None` where the sections have no word on them.
pub(crate) fn all_routes(sections: &Sections, rights: usize) -> Result<Option<Vec<ApiRoute>>, ImageError> {
    if !sections.has(Section::Routes) {
        return Ok(None);
    }
    let routes = sections.count(Section::Routes);
    if routes > ROUTES_MAX {
        return Err(ImageError::new("routes", "too many"));
    }
    read_routes(sections, 0..routes, rights).map(Some)
}

/// These keys, in order.
pub(super) fn read_keys(sections: &Sections, range: Range<usize>) -> Result<Vec<VerificationKey>, ImageError> {
    let wrong = |problem| ImageError::new("keys", problem);
    let records: &[KeyRecord] = sections.elements(Section::Keys);
    let records = records.get(range).ok_or(wrong("cut short"))?;
    records
        .iter()
        .map(|record| {
            let der: &[u8] = sections.run(Section::KeyBytes, record.spki).ok_or(wrong("one outside its section"))?;
            let key = VerificationKey::from_spki_der(sections.text(record.kid)?, der);
            key.map_err(|_| wrong("one that may not verify"))
        })
        .collect()
}

/// Adds these issuers; `keys` are all keys of the sections.
pub(super) fn read_issuers(
    sections: &Sections,
    range: Range<usize>,
    keys: &[VerificationKey],
    issuers: &mut Vec<TrustedIssuer>,
) -> Result<(), ImageError> {
    let wrong = |problem| ImageError::new("issuers", problem);
    let records: &[IssuerRecord] = sections.elements(Section::Issuers);
    for record in records.get(range).ok_or(wrong("cut short"))? {
        let kind = match record.kind {
            1 => IssuerKind::Maskinporten,
            2 => IssuerKind::Altinn,
            3 => IssuerKind::Platform,
            _ => return Err(wrong("a kind that this reader does not know")),
        };
        let issuer = sections.text(record.issuer)?.to_owned();
        if issuer.is_empty() || record.authentication_level > 4 || issuers.iter().any(|known| known.issuer == issuer) {
            return Err(wrong("one without a name, twice, or with a level above 4"));
        }
        let rules = record.rules;
        let algorithms = Algorithms::from_bits(rules >> ISSUER_ALGORITHMS ^ Algorithms::USUAL.bits());
        let algorithms = algorithms.ok_or(wrong("rules that this reader does not know"))?;
        if record.clock_skew_seconds > CLOCK_SKEW_SECONDS_MAX {
            return Err(wrong("rules that this reader does not know"));
        }
        let start = record.keys.start.get() as usize;
        let end = start.checked_add(record.keys.count.get() as usize);
        let own = end.and_then(|end| keys.get(start..end)).ok_or(wrong("keys outside their section"))?;
        let twice = own.iter().enumerate().any(|(at, key)| own.iter().skip(at + 1).any(|two| two.kid() == key.kid()));
        if twice || own.iter().any(|key| key.kid().is_empty()) {
            return Err(wrong("a key without an id, or an id twice"));
        }
        if !own.iter().all(|key| algorithms.contains(key.algorithm())) {
            return Err(wrong("a key for an algorithm that is not the issuer's"));
        }
        issuers.push(TrustedIssuer {
            issuer,
            kind,
            keys: own.to_vec(),
            authentication_level: record.authentication_level,
            rules: IssuerRules {
                clock_skew_seconds: record.clock_skew_seconds,
                lifetime_seconds_max: record.lifetime_seconds_max.get(),
                is_key_id_required: rules & ISSUER_KEY_ID_OPTIONAL == 0,
                is_audience_required: rules & ISSUER_AUDIENCE_REQUIRED != 0,
                algorithms,
            },
        });
    }
    Ok(())
}

/// These routes, in the order in which they match.
pub(super) fn read_routes(
    sections: &Sections,
    range: Range<usize>,
    rights: usize,
) -> Result<Vec<ApiRoute>, ImageError> {
    let wrong = |problem| ImageError::new("routes", problem);
    let records: &[RouteRecord] = sections.elements(Section::Routes);
    let records = records.get(range).ok_or(wrong("cut short"))?;
    records
        .iter()
        .map(|record| {
            let segments: &[SegmentRecord] =
                sections.run(Section::RouteSegments, record.segments).ok_or(wrong("segments outside their section"))?;
            let segments =
                segments.iter().map(|segment| read_segment(sections, segment)).collect::<Result<Vec<_>, _>>()?;
            if record.right.get() as usize >= rights {
                return Err(wrong("a right that is not there"));
            }
            let host = sections.text(record.host)?;
            let options = record.options.get();
            let has = |option: u32| options & option != 0;
            if options >= ROUTE_PLATFORM_TOKEN_REQUIRED << 1 {
                return Err(wrong("options that are not known"));
            }
            let origins = texts(sections, record.origins)?;
            let name = sections.text(record.name)?;
            if name.is_empty() {
                return Err(wrong("one without a name"));
            }
            Ok(ApiRoute {
                name: name.into(),
                host: (!host.is_empty()).then(|| host.to_owned()),
                methods: Methods::from_bits(record.methods.get()).ok_or(wrong("methods that are not known"))?,
                party: read_party(sections, record, &segments)?,
                segments,
                right: RightIndex(record.right.get()),
                callers: Callers::from_bits(record.callers.get()).ok_or(wrong("callers that are not known"))?,
                scopes: texts(sections, record.scopes)?,
                audiences: texts(sections, record.audiences)?,
                mode: match record.mode.get() {
                    0 => Mode::Enforce,
                    1 => Mode::Shadow,
                    2 => Mode::Off,
                    _ => return Err(wrong("a mode that this reader does not know")),
                },
                takes_preflight: has(ROUTE_PREFLIGHT),
                session_cookie: has(ROUTE_SESSION_COOKIE).then_some(origins),
                platform_token: match (has(ROUTE_PLATFORM_TOKEN), has(ROUTE_PLATFORM_TOKEN_REQUIRED)) {
                    (false, false) => PlatformToken::Ignored,
                    (true, false) => PlatformToken::Optional,
                    (_, true) => PlatformToken::Required,
                },
            })
        })
        .collect()
}

fn read_segment(sections: &Sections, record: &SegmentRecord) -> Result<Segment, ImageError> {
    match record.kind.get() {
        1 => Ok(Segment::Literal(sections.text(record.text)?.to_owned())),
        2 => Ok(Segment::Parameter(sections.text(record.text)?.to_owned())),
        3 => Ok(Segment::Rest),
        _ => Err(ImageError::new("routes", "a kind of segment that this reader does not know")),
    }
}

fn read_party(sections: &Sections, record: &RouteRecord, segments: &[Segment]) -> Result<PartySource, ImageError> {
    let wrong = |problem| ImageError::new("routes", problem);
    match record.party_kind.get() {
        1 => {
            let position = record.party.get() as usize;
            let is_parameter = matches!(segments.get(position), Some(Segment::Parameter(_)));
            // A rest before it would move it; the rest is always last.
            if is_parameter { Ok(PartySource::Path(position)) } else { Err(wrong("a party that is not in the path")) }
        }
        2 => Ok(PartySource::Header(sections.text(record.party)?.to_owned())),
        3 => Ok(PartySource::Query(sections.text(record.party)?.to_owned())),
        4 => Ok(PartySource::Owner),
        _ => Err(wrong("a source of the party that this reader does not know")),
    }
}

fn texts(sections: &Sections, run: Run) -> Result<Vec<String>, ImageError> {
    let indexes: &[U32] =
        sections.run(Section::RouteTexts, run).ok_or(ImageError::new("routes", "texts outside their section"))?;
    indexes.iter().map(|index| sections.text(*index).map(str::to_owned)).collect()
}
