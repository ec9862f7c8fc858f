//! The attacks. Each is a function that prepares, for one stranger, what it floods the node with.

use hornero::{p2p::Topic, types::*};
use ssz::Encode as _;

use super::{
    network::Network,
    stranger::{Attack, Flood, Wire},
    victim::Victim,
};

pub struct Case {
    pub name: &'static str,
    prepare: fn(&Network) -> Box<dyn Fn() -> Flood + Send>,
}

pub const CASES: &[Case] = &[
    Case { name: "one valid block, over and over", prepare: copies },
    Case { name: "blocks without parents", prepare: parentless },
    Case { name: "invalid blocks", prepare: invalid_blocks },
    Case { name: "snappy bombs", prepare: bombs },
    Case { name: "valid columns of other blocks", prepare: foreign_columns },
];

impl Case {
    pub fn start(&self, network: &Network, victim: &Victim) -> Attack {
        Attack::start(victim.address(), (self.prepare)(network))
    }
}

fn packed(ssz: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(ssz).expect("it fits")
}

fn on(fork: ForkDigest, topic: Topic) -> String {
    format!("/eth2/{}/{}/ssz_snappy", hex::encode(fork), topic.name())
}

/// A block of the clock's slot, unsigned.
fn block(slot: Slot, parent_root: Hash256, number: u64) -> SignedBeaconBlock {
    let mut state_root = Hash256::ZERO;
    state_root[..8].copy_from_slice(&number.to_le_bytes());
    let body = BeaconBlockBody::default();
    let message = BeaconBlock { slot, proposer_index: number % 64, parent_root, state_root, body };
    SignedBeaconBlock { message, signature: BLSSignature::repeat_byte(7) }
}

/// The same bytes in each message: the head's block, which the node has.
fn copies(network: &Network) -> Box<dyn Fn() -> Flood + Send> {
    let topic = on(network.fork_digest(), Topic::BeaconBlock);
    let ssz = packed(&network.head_block().as_ssz_bytes());
    Box::new(move || {
        let (topic, ssz) = (topic.clone(), ssz.clone());
        Box::new(move |_| (topic.clone(), ssz.clone()))
    })
}

fn parentless(network: &Network) -> Box<dyn Fn() -> Flood + Send> {
    let (topic, slot) = (on(network.fork_digest(), Topic::BeaconBlock), network.slot());
    Box::new(move || {
        let (topic, salt) = (topic.clone(), rand_root());
        Box::new(move |number| {
            let mut parent = salt;
            parent[..8].copy_from_slice(&number.to_le_bytes());
            wire(&topic, &block(slot, parent, number))
        })
    })
}

fn invalid_blocks(network: &Network) -> Box<dyn Fn() -> Flood + Send> {
    let (topic, slot) = (on(network.fork_digest(), Topic::BeaconBlock), network.slot());
    // On top of a block that is known, so that they are judged and not kept; all have the same false signature.
    let parent = network.snapshot().head_root;
    Box::new(move || {
        let (topic, mut salt) = (topic.clone(), u64::from_le_bytes(rand_root()[..8].try_into().expect("eight")));
        Box::new(move |_| {
            salt = salt.wrapping_add(1);
            wire(&topic, &block(slot + 1, parent, salt))
        })
    })
}

/// Ten megabytes and a byte of zeros in half a megabyte; and in four bytes the claim of as many.
fn bombs(network: &Network) -> Box<dyn Fn() -> Flood + Send> {
    let topic = on(network.fork_digest(), Topic::BeaconBlock);
    let whole = packed(&vec![0; (10 << 20) + 1]);
    let claim = whole[..4].to_vec();
    Box::new(move || {
        let (topic, whole, claim) = (topic.clone(), whole.clone(), claim.clone());
        Box::new(move |number| (topic.clone(), if number % 2 == 0 { whole.clone() } else { claim.clone() }))
    })
}

/// A column whose cells and proofs are right (those of an empty blob are known to everybody), under the header of a block that
/// has no blobs: only the inclusion proof is wrong.
fn foreign_columns(network: &Network) -> Box<dyn Fn() -> Flood + Send> {
    let (fork, header) = (network.fork_digest(), network.head_block().signed_header());
    Box::new(move || {
        let mut salt = rand_root();
        let header = header.clone();
        Box::new(move |number| {
            // A node listens to a few of the subnets; all are tried in turn.
            let index = number % preset::NUMBER_OF_COLUMNS as u64;
            salt[..8].copy_from_slice(&number.to_le_bytes());
            let mut proof = KZGCommitmentsInclusionProof::default();
            proof[0] = salt;
            let mut infinity = [0; 48];
            infinity[0] = 0xc0;
            let sidecar = DataColumnSidecar {
                index,
                column: vec![Cell::default()].try_into().expect("room for one"),
                kzg_commitments: vec![infinity.into()].try_into().expect("room for one"),
                kzg_proofs: vec![infinity.into()].try_into().expect("room for one"),
                signed_block_header: header.clone(),
                kzg_commitments_inclusion_proof: proof,
            };
            (on(fork, Topic::DataColumnSidecar(index)), packed(&sidecar.as_ssz_bytes()))
        })
    })
}

fn wire(topic: &str, block: &SignedBeaconBlock) -> Wire {
    (topic.into(), packed(&block.as_ssz_bytes()))
}

/// Another one for each stranger: a fresh key is as good a source as any.
fn rand_root() -> Hash256 {
    let bytes = libp2p::identity::Keypair::generate_secp256k1().public().to_peer_id().to_bytes();
    Hash256::from_slice(&bytes[bytes.len() - 32..])
}
