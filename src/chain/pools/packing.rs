//! Which attestations go into a block: those that bring the most that is new.

use std::{collections::HashMap, sync::Arc};

use super::{
    attestations::{DataVotes, compute_on_chain_aggregate},
    votes::Votes,
};
use crate::{
    transition::{TransitionError, find_shuffling, get_attestation_participation_flags},
    types::{preset::*, *},
};

/// Votes that a block on top of a state may include.
struct Candidate {
    votes: Arc<DataVotes>,
    shuffling: Arc<Shuffling>,
    is_current: bool,
    flags: ParticipationFlags,
}

/// Flags that attestations chosen earlier bring, by epoch and validator.
type Taken = HashMap<(bool, u32), ParticipationFlags>;

/// The attestations for a block, at most `MAX_ATTESTATIONS_ELECTRA`. `state` is at the block's slot.
///
/// Greedy: each time the votes for one data, over all committees, that set flags of the most weight. Votes for another
/// target than the state's are left out: they earn next to nothing, and their committees may be another branch's.
pub fn choose_attestations(state: &BeaconState, pool: &[Arc<DataVotes>]) -> Vec<Attestation> {
    let mut candidates: Vec<_> = pool.iter().filter_map(|votes| Candidate::new(state, votes)).collect();
    let mut taken = Taken::new();
    let mut chosen = Vec::new();
    while chosen.len() < MAX_ATTESTATIONS_ELECTRA {
        // What brings nothing now never will.
        candidates.retain(|candidate| candidate.gain(state, &taken) > 0);
        let Some(best) = candidates.iter().max_by_key(|candidate| candidate.gain(state, &taken)) else { break };
        let parts = best.best_parts(state, &taken);
        chosen.push(compute_on_chain_aggregate(&best.votes.data, &parts));
        best.take(&parts, &mut taken);
    }
    chosen
}

impl Candidate {
    /// `None` if a block at the state's slot can't include these votes, or gains nothing by it.
    fn new(state: &BeaconState, votes: &Arc<DataVotes>) -> Option<Self> {
        let flags = useful_flags(state, &votes.data).ok().flatten()?;
        let shuffling = find_shuffling(state, votes.data.target.epoch).ok()?;
        let is_current = votes.data.target.epoch == state.current_epoch();
        Some(Candidate { votes: votes.clone(), shuffling, is_current, flags })
    }

    /// For each committee the sum that gains most, in the committees' order.
    fn best_parts(&self, state: &BeaconState, taken: &Taken) -> Vec<(CommitteeIndex, &Votes)> {
        let gains = self.votes.committees.iter().filter_map(|(committee, sums)| {
            let scored = sums.iter().map(|votes| (self.gain_of(state, taken, *committee, votes), votes));
            let (gain, votes) = scored.max_by_key(|(gain, _)| *gain)?;
            (gain > 0).then_some((*committee, votes))
        });
        gains.collect()
    }

    fn gain(&self, state: &BeaconState, taken: &Taken) -> u64 {
        let parts = self.best_parts(state, taken);
        parts.iter().map(|(committee, votes)| self.gain_of(state, taken, *committee, votes)).sum()
    }

    /// The weight of the flags that one committee's votes would set; 0 if they do not fit the committee.
    fn gain_of(&self, state: &BeaconState, taken: &Taken, committee: CommitteeIndex, votes: &Votes) -> u64 {
        let participation =
            if self.is_current { &state.current_epoch_participation } else { &state.previous_epoch_participation };
        let known = |validator: u32| {
            let of_state = participation.get(validator as usize).copied().unwrap_or(u8::MAX);
            of_state | taken.get(&(self.is_current, validator)).copied().unwrap_or_default()
        };
        let gained = |validator: u32| weight(self.flags & !known(validator));
        self.attesters(committee, votes).map(gained).sum()
    }

    fn attesters<'a>(&'a self, committee: CommitteeIndex, votes: &'a Votes) -> impl Iterator<Item = u32> + 'a {
        let members = self.shuffling.committee(self.votes.data.slot, committee);
        let members = members.filter(|members| members.len() == votes.bits.len()).unwrap_or_default();
        members.iter().zip(votes.bits.iter()).filter(|(_, set)| *set).map(|(validator, _)| *validator)
    }

    fn take(&self, parts: &[(CommitteeIndex, &Votes)], taken: &mut Taken) {
        for (committee, votes) in parts {
            for validator in self.attesters(*committee, votes) {
                *taken.entry((self.is_current, validator)).or_default() |= self.flags;
            }
        }
    }
}

/// The flags that votes for `data` set in a block at the state's slot, if it may include them and they have our target.
fn useful_flags(state: &BeaconState, data: &AttestationData) -> Result<Option<ParticipationFlags>, TransitionError> {
    let in_time = data.slot + MIN_ATTESTATION_INCLUSION_DELAY <= state.slot;
    let in_epoch = data.target.epoch == compute_epoch_at_slot(data.slot)
        && [state.previous_epoch(), state.current_epoch()].contains(&data.target.epoch);
    if !in_time || !in_epoch || data.index != 0 {
        return Ok(None);
    }
    let flags = get_attestation_participation_flags(state, data, state.slot - data.slot)?;
    Ok((flags >> TIMELY_TARGET_FLAG_INDEX & 1 == 1).then_some(flags))
}

fn weight(flags: ParticipationFlags) -> u64 {
    let weights = PARTICIPATION_FLAG_WEIGHTS.iter().enumerate();
    weights.filter(|(flag, _)| flags >> flag & 1 == 1).map(|(_, weight)| weight).sum()
}
