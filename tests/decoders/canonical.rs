//! Each way in which an encoding can be wrong, by name, on a type that has it.

use hornero::{
    p2p::MetaData,
    types::{preset::*, *},
};
use ssz::{Decode, Encode};
use ssz_types::{BitList, VariableList};

use super::memory::alone;

fn refused<T: Decode>(bytes: &[u8], what: &str) {
    assert!(T::from_ssz_bytes(bytes).is_err(), "{what}");
}

fn with_number(bytes: &[u8], at: usize, number: u32) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
    bytes
}

fn number_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn indexed(indices: &[u64]) -> IndexedAttestation {
    IndexedAttestation {
        attesting_indices: VariableList::new(indices.to_vec()).unwrap(),
        data: AttestationData::default(),
        signature: BLSSignature::ZERO,
    }
}

#[test]
fn a_first_offset_that_is_not_the_end_of_the_fixed_part() {
    let _alone = alone();
    let bytes = indexed(&[1, 2, 3]).as_ssz_bytes();
    let right = number_at(&bytes, 0);
    assert_eq!(IndexedAttestation::from_ssz_bytes(&bytes).unwrap().as_ssz_bytes(), bytes);
    for wrong in [0, 1, right - 1, right - 8, right + 1, right + 8, bytes.len() as u32, u32::MAX] {
        refused::<IndexedAttestation>(&with_number(&bytes, 0, wrong), &format!("offset {wrong} instead of {right}"));
    }
}

#[test]
fn offsets_that_fall_or_lie_beyond_the_end() {
    let _alone = alone();
    let slashing = AttesterSlashing { attestation_1: indexed(&[1, 2]), attestation_2: indexed(&[3]) };
    let bytes = slashing.as_ssz_bytes();
    let second = number_at(&bytes, 4);
    for wrong in [0, 7, 8, second - 8, second + 8, bytes.len() as u32 + 1, u32::MAX] {
        refused::<AttesterSlashing>(&with_number(&bytes, 4, wrong), &format!("offset {wrong} instead of {second}"));
    }
    let swapped = with_number(&with_number(&bytes, 0, second), 4, number_at(&bytes, 0));
    refused::<AttesterSlashing>(&swapped, "offsets in falling order");
}

#[test]
fn a_list_of_lists_with_wrong_offsets() {
    let _alone = alone();
    type Transactions = VariableList<VariableList<u8, typenum::U8>, typenum::U4>;
    let list = |items: &[&[u8]]| -> Vec<u8> {
        let items = items.iter().map(|item| VariableList::new(item.to_vec()).unwrap()).collect::<Vec<_>>();
        Transactions::new(items).unwrap().as_ssz_bytes()
    };
    let bytes = list(&[b"one", b"", b"three"]);
    assert_eq!(Transactions::from_ssz_bytes(&bytes).unwrap().as_ssz_bytes(), bytes);
    for (at, wrong) in [(0, 0), (0, 4), (0, 11), (0, 13), (0, 16), (0, u32::MAX), (4, 0), (4, 11), (4, 99), (8, 12)] {
        refused::<Transactions>(&with_number(&bytes, at, wrong), &format!("offset {wrong} at {at}"));
    }
    refused::<Transactions>(&[0, 0, 0, 0], "an offset of zero");
    refused::<Transactions>(&[4, 0, 0], "half an offset");
    refused::<Transactions>(&[bytes.as_slice(), b"more!"].concat(), "an item over its limit");
    let five = [20u32; 5].iter().flat_map(|offset| offset.to_le_bytes()).collect::<Vec<_>>();
    refused::<Transactions>(&five, "a list over its limit");
    // A count that is believed before it is checked would take gigabytes.
    refused::<Transactions>(&0xffff_fffc_u32.to_le_bytes(), "a billion items");
}

