//! Whether the nodes agree.

use super::members::View;

/// What the nodes' chains say of each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All have finalized the same checkpoint, and their heads are on one chain, close to the clock.
    Agree,
    /// Not all are there yet.
    NotYet(String),
    /// They finalized different things: what must never be.
    Disagree(String),
}

/// A head may be this many slots behind the clock: its block is on the way, or its proposer is late.
const SLOTS_BEHIND: u64 = 2;

/// Judges the nodes, of which there is at least one.
pub(super) fn judge(views: &[View]) -> Verdict {
    let first = &views[0];
    for view in views {
        let (ours, theirs, number) = (first.finalized, view.finalized, view.number);
        if ours.epoch == theirs.epoch && ours.root != theirs.root {
            return Verdict::Disagree(format!(
                "in epoch {} node 1 finalized {:?} and node {number} {:?}",
                ours.epoch, ours.root, theirs.root
            ));
        }
        if ours.epoch != theirs.epoch {
            let text = format!("node 1 finalized epoch {}, node {number} epoch {}", ours.epoch, theirs.epoch);
            return Verdict::NotYet(text);
        }
        let behind = view.slot.saturating_sub(view.head_slot);
        if behind > SLOTS_BEHIND {
            return Verdict::NotYet(format!("node {number} is {behind} slots behind"));
        }
    }
    let common = views.iter().map(|view| view.head_slot).min().unwrap_or_default();
    match views.iter().find(|view| view.block_at(common).is_none() || view.block_at(common) != first.block_at(common)) {
        Some(view) => Verdict::NotYet(format!("at slot {common} nodes 1 and {} have different blocks", view.number)),
        None => Verdict::Agree,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Checkpoint, Hash256};

    fn root(n: u64) -> Hash256 {
        Hash256::left_padding_from(&n.to_be_bytes())
    }

    /// A node whose chain has a block in each slot up to `head`; `fork` names the blocks of its last slot.
    fn view(number: usize, head: u64, fork: u64) -> View {
        let branch = (0..=head).rev().map(|slot| (slot, root(slot + if slot == head { fork } else { 0 }))).collect();
        let finalized = Checkpoint { epoch: 2, root: root(2) };
        View { number, slot: 20, head_slot: head, finalized, branch, ..View::default() }
    }

    #[test]
    fn nodes_on_one_chain_agree_even_if_one_is_a_block_behind() {
        assert_eq!(judge(&[view(1, 20, 0)]), Verdict::Agree);
        assert_eq!(judge(&[view(1, 20, 0), view(2, 19, 0), view(3, 20, 0)]), Verdict::Agree);
    }

    #[test]
    fn who_is_behind_or_on_a_fork_does_not_agree_yet() {
        let not_yet = |views: &[View], word: &str| match judge(views) {
            Verdict::NotYet(why) => assert!(why.contains(word), "{why}"),
            other => panic!("{other:?}"),
        };
        not_yet(&[view(1, 20, 0), view(2, 12, 0)], "behind");
        not_yet(&[view(1, 20, 0), view(2, 20, 1000)], "different blocks");
        let mut late = view(2, 20, 0);
        late.finalized.epoch = 1;
        not_yet(&[view(1, 20, 0), late], "epoch 1");
        // A node that does not know the others' block at all.
        let mut blind = view(2, 20, 0);
        blind.branch.clear();
        not_yet(&[view(1, 20, 0), blind], "different blocks");
    }

    #[test]
    fn two_final_blocks_of_one_epoch_are_a_disagreement() {
        let mut other = view(2, 20, 0);
        other.finalized.root = root(77);
        assert!(matches!(judge(&[view(1, 20, 0), other]), Verdict::Disagree(why) if why.contains("node 2")));
    }
}
