//! Hostile numbers, and the bounds of what is remembered. What is right is in the official vectors.

use std::sync::Arc;

use ssz_types::{BitList, BitVector, VariableList};

use super::*;
use crate::{
    chain::{BlockInfo, Snapshot, limits::*, tests::recording::*},
    crypto::PubkeyCache,
    types::*,
};

/// Numbers that break careless arithmetic.
const HOSTILE: [u64; 9] = [0, 1, 63, 64, 1 << 32, u64::MAX / 8, u64::MAX / 8 + 1, u64::MAX - 1, u64::MAX];

/// What a view borrows.
struct Chain {
    config: Config,
    keys: PubkeyCache,
    snapshot: Snapshot,
    invalid_blocks: InvalidBlocks,
    seen: Seen,
}

impl Chain {
    fn new() -> Chain {
        let anchor = block(ANCHOR);
        let info =
            BlockInfo { slot: ANCHOR, parent_root: anchor.message.parent_root, state_root: anchor.message.state_root };
        Chain {
            // The recorded chain is too young for exits otherwise.
            config: Config { shard_committee_period: 0, ..config() },
            keys: PubkeyCache::default(),
            snapshot: Snapshot::of_anchor(root(ANCHOR), info, Arc::new(anchor_state())),
            invalid_blocks: InvalidBlocks::new(1),
            seen: Seen::default(),
        }
    }

    fn view_at(&self, now_ms: u64) -> View<'_> {
        View {
            config: &self.config,
            keys: &self.keys,
            snapshot: &self.snapshot,
            state: &self.snapshot.head_state,
            invalid_blocks: &self.invalid_blocks,
            seen: &self.seen,
            now_ms,
        }
    }

    /// Now, before the beginning and at the end of time.
    fn views(&self) -> [View<'_>; 4] {
        let now = self.view_at(0).compute_time_at_slot_ms(ANCHOR + 1);
        [0, now, u64::MAX - 1, u64::MAX].map(|now_ms| self.view_at(now_ms))
    }
}

fn data(slot: Slot, epoch: Epoch) -> AttestationData {
    let target = Checkpoint { epoch, root: root(ANCHOR) };
    AttestationData { slot, index: 0, beacon_block_root: root(ANCHOR), source: Checkpoint::default(), target }
}

fn header(slot: Slot, proposer_index: ValidatorIndex) -> SignedBeaconBlockHeader {
    let message = BeaconBlockHeader { slot, proposer_index, parent_root: root(ANCHOR), ..Default::default() };
    SignedBeaconBlockHeader { message, signature: BLSSignature::ZERO }
}

#[test]
fn no_vote_makes_the_checks_panic() {
    let chain = Chain::new();
    for view in chain.views() {
        for (slot, other) in HOSTILE.into_iter().flat_map(|slot| HOSTILE.map(|other| (slot, other))) {
            let epochs = [compute_epoch_at_slot(slot), other];
            for data in epochs.map(|epoch| data(slot, epoch)) {
                let signature = BLSSignature::ZERO;
                let vote = SingleAttestation { committee_index: other, attester_index: other, data, signature };
                assert!(validate_beacon_attestation_gossip(&view, &vote, other).is_err());
                let mut committee_bits = BitVector::new();
                committee_bits.set(0, true).unwrap();
                let aggregation_bits = BitList::with_capacity((other % 9) as usize).unwrap();
                let aggregate = Attestation { aggregation_bits, data, signature, committee_bits };
                let message = AggregateAndProof { aggregator_index: other, aggregate, selection_proof: signature };
                let signed = SignedAggregateAndProof { message, signature };
                assert!(validate_beacon_aggregate_and_proof_gossip(&view, &signed).is_err());
            }
        }
    }
}

#[test]
fn no_header_makes_the_checks_panic() {
    let chain = Chain::new();
    for view in chain.views() {
        for (slot, other) in HOSTILE.into_iter().flat_map(|slot| HOSTILE.map(|other| (slot, other))) {
            let column = DataColumnSidecar {
                index: other,
                column: VariableList::new(vec![Cell::default()]).unwrap(),
                kzg_commitments: VariableList::new(vec![KZGCommitment::ZERO]).unwrap(),
                kzg_proofs: VariableList::new(vec![KZGProof::ZERO]).unwrap(),
                signed_block_header: header(slot, other),
                kzg_commitments_inclusion_proof: Default::default(),
            };
            assert!(validate_data_column_sidecar_gossip(&view, &column, other).is_err());
            let header = PartialDataColumnHeader {
                kzg_commitments: column.kzg_commitments,
                signed_block_header: column.signed_block_header,
                kzg_commitments_inclusion_proof: column.kzg_commitments_inclusion_proof,
            };
            let group = PartialDataColumnGroupID { beacon_block_root: root(ANCHOR) };
            let partial = PartialDataColumnSidecar {
                cells_present_bitmap: BitList::with_capacity(3).unwrap(),
                partial_column: VariableList::default(),
                kzg_proofs: VariableList::default(),
                header: VariableList::new(vec![header]).unwrap(),
            };
            assert!(validate_partial_data_column_sidecar_gossip(&view, &partial, &group, other).is_err());
            let mut far = (*block(ANCHOR + 1)).clone();
            (far.message.slot, far.message.proposer_index) = (slot, other);
            assert!(validate_beacon_block_gossip(&view, &far, Hash256::ZERO).is_err());
        }
    }
}

