//! Each method.

use super::*;
use crate::types::KZGCommitment;

#[test]
fn the_client_is_met_and_its_setup_checked() {
    let bench = Bench::new(in_fulu);
    assert_eq!((bench.client.session(), bench.client.sessions()), (None, 0));
    assert_eq!(block_on(bench.client.upcheck()), Ok(true));
    let session = bench.client.session().unwrap();
    assert_eq!(session.versions[0].name, "Hornero's stand-in");
    assert_eq!(session.methods.len(), 18);
    assert_eq!((session.problem(ForkName::Fulu), bench.client.sessions()), (None, 1));
    assert_eq!(block_on(bench.client.client_version()).unwrap(), session.versions);
}

/// Payloads are made, judged, chosen and read back in the versions of every fork, across two changes of fork.
#[test]
fn payloads_of_every_fork_go_both_ways() {
    const FORKS: [ForkName; 5] =
        [ForkName::Bellatrix, ForkName::Capella, ForkName::Deneb, ForkName::Electra, ForkName::Fulu];
    let bench = Bench::new(|secret| StandInOptions {
        schedule: FORKS.into_iter().zip([0, 3, 5, 7, 9]).map(|(fork, after)| since(after, fork)).collect(),
        ..in_fulu(secret)
    });
    let mut head = genesis();
    for fork in [0, 0, 1, 1, 2, 2, 3, 3, 4, 4].map(|index| FORKS[index]) {
        let made = bench.extend(fork, head, 1);
        let payload = &made[0].payload;
        assert_eq!((payload.parent_hash, payload.timestamp), (head.hash, head.timestamp + 1), "{fork}");
        assert_eq!(payload.fee_recipient, Address::repeat_byte(2));
        assert_eq!(payload.withdrawals.len(), usize::from(fork >= ForkName::Capella), "{fork}");
        // The right payload in another fork's version is refused.
        let other = if fork >= ForkName::Electra { ForkName::Deneb } else { ForkName::Fulu };
        let error = bench.judge(other, &made[0]).unwrap_err();
        assert!(matches!(error, ClientError::Unsupported { .. }), "{fork}: {error}");
        head = latest(&made[0]);
    }
    let error = bench.judge(ForkName::Altair, &BuiltPayload::default()).unwrap_err();
    assert_eq!(error, ClientError::NoPayloads(ForkName::Altair));
}

#[test]
fn a_payload_that_was_changed_is_invalid_and_one_without_a_parent_is_not_judged() {
    let bench = Bench::new(in_fulu);
    let made = bench.extend(ForkName::Fulu, genesis(), 1).remove(0);
    let mut changed = made.clone();
    changed.payload.gas_limit += 1;
    let status = bench.judge(ForkName::Fulu, &changed).unwrap();
    assert!(matches!(&status, PayloadStatus::Invalid { latest_valid_hash: None, .. }), "{status:?}");
    let mut with_blob = made.clone();
    with_blob.blobs.commitments.push(KZGCommitment::ZERO);
    let status = bench.judge(ForkName::Fulu, &with_blob).unwrap();
    assert!(matches!(&status, PayloadStatus::Invalid { .. }), "{status:?}");
    // A second stand-in has never heard of the first block.
    let other = Bench::new(in_fulu);
    let next = bench.make(ForkName::Fulu, latest(&made));
    assert_eq!(other.judge(ForkName::Fulu, &next), Ok(PayloadStatus::Syncing));
    assert_eq!(other.choose(ForkName::Fulu, next.payload.block_hash), Ok(PayloadStatus::Syncing));
    assert_eq!(block_on(other.client.upcheck()), Ok(false));
    assert_eq!(other.choose(ForkName::Fulu, next.payload.block_hash), Ok(PayloadStatus::Valid));
    assert_eq!(block_on(other.client.upcheck()), Ok(true));
}

