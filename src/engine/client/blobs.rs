//! Blobs of the execution client's pool.

use serde::{Deserialize, Serialize};

use super::{
    ExecutionClient,
    error::ClientError,
    http,
    method::{GET_BLOBS_V1, GET_BLOBS_V2, GET_BLOBS_V3, Method},
};
use crate::{
    engine::{PooledBlob, json::BlobJson, kzg_commitment_to_versioned_hash},
    types::{ForkName, Hash256, KZGCommitment, KZGProof, preset::CELLS_PER_EXT_BLOB},
};

/// Blobs asked for at once: more than any schedule has in a block, fewer than the 128 that clients must support.
const MAX_BLOBS: usize = 72;

/// Those of a block's commitments.
pub fn versioned_hashes(commitments: &[KZGCommitment]) -> Vec<Hash256> {
    commitments.iter().map(kzg_commitment_to_versioned_hash).collect()
}

/// <https://github.com/ethereum/execution-apis/blob/033ca6e69/src/engine/osaka.md#blobandproofv2>
#[derive(Serialize, Deserialize)]
pub struct BlobAndProofV2 {
    pub blob: BlobJson,
    pub proofs: Vec<KZGProof>,
}

/// <https://github.com/ethereum/execution-apis/blob/033ca6e69/src/engine/cancun.md#blobandproofv1>
#[derive(Serialize, Deserialize)]
pub struct BlobAndProofV1 {
    pub blob: BlobJson,
    pub proof: KZGProof,
}

impl ExecutionClient {
    /// The blobs of a block of `fork` (Deneb or later) with their proofs, as far as the pool has them; none for each that it
    /// lacks. Before Fulu a blob has one proof, since then one for each of its 128 cells.
    ///
    /// Since Fulu nothing but all of them is of use to who makes columns, so `engine_getBlobsV2` is preferred, which answers with
    /// all or nothing; [`ExecutionClient::get_blobs_partly`] takes what there is.
    /// <https://github.com/ethereum/execution-apis/blob/033ca6e69/src/engine/osaka.md#engine_getblobsv2>
    ///
    /// # Errors
    /// When there are too many, or the client can't be asked.
    pub async fn get_blobs(&self, fork: ForkName, hashes: &[Hash256]) -> Result<Vec<Option<PooledBlob>>, ClientError> {
        if fork < ForkName::Fulu {
            let of = |BlobAndProofV1 { blob, proof }| PooledBlob { blob: blob.0, proofs: vec![proof] };
            return self.ask_blobs(GET_BLOBS_V1, hashes, |item: Option<BlobAndProofV1>| Ok(item.map(of))).await;
        }
        if self.shared.link.has(GET_BLOBS_V2) {
            return self.ask_blobs(GET_BLOBS_V2, hashes, |item| cells(GET_BLOBS_V2, item)).await;
        }
        if !self.shared.link.has(GET_BLOBS_V3) {
            // Many a client never had a pool of such blobs: it is not asked in vain for every block.
            let words = "it does not offer to".into();
            return Err(ClientError::Unsupported { method: GET_BLOBS_V2.name, words });
        }
        self.get_blobs_partly(hashes).await
    }

    /// The blobs of a block of Fulu, each that the pool has.
    /// <https://github.com/ethereum/execution-apis/blob/033ca6e69/src/engine/osaka.md#engine_getblobsv3>
    ///
    /// # Errors
    /// When there are too many, or the client can't be asked.
    pub async fn get_blobs_partly(&self, hashes: &[Hash256]) -> Result<Vec<Option<PooledBlob>>, ClientError> {
        self.ask_blobs(GET_BLOBS_V3, hashes, |item| cells(GET_BLOBS_V3, item)).await
    }

    async fn ask_blobs<T>(
        &self,
        method: Method,
        hashes: &[Hash256],
        convert: impl Fn(Option<T>) -> Result<Option<PooledBlob>, ClientError>,
    ) -> Result<Vec<Option<PooledBlob>>, ClientError>
    where
        T: serde::de::DeserializeOwned + Send + 'static,
    {
        match hashes.len() {
            0 => return Ok(Vec::new()),
            1..=MAX_BLOBS => {}
            _ => return Err(ClientError::TooLarge { method: method.name }),
        }
        let body = http::encode(method, &[hashes])?;
        let items: Option<Vec<Option<T>>> = self.call(method, move || Ok(body)).await?;
        // Null: nothing, not all, or no pool at all.
        let Some(items) = items else { return Ok(vec![None; hashes.len()]) };
        if items.len() != hashes.len() {
            let reason = format!("{} blobs for {} hashes", items.len(), hashes.len());
            return Err(ClientError::Nonsense { method: method.name, reason });
        }
        items.into_iter().map(convert).collect()
    }
}

fn cells(method: Method, item: Option<BlobAndProofV2>) -> Result<Option<PooledBlob>, ClientError> {
    match item {
        Some(item) if item.proofs.len() != CELLS_PER_EXT_BLOB => {
            let reason = format!("a blob with {} proofs", item.proofs.len());
            Err(ClientError::Nonsense { method: method.name, reason })
        }
        item => Ok(item.map(|item| PooledBlob { blob: item.blob.0, proofs: item.proofs })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Secret, Session};

    #[test]
    fn a_client_without_a_pool_is_not_asked() {
        let folder = tempfile::tempdir().unwrap();
        let (secret, _) = Secret::load_or_make(&folder.path().join("jwt.hex")).unwrap();
        // Nobody listens there.
        let client = ExecutionClient::new("http://127.0.0.1:1", secret);
        let ask = || smol::block_on(client.get_blobs(ForkName::Fulu, &[Hash256::ZERO]));
        client.shared.link.met("", Session::default());
        assert!(matches!(ask(), Err(ClientError::Unsupported { .. })));
        client.shared.link.met("", Session { methods: [GET_BLOBS_V3.name.into()].into(), ..Session::default() });
        assert!(matches!(ask(), Err(ClientError::Unreachable { .. })));
    }
}
