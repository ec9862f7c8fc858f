//! A state of any size in mainnet's shape, and blocks on it, made from nothing but hashes of names and numbers.
//!
//! In the mainnet preset these are byte by byte what other clients were measured with, so that results can be laid side by
//! side. Validator `i` has the secret key `i + 1`, so that the joint signature of many is one signature with their sum.
//!
//! [`state`] makes a registry in which everybody is active and alike, [`mainnet_state`] one like mainnet's, with those who have
//! left, large balances and queues. [`block`] makes a block on either, and on the states after that.

mod blocks;
mod mainnet;
mod queues;

use ethereum_hashing::hash;

pub use blocks::{Contents, block};
pub use mainnet::{MAINNET_RECORDS, mainnet_state};
pub use queues::crowd_queues;

use crate::{
    crypto::{AggregatePublicKey, SecretKey},
    ssz::Column,
    transition::{TransitionError, find_shuffling, get_active_validator_indices, initialize_proposer_lookahead},
    types::{preset::*, *},
};

/// The epoch of the state; Fulu is in force since 411,392.
const EPOCH: Epoch = 420_000;
const FULU_EPOCH: Epoch = 411_392;
const GENESIS_TIME: u64 = 1_606_824_023;
const SECONDS_PER_SLOT: u64 = 12;
/// Slots before the block's whose votes it brings; never more than a block has room for.
const SLOTS_TO_ATTEST: u64 = if SLOTS_PER_EPOCH > 8 { 8 } else { SLOTS_PER_EPOCH - 1 };
/// The one before the epoch's last slot, in which the block comes.
const SLOT: Slot = EPOCH * SLOTS_PER_EPOCH + SLOTS_PER_EPOCH - 2;
const HISTORICAL_ROOTS: u64 = 758;
const NEXT_WITHDRAWAL_INDEX: u64 = 40_000_000;
/// All three flags.
const FULL_PARTICIPATION: ParticipationFlags = 7;
/// Keys that are brought to affine form together.
const KEY_BATCH: u64 = 8192;

/// The state of `validators` active validators, all of whom take part.
///
/// # Errors
/// When there are too few for committees and proposers.
pub fn state(validators: u64) -> Result<BeaconState, TransitionError> {
    let mut state = empty_state(validators);
    state.validators = keys(validators).zip(0..).map(|(pubkey, index)| validator(pubkey, index)).collect();
    state.balances = (0..validators).map(balance).collect();
    state.previous_epoch_participation = Column::filled(FULL_PARTICIPATION, validators as usize);
    assign_duties(&mut state)?;
    Ok(state)
}

/// What follows from the registry: who has voted so far, proposes, and is in the sync committees.
fn assign_duties(state: &mut BeaconState) -> Result<(), TransitionError> {
    state.inactivity_scores = Column::filled(0, state.validators.len());
    state.current_epoch_participation = participation_so_far(state)?;
    let active = get_active_validator_indices(state, EPOCH);
    state.current_sync_committee = Hashed::new(sync_committee(state, &active, "current_sync"));
    state.next_sync_committee = Hashed::new(sync_committee(state, &active, "next_sync"));
    state.proposer_lookahead = initialize_proposer_lookahead(state)?;
    state.latest_block_header.proposer_index = state.proposer_lookahead[(SLOT % SLOTS_PER_EPOCH) as usize];
    Ok(())
}

