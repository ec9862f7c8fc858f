//! The subnets that follow from a node's id.

use ethereum_hashing::hash_fixed;

use crate::{
    transition::Shuffler,
    types::{Config, Epoch, Hash256, U256},
};

/// A node's id, as discovery knows it: a hash of its public key.
pub type NodeId = U256;

/// Bits of a node id.
const NODE_ID_BITS: u32 = 256;
/// `ATTESTATION_SUBNET_EXTRA_BITS`: 0 in all networks.
const ATTESTATION_SUBNET_EXTRA_BITS: u32 = 0;

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/p2p-interface.md#compute_attestation_subnet_prefix_bits>
fn compute_attestation_subnet_prefix_bits(config: &Config) -> u32 {
    config.attestation_subnet_count.next_power_of_two().ilog2() + ATTESTATION_SUBNET_EXTRA_BITS
}

/// The `index`-th of the subnets that a node keeps in `epoch`.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/p2p-interface.md#attestation-subnet-subscription>
pub fn compute_subscribed_subnet(config: &Config, node_id: NodeId, epoch: Epoch, index: u64) -> u64 {
    let prefix_bits = compute_attestation_subnet_prefix_bits(config);
    // A number of so few bits fits.
    let node_id_prefix = u64::try_from(node_id >> (NODE_ID_BITS - prefix_bits) as usize).unwrap_or(0);
    let duration = config.epochs_per_subnet_subscription.max(1);
    let node_offset = u64::try_from(node_id % U256::from(duration)).unwrap_or(0);
    let permutation_seed = hash_fixed(&(epoch.saturating_add(node_offset) / duration).to_le_bytes());
    let shuffler = Shuffler::new(Hash256::from(permutation_seed), 1 << prefix_bits);
    let permutated_prefix = shuffler.compute_shuffled_index(node_id_prefix);
    (permutated_prefix + index) % config.attestation_subnet_count.max(1)
}

/// The subnets that a node keeps in `epoch`.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/p2p-interface.md#attestation-subnet-subscription>
pub fn compute_subscribed_subnets(config: &Config, node_id: NodeId, epoch: Epoch) -> Vec<u64> {
    (0..config.subnets_per_node).map(|index| compute_subscribed_subnet(config, node_id, epoch, index)).collect()
}
