//! The registry: validators with their balance and status.

use std::{
    io::{self, Write},
    sync::Arc,
};

use hyper::StatusCode;
use serde::{Deserialize, Serialize};

use super::{
    Api,
    body::Body,
    ids::ValidatorId,
    lookup::{FoundState, Standing},
    request::Request,
    response::{Answer, ApiError, JSON, json, whole, with_body},
};
use crate::types::{BeaconState, Epoch, Gwei, Validator, ValidatorIndex, preset::FAR_FUTURE_EPOCH};

/// Ids in the query of one request, as the Beacon API says; more go in a body.
const MAX_QUERY_IDS: usize = 64;
/// Rows that are made as a whole, half a megabyte; more are streamed.
const MAX_WHOLE_ROWS: usize = 1024;

/// A validator, as the Beacon API shows it.
#[derive(Serialize)]
struct Row {
    #[serde(with = "serde_utils::quoted_u64")]
    index: ValidatorIndex,
    #[serde(with = "serde_utils::quoted_u64")]
    balance: Gwei,
    status: &'static str,
    validator: Validator,
}

/// Which validators are wanted.
struct Wanted {
    /// Ascending; none means all.
    indices: Option<Vec<ValidatorIndex>>,
    /// Empty means any.
    statuses: Vec<&'static str>,
}

/// The body of the form with POST.
#[derive(Deserialize)]
struct Filter {
    ids: Option<Vec<String>>,
    statuses: Option<Vec<String>>,
}

pub(super) fn list(api: &Api, request: &Request) -> Answer {
    let ids = request.query_list("id");
    if ids.len() > MAX_QUERY_IDS {
        let message = format!("at most {MAX_QUERY_IDS} ids fit here; send more with POST");
        return Err(ApiError::new(StatusCode::URI_TOO_LONG, message));
    }
    let found = api.state(request.param(0).parse()?)?;
    let wanted = wanted(&found.state, &ids, &request.query_list("status"))?;
    answer(api, found, wanted)
}

pub(super) fn list_by_post(api: &Api, request: &Request) -> Answer {
    let filter: Filter = request.json()?;
    let found = api.state(request.param(0).parse()?)?;
    let (ids, statuses) = (filter.ids.unwrap_or_default(), filter.statuses.unwrap_or_default());
    let wanted = wanted(&found.state, &ids, &statuses)?;
    answer(api, found, wanted)
}

pub(super) fn one(api: &Api, request: &Request) -> Answer {
    let id: ValidatorId = request.param(1).parse()?;
    let found = api.state(request.param(0).parse()?)?;
    let row = index_of(&found.state, id).and_then(|index| row(&found.state, index));
    let row = row.ok_or_else(|| ApiError::not_found("this state has no such validator"))?;
    json(&Standing { settled: found.settled, data: row })
}

fn wanted(state: &BeaconState, ids: &[impl AsRef<str>], statuses: &[impl AsRef<str>]) -> Result<Wanted, ApiError> {
    let mut indices = Vec::with_capacity(ids.len());
    for id in ids {
        // An id that no validator has is not an error.
        indices.extend(index_of(state, id.as_ref().parse()?));
    }
    indices.sort_unstable();
    indices.dedup();
    let statuses = statuses.iter().map(|name| named_statuses(name.as_ref())).collect::<Result<Vec<_>, _>>()?.concat();
    Ok(Wanted { indices: (!ids.is_empty()).then_some(indices), statuses })
}

fn index_of(state: &BeaconState, id: ValidatorId) -> Option<ValidatorIndex> {
    match id {
        ValidatorId::Index(index) => (index < state.validators.len() as u64).then_some(index),
        ValidatorId::Pubkey(pubkey) => state.validators.index_of(&pubkey),
    }
}

fn answer(api: &Api, found: FoundState, wanted: Wanted) -> Answer {
    let standing = serde_json::to_string(&found.settled).map_err(ApiError::internal)?;
    let head = format!("{},\"data\":[", standing.trim_end_matches('}'));
    let count = wanted.indices.as_ref().map_or(found.state.validators.len(), Vec::len);
    if count <= MAX_WHOLE_ROWS {
        let mut bytes = Vec::new();
        write_rows(&found.state, &wanted, &head, &mut bytes)?;
        return Ok(whole(JSON, bytes));
    }
    let place = api.gates.stream()?;
    let body = Body::written(None, place, move |out| write_rows(&found.state, &wanted, &head, out));
    Ok(with_body(JSON, body))
}

