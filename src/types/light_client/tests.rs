//! Every fork's form: what is written can be read, and only what would be written again is read.

use proptest::{collection::vec, prelude::*};

use super::*;

const FORKS: [ForkName; 6] =
    [ForkName::Altair, ForkName::Bellatrix, ForkName::Capella, ForkName::Deneb, ForkName::Electra, ForkName::Fulu];

/// Encodes again what a decoder of each type accepts.
type Again = fn(ForkName, &[u8]) -> Option<Vec<u8>>;

const AGAIN: [Again; 5] = [
    |fork, bytes| Some(LightClientHeader::from_ssz_bytes(fork, bytes).ok()?.to_ssz_bytes(fork)),
    |fork, bytes| Some(LightClientBootstrap::from_ssz_bytes(fork, bytes).ok()?.to_ssz_bytes()),
    |fork, bytes| Some(LightClientUpdate::from_ssz_bytes(fork, bytes).ok()?.to_ssz_bytes()),
    |fork, bytes| Some(LightClientFinalityUpdate::from_ssz_bytes(fork, bytes).ok()?.to_ssz_bytes()),
    |fork, bytes| Some(LightClientOptimisticUpdate::from_ssz_bytes(fork, bytes).ok()?.to_ssz_bytes()),
];

/// A branch whose first node is there only if the fork has it.
fn branch<const NODES: usize>(fork_name: ForkName, byte: u8) -> [Hash256; NODES] {
    let mut branch = [Hash256::repeat_byte(byte); NODES];
    if fork_name < ForkName::Electra {
        branch[0] = Hash256::ZERO;
    }
    branch
}

fn header(fork_name: ForkName, byte: u8, extra_data: &[u8]) -> LightClientHeader {
    let beacon = BeaconBlockHeader { slot: byte.into(), body_root: Hash256::repeat_byte(byte), ..Default::default() };
    let mut header = LightClientHeader { beacon, ..Default::default() };
    if fork_name >= ForkName::Capella {
        header.execution.block_hash = Hash256::repeat_byte(byte);
        header.execution.extra_data = extra_data.to_vec().try_into().unwrap();
        header.execution_branch = [Hash256::repeat_byte(byte); 4];
    }
    if fork_name >= ForkName::Deneb {
        header.execution.excess_blob_gas = byte.into();
    }
    header
}

fn update(fork_name: ForkName, byte: u8, extra_data: &[u8]) -> LightClientUpdate {
    let aggregate_pubkey = BLSPubkey::repeat_byte(byte);
    LightClientUpdate {
        fork_name,
        attested_header: header(fork_name, byte, extra_data),
        next_sync_committee: Hashed::new(SyncCommittee { aggregate_pubkey, ..Default::default() }),
        next_sync_committee_branch: branch(fork_name, byte),
        finalized_header: header(fork_name, byte.wrapping_add(1), extra_data),
        finality_branch: branch(fork_name, byte),
        sync_aggregate: SyncAggregate::default(),
        signature_slot: byte.into(),
    }
}

fn bootstrap(fork_name: ForkName, byte: u8, extra_data: &[u8]) -> LightClientBootstrap {
    let update = update(fork_name, byte, extra_data);
    LightClientBootstrap {
        fork_name,
        header: update.attested_header,
        current_sync_committee: update.next_sync_committee,
        current_sync_committee_branch: update.next_sync_committee_branch,
    }
}

fn finality_update(fork_name: ForkName, byte: u8, extra_data: &[u8]) -> LightClientFinalityUpdate {
    let update = update(fork_name, byte, extra_data);
    LightClientFinalityUpdate {
        fork_name,
        attested_header: update.attested_header,
        finalized_header: update.finalized_header,
        finality_branch: update.finality_branch,
        sync_aggregate: update.sync_aggregate,
        signature_slot: update.signature_slot,
    }
}

