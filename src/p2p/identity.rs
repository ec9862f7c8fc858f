//! The node's key and its signed record (ENR).

use std::{
    fs,
    io::{self, Write as _},
    net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use enr::k256::ecdsa::{SigningKey, VerifyingKey};
use libp2p::{
    PeerId,
    identity::{Keypair, PublicKey, secp256k1},
    multihash::Multihash,
};
use ssz::Encode as _;
use tracing::warn;

use super::{
    config::{Forks, P2pError},
    messages::MetaData,
};

/// A node's record: who it is, where it listens, which fork it is on.
pub type Enr = enr::Enr<SigningKey>;

/// The sockets that our record names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reachable {
    /// Of TCP.
    pub tcp: Vec<SocketAddr>,
    /// Of QUIC.
    pub quic: Vec<SocketAddr>,
}

/// The node's secp256k1 key, for libp2p and for its record.
pub struct NodeKey {
    libp2p: Keypair,
    record: SigningKey,
}

impl NodeKey {
    /// Reads the key from `path` (32 bytes in hexadecimal), or makes a new one there that only its owner may read.
    pub fn load_or_create(path: &Path) -> Result<NodeKey, P2pError> {
        let fail = |reason: String| P2pError::Key { path: path.to_owned(), reason };
        let secret = match fs::read_to_string(path) {
            Ok(text) => {
                warn_if_readable_by_others(path);
                parse(&text).ok_or_else(|| {
                    fail("not 64 hexadecimal digits. Restore it, or delete it to get a new identity".into())
                })?
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                create(path).map_err(|e| fail(format!("cannot be written: {e}")))?
            }
            Err(e) => return Err(fail(format!("cannot be read: {e}"))),
        };
        NodeKey::from_secret(secret).ok_or_else(|| fail("not a valid secp256k1 key".into()))
    }

    fn from_secret(secret: [u8; 32]) -> Option<NodeKey> {
        let record = SigningKey::from_slice(&secret).ok()?;
        let libp2p = secp256k1::SecretKey::try_from_bytes(secret).ok()?;
        Some(NodeKey { libp2p: secp256k1::Keypair::from(libp2p).into(), record })
    }

    /// For libp2p.
    pub fn libp2p(&self) -> &Keypair {
        &self.libp2p
    }

    /// Our peer id.
    pub fn peer_id(&self) -> PeerId {
        self.libp2p.public().to_peer_id()
    }

    /// Makes our record. The sequence number is the time, so that a later record is the newer one, also after a restart.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/p2p-interface.md#enr-structure>
    pub fn record(&self, sockets: &Reachable, forks: &Forks, metadata: &MetaData) -> Result<Enr, P2pError> {
        let seq = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |now| now.as_millis() as u64);
        let mut builder = Enr::builder();
        builder.seq(seq);
        for socket in &sockets.tcp {
            match socket.ip() {
                IpAddr::V4(ip) => builder.ip4(ip).tcp4(socket.port()),
                IpAddr::V6(ip) => builder.ip6(ip).tcp6(socket.port()),
            };
        }
        for socket in &sockets.quic {
            match socket.ip() {
                IpAddr::V4(ip) => builder.ip4(ip).add_value("quic", &socket.port()),
                IpAddr::V6(ip) => builder.ip6(ip).add_value("quic6", &socket.port()),
            };
        }
        builder
            .add_value("eth2", &forks.enr_fork_id().as_ssz_bytes().as_slice())
            .add_value("attnets", &metadata.attnets.as_ssz_bytes().as_slice())
            .add_value("syncnets", &metadata.syncnets.as_ssz_bytes().as_slice())
            .add_value("cgc", &metadata.custody_group_count)
            .add_value("nfd", &forks.next_digest.as_slice())
            .build(&self.record)
            .map_err(|e| P2pError::Setup(format!("the node's record: {e}")))
    }
}

/// The peer id of a record's key.
pub fn peer_id_of(record: &Enr) -> Option<PeerId> {
    let point = record.public_key().to_sec1_point(true);
    let key = secp256k1::PublicKey::try_from_bytes(point.as_bytes()).ok()?;
    Some(PublicKey::from(key).to_peer_id())
}

