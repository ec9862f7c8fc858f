//! What validators hand over: verified here, then pooled and published.

use std::{collections::BTreeMap, sync::Arc};

use ethereum_hashing::hash_fixed;
use tree_hash::TreeHash as _;

use super::{Producer, SubmitError};
use crate::{
    chain::{
        Vote,
        network::Publication,
        pools::{SUBCOMMITTEE_SIZE, Votes},
    },
    crypto::*,
    transition::{
        Context, find_shuffling, get_domain, get_indexed_attestation, get_public_key, get_sync_committee_indices,
        indexed_attestation_signature_set,
    },
    types::{preset::*, *},
};

impl Producer {
    /// Takes one validator's vote: for our own aggregates and blocks. (There are no attestation subnets yet: votes travel
    /// in aggregates.)
    pub async fn submit_attestation(&self, vote: SingleAttestation) -> Result<(), SubmitError> {
        let data = vote.data;
        self.check_votes_data(&data)?;
        let (committee, attester) = (vote.committee_index, vote.attester_index);
        let votes = self.with_state(data.target.epoch, move |state, ctx| verify_vote(state, &vote, ctx)).await?;
        self.pools.add_votes(data, data.tree_hash_root(), committee, votes).await;
        self.chain.count_votes(vec![Vote { data, attesting_indices: vec![attester] }]).await;
        Ok(())
    }

    /// Takes a validator's aggregate, and publishes it.
    pub async fn submit_aggregate(&self, aggregate: SignedAggregateAndProof) -> Result<(), SubmitError> {
        let aggregate = Arc::new(aggregate);
        let data = aggregate.message.aggregate.data;
        self.check_votes_data(&data)?;
        let verified = aggregate.clone();
        let (committee, votes, attesting_indices) =
            self.with_state(data.target.epoch, move |state, ctx| verify_aggregate(state, &verified, ctx)).await?;
        self.pools.add_votes(data, data.tree_hash_root(), committee, votes).await;
        self.chain.count_votes(vec![Vote { data, attesting_indices }]).await;
        self.chain.publish(Publication::Message(GossipMessage::Aggregate(aggregate)));
        Ok(())
    }

    /// Takes a sync committee member's signature of a head.
    pub async fn submit_sync_message(&self, message: SyncCommitteeMessage) -> Result<(), SubmitError> {
        let (slot, head) = (message.slot, message.beacon_block_root);
        self.check_now(slot)?;
        let epoch = compute_epoch_at_slot(slot + 1);
        let parts = self.with_state(epoch, move |state, ctx| verify_sync_message(state, &message, ctx)).await?;
        for (subcommittee, votes) in parts {
            self.pools.add_sync_votes(slot, head, subcommittee, votes).await;
        }
        Ok(())
    }

    /// Takes a sync committee contribution.
    pub async fn submit_contribution(&self, signed: SignedContributionAndProof) -> Result<(), SubmitError> {
        let slot = signed.message.contribution.slot;
        self.check_now(slot)?;
        let epoch = compute_epoch_at_slot(slot + 1);
        let contribution = self.with_state(epoch, move |state, ctx| verify_contribution(state, signed, ctx)).await?;
        self.pools.add_contribution(contribution).await;
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

    /// Runs a verification on the blocking pool, with a state whose duties are those of `epoch`.
    async fn with_state<T: Send + 'static>(
        &self,
        epoch: Epoch,
        verify: impl FnOnce(&BeaconState, &Context) -> Result<T, SubmitError> + Send + 'static,
    ) -> Result<T, SubmitError> {
        let state = self.state_for(epoch).await?;
        let shared = self.chain.shared.clone();
        smol::unblock(move || verify(&state, &Context { config: &shared.config, keys: &shared.keys })).await
    }
}

