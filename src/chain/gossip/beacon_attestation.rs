//! The topics `beacon_attestation_{subnet_id}`.

use super::{Checked, Claim, Found, Mark, Refusal, View, ensure, ignore, reject, votes};
use crate::{
    chain::Vote,
    crypto::{DOMAIN_BEACON_ATTESTER, SignatureSet, compute_signing_root},
    transition::get_public_key,
    types::*,
};

/// Checks one validator's vote, all but its signature.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/p2p-interface.md#modified-beacon_attestation_subnet_id>
pub fn validate_beacon_attestation_gossip(
    view: &View,
    attestation: &SingleAttestation,
    subnet_id: u64,
) -> Result<Checked, Refusal> {
    let SingleAttestation { committee_index, attester_index, data, signature } = attestation;
    ensure(data.index == 0, reject("attestation data index is non-zero"))?;
    let words = ["attestation slot is from a future slot", "attestation epoch is not current or previous epoch"];
    votes::check_time(view, data, words)?;
    votes::check_blocks(view, data)?;
    let committees = votes::committees(view, data)?;
    let shuffling = &committees.shuffling;
    let committee = votes::committee(shuffling, data.slot, *committee_index)?;
    let expected =
        compute_subnet_for_attestation(view.config, shuffling.committees_per_slot, data.slot, *committee_index);
    ensure(expected == subnet_id, reject("attestation is for wrong subnet"))?;
    let place = committee.iter().position(|member| u64::from(*member) == *attester_index);
    let place = place.ok_or(reject("attester is not a member of the committee"))?;
    let mark = Mark::Attestation(data.target.epoch, *attester_index);
    view.seen.check(&mark)?;
    let key = get_public_key(committees.state(view), *attester_index, &view.context());
    let key = key.map_err(|_| ignore("the attester's key is not at hand"))?;
    let message = compute_signing_root(data, view.domain(DOMAIN_BEACON_ATTESTER, data.target.epoch));
    let set = SignatureSet { signature: *signature, key, message };
    Ok(Checked {
        claims: vec![Claim { set, reason: "invalid attestation signature" }],
        found: Found::Vote {
            vote: Vote { data: *data, attesting_indices: vec![*attester_index] },
            committee_len: committee.len(),
            place,
        },
        mark,
    })
}
