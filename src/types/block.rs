//! Blocks: one struct for every fork.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#beaconblockbody>

mod blinded;
mod codec;
mod json;
mod layout;
mod proof;

use serde::{Deserialize, Serialize};
use ssz_derive::Encode;
use ssz_types::VariableList;
use tree_hash::TreeHash as _;
use tree_hash_derive::TreeHash;
use typenum as t;

pub use blinded::{SignedBlindedBeaconBlock, WrongPayloadBody};
pub use layout::BodyLayout;

use super::{attestation::*, basic::*, execution::*, fork::ForkName, operations::*, primitives::*, sync_committee::*};

/// Commitments to a block's blobs.
pub type BlobKZGCommitments = VariableList<KZGCommitment, t::U4096>;

/// What a block does, in any fork.
///
/// Which fields a fork has is in the table of `block/codec.rs`, which drives encoding, decoding and roots, as the state's
/// does. Fields that a fork does not have keep their default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BeaconBlockBody {
    /// Which fork's fields it has.
    pub layout: BodyLayout,
    /// Randao reveal.
    pub randao_reveal: BLSSignature,
    /// Eth1 data.
    pub eth1_data: Eth1Data,
    /// 32 bytes of the proposer's choice.
    pub graffiti: Hash256,
    /// Proposer slashings.
    pub proposer_slashings: VariableList<ProposerSlashing, t::U16>,
    /// At most 2, since Electra 1.
    pub attester_slashings: Vec<AttesterSlashing>,
    /// At most 128, since Electra 8.
    pub attestations: Vec<Attestation>,
    /// Deposits.
    pub deposits: VariableList<Deposit, t::U16>,
    /// Voluntary exits.
    pub voluntary_exits: VariableList<SignedVoluntaryExit, t::U16>,
    /// Sync aggregate (Altair).
    pub sync_aggregate: SyncAggregate,
    /// Execution payload (Bellatrix).
    pub execution_payload: ExecutionPayload,
    /// Bls to execution changes (Capella).
    pub bls_to_execution_changes: VariableList<SignedBLSToExecutionChange, t::U16>,
    /// Blob kzg commitments (Deneb).
    pub blob_kzg_commitments: BlobKZGCommitments,
    /// Execution requests (Electra).
    pub execution_requests: ExecutionRequests,
}

/// A block without its signature.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, TreeHash, Serialize, Deserialize)]
pub struct BeaconBlock {
    /// Slot.
    #[serde(with = "serde_utils::quoted_u64")]
    pub slot: Slot,
    /// Proposer index.
    #[serde(with = "serde_utils::quoted_u64")]
    pub proposer_index: ValidatorIndex,
    /// Parent root.
    pub parent_root: Hash256,
    /// Root of the state after this block.
    pub state_root: Hash256,
    /// Body.
    pub body: BeaconBlockBody,
}

/// A block and its proposer's signature.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, TreeHash, Serialize, Deserialize)]
pub struct SignedBeaconBlock {
    /// Message.
    pub message: BeaconBlock,
    /// Signature.
    pub signature: BLSSignature,
}

impl BeaconBlockBody {
    /// The body of a block in which nothing happened, as a fork's first tests and a devnet's genesis have it.
    pub fn empty(fork: ForkName) -> BeaconBlockBody {
        let mut body = BeaconBlockBody { layout: fork.into(), ..BeaconBlockBody::default() };
        body.sync_aggregate.sync_committee_signature = G2_POINT_AT_INFINITY;
        body
    }
}

impl BeaconBlock {
    /// The header of this block; both have the same root.
    pub fn header(&self) -> BeaconBlockHeader {
        BeaconBlockHeader {
            slot: self.slot,
            proposer_index: self.proposer_index,
            parent_root: self.parent_root,
            state_root: self.state_root,
            body_root: self.body.tree_hash_root(),
        }
    }
}

impl SignedBeaconBlock {
    /// The block's root, without its signature.
    pub fn root(&self) -> Hash256 {
        self.message.tree_hash_root()
    }

    /// The header of this block, with the same signature.
    pub fn signed_header(&self) -> SignedBeaconBlockHeader {
        SignedBeaconBlockHeader { message: self.message.header(), signature: self.signature }
    }
}
