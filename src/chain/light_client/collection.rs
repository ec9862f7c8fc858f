//! What a full node collects to serve light clients: blocks as they come, the best of them when the head moves.
//!
//! Nothing here is on disk. A node that starts begins with its anchor, and knows more with every block.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    mem::size_of,
    sync::Arc,
};

use super::*;
use crate::types::{preset::*, *};

/// Blocks whose data is kept until one of their descendants is finalized: two epochs' usually. In long non-finality the
/// oldest go; 1,024 blocks are three hours of mainnet and at most 7 MB, as sync committees are shared.
const MAX_BLOCKS: usize = 1024;
/// Periods for which the best update is kept. A node should have those that blocks are kept for, 33,024 epochs, and both
/// ends may lie within a period. 27 kB each.
const MAX_PERIODS: usize = 131;
/// Finalized blocks that light clients can start from: the last block of each epoch for four days, 1 kB each.
const MAX_BOOTSTRAPS: usize = 1024;

/// Data of the blocks from the finalized one on, and what was chosen to be served.
#[derive(Clone, Debug)]
pub struct LightClientData {
    config: Arc<Config>,
    /// By root.
    blocks: HashMap<Hash256, BlockData>,
    /// By root, oldest first.
    bootstraps: VecDeque<(Hash256, LightClientBootstrap)>,
    /// By period.
    best_updates: BTreeMap<u64, Arc<LightClientUpdate>>,
    latest: Option<Arc<LightClientFinalityUpdate>>,
    finalized_slot: Slot,
}

/// What is known of a block, along its own chain.
#[derive(Clone, Debug)]
struct BlockData {
    bootstrap: LightClientBootstrap,
    /// Of the period of the block's slot.
    best_update: Option<Arc<LightClientUpdate>>,
    /// The last one with a signature.
    latest: Option<Arc<LightClientFinalityUpdate>>,
}

impl BlockData {
    fn slot(&self) -> Slot {
        self.bootstrap.header.beacon.slot
    }

    fn parent_root(&self) -> Hash256 {
        self.bootstrap.header.beacon.parent_root
    }

    fn period(&self) -> u64 {
        compute_sync_committee_period_at_slot(self.slot())
    }
}

impl LightClientData {
    /// Begins with a finalized block and its state.
    ///
    /// # Errors
    /// When the state is not the block's, or before Altair.
    pub fn new(
        block: &SignedBeaconBlock,
        state: &mut BeaconState,
        config: Arc<Config>,
    ) -> Result<Self, LightClientError> {
        let bootstrap = create_light_client_bootstrap(state, &block_to_light_client_header(block), &config)?;
        let root = block.root();
        Ok(LightClientData {
            finalized_slot: block.message.slot,
            config,
            bootstraps: VecDeque::from([(root, bootstrap.clone())]),
            blocks: HashMap::from([(root, BlockData { bootstrap, best_update: None, latest: None })]),
            best_updates: BTreeMap::new(),
            latest: None,
        })
    }

    /// Takes a block that was imported, with the state after it and after its parent.
    ///
    /// # Errors
    /// When they do not belong together.
    pub fn on_block(
        &mut self,
        block: &SignedBeaconBlock,
        state: &mut BeaconState,
        attested_state: &mut BeaconState,
    ) -> Result<(), LightClientError> {
        let header = block_to_light_client_header(block);
        let bootstrap = create_light_client_bootstrap(state, &header, &self.config)?;
        let mut data = BlockData { bootstrap, best_update: None, latest: None };
        if let Some(attested) = self.blocks.get(&block.message.parent_root) {
            let is_same_period = attested.period() == data.period();
            data.best_update = attested.best_update.clone().filter(|_| is_same_period);
            data.latest = attested.latest.clone();
            if !block.message.body.sync_aggregate.sync_committee_bits.is_zero() {
                let finalized = self.header(attested_state.finalized_checkpoint.root);
                let attested_header = &attested.bootstrap.header;
                let finalized = finalized.as_ref();
                let update =
                    create_light_client_update(block, attested_state, attested_header, finalized, &self.config)?;
                data.latest = Some(Arc::new(create_light_client_finality_update(&update)));
                let is_better = data.best_update.as_ref().is_none_or(|best| is_better_update(&update, best));
                if is_same_period && is_better {
                    data.best_update = Some(Arc::new(update));
                }
            }
        }
        self.blocks.insert(block.root(), data);
        self.drop_oldest_block();
        Ok(())
    }

    fn drop_oldest_block(&mut self) {
        if self.blocks.len() > MAX_BLOCKS
            && let Some((oldest, _)) = self.blocks.iter().min_by_key(|(_, data)| data.slot())
        {
            let oldest = *oldest;
            self.blocks.remove(&oldest);
        }
    }

