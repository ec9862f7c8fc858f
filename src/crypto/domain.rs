//! What a signature is for, and on which fork of which chain.

use ethereum_hashing::hash_fixed;
use tree_hash::TreeHash;

use crate::types::{Domain, DomainType, Epoch, ForkData, ForkDigest, Hash256, SigningData, Version};

/// Block proposals. This and the following:
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#domain-types>
pub const DOMAIN_BEACON_PROPOSER: DomainType = [0x00, 0, 0, 0];
/// Attestations.
pub const DOMAIN_BEACON_ATTESTER: DomainType = [0x01, 0, 0, 0];
/// Randao reveals.
pub const DOMAIN_RANDAO: DomainType = [0x02, 0, 0, 0];
/// Deposits; their domain is that of the genesis fork without a chain, so that they are valid on any.
pub const DOMAIN_DEPOSIT: DomainType = [0x03, 0, 0, 0];
/// Voluntary exits; since Deneb always on Capella's fork version.
pub const DOMAIN_VOLUNTARY_EXIT: DomainType = [0x04, 0, 0, 0];
/// Proofs of being an aggregator.
pub const DOMAIN_SELECTION_PROOF: DomainType = [0x05, 0, 0, 0];
/// Aggregates with their aggregator's proof.
pub const DOMAIN_AGGREGATE_AND_PROOF: DomainType = [0x06, 0, 0, 0];
/// Sync committee messages (Altair).
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#domain-types>
pub const DOMAIN_SYNC_COMMITTEE: DomainType = [0x07, 0, 0, 0];
/// Proofs of being a sync aggregator (Altair).
pub const DOMAIN_SYNC_COMMITTEE_SELECTION_PROOF: DomainType = [0x08, 0, 0, 0];
/// Sync contributions with their aggregator's proof (Altair).
pub const DOMAIN_CONTRIBUTION_AND_PROOF: DomainType = [0x09, 0, 0, 0];
/// Changes of withdrawal credentials (Capella); always on the genesis fork version.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/capella/beacon-chain.md#domain-types>
pub const DOMAIN_BLS_TO_EXECUTION_CHANGE: DomainType = [0x0a, 0, 0, 0];
/// Set in the domains that applications choose for themselves.
pub const DOMAIN_APPLICATION_MASK: DomainType = [0, 0, 0, 0x01];

/// The root that names a fork of a chain.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#compute_fork_data_root>
pub fn compute_fork_data_root(current_version: Version, genesis_validators_root: Hash256) -> Hash256 {
    ForkData { current_version, genesis_validators_root }.tree_hash_root()
}

/// The four bytes that name a network's topics at an epoch.
///
/// `blob_parameters` are `(epoch, max_blobs_per_block)` of the entry of the blob schedule in force; `None` before Fulu.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/beacon-chain.md#modified-compute_fork_digest>
pub fn compute_fork_digest(
    fork_version: Version,
    genesis_validators_root: Hash256,
    blob_parameters: Option<(Epoch, u64)>,
) -> ForkDigest {
    let base = compute_fork_data_root(fork_version, genesis_validators_root);
    let mut digest = ForkDigest::from_slice(&base[..4]);
    if let Some((epoch, max_blobs_per_block)) = blob_parameters {
        let mut parameters = [0; 16];
        parameters[..8].copy_from_slice(&epoch.to_le_bytes());
        parameters[8..].copy_from_slice(&max_blobs_per_block.to_le_bytes());
        digest ^= ForkDigest::from_slice(&hash_fixed(&parameters)[..4]);
    }
    digest
}

/// The domain of `domain_type` on a fork of a chain. Where the specification leaves arguments out, it means the genesis
/// fork version and a zero root.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#compute_domain>
pub fn compute_domain(domain_type: DomainType, fork_version: Version, genesis_validators_root: Hash256) -> Domain {
    let fork_data_root = compute_fork_data_root(fork_version, genesis_validators_root);
    let mut domain = Domain::ZERO;
    domain[..4].copy_from_slice(&domain_type);
    domain[4..].copy_from_slice(&fork_data_root[..28]);
    domain
}

/// What is signed for `ssz_object`. For an object of which only the root is at hand, pass the root: it is its own root.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#compute_signing_root>
pub fn compute_signing_root<T: TreeHash>(ssz_object: &T, domain: Domain) -> Hash256 {
    SigningData { object_root: ssz_object.tree_hash_root(), domain }.tree_hash_root()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The genesis validators root and the published digests of mainnet (EIP-7892 lists the last).
    const MAINNET_ROOT: &str = "4b363db94e286120d76eb905340fdd4e54bfe9f06bf33ff6cf5ad27f511bfe95";

    fn mainnet_digest(version: u8, blob_parameters: Option<(Epoch, u64)>) -> String {
        let root: Hash256 = MAINNET_ROOT.parse().unwrap();
        hex::encode(compute_fork_digest(Version::new([version, 0, 0, 0]), root, blob_parameters))
    }

    #[test]
    fn fork_digests_of_mainnet() {
        assert_eq!(mainnet_digest(0, None), "b5303f2a");
        assert_eq!(mainnet_digest(4, None), "6a95a1a9");
        assert_eq!(mainnet_digest(5, None), "ad532ceb");
    }

    #[test]
    fn blob_parameters_change_the_digest() {
        let digests = [None, Some((364032, 9)), Some((412672, 15)), Some((412672, 16))].map(|p| mainnet_digest(6, p));
        for (i, digest) in digests.iter().enumerate() {
            assert!(!digests[..i].contains(digest), "{digests:?}");
        }
    }

    #[test]
    fn the_deposit_domain_of_mainnet() {
        let domain = compute_domain(DOMAIN_DEPOSIT, Version::ZERO, Hash256::ZERO);
        assert_eq!(hex::encode(domain), "03000000f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a9");
    }

    #[test]
    fn a_root_is_its_own_root() {
        let checkpoint = crate::types::Checkpoint { epoch: 3, root: Hash256::repeat_byte(7) };
        let domain = compute_domain(DOMAIN_RANDAO, Version::ZERO, Hash256::ZERO);
        let of_root = compute_signing_root(&checkpoint.tree_hash_root(), domain);
        assert_eq!(compute_signing_root(&checkpoint, domain), of_root);
    }
}
