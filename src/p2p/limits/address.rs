//! What counts as one address, and which ones stand for many.

use std::{
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

use libp2p::{Multiaddr, multiaddr::Protocol};

/// Addresses of the home network and of this machine: behind one there may be a router, containers, or a test's whole network.
const LOCAL: [(IpAddr, u8); 8] = [
    (IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 0)), 8),
    (IpAddr::V4(std::net::Ipv4Addr::new(172, 16, 0, 0)), 12),
    (IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 0, 0)), 16),
    (IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 0)), 8),
    (IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 0, 0)), 16),
    (IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
    (IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7),
    (IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10),
];

/// One address to which limits apply: of IPv6 the /56, which a home gets as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address(IpAddr);

impl Address {
    /// Of the other end of a connection.
    pub fn of(addr: &Multiaddr) -> Option<Address> {
        match ip_of(addr)? {
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.segments();
                Some(Address(IpAddr::from([a, b, c, d & 0xff00, 0, 0, 0, 0])))
            }
            ip => Some(Address(ip)),
        }
    }
}

fn ip_of(addr: &Multiaddr) -> Option<IpAddr> {
    addr.iter().find_map(|part| match part {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.into()),
        _ => None,
    })
}

/// Addresses that may have any number of connections and are never banned, for each stands for many: those of the home
/// network and of this machine, if nothing else is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exempt(Vec<(IpAddr, u8)>);

impl Default for Exempt {
    fn default() -> Exempt {
        Exempt(LOCAL.into())
    }
}

impl Exempt {
    /// No address is.
    pub fn none() -> Exempt {
        Exempt(Vec::new())
    }

    /// Whether no limit applies to the other end of this connection.
    pub(in crate::p2p) fn contains(&self, addr: &Multiaddr) -> bool {
        ip_of(addr).is_some_and(|ip| self.0.iter().any(|(network, bits)| is_in(ip, *network, *bits)))
    }

    /// The address to which limits apply; none if it is exempt.
    pub(in crate::p2p) fn limited(&self, addr: &Multiaddr) -> Option<Address> {
        if self.contains(addr) { None } else { Address::of(addr) }
    }
}

fn is_in(ip: IpAddr, network: IpAddr, bits: u8) -> bool {
    match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            let differs = u32::from(ip) ^ u32::from(network);
            differs.checked_shr(32 - u32::from(bits)).unwrap_or(0) == 0
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => {
            let differs = u128::from(ip) ^ u128::from(network);
            differs.checked_shr(128 - u32::from(bits)).unwrap_or(0) == 0
        }
        _ => false,
    }
}

impl FromStr for Exempt {
    type Err = String;

    /// Networks separated by commas, such as `192.168.0.0/16,fd00::/8`, or `none`.
    fn from_str(text: &str) -> Result<Exempt, String> {
        if text.trim() == "none" {
            return Ok(Exempt::none());
        }
        text.split(',').map(|item| parse(item.trim())).collect::<Result<_, _>>().map(Exempt)
    }
}

fn parse(item: &str) -> Result<(IpAddr, u8), String> {
    let fail = || format!("`{item}` is not a network: write one as 192.168.0.0/16 or fd00::/8, or `none`");
    let (ip, bits) = item.split_once('/').ok_or_else(fail)?;
    let ip: IpAddr = ip.parse().map_err(|_| fail())?;
    let bits: u8 = bits.parse().map_err(|_| fail())?;
    let most = if ip.is_ipv4() { 32 } else { 128 };
    if bits <= most { Ok((ip, bits)) } else { Err(fail()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_home_is_one_address() {
        let same = |a: &str, b: &str| Address::of(&addr(a)) == Address::of(&addr(b));
        assert!(same("/ip6/2001:db8:1:2ff::1/tcp/1", "/ip6/2001:db8:1:200:5::9/udp/2/quic-v1"));
        assert!(!same("/ip6/2001:db8:1:2ff::1/tcp/1", "/ip6/2001:db8:1:3ff::1/tcp/1"));
        assert!(same("/ip4/8.8.8.8/tcp/1", "/ip4/8.8.8.8/udp/1/quic-v1"));
        assert!(!same("/ip4/8.8.8.8/tcp/1", "/ip4/8.8.8.9/tcp/1"));
    }

    #[test]
    fn the_home_network_is_exempt_unless_something_else_is_said() {
        let exempt = Exempt::default();
        for local in [
            "/ip4/127.0.0.9",
            "/ip4/10.255.0.1",
            "/ip4/172.31.0.1",
            "/ip4/192.168.1.2",
            "/ip6/::1",
            "/ip6/fd00::1",
            "/ip6/fe80::1",
        ] {
            assert!(exempt.contains(&addr(local)) && exempt.limited(&addr(local)).is_none(), "{local}");
        }
        for public in ["/ip4/8.8.8.8", "/ip4/172.32.0.1", "/ip4/126.255.255.255", "/ip6/2001:db8::1", "/ip6/::2"] {
            assert!(exempt.limited(&addr(public)).is_some(), "{public}");
        }
        assert!(!Exempt::none().contains(&addr("/ip4/127.0.0.1")));
    }

    #[test]
    fn networks_are_read_from_a_list() {
        assert_eq!("none".parse(), Ok(Exempt::none()));
        let exempt: Exempt = "100.64.0.0/10, fd00::/8,1.2.3.4/32".parse().unwrap();
        for inside in ["/ip4/100.127.0.1", "/ip6/fd12::1", "/ip4/1.2.3.4"] {
            assert!(exempt.contains(&addr(inside)), "{inside}");
        }
        assert!(!exempt.contains(&addr("/ip4/1.2.3.5")) && !exempt.contains(&addr("/ip4/127.0.0.1")));
        assert!("0.0.0.0/0".parse::<Exempt>().unwrap().contains(&addr("/ip4/8.8.8.8")));
        for bad in ["", "10.0.0.0", "10.0.0.0/33", "::/129", "home/8"] {
            assert!(bad.parse::<Exempt>().is_err(), "{bad}");
        }
    }
}
