//! One run of the rule: the store as it is now, and what is needed many times, worked out once.

use super::{HeadFacts, Observed};
use crate::{
    fork_choice::{Balances, Node, Store},
    types::*,
};

/// The store at this moment, seen by the rule. Blocks are named by their positions in the tree.
pub(super) struct Rule<'a> {
    pub store: &'a Store,
    pub facts: &'a HeadFacts,
    pub head: Hash256,
    pub current_slot: Slot,
    pub current_epoch: Epoch,
    /// Where equivocating validators sit in the committees of `facts`.
    pub equivocating: Vec<(Slot, u32)>,
}

/// A checkpoint's balances, and what they make of all votes.
pub(super) struct BalanceSource<'a> {
    pub balances: &'a Balances,
    /// `get_attestation_score` of each block.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fork-choice.md#get_attestation_score>
    pub scores: Vec<Gwei>,
}

impl<'a> Rule<'a> {
    /// `facts` are of the store's head at the store's slot.
    pub fn new(store: &'a Store, facts: &'a HeadFacts) -> Rule<'a> {
        let equivocating = if store.votes.any_equivocating() {
            let members = facts.slot_committees(0, Slot::MAX);
            members.filter(|(_, member)| store.is_equivocating((*member).into())).collect()
        } else {
            Vec::new()
        };
        let current_slot = store.get_current_slot();
        let current_epoch = compute_epoch_at_slot(current_slot);
        Rule { store, facts, head: facts.head, current_slot, current_epoch, equivocating }
    }

    /// The balances to weigh votes by; none if they were lost.
    pub fn balance_source(&self, observed: &'a Observed) -> Option<BalanceSource<'a>> {
        let balances = observed.balances.as_deref()?;
        let votes = if observed.checkpoint == self.store.weighed_by {
            self.store.nodes.iter().map(|node| node.votes).collect()
        } else {
            self.store.votes_weighed_by(balances)
        };
        Some(BalanceSource { balances, scores: self.store.sum_up(votes) })
    }

    /// Percent of the validators that may lie.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fast-confirmation.md#configuration>
    pub fn byzantine_threshold(&self) -> u64 {
        self.store.config.confirmation_byzantine_threshold.min(100)
    }

    /// Whether the slot is the first of its epoch.
    pub fn is_epoch_start(&self) -> bool {
        super::is_start_slot_at_epoch(self.current_slot)
    }

    /// The parent; none for the tree's oldest block.
    pub fn parent(&self, node: &Node) -> Option<&'a Node> {
        node.parent.map(|parent| &self.store.nodes[parent as usize])
    }

    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fast-confirmation.md#get_block_epoch>
    pub fn get_block_epoch(&self, block_root: &Hash256) -> Option<Epoch> {
        self.store.node(block_root).map(epoch_of)
    }

    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fast-confirmation.md#get_checkpoint_for_block>
    pub fn get_checkpoint_for_block(&self, block_root: &Hash256, epoch: Epoch) -> Option<Checkpoint> {
        let root = self.store.get_checkpoint_block(block_root, epoch)?;
        Some(Checkpoint { epoch, root })
    }

    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fast-confirmation.md#get_current_target>
    pub fn get_current_target(&self) -> Option<Checkpoint> {
        self.get_checkpoint_for_block(&self.head, self.current_epoch)
    }

    /// Positions of the blocks above `terminal_root` up to `block_root`, oldest first; none if they are not on one chain.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fast-confirmation.md#get_ancestor_roots>
    pub fn get_ancestor_roots(&self, block_root: &Hash256, terminal_root: &Hash256) -> Vec<usize> {
        let (Some(block), Some(terminal)) = (self.store.position(block_root), self.store.position(terminal_root))
        else {
            return Vec::new();
        };
        let (mut at, mut positions) = (block, Vec::new());
        // A parent's position is always lower.
        while at > terminal {
            positions.push(at);
            let Some(parent) = self.store.nodes[at].parent else { return Vec::new() };
            at = parent as usize;
        }
        positions.reverse();
        if at == terminal { positions } else { Vec::new() }
    }
}

/// The epoch of a block.
pub(super) fn epoch_of(node: &Node) -> Epoch {
    compute_epoch_at_slot(node.slot)
}
