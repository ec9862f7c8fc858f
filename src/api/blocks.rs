//! Blocks and headers, and the block that a validator publishes.

use std::{sync::Arc, time::Instant};

use hyper::StatusCode;
use serde::Serialize;
use serde_json::json;
use smol::block_on;
use ssz::Encode;

use super::{
    Api,
    ids::{ChainId, hex_of},
    lookup::{FoundBlock, Settled, Standing},
    request::{Media, Request},
    response::{Answer, ApiError, SSZ, data, json, of_fork, status, whole},
};
use crate::{
    chain::{BlockError, BroadcastValidation, columns::columns_of_blobs},
    db::StoredBlock,
    metrics::{self, PROPOSAL_STAGE_SECONDS},
    types::{Hash256, SignedBeaconBlockHeader, SignedBlockContents},
};

/// Headers in one answer. An honest chain has one or two of a slot or a parent.
const MAX_HEADERS: usize = 64;

pub(super) fn genesis(api: &Api, _: &Request) -> Answer {
    data(json!({
        "genesis_time": api.chain().genesis_time().to_string(),
        "genesis_validators_root": api.chain().genesis_validators_root(),
        "genesis_fork_version": api.chain().config().genesis_fork_version,
    }))
}

/// A header and whether it is of our chain.
#[derive(Serialize)]
struct Header {
    root: Hash256,
    canonical: bool,
    header: SignedBeaconBlockHeader,
}

impl From<&FoundBlock<StoredBlock>> for Header {
    fn from(found: &FoundBlock<StoredBlock>) -> Header {
        Header { root: found.root, canonical: found.canonical, header: found.block.signed_header() }
    }
}

pub(super) fn header(api: &Api, request: &Request) -> Answer {
    let found = api.stored_block(request.param(0).parse()?)?;
    json(&Standing { settled: found.settled, data: Header::from(&found) })
}

pub(super) fn headers(api: &Api, request: &Request) -> Answer {
    let snapshot = api.chain().snapshot();
    let slot = request.query_number("slot")?;
    let parent = request.query("parent_root").map(|text| {
        let root = hex_of(text).map(Hash256::new);
        root.ok_or_else(|| ApiError::bad_request(format!("invalid parent_root: {text:?}")))
    });
    let parent = parent.transpose()?;
    let mut roots: Vec<Hash256> = match (slot, parent) {
        (None, None) => vec![snapshot.head_root],
        _ => {
            let fits = |at, under| slot.is_none_or(|slot| slot == at) && parent.is_none_or(|parent| parent == under);
            let known = snapshot.blocks.iter().filter(|(_, info)| fits(info.slot, info.parent_root));
            known.map(|(root, _)| *root).take(MAX_HEADERS).collect()
        }
    };
    if let (true, Some(slot)) = (roots.is_empty(), slot) {
        // Blocks before the finalized one are known by their slot only.
        roots.extend(api.canonical_root(&snapshot, slot)?);
    }
    let found = roots.into_iter().map(|root| api.stored_block(ChainId::Root(root))).collect::<Result<Vec<_>, _>>()?;
    let found: Vec<FoundBlock<StoredBlock>> =
        found.into_iter().filter(|found| parent.is_none_or(|parent| found.block.parent_root() == parent)).collect();
    let settled = Settled {
        execution_optimistic: found.iter().any(|found| found.settled.execution_optimistic),
        finalized: !found.is_empty() && found.iter().all(|found| found.settled.finalized),
    };
    json(&Standing { settled, data: found.iter().map(Header::from).collect::<Vec<_>>() })
}

pub(super) fn root(api: &Api, request: &Request) -> Answer {
    let root = api.block_root(request.param(0).parse()?)?;
    let slot = match api.chain().snapshot().blocks.get(&root) {
        Some(info) => Some(info.slot),
        None => api.chain().database().block_parent(root)?.map(|(slot, _)| slot),
    };
    let slot = slot.ok_or_else(|| ApiError::not_found(format!("the block {root} is not stored here")))?;
    let (_, settled) = api.standing(root, slot)?;
    json(&Standing { settled, data: json!({ "root": root }) })
}