fn optimistic_update(fork_name: ForkName, byte: u8, extra_data: &[u8]) -> LightClientOptimisticUpdate {
    let LightClientUpdate { attested_header, sync_aggregate, signature_slot, .. } = update(fork_name, byte, extra_data);
    LightClientOptimisticUpdate { fork_name, attested_header, sync_aggregate, signature_slot }
}

/// One encoding for each of `AGAIN`.
fn encodings(fork_name: ForkName, byte: u8, extra_data: &[u8]) -> [Vec<u8>; 5] {
    [
        header(fork_name, byte, extra_data).to_ssz_bytes(fork_name),
        bootstrap(fork_name, byte, extra_data).to_ssz_bytes(),
        update(fork_name, byte, extra_data).to_ssz_bytes(),
        finality_update(fork_name, byte, extra_data).to_ssz_bytes(),
        optimistic_update(fork_name, byte, extra_data).to_ssz_bytes(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(fork in 0..FORKS.len(), byte: u8, extra in vec(any::<u8>(), 0..=32)) {
        let fork = FORKS[fork];
        let [one, two, three, four, five] = encodings(fork, byte, &extra);
        prop_assert_eq!(LightClientHeader::from_ssz_bytes(fork, &one), Ok(header(fork, byte, &extra)));
        prop_assert_eq!(LightClientBootstrap::from_ssz_bytes(fork, &two), Ok(bootstrap(fork, byte, &extra)));
        prop_assert_eq!(LightClientUpdate::from_ssz_bytes(fork, &three), Ok(update(fork, byte, &extra)));
        prop_assert_eq!(LightClientFinalityUpdate::from_ssz_bytes(fork, &four), Ok(finality_update(fork, byte, &extra)));
        let read = LightClientOptimisticUpdate::from_ssz_bytes(fork, &five);
        prop_assert_eq!(read, Ok(optimistic_update(fork, byte, &extra)));
    }

    #[test]
    fn what_is_read_would_be_written_so(
        fork in 0..FORKS.len(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
        more in vec(any::<u8>(), 0..40),
    ) {
        for (mut bytes, again) in encodings(FORKS[fork], 3, &[7; 9]).into_iter().zip(AGAIN) {
            for (place, byte) in &changes {
                *place.get_mut(&mut bytes) = *byte;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            bytes.extend(&more);
            if let Some(again) = again(FORKS[fork], &bytes) {
                prop_assert_eq!(again, bytes);
            }
        }
    }
}

#[test]
fn any_offset_but_the_right_one_is_refused() {
    // Where the first offset is: after the beacon header, or where the container begins.
    let offsets_at = [112, 0, 0, 0, 0];
    for fork in FORKS.into_iter().filter(|fork| *fork >= ForkName::Capella) {
        for ((bytes, again), at) in encodings(fork, 3, &[7; 9]).into_iter().zip(AGAIN).zip(offsets_at) {
            assert!(again(fork, &bytes).is_some(), "{fork}");
            for wrong in [bytes[at].wrapping_sub(1), bytes[at].wrapping_add(1), !bytes[at]] {
                let mut bytes = bytes.clone();
                bytes[at] = wrong;
                assert_eq!(again(fork, &bytes), None, "{fork}: offset {wrong}");
            }
        }
    }
}

#[test]
fn a_form_of_fixed_length_has_no_other() {
    for (bytes, again) in encodings(ForkName::Altair, 3, &[]).into_iter().zip(AGAIN) {
        assert_eq!(again(ForkName::Altair, &bytes).as_ref(), Some(&bytes));
        assert_eq!(again(ForkName::Altair, &bytes[1..]), None);
        assert_eq!(again(ForkName::Altair, &[bytes, vec![0]].concat()), None);
    }
}

#[test]
fn there_are_no_light_clients_in_phase_0() {
    for (bytes, again) in encodings(ForkName::Altair, 3, &[]).into_iter().zip(AGAIN) {
        assert_eq!(again(ForkName::Phase0, &bytes), None);
    }
}
