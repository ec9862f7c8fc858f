//! Forgetting what finality decided, and, while there is none, branches that nobody is on any more.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::{MAX_NODES, PayloadStatus, Store, votes::NO_NODE};
use crate::types::{Hash256, Slot, preset::SLOTS_PER_EPOCH};

/// Pruning walks all votes, so it waits until there is this much to forget: a few epochs.
const PRUNE_THRESHOLD: usize = 256;
/// A branch that ends this far behind the head may be dropped. Votes are for this epoch or the one before: where nobody
/// built for four and nobody's latest vote is, nobody is. Should its next block come, it is fetched and imported again.
const SIDE_BRANCH_SLOTS: u64 = 4 * SLOTS_PER_EPOCH;
/// With more blocks than this, branches with votes on them go too, the lightest first. The rest of [`MAX_NODES`] is room for
/// what comes until the next time: an epoch's blocks, or those that a sync brings in an epoch's time.
const NODES_WANTED: usize = MAX_NODES - (1 << 14);

/// When a side branch is dropped.
#[derive(Clone, Copy)]
pub(super) struct SideBranches {
    /// Nothing is done for fewer.
    pub threshold: usize,
    /// How far behind the head it has to end.
    pub slots: u64,
    /// Up to so many blocks, only branches without votes are dropped.
    pub wanted: usize,
}

impl Store {
    /// Drops what does not descend from the finalized block, once that is worth the work. Returns the dropped roots.
    pub fn prune(&mut self) -> Vec<Hash256> {
        self.prune_from(PRUNE_THRESHOLD)
    }

    /// Drops what does not descend from the finalized block if that is at least `threshold` blocks.
    pub(super) fn prune_from(&mut self, threshold: usize) -> Vec<Hash256> {
        let Some(finalized) = self.position(&self.finalized_checkpoint.root) else { return Vec::new() };
        let keep = self.to_keep(finalized);
        let dropped = keep.iter().filter(|keep| !**keep).count();
        // A justified block beside the finalized chain takes a third of the validators to be slashed. Then the
        // specification's head is that block: it has to stay.
        let justified_stays = self.position(&self.justified_checkpoint.root).is_some_and(|at| keep[at]);
        if dropped == 0 || dropped < threshold || !justified_stays {
            return Vec::new();
        }
        let new_positions = new_positions(&keep);
        self.keep_only(&keep, &new_positions)
    }

    /// Drops branches that end far behind `head` and have no votes, leaf by leaf, once that is worth the work; when the tree is
    /// nearly full, the lightest ones too. Never an ancestor of the head, or of a block that the store itself names. The
    /// votes for what is dropped count for its parent from then on, so that all weights stay. Returns the dropped roots.
    pub fn prune_side_branches(&mut self, head: &Hash256) -> Vec<Hash256> {
        let bounds = SideBranches { threshold: PRUNE_THRESHOLD, slots: SIDE_BRANCH_SLOTS, wanted: NODES_WANTED };
        self.prune_sides(head, bounds)
    }

    pub(super) fn prune_sides(&mut self, head: &Hash256, bounds: SideBranches) -> Vec<Hash256> {
        let Some(head_slot) = self.node(head).map(|node| node.slot) else { return Vec::new() };
        let keep = self.without_side_branches(head, head_slot, bounds);
        let dropped = keep.iter().filter(|keep| !**keep).count();
        if dropped == 0 || dropped < bounds.threshold && self.nodes.len() <= bounds.wanted {
            return Vec::new();
        }
        // Parents come before children, so a parent's place is known when its child asks.
        let mut places = new_positions(&keep);
        for at in (0..keep.len()).filter(|at| !keep[*at]) {
            let node = &self.nodes[at];
            let parent = node.parent.filter(|_| node.payload_status != PayloadStatus::Invalid);
            places[at] = parent.map_or(NO_NODE, |parent| places[parent as usize]);
        }
        let removed = self.keep_only(&keep, &places);
        self.weigh_all_votes();
        removed
    }