fn verify_vote(state: &BeaconState, vote: &SingleAttestation, ctx: &Context) -> Result<Votes, SubmitError> {
    let shuffling = find_shuffling(state, vote.data.target.epoch)?;
    let members = shuffling
        .committee(vote.data.slot, vote.committee_index)
        .ok_or(SubmitError::Invalid("the slot has no such committee"))?;
    let place = members
        .iter()
        .position(|member| u64::from(*member) == vote.attester_index)
        .ok_or(SubmitError::Invalid("the attester is not a member of the committee"))?;
    let domain = get_domain(state, DOMAIN_BEACON_ATTESTER, vote.data.target.epoch);
    let key = get_public_key(state, vote.attester_index, ctx)?;
    let signature = parse(&vote.signature)?;
    if !signature.verify(&key, compute_signing_root(&vote.data, domain)) {
        return Err(SubmitError::Invalid("the signature is not valid"));
    }
    Votes::single(members.len(), &[place], &signature).ok_or(SubmitError::Invalid("the committee is too large"))
}

/// The rules of gossip that do not depend on what was seen before.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/p2p-interface.md#beacon_aggregate_and_proof>
fn verify_aggregate(
    state: &BeaconState,
    signed: &SignedAggregateAndProof,
    ctx: &Context,
) -> Result<(CommitteeIndex, Votes, Vec<ValidatorIndex>), SubmitError> {
    let (message, aggregate) = (&signed.message, &signed.message.aggregate);
    let mut committees = aggregate.committee_bits.iter().enumerate().filter(|(_, set)| *set);
    let (Some((committee, _)), None) = (committees.next(), committees.next()) else {
        return Err(SubmitError::Invalid("an aggregate is of exactly one committee"));
    };
    let (slot, epoch) = (aggregate.data.slot, aggregate.data.target.epoch);
    let shuffling = find_shuffling(state, epoch)?;
    let members = shuffling.committee(slot, committee as u64);
    let members = members.ok_or(SubmitError::Invalid("the slot has no such committee"))?;
    if !members.iter().any(|member| u64::from(*member) == message.aggregator_index) {
        return Err(SubmitError::Invalid("the aggregator is not a member of the committee"));
    }
    if !is_chosen(&message.selection_proof, members.len() as u64 / TARGET_AGGREGATORS_PER_COMMITTEE) {
        return Err(SubmitError::Invalid("the selection proof does not make its owner an aggregator"));
    }
    let key = get_public_key(state, message.aggregator_index, ctx)?;
    let root_for = |purpose, root: Hash256| compute_signing_root(&root, get_domain(state, purpose, epoch));
    let indexed = get_indexed_attestation(&mut state.clone(), aggregate)?;
    let sets = [
        SignatureSet {
            signature: message.selection_proof,
            key,
            message: root_for(DOMAIN_SELECTION_PROOF, slot.tree_hash_root()),
        },
        SignatureSet {
            signature: signed.signature,
            key,
            message: root_for(DOMAIN_AGGREGATE_AND_PROOF, message.tree_hash_root()),
        },
        indexed_attestation_signature_set(state, &indexed, ctx)?,
    ];
    if !verify_sets(&sets) {
        return Err(SubmitError::Invalid("a signature is not valid"));
    }
    let votes = Votes::new(aggregate.aggregation_bits.clone(), &parse(&aggregate.signature)?);
    Ok((committee as u64, votes, indexed.attesting_indices.to_vec()))
}

