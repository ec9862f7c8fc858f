//! The latest confirmed block.

use super::rule::{BalanceSource, Rule, epoch_of};
use crate::types::*;

impl Rule<'_> {
    /// Keeps, drops or moves the confirmed block, and then confirms what can be confirmed above it.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fast-confirmation.md#get_latest_confirmed>
    pub fn get_latest_confirmed(&self) -> Hash256 {
        let mut confirmed_root = self.store.fast_confirmation.confirmed_root;
        if !self.is_still_confirmed(&confirmed_root) {
            confirmed_root = self.store.finalized_checkpoint.root;
        }
        if self.may_restart_at_observed(&confirmed_root) {
            confirmed_root = self.store.fast_confirmation.current_epoch_observed_justified.checkpoint.root;
        }
        match self.get_block_epoch(&confirmed_root) {
            Some(epoch) if epoch + 1 >= self.current_epoch => self.find_latest_confirmed_descendant(confirmed_root),
            _ => confirmed_root,
        }
    }

    /// Whether the confirmed block is canonical, of this or the previous epoch and, when an epoch begins, still safe.
    fn is_still_confirmed(&self, confirmed_root: &Hash256) -> bool {
        self.get_block_epoch(confirmed_root).is_some_and(|epoch| epoch + 1 >= self.current_epoch)
            && self.store.is_ancestor(&self.head, confirmed_root)
            && (!self.is_epoch_start() || self.is_confirmed_chain_safe(confirmed_root))
    }

    /// Whether the justified checkpoint that all have seen is a later place to confirm from than the confirmed block.
    fn may_restart_at_observed(&self, confirmed_root: &Hash256) -> bool {
        let observed = self.store.fast_confirmation.current_epoch_observed_justified.checkpoint;
        let (Some(block), Some(confirmed)) = (self.store.node(&observed.root), self.store.node(confirmed_root)) else {
            return false;
        };
        let head_justifies = self.store.node(&self.head).map(|head| head.unrealized_justified_checkpoint);
        self.is_epoch_start()
            && epoch_of(block) + 1 == self.current_epoch
            && head_justifies == Some(observed)
            && confirmed.slot < block.slot
    }

    /// `latest_confirmed_root` is canonical, and of this epoch or the previous one.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fast-confirmation.md#find_latest_confirmed_descendant>
    fn find_latest_confirmed_descendant(&self, latest_confirmed_root: Hash256) -> Hash256 {
        let variables = &self.store.fast_confirmation;
        let Some(source) = self.balance_source(&variables.current_epoch_observed_justified) else {
            return latest_confirmed_root;
        };
        let mut confirmed_root = latest_confirmed_root;
        if self.may_confirm_previous_epoch(&confirmed_root) {
            confirmed_root = self.confirm_previous_epoch(&source, confirmed_root);
        }
        if self.is_epoch_start() || self.justifies_previous_epoch(&self.head) {
            let tentative = self.confirm_tentatively(&source, confirmed_root);
            if self.stays_canonical(&tentative) {
                confirmed_root = tentative;
            }
        }
        confirmed_root
    }

    /// Whether blocks of the previous epoch can be confirmed at all.
    fn may_confirm_previous_epoch(&self, confirmed_root: &Hash256) -> bool {
        let previous_head = self.store.fast_confirmation.previous_slot_head;
        self.get_block_epoch(confirmed_root).is_some_and(|epoch| epoch + 1 == self.current_epoch)
            && self.has_recent_voting_source(&previous_head)
            && (self.is_epoch_start()
                || (self.will_no_conflicting_checkpoint_be_justified()
                    && (self.justifies_previous_epoch(&previous_head) || self.justifies_previous_epoch(&self.head))))
    }

    /// Goes up through the previous epoch's blocks that the previous slot's head builds on, to the first that is not
    /// safe.
    fn confirm_previous_epoch(&self, source: &BalanceSource, mut confirmed_root: Hash256) -> Hash256 {
        let previous_head = self.store.fast_confirmation.previous_slot_head;
        for at in self.get_ancestor_roots(&self.head, &confirmed_root) {
            let block = &self.store.nodes[at];
            if epoch_of(block) == self.current_epoch
                || !self.store.is_ancestor(&previous_head, &block.root)
                || !self.is_one_confirmed(source, at)
            {
                break;
            }
            confirmed_root = block.root;
        }
        confirmed_root
    }

    /// Goes up to the first block that is not safe. This epoch's are so only if its target will be justified.
    fn confirm_tentatively(&self, source: &BalanceSource, confirmed_root: Hash256) -> Hash256 {
        let mut tentative = confirmed_root;
        for at in self.get_ancestor_roots(&self.head, &confirmed_root) {
            let block = &self.store.nodes[at];
            let enters_epoch = self.get_block_epoch(&tentative).is_some_and(|epoch| epoch_of(block) > epoch);
            if (enters_epoch && !self.will_current_target_be_justified()) || !self.is_one_confirmed(source, at) {
                break;
            }
            tentative = block.root;
        }
        tentative
    }

    /// Whether a block that is safe now can't be filtered out in this epoch or the next.
    fn stays_canonical(&self, root: &Hash256) -> bool {
        self.get_block_epoch(root) == Some(self.current_epoch)
            || (self.has_recent_voting_source(root)
                && (self.is_epoch_start() || self.will_no_conflicting_checkpoint_be_justified()))
    }

    /// Whether the block's voting source is at most two epochs old.
    fn has_recent_voting_source(&self, root: &Hash256) -> bool {
        let source = self.store.node(root).map(|node| self.store.get_voting_source(node));
        source.is_some_and(|source| source.epoch.saturating_add(2) >= self.current_epoch)
    }

    /// Whether the block's chain has enough votes to justify the previous epoch or this one.
    fn justifies_previous_epoch(&self, root: &Hash256) -> bool {
        let unrealized = self.store.node(root).map(|node| node.unrealized_justified_checkpoint);
        unrealized.is_some_and(|unrealized| unrealized.epoch.saturating_add(1) >= self.current_epoch)
    }
}
