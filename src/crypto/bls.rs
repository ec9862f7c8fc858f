//! BLS signatures on blst: keys of 48 bytes in G1, signatures of 96 bytes in G2.
//!
//! The functions of the specification keep their names (in snake case) and take compressed bytes; the node's own paths
//! use the parsed types, because decompressing a key costs more than adding it.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#bls-signatures>

use std::{convert::Infallible, fmt};

use blst::{BLST_ERROR, MultiPoint as _, min_pk};

use crate::types::{BLSPubkey, BLSSignature, G2_POINT_AT_INFINITY, Hash256};

/// The ciphersuite: signatures in G2, proofs of possession.
pub(super) const DST: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";

/// Keys that are summed at once: blst shares the costly inversion among as many. Also a bound on what is copied, 96 KiB.
const KEYS_AT_ONCE: usize = 1024;

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlsError {
    /// Not a point of the curve, not in the subgroup, or the point at infinity.
    #[error("the bytes are not a valid BLS public key")]
    InvalidPublicKey,
    /// Not a point of the curve, or not in the subgroup.
    #[error("the bytes are not a valid BLS signature")]
    InvalidSignature,
    /// Zero, or not below the order of the group.
    #[error("the 32 bytes are not a valid BLS secret key")]
    InvalidSecretKey,
    /// The sum of nothing.
    #[error("there is nothing to aggregate")]
    NothingToAggregate,
}

/// A secret key; its memory is overwritten when it is dropped, and it does not print itself.
#[derive(Clone)]
pub struct SecretKey(min_pk::SecretKey);

impl SecretKey {
    /// From a big-endian number.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<SecretKey, BlsError> {
        min_pk::SecretKey::from_bytes(bytes).map(SecretKey).map_err(|_| BlsError::InvalidSecretKey)
    }

    /// The public key of this secret key.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.sk_to_pk())
    }

    /// The signature of a signing root.
    pub fn sign(&self, message: Hash256) -> Signature {
        Signature(self.0.sign(message.as_slice(), DST, &[]))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// A public key that was checked, as an affine point of 96 bytes: ready to be added.
///
/// It may be the sum of keys, and only then (or by default) the point at infinity; nothing verifies against that.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct PublicKey(pub(super) min_pk::PublicKey);

impl PublicKey {
    /// Spec `KeyValidate`: decompresses, checks the subgroup, refuses the point at infinity.
    pub fn from_compressed(bytes: &BLSPubkey) -> Result<PublicKey, BlsError> {
        let key = min_pk::PublicKey::uncompress(bytes.as_slice()).map_err(|_| BlsError::InvalidPublicKey)?;
        key.validate().map_err(|_| BlsError::InvalidPublicKey)?;
        Ok(PublicKey(key))
    }

    /// Decompresses without the check of the subgroup, a quarter of the time.
    ///
    /// Only for the registry of a state that is trusted: a deposit enters the registry only with a valid signature, and
    /// that made `KeyValidate` true once for every validator.
    pub fn from_trusted_compressed(bytes: &BLSPubkey) -> Result<PublicKey, BlsError> {
        min_pk::PublicKey::uncompress(bytes.as_slice()).map(PublicKey).map_err(|_| BlsError::InvalidPublicKey)
    }

    /// From what [`PublicKey::to_uncompressed`] gave, checked to be on the curve only.
    pub fn from_trusted_uncompressed(bytes: &[u8; 96]) -> Result<PublicKey, BlsError> {
        min_pk::PublicKey::deserialize(bytes).map(PublicKey).map_err(|_| BlsError::InvalidPublicKey)
    }

    /// Both coordinates, for a file of keys.
    pub fn to_uncompressed(&self) -> [u8; 96] {
        self.0.serialize()
    }

    /// The encoding that the registry and the API have.
    pub fn to_compressed(&self) -> BLSPubkey {
        BLSPubkey::new(self.0.compress())
    }

    pub(super) fn is_infinity(&self) -> bool {
        self.0 == min_pk::PublicKey::default()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.to_compressed())
    }
}

/// A sum of public keys that can still grow and shrink (a projective point, 144 bytes).
#[derive(Clone, Copy, Debug)]
pub struct AggregatePublicKey(min_pk::AggregatePublicKey);

