//! Which columns a node keeps, and in which subnets columns and votes travel.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/das-core.md#helpers>

use std::collections::BTreeSet;

use ethereum_hashing::hash_fixed;

use super::{ColumnIndex, CommitteeIndex, Config, Slot, U256, preset::*};

/// The custody groups of a node, ascending; `None` if there are not so many groups.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/das-core.md#get_custody_groups>
pub fn get_custody_groups(config: &Config, node_id: U256, custody_group_count: u64) -> Option<Vec<u64>> {
    let all = config.number_of_custody_groups;
    if custody_group_count > all {
        return None;
    }
    if custody_group_count == all {
        return Some((0..all).collect());
    }
    let (mut groups, mut id) = (BTreeSet::new(), node_id);
    while (groups.len() as u64) < custody_group_count {
        let hash = hash_fixed(&id.to_le_bytes::<32>());
        groups.insert(first_number(&hash) % all);
        id = id.wrapping_add(U256::ONE);
    }
    Some(groups.into_iter().collect())
}

/// The columns of a custody group, ascending; `None` if there is no such group.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/das-core.md#compute_columns_for_custody_group>
pub fn compute_columns_for_custody_group(config: &Config, custody_group: u64) -> Option<Vec<ColumnIndex>> {
    let all = config.number_of_custody_groups;
    let columns_per_group = NUMBER_OF_COLUMNS as u64 / all;
    (custody_group < all).then(|| (0..columns_per_group).map(|i| all * i + custody_group).collect())
}

/// The columns of a node, ascending, by its id (big-endian, as records write it) and how many groups it keeps; `None` if
/// there are not so many groups.
pub fn columns_of_node(config: &Config, node_id: [u8; 32], custody_group_count: u64) -> Option<Vec<ColumnIndex>> {
    let groups = get_custody_groups(config, U256::from_be_bytes(node_id), custody_group_count)?;
    let mut columns = Vec::new();
    for group in groups {
        columns.extend(compute_columns_for_custody_group(config, group)?);
    }
    columns.sort_unstable();
    Some(columns)
}

/// The subnet of a column.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/p2p-interface.md#new-compute_subnet_for_data_column_sidecar>
pub fn compute_subnet_for_data_column_sidecar(config: &Config, column_index: ColumnIndex) -> u64 {
    column_index % config.data_column_sidecar_subnet_count
}

/// The subnet of a blob, in Electra.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/validator.md#modified-compute_subnet_for_blob_sidecar>
pub fn compute_subnet_for_blob_sidecar(config: &Config, blob_index: u64) -> u64 {
    blob_index % config.blob_sidecar_subnet_count_electra
}

/// The subnet of a committee's votes. The index must be that of a committee of the slot.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/validator.md#broadcast-attestation>
pub fn compute_subnet_for_attestation(
    config: &Config,
    committees_per_slot: u64,
    slot: Slot,
    committee_index: CommitteeIndex,
) -> u64 {
    let committees_since_epoch_start = committees_per_slot * (slot % SLOTS_PER_EPOCH);
    (committees_since_epoch_start + committee_index) % config.attestation_subnet_count
}

fn first_number(hash: &[u8; 32]) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash[..8]);
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_at_the_end_of_the_range_wrap_around() {
        let config = Config::default();
        let groups = get_custody_groups(&config, U256::MAX, 127).unwrap();
        assert_eq!(groups.len(), 127);
        assert!(groups.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(get_custody_groups(&config, U256::MAX, 129), None);
        assert_eq!(get_custody_groups(&config, U256::ZERO, 0), Some(vec![]));
    }

    #[test]
    fn a_group_has_its_share_of_the_columns() {
        let config = Config { number_of_custody_groups: 32, ..Config::default() };
        assert_eq!(compute_columns_for_custody_group(&config, 31), Some(vec![31, 63, 95, 127]));
        assert_eq!(compute_columns_for_custody_group(&config, 32), None);
        assert_eq!(compute_columns_for_custody_group(&config, u64::MAX), None);
    }
}