#[test]
fn no_operation_makes_the_checks_panic() {
    let chain = Chain::new();
    let signature = BLSSignature::ZERO;
    for view in chain.views() {
        for (first, second) in HOSTILE.into_iter().flat_map(|first| HOSTILE.map(|second| (first, second))) {
            let exit = VoluntaryExit { epoch: first, validator_index: second };
            let _ = validate_voluntary_exit_gossip(&view, &SignedVoluntaryExit { message: exit, signature });
            let slashing = ProposerSlashing {
                signed_header_1: header(first, second),
                signed_header_2: SignedBeaconBlockHeader {
                    message: BeaconBlockHeader { body_root: root(ANCHOR), ..header(first, second).message },
                    signature,
                },
            };
            let _ = validate_proposer_slashing_gossip(&view, &slashing);
            let attestation = |attesting_indices: Vec<u64>, target| IndexedAttestation {
                attesting_indices: VariableList::new(attesting_indices).unwrap(),
                data: data(first, target),
                signature,
            };
            let slashing = AttesterSlashing {
                attestation_1: attestation(vec![first, second], second),
                attestation_2: attestation(vec![second, first], first),
            };
            assert!(validate_attester_slashing_gossip(&view, &slashing).is_err());
            let change = BLSToExecutionChange {
                validator_index: first,
                from_bls_pubkey: BLSPubkey::ZERO,
                to_execution_address: Address::ZERO,
            };
            let change = SignedBLSToExecutionChange { message: change, signature };
            assert!(validate_bls_to_execution_change_gossip(&view, &change).is_err());
            let message = SyncCommitteeMessage {
                slot: first,
                beacon_block_root: root(ANCHOR),
                validator_index: second,
                signature,
            };
            let _ = validate_sync_committee_message_gossip(&view, &message, second);
            let mut aggregation_bits = BitVector::new();
            aggregation_bits.set(0, true).unwrap();
            let contribution = SyncCommitteeContribution {
                slot: first,
                beacon_block_root: root(ANCHOR),
                subcommittee_index: second,
                aggregation_bits,
                signature,
            };
            let message = ContributionAndProof { aggregator_index: second, contribution, selection_proof: signature };
            let _ = validate_sync_committee_contribution_and_proof_gossip(
                &view,
                &SignedContributionAndProof { message, signature },
            );
        }
    }
}

#[test]
fn what_is_remembered_is_bounded() {
    let seen = Seen::default();
    type MakeMark = fn(u64) -> Mark;
    let marks: [(usize, MakeMark); 8] = [
        (SEEN_PROPOSALS, |n| Mark::Proposal(n, 0)),
        (SEEN_EXITS, Mark::VoluntaryExit),
        (SEEN_EXITS, Mark::ProposerSlashing),
        (SEEN_EXITS, Mark::BlsToExecutionChange),
        (SEEN_SYNC_MESSAGES, |n| Mark::SyncMessage(n, 0, 0)),
        (SEEN_COLUMNS, |n| Mark::DataColumn(n, 0, 0)),
        (SEEN_BLOBS, |n| Mark::Blob(n, 0, 0)),
        (SEEN_CONTRIBUTIONS, |n| Mark::Contribution {
            aggregator: (n, 0, 0),
            data: (n, Hash256::ZERO, 0),
            bits: vec![1],
        }),
    ];
    for (limit, mark) in marks {
        assert!((0..=limit as u64).all(|n| seen.remember(mark(n)).is_ok()), "{limit}");
        // The first is forgotten, the second is not, nor is the last.
        assert!(seen.check(&mark(0)).is_ok(), "{limit}");
        assert!(seen.check(&mark(1)).is_err() && seen.remember(mark(limit as u64)).is_err(), "{limit}");
    }
}

#[test]
fn an_aggregate_is_new_if_it_has_votes_that_no_other_has() {
    let seen = Seen::default();
    let mark = |aggregator: u64, bits: u8| Mark::Aggregate {
        aggregator: (1, aggregator),
        committee: (Hash256::ZERO, 0),
        bits: vec![bits],
    };
    assert!(seen.remember(mark(1, 0b0111)).is_ok());
    assert!(seen.remember(mark(2, 0b0011)).is_err());
    assert!(seen.remember(mark(2, 0b1001)).is_ok());
    assert!(seen.remember(mark(2, 0b1111)).is_err(), "one aggregate for each aggregator");
    assert!(seen.remember(mark(3, 0b1011)).is_ok(), "no single one has all of them");
}

