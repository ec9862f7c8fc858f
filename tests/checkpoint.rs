//! Checkpoint sync against providers that are broken, slow, lying, or of another network.

#[path = "checkpoint/provider.rs"]
mod provider;

use std::{sync::Arc, time::Duration};

use hornero::{
    chain::checkpoint::{Anchor, CheckpointError, Expectations, Progress, Sources, fetch, from_files},
    ssz::Column,
    types::{preset::*, *},
};
use provider::{Answer, Provider};
use ssz::Encode;
use tree_hash::TreeHash;

const SLOT: Slot = 4 * SLOTS_PER_EPOCH;
const GENESIS_TIME: u64 = 1_700_000_000;

fn config() -> Config {
    Config {
        altair_fork_epoch: 0,
        bellatrix_fork_epoch: 0,
        capella_fork_epoch: 0,
        deneb_fork_epoch: 0,
        electra_fork_epoch: 0,
        fulu_fork_epoch: 0,
        ..Config::default()
    }
}

/// A state that says the right things about itself, and the block that made it.
fn state_and_block() -> (BeaconState, SignedBeaconBlock) {
    let mut state = BeaconState {
        genesis_time: GENESIS_TIME,
        genesis_validators_root: Hash256::repeat_byte(9),
        slot: SLOT,
        fork: Fork { current_version: config().fulu_fork_version, ..Fork::default() },
        block_roots: Column::filled(Hash256::repeat_byte(1), SLOTS_PER_HISTORICAL_ROOT),
        state_roots: Column::filled(Hash256::repeat_byte(2), SLOTS_PER_HISTORICAL_ROOT),
        randao_mixes: Column::filled(Hash256::repeat_byte(3), EPOCHS_PER_HISTORICAL_VECTOR),
        slashings: Column::filled(0, EPOCHS_PER_SLASHINGS_VECTOR),
        proposer_lookahead: Column::filled(0, PROPOSER_LOOKAHEAD_LENGTH),
        ..BeaconState::default()
    };
    for n in 0..300u64 {
        state.validators.push(Validator {
            pubkey: BLSPubkey::left_padding_from(&n.to_be_bytes()),
            withdrawal_credentials: Hash256::ZERO,
            effective_balance: 32 * EFFECTIVE_BALANCE_INCREMENT,
            slashed: false,
            activation_eligibility_epoch: 0,
            activation_epoch: 0,
            exit_epoch: FAR_FUTURE_EPOCH,
            withdrawable_epoch: FAR_FUTURE_EPOCH,
        });
        state.balances.push(32 * EFFECTIVE_BALANCE_INCREMENT);
        state.inactivity_scores.push(0);
        state.previous_epoch_participation.push(0);
        state.current_epoch_participation.push(0);
    }
    let mut block = empty_block(SLOT);
    state.latest_block_header = block.message.header();
    state.latest_block_header.state_root = Hash256::ZERO;
    block.message.state_root = state.hash_tree_root();
    (state, block)
}

fn empty_block(slot: Slot) -> SignedBeaconBlock {
    let body = BeaconBlockBody { randao_reveal: G2_POINT_AT_INFINITY, ..BeaconBlockBody::empty(ForkName::Fulu) };
    let parent_root = Hash256::repeat_byte(4);
    let message = BeaconBlock { slot, proposer_index: 0, parent_root, state_root: Hash256::ZERO, body };
    SignedBeaconBlock { message, signature: G2_POINT_AT_INFINITY }
}

/// A provider that answers as it should, but for the state.
fn with_state_answer(state: Answer) -> Provider {
    let (_, block) = state_and_block();
    let block = block.as_ssz_bytes();
    Provider::start(
        move |path| {
            if path.contains("/debug/beacon/states/") { state.clone() } else { Answer::Ssz(block.clone()) }
        },
    )
}

fn state_bytes() -> Vec<u8> {
    state_and_block().0.to_ssz_bytes()
}

fn sources(providers: &[&Provider]) -> Sources {
    let urls = providers.iter().map(|provider| provider.url.clone()).collect();
    Sources { urls, may_fail: false, stall_timeout: Some(Duration::from_millis(400)) }
}

