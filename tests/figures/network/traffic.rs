//! What mainnet's gossip brings in a slot, as far as one node hears it: messages of the right types, sizes and numbers with
//! random contents, spread over the slot as validators send them. Votes and aggregates take more of the slot here than there: two
//! dozen nodes share a processor or two, and who is seconds late with what it offered is sent away.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hornero::{
    p2p::{Subnets, Topic},
    types::*,
};
use rand::{Rng as _, RngCore, rngs::StdRng};
use ssz::Encode as _;
use ssz_types::{BitList, BitVector, VariableList};

/// Columns that everyone here samples, as many as a home's node.
pub const COLUMNS: u64 = 8;
/// Blobs of a block: mainnet's target since January 2026.
const BLOBS: usize = 14;
/// Bytes of transactions in a block, which do not compress here.
const TRANSACTIONS: usize = 90_000;
/// Members of a committee, with 950,000 active validators.
const COMMITTEE: usize = 464;
/// Subnets of votes that a node listens to.
const SUBNETS: u64 = 2;
/// Aggregates of a slot: 64 committees with 16 aggregators.
const AGGREGATES: usize = 64 * 16;
/// Sync committee contributions of a slot: 4 subcommittees with 16 aggregators.
const CONTRIBUTIONS: usize = 4 * 16;

/// A message, and when in the slot it is published.
pub struct Message {
    pub at: Duration,
    pub topic: Topic,
    pub ssz: Vec<u8>,
}

/// What the slot brings: `(columns, all the rest)` are published or not.
#[derive(Clone, Copy)]
pub struct Kinds {
    pub columns: bool,
    pub others: bool,
}

/// All messages of a slot, by time.
pub fn slot(slot: Slot, kinds: Kinds, rng: &mut StdRng) -> Vec<Message> {
    let mut all = Vec::new();
    let block = Duration::from_millis(1500);
    if kinds.columns {
        all.extend((0..COLUMNS).map(|index| Message {
            at: block,
            topic: Topic::DataColumnSidecar(index),
            ssz: column(slot, index, rng).as_ssz_bytes(),
        }));
    }
    if kinds.others {
        all.push(Message { at: block, topic: Topic::BeaconBlock, ssz: self::block(slot, rng).as_ssz_bytes() });
        let votes = (0..SUBNETS).flat_map(|subnet| (0..COMMITTEE).map(move |_| subnet));
        all.extend(votes.map(|subnet| {
            let at = spread(4000, 3500, rng);
            Message { at, topic: Topic::BeaconAttestation(subnet), ssz: vote(slot, rng).as_ssz_bytes() }
        }));
        all.extend((0..AGGREGATES).map(|_| {
            let at = spread(8000, 3500, rng);
            Message { at, topic: Topic::BeaconAggregateAndProof, ssz: aggregate(slot, rng).as_ssz_bytes() }
        }));
        all.extend((0..CONTRIBUTIONS).map(|_| {
            let at = spread(8000, 3500, rng);
            Message { at, topic: Topic::SyncCommitteeContributionAndProof, ssz: contribution(slot, rng) }
        }));
    }
    all.sort_by_key(|message| message.at);
    all
}

/// What everyone listens to besides the global topics.
pub fn subnets() -> Subnets {
    let listen = (0..SUBNETS).map(Topic::BeaconAttestation).collect();
    Subnets { listen, attnets: (0..SUBNETS).collect(), ..Subnets::default() }
}

/// When a block was published, which it carries as its state's root.
pub fn published_at(block: &BeaconBlock) -> SystemTime {
    let bytes: [u8; 8] = block.state_root.0[..8].try_into().expect("eight bytes");
    UNIX_EPOCH + Duration::from_micros(u64::from_le_bytes(bytes))
}

/// Notes in a block's SSZ that it is published now.
pub fn stamp(ssz: &mut [u8]) {
    // A signed block begins with an offset and the signature; the block with slot, proposer and parent.
    const STATE_ROOT: usize = 4 + 96 + 8 + 8 + 32;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_micros() as u64;
    ssz[STATE_ROOT..STATE_ROOT + 8].copy_from_slice(&now.to_le_bytes());
}