#[test]
fn a_slashing_is_new_if_anybody_in_it_is() {
    let seen = Seen::default();
    assert!(seen.remember(Mark::AttesterSlashing(vec![])).is_err());
    assert!(seen.remember(Mark::AttesterSlashing(vec![1, 2])).is_ok());
    assert!(seen.remember(Mark::AttesterSlashing(vec![2, 1])).is_err());
    assert!(seen.remember(Mark::AttesterSlashing(vec![2, 3])).is_ok());
}

#[test]
fn a_false_claim_keeps_nobody_out() {
    let chain = Chain::new();
    let view = chain.views().into_iter().nth(1).unwrap();
    let index = (0..16).find(|index| {
        let exit = VoluntaryExit { epoch: 0, validator_index: *index };
        validate_voluntary_exit_gossip(&view, &SignedVoluntaryExit { message: exit, signature: BLSSignature::ZERO })
            .is_ok()
    });
    let index = index.expect("somebody may leave");
    let exit = SignedVoluntaryExit {
        message: VoluntaryExit { epoch: 0, validator_index: index },
        signature: BLSSignature::ZERO,
    };
    let checked = validate_voluntary_exit_gossip(&view, &exit).unwrap();
    assert_eq!(checked.accept(&chain.seen, &[false]).unwrap_err(), reject("invalid voluntary exit signature"));
    let checked = validate_voluntary_exit_gossip(&view, &exit).unwrap();
    assert!(checked.accept(&chain.seen, &[]).is_err(), "a verdict is missing");
    let checked = validate_voluntary_exit_gossip(&view, &exit).unwrap();
    assert!(checked.accept(&chain.seen, &[true]).is_ok());
    assert!(validate_voluntary_exit_gossip(&view, &exit).is_err());
}

/// An update with finality, of blocks at these slots.
fn finality_update(finalized: Slot, signature_slot: Slot, signers: usize) -> LightClientFinalityUpdate {
    let header = |slot| LightClientHeader { beacon: header(slot, 0).message, ..Default::default() };
    let mut sync_aggregate = SyncAggregate::default();
    (0..signers).for_each(|place| sync_aggregate.sync_committee_bits.set(place, true).unwrap());
    LightClientFinalityUpdate {
        fork_name: ForkName::Fulu,
        attested_header: header(signature_slot.saturating_sub(1)),
        finalized_header: header(finalized),
        finality_branch: [Hash256::repeat_byte(1); 7],
        sync_aggregate,
        signature_slot,
    }
}

#[test]
fn a_finality_update_is_passed_on_when_it_is_newer_late_enough_and_ours() {
    let chain = Chain::new();
    let due = chain.config.get_sync_message_due_ms() - chain.config.maximum_gossip_clock_disparity;
    let mut forwarded = Forwarded::default();
    let mut judge = |update: &LightClientFinalityUpdate, ours: Option<&LightClientFinalityUpdate>, into_slot_ms| {
        let start = chain.view_at(0).compute_time_at_slot_ms(update.signature_slot);
        let view = chain.view_at(start.saturating_add(into_slot_ms));
        validate_light_client_finality_update_gossip(&view, update, ours, &mut forwarded)
    };
    let two_thirds = preset::SYNC_COMMITTEE_SIZE * 2 / 3;
    let weak = finality_update(232, ANCHOR, two_thirds);
    let strong = finality_update(232, ANCHOR + 1, two_thirds + 1);
    let later = finality_update(240, ANCHOR + 2, 1);
    let early = Some("update is too early for its signature slot");
    let other = Some("finality update does not match the local one");
    let old = Some("finality update is not newer than those forwarded");
    for (number, (update, ours, into_slot_ms, expected)) in [
        (&weak, Some(&weak), due - 1, early),
        (&weak, None, due, other),
        (&weak, Some(&strong), due, other),
        (&weak, Some(&weak), due, None),
        (&weak, Some(&weak), due, old),
        (&strong, Some(&strong), due, None),
        (&weak, Some(&weak), due, old),
        (&later, Some(&later), due, None),
        (&strong, Some(&strong), due, old),
    ]
    .into_iter()
    .enumerate()
    {
        let refusal = judge(update, ours, into_slot_ms).err();
        assert_eq!(refusal.map(|it| it.reason), expected, "case {number}");
        assert!(refusal.is_none_or(|it| it.verdict == Verdict::Ignore));
    }
    for slot in HOSTILE {
        let _ = judge(&finality_update(slot, slot, 1), None, slot);
    }
}
