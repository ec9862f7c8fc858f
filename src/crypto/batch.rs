//! Many signatures in one multi-pairing.
//!
//! Each set is multiplied by its own random coefficient before all are added up, so that errors in one cannot cancel
//! those in another: a false batch passes with probability 2^-63.
//! <https://ethresear.ch/t/fast-verification-of-multiple-bls-signatures/5407>

use blst::{BLST_ERROR, MultiPoint, Pairing, blst_p1_affine, blst_p2_affine, min_pk};
use rand::RngCore as _;

use super::bls::{DST, PublicKey, Signature};
use crate::types::{BLSSignature, G2_POINT_AT_INFINITY, Hash256};

/// Bits of a random coefficient: the usual trade between work and certainty.
const COEFFICIENT_BITS: usize = 64;

/// One claim: `key` signed `message`.
#[derive(Clone, Debug)]
pub struct SignatureSet {
    /// As it came; it is decompressed when it is verified.
    pub signature: BLSSignature,
    /// One key, or the sum of all that signed.
    pub key: PublicKey,
    /// The signing root.
    pub message: Hash256,
}

/// A set whose signature is a point, and which is not false at first sight.
struct Parsed {
    signature: min_pk::Signature,
    key: min_pk::PublicKey,
    message: Hash256,
}

/// Whether all sets are true; of none, true. Costs about 0.7 ms a set, less where messages repeat.
pub fn verify_sets(sets: &[SignatureSet]) -> bool {
    let parsed: Option<Vec<_>> = sets.iter().map(Parsed::new).collect();
    parsed.is_some_and(|parsed| verify_parsed(&parsed.iter().collect::<Vec<_>>()))
}

/// Which sets are true. One batch when all are; each false one costs about `2 log2(n)` smaller batches more.
pub fn verify_each(sets: &[SignatureSet]) -> Vec<bool> {
    let mut verdicts = vec![false; sets.len()];
    let (indices, parsed): (Vec<_>, Vec<_>) =
        sets.iter().enumerate().filter_map(|(i, set)| Some((i, Parsed::new(set)?))).unzip();
    bisect(&parsed.iter().collect::<Vec<_>>(), &indices, &mut verdicts);
    verdicts
}

/// Fills in the verdicts of `sets`, whose places are `indices`.
fn bisect(sets: &[&Parsed], indices: &[usize], verdicts: &mut [bool]) {
    if verify_parsed(sets) {
        indices.iter().for_each(|&i| verdicts[i] = true);
    } else if sets.len() > 1 {
        let half = sets.len() / 2;
        bisect(&sets[..half], &indices[..half], verdicts);
        bisect(&sets[half..], &indices[half..], verdicts);
    }
}

impl Parsed {
    /// `None` if the set is false for sure: no signature, or the point at infinity on either side (a key that is not
    /// infinite never makes an infinite signature, and nothing verifies against an infinite key).
    fn new(set: &SignatureSet) -> Option<Parsed> {
        let Signature(signature) = Signature::from_bytes(&set.signature).ok()?;
        let infinite = set.key.is_infinity() || set.signature == G2_POINT_AT_INFINITY;
        (!infinite).then_some(Parsed { signature, key: set.key.0, message: set.message })
    }
}

/// One multi-pairing: a pair for each message that differs, and one for the sum of the signatures.
fn verify_parsed(sets: &[&Parsed]) -> bool {
    if sets.is_empty() {
        return true;
    }
    let mut sorted = sets.to_vec();
    sorted.sort_unstable_by_key(|set| set.message);
    let mut pairing = Pairing::new(true, DST);
    let mut groups = sorted.chunk_by(|a, b| a.message == b.message);
    groups.all(|group| add_group(&mut pairing, group) == BLST_ERROR::BLST_SUCCESS) && {
        pairing.commit();
        pairing.finalverify(None)
    }
}

/// Adds the sets of one message, as one pair: the sums of their keys and signatures, times their coefficients.
fn add_group(pairing: &mut Pairing, group: &[&Parsed]) -> BLST_ERROR {
    let mut coefficients = vec![0; group.len() * COEFFICIENT_BITS / 8];
    rand::rng().fill_bytes(&mut coefficients);
    // Odd numbers, so that none is zero; 63 random bits remain.
    coefficients.iter_mut().step_by(COEFFICIENT_BITS / 8).for_each(|low| *low |= 1);

    let message = group[0].message;
    if let [set] = group {
        let (key, signature): (&blst_p1_affine, &blst_p2_affine) = ((&set.key).into(), (&set.signature).into());
        return pairing.mul_n_aggregate(
            key,
            false,
            signature,
            false,
            &coefficients,
            COEFFICIENT_BITS,
            message.as_slice(),
            &[],
        );
    }
    let keys: Vec<_> = group.iter().map(|set| set.key).collect();
    let signatures: Vec<_> = group.iter().map(|set| set.signature).collect();
    let key: blst_p1_affine = keys.mult(&coefficients, COEFFICIENT_BITS).to_public_key().into();
    let signature: blst_p2_affine = signatures.mult(&coefficients, COEFFICIENT_BITS).to_signature().into();
    pairing.aggregate(&key, false, &signature, false, message.as_slice(), &[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{AggregatePublicKey, SecretKey};

    fn set(number: u8, message: u8) -> SignatureSet {
        let mut bytes = [0; 32];
        bytes[31] = number;
        let (secret_key, message) = (SecretKey::from_bytes(&bytes).unwrap(), Hash256::repeat_byte(message));
        SignatureSet { signature: secret_key.sign(message).to_bytes(), key: secret_key.public_key(), message }
    }

    /// Twelve sets; some messages repeat.
    fn sets() -> Vec<SignatureSet> {
        (1..=12).map(|n| set(n, n.min(8))).collect()
    }

    #[test]
    fn true_sets_verify() {
        assert!(verify_sets(&[]));
        assert!(verify_sets(&sets()[..1]));
        assert!(verify_sets(&sets()));
        assert_eq!(verify_each(&sets()), vec![true; 12]);
    }

    #[test]
    fn the_same_set_many_times_verifies() {
        assert!(verify_sets(&vec![set(1, 1); 40]));
    }

    #[test]
    fn every_way_to_be_false_is_found() {
        let mut bad = sets();
        bad[1].message = Hash256::ZERO;
        bad[4].signature = BLSSignature::ZERO;
        bad[6].signature = G2_POINT_AT_INFINITY;
        bad[9].key = set(1, 1).key;
        bad[11].key = AggregatePublicKey::from_keys([]).to_public_key();
        assert!(!verify_sets(&bad));
        let expected: Vec<_> = (0..12).map(|i| ![1, 4, 6, 9, 11].contains(&i)).collect();
        assert_eq!(verify_each(&bad), expected);
    }

    /// Without coefficients these two errors would cancel each other.
    #[test]
    fn swapped_signatures_of_one_message_are_found() {
        let mut bad = vec![set(1, 5), set(2, 5)];
        let first = bad[0].signature;
        bad[0].signature = bad[1].signature;
        bad[1].signature = first;
        assert!(!verify_sets(&bad));
        assert_eq!(verify_each(&bad), [false, false]);
    }
}
