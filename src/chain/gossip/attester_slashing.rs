//! The topic `attester_slashing`.

use super::{Checked, Claim, Found, Mark, Refusal, View, ensure, reject};
use crate::{
    transition::{
        SignatureCollector, indexed_attestation_signature_set, is_slashable, is_slashable_attestation_data,
        is_valid_indexed_attestation,
    },
    types::*,
};

/// What may be wrong with either of the votes: its indices, and anything else.
const REASONS: [[&str; 2]; 2] = [
    ["validator index out of range in indexed attestation 1", "invalid indexed attestation 1"],
    ["validator index out of range in indexed attestation 2", "invalid indexed attestation 2"],
];

/// Checks two votes that contradict each other, all but their signatures.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/p2p-interface.md#attester_slashing>
pub fn validate_attester_slashing_gossip(view: &View, slashing: &AttesterSlashing) -> Result<Checked, Refusal> {
    let (first, second) = (&slashing.attestation_1, &slashing.attestation_2);
    let slashable_indices = in_both(&first.attesting_indices, &second.attesting_indices);
    let mark = Mark::AttesterSlashing(slashable_indices.clone());
    view.seen.check(&mark)?;
    let is_slashable_data = is_slashable_attestation_data(&first.data, &second.data);
    ensure(is_slashable_data, reject("attestation data is not slashable"))?;
    for (attestation, [outside, invalid]) in [first, second].into_iter().zip(REASONS) {
        let are_known = attestation.attesting_indices.iter().all(|index| view.is_validator(*index));
        ensure(are_known, reject(outside))?;
        // Without the signature, which comes last.
        let mut nothing = SignatureCollector::new(false);
        let is_valid = is_valid_indexed_attestation(view.state, attestation, &view.context(), &mut nothing).is_ok();
        ensure(is_valid, reject(invalid))?;
    }
    let is_any_slashable = slashable_indices.iter().any(|index| is_slashable(view.state, *index).unwrap_or(false));
    ensure(is_any_slashable, reject("no slashable validators in intersection"))?;
    let claim = |(attestation, [_, reason]): (&IndexedAttestation, [&'static str; 2])| {
        let set = indexed_attestation_signature_set(view.state, attestation, &view.context());
        Ok(Claim { set: set.map_err(|_| reject(reason))?, reason })
    };
    let claims = [first, second].into_iter().zip(REASONS).map(claim).collect::<Result<_, _>>()?;
    Ok(Checked { claims, found: Found::Message, mark })
}

/// Who is in both lists, which need not be sorted.
fn in_both(first: &[ValidatorIndex], second: &[ValidatorIndex]) -> Vec<ValidatorIndex> {
    let second: std::collections::HashSet<_> = second.iter().collect();
    first.iter().filter(|index| second.contains(index)).copied().collect()
}
