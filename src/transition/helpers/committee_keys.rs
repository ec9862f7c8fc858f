//! The key that an attestation is verified with, without adding up the keys of all who signed.

use std::sync::OnceLock;

use super::{committee_of, committees_of, get_public_key, get_public_keys, get_shuffling};
use crate::{
    crypto::{AggregatePublicKey, PublicKey},
    transition::{Context, TransitionError},
    types::*,
};

/// Members whose keys are read together: 12 MiB of keys, as many as the committees of four slots of mainnet have. Each time,
/// most of the file is read.
const MEMBERS_AT_ONCE: usize = 1 << 17;

/// The sum of the attesters' keys: of each committee either its joint key without the absent members' keys, or the keys of
/// those present where they are no more. `fork` is that of the block or message that brought the vote, `shuffling` that of
/// the epoch of its slot, by `state` or a state of its chain.
///
/// # Errors
/// When a committee does not exist, the bits are fewer than the committees' members, or a member is not in the registry.
pub fn get_attesters_key(
    state: &BeaconState,
    fork: ForkName,
    shuffling: &Shuffling,
    attestation: &Attestation,
    ctx: &Context,
) -> Result<PublicKey, TransitionError> {
    let slot = attestation.data.slot;
    let (mut joint, mut added, mut taken) = (Vec::new(), Vec::new(), Vec::new());
    let mut offset = 0;
    for index in committees_of(fork, attestation) {
        let committee = committee_of(shuffling, slot, index)?;
        let (present, absent) = by_presence(committee, attestation, offset)?;
        if absent.len() < present.len() {
            joint.push(get_committee_key(state, shuffling, slot, index, ctx)?);
            taken.extend(absent);
        } else {
            added.extend(present);
        }
        offset += committee.len();
    }
    let mut sum = AggregatePublicKey::from_keys(&joint);
    sum.merge(&sum_of_keys(state, &added, ctx)?);
    sum.subtract(&sum_of_keys(state, &taken, ctx)?);
    Ok(sum.to_public_key())
}

/// The members whose bits, from `offset` on, are set, and the others.
fn by_presence(
    committee: &[u32],
    attestation: &Attestation,
    offset: usize,
) -> Result<(Vec<u32>, Vec<u32>), TransitionError> {
    let bits = &attestation.aggregation_bits;
    let missing = TransitionError::Invalid {
        operation: "attestation",
        rule: "there must be a bit for each member of its committees",
    };
    let (mut present, mut absent) = (Vec::with_capacity(committee.len()), Vec::new());
    for (i, member) in committee.iter().enumerate() {
        match bits.get(offset + i) {
            Ok(true) => present.push(*member),
            Ok(false) => absent.push(*member),
            Err(_) => return Err(missing),
        }
    }
    Ok((present, absent))
}

/// The sum of the keys of all members of a committee, computed when it is first asked for and then kept with the shuffling.
///
/// # Errors
/// When there is no such committee, or a member is not in the registry.
pub fn get_committee_key(
    state: &BeaconState,
    shuffling: &Shuffling,
    slot: Slot,
    index: CommitteeIndex,
    ctx: &Context,
) -> Result<PublicKey, TransitionError> {
    let known = || shuffling.joint_key(slot, index).and_then(OnceLock::get);
    if known().is_none() {
        find_committee_keys(state, shuffling, &[(slot, index)], ctx)?;
    }
    let key = known().and_then(|bytes| PublicKey::from_trusted_uncompressed(bytes).ok());
    key.map_or_else(|| committee_of(shuffling, slot, index).and(Err(no_joint_key())), Ok)
}

fn no_joint_key() -> TransitionError {
    TransitionError::Invalid { operation: "committee", rule: "the sum of its members' keys must be a point" }
}

