//! The address that others reach this machine at, where none is configured.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Addresses that are nobody's (RFC 5737, RFC 3849): the way to them is the default route.
const NOBODY: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];
/// The port named with them; nothing is sent to it.
const DISCARD: u16 = 9;

/// Returns the address that packets by the default route leave this machine with, IPv4 where there is one; `None`
/// without a default route.
///
/// The kernel is asked for the way, with a socket that is connected and never written to: it knows about sources that
/// routes prefer, and no table has to be read.
pub fn of_default_route() -> Option<IpAddr> {
    NOBODY.into_iter().find_map(source)
}

fn source(to: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = match to {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // Each of these fails on a machine without such a route, which is an answer too.
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    socket.connect(SocketAddr::new(to, DISCARD)).ok()?;
    let source = socket.local_addr().ok()?.ip();
    (!source.is_unspecified() && !source.is_loopback()).then_some(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_loopback_has_no_address_for_others() {
        assert_eq!(source(Ipv4Addr::LOCALHOST.into()), None);
    }

    #[test]
    fn an_address_of_the_default_route_is_one_of_this_machine() {
        // A machine without a route has none, which is right too.
        if let Some(address) = of_default_route() {
            UdpSocket::bind(SocketAddr::new(address, 0)).unwrap();
        }
    }
}
