//! What validators hand over: verified by the rules of gossip, then pooled and published.

use std::sync::Arc;

use super::{Producer, SubmitError};
use crate::{
    chain::{
        Shared, Snapshot,
        gossip::{Found, Refusal, Seen, View, validate_gossip},
        network::Publication,
        pools::Verified,
    },
    crypto::verify_each,
    transition::find_shuffling,
    types::{preset::*, *},
};

impl Producer {
    /// Takes one validator's vote: for our own aggregates and blocks, and publishes it in its subnet.
    pub async fn submit_attestation(&self, vote: SingleAttestation) -> Result<(), SubmitError> {
        let data = vote.data;
        self.check_votes_data(&data)?;
        let state = self.state_for(data.target.epoch).await?;
        // Its subnet follows from its committee.
        let shuffling = find_shuffling(&state, data.target.epoch)?;
        let config = self.chain.config();
        let index = vote.committee_index.min(MAX_COMMITTEES_PER_SLOT as u64);
        let subnet = compute_subnet_for_attestation(config, shuffling.committees_per_slot, data.slot, index);
        let message = GossipMessage::Attestation(Arc::new(vote), subnet);
        self.take(state, message.clone()).await?;
        self.chain.publish(Publication::Message(message));
        Ok(())
    }

    /// Takes a validator's aggregate, and publishes it.
    pub async fn submit_aggregate(&self, aggregate: SignedAggregateAndProof) -> Result<(), SubmitError> {
        let data = aggregate.message.aggregate.data;
        self.check_votes_data(&data)?;
        let state = self.state_for(data.target.epoch).await?;
        let message = GossipMessage::Aggregate(Arc::new(aggregate));
        self.take(state, message.clone()).await?;
        self.chain.publish(Publication::Message(message));
        Ok(())
    }

    /// Takes a sync committee member's signature of a head, for each subcommittee that it is in, and publishes it there.
    pub async fn submit_sync_message(&self, message: SyncCommitteeMessage) -> Result<(), SubmitError> {
        self.check_now(message.slot)?;
        let state = self.state_for(compute_epoch_at_slot(message.slot)).await?;
        let (shared, snapshot) = (self.chain.shared.clone(), self.chain.snapshot());
        let verified = smol::unblock(move || verify_sync_message(&shared, &snapshot, &state, message)).await;
        for verified in verified.map_err(|refusal| SubmitError::Invalid(refusal.reason))? {
            self.chain.publish(Publication::Message(verified.message.clone()));
            self.pools.add(verified).await;
        }
        Ok(())
    }

    /// Takes a sync committee contribution, and publishes it.
    pub async fn submit_contribution(&self, signed: SignedContributionAndProof) -> Result<(), SubmitError> {
        let slot = signed.message.contribution.slot;
        self.check_now(slot)?;
        let state = self.state_for(compute_epoch_at_slot(slot)).await?;
        let message = GossipMessage::Contribution(Arc::new(signed));
        self.take(state, message.clone()).await?;
        self.chain.publish(Publication::Message(message));
        Ok(())
    }

    /// Verifies a message with a state that knows its committees, counts its votes and pools it.
    async fn take(&self, state: Arc<BeaconState>, message: GossipMessage) -> Result<(), SubmitError> {
        let (shared, snapshot) = (self.chain.shared.clone(), self.chain.snapshot());
        let verified = smol::unblock(move || verify(&shared, &snapshot, &state, message)).await;
        let verified = verified.map_err(|refusal| SubmitError::Invalid(refusal.reason))?;
        if let Found::Votes(vote) | Found::Vote { vote, .. } = &verified.found {
            self.chain.count_votes(vec![vote.clone()]).await;
        }
        self.pools.add(verified).await;
        Ok(())
    }

    fn check_votes_data(&self, data: &AttestationData) -> Result<(), SubmitError> {
        let now = self.chain.clock().slot();
        if data.slot > now || data.slot + SLOTS_PER_EPOCH < now {
            return Err(SubmitError::NotNow { slot: data.slot, now });
        }
        if data.target.epoch != compute_epoch_at_slot(data.slot) {
            return Err(SubmitError::Invalid("the target is not of the slot's epoch"));
        }
        if data.index != 0 {
            return Err(SubmitError::Invalid("the committee index of the data must be 0 since Electra"));
        }
        let snapshot = self.chain.snapshot();
        let unknown = [data.beacon_block_root, data.target.root].into_iter().find(|root| !snapshot.contains(root));
        unknown.map_or(Ok(()), |root| Err(SubmitError::UnknownBlock(root)))
    }

    fn check_now(&self, slot: Slot) -> Result<(), SubmitError> {
        let now = self.chain.clock().slot();
        if slot > now || slot + 1 < now { Err(SubmitError::NotNow { slot, now }) } else { Ok(()) }
    }
}

/// What the rules say of a validator that is in another subcommittee.
const NOT_IN_SUBCOMMITTEE: &str = "subnet_id is not valid for the validator";

/// Checks a message as if it came by gossip, but for repetitions: a validator client may hand over the same twice.
fn verify(
    shared: &Shared,
    snapshot: &Snapshot,
    state: &BeaconState,
    message: GossipMessage,
) -> Result<Verified, Refusal> {
    let seen = Seen::default();
    let view = View { seen: &seen, ..shared.view(snapshot, state) };
    let checked = validate_gossip(&view, &message)?;
    let sets: Vec<_> = checked.claims.iter().map(|claim| claim.set.clone()).collect();
    let found = checked.accept(&seen, &verify_each(&sets))?;
    Ok(Verified { message, found })
}

/// As [`verify`], in each subcommittee that the validator is in: at least one. The signature is the same in all, and is
/// verified once.
fn verify_sync_message(
    shared: &Shared,
    snapshot: &Snapshot,
    state: &BeaconState,
    message: SyncCommitteeMessage,
) -> Result<Vec<Verified>, Refusal> {
    let (seen, message) = (Seen::default(), Arc::new(message));
    let view = View { seen: &seen, ..shared.view(snapshot, state) };
    let mut verdicts = None;
    let mut verified = Vec::new();
    let mut refusal = None;
    for subnet in 0..SYNC_COMMITTEE_SUBNET_COUNT as u64 {
        let message = GossipMessage::SyncMessage(message.clone(), subnet);
        match validate_gossip(&view, &message) {
            Ok(checked) => {
                let sets = || checked.claims.iter().map(|claim| claim.set.clone()).collect::<Vec<_>>();
                let verdicts = verdicts.get_or_insert_with(|| verify_each(&sets()));
                verified.push(Verified { message, found: checked.accept(&seen, verdicts)? });
            }
            Err(other) if other.reason == NOT_IN_SUBCOMMITTEE => refusal = Some(other),
            Err(broken) => return Err(broken),
        }
    }
    match refusal.filter(|_| verified.is_empty()) {
        Some(refusal) => Err(Refusal { reason: "the validator is not a member of the sync committee", ..refusal }),
        None => Ok(verified),
    }
}
