//! The sweep against the steps, on states that no chain has seen; and what it remembers against a count.

use proptest::prelude::*;

use super::{
    standing::{Epochs, Standings, standing},
    *,
};
use crate::{
    crypto::PubkeyCache,
    ssz::{CHUNK, Column},
    transition::{get_total_active_balance, slash_validator},
    types::{preset::*, *},
};

const EPOCH: Epoch = 9;

/// Numbers that follow from a seed.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        // The generator of Numerical Recipes; its high bits are good enough.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// One of `sides`.
    fn one_of<T: Clone>(&mut self, sides: &[T]) -> T {
        sides[self.next() as usize % sides.len()].clone()
    }

    /// True once in so many times.
    fn once_in(&mut self, times: u64) -> bool {
        self.next().is_multiple_of(times)
    }
}

/// How strange a state is: once in so many times a validator is not like most.
#[derive(Clone, Copy, Debug)]
struct Shape {
    seed: u64,
    strange: u64,
    is_leak: bool,
    has_misfits: bool,
    fork: ForkName,
}

fn shapes() -> impl Strategy<Value = Shape> {
    let strange = prop_oneof![Just(1), Just(3), Just(40), Just(1000)];
    let forks = prop_oneof![Just(ForkName::Electra), Just(ForkName::Fulu)];
    (any::<u64>(), strange, any::<bool>(), any::<bool>(), forks)
        .prop_map(|(seed, strange, is_leak, has_misfits, fork)| Shape { seed, strange, is_leak, has_misfits, fork })
}

fn validator(dice: &mut Dice, index: usize, shape: Shape) -> Validator {
    let middle_of_wait = EPOCH + EPOCHS_PER_SLASHINGS_VECTOR as u64 / 2;
    let mut validator = Validator {
        pubkey: BLSPubkey::left_padding_from(&index.to_be_bytes()),
        withdrawal_credentials: Hash256::with_last_byte(1),
        effective_balance: MIN_ACTIVATION_BALANCE,
        slashed: false,
        activation_eligibility_epoch: 0,
        activation_epoch: 0,
        exit_epoch: FAR_FUTURE_EPOCH,
        withdrawable_epoch: FAR_FUTURE_EPOCH,
    };
    if !dice.once_in(shape.strange) {
        return validator;
    }
    validator.withdrawal_credentials[0] = dice.one_of(&[0, 1, 2]);
    validator.effective_balance = dice.one_of(&[0, 1, 15, 16, 17, 31, 32, 33, 2048]) * EFFECTIVE_BALANCE_INCREMENT;
    validator.slashed = dice.once_in(2);
    let far = FAR_FUTURE_EPOCH;
    validator.activation_eligibility_epoch = dice.one_of(&[0, 3, 8, far]);
    validator.activation_epoch = dice.one_of(&[0, EPOCH - 1, EPOCH, EPOCH + 1, far]);
    validator.exit_epoch = dice.one_of(&[0, EPOCH - 1, EPOCH, EPOCH + 1, 30, far, far]);
    validator.withdrawable_epoch = dice.one_of(&[0, EPOCH, EPOCH + 1, middle_of_wait, middle_of_wait, far]);
    if shape.has_misfits && dice.once_in(9) {
        validator.effective_balance += 1;
        validator.withdrawable_epoch = dice.one_of(&[u64::from(u32::MAX), middle_of_wait]);
    }
    validator
}

