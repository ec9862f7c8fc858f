//! The attacks, and what must become of those who try them.

use std::sync::Arc;

use hornero::{p2p::Topic, types::*};
use ssz::Encode as _;

use super::{
    manners::{Answers, Deed, Way},
    network::Network,
    outcome::Outcome,
    scene::Scene,
    stranger::{Attack, Flood, Wire},
    wild::{Who, Wild},
};

/// What must become of the strangers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Must {
    /// Who does this loses points, and is banned or given up.
    BeSentAway,
    /// The address is banned.
    LoseTheAddress,
    /// No more than its share is let in.
    HaveItsShare,
}

/// What it does.
pub enum Kind {
    /// Floods gossip, with what this prepares for each name.
    Gossip(fn(&Network) -> Box<dyn Fn() -> Flood + Send>),
    /// Speaks by hand.
    Wild(Who, &'static [Way], Deed, Answers),
}

pub struct Case {
    pub name: &'static str,
    pub kind: Kind,
    pub must: Must,
    /// For what points are lost: labels of `hornero_peers_punished_total`.
    pub reasons: &'static [&'static str],
}

/// Cases that share their time.
pub struct Group {
    /// So many times the slots of the others, at least.
    pub times: u64,
    pub cases: &'static [Case],
}

use Answers::{Bombs, Dripping, Never, Well};
use Must::*;
use Way::{Mplex, Quic, Tcp, TinyQuic};
use Who::{One, OneAddress, Sybil};

const fn wild(
    name: &'static str,
    way: &'static [Way],
    (deed, answers): (Deed, Answers),
    must: Must,
    reasons: &'static [&'static str],
) -> Case {
    Case { name, kind: Kind::Wild(One, way, deed, answers), must, reasons }
}

const fn flood(
    name: &'static str,
    prepare: fn(&Network) -> Box<dyn Fn() -> Flood + Send>,
    reasons: &'static [&'static str],
) -> Case {
    Case { name, kind: Kind::Gossip(prepare), must: BeSentAway, reasons }
}

const TIMEOUT: &[&str] = &["timeout"];
const UNREAD: &[&str] = &["gossip_unread"];
const REPEATED: &[&str] = &["request_repeated"];

