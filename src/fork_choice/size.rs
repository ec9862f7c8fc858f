//! What the store costs in memory.

use std::{mem::size_of, sync::Arc};

use super::{Balances, Node, Store};
use crate::types::Hash256;

impl Store {
    /// Bytes on the heap: blocks, votes, and the balances of checkpoints, where a chunk that neighbours share counts once.
    /// Takes some 50 µs at mainnet's size.
    pub fn bytes(&self) -> usize {
        // A place of the map has a byte of its own, and one in eight at least is free.
        let positions = self.positions.capacity() * (size_of::<(Hash256, u32)>() + 1) * 8 / 7;
        let votes = self.votes.bytes();
        self.nodes.capacity() * size_of::<Node>() + positions + votes + self.balances_bytes()
    }

    fn balances_bytes(&self) -> usize {
        let confirmation = &self.fast_confirmation;
        let observed = [
            &confirmation.previous_epoch_observed_justified,
            &confirmation.current_epoch_observed_justified,
            &confirmation.previous_epoch_greatest_unrealized,
        ];
        let observed = observed.into_iter().filter_map(|observed| observed.balances.as_ref());
        let others = self.checkpoint_balances.iter().map(|(_, balances)| balances);
        let all: Vec<&Arc<Balances>> = [&self.balances].into_iter().chain(others).chain(observed).collect();
        let mut bytes = 0;
        for (nth, balances) in all.iter().enumerate() {
            let known = &all[..nth];
            if !known.iter().any(|other| Arc::ptr_eq(other, balances)) {
                bytes += balances.bytes_beside(known.last().map(|last| &***last));
            }
        }
        bytes
    }
}

impl Balances {
    /// Bytes on the heap, without the chunks that `other` has in the same places.
    fn bytes_beside(&self, other: Option<&Balances>) -> usize {
        let theirs = other.map_or(&[][..], |other| &other.chunks);
        let is_own = |nth: usize, chunk: &Arc<[u16]>| !theirs.get(nth).is_some_and(|other| Arc::ptr_eq(other, chunk));
        let chunks = self.chunks.iter().enumerate().filter(|(nth, chunk)| is_own(*nth, chunk));
        let chunks: usize = chunks.map(|(_, chunk)| size_of_val(&**chunk) + 2 * size_of::<usize>()).sum();
        chunks + self.chunks.capacity() * size_of::<Arc<[u16]>>()
    }
}