/// A block with as many bytes as mainnet's.
pub fn block(slot: Slot, rng: &mut StdRng) -> SignedBeaconBlock {
    let transactions = VariableList::new(vec![noise(TRANSACTIONS, rng).try_into().expect("one transaction")]);
    let mut body = BeaconBlockBody::default();
    body.execution_payload.transactions = transactions.expect("one transaction");
    let parent_root = random_root(rng);
    let message = BeaconBlock { slot, proposer_index: 1, parent_root, state_root: Hash256::ZERO, body };
    SignedBeaconBlock { message, signature: signature(rng) }
}

fn column(slot: Slot, index: u64, rng: &mut StdRng) -> DataColumnSidecar {
    let mut cell = || noise(2048, rng).try_into().expect("a cell's size");
    let column = (0..BLOBS).map(|_| cell()).collect::<Vec<_>>().try_into().expect("few");
    let mut points = || (0..BLOBS).map(|_| array(rng)).collect::<Vec<[u8; 48]>>();
    let (commitments, proofs) = (points(), points());
    let message = BeaconBlockHeader { slot, parent_root: random_root(rng), ..Default::default() };
    DataColumnSidecar {
        index,
        column,
        kzg_commitments: commitments.into_iter().map(Into::into).collect::<Vec<_>>().try_into().expect("few"),
        kzg_proofs: proofs.into_iter().map(Into::into).collect::<Vec<_>>().try_into().expect("few"),
        signed_block_header: SignedBeaconBlockHeader { message, signature: signature(rng) },
        kzg_commitments_inclusion_proof: Default::default(),
    }
}

fn vote(slot: Slot, rng: &mut StdRng) -> SingleAttestation {
    let data = AttestationData { slot, ..Default::default() };
    SingleAttestation { committee_index: 1, attester_index: rng.random(), data, signature: signature(rng) }
}

fn aggregate(slot: Slot, rng: &mut StdRng) -> SignedAggregateAndProof {
    let mut aggregation_bits = BitList::with_capacity(COMMITTEE).expect("fits");
    for place in 0..COMMITTEE {
        aggregation_bits.set(place, rng.random_bool(0.95)).expect("fits");
    }
    let data = AttestationData { slot, ..Default::default() };
    let mut committee_bits = BitVector::default();
    committee_bits.set(rng.random_range(0..4), true).expect("four committees at least");
    let aggregate = Attestation { aggregation_bits, data, signature: signature(rng), committee_bits };
    let message = AggregateAndProof { aggregator_index: rng.random(), aggregate, selection_proof: signature(rng) };
    SignedAggregateAndProof { message, signature: signature(rng) }
}

fn contribution(slot: Slot, rng: &mut StdRng) -> Vec<u8> {
    let contribution = SyncCommitteeContribution {
        slot,
        beacon_block_root: Hash256::ZERO,
        subcommittee_index: rng.random_range(0..4),
        aggregation_bits: Default::default(),
        signature: signature(rng),
    };
    let message =
        ContributionAndProof { aggregator_index: rng.random(), contribution, selection_proof: signature(rng) };
    SignedContributionAndProof { message, signature: signature(rng) }.as_ssz_bytes()
}

fn spread(from: u64, width: u64, rng: &mut StdRng) -> Duration {
    Duration::from_millis(from + rng.random_range(0..width))
}

fn noise(bytes: usize, rng: &mut StdRng) -> Vec<u8> {
    let mut out = vec![0; bytes];
    rng.fill_bytes(&mut out);
    out
}

fn array<const N: usize>(rng: &mut StdRng) -> [u8; N] {
    let mut out = [0; N];
    rng.fill_bytes(&mut out);
    out
}

fn random_root(rng: &mut StdRng) -> Hash256 {
    array::<32>(rng).into()
}

fn signature(rng: &mut StdRng) -> BLSSignature {
    BLSSignature::from(array::<96>(rng))
}