/// Our node id, from the key in this file, which is made when it does not exist.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/das-core.md#get_custody_groups>
pub fn node_id(key_file: &Path) -> Result<[u8; 32], P2pError> {
    let key = NodeKey::load_or_create(key_file)?;
    Ok(enr::NodeId::from(*key.record.verifying_key()).raw())
}

/// The node id of a peer; none if its key cannot be had from its name, or is not of secp256k1.
pub fn node_id_of(peer: &PeerId) -> Option<[u8; 32]> {
    let name: &Multihash<64> = peer.as_ref();
    // Only the identity hash, 0, is the key itself.
    let key = (name.code() == 0).then(|| PublicKey::try_decode_protobuf(name.digest()))?.ok()?;
    let key = key.try_into_secp256k1().ok()?.to_bytes();
    Some(enr::NodeId::from(VerifyingKey::from_sec1_bytes(&key).ok()?).raw())
}

/// Where a record says that its node speaks QUIC.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/p2p-interface.md#enr-structure>
pub fn quic_sockets(record: &Enr) -> Vec<SocketAddr> {
    let port = |key: &str| record.get_decodable::<u16>(key)?.ok().filter(|port| *port != 0);
    let v4 = record.ip4().zip(port("quic")).map(|(ip, port)| SocketAddrV4::new(ip, port).into());
    let v6 = record.ip6().zip(port("quic6")).map(|(ip, port)| SocketAddrV6::new(ip, port, 0, 0).into());
    v4.into_iter().chain(v6).collect()
}

fn parse(text: &str) -> Option<[u8; 32]> {
    hex::decode(text.trim().trim_start_matches("0x")).ok()?.try_into().ok()
}

fn create(path: &Path) -> io::Result<[u8; 32]> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let secret = secp256k1::SecretKey::generate().to_bytes();
    // Whole or not at all: a half-written key would be another identity, or none.
    let temporary = path.with_extension("new");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(hex::encode(secret).as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    Ok(secret)
}

fn warn_if_readable_by_others(path: &Path) {
    if fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0) {
        warn!("others may read the node key; run: chmod 600 {}", path.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{ForkDigest, Version};

    fn forks() -> Forks {
        Forks::only(ForkDigest::from([1, 2, 3, 4]), Version::from([6, 0, 0, 1]))
    }

    #[test]
    fn a_key_is_made_once_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data/network-key");
        let first = NodeKey::load_or_create(&path).unwrap().peer_id();
        assert_eq!(NodeKey::load_or_create(&path).unwrap().peer_id(), first);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "not a key").unwrap();
        assert!(matches!(NodeKey::load_or_create(&path), Err(P2pError::Key { .. })));
    }

    #[test]
    fn the_record_carries_what_the_specification_asks() {
        let dir = tempfile::tempdir().unwrap();
        let key = NodeKey::load_or_create(&dir.path().join("key")).unwrap();
        let metadata = MetaData { custody_group_count: 4, ..MetaData::default() };
        let sockets = Reachable {
            tcp: vec!["127.0.0.1:9000".parse().unwrap(), "[::1]:9001".parse().unwrap()],
            quic: vec!["127.0.0.1:9002".parse().unwrap(), "[::1]:9003".parse().unwrap()],
        };
        let record: Enr = key.record(&sockets, &forks(), &metadata).unwrap().to_base64().parse().unwrap();
        assert!(record.verify());
        assert_eq!(peer_id_of(&record), Some(key.peer_id()));
        assert_eq!(node_id_of(&key.peer_id()), Some(record.node_id().raw()));
        assert_eq!(node_id(&dir.path().join("key")).unwrap(), record.node_id().raw());
        assert_eq!(node_id_of(&PeerId::random()), None);
        assert_eq!(record.tcp4_socket(), Some("127.0.0.1:9000".parse().unwrap()));
        assert_eq!(record.tcp6_socket(), Some("[::1]:9001".parse().unwrap()));
        assert_eq!(quic_sockets(&record), sockets.quic);
        let eth2 = record.get_raw_rlp("eth2").unwrap();
        assert_eq!(eth2, [0x90, 1, 2, 3, 4, 6, 0, 0, 1, 255, 255, 255, 255, 255, 255, 255, 255]);
        assert_eq!(record.get_decodable::<u64>("cgc").unwrap().unwrap(), 4);
    }
}