fn write_rows(state: &Arc<BeaconState>, wanted: &Wanted, head: &str, out: &mut impl Write) -> io::Result<()> {
    out.write_all(head.as_bytes())?;
    let mut first = true;
    let mut write = |index: ValidatorIndex| {
        let Some(row) = row(state, index) else { return Ok(()) };
        if !wanted.statuses.is_empty() && !wanted.statuses.contains(&row.status) {
            return Ok(());
        }
        if !std::mem::take(&mut first) {
            out.write_all(b",")?;
        }
        serde_json::to_writer(&mut *out, &row).map_err(io::Error::from)
    };
    match &wanted.indices {
        Some(indices) => indices.iter().try_for_each(|index| write(*index))?,
        None => (0..state.validators.len() as u64).try_for_each(write)?,
    }
    out.write_all(b"]}")
}

fn row(state: &BeaconState, index: ValidatorIndex) -> Option<Row> {
    let at = usize::try_from(index).ok()?;
    let validator = state.validators.get(at)?;
    let balance = state.balances.get(at).copied()?;
    Some(Row { index, balance, status: status(&validator, state.current_epoch()), validator })
}

/// The specific statuses, each with the general one that it is of: <https://hackmd.io/ofFJ5gOmQpu1jjHilHbdQQ>.
const STATUSES: [(&str, &str); 9] = [
    ("pending", "pending_initialized"),
    ("pending", "pending_queued"),
    ("active", "active_ongoing"),
    ("active", "active_exiting"),
    ("active", "active_slashed"),
    ("exited", "exited_unslashed"),
    ("exited", "exited_slashed"),
    ("withdrawal", "withdrawal_possible"),
    ("withdrawal", "withdrawal_done"),
];

/// The specific statuses that a name, specific or general, stands for.
fn named_statuses(name: &str) -> Result<Vec<&'static str>, ApiError> {
    let meant: Vec<_> =
        STATUSES.iter().filter(|(general, own)| [*general, *own].contains(&name)).map(|s| s.1).collect();
    match meant.is_empty() {
        true => Err(ApiError::bad_request(format!("{name:?} is not a validator status"))),
        false => Ok(meant),
    }
}

/// A validator's status in an epoch.
fn status(validator: &Validator, epoch: Epoch) -> &'static str {
    if epoch < validator.activation_epoch {
        match validator.activation_eligibility_epoch {
            FAR_FUTURE_EPOCH => "pending_initialized",
            _ => "pending_queued",
        }
    } else if epoch < validator.exit_epoch {
        match (validator.exit_epoch, validator.slashed) {
            (FAR_FUTURE_EPOCH, _) => "active_ongoing",
            (_, true) => "active_slashed",
            (_, false) => "active_exiting",
        }
    } else if epoch < validator.withdrawable_epoch {
        if validator.slashed { "exited_slashed" } else { "exited_unslashed" }
    } else if validator.effective_balance > 0 {
        "withdrawal_possible"
    } else {
        "withdrawal_done"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{BLSPubkey, Hash256};

    const FAR: Epoch = FAR_FUTURE_EPOCH;

    #[test]
    fn statuses_follow_a_validators_life() {
        let validator = |eligible, activation, exit, withdrawable, slashed, effective_balance| Validator {
            pubkey: BLSPubkey::ZERO,
            withdrawal_credentials: Hash256::ZERO,
            effective_balance,
            slashed,
            activation_eligibility_epoch: eligible,
            activation_epoch: activation,
            exit_epoch: exit,
            withdrawable_epoch: withdrawable,
        };
        for (validator, expected) in [
            (validator(FAR, FAR, FAR, FAR, false, 32), "pending_initialized"),
            (validator(3, FAR, FAR, FAR, false, 32), "pending_queued"),
            (validator(3, 11, FAR, FAR, false, 32), "pending_queued"),
            (validator(3, 10, FAR, FAR, false, 32), "active_ongoing"),
            (validator(3, 4, 11, 20, false, 32), "active_exiting"),
            (validator(3, 4, 11, 20, true, 32), "active_slashed"),
            (validator(3, 4, 10, 11, false, 32), "exited_unslashed"),
            (validator(3, 4, 10, 11, true, 32), "exited_slashed"),
            (validator(3, 4, 5, 10, false, 32), "withdrawal_possible"),
            (validator(3, 4, 5, 10, true, 0), "withdrawal_done"),
        ] {
            assert_eq!(status(&validator, 10), expected);
        }
    }

    #[test]
    fn a_general_status_stands_for_its_specific_ones() {
        assert_eq!(named_statuses("pending").unwrap(), ["pending_initialized", "pending_queued"]);
        assert_eq!(named_statuses("active_slashed").unwrap(), ["active_slashed"]);
        assert_eq!(named_statuses("asleep").unwrap_err().status, 400);
    }
}
