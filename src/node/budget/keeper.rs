//! Reads resident memory, asks the budget, and carries out what it says.

use std::time::Duration;

use tracing::{debug, info, warn};

use super::{
    Action, Budget, ByteCount, MemoryLimit, Step,
    caches::{Caches, line, total},
    release::give_back,
};
use crate::{
    chain::{ChainHandle, StateLimits},
    metrics::{self, CACHES_SHRUNK, MEMORY_LIMIT},
};

/// Time between two readings. A block's import or an API's answer takes some tens of MB, never all that is left, in that time.
const READING: Duration = Duration::from_secs(1);
/// Readings between two measurements of all caches, which walk the chunks of two states.
const MEASURE_EVERY: u32 = 10;
/// States left when memory is short, besides those that are pinned: a fork of two blocks.
const FEW_STATES: usize = 2;
/// Decompressed keys in memory when memory is short, in bytes: those of some slots' proposers and absentees.
const FEW_KEYS: usize = 1 << 20;
/// A node's memory at least, beside its states: code, network, database, queues.
const BESIDE_STATES: u64 = 64 << 20;

/// Keeps a node's memory below its limit.
pub struct Keeper {
    chain: ChainHandle,
    budget: Budget,
    /// What states may take while nothing is short.
    limits: StateLimits,
    /// Whether something was made smaller since memory was last given back.
    has_freed: bool,
}

impl Keeper {
    /// Divides the limit: states beside the anchor get 160 of 1,024 parts.
    pub fn new(chain: ChainHandle, limit: &MemoryLimit) -> Keeper {
        metrics::set(&MEMORY_LIMIT, &[], limit.bytes as f64);
        let bytes = usize::try_from(limit.bytes / 1024 * 160).unwrap_or(usize::MAX);
        let limits = StateLimits { bytes, ..StateLimits::default() };
        Keeper { chain, budget: Budget::new(limit.bytes), limits, has_freed: false }
    }

    /// Tells states how much they get, and the user what fits.
    pub async fn begin(&self, why: &str) {
        self.chain.limit_states(self.state_limits()).await;
        let anchor = self.chain.state_sizes().anchor as u64;
        let (limit, states) = (ByteCount(self.budget.limit()), ByteCount(self.limits.bytes as u64));
        info!(
            "memory: at most {limit} ({why}); a state takes {}, others beside it may take {states}",
            ByteCount(anchor)
        );
        let needed = needed(anchor);
        if needed > self.budget.limit() {
            warn!(
                "this network's state needs {} at least: with {limit} caches will be small all the time, and the node may be \
                 ended by the system; raise --memory-limit, or the service's MemoryMax",
                ByteCount(needed)
            );
        }
    }

    /// Reads and acts for ever; a line about memory when an epoch begins.
    pub async fn run(mut self, caches: Caches) {
        let mut told = None;
        for reading in 0u32.. {
            if let Some(resident) = metrics::resident_bytes() {
                self.on_reading(resident).await;
            }
            if reading.is_multiple_of(MEASURE_EVERY) {
                let all = caches.measure().await;
                let epoch = self.chain.clock().epoch();
                if told.replace(epoch) != Some(epoch) {
                    self.tell(&line(&all), total(&all) as u64);
                }
            }
            smol::Timer::after(READING).await;
        }
    }

    fn tell(&self, caches: &str, total: u64) {
        let (resident, peak) = (metrics::resident_bytes(), metrics::peak_resident_bytes());
        let [resident, peak] = [resident, peak].map(|bytes| ByteCount(bytes.unwrap_or(0)));
        let sizes = self.chain.state_sizes();
        info!(
            "memory: resident {resident} of {}, peak {peak}; caches {} ({caches}); {} states beside the anchor",
            ByteCount(self.budget.limit()),
            ByteCount(total),
            sizes.count,
        );
    }

    /// Does what the budget says of a reading.
    pub async fn on_reading(&mut self, resident: u64) {
        if std::mem::take(&mut self.has_freed) {
            // A reading later, when those who still read what was dropped are done, and before the next step is taken.
            smol::unblock(give_back).await;
        }
        let actions = self.budget.on_reading(resident);
        if actions.is_empty() {
            return;
        }
        let before = self.chain.state_sizes();
        for action in &actions {
            match action {
                Action::Shrink(step) => {
                    metrics::inc(&CACHES_SHRUNK, &[("cache", step.label())]);
                    self.shrink(*step);
                }
                Action::Restore(step) => {
                    debug!("memory: {} may grow again", step.label());
                    if *step == Step::PublicKeys {
                        self.chain.limit_keys(usize::MAX);
                    }
                }
            }
        }
        self.chain.limit_states(self.state_limits()).await;
        let names: Vec<_> = actions.iter().filter_map(shrunk).map(Step::label).collect();
        if !names.is_empty() {
            self.has_freed = true;
            let (resident, limit) = (ByteCount(resident), ByteCount(self.budget.limit()));
            let names = names.join(", ");
            warn!(
                "memory: {resident} of {limit} resident; made smaller: {names} ({} states, {}, were beside the anchor). If this \
                 goes on, raise --memory-limit",
                before.count,
                ByteCount(before.bytes as u64),
            );
        }
    }

    /// What is not a matter of the states' limits.
    fn shrink(&self, step: Step) {
        match step {
            Step::RebuiltStates | Step::RecentStates => {}
            Step::PublicKeys => self.chain.limit_keys(FEW_KEYS),
            Step::PreparedState => self.chain.forget_prepared(),
            Step::SeenGossip => self.chain.forget_seen(),
        }
    }

    /// By what is small now.
    fn state_limits(&self) -> StateLimits {
        let is_shrunk = |step| self.budget.shrunk().contains(&step);
        let mut limits = self.limits;
        if is_shrunk(Step::RebuiltStates) {
            limits.rebuilt = 0;
        }
        if is_shrunk(Step::RecentStates) {
            // The head's and the pinned ones count too.
            limits.count = limits.count.min(PINNED + FEW_STATES);
            limits.bytes /= 4;
        }
        limits
    }
}

/// The states that are pinned as a rule: the head's and those of two epochs' starts, of which one is justified.
const PINNED: usize = 3;

/// What a chain whose anchor takes so much needs at least: the head's and two epochs' states cost half of it at the worst.
fn needed(anchor: u64) -> u64 {
    anchor + anchor / 2 + BESIDE_STATES
}

fn shrunk(action: &Action) -> Option<Step> {
    match action {
        Action::Shrink(step) => Some(*step),
        Action::Restore(_) => None,
    }
}

#[cfg(test)]
mod tests;
