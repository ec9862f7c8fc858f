//! Blocks that wait for columns.

use std::{
    collections::{HashMap, HashSet},
    mem::size_of,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_channel::{Receiver, Sender};

use super::ColumnSet;
use crate::{
    chain::{
        limits::{COLUMN_ATTEMPTS, COLUMN_INTERVAL_MS, MAX_WAITING_TASKS, MAX_WANTED},
        memory::hash_map_bytes,
        network::Peer,
    },
    types::{BLSSignature, BeaconBlockHeader, BlobKZGCommitments, Hash256, SignedBeaconBlock, Slot},
};

/// What a block says of its columns.
#[derive(Clone, Debug)]
pub struct Promise {
    /// The block's header.
    pub header: BeaconBlockHeader,
    /// The signature under it.
    pub signature: BLSSignature,
    /// The commitments to the blobs.
    pub commitments: BlobKZGCommitments,
}

impl Promise {
    /// What this block promises.
    pub fn of(block: &SignedBeaconBlock) -> Promise {
        let commitments = block.message.body.blob_kzg_commitments.clone();
        Promise { header: block.message.header(), signature: block.signature, commitments }
    }
}

/// A block that waits.
struct Wanted {
    promise: Promise,
    missing: ColumnSet,
    attempts: u32,
    next_ms: u64,
    /// Who was asked for its columns since everybody was.
    asked: HashSet<Peer>,
    /// The block task that waits, while it does.
    waiter: Option<Sender<()>>,
}

/// A block whose missing columns are to be asked for now.
pub(super) struct Due {
    pub root: Hash256,
    pub promise: Promise,
    pub missing: ColumnSet,
    pub asked: HashSet<Peer>,
}

/// All blocks that wait.
#[derive(Default)]
pub(super) struct WantedBlocks(Mutex<HashMap<Hash256, Wanted>>);

impl WantedBlocks {
    fn lock(&self) -> MutexGuard<'_, HashMap<Hash256, Wanted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a block lacks columns, which are to be asked for at `ask_ms`. When too many wait, the oldest is forgotten.
    /// A task that `waits` gets a queue in which it is told that all are there, if not too many tasks wait.
    pub fn add(
        &self,
        root: Hash256,
        promise: Promise,
        missing: ColumnSet,
        ask_ms: u64,
        waits: bool,
    ) -> Option<Receiver<()>> {
        let mut all = self.lock();
        let waiting = all.values().filter(|wanted| wanted.is_waited_for()).count();
        let (waiter, arrival) = (waits && waiting < MAX_WAITING_TASKS).then(|| async_channel::bounded(1)).unzip();
        if let Some(wanted) = all.get_mut(&root) {
            wanted.missing = missing;
            wanted.waiter = waiter.or(wanted.waiter.take());
            return arrival;
        }
        if all.len() >= MAX_WANTED
            && let Some(oldest) = all.iter().min_by_key(|(_, wanted)| wanted.promise.header.slot).map(|(root, _)| *root)
        {
            all.remove(&oldest);
        }
        let (attempts, asked) = (0, HashSet::new());
        all.insert(root, Wanted { promise, missing, attempts, next_ms: ask_ms, asked, waiter });
        arrival
    }

    /// Notes that these columns of a block are here. If those were the last, the block waits no more: true if no task was
    /// there to be told so.
    pub fn complete(&self, root: &Hash256, held: ColumnSet) -> bool {
        let mut all = self.lock();
        let Some(wanted) = all.get_mut(root) else { return false };
        wanted.missing = wanted.missing.minus(held);
        if !wanted.missing.is_empty() {
            return false;
        }
        let waiter = all.remove(root).and_then(|wanted| wanted.waiter);
        waiter.is_none_or(|waiter| waiter.try_send(()).is_err())
    }

    pub fn contains(&self, root: &Hash256) -> bool {
        self.lock().contains_key(root)
    }

    pub fn remove(&self, root: &Hash256) {
        self.lock().remove(root);
    }

    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Forgets what is finalized, and what was asked for in vain too often. A block that is needed comes again with its
    /// children, or by range.
    pub fn forget(&self, finalized: Slot) {
        self.lock().retain(|root, wanted| {
            let is_in_vain = wanted.attempts >= COLUMN_ATTEMPTS && !wanted.is_waited_for();
            if is_in_vain {
                tracing::debug!(%root, "nobody has the columns of this block; it is forgotten until it is needed again");
            }
            wanted.promise.header.slot > finalized && !is_in_vain
        });
    }

    /// The blocks whose columns are to be asked for now, `limit` at most, those that were asked for least often first.
    pub fn due(&self, now_ms: u64, limit: usize) -> Vec<Due> {
        let all = self.lock();
        let mut due: Vec<_> = all.iter().filter(|(_, wanted)| wanted.next_ms <= now_ms).collect();
        due.sort_by_key(|(root, wanted)| (wanted.attempts, wanted.promise.header.slot, **root));
        let due = due.into_iter().take(limit).map(|(root, wanted)| Due {
            root: *root,
            promise: wanted.promise.clone(),
            missing: wanted.missing,
            asked: wanted.asked.clone(),
        });
        due.collect()
    }

    /// Notes that a block's columns were asked of these peers; of nobody if nobody has them. When `is_again`, everybody who
    /// has them was asked before.
    pub fn asked(&self, root: &Hash256, now_ms: u64, peers: impl IntoIterator<Item = Peer>, is_again: bool) {
        let mut all = self.lock();
        let Some(wanted) = all.get_mut(root) else { return };
        wanted.next_ms = now_ms + (COLUMN_INTERVAL_MS << wanted.attempts.min(COLUMN_ATTEMPTS));
        wanted.attempts += 1;
        if is_again {
            wanted.asked.clear();
        }
        wanted.asked.extend(peers);
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        let all = self.lock();
        let of = |wanted: &Wanted| {
            wanted.promise.commitments.len() * size_of::<crate::types::KZGCommitment>()
                + wanted.asked.capacity() * size_of::<Peer>()
        };
        hash_map_bytes::<Hash256, Wanted>(all.capacity()) + all.values().map(of).sum::<usize>()
    }
}

impl Wanted {
    fn is_waited_for(&self) -> bool {
        self.waiter.as_ref().is_some_and(|waiter| !waiter.is_closed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn promise(slot: Slot) -> Promise {
        let header = BeaconBlockHeader { slot, ..Default::default() };
        Promise { header, signature: BLSSignature::ZERO, commitments: Default::default() }
    }

    fn root(number: u8) -> Hash256 {
        Hash256::repeat_byte(number)
    }

    #[test]
    fn a_task_is_told_when_the_last_column_is_there() {
        let wanted = WantedBlocks::default();
        let missing: ColumnSet = [1, 2].into_iter().collect();
        let arrival = wanted.add(root(1), promise(5), missing, 0, true).unwrap();
        assert!(!wanted.complete(&root(1), [2].into_iter().collect()));
        assert!(wanted.contains(&root(1)) && arrival.is_empty());
        assert!(!wanted.complete(&root(1), [1].into_iter().collect()), "the task was told");
        assert_eq!(arrival.try_recv(), Ok(()));
        assert!(!wanted.contains(&root(1)));
        // Nobody waits, or nobody waits any more.
        assert!(wanted.add(root(1), promise(5), missing, 0, false).is_none());
        assert!(wanted.complete(&root(1), missing));
        drop(wanted.add(root(1), promise(5), missing, 0, true));
        assert!(wanted.complete(&root(1), missing));
        assert!(!wanted.complete(&root(1), missing), "nor is it wanted any more");
    }

    #[test]
    fn what_waits_is_bounded() {
        let wanted = WantedBlocks::default();
        let missing: ColumnSet = [1].into_iter().collect();
        let number = |n: usize| Hash256::left_padding_from(&n.to_be_bytes());
        let waiting: Vec<_> =
            (0..=MAX_WANTED).filter_map(|n| wanted.add(number(n), promise(n as u64), missing, 0, true)).collect();
        assert_eq!((wanted.len(), waiting.len()), (MAX_WANTED, MAX_WAITING_TASKS));
        assert!(!wanted.contains(&number(0)), "the oldest was forgotten");
        wanted.forget(10);
        assert_eq!(wanted.len(), MAX_WANTED - 10);
    }

    #[test]
    fn pauses_double_and_end() {
        let wanted = WantedBlocks::default();
        let missing: ColumnSet = [1].into_iter().collect();
        wanted.add(root(1), promise(5), missing, 100, false);
        assert!(wanted.due(99, 8).is_empty());
        let mut now = 100;
        for attempt in 0..COLUMN_ATTEMPTS {
            assert_eq!(wanted.due(now, 8).len(), 1);
            wanted.asked(&root(1), now, [], false);
            now += COLUMN_INTERVAL_MS << attempt;
            assert!(wanted.due(now - 1, 8).is_empty());
        }
        wanted.forget(0);
        assert!(!wanted.contains(&root(1)));
    }
}
