//! The columns of a range of blocks, before they are imported.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{ColumnSet, ColumnSource, Promise, fetch::take_answer, peers::choose};
use crate::{
    chain::{
        KnownPeer, Shared,
        limits::{COLUMN_INTERVAL_MS, COLUMN_ROUNDS},
        network::{NetworkCommand, Peer},
    },
    types::{Hash256, SignedBeaconBlock, Slot},
};

/// Fetches the sampled columns of these blocks that are not here, of several peers at once, and of others what those did not
/// give. All of them are here when it is well, or half of all that there are.
///
/// # Errors
/// How many could not be had.
pub(in crate::chain) async fn fetch_range(
    shared: &Arc<Shared>,
    start: Slot,
    count: u64,
    blocks: &[(Hash256, Arc<SignedBeaconBlock>)],
) -> Result<(), String> {
    let mut promises = HashMap::new();
    for (root, block) in blocks {
        let missing = shared.missing_columns(block, *root).await;
        if !missing.is_empty() {
            let block = block.clone();
            promises.insert(*root, (smol::unblock(move || Promise::of(&block)).await, missing));
        }
    }
    let mut asked: HashSet<Peer> = HashSet::new();
    for round in 0..COLUMN_ROUNDS {
        let missing = promises.values().fold(ColumnSet::default(), |all, (_, columns)| all.or(*columns));
        if missing.is_empty() {
            return Ok(());
        }
        let has_range =
            |known: &KnownPeer| known.status.head_slot >= start && known.status.earliest_available_slot <= start;
        let mut chosen = choose(shared, missing, &asked, has_range);
        if chosen.is_empty() && !asked.is_empty() {
            asked.clear();
            chosen = choose(shared, missing, &asked, has_range);
        }
        if chosen.is_empty() && round + 1 < COLUMN_ROUNDS {
            // A new peer's custody is known a moment after its status.
            shared.clock.sleep(COLUMN_INTERVAL_MS).await;
            continue;
        }
        asked.extend(chosen.iter().map(|(peer, _)| peer.clone()));
        let all = Arc::new(promises);
        let answers = chosen.into_iter().map(|(peer, columns)| {
            let request = Request { peer, columns, start, count };
            smol::spawn(request.run(shared.clone(), all.clone()))
        });
        let got = futures::future::join_all(answers.collect::<Vec<_>>()).await;
        promises = HashMap::clone(&all);
        for (root, columns) in got.into_iter().flatten() {
            if let Some((_, missing)) = promises.get_mut(&root) {
                *missing = missing.minus(columns);
            }
        }
        promises.retain(|_, (_, missing)| !missing.is_empty());
    }
    let (mut missing, mut lacking) = (0, 0);
    for (root, (_, columns)) in promises.iter() {
        if !shared.held_columns(*root).await.is_half() {
            (missing, lacking) = (missing + columns.len(), lacking + 1);
        }
    }
    if missing == 0 { Ok(()) } else { Err(format!("{missing} columns of {lacking} blocks did not come")) }
}

/// What one peer is asked for.
struct Request {
    peer: Peer,
    columns: ColumnSet,
    start: Slot,
    count: u64,
}

impl Request {
    async fn run(self, shared: Arc<Shared>, promises: Arc<super::fetch::Promises>) -> HashMap<Hash256, ColumnSet> {
        let Request { peer, columns, start, count } = self;
        let (answer, incoming) = async_channel::bounded(shared.capacities.answer);
        // Only from the first to the last block that lacks some.
        let slots = promises.values().map(|(promise, _)| promise.header.slot);
        let (first, last) = slots.fold((start + count, start), |(a, b), slot| (a.min(slot), b.max(slot)));
        let (start_slot, count) = (first, (last + 1).saturating_sub(first));
        let expected = promises.values().map(|(_, missing)| missing.and(columns).len()).sum();
        let wanted = columns.iter().collect();
        shared.tell_network(NetworkCommand::ColumnsByRange {
            peer: peer.clone(),
            start_slot,
            count,
            columns: wanted,
            answer,
        });
        take_answer(&shared, &peer, promises, expected, incoming, ColumnSource::ByRange).await
    }
}