pub(super) fn block(api: &Api, request: &Request) -> Answer {
    let id = request.param(0).parse()?;
    let media = request.accepted(&[Media::Json, Media::Ssz])?;
    let found = api.block(id)?;
    let fork = api.fork_at(found.block.message.slot)?;
    let answer = match media {
        Media::Ssz => whole(SSZ, found.block.as_ssz_bytes()),
        Media::Json => {
            #[derive(Serialize)]
            struct Versioned<'a, T> {
                version: &'static str,
                #[serde(flatten)]
                settled: Settled,
                data: &'a T,
            }
            json(&Versioned { version: fork.as_str(), settled: found.settled, data: &found.block })?
        }
    };
    Ok(of_fork(answer, fork))
}

/// Takes a signed block with its blobs and waits until it is imported.
pub(super) fn publish(api: &Api, request: &Request) -> Answer {
    let validation = broadcast_validation(request)?;
    let began = Instant::now();
    let contents = signed_contents(api, request)?;
    stage("decode", began);
    let block = &contents.signed_block.message;
    let (slot, fork) = (block.slot, api.fork_at(block.slot)?);
    if request.body_fork()?.is_some_and(|said| said != fork) || block.body.layout != fork.into() {
        return Err(ApiError::bad_request(format!("slot {slot} is of the fork {fork}, the block is not")));
    }
    let began = Instant::now();
    let columns = columns_of_blobs(api.chain().config(), &contents.signed_block, &contents.blobs, &contents.kzg_proofs);
    let columns = columns.map_err(ApiError::bad_request)?.into_iter().map(Arc::new).collect();
    stage("cells", began);
    // The blobs are in the columns now.
    let SignedBlockContents { signed_block, .. } = contents;
    let began = Instant::now();
    let result = block_on(api.chain().publish_block(Arc::new(signed_block), columns, validation));
    stage("import", began);
    match result {
        Ok(_) => Ok(status(StatusCode::OK)),
        // It may be fine, and other nodes have it: we could not tell.
        Err(BlockError::NotYet(_) | BlockError::DataUnavailable { .. }) => Ok(status(StatusCode::ACCEPTED)),
        Err(error @ BlockError::Internal(_)) => Err(ApiError::internal(error)),
        Err(error) => Err(ApiError::bad_request(error)),
    }
}

/// What the client wants to be checked before the block is published.
fn broadcast_validation(request: &Request) -> Result<BroadcastValidation, ApiError> {
    match request.query("broadcast_validation") {
        None | Some("gossip") => Ok(BroadcastValidation::Gossip),
        // A second block of the slot does not pass the checks of gossip.
        Some("consensus" | "consensus_and_equivocation") => Ok(BroadcastValidation::Consensus),
        Some(unknown) => Err(ApiError::bad_request(format!("invalid broadcast_validation: {unknown:?}"))),
    }
}

fn stage(name: &'static str, began: Instant) {
    metrics::observe(&PROPOSAL_STAGE_SECONDS, &[("stage", name)], began.elapsed().as_secs_f64());
}

/// The block in a request's body. SSZ does not tell its fork: without the header it counts as of the present one.
fn signed_contents(api: &Api, request: &Request) -> Result<SignedBlockContents, ApiError> {
    match request.body_media(&[Media::Json, Media::Ssz])? {
        Media::Json => request.json(),
        Media::Ssz => {
            let fork = request.body_fork()?.map_or_else(|| api.fork_at(api.chain().snapshot().slot), Ok)?;
            SignedBlockContents::from_ssz_bytes(fork, request.body())
                .map_err(|error| ApiError::bad_request(format!("the body is not a signed block of {fork}: {error:?}")))
        }
    }
}
