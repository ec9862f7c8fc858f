//! What a state costs in memory.

use super::{BeaconState, Hashed};

impl BeaconState {
    /// Bytes of memory that keeping `self` beside `other` costs: itself, and what the two do not share of columns, hashes
    /// and caches. Beside a default state that is all of it. Counts what was allocated, not what the allocator adds.
    pub fn bytes_beside(&self, other: &Self) -> usize {
        size_of::<Self>()
            + self.registry_bytes(other)
            + self.history_bytes(other)
            + self.queue_bytes(other)
            + self.current_sync_committee.bytes_beside(&other.current_sync_committee)
            + self.next_sync_committee.bytes_beside(&other.next_sync_committee)
            + self.caches.bytes_beside(&other.caches)
    }

    /// All that has an item for each validator.
    fn registry_bytes(&self, other: &Self) -> usize {
        // An epoch's end makes the current flags the previous ones.
        let flags = &self.previous_epoch_participation;
        let moved = flags.bytes_beside(&other.current_epoch_participation);
        self.validators.bytes_beside(&other.validators)
            + self.balances.bytes_beside(&other.balances)
            + flags.bytes_beside(&other.previous_epoch_participation).min(moved)
            + self.current_epoch_participation.bytes_beside(&other.current_epoch_participation)
            + self.inactivity_scores.bytes_beside(&other.inactivity_scores)
    }

    fn history_bytes(&self, other: &Self) -> usize {
        self.block_roots.bytes_beside(&other.block_roots)
            + self.state_roots.bytes_beside(&other.state_roots)
            + self.historical_roots.bytes_beside(&other.historical_roots)
            + self.historical_summaries.bytes_beside(&other.historical_summaries)
            + self.eth1_data_votes.bytes_beside(&other.eth1_data_votes)
            + self.randao_mixes.bytes_beside(&other.randao_mixes)
            + self.slashings.bytes_beside(&other.slashings)
    }

    fn queue_bytes(&self, other: &Self) -> usize {
        self.pending_deposits.bytes_beside(&other.pending_deposits)
            + Hashed::values_beside(&self.pending_deposits, &other.pending_deposits)
            + self.pending_partial_withdrawals.bytes_beside(&other.pending_partial_withdrawals)
            + self.pending_consolidations.bytes_beside(&other.pending_consolidations)
            + self.proposer_lookahead.bytes_beside(&other.proposer_lookahead)
    }
}
