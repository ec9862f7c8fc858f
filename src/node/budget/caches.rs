//! Every cache of the node with its bytes, in one list.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::{
    chain::{CacheBytes, ChainHandle, ChainInputs, pools::PoolsHandle},
    metrics::{self, CACHE_BYTES, CACHE_BYTES_TOTAL},
    p2p::{P2pEvents, P2pHandle},
};

/// What a queued block takes, decoded: mainnet's are 100 to 200 KB of SSZ.
const BLOCK_BYTES: usize = 256 << 10;
/// What a queued vote takes; an aggregate of a committee is half of that.
const VOTE_BYTES: usize = 1 << 10;
/// What a queued operation takes: slashings, the largest, have two lists of attesters.
const OPERATION_BYTES: usize = 64 << 10;
/// What a queued column takes, of a block with 21 blobs.
const COLUMN_BYTES: usize = 48 << 10;
/// What a connection is assumed to take: buffers of noise and yamux, the queue of what is to be sent,
/// scores. libp2p does not count it, and it has not been measured with real peers.
const PEER_BYTES: usize = 1 << 20;

/// Whoever has to be asked.
pub struct Caches {
    chain: ChainHandle,
    pools: PoolsHandle,
    network: P2pHandle,
    queued: Box<dyn Fn() -> usize + Send + Sync>,
    api: Arc<AtomicUsize>,
}

impl Caches {
    /// Of a node. The queues are counted by the messages in them.
    pub fn new(
        chain: &ChainHandle,
        pools: &PoolsHandle,
        network: &P2pHandle,
        events: &P2pEvents,
        inputs: &ChainInputs,
    ) -> Caches {
        let (blocks, inner_blocks) = (events.gossip_blocks.clone(), inputs.gossip_blocks.downgrade());
        let (votes, inner_votes) = (events.gossip_votes.clone(), inputs.gossip_votes.downgrade());
        let (operations, inner_operations) = (events.gossip_operations.clone(), inputs.gossip_operations.downgrade());
        let (columns, inner_columns) = (events.gossip_columns.clone(), inputs.gossip_columns.downgrade());
        let (updates, inner_updates) = (events.gossip_light_clients.clone(), inputs.gossip_light_clients.downgrade());
        let queued = move || {
            (blocks.len() + inner_blocks.upgrade().map_or(0, |queue| queue.len())) * BLOCK_BYTES
                + (votes.len() + inner_votes.upgrade().map_or(0, |queue| queue.len())) * VOTE_BYTES
                + (operations.len() + inner_operations.upgrade().map_or(0, |queue| queue.len())) * OPERATION_BYTES
                + (updates.len() + inner_updates.upgrade().map_or(0, |queue| queue.len())) * VOTE_BYTES
                + (columns.len() + inner_columns.upgrade().map_or(0, |queue| queue.len())) * COLUMN_BYTES
        };
        let (chain, pools, network) = (chain.clone(), pools.clone(), network.clone());
        Caches { chain, pools, network, queued: Box::new(queued), api: Arc::default() }
    }

    /// And of the API's requests, which count themselves.
    pub fn with_api(self, bytes: Arc<AtomicUsize>) -> Caches {
        Caches { api: bytes, ..self }
    }

    /// All of them, measured now, on the blocking pool where it takes long; also sets the gauges.
    pub async fn measure(&self) -> Vec<CacheBytes> {
        let chain = self.chain.clone();
        let mut all = smol::unblock(move || chain.cache_bytes()).await;
        let pools = self.pools.bytes().await.unwrap_or(0);
        let peers = self.network.peers().await.len() * PEER_BYTES;
        let (queued, api) = ((self.queued)(), self.api.load(Ordering::Relaxed));
        let others = [("pools", pools), ("gossip queues", queued), ("connections", peers), ("API requests", api)];
        all.extend(others.map(|(cache, bytes)| CacheBytes { cache, bytes }));
        for CacheBytes { cache, bytes } in &all {
            metrics::set(&CACHE_BYTES, &[("cache", cache)], *bytes as f64);
        }
        metrics::set(&CACHE_BYTES_TOTAL, &[], total(&all) as f64);
        all
    }
}

/// Their sum in bytes.
pub fn total(all: &[CacheBytes]) -> usize {
    all.iter().map(|cache| cache.bytes).sum()
}

/// The largest first, in MiB; what is less than one is left out.
pub fn line(all: &[CacheBytes]) -> String {
    let mut large: Vec<_> = all.iter().filter(|cache| cache.bytes >> 20 > 0).collect();
    large.sort_by_key(|cache| std::cmp::Reverse(cache.bytes));
    let parts: Vec<_> = large.iter().map(|cache| format!("{} {}", cache.cache, cache.bytes >> 20)).collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_the_large_ones_first() {
        let all = [("a", 3 << 20), ("b", 900 << 10), ("c", 280 << 20)];
        let all = all.map(|(cache, bytes)| CacheBytes { cache, bytes });
        assert_eq!(line(&all), "c 280, a 3");
        assert_eq!(total(&all), (283 << 20) + (900 << 10));
    }
}
