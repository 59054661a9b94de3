//! Addresses that no endpoint may have: those at which clouds hand out the machine's own credentials.
//!
//! Endpoints may well live on private addresses, next to the gateway. The check is made on the address that is
//! connected to, so that a name which resolves differently the second time gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Besides all of 169.254.0.0/16, where most clouds answer.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(192, 0, 0, 192),     // Oracle
    Ipv4Addr::new(100, 100, 100, 200), // Alibaba
    Ipv4Addr::new(168, 63, 129, 16),   // Azure's wire server
];
const METADATA_V6: [Ipv6Addr; 7] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23), // EKS pod identity
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), // EC2
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254), // Google
    Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe), // Oracle
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),  // Scaleway
    Ipv6Addr::new(0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 1), // Linode
    Ipv6Addr::new(0xfd00, 0x100, 0, 0, 0, 0, 0x100, 0x200), // Alibaba
];

/// Whether an address is a cloud's metadata service.
pub(super) fn is_metadata(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_link_local() || METADATA_V4.contains(&v4),
        IpAddr::V6(v6) => {
            METADATA_V6.contains(&v6)
                || v6.is_unicast_link_local()
                || within(v6).into_iter().flatten().any(|v4| is_metadata(v4.into()))
        }
    }
}

/// The IPv4 addresses that a gateway on the way could turn this into: NAT64 (also with a prefix of one's own, RFC 8215), SIIT,
/// 6to4, Teredo (its server, and its client turned over), and the long abandoned compatible form.
fn within(address: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    let v4 = |a, b, c, d| Some(Ipv4Addr::new(a, b, c, d));
    match address.octets() {
        // Of 48 bits, where the address stands in the middle (RFC 6052), or at the end.
        [0, 0x64, 0xff, 0x9b, 0, 1, a, b, _, c, d, _, e, f, g, h] => [v4(a, b, c, d), v4(e, f, g, h)],
        [0, 0x64, 0xff, 0x9b, .., a, b, c, d]
        | [0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, a, b, c, d]
        | [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d]
        | [0x20, 0x02, a, b, c, d, ..] => [v4(a, b, c, d), None],
        // ISATAP
        [_, _, _, _, _, _, _, _, 0 | 2, 0, 0x5e, 0xfe, a, b, c, d] => [v4(a, b, c, d), None],
        [0x20, 0x01, 0, 0, a, b, c, d, _, _, _, _, e, f, g, h] => [v4(a, b, c, d), v4(!e, !f, !g, !h)],
        _ => [None, None],
    }
}

/// Whether a URL's host is such an address, written out. Names are checked when they are resolved.
pub fn names_metadata(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(v4)) => is_metadata(v4.into()),
        Some(url::Host::Ipv6(v6)) => is_metadata(v6.into()),
        _ => false,
    }
}

/// The system's resolver, without the forbidden addresses.
pub(super) struct GuardedResolver;

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|address| !is_metadata(address.ip())).collect();
            if allowed.is_empty() {
                return Err("the name leads to no address that an endpoint may have".into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_known_in_every_spelling() {
        for spelled in [
            "http://169.254.169.254/",
            "http://[::ffff:169.254.169.254]/",
            "http://2852039166/",
            "http://0xa9.0xfe.0xa9.0xfe/",
            "http://169.254.170.23/",
            "http://[64:ff9b::a9fe:a9fe]/",
            "http://[fd00:ec2::254]/",
            "http://[::169.254.169.254]/",
            "http://[2002:a9fe:a9fe::1]/",
            "http://[64:ff9b:1::a9fe:a9fe]/",
            "http://[::ffff:0:169.254.169.254]/",
            "http://[2001:0:a9fe:a9fe::1]/",
            "http://[2001:0:1:1::5601:5601]/",
            "http://[fe80::a9fe:a9fe]/",
            "http://[fd00:c1::a9fe:a9fe]/",
            "http://[64:ff9b:1:a9fe:a9:fe00::]/",
            "http://[::5efe:a9fe:a9fe]/",
            "http://[2001:db8::200:5efe:169.254.169.254]/",
        ] {
            assert!(names_metadata(&spelled.parse().unwrap()), "{spelled}");
        }
        for allowed in ["http://127.0.0.1/", "http://10.0.0.1/", "http://[::1]/", "http://app.internal/"] {
            assert!(!names_metadata(&allowed.parse().unwrap()), "{allowed}");
        }
    }
}
