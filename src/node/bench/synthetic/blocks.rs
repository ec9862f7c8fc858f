//! Blocks on a synthetic state, and on the states after them, with all their signatures.

use ssz_types::{BitList, BitVector};
use tree_hash::TreeHash as _;

use super::*;
use crate::{
    crypto::{
        DOMAIN_BEACON_ATTESTER, DOMAIN_BEACON_PROPOSER, DOMAIN_RANDAO, DOMAIN_SYNC_COMMITTEE, compute_signing_root,
    },
    transition::{
        Context, SignatureCollector, compute_time_at_slot, get_block_root, get_block_root_at_slot, get_domain,
        get_expected_withdrawals, get_randao_mix, get_shuffling, get_sync_committee_indices, process_block,
        process_slots,
    },
};

const TRANSACTIONS: u64 = 200;
/// Hashes that a transaction of 512 bytes is made of.
const HASHES_PER_TRANSACTION: u64 = 16;
/// Slots of the first block on a synthetic state before which no block has a number.
const FIRST_SLOT: Slot = SLOT + 1;

/// What a block brings.
#[derive(Clone, Copy, Debug)]
pub struct Contents {
    /// Slots before the block's whose votes it brings, an aggregate each; a block has room for eight.
    pub voted_slots: u64,
    /// Of a thousand attesters and of a thousand members of the sync committee, how many do not take part: others in each
    /// slot.
    pub absent_per_mille: u64,
    /// Committees of each slot from which nobody votes.
    pub missing_committees: u64,
    /// Commitments to empty blobs.
    pub blobs: usize,
    /// Tells blocks of one slot apart, for forks.
    pub branch: u64,
}

impl Contents {
    /// Everybody's votes, of as many slots as there is room for, and three blobs: what other clients were measured with.
    pub const FULL: Contents =
        Contents { voted_slots: SLOTS_TO_ATTEST, absent_per_mille: 0, missing_committees: 0, blobs: 3, branch: 0 };
    /// The same with the votes of the slot before only.
    pub const SMALL: Contents = Contents { voted_slots: 1, ..Contents::FULL };
    /// A full block as mainnet has them: 98.5% take part.
    pub const MAINNET: Contents = Contents { absent_per_mille: 15, ..Contents::FULL };
    /// The same, and a committee of each slot is missing.
    pub const MISSING_COMMITTEE: Contents = Contents { missing_committees: 1, ..Contents::MAINNET };

    fn is_absent(&self, tag: &str, slot: Slot, index: u32) -> bool {
        self.absent_per_mille > 0 && number(random(tag, slot << 32 | u64::from(index))) % 1000 < self.absent_per_mille
    }
}

/// A block of `slot` on `parent`, which is a synthetic state or one after such a block, and the state after it, hashed. It
/// is valid with all its signatures, as long as no deposit brings a key that is not ours.
///
/// # Errors
/// When it would not be valid: the slot is not after the parent's, or the slot's proposer was slashed.
pub fn block(
    parent: &BeaconState,
    slot: Slot,
    contents: &Contents,
    ctx: &Context,
) -> Result<(SignedBeaconBlock, BeaconState), TransitionError> {
    let mut state = parent.clone();
    process_slots(&mut state, slot, ctx)?;
    let epoch = state.current_epoch();
    let parent_root = state.latest_block_header.tree_hash_root();
    let proposer_index = state.proposer_lookahead[(slot % SLOTS_PER_EPOCH) as usize];
    let mut attestations = Vec::new();
    for back in 1..=contents.voted_slots.min(SLOTS_TO_ATTEST) {
        attestations.extend(attestation(&mut state, slot - back, contents)?);
    }
    let body = BeaconBlockBody {
        randao_reveal: sign(&state, [proposer_index], &epoch, DOMAIN_RANDAO, epoch),
        eth1_data: state.eth1_data,
        graffiti: Hash256::repeat_byte(0x42),
        attestations,
        sync_aggregate: sync_aggregate(&mut state, parent_root, contents)?,
        execution_payload: payload(&state, contents, ctx)?,
        blob_kzg_commitments: commitments(contents.blobs),
        ..BeaconBlockBody::empty(ForkName::Fulu)
    };
    let mut message = BeaconBlock { slot, proposer_index, parent_root, state_root: Hash256::ZERO, body };
    process_block(&mut state, &message, ctx, &mut SignatureCollector::new(false))?;
    message.state_root = state.hash_tree_root();
    let signature = sign(&state, [proposer_index], &message.tree_hash_root(), DOMAIN_BEACON_PROPOSER, epoch);
    Ok((SignedBeaconBlock { message, signature }, state))
}

