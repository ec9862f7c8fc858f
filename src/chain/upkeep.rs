//! What the store task does so that nothing it owns grows without end: states, side branches, blocks. All that takes long is
//! done elsewhere.

use std::{collections::HashSet, sync::atomic::Ordering};

use super::{
    limits::BOUNDARIES_PINNED,
    store_task::{StoreMessage, StoreTask},
};
use crate::{
    metrics::{self, FORK_CHOICE_BLOCKS, STATES_HELD},
    types::{Hash256, compute_epoch_at_slot, compute_start_slot_at_epoch},
};

impl StoreTask {
    /// Pins what is needed, drops what is too much, has costs measured, and once an epoch looks for dead branches.
    pub(super) fn look_after_memory(&mut self, head: Hash256) {
        self.pin(head);
        let evicted = self.states.evict();
        if !evicted.is_empty() {
            tracing::debug!(states = evicted.len(), left = self.states.len(), "states dropped from memory");
        }
        self.dropped.extend(evicted);
        self.measure_states();
        let slot = self.store.get_current_slot();
        if self.measured_in != Some(slot) {
            self.measured_in = Some(slot);
            self.shared.sizes.fork_choice.store(self.store.bytes(), Ordering::Relaxed);
            metrics::set(&STATES_HELD, &[], self.states.len() as f64);
            metrics::set(&FORK_CHOICE_BLOCKS, &[], self.store.nodes().len() as f64);
        }
        let epoch = compute_epoch_at_slot(slot);
        if self.pruned_in != Some(epoch) {
            self.pruned_in = Some(epoch);
            self.drop_side_branches(head);
        }
    }

    /// The head's state stays, and so do those that the next justified and finalized checkpoints may have.
    pub(super) fn pin(&mut self, head: Hash256) {
        let mut pinned = vec![head, self.store.justified_checkpoint().root, self.store.finalized_checkpoint().root];
        if let Some(node) = self.store.node(&head) {
            let epoch = compute_epoch_at_slot(node.slot);
            let epochs = epoch.saturating_sub(BOUNDARIES_PINNED - 1)..=epoch;
            let starts = epochs.map(compute_start_slot_at_epoch);
            pinned.extend(starts.filter_map(|start| self.store.get_ancestor(&head, start)));
        }
        self.states.pin(pinned);
    }

    /// Has the costs that are estimates measured on the blocking pool.
    fn measure_states(&mut self) {
        if self.measuring {
            return;
        }
        let Some(measuring) = self.states.to_measure() else { return };
        self.measuring = true;
        let shared = self.shared.clone();
        smol::spawn(async move {
            let costs = smol::unblock(move || measuring.run()).await;
            // The store task is gone only when the node stops.
            let _ = shared.store.send(StoreMessage::Measured(costs)).await;
        })
        .detach();
    }

    fn drop_side_branches(&mut self, head: Hash256) {
        let dropped: HashSet<Hash256> = self.store.prune_side_branches(&head).into_iter().collect();
        if dropped.is_empty() {
            return;
        }
        tracing::info!(
            blocks = dropped.len(),
            left = self.store.nodes().len(),
            "branches that nobody is on were dropped"
        );
        self.blocks.retain(|root, _| !dropped.contains(root));
        let base = self.states.base().0;
        self.dropped.extend(self.states.finalize(&base, |root| !dropped.contains(root)));
    }
}
