//! `steps.yaml`.

use hornero::types::*;

/// One step: an event, or what must hold now.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub tick: Option<u64>,
    pub block: Option<String>,
    /// The columns that the node can get; none of them if it can get none. Absent if the block has no blobs.
    pub columns: Option<Vec<String>>,
    /// The blobs that the node can get, before there were columns; with their proofs.
    pub blobs: Option<String>,
    #[serde(default)]
    pub proofs: Vec<KZGProof>,
    /// A block that the node knows of the chain before the merge.
    pub pow_block: Option<String>,
    pub attestation: Option<String>,
    pub attester_slashing: Option<String>,
    #[serde(default = "yes")]
    pub valid: bool,
    pub block_hash: Option<Hash256>,
    pub payload_status: Option<Answer>,
    pub checks: Option<Expected>,
}

fn yes() -> bool {
    true
}

/// What the execution client will say of `block_hash`.
#[derive(serde::Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    pub status: String,
    pub latest_valid_hash: Option<Hash256>,
    #[serde(rename = "validation_error")]
    pub _validation_error: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    pub time: Option<u64>,
    pub genesis_time: Option<u64>,
    pub head: Option<Head>,
    pub justified_checkpoint: Option<RootAtEpoch>,
    pub finalized_checkpoint: Option<RootAtEpoch>,
    pub proposer_boost_root: Option<Hash256>,
    pub get_proposer_head: Option<Hash256>,
    pub previous_epoch_observed_justified_checkpoint: Option<RootAtEpoch>,
    pub current_epoch_observed_justified_checkpoint: Option<RootAtEpoch>,
    pub previous_epoch_greatest_unrealized_checkpoint: Option<RootAtEpoch>,
    pub previous_slot_head: Option<Hash256>,
    pub current_slot_head: Option<Hash256>,
    /// Where this is checked, the rule has run once more.
    pub confirmed_root: Option<Hash256>,
    pub safe_execution_block_hash: Option<Hash256>,
}

#[derive(serde::Deserialize, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Head {
    pub slot: Slot,
    pub root: Hash256,
}

#[derive(serde::Deserialize, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct RootAtEpoch {
    pub epoch: Epoch,
    pub root: Hash256,
}