pub const GROUPS: &[Group] = &[
    // The first, while the chain is short: who asks for all of it is served as fast as one peer is.
    Group {
        times: 1,
        cases: &[
            wild("the largest counts, over and over", &[Tcp], (Deed::LargestCounts, Well), BeSentAway, REPEATED),
            wild("slow writer of every request, TCP", &[Tcp], (Deed::HalfRequests, Well), BeSentAway, TIMEOUT),
            wild("slow writer of every request, QUIC", &[Quic], (Deed::HalfRequests, Well), BeSentAway, TIMEOUT),
            wild("slow reader of every answer, QUIC", &[TinyQuic], (Deed::Unread, Well), BeSentAway, TIMEOUT),
            wild("slow reader of gossip, TCP", &[Tcp], (Deed::UnreadGossip, Well), BeSentAway, UNREAD),
            wild("slow reader of gossip, QUIC", &[TinyQuic], (Deed::UnreadGossip, Well), BeSentAway, UNREAD),
            wild("no answer to any question, TCP", &[Tcp], (Deed::NewMetadata, Never), BeSentAway, TIMEOUT),
            wild("no answer to any question, QUIC", &[Quic], (Deed::NewMetadata, Never), BeSentAway, TIMEOUT),
            wild("answers that drip, TCP", &[Tcp], (Deed::NewMetadata, Dripping), BeSentAway, TIMEOUT),
            wild("answers that drip, QUIC", &[Quic], (Deed::NewMetadata, Dripping), BeSentAway, TIMEOUT),
            wild("claims to be far ahead", &[Tcp, Quic], (Deed::FarAhead, Never), BeSentAway, &[]),
        ],
    },
    Group { times: 1, cases: &[flood("one valid block, over and over", copies, &["gossip_flood"])] },
    Group { times: 1, cases: &[flood("blocks without parents", parentless, &["gossip_flood"])] },
    Group { times: 1, cases: &[flood("invalid blocks", invalid_blocks, &["gossip_rejected"])] },
    Group { times: 1, cases: &[flood("bombs in gossip", bombs, &["gossip_malformed"])] },
    Group { times: 1, cases: &[flood("valid columns of other blocks", foreign_columns, &["gossip_rejected"])] },
    Group {
        times: 1,
        cases: &[wild("ids that nobody wants", &[Tcp], (Deed::Unwanted, Well), BeSentAway, &["gossip_flood"])],
    },
    Group {
        times: 1,
        cases: &[
            wild("bombs in requests, TCP", &[Tcp], (Deed::BombRequests, Well), BeSentAway, &["request_malformed"]),
            wild("bombs in requests, QUIC", &[Quic], (Deed::BombRequests, Well), BeSentAway, &["request_malformed"]),
            wild("bombs in answers, TCP", &[Tcp], (Deed::NewMetadata, Bombs), BeSentAway, &["response_malformed"]),
            wild("bombs in answers, QUIC", &[Quic], (Deed::NewMetadata, Bombs), BeSentAway, &["response_malformed"]),
        ],
    },
    Group {
        times: 1,
        cases: &[
            wild("eight of a kind at once, yamux", &[Tcp], (Deed::TooMany, Well), BeSentAway, &["too_many_requests"]),
            wild("eight of a kind at once, mplex", &[Mplex], (Deed::TooMany, Well), BeSentAway, &["too_many_requests"]),
            wild("eight of a kind at once, QUIC", &[Quic], (Deed::TooMany, Well), BeSentAway, &["too_many_requests"]),
        ],
    },
    Group {
        times: 1,
        cases: &[Case {
            name: "one address, again and again",
            kind: Kind::Wild(OneAddress, &[Tcp, Quic], Deed::BombRequests, Well),
            must: LoseTheAddress,
            reasons: &["request_malformed"],
        }],
    },
    Group {
        times: 1,
        cases: &[Case {
            name: "200 connections of one address",
            kind: Kind::Wild(Sybil(200), &[Tcp, Quic], Deed::UnreadGossip, Well),
            must: HaveItsShare,
            reasons: &[],
        }],
    },
    // The last, for from here on a quarter of the validators is the attacker's, who waits for the slots that are his.
    Group {
        times: 4,
        cases: &[
            flood("validators: false state roots, and children", false_blocks, &["gossip_rejected"]),
            flood("validators: out of turn on old blocks", strays, &["gossip_flood", "gossip_rejected"]),
            wild(
                "validators: invalid parents, TCP",
                &[Tcp],
                (Deed::InvalidParents, Well),
                BeSentAway,
                &["invalid_block"],
            ),
            wild(
                "validators: invalid parents, QUIC",
                &[Quic],
                (Deed::InvalidParents, Well),
                BeSentAway,
                &["invalid_block"],
            ),
        ],
    },
];

/// One that goes on.
pub enum Running {
    Gossip(Attack),
    Wild(Wild),
}

impl Case {
    pub fn start(&self, network: &Network, scene: &Arc<Scene>) -> Running {
        match self.kind {
            Kind::Gossip(prepare) => Running::Gossip(Attack::start(scene.tcp.clone(), prepare(network))),
            Kind::Wild(who, ways, deed, answers) => Running::Wild(Wild::start(scene, who, ways, deed, answers)),
        }
    }
}

impl Running {
    /// What has become of it so far.
    pub fn look(&self) -> Outcome {
        match self {
            Running::Gossip(attack) => attack.look(),
            Running::Wild(wild) => wild.look(),
        }
    }

    pub fn end(self) -> Outcome {
        match self {
            Running::Gossip(attack) => attack.end(),
            Running::Wild(wild) => wild.end(),
        }
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

/// A block of its proposer in its slot, which is passed on before its state root is found to be false: one for a slot, the same
/// again and again and from each stranger. Between, what can be had in any number: blocks on top of it.
fn false_blocks(network: &Network) -> Box<dyn Fn() -> Flood + Send> {
    let (topic, forger) = (on(network.fork_digest(), Topic::BeaconBlock), network.forger.clone());
    Box::new(move || {
        let (topic, forger) = (topic.clone(), forger.clone());
        Box::new(move |number| match forger.false_block() {
            Some(block) if number % 2 == 0 => wire(&topic, &block),
            Some(block) => wire(&topic, &forger.child(block.root())),
            None => wire(&topic, &forger.stray()),
        })
    })
}

/// Who proposes can be told only with a state of that branch.
fn strays(network: &Network) -> Box<dyn Fn() -> Flood + Send> {
    let (topic, forger) = (on(network.fork_digest(), Topic::BeaconBlock), network.forger.clone());
    Box::new(move || {
        let (topic, forger) = (topic.clone(), forger.clone());
        Box::new(move |_| wire(&topic, &forger.stray()))
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
