//! The topic `sync_committee_contribution_and_proof`.

use super::{
    Checked, Claim, Found, Mark, Refusal, View, ensure, ignore, reject,
    sync_committee_message::get_sync_subcommittee_pubkeys, votes::is_selected,
};
use crate::{
    crypto::*,
    types::{preset::*, *},
};

/// Checks a subcommittee's joint signature of a head, all but the signatures.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/p2p-interface.md#new-sync_committee_contribution_and_proof>
pub fn validate_sync_committee_contribution_and_proof_gossip(
    view: &View,
    signed: &SignedContributionAndProof,
) -> Result<Checked, Refusal> {
    let (message, contribution) = (&signed.message, &signed.message.contribution);
    let (slot, subcommittee) = (contribution.slot, contribution.subcommittee_index);
    ensure(view.is_current_slot(slot), ignore("contribution is not for the current slot"))?;
    let is_subcommittee = subcommittee < SYNC_COMMITTEE_SUBNET_COUNT as u64;
    ensure(is_subcommittee, reject("subcommittee index out of range"))?;
    let bits = &contribution.aggregation_bits;
    ensure(!bits.is_zero(), reject("contribution has no participants"))?;
    let is_aggregator = is_sync_committee_aggregator(&message.selection_proof);
    ensure(is_aggregator, reject("validator is not selected as aggregator"))?;
    ensure(view.is_validator(message.aggregator_index), reject("aggregator index out of range"))?;
    let aggregator = view.state.validators.pubkey(message.aggregator_index as usize);
    let members = get_sync_subcommittee_pubkeys(view, slot, subcommittee)?.unwrap_or_default();
    ensure(members.contains(aggregator), reject("aggregator not in subcommittee"))?;
    let mark = Mark::Contribution {
        aggregator: (slot, message.aggregator_index, subcommittee),
        data: (slot, contribution.beacon_block_root, subcommittee),
        bits: bits.as_slice().to_vec(),
    };
    view.seen.check(&mark)?;
    let participants = members.iter().zip(bits.iter()).filter(|(_, signed)| *signed).map(|(member, _)| member);
    let claims = claims(view, signed, participants).ok_or(ignore("a member's key is not at hand"))?;
    Ok(Checked { claims, found: Found::Message, mark })
}

/// The three claims; none if somebody is not in the registry.
fn claims<'a>(
    view: &View,
    signed: &SignedContributionAndProof,
    participants: impl Iterator<Item = &'a BLSPubkey>,
) -> Option<Vec<Claim>> {
    let (message, contribution) = (&signed.message, &signed.message.contribution);
    let SyncCommitteeContribution { slot, subcommittee_index, .. } = *contribution;
    let domain = |domain_type| view.domain(domain_type, compute_epoch_at_slot(slot));
    let key = view.public_key(message.aggregator_index).ok()?;
    let mut sum = AggregatePublicKey::from_keys([]);
    for member in participants {
        sum.add(&view.public_key(view.state.validators.index_of(member)?).ok()?);
    }
    let selection_data = SyncAggregatorSelectionData { slot, subcommittee_index };
    let selection_proof = SignatureSet {
        signature: message.selection_proof,
        key,
        message: compute_signing_root(&selection_data, domain(DOMAIN_SYNC_COMMITTEE_SELECTION_PROOF)),
    };
    let aggregator = SignatureSet {
        signature: signed.signature,
        key,
        message: compute_signing_root(message, domain(DOMAIN_CONTRIBUTION_AND_PROOF)),
    };
    let members = SignatureSet {
        signature: contribution.signature,
        key: sum.to_public_key(),
        message: compute_signing_root(&contribution.beacon_block_root, domain(DOMAIN_SYNC_COMMITTEE)),
    };
    Some(vec![
        Claim { set: selection_proof, reason: "invalid selection proof signature" },
        Claim { set: aggregator, reason: "invalid aggregator signature" },
        Claim { set: members, reason: "invalid aggregate signature" },
    ])
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/validator.md#aggregation-selection>
fn is_sync_committee_aggregator(selection_proof: &BLSSignature) -> bool {
    let size = (SYNC_COMMITTEE_SIZE / SYNC_COMMITTEE_SUBNET_COUNT) as u64;
    is_selected(selection_proof, size / TARGET_AGGREGATORS_PER_SYNC_SUBCOMMITTEE)
}