/// The votes of a member in each subcommittee that it has places in.
fn verify_sync_message(
    state: &BeaconState,
    message: &SyncCommitteeMessage,
    ctx: &Context,
) -> Result<Vec<(usize, Votes)>, SubmitError> {
    let members = sync_committee(state, message.slot)?;
    let mut places: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (place, _) in members.iter().enumerate().filter(|(_, member)| u64::from(**member) == message.validator_index) {
        places.entry(place / SUBCOMMITTEE_SIZE).or_default().push(place % SUBCOMMITTEE_SIZE);
    }
    if places.is_empty() {
        return Err(SubmitError::Invalid("the validator is not a member of the sync committee"));
    }
    let domain = get_domain(state, DOMAIN_SYNC_COMMITTEE, compute_epoch_at_slot(message.slot));
    let key = get_public_key(state, message.validator_index, ctx)?;
    let signature = parse(&message.signature)?;
    if !signature.verify(&key, compute_signing_root(&message.beacon_block_root, domain)) {
        return Err(SubmitError::Invalid("the signature is not valid"));
    }
    let votes = places.into_iter().map(|(subcommittee, places)| {
        let votes = Votes::single(SUBCOMMITTEE_SIZE, &places, &signature).expect("places within the subcommittee");
        (subcommittee, votes)
    });
    Ok(votes.collect())
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/p2p-interface.md#sync_committee_contribution_and_proof>
fn verify_contribution(
    state: &BeaconState,
    signed: SignedContributionAndProof,
    ctx: &Context,
) -> Result<SyncCommitteeContribution, SubmitError> {
    let (message, contribution) = (&signed.message, &signed.message.contribution);
    let members = sync_committee(state, contribution.slot)?;
    let subcommittee = usize::try_from(contribution.subcommittee_index).unwrap_or(usize::MAX);
    let members = members.chunks(SUBCOMMITTEE_SIZE).nth(subcommittee);
    let members = members.ok_or(SubmitError::Invalid("there is no such subcommittee"))?;
    if !members.iter().any(|member| u64::from(*member) == message.aggregator_index) {
        return Err(SubmitError::Invalid("the aggregator is not a member of the subcommittee"));
    }
    if !is_chosen(&message.selection_proof, SUBCOMMITTEE_SIZE as u64 / TARGET_AGGREGATORS_PER_SYNC_SUBCOMMITTEE) {
        return Err(SubmitError::Invalid("the selection proof does not make its owner an aggregator"));
    }
    let epoch = compute_epoch_at_slot(contribution.slot);
    let root_for = |purpose, root: Hash256| compute_signing_root(&root, get_domain(state, purpose, epoch));
    let key = get_public_key(state, message.aggregator_index, ctx)?;
    let signers = members.iter().zip(contribution.aggregation_bits.iter()).filter(|(_, set)| *set);
    let mut sum = AggregatePublicKey::from_keys([]);
    for (member, _) in signers {
        sum.add(&get_public_key(state, u64::from(*member), ctx)?);
    }
    let selection =
        SyncAggregatorSelectionData { slot: contribution.slot, subcommittee_index: contribution.subcommittee_index };
    let sets = [
        SignatureSet {
            signature: message.selection_proof,
            key,
            message: root_for(DOMAIN_SYNC_COMMITTEE_SELECTION_PROOF, selection.tree_hash_root()),
        },
        SignatureSet {
            signature: signed.signature,
            key,
            message: root_for(DOMAIN_CONTRIBUTION_AND_PROOF, message.tree_hash_root()),
        },
        SignatureSet {
            signature: contribution.signature,
            key: sum.to_public_key(),
            message: root_for(DOMAIN_SYNC_COMMITTEE, contribution.beacon_block_root),
        },
    ];
    if !verify_sets(&sets) {
        return Err(SubmitError::Invalid("a signature is not valid"));
    }
    Ok(signed.message.contribution)
}

/// The committee that signs in `slot`: the one whose aggregate the next slot's block carries.
fn sync_committee(state: &BeaconState, slot: Slot) -> Result<Arc<[u32]>, SubmitError> {
    let period = |slot| compute_epoch_at_slot(slot) / EPOCHS_PER_SYNC_COMMITTEE_PERIOD;
    if period(slot + 1) != period(state.slot) {
        return Err(SubmitError::Invalid("it is of another sync committee period than the head"));
    }
    Ok(get_sync_committee_indices(&mut state.clone())?)
}

/// Whether a selection proof makes its owner one of about `one_in` aggregators.
fn is_chosen(proof: &BLSSignature, one_in: u64) -> bool {
    let hash = hash_fixed(proof.as_slice());
    u64::from_le_bytes(hash[..8].try_into().expect("eight bytes")).is_multiple_of(one_in.max(1))
}

fn parse(signature: &BLSSignature) -> Result<Signature, SubmitError> {
    Signature::from_bytes(signature).map_err(|_| SubmitError::Invalid("the signature is no point of the curve"))
}
