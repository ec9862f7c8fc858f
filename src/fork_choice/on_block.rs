//! Blocks.

use super::{Balances, MAX_NODES, Node, PayloadStatus, Store};
use crate::types::{preset::*, *};

/// Blocks that there is room for beforehand.
const MIN_GROWTH: usize = 64;

/// What the store has to know of a block that passed the transition.
#[derive(Clone, Debug)]
pub struct ImportedBlock {
    /// The block's root.
    pub root: Hash256,
    /// Its header.
    pub header: BeaconBlockHeader,
    /// Hash of its execution payload.
    pub execution_block_hash: Hash256,
    /// What the execution client said of that; `NotValidated` if it was not asked.
    pub payload_status: PayloadStatus,
    /// `current_justified_checkpoint` of the state after the block.
    pub justified_checkpoint: Checkpoint,
    /// `finalized_checkpoint` of that state.
    pub finalized_checkpoint: Checkpoint,
    /// The same two as if the epoch ended with this block. Spec: `compute_pulled_up_tip`.
    pub unrealized_justified_checkpoint: Checkpoint,
    /// See above.
    pub unrealized_finalized_checkpoint: Checkpoint,
    /// Balances of the checkpoints that lie between the parent and this block, this block's own included.
    pub checkpoint_balances: Vec<(Checkpoint, Balances)>,
    /// The votes in its body; the transition verified them.
    pub attestations: Vec<BodyAttestation>,
    /// Validators that an attester slashing in its body convicts.
    pub equivocating_indices: Vec<ValidatorIndex>,
}

/// An attestation of a block's body, with its attesters named.
#[derive(Clone, Debug)]
pub struct BodyAttestation {
    /// What they vote for.
    pub data: AttestationData,
    /// Who they are.
    pub attesting_indices: Vec<ValidatorIndex>,
}

/// Why a block was not taken into the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OnBlockError {
    /// Import the parent first.
    #[error("its parent {0} is unknown; it may come later")]
    UnknownParent(Hash256),
    /// The execution client refused a block that this one builds on.
    #[error("it builds on {0}, whose execution payload is invalid")]
    InvalidParent(Hash256),
    /// Hold it back until its slot.
    #[error("its slot {slot} is in the future, this is slot {current}; check the clock if that happens often")]
    FutureSlot {
        /// The block's slot.
        slot: Slot,
        /// The store's slot.
        current: Slot,
    },
    /// The chain has gone on without it.
    #[error("its slot {slot} is not after the finalized slot {finalized}")]
    NotAfterFinalized {
        /// The block's slot.
        slot: Slot,
        /// First slot of the finalized epoch.
        finalized: Slot,
    },
    /// It is on another chain.
    #[error("it does not descend from the finalized block {0}")]
    NotOnFinalized(Hash256),
    /// Finality stands still for too long.
    #[error("the block tree is full ({MAX_NODES} blocks); it shrinks when the chain finalizes again")]
    TreeFull,
}

impl Store {
    /// The checks of a block that need no state: make them before the transition runs. [`Store::on_block`] makes them
    /// again.
    ///
    /// # Errors
    /// As `on_block`.
    pub fn validate_on_block(&self, slot: Slot, parent_root: &Hash256) -> Result<(), OnBlockError> {
        let parent = self.position(parent_root).ok_or(OnBlockError::UnknownParent(*parent_root))?;
        if self.nodes[parent].payload_status == PayloadStatus::Invalid {
            return Err(OnBlockError::InvalidParent(*parent_root));
        }
        let current = self.get_current_slot();
        if slot > current {
            return Err(OnBlockError::FutureSlot { slot, current });
        }
        let Checkpoint { epoch, root } = self.finalized_checkpoint;
        let finalized = compute_start_slot_at_epoch(epoch);
        if slot <= finalized {
            return Err(OnBlockError::NotAfterFinalized { slot, finalized });
        }
        if self.nodes[self.ancestor_of(parent, finalized)].root != root {
            return Err(OnBlockError::NotOnFinalized(root));
        }
        if self.nodes.len() >= MAX_NODES {
            return Err(OnBlockError::TreeFull);
        }
        Ok(())
    }

