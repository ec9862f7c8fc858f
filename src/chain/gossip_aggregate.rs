//! The checks of the topic `beacon_aggregate_and_proof`, all but the signatures, which are collected.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use ethereum_hashing::hash_fixed;
use tree_hash::TreeHash as _;

use super::{
    Shared, Snapshot,
    limits::{SEEN_AGGREGATES, SEEN_AGGREGATORS},
    network::Verdict,
    store_task::Vote,
};
use crate::{
    crypto::{DOMAIN_AGGREGATE_AND_PROOF, DOMAIN_SELECTION_PROOF, SignatureSet, compute_domain, compute_signing_root},
    transition::{
        TransitionError, find_shuffling, get_committee_indices, get_public_key, index_attestation,
        indexed_attestation_signature_set,
    },
    types::{
        AggregateAndProof, Attestation, AttestationData, BLSSignature, BeaconState, DomainType, Epoch, Hash256,
        SignedAggregateAndProof, Slot, ValidatorIndex, compute_epoch_at_slot, compute_start_slot_at_epoch,
        preset::TARGET_AGGREGATORS_PER_COMMITTEE,
    },
};

/// Why an aggregate is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub verdict: Verdict,
    pub reason: &'static str,
}

fn reject(reason: &'static str) -> Refusal {
    Refusal { verdict: Verdict::Reject, reason }
}

fn ignore(reason: &'static str) -> Refusal {
    Refusal { verdict: Verdict::Ignore, reason }
}

fn ensure(condition: bool, refusal: Refusal) -> Result<(), Refusal> {
    if condition { Ok(()) } else { Err(refusal) }
}

/// An aggregate of which only the signatures are left to check.
pub(super) struct Candidate {
    /// All three must be true: the proof's, the aggregator's, the attesters'.
    pub signatures: [SignatureSet; 3],
    pub vote: Vote,
    key: Key,
}

/// What makes an aggregate known.
#[derive(Clone, Debug)]
struct Key {
    aggregator: (Epoch, ValidatorIndex),
    committee: (Hash256, u64),
    bits: Vec<u8>,
}

/// Accepted aggregates of late. Spec: `Seen`.
#[derive(Default)]
pub(super) struct SeenAggregates {
    aggregators: HashSet<(Epoch, ValidatorIndex)>,
    aggregators_order: VecDeque<(Epoch, ValidatorIndex)>,
    bits: HashMap<(Hash256, u64), Vec<Vec<u8>>>,
    bits_order: VecDeque<(Hash256, u64)>,
}

impl SeenAggregates {
    fn check(&self, key: &Key) -> Result<(), Refusal> {
        let seen = self.bits.get(&key.committee);
        let is_superset = |known: &Vec<u8>| known.iter().zip(&key.bits).all(|(known, new)| known & new == *new);
        ensure(!seen.is_some_and(|all| all.iter().any(is_superset)), ignore("its votes were seen"))?;
        ensure(!self.aggregators.contains(&key.aggregator), ignore("the aggregator was seen in this epoch"))
    }

    /// Remembers an aggregate whose signatures are true; again a refusal, should another have been quicker.
    pub fn accept(&mut self, candidate: &Candidate) -> Result<(), Refusal> {
        let key = &candidate.key;
        self.check(key)?;
        self.aggregators.insert(key.aggregator);
        self.aggregators_order.push_back(key.aggregator);
        if self.aggregators_order.len() > SEEN_AGGREGATORS {
            self.aggregators_order.pop_front().map(|oldest| self.aggregators.remove(&oldest));
        }
        if !self.bits.contains_key(&key.committee) {
            self.bits_order.push_back(key.committee);
        }
        // Each aggregator is counted once, so a committee has few entries.
        self.bits.entry(key.committee).or_default().push(key.bits.clone());
        if self.bits_order.len() > SEEN_AGGREGATES {
            self.bits_order.pop_front().map(|oldest| self.bits.remove(&oldest));
        }
        Ok(())
    }
}

/// Checks a gossiped aggregate.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/p2p-interface.md#modified-beacon_aggregate_and_proof>
pub(super) fn check(
    shared: &Shared,
    snapshot: &Snapshot,
    seen: &SeenAggregates,
    signed: &SignedAggregateAndProof,
) -> Result<Candidate, Refusal> {
    let message = &signed.message;
    let (aggregate, data) = (&message.aggregate, &message.aggregate.data);
    ensure(data.index == 0, reject("its data's index is not zero"))?;
    let [index] = get_committee_indices(aggregate)[..] else {
        return Err(reject("it is not of exactly one committee"));
    };
    check_time(shared, data.slot)?;
    ensure(data.target.epoch == compute_epoch_at_slot(data.slot), reject("its slot is not in its target's epoch"))?;
    check_blocks(shared, snapshot, data)?;
    let state = state_for(snapshot, data).ok_or(ignore("the committees of its branch are not at hand"))?;
    let shuffling =
        find_shuffling(&state, data.target.epoch).map_err(|_| ignore("the committees of its epoch are not at hand"))?;
    let committee = shuffling.committee(data.slot, index).ok_or(reject("there is no such committee"))?;
    ensure(aggregate.aggregation_bits.len() == committee.len(), reject("its bits are not as many as the committee"))?;
    ensure(aggregate.aggregation_bits.num_set_bits() > 0, reject("nobody votes"))?;
    let key = key(message, index);
    seen.check(&key)?;
    ensure(is_aggregator(committee.len(), &message.selection_proof), reject("the validator is no aggregator"))?;
    let is_member = committee.iter().any(|member| u64::from(*member) == message.aggregator_index);
    ensure(is_member, reject("the aggregator is not in the committee"))?;
    let attestation =
        index_attestation(state.fork_name, &shuffling, aggregate).map_err(|_| reject("its votes can't be read"))?;
    let signatures = signature_sets(shared, &state, signed, &attestation).map_err(|_| reject("a key is no key"))?;
    let vote = Vote { data: *data, attesting_indices: attestation.attesting_indices.to_vec() };
    Ok(Candidate { signatures, vote, key })
}

