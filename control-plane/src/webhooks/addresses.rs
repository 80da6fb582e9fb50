//! Where webhooks may go: https, to an address that all the world can reach. Otherwise whoever registers one could have us
//! call what only we can reach (SSRF). Names are judged by the addresses that are then called, so a name that changes its
//! mind in between gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Longest address of a webhook.
const URL_CHARS_MAX: usize = 2_000;

/// Why an address is not called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum AddressError {
    #[error("expected an absolute https URL of at most {URL_CHARS_MAX} characters, without user and fragment")]
    Form,
    #[error("the address is not one that all the world can reach")]
    Private,
}

/// Reads the address of a webhook. `allow_private`: any address, and http too.
pub(super) fn parse(text: &str, allow_private: bool) -> Result<Url, AddressError> {
    let url = Url::parse(text).map_err(|_| AddressError::Form)?;
    let is_scheme = url.scheme() == "https" || (allow_private && url.scheme() == "http");
    let has_user = !url.username().is_empty() || url.password().is_some();
    if !is_scheme || has_user || url.fragment().is_some() || text.chars().count() > URL_CHARS_MAX {
        return Err(AddressError::Form);
    }
    let is_public = match url.host() {
        None => return Err(AddressError::Form),
        Some(Host::Ipv4(address)) => is_public(address.into()),
        Some(Host::Ipv6(address)) => is_public(address.into()),
        // Judged when it is resolved.
        Some(Host::Domain(_)) => true,
    };
    if is_public || allow_private { Ok(url) } else { Err(AddressError::Private) }
}

/// Gives a name's public addresses only.
#[derive(Debug)]
pub(super) struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(Box::from(AddressError::Private));
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is of the public internet.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let is_special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || matches!(
            (first, second, third),
            (0 | 240..=255, _, _) | (100, 64..=127, _) | (192, 0, 0) | (198, 18..=19, _)
        );
    !is_special
}

/// Global unicast is 2000::/3. Of it, what stands for something else (Teredo, 6to4, documentation) is left out, and so is
/// what NAT64 makes of an IPv4 address.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let is_global = first & 0xe000 == 0x2000;
    let is_special = first == 0x2002 || (first == 0x2001 && second < 0x0200) || (first == 0x2001 && second == 0x0db8);
    is_global && !is_special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_called() {
        for public in ["1.1.1.1", "193.214.1.1", "100.63.0.1", "2a02:20c8::1", "2606:4700::1111", "::ffff:1.1.1.1"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "192.0.0.8",
            "198.18.0.1",
            "203.0.113.7",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fc00::1",
            "fe80::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2002:7f00:1::1",
            "64:ff9b::7f00:1",
            "::ffff:127.0.0.1",
            "::7f00:1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
    }

    #[test]
    fn addresses_of_webhooks_have_one_form() {
        assert!(parse("https://vendor.no/hooks?a=1", false).is_ok());
        assert!(parse("http://127.0.0.1:1/", true).is_ok());
        for (wrong, error) in [
            ("http://vendor.no/", AddressError::Form),
            ("https://user@vendor.no/", AddressError::Form),
            ("https://vendor.no/#x", AddressError::Form),
            ("vendor.no", AddressError::Form),
            ("file:///etc/passwd", AddressError::Form),
            ("https://127.0.0.1/", AddressError::Private),
            ("https://2130706433/", AddressError::Private),
            ("https://0x7f.1/", AddressError::Private),
            ("https://[::1]/", AddressError::Private),
            ("https://[::ffff:10.0.0.1]/", AddressError::Private),
        ] {
            assert_eq!(parse(wrong, false), Err(error), "{wrong}");
        }
        assert_eq!(parse(&format!("https://vendor.no/{}", "x".repeat(2000)), false), Err(AddressError::Form));
    }

    #[tokio::test]
    async fn a_name_of_a_private_address_is_not_resolved() {
        let Err(refused) = PublicOnly.resolve("localhost".parse().unwrap()).await else {
            panic!("localhost is public")
        };
        assert_eq!(refused.to_string(), AddressError::Private.to_string());
    }
}
