#[cfg(not(any(feature = "minimal", feature = "gnosis")))]
use alloy_primitives::b256;
use std::time::Duration;

use tree_hash::TreeHash as _;

use super::{
    subject::{MAX_VALIDATORS, MIN_VALIDATORS},
    synthetic::Contents,
    *,
};
use crate::{
    transition::{Checks, state_transition},
    types::{
        Validator,
        preset::{FAR_FUTURE_EPOCH, MAX_EFFECTIVE_BALANCE_ELECTRA},
    },
};

const UNHURRIED: Effort =
    Effort { runs: 2, enough: Duration::from_secs(60), optional_until: Duration::from_secs(3600) };

fn arguments(validators: u64) -> BenchArguments {
    let datadir = std::env::temp_dir();
    BenchArguments { json: true, quick: true, datadir, validators: Some(validators), state: None, block: None }
}

/// A run imports the blocks with all their signatures, finds the head, and fails if any of that does not hold.
#[test]
fn a_small_run_measures_everything_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = BenchArguments { datadir: dir.path().to_path_buf(), ..arguments(256) };
    let report = measure(&arguments, UNHURRIED).unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "its files are removed");
    let json: serde_json::Value = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
    assert_eq!(json["validators"], 256);
    assert_eq!(json["preset"], PRESET_BASE);
    let times = json["times"].as_array().unwrap();
    let needed =
        ["ssz_decode", "root_cold", "block_signatures", "block_import", "epoch", "epoch_root", "block_keys_cold"];
    let optional = ["absent_block_import", "missing_block_import", "small_block_import", "votes", "head"];
    let hard = ["epoch_churn", "epoch_slashings", "epoch_balances", "epoch_queues", "epoch_leak", "epoch_leak_root"];
    for name in needed.into_iter().chain(optional).chain(hard).chain(["block_restart"]) {
        let figure = times.iter().find(|figure| figure["name"] == name).expect(name);
        assert!(figure["wall_ms"].as_f64().unwrap() >= 0.0, "{figure}");
        assert!(figure["verifications"].as_f64().unwrap().is_finite(), "{figure}");
    }
    let size =
        |name| json["sizes"].as_array().unwrap().iter().find(|size| size["name"] == name).unwrap()["bytes"].as_u64();
    assert!(size("state") > size("state_after_epoch"), "copies share memory");
    assert!(
        json["left_out"].as_array().unwrap().iter().all(|it| it["name"] == "columns"),
        "there was time for the rest"
    );
    assert_eq!((&json["shape"], &json["active"]), (&"active".into(), &256.into()));
    assert!(json["board"]["disk"]["sync_p50_ms"].as_f64().unwrap() >= 0.0);
    assert!(json["verdict"]["spare_percent"].as_f64().unwrap() < 100.0);
    assert!(report.to_string().contains("mainnet"), "{report}");
}

#[test]
fn columns_are_verified_with_all_their_blobs() {
    let config = Config::default();
    let mut recorder = Recorder::new(Effort::QUICK, 3);
    columns::measure(&mut recorder, &config, config.fulu_fork_epoch).unwrap();
    assert!(recorder.of("columns").wall_ms > 0.0);
}

#[test]
fn numbers_that_make_no_sense_are_refused() {
    for validators in [0, MIN_VALIDATORS - 1, MAX_VALIDATORS + 1] {
        assert!(measure(&arguments(validators), UNHURRIED).unwrap_err().contains("--validators"));
    }
    let half = BenchArguments { state: Some("state.ssz".into()), ..arguments(256) };
    assert!(measure(&half, UNHURRIED).unwrap_err().contains("--block"));
    let both = BenchArguments { block: Some("block.ssz".into()), ..half };
    assert!(measure(&both, UNHURRIED).unwrap_err().contains("--validators"));
    let nowhere = BenchArguments { datadir: "no such directory".into(), ..arguments(256) };
    assert!(measure(&nowhere, UNHURRIED).unwrap_err().contains("no such directory"));
}

#[test]
fn a_slow_board_gets_its_verdict_without_the_rest() {
    let report = measure(&arguments(256), Effort { optional_until: Duration::ZERO, ..UNHURRIED }).unwrap();
    let left_out: Vec<_> = report.left_out.iter().map(|it| it.name).collect();
    for name in ["absent_block_import", "votes", "epoch_leak", "block_restart"] {
        assert!(left_out.contains(&name), "{name} in {left_out:?}");
        assert!(report.times.iter().all(|figure| figure.name != name), "{name}");
    }
    assert!(report.verdict.spare_percent.is_finite());
}

