//! Who is who in the story. The organisation numbers are invented, and valid.

/// An organisation in the register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Organization {
    pub name: &'static str,
    pub number: &'static str,
    pub party_id: u32,
    pub party_uuid: &'static str,
    /// The person who may approve for it.
    pub manager: Person,
}

/// Somebody who logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Person {
    pub name: &'static str,
    pub user_id: u32,
    pub party_id: u32,
    pub party_uuid: &'static str,
}

/// Runs the control plane.
pub const OPERATOR: &str = "310247006";
/// The stand-in Maskinporten's own organisation, which may ask the look-up.
pub const MASKINPORTEN: &str = "310247014";
/// Protects its API with the filter.
pub const API_PROVIDER: &str = "310247022";
/// SmartCloud AS: makes the system.
pub const VENDOR: &str = "310247030";

/// The API provider's id in the control plane.
pub const PROVIDER_ID: &str = "regnskapsregisteret";
/// SmartCloud AS's system.
pub const SYSTEM_ID: &str = "310247030_smartcloud";
/// What SmartCloud AS's system is called in Maskinporten.
pub const VENDOR_CLIENT_ID: &str = "a2ed712d-4144-4471-839f-80ae4a68146b";

/// Needs VAT and Annual Accounts, and approves both.
pub const ROERLEGGER: Organization = Organization {
    name: "Rørlegger Hansen & Sønner AS",
    number: "310247049",
    party_id: 50_000_001,
    party_uuid: "0b1f3a52-6f0e-4d7c-9a51-3f1c6a3c0001",
    manager: Person {
        name: "Kari Hansen",
        user_id: 20_000_001,
        party_id: 51_000_001,
        party_uuid: "4c8e2f10-97a3-4b0d-8b5e-2d9a7e1f0001",
    },
};

/// Approves VAT alone.
pub const FJORDBAKERIET: Organization = Organization {
    name: "Fjordbakeriet AS",
    number: "310247057",
    party_id: 50_000_002,
    party_uuid: "0b1f3a52-6f0e-4d7c-9a51-3f1c6a3c0002",
    manager: Person {
        name: "Ola Fjord",
        user_id: 20_000_002,
        party_id: 51_000_002,
        party_uuid: "4c8e2f10-97a3-4b0d-8b5e-2d9a7e1f0002",
    },
};

/// The scope that tokens for the API must have.
pub const API_SCOPE: &str = "regnskapsregisteret:api";

/// A call about the VAT of an organisation.
pub fn vat_path(of: Organization) -> String {
    format!("/vat/{}/returns", of.number)
}

/// A call about the annual accounts of an organisation.
pub fn annual_accounts_path(of: Organization) -> String {
    format!("/annual-accounts/{}", of.number)
}
