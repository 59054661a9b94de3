//! From where somebody calls: the connection's other end, or what a proxy that is trusted says of it.

use std::net::IpAddr;

use http::HeaderMap;
use http::request::Parts;
use ipnet::IpNet;

/// The connection's other end; put into each request by the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// The address that counts. `None`: the request came through no connection.
pub(crate) fn of(parts: &Parts, trusted: &[IpNet]) -> Option<IpAddr> {
    from(parts.extensions.get().copied(), &parts.headers, trusted)
}

/// The same of a request's pieces.
pub(crate) fn from(peer: Option<Peer>, headers: &HeaderMap, trusted: &[IpNet]) -> Option<IpAddr> {
    let peer = peer?.0.to_canonical();
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(&peer) {
        return Some(peer);
    }
    // From the last hop backwards: what stands before the first that is not trusted, anybody can have written.
    let hops = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let hops =
        hops.flat_map(|list| list.split(',')).map(|hop| hop.trim().parse::<IpAddr>()).collect::<Vec<_>>();
    let mut last = peer;
    for hop in hops.into_iter().rev() {
        let Ok(hop) = hop else { break };
        last = hop.to_canonical();
        if !is_trusted(&last) {
            break;
        }
    }
    Some(last)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(peer: &str, forwarded: &'static str) -> String {
        let peer = Some(Peer(peer.parse().unwrap()));
        let mut headers = HeaderMap::new();
        if !forwarded.is_empty() {
            headers.insert("x-forwarded-for", HeaderValue::from_static(forwarded));
        }
        let trusted = ["10.0.0.0/8".parse().unwrap(), "192.0.2.7/32".parse().unwrap()];
        from(peer, &headers, &trusted).unwrap().to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        assert_eq!(of("198.51.100.1", "203.0.113.9"), "198.51.100.1");
        assert_eq!(of("10.1.2.3", "203.0.113.9"), "203.0.113.9");
        assert_eq!(
            of("10.1.2.3", "1.1.1.1, 203.0.113.9, 192.0.2.7"),
            "203.0.113.9",
            "the first that is not trusted"
        );
        assert_eq!(of("10.1.2.3", "1.1.1.1, nonsense"), "10.1.2.3");
        assert_eq!(of("10.1.2.3", ""), "10.1.2.3");
        assert_eq!(of("::ffff:10.1.2.3", "203.0.113.9"), "203.0.113.9", "a v4 address in v6's clothes");
    }
}
