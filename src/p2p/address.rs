//! Peers as a person writes them: a record or a multiaddr.

use std::net::SocketAddr;

use libp2p::{Multiaddr, PeerId, multiaddr::Protocol, swarm::dial_opts::DialOpts};

use super::{
    config::P2pError,
    identity::{Enr, peer_id_of, quic_sockets},
    quic, tcp,
};

/// A peer that can be dialled.
#[derive(Clone, Debug)]
pub struct PeerAddress {
    /// Where, without the peer id; QUIC before TCP. Not empty.
    pub addrs: Vec<Multiaddr>,
    /// Who, if it was said.
    pub peer: Option<PeerId>,
    /// The record, if one was given.
    pub record: Option<Enr>,
}

/// Parses `enr:...`, `/ip4/1.2.3.4/tcp/9000[/p2p/16Uiu2...]` or `/ip4/1.2.3.4/udp/9001/quic-v1[/p2p/16Uiu2...]`.
pub fn parse(item: &str) -> Result<PeerAddress, P2pError> {
    let item = item.trim();
    let parsed = if item.starts_with("enr:") { from_text(item) } else { from_multiaddr(item) };
    parsed.map_err(|reason| P2pError::BootNode { item: item.to_owned(), reason })
}

/// Parses a list in which one peer may be named several times, with other addresses.
pub fn parse_all(items: &[String]) -> Result<Vec<PeerAddress>, P2pError> {
    let mut all: Vec<PeerAddress> = Vec::new();
    for item in items {
        let one = parse(item)?;
        match all.iter_mut().find(|other| other.peer.is_some() && other.peer == one.peer) {
            Some(known) => known.add(one),
            None => all.push(one),
        }
    }
    Ok(all)
}

impl PeerAddress {
    /// A dial to it.
    pub fn dial_opts(&self) -> Option<DialOpts> {
        let addrs = self.addrs.clone();
        Some(match self.peer {
            Some(peer) => DialOpts::peer_id(peer).addresses(addrs).build(),
            None => DialOpts::unknown_peer_id().address(addrs.into_iter().next()?).build(),
        })
    }

    fn add(&mut self, other: PeerAddress) {
        self.addrs.extend(other.addrs.into_iter().filter(|addr| !self.addrs.contains(addr)).collect::<Vec<_>>());
        self.addrs.sort_by_key(|addr| quic::to_socket_addr(addr).is_none());
        self.record = self.record.take().or(other.record);
    }
}

/// Where the peer of a record can be dialled, QUIC first; `None` without a key and an address that we can use.
pub fn from_record(record: Enr) -> Option<PeerAddress> {
    let peer = peer_id_of(&record)?;
    let quic = quic_sockets(&record).into_iter().map(quic::to_multiaddr);
    let tcp4 = record.tcp4_socket().map(|socket| tcp::to_multiaddr(socket.into()));
    let tcp6 = record.tcp6_socket().map(|socket| tcp::to_multiaddr(socket.into()));
    let addrs: Vec<Multiaddr> = quic.chain(tcp4).chain(tcp6).collect();
    (!addrs.is_empty()).then(|| PeerAddress { addrs, peer: Some(peer), record: Some(record) })
}

fn from_text(text: &str) -> Result<PeerAddress, String> {
    let record: Enr = text.parse().map_err(|e| format!("not a valid record ({e}); was it copied whole?"))?;
    if peer_id_of(&record).is_none() {
        return Err("its key is not a secp256k1 key".into());
    }
    from_record(record).ok_or("it names no IP address with a port of TCP or QUIC".into())
}

fn from_multiaddr(text: &str) -> Result<PeerAddress, String> {
    let whole: Multiaddr =
        text.parse().map_err(|e| format!("neither a record (enr:...) nor a multiaddr (/ip4/.../tcp/...): {e}"))?;
    let is_name = |part: Protocol| {
        matches!(part, Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_) | Protocol::Dnsaddr(_))
    };
    if whole.iter().any(is_name) {
        return Err("names are not resolved: write the IP address".into());
    }
    let (socket, addr) = socket_of(&whole)
        .ok_or("only /ip4/.../tcp/PORT and /ip4/.../udp/PORT/quic-v1 can be dialled, and the same with /ip6/")?;
    if socket.port() == 0 || socket.ip().is_unspecified() {
        return Err("it names no port or no address that can be dialled".into());
    }
    let peer = whole.iter().find_map(|part| match part {
        Protocol::P2p(peer) => Some(peer),
        _ => None,
    });
    Ok(PeerAddress { addrs: vec![addr], peer, record: None })
}

