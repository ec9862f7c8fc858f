//! The topic `beacon_aggregate_and_proof`.

use tree_hash::TreeHash as _;

use super::{Checked, Claim, Found, Mark, Refusal, View, ensure, ignore, reject, votes};
use crate::{
    chain::Vote,
    crypto::{DOMAIN_AGGREGATE_AND_PROOF, DOMAIN_SELECTION_PROOF, SignatureSet, compute_signing_root},
    transition::{
        TransitionError, attestation_signature_set, get_committee_indices, get_public_key, index_attestation,
    },
    types::*,
};

/// Checks a gossiped aggregate, all but its three signatures.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/p2p-interface.md#modified-beacon_aggregate_and_proof>
pub fn validate_beacon_aggregate_and_proof_gossip(
    view: &View,
    signed: &SignedAggregateAndProof,
) -> Result<Checked, Refusal> {
    let message = &signed.message;
    let (aggregate, data) = (&message.aggregate, &message.aggregate.data);
    ensure(data.index == 0, reject("aggregate data index is non-zero"))?;
    let [index] = get_committee_indices(aggregate)[..] else {
        return Err(reject("aggregate committee bits must specify exactly one committee"));
    };
    let words = ["aggregate slot is from a future slot", "aggregate epoch is not current or previous epoch"];
    votes::check_time(view, data, words)?;
    let bits = &aggregate.aggregation_bits;
    let mark = Mark::Aggregate {
        aggregator: (data.target.epoch, message.aggregator_index),
        committee: (data.tree_hash_root(), index),
        bits: bits.as_slice().to_vec(),
    };
    view.seen.check(&mark)?;
    votes::check_blocks(view, data)?;
    let committees = votes::committees(view, data)?;
    let committee = votes::committee(&committees.shuffling, data.slot, index)?;
    ensure(bits.len() == committee.len(), reject("aggregation bits length does not match committee size"))?;
    ensure(bits.num_set_bits() > 0, reject("aggregate has no participants"))?;
    let is_aggregator = votes::is_aggregator(committee.len(), &message.selection_proof);
    ensure(is_aggregator, reject("validator is not selected as aggregator"))?;
    let is_member = committee.iter().any(|member| u64::from(*member) == message.aggregator_index);
    ensure(is_member, reject("aggregator index not in committee"))?;
    let indexed = index_attestation(committees.state(view).fork_name, &committees.shuffling, aggregate)
        .map_err(|_| reject("invalid aggregate"))?;
    let claims = claims(view, &committees, signed).map_err(|_| ignore("a key is not at hand"))?;
    let vote = Vote { data: *data, attesting_indices: indexed.attesting_indices.to_vec() };
    Ok(Checked { claims, found: Found::Votes(vote), mark })
}

fn claims(
    view: &View,
    committees: &votes::Committees,
    signed: &SignedAggregateAndProof,
) -> Result<Vec<Claim>, TransitionError> {
    let (message, state) = (&signed.message, committees.state(view));
    let AttestationData { slot, target, .. } = message.aggregate.data;
    let key = get_public_key(state, message.aggregator_index, &view.context())?;
    let domain = |domain_type| view.domain(domain_type, target.epoch);
    let selection_proof = SignatureSet {
        signature: message.selection_proof,
        key,
        message: compute_signing_root(&slot.tree_hash_root(), domain(DOMAIN_SELECTION_PROOF)),
    };
    let aggregator = SignatureSet {
        signature: signed.signature,
        key,
        message: compute_signing_root(message, domain(DOMAIN_AGGREGATE_AND_PROOF)),
    };
    let (fork, shuffling) = (state.fork_name, &committees.shuffling);
    let attesters = attestation_signature_set(state, fork, shuffling, &message.aggregate, &view.context())?;
    Ok(vec![
        Claim { set: selection_proof, reason: "invalid selection proof signature" },
        Claim { set: aggregator, reason: "invalid aggregator signature" },
        Claim { set: attesters, reason: "invalid aggregate signature" },
    ])
}
