//! What strangers know of the node, and what they say to it.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
};

use hornero::{
    p2p::{Status, wire},
    types::*,
};
use libp2p::{Multiaddr, multiaddr::Protocol};
use ssz::Encode as _;

use super::{forger::Forger, network::Network, victim::Victim};

/// Requests as the node serves them: the protocol, and one of the largest that it reads, packed; nothing where none is sent.
pub type Request = (&'static str, Vec<u8>);

pub const STATUS: &str = "/eth2/beacon_chain/req/status/2/ssz_snappy";
pub const PING: &str = "/eth2/beacon_chain/req/ping/1/ssz_snappy";
pub const BLOCKS_BY_RANGE: &str = "/eth2/beacon_chain/req/beacon_blocks_by_range/2/ssz_snappy";
pub const BLOCKS_BY_ROOT: &str = "/eth2/beacon_chain/req/beacon_blocks_by_root/2/ssz_snappy";
pub const GOSSIP: &str = "/meshsub/1.2.0";

/// Where the node is and where its chain stands.
pub struct Scene {
    pub tcp: Multiaddr,
    pub quic: SocketAddr,
    pub status: Status,
    /// What everybody listens to and much comes by.
    pub topics: Vec<String>,
    /// Who owns validators.
    pub forger: Arc<Forger>,
    roots: Vec<Hash256>,
}

impl Scene {
    pub fn new(network: &Network, victim: &Victim) -> Scene {
        let snapshot = network.snapshot();
        let fork_digest = network.fork_digest();
        let head_slot = network.head_block().message.slot;
        let status = Status { fork_digest, head_root: snapshot.head_root, head_slot, ..Status::default() };
        Scene {
            tcp: victim.address("/tcp/").parse().expect("an address"),
            quic: udp(&victim.address("/quic-v1").parse().expect("an address")),
            status,
            topics: ["beacon_block", "beacon_aggregate_and_proof", "sync_committee_contribution_and_proof"]
                .map(|name| format!("/eth2/{}/{name}/ssz_snappy", hex::encode(fork_digest)))
                .into(),
            forger: network.forger.clone(),
            roots: network.roots(),
        }
    }

    /// Where nobody has been before: a machine has 16 million addresses of its own.
    pub fn new_address() -> IpAddr {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let [high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        IpAddr::from([127, 1, high, low])
    }

    pub fn greeting(&self) -> Vec<u8> {
        wire::write_payload(&self.status.as_ssz_bytes())
    }

    /// One of each protocol that is served, as large as may be, but no goodbye: that would be the end.
    pub fn requests(&self) -> Vec<Request> {
        let numbers = |numbers: &[u64]| numbers.iter().flat_map(|it| it.to_le_bytes()).collect::<Vec<u8>>();
        let head = self.status.head_root;
        // As many as may be asked for; the node has a few of them.
        let many = |number: usize| self.roots.get(number).copied().unwrap_or(Hash256::repeat_byte(number as u8));
        let roots: Vec<Hash256> = (0..128).map(many).collect();
        let columns: Vec<u64> = (0..preset::NUMBER_OF_COLUMNS as u64).collect();
        let of_range = [numbers(&[0, u64::MAX]), 20u32.to_le_bytes().into(), numbers(&columns)].concat();
        let identifier = |root: &Hash256| DataColumnsByRootIdentifier {
            block_root: *root,
            columns: columns.clone().try_into().expect("as many as there are"),
        };
        let by_root: Vec<_> = roots.iter().map(identifier).collect();
        [
            (STATUS, Some(self.status.as_ssz_bytes())),
            ("/eth2/beacon_chain/req/status/1/ssz_snappy", Some(self.status.to_v1_bytes())),
            (PING, Some(numbers(&[0]))),
            ("/eth2/beacon_chain/req/metadata/3/ssz_snappy", None),
            ("/eth2/beacon_chain/req/metadata/2/ssz_snappy", None),
            (BLOCKS_BY_RANGE, Some(numbers(&[0, u64::MAX, 1]))),
            (BLOCKS_BY_ROOT, Some(roots.as_ssz_bytes())),
            (
                "/eth2/beacon_chain/req/beacon_blocks_by_head/1/ssz_snappy",
                Some([head.to_vec(), numbers(&[u64::MAX])].concat()),
            ),
            ("/eth2/beacon_chain/req/data_column_sidecars_by_range/1/ssz_snappy", Some(of_range)),
            ("/eth2/beacon_chain/req/data_column_sidecars_by_root/1/ssz_snappy", Some(by_root.as_ssz_bytes())),
            ("/eth2/beacon_chain/req/light_client_bootstrap/1/ssz_snappy", Some(head.to_vec())),
            ("/eth2/beacon_chain/req/light_client_updates_by_range/1/ssz_snappy", Some(numbers(&[0, u64::MAX]))),
            ("/eth2/beacon_chain/req/light_client_finality_update/1/ssz_snappy", None),
            ("/eth2/beacon_chain/req/light_client_optimistic_update/1/ssz_snappy", None),
        ]
        .map(|(protocol, ssz)| (protocol, ssz.map(|ssz| wire::write_payload(&ssz)).unwrap_or_default()))
        .into()
    }
}

fn udp(addr: &Multiaddr) -> SocketAddr {
    let mut parts = addr.iter();
    match (parts.next(), parts.next()) {
        (Some(Protocol::Ip4(ip)), Some(Protocol::Udp(port))) => SocketAddr::new(ip.into(), port),
        _ => panic!("{addr} is not QUIC's"),
    }
}

/// 64 KiB of zeros in a frame of 3 KB, behind a length that promises `length`.
pub fn bomb(length: u64) -> Vec<u8> {
    let zeros = wire::write_payload(&vec![0; 65_536]);
    let varint = |n| unsigned_varint::encode::u64(n, &mut unsigned_varint::encode::u64_buffer()).to_vec();
    [varint(length), zeros[varint(65_536).len()..].to_vec()].concat()
}
