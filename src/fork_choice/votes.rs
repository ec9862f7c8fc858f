//! The latest message of every validator, in two columns.

use crate::types::{Epoch, ValidatorIndex};

/// No block, or one that was pruned.
pub(super) const NO_NODE: u32 = u32::MAX;
/// Stamp of a validator that never voted.
const NEVER: u32 = 0;
/// Stamp of an equivocating validator: no message is later, so it never votes again.
const EQUIVOCATING: u32 = u32::MAX;
/// Validators that are counted at most: seven times mainnet's registry, 128 MB of votes.
pub(super) const MAX_VALIDATORS: usize = 1 << 24;

/// Spec: `store.latest_messages` and `store.equivocating_indices`. Eight bytes a validator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Votes {
    /// Position of the block voted for.
    pub nodes: Vec<u32>,
    /// The target's epoch plus one; `NEVER`; `EQUIVOCATING`.
    pub stamps: Vec<u32>,
}

impl Votes {
    /// Nobody voted; room for `validators`.
    pub fn new(validators: usize) -> Votes {
        let len = validators.min(MAX_VALIDATORS);
        Votes { nodes: vec![NO_NODE; len], stamps: vec![NEVER; len] }
    }

    /// Takes a vote if it is later than the one before. Returns the position that the validator supported until now.
    pub fn update(&mut self, index: ValidatorIndex, node: u32, epoch: Epoch) -> Option<u32> {
        let at = self.place(index)?;
        let stamp = stamp_of(epoch);
        if stamp <= self.stamps[at] {
            return None;
        }
        self.stamps[at] = stamp;
        Some(std::mem::replace(&mut self.nodes[at], node))
    }

    /// Takes away a validator's vote for ever. Returns the position that it supported until now.
    pub fn discard(&mut self, index: ValidatorIndex) -> Option<u32> {
        let at = self.place(index)?;
        self.stamps[at] = EQUIVOCATING;
        Some(std::mem::replace(&mut self.nodes[at], NO_NODE))
    }

    /// Whether a validator was seen to equivocate.
    pub fn is_equivocating(&self, index: ValidatorIndex) -> bool {
        usize::try_from(index).is_ok_and(|at| self.stamps.get(at) == Some(&EQUIVOCATING))
    }

    /// Whether anybody was seen to equivocate. Walks all validators.
    pub fn any_equivocating(&self) -> bool {
        self.stamps.contains(&EQUIVOCATING)
    }

    /// Where the latest message of each validator is whose target is of `epoch`: the validator, and the block's position.
    pub fn of_epoch(&self, epoch: Epoch) -> impl Iterator<Item = (ValidatorIndex, usize)> + '_ {
        let stamp = stamp_of(epoch);
        let votes = self.nodes.iter().zip(&self.stamps).zip(0..);
        votes
            .filter_map(move |((&node, &of), index)| (of == stamp && node != NO_NODE).then_some((index, node as usize)))
    }

    /// Where a validator's vote is; makes room for it if need be. None beyond the bound.
    fn place(&mut self, index: ValidatorIndex) -> Option<usize> {
        let at = usize::try_from(index).ok().filter(|at| *at < MAX_VALIDATORS)?;
        if at >= self.nodes.len() {
            self.nodes.resize(at + 1, NO_NODE);
            self.stamps.resize(at + 1, NEVER);
        }
        Some(at)
    }
}

/// Epochs come near 2^32 in no chain; one that did would count as the last possible one.
fn stamp_of(epoch: Epoch) -> u32 {
    u32::try_from(epoch.saturating_add(1)).unwrap_or(EQUIVOCATING).min(EQUIVOCATING - 1)
}