fn expecting(config: &Config) -> Expectations<'_> {
    let now = GENESIS_TIME + (SLOT + 3 * SLOTS_PER_EPOCH) * config.slot_duration_ms / 1000;
    Expectations { config, genesis_validators_root: None, block_root: None, now, ignore_weak_subjectivity: false }
}

fn run(provider: &Provider, adapt: impl FnOnce(&mut Expectations)) -> Result<Anchor, CheckpointError> {
    let config = config();
    let mut expected = expecting(&config);
    adapt(&mut expected);
    fetch(&sources(&[provider]), &expected, |_| {})
}

fn refused(state: Answer) -> String {
    run(&with_state_answer(state), |_| {}).expect_err("this must be refused").to_string()
}

#[test]
fn a_good_provider_gives_an_anchor_and_reports_progress() {
    let (state, block) = state_and_block();
    let provider = with_state_answer(Answer::Ssz(state.to_ssz_bytes()));
    let config = config();
    let mut last: Option<Progress> = None;
    let anchor = fetch(&sources(&[&provider]), &expecting(&config), |progress| last = Some(progress)).unwrap();
    assert_eq!((anchor.root, &anchor.block), (block.root(), &block));
    assert_eq!(anchor.state, state);
    let len = state.ssz_len() as u64;
    assert_eq!(last.map(|progress| (progress.bytes, progress.total)), Some((len, Some(len))));
}

#[test]
fn a_state_that_breaks_off_is_refused() {
    let bytes = state_bytes();
    for sent in [0, 20, 48, 1000, bytes.len() / 2, bytes.len() - 1] {
        let error = refused(Answer::CutOff(bytes.clone(), sent));
        assert!(error.contains("can't be read") || error.contains("http"), "{sent}: {error}");
    }
    // Shorter without any sign of it: only decoding or the root can tell.
    assert!(refused(Answer::Ssz(bytes[..bytes.len() - 7].to_vec())).contains("can't be read"));
}

#[test]
fn a_provider_that_falls_silent_is_given_up() {
    let bytes = state_bytes();
    let error = refused(Answer::Silent(bytes.clone(), bytes.len() / 2));
    assert!(error.to_lowercase().contains("time"), "{error}");
}

#[test]
fn a_state_that_is_too_large_is_refused_before_it_is_read() {
    let error = refused(Answer::Announced(5 << 30));
    assert!(error.contains("more than"), "{error}");
    let error = refused(Answer::Endless(state_bytes()));
    assert!(error.contains("can't be read"), "{error}");
}

#[test]
fn an_error_of_the_server_is_told() {
    let error = refused(Answer::Status(503));
    assert!(error.contains("503") && error.contains("/eth/v2/debug/beacon/states/finalized"), "{error}");
    let error = refused(Answer::Ssz(b"<html>not found</html>".to_vec()));
    assert!(error.contains("can't be read"), "{error}");
}

#[test]
fn a_state_of_another_fork_or_network_is_refused() {
    let mut later = config();
    later.gloas_fork_epoch = 2;
    let provider = with_state_answer(Answer::Ssz(state_bytes()));
    let error = fetch(&sources(&[&provider]), &expecting(&later), |_| {}).unwrap_err().to_string();
    assert!(error.contains("does not know"), "{error}");

    let mut other = config();
    other.fulu_fork_version = Version::new([6, 0, 0, 9]);
    let error = fetch(&sources(&[&provider]), &expecting(&other), |_| {}).unwrap_err().to_string();
    assert!(error.contains("0x06000009"), "{error}");

    let error = run(&provider, |e| e.genesis_validators_root = Some(Hash256::ZERO)).unwrap_err().to_string();
    assert!(error.contains("another network"), "{error}");

    let mut electra = config();
    electra.fulu_fork_epoch = FAR_FUTURE_EPOCH;
    let error = fetch(&sources(&[&provider]), &expecting(&electra), |_| {}).unwrap_err().to_string();
    assert!(error.contains("electra state of the"), "{error}");
}

