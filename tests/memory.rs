//! What states cost in memory, as the allocator counts it: sizes, never times.
//!
//! One test only, and so one thread that allocates: the counts are exact and come out the same every time.

use hornero::{
    ssz::{CHUNK, Column},
    types::{preset::*, *},
};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const VALIDATORS: usize = 40_000;
const DEPOSITS: u64 = 300;
const LIMIT: u64 = VALIDATOR_REGISTRY_LIMIT;
/// What a registry does not count: the places of its index of keys, which was never asked for.
const EMPTY_INDEX: usize = 120;

#[test]
fn memory_is_what_the_state_says_and_no_more() {
    // What is made once and stays, so that it counts for nothing below.
    state().hash_tree_root();
    let before = MEMORY.current_usage();
    a_column_costs_its_items_and_little_more();
    an_equal_column_costs_next_to_nothing();
    a_registry_costs_its_bytes();
    exited_validators_cost_their_bytes();
    states();
    assert_eq!(MEMORY.current_usage(), before, "all was given back");
}

/// What `make` makes, and the bytes that it left allocated.
fn costs<T>(make: impl FnOnce() -> T) -> (T, usize) {
    let before = MEMORY.current_usage();
    let made = make();
    (made, MEMORY.current_usage() - before)
}

fn a_column_costs_its_items_and_little_more() {
    let (mut column, items) = costs(|| (0..VALIDATORS as u64).collect::<Column<u64>>());
    let (_, hashes) = costs(|| column.list_root(LIMIT));
    assert_eq!(column.bytes_beside(&Column::default()), items + hashes);
    // Beside 8 bytes an item: of each piece of 128 two counters and a place in the table, which grows by doubling; and the
    // heads of three tables, those of the hashes being empty still.
    let pieces = VALIDATORS.div_ceil(CHUNK);
    assert_eq!(items, VALIDATORS * 8 + pieces * 16 + pieces.next_power_of_two() * 16 + 3 * 40);
    assert!(hashes < pieces * 32 + 1_000, "{hashes}");

    let (mut copy, shared) = costs(|| column.clone());
    assert_eq!(shared, 0);
    let (_, one) = costs(|| {
        copy.set(7, u64::MAX);
        copy.list_root(LIMIT)
    });
    assert_eq!(copy.bytes_beside(&column), one);
    let piece_table_hashes =
        (CHUNK * 8 + 16) + (40 + pieces * 16) + (CHUNK * 32 + 16) + 2 * 40 + 2 * 3 * 16 + 3 * 32 + 16;
    assert!(one <= piece_table_hashes, "{one} of {piece_table_hashes}");
    let (_, untouched) = costs(|| copy.clone().list_root(LIMIT));
    assert_eq!(untouched, 0);
}

fn an_equal_column_costs_next_to_nothing() {
    // A piece of zeros, a piece of hashes, and the tables.
    let (column, bytes) = costs(|| {
        let mut column = Column::filled(0u64, VALIDATORS);
        column.list_root(LIMIT);
        column
    });
    assert_eq!(column.bytes_beside(&Column::default()), bytes);
    assert!(bytes < VALIDATORS / 2, "{bytes}: {VALIDATORS} zeros in {} bytes", VALIDATORS * 8);
}

fn validator(index: usize) -> Validator {
    let mut pubkey = [0; 48];
    pubkey[40..].copy_from_slice(&(index as u64).to_be_bytes());
    Validator {
        pubkey: pubkey.into(),
        withdrawal_credentials: Hash256::right_padding_from(&(index as u64).to_le_bytes()),
        effective_balance: 32 * EFFECTIVE_BALANCE_INCREMENT,
        slashed: false,
        activation_eligibility_epoch: index as u64 / 16,
        activation_epoch: index as u64 / 16 + 5,
        exit_epoch: FAR_FUTURE_EPOCH,
        withdrawable_epoch: FAR_FUTURE_EPOCH,
    }
}

fn exited(index: usize) -> Validator {
    let exit_epoch = 100_000 + index as u64 / 16;
    Validator { effective_balance: 0, exit_epoch, withdrawable_epoch: exit_epoch + 256, ..validator(index) }
}

fn registry(validator: impl Fn(usize) -> Validator) -> (Validators, usize) {
    costs(|| {
        let mut validators: Validators = (0..VALIDATORS).map(validator).collect();
        validators.hash_tree_root();
        validators
    })
}

fn a_registry_costs_its_bytes() {
    let (mut validators, bytes) = registry(validator);
    assert_eq!(validators.bytes_beside(&Validators::default()) + EMPTY_INDEX, bytes);
    // A key, credentials, two epochs, and of eight records a hash; what is the same for all costs nothing.
    let each = bytes as f64 / VALIDATORS as f64;
    assert!((92.0..96.0).contains(&each), "{each} bytes a validator");

    let before = validators.clone();
    let (_, one) = costs(|| {
        validators.update(9, |validator| validator.exit_epoch = 77);
        validators.hash_tree_root()
    });
    assert_eq!(validators.bytes_beside(&before), one);
    assert!(one < 10_000, "{one}: pieces of epochs and of hashes, and their tables");
}