/// All that does not depend on who the validators are.
fn empty_state(validators: u64) -> BeaconState {
    let roots = |tag, count: usize| (0..count as u64).map(|index| random(tag, index)).collect::<Column<_>>();
    let block_roots = roots("block_root", SLOTS_PER_HISTORICAL_ROOT);
    let checkpoint = |epoch| Checkpoint { epoch, root: block_roots[place_of(compute_start_slot_at_epoch(epoch))] };
    let votes = SLOT % (EPOCHS_PER_ETH1_VOTING_PERIOD * SLOTS_PER_EPOCH) + 1;
    let eth1_data = eth1_data(validators);
    let summaries = SLOT / SLOTS_PER_HISTORICAL_ROOT as u64 - HISTORICAL_ROOTS;
    let mut justification_bits = JustificationBits::new();
    (0..JUSTIFICATION_BITS_LENGTH).for_each(|bit| justification_bits.set(bit, true).expect("within the bits"));
    BeaconState {
        fork_name: ForkName::Fulu,
        genesis_time: GENESIS_TIME,
        genesis_validators_root: random("genesis_validators_root", 0),
        slot: SLOT,
        fork: Fork {
            previous_version: Version::new([5, 0, 0, 0]),
            current_version: Version::new([6, 0, 0, 0]),
            epoch: FULU_EPOCH,
        },
        latest_block_header: BeaconBlockHeader {
            slot: SLOT,
            parent_root: random("parent_root", 0),
            body_root: random("body_root", 0),
            ..Default::default()
        },
        previous_justified_checkpoint: checkpoint(EPOCH - 2),
        current_justified_checkpoint: checkpoint(EPOCH - 1),
        finalized_checkpoint: checkpoint(EPOCH - 2),
        justification_bits,
        block_roots,
        state_roots: roots("state_root", SLOTS_PER_HISTORICAL_ROOT),
        historical_roots: roots("historical_root", HISTORICAL_ROOTS as usize),
        eth1_data,
        eth1_data_votes: Column::filled(eth1_data, votes as usize),
        eth1_deposit_index: validators,
        randao_mixes: roots("randao_mix", EPOCHS_PER_HISTORICAL_VECTOR),
        slashings: Column::filled(0, EPOCHS_PER_SLASHINGS_VECTOR),
        latest_execution_payload_header: payload_header(),
        next_withdrawal_index: NEXT_WITHDRAWAL_INDEX,
        next_withdrawal_validator_index: (validators / 8 + 456) % validators.max(1),
        historical_summaries: (0..summaries).map(summary).collect(),
        deposit_requests_start_index: validators,
        earliest_exit_epoch: EPOCH + 5,
        earliest_consolidation_epoch: EPOCH + 5,
        ..Default::default()
    }
}

fn eth1_data(validators: u64) -> Eth1Data {
    let (deposit_root, block_hash) = (random("deposit_root", 0), random("eth1_block", 0));
    Eth1Data { deposit_root, deposit_count: validators, block_hash }
}

fn summary(index: u64) -> HistoricalSummary {
    let (block_summary_root, state_summary_root) = (random("hs_block", index), random("hs_state", index));
    HistoricalSummary { block_summary_root, state_summary_root }
}

fn payload_header() -> ExecutionPayloadHeader {
    ExecutionPayloadHeader {
        parent_hash: random("eh_parent", 0),
        fee_recipient: fee_recipient(),
        state_root: random("eh_state", 0),
        receipts_root: random("eh_receipts", 0),
        logs_bloom: logs_bloom(),
        prev_randao: random("eh_randao", 0),
        block_number: 20_000_000,
        gas_limit: 36_000_000,
        gas_used: 18_000_000,
        timestamp: GENESIS_TIME + SECONDS_PER_SLOT * SLOT,
        extra_data: extra_data(),
        base_fee_per_gas: base_fee_per_gas(),
        block_hash: random("eh_block", 0),
        transactions_root: random("eh_txs", 0),
        withdrawals_root: random("eh_withdrawals", 0),
        blob_gas_used: 393_216,
        excess_blob_gas: 0,
    }
}

fn fee_recipient() -> Address {
    Address::from_slice(&random("fee_recipient", 0)[..20])
}

fn logs_bloom() -> ssz_types::FixedVector<u8, typenum::U256> {
    let bytes: Vec<u8> = (0..8).flat_map(|index| random("logs_bloom", index).0).collect();
    bytes.try_into().expect("8 times 32 bytes are 256")
}

fn extra_data() -> ssz_types::VariableList<u8, typenum::U32> {
    b"synthetic".to_vec().try_into().expect("nine bytes are not too many")
}

fn base_fee_per_gas() -> U256 {
    U256::from(10_000_000_000_u64)
}

