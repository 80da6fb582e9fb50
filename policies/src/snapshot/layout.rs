//! The image's layout: a header, a table of sections, and fixed-width records, all little-endian and unaligned.
//!
//! Everything is found by offset and read in place, so that ten million rows cost no parsing. Per system user an image
//! holds 16 bytes of uuid, 4 of offset and 2 of system; per (system user, party) row 4 of organisation number and 2 of
//! right set (4 where there are more than 65,535). A reader checks all bounds once, in [`super::image`].
//!
//! Sections this reader does not know refuse the image, unless the writer marked them optional ([`SECTION_OPTIONAL`]):
//! what may be left out must say so itself.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// First bytes of an image.
pub(crate) const IMAGE_MAGIC: [u8; 8] = *b"PVIMAGE\0";
/// The format that is written, and the newest that is read.
pub(crate) const IMAGE_FORMAT: u16 = 1;
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
    /// String indexes: scopes and audiences of routes.
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
    /// `n + 1` offsets into the rows.
    RowOffsets = 16,
    /// Organisation numbers: of each system user first its owner, then the other parties ascending.
    RowParties = 17,
    /// Index of each row's right set, 2 or 4 bytes wide.
    RowRightSets = 18,
    /// One bit per right, as many 64-bit words per set as the rights need. Set 0 is empty.
    RightSetBits = 19,
    /// `n + 1` offsets into the reasons.
    RightSetReasonOffsets = 20,
    /// For every bit of every set, in order: the string index of the access package, or [`REASON_DIRECT`].
    RightSetReasons = 21,
    /// Uuids, ascending.
    WithdrawnIds = 22,
}

impl Section {
    pub(crate) const ALL: [Self; 22] = [
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
        Self::RowOffsets,
        Self::RowParties,
        Self::RowRightSets,
        Self::RightSetBits,
        Self::RightSetReasonOffsets,
        Self::RightSetReasons,
        Self::WithdrawnIds,
    ];

    /// Widths that an element of the section may have, in bytes.
    pub(crate) fn element_bytes(self) -> &'static [usize] {
        match self {
            Self::StringBytes | Self::KeyBytes => &[1],
            Self::Issuers => &[size_of::<IssuerRecord>()],
            Self::Keys => &[size_of::<KeyRecord>()],
            Self::Rights => &[size_of::<RightRecord>()],
            Self::Obligations => &[size_of::<ObligationRecord>()],
            Self::Routes => &[size_of::<RouteRecord>()],
            Self::RouteSegments => &[size_of::<SegmentRecord>()],
            Self::Systems => &[size_of::<SystemRecord>()],
            Self::SystemUserIds | Self::WithdrawnIds => &[16],
            Self::SystemUserSystems | Self::RowRightSets => &[2, 4],
            Self::RightSetBits => &[8],
            Self::StringOffsets
            | Self::RouteTexts
            | Self::SystemClients
            | Self::SystemUserDirectory
            | Self::RowOffsets
            | Self::RowParties
            | Self::RightSetReasonOffsets
            | Self::RightSetReasons => &[4],
        }
    }
}

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
    /// 1 Maskinporten, 2 Altinn.
    pub(crate) kind: u8,
    pub(crate) authentication_level: u8,
    pub(crate) reserved: U16,
    pub(crate) keys: Run,
}

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
}

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
