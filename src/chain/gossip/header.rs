//! What everything that carries a signed header has in common: columns, their parts, blobs.

use tree_hash::TreeHash as _;

use super::{Refusal, View, ensure, ignore, reject};
use crate::{chain::gossip::beacon_block::is_signature_valid, types::SignedBeaconBlockHeader};

/// A topic's words for each of the rules.
pub(super) struct Words {
    pub future: &'static str,
    pub finalized: &'static str,
    pub signature: &'static str,
    pub parent_unknown: &'static str,
    pub parent_invalid: &'static str,
    pub slot: &'static str,
    pub ancestor: &'static str,
    pub proposer: &'static str,
}

/// Checks a header by its slot, proposer, signature and parent.
pub(super) fn check(view: &View, header: &SignedBeaconBlockHeader, words: &Words) -> Result<(), Refusal> {
    let block = &header.message;
    ensure(!view.is_future_slot(block.slot), ignore(words.future))?;
    ensure(view.is_after_finalized(block.slot), ignore(words.finalized))?;
    ensure(view.is_validator(block.proposer_index), reject("proposer index out of range"))?;
    let is_signed =
        is_signature_valid(view, block.slot, block.proposer_index, block.tree_hash_root(), &header.signature);
    ensure(is_signed, reject(words.signature))?;
    ensure(!view.invalid_blocks.contains(&block.parent_root), reject(words.parent_invalid))?;
    let parent = view.snapshot.blocks.get(&block.parent_root).ok_or(ignore(words.parent_unknown))?;
    ensure(block.slot > parent.slot, reject(words.slot))?;
    ensure(view.is_on_finalized_chain(), reject(words.ancestor))?;
    // The specification advances the parent's state; ours may have to leave the message to those who fetch it later.
    let expected = view.expected_proposer(&block.parent_root, block.slot);
    let expected = expected.ok_or(ignore("the slot's proposer is not known yet"))?;
    ensure(expected == block.proposer_index, reject(words.proposer))
}
