//! Which columns we keep: by our node id, and by the validators that use this node.
//!
//! The custody groups are those that others are told of; we keep, and look for, at least [`samples_per_slot`] columns of each
//! block. Once others were told of a number of groups, there are never fewer: it is kept in the database.
//!
//! [`samples_per_slot`]: Config::samples_per_slot

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;

use super::{ChainHandle, Shared, columns::ColumnSet, limits::MAX_ATTACHED, network::NetworkCommand};
use crate::{
    db::{Database, DbError},
    metrics::{self, CUSTODY_GROUPS},
    types::{
        BeaconState, ColumnIndex, Config, Slot, Topic, ValidatorIndex, columns_of_node,
        compute_subnet_for_data_column_sidecar,
    },
};

/// Where the database has the number of groups.
const META_CUSTODY: &str = "chain/custody";

/// Groups that a node with these validators keeps at least. Validators that the state does not know count nothing.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/validator.md#validator-custody>
pub fn get_validators_custody_requirement(
    config: &Config,
    state: &BeaconState,
    validator_indices: impl IntoIterator<Item = ValidatorIndex>,
) -> u64 {
    let known = state.validators.len() as u64;
    let balances = validator_indices.into_iter().filter(|index| *index < known);
    let total_node_balance: u64 =
        balances.map(|index| state.validators.effective_balance(index as usize)).fold(0, u64::saturating_add);
    let count = total_node_balance / config.balance_per_additional_custody_group.max(1);
    count.max(config.validator_custody_requirement).min(config.number_of_custody_groups)
}

/// What we keep.
pub(crate) struct Custody {
    node_id: Option<[u8; 32]>,
    groups: AtomicU64,
    sampled: ArcSwap<ColumnSet>,
    attached: Mutex<BTreeSet<ValidatorIndex>>,
}

impl Custody {
    /// As the database remembers it, or the least. Without a node id, nothing is kept or looked for.
    pub fn open(db: &Database, config: &Config, node_id: Option<[u8; 32]>) -> Result<Custody, DbError> {
        let stored = db.meta(META_CUSTODY)?.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes);
        let groups = stored.max(config.custody_requirement).min(config.number_of_custody_groups);
        let custody =
            Custody { node_id, groups: groups.into(), sampled: ArcSwap::default(), attached: Mutex::default() };
        custody.sampled.store(Arc::new(custody.sampled_with(config, groups)));
        Ok(custody)
    }

    /// Groups that others are told of.
    pub fn groups(&self) -> u64 {
        self.groups.load(Ordering::Relaxed)
    }

    /// The columns of each block that are kept, and without which it is not imported.
    pub fn sampled(&self) -> ColumnSet {
        **self.sampled.load()
    }

    /// Samples are those of `max(SAMPLES_PER_SLOT, custody_group_count)` groups, among which are ours.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/das-core.md#custody-sampling>
    fn sampled_with(&self, config: &Config, groups: u64) -> ColumnSet {
        let sampling_size = groups.max(config.samples_per_slot).min(config.number_of_custody_groups);
        let columns = self.node_id.and_then(|id| columns_of_node(config, id, sampling_size));
        columns.unwrap_or_default().into_iter().collect()
    }

    /// Remembers validators. Whether one of them is new.
    fn attach(&self, validators: &[ValidatorIndex]) -> bool {
        let mut attached = self.attached.lock().unwrap_or_else(PoisonError::into_inner);
        let before = attached.len();
        for index in validators {
            if attached.len() < MAX_ATTACHED {
                attached.insert(*index);
            }
        }
        attached.len() > before
    }

    /// What the validators ask for by a state; nothing without any.
    fn required(&self, config: &Config, state: &BeaconState) -> Option<u64> {
        let attached = self.attached.lock().unwrap_or_else(PoisonError::into_inner);
        (!attached.is_empty()).then(|| get_validators_custody_requirement(config, state, attached.iter().copied()))
    }
}

impl Shared {
    /// Tells the network how many groups we keep, and to listen to their columns. To be repeated, as it may not be heard.
    pub(super) fn announce_custody(&self) {
        if self.custody.node_id.is_none() {
            return;
        }
        let groups = self.custody.groups();
        metrics::set(&CUSTODY_GROUPS, &[], groups as f64);
        self.tell_network(NetworkCommand::SetCustody { groups });
        for column in self.custody.sampled().iter() {
            let subnet = compute_subnet_for_data_column_sidecar(&self.config, column);
            self.tell_network(NetworkCommand::Listen { topic: Topic::DataColumnSidecar(subnet), listens: true });
        }
    }

    /// Not all columns of older blocks are here any more, as more of them are kept: backfill brings them.
    fn begin_columns_at(&self, slot: Slot) {
        if self.earliest_columns.fetch_max(slot, Ordering::Relaxed) < slot
            && let Err(error) = self.db.set_earliest_column_slot(slot)
        {
            tracing::warn!(%error, "the slot since which all columns are kept could not be stored");
        }
    }

    /// Keeps so many groups from now on, if those are more than before. Whether they are. The groups before were among them.
    fn raise_custody(&self, groups: u64) -> Result<bool, DbError> {
        let custody = &self.custody;
        let groups = groups.min(self.config.number_of_custody_groups);
        if groups <= custody.groups() {
            return Ok(false);
        }
        let sampled = custody.sampled_with(&self.config, groups);
        if sampled != custody.sampled() {
            // First: after a power cut in between, columns that are here are looked for, and no others are promised.
            self.begin_columns_at(self.clock.slot() + 1);
        }
        self.db.put_meta(META_CUSTODY, &groups.to_be_bytes())?;
        custody.sampled.store(Arc::new(sampled));
        custody.groups.store(groups, Ordering::Relaxed);
        Ok(true)
    }

    /// Keeps what the attached validators ask for by the finalized state. Blocks.
    pub(super) fn reconsider_custody(&self) {
        let finalized = self.snapshot.load().states.base().1.clone();
        let Some(groups) = self.custody.required(&self.config, &finalized) else { return };
        match self.raise_custody(groups) {
            Ok(true) => {
                tracing::info!(groups, columns = self.custody.sampled().len(), "more columns are kept from now on");
                self.announce_custody();
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "the number of custody groups could not be stored, so it stays"),
        }
    }
}

impl ChainHandle {
    /// Validators use this node: it keeps more columns for them, now and after restarts.
    pub async fn attach_validators(&self, validators: &[ValidatorIndex]) {
        if self.shared.custody.node_id.is_some() && self.shared.custody.attach(validators) {
            let shared = self.shared.clone();
            smol::unblock(move || shared.reconsider_custody()).await;
        }
    }

    /// Keeps at least so many groups of columns, now and after restarts.
    pub async fn keep_groups(&self, groups: u64) -> Result<(), DbError> {
        let shared = self.shared.clone();
        smol::unblock(move || shared.raise_custody(groups)).await?;
        self.shared.announce_custody();
        Ok(())
    }

    /// Groups of columns that we keep and others are told of.
    pub fn custody_groups(&self) -> u64 {
        self.shared.custody.groups()
    }

    /// The columns of each block that we keep and look for.
    pub fn sampled_columns(&self) -> Vec<ColumnIndex> {
        self.shared.custody.sampled().iter().collect()
    }
}
