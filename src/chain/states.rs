//! Post-states in memory: a cache by use, anchored at the finalized one, bounded by number and by bytes.
//!
//! States share nearly all of their columns, so what one costs depends on what else is there. Each one here knows another
//! that it is counted beside, its parent's as a rule, and the bytes that it does not share with it. The sum is never too
//! small: what is shared with a third one only is counted twice. When a state goes, those counted beside it are counted
//! beside its own neighbour, by the sum of both costs until somebody has measured it again ([`Measuring`]), off the tasks.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::limits::{MAX_STATES, REBUILT_STATES, STATES_BYTES};
use crate::types::{BeaconState, Hash256};

pub(super) type Entry = (Hash256, Arc<BeaconState>);

/// What a state costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cost {
    /// The block of the state that it is counted beside.
    pub beside: Hash256,
    /// What the two do not share.
    pub bytes: usize,
}

impl Cost {
    /// Walks all chunks of the state: some milliseconds at mainnet's size, so not in the store task.
    pub fn measure(state: &BeaconState, beside: Hash256, other: &BeaconState) -> Cost {
        Cost { beside, bytes: state.bytes_beside(other) }
    }
}

/// How much [`HotStates`] may hold besides the base and what is pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateLimits {
    /// States at most.
    pub count: usize,
    /// Bytes that they may cost beside the base.
    pub bytes: usize,
    /// States among them that somebody asked for, and that had to be rebuilt.
    pub rebuilt: usize,
}

impl Default for StateLimits {
    fn default() -> Self {
        StateLimits { count: MAX_STATES, bytes: STATES_BYTES, rebuilt: REBUILT_STATES }
    }
}

/// Costs that are to be measured: what of, beside what.
pub(super) struct Measuring(Vec<(Entry, Option<Entry>)>);

impl Measuring {
    /// Not in the store task: each takes some milliseconds at mainnet's size.
    pub fn run(self) -> Vec<(Hash256, Cost)> {
        let nothing = BeaconState::default();
        let cost = |((root, state), other): (Entry, Option<Entry>)| match other {
            Some((beside, other)) => (root, Cost::measure(&state, beside, &other)),
            None => (root, Cost::measure(&state, root, &nothing)),
        };
        self.0.into_iter().map(cost).collect()
    }
}

/// Post-states by block root. The store task changes it; a copy in each snapshot is read by all.
#[derive(Clone, Debug)]
pub(crate) struct HotStates {
    /// From which everything else can be rebuilt: the finalized block's, or an older one on its branch. Costs its full size.
    base: Held,
    /// In no order. What each is counted beside is here, or the base.
    others: Vec<Held>,
    /// Never dropped: the head's and the next justified and finalized ones.
    pinned: Vec<Hash256>,
    limits: StateLimits,
    /// Uses so far, of all copies.
    uses: Arc<AtomicU64>,
}

#[derive(Clone, Debug)]
struct Held {
    entry: Entry,
    cost: Cost,
    /// Whether the cost was measured; otherwise it is an estimate.
    is_measured: bool,
    /// Of the last block before, or at, an epoch's first slot.
    is_boundary: bool,
    /// Somebody asked for it, and it was not here.
    is_rebuilt: bool,
    /// When it was last used; shared by all copies.
    used: Arc<AtomicU64>,
}

impl HotStates {
    /// Measures the base.
    pub fn new(root: Hash256, state: Arc<BeaconState>) -> HotStates {
        let bytes = state.bytes_beside(&BeaconState::default());
        let cost = Cost { beside: root, bytes };
        HotStates {
            base: Held::new((root, state), cost, true),
            others: Vec::new(),
            pinned: Vec::new(),
            limits: StateLimits::default(),
            uses: Arc::default(),
        }
    }

    /// A state, which counts as used.
    pub fn get(&self, root: &Hash256) -> Option<Arc<BeaconState>> {
        let held = self.all().find(|held| held.entry.0 == *root)?;
        self.touch(held);
        Some(held.entry.1.clone())
    }