#[test]
fn the_errors_of_the_api_are_told_apart() {
    let bench = Bench::new(in_fulu);
    let made = bench.extend(ForkName::Fulu, genesis(), 2);
    let hash = |index: usize| made[index].payload.block_hash;
    let choose = |state, attributes| block_on(bench.client.forkchoice_updated(ForkName::Fulu, state, attributes));
    let inconsistent = ForkchoiceState { head: hash(0), safe: hash(1), finalized: Hash256::ZERO };
    assert!(matches!(choose(inconsistent, None), Err(ClientError::InvalidForkchoice(_))));
    let state = ForkchoiceState { head: hash(1), ..Default::default() };
    assert!(matches!(choose(state, Some(attributes())), Err(ClientError::InvalidAttributes(_))));
    let unknown = block_on(bench.client.get_payload(ForkName::Fulu, PayloadId([7; 8])));
    assert_eq!(unknown, Err(ClientError::UnknownPayload));
    let unknown_head = bench.choose(ForkName::Fulu, Hash256::repeat_byte(0x77));
    assert_eq!(unknown_head, Ok(PayloadStatus::Syncing));
    // None of them means that the client is gone.
    assert_eq!((bench.client.trouble(), bench.client.sessions()), (None, 1));
}

#[test]
fn bodies_are_found_by_hash_and_by_number() {
    let bench = Bench::new(in_fulu);
    let made = bench.extend(ForkName::Fulu, genesis(), 3);
    let body = |index: usize| {
        let payload = &made[index].payload;
        let (transactions, withdrawals) = (payload.transactions.clone(), payload.withdrawals.clone());
        Some(PayloadBody { transactions, withdrawals: Some(withdrawals) })
    };
    let hashes = [made[2].payload.block_hash, Hash256::repeat_byte(0x77), made[0].payload.block_hash];
    let by_hash = |hashes: &[Hash256]| block_on(bench.client.payload_bodies_by_hash(hashes));
    assert_eq!(by_hash(&hashes).unwrap(), [body(2), None, body(0)]);
    assert_eq!(by_hash(&[]).unwrap(), []);
    assert!(matches!(by_hash(&[Hash256::ZERO; MAX_BODIES + 1]), Err(ClientError::TooLarge { .. })));
    let by_range = |start, count| block_on(bench.client.payload_bodies_by_range(start, count));
    assert_eq!(by_range(2, 10).unwrap(), [body(1), body(2)]);
    assert_eq!(by_range(4, 1).unwrap(), []);
    assert!(matches!(by_range(0, 1), Err(ClientError::Failed { code: -32602, .. })));
    assert!(matches!(by_range(1, MAX_BODIES + 1), Err(ClientError::TooLarge { .. })));
}

#[test]
fn blobs_come_from_the_pool_all_or_partly() {
    let bench = Bench::new(in_fulu);
    let made = bench.extend(ForkName::Fulu, genesis(), 2).remove(1).blobs;
    let mut hashes: Vec<_> = made.commitments.iter().map(kzg_commitment_to_versioned_hash).collect();
    let pooled = |index: usize| {
        let proofs = made.proofs[index * CELLS_PER_EXT_BLOB..][..CELLS_PER_EXT_BLOB].to_vec();
        Some(PooledBlob { blob: made.blobs[index].clone(), proofs })
    };
    let all = block_on(bench.client.get_blobs(ForkName::Fulu, &hashes)).unwrap();
    assert_eq!((all.len(), all), (2, vec![pooled(0), pooled(1)]));
    hashes[0] = Hash256::repeat_byte(1);
    assert_eq!(block_on(bench.client.get_blobs(ForkName::Fulu, &hashes)).unwrap(), [None, None]);
    assert_eq!(block_on(bench.client.get_blobs_partly(&hashes)).unwrap(), [None, pooled(1)]);
}

#[test]
fn blobs_that_are_not_in_the_pool_are_missing() {
    let bench = Bench::new(in_fulu);
    bench.extend(ForkName::Fulu, genesis(), 1);
    let hashes = [Hash256::repeat_byte(1), Hash256::repeat_byte(2)];
    assert_eq!(block_on(bench.client.get_blobs(ForkName::Fulu, &hashes)).unwrap(), [None, None]);
    assert_eq!(block_on(bench.client.get_blobs_partly(&hashes)).unwrap(), [None, None]);
    let old = block_on(bench.client.get_blobs(ForkName::Electra, &hashes));
    assert!(matches!(old, Err(ClientError::Unsupported { .. })), "{old:?}");
    let many = vec![Hash256::ZERO; 73];
    let many = block_on(bench.client.get_blobs(ForkName::Fulu, &many));
    assert!(matches!(many, Err(ClientError::TooLarge { .. })), "{many:?}");
}