    /// Which blocks stay when side branches are dropped.
    fn without_side_branches(&mut self, head: &Hash256, head_slot: Slot, bounds: SideBranches) -> Vec<bool> {
        self.sum_up_weights();
        let is_named = self.named_and_ancestors(head);
        let mut children = vec![0u32; self.nodes.len()];
        for parent in self.nodes.iter().filter_map(|node| node.parent) {
            children[parent as usize] += 1;
        }
        let nodes = &self.nodes;
        let is_loose = |at: usize| !is_named[at] && nodes[at].slot + bounds.slots <= head_slot;
        let ranked = |at: usize| Reverse((nodes[at].weight, nodes[at].slot, at));
        let leaves = (0..nodes.len()).filter(|at| children[*at] == 0 && is_loose(*at));
        let mut leaves: BinaryHeap<_> = leaves.map(ranked).collect();
        let (mut keep, mut left) = (vec![true; nodes.len()], nodes.len());
        while let Some(Reverse((weight, _, at))) = leaves.pop() {
            if weight > 0 && left <= bounds.wanted {
                break;
            }
            (keep[at], left) = (false, left - 1);
            let Some(parent) = nodes[at].parent.map(|parent| parent as usize) else { continue };
            children[parent] -= 1;
            if children[parent] == 0 && is_loose(parent) {
                leaves.push(ranked(parent));
            }
        }
        keep
    }

    /// Whether each block is the head, one that the store names, or an ancestor of one.
    fn named_and_ancestors(&self, head: &Hash256) -> Vec<bool> {
        let confirmation = &self.fast_confirmation;
        let named = [
            *head,
            self.justified_checkpoint.root,
            self.finalized_checkpoint.root,
            self.unrealized_justified_checkpoint.root,
            self.unrealized_finalized_checkpoint.root,
            self.proposer_boost_root,
            confirmation.confirmed_root,
            confirmation.previous_slot_head,
            confirmation.current_slot_head,
        ];
        let mut is_named = vec![false; self.nodes.len()];
        named.iter().filter_map(|root| self.position(root)).for_each(|at| is_named[at] = true);
        for at in (0..self.nodes.len()).rev().filter(|at| *at > 0) {
            if let (true, Some(parent)) = (is_named[at], self.nodes[at].parent) {
                is_named[parent as usize] = true;
            }
        }
        is_named
    }

    /// Drops blocks. `places` says where each will be, or, for those that go, where the votes for it go. Returns the roots of
    /// those that went.
    fn keep_only(&mut self, keep: &[bool], places: &[u32]) -> Vec<Hash256> {
        let mut removed = Vec::new();
        let mut at = 0;
        self.nodes.retain(|node| {
            at += 1;
            if !keep[at - 1] {
                removed.push(node.root);
            }
            keep[at - 1]
        });
        let moved = |old: u32| places.get(old as usize).copied().unwrap_or(NO_NODE);
        for node in &mut self.nodes {
            node.parent = node.parent.map(moved).filter(|parent| *parent != NO_NODE);
        }
        for vote in &mut self.votes.all {
            vote.node = moved(vote.node);
        }
        self.positions = self.nodes.iter().zip(0..).map(|(node, at)| (node.root, at)).collect();
        removed
    }

    /// The finalized block and what is above it.
    fn to_keep(&self, finalized: usize) -> Vec<bool> {
        let mut keep = vec![false; self.nodes.len()];
        keep[finalized] = true;
        for at in finalized + 1..self.nodes.len() {
            keep[at] = self.nodes[at].parent.is_some_and(|parent| keep[parent as usize]);
        }
        keep
    }
}

/// Where each block will be; `NO_NODE` for those that go.
fn new_positions(keep: &[bool]) -> Vec<u32> {
    let mut next = 0;
    let position = |keep: &bool| {
        let position = if *keep { next } else { NO_NODE };
        next += u32::from(*keep);
        position
    };
    keep.iter().map(position).collect()
}