    pub fn base(&self) -> &Entry {
        &self.base.entry
    }

    /// The base's full size.
    pub fn base_bytes(&self) -> usize {
        self.base.cost.bytes
    }

    /// How many there are besides the base.
    pub fn len(&self) -> usize {
        self.others.len()
    }

    /// What all others cost beside the base. Somewhat too much where a cost has to be measured again.
    pub fn bytes(&self) -> usize {
        self.others.iter().map(|held| held.cost.bytes).sum()
    }

    pub fn limits(&self) -> StateLimits {
        self.limits
    }

    /// The newest of those at epoch boundaries for which `is_wanted` is true.
    pub fn newest_boundary(&self, is_wanted: impl Fn(&Hash256, &BeaconState) -> bool) -> Option<&Entry> {
        let boundaries = self.others.iter().filter(|held| held.is_boundary).map(|held| &held.entry);
        boundaries.filter(|(root, state)| is_wanted(root, state)).max_by_key(|(_, state)| state.slot)
    }

    /// A new block's state.
    pub fn insert_recent(&mut self, root: Hash256, state: Arc<BeaconState>, cost: Cost) {
        self.insert(root, state, Some(cost));
    }

    /// The state of an epoch's boundary, which is here already as a rule.
    pub fn insert_boundary(&mut self, root: Hash256, state: Arc<BeaconState>) {
        self.insert(root, state, None);
        if let Some(held) = self.others.iter_mut().find(|held| held.entry.0 == root) {
            held.is_boundary = true;
        }
    }

    /// A state that somebody asked for. Unless it is pinned, it is not kept if it would push out half of the others: one
    /// that was read from disk shares little with them.
    pub fn insert_rebuilt(&mut self, root: Hash256, state: Arc<BeaconState>, cost: Cost) {
        let is_welcome = self.limits.rebuilt > 0 && cost.bytes <= self.limits.bytes / 2;
        if !is_welcome && !self.pinned.contains(&root) {
            return;
        }
        self.insert(root, state, Some(cost));
        if let Some(held) = self.others.iter_mut().find(|held| held.entry.0 == root) {
            held.is_rebuilt = true;
        }
    }

    fn insert(&mut self, root: Hash256, state: Arc<BeaconState>, cost: Option<Cost>) {
        if let Some(known) = self.all().find(|held| held.entry.0 == root) {
            return self.touch(known);
        }
        // Its neighbour may have gone while the block was on its way.
        let neighbour = cost.filter(|cost| self.all().any(|held| held.entry.0 == cost.beside));
        let guess = Cost { beside: self.base.entry.0, bytes: cost.map_or(0, |cost| cost.bytes) };
        let held = Held::new((root, state), neighbour.unwrap_or(guess), neighbour.is_some());
        self.touch(&held);
        self.others.push(held);
    }

    /// These stay, whatever the limits say.
    pub fn pin(&mut self, roots: Vec<Hash256>) {
        self.pinned = roots;
    }