/// The socket of either transport, and its address without a peer id.
fn socket_of(addr: &Multiaddr) -> Option<(SocketAddr, Multiaddr)> {
    let quic = quic::to_socket_addr(addr).map(|socket| (socket, quic::to_multiaddr(socket)));
    quic.or_else(|| tcp::to_socket_addr(addr).map(|socket| (socket, tcp::to_multiaddr(socket))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(item: &str) -> String {
        parse(item).unwrap_err().to_string()
    }

    #[test]
    fn multiaddrs_with_and_without_a_peer_id() {
        let peer = PeerId::random();
        let with = parse(&format!(" /ip4/10.0.0.1/tcp/9000/p2p/{peer} ")).unwrap();
        assert_eq!((with.addrs[0].to_string().as_str(), with.peer), ("/ip4/10.0.0.1/tcp/9000", Some(peer)));
        let without = parse("/ip6/::1/udp/9001/quic-v1").unwrap();
        assert_eq!((without.addrs[0].to_string().as_str(), without.peer), ("/ip6/::1/udp/9001/quic-v1", None));
    }

    #[test]
    fn a_peer_named_twice_is_one_peer_and_quic_comes_first() {
        let peer = PeerId::random();
        let items = [
            format!("/ip4/10.0.0.1/tcp/9000/p2p/{peer}"),
            "/ip4/10.0.0.2/tcp/9000".into(),
            format!("/ip4/10.0.0.1/udp/9001/quic-v1/p2p/{peer}"),
            format!("/ip4/10.0.0.1/tcp/9000/p2p/{peer}"),
            "/ip4/10.0.0.3/tcp/9000".into(),
        ];
        let all = parse_all(&items).unwrap();
        assert_eq!(all.len(), 3);
        let addrs: Vec<String> = all[0].addrs.iter().map(Multiaddr::to_string).collect();
        assert_eq!(addrs, ["/ip4/10.0.0.1/udp/9001/quic-v1", "/ip4/10.0.0.1/tcp/9000"]);
    }

    #[test]
    fn what_cannot_be_dialled_says_why() {
        assert!(reason("/dns4/example.org/tcp/9000").contains("write the IP address"));
        assert!(reason("/ip4/10.0.0.1/udp/9000").contains("tcp"));
        assert!(reason("/ip4/10.0.0.1/tcp/0").contains("no port"));
        assert!(reason("enr:-nonsense").contains("not a valid record"));
        assert!(reason("10.0.0.1:9000").contains("neither a record"));
    }

    #[test]
    fn a_record_gives_its_address_and_peer() {
        // A Lodestar node's, on loopback.
        let parsed = parse(
            "enr:-NO4QIIaIdJMfrS8BNmfQD7a9foymlJNDv4G2Kn1A8sNRlZVXu1BWgHVKBTH7sYjcfd_O834jHORmEGVMJsqme5faVQIh2F0dG5ldHOI\
             AAAAAAAAAwCDY2djgYCEZXRoMpDLcxYcBgAAAf__________gmlkgnY0gmlwhH8AAAGDbmZkhAAAAACEcXVpY4JKOYlzZWNwMjU2azGhApvR\
             A-bFektjLgG5Qykyz0_tzbMiw-1WDnb6LytrS0yziHN5bmNuZXRzD4N0Y3CCSjiDdWRwgko4",
        )
        .unwrap();
        let addrs: Vec<String> = parsed.addrs.iter().map(Multiaddr::to_string).collect();
        assert_eq!(addrs, ["/ip4/127.0.0.1/udp/19001/quic-v1", "/ip4/127.0.0.1/tcp/19000"]);
        assert!(parsed.peer.is_some() && parsed.record.is_some());
        // The example of EIP-778 has only a UDP port.
        let discovery_only = "enr:-IS4QHCYrYZbAKWCBRlAy5zzaDZXJBGkcnh4MHcBFZntXNFrdvJjX04jRzjzCBOonrkTfj499SZuOh8R33Ls8RR\
                              cy5wBgmlkgnY0gmlwhH8AAAGJc2VjcDI1NmsxoQPKY0yuDUmstAHYpMa2_oxVtw0RW_QAdpzBQA8yWM0xOIN1ZHCCdl8";
        assert!(reason(discovery_only).contains("no IP address with a port"));
    }
}
