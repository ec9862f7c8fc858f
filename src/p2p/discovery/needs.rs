//! What we lack: subnets in which we have too few peers.

use crate::{
    p2p::identity::Enr,
    types::{
        Config, U256, compute_columns_for_custody_group, compute_subnet_for_data_column_sidecar, get_custody_groups,
    },
};
use std::{collections::BTreeSet, sync::Arc};

use super::record::{attnets, custody_group_count, syncnets};

/// Subnets in which we have too few peers.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Of votes.
    pub attestation: BTreeSet<u64>,
    /// Of sync committees.
    pub sync: BTreeSet<u64>,
    /// Of data columns.
    pub columns: BTreeSet<u64>,
    /// How columns are laid out.
    pub chain: Arc<Config>,
}

impl Needs {
    /// Whether we lack nothing.
    pub fn is_empty(&self) -> bool {
        self.attestation.is_empty() && self.sync.is_empty() && self.columns.is_empty()
    }

    /// In how many of the subnets a node is, by its record.
    pub fn met_by(&self, record: &Enr) -> usize {
        let (votes, committees) = (attnets(record), syncnets(record));
        let has = |subnet: &&u64| votes.get(**subnet as usize).unwrap_or(false);
        let mut met = self.attestation.iter().filter(has).count();
        met += self.sync.iter().filter(|subnet| committees.get(**subnet as usize).unwrap_or(false)).count();
        if !self.columns.is_empty() {
            met += self.column_subnets_of(record).intersection(&self.columns).count();
        }
        met
    }

    /// The subnets of the columns that a node keeps.
    fn column_subnets_of(&self, record: &Enr) -> BTreeSet<u64> {
        let node_id = U256::from_be_bytes(record.node_id().raw());
        let groups = get_custody_groups(&self.chain, node_id, custody_group_count(record)).unwrap_or_default();
        let columns = groups.into_iter().filter_map(|group| compute_columns_for_custody_group(&self.chain, group));
        columns.flatten().map(|column| compute_subnet_for_data_column_sidecar(&self.chain, column)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::record::tests::{forks, record},
        *,
    };
    use crate::p2p::messages::MetaData;

    #[test]
    fn a_need_is_met_by_subnets_and_by_custody() {
        let mut metadata = MetaData { custody_group_count: 4, ..MetaData::default() };
        metadata.attnets.set(5, true).unwrap();
        metadata.syncnets.set(1, true).unwrap();
        let node = record(7, "3.3.3.3", &forks(), &metadata);
        let mut needs = Needs { attestation: [4, 5].into(), sync: [1].into(), ..Needs::default() };
        assert_eq!(needs.met_by(&node), 2);
        let kept = needs.column_subnets_of(&node);
        assert_eq!(kept.len(), 4);
        needs.columns = (0..128).collect();
        assert_eq!(needs.met_by(&node), 6);
        needs.columns = (0..128).filter(|subnet| !kept.contains(subnet)).collect();
        assert_eq!(needs.met_by(&node), 2);
    }

    #[test]
    fn a_claim_of_too_many_groups_meets_nothing() {
        let metadata = MetaData { custody_group_count: u64::MAX, ..MetaData::default() };
        let needs = Needs { columns: (0..128).collect(), ..Needs::default() };
        assert_eq!(needs.met_by(&record(7, "3.3.3.3", &forks(), &metadata)), 0);
    }
}