#[test]
fn a_state_of_another_preset_is_refused() {
    // The length of the vectors is what presets differ in: one root more is as good as thousands.
    let (mut state, _) = state_and_block();
    state.block_roots = Column::filled(Hash256::repeat_byte(1), SLOTS_PER_HISTORICAL_ROOT + 1);
    let error = refused(Answer::Ssz(state.to_ssz_bytes()));
    assert!(error.contains(&format!("of the {PRESET_BASE} preset")), "{error}");
}

#[test]
fn a_state_that_is_not_its_blocks_is_refused() {
    let (mut state, _) = state_and_block();
    state.balances.set(17, 1);
    let error = refused(Answer::Ssz(state.to_ssz_bytes()));
    assert!(error.contains("does not match"), "{error}");
}

#[test]
fn a_block_that_is_not_the_states_is_refused() {
    let (state, mut block) = state_and_block();
    block.message.parent_root = Hash256::repeat_byte(5);
    let (state, block) = (state.to_ssz_bytes(), block.as_ssz_bytes());
    let provider =
        Provider::start(move |path| Answer::Ssz(if path.contains("/debug/") { state.clone() } else { block.clone() }));
    let error = run(&provider, |_| {}).unwrap_err().to_string();
    assert!(error.contains("latest block does not match"), "{error}");
}

#[test]
fn a_root_that_the_user_named_is_insisted_on() {
    let provider = with_state_answer(Answer::Ssz(state_bytes()));
    let error = run(&provider, |e| e.block_root = Some(Hash256::ZERO)).unwrap_err().to_string();
    assert!(error.contains("--checkpoint-root"), "{error}");
    let (_, block) = state_and_block();
    assert!(run(&provider, |e| e.block_root = Some(block.root())).is_ok());
}

#[test]
fn an_old_checkpoint_and_one_from_the_future_are_refused() {
    let provider = with_state_answer(Answer::Ssz(state_bytes()));
    let error = run(&provider, |e| e.now += 10 * 365 * 86_400).unwrap_err();
    assert!(matches!(error, CheckpointError::TooOld { .. }), "{error}");
    assert!(run(&provider, |e| (e.now, e.ignore_weak_subjectivity) = (e.now + 10 * 365 * 86_400, true)).is_ok());
    let error = run(&provider, |e| e.now = GENESIS_TIME).unwrap_err().to_string();
    assert!(error.contains("clock"), "{error}");
}

