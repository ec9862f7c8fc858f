//! What validators ask the node to prepare: blocks, votes, sums of votes.

use std::time::Instant;

use hyper::header::{HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::json;
use smol::block_on;
use ssz::Encode;

use super::{
    Api,
    ids::hex_of,
    request::{Media, Request},
    response::{Answer, ApiError, Response, SSZ, data, json, of_fork, whole},
};
use crate::{
    chain::produce::{ProduceError, ProducedBlock},
    metrics::{self, PROPOSAL_STAGE_SECONDS},
    types::{
        BLSSignature, BlockContents, ForkName, Hash256,
        preset::{MAX_COMMITTEES_PER_SLOT, SYNC_COMMITTEE_SUBNET_COUNT},
    },
};

/// A block to sign, with the blobs that go with it.
pub(super) fn block(api: &Api, request: &Request) -> Answer {
    let media = request.accepted(&[Media::Json, Media::Ssz])?;
    let slot = request.param_number(0, "slot")?;
    let randao_reveal = BLSSignature::new(hex_param(request, "randao_reveal")?);
    let graffiti = match request.query("graffiti") {
        Some(_) => Hash256::new(hex_param(request, "graffiti")?),
        None => Hash256::ZERO,
    };
    // There is no builder to prefer, but a wrong value is still an error.
    request.query_number("builder_boost_factor")?;
    let began = Instant::now();
    let produced = block_on(api.producer().produce_block(slot, randao_reveal, graffiti))?;
    metrics::observe(&PROPOSAL_STAGE_SECONDS, &[("stage", "produce")], began.elapsed().as_secs_f64());
    let fork = produced.fork;
    let (payload_value, block_value) =
        (produced.execution_payload_value.to_string(), produced.consensus_block_value.to_string());
    let contents = contents(produced)?;
    let mut answer = match media {
        Media::Ssz => whole(SSZ, contents.as_ssz_bytes()),
        Media::Json => json(&Produced {
            version: fork.as_str(),
            execution_payload_blinded: false,
            execution_payload_value: &payload_value,
            consensus_block_value: &block_value,
            data: &contents,
        })?,
    };
    set(&mut answer, "eth-execution-payload-blinded", "false")?;
    set(&mut answer, "eth-execution-payload-value", &payload_value)?;
    set(&mut answer, "eth-consensus-block-value", &block_value)?;
    Ok(of_fork(answer, fork))
}

/// The answer in JSON.
#[derive(Serialize)]
struct Produced<'a> {
    version: &'static str,
    execution_payload_blinded: bool,
    execution_payload_value: &'a str,
    consensus_block_value: &'a str,
    data: &'a BlockContents,
}

/// A block with its blobs, as they go over HTTP.
fn contents(produced: ProducedBlock) -> Result<BlockContents, ApiError> {
    let too_many = |error| ApiError::internal(format!("the execution client gave too many blobs: {error:?}"));
    Ok(BlockContents {
        block: produced.block,
        kzg_proofs: produced.blobs.proofs.try_into().map_err(too_many)?,
        blobs: produced.blobs.blobs.try_into().map_err(too_many)?,
    })
}

fn set(answer: &mut Response, name: &'static str, value: &str) -> Result<(), ApiError> {
    let value = HeaderValue::from_str(value).map_err(ApiError::internal)?;
    answer.headers_mut().insert(HeaderName::from_static(name), value);
    Ok(())
}

/// What to vote for in a slot.
pub(super) fn attestation_data(api: &Api, request: &Request) -> Answer {
    let media = request.accepted(&[Media::Json, Media::Ssz])?;
    let slot = request.required_number("slot")?;
    committee_index(request)?;
    let attestation_data = block_on(api.producer().attestation_data(slot))?;
    encoded(media, &attestation_data, None)
}

/// The best sum of a committee's votes.
pub(super) fn aggregate(api: &Api, request: &Request) -> Answer {
    let media = request.accepted(&[Media::Json, Media::Ssz])?;
    let root = Hash256::new(hex_param(request, "attestation_data_root")?);
    let slot = request.required_number("slot")?;
    request.required("committee_index")?;
    let committee = committee_index(request)?;
    let found = block_on(api.producer().aggregate(slot, root, committee));
    let found = found.ok_or_else(|| ApiError::not_found("no vote with this data is known for this committee"))?;
    encoded(media, &found, Some(api.fork_at(slot)?))
}

/// The best sum of a sync subcommittee's signatures.
pub(super) fn contribution(api: &Api, request: &Request) -> Answer {
    let media = request.accepted(&[Media::Json, Media::Ssz])?;
    let slot = request.required_number("slot")?;
    let subcommittee = request.required_number("subcommittee_index")?;
    if subcommittee >= SYNC_COMMITTEE_SUBNET_COUNT as u64 {
        return Err(ApiError::bad_request(format!("there is no subcommittee {subcommittee}")));
    }
    let root = Hash256::new(hex_param(request, "beacon_block_root")?);
    let found = block_on(api.producer().sync_contribution(slot, subcommittee, root));
    let found =
        found.ok_or_else(|| ApiError::not_found("no signature of this block is known for this subcommittee"))?;
    encoded(media, &found, None)
}

impl From<ProduceError> for ApiError {
    fn from(error: ProduceError) -> Self {
        match error {
            ProduceError::NotReady(_) | ProduceError::NoClient | ProduceError::Engine(_) => {
                ApiError::unavailable(error)
            }
            ProduceError::Slot { .. } | ProduceError::Epoch { .. } => ApiError::bad_request(error),
            ProduceError::Transition(_) => ApiError::internal(error),
        }
    }
}

/// The committee's index; 0 if the client does not say.
fn committee_index(request: &Request) -> Result<u64, ApiError> {
    let index = request.query_number("committee_index")?.unwrap_or_default();
    match index < MAX_COMMITTEES_PER_SLOT as u64 {
        true => Ok(index),
        false => Err(ApiError::bad_request(format!("there is no committee {index}"))),
    }
}

/// A parameter of `N` bytes in hexadecimal that must be there.
fn hex_param<const N: usize>(request: &Request, name: &str) -> Result<[u8; N], ApiError> {
    let text = request.required(name)?;
    hex_of(text).ok_or_else(|| ApiError::bad_request(format!("invalid {name}: not 0x and {N} bytes in hexadecimal")))
}

fn encoded<T: Encode + Serialize>(media: Media, value: &T, fork: Option<ForkName>) -> Answer {
    let answer = match (media, fork) {
        (Media::Ssz, _) => whole(SSZ, value.as_ssz_bytes()),
        (Media::Json, Some(fork)) => json(&json!({ "version": fork.as_str(), "data": value }))?,
        (Media::Json, None) => data(value)?,
    };
    Ok(match fork {
        Some(fork) => of_fork(answer, fork),
        None => answer,
    })
}
