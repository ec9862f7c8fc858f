//! What happens to the chain, told to whoever subscribed.

use std::sync::{Mutex, PoisonError};

use async_channel::{Receiver, Sender, TrySendError};

use super::limits::MAX_SUBSCRIBERS;
use crate::{
    metrics::{self, QUEUE_DROPPED},
    types::{Checkpoint, Epoch, Hash256, Slot},
};

/// Something that happened to the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainEvent {
    /// A block was imported.
    Block {
        /// Its slot.
        slot: Slot,
        /// Its root.
        block: Hash256,
        /// Whether its payload is not validated yet.
        optimistic: bool,
    },
    /// The head is another block.
    Head {
        /// Its slot.
        slot: Slot,
        /// Its root.
        block: Hash256,
        /// Root of its post-state.
        state: Hash256,
        /// Whether its epoch is another than the old head's.
        epoch_transition: bool,
        /// The last block before the head's epoch: it decided the proposers of that epoch and the attesters of the next.
        current_duty_dependent_root: Hash256,
        /// The last block before the epoch that precedes the head's: it decided the attesters of the head's epoch.
        previous_duty_dependent_root: Hash256,
        /// Whether its payload is not validated yet.
        optimistic: bool,
    },
    /// The new head does not descend from the old one.
    Reorg {
        /// Slot of the new head.
        slot: Slot,
        /// Slots between the old head and the common ancestor.
        depth: u64,
        /// The old head.
        old_head_block: Hash256,
        /// The new head.
        new_head_block: Hash256,
        /// Root of the old head's post-state.
        old_head_state: Hash256,
        /// Root of the new head's post-state.
        new_head_state: Hash256,
        /// Epoch of the new head.
        epoch: Epoch,
    },
    /// A checkpoint was finalized.
    Finalized {
        /// The checkpoint.
        checkpoint: Checkpoint,
        /// Root of the post-state of its block.
        state: Hash256,
        /// Whether the head's payload is not validated yet.
        optimistic: bool,
    },
}

/// The subscribers. A slow one loses events; nobody waits for it.
#[derive(Debug, Default)]
pub(crate) struct Subscribers(Mutex<Vec<Sender<ChainEvent>>>);

impl Subscribers {
    /// A new subscriber with room for `capacity` events. When there are too many, its queue is closed from the start.
    pub fn add(&self, capacity: usize) -> Receiver<ChainEvent> {
        let (sender, receiver) = async_channel::bounded(capacity);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|sender| !sender.is_closed());
        if all.len() < MAX_SUBSCRIBERS {
            all.push(sender);
        }
        receiver
    }

    /// Tells all of them.
    pub fn send(&self, event: ChainEvent) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|subscriber| match subscriber.try_send(event) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                metrics::inc(&QUEUE_DROPPED, &[("queue", "events")]);
                true
            }
            Err(TrySendError::Closed(_)) => false,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(slot: Slot) -> ChainEvent {
        ChainEvent::Block { slot, block: Hash256::ZERO, optimistic: false }
    }

    #[test]
    fn a_slow_subscriber_loses_events_and_the_others_do_not() {
        let subscribers = Subscribers::default();
        let (slow, fast) = (subscribers.add(1), subscribers.add(8));
        (1..=3).for_each(|slot| subscribers.send(block(slot)));
        assert_eq!(slow.try_recv(), Ok(block(1)));
        assert!(slow.is_empty());
        assert_eq!(fast.len(), 3);
        subscribers.send(block(4));
        assert_eq!(slow.try_recv(), Ok(block(4)));
    }

    #[test]
    fn the_number_of_subscribers_has_a_bound() {
        let subscribers = Subscribers::default();
        let all: Vec<_> = (0..MAX_SUBSCRIBERS).map(|_| subscribers.add(1)).collect();
        assert!(subscribers.add(1).is_closed());
        drop(all);
        assert!(!subscribers.add(1).is_closed());
    }
}