fn validator(pubkey: BLSPubkey, index: u64) -> Validator {
    let mut withdrawal_credentials = Hash256::ZERO;
    withdrawal_credentials[0] = ETH1_ADDRESS_WITHDRAWAL_PREFIX;
    withdrawal_credentials[12..].copy_from_slice(&random("withdrawal", index)[..20]);
    Validator {
        pubkey,
        withdrawal_credentials,
        effective_balance: MIN_ACTIVATION_BALANCE,
        slashed: false,
        activation_eligibility_epoch: GENESIS_EPOCH,
        activation_epoch: GENESIS_EPOCH,
        exit_epoch: FAR_FUTURE_EPOCH,
        withdrawable_epoch: FAR_FUTURE_EPOCH,
    }
}

fn balance(index: u64) -> Gwei {
    MIN_ACTIVATION_BALANCE + number(random("balance", index)) % 50_000_000
}

/// Who took part in the epoch before has done so again, but for those whose slots' votes are still to come.
fn participation_so_far(state: &BeaconState) -> Result<Column<ParticipationFlags>, TransitionError> {
    let shuffling = find_shuffling(state, EPOCH)?;
    let mut participation: Vec<_> = state.previous_epoch_participation.iter().copied().collect();
    for slot in SLOT + 1 - SLOTS_TO_ATTEST..compute_start_slot_at_epoch(EPOCH + 1) {
        for committee in 0..shuffling.committees_per_slot {
            let members = shuffling.committee(slot, committee).unwrap_or_default();
            members.iter().for_each(|member| participation[*member as usize] = 0);
        }
    }
    Ok(participation.into_iter().collect())
}

fn sync_committee(state: &BeaconState, active: &[u32], tag: &str) -> SyncCommittee {
    let member = |place| u64::from(active[(number(random(tag, place)) % active.len() as u64) as usize]);
    let members: Vec<u64> = (0..SYNC_COMMITTEE_SIZE as u64).map(member).collect();
    let pubkeys: Vec<_> = members.iter().map(|member| *state.validators.pubkey(*member as usize)).collect();
    SyncCommittee {
        pubkeys: pubkeys.try_into().expect("as many as a committee has"),
        aggregate_pubkey: joint_secret_key(members).public_key().to_compressed(),
    }
}

/// The keys of validators 0, 1, 2, ...: the generator, and the generator added again and again.
fn keys(count: u64) -> impl Iterator<Item = BLSPubkey> {
    let generator = joint_secret_key([0]).public_key();
    let mut sum = AggregatePublicKey::from_keys([]);
    (0..count).step_by(KEY_BATCH as usize).flat_map(move |first| {
        let batch = first..count.min(first + KEY_BATCH);
        let sums: Vec<_> = batch
            .map(|_| {
                sum.add(&generator);
                sum
            })
            .collect();
        AggregatePublicKey::to_public_keys(&sums).into_iter().map(|key| key.to_compressed())
    })
}

/// The sum of validators' secret keys, with which all of them sign at once.
fn joint_secret_key(validators: impl IntoIterator<Item = ValidatorIndex>) -> SecretKey {
    let sum: u128 = validators.into_iter().map(|index| u128::from(index) + 1).sum();
    let mut bytes = [0; 32];
    bytes[16..].copy_from_slice(&sum.to_be_bytes());
    SecretKey::from_bytes(&bytes).expect("a sum of at least one, far below the group's order")
}

/// The only source of randomness: the hash of a name and a number.
fn random(tag: &str, index: u64) -> Hash256 {
    let mut bytes = tag.as_bytes().to_vec();
    bytes.extend_from_slice(&index.to_le_bytes());
    Hash256::from_slice(&hash(&bytes))
}

fn number(hash: Hash256) -> u64 {
    u64::from_le_bytes(hash[..8].try_into().expect("eight bytes"))
}

/// A slot's place among the block roots.
fn place_of(slot: Slot) -> usize {
    (slot % SLOTS_PER_HISTORICAL_ROOT as u64) as usize
}