/// The roots that the independent generator of these bytes writes for 640 validators, without the blocks' state roots.
#[cfg(not(any(feature = "minimal", feature = "gnosis")))]
#[test]
fn the_synthetic_bytes_are_those_that_others_measured() {
    let mut state = synthetic::state(640).unwrap();
    let expected = b256!("2dabb4063f2bef6268da3e86b15c50cdb4816d085b9900a4b8ce97a356304ab3");
    assert_eq!(state.hash_tree_root(), expected);
    let config = Config::default();
    let ctx = Context { config: &config, keys: &PubkeyCache::default() };
    let full = b256!("04a85f45090e073260cd0124fee45fa1e1afd43422a1ce4b6ace675d003b6e86");
    let small = b256!("c45c9c29adca5a2caacd09503e2f5d3287f2d8547b9cc070371ba34a7889d2e8");
    for (contents, expected) in [(Contents::FULL, full), (Contents::SMALL, small)] {
        let mut block = synthetic::block(&state, state.slot + 1, &contents, &ctx).unwrap().0.message;
        block.state_root = crate::types::Hash256::ZERO;
        assert_eq!(block.tree_hash_root(), expected);
    }
}

/// Mainnet's registry in small: what the proportions promise is there, and blocks on it are valid for a whole epoch.
#[test]
fn a_registry_like_mainnets_has_all_that_mainnet_has() {
    let records = 8_000;
    let state = synthetic::mainnet_state(records).unwrap();
    let epoch = state.current_epoch();
    let count = |test: &dyn Fn(&Validator) -> bool| state.validators.iter().filter(test).count();
    let active = get_active_validator_indices(&state, epoch).len();
    assert!((2_600..3_800).contains(&active), "{active} are active");
    let withdrawn = state.validators.iter().zip(state.balances.iter());
    let withdrawn = withdrawn.filter(|(v, balance)| v.withdrawable_epoch < epoch && **balance == 0).count();
    assert!((4_000..5_300).contains(&withdrawn), "{withdrawn} have left with all that they had");
    assert!(count(&|v| v.effective_balance == MAX_EFFECTIVE_BALANCE_ELECTRA) > 0);
    assert!(count(&|v| v.exit_epoch > epoch && v.exit_epoch != FAR_FUTURE_EPOCH) > 0, "some are leaving");
    assert!(count(&|v| v.activation_epoch > epoch) > 30, "some are to come");
    assert!(count(&|v| v.slashed) > 0);
    for (queue, at_least) in [
        (state.pending_deposits.len(), 100),
        (state.pending_consolidations.len(), 10),
        (state.pending_partial_withdrawals.len(), 5),
    ] {
        assert!(queue >= at_least, "{queue} wait in a queue of {at_least}");
    }
    let voted = state.previous_epoch_participation.iter().filter(|flags| **flags != 0).count() as f64;
    assert!((0.975..0.995).contains(&(voted / active as f64)), "{voted} of {active} voted");
}

#[test]
fn blocks_on_any_shape_are_valid_across_an_epochs_end() {
    let config = Config::default();
    let ctx = Context { config: &config, keys: &PubkeyCache::default() };
    for mut parent in [synthetic::state(256).unwrap(), synthetic::mainnet_state(2_000).unwrap()] {
        parent.hash_tree_root();
        let known = parent.validators.len();
        for (contents, slots) in [(Contents::MAINNET, 1), (Contents::MISSING_COMMITTEE, 2), (Contents::SMALL, 40)] {
            let (block, after) = synthetic::block(&parent, parent.slot + slots, &contents, &ctx).unwrap();
            let votes =
                block.message.body.attestations.iter().map(|a| a.aggregation_bits.num_set_bits()).sum::<usize>();
            // So few have one committee in a slot of mainnet's preset: nobody votes when it is missing.
            assert_eq!(votes > 0, contents.missing_committees == 0 || PRESET_BASE == "minimal");
            let mut again = parent.clone();
            state_transition(&mut again, &block, &ctx, Checks::ALL).unwrap();
            assert_eq!(again.hash_tree_root(), block.message.state_root);
            parent = after;
        }
        assert!(parent.validators.len() >= known);
        let branch = Contents { branch: 1, ..Contents::SMALL };
        let (slot, fork) = (parent.slot + 1, [Contents::SMALL, branch]);
        let [ours, other] = fork.map(|contents| synthetic::block(&parent, slot, &contents, &ctx).unwrap().0);
        assert_ne!(ours.message.tree_hash_root(), other.message.tree_hash_root(), "two blocks of one slot differ");
    }
}
