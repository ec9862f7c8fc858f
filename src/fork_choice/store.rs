//! The store, how it begins, and its small helpers.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use tree_hash::TreeHash;

use super::{
    Balances, FastConfirmation, Node, PayloadStatus,
    votes::{NO_NODE, Votes},
};
use crate::types::*;

/// Blocks in the tree at most: 36 days without finality with a block in every slot of 12 s, about 85 MB. The inactivity leak
/// ends sooner: when a share p of the validators is absent, those who are there are two thirds again after about
/// sqrt(2^25 ln(2p/(1-p))) epochs: 21 days for a half, 35 for three quarters. As the absent propose nothing, that is never
/// more than 80,000 blocks. Only where two halves of the network go on apart, and we see both, are there two times
/// 77,000; branches that were given up are dropped (`Store::prune_side_branches`).
pub const MAX_NODES: usize = 1 << 18;
/// Checkpoints whose balances are kept, besides the justified ones. A checkpoint's votes are included until the end of
/// the epoch after it, so two epochs of a few branches are enough.
const MAX_CHECKPOINT_BALANCES: usize = 12;

/// The fork choice's memory.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fork-choice.md#store>
pub struct Store {
    pub(super) config: Arc<Config>,
    /// In milliseconds, Unix time.
    pub(super) time_ms: u64,
    /// In seconds, Unix time.
    pub(super) genesis_time: u64,
    pub(super) justified_checkpoint: Checkpoint,
    pub(super) finalized_checkpoint: Checkpoint,
    pub(super) unrealized_justified_checkpoint: Checkpoint,
    pub(super) unrealized_finalized_checkpoint: Checkpoint,
    pub(super) proposer_boost_root: Hash256,
    /// Parents before children.
    pub(super) nodes: Vec<Node>,
    pub(super) positions: HashMap<Hash256, u32>,
    pub(super) votes: Votes,
    /// Where votes get their weight from.
    pub(super) balances: Arc<Balances>,
    /// Whose balances those are: the justified checkpoint, unless its own were lost.
    pub(super) weighed_by: Checkpoint,
    /// Balances of checkpoints that may become justified, oldest first.
    pub(super) checkpoint_balances: VecDeque<(Checkpoint, Arc<Balances>)>,
    pub(super) fast_confirmation: FastConfirmation,
}

/// Why a store can't begin from an anchor.
#[derive(Debug, thiserror::Error)]
pub enum AnchorError {
    /// State and block are not of the same chain or slot.
    #[error("the checkpoint's block {block} is not the latest block of its state, which is {latest}; fetch both again")]
    NotItsBlock {
        /// Root of the block given.
        block: Hash256,
        /// Root of the latest block that the state knows.
        latest: Hash256,
    },
}

impl Store {
    /// A store that begins at a trusted state and never looks behind it. The state is the one after `anchor_block`,
    /// either right after it or with empty slots since; with these, up to the start of an epoch, the anchor is that
    /// epoch's checkpoint.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fork-choice.md#get_forkchoice_store>
    ///
    /// # Errors
    /// When the block is not the state's.
    pub fn from_anchor(
        anchor_state: &mut BeaconState,
        anchor_block: &BeaconBlockHeader,
        config: Arc<Config>,
    ) -> Result<Store, AnchorError> {
        let mut latest = anchor_state.latest_block_header;
        if latest.state_root.is_zero() {
            latest.state_root = anchor_state.hash_tree_root();
        }
        let (root, latest) = (anchor_block.tree_hash_root(), latest.tree_hash_root());
        if root != latest {
            return Err(AnchorError::NotItsBlock { block: root, latest });
        }
        let checkpoint = Checkpoint { epoch: anchor_state.current_epoch(), root };
        let node = Node {
            root,
            parent_root: anchor_block.parent_root,
            slot: anchor_block.slot,
            proposer_index: anchor_block.proposer_index,
            state_root: anchor_block.state_root,
            execution_block_hash: anchor_state.latest_execution_payload_header.block_hash,
            payload_status: PayloadStatus::Valid,
            justified_checkpoint: checkpoint,
            finalized_epoch: checkpoint.epoch,
            unrealized_justified_checkpoint: checkpoint,
            is_timely: true,
            weight: 0,
            votes: 0,
            parent: None,
        };
        let since_genesis_ms = anchor_state.slot.saturating_mul(config.slot_duration_ms);
        let balances = Arc::new(Balances::of_state(anchor_state));
        Ok(Store {
            time_ms: anchor_state.genesis_time.saturating_mul(1000).saturating_add(since_genesis_ms),
            genesis_time: anchor_state.genesis_time,
            config,
            justified_checkpoint: checkpoint,
            finalized_checkpoint: checkpoint,
            unrealized_justified_checkpoint: checkpoint,
            unrealized_finalized_checkpoint: checkpoint,
            proposer_boost_root: Hash256::ZERO,
            positions: HashMap::from([(root, 0)]),
            nodes: vec![node],
            votes: Votes::new(anchor_state.validators.len()),
            fast_confirmation: FastConfirmation::new(checkpoint, Some(balances.clone())),
            balances,
            weighed_by: checkpoint,
            checkpoint_balances: VecDeque::new(),
        })
    }