#[test]
fn bit_lists_without_their_end() {
    let _alone = alone();
    type Bits = BitList<typenum::U20>;
    assert!(Bits::from_ssz_bytes(&[1]).is_ok());
    assert!(Bits::from_ssz_bytes(&[0xff, 0xff, 0x1f]).is_ok());
    refused::<Bits>(&[], "no bytes");
    refused::<Bits>(&[0], "no end");
    refused::<Bits>(&[0xff, 0], "an end before the last byte");
    refused::<Bits>(&[0xff, 0xff, 0x3f], "more bits than the limit");
    refused::<Bits>(&[0xff, 0xff, 0xff, 1], "many more bits than the limit");
}

#[test]
fn bit_vectors_with_bits_beyond_their_end() {
    let _alone = alone();
    let mut metadata = MetaData::default().as_ssz_bytes();
    // Four sync subnets, and four bits that must stay zero.
    let syncnets = 16;
    metadata[syncnets] = 0x0f;
    assert!(MetaData::from_ssz_bytes(&metadata).is_ok());
    for bit in 4..8 {
        metadata[syncnets] = 1 << bit;
        refused::<MetaData>(&metadata, &format!("bit {bit} of 4"));
    }
}

#[test]
fn booleans_that_are_neither() {
    let _alone = alone();
    // After the public key, the credentials and the effective balance.
    let slashed = 48 + 32 + 8;
    let mut validator = vec![0; VALIDATOR_LEN];
    for (value, fine) in (0..=255).map(|value| (value, value < 2)) {
        validator[slashed] = value;
        assert_eq!(Validator::from_ssz_bytes(&validator).is_ok(), fine, "{value}");
    }
}

/// The state reads its validators into columns, by other code.
#[cfg(feature = "minimal")]
#[test]
fn a_states_validators_who_are_neither_slashed_nor_not() {
    let _alone = alone();
    for sample in super::samples::all().into_iter().filter(|sample| sample.name == "state") {
        let fork = sample.fork.unwrap();
        let mut state = BeaconState::from_ssz_bytes(fork, &sample.ssz).unwrap();
        let pubkey = BLSPubkey::repeat_byte(0xab);
        let validator = Validator::from_ssz_bytes(&[0; VALIDATOR_LEN]).unwrap();
        state.validators.push(Validator { pubkey, ..validator });
        let mut bytes = state.to_ssz_bytes();
        let at = bytes.windows(48).position(|window| window == pubkey.as_slice()).unwrap() + 48 + 32 + 8;
        for (value, fine) in (0..=255).map(|value| (value, value < 2)) {
            bytes[at] = value;
            assert_eq!(BeaconState::from_ssz_bytes(fork, &bytes).is_ok(), fine, "{fork}: {value}");
        }
    }
}

#[test]
fn bytes_that_are_too_many_or_too_few() {
    let _alone = alone();
    fn exact<T: Decode + Encode>(value: T, what: &str) {
        let bytes = value.as_ssz_bytes();
        assert!(T::from_ssz_bytes(&bytes).is_ok(), "{what}");
        refused::<T>(&bytes[..bytes.len() - 1], what);
        refused::<T>(&[bytes.as_slice(), &[0]].concat(), what);
        refused::<T>(&[], what);
    }
    exact(BeaconBlockHeader::default(), "header");
    exact(AttestationData::default(), "attestation data");
    exact(Hash256::ZERO, "root");
    exact(MetaData::default(), "metadata");
    exact(Checkpoint::default(), "checkpoint");
    // Lists of fixed items: whole items only, and no more than the limit.
    refused::<VariableList<u64, typenum::U4>>(&[0; 33], "a list with a piece of an item");
    refused::<VariableList<u64, typenum::U4>>(&[0; 40], "a list over its limit");
}

#[test]
fn limits_are_those_of_the_preset() {
    let _alone = alone();
    let of = |attesters: usize| {
        let mut bytes = indexed(&[]).as_ssz_bytes();
        bytes.resize(bytes.len() + 8 * attesters, 0);
        bytes
    };
    assert!(IndexedAttestation::from_ssz_bytes(&of(MAX_ATTESTERS_PER_SLOT)).is_ok());
    refused::<IndexedAttestation>(&of(MAX_ATTESTERS_PER_SLOT + 1), "one attester too many");
}
