//! Signing: what each duty signs, and with which domain.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/validator.md>,
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/validator.md>

use std::sync::Arc;

use ethereum_hashing::hash_fixed;
use tree_hash::TreeHash;

use crate::{
    crypto::*,
    types::{preset::*, *},
};

/// Knows the chain's domains.
#[derive(Clone, Debug)]
pub struct Signer {
    /// The network's configuration.
    pub config: Arc<Config>,
    /// The chain's root.
    pub genesis_validators_root: Hash256,
}

impl Signer {
    /// The signature of an object for a purpose at a slot.
    pub fn sign<T: TreeHash>(&self, key: &SecretKey, object: &T, purpose: DomainType, slot: Slot) -> BLSSignature {
        let version = self.config.fork_version(compute_epoch_at_slot(slot));
        let domain = compute_domain(purpose, version, self.genesis_validators_root);
        key.sign(compute_signing_root(object, domain)).to_bytes()
    }

    /// `get_epoch_signature`: the randao reveal of a proposer.
    pub fn randao_reveal(&self, key: &SecretKey, slot: Slot) -> BLSSignature {
        self.sign(key, &compute_epoch_at_slot(slot), DOMAIN_RANDAO, slot)
    }

    /// `get_slot_signature`: proof that a validator may aggregate in a slot.
    pub fn selection_proof(&self, key: &SecretKey, slot: Slot) -> BLSSignature {
        self.sign(key, &slot, DOMAIN_SELECTION_PROOF, slot)
    }

    /// `get_sync_committee_selection_proof`.
    pub fn sync_selection_proof(&self, key: &SecretKey, slot: Slot, subcommittee_index: u64) -> BLSSignature {
        let data = SyncAggregatorSelectionData { slot, subcommittee_index };
        self.sign(key, &data, DOMAIN_SYNC_COMMITTEE_SELECTION_PROOF, slot)
    }
}

/// `is_aggregator`: whether a selection proof makes its owner an aggregator of a committee of this size.
pub fn is_aggregator(committee_length: u64, proof: &BLSSignature) -> bool {
    chosen(proof, (committee_length / TARGET_AGGREGATORS_PER_COMMITTEE).max(1))
}

/// `is_sync_committee_aggregator`.
pub fn is_sync_committee_aggregator(proof: &BLSSignature) -> bool {
    let subcommittee = (SYNC_COMMITTEE_SIZE / SYNC_COMMITTEE_SUBNET_COUNT) as u64;
    chosen(proof, (subcommittee / TARGET_AGGREGATORS_PER_SYNC_SUBCOMMITTEE).max(1))
}

fn chosen(proof: &BLSSignature, one_in: u64) -> bool {
    let hash = hash_fixed(proof.as_slice());
    u64::from_le_bytes(hash[..8].try_into().expect("eight bytes")).is_multiple_of(one_in)
}