    /// The checkpoint where `get_head` starts.
    pub fn justified_checkpoint(&self) -> Checkpoint {
        self.justified_checkpoint
    }

    /// The checkpoint that never changes again.
    pub fn finalized_checkpoint(&self) -> Checkpoint {
        self.finalized_checkpoint
    }

    /// The highest checkpoint that will be justified when its epoch ends.
    pub fn unrealized_justified_checkpoint(&self) -> Checkpoint {
        self.unrealized_justified_checkpoint
    }

    /// The highest checkpoint that will be finalized when its epoch ends.
    pub fn unrealized_finalized_checkpoint(&self) -> Checkpoint {
        self.unrealized_finalized_checkpoint
    }

    /// The block of this slot that came in time, or zero.
    pub fn proposer_boost_root(&self) -> Hash256 {
        self.proposer_boost_root
    }

    /// The store's time: Unix milliseconds of the last tick.
    pub fn time_ms(&self) -> u64 {
        self.time_ms
    }

    /// Unix seconds.
    pub fn genesis_time(&self) -> u64 {
        self.genesis_time
    }

    /// Whether a block is in the tree.
    pub fn contains(&self, root: &Hash256) -> bool {
        self.positions.contains_key(root)
    }

    /// A block in the tree.
    pub fn node(&self, root: &Hash256) -> Option<&Node> {
        self.position(root).map(|at| &self.nodes[at])
    }

    /// All blocks in the tree, parents before children.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Whether a validator was seen to equivocate.
    pub fn is_equivocating(&self, index: ValidatorIndex) -> bool {
        self.votes.is_equivocating(index)
    }

    /// The block that a validator's latest message supports; none if that was pruned or discarded.
    pub fn latest_message(&self, index: ValidatorIndex) -> Option<Hash256> {
        self.votes.node_of(index).map(|node| self.nodes[node as usize].root)
    }

    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fork-choice.md#get_current_slot>
    pub fn get_current_slot(&self) -> Slot {
        self.since_genesis_ms() / self.config.slot_duration_ms
    }

    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fork-choice.md#get_current_store_epoch>
    pub fn get_current_store_epoch(&self) -> Epoch {
        compute_epoch_at_slot(self.get_current_slot())
    }

    /// The last block at or before `slot` on the way from `root` down; the oldest block of the tree if it is later. None
    /// if `root` is not in the tree.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fork-choice.md#get_ancestor>
    pub fn get_ancestor(&self, root: &Hash256, slot: Slot) -> Option<Hash256> {
        self.position(root).map(|at| self.nodes[self.ancestor_of(at, slot)].root)
    }

    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fork-choice.md#get_checkpoint_block>
    pub fn get_checkpoint_block(&self, root: &Hash256, epoch: Epoch) -> Option<Hash256> {
        self.get_ancestor(root, compute_start_slot_at_epoch(epoch))
    }

    /// Whether `ancestor` is `root` or on the way down from it. Spec: `is_ancestor`.
    pub fn is_ancestor(&self, root: &Hash256, ancestor: &Hash256) -> bool {
        let Some(node) = self.node(ancestor) else { return false };
        self.get_ancestor(root, node.slot) == Some(*ancestor)
    }

    /// The justified checkpoint if its balances are missing: votes are weighed by an older checkpoint's until
    /// [`Store::provide_balances`] brings them. Happens only if a checkpoint becomes justified long after its epoch.
    pub fn missing_balances(&self) -> Option<Checkpoint> {
        (self.weighed_by != self.justified_checkpoint).then_some(self.justified_checkpoint)
    }

