//! The task of subnets: to which of them we listen, which we announce, and where we want peers because we shall publish there.
//!
//! A node keeps two attestation subnets for hundreds of epochs, chosen by its node id. Validators add more: an aggregator's
//! from shortly before its slot until the slot ends, a sync committee member's while its duty lasts. (Other clients have
//! `--subscribe-all-subnets`, which costs a home's line more than everything else together; we have not.)
//!
//! What the network is told is the whole plan each time, and again in each epoch, should one have been lost.

mod compute;
mod plan;
#[cfg(test)]
mod tests;

use std::sync::{Arc, atomic::Ordering};

use async_channel::Receiver;

use super::{Shared, TaskError, network::NetworkCommand};
use crate::types::{CommitteeIndex, Epoch, Slot, compute_epoch_at_slot};
pub use compute::{NodeId, compute_subscribed_subnet, compute_subscribed_subnets};
pub use plan::{SubnetPlan, Subnets};

/// Subscriptions that wait for the task: an epoch's from several validator clients at once.
pub(super) const SUBSCRIPTIONS_WAITING: usize = 16;

/// A validator attests in a committee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitteeSubscription {
    /// When.
    pub slot: Slot,
    /// In which committee of the slot.
    pub committee_index: CommitteeIndex,
    /// How many committees the slot has.
    pub committees_at_slot: u64,
    /// Whether it will aggregate, and so has to hear the others' votes.
    pub is_aggregator: bool,
}

/// A validator is in the sync committee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncSubscription {
    /// Its places in the committee.
    pub places: Vec<u64>,
    /// The first epoch in which it is not any more.
    pub until_epoch: Epoch,
}

/// What validators tell the task.
#[derive(Debug)]
pub(crate) enum SubnetMessage {
    Committees(Vec<CommitteeSubscription>),
    Sync(Vec<SyncSubscription>),
}

/// Tells the network the plan when it changes: with the slots, or because of validators.
pub(super) async fn run(
    shared: Arc<Shared>,
    node_id: Option<[u8; 32]>,
    messages: Receiver<SubnetMessage>,
) -> Result<(), TaskError> {
    let mut subnets = Subnets::new(shared.config.clone(), node_id.map(NodeId::from_be_bytes::<32>));
    let (mut told, mut told_in) = (SubnetPlan::default(), shared.clock.epoch());
    loop {
        let slot = shared.clock.slot();
        let plan = subnets.plan(slot);
        shared.aggregating.store(Arc::new(subnets.aggregating()));
        shared.signs_heads.store(!plan.syncnets.is_empty(), Ordering::Relaxed);
        let epoch = compute_epoch_at_slot(slot);
        if plan != told || epoch != told_in {
            (told, told_in) = (plan.clone(), epoch);
            shared.tell_network(NetworkCommand::SetSubnets(plan));
        }
        let next = async {
            shared.clock.until(shared.clock.start_of(slot + 1)).await;
            Ok(None)
        };
        match smol::future::or(async { messages.recv().await.map(Some) }, next).await {
            Ok(None) => {}
            Ok(Some(SubnetMessage::Committees(all))) => {
                all.iter().for_each(|one| subnets.attest(one, shared.clock.slot()));
            }
            Ok(Some(SubnetMessage::Sync(all))) => {
                all.iter().for_each(|one| subnets.sign_heads(one, shared.clock.epoch()));
            }
            Err(_) => return Err(TaskError::Abandoned("subnets")),
        }
    }
}