#[test]
fn providers_must_agree() {
    let (_, block) = state_and_block();
    let first = with_state_answer(Answer::Ssz(state_bytes()));
    let root = Arc::new(std::sync::Mutex::new(block.root()));
    let told = root.clone();
    let second = Provider::start(move |path| {
        assert!(path.ends_with(&format!("/eth/v1/beacon/blocks/{SLOT}/root")), "{path}");
        Answer::Json(format!(r#"{{"finalized":true,"data":{{"root":"{:?}"}}}}"#, told.lock().unwrap()))
    });
    let config = config();
    let both = sources(&[&first, &second]);
    assert!(fetch(&both, &expecting(&config), |_| {}).is_ok());
    *root.lock().unwrap() = Hash256::repeat_byte(0xee);
    let error = fetch(&both, &expecting(&config), |_| {}).unwrap_err().to_string();
    assert!(error.contains("disagree") && error.contains(&second.url) && error.contains("0xeeee"), "{error}");
}

#[test]
fn a_silent_second_provider_matters_only_when_the_user_named_it() {
    let first = with_state_answer(Answer::Ssz(state_bytes()));
    let second = Provider::start(|_| Answer::Status(500));
    let config = config();
    let mut both = sources(&[&first, &second]);
    assert!(fetch(&both, &expecting(&config), |_| {}).is_err());
    both.may_fail = true;
    assert!(fetch(&both, &expecting(&config), |_| {}).is_ok());
    // The other way round, the next provider takes the place of one that fails.
    both.urls.reverse();
    assert!(fetch(&both, &expecting(&config), |_| {}).is_ok());
}

/// The state at the start of an epoch whose first slot is empty, as Lodestar gives it, and its block.
fn taken_forward() -> (BeaconState, BeaconState, SignedBeaconBlock) {
    let (own, block) = state_and_block();
    let mut state = own.clone();
    state.latest_block_header.state_root = block.message.state_root;
    state.slot += SLOTS_PER_EPOCH;
    for slot in SLOT..state.slot {
        state.block_roots.set(slot as usize % SLOTS_PER_HISTORICAL_ROOT, block.root());
    }
    state.state_roots.set(SLOT as usize % SLOTS_PER_HISTORICAL_ROOT, block.message.state_root);
    (state, own, block)
}

#[test]
fn a_state_past_its_block_is_replaced_by_the_blocks_own() {
    let (state, own, block) = taken_forward();
    let by_root = format!("/states/{:?}", block.message.state_root);
    let (state, own, block) = (state.to_ssz_bytes(), own.to_ssz_bytes(), block.as_ssz_bytes());
    let provider = Provider::start(move |path| match path {
        path if path.ends_with(&by_root) => Answer::Ssz(own.clone()),
        path if path.contains("/debug/") => Answer::Ssz(state.clone()),
        _ => Answer::Ssz(block.clone()),
    });
    assert_eq!(run(&provider, |_| {}).unwrap().state.slot, SLOT);
}

#[test]
fn a_state_past_its_block_is_believed_only_as_far_as_its_provider() {
    let provider = |change: fn(&mut BeaconState)| {
        let (mut state, _, block) = taken_forward();
        change(&mut state);
        let (state, block) = (state.to_ssz_bytes(), block.as_ssz_bytes());
        Provider::start(move |path| match path {
            path if path.ends_with("/finalized") => Answer::Ssz(state.clone()),
            path if path.contains("/debug/") => Answer::Status(404),
            _ => Answer::Ssz(block.clone()),
        })
    };
    let good = provider(|_| {});
    let (_, _, block) = taken_forward();
    let anchor = run(&good, |_| {}).unwrap();
    assert_eq!((anchor.state.slot, anchor.root), (SLOT + SLOTS_PER_EPOCH, block.root()));
    let error = run(&good, |e| e.block_root = Some(block.root())).unwrap_err();
    assert!(matches!(error, CheckpointError::PastItsBlock { .. }), "{error}");
    for change in [
        (|state| state.slot += 1) as fn(&mut BeaconState),
        |state| state.block_roots.set((SLOT as usize + 1) % SLOTS_PER_HISTORICAL_ROOT, Hash256::ZERO),
        |state| state.state_roots.set(SLOT as usize % SLOTS_PER_HISTORICAL_ROOT, Hash256::ZERO),
    ] {
        assert!(run(&provider(change), |_| {}).is_err());
    }
    // A second provider has to confirm the state too, not only the block.
    let config = config();
    let answers = |state_root: Hash256| {
        let block_root = block.root();
        Provider::start(move |path| {
            let root = if path.contains("/states/") { state_root } else { block_root };
            Answer::Json(format!(r#"{{"finalized":true,"data":{{"root":"{root:?}"}}}}"#))
        })
    };
    let (mut state, _, _) = taken_forward();
    assert!(fetch(&sources(&[&good, &answers(state.hash_tree_root())]), &expecting(&config), |_| {}).is_ok());
    let error = fetch(&sources(&[&good, &answers(Hash256::ZERO)]), &expecting(&config), |_| {}).unwrap_err();
    assert!(matches!(error, CheckpointError::Disagreement { .. }), "{error}");
}

#[test]
fn files_are_checked_like_answers() {
    let folder = tempfile::tempdir().unwrap();
    let (state, block) = state_and_block();
    let (state_file, block_file) = (folder.path().join("state.ssz"), folder.path().join("block.ssz"));
    std::fs::write(&state_file, state.to_ssz_bytes()).unwrap();
    std::fs::write(&block_file, block.as_ssz_bytes()).unwrap();
    let config = config();
    let anchor = from_files(&state_file, &block_file, &expecting(&config)).unwrap();
    assert_eq!(anchor.root, block.message.tree_hash_root());
    std::fs::write(&state_file, &state_bytes()[..5000]).unwrap();
    let error = from_files(&state_file, &block_file, &expecting(&config)).unwrap_err().to_string();
    assert!(error.contains("can't be read"), "{error}");
    let error = from_files(&folder.path().join("none"), &block_file, &expecting(&config)).unwrap_err().to_string();
    assert!(error.contains("none"), "{error}");
}