impl AggregatePublicKey {
    /// The sum of `keys`; of none, the point at infinity. A key may be there more than once, or be itself a sum.
    pub fn from_keys<'a>(keys: impl IntoIterator<Item = &'a PublicKey>) -> AggregatePublicKey {
        let Ok(sum) = AggregatePublicKey::try_from_keys(keys.into_iter().map(|key| Ok::<_, Infallible>(*key)));
        sum
    }

    /// As [`AggregatePublicKey::from_keys`], of keys that are yet to be found; ends with the first that cannot be.
    ///
    /// Many keys are added up pairwise in affine coordinates, at half the price of adding one after the other.
    ///
    /// # Errors
    /// That of the first key that is none.
    pub fn try_from_keys<E>(keys: impl IntoIterator<Item = Result<PublicKey, E>>) -> Result<AggregatePublicKey, E> {
        let mut sum = AggregatePublicKey(blst::blst_p1::default().into());
        let mut keys = keys.into_iter();
        let mut some = Vec::with_capacity(keys.size_hint().0.min(KEYS_AT_ONCE));
        loop {
            some.clear();
            for key in keys.by_ref().take(KEYS_AT_ONCE) {
                some.push(key?.0);
            }
            // blst cannot add up nothing.
            if some.is_empty() {
                return Ok(sum);
            }
            sum.0.add_aggregate(&some.as_slice().add());
        }
    }

    /// Adds one key.
    pub fn add(&mut self, key: &PublicKey) {
        // The error can only come from the validation that is not asked for: our keys are valid by their type.
        let _ = self.0.add_public_key(&key.0, false);
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &AggregatePublicKey) {
        self.0.add_aggregate(&other.0);
    }

    /// Takes another sum away again: a committee minus its absentees.
    pub fn subtract(&mut self, other: &AggregatePublicKey) {
        self.0.sub_aggregate(&other.0);
    }

    /// Each sum as a key to verify with; one field inversion for all of them.
    pub fn to_public_keys(sums: &[AggregatePublicKey]) -> Vec<PublicKey> {
        if sums.is_empty() {
            return Vec::new();
        }
        let points: Vec<blst::blst_p1> = sums.iter().map(|sum| sum.0.into()).collect();
        blst::p1_affines::from(&points).as_slice().iter().map(|point| PublicKey((*point).into())).collect()
    }

    /// The sum as a key to verify with (one field inversion).
    pub fn to_public_key(&self) -> PublicKey {
        PublicKey(self.0.to_public_key())
    }
}

/// A signature whose point was checked to be in the subgroup.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub(super) min_pk::Signature);

impl Signature {
    /// Decompresses and checks the subgroup. The point at infinity passes, as the sum of no signatures.
    pub fn from_bytes(bytes: &BLSSignature) -> Result<Signature, BlsError> {
        let signature = min_pk::Signature::uncompress(bytes.as_slice()).map_err(|_| BlsError::InvalidSignature)?;
        signature.validate(false).map_err(|_| BlsError::InvalidSignature)?;
        Ok(Signature(signature))
    }

    /// The compressed encoding.
    pub fn to_bytes(&self) -> BLSSignature {
        BLSSignature::new(self.0.compress())
    }

    /// Whether `key` (one, or a sum of keys that all signed the same) made this signature of `message`.
    pub fn verify(&self, key: &PublicKey, message: Hash256) -> bool {
        self.0.verify(false, message.as_slice(), DST, &[], &key.0, false) == BLST_ERROR::BLST_SUCCESS
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({})", self.to_bytes())
    }
}

/// A sum of signatures that can still grow (pools of attestations and sync messages).
#[derive(Clone, Copy, Debug)]
pub struct AggregateSignature(min_pk::AggregateSignature);

impl AggregateSignature {
    /// The sum of `signatures`; of none, the point at infinity.
    pub fn from_signatures<'a>(signatures: impl IntoIterator<Item = &'a Signature>) -> AggregateSignature {
        let mut sum = AggregateSignature(blst::blst_p2::default().into());
        signatures.into_iter().for_each(|signature| sum.add(signature));
        sum
    }

    /// Adds one signature.
    pub fn add(&mut self, signature: &Signature) {
        // As for keys: the error belongs to a validation that was done when the signature was parsed.
        let _ = self.0.add_signature(&signature.0, false);
    }

    /// The sum.
    pub fn to_signature(&self) -> Signature {
        Signature(self.0.to_signature())
    }
}

