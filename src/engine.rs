//! The execution client, or the stand-in for one.
//!
//! Today there is only the stand-in of the devnet; the Engine API will be one more case of [`Engine`].

mod client;
mod json;
mod jwt;
mod payload;
mod server;
mod stand_in;
mod status;
#[cfg(test)]
mod tests;

pub use client::{ClientError, ExecutionClient, LatestBlock, MAX_BODIES, Method, Session, Setup};
pub use json::ForkchoiceState;
pub use jwt::{Secret, SecretError};
pub use payload::{BlobsBundle, BuiltPayload, kzg_commitment_to_versioned_hash};
pub use server::{Fault, Faults, StandInOptions, StandInServer};
pub use stand_in::StandIn;
pub use status::{ClientVersion, PayloadBody, PayloadId, PayloadStatus, PooledBlob};

use crate::types::{Address, ExecutionPayload, ExecutionPayloadHeader, Hash256, KZGCommitment, Withdrawal};

/// Who makes and judges payloads.
#[derive(Clone, Debug, Default)]
pub enum Engine {
    /// Nobody: payloads are believed, and blocks can't be proposed.
    #[default]
    None,
    /// The devnet's stand-in, which makes payloads that no real execution client would accept.
    StandIn(StandIn),
}

/// What the consensus layer decides of a payload.
/// <https://github.com/ethereum/execution-apis/blob/033ca6e69/src/engine/cancun.md#payloadattributesv3>
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PayloadAttributes {
    /// Seconds since 1970.
    pub timestamp: u64,
    /// The beacon state's randomness.
    pub prev_randao: Hash256,
    /// Who gets the fees.
    pub suggested_fee_recipient: Address,
    /// What the payload must pay out.
    pub withdrawals: Vec<Withdrawal>,
    /// Root of the beacon block that the payload's own builds on.
    pub parent_beacon_block_root: Hash256,
}

/// Why there is no payload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// Nobody to ask.
    #[error("this node has no execution client, so it can't make a block")]
    NoEngine,
    /// More than a payload has room for.
    #[error("{0} withdrawals are more than a payload can hold")]
    TooManyWithdrawals(usize),
    /// More than a block can commit to.
    #[error("{0} blobs are more than a block can commit to")]
    TooManyBlobs(usize),
}

impl Engine {
    /// A payload on top of `parent`, with its blobs and requests.
    pub fn build_payload(
        &self,
        parent: &ExecutionPayloadHeader,
        attributes: PayloadAttributes,
    ) -> Result<BuiltPayload, EngineError> {
        match self {
            Engine::None => Err(EngineError::NoEngine),
            Engine::StandIn(stand_in) => stand_in.build_payload(parent, attributes),
        }
    }

    /// Judges a payload, which must have the blobs with these commitments: nothing if it is valid or nobody can tell,
    /// otherwise what is wrong with it.
    pub fn judge_payload(&self, payload: &ExecutionPayload, commitments: &[KZGCommitment]) -> Option<String> {
        match self {
            Engine::None => None,
            Engine::StandIn(_) => stand_in::judge_payload(payload, commitments),
        }
    }
}
