//! What a message is judged against.

use std::sync::Arc;

use crate::{
    chain::{BlockError, Snapshot, gossip::Seen, recent::RecentMap},
    crypto::{PubkeyCache, compute_domain},
    transition::{Context, TransitionError, get_beacon_proposer_index, get_public_key},
    types::{preset::*, *},
};

/// Why a block is known to be invalid, as far as it matters to the rules of gossip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidBlock {
    /// It, or one that it builds on, breaks a rule that everybody can check.
    ByRules,
    /// It is known what the execution client says of its payload. Who has not asked one may not know that it is invalid.
    PayloadVerified,
}

/// Roots of blocks that are invalid.
pub type InvalidBlocks = RecentMap<Hash256, InvalidBlock>;

/// The chain as it is when a message is judged.
pub struct View<'a> {
    /// The network's configuration.
    pub config: &'a Config,
    /// Decompressed keys.
    pub keys: &'a PubkeyCache,
    /// The blocks that are known, and some of their states.
    pub snapshot: &'a Snapshot,
    /// The head's state; advanced, where the head is much older than the clock, so that it knows the epoch's committees.
    pub state: &'a BeaconState,
    /// Blocks that failed.
    pub invalid_blocks: &'a InvalidBlocks,
    /// What was accepted before.
    pub seen: &'a Seen,
    /// The time in milliseconds since 1970.
    pub now_ms: u64,
}

impl View<'_> {
    pub(super) fn context(&self) -> Context<'_> {
        Context { config: self.config, keys: self.keys }
    }

    /// What messages of a kind are signed for in `epoch`. The specification takes the version from the state; ours knows it
    /// for epochs of the next fork, too.
    pub(super) fn domain(&self, domain_type: DomainType, epoch: Epoch) -> Domain {
        compute_domain(domain_type, self.config.fork_version(epoch), self.state.genesis_validators_root)
    }

    pub(super) fn public_key(&self, index: ValidatorIndex) -> Result<crate::crypto::PublicKey, TransitionError> {
        get_public_key(self.state, index, &self.context())
    }

    /// That a block, or one's parent, was not found invalid before.
    pub fn check_not_invalid(&self, root: &Hash256) -> Result<(), BlockError> {
        match self.invalid_blocks.get(root) {
            Some(InvalidBlock::ByRules) => Err(BlockError::KnownInvalid),
            Some(InvalidBlock::PayloadVerified) => Err(BlockError::InvalidPayload),
            None => Ok(()),
        }
    }

    pub(super) fn is_validator(&self, index: ValidatorIndex) -> bool {
        index < self.state.validators.len() as u64
    }

    /// When a slot starts, in milliseconds since 1970; the end of time for one that is too far away.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/p2p-interface.md#compute_time_at_slot_ms>
    pub(super) fn compute_time_at_slot_ms(&self, slot: Slot) -> u64 {
        let genesis_ms = self.state.genesis_time.saturating_mul(1000);
        genesis_ms.saturating_add(slot.saturating_mul(self.config.slot_duration_ms))
    }

    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/p2p-interface.md#is_future_slot>
    pub(super) fn is_future_slot(&self, slot: Slot) -> bool {
        let latest = self.now_ms.saturating_add(self.config.maximum_gossip_clock_disparity);
        latest < self.compute_time_at_slot_ms(slot)
    }

    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/p2p-interface.md#is_within_slot_range>
    pub(super) fn is_within_slot_range(&self, slot: Slot, slot_range: u64) -> bool {
        let end_ms = self.compute_time_at_slot_ms(slot.saturating_add(slot_range).saturating_add(1));
        !self.is_future_slot(slot) && end_ms.saturating_add(self.config.maximum_gossip_clock_disparity) >= self.now_ms
    }

    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/p2p-interface.md#new-is_current_slot>
    pub(super) fn is_current_slot(&self, slot: Slot) -> bool {
        self.is_within_slot_range(slot, 0)
    }

    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/deneb/p2p-interface.md#new-is_within_epoch>
    fn is_within_epoch(&self, epoch: Epoch) -> bool {
        self.is_within_slot_range(compute_start_slot_at_epoch(epoch), SLOTS_PER_EPOCH - 1)
    }

    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/deneb/p2p-interface.md#new-is_current_or_previous_epoch>
    pub(super) fn is_current_or_previous_epoch(&self, epoch: Epoch) -> bool {
        self.is_within_epoch(epoch) || self.is_within_epoch(epoch.saturating_add(1))
    }

    /// Whether a slot is after the finalized one.
    pub(super) fn is_after_finalized(&self, slot: Slot) -> bool {
        slot > compute_start_slot_at_epoch(self.snapshot.finalized.epoch)
    }

    /// Whether the blocks that are known descend from the finalized one. The store drops all others when it finalizes, so
    /// no branch has to be walked: it is enough that the finalized block is among them.
    pub(super) fn is_on_finalized_chain(&self) -> bool {
        self.snapshot.contains(&self.snapshot.finalized.root)
    }

    /// Who proposes in `slot` on top of a known block, if its state, or another that must say the same, is at hand and can tell
    /// without being advanced.
    pub(super) fn expected_proposer(&self, parent_root: &Hash256, slot: Slot) -> Option<ValidatorIndex> {
        let by_parent = self.snapshot.state(parent_root).and_then(|state| proposer_at(&state, slot));
        by_parent.or_else(|| self.proposer_by_kin(parent_root, slot))
    }

    /// The same by the states of other blocks: since Fulu an epoch's proposers are settled when the epoch before it begins, so all
    /// branches that part later have the same.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/beacon-chain.md#new-process_proposer_lookahead>
    fn proposer_by_kin(&self, parent_root: &Hash256, slot: Slot) -> Option<ValidatorIndex> {
        let epoch = compute_epoch_at_slot(slot);
        let before = epoch.checked_sub(1)?;
        if self.config.fork_name(before)? < ForkName::Fulu || !self.snapshot.contains(parent_root) {
            return None;
        }
        let settled = compute_start_slot_at_epoch(before).checked_sub(1)?;
        // None where the finalized block is later, from which all descend.
        let settling = |root: &Hash256| self.snapshot.ancestor(*root, settled);
        let ours = settling(parent_root);
        let is_kin = |(root, state): &&(Hash256, Arc<BeaconState>)| {
            let knows = (before..=epoch).contains(&state.current_epoch());
            knows && self.snapshot.contains(root) && settling(root) == ours
        };
        self.snapshot.states.iter().find(is_kin).and_then(|(_, state)| proposer_at(state, slot))
    }
}

/// Who proposes in `slot`, if a state that is not advanced to it can tell: in its own epoch, and since Fulu in the next.
pub(crate) fn proposer_at(state: &BeaconState, slot: Slot) -> Option<ValidatorIndex> {
    let epochs_ahead = compute_epoch_at_slot(slot).checked_sub(state.current_epoch())?;
    if state.fork_name >= ForkName::Fulu {
        let at = usize::try_from(epochs_ahead.checked_mul(SLOTS_PER_EPOCH)? + slot % SLOTS_PER_EPOCH).ok()?;
        return (at < state.proposer_lookahead.len()).then(|| state.proposer_lookahead[at]);
    }
    if epochs_ahead > 0 {
        return None;
    }
    let mut at_slot = state.clone();
    at_slot.slot = slot;
    get_beacon_proposer_index(&at_slot).ok()
}
