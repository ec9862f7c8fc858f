//! The attestation pool: votes by slot, data and committee, for aggregators and for the blocks that we propose.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use ssz_types::{BitList, BitVector};

use super::votes::{Sums, Votes};
use crate::{
    chain::memory::hash_map_bytes,
    types::{preset::*, *},
};

/// Slots whose votes are kept: a block may include those of its epoch and of the one before.
pub const SLOTS_KEPT: u64 = 2 * SLOTS_PER_EPOCH;
/// Different votes kept for one slot. On a healthy chain there are a handful; what is beyond these few dozen is not
/// worth a place in a block.
pub const DATA_PER_SLOT: usize = 64;
/// Sums kept in all, some 400 bytes each: two epochs of mainnet's 64 committees with four sums for each, twice over.
pub const MAX_POOLED: usize = 1 << 15;

/// The votes of a slot for the same data, by committee.
#[derive(Clone, Debug)]
pub struct DataVotes {
    /// What they vote for.
    pub data: AttestationData,
    /// By committee.
    pub committees: BTreeMap<CommitteeIndex, Sums>,
}

/// The pool. Every vote in it was verified by whoever put it in.
#[derive(Debug, Default)]
pub struct AttestationPool {
    slots: BTreeMap<Slot, HashMap<Hash256, Arc<DataVotes>>>,
    sums: usize,
}

impl AttestationPool {
    /// Adds votes of one committee for `data`, whose root is `root`. Says whether any was new.
    pub fn insert(&mut self, data: &AttestationData, root: Hash256, committee: CommitteeIndex, votes: Votes) -> bool {
        let newest = self.slots.last_key_value().map_or(data.slot, |(slot, _)| (*slot).max(data.slot));
        if data.slot + SLOTS_KEPT <= newest {
            return false;
        }
        let of_slot = self.slots.entry(data.slot).or_default();
        if of_slot.len() >= DATA_PER_SLOT && !of_slot.contains_key(&root) {
            return false;
        }
        let entry = of_slot.entry(root).or_insert_with(|| {
            let committees = BTreeMap::new();
            Arc::new(DataVotes { data: *data, committees })
        });
        let sums = Arc::make_mut(entry).committees.entry(committee).or_default();
        let before = sums.number();
        let is_new = sums.insert(votes);
        self.sums = self.sums + sums.number() - before;
        self.prune(newest);
        is_new
    }

    /// Adds a verified aggregate of one committee, as gossip and the API carry them.
    pub fn insert_aggregate(&mut self, aggregate: &Attestation, root: Hash256) -> bool {
        let Some((committee, votes)) = votes_of(aggregate) else { return false };
        self.insert(&aggregate.data, root, committee, votes)
    }

    /// The best aggregate of a committee for the data with this root.
    pub fn aggregate(&self, slot: Slot, root: Hash256, committee: CommitteeIndex) -> Option<Attestation> {
        let votes = self.slots.get(&slot)?.get(&root)?;
        let best = votes.committees.get(&committee)?.best()?;
        Some(compute_on_chain_aggregate(&votes.data, &[(committee, best)]))
    }

    /// Everything, newest slots first, for a block to choose from. Shared, not copied.
    pub fn candidates(&self) -> Vec<Arc<DataVotes>> {
        self.slots.values().rev().flat_map(|of_slot| of_slot.values().cloned()).collect()
    }

    /// Sums in the pool.
    pub fn number(&self) -> usize {
        self.sums
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        let of_committees = |sums: &BTreeMap<CommitteeIndex, Sums>| {
            sums.values().map(|sums| size_of::<(CommitteeIndex, Sums)>() + sums.bytes()).sum::<usize>()
        };
        let of_data = |votes: &Arc<DataVotes>| size_of::<DataVotes>() + of_committees(&votes.committees);
        let of_slot = |slot: &HashMap<Hash256, Arc<DataVotes>>| {
            hash_map_bytes::<Hash256, Arc<DataVotes>>(slot.capacity()) + slot.values().map(of_data).sum::<usize>()
        };
        self.slots.values().map(of_slot).sum()
    }

    /// Drops what is too old, and the oldest slot while there is too much.
    fn prune(&mut self, newest: Slot) {
        while let Some(oldest) = self.slots.first_entry() {
            if oldest.key() + SLOTS_KEPT > newest && self.sums <= MAX_POOLED {
                return;
            }
            let dropped = oldest.remove();
            self.sums -= dropped.values().flat_map(|votes| votes.committees.values()).map(Sums::number).sum::<usize>();
        }
    }
}

/// The committee and the votes of an attestation of a single committee.
fn votes_of(attestation: &Attestation) -> Option<(CommitteeIndex, Votes)> {
    let mut committees = attestation.committee_bits.iter().enumerate().filter(|(_, set)| *set);
    let (Some((committee, _)), None) = (committees.next(), committees.next()) else { return None };
    let signature = crate::crypto::Signature::from_bytes(&attestation.signature).ok()?;
    Some((committee as CommitteeIndex, Votes::new(attestation.aggregation_bits.clone(), &signature)))
}

/// One attestation of several committees' votes for the same data; `parts` are in the committees' order.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/validator.md#attestations>
pub fn compute_on_chain_aggregate(data: &AttestationData, parts: &[(CommitteeIndex, &Votes)]) -> Attestation {
    let length = parts.iter().map(|(_, votes)| votes.bits.len()).sum();
    let mut aggregation_bits = BitList::with_capacity(length).expect("committees of a slot fit the list");
    let mut committee_bits = BitVector::new();
    let mut offset = 0;
    for (committee, votes) in parts {
        committee_bits.set(*committee as usize, true).expect("a committee of the slot");
        for (place, set) in votes.bits.iter().enumerate() {
            aggregation_bits.set(offset + place, set).expect("within the sum of the lengths");
        }
        offset += votes.bits.len();
    }
    let mut signature = crate::crypto::AggregateSignature::from_signatures([]);
    parts.iter().for_each(|(_, votes)| signature.add(&votes.signature.to_signature()));
    Attestation { aggregation_bits, data: *data, signature: signature.to_signature().to_bytes(), committee_bits }
}