fn exited_validators_cost_their_bytes() {
    let (validators, bytes) = registry(exited);
    assert_eq!(validators.bytes_beside(&Validators::default()) + EMPTY_INDEX, bytes);
    let each = bytes as f64 / VALIDATORS as f64;
    assert!((100.0..104.0).contains(&each), "{each} bytes a validator: two more epochs that differ");
}

fn deposit(slot: u64) -> Hashed<PendingDeposit> {
    let Validator { pubkey, withdrawal_credentials, .. } = validator(slot as usize);
    let signature = BLSSignature::default();
    Hashed::new(PendingDeposit { pubkey, withdrawal_credentials, amount: 32_000_000_000, signature, slot })
}

/// A state of mainnet's kind: all fields as long as they are there, but for the number of validators.
fn state() -> BeaconState {
    let hashes = |count: usize| (0..count).map(|n| Hash256::right_padding_from(&n.to_le_bytes())).collect();
    BeaconState {
        block_roots: hashes(SLOTS_PER_HISTORICAL_ROOT),
        state_roots: hashes(SLOTS_PER_HISTORICAL_ROOT),
        randao_mixes: hashes(EPOCHS_PER_HISTORICAL_VECTOR),
        slashings: Column::filled(0, EPOCHS_PER_SLASHINGS_VECTOR),
        proposer_lookahead: Column::filled(0, PROPOSER_LOOKAHEAD_LENGTH),
        validators: (0..VALIDATORS).map(validator).collect(),
        balances: (0..VALIDATORS as u64).map(|index| 32_000_000_000 + index).collect(),
        previous_epoch_participation: Column::filled(7, VALIDATORS),
        current_epoch_participation: Column::filled(0, VALIDATORS),
        inactivity_scores: Column::filled(0, VALIDATORS),
        pending_deposits: (0..DEPOSITS).map(deposit).collect(),
        ..BeaconState::default()
    }
}

/// Asserts that the state's own count is the allocator's, but for what is too small to be counted: a bit list, a payload
/// header's bytes.
fn is_told(state: &BeaconState, other: &BeaconState, bytes: usize) {
    let told = state.bytes_beside(other) - size_of::<BeaconState>();
    assert!(told.abs_diff(bytes) < 1_000, "the state tells {told}, the allocator {bytes}");
}

fn states() {
    let (state, all) = costs(|| {
        let mut state = state();
        state.hash_tree_root();
        state
    });
    is_told(&state, &BeaconState::default(), all);
    let history = (2 * SLOTS_PER_HISTORICAL_ROOT + EPOCHS_PER_HISTORICAL_VECTOR) * 33;
    let each = all.saturating_sub(history) as f64 / VALIDATORS as f64;
    assert!(each < 108.0, "{each} bytes a validator, with hashes");

    let (copy, nothing) = costs(|| state.clone());
    assert!(nothing < 500, "a copy costs {nothing}");
    drop(copy);

    let (after_block, block) = costs(|| after_block(&state));
    is_told(&after_block, &state, block);
    // The flags, a byte each and written everywhere; 20 pieces of balances and the hashes above them; of three lists of
    // hashes a piece, and one of the hashes above; the tables of all these.
    let pieces = VALIDATORS + 20 * CHUNK * 8 + 3 * CHUNK * 32 + 3 * 2 * CHUNK * 32;
    assert!(block < pieces + pieces / 5, "{block} after a block that wrote {pieces}");

    let (after_epoch, epoch) = costs(|| after_epoch(&after_block));
    is_told(&after_epoch, &after_block, epoch);
    let balances = VALIDATORS * 8;
    assert!(epoch < balances + balances / 10, "{epoch} after an epoch that wrote {balances}");

    let before = MEMORY.current_usage();
    drop((after_block, after_epoch));
    let freed = before - MEMORY.current_usage();
    assert_eq!(freed, block + epoch, "what the copies cost is given back without the original");
}

/// What a block writes: an eighth of the flags all over the registry, some balances, and the history.
fn after_block(state: &BeaconState) -> BeaconState {
    let mut state = state.clone();
    (0..VALIDATORS).filter(|index| index % 8 == index / 8 % 8).for_each(|index| {
        state.current_epoch_participation.set(index, 7);
    });
    for nth in 0..20 {
        state.balances.set(nth * VALIDATORS / 20, 1);
    }
    state.block_roots.set(3, Hash256::repeat_byte(1));
    state.state_roots.set(3, Hash256::repeat_byte(1));
    state.randao_mixes.set(3, Hash256::repeat_byte(1));
    state.slot += 1;
    state.hash_tree_root();
    state
}

/// What an epoch's end writes: all balances; the flags move on, and the queue of deposits moves up.
fn after_epoch(state: &BeaconState) -> BeaconState {
    let mut state = state.clone();
    state.balances.update_each(|_, balance| balance + 11_000);
    state.pending_deposits.drop_front(16);
    state.pending_deposits.push(deposit(DEPOSITS));
    let current = Column::filled(0, VALIDATORS);
    state.previous_epoch_participation = std::mem::replace(&mut state.current_epoch_participation, current);
    state.hash_tree_root();
    state
}
