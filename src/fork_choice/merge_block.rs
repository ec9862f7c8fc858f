//! The merge: the first block with an execution payload builds on the last of proof of work.

use crate::{transition::is_merge_transition_block, types::*};

/// Why a block can't be the merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeBlockError {
    /// It may become known, in which case the block may be valid after all.
    #[error("the proof-of-work block {0} is unknown, so whether the merge may build on it can't be checked")]
    UnknownPowBlock(Hash256),
    /// It has to be the first that reached the total difficulty.
    #[error("the proof-of-work block {0} is not the first to reach the terminal total difficulty")]
    NotTerminal(Hash256),
    /// The network's configuration names the block instead.
    #[error(
        "the configuration wants the merge on block {wanted} from epoch {from} on, not on {parent} in epoch {epoch}"
    )]
    NotConfigured {
        /// `TERMINAL_BLOCK_HASH`.
        wanted: Hash256,
        /// `TERMINAL_BLOCK_HASH_ACTIVATION_EPOCH`.
        from: Epoch,
        /// The block that the payload builds on.
        parent: Hash256,
        /// The beacon block's epoch.
        epoch: Epoch,
    },
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/bellatrix/fork-choice.md#is_valid_terminal_pow_block>
pub fn is_valid_terminal_pow_block(config: &Config, block: &PowBlock, parent: &PowBlock) -> bool {
    let is_total_difficulty_reached = block.total_difficulty >= config.terminal_total_difficulty;
    let is_parent_total_difficulty_valid = parent.total_difficulty < config.terminal_total_difficulty;
    is_total_difficulty_reached && is_parent_total_difficulty_valid
}

/// What Bellatrix's `on_block` asks beyond the other forks': if this block, on top of `pre_state`, is the merge, whether
/// it may be. Since Capella nobody asks any more.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/bellatrix/fork-choice.md#on_block>
///
/// # Errors
/// As [`validate_merge_block`].
pub fn check_merge(
    config: &Config,
    pre_state: &BeaconState,
    block: &BeaconBlock,
    get_pow_block: impl Fn(&Hash256) -> Option<PowBlock>,
) -> Result<(), MergeBlockError> {
    if block.body.layout == BodyLayout::Bellatrix && is_merge_transition_block(pre_state, &block.body) {
        validate_merge_block(config, block, get_pow_block)?;
    }
    Ok(())
}

/// Whether the merge may happen in this block, which is the first with a payload. `get_pow_block` knows the former chain.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/bellatrix/fork-choice.md#validate_merge_block>
///
/// # Errors
/// Says why not; an unknown proof-of-work block may become known later.
pub fn validate_merge_block(
    config: &Config,
    block: &BeaconBlock,
    get_pow_block: impl Fn(&Hash256) -> Option<PowBlock>,
) -> Result<(), MergeBlockError> {
    let parent = block.body.execution_payload.parent_hash;
    if !config.terminal_block_hash.is_zero() {
        let (wanted, from) = (config.terminal_block_hash, config.terminal_block_hash_activation_epoch);
        let epoch = compute_epoch_at_slot(block.slot);
        if epoch < from || parent != wanted {
            return Err(MergeBlockError::NotConfigured { wanted, from, parent, epoch });
        }
        return Ok(());
    }
    let pow_block = get_pow_block(&parent).ok_or(MergeBlockError::UnknownPowBlock(parent))?;
    let unknown_parent = MergeBlockError::UnknownPowBlock(pow_block.parent_hash);
    let pow_parent = get_pow_block(&pow_block.parent_hash).ok_or(unknown_parent)?;
    if !is_valid_terminal_pow_block(config, &pow_block, &pow_parent) {
        return Err(MergeBlockError::NotTerminal(parent));
    }
    Ok(())
}
