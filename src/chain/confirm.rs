//! Fast confirmation, once in every slot. The store task notes the head when the slot begins; what the rule has to know of
//! the head's state is worked out beside it and comes back as a message.

use std::sync::Arc;

use super::{
    Snapshot,
    store_task::{StoreMessage, StoreTask},
};
use crate::{
    fork_choice::HeadFacts,
    types::{
        Hash256, Slot,
        preset::{BASIS_POINTS, SLOTS_PER_EPOCH},
    },
};

/// How far the rule has come in a slot.
#[derive(Default)]
pub(super) struct Confirming {
    /// The slot in which the head was noted last.
    slot: Option<Slot>,
    /// The head whose facts were asked for.
    asked: Option<Hash256>,
    /// Whether the rule has run in this slot.
    is_done: bool,
}

impl StoreTask {
    /// Notes the head, once a slot. Whoever was not there in time in each slot can't rely on what it remembers, nor if an
    /// epoch began and the confirmed chain was not looked at again.
    pub(super) fn begin_confirming(&mut self) {
        let slot = self.store.get_current_slot();
        let Confirming { slot: before, is_done, .. } = self.confirming;
        if before == Some(slot) {
            return;
        }
        let clock = &self.shared.clock;
        let in_time = clock.into_slot_ms() < clock.slot_ms() * self.shared.config.attestation_due_bps / BASIS_POINTS;
        let reconfirmed = |before: Slot| is_done || !before.is_multiple_of(SLOTS_PER_EPOCH);
        let goes_on = in_time && before.is_some_and(|before| before + 1 == slot && reconfirmed(before));
        if !goes_on {
            self.store.restart_fast_confirmation();
        }
        self.store.update_fast_confirmation_variables();
        self.confirming = Confirming { slot: Some(slot), asked: None, is_done: false };
    }

    /// Has the facts of the head worked out, unless the rule has run in this slot.
    pub(super) fn ask_for_head_facts(&mut self, snapshot: &Arc<Snapshot>) {
        let Some(slot) = self.confirming.slot.filter(|_| !self.confirming.is_done) else { return };
        if self.confirming.asked.replace(snapshot.head_root) == Some(snapshot.head_root) {
            return;
        }
        let (shared, snapshot) = (self.shared.clone(), snapshot.clone());
        smol::spawn(async move {
            let context = shared.clone();
            let facts = smol::unblock(move || {
                HeadFacts::of_state(snapshot.head_root, &snapshot.head_state, slot, &context.context())
            });
            match facts.await {
                // The store task is gone only when the node stops.
                Ok(facts) => _ = shared.store.send(StoreMessage::HeadFacts(Box::new(facts))).await,
                Err(error) => tracing::debug!(slot, %error, "nothing can be confirmed fast in this slot"),
            }
        })
        .detach();
    }

    /// Runs the rule. If the head has changed meanwhile, the next snapshot asks for the facts of the new one.
    pub(super) fn on_head_facts(&mut self, facts: &HeadFacts) {
        match self.store.update_confirmed_root(facts) {
            Ok(()) => self.confirming.is_done = true,
            Err(error) => tracing::trace!(%error, "no fast confirmation yet"),
        }
    }

    /// The hash of the payload that the execution client is to call safe: that of the confirmed block, as long as it is
    /// between the finalized one and this head.
    pub(super) fn safe_block_hash(&self, head: &Hash256) -> Hash256 {
        let confirmed = self.store.fast_confirmation().confirmed_root();
        let finalized = self.store.finalized_checkpoint().root;
        if self.store.is_ancestor(head, &confirmed) && self.store.is_ancestor(&confirmed, &finalized) {
            return self.store.get_safe_execution_block_hash();
        }
        self.store.node(&finalized).map_or(Hash256::ZERO, |node| node.execution_block_hash)
    }
}
