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

/// The roots that the independent generator of these bytes writes for 256 validators, without the blocks' state roots.
#[cfg(not(any(feature = "minimal", feature = "gnosis")))]
#[test]
fn the_synthetic_bytes_are_those_that_others_measured() {
    use tree_hash::TreeHash as _;

    let mut state = synthetic::state(256).unwrap();
    let expected = b256!("77818c49815580fe9fe97565f67b5f969676bc3295f7b802c7e1eb44d56571f4");
    assert_eq!(state.hash_tree_root(), expected);
    let config = Config::default();
    let ctx = Context { config: &config, keys: &PubkeyCache::default() };
    let full = b256!("196fddebdcad7f16ff94d402e17cdf271d3ddecc32ead1af4b08111cc5a035c7");
    let small = b256!("e92d8768a2607488c5111dc2dbc8299729fc67a725139f7265dbff1e0f8c2f8f");
    for (is_full, expected) in [(true, full), (false, small)] {
        let mut block = synthetic::block(&state, is_full, &ctx).unwrap().message;
        block.state_root = Hash256::ZERO;
        assert_eq!(block.tree_hash_root(), expected);
    }
}