/// A state in the last slot of an epoch, with queues of everything.
fn hard_state(shape: Shape) -> BeaconState {
    let mut dice = Dice(shape.seed);
    let count = 3 * CHUNK + 17;
    // One chunk has nobody left, as most of mainnet's have.
    let is_gone = |index: usize| index / CHUNK == 1 && shape.strange > 3;
    let mut record = |index: usize| {
        let own = validator(&mut dice, index, shape);
        let gone =
            Validator { effective_balance: 0, slashed: false, activation_epoch: 0, exit_epoch: 1, ..own.clone() };
        if is_gone(index) { gone } else { own }
    };
    let validators: Vec<Validator> = (0..count).map(&mut record).collect();
    let mut near = |validator: &Validator| {
        let spread = dice.one_of(&[0, 0, 1, 240_000_000, 260_000_000, 1_260_000_000, 40_000_000_000]);
        if dice.once_in(2) {
            validator.effective_balance + spread
        } else {
            validator.effective_balance.saturating_sub(spread)
        }
    };
    let balances: Column<Gwei> = validators.iter().map(&mut near).collect();
    let mut flags = |usual: u8| -> Column<ParticipationFlags> {
        let strange = |dice: &mut Dice| dice.next() as u8 & 7;
        let own = |index| {
            if is_gone(index) {
                0
            } else if dice.once_in(shape.strange) {
                strange(&mut dice)
            } else {
                usual
            }
        };
        (0..count).map(own).collect()
    };
    let (previous, current) = (flags(7), flags(3));
    let mut scores = || if dice.once_in(shape.strange) { dice.next() % 100 } else { 0 };
    let inactivity_scores = (0..count).map(|_| scores()).collect();
    let deposit = |dice: &mut Dice| PendingDeposit {
        pubkey: BLSPubkey::left_padding_from(&(dice.next() as usize % (count + 9)).to_be_bytes()),
        amount: dice.one_of(&[1, 500_000_000, 3_000_000_000, 32_000_000_000]),
        withdrawal_credentials: Hash256::with_last_byte(1),
        signature: BLSSignature::ZERO,
        slot: 0,
    };
    let pending_deposits = (0..30).map(|_| Hashed::new(deposit(&mut dice))).collect();
    let consolidation = |dice: &mut Dice| {
        let mut index = || dice.next() % count as u64;
        PendingConsolidation { source_index: index(), target_index: index() }
    };
    let pending_consolidations = (0..30).map(|_| consolidation(&mut dice)).collect();
    BeaconState {
        fork_name: shape.fork,
        slot: compute_start_slot_at_epoch(EPOCH + 1) - 1,
        validators: validators.into_iter().collect(),
        balances,
        previous_epoch_participation: previous,
        current_epoch_participation: current,
        inactivity_scores,
        pending_deposits,
        pending_consolidations,
        deposit_balance_to_consume: 90_000_000_000,
        earliest_exit_epoch: dice.one_of(&[0, 20]),
        finalized_checkpoint: Checkpoint { epoch: if shape.is_leak { 1 } else { 7 }, root: Hash256::ZERO },
        block_roots: Column::filled(Hash256::repeat_byte(5), SLOTS_PER_HISTORICAL_ROOT),
        state_roots: Column::filled(Hash256::repeat_byte(6), SLOTS_PER_HISTORICAL_ROOT),
        randao_mixes: Column::filled(Hash256::repeat_byte(7), EPOCHS_PER_HISTORICAL_VECTOR),
        slashings: Column::filled(dice.one_of(&[0, 3_000_000_000]), EPOCHS_PER_SLASHINGS_VECTOR),
        proposer_lookahead: Column::filled(0, 2 * SLOTS_PER_EPOCH as usize),
        ..BeaconState::default()
    }
}

/// The specification's order, each step over the whole registry.
fn process_epoch_by_steps(state: &mut BeaconState, ctx: &Context) -> Result<(), TransitionError> {
    process_justification_and_finalization(state)?;
    process_inactivity_updates(state, ctx)?;
    process_rewards_and_penalties(state, ctx)?;
    process_registry_updates(state, ctx)?;
    process_slashings(state)?;
    process_eth1_data_reset(state);
    process_pending_deposits(state, ctx)?;
    process_pending_consolidations(state)?;
    process_effective_balance_updates(state)?;
    process_resets(state);
    process_participation_flag_updates(state);
    process_sync_committee_updates(state)?;
    if state.fork_name >= ForkName::Fulu {
        process_proposer_lookahead(state)?;
    }
    Ok(())
}

fn with_context<T>(f: impl FnOnce(&Context) -> T) -> T {
    let (config, keys) = (Config::default(), PubkeyCache::default());
    f(&Context { config: &config, keys: &keys })
}