/// The committees of a slot vote for the block roots that the state has; none when nobody is present.
fn attestation(
    state: &mut BeaconState,
    slot: Slot,
    contents: &Contents,
) -> Result<Option<Attestation>, TransitionError> {
    let epoch = compute_epoch_at_slot(slot);
    let shuffling = get_shuffling(state, epoch)?;
    let is_present = |member: &u32| !contents.is_absent("absent", slot, *member);
    let mut committee_bits = BitVector::new();
    let (mut bits, mut voters) = (Vec::new(), Vec::new());
    for number in contents.missing_committees..shuffling.committees_per_slot {
        let committee = shuffling.committee(slot, number).unwrap_or_default();
        let before = voters.len();
        voters.extend(committee.iter().copied().filter(is_present).map(u64::from));
        // A committee of which nobody votes may not be named.
        if voters.len() > before {
            bits.extend(committee.iter().map(is_present));
            committee_bits.set(number as usize, true).expect("within the bits");
        }
    }
    if voters.is_empty() {
        return Ok(None);
    }
    let mut aggregation_bits = BitList::with_capacity(bits.len()).expect("committees fit into the bits");
    bits.iter().enumerate().for_each(|(at, bit)| aggregation_bits.set(at, *bit).expect("within the bits"));
    let is_current = epoch == state.current_epoch();
    let data = AttestationData {
        slot,
        index: 0,
        beacon_block_root: get_block_root_at_slot(state, slot)?,
        source: if is_current { state.current_justified_checkpoint } else { state.previous_justified_checkpoint },
        target: Checkpoint { epoch, root: get_block_root(state, epoch)? },
    };
    let signature = sign(state, voters, &data, DOMAIN_BEACON_ATTESTER, epoch);
    Ok(Some(Attestation { aggregation_bits, data, signature, committee_bits }))
}

fn sync_aggregate(
    state: &mut BeaconState,
    parent_root: Hash256,
    contents: &Contents,
) -> Result<SyncAggregate, TransitionError> {
    let slot = state.slot - 1;
    let mut sync_committee_bits = BitVector::new();
    let mut present = Vec::new();
    for (place, member) in get_sync_committee_indices(state)?.iter().enumerate() {
        if !contents.is_absent("absent from sync", slot, *member) {
            sync_committee_bits.set(place, true).expect("within the bits");
            present.push(u64::from(*member));
        }
    }
    let epoch = compute_epoch_at_slot(slot);
    let sync_committee_signature = match present.is_empty() {
        true => G2_POINT_AT_INFINITY,
        false => sign(state, present, &parent_root, DOMAIN_SYNC_COMMITTEE, epoch),
    };
    Ok(SyncAggregate { sync_committee_bits, sync_committee_signature })
}

fn payload(state: &BeaconState, contents: &Contents, ctx: &Context) -> Result<ExecutionPayload, TransitionError> {
    let parent = &state.latest_execution_payload_header;
    // Zero for the block that others were measured with; another for each slot and branch.
    let number = (state.slot - FIRST_SLOT) | contents.branch << 32;
    let transaction = |index: u64| -> Transaction {
        let hashes = index * HASHES_PER_TRANSACTION..(index + 1) * HASHES_PER_TRANSACTION;
        let bytes: Vec<u8> = hashes.flat_map(|hash| random("tx", hash).0).collect();
        bytes.try_into().expect("512 bytes are not too many")
    };
    let transactions: Vec<_> = (0..TRANSACTIONS).map(transaction).collect();
    let withdrawals = get_expected_withdrawals(state)?.withdrawals;
    Ok(ExecutionPayload {
        parent_hash: parent.block_hash,
        fee_recipient: fee_recipient(),
        state_root: random("eh_state1", number),
        receipts_root: random("eh_receipts1", number),
        logs_bloom: logs_bloom(),
        prev_randao: get_randao_mix(state, state.current_epoch()),
        block_number: parent.block_number + 1,
        gas_limit: 36_000_000,
        gas_used: 18_000_000,
        timestamp: compute_time_at_slot(state, state.slot, ctx)?,
        extra_data: extra_data(),
        base_fee_per_gas: base_fee_per_gas(),
        block_hash: random("eh_block1", number),
        transactions: transactions.try_into().expect("200 are not too many"),
        withdrawals: withdrawals.try_into().expect("no more than a payload holds"),
        blob_gas_used: 393_216,
        excess_blob_gas: 0,
    })
}

/// Commitments to nothing: the point at infinity.
fn commitments(blobs: usize) -> BlobKZGCommitments {
    let mut infinity = KZGCommitment::ZERO;
    infinity[0] = 0xc0;
    vec![infinity; blobs].try_into().expect("no more than a block may have")
}

/// The joint signature of `validators`.
fn sign(
    state: &BeaconState,
    validators: impl IntoIterator<Item = ValidatorIndex>,
    object: &impl tree_hash::TreeHash,
    domain_type: DomainType,
    epoch: Epoch,
) -> BLSSignature {
    let message = compute_signing_root(object, get_domain(state, domain_type, epoch));
    joint_secret_key(validators).sign(message).to_bytes()
}
