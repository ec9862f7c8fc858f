//! Blocks, in the shape that Electra and Fulu share.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#beaconblockbody>

use serde::{Deserialize, Serialize};
use ssz_derive::{Decode, Encode};
use ssz_types::VariableList;
use tree_hash::TreeHash as _;
use tree_hash_derive::TreeHash;
use typenum as t;

use super::{attestation::*, basic::*, execution::*, operations::*, primitives::*, sync_committee::*};

/// Commitments to a block's blobs.
pub type BlobKZGCommitments = VariableList<KZGCommitment, t::U4096>;

/// What a block does.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct BeaconBlockBody {
    /// Randao reveal.
    pub randao_reveal: BLSSignature,
    /// Eth1 data.
    pub eth1_data: Eth1Data,
    /// 32 bytes of the proposer's choice.
    pub graffiti: Hash256,
    /// Proposer slashings.
    pub proposer_slashings: VariableList<ProposerSlashing, t::U16>,
    /// Attester slashings.
    pub attester_slashings: VariableList<AttesterSlashing, t::U1>,
    /// Attestations.
    pub attestations: VariableList<Attestation, t::U8>,
    /// Deposits.
    pub deposits: VariableList<Deposit, t::U16>,
    /// Voluntary exits.
    pub voluntary_exits: VariableList<SignedVoluntaryExit, t::U16>,
    /// Sync aggregate.
    pub sync_aggregate: SyncAggregate,
    /// Execution payload.
    pub execution_payload: ExecutionPayload,
    /// Bls to execution changes.
    pub bls_to_execution_changes: VariableList<SignedBLSToExecutionChange, t::U16>,
    /// Blob kzg commitments.
    pub blob_kzg_commitments: BlobKZGCommitments,
    /// Execution requests.
    pub execution_requests: ExecutionRequests,
}

/// A block without its signature.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct SignedBeaconBlock {
    /// Message.
    pub message: BeaconBlock,
    /// Signature.
    pub signature: BLSSignature,
}

impl BeaconBlockBody {
    /// The root of each field, in order: the leaves of the body's tree, for branches to its root.
    pub fn field_roots(&self) -> Vec<Hash256> {
        vec![
            self.randao_reveal.tree_hash_root(),
            self.eth1_data.tree_hash_root(),
            self.graffiti.tree_hash_root(),
            self.proposer_slashings.tree_hash_root(),
            self.attester_slashings.tree_hash_root(),
            self.attestations.tree_hash_root(),
            self.deposits.tree_hash_root(),
            self.voluntary_exits.tree_hash_root(),
            self.sync_aggregate.tree_hash_root(),
            self.execution_payload.tree_hash_root(),
            self.bls_to_execution_changes.tree_hash_root(),
            self.blob_kzg_commitments.tree_hash_root(),
            self.execution_requests.tree_hash_root(),
        ]
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