    /// All, which does not count as a use.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.all().map(|held| &held.entry)
    }

    /// From now on; [`HotStates::evict`] brings the numbers down.
    pub fn limit(&mut self, limits: StateLimits) {
        self.limits = limits;
    }

    /// Drops what is too much, the least recently used first, and returns it: freeing a state takes a while. While costs
    /// are estimates, which are too high, only the number counts.
    pub fn evict(&mut self) -> Vec<Arc<BeaconState>> {
        let mut evicted = Vec::new();
        let rebuilt = |held: &Held| held.is_rebuilt;
        while self.others.iter().filter(|held| rebuilt(held)).count() > self.limits.rebuilt {
            let Some(at) = self.least_used(rebuilt) else { break };
            evicted.push(self.remove(at).entry.1);
        }
        while self.others.len() > self.limits.count {
            let Some(at) = self.least_used(|_| true) else { break };
            evicted.push(self.remove(at).entry.1);
        }
        if self.others.iter().any(|held| !held.is_measured) {
            return evicted;
        }
        let (mut bytes, limit) = (self.bytes(), self.limits.bytes);
        while bytes > limit {
            let Some(at) = self.least_used(|_| true) else { break };
            let held = self.remove(at);
            // What others share with it stays: they are measured, and then we see.
            bytes -= held.cost.bytes;
            evicted.push(held.entry.1);
        }
        evicted
    }

    /// What has to be measured again, if anything has.
    pub fn to_measure(&self) -> Option<Measuring> {
        let find = |root: &Hash256| self.all().find(|held| held.entry.0 == *root).map(|held| held.entry.clone());
        let others = self.others.iter().filter(|held| !held.is_measured);
        let mut wanted: Vec<_> = others
            .map(|held| (held.entry.clone(), Some(find(&held.cost.beside).unwrap_or_else(|| self.base.entry.clone()))))
            .collect();
        if !self.base.is_measured {
            wanted.push((self.base.entry.clone(), None));
        }
        (!wanted.is_empty()).then_some(Measuring(wanted))
    }

    /// Takes what was measured, if it still is of use.
    pub fn take_measures(&mut self, costs: Vec<(Hash256, Cost)>) {
        for (root, cost) in costs {
            let held = std::iter::once(&mut self.base).chain(&mut self.others).find(|held| held.entry.0 == root);
            if let Some(held) = held
                && held.cost.beside == cost.beside
            {
                (held.cost, held.is_measured) = (cost, true);
            }
        }
    }

    /// Makes the state of `root` the base, if it is here, and drops those that `keep` does not want. Returns what was
    /// dropped.
    pub fn finalize(&mut self, root: &Hash256, keep: impl Fn(&Hash256) -> bool) -> Vec<Arc<BeaconState>> {
        let mut dropped = Vec::new();
        if let Some(at) = self.others.iter().position(|held| held.entry.0 == *root) {
            dropped.push(self.move_base(at));
        }
        while let Some(at) = self.others.iter().position(|held| !keep(&held.entry.0)) {
            dropped.push(self.remove(at).entry.1);
        }
        dropped
    }

    /// Makes one of the others the base. Returns the old one.
    fn move_base(&mut self, at: usize) -> Arc<BeaconState> {
        let mut new = self.others.swap_remove(at);
        let root = new.entry.0;
        let difference = new.cost.bytes;
        (new.cost, new.is_measured) = (Cost { beside: root, bytes: self.base.cost.bytes }, false);
        let old = std::mem::replace(&mut self.base, new);
        for held in self.others.iter_mut().filter(|held| held.cost.beside == old.entry.0) {
            held.move_beside(Cost { beside: root, bytes: difference });
        }
        old.entry.1
    }

    fn remove(&mut self, at: usize) -> Held {
        let gone = self.others.swap_remove(at);
        for held in self.others.iter_mut().filter(|held| held.cost.beside == gone.entry.0) {
            held.move_beside(gone.cost);
        }
        gone
    }

    fn least_used(&self, is_wanted: impl Fn(&Held) -> bool) -> Option<usize> {
        let others = self.others.iter().enumerate();
        let free = others.filter(|(_, held)| is_wanted(held) && !self.pinned.contains(&held.entry.0));
        free.min_by_key(|(_, held)| held.used.load(Ordering::Relaxed)).map(|(at, _)| at)
    }

    fn all(&self) -> impl Iterator<Item = &Held> {
        std::iter::once(&self.base).chain(&self.others)
    }

    fn touch(&self, held: &Held) {
        held.used.store(self.uses.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
    }
}

impl Held {
    fn new(entry: Entry, cost: Cost, is_measured: bool) -> Held {
        Held { entry, cost, is_measured, is_boundary: false, is_rebuilt: false, used: Arc::default() }
    }

    /// Its neighbour has gone: it is counted beside the neighbour's own.
    fn move_beside(&mut self, further: Cost) {
        self.cost = Cost { beside: further.beside, bytes: self.cost.bytes.saturating_add(further.bytes) };
        self.is_measured = false;
    }
}

#[cfg(test)]
mod tests;
