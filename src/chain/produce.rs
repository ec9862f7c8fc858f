//! What validators need of a node: blocks and votes to sign, aggregates, and a place to hand over what they signed.

mod block;
mod error;
mod operations;
mod prepare;
mod submit;

use std::sync::Arc;

use tracing::warn;

pub use block::{BlockInputs, build_block, empty_sync_aggregate};
pub use error::{ProduceError, SubmitError};

use super::{ChainHandle, pools::PoolsHandle};
use crate::{
    engine::{BlobsBundle, Engine},
    transition::{Context, get_shuffling, process_slots},
    types::{preset::*, *},
};

/// How far a slot that is asked about may be ahead of the clock: validator clients ask a little early.
const SLOTS_AHEAD: u64 = 1;

/// What a node without an execution client says of itself.
pub const NO_CLIENT: &str = "there is no execution client, so nobody checks payloads: this node follows the chain without knowing \
    whether it is valid, and does nothing for validators; give it a client with --execution-endpoint";

/// A block that waits for its proposer's signature.
#[derive(Clone, Debug)]
pub struct ProducedBlock {
    /// The block.
    pub block: BeaconBlock,
    /// Its fork.
    pub fork: ForkName,
    /// The blobs that it commits to, with their proofs.
    pub blobs: BlobsBundle,
    /// What its payload earns, in wei.
    pub execution_payload_value: U256,
    /// What the block earns its proposer otherwise.
    pub consensus_block_value: Gwei,
}

/// Makes blocks and votes on the chain's head. Clones share everything.
#[derive(Clone)]
pub struct Producer {
    chain: ChainHandle,
    pools: PoolsHandle,
    engine: Engine,
}

impl Producer {
    /// A producer on this chain.
    pub fn new(chain: ChainHandle, pools: PoolsHandle, engine: Engine) -> Self {
        Producer { chain, pools, engine }
    }

    /// A block of `slot` on the head, to be signed.
    pub async fn produce_block(
        &self,
        slot: Slot,
        randao_reveal: BLSSignature,
        graffiti: Hash256,
    ) -> Result<ProducedBlock, ProduceError> {
        self.check_slot(slot)?;
        let snapshot = self.chain.snapshot();
        if snapshot.is_optimistic {
            return Err(ProduceError::NotReady("the execution client has not validated the head's payload yet"));
        }
        if slot <= snapshot.head_slot {
            return Err(ProduceError::Slot { slot, why: "the head is of that slot or a later one" });
        }
        let state = self.state_for(compute_epoch_at_slot(slot)).await?;
        let pooled = self.pools.for_block(slot, snapshot.head_root, state.clone()).await;
        let (shared, engine) = (self.chain.shared.clone(), self.engine.clone());
        smol::unblock(move || {
            let ctx = Context { config: &shared.config, keys: &shared.keys };
            let mut state = BeaconState::clone(&state);
            if state.slot < slot {
                process_slots(&mut state, slot, &ctx)?;
            }
            let inputs = BlockInputs { randao_reveal, graffiti, pooled, engine };
            let plain = BlockInputs { pooled: None, ..inputs.clone() };
            build_block(state.clone(), inputs, &ctx).or_else(|error| {
                if matches!(error, ProduceError::Engine(_)) {
                    return Err(error);
                }
                // Something in a pool is not what it was taken for: a block without votes is better than none.
                warn!("the block of slot {slot} is made without votes, because with them it failed: {error}");
                build_block(state, plain, &ctx)
            })
        })
        .await
    }

