//! The latest message of every validator, in one table.

use ssz_derive::{Decode, Encode};

use crate::types::{Epoch, ValidatorIndex};

/// No block, or one that was pruned.
pub(super) const NO_NODE: u32 = u32::MAX;
/// Stamp of a validator that never voted.
const NEVER: u32 = 0;
/// Stamp of an equivocating validator: no message is later, so it never votes again.
const EQUIVOCATING: u32 = u32::MAX;
/// Validators that are counted at most: seven times mainnet's registry, 128 MB of votes.
pub(super) const MAX_VALIDATORS: usize = 1 << 24;

/// A validator's latest message, in eight bytes: attesters come in random order, and each costs one access to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Vote {
    /// Position of the block voted for.
    pub node: u32,
    /// The target's epoch plus one; `NEVER`; `EQUIVOCATING`.
    pub stamp: u32,
}

/// Spec: `store.latest_messages` and `store.equivocating_indices`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Votes {
    /// By validator.
    pub all: Vec<Vote>,
}

impl Votes {
    /// Nobody voted; room for `validators`.
    pub fn new(validators: usize) -> Votes {
        Votes { all: vec![Vote { node: NO_NODE, stamp: NEVER }; validators.min(MAX_VALIDATORS)] }
    }

    /// Whether the vote of any of `indices` for a target of `epoch` would be later than the one before. The loop is short, so
    /// that many of its accesses to memory are under way at once; what it has seen, [`Votes::update`] finds in the cache.
    pub fn any_earlier(&self, indices: &[ValidatorIndex], epoch: Epoch) -> bool {
        let stamp = stamp_of(epoch);
        let is_earlier = |index: &ValidatorIndex| {
            let vote = self.all.get(usize::try_from(*index).unwrap_or(usize::MAX));
            vote.is_none_or(|vote| vote.stamp < stamp)
        };
        // All of them, without a branch for each.
        indices.iter().fold(false, |any, index| any | is_earlier(index))
    }

    /// Takes votes for one block where they are later than those before. `moved(n, position)` is called for each of
    /// `indices` that was taken, with the position that the validator supported until now.
    pub fn update(&mut self, indices: &[ValidatorIndex], node: u32, epoch: Epoch, mut moved: impl FnMut(usize, u32)) {
        let stamp = stamp_of(epoch);
        for (n, index) in indices.iter().enumerate() {
            let Some(vote) = self.place(*index) else { continue };
            if stamp > vote.stamp {
                moved(n, vote.node);
                *vote = Vote { node, stamp };
            }
        }
    }

    /// Takes away a validator's vote for ever. Returns the position that it supported until now.
    pub fn discard(&mut self, index: ValidatorIndex) -> Option<u32> {
        let vote = self.place(index)?;
        vote.stamp = EQUIVOCATING;
        Some(std::mem::replace(&mut vote.node, NO_NODE))
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        self.all.capacity() * size_of::<Vote>()
    }

    /// The position of the block that a validator supports, if it is still in the tree.
    pub fn node_of(&self, index: ValidatorIndex) -> Option<u32> {
        let vote = self.all.get(usize::try_from(index).ok()?)?;
        (vote.node != NO_NODE).then_some(vote.node)
    }

    /// Whether a validator was seen to equivocate.
    pub fn is_equivocating(&self, index: ValidatorIndex) -> bool {
        let vote = usize::try_from(index).ok().and_then(|at| self.all.get(at));
        vote.is_some_and(|vote| vote.stamp == EQUIVOCATING)
    }

    /// Whether anybody was seen to equivocate. Walks all validators.
    pub fn any_equivocating(&self) -> bool {
        self.all.iter().any(|vote| vote.stamp == EQUIVOCATING)
    }

    /// Where the latest message of each validator is whose target is of `epoch`: the validator, and the block's position.
    pub fn of_epoch(&self, epoch: Epoch) -> impl Iterator<Item = (ValidatorIndex, usize)> + '_ {
        let stamp = stamp_of(epoch);
        let votes = self.all.iter().zip(0..).filter(move |(vote, _)| vote.stamp == stamp && vote.node != NO_NODE);
        votes.map(|(vote, index)| (index, vote.node as usize))
    }

    /// A validator's vote; makes room for it if need be. None beyond the bound.
    fn place(&mut self, index: ValidatorIndex) -> Option<&mut Vote> {
        let at = usize::try_from(index).ok().filter(|at| *at < MAX_VALIDATORS)?;
        if at >= self.all.len() {
            self.all.resize(at + 1, Vote { node: NO_NODE, stamp: NEVER });
        }
        Some(&mut self.all[at])
    }
}

/// Epochs come near 2^32 in no chain; one that did would count as the last possible one.
fn stamp_of(epoch: Epoch) -> u32 {
    u32::try_from(epoch.saturating_add(1)).unwrap_or(EQUIVOCATING).min(EQUIVOCATING - 1)
}
