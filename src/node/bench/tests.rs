use super::*;

fn arguments(validators: u64) -> BenchArguments {
    BenchArguments { json: true, quick: true, validators: Some(validators), state: None, block: None }
}

/// A run imports the blocks with all their signatures, finds the head, and fails if any of that does not hold.
#[test]
fn a_small_run_measures_everything() {
    let report = measure(&arguments(256)).unwrap();
    let json: serde_json::Value = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
    assert_eq!(json["validators"], 256);
    assert_eq!(json["preset"], PRESET_BASE);
    let times = json["times"].as_array().unwrap();
    for name in ["ssz_decode", "root_cold", "block_signatures", "block_import", "epoch", "epoch_root", "votes", "head"]
    {
        let figure = times.iter().find(|figure| figure["name"] == name).expect(name);
        assert!(figure["wall_ms"].as_f64().unwrap() >= 0.0, "{figure}");
        assert!(figure["verifications"].as_f64().unwrap().is_finite(), "{figure}");
    }
    let size =
        |name| json["sizes"].as_array().unwrap().iter().find(|size| size["name"] == name).unwrap()["bytes"].as_u64();
    assert!(size("state") > size("state_after_epoch"), "copies share memory");
    assert!(json["verdict"]["spare_percent"].as_f64().unwrap() < 100.0);
    assert!(report.to_string().contains("mainnet"), "{report}");
}

#[test]
fn numbers_that_make_no_sense_are_refused() {
    for validators in [0, MIN_VALIDATORS - 1, MAX_VALIDATORS + 1] {
        assert!(measure(&arguments(validators)).unwrap_err().contains("--validators"));
    }
    let half = BenchArguments { state: Some("state.ssz".into()), ..arguments(256) };
    assert!(measure(&half).unwrap_err().contains("--block"));
}

/// The roots that the independent generator of these bytes writes for 640 validators, without the blocks' state roots.
#[cfg(not(any(feature = "minimal", feature = "gnosis")))]
#[test]
fn the_synthetic_bytes_are_those_that_others_measured() {
    use tree_hash::TreeHash as _;

    let mut state = synthetic::state(640).unwrap();
    let expected = b256!("2dabb4063f2bef6268da3e86b15c50cdb4816d085b9900a4b8ce97a356304ab3");
    assert_eq!(state.hash_tree_root(), expected);
    let config = Config::default();
    let ctx = Context { config: &config, keys: &PubkeyCache::default() };
    let full = b256!("04a85f45090e073260cd0124fee45fa1e1afd43422a1ce4b6ace675d003b6e86");
    let small = b256!("c45c9c29adca5a2caacd09503e2f5d3287f2d8547b9cc070371ba34a7889d2e8");
    for (is_full, expected) in [(true, full), (false, small)] {
        let mut block = synthetic::block(&state, is_full, &ctx).unwrap().message;
        block.state_root = Hash256::ZERO;
        assert_eq!(block.tree_hash_root(), expected);
    }
}