/// Computes the joint keys of these committees, but for those that are known; what is no committee is passed over. The
/// registry's keys are read in one pass for as many committees as have 131,072 members together.
///
/// # Errors
/// When a member is not in the registry, or its key is none.
pub fn find_committee_keys(
    state: &BeaconState,
    shuffling: &Shuffling,
    committees: &[(Slot, CommitteeIndex)],
    ctx: &Context,
) -> Result<(), TransitionError> {
    let is_unknown = |(slot, index): &&(Slot, CommitteeIndex)| {
        shuffling.joint_key(*slot, *index).is_some_and(|kept| kept.get().is_none())
    };
    let mut unknown = committees.iter().filter(is_unknown).peekable();
    let mut members: Vec<u32> = Vec::new();
    while unknown.peek().is_some() {
        let (mut some, mut ends) = (Vec::new(), Vec::new());
        members.clear();
        while let Some((slot, index)) = unknown.next_if(|_| members.len() < MEMBERS_AT_ONCE) {
            members.extend(committee_of(shuffling, *slot, *index)?);
            some.extend(shuffling.joint_key(*slot, *index));
            ends.push(members.len());
        }
        let keys = get_public_keys(state, &members, ctx)?;
        let mut start = 0;
        for (kept, end) in some.into_iter().zip(ends) {
            let sum = AggregatePublicKey::from_keys(&keys[start..end]);
            // Another thread may have been quicker, with the same key.
            let _ = kept.set(sum.to_public_key().to_uncompressed());
            start = end;
        }
    }
    Ok(())
}

/// Computes the joint keys that these votes' signatures are verified with, but for those that are known: for all votes in one
/// pass over the registry's keys. A committee of whose members few voted is left to [`get_attesters_key`].
///
/// # Errors
/// As [`find_committee_keys`]. A vote that is not valid is passed over: whoever processes it says what is wrong.
pub fn find_attesters_keys(
    state: &mut BeaconState,
    attestations: &[Attestation],
    ctx: &Context,
) -> Result<(), TransitionError> {
    let fork = state.fork_name;
    let mut epochs = vec![state.previous_epoch(), state.current_epoch()];
    epochs.dedup();
    for epoch in epochs {
        let of_most = |vote: &&Attestation| {
            let bits = &vote.aggregation_bits;
            compute_epoch_at_slot(vote.data.slot) == epoch && 2 * bits.num_set_bits() > bits.len()
        };
        let in_slot = |vote: &Attestation| {
            let slot = vote.data.slot;
            committees_of(fork, vote).into_iter().map(move |index| (slot, index))
        };
        let mut committees: Vec<_> = attestations.iter().filter(of_most).flat_map(in_slot).collect();
        committees.sort_unstable();
        committees.dedup();
        if !committees.is_empty() {
            let shuffling = get_shuffling(state, epoch)?;
            find_committee_keys(state, &shuffling, &committees, ctx)?;
        }
    }
    Ok(())
}