    /// The header of a block that was or may get finalized. Genesis, whose root states give as zero, has an empty one.
    fn header(&self, root: Hash256) -> Option<LightClientHeader> {
        if root.is_zero() {
            return Some(LightClientHeader::default());
        }
        let kept = || self.bootstraps.iter().find(|(kept, _)| *kept == root).map(|(_, bootstrap)| bootstrap);
        let bootstrap = self.blocks.get(&root).map(|data| &data.bootstrap).or_else(kept);
        bootstrap.map(|bootstrap| bootstrap.header.clone())
    }

    /// Takes a new head, and the finalized checkpoint of its chain.
    pub fn on_head(&mut self, head_root: Hash256, finalized_root: Hash256) {
        self.choose_best_updates(head_root);
        let latest = self.blocks.get(&head_root).and_then(|head| head.latest.clone());
        self.latest = latest.filter(|update| update.attested_header.beacon.slot >= self.finalized_slot);
        self.finalize(finalized_root);
    }

    /// For each period that is not finalized as a whole, what the head's chain has; a re-org may have left nothing.
    fn choose_best_updates(&mut self, head_root: Hash256) {
        let Some(mut block) = self.blocks.get(&head_root) else { return };
        let low_period = compute_sync_committee_period_at_slot(self.finalized_slot);
        for period in (low_period..=block.period()).rev() {
            while block.period() > period {
                let Some(parent) = self.blocks.get(&block.parent_root()) else { return };
                block = parent;
            }
            if block.slot() < self.finalized_slot {
                return;
            }
            match block.best_update.clone().filter(|_| block.period() == period) {
                Some(best) => self.best_updates.insert(period, best),
                None => self.best_updates.remove(&period),
            };
        }
        while self.best_updates.len() > MAX_PERIODS {
            self.best_updates.pop_first();
        }
    }

    /// Keeps the last block of each newly finalized epoch for light clients to start from, and forgets older blocks.
    fn finalize(&mut self, finalized_root: Hash256) {
        let Some(finalized) = self.blocks.get(&finalized_root) else { return };
        if finalized.slot() <= self.finalized_slot {
            return;
        }
        let mut boundaries = Vec::new();
        let (mut root, mut child_slot) = (finalized_root, Slot::MAX);
        while let Some(block) = self.blocks.get(&root).filter(|block| block.slot() > self.finalized_slot) {
            // A checkpoint can name the block if an epoch begins at its slot, or after it and before its child's.
            if block.slot().next_multiple_of(SLOTS_PER_EPOCH) < child_slot {
                boundaries.push((root, block.bootstrap.clone()));
            }
            (root, child_slot) = (block.parent_root(), block.slot());
        }
        self.finalized_slot = finalized.slot();
        self.bootstraps.extend(boundaries.into_iter().rev());
        let excess = self.bootstraps.len().saturating_sub(MAX_BOOTSTRAPS);
        self.bootstraps.drain(..excess);
        self.blocks.retain(|_, block| block.slot() >= self.finalized_slot);
    }

    /// Whether the block was taken.
    pub fn knows(&self, root: &Hash256) -> bool {
        self.blocks.contains_key(root)
    }

    /// What all of it takes, in bytes. Updates are counted with a sync committee of their own each, bootstraps without: those
    /// of a period share theirs.
    pub fn bytes(&self) -> usize {
        let update = size_of::<LightClientUpdate>() + (SYNC_COMMITTEE_SIZE + 1) * size_of::<BLSPubkey>();
        self.best_updates.len() * update
            + self.bootstraps.len() * size_of::<(Hash256, LightClientBootstrap)>()
            + self.blocks.len()
                * (size_of::<(Hash256, BlockData)>()
                    + size_of::<LightClientUpdate>()
                    + size_of::<LightClientFinalityUpdate>())
    }

    /// Where a client starts that trusts this block.
    pub fn bootstrap(&self, block_root: Hash256) -> Option<&LightClientBootstrap> {
        self.bootstraps.iter().find(|(root, _)| *root == block_root).map(|(_, bootstrap)| bootstrap)
    }

    /// The best update of a period.
    pub fn best_update(&self, period: u64) -> Option<&LightClientUpdate> {
        self.best_updates.get(&period).map(|update| &**update)
    }

    /// The newest update of the head's chain.
    pub fn latest_finality_update(&self) -> Option<&LightClientFinalityUpdate> {
        self.latest.as_deref()
    }

    /// As [`LightClientData::latest_finality_update`], without finality.
    pub fn latest_optimistic_update(&self) -> Option<LightClientOptimisticUpdate> {
        let update = self.latest.as_deref()?;
        Some(LightClientOptimisticUpdate {
            fork_name: update.fork_name,
            attested_header: update.attested_header.clone(),
            sync_aggregate: update.sync_aggregate.clone(),
            signature_slot: update.signature_slot,
        })
    }
}
