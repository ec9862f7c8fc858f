//! What the chain asks of the execution client, or of its stand-in. `node` connects the two.

use std::sync::{Arc, atomic::AtomicBool};

use async_channel::Sender;

use crate::{
    engine::{PayloadBody, PooledBlob},
    types::{Hash256, SignedBeaconBlock, Slot},
};

/// The way to the execution client.
#[derive(Clone, Debug)]
pub struct ExecutionQueue {
    /// What is asked of it.
    pub commands: Sender<ExecutionCommand>,
    /// Whether it answers.
    pub is_up: Arc<AtomicBool>,
    /// Where it is asked for bodies of payloads; none if it does not keep any.
    pub bodies: Option<Sender<BodiesRequest>>,
}

/// Asks for the bodies of payloads.
#[derive(Clone, Debug)]
pub struct BodiesRequest {
    /// Hashes of the payloads, at most [`crate::engine::MAX_BODIES`].
    pub hashes: Vec<Hash256>,
    /// One answer: a body for each hash, none where the client does not have it. No answer if the client can't be asked.
    pub reply: Sender<Vec<Option<PayloadBody>>>,
}

/// What the execution client says of a payload.
/// <https://github.com/ethereum/execution-apis/blob/main/src/engine/paris.md#payload-validation>
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayloadVerdict {
    /// Valid.
    Valid,
    /// Invalid: so is the block.
    Invalid {
        /// The client's words.
        reason: String,
        /// The last payload before it that is valid, if the client knows.
        latest_valid_hash: Option<Hash256>,
    },
    /// It does not know yet: the block is imported optimistically.
    Syncing,
}

/// A request to the execution client.
#[derive(Clone, Debug)]
pub enum ExecutionCommand {
    /// Judge a block's payload. A reply that never comes counts as [`PayloadVerdict::Syncing`].
    NewPayload {
        /// The block.
        block: Arc<SignedBeaconBlock>,
        /// One answer.
        reply: Sender<PayloadVerdict>,
    },
    /// The head has changed. Only the latest counts.
    ForkchoiceUpdated {
        /// Slot of the head.
        slot: Slot,
        /// Hash of the head's payload.
        head: Hash256,
        /// Hash of the justified block's payload.
        safe: Hash256,
        /// Hash of the finalized block's payload.
        finalized: Hash256,
        /// What the client says of the head's payload; nothing if a newer head came before it was asked, or it can't tell.
        reply: Sender<PayloadVerdict>,
    },
    /// Look for the blobs of a block in the client's pool.
    Blobs {
        /// The block's slot.
        slot: Slot,
        /// The blobs' versioned hashes.
        hashes: Vec<Hash256>,
        /// The blobs in the same order, none for each that is not there; nothing if the client can't tell.
        reply: Sender<Vec<Option<PooledBlob>>>,
    },
}