/// Spec `Sign`.
pub fn sign(secret_key: &SecretKey, message: Hash256) -> BLSSignature {
    secret_key.sign(message).to_bytes()
}

/// Spec `KeyValidate`.
pub fn key_validate(pubkey: &BLSPubkey) -> bool {
    PublicKey::from_compressed(pubkey).is_ok()
}

/// Spec `Verify`.
pub fn verify(pubkey: &BLSPubkey, message: Hash256, signature: &BLSSignature) -> bool {
    match (PublicKey::from_compressed(pubkey), Signature::from_bytes(signature)) {
        (Ok(key), Ok(signature)) => signature.verify(&key, message),
        _ => false,
    }
}

/// Spec `Aggregate`: the sum of signatures. Errors on none, and on bytes that are no signature.
pub fn aggregate(signatures: &[BLSSignature]) -> Result<BLSSignature, BlsError> {
    if signatures.is_empty() {
        return Err(BlsError::NothingToAggregate);
    }
    let mut sum = AggregateSignature::from_signatures([]);
    for signature in signatures {
        sum.add(&Signature::from_bytes(signature)?);
    }
    Ok(sum.to_signature().to_bytes())
}

/// Spec `AggregateVerify`: each key signed its own message.
pub fn aggregate_verify(pubkeys: &[BLSPubkey], messages: &[Hash256], signature: &BLSSignature) -> bool {
    let (Ok(keys), Ok(signature)) = (parse_keys(pubkeys), Signature::from_bytes(signature)) else {
        return false;
    };
    let keys: Vec<_> = keys.iter().map(|key| &key.0).collect();
    let messages: Vec<_> = messages.iter().map(|message| message.as_slice()).collect();
    signature.0.aggregate_verify(false, &messages, DST, &keys, false) == BLST_ERROR::BLST_SUCCESS
}

/// Spec `FastAggregateVerify`: all keys signed the same message.
pub fn fast_aggregate_verify(pubkeys: &[BLSPubkey], message: Hash256, signature: &BLSSignature) -> bool {
    if pubkeys.is_empty() {
        return false;
    }
    match (parse_keys(pubkeys), Signature::from_bytes(signature)) {
        (Ok(keys), Ok(signature)) => signature.verify(&AggregatePublicKey::from_keys(&keys).to_public_key(), message),
        _ => false,
    }
}

/// The sum of public keys.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/bls.md#eth_aggregate_pubkeys>
pub fn eth_aggregate_pubkeys(pubkeys: &[BLSPubkey]) -> Result<BLSPubkey, BlsError> {
    if pubkeys.is_empty() {
        return Err(BlsError::NothingToAggregate);
    }
    Ok(AggregatePublicKey::from_keys(&parse_keys(pubkeys)?).to_public_key().to_compressed())
}

/// [`fast_aggregate_verify`], which also takes the empty signature of nobody.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/bls.md#eth_fast_aggregate_verify>
pub fn eth_fast_aggregate_verify(pubkeys: &[BLSPubkey], message: Hash256, signature: &BLSSignature) -> bool {
    (pubkeys.is_empty() && *signature == G2_POINT_AT_INFINITY) || fast_aggregate_verify(pubkeys, message, signature)
}

