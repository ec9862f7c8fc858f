//! The sync committee pool: members' signatures of a head, by slot and head.

use std::collections::BTreeMap;

use ssz_types::BitVector;

use super::votes::{Bits, Sums, Votes};
use crate::{
    crypto::{AggregateSignature, Signature},
    types::{preset::*, *},
};

/// Slots whose signatures are kept: a block includes those of the slot before it, and a contribution is asked for within
/// its slot.
pub const SLOTS_KEPT: u64 = 4;
/// Heads signed in one slot. There are two when the chain forks; more are not worth remembering.
pub const HEADS_PER_SLOT: usize = 8;
/// Places in a subcommittee.
pub const SUBCOMMITTEE_SIZE: usize = SYNC_COMMITTEE_SIZE / SYNC_COMMITTEE_SUBNET_COUNT;

type OfHead = [Sums; SYNC_COMMITTEE_SUBNET_COUNT];

/// The pool. Every signature in it was verified by whoever put it in.
#[derive(Debug, Default)]
pub struct SyncPool {
    slots: BTreeMap<Slot, BTreeMap<Hash256, OfHead>>,
}

impl SyncPool {
    /// Adds signatures of one subcommittee. Says whether any was new.
    pub fn insert(&mut self, slot: Slot, head: Hash256, subcommittee: usize, votes: Votes) -> bool {
        let newest = self.slots.last_key_value().map_or(slot, |(newest, _)| (*newest).max(slot));
        if slot + SLOTS_KEPT <= newest || votes.bits.len() != SUBCOMMITTEE_SIZE {
            return false;
        }
        let heads = self.slots.entry(slot).or_default();
        if heads.len() >= HEADS_PER_SLOT && !heads.contains_key(&head) {
            return false;
        }
        let is_new = heads.entry(head).or_default().get_mut(subcommittee).is_some_and(|sums| sums.insert(votes));
        self.slots = self.slots.split_off(&(newest + 1).saturating_sub(SLOTS_KEPT));
        is_new
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        let heads = self.slots.values().flat_map(BTreeMap::values);
        heads.map(|head| size_of_val(head) + head.iter().map(Sums::bytes).sum::<usize>()).sum()
    }

    /// Adds a verified contribution.
    pub fn insert_contribution(&mut self, contribution: &SyncCommitteeContribution) -> bool {
        let Ok(signature) = Signature::from_bytes(&contribution.signature) else { return false };
        let mut bits = Bits::with_capacity(SUBCOMMITTEE_SIZE).expect("less than the attesters of a slot");
        for (place, set) in contribution.aggregation_bits.iter().enumerate() {
            bits.set(place, set).expect("as many places");
        }
        let subcommittee = contribution.subcommittee_index as usize;
        self.insert(contribution.slot, contribution.beacon_block_root, subcommittee, Votes::new(bits, &signature))
    }

    /// The best contribution of a subcommittee.
    pub fn contribution(&self, slot: Slot, subcommittee: u64, head: Hash256) -> Option<SyncCommitteeContribution> {
        let best = self.slots.get(&slot)?.get(&head)?.get(subcommittee as usize)?.best()?;
        let mut aggregation_bits = BitVector::new();
        for (place, set) in best.bits.iter().enumerate() {
            aggregation_bits.set(place, set).expect("as many places");
        }
        Some(SyncCommitteeContribution {
            slot,
            beacon_block_root: head,
            subcommittee_index: subcommittee,
            aggregation_bits,
            signature: best.signature.to_signature().to_bytes(),
        })
    }

    /// What a block on top of `parent` includes of the slot before it: nobody, if nobody signed.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/validator.md#sync-committee>
    pub fn sync_aggregate(&self, slot: Slot, parent: Hash256) -> SyncAggregate {
        let mut sync_committee_bits = BitVector::new();
        let mut sum = AggregateSignature::from_signatures([]);
        let known = self.slots.get(&slot).and_then(|heads| heads.get(&parent));
        for (subcommittee, sums) in known.into_iter().flatten().enumerate() {
            let Some(best) = sums.best() else { continue };
            for (place, set) in best.bits.iter().enumerate() {
                let place = subcommittee * SUBCOMMITTEE_SIZE + place;
                sync_committee_bits.set(place, set).expect("as many places");
            }
            sum.add(&best.signature.to_signature());
        }
        SyncAggregate { sync_committee_bits, sync_committee_signature: sum.to_signature().to_bytes() }
    }
}
