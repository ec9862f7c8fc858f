//! Under which addresses we are found, and how discovery starts with them.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    path::PathBuf,
};

use libp2p::Multiaddr;

use crate::p2p::{
    address::{self, PeerAddress},
    config::{P2pConfig, P2pError},
    discovery::{Discovery, Voted, is_dialable},
    identity::{Addresses, Enr, NodeKey},
    meter::Meter,
    quic, tcp,
    upnp::{Port, Upnp},
};

/// The peers to stay connected to. A boot node with a port for discovery only is asked for others, and that is all.
pub fn to_stay_with(config: &P2pConfig) -> Result<Vec<PeerAddress>, P2pError> {
    let is_for_discovery = |item: &str| config.discovery.is_some() && has_udp(item) && address::parse(item).is_err();
    let items: Vec<String> = config.boot_nodes.iter().filter(|item| !is_for_discovery(item)).cloned().collect();
    address::parse_all(&items)
}

fn has_udp(item: &str) -> bool {
    let record = item.trim().parse::<Enr>();
    record.is_ok_and(|record| record.udp4_socket().is_some() || record.udp6_socket().is_some())
}

/// UDP sockets for discovery, one for each address that we listen on: with the port of TCP, or with the one that was chosen.
pub fn discovery_sockets(config: &P2pConfig, listen_addrs: &[Multiaddr]) -> Result<Vec<UdpSocket>, P2pError> {
    let Some(discovery) = &config.discovery else { return Ok(Vec::new()) };
    let chosen_freely = config.listen.iter().all(|addr| addr.port() == 0) && discovery.port.is_none();
    let bind = |tcp: SocketAddr| {
        let addr = SocketAddr::new(tcp.ip(), discovery.port.unwrap_or(tcp.port()));
        let bound = bind_udp(addr);
        // Somebody else may have the port of UDP: any other will do.
        let bound = if chosen_freely { bound.or_else(|_| bind_udp(SocketAddr::new(tcp.ip(), 0))) } else { bound };
        bound.map_err(|e| P2pError::Discovery { addr, reason: e.to_string() })
    };
    listen_addrs.iter().filter_map(tcp::to_socket_addr).map(bind).collect()
}

fn bind_udp(addr: SocketAddr) -> std::io::Result<UdpSocket> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if addr.is_ipv6() {
        // The other family has a socket of its own.
        socket.set_only_v6(true)?;
    }
    socket.bind(&addr.into())?;
    Ok(socket.into())
}

/// A UDP socket's address as a multiaddr.
pub fn udp_multiaddr(addr: SocketAddr) -> Multiaddr {
    Multiaddr::empty().with(addr.ip().into()).with(libp2p::multiaddr::Protocol::Udp(addr.port()))
}

/// The file of our record, so that its number survives a restart.
pub fn record_file(config: &P2pConfig) -> PathBuf {
    config.key_file.with_file_name("node_record")
}

/// Starts discovery, if it is wanted.
pub async fn start_discovery(
    config: &P2pConfig,
    enr: &Enr,
    key: &NodeKey,
    listen_addrs: &[Multiaddr],
    sockets: Vec<UdpSocket>,
    meter: Meter,
) -> Result<Option<Discovery>, P2pError> {
    let Some(mut discovery) = config.discovery.clone() else { return Ok(None) };
    let listens: Vec<IpAddr> = listen_addrs.iter().filter_map(tcp::to_socket_addr).map(|socket| socket.ip()).collect();
    let is_on_loopback = listens.iter().all(IpAddr::is_loopback);
    discovery.private_addresses |= is_on_loopback || config.external_ip.is_some_and(|ip| !is_dialable(ip, false));
    let boot_nodes = config.boot_nodes.iter().filter(|item| has_udp(item)).cloned();
    discovery.boot_nodes.extend(boot_nodes);
    let is_address_fixed = is_on_loopback || config.external_ip.is_some();
    Discovery::start(discovery, enr, key.secret(), sockets, is_address_fixed, meter).await.map(Some)
}

/// Asks the router to let others in by IPv4, unless we listen on this machine only. IPv6 needs no mapping.
pub fn upnp(config: &P2pConfig, named: &Addresses) -> Option<Upnp> {
    let is_on_loopback = config.listen.iter().all(|addr| addr.ip().is_loopback());
    if !config.upnp || is_on_loopback {
        return None;
    }
    let udp = [named.udp4, named.quic4].into_iter().flatten().map(Port::Udp);
    let ports: Vec<Port> = named.tcp4.map(Port::Tcp).into_iter().chain(udp).collect();
    (!ports.is_empty()).then(|| Upnp::start(ports))
}