/// That the slot has come, and that its epoch is this one or the one before.
fn check_time(shared: &Shared, slot: Slot) -> Result<(), Refusal> {
    let (clock, now) = (&shared.clock, shared.clock.now_ms());
    let disparity = shared.config.maximum_gossip_clock_disparity;
    ensure(now.saturating_add(disparity) >= clock.start_of(slot), ignore("it is from the future"))?;
    let earliest_now = compute_epoch_at_slot(clock.slot_at(now.saturating_sub(disparity)));
    ensure(compute_epoch_at_slot(slot).saturating_add(1) >= earliest_now, ignore("it is too old"))
}

/// That the blocks it votes for are known and fit together.
fn check_blocks(shared: &Shared, snapshot: &Snapshot, data: &AttestationData) -> Result<(), Refusal> {
    let block = data.beacon_block_root;
    ensure(!shared.invalid_blocks.contains(&block), reject("it votes for an invalid block"))?;
    // The snapshot has only descendants of the finalized block.
    ensure(snapshot.contains(&block), ignore("the block that it votes for is unknown, or not on the finalized chain"))?;
    let target = snapshot.ancestor(block, compute_start_slot_at_epoch(data.target.epoch));
    // Before the finalized block nothing is known.
    let target = target.ok_or(ignore("its target is before the finalized block"))?;
    ensure(target == data.target.root, reject("its target is not an ancestor of its block"))
}

/// A state whose committees for the target's epoch are those of the vote's branch: the head's, if the target is on its
/// branch, or the voted block's own.
fn state_for(snapshot: &Snapshot, data: &AttestationData) -> Option<Arc<BeaconState>> {
    let target = data.target;
    let can_tell =
        |state: &BeaconState| (target.epoch.saturating_sub(1)..=target.epoch + 1).contains(&state.current_epoch());
    let on_head = snapshot.ancestor(snapshot.head_root, compute_start_slot_at_epoch(target.epoch)) == Some(target.root);
    let head = on_head.then(|| snapshot.head_state.clone());
    let others = [data.beacon_block_root, target.root].into_iter().filter_map(|root| snapshot.state(&root));
    head.into_iter().chain(others).find(|state| can_tell(state))
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/validator.md#aggregation-selection>
fn is_aggregator(committee_length: usize, selection_proof: &BLSSignature) -> bool {
    let modulo = (committee_length as u64 / TARGET_AGGREGATORS_PER_COMMITTEE).max(1);
    let hash = hash_fixed(selection_proof.as_slice());
    let mut start = [0; 8];
    start.copy_from_slice(&hash[..8]);
    u64::from_le_bytes(start) % modulo == 0
}

fn key(message: &AggregateAndProof, committee: u64) -> Key {
    let Attestation { data, aggregation_bits, .. } = &message.aggregate;
    Key {
        aggregator: (data.target.epoch, message.aggregator_index),
        committee: (data.tree_hash_root(), committee),
        bits: aggregation_bits.as_slice().to_vec(),
    }
}

fn signature_sets(
    shared: &Shared,
    state: &BeaconState,
    signed: &SignedAggregateAndProof,
    attestation: &crate::types::IndexedAttestation,
) -> Result<[SignatureSet; 3], TransitionError> {
    let message = &signed.message;
    let data = &message.aggregate.data;
    let context = shared.context();
    let key = get_public_key(state, message.aggregator_index, &context)?;
    let domain = |domain_type: DomainType| {
        compute_domain(domain_type, shared.config.fork_version(data.target.epoch), shared.genesis_validators_root)
    };
    let slot_root = data.slot.tree_hash_root();
    let proof = SignatureSet {
        signature: message.selection_proof,
        key,
        message: compute_signing_root(&slot_root, domain(DOMAIN_SELECTION_PROOF)),
    };
    let aggregator = SignatureSet {
        signature: signed.signature,
        key,
        message: compute_signing_root(message, domain(DOMAIN_AGGREGATE_AND_PROOF)),
    };
    Ok([proof, aggregator, indexed_attestation_signature_set(state, attestation, &context)?])
}
