//! Forgetting what finality decided.

use super::{Store, votes::NO_NODE};
use crate::types::Hash256;

/// Pruning walks all votes, so it waits until there is this much to forget: a few epochs.
const PRUNE_THRESHOLD: usize = 256;

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
        let mut removed = Vec::with_capacity(dropped);
        let mut at = 0;
        self.nodes.retain(|node| {
            at += 1;
            if !keep[at - 1] {
                removed.push(node.root);
            }
            keep[at - 1]
        });
        let moved = |old: u32| new_positions.get(old as usize).copied().unwrap_or(NO_NODE);
        for node in &mut self.nodes {
            node.parent = node.parent.map(moved).filter(|parent| *parent != NO_NODE);
        }
        for node in &mut self.votes.nodes {
            *node = moved(*node);
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
