//! Addresses that belong together: one (`10.0.0.7`) or a network (`10.0.0.0/8`, `2001:db8::/32`).

use std::net::IpAddr;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

/// One address, or those that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct AddressRange {
    first: IpAddr,
    /// Leading bits that all have in common.
    bits: u32,
}

impl AddressRange {
    /// Whether the address is one of these; an IPv4 address that is written as IPv6 is the IPv4 address.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let (of_range, of_address) = (left_aligned(self.first), left_aligned(address.to_canonical()));
        let differing = (of_range ^ of_address).checked_shr(u128::BITS - self.bits).unwrap_or(0);
        self.first.is_ipv4() == address.to_canonical().is_ipv4() && differing == 0
    }
}

/// The address's bits, beginning at the left.
fn left_aligned(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl TryFrom<String> for AddressRange {
    type Error = anyhow::Error;

    fn try_from(text: String) -> Result<Self, anyhow::Error> {
        let (address, bits) =
            text.split_once('/').map_or((text.as_str(), None), |(address, bits)| (address, Some(bits)));
        let first: IpAddr = address.parse().with_context(|| format!("no address or network: `{text}`"))?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) => bits.parse().with_context(|| format!("no network: `{text}`"))?,
        };
        ensure!(bits <= most, "no network, it has at most {most} bits: `{text}`");
        Ok(Self { first, bits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> Result<AddressRange, anyhow::Error> {
        text.to_owned().try_into()
    }

    #[test]
    fn a_network_has_the_addresses_that_begin_like_it() {
        for (text, address, is_in) in [
            ("10.0.0.7", "10.0.0.7", true),
            ("10.0.0.7", "10.0.0.6", false),
            ("10.0.0.0/8", "10.255.1.2", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("0.0.0.0/0", "203.0.113.1", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "10.0.0.1", false),
            ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false),
        ] {
            assert_eq!(range(text).unwrap().contains(address.parse().unwrap()), is_in, "{text} {address}");
        }
        for wrong in ["", "x", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8/8"] {
            assert!(range(wrong).is_err(), "{wrong}");
        }
    }
}
