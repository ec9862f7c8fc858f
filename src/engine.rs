//! The execution client, or the stand-in for one.
//!
//! A client is asked over the Engine API ([`ExecutionClient`]); so is the stand-in, when it runs as a server of its own
//! ([`StandInServer`]).

mod client;
mod json;
mod jwt;
mod payload;
mod schedule;
mod server;
mod stand_in;
mod status;
#[cfg(test)]
mod tests;

pub use client::{
    BlobRules, ClientError, ExecutionClient, ForkPlan, LatestBlock, MAX_BODIES, Method, Rules, Session, Setup,
};
pub use json::ForkchoiceState;
pub use jwt::{Secret, SecretError};
pub use payload::{BlobsBundle, BuiltPayload, kzg_commitment_to_versioned_hash};
pub use schedule::{Activation, schedule};
pub use server::{Fault, Faults, StandInOptions, StandInServer};
pub use stand_in::StandIn;
pub use status::{ClientVersion, PayloadBody, PayloadId, PayloadStatus, PooledBlob};

use crate::types::{Address, ExecutionPayload, ExecutionPayloadHeader, ForkName, Hash256, KZGCommitment, Withdrawal};

/// Who makes and judges payloads.
#[derive(Clone, Debug, Default)]
pub enum Engine {
    /// Nobody: payloads are believed, and blocks can't be proposed.
    #[default]
    None,
    /// The devnet's stand-in, which makes payloads that no real execution client would accept.
    StandIn(StandIn),
    /// An execution client, or a stand-in in its place, that is asked over HTTP.
    Client(ExecutionClient),
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
    /// The execution client gave none.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl Engine {
    /// A payload of `fork` on top of `parent`, with its blobs and requests. Blocks until an execution client has made it.
    ///
    /// # Errors
    /// When there is nobody to make it, or it can't be made.
    pub fn build_payload(
        &self,
        fork: ForkName,
        parent: &ExecutionPayloadHeader,
        attributes: PayloadAttributes,
    ) -> Result<BuiltPayload, EngineError> {
        match self {
            Engine::None => Err(EngineError::NoEngine),
            Engine::StandIn(stand_in) => stand_in.build_payload(parent, attributes),
            Engine::Client(client) => Ok(smol::block_on(client.build(fork, parent.block_hash, attributes))?),
        }
    }

    /// Judges a payload, which must have the blobs with these commitments: nothing if it is valid or nobody can tell,
    /// otherwise what is wrong with it.
    pub fn judge_payload(&self, payload: &ExecutionPayload, commitments: &[KZGCommitment]) -> Option<String> {
        match self {
            // A client is asked by its own method.
            Engine::None | Engine::Client(_) => None,
            Engine::StandIn(_) => stand_in::judge_payload(payload, commitments),
        }
    }
}
