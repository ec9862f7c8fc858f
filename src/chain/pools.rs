//! The pools: votes and sync committee signatures that wait to be aggregated or put into a block.
//!
//! One task owns them all. Whoever sends it something has verified it; what the pools hold is bounded by slots and by
//! number, and a restart of the task loses only what the next slots bring again.

mod attestations;
mod operations;
mod packing;
mod sync;
#[cfg(test)]
mod tests;
mod votes;

use std::{collections::HashMap, mem::size_of, sync::Arc};

use async_channel::{Receiver, Sender};
use tree_hash::TreeHash as _;

pub use attestations::{AttestationPool, DataVotes, compute_on_chain_aggregate};
pub use operations::{OperationPool, Operations};
pub use packing::choose_attestations;
pub use sync::{SUBCOMMITTEE_SIZE, SyncPool};
pub use votes::{Bits, Sums, Votes};

use super::{ChainTask, gossip::Found};
use crate::{crypto::Signature, types::*};

/// Messages that wait for the pools: an epoch's burst of validators of one node.
const MAILBOX: usize = 256;
/// Verified messages of gossip that wait; more are dropped by the sender.
const GOSSIP_WAITING: usize = 256;
/// Proposers whose fee recipient is remembered: more than a home staker has.
const MAX_FEE_RECIPIENTS: usize = 4096;

/// What the pools are told and asked.
enum Message {
    Verified(Verified),
    FeeRecipient(ValidatorIndex, Address),
    AskAggregate { slot: Slot, root: Hash256, committee: CommitteeIndex, reply: Sender<Option<Attestation>> },
    AskContribution { slot: Slot, subcommittee: u64, head: Hash256, reply: Sender<Option<SyncCommitteeContribution>> },
    AskBytes(Sender<usize>),
    AskFeeRecipient(ValidatorIndex, Sender<Option<Address>>),
    AskBlock { slot: Slot, parent: Hash256, state: Arc<BeaconState>, reply: Sender<ForBlock> },
}

/// A message of gossip, verified.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The message.
    pub message: GossipMessage,
    /// What was found out about it.
    pub found: Found,
}

/// What a block may include.
#[derive(Clone, Debug)]
pub struct ForBlock {
    /// Votes to choose from.
    pub attestations: Vec<Arc<DataVotes>>,
    /// Operations to choose from.
    pub operations: Operations,
    /// Signatures of the parent.
    pub sync_aggregate: SyncAggregate,
    /// Who gets the fees, by proposer.
    pub fee_recipients: Arc<HashMap<ValidatorIndex, Address>>,
}

/// The pools, from outside. Clones share them.
#[derive(Clone)]
pub struct PoolsHandle {
    mailbox: Sender<Message>,
}

/// Pools that are ready to run.
pub struct Pools {
    /// For producers.
    pub handle: PoolsHandle,
    /// For the chain's verified messages.
    pub verified: Sender<Verified>,
    /// For the supervisor.
    pub task: ChainTask,
}

impl Default for Pools {
    fn default() -> Self {
        let (mailbox, messages) = async_channel::bounded(MAILBOX);
        let (verified, gossip) = async_channel::bounded(GOSSIP_WAITING);
        let start = move || -> super::TaskFuture { Box::pin(run(messages.clone(), gossip.clone())) };
        let task = ChainTask { name: "pools", restartable: true, start: Box::new(start) };
        Pools { handle: PoolsHandle { mailbox }, verified, task }
    }
}

impl PoolsHandle {
    /// Adds a verified message.
    pub async fn add(&self, verified: Verified) {
        self.tell(Message::Verified(verified)).await;
    }

    /// Remembers who gets the fees of a proposer's blocks.
    pub async fn set_fee_recipient(&self, proposer: ValidatorIndex, address: Address) {
        self.tell(Message::FeeRecipient(proposer, address)).await;
    }

    /// Who gets the fees of a proposer's blocks, if it is one of ours and said so.
    pub async fn fee_recipient(&self, proposer: ValidatorIndex) -> Option<Address> {
        self.ask(|reply| Message::AskFeeRecipient(proposer, reply)).await.flatten()
    }

    /// The best aggregate of a committee for the data with this root.
    pub async fn aggregate(&self, slot: Slot, root: Hash256, committee: CommitteeIndex) -> Option<Attestation> {
        self.ask(|reply| Message::AskAggregate { slot, root, committee, reply }).await.flatten()
    }

    /// The best contribution of a sync subcommittee for a head.
    pub async fn contribution(
        &self,
        slot: Slot,
        subcommittee: u64,
        head: Hash256,
    ) -> Option<SyncCommitteeContribution> {
        self.ask(|reply| Message::AskContribution { slot, subcommittee, head, reply }).await.flatten()
    }

