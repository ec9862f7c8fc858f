//! Blocks on the synthetic state, of the epoch's last slot, with all their signatures.

use ssz_types::{BitList, BitVector};
use tree_hash::TreeHash as _;

use super::*;
use crate::{
    crypto::{
        DOMAIN_BEACON_ATTESTER, DOMAIN_BEACON_PROPOSER, DOMAIN_RANDAO, DOMAIN_SYNC_COMMITTEE, compute_signing_root,
    },
    transition::{
        Checks, Context, compute_time_at_slot, get_domain, get_expected_withdrawals, get_randao_mix, get_shuffling,
        process_slots, state_transition,
    },
};

const TRANSACTIONS: u64 = 200;
/// Hashes that a transaction of 512 bytes is made of.
const HASHES_PER_TRANSACTION: u64 = 16;
const BLOBS: usize = 3;

/// A block with the votes of everybody in the last slots: of as many as it has room for, or of one.
///
/// # Errors
/// When it would not be valid, which is a mistake here.
pub fn block(parent: &BeaconState, is_full: bool, ctx: &Context) -> Result<SignedBeaconBlock, TransitionError> {
    let mut state = parent.clone();
    process_slots(&mut state, SLOT + 1, ctx)?;
    let parent_root = state.latest_block_header.tree_hash_root();
    let proposer_index = state.proposer_lookahead[(state.slot % SLOTS_PER_EPOCH) as usize];
    let slots = if is_full { SLOTS_TO_ATTEST } else { 1 };
    let attestations = (0..slots).map(|back| attestation(&mut state, SLOT - back, parent_root));
    let attestations = attestations.collect::<Result<_, _>>()?;
    let body = BeaconBlockBody {
        randao_reveal: sign(&state, [proposer_index], &EPOCH, DOMAIN_RANDAO),
        eth1_data: state.eth1_data,
        graffiti: Hash256::repeat_byte(0x42),
        attestations,
        sync_aggregate: sync_aggregate(&state, parent_root),
        execution_payload: payload(&state, ctx)?,
        blob_kzg_commitments: commitments(),
        ..BeaconBlockBody::empty(ForkName::Fulu)
    };
    let message = BeaconBlock { slot: state.slot, proposer_index, parent_root, state_root: Hash256::ZERO, body };
    let mut unsigned = SignedBeaconBlock { message, signature: BLSSignature::ZERO };
    let mut after = parent.clone();
    state_transition(&mut after, &unsigned, ctx, Checks::NONE)?;
    unsigned.message.state_root = after.hash_tree_root();
    let signature = sign(&state, [proposer_index], &unsigned.message.tree_hash_root(), DOMAIN_BEACON_PROPOSER);
    Ok(SignedBeaconBlock { signature, ..unsigned })
}

/// All committees of a slot vote for the block roots that the state has.
fn attestation(state: &mut BeaconState, slot: Slot, parent_root: Hash256) -> Result<Attestation, TransitionError> {
    let shuffling = get_shuffling(state, EPOCH)?;
    let committees = 0..shuffling.committees_per_slot;
    let members: Vec<ValidatorIndex> = committees
        .clone()
        .flat_map(|committee| shuffling.committee(slot, committee).unwrap_or_default())
        .map(|member| u64::from(*member))
        .collect();
    let data = AttestationData {
        slot,
        index: 0,
        beacon_block_root: if slot == SLOT { parent_root } else { state.block_roots[place_of(slot)] },
        source: state.current_justified_checkpoint,
        target: Checkpoint { epoch: EPOCH, root: state.block_roots[place_of(compute_start_slot_at_epoch(EPOCH))] },
    };
    let mut aggregation_bits = BitList::with_capacity(members.len()).expect("committees fit into the bits");
    (0..members.len()).for_each(|bit| aggregation_bits.set(bit, true).expect("within the bits"));
    let mut committee_bits = BitVector::new();
    committees.for_each(|bit| committee_bits.set(bit as usize, true).expect("within the bits"));
    let signature = sign(state, members, &data, DOMAIN_BEACON_ATTESTER);
    Ok(Attestation { aggregation_bits, data, signature, committee_bits })
}

fn sync_aggregate(state: &BeaconState, parent_root: Hash256) -> SyncAggregate {
    let mut sync_committee_bits = BitVector::new();
    (0..SYNC_COMMITTEE_SIZE).for_each(|bit| sync_committee_bits.set(bit, true).expect("within the bits"));
    let members = sync_members(state, CURRENT_SYNC);
    let sync_committee_signature = sign(state, members, &parent_root, DOMAIN_SYNC_COMMITTEE);
    SyncAggregate { sync_committee_bits, sync_committee_signature }
}

fn payload(state: &BeaconState, ctx: &Context) -> Result<ExecutionPayload, TransitionError> {
    let transaction = |index: u64| -> Transaction {
        let hashes = index * HASHES_PER_TRANSACTION..(index + 1) * HASHES_PER_TRANSACTION;
        let bytes: Vec<u8> = hashes.flat_map(|hash| random("tx", hash).0).collect();
        bytes.try_into().expect("512 bytes are not too many")
    };
    let transactions: Vec<_> = (0..TRANSACTIONS).map(transaction).collect();
    let withdrawals = get_expected_withdrawals(state)?.withdrawals;
    Ok(ExecutionPayload {
        parent_hash: state.latest_execution_payload_header.block_hash,
        fee_recipient: fee_recipient(),
        state_root: random("eh_state1", 0),
        receipts_root: random("eh_receipts1", 0),
        logs_bloom: logs_bloom(),
        prev_randao: get_randao_mix(state, EPOCH),
        block_number: 20_000_001,
        gas_limit: 36_000_000,
        gas_used: 18_000_000,
        timestamp: compute_time_at_slot(state, state.slot, ctx)?,
        extra_data: extra_data(),
        base_fee_per_gas: base_fee_per_gas(),
        block_hash: random("eh_block1", 0),
        transactions: transactions.try_into().expect("200 are not too many"),
        withdrawals: withdrawals.try_into().expect("no more than a payload holds"),
        blob_gas_used: 393_216,
        excess_blob_gas: 0,
    })
}

/// Commitments to nothing: the point at infinity.
fn commitments() -> BlobKZGCommitments {
    let mut infinity = KZGCommitment::ZERO;
    infinity[0] = 0xc0;
    vec![infinity; BLOBS].try_into().expect("three are not too many")
}

/// The joint signature of `validators`.
fn sign(
    state: &BeaconState,
    validators: impl IntoIterator<Item = ValidatorIndex>,
    object: &impl tree_hash::TreeHash,
    domain_type: DomainType,
) -> BLSSignature {
    let message = compute_signing_root(object, get_domain(state, domain_type, EPOCH));
    joint_secret_key(validators).sign(message).to_bytes()
}
