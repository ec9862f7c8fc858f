//! Two votes that contradict each other.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#attester-slashings>

use super::*;

/// Slashes everyone who gave both votes.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#attester-slashings>
///
/// # Errors
/// Votes that do not contradict each other or are not well formed, or nobody who can be slashed for both.
pub fn process_attester_slashing(
    state: &mut BeaconState,
    slashing: &AttesterSlashing,
    ctx: &Context,
    signatures: &mut SignatureCollector,
) -> Result<(), TransitionError> {
    let rule = |holds, rule| ensure(holds, "attester slashing", rule);
    let (first, second) = (&slashing.attestation_1, &slashing.attestation_2);
    rule(is_slashable_attestation_data(&first.data, &second.data), "the votes must contradict each other")?;
    for attestation in [first, second] {
        // Collected here and not there, so that a false signature is said to be the slashing's.
        is_valid_indexed_attestation(state, attestation, ctx, &mut SignatureCollector::new(false))?;
        signatures.add("attester slashing", || indexed_attestation_signature_set(state, attestation, ctx))?;
    }
    let mut slashed_any = false;
    for index in in_both(&first.attesting_indices, &second.attesting_indices) {
        if is_slashable(state, index)? {
            slash_validator(state, index, None, ctx)?;
            slashed_any = true;
        }
    }
    rule(slashed_any, "somebody must be slashable for it")
}

/// What two sorted lists share, sorted.
fn in_both<'a>(a: &'a [u64], b: &'a [u64]) -> impl Iterator<Item = u64> + 'a {
    a.iter().copied().filter(|index| b.binary_search(index).is_ok())
}
