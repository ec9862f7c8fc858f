//! A registry like mainnet's: 2.3 million records, most of the older ones of validators who have left.
//!
//! Who left did so in runs, as operators do: an exited record's neighbours have mostly exited too. The proportions hold at any
//! size, so that a small registry tests what a large one is measured with.

use super::*;

/// Records in mainnet's registry; 0.95 million of them are of active validators.
pub const MAINNET_RECORDS: u64 = 2_300_000;

/// Records of one operator, who comes and goes with all of them.
const RUN: u64 = 200;
/// Of a thousand operators, how many have left: of the oldest, and fewer of younger ones.
const OLDEST_GONE_PER_MILLE: u64 = 953;
const YOUNGER_STAY_PER_MILLE: u64 = 720;
/// Of a thousand records, how many do not do as their operator.
const ODD_PER_MILLE: u64 = 30;
/// Of a million who left, how many were slashed.
const SLASHED_PER_MILLION: u64 = 300;
/// Of a million who stayed, how many are on their way out, spread over the epochs below: eight an epoch, as the churn allows.
const LEAVING_PER_MILLION: u64 = 10_000;
const LEAVING_SINCE: Epoch = 288;
const LEAVING_EPOCHS: u64 = 1200;
/// Of a million who stayed, how many have credentials 0x02, and how many of these are full.
const COMPOUNDING_PER_MILLION: u64 = 6_500;
const FULL_PER_MILLION: u64 = 400_000;
/// Of a million who stayed, how many still have credentials 0x00.
const BLS_CREDENTIALS_PER_MILLION: u64 = 10_000;
/// Records at the end that are not active yet.
const AWAITING: u64 = 48;
/// Epochs after which the sweep has emptied a balance that may be withdrawn.
const SWEEP: Epoch = 64;
const WITHDRAWABILITY_DELAY: Epoch = 256;
/// Nobody left earlier than this after activation.
const SHORTEST_LIFE: Epoch = 256;
/// Of a thousand active validators, how many did not vote in the last epoch, and how many more were late for the head.
const ABSENT_PER_MILLE: u64 = 15;
const LATE_PER_MILLE: u64 = 7;
/// Source and target, but not head.
const LATE_PARTICIPATION: ParticipationFlags = 3;

/// The state of a registry of `records` in mainnet's proportions, [`MAINNET_RECORDS`] on mainnet: active validators are 41%
/// of them. With queues of deposits, consolidations and withdrawals as long in proportion, 98.5% participation and no leak.
///
/// Needs little more memory than the state has.
///
/// # Errors
/// When there are too few for committees and proposers.
pub fn mainnet_state(records: u64) -> Result<BeaconState, TransitionError> {
    let mut state = empty_state(records);
    state.validators = keys(records).zip(0..).map(|(pubkey, index)| record(pubkey, index, records)).collect();
    state.balances = state.validators.iter().zip(0..).map(|(validator, index)| balance(&validator, index)).collect();
    queues::fill(&mut state, records);
    let flags = state.validators.iter().zip(0..).map(|(validator, index)| participation(&validator, index)).collect();
    state.previous_epoch_participation = flags;
    note_slashings(&mut state);
    assign_duties(&mut state)?;
    Ok(state)
}

/// What chance gives to a record: the credentials' address, and three numbers.
struct Draw(Hash256);

impl Draw {
    fn number(&self, which: usize) -> u64 {
        let bytes = &self.0[20 + 4 * which..24 + 4 * which];
        u64::from(u32::from_le_bytes(bytes.try_into().expect("four bytes")))
    }

    /// True for so many of a million.
    fn is_one_of(&self, which: usize, per_million: u64) -> bool {
        self.number(which) % 1_000_000 < per_million
    }
}

fn record(pubkey: BLSPubkey, index: u64, records: u64) -> Validator {
    let draw = Draw(random("record", index));
    let mut credentials = Hash256::ZERO;
    credentials[0] = ETH1_ADDRESS_WITHDRAWAL_PREFIX;
    credentials[12..].copy_from_slice(&draw.0[..20]);
    // Of the age that goes with the index.
    let activation_epoch = index * (EPOCH - 1000) / records;
    let validator = Validator {
        pubkey,
        withdrawal_credentials: credentials,
        effective_balance: MIN_ACTIVATION_BALANCE,
        slashed: false,
        activation_eligibility_epoch: activation_epoch.saturating_sub(8),
        activation_epoch,
        exit_epoch: FAR_FUTURE_EPOCH,
        withdrawable_epoch: FAR_FUTURE_EPOCH,
    };
    if index + AWAITING >= records {
        return awaiting(validator, records - 1 - index);
    }
    let operator = random("operator", index / RUN);
    let gone_per_mille = OLDEST_GONE_PER_MILLE - YOUNGER_STAY_PER_MILLE * index / records;
    let is_gone = number(operator) % 1000 < gone_per_mille;
    if is_gone != draw.is_one_of(0, ODD_PER_MILLE * 1000) {
        gone(validator, if is_gone { operator } else { draw.0 }, index, &draw)
    } else {
        staying(validator, &draw)
    }
}

