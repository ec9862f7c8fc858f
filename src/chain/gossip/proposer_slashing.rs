//! The topic `proposer_slashing`.

use super::{Checked, Claim, Found, Mark, Refusal, View, ensure, reject};
use crate::{
    transition::{get_validator, header_signature_set, is_slashable_validator},
    types::ProposerSlashing,
};

/// Checks two headers of one proposer for one slot, all but their signatures.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/p2p-interface.md#proposer_slashing>
pub fn validate_proposer_slashing_gossip(view: &View, slashing: &ProposerSlashing) -> Result<Checked, Refusal> {
    let (first, second) = (&slashing.signed_header_1.message, &slashing.signed_header_2.message);
    let mark = Mark::ProposerSlashing(first.proposer_index);
    view.seen.check(&mark)?;
    ensure(first.slot == second.slot, reject("header slots do not match"))?;
    ensure(first.proposer_index == second.proposer_index, reject("header proposer indices do not match"))?;
    ensure(first != second, reject("headers are not different"))?;
    let proposer =
        get_validator(view.state, first.proposer_index).map_err(|_| reject("proposer index out of range"))?;
    let is_slashable = is_slashable_validator(&proposer, view.state.current_epoch());
    ensure(is_slashable, reject("proposer is not slashable"))?;
    let reason = "invalid proposer slashing signature";
    let headers = [&slashing.signed_header_1, &slashing.signed_header_2];
    let claim = |header| {
        let set = header_signature_set(view.state, header, &view.context()).map_err(|_| reject(reason))?;
        Ok(Claim { set, reason })
    };
    let claims = headers.into_iter().map(claim).collect::<Result<_, _>>()?;
    Ok(Checked { claims, found: Found::Message, mark })
}
