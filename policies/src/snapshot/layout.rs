//! The image's layout: a header, a table of sections, and fixed-width records, all little-endian and unaligned.
//!
//! Everything is found by offset and read in place, so that ten million rows cost no parsing. Per system user an image
//! holds 16 bytes of uuid, 2 of offset and 2 of system; per (system user, party) row 4 of organisation number and 2 of
//! right set (4 where 2 cannot hold the numbers). A reader checks all bounds once, in [`super::image`].
//!
//! A *base* has every section that is not optional and not a change; a *delta* has any of the others, and those of
//! changes. Sections this reader does not know refuse the image, unless the writer marked them optional
//! ([`SECTION_OPTIONAL`]): what may be left out must say so itself.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::revocations::RevocationRecord;

/// First bytes of an image.
pub(crate) const IMAGE_MAGIC: [u8; 8] = *b"PVIMAGE\0";
/// The format that is written, and the newest that is read.
pub(crate) const IMAGE_FORMAT: u16 = 3;
/// Set in the kind of a section that a reader may ignore.
pub(crate) const SECTION_OPTIONAL: u32 = 0x8000_0000;
/// Most sections in an image.
pub(crate) const SECTIONS_MAX: usize = 64;
/// Sections begin at multiples of this.
pub(crate) const SECTION_ALIGNMENT: usize = 8;

/// Start of the image.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Header {
    pub(crate) magic: [u8; 8],
    pub(crate) format: U16,
    /// The oldest reader that reads it right.
    pub(crate) reader_format_min: U16,
    pub(crate) section_count: U32,
    /// Length of the whole image in bytes.
    pub(crate) image_bytes: U64,
    pub(crate) reserved: U64,
}

/// Where a section is.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct SectionEntry {
    pub(crate) kind: U32,
    /// Width of one element in bytes.
    pub(crate) element_bytes: U32,
    pub(crate) offset: U64,
    pub(crate) length_bytes: U64,
    pub(crate) reserved: U64,
}

/// The sections, by the number that the table carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub(crate) enum Section {
    StringBytes = 1,
    /// `n + 1` offsets into the string bytes.
    StringOffsets = 2,
    Issuers = 3,
    Keys = 4,
    KeyBytes = 5,
    Rights = 6,
    Obligations = 7,
    Routes = 8,
    RouteSegments = 9,
    /// String indexes: scopes, audiences and origins of routes.
    RouteTexts = 10,
    Systems = 11,
    /// String indexes: client ids of systems, in lower case.
    SystemClients = 12,
    /// Uuids, ascending.
    SystemUserIds = 13,
    /// Positions in the ids by their leading bits, a power of two and one more.
    SystemUserDirectory = 14,
    /// Index of each system user's system, 2 or 4 bytes wide.
    SystemUserSystems = 15,
    /// For every [`ROW_BLOCK`] offsets, what is added to them.
    RowOffsetBases = 16,
    /// `n + 1` offsets into the rows less their block's base, 2 or 4 bytes wide.
    RowOffsets = 17,
    /// Organisation numbers: of each system user first its owner, then the other parties ascending.
    RowParties = 18,
    /// Index of each row's right set, 2 or 4 bytes wide.
    RowRightSets = 19,
    /// One bit per right and then one per asked package, as many 64-bit words per set as these need. Set 0 is empty.
    RightSetBits = 20,
    /// `n + 1` offsets into the reasons.
    RightSetReasonOffsets = 21,
    /// For every bit of every set, in order: the string index of the access package, or [`REASON_DIRECT`].
    RightSetReasons = 22,
    /// Uuids, ascending.
    WithdrawnIds = 23,
    /// Runs of access list parties.
    AccessLists = 24,
    /// Organisation numbers, ascending in each list.
    AccessListParties = 25,
    /// Runs of program bytes.
    Programs = 26,
    ProgramBytes = 27,
    /// String indexes: the access packages that programs ask for.
    AskedPackages = 28,
    /// SHA-256 over everything that right sets depend on; a delta is for one digest only.
    RightsDigest = 29,
    /// Of a delta: what became of system users, by uuid, ascending.
    ChangedUsers = 30,
    /// Of a delta: what became of their rows.
    ChangedRows = 31,
    /// What is revoked, ascending; a base without revocations is without it.
    Revocations = 32,
    /// For people: where each right in a policy comes from.
    ExplainRules = SECTION_OPTIONAL | 1,
    /// For people: which version of which policy each resource has.
    ExplainPolicies = SECTION_OPTIONAL | 2,
}

