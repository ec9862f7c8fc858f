//! A block's blobs, put together from its columns.

use hyper::StatusCode;
use serde::Serialize;
use ssz::Encode;

use super::{
    Api,
    ids::hex_of,
    lookup::Settled,
    request::{Media, Request},
    response::{Answer, ApiError, SSZ, json, whole},
};
use crate::{
    chain::kzg_commitment_to_versioned_hash,
    types::{Blob, Blobs, ColumnIndex, Hash256, preset::NUMBER_OF_COLUMNS},
};

/// The columns that have the blobs themselves; the others extend them.
const COLUMNS_OF_BLOBS: ColumnIndex = NUMBER_OF_COLUMNS as ColumnIndex / 2;

#[derive(Serialize)]
struct Found<'a> {
    #[serde(flatten)]
    settled: Settled,
    #[serde(with = "ssz_types::serde_utils::list_of_hex_fixed_vec")]
    data: &'a Blobs,
}

/// The blobs of a block, all or those that are named. Only who keeps the first half of all columns has them.
pub(super) fn blobs(api: &Api, request: &Request) -> Answer {
    let id = request.param(0).parse()?;
    let media = request.accepted(&[Media::Json, Media::Ssz])?;
    let named = named(request)?;
    // Megabytes, in hexadecimal: few at once.
    let _place = api.gates.stream()?;
    let found = api.stored_block(id)?;
    let commitments = found.block.commitments();
    let is_named = |hash: &Hash256| named.is_empty() || named.contains(hash);
    let wanted: Vec<usize> =
        (0..commitments.len()).filter(|at| is_named(&kzg_commitment_to_versioned_hash(&commitments[*at]))).collect();
    let blobs = Blobs::new(read(api, found.root, &wanted)?).map_err(|_| ApiError::internal("too many blobs"))?;
    match media {
        Media::Ssz => Ok(whole(SSZ, blobs.as_ssz_bytes())),
        Media::Json => json(&Found { settled: found.settled, data: &blobs }),
    }
}

/// The versioned hashes that were asked for; none means all.
fn named(request: &Request) -> Result<Vec<Hash256>, ApiError> {
    let parse = |text: &str| {
        let hash = hex_of(text).map(Hash256::new);
        hash.ok_or_else(|| ApiError::bad_request(format!("invalid versioned_hashes: {text:?}")))
    };
    request.query_list("versioned_hashes").into_iter().map(parse).collect()
}

/// These blobs of a block, a column at a time.
fn read(api: &Api, root: Hash256, wanted: &[usize]) -> Result<Vec<Blob>, ApiError> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let db = api.chain().database();
    let here = db.columns_of(root)?;
    if !(0..COLUMNS_OF_BLOBS).all(|column| here.binary_search(&column).is_ok()) {
        let message = format!(
            "blobs are put together from the first {COLUMNS_OF_BLOBS} columns, and this node keeps {} of this block's \
             {NUMBER_OF_COLUMNS}: ask one that keeps all",
            here.len()
        );
        return Err(ApiError::new(StatusCode::NOT_IMPLEMENTED, message));
    }
    let mut bytes: Vec<Vec<u8>> = vec![Vec::new(); wanted.len()];
    let gone = || ApiError::internal("a column has just been removed");
    for index in 0..COLUMNS_OF_BLOBS {
        let column = db.column(root, index)?.ok_or_else(gone)?.column;
        for (blob, at) in bytes.iter_mut().zip(wanted) {
            blob.extend_from_slice(column.get(*at).ok_or_else(gone)?);
        }
    }
    let blobs = bytes.into_iter().map(Blob::new).collect::<Result<_, _>>();
    blobs.map_err(|_| ApiError::internal("the columns do not make up blobs"))
}
