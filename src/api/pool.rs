//! What validators hand over: votes, sums of votes, sync signatures; and what they announce.

use hyper::StatusCode;
use serde::{Deserialize, de::DeserializeOwned};
use smol::block_on;
use ssz::{Decode, DecodeError};
use ssz_types::VariableList;
use typenum::{self as t, Unsigned};

use super::{
    Api,
    request::{Media, Request},
    response::{Answer, ApiError, Failure, status},
};
use crate::{
    chain::{
        produce::SubmitError,
        subnets::{CommitteeSubscription, SyncSubscription},
    },
    types::{
        Address, SignedAggregateAndProof, SignedContributionAndProof, SingleAttestation, SyncCommitteeMessage,
        ValidatorIndex,
    },
};

/// Items in one request: the validators of a large home, many times over. Each costs a signature check.
const MAX_ITEMS: usize = MaxItems::USIZE;
type MaxItems = t::U4096;

pub(super) fn attestations(api: &Api, request: &Request) -> Answer {
    request.body_fork()?;
    each(list(request)?, |vote: SingleAttestation| block_on(api.producer().submit_attestation(vote)))
}

pub(super) fn aggregates(api: &Api, request: &Request) -> Answer {
    request.body_fork()?;
    each(list(request)?, |aggregate: SignedAggregateAndProof| block_on(api.producer().submit_aggregate(aggregate)))
}

pub(super) fn sync_messages(api: &Api, request: &Request) -> Answer {
    each(list(request)?, |message: SyncCommitteeMessage| block_on(api.producer().submit_sync_message(message)))
}

pub(super) fn contributions(api: &Api, request: &Request) -> Answer {
    each(list(request)?, |signed: SignedContributionAndProof| block_on(api.producer().submit_contribution(signed)))
}

/// The list in the body, in JSON or SSZ.
fn list<T: Decode + DeserializeOwned + 'static>(request: &Request) -> Result<Vec<T>, ApiError> {
    let items: Vec<T> = match request.body_media(&[Media::Json, Media::Ssz])? {
        Media::Json => request.json()?,
        Media::Ssz => ssz_list(request.body())
            .map_err(|error| ApiError::bad_request(format!("the body is not such a list: {error:?}")))?,
    };
    few(items)
}

fn few<T>(items: Vec<T>) -> Result<Vec<T>, ApiError> {
    match items.len() <= MAX_ITEMS {
        true => Ok(items),
        false => Err(ApiError::bad_request(format!("at most {MAX_ITEMS} items at once"))),
    }
}

/// Decodes a list of at most [`MAX_ITEMS`]. The limit comes before memory is taken: a list's offsets, four bytes each,
/// announce items of hundreds.
pub(super) fn ssz_list<T: Decode + 'static>(body: &[u8]) -> Result<Vec<T>, DecodeError> {
    VariableList::<T, MaxItems>::from_ssz_bytes(body).map(Vec::from)
}

/// Hands over one by one. One that is refused does not keep the others back.
fn each<T>(items: Vec<T>, mut submit: impl FnMut(T) -> Result<(), SubmitError>) -> Answer {
    let mut failures = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        if let Err(error) = submit(item) {
            failures.push(Failure { index: index as u64, message: error.to_string() });
        }
    }
    match failures.is_empty() {
        true => Ok(status(StatusCode::OK)),
        false => Err(ApiError { failures, ..ApiError::bad_request("some items were refused") }),
    }
}

/// A validator that will attest in a committee.
#[derive(Deserialize)]
struct CommitteeWish {
    #[serde(with = "serde_utils::quoted_u64")]
    validator_index: u64,
    #[serde(with = "serde_utils::quoted_u64")]
    committee_index: u64,
    #[serde(with = "serde_utils::quoted_u64")]
    committees_at_slot: u64,
    #[serde(with = "serde_utils::quoted_u64")]
    slot: u64,
    is_aggregator: bool,
}

pub(super) fn subscribe_committees(api: &Api, request: &Request) -> Answer {
    let wishes: Vec<CommitteeWish> = few(request.json()?)?;
    if let Some(wrong) = wishes.iter().find(|wish| wish.committee_index >= wish.committees_at_slot) {
        let (index, all) = (wrong.committee_index, wrong.committees_at_slot);
        return Err(ApiError::bad_request(format!("there is no committee {index} among {all}")));
    }
    let validators: Vec<_> = wishes.iter().map(|wish| wish.validator_index).collect();
    let all = wishes.into_iter().map(|wish| CommitteeSubscription {
        slot: wish.slot,
        committee_index: wish.committee_index,
        committees_at_slot: wish.committees_at_slot,
        is_aggregator: wish.is_aggregator,
    });
    block_on(api.chain().subscribe_committees(all.collect()));
    // More columns are kept for them.
    block_on(api.chain().attach_validators(&validators));
    Ok(status(StatusCode::OK))
}

/// A validator that is in the sync committee.
#[derive(Deserialize)]
struct SyncWish {
    #[serde(with = "serde_utils::quoted_u64", rename = "validator_index")]
    _validator_index: u64,
    #[serde(with = "serde_utils::quoted_u64_vec")]
    sync_committee_indices: Vec<u64>,
    #[serde(with = "serde_utils::quoted_u64")]
    until_epoch: u64,
}

pub(super) fn subscribe_sync(api: &Api, request: &Request) -> Answer {
    let wishes: Vec<SyncWish> = few(request.json()?)?;
    let all = wishes
        .into_iter()
        .map(|wish| SyncSubscription { places: wish.sync_committee_indices, until_epoch: wish.until_epoch });
    block_on(api.chain().subscribe_sync_committees(all.collect()));
    Ok(status(StatusCode::OK))
}

/// Where a validator wants its fees.
#[derive(Deserialize)]
struct Preparation {
    #[serde(with = "serde_utils::quoted_u64")]
    validator_index: ValidatorIndex,
    fee_recipient: Address,
}

pub(super) fn prepare_proposers(api: &Api, request: &Request) -> Answer {
    let preparations = request.json::<Vec<Preparation>>()?;
    let validators: Vec<_> = preparations.iter().map(|preparation| preparation.validator_index).collect();
    for Preparation { validator_index, fee_recipient } in preparations {
        block_on(api.producer().prepare_proposer(validator_index, fee_recipient));
    }
    // More columns are kept for them.
    block_on(api.chain().attach_validators(&validators));
    Ok(status(StatusCode::OK))
}

#[cfg(test)]
mod tests {
    use ssz::Encode;

    use super::*;

    #[test]
    fn a_list_over_its_limit_is_refused_before_memory_is_taken() {
        // Offsets only: of 8 million aggregates, which would take gigabytes.
        let first = (32u32 << 20).to_le_bytes();
        let body = first.repeat(8 << 20);
        let error = ssz_list::<SignedAggregateAndProof>(&body).unwrap_err();
        assert!(format!("{error:?}").contains("8388608 items"), "{error:?}");
        let most = vec![0u64; MAX_ITEMS];
        assert_eq!(ssz_list::<u64>(&most.as_ssz_bytes()).unwrap(), most);
        assert!(ssz_list::<u64>(&vec![0u64; MAX_ITEMS + 1].as_ssz_bytes()).is_err());
    }
}