/// The addresses for our record: what we were told is our own; else what others see, or an address that we listen on.
pub fn for_record(config: &P2pConfig, listens: &[Multiaddr], udp: &[SocketAddr], voted: Voted) -> Addresses {
    let mut found = Addresses::default();
    let tcp: Vec<SocketAddr> = listens.iter().filter_map(tcp::to_socket_addr).collect();
    let quic: Vec<SocketAddr> = listens.iter().filter_map(quic::to_socket_addr).collect();
    for ip in tcp.iter().chain(&quic).map(SocketAddr::ip).filter(|ip| !ip.is_unspecified()) {
        match ip {
            IpAddr::V4(ip) => found.ip4 = Some(ip),
            IpAddr::V6(ip) => found.ip6 = Some(ip),
        }
    }
    for socket in tcp {
        *(if socket.is_ipv4() { &mut found.tcp4 } else { &mut found.tcp6 }) = Some(socket.port());
    }
    for socket in quic {
        *(if socket.is_ipv4() { &mut found.quic4 } else { &mut found.quic6 }) = Some(socket.port());
    }
    for socket in udp {
        *(if socket.is_ipv4() { &mut found.udp4 } else { &mut found.udp6 }) = Some(socket.port());
    }
    if let Some((ip, port)) = voted.ip4 {
        (found.ip4, found.udp4) = (Some(ip), Some(port));
    }
    if let Some((ip, port)) = voted.ip6 {
        (found.ip6, found.udp6) = (Some(ip), Some(port));
    }
    match config.external_ip {
        Some(IpAddr::V4(ip)) => found.ip4 = Some(ip),
        Some(IpAddr::V6(ip)) => found.ip6 = Some(ip),
        None => {}
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        p2p::{config::Forks, messages::Status},
        types::{ForkDigest, Version},
    };

    fn config() -> P2pConfig {
        P2pConfig::new("key".into(), Forks::only(ForkDigest::default(), Version::default()), Status::default())
    }

    fn listens(addrs: &[&str]) -> Vec<Multiaddr> {
        addrs.iter().map(|addr| addr.parse().unwrap()).collect()
    }

    #[test]
    fn an_address_that_we_were_told_counts_more_than_what_others_see() {
        let all = listens(&["/ip4/0.0.0.0/tcp/9000", "/ip4/0.0.0.0/udp/9001/quic-v1"]);
        let udp = ["0.0.0.0:9000".parse().unwrap()];
        let unknown = for_record(&config(), &all, &udp, Voted::default());
        let ports = Addresses { tcp4: Some(9000), quic4: Some(9001), udp4: Some(9000), ..Addresses::default() };
        assert_eq!(unknown, ports, "ports alone while nobody knows our address");
        let voted = Voted { ip4: Some(("3.3.3.3".parse().unwrap(), 40_000)), ip6: None };
        let seen = for_record(&config(), &all, &udp, voted);
        assert_eq!((seen.ip4, seen.udp4, seen.tcp4), (Some("3.3.3.3".parse().unwrap()), Some(40_000), Some(9000)));
        let told = P2pConfig { external_ip: Some("4.4.4.4".parse().unwrap()), ..config() };
        assert_eq!(for_record(&told, &all, &udp, voted).ip4, Some("4.4.4.4".parse().unwrap()));
    }

    #[test]
    fn both_families_have_ports_of_their_own() {
        let all = listens(&["/ip4/10.0.0.1/tcp/1", "/ip6/::1/tcp/2", "/ip6/::1/udp/3/quic-v1"]);
        let found = for_record(&config(), &all, &["[::1]:4".parse().unwrap()], Voted::default());
        assert_eq!((found.tcp4, found.tcp6, found.quic6, found.udp6), (Some(1), Some(2), Some(3), Some(4)));
        assert_eq!((found.ip6, found.quic4, found.udp4), (Some("::1".parse().unwrap()), None, None));
    }

    #[test]
    fn a_boot_node_for_discovery_only_is_not_dialled() {
        // The example of EIP-778.
        let record = "enr:-IS4QHCYrYZbAKWCBRlAy5zzaDZXJBGkcnh4MHcBFZntXNFrdvJjX04jRzjzCBOonrkTfj499SZuOh8R33Ls8RRcy5wBgmlk\
                      gnY0gmlwhH8AAAGJc2VjcDI1NmsxoQPKY0yuDUmstAHYpMa2_oxVtw0RW_QAdpzBQA8yWM0xOIN1ZHCCdl8";
        let mut config = P2pConfig { boot_nodes: vec![record.into()], ..config() };
        assert!(to_stay_with(&config).is_err(), "without discovery it is of no use");
        config.discovery = Some(crate::p2p::DiscoveryConfig {
            port: None,
            boot_nodes: Vec::new(),
            private_addresses: false,
            peers_file: "peers".into(),
            chain: Default::default(),
        });
        assert!(to_stay_with(&config).unwrap().is_empty());
    }
}
