//! What the official vectors do not reach: several upgrades at once, and none where none is due.

use super::*;
use crate::{
    crypto::{PubkeyCache, SecretKey},
    transition::{get_validator_from_deposit, initialize_beacon_state_from_eth1, process_slots},
    types::preset::*,
};

/// A phase 0 state at genesis, of four validators.
fn genesis(ctx: &Context) -> BeaconState {
    let mut state = initialize_beacon_state_from_eth1(Hash256::repeat_byte(3), 0, &[], ctx).unwrap();
    for number in 1..5 {
        let pubkey = SecretKey::from_bytes(&[number; 32]).unwrap().public_key().to_compressed();
        let validator = get_validator_from_deposit(ForkName::Phase0, pubkey, Hash256::ZERO, MAX_EFFECTIVE_BALANCE);
        state.validators.push(Validator { activation_epoch: GENESIS_EPOCH, ..validator });
        state.balances.push(MAX_EFFECTIVE_BALANCE);
    }
    state
}

#[test]
fn all_upgrades_of_an_epoch_run_in_order() {
    let keys = PubkeyCache::default();
    let config = Config::default().in_fork_from_genesis(ForkName::Phase0);
    let ctx = Context { config: &config, keys: &keys };
    let start = compute_start_slot_at_epoch(1);
    let mut one_by_one = genesis(&ctx);
    process_slots(&mut one_by_one, start, &ctx).unwrap();
    let later = ForkName::ALL.into_iter().skip(1);
    later.for_each(|fork| upgrade_to(&mut one_by_one, fork, &ctx).unwrap());

    let mut at_once = genesis(&ctx);
    let config = Config {
        altair_fork_epoch: 1,
        bellatrix_fork_epoch: 1,
        capella_fork_epoch: 1,
        deneb_fork_epoch: 1,
        electra_fork_epoch: 1,
        fulu_fork_epoch: 1,
        ..config.clone()
    };
    let ctx = Context { config: &config, keys: &keys };
    process_slots(&mut at_once, start - 1, &ctx).unwrap();
    assert_eq!(at_once.fork_name, ForkName::Phase0);
    process_slots(&mut at_once, start, &ctx).unwrap();
    assert_eq!(at_once, one_by_one);
    let fork =
        Fork { previous_version: config.electra_fork_version, current_version: config.fulu_fork_version, epoch: 1 };
    assert_eq!((at_once.fork_name, at_once.fork), (ForkName::Fulu, fork));
    process_slots(&mut at_once, compute_start_slot_at_epoch(3), &ctx).unwrap();
    assert_eq!(at_once.fork, fork, "nothing is left to upgrade");
}

#[test]
fn a_state_that_missed_its_fork_stays_as_it_is() {
    let keys = PubkeyCache::default();
    let config = Config::default().in_fork_from_genesis(ForkName::Phase0);
    let mut state = genesis(&Context { config: &config, keys: &keys });
    let config = config.with_fork_at(ForkName::Bellatrix, 1);
    process_slots(&mut state, compute_start_slot_at_epoch(2), &Context { config: &config, keys: &keys }).unwrap();
    assert_eq!(state.fork_name, ForkName::Phase0, "Altair was to begin at genesis");
}

#[test]
fn only_a_state_of_the_fork_before_is_upgraded() {
    let (config, keys) = (Config::default().in_fork_from_genesis(ForkName::Phase0), PubkeyCache::default());
    let ctx = Context { config: &config, keys: &keys };
    let mut state = genesis(&ctx);
    let before = state.clone();
    for fork in [ForkName::Phase0, ForkName::Bellatrix, ForkName::Fulu] {
        upgrade_to(&mut state, fork, &ctx).unwrap_err();
        assert_eq!(state, before);
    }
}
