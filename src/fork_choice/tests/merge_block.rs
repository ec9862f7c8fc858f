//! The merge, where the vectors say nothing: a terminal block by configuration, and the difficulty's edges.

use super::*;

fn pow_block(number: u8, total_difficulty: u64) -> PowBlock {
    let hash = Hash256::repeat_byte;
    let total_difficulty = total_difficulty.to_string();
    let json = serde_json::json!({
        "block_hash": hash(number), "parent_hash": hash(number - 1), "total_difficulty": total_difficulty,
    });
    serde_json::from_value(json).unwrap()
}

fn merge_block(parent: u8, slot: Slot) -> BeaconBlock {
    let mut block = BeaconBlock { slot, ..BeaconBlock::default() };
    block.body.execution_payload.parent_hash = Hash256::repeat_byte(parent);
    block
}

#[test]
fn only_the_first_block_that_reaches_the_difficulty_is_terminal() {
    let config = Config::from_yaml(&format!("PRESET_BASE: {PRESET_BASE}\nTERMINAL_TOTAL_DIFFICULTY: 100")).unwrap();
    let chain = [pow_block(1, 98), pow_block(2, 99), pow_block(3, 100), pow_block(4, 101)];
    let validate = |parent: u8| {
        let get = |hash: &Hash256| chain.iter().find(|block| block.block_hash == *hash).cloned();
        validate_merge_block(&config, &merge_block(parent, 1), get)
    };
    assert_eq!(validate(3), Ok(()));
    for not_terminal in [2, 4] {
        assert_eq!(validate(not_terminal), Err(MergeBlockError::NotTerminal(Hash256::repeat_byte(not_terminal))));
    }
    assert_eq!(validate(1), Err(MergeBlockError::UnknownPowBlock(Hash256::ZERO)), "its parent is unknown");
    assert_eq!(validate(5), Err(MergeBlockError::UnknownPowBlock(Hash256::repeat_byte(5))));
}

#[test]
fn a_configured_block_counts_from_its_epoch_on() {
    let config = Config {
        terminal_block_hash: Hash256::repeat_byte(7),
        terminal_block_hash_activation_epoch: 2,
        ..Config::default()
    };
    let validate = |parent, slot| validate_merge_block(&config, &merge_block(parent, slot), |_| None);
    assert_eq!(validate(7, 2 * SLOTS_PER_EPOCH), Ok(()));
    assert!(matches!(validate(7, 2 * SLOTS_PER_EPOCH - 1), Err(MergeBlockError::NotConfigured { epoch: 1, .. })));
    assert!(matches!(validate(8, 2 * SLOTS_PER_EPOCH), Err(MergeBlockError::NotConfigured { .. })));
}