impl Section {
    pub(crate) const ALL: [Self; 34] = [
        Self::StringBytes,
        Self::StringOffsets,
        Self::Issuers,
        Self::Keys,
        Self::KeyBytes,
        Self::Rights,
        Self::Obligations,
        Self::Routes,
        Self::RouteSegments,
        Self::RouteTexts,
        Self::Systems,
        Self::SystemClients,
        Self::SystemUserIds,
        Self::SystemUserDirectory,
        Self::SystemUserSystems,
        Self::RowOffsetBases,
        Self::RowOffsets,
        Self::RowParties,
        Self::RowRightSets,
        Self::RightSetBits,
        Self::RightSetReasonOffsets,
        Self::RightSetReasons,
        Self::WithdrawnIds,
        Self::AccessLists,
        Self::AccessListParties,
        Self::Programs,
        Self::ProgramBytes,
        Self::AskedPackages,
        Self::RightsDigest,
        Self::ChangedUsers,
        Self::ChangedRows,
        Self::Revocations,
        Self::ExplainRules,
        Self::ExplainPolicies,
    ];

    /// Position in [`Self::ALL`].
    pub(crate) const fn position(self) -> usize {
        let number = self as u32;
        if number & SECTION_OPTIONAL == 0 { number as usize - 1 } else { (number & !SECTION_OPTIONAL) as usize + 31 }
    }

    /// A base without it is not whole.
    pub(crate) fn is_of_every_base(self) -> bool {
        !self.is_of_deltas_only() && self != Self::Revocations && self as u32 & SECTION_OPTIONAL == 0
    }

    /// It says what changed.
    pub(crate) fn is_of_deltas_only(self) -> bool {
        matches!(self, Self::ChangedUsers | Self::ChangedRows)
    }

    /// Widths that an element of the section may have, in bytes.
    pub(crate) fn element_bytes(self) -> &'static [usize] {
        match self {
            Self::StringBytes | Self::KeyBytes | Self::ProgramBytes => &[1],
            Self::Issuers => &[size_of::<IssuerRecord>()],
            Self::Keys => &[size_of::<KeyRecord>()],
            Self::Rights => &[size_of::<RightRecord>()],
            Self::Obligations => &[size_of::<ObligationRecord>()],
            Self::Routes => &[size_of::<RouteRecord>()],
            Self::RouteSegments => &[size_of::<SegmentRecord>()],
            Self::Systems => &[size_of::<SystemRecord>()],
            Self::SystemUserIds | Self::WithdrawnIds => &[16],
            Self::SystemUserSystems | Self::RowOffsets | Self::RowRightSets => &[2, 4],
            Self::RightSetBits => &[8],
            Self::AccessLists | Self::Programs => &[size_of::<Run>()],
            Self::RightsDigest => &[32],
            Self::ChangedUsers => &[size_of::<ChangedUserRecord>()],
            Self::ChangedRows => &[size_of::<ChangedRowRecord>()],
            Self::Revocations => &[size_of::<RevocationRecord>()],
            Self::ExplainRules => &[size_of::<ExplainRuleRecord>()],
            Self::ExplainPolicies => &[size_of::<ExplainPolicyRecord>()],
            Self::StringOffsets
            | Self::RouteTexts
            | Self::SystemClients
            | Self::SystemUserDirectory
            | Self::RowOffsetBases
            | Self::RowParties
            | Self::RightSetReasonOffsets
            | Self::RightSetReasons
            | Self::AccessListParties
            | Self::AskedPackages => &[4],
        }
    }
}

/// Row offsets that share a base.
pub(crate) const ROW_BLOCK: usize = 64;

/// A reason: the right was delegated directly, not through a package.
pub(crate) const REASON_DIRECT: u32 = u32::MAX;

/// A run of elements in another section.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Run {
    pub(crate) start: U32,
    pub(crate) count: U32,
}

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct IssuerRecord {
    pub(crate) issuer: U32,
    /// 1 Maskinporten, 2 Altinn, 3 platform.
    pub(crate) kind: u8,
    pub(crate) authentication_level: u8,
    pub(crate) clock_skew_seconds: u8,
    /// [`ISSUER_KEY_ID_OPTIONAL`], [`ISSUER_AUDIENCE_REQUIRED`], and from [`ISSUER_ALGORITHMS`] on what is other about the
    /// algorithms than usual: RS256 and ES256 not, PS256 and EdDSA in turn.
    pub(crate) rules: u8,
    pub(crate) lifetime_seconds_max: U32,
    pub(crate) keys: Run,
}

/// Tokens may go without `kid`.
pub(crate) const ISSUER_KEY_ID_OPTIONAL: u8 = 1;
/// Tokens must have an audience.
pub(crate) const ISSUER_AUDIENCE_REQUIRED: u8 = 2;
/// How many bits stand before those of the algorithms.
pub(crate) const ISSUER_ALGORITHMS: u32 = 2;

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct KeyRecord {
    pub(crate) kid: U32,
    /// SubjectPublicKeyInfo, DER, in the key bytes.
    pub(crate) spki: Run,
}

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RightRecord {
    pub(crate) resource: U32,
    pub(crate) action: U32,
    /// Obligations when an access package grants the right.
    pub(crate) package_obligations: Run,
    /// Obligations when the right was delegated directly.
    pub(crate) direct_obligations: Run,
    /// Position of the access list that the party must be on, and one more; 0 for none.
    pub(crate) access_list: U32,
    /// Position of the program that decides before delegations do, and one more; 0 for none.
    pub(crate) program: U32,
}

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct ObligationRecord {
    /// 1 minimum authentication level; anything else refuses.
    pub(crate) kind: U32,
    /// The level, or the string index of an unknown obligation's id.
    pub(crate) value: U32,
}

