//! What a block may carry besides attestations: slashings, exits, deposits, credential changes, execution requests.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#containers>

use serde::{Deserialize, Serialize};
use ssz_derive::{Decode, Encode};
use ssz_types::FixedVector;
use tree_hash_derive::TreeHash;
use typenum as t;

use super::{attestation::IndexedAttestation, basic::*, primitives::*};

/// Two headers of one proposer for one slot.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct ProposerSlashing {
    /// Signed header 1.
    pub signed_header_1: SignedBeaconBlockHeader,
    /// Signed header 2.
    pub signed_header_2: SignedBeaconBlockHeader,
}

/// Two votes that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct AttesterSlashing {
    /// Attestation 1.
    pub attestation_1: IndexedAttestation,
    /// Attestation 2.
    pub attestation_2: IndexedAttestation,
}

/// What the deposit contract recorded.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct DepositData {
    /// Pubkey.
    pub pubkey: BLSPubkey,
    /// Withdrawal credentials.
    pub withdrawal_credentials: Hash256,
    /// Amount.
    #[serde(with = "serde_utils::quoted_u64")]
    pub amount: Gwei,
    /// Signature.
    pub signature: BLSSignature,
}

/// The part of a deposit that is signed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct DepositMessage {
    /// Pubkey.
    pub pubkey: BLSPubkey,
    /// Withdrawal credentials.
    pub withdrawal_credentials: Hash256,
    /// Amount.
    #[serde(with = "serde_utils::quoted_u64")]
    pub amount: Gwei,
}

/// A deposit with its branch to the contract's root (before Fulu).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct Deposit {
    /// Proof.
    pub proof: FixedVector<Hash256, t::U33>,
    /// Data.
    pub data: DepositData,
}

/// A validator's wish to leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct VoluntaryExit {
    /// Not valid before this epoch.
    #[serde(with = "serde_utils::quoted_u64")]
    pub epoch: Epoch,
    /// Validator index.
    #[serde(with = "serde_utils::quoted_u64")]
    pub validator_index: ValidatorIndex,
}

/// A signed exit.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct SignedVoluntaryExit {
    /// Message.
    pub message: VoluntaryExit,
    /// Signature.
    pub signature: BLSSignature,
}

/// A change of BLS withdrawal credentials to an execution address.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct BLSToExecutionChange {
    /// Validator index.
    #[serde(with = "serde_utils::quoted_u64")]
    pub validator_index: ValidatorIndex,
    /// From bls pubkey.
    pub from_bls_pubkey: BLSPubkey,
    /// To execution address.
    pub to_execution_address: Address,
}

/// A signed change of credentials.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct SignedBLSToExecutionChange {
    /// Message.
    pub message: BLSToExecutionChange,
    /// Signature.
    pub signature: BLSSignature,
}

/// A deposit that the execution layer reports (EIP-6110).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct DepositRequest {
    /// Pubkey.
    pub pubkey: BLSPubkey,
    /// Withdrawal credentials.
    pub withdrawal_credentials: Hash256,
    /// Amount.
    #[serde(with = "serde_utils::quoted_u64")]
    pub amount: Gwei,
    /// Signature.
    pub signature: BLSSignature,
    /// Index.
    #[serde(with = "serde_utils::quoted_u64")]
    pub index: u64,
}

/// A withdrawal asked for from the execution layer (EIP-7002).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct WithdrawalRequest {
    /// Source address.
    pub source_address: Address,
    /// Validator pubkey.
    pub validator_pubkey: BLSPubkey,
    /// Amount.
    #[serde(with = "serde_utils::quoted_u64")]
    pub amount: Gwei,
}

/// A consolidation asked for from the execution layer (EIP-7251).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct ConsolidationRequest {
    /// Source address.
    pub source_address: Address,
    /// Source pubkey.
    pub source_pubkey: BLSPubkey,
    /// Target pubkey.
    pub target_pubkey: BLSPubkey,
}

/// A deposit that waits in the state for its turn.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct PendingDeposit {
    /// Pubkey.
    pub pubkey: BLSPubkey,
    /// Withdrawal credentials.
    pub withdrawal_credentials: Hash256,
    /// Amount.
    #[serde(with = "serde_utils::quoted_u64")]
    pub amount: Gwei,
    /// Signature.
    pub signature: BLSSignature,
    /// Slot.
    #[serde(with = "serde_utils::quoted_u64")]
    pub slot: Slot,
}

/// A partial withdrawal that waits in the state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct PendingPartialWithdrawal {
    /// Validator index.
    #[serde(with = "serde_utils::quoted_u64")]
    pub validator_index: ValidatorIndex,
    /// Amount.
    #[serde(with = "serde_utils::quoted_u64")]
    pub amount: Gwei,
    /// Withdrawable epoch.
    #[serde(with = "serde_utils::quoted_u64")]
    pub withdrawable_epoch: Epoch,
}

/// A consolidation that waits in the state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct PendingConsolidation {
    /// Source index.
    #[serde(with = "serde_utils::quoted_u64")]
    pub source_index: ValidatorIndex,
    /// Target index.
    #[serde(with = "serde_utils::quoted_u64")]
    pub target_index: ValidatorIndex,
}
