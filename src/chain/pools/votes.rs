//! Signatures of a committee for one message, summed as they come.

use ssz_types::BitList;

use crate::{
    crypto::{AggregateSignature, Signature},
    types::preset::MaxAttestersPerSlot,
};

/// Overlapping sums kept for a committee and message. What can be merged is merged, so a second one exists only where
/// aggregators saw different parts; four lose next to nothing.
pub const MAX_SUMS: usize = 4;

/// A bit for each member of a committee, or of a sync subcommittee.
pub type Bits = BitList<MaxAttestersPerSlot>;

/// Some members' signatures, summed.
#[derive(Clone, Debug)]
pub struct Votes {
    /// Whose.
    pub bits: Bits,
    /// Their sum.
    pub signature: AggregateSignature,
}

impl Votes {
    /// Signatures that came summed, or one alone.
    pub fn new(bits: Bits, signature: &Signature) -> Self {
        Votes { bits, signature: AggregateSignature::from_signatures([signature]) }
    }

    /// One member's signature, once for each of its places (a sync committee may have a member twice). `None` if a place
    /// is beyond the committee's size.
    pub fn single(size: usize, places: &[usize], signature: &Signature) -> Option<Self> {
        let mut bits = Bits::with_capacity(size).ok()?;
        let mut sum = AggregateSignature::from_signatures([]);
        for &place in places {
            bits.set(place, true).ok()?;
            sum.add(signature);
        }
        Some(Votes { bits, signature: sum })
    }

    /// Adds votes of others; nobody may be in both.
    fn merge(&mut self, other: &Votes) {
        self.bits = self.bits.union(&other.bits);
        self.signature.add(&other.signature.to_signature());
    }

    fn count(&self) -> usize {
        self.bits.num_set_bits()
    }
}

/// All that is known of one committee's votes for one message.
#[derive(Clone, Debug, Default)]
pub struct Sums(Vec<Votes>);

impl Sums {
    /// Adds votes: drops what is contained in something else, and merges what does not overlap. Says whether any was new.
    pub fn insert(&mut self, mut votes: Votes) -> bool {
        if self.0.iter().any(|known| votes.bits.is_subset(&known.bits)) {
            return false;
        }
        self.0.retain(|known| {
            if known.bits.is_subset(&votes.bits) {
                return false;
            }
            let disjoint = known.bits.intersection(&votes.bits).is_zero();
            if disjoint {
                votes.merge(known);
            }
            !disjoint
        });
        if self.0.len() < MAX_SUMS {
            self.0.push(votes);
            return true;
        }
        let smallest = self.0.iter_mut().min_by_key(|known| known.count()).expect("as many as allowed");
        if smallest.count() < votes.count() {
            *smallest = votes;
            return true;
        }
        false
    }

    /// The sum of most members.
    pub fn best(&self) -> Option<&Votes> {
        self.0.iter().max_by_key(|votes| votes.count())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Votes> {
        self.0.iter()
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        let bits: usize = self.0.iter().map(|votes| votes.bits.len() / 8 + 1).sum();
        self.0.capacity() * size_of::<Votes>() + bits
    }

    /// How many sums.
    pub fn number(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        crypto::{PublicKey, SecretKey, fast_aggregate_verify},
        types::{BLSPubkey, Hash256},
    };

    const SIZE: usize = 8;
    const MESSAGE: Hash256 = Hash256::repeat_byte(5);

    fn key(member: usize) -> SecretKey {
        let mut bytes = [0; 32];
        bytes[31] = member as u8 + 1;
        SecretKey::from_bytes(&bytes).unwrap()
    }

    fn votes(members: &[usize]) -> Votes {
        let mut bits = Bits::with_capacity(SIZE).unwrap();
        members.iter().for_each(|&member| bits.set(member, true).unwrap());
        let signatures: Vec<_> = members.iter().map(|&member| key(member).sign(MESSAGE)).collect();
        Votes::new(bits, &AggregateSignature::from_signatures(&signatures).to_signature())
    }

    fn members(votes: &Votes) -> Vec<usize> {
        (0..votes.bits.len()).filter(|&i| votes.bits.get(i).unwrap()).collect()
    }

    fn assert_verifies(votes: &Votes) {
        let keys: Vec<BLSPubkey> =
            members(votes).into_iter().map(|i| key(i).public_key()).map(|key: PublicKey| key.to_compressed()).collect();
        assert!(fast_aggregate_verify(&keys, MESSAGE, &votes.signature.to_signature().to_bytes()));
    }

    #[test]
    fn disjoint_votes_become_one_sum_that_verifies() {
        let mut sums = Sums::default();
        for part in [&[0][..], &[3, 4], &[7]] {
            assert!(sums.insert(votes(part)));
        }
        assert_eq!(sums.number(), 1);
        assert_eq!(members(sums.best().unwrap()), [0, 3, 4, 7]);
        assert_verifies(sums.best().unwrap());
    }

    #[test]
    fn overlapping_votes_stay_apart_and_contained_ones_go() {
        let mut sums = Sums::default();
        assert!(sums.insert(votes(&[0, 1, 2])));
        assert!(sums.insert(votes(&[2, 3])));
        assert!(!sums.insert(votes(&[1, 2])), "contained in the first");
        assert_eq!(sums.number(), 2);
        assert!(sums.insert(votes(&[0, 1, 2, 3])), "contains both");
        assert_eq!(sums.number(), 1);
        assert_verifies(sums.best().unwrap());
    }

    #[test]
    fn a_sum_can_join_two_that_overlap_with_neither() {
        let mut sums = Sums::default();
        sums.insert(votes(&[0, 1]));
        sums.insert(votes(&[1, 2]));
        assert!(sums.insert(votes(&[5])));
        assert_eq!(sums.number(), 2);
        assert_eq!(sums.best().unwrap().bits.num_set_bits(), 3);
        sums.iter().for_each(assert_verifies);
    }

    #[test]
    fn no_more_sums_than_allowed_and_the_larger_ones_stay() {
        let mut sums = Sums::default();
        for other in 1..=MAX_SUMS {
            assert!(sums.insert(votes(&[0, other])));
        }
        assert!(!sums.insert(votes(&[0, 7])), "no larger than what is there");
        assert_eq!(sums.number(), MAX_SUMS);
        assert!(sums.insert(votes(&[0, 1, 6, 7])));
        assert!(sums.number() <= MAX_SUMS);
        assert_eq!(members(sums.best().unwrap()), [0, 1, 6, 7]);
    }

    #[test]
    fn a_member_with_two_places_signs_for_both() {
        let single = Votes::single(SIZE, &[2, 5], &key(2).sign(MESSAGE)).unwrap();
        assert_eq!(members(&single), [2, 5]);
        let keys = [key(2).public_key().to_compressed(); 2];
        assert!(fast_aggregate_verify(&keys, MESSAGE, &single.signature.to_signature().to_bytes()));
        assert!(Votes::single(SIZE, &[SIZE], &key(2).sign(MESSAGE)).is_none());
    }
}
