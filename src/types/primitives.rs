//! The field's basic types, under the specification's names.

use alloy_primitives::FixedBytes;

pub use alloy_primitives::{Address, B256 as Hash256, U256};

/// A slot's number since genesis.
pub type Slot = u64;
/// An epoch's number since genesis.
pub type Epoch = u64;
/// Index of a committee within its slot.
pub type CommitteeIndex = u64;
/// Index in `state.validators`.
pub type ValidatorIndex = u64;
/// 10^-9 of the chain's coin.
pub type Gwei = u64;
/// Four bytes that name a fork.
pub type Version = FixedBytes<4>;
/// First four bytes of a fork's data root: names a network's topics.
pub type ForkDigest = FixedBytes<4>;
/// Four bytes that tell what a signature is for.
pub type DomainType = [u8; 4];
/// What a signature is for, on which fork of which chain.
pub type Domain = Hash256;
/// A compressed BLS public key.
pub type BLSPubkey = FixedBytes<48>;
/// A compressed BLS signature.
pub type BLSSignature = FixedBytes<96>;
/// A compressed commitment to a blob.
pub type KZGCommitment = FixedBytes<48>;
/// A compressed KZG proof.
pub type KZGProof = FixedBytes<48>;
/// A bit for each participation flag.
pub type ParticipationFlags = u8;
/// Index of a column of the extended data matrix.
pub type ColumnIndex = u64;

/// The empty signature's encoding: the point at infinity.
pub const G2_POINT_AT_INFINITY: BLSSignature = {
    let mut bytes = [0; 96];
    bytes[0] = 0xc0;
    FixedBytes(bytes)
};

/// The epoch that `slot` is in. Spec: `compute_epoch_at_slot`.
pub fn compute_epoch_at_slot(slot: Slot) -> Epoch {
    slot / super::preset::SLOTS_PER_EPOCH
}

/// The first slot of `epoch`. Spec: `compute_start_slot_at_epoch`. Saturates, so that the far future stays there.
pub fn compute_start_slot_at_epoch(epoch: Epoch) -> Slot {
    epoch.saturating_mul(super::preset::SLOTS_PER_EPOCH)
}
