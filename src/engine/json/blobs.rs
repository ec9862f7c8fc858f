//! Blobs with their commitments and proofs.

use serde::{Deserialize, Serialize, Serializer};

use super::Data;
use crate::{
    engine::BlobsBundle,
    types::{Blob, ForkName, KZGCommitment, KZGProof, preset::CELLS_PER_EXT_BLOB},
};

/// A blob as data.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct BlobJson(#[serde(deserialize_with = "ssz_types::serde_utils::hex_fixed_vec::deserialize")] pub Blob);

impl Serialize for BlobJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Data(&self.0).serialize(serializer)
    }
}

/// <https://github.com/ethereum/execution-apis/blob/033ca6e69/src/engine/osaka.md#blobsbundlev2>
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobsBundleJson {
    commitments: Vec<KZGCommitment>,
    proofs: Vec<KZGProof>,
    blobs: Vec<BlobJson>,
}

/// How many proofs a blob has.
pub const fn proofs_per_blob(fork: ForkName) -> usize {
    match fork {
        ForkName::Fulu => CELLS_PER_EXT_BLOB,
        _ => 1,
    }
}

impl BlobsBundleJson {
    /// The bundle, if its lists agree.
    ///
    /// # Errors
    /// What does not agree.
    pub fn check(self, fork: ForkName) -> Result<BlobsBundle, String> {
        let (commitments, proofs, blobs) = (self.commitments.len(), self.proofs.len(), self.blobs.len());
        if commitments != blobs || proofs != blobs * proofs_per_blob(fork) {
            return Err(format!("{blobs} blobs came with {commitments} commitments and {proofs} proofs"));
        }
        let blobs = self.blobs.into_iter().map(|blob| blob.0).collect();
        Ok(BlobsBundle { commitments: self.commitments, proofs: self.proofs, blobs })
    }
}

impl From<BlobsBundle> for BlobsBundleJson {
    fn from(bundle: BlobsBundle) -> Self {
        let BlobsBundle { commitments, proofs, blobs } = bundle;
        BlobsBundleJson { commitments, proofs, blobs: blobs.into_iter().map(BlobJson).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_comes_back_if_its_lists_agree() {
        let bundle = BlobsBundle {
            commitments: vec![KZGCommitment::repeat_byte(1)],
            proofs: vec![KZGProof::repeat_byte(2); CELLS_PER_EXT_BLOB],
            blobs: vec![Blob::default()],
        };
        let text = serde_json::to_string(&BlobsBundleJson::from(bundle.clone())).unwrap();
        let read = || serde_json::from_str::<BlobsBundleJson>(&text).unwrap();
        assert_eq!(read().check(ForkName::Fulu).unwrap(), bundle);
        assert!(read().check(ForkName::Electra).unwrap_err().contains("128 proofs"));
        let short = text.replacen("00", "", 1);
        assert!(serde_json::from_str::<BlobsBundleJson>(&short).is_err(), "a blob of a byte less");
    }
}
