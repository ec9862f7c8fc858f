//! Which addresses of others may be dialled.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether a stranger's address may be dialled. Anybody can write any address into a record: on a public network a private
/// one would make us knock at our own neighbours' doors.
pub fn is_dialable(ip: IpAddr, private_addresses: bool) -> bool {
    match scope(ip) {
        Scope::Public => true,
        Scope::Private => private_addresses,
        Scope::Unusable => false,
    }
}

/// Whether it is an address of this machine or of a local network.
pub fn is_private(ip: IpAddr) -> bool {
    scope(ip) == Scope::Private
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Public,
    /// Of this machine, or of a local network.
    Private,
    /// Nobody's.
    Unusable,
}

fn scope(ip: IpAddr) -> Scope {
    match ip {
        IpAddr::V4(ip) => scope4(ip),
        IpAddr::V6(ip) => ip.to_ipv4_mapped().map_or_else(|| scope6(ip), scope4),
    }
}

fn scope4(ip: Ipv4Addr) -> Scope {
    let [a, b, c, _] = ip.octets();
    let is_shared = a == 100 && b & 0xc0 == 64;
    if ip.is_loopback() || ip.is_private() || ip.is_link_local() || is_shared {
        Scope::Private
    } else if a == 0 || a >= 224 || ip.is_documentation() || (a, b & 0xfe) == (198, 18) || (a, b, c) == (192, 0, 0) {
        Scope::Unusable
    } else {
        Scope::Public
    }
}

fn scope6(ip: Ipv6Addr) -> Scope {
    let first = ip.segments()[0];
    if ip.is_loopback() || first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80 {
        Scope::Private
    } else if first & 0xe000 != 0x2000 || (first, ip.segments()[1]) == (0x2001, 0x0db8) {
        Scope::Unusable
    } else {
        Scope::Public
    }
}

/// Addresses that belong together: who has one of them easily has them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// The first 24 bits.
    V4([u8; 3]),
    /// The first 48 bits.
    V6([u16; 3]),
}

impl Network {
    /// The network of an address; none for private ones, of which a network in a laboratory has only few.
    pub fn of(ip: IpAddr) -> Option<Network> {
        if is_private(ip) {
            return None;
        }
        Some(match ip.to_canonical() {
            IpAddr::V4(ip) => Network::V4([ip.octets()[0], ip.octets()[1], ip.octets()[2]]),
            IpAddr::V6(ip) => Network::V6([ip.segments()[0], ip.segments()[1], ip.segments()[2]]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialable(ip: &str, private_addresses: bool) -> bool {
        is_dialable(ip.parse().unwrap(), private_addresses)
    }

    #[test]
    fn private_addresses_only_where_allowed() {
        for ip in ["127.0.0.1", "10.1.2.3", "192.168.0.7", "100.64.0.1", "169.254.1.1", "::1", "fd00::1", "fe80::1"] {
            assert!(dialable(ip, true) && !dialable(ip, false), "{ip}");
        }
        assert!(!dialable("::ffff:192.168.0.7", false), "hidden in the other family");
    }

    #[test]
    fn public_ones_always_and_nobodys_never() {
        for ip in ["3.17.30.69", "139.162.196.49", "2a01:7e00::1"] {
            assert!(dialable(ip, false), "{ip}");
        }
        for ip in ["0.0.0.0", "255.255.255.255", "224.0.0.1", "198.18.0.1", "::", "ff02::1", "2001:db8::1"] {
            assert!(!dialable(ip, true), "{ip}");
        }
    }

    #[test]
    fn neighbours_are_of_one_network() {
        let network = |ip: &str| Network::of(ip.parse().unwrap());
        assert_eq!(network("3.17.30.69"), network("3.17.30.1"));
        assert_ne!(network("3.17.30.69"), network("3.17.31.69"));
        assert_eq!(network("2a01:7e00:1:2::3"), network("2a01:7e00:1:ffff::"));
        assert_eq!(network("127.0.0.1"), None);
    }
}
