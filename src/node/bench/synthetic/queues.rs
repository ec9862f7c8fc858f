//! What waits in mainnet's queues.

use super::{mainnet::MAINNET_RECORDS, *};
use crate::crypto::{DOMAIN_DEPOSIT, compute_domain, compute_signing_root};

/// Lengths of the queues on mainnet; shorter ones in proportion.
const DEPOSITS: u64 = 40_000;
const CONSOLIDATIONS: u64 = 4_000;
const PARTIAL_WITHDRAWALS: u64 = 2_000;
/// Deposits at the front of which every other is of a new validator, with a true signature: as many as 64 epochs take.
const DEPOSITS_WITH_NEW: u64 = 1024;
/// Slots between deposits.
const SLOTS_PER_DEPOSIT: u64 = 8;
/// Of a churn of 294 ETH, as mainnet has it beside that of exits.
const CONSOLIDATIONS_PER_EPOCH: u64 = 9;
const WITHDRAWALS_PER_EPOCH: u64 = 8;
const WITHDRAWABILITY_DELAY: Epoch = 256;

/// Fills the queues of a state with a registry of `records`. Whoever consolidates is on its way out from then on.
pub fn fill(state: &mut BeaconState, records: u64) {
    let is_staying = |v: &Validator| v.activation_epoch <= EPOCH && v.exit_epoch == FAR_FUTURE_EPOCH;
    let (mut small, mut large) = (Vec::new(), Vec::new());
    for (index, validator) in state.validators.iter().enumerate().filter(|(_, validator)| is_staying(validator)) {
        match validator.withdrawal_credentials[0] {
            COMPOUNDING_WITHDRAWAL_PREFIX => large.push(index as u32),
            _ => small.push(index as u32),
        }
    }
    let in_proportion = |length: u64| length * records / MAINNET_RECORDS;
    fill_deposits(state, &small, in_proportion(DEPOSITS), records);
    // Without large validators there is nobody to consolidate with, nor to withdraw from.
    if !large.is_empty() {
        fill_consolidations(state, &small, &large, in_proportion(CONSOLIDATIONS));
        fill_withdrawals(state, &large, in_proportion(PARTIAL_WITHDRAWALS));
    }
}

/// Somebody of `candidates`, drawn for a place in a queue.
fn somebody(tag: &str, place: u64, candidates: &[u32]) -> usize {
    candidates[(number(random(tag, place)) % candidates.len() as u64) as usize] as usize
}

fn fill_deposits(state: &mut BeaconState, known: &[u32], count: u64, records: u64) {
    let finalized = compute_start_slot_at_epoch(state.finalized_checkpoint.epoch);
    let deposit = |place: u64| {
        let slot = finalized - (count - place) * SLOTS_PER_DEPOSIT;
        if place < DEPOSITS_WITH_NEW && place.is_multiple_of(2) {
            return new_validator(records + place / 2, slot);
        }
        let validator = somebody("deposit", place, known);
        PendingDeposit {
            pubkey: *state.validators.pubkey(validator),
            withdrawal_credentials: state.validators.withdrawal_credentials(validator),
            amount: EFFECTIVE_BALANCE_INCREMENT * (1 + place % 32),
            signature: unread_signature(place),
            slot,
        }
    };
    state.pending_deposits = (0..count).map(deposit).map(Hashed::new).collect();
}

/// The deposit of whoever will have `index`.
fn new_validator(index: ValidatorIndex, slot: Slot) -> PendingDeposit {
    let secret_key = joint_secret_key([index]);
    let pubkey = secret_key.public_key().to_compressed();
    let withdrawal_credentials = validator(pubkey, index).withdrawal_credentials;
    let message = DepositMessage { pubkey, withdrawal_credentials, amount: MIN_ACTIVATION_BALANCE };
    let domain = compute_domain(DOMAIN_DEPOSIT, Config::default().genesis_fork_version, Hash256::ZERO);
    let signature = secret_key.sign(compute_signing_root(&message, domain)).to_bytes();
    PendingDeposit { pubkey, withdrawal_credentials, amount: MIN_ACTIVATION_BALANCE, signature, slot }
}

/// Of a deposit to a known validator nobody looks at the signature.
fn unread_signature(place: u64) -> BLSSignature {
    let bytes = (3 * place..3 * place + 3).flat_map(|hash| random("deposit_signature", hash).0);
    BLSSignature::from_slice(&bytes.collect::<Vec<u8>>())
}

fn fill_consolidations(state: &mut BeaconState, sources: &[u32], targets: &[u32], count: u64) {
    let mut pending = Vec::new();
    for place in 0..count {
        let source = somebody("consolidation_source", place, sources);
        let target = somebody("consolidation_target", place, targets);
        if state.validators.exit_epoch(source) != FAR_FUTURE_EPOCH {
            continue; // drawn before
        }
        let withdrawable_epoch = EPOCH + 1 + place / CONSOLIDATIONS_PER_EPOCH;
        state.validators.update(source, |validator| {
            validator.withdrawable_epoch = withdrawable_epoch;
            validator.exit_epoch = withdrawable_epoch - WITHDRAWABILITY_DELAY;
        });
        pending.push(PendingConsolidation { source_index: source as u64, target_index: target as u64 });
    }
    let last_exit = EPOCH + 1 + count / CONSOLIDATIONS_PER_EPOCH - WITHDRAWABILITY_DELAY;
    state.earliest_consolidation_epoch = state.earliest_consolidation_epoch.max(last_exit);
    state.pending_consolidations = pending.into_iter().collect();
}

fn fill_withdrawals(state: &mut BeaconState, candidates: &[u32], count: u64) {
    let withdrawal = |place| PendingPartialWithdrawal {
        validator_index: somebody("partial_withdrawal", place, candidates) as u64,
        amount: EFFECTIVE_BALANCE_INCREMENT,
        withdrawable_epoch: EPOCH + place / WITHDRAWALS_PER_EPOCH,
    };
    state.pending_partial_withdrawals = (0..count).map(withdrawal).collect();
}

/// Makes the queues as full as an epoch's end can find them: as many deposits of new validators at once as it takes, before
/// mainnet's many, and everybody of `sources` consolidates at once with somebody of `known`.
pub fn crowd_queues(state: &mut BeaconState, sources: &[usize], known: &[usize]) {
    let (records, epoch) = (state.validators.len() as u64, state.current_epoch());
    let finalized = compute_start_slot_at_epoch(state.finalized_checkpoint.epoch);
    let new = (0..MAX_PENDING_DEPOSITS_PER_EPOCH).map(|place| new_validator(records + place, finalized));
    let known: Vec<u32> = known.iter().map(|index| *index as u32).collect();
    let new: Vec<_> = new.map(Hashed::new).collect();
    fill_deposits(state, &known, DEPOSITS, records);
    state.pending_deposits = new.into_iter().chain(state.pending_deposits.iter().cloned()).collect();
    state.deposit_balance_to_consume = MAX_PENDING_DEPOSITS_PER_EPOCH * MIN_ACTIVATION_BALANCE;
    for source in sources {
        state.validators.update(*source, |validator| {
            validator.exit_epoch = epoch - WITHDRAWABILITY_DELAY;
            validator.withdrawable_epoch = epoch;
        });
    }
    let target = |place| somebody("consolidation_target", place, &known) as u64;
    let pending = sources
        .iter()
        .zip(0..)
        .map(|(source, place)| PendingConsolidation { source_index: *source as u64, target_index: target(place) });
    state.pending_consolidations = pending.collect();
}