fn parse_keys(pubkeys: &[BLSPubkey]) -> Result<Vec<PublicKey>, BlsError> {
    pubkeys.iter().map(PublicKey::from_compressed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    pub fn secret_key(number: u8) -> SecretKey {
        let mut bytes = [0; 32];
        bytes[31] = number;
        SecretKey::from_bytes(&bytes).unwrap()
    }

    #[test]
    fn a_secret_key_is_below_the_order_and_silent() {
        assert_eq!(SecretKey::from_bytes(&[0; 32]).unwrap_err(), BlsError::InvalidSecretKey);
        assert_eq!(SecretKey::from_bytes(&[0xff; 32]).unwrap_err(), BlsError::InvalidSecretKey);
        assert_eq!(format!("{:?}", secret_key(9)), "SecretKey(..)");
    }

    #[test]
    fn keys_survive_both_encodings() {
        let key = secret_key(3).public_key();
        assert_eq!(PublicKey::from_compressed(&key.to_compressed()), Ok(key));
        assert_eq!(PublicKey::from_trusted_compressed(&key.to_compressed()), Ok(key));
        assert_eq!(PublicKey::from_trusted_uncompressed(&key.to_uncompressed()), Ok(key));
    }

    #[test]
    fn infinity_and_noise_are_no_keys() {
        let mut infinity = BLSPubkey::ZERO;
        infinity[0] = 0xc0;
        for bytes in [infinity, BLSPubkey::ZERO, BLSPubkey::repeat_byte(0xff)] {
            assert_eq!(PublicKey::from_compressed(&bytes), Err(BlsError::InvalidPublicKey), "{bytes}");
        }
    }

    #[test]
    fn aggregate_minus_absentees_is_the_aggregate_of_those_present() {
        let keys: Vec<_> = (1..=20).map(|n| secret_key(n).public_key()).collect();
        let mut sum = AggregatePublicKey::from_keys(&keys);
        sum.subtract(&AggregatePublicKey::from_keys([&keys[2], &keys[19]]));
        let present = keys.iter().enumerate().filter(|(i, _)| ![2, 19].contains(i)).map(|(_, key)| key);
        assert_eq!(sum.to_public_key(), AggregatePublicKey::from_keys(present).to_public_key());
    }

    #[test]
    fn many_keys_at_once_add_up_as_one_by_one() {
        // With repetitions, opposite keys and the point at infinity, in lists beyond one batch.
        let mut order_minus_one = [0; 32];
        hex::decode_to_slice("73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000000", &mut order_minus_one)
            .unwrap();
        let opposite = SecretKey::from_bytes(&order_minus_one).unwrap().public_key();
        let infinity = AggregatePublicKey::from_keys([&secret_key(1).public_key(), &opposite]).to_public_key();
        assert!(infinity.is_infinity());
        let mut keys: Vec<_> = (1..=60).map(|n| secret_key(n % 50 + 1).public_key()).collect();
        keys.extend([opposite, infinity, opposite, infinity]);
        for count in [0, 1, 2, 15, 16, 17, 64, 1023, 1024, 1025, 3000] {
            let list: Vec<_> = keys.iter().cycle().take(count).collect();
            let mut one_by_one = AggregatePublicKey::from_keys([]);
            list.iter().for_each(|key| one_by_one.add(key));
            assert_eq!(AggregatePublicKey::from_keys(list).to_public_key(), one_by_one.to_public_key(), "{count} keys");
        }
        let none = [Ok(keys[0]), Err("none")];
        assert_eq!(AggregatePublicKey::try_from_keys(none).unwrap_err(), "none");
        assert_eq!(PublicKey::from_trusted_uncompressed(&infinity.to_uncompressed()), Ok(infinity));
    }

    #[test]
    fn nothing_verifies_against_the_sum_of_nobody() {
        let nobody = AggregatePublicKey::from_keys([]).to_public_key();
        assert!(nobody.is_infinity());
        assert!(!Signature::from_bytes(&G2_POINT_AT_INFINITY).unwrap().verify(&nobody, Hash256::ZERO));
        let mut sum = AggregatePublicKey::from_keys([&secret_key(5).public_key()]);
        let same = sum;
        sum.subtract(&same);
        assert!(sum.to_public_key().is_infinity());
    }

    #[test]
    fn the_sum_of_signatures_verifies_with_the_sum_of_keys() {
        let message = Hash256::repeat_byte(1);
        let secret_keys: Vec<_> = (1..=4).map(secret_key).collect();
        let signatures: Vec<_> = secret_keys.iter().map(|key| sign(key, message)).collect();
        let pubkeys: Vec<_> = secret_keys.iter().map(|key| key.public_key().to_compressed()).collect();
        let sum = aggregate(&signatures).unwrap();
        assert!(eth_fast_aggregate_verify(&pubkeys, message, &sum));
        assert!(!eth_fast_aggregate_verify(&pubkeys[1..], message, &sum));
        assert!(!eth_fast_aggregate_verify(&pubkeys, Hash256::ZERO, &sum));
        assert!(eth_fast_aggregate_verify(&[], message, &G2_POINT_AT_INFINITY));
        assert!(!fast_aggregate_verify(&[], message, &G2_POINT_AT_INFINITY));
    }
}