fn sum_of_keys(state: &BeaconState, members: &[u32], ctx: &Context) -> Result<AggregatePublicKey, TransitionError> {
    AggregatePublicKey::try_from_keys(members.iter().map(|member| get_public_key(state, u64::from(*member), ctx)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        crypto::{PubkeyCache, SecretKey},
        transition::{attestation_signature_set, get_attesting_indices, get_validator_from_deposit},
        types::preset::*,
    };

    const COMMITTEES_PER_SLOT: u64 = 3;
    const EPOCH: Epoch = 5;

    /// A registry whose keys are few points and their opposites, so that they repeat, and add up to nothing now and then.
    fn state(count: u64) -> BeaconState {
        // The two parts of the group's order.
        const HIGH: &str = "73eda753299d7d483339d80809a1d80553bda402fffe5bfe";
        const LOW: u64 = 0xffff_ffff_0000_0001;
        let validator = |index: u64| {
            let (number, mut secret) = (index / 2 % 3 + 1, [0; 32]);
            if index.is_multiple_of(2) {
                secret[24..].copy_from_slice(&number.to_be_bytes());
            } else {
                hex::decode_to_slice(HIGH, &mut secret[..24]).unwrap();
                secret[24..].copy_from_slice(&(LOW - number).to_be_bytes());
            }
            let pubkey = SecretKey::from_bytes(&secret).unwrap().public_key().to_compressed();
            get_validator_from_deposit(ForkName::Fulu, pubkey, Hash256::ZERO, MIN_ACTIVATION_BALANCE)
        };
        BeaconState { validators: (0..count).map(validator).collect(), ..BeaconState::default() }
    }

    /// A vote of the given committees of a slot, with a bit for each member taken from `present` in turn.
    fn attestation(
        fork: ForkName,
        shuffling: &Shuffling,
        slot: Slot,
        indices: &[u64],
        present: &[bool],
    ) -> Attestation {
        let electra = fork >= ForkName::Electra;
        let members: usize = indices.iter().map(|index| shuffling.committee(slot, *index).unwrap().len()).sum();
        let mut bits = ssz_types::BitList::with_capacity(members).unwrap();
        (0..members).for_each(|i| bits.set(i, present[i % present.len()]).unwrap());
        let mut committee_bits: ssz_types::BitVector<_> = Default::default();
        if electra {
            indices.iter().for_each(|index| committee_bits.set(*index as usize, true).unwrap());
        }
        let index = if electra { 0 } else { indices[0] };
        let data = AttestationData { slot, index, ..AttestationData::default() };
        Attestation { aggregation_bits: bits, data, signature: BLSSignature::ZERO, committee_bits }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn an_attesters_key_is_the_plain_sum(
            count in COMMITTEES_PER_SLOT * SLOTS_PER_EPOCH..500,
            slot in 0..SLOTS_PER_EPOCH,
            committees in 1_u8..8,
            votes in prop::collection::vec(prop::collection::vec(prop::bool::weighted(0.7), 1..60), 3),
            electra: bool,
        ) {
            let (config, keys) = (Config::default(), PubkeyCache::default());
            let (state, ctx) = (state(count), Context { config: &config, keys: &keys });
            let shuffled = (0..count as u32).rev().collect();
            let shuffling = Shuffling::new(EPOCH, Hash256::ZERO, shuffled, COMMITTEES_PER_SLOT);
            let slot = EPOCH * SLOTS_PER_EPOCH + slot;
            let fork = if electra { ForkName::Electra } else { ForkName::Deneb };
            let indices: Vec<u64> = (0..COMMITTEES_PER_SLOT).filter(|index| committees >> index & 1 == 1).collect();
            // Votes in turn, so that later ones find what earlier ones left; then everybody, and nobody.
            for present in votes.into_iter().chain([vec![true], vec![false]]) {
                let vote = attestation(fork, &shuffling, slot, &indices, &present);
                let attesters = get_attesting_indices(fork, &shuffling, &vote).unwrap();
                let mut plain = AggregatePublicKey::from_keys([]);
                for index in attesters {
                    plain.add(&get_public_key(&state, index.into(), &ctx).unwrap());
                }
                let set = attestation_signature_set(&state, fork, &shuffling, &vote, &ctx).unwrap();
                prop_assert_eq!(set.key, plain.to_public_key());
            }
        }
    }

    #[test]
    fn what_does_not_fit_the_committees_is_refused() {
        let (config, keys) = (Config::default(), PubkeyCache::default());
        let (state, ctx) = (state(200), Context { config: &config, keys: &keys });
        let shuffling = Shuffling::new(EPOCH, Hash256::ZERO, (0..200).collect(), COMMITTEES_PER_SLOT);
        let slot = EPOCH * SLOTS_PER_EPOCH;
        let fork = ForkName::Electra;
        let key = |state: &BeaconState, vote: &Attestation| get_attesters_key(state, fork, &shuffling, vote, &ctx);

        let fits = attestation(fork, &shuffling, slot, &[0, 2], &[true]);
        assert!(key(&state, &fits).is_ok());
        let mut too_few_bits = fits.clone();
        too_few_bits.committee_bits.set(1, true).unwrap();
        assert!(key(&state, &too_few_bits).is_err());
        let mut no_committee = fits.clone();
        no_committee.committee_bits.set(COMMITTEES_PER_SLOT as usize, true).unwrap();
        assert!(key(&state, &no_committee).is_err());
        let mut other_epoch = fits.clone();
        other_epoch.data.slot += SLOTS_PER_EPOCH;
        assert!(key(&state, &other_epoch).is_err());
        let unknown = attestation(fork, &shuffling, slot + 1, &[1], &[true]);
        assert!(key(&BeaconState::default(), &unknown).is_err(), "its members are not in that registry");
    }

    #[test]
    fn the_keys_of_many_votes_are_found_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let (config, keys) = (Config::default(), PubkeyCache::open(&dir.path().join("keys")).unwrap());
        let ctx = Context { config: &config, keys: &keys };
        let slot = EPOCH * SLOTS_PER_EPOCH + 3;
        let mut state = BeaconState { slot, ..state(300) };
        state.fork_name = ForkName::Electra;
        let of = |epoch| {
            let members = (0..300).rev().collect();
            Shuffling::new(epoch, Hash256::ZERO, members, COMMITTEES_PER_SLOT)
        };
        let (now, before) = (std::sync::Arc::new(of(EPOCH)), std::sync::Arc::new(of(EPOCH - 1)));
        state.caches.remember(now.clone());
        state.caches.remember(before.clone());
        let vote = |slot, shuffling, indices: &[u64], present: &[bool]| {
            attestation(ForkName::Electra, shuffling, slot, indices, present)
        };
        let mut not_there = vote(slot - 3, &now, &[1], &[true]);
        not_there.committee_bits.set(COMMITTEES_PER_SLOT as usize, true).unwrap();
        let mut other_epoch = vote(slot - 3, &now, &[1], &[true]);
        other_epoch.data.slot = 0;
        let votes = [
            vote(slot - 1, &now, &[0, 2], &[true, true, false]),
            vote(slot - 1, &now, &[2], &[true]),
            vote(slot - 2, &now, &[0, 1], &[true, false, false]),
            vote(slot - 4, &before, &[1], &[true]),
            not_there,
            other_epoch,
        ];
        find_attesters_keys(&mut state, &votes, &ctx).unwrap();
        let known = |shuffling: &Shuffling, slot| {
            (0..COMMITTEES_PER_SLOT)
                .filter(|i| shuffling.joint_key(slot, *i).unwrap().get().is_some())
                .collect::<Vec<_>>()
        };
        assert_eq!(known(&now, slot - 1), [0, 2]);
        assert!(known(&now, slot - 2).is_empty(), "most are absent");
        assert_eq!(known(&now, slot - 3), [1]);
        assert_eq!(known(&before, slot - 4), [1]);
        for (shuffling, slot, index) in [(&now, slot - 1, 0), (&now, slot - 1, 2), (&before, slot - 4, 1)] {
            let members = shuffling.committee(slot, index).unwrap();
            let keys = get_public_keys(&state, members, &ctx).unwrap();
            let key = get_committee_key(&BeaconState::default(), shuffling, slot, index, &ctx);
            assert_eq!(key, Ok(AggregatePublicKey::from_keys(&keys).to_public_key()));
        }
        let everywhere: Vec<_> = (0..SLOTS_PER_EPOCH).map(|i| (EPOCH * SLOTS_PER_EPOCH + i, 1)).collect();
        assert!(find_committee_keys(&BeaconState::default(), &now, &everywhere, &ctx).is_err(), "nobody is registered");
        find_committee_keys(&state, &now, &everywhere, &ctx).unwrap();
        assert!(everywhere.iter().all(|(slot, _)| known(&now, *slot).contains(&1)));
    }

    #[test]
    fn a_committees_key_is_computed_once() {
        let (config, keys) = (Config::default(), PubkeyCache::default());
        let ctx = Context { config: &config, keys: &keys };
        let shuffling = Shuffling::new(EPOCH, Hash256::ZERO, (0..200).collect(), COMMITTEES_PER_SLOT);
        let slot = EPOCH * SLOTS_PER_EPOCH + 1;
        let first = get_committee_key(&state(200), &shuffling, slot, 2, &ctx).unwrap();
        // No registry is needed any more.
        assert_eq!(get_committee_key(&BeaconState::default(), &shuffling, slot, 2, &ctx), Ok(first));
        assert!(get_committee_key(&BeaconState::default(), &shuffling, slot, 1, &ctx).is_err());
        assert!(get_committee_key(&state(200), &shuffling, slot, COMMITTEES_PER_SLOT, &ctx).is_err());
    }
}
