//! The head: LMD GHOST over the branches that agree with the store's checkpoints.
//!
//! A vote is added to its block's own sum when it comes, and taken from that of the block before. `get_head` sums up
//! along the tree, which is a few passes over the blocks since finality and none over validators.

use super::{Node, PayloadStatus, Store};
use crate::types::{preset::GENESIS_EPOCH, *};

impl Store {
    /// The root of the best block to build on and to attest to.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fork-choice.md#get_head>
    pub fn get_head(&mut self) -> Hash256 {
        let Some(mut head) = self.position(&self.justified_checkpoint.root) else {
            return self.justified_checkpoint.root;
        };
        let best_child = self.best_children();
        while let Some(child) = best_child[head] {
            head = child;
        }
        self.nodes[head].root
    }

    /// Each block's best viable child: the heaviest, or the one with the highest root of several.
    fn best_children(&mut self) -> Vec<Option<usize>> {
        self.sum_up_weights();
        let viable = self.get_filtered_block_tree();
        let boosted = self.ancestors_of_boosted();
        let proposer_score = self.get_proposer_score();
        let weight = |at: usize| self.nodes[at].weight + if boosted[at] { proposer_score } else { 0 };
        let mut best: Vec<Option<usize>> = vec![None; self.nodes.len()];
        for (at, node) in self.nodes.iter().enumerate().filter(|(at, _)| viable[*at]) {
            let Some(parent) = node.parent else { continue };
            let best = &mut best[parent as usize];
            if best.is_none_or(|other| (weight(at), node.root) > (weight(other), self.nodes[other].root)) {
                *best = Some(at);
            }
        }
        best
    }

    /// Brings every node's `weight` up to date: its own votes and those of its descendants. A block with an invalid
    /// payload has none, and gives none to its ancestors.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fork-choice.md#get_attestation_score>
    pub(super) fn sum_up_weights(&mut self) {
        let weights = self.sum_up(self.nodes.iter().map(|node| node.votes).collect());
        for (node, weight) in self.nodes.iter_mut().zip(weights) {
            node.weight = weight;
        }
    }

    /// From each node's own votes to those for it or a descendant.
    pub(super) fn sum_up(&self, mut weights: Vec<Gwei>) -> Vec<Gwei> {
        for (at, node) in self.nodes.iter().enumerate().rev() {
            if node.payload_status == PayloadStatus::Invalid {
                weights[at] = 0;
            } else if let Some(parent) = node.parent {
                weights[parent as usize] += weights[at];
            }
        }
        weights
    }

    /// Whether each block has a leaf above it (or is one) that agrees with the store's checkpoints. What has an invalid
    /// payload counts as if it were not there.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fork-choice.md#filter_block_tree>
    fn get_filtered_block_tree(&self) -> Vec<bool> {
        let on_finalized = self.descendants_of_finalized();
        let mut has_children = vec![false; self.nodes.len()];
        let mut viable = vec![false; self.nodes.len()];
        for (at, node) in self.nodes.iter().enumerate().rev() {
            if node.payload_status == PayloadStatus::Invalid {
                continue;
            }
            if !has_children[at] {
                viable[at] = self.has_correct_justified(node) && on_finalized[at];
            }
            if let Some(parent) = node.parent {
                has_children[parent as usize] = true;
                viable[parent as usize] |= viable[at];
            }
        }
        viable
    }

    /// Spec: `correct_justified` in `filter_block_tree`.
    fn has_correct_justified(&self, node: &Node) -> bool {
        let voting_source = self.get_voting_source(node);
        self.justified_checkpoint.epoch == GENESIS_EPOCH
            || voting_source.epoch == self.justified_checkpoint.epoch
            || voting_source.epoch.saturating_add(2) >= self.get_current_store_epoch()
    }

    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fork-choice.md#get_voting_source>
    pub(super) fn get_voting_source(&self, node: &Node) -> Checkpoint {
        if self.get_current_store_epoch() > compute_epoch_at_slot(node.slot) {
            node.unrealized_justified_checkpoint
        } else {
            node.justified_checkpoint
        }
    }

    /// Whether each block has the finalized checkpoint's block at the finalized epoch's start. Spec: `correct_finalized`
    /// in `filter_block_tree`, for all blocks in one pass.
    pub(super) fn descendants_of_finalized(&self) -> Vec<bool> {
        let Checkpoint { epoch, root } = self.finalized_checkpoint;
        let start = compute_start_slot_at_epoch(epoch);
        let mut on_finalized = vec![false; self.nodes.len()];
        for (at, node) in self.nodes.iter().enumerate() {
            on_finalized[at] = match node.parent {
                _ if epoch == GENESIS_EPOCH => true,
                Some(parent) if node.slot > start => on_finalized[parent as usize],
                _ => node.root == root,
            };
        }
        on_finalized
    }

    /// Whether each block is the boosted one or below it; all false while none is.
    fn ancestors_of_boosted(&self) -> Vec<bool> {
        let mut boosted = vec![false; self.nodes.len()];
        let mut next = self.position(&self.proposer_boost_root);
        while let Some(at) = next {
            boosted[at] = true;
            next = self.nodes[at].parent.map(|parent| parent as usize);
        }
        boosted
    }

    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fork-choice.md#get_proposer_score>
    fn get_proposer_score(&self) -> Gwei {
        self.balances.calculate_committee_fraction(self.config.proposer_score_boost)
    }
}