    /// What a block of `slot` on top of `parent` may include; nothing when the pools are being restarted. `state` is the
    /// parent's, or a later one without a block.
    pub async fn for_block(&self, slot: Slot, parent: Hash256, state: Arc<BeaconState>) -> Option<ForBlock> {
        self.ask(|reply| Message::AskBlock { slot, parent, state, reply }).await
    }

    /// Bytes of all pools, by what they count; none when they are being restarted.
    pub async fn bytes(&self) -> Option<usize> {
        self.ask(Message::AskBytes).await
    }

    async fn tell(&self, message: Message) {
        // The pools never wait for anybody, so this is short; it fails only when the node stops.
        let _ = self.mailbox.send(message).await;
    }

    async fn ask<T>(&self, message: impl FnOnce(Sender<T>) -> Message) -> Option<T> {
        let (reply, answer) = async_channel::bounded(1);
        self.mailbox.send(message(reply)).await.ok()?;
        answer.recv().await.ok()
    }
}

/// What the task owns.
#[derive(Default)]
struct State {
    attestations: AttestationPool,
    sync: SyncPool,
    operations: OperationPool,
    fee_recipients: Arc<HashMap<ValidatorIndex, Address>>,
}

/// Ends when nobody can tell or ask anything any more.
async fn run(messages: Receiver<Message>, gossip: Receiver<Verified>) -> Result<(), super::TaskError> {
    let mut state = State::default();
    loop {
        let message = async { messages.recv().await.ok() };
        // Gossip ends before the producers do; from then on only they count.
        let verified = async {
            match gossip.recv().await {
                Ok(verified) => Some(Message::Verified(verified)),
                Err(_) => std::future::pending().await,
            }
        };
        let Some(message) = smol::future::or(message, verified).await else { return Ok(()) };
        state.handle(message);
    }
}

impl State {
    fn handle(&mut self, message: Message) {
        match message {
            Message::Verified(verified) => self.add(verified),
            Message::FeeRecipient(proposer, address) => self.remember(proposer, address),
            // Who asked may be gone, so that the replies fail: nobody minds.
            Message::AskAggregate { slot, root, committee, reply } => {
                let _ = reply.try_send(self.attestations.aggregate(slot, root, committee));
            }
            Message::AskContribution { slot, subcommittee, head, reply } => {
                let _ = reply.try_send(self.sync.contribution(slot, subcommittee, head));
            }
            Message::AskBytes(reply) => {
                let _ = reply.try_send(self.bytes());
            }
            Message::AskFeeRecipient(proposer, reply) => {
                let _ = reply.try_send(self.fee_recipients.get(&proposer).copied());
            }
            Message::AskBlock { slot, parent, state, reply } => {
                let _ = reply.try_send(ForBlock {
                    attestations: self.attestations.candidates(),
                    operations: self.operations.offer(&state),
                    sync_aggregate: self.sync.sync_aggregate(slot.saturating_sub(1), parent),
                    fee_recipients: self.fee_recipients.clone(),
                });
            }
        }
    }

    fn bytes(&self) -> usize {
        let fees = self.fee_recipients.capacity() * size_of::<(ValidatorIndex, Address)>();
        self.attestations.bytes() + self.sync.bytes() + self.operations.bytes() + fees
    }

    fn add(&mut self, Verified { message, found }: Verified) {
        match (message, found) {
            (GossipMessage::Aggregate(signed), _) => {
                let aggregate = &signed.message.aggregate;
                self.attestations.insert_aggregate(aggregate, aggregate.data.tree_hash_root());
            }
            (GossipMessage::Attestation(vote, _), Found::Vote { committee_len, place, .. }) => {
                if let Some(votes) = single(&vote.signature, committee_len, &[place]) {
                    self.attestations.insert(&vote.data, vote.data.tree_hash_root(), vote.committee_index, votes);
                }
            }
            (GossipMessage::SyncMessage(message, subcommittee), Found::SyncPlaces(places)) => {
                if let Some(votes) = single(&message.signature, SUBCOMMITTEE_SIZE, &places) {
                    self.sync.insert(message.slot, message.beacon_block_root, subcommittee as usize, votes);
                }
            }
            (GossipMessage::Contribution(signed), _) => {
                self.sync.insert_contribution(&signed.message.contribution);
            }
            (operation, _) => self.operations.insert(operation),
        }
    }

    fn remember(&mut self, proposer: ValidatorIndex, address: Address) {
        if self.fee_recipients.len() < MAX_FEE_RECIPIENTS || self.fee_recipients.contains_key(&proposer) {
            Arc::make_mut(&mut self.fee_recipients).insert(proposer, address);
        }
    }
}

/// The votes of one validator.
fn single(signature: &BLSSignature, size: usize, places: &[usize]) -> Option<Votes> {
    Votes::single(size, places, &Signature::from_bytes(signature).ok()?)
}
