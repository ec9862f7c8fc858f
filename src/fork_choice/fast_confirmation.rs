//! Fast confirmation: which block will stay canonical, if messages arrive within a slot and at most a quarter of the
//! validators lie.
//!
//! The store keeps what the rule remembers from slot to slot. What it needs of the head's state comes in [`HeadFacts`],
//! which are made where the states are.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fast-confirmation.md>

mod ffg;
mod head_facts;
mod latest_confirmed;
mod lmd_ghost;
mod rule;

use std::sync::Arc;

pub use head_facts::HeadFacts;

use super::{Balances, Store};
use crate::types::{
    preset::{GENESIS_SLOT, SLOTS_PER_EPOCH},
    *,
};
use rule::Rule;

/// What the rule remembers from slot to slot.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fast-confirmation.md#fastconfirmationstore>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FastConfirmation {
    pub(super) confirmed_root: Hash256,
    pub(super) previous_epoch_observed_justified: Observed,
    pub(super) current_epoch_observed_justified: Observed,
    pub(super) previous_epoch_greatest_unrealized: Observed,
    pub(super) previous_slot_head: Hash256,
    pub(super) current_slot_head: Hash256,
}

/// A justified checkpoint that all honest nodes have seen, and the balances of its state: the rule may need them after
/// the store has gone on to the next. Without balances nothing is confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Observed {
    pub checkpoint: Checkpoint,
    pub balances: Option<Arc<Balances>>,
}

/// The facts can't be used: they are of another moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the facts are of block {facts} at slot {facts_slot}, but the head at slot {slot} is {head}; make them again")]
pub struct StaleFacts {
    /// Block that the facts are of.
    pub facts: Hash256,
    /// Slot that they are for.
    pub facts_slot: Slot,
    /// The head.
    pub head: Hash256,
    /// The store's slot.
    pub slot: Slot,
}

impl FastConfirmation {
    /// Everything begins at a finalized checkpoint.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fast-confirmation.md#get_fast_confirmation_store>
    pub(super) fn new(finalized: Checkpoint, balances: Option<Arc<Balances>>) -> FastConfirmation {
        let observed = Observed { checkpoint: finalized, balances };
        FastConfirmation {
            confirmed_root: finalized.root,
            previous_epoch_observed_justified: observed.clone(),
            current_epoch_observed_justified: observed.clone(),
            previous_epoch_greatest_unrealized: observed,
            previous_slot_head: finalized.root,
            current_slot_head: finalized.root,
        }
    }

    /// The latest confirmed block; the finalized one while the rule can't say more.
    pub fn confirmed_root(&self) -> Hash256 {
        self.confirmed_root
    }

    /// Seen by all honest nodes when the previous epoch began.
    pub fn previous_epoch_observed_justified_checkpoint(&self) -> Checkpoint {
        self.previous_epoch_observed_justified.checkpoint
    }

    /// Seen by all honest nodes when this epoch began.
    pub fn current_epoch_observed_justified_checkpoint(&self) -> Checkpoint {
        self.current_epoch_observed_justified.checkpoint
    }

    /// The greatest unrealized justified checkpoint when the last slot of the previous epoch began.
    pub fn previous_epoch_greatest_unrealized_checkpoint(&self) -> Checkpoint {
        self.previous_epoch_greatest_unrealized.checkpoint
    }

    /// The head when the previous slot began.
    pub fn previous_slot_head(&self) -> Hash256 {
        self.previous_slot_head
    }

    /// The head when this slot began.
    pub fn current_slot_head(&self) -> Hash256 {
        self.current_slot_head
    }
}

impl Store {
    /// What the fast confirmation rule knows.
    pub fn fast_confirmation(&self) -> &FastConfirmation {
        &self.fast_confirmation
    }

    /// Runs the rule; to be called once at the start of each slot, when the votes of past slots have been counted.
    /// `facts` are of the head at this slot.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fast-confirmation.md#on_fast_confirmation>
    ///
    /// # Errors
    /// When `facts` are not of the head and this slot. The variables are updated all the same: this must not happen
    /// twice in a slot, so call [`Store::update_confirmed_root`] with the right facts then.
    pub fn on_fast_confirmation(&mut self, facts: &HeadFacts) -> Result<(), StaleFacts> {
        self.update_fast_confirmation_variables();
        self.update_confirmed_root(facts)
    }

    /// Notes the head and the justified checkpoints; to be called exactly once in a slot, in its first part.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fast-confirmation.md#update_fast_confirmation_variables>
    pub fn update_fast_confirmation_variables(&mut self) {
        let (head, slot) = (self.get_head(), self.get_current_slot());
        let unrealized = self.unrealized_justified_checkpoint;
        let greatest = is_start_slot_at_epoch(slot + 1)
            .then(|| Observed { checkpoint: unrealized, balances: self.balances_of(unrealized) });
        let variables = &mut self.fast_confirmation;
        variables.previous_slot_head = std::mem::replace(&mut variables.current_slot_head, head);
        if let Some(greatest) = greatest {
            variables.previous_epoch_greatest_unrealized = greatest;
        }
        if is_start_slot_at_epoch(slot) {
            let greatest = variables.previous_epoch_greatest_unrealized.clone();
            variables.previous_epoch_observed_justified =
                std::mem::replace(&mut variables.current_epoch_observed_justified, greatest);
        }
    }

    /// Confirms what can be confirmed now; may be called at any time of a slot.
    ///
    /// # Errors
    /// When `facts` are not of the head and this slot; nothing changed then.
    pub fn update_confirmed_root(&mut self, facts: &HeadFacts) -> Result<(), StaleFacts> {
        let (head, slot) = (self.get_head(), self.get_current_slot());
        if (facts.head, facts.slot) != (head, slot) {
            return Err(StaleFacts { facts: facts.head, facts_slot: facts.slot, head, slot });
        }
        self.fast_confirmation.confirmed_root = Rule::new(self, facts).get_latest_confirmed();
        Ok(())
    }

    /// Forgets what the rule knows and begins anew at the finalized block, for a node that was absent in some slots: it
    /// can't know what others saw then.
    pub fn restart_fast_confirmation(&mut self) {
        let finalized = self.finalized_checkpoint;
        self.fast_confirmation = FastConfirmation::new(finalized, self.balances_of(finalized));
    }

    /// Hash of the execution payload that counts as safe: the confirmed block's. The genesis block has none, which is
    /// zero.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/bellatrix/fast-confirmation.md#new-get_safe_execution_block_hash>
    pub fn get_safe_execution_block_hash(&self) -> Hash256 {
        let confirmed = self.node(&self.fast_confirmation.confirmed_root);
        confirmed.filter(|node| node.slot > GENESIS_SLOT).map_or(Hash256::ZERO, |node| node.execution_block_hash)
    }
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fast-confirmation.md#is_start_slot_at_epoch>
fn is_start_slot_at_epoch(slot: Slot) -> bool {
    slot.is_multiple_of(SLOTS_PER_EPOCH)
}
