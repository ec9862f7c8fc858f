//! Who has to do what in an epoch.

use std::{collections::HashMap, sync::Arc};

use serde_json::{Value, json};
use smol::block_on;

use super::{
    Api,
    request::Request,
    response::{Answer, ApiError, json},
};
use crate::types::{
    BeaconState, Epoch, Hash256, Slot, ValidatorIndex, compute_start_slot_at_epoch,
    preset::{EPOCHS_PER_SYNC_COMMITTEE_PERIOD, SLOTS_PER_EPOCH, SLOTS_PER_HISTORICAL_ROOT},
};

/// How far ahead duties are known.
const EPOCHS_AHEAD: u64 = 1;

pub(super) fn proposer(api: &Api, request: &Request) -> Answer {
    proposers(api, request, |epoch| epoch)
}

/// Differs from the first version in the dependent root: proposers are decided an epoch earlier since Fulu.
pub(super) fn proposer_v2(api: &Api, request: &Request) -> Answer {
    proposers(api, request, |epoch| epoch.saturating_sub(1))
}

fn proposers(api: &Api, request: &Request, decided_before: fn(Epoch) -> Epoch) -> Answer {
    let epoch = epoch(api, request)?;
    let state = state_for(api, epoch)?;
    let Some(offset) = epoch.checked_sub(state.current_epoch()).filter(|ahead| *ahead <= 1) else {
        return Err(ApiError::bad_request(format!("the proposers of epoch {epoch} are not known")));
    };
    let first = compute_start_slot_at_epoch(epoch);
    let duties: Vec<Value> = (0..SLOTS_PER_EPOCH)
        .map(|n| {
            let index = state.proposer_lookahead[(offset * SLOTS_PER_EPOCH + n) as usize];
            json!({
                "pubkey": state.validators.pubkey(index as usize),
                "validator_index": index.to_string(),
                "slot": (first + n).to_string(),
            })
        })
        .collect();
    json(&answer(api, Some(dependent_root(api, &state, decided_before(epoch))), duties))
}

pub(super) fn attester(api: &Api, request: &Request) -> Answer {
    let wanted = indices(request)?;
    let epoch = epoch(api, request)?;
    let state = state_for(api, epoch)?;
    let unknown = || ApiError::unavailable(format!("the committees of epoch {epoch} are not ready; ask again"));
    let shuffling = state.caches.shuffling(epoch).cloned().ok_or_else(unknown)?;
    let first = compute_start_slot_at_epoch(epoch);
    let mut duties = Vec::new();
    for slot in first..first + SLOTS_PER_EPOCH {
        for index in 0..shuffling.committees_per_slot {
            let committee = shuffling.committee(slot, index).unwrap_or_default();
            for (position, member) in committee.iter().enumerate() {
                if wanted.binary_search(&u64::from(*member)).is_err() {
                    continue;
                }
                duties.push(json!({
                    "pubkey": state.validators.pubkey(*member as usize),
                    "validator_index": member.to_string(),
                    "committee_index": index.to_string(),
                    "committee_length": committee.len().to_string(),
                    "committees_at_slot": shuffling.committees_per_slot.to_string(),
                    "validator_committee_index": position.to_string(),
                    "slot": slot.to_string(),
                }));
            }
        }
    }
    json(&answer(api, Some(dependent_root(api, &state, epoch.saturating_sub(1))), duties))
}

pub(super) fn sync(api: &Api, request: &Request) -> Answer {
    let wanted = indices(request)?;
    let epoch = request.param_number(0, "epoch")?;
    let snapshot = api.synced()?;
    let period = |epoch: Epoch| epoch / EPOCHS_PER_SYNC_COMMITTEE_PERIOD;
    let now = api.chain().clock().epoch().max(snapshot.head_state.current_epoch());
    if period(epoch) > period(now) + 1 || period(epoch) + 1 < period(now) {
        return Err(ApiError::bad_request(format!("the sync committee of epoch {epoch} is not known")));
    }
    // At the start of a period the head may still be in the one before.
    let state = match period(snapshot.head_state.current_epoch()) == period(now) {
        true => snapshot.head_state.clone(),
        false => state_for(api, now)?,
    };
    let committee = match period(epoch).checked_sub(period(state.current_epoch())) {
        Some(0) => &state.current_sync_committee,
        Some(1) => &state.next_sync_committee,
        _ => return Err(ApiError::bad_request(format!("the sync committee of epoch {epoch} is not known"))),
    };
    let mut places: HashMap<_, Vec<String>> = HashMap::new();
    for (place, pubkey) in committee.pubkeys.iter().enumerate() {
        places.entry(*pubkey).or_default().push(place.to_string());
    }
    let mut duties = Vec::new();
    for index in wanted {
        if index >= state.validators.len() as u64 {
            return Err(ApiError::bad_request(format!("there is no validator {index}")));
        }
        let pubkey = *state.validators.pubkey(index as usize);
        if let Some(places) = places.get(&pubkey) {
            duties.push(json!({
                "pubkey": pubkey,
                "validator_index": index.to_string(),
                "validator_sync_committee_indices": places,
            }));
        }
    }
    json(&answer(api, None, duties))
}

fn answer(api: &Api, dependent_root: Option<Hash256>, duties: Vec<Value>) -> Value {
    let optimistic = api.chain().snapshot().is_optimistic;
    let mut answer = json!({ "execution_optimistic": optimistic, "data": duties });
    if let Some(root) = dependent_root {
        answer["dependent_root"] = json!(root);
    }
    answer
}

/// The epoch in the path: at most one ahead of the clock.
fn epoch(api: &Api, request: &Request) -> Result<Epoch, ApiError> {
    let epoch = request.param_number(0, "epoch")?;
    let now = api.chain().clock().epoch();
    if epoch > now + EPOCHS_AHEAD {
        return Err(ApiError::bad_request(format!("invalid epoch: {epoch} is too far ahead, it is epoch {now}")));
    }
    Ok(epoch)
}

/// The indices in the body, ascending.
fn indices(request: &Request) -> Result<Vec<ValidatorIndex>, ApiError> {
    let texts: Vec<String> = request.json()?;
    let wrong = |text: &str| ApiError::bad_request(format!("invalid validator index: {text:?}"));
    let numbers = texts.iter().map(|text| super::request::number(text).ok_or_else(|| wrong(text)));
    let mut indices = numbers.collect::<Result<Vec<_>, _>>()?;
    indices.sort_unstable();
    indices.dedup();
    Ok(indices)
}

/// A state of the head's branch that knows the committees of `epoch`.
fn state_for(api: &Api, epoch: Epoch) -> Result<Arc<BeaconState>, ApiError> {
    api.synced()?;
    Ok(block_on(api.producer().duty_state(epoch))?)
}

/// The last block before `epoch`; the genesis block's root when there is none.
fn dependent_root(api: &Api, state: &BeaconState, epoch: Epoch) -> Hash256 {
    let slot: Slot = compute_start_slot_at_epoch(epoch).saturating_sub(1);
    if slot < state.slot && slot + SLOTS_PER_HISTORICAL_ROOT as u64 >= state.slot {
        return state.block_roots[slot as usize % SLOTS_PER_HISTORICAL_ROOT];
    }
    // The state is not past that slot: its latest block is the last before it.
    api.chain().snapshot().head_root
}
