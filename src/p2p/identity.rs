//! The node's key and its signed record (ENR).

use std::{
    fs,
    io::{self, Write as _},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
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

/// The addresses that our record names. A port may be known before the address is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    pub ip4: Option<Ipv4Addr>,
    pub ip6: Option<Ipv6Addr>,
    pub tcp4: Option<u16>,
    pub tcp6: Option<u16>,
    pub udp4: Option<u16>,
    pub udp6: Option<u16>,
    pub quic4: Option<u16>,
    pub quic6: Option<u16>,
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

    /// The key itself.
    pub fn secret(&self) -> [u8; 32] {
        self.record.to_bytes().into()
    }

    /// Makes our record: `last` again if it says the same, otherwise one that is newer. The sequence number is the time,
    /// so that a later record is the newer one even if `last` was lost.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/p2p-interface.md#enr-structure>
    pub fn record(
        &self,
        addresses: &Addresses,
        forks: &Forks,
        metadata: &MetaData,
        last: Option<&Enr>,
    ) -> Result<Enr, P2pError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |now| now.as_millis() as u64);
        let seq = last.map_or(now, |last| now.max(last.seq().saturating_add(SEQ_STEP)));
        let record = self.record_with(seq, addresses, forks, metadata)?;
        Ok(last.filter(|last| last.iter().eq(record.iter())).cloned().unwrap_or(record))
    }

    fn record_with(
        &self,
        seq: u64,
        addresses: &Addresses,
        forks: &Forks,
        metadata: &MetaData,
    ) -> Result<Enr, P2pError> {
        let mut builder = Enr::builder();
        builder.seq(seq);
        addresses.ip4.map(|ip| builder.ip4(ip));
        addresses.ip6.map(|ip| builder.ip6(ip));
        let ports = [
            ("tcp", addresses.tcp4),
            ("tcp6", addresses.tcp6),
            ("udp", addresses.udp4),
            ("udp6", addresses.udp6),
            ("quic", addresses.quic4),
            ("quic6", addresses.quic6),
        ];
        for (name, port) in ports {
            port.map(|port| builder.add_value(name, &port));
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

/// discv5 counts up its own copy of the record when it changes an address: ours must be the newer one.
const SEQ_STEP: u64 = 16;

/// The record that was kept in this file, if it is of this key.
pub fn read_record(path: &Path, key: &NodeKey) -> Option<Enr> {
    let record: Enr = fs::read_to_string(path).ok()?.trim().parse().ok()?;
    (peer_id_of(&record) == Some(key.peer_id())).then_some(record)
}

/// Keeps a record, whole or not at all.
pub fn keep_record(path: &Path, record: &Enr) {
    let temporary = path.with_extension("new");
    let kept = fs::write(&temporary, record.to_base64()).and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = kept {
        warn!("our record cannot be kept in {}: {error}", path.display());
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
        let mut metadata = MetaData { custody_group_count: 4, ..MetaData::default() };
        [3, 63].iter().for_each(|subnet| metadata.attnets.set(*subnet, true).unwrap());
        [0, 2].iter().for_each(|subnet| metadata.syncnets.set(*subnet, true).unwrap());
        let addresses = Addresses {
            ip4: Some(Ipv4Addr::LOCALHOST),
            ip6: Some(Ipv6Addr::LOCALHOST),
            tcp4: Some(9000),
            tcp6: Some(9001),
            udp4: Some(9002),
            udp6: None,
            quic4: Some(9004),
            quic6: Some(9003),
        };
        let record: Enr = key.record(&addresses, &forks(), &metadata, None).unwrap().to_base64().parse().unwrap();
        assert!(record.verify());
        assert_eq!(peer_id_of(&record), Some(key.peer_id()));
        assert_eq!(node_id_of(&key.peer_id()), Some(record.node_id().raw()));
        assert_eq!(node_id(&dir.path().join("key")).unwrap(), record.node_id().raw());
        assert_eq!(node_id_of(&PeerId::random()), None);
        assert_eq!(record.tcp4_socket(), Some("127.0.0.1:9000".parse().unwrap()));
        assert_eq!(record.tcp6_socket(), Some("[::1]:9001".parse().unwrap()));
        assert_eq!(quic_sockets(&record), ["127.0.0.1:9004".parse().unwrap(), "[::1]:9003".parse().unwrap()]);
        let eth2 = record.get_raw_rlp("eth2").unwrap();
        assert_eq!(eth2, [0x90, 1, 2, 3, 4, 6, 0, 0, 1, 255, 255, 255, 255, 255, 255, 255, 255]);
        assert_eq!(record.get_decodable::<u64>("cgc").unwrap().unwrap(), 4);
        assert_eq!((record.udp4(), record.get_decodable::<u16>("quic6").unwrap().unwrap()), (Some(9002), 9003));
        // As RLP has them: the length before the bytes, but for one small byte.
        assert_eq!(record.get_raw_rlp("attnets").unwrap(), [0x88, 8, 0, 0, 0, 0, 0, 0, 0x80]);
        assert_eq!(record.get_raw_rlp("syncnets").unwrap(), [0b101]);
        assert_eq!(record.get_raw_rlp("nfd").unwrap(), [0x84, 0, 0, 0, 0], "none is planned");
        let planned = Forks { next_epoch: 9, next_digest: ForkDigest::from([9, 8, 7, 6]), ..forks() };
        let record = key.record(&addresses, &planned, &metadata, Some(&record)).unwrap();
        assert_eq!(record.get_raw_rlp("nfd").unwrap(), [0x84, 9, 8, 7, 6]);
        let eth2 = record.get_raw_rlp("eth2").unwrap();
        assert_eq!(eth2, [0x90, 1, 2, 3, 4, 6, 0, 0, 1, 9, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_record_that_says_the_same_stays_and_another_is_newer() {
        let dir = tempfile::tempdir().unwrap();
        let key = NodeKey::load_or_create(&dir.path().join("key")).unwrap();
        let path = dir.path().join("record");
        let (addresses, metadata) = (Addresses::default(), MetaData::default());
        assert_eq!(read_record(&path, &key), None);
        let first = key.record(&addresses, &forks(), &metadata, None).unwrap();
        keep_record(&path, &first);
        let kept = read_record(&path, &key).unwrap();
        assert_eq!(key.record(&addresses, &forks(), &metadata, Some(&kept)).unwrap(), first);
        let more = MetaData { custody_group_count: 8, ..metadata.clone() };
        let second = key.record(&addresses, &forks(), &more, Some(&kept)).unwrap();
        assert!(second.seq() > first.seq());
        // A clock that was set back changes nothing about that.
        let ahead = key.record_with(u64::MAX / 2, &addresses, &forks(), &metadata).unwrap();
        assert!(key.record(&addresses, &forks(), &more, Some(&ahead)).unwrap().seq() > ahead.seq());
        let other = NodeKey::load_or_create(&dir.path().join("other")).unwrap();
        assert_eq!(read_record(&path, &other), None, "another key's record");
    }
}
