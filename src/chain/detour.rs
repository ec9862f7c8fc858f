//! Blocks that are dear because of where they stand: on one whose state has to be rebuilt, or epochs after it.
//!
//! Anybody with one validator's key can sign such blocks, each for a slot in which it is not his turn, which only the rebuilt or
//! advanced state can tell; no two of them break a rule that gets a validator slashed. So they are judged one at a time, beside
//! the places of the other blocks and not in them; and of gossip none at all while our head is no such block's: should others
//! build on one, it is asked for by its root.

use std::sync::Arc;

use smol::lock::{Semaphore, SemaphoreGuardArc};

use super::{BlockError, BlockSource, Snapshot, limits::DETOURS_WAITING};
use crate::types::{BeaconBlock, compute_epoch_at_slot, preset::SLOTS_PER_EPOCH};

/// Where such blocks wait for each other.
#[derive(Debug)]
pub(crate) struct Detours {
    /// Those that wait, and the one whose turn it is.
    places: Arc<Semaphore>,
    turn: Arc<Semaphore>,
}

/// The turn of one; it ends when this is dropped.
pub(super) struct Turn {
    _place: SemaphoreGuardArc,
    _turn: SemaphoreGuardArc,
}

impl Default for Detours {
    fn default() -> Self {
        Detours { places: Arc::new(Semaphore::new(1 + DETOURS_WAITING)), turn: Arc::new(Semaphore::new(1)) }
    }
}

impl Detours {
    /// Waits for its turn.
    ///
    /// # Errors
    /// If too many wait already.
    pub(super) async fn turn(&self) -> Result<Turn, BlockError> {
        let place = self.places.try_acquire_arc();
        let place = place.ok_or_else(|| BlockError::NotYet("too many blocks of old branches wait".into()))?;
        Ok(Turn { _place: place, _turn: self.turn.acquire_arc().await })
    }
}

/// Whether a block whose parent is known is such a one. What is next on the head is not, however long ago that was, nor what comes by
/// range, in order.
pub(super) fn is_detour(snapshot: &Snapshot, block: &BeaconBlock, source: &BlockSource) -> bool {
    if block.parent_root == snapshot.head_root || matches!(source, BlockSource::ByRange(_)) {
        return false;
    }
    let of_parent = snapshot.state(&block.parent_root);
    of_parent.is_none_or(|state| compute_epoch_at_slot(block.slot) > state.current_epoch() + 1)
}

/// Whether such a block of gossip, whose proposer can't be told at once, is left alone: the head is a recent one, and it does not
/// build on that. The specification lets it be ignored.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/p2p-interface.md#beacon_block>
pub(super) fn is_left_alone(snapshot: &Snapshot, block: &BeaconBlock, source: &BlockSource) -> bool {
    let is_gossip = matches!(source, BlockSource::Gossip(_));
    is_gossip && snapshot.distance() <= SLOTS_PER_EPOCH && is_detour(snapshot, block, source)
}
