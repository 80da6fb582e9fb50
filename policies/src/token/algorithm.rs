//! Signature algorithms, and which of them an issuer may use.

/// Signature algorithms (RFC 7518 section 3.1, RFC 8037 section 3.1) that there are here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256; what Maskinporten and Altinn sign with.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// RSASSA-PSS with SHA-256, and a salt as long as the hash.
    Ps256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// Every one, in order.
    pub const ALL: [Self; 4] = [Self::Rs256, Self::Es256, Self::Ps256, Self::EdDsa];

    /// Reads the registered name, letter case included.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// The registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::Ps256 => "PS256",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// Algorithms that an issuer may use: RS256 and ES256, unless its rules say otherwise. Never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Algorithms(u8);

impl Algorithms {
    /// RS256 and ES256, which gateways verify natively.
    pub const USUAL: Self = Self(1 << Algorithm::Rs256 as u8 | 1 << Algorithm::Es256 as u8);

    /// These; `None` when there is none.
    pub fn of(algorithms: impl IntoIterator<Item = Algorithm>) -> Option<Self> {
        Self::from_bits(algorithms.into_iter().fold(0, |bits, algorithm| bits | 1 << algorithm as u8))
    }

    /// It is one of them.
    pub fn contains(self, algorithm: Algorithm) -> bool {
        self.0 >> algorithm as u8 & 1 == 1
    }

    /// In order.
    pub fn iter(self) -> impl Iterator<Item = Algorithm> {
        Algorithm::ALL.into_iter().filter(move |algorithm| self.contains(*algorithm))
    }

    pub(crate) fn bits(self) -> u8 {
        self.0
    }

    pub(crate) fn from_bits(bits: u8) -> Option<Self> {
        (bits != 0 && bits < 1 << Algorithm::ALL.len()).then_some(Self(bits))
    }
}

impl Default for Algorithms {
    fn default() -> Self {
        Self::USUAL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_exact() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::parse(algorithm.name()), Some(algorithm));
        }
        for other in ["", "rs256", "none", "HS256", "RS384", "PS384", "ES384", "EDDSA", "Ed25519"] {
            assert_eq!(Algorithm::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_set_is_what_was_listed() {
        assert!(Algorithms::default().iter().eq([Algorithm::Rs256, Algorithm::Es256]));
        assert!(Algorithms::of([Algorithm::EdDsa]).unwrap().iter().eq([Algorithm::EdDsa]));
        assert_eq!(Algorithms::of([]), None);
        assert_eq!((Algorithms::from_bits(0), Algorithms::from_bits(16)), (None, None));
    }
}
