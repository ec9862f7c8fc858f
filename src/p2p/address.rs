//! Peers as a person writes them: a record or a multiaddr.

use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};

use super::{
    config::P2pError,
    identity::{Enr, peer_id_of},
    tcp::{to_multiaddr, to_socket_addr},
};

/// A peer that can be dialled.
#[derive(Clone, Debug)]
pub struct PeerAddress {
    /// Where, without the peer id.
    pub addr: Multiaddr,
    /// Who, if it was said.
    pub peer: Option<PeerId>,
    /// The record, if one was given.
    pub record: Option<Enr>,
}

/// Parses `enr:...` or `/ip4/1.2.3.4/tcp/9000[/p2p/16Uiu2...]`.
pub fn parse(item: &str) -> Result<PeerAddress, P2pError> {
    let item = item.trim();
    let parsed = if item.starts_with("enr:") { from_record(item) } else { from_multiaddr(item) };
    parsed.map_err(|reason| P2pError::BootNode { item: item.to_owned(), reason })
}

fn from_record(text: &str) -> Result<PeerAddress, String> {
    let record: Enr = text.parse().map_err(|e| format!("not a valid record ({e}); was it copied whole?"))?;
    let peer = peer_id_of(&record).ok_or("its key is not a secp256k1 key")?;
    let tcp4 = record.tcp4_socket().map(|socket| to_multiaddr(socket.into()));
    let tcp6 = record.tcp6_socket().map(|socket| to_multiaddr(socket.into()));
    let addr = tcp4.or(tcp6).ok_or("it names no IP address with a TCP port, and this node dials only TCP")?;
    Ok(PeerAddress { addr, peer: Some(peer), record: Some(record) })
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
    let socket = to_socket_addr(&whole).ok_or("only /ip4/.../tcp/PORT and /ip6/.../tcp/PORT can be dialled")?;
    if socket.port() == 0 || socket.ip().is_unspecified() {
        return Err("it names no port or no address that can be dialled".into());
    }
    let peer = whole.iter().find_map(|part| match part {
        Protocol::P2p(peer) => Some(peer),
        _ => None,
    });
    Ok(PeerAddress { addr: to_multiaddr(socket), peer, record: None })
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
        assert_eq!((with.addr.to_string().as_str(), with.peer), ("/ip4/10.0.0.1/tcp/9000", Some(peer)));
        let without = parse("/ip6/::1/tcp/9000").unwrap();
        assert_eq!((without.addr.to_string().as_str(), without.peer), ("/ip6/::1/tcp/9000", None));
    }

    #[test]
    fn what_cannot_be_dialled_says_why() {
        assert!(reason("/dns4/example.org/tcp/9000").contains("write the IP address"));
        assert!(reason("/ip4/10.0.0.1/udp/9000/quic-v1").contains("tcp"));
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
        assert_eq!(parsed.addr.to_string(), "/ip4/127.0.0.1/tcp/19000");
        assert!(parsed.peer.is_some() && parsed.record.is_some());
        // The example of EIP-778 has only a UDP port.
        let discovery_only = "enr:-IS4QHCYrYZbAKWCBRlAy5zzaDZXJBGkcnh4MHcBFZntXNFrdvJjX04jRzjzCBOonrkTfj499SZuOh8R33Ls8RR\
                              cy5wBgmlkgnY0gmlwhH8AAAGJc2VjcDI1NmsxoQPKY0yuDUmstAHYpMa2_oxVtw0RW_QAdpzBQA8yWM0xOIN1ZHCCdl8";
        assert!(reason(discovery_only).contains("dials only TCP"));
    }
}