    /// Balances of a checkpoint's state. Those that can't become justified any more are dropped.
    pub fn provide_balances(&mut self, checkpoint: Checkpoint, mut balances: Balances) {
        let is_known = self.checkpoint_balances.iter().any(|(known, _)| *known == checkpoint);
        let is_missing = self.missing_balances() == Some(checkpoint);
        if is_known || (checkpoint.epoch <= self.justified_checkpoint.epoch && !is_missing) {
            return;
        }
        balances.share_with(self.checkpoint_balances.back().map_or(&self.balances, |(_, latest)| latest));
        self.checkpoint_balances.push_back((checkpoint, Arc::new(balances)));
        self.weigh_by_justified();
        if self.checkpoint_balances.len() > MAX_CHECKPOINT_BALANCES {
            let keep = self.unrealized_justified_checkpoint;
            let oldest = self.checkpoint_balances.iter().position(|(checkpoint, _)| *checkpoint != keep);
            oldest.map(|at| self.checkpoint_balances.remove(at));
        }
    }

    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fork-choice.md#update_checkpoints>
    pub(super) fn update_checkpoints(&mut self, justified: Checkpoint, finalized: Checkpoint) {
        if justified.epoch > self.justified_checkpoint.epoch {
            self.justified_checkpoint = justified;
            self.weigh_by_justified();
        }
        if finalized.epoch > self.finalized_checkpoint.epoch {
            self.finalized_checkpoint = finalized;
        }
    }

    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fork-choice.md#update_unrealized_checkpoints>
    pub(super) fn update_unrealized_checkpoints(&mut self, justified: Checkpoint, finalized: Checkpoint) {
        if justified.epoch > self.unrealized_justified_checkpoint.epoch {
            self.unrealized_justified_checkpoint = justified;
        }
        if finalized.epoch > self.unrealized_finalized_checkpoint.epoch {
            self.unrealized_finalized_checkpoint = finalized;
        }
    }

    /// Takes the justified checkpoint's balances into use, if it has not yet, and drops those of no use any more.
    fn weigh_by_justified(&mut self) {
        let justified = self.justified_checkpoint;
        let known = self.checkpoint_balances.iter().find(|(checkpoint, _)| *checkpoint == justified);
        if let Some((_, balances)) = known {
            self.balances = balances.clone();
            self.weighed_by = justified;
            self.weigh_all_votes();
        }
        // The greatest unrealized one is also the next that fast confirmation will weigh votes by.
        let unrealized = self.unrealized_justified_checkpoint;
        let is_of_use = |checkpoint: Checkpoint| checkpoint.epoch > justified.epoch || checkpoint == unrealized;
        self.checkpoint_balances.retain(|(checkpoint, _)| is_of_use(*checkpoint));
    }

    /// Sums up every node's direct votes anew. Walks all validators.
    pub(super) fn weigh_all_votes(&mut self) {
        let votes = self.votes_weighed_by(&self.balances);
        for (node, votes) in self.nodes.iter_mut().zip(votes) {
            node.votes = votes;
        }
    }

    /// The weight of the votes for exactly each node, by these balances. Walks all validators.
    pub(super) fn votes_weighed_by(&self, balances: &Balances) -> Vec<Gwei> {
        let mut votes = vec![0; self.nodes.len()];
        for (vote, weight) in self.votes.all.iter().zip(balances.weights()) {
            if vote.node != NO_NODE {
                votes[vote.node as usize] += weight;
            }
        }
        votes
    }

    /// A checkpoint's balances, if they are here.
    pub(super) fn balances_of(&self, checkpoint: Checkpoint) -> Option<Arc<Balances>> {
        if checkpoint == self.weighed_by {
            return Some(self.balances.clone());
        }
        let known = self.checkpoint_balances.iter().find(|(known, _)| *known == checkpoint);
        known.map(|(_, balances)| balances.clone())
    }

    pub(super) fn position(&self, root: &Hash256) -> Option<usize> {
        self.positions.get(root).map(|at| *at as usize)
    }

    pub(super) fn ancestor_of(&self, mut at: usize, slot: Slot) -> usize {
        while let (true, Some(parent)) = (self.nodes[at].slot > slot, self.nodes[at].parent) {
            at = parent as usize;
        }
        at
    }

    pub(super) fn since_genesis_ms(&self) -> u64 {
        self.time_ms.saturating_sub(self.genesis_time.saturating_mul(1000))
    }

    pub(super) fn time_into_slot_ms(&self) -> u64 {
        self.since_genesis_ms() % self.config.slot_duration_ms
    }

    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fork-choice.md#get_slot_component_duration_ms>
    pub(super) fn get_slot_component_duration_ms(&self, basis_points: u64) -> u64 {
        basis_points * self.config.slot_duration_ms / preset::BASIS_POINTS
    }
}