    /// What the attesters of a slot vote for; of this slot or of one in the last epoch.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/validator.md#attestation-data>
    pub async fn attestation_data(&self, slot: Slot) -> Result<AttestationData, ProduceError> {
        self.check_slot(slot)?;
        let snapshot = self.chain.snapshot();
        if snapshot.is_optimistic {
            return Err(ProduceError::NotReady("the execution client has not validated the head's payload yet"));
        }
        let unknown = ProduceError::Slot { slot, why: "the chain's blocks of that time are not known any more" };
        let beacon_block_root = snapshot.ancestor(snapshot.head_root, slot).ok_or_else(|| unknown.clone())?;
        let epoch = compute_epoch_at_slot(slot);
        let start = compute_start_slot_at_epoch(epoch);
        let target_root = snapshot.ancestor(snapshot.head_root, start).ok_or_else(|| unknown.clone())?;
        let state = self.state_for(epoch).await?;
        let source = match state.current_epoch().checked_sub(epoch) {
            Some(0) => state.current_justified_checkpoint,
            Some(1) => state.previous_justified_checkpoint,
            _ => return Err(unknown),
        };
        let target = Checkpoint { epoch, root: target_root };
        Ok(AttestationData { slot, index: 0, beacon_block_root, source, target })
    }

    /// The best aggregate of a committee for the data with this root.
    pub async fn aggregate(&self, slot: Slot, data_root: Hash256, committee: CommitteeIndex) -> Option<Attestation> {
        self.pools.aggregate(slot, data_root, committee).await
    }

    /// The best contribution of a sync subcommittee for a head.
    pub async fn sync_contribution(
        &self,
        slot: Slot,
        subcommittee_index: u64,
        beacon_block_root: Hash256,
    ) -> Option<SyncCommitteeContribution> {
        self.pools.contribution(slot, subcommittee_index, beacon_block_root).await
    }

    /// Remembers who gets the fees of a proposer's blocks.
    pub async fn prepare_proposer(&self, validator: ValidatorIndex, fee_recipient: Address) {
        self.pools.set_fee_recipient(validator, fee_recipient).await;
    }

    /// A state for the duties of `epoch`, with that epoch's shuffling among its caches: the head's, advanced to the start
    /// of the clock's epoch if need be. The epoch may be the one before that state's, the same or the one after.
    pub async fn duty_state(&self, epoch: Epoch) -> Result<Arc<BeaconState>, ProduceError> {
        let now = self.chain.clock().epoch();
        if epoch > now + 1 {
            return Err(ProduceError::Epoch { epoch, why: "duties are known for the next epoch at most" });
        }
        let state = self.state_for(epoch.min(now)).await?;
        if state.caches.shuffling(epoch).is_some() {
            return Ok(state);
        }
        if epoch < state.previous_epoch() {
            return Err(ProduceError::Epoch { epoch, why: "duties are known from the last epoch on" });
        }
        // A state that was just read from the disk does not have it yet.
        let filled = move || -> Result<_, ProduceError> {
            let mut state = BeaconState::clone(&state);
            get_shuffling(&mut state, epoch)?;
            Ok(Arc::new(state))
        };
        smol::unblock(filled).await
    }

    /// The head's state, advanced to the start of `epoch` if it is of an earlier one. Hashed, with its shufflings.
    async fn state_for(&self, epoch: Epoch) -> Result<Arc<BeaconState>, ProduceError> {
        let snapshot = self.chain.snapshot();
        if snapshot.head_state.current_epoch() >= epoch {
            return Ok(snapshot.head_state.clone());
        }
        let shared = self.chain.shared.clone();
        Ok(smol::unblock(move || shared.head_state_at(&snapshot, epoch)).await?)
    }

    fn check_slot(&self, slot: Slot) -> Result<(), ProduceError> {
        if matches!(self.engine, Engine::None) {
            return Err(ProduceError::NoClient);
        }
        let now = self.chain.clock().slot();
        if slot > now + SLOTS_AHEAD {
            return Err(ProduceError::Slot { slot, why: "it is too far in the future" });
        }
        if slot + SLOTS_PER_EPOCH < now {
            return Err(ProduceError::Slot { slot, why: "it is more than an epoch ago" });
        }
        if self.chain.snapshot().is_syncing {
            return Err(ProduceError::NotReady("the node is syncing"));
        }
        Ok(())
    }
}
