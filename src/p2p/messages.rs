//! What peers tell each other, outside of gossip.

use ssz::{Decode, DecodeError, Encode};
use ssz_derive::{Decode, Encode};
use ssz_types::{BitVector, VariableList};
use typenum as t;

use crate::types::{ColumnIndex, Epoch, ForkDigest, Hash256, Slot, Version};

/// The attestation subnets that a node keeps subscribed to.
pub type Attnets = BitVector<t::U64>;
/// The sync committee subnets that a node is subscribed to.
pub type Syncnets = BitVector<t::U4>;

/// Where a node's chain stands.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/p2p-interface.md#status-v2>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Status {
    /// The fork that the clock says is current.
    pub fork_digest: ForkDigest,
    /// Root of the finalized block; zero before the first finality.
    pub finalized_root: Hash256,
    /// The finalized epoch.
    pub finalized_epoch: Epoch,
    /// Root of the head.
    pub head_root: Hash256,
    /// Slot of the head's block.
    pub head_slot: Slot,
    /// The first slot that the node can serve. Zero for a peer that speaks only status v1, which promises all.
    pub earliest_available_slot: Slot,
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/p2p-interface.md#status-v1>
#[derive(Encode, Decode)]
struct StatusV1 {
    fork_digest: ForkDigest,
    finalized_root: Hash256,
    finalized_epoch: Epoch,
    head_root: Hash256,
    head_slot: Slot,
}

impl Status {
    /// The encoding for status v1, which lacks the earliest slot.
    pub fn to_v1_bytes(self) -> Vec<u8> {
        let Status { fork_digest, finalized_root, finalized_epoch, head_root, head_slot, .. } = self;
        StatusV1 { fork_digest, finalized_root, finalized_epoch, head_root, head_slot }.as_ssz_bytes()
    }

    /// Decodes status v1.
    pub fn from_v1_bytes(bytes: &[u8]) -> Result<Status, DecodeError> {
        let StatusV1 { fork_digest, finalized_root, finalized_epoch, head_root, head_slot } =
            StatusV1::from_ssz_bytes(bytes)?;
        Ok(Status { fork_digest, finalized_root, finalized_epoch, head_root, head_slot, earliest_available_slot: 0 })
    }
}

/// What a node subscribes to and keeps.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/p2p-interface.md#metadata>
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct MetaData {
    /// Grows with each change of the other fields.
    pub seq_number: u64,
    /// Attestation subnets.
    pub attnets: Attnets,
    /// Sync committee subnets.
    pub syncnets: Syncnets,
    /// Groups of data columns that the node keeps. Zero for a peer that speaks only metadata v2.
    pub custody_group_count: u64,
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/p2p-interface.md#metadata>
#[derive(Encode, Decode)]
struct MetaDataV2 {
    seq_number: u64,
    attnets: Attnets,
    syncnets: Syncnets,
}

impl MetaData {
    /// The encoding for metadata v2, which lacks the custody group count.
    pub fn to_v2_bytes(&self) -> Vec<u8> {
        let MetaData { seq_number, attnets, syncnets, .. } = self.clone();
        MetaDataV2 { seq_number, attnets, syncnets }.as_ssz_bytes()
    }

    /// Decodes metadata v2.
    pub fn from_v2_bytes(bytes: &[u8]) -> Result<MetaData, DecodeError> {
        let MetaDataV2 { seq_number, attnets, syncnets } = MetaDataV2::from_ssz_bytes(bytes)?;
        Ok(MetaData { seq_number, attnets, syncnets, custody_group_count: 0 })
    }
}

/// The value of the record's `eth2` entry.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/p2p-interface.md#eth2-field>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct ENRForkID {
    /// The current fork.
    pub fork_digest: ForkDigest,
    /// Version of the next regular fork, or of the current one when none is planned.
    pub next_fork_version: Version,
    /// Epoch of the next fork of any kind, or the far future.
    pub next_fork_epoch: Epoch,
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/p2p-interface.md#beaconblocksbyrange-v1>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct BlocksByRange {
    pub start_slot: Slot,
    pub count: u64,
    /// Deprecated: 1.
    pub step: u64,
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/p2p-interface.md#beaconblocksbyhead-v1>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct BlocksByHead {
    pub beacon_root: Hash256,
    pub count: u64,
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/p2p-interface.md#datacolumnsidecarsbyrange-v1>
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct ColumnsByRange {
    pub start_slot: Slot,
    pub count: u64,
    pub columns: VariableList<ColumnIndex, t::U128>,
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/light-client/p2p-interface.md#lightclientupdatesbyrange>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct LightClientUpdatesByRange {
    pub start_period: u64,
    pub count: u64,
}

/// Why a node leaves a peer.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/p2p-interface.md#goodbye-v1>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum GoodbyeReason {
    /// The node stops.
    Shutdown = 1,
    /// The peer is on another network or fork.
    IrrelevantNetwork = 2,
    /// The peer, or we, did something wrong.
    Fault = 3,
    /// There is no place for the peer. By convention of the field, not of the specification.
    TooManyPeers = 129,
    /// The peer is banned for a while. By convention of the field, not of the specification.
    Banned = 251,
    /// Too many banned peers were at the peer's address. A code of the field, not of the specification.
    BannedAddress = 252,
}

/// Codes that peers use and we don't, by convention of the field.
pub(super) mod goodbye {
    /// It can't make out which network we are on.
    pub const UNVERIFIABLE: u64 = 128;
    /// Our score is too low to stay, and not so low that we may not come back.
    pub const BAD_SCORE: u64 = 250;
    /// We are banned.
    pub const BANNED: u64 = 251;
    /// Our address is banned.
    pub const BANNED_ADDRESS: u64 = 252;
}

impl GoodbyeReason {
    /// For logs and metrics: a peer's code in words.
    pub fn describe(code: u64) -> &'static str {
        match code {
            1 => "shutdown",
            2 => "irrelevant network",
            3 => "fault",
            goodbye::UNVERIFIABLE => "cannot verify our network",
            129 => "too many peers",
            goodbye::BAD_SCORE => "bad score",
            goodbye::BANNED => "banned",
            goodbye::BANNED_ADDRESS => "banned address",
            _ => "other",
        }
    }
}