/// Somebody who left `life` hashes after activation, with its neighbours at eight an epoch.
fn gone(mut validator: Validator, life: Hash256, index: u64, draw: &Draw) -> Validator {
    let first = validator.activation_epoch + SHORTEST_LIFE;
    let last = EPOCH - LEAVING_SINCE - RUN;
    validator.exit_epoch = first + number(life).rotate_left(32) % (last - first) + index % RUN / 8;
    validator.slashed = draw.is_one_of(1, SLASHED_PER_MILLION);
    let delay = if validator.slashed { EPOCHS_PER_SLASHINGS_VECTOR as u64 } else { WITHDRAWABILITY_DELAY };
    validator.withdrawable_epoch = validator.exit_epoch + delay;
    validator.effective_balance = match is_emptied(&validator) {
        true => 0,
        false => MIN_ACTIVATION_BALANCE - EFFECTIVE_BALANCE_INCREMENT,
    };
    validator
}

fn staying(mut validator: Validator, draw: &Draw) -> Validator {
    if draw.is_one_of(1, LEAVING_PER_MILLION) {
        validator.exit_epoch = EPOCH - LEAVING_SINCE + draw.number(2) % LEAVING_EPOCHS;
        validator.withdrawable_epoch = validator.exit_epoch + WITHDRAWABILITY_DELAY;
    } else if draw.is_one_of(1, LEAVING_PER_MILLION + COMPOUNDING_PER_MILLION) {
        validator.withdrawal_credentials[0] = COMPOUNDING_WITHDRAWAL_PREFIX;
        let most = MAX_EFFECTIVE_BALANCE_ELECTRA / EFFECTIVE_BALANCE_INCREMENT;
        let least = MIN_ACTIVATION_BALANCE / EFFECTIVE_BALANCE_INCREMENT;
        let is_full = draw.is_one_of(0, FULL_PER_MILLION);
        let increments = if is_full { most } else { least + draw.number(2) % (most - least) };
        validator.effective_balance = increments * EFFECTIVE_BALANCE_INCREMENT;
    } else if draw.is_one_of(1, LEAVING_PER_MILLION + COMPOUNDING_PER_MILLION + BLS_CREDENTIALS_PER_MILLION) {
        validator.withdrawal_credentials = random("bls_credentials", number(draw.0));
        validator.withdrawal_credentials[0] = BLS_WITHDRAWAL_PREFIX;
    }
    validator
}

/// Somebody at the registry's end, `from_end` before the last: just deposited, eligible, or with a date.
fn awaiting(validator: Validator, from_end: u64) -> Validator {
    let (activation_eligibility_epoch, activation_epoch) = match from_end {
        0..16 => (FAR_FUTURE_EPOCH, FAR_FUTURE_EPOCH),
        16..32 => (EPOCH - 1, FAR_FUTURE_EPOCH),
        _ => (EPOCH - 5, EPOCH + 1 + from_end % 4),
    };
    Validator { activation_eligibility_epoch, activation_epoch, ..validator }
}

fn is_emptied(validator: &Validator) -> bool {
    validator.withdrawable_epoch.saturating_add(SWEEP) <= EPOCH
}

fn balance(validator: &Validator, index: u64) -> Gwei {
    if is_emptied(validator) {
        return 0;
    }
    validator.effective_balance + number(random("balance", index)) % 50_000_000
}

fn participation(validator: &Validator, index: u64) -> ParticipationFlags {
    if validator.activation_epoch >= EPOCH || validator.exit_epoch < EPOCH {
        return 0;
    }
    match number(random("participation", index)) % 1000 {
        0..ABSENT_PER_MILLE => 0,
        luck if luck < ABSENT_PER_MILLE + LATE_PER_MILLE => LATE_PARTICIPATION,
        _ => FULL_PARTICIPATION,
    }
}

/// What was slashed lately, by epoch.
fn note_slashings(state: &mut BeaconState) {
    let window = EPOCHS_PER_SLASHINGS_VECTOR as u64;
    let slashed: Vec<_> = state.validators.iter().filter(|v| v.slashed && v.withdrawable_epoch > EPOCH).collect();
    for validator in slashed {
        let epoch = ((validator.withdrawable_epoch - window) % window) as usize;
        state.slashings.set(epoch, state.slashings[epoch] + validator.effective_balance);
    }
}