/// Checks what a state remembers of its balances against a count.
fn check_memory(state: &BeaconState) -> Result<(), TestCaseError> {
    prop_assert_eq!(state.participation_sums(), Some(count_participation(state).unwrap()));
    let mut fresh = BeaconState { caches: Caches::default(), ..state.clone() };
    let total = get_total_active_balance(&mut fresh).unwrap();
    prop_assert_eq!(state.caches.total_active_balance, Some((state.current_epoch(), total)));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn the_sweep_does_what_the_steps_do(shape in shapes()) {
        let (mut swept, mut stepped) = (hard_state(shape), hard_state(shape));
        let results = with_context(|ctx| {
            (process_epoch(&mut swept, ctx), process_epoch_by_steps(&mut stepped, ctx))
        });
        prop_assert_eq!(results.0.is_ok(), results.1.is_ok(), "{:?}", results);
        if results.0.is_ok() {
            for index in 0..stepped.validators.len() {
                prop_assert_eq!(swept.validators.get(index), stepped.validators.get(index), "record {}", index);
                prop_assert_eq!(swept.balances[index], stepped.balances[index], "balance {}", index);
            }
            prop_assert!(swept == stepped);
            prop_assert_eq!(swept.hash_tree_root(), stepped.hash_tree_root());
            swept.slot += 1;
            check_memory(&swept)?;
        }
    }

    #[test]
    fn payments_of_a_chunk_are_those_of_its_validators(shape in shapes()) {
        let mut state = hard_state(shape);
        let epochs = Epochs::around(EPOCH);
        let totals = ParticipationTotals::new(&state).unwrap();
        let terms = with_context(|ctx| RewardTerms::new(&mut state, &totals, ctx)).unwrap();
        for chunk in state.validators.chunks() {
            let number = chunk.number();
            let standings = Standings::of(&chunk, &epochs);
            let own: Vec<u8> = (0..chunk.len()).map(|i| standing(&chunk, i, &epochs)).collect();
            prop_assert_eq!(standings.bits(), &own);
            let flags = state.previous_epoch_participation.items().slice(number);
            let scores = state.inactivity_scores.items().slice(number);
            let balances = state.balances.items().slice(number);
            let mut paid = balances.to_vec();
            terms.pay(&chunk, &standings, flags, scores, &mut paid).unwrap();
            for (i, balance) in balances.iter().enumerate() {
                let deltas = terms.deltas(&state, chunk.first() + i).unwrap();
                prop_assert_eq!(Some(paid[i]), rewards::apply(*balance, &deltas), "{} of chunk {}", i, number);
            }
        }
    }

    #[test]
    fn participation_stays_known_through_slashings(shape in shapes()) {
        let mut state = hard_state(shape);
        state.proposer_lookahead = Column::filled(5, 2 * SLOTS_PER_EPOCH as usize);
        ParticipationTotals::of(&mut state).unwrap();
        get_total_active_balance(&mut state).unwrap();
        with_context(|ctx| {
            for index in [0, 1, CHUNK as u64 + 3, 2 * CHUNK as u64 + 1] {
                slash_validator(&mut state, index, None, ctx).unwrap();
            }
        });
        check_memory(&state)?;
    }
}

#[test]
fn nobody_is_paid_for_the_epoch_before_the_first() {
    let shape = Shape { seed: 1, strange: 3, is_leak: false, has_misfits: false, fork: ForkName::Fulu };
    let first = || BeaconState {
        slot: SLOTS_PER_EPOCH - 1,
        finalized_checkpoint: Checkpoint::default(),
        slashings: Column::filled(0, EPOCHS_PER_SLASHINGS_VECTOR),
        pending_deposits: Column::default(),
        pending_consolidations: Column::default(),
        ..hard_state(shape)
    };
    let (mut swept, mut stepped) = (first(), first());
    with_context(|ctx| {
        process_epoch(&mut swept, ctx).unwrap();
        process_epoch_by_steps(&mut stepped, ctx).unwrap();
    });
    assert!(swept == stepped);
    assert!(swept.balances == first().balances);
}

#[test]
fn sums_are_forgotten_when_anything_they_depend_on_changes() {
    let shape = Shape { seed: 7, strange: 40, is_leak: false, has_misfits: false, fork: ForkName::Fulu };
    let mut known = hard_state(shape);
    ParticipationTotals::of(&mut known).unwrap();
    assert!(known.clone().participation_sums().is_some(), "a copy knows them too");
    let changes: [fn(&mut BeaconState); 6] = [
        |state| state.current_epoch_participation.set(3, 1),
        |state| state.previous_epoch_participation.set(3, 1),
        |state| state.current_epoch_participation = Column::filled(7, state.validators.len()),
        |state| state.validators.update(3, |v| v.slashed = true),
        |state| state.validators.set_effective_balance(3, 17 * EFFECTIVE_BALANCE_INCREMENT),
        |state| state.slot += 1,
    ];
    for change in changes {
        let mut state = known.clone();
        change(&mut state);
        assert_eq!(state.participation_sums(), None);
        assert!(known.participation_sums().is_some());
    }
}
