//! What the place where a machine runs says of it: name, keys, addresses.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::Context;
use serde::Deserialize;

/// Addresses of a machine, as far as they are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses {
    /// `$public_ipv4`.
    pub public_ipv4: Option<Ipv4Addr>,
    /// `$private_ipv4`.
    pub private_ipv4: Option<Ipv4Addr>,
    /// `$public_ipv6`.
    pub public_ipv6: Option<Ipv6Addr>,
    /// `$private_ipv6`.
    pub private_ipv6: Option<Ipv6Addr>,
}

impl Addresses {
    /// Addresses that stand for any, to check a file without a machine (RFC 5737 and 3849).
    pub fn examples() -> Self {
        Self {
            public_ipv4: Some(Ipv4Addr::new(203, 0, 113, 1)),
            private_ipv4: Some(Ipv4Addr::new(192, 0, 2, 1)),
            public_ipv6: Some(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
            private_ipv6: Some(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 1)),
        }
    }

    /// Returns the name of each variable, without its dollar, and its value.
    pub fn by_variable(&self) -> [(&'static str, Option<IpAddr>); 4] {
        [
            ("public_ipv4", self.public_ipv4.map(IpAddr::V4)),
            ("private_ipv4", self.private_ipv4.map(IpAddr::V4)),
            ("public_ipv6", self.public_ipv6.map(IpAddr::V6)),
            ("private_ipv6", self.private_ipv6.map(IpAddr::V6)),
        ]
    }

    /// Fills what is not known from variables of an environment: `COREOS_PUBLIC_IPV4` and its kin.
    /// What is no address there says nothing.
    #[must_use]
    pub fn or_environment(self, value: impl Fn(&str) -> Option<String>) -> Self {
        fn parsed<T: std::str::FromStr>(text: Option<String>) -> Option<T> {
            text.and_then(|text| text.trim().parse().ok())
        }
        Self {
            public_ipv4: self.public_ipv4.or_else(|| parsed(value("COREOS_PUBLIC_IPV4"))),
            private_ipv4: self.private_ipv4.or_else(|| parsed(value("COREOS_PRIVATE_IPV4"))),
            public_ipv6: self.public_ipv6.or_else(|| parsed(value("COREOS_PUBLIC_IPV6"))),
            private_ipv6: self.private_ipv6.or_else(|| parsed(value("COREOS_PRIVATE_IPV6"))),
        }
    }
}

/// What is known of a machine from outside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Its name.
    pub hostname: Option<String>,
    /// Keys of user `core`, by name.
    pub public_keys: BTreeMap<String, String>,
    /// Its addresses.
    pub addresses: Addresses,
}

/// The file of `--metadata`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Wire {
    hostname: Option<String>,
    public_keys: BTreeMap<String, String>,
    public_ipv4: Option<Ipv4Addr>,
    private_ipv4: Option<Ipv4Addr>,
    public_ipv6: Option<Ipv6Addr>,
    private_ipv6: Option<Ipv6Addr>,
}

impl Metadata {
    /// Parses a JSON document with the fields of this type and of [`Addresses`], all optional.
    pub fn parse(bytes: &[u8]) -> anyhow::Result<Self> {
        let wire: Wire = serde_json::from_slice(bytes).context("parsing the metadata")?;
        let Wire { hostname, public_keys, public_ipv4, private_ipv4, public_ipv6, private_ipv6 } = wire;
        let addresses = Addresses { public_ipv4, private_ipv4, public_ipv6, private_ipv6 };
        Ok(Self { hostname, public_keys, addresses })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_is_there_and_refuses_what_it_does_not_know() {
        let metadata = Metadata::parse(br#"{"hostname": "b", "private_ipv4": "10.0.0.5"}"#).unwrap();
        assert_eq!(metadata.hostname.as_deref(), Some("b"));
        assert_eq!(metadata.addresses.private_ipv4, Some(Ipv4Addr::new(10, 0, 0, 5)));
        assert!(Metadata::parse(br#"{"private_ipv4": "10.0.0"}"#).is_err());
        assert!(Metadata::parse(br#"{"privat_ipv4": "10.0.0.1"}"#).is_err());
    }

    #[test]
    fn the_environment_fills_what_metadata_does_not_say() {
        let environment = |name: &str| match name {
            "COREOS_PRIVATE_IPV4" => Some("10.0.0.9".to_owned()),
            "COREOS_PUBLIC_IPV4" => Some("nonsense".to_owned()),
            _ => None,
        };
        let filled = Addresses::default().or_environment(environment);
        assert_eq!(filled.private_ipv4, Some(Ipv4Addr::new(10, 0, 0, 9)));
        assert_eq!(filled.public_ipv4, None);
        let known = Addresses { private_ipv4: Some(Ipv4Addr::LOCALHOST), ..Addresses::default() };
        assert_eq!(known.clone().or_environment(environment).private_ipv4, known.private_ipv4);
    }
}