    /// Takes in a block that passed the transition and whose data is available, then its votes and slashings. A block
    /// that is already known changes nothing.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/fork-choice.md#modified-on_block>
    ///
    /// # Errors
    /// When the block can't be in this tree, or not yet; the store is as before then.
    pub fn on_block(&mut self, block: ImportedBlock) -> Result<(), OnBlockError> {
        if self.contains(&block.root) {
            return Ok(());
        }
        self.validate_on_block(block.header.slot, &block.header.parent_root)?;
        for (checkpoint, balances) in block.checkpoint_balances {
            self.provide_balances(checkpoint, balances);
        }
        let is_timely = self.is_timely(block.header.slot);
        // Only a block that may get the boost asks for the head, which must be that of the tree without it.
        let boost_candidate = is_timely && self.proposer_boost_root.is_zero();
        let head = if boost_candidate { Some(self.get_head()) } else { None };
        let position = self.nodes.len() as u32;
        self.positions.insert(block.root, position);
        if self.nodes.len() == self.nodes.capacity() {
            // An eighth, where doubling would take tens of MB at once after weeks without finality.
            self.nodes.reserve_exact((self.nodes.len() / 8).max(MIN_GROWTH));
        }
        self.nodes.push(Node {
            root: block.root,
            parent_root: block.header.parent_root,
            slot: block.header.slot,
            proposer_index: block.header.proposer_index,
            state_root: block.header.state_root,
            execution_block_hash: block.execution_block_hash,
            payload_status: PayloadStatus::NotValidated,
            justified_checkpoint: block.justified_checkpoint,
            finalized_epoch: block.finalized_checkpoint.epoch,
            unrealized_justified_checkpoint: block.unrealized_justified_checkpoint,
            is_timely,
            weight: 0,
            votes: 0,
            parent: self.positions.get(&block.header.parent_root).copied(),
        });
        self.take_payload_status(position as usize, block.payload_status);
        if let Some(head) = head {
            self.update_proposer_boost_root(head, block.root);
        }
        self.update_checkpoints(block.justified_checkpoint, block.finalized_checkpoint);
        self.compute_pulled_up_tip(
            block.header.slot,
            block.unrealized_justified_checkpoint,
            block.unrealized_finalized_checkpoint,
        );
        for BodyAttestation { data, attesting_indices } in &block.attestations {
            // One that can't count (its block was never seen here) does not make the block invalid.
            let _ = self.on_attestation(data, attesting_indices, true);
        }
        self.discard_votes(&block.equivocating_indices);
        Ok(())
    }

    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fork-choice.md#record_block_timeliness>
    fn is_timely(&self, slot: Slot) -> bool {
        let due_ms = self.get_slot_component_duration_ms(self.config.attestation_due_bps);
        self.get_current_slot() == slot && self.time_into_slot_ms() < due_ms
    }

    /// Boosts a timely block that is the slot's first, if its proposer was shuffled as the head's chain would.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fork-choice.md#update_proposer_boost_root>
    fn update_proposer_boost_root(&mut self, head: Hash256, root: Hash256) {
        let dependent_slot = compute_shuffling_dependent_slot(self.get_current_store_epoch());
        if self.get_ancestor(&head, dependent_slot) == self.get_ancestor(&root, dependent_slot) {
            self.proposer_boost_root = root;
        }
    }

    /// The part that changes the store; the checkpoints come with the block.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fork-choice.md#compute_pulled_up_tip>
    fn compute_pulled_up_tip(&mut self, slot: Slot, justified: Checkpoint, finalized: Checkpoint) {
        self.update_unrealized_checkpoints(justified, finalized);
        if compute_epoch_at_slot(slot) < self.get_current_store_epoch() {
            self.update_checkpoints(justified, finalized);
        }
    }
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fork-choice.md#compute_shuffling_dependent_slot>
fn compute_shuffling_dependent_slot(epoch: Epoch) -> Slot {
    if epoch <= MIN_SEED_LOOKAHEAD {
        return GENESIS_SLOT;
    }
    compute_start_slot_at_epoch(epoch - MIN_SEED_LOOKAHEAD) - 1
}