/// [`ObligationRecord::kind`] of a minimum authentication level.
pub(crate) const OBLIGATION_MINIMUM_AUTHENTICATION_LEVEL: u32 = 1;
/// [`ObligationRecord::kind`] of an obligation that gateways do not know.
pub(crate) const OBLIGATION_UNKNOWN: u32 = 2;

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RouteRecord {
    pub(crate) name: U32,
    /// Empty for any host.
    pub(crate) host: U32,
    /// Bits of [`crate::route::Methods`].
    pub(crate) methods: U32,
    pub(crate) segments: Run,
    pub(crate) right: U32,
    /// 1 path, 2 header, 3 query, 4 owner.
    pub(crate) party_kind: U32,
    /// Position of the parameter's segment, or string index of the header's or query parameter's name.
    pub(crate) party: U32,
    /// Bits of [`crate::route::Callers`].
    pub(crate) callers: U32,
    pub(crate) scopes: Run,
    pub(crate) audiences: Run,
    /// 0 enforce, 1 shadow, 2 off.
    pub(crate) mode: U32,
    /// [`ROUTE_PREFLIGHT`] and those after it.
    pub(crate) options: U32,
    /// Where the session cookie is taken: origins whose pages may make calls that change something.
    pub(crate) origins: Run,
}

/// CORS preflights pass.
pub(crate) const ROUTE_PREFLIGHT: u32 = 1;
/// The session cookie is taken.
pub(crate) const ROUTE_SESSION_COOKIE: u32 = 2;
/// A platform access token that comes must stand.
pub(crate) const ROUTE_PLATFORM_TOKEN: u32 = 4;
/// A platform access token must come.
pub(crate) const ROUTE_PLATFORM_TOKEN_REQUIRED: u32 = 8;

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct SegmentRecord {
    /// 1 literal, 2 parameter, 3 rest.
    pub(crate) kind: U32,
    /// String index: the literal, or the parameter's name.
    pub(crate) text: U32,
}

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct SystemRecord {
    pub(crate) id: U32,
    pub(crate) vendor: U32,
    pub(crate) clients: Run,
}

/// What a delta says of one system user.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct ChangedUserRecord {
    pub(crate) id: [u8; 16],
    /// [`USER_ROWS`], [`USER_WHOLE`], [`USER_WITHDRAWN`] or [`USER_FORGOTTEN`].
    pub(crate) change: U32,
    /// Of a whole one: the organisation that owns it.
    pub(crate) owner: U32,
    /// Of a whole one: position of its system in the base, or in the delta with [`SYSTEM_OF_DELTA`] set.
    pub(crate) system: U32,
    pub(crate) rows: Run,
}

/// Rows of an active system user are upserted or removed.
pub(crate) const USER_ROWS: u32 = 1;
/// The system user is new, or everything about it is replaced.
pub(crate) const USER_WHOLE: u32 = 2;
/// The system user was withdrawn.
pub(crate) const USER_WITHDRAWN: u32 = 3;
/// The system user is of no concern any more.
pub(crate) const USER_FORGOTTEN: u32 = 4;
/// Set in [`ChangedUserRecord::system`].
pub(crate) const SYSTEM_OF_DELTA: u32 = 0x8000_0000;

/// What a delta says of one row; ascending by party within a system user.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct ChangedRowRecord {
    pub(crate) party: U32,
    /// Position of a right set in the delta, or [`ROW_REMOVED`].
    pub(crate) right_set: U32,
}

/// The system user no longer acts for the party.
pub(crate) const ROW_REMOVED: u32 = u32::MAX;

/// The rule that gives a right to holders of a package.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct ExplainRuleRecord {
    pub(crate) right: U32,
    /// String index of the access package, or [`REASON_DIRECT`] for the rule that makes the right one to delegate.
    pub(crate) package: U32,
    /// String index of the `RuleId`.
    pub(crate) rule: U32,
    /// Line in the policy's XML, from 1; 0 where it is not known.
    pub(crate) line: U32,
}

/// The policy of a resource.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct ExplainPolicyRecord {
    /// String index of the resource's id.
    pub(crate) resource: U32,
    /// String index of the `PolicyId`.
    pub(crate) policy: U32,
    /// String index of its `Version`.
    pub(crate) version: U32,
}
