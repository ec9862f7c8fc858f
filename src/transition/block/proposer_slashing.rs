//! Two blocks of one proposer for one slot.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#proposer-slashings>

use super::*;

/// Slashes a proposer who signed two headers for one slot.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#proposer-slashings>
///
/// # Errors
/// Headers that do not contradict each other, or a proposer who can't be slashed (any more).
pub fn process_proposer_slashing(
    state: &mut BeaconState,
    slashing: &ProposerSlashing,
    ctx: &Context,
    signatures: &mut SignatureCollector,
) -> Result<(), TransitionError> {
    let rule = |holds, rule| ensure(holds, "proposer slashing", rule);
    let (first, second) = (&slashing.signed_header_1.message, &slashing.signed_header_2.message);
    rule(first.slot == second.slot, "the headers must be of one slot")?;
    rule(first.proposer_index == second.proposer_index, "the headers must be of one proposer")?;
    rule(first != second, "the headers must differ")?;
    rule(is_slashable(state, first.proposer_index)?, "the proposer must be slashable")?;
    for header in [&slashing.signed_header_1, &slashing.signed_header_2] {
        signatures.add("proposer slashing", || header_signature_set(state, header, ctx))?;
    }
    slash_validator(state, first.proposer_index, None, ctx)
}
