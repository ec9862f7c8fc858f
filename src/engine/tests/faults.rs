//! What each fault looks like from the node.

use super::*;

#[test]
fn a_syncing_client_judges_nothing_and_catches_up() {
    let bench = Bench::new(in_fulu);
    let made = bench.extend(ForkName::Fulu, genesis(), 1).remove(0);
    let next = bench.make(ForkName::Fulu, latest(&made));
    bench.server.faults().set(Fault::Syncing);
    assert_eq!(bench.judge(ForkName::Fulu, &next), Ok(PayloadStatus::Syncing));
    assert_eq!(bench.choose(ForkName::Fulu, next.payload.block_hash), Ok(PayloadStatus::Syncing));
    assert_eq!(block_on(bench.client.upcheck()), Ok(false));
    bench.server.faults().set(Fault::None);
    assert_eq!(bench.choose(ForkName::Fulu, next.payload.block_hash), Ok(PayloadStatus::Valid));
    assert_eq!(bench.client.sessions(), 1);
}

#[test]
fn an_invalid_payload_is_reported_with_the_last_valid_one() {
    let bench = Bench::new(in_fulu);
    let made = bench.extend(ForkName::Fulu, genesis(), 2);
    bench.server.faults().set(Fault::InvalidFrom(3));
    let next = bench.make(ForkName::Fulu, latest(&made[1]));
    let latest_valid_hash = Some(made[1].payload.block_hash);
    let status = bench.judge(ForkName::Fulu, &next).unwrap();
    let PayloadStatus::Invalid { latest_valid_hash: found, reason } = status else { panic!("{status:?}") };
    assert_eq!((found, reason.is_empty()), (latest_valid_hash, false));
    let status = bench.choose(ForkName::Fulu, next.payload.block_hash).unwrap();
    assert!(matches!(status, PayloadStatus::Invalid { latest_valid_hash: found, .. } if found == latest_valid_hash));
}

/// It goes, and comes back at the same address: what was asked in between fails at once, and then it is met anew.
#[test]
fn a_client_that_goes_and_comes_back_is_met_again() {
    let bench = Bench::new(in_fulu);
    let made = bench.extend(ForkName::Fulu, genesis(), 1).remove(0);
    bench.server.faults().set(Fault::Down);
    until(&bench, |bench| bench.client.trouble().is_some());
    assert!(matches!(bench.client.trouble(), Some(ClientError::Unreachable { .. })), "{:?}", bench.client.trouble());
    assert!(bench.judge(ForkName::Fulu, &made).unwrap_err().is_lost());
    bench.server.faults().set(Fault::None);
    until(&bench, |bench| bench.client.session().is_some());
    assert_eq!(bench.client.sessions(), 2);
    assert_eq!(bench.judge(ForkName::Fulu, &made), Ok(PayloadStatus::Valid));
}

#[test]
fn a_connection_that_is_dropped_is_a_loss_until_the_next_attempt() {
    let bench = Bench::new(in_fulu);
    assert_eq!(block_on(bench.client.upcheck()), Ok(true));
    bench.server.faults().set(Fault::DropConnections);
    assert!(block_on(bench.client.upcheck()).unwrap_err().is_lost());
    bench.server.faults().set(Fault::None);
    until(&bench, |bench| bench.client.session().is_some());
}

#[test]
fn nonsense_is_called_so_and_shown() {
    let bench = Bench::new(in_fulu);
    assert_eq!(block_on(bench.client.upcheck()), Ok(true));
    bench.server.faults().set(Fault::Nonsense);
    let error = block_on(bench.client.upcheck()).unwrap_err();
    assert!(matches!(&error, ClientError::Nonsense { method: "eth_syncing", .. }), "{error:?}");
    assert!(error.to_string().contains("It works!"), "{error}");
    // Who never made sense is not met.
    let other = ExecutionClient::new(&bench.server.url(), (bench.options)(bench.other_secret()).secret);
    assert!(block_on(other.upcheck()).is_err() && other.session().is_none());
}

#[test]
fn a_full_disk_is_told_in_the_clients_words() {
    let bench = Bench::new(in_fulu);
    let made = bench.make(ForkName::Fulu, genesis());
    bench.server.faults().set(Fault::Failing("no space left on device".into()));
    let error = bench.judge(ForkName::Fulu, &made).unwrap_err();
    assert!(matches!(error, ClientError::Failed { code: -32000, .. }), "{error:?}");
    assert!(error.to_string().contains("no space left on device"));
    bench.server.faults().set(Fault::None);
    assert_eq!(bench.judge(ForkName::Fulu, &made), Ok(PayloadStatus::Valid));
}

#[test]
fn an_answer_that_comes_too_late_is_a_timeout() {
    let bench = Bench::new(in_fulu);
    assert_eq!(block_on(bench.client.upcheck()), Ok(true));
    bench.server.faults().set(Fault::Slow(PATIENCE));
    let error = block_on(bench.client.upcheck()).unwrap_err();
    assert_eq!(error, ClientError::Timeout { method: "eth_syncing", seconds: 1 });
    // Once is no loss.
    assert!(bench.client.session().is_some());
    bench.server.faults().set(Fault::None);
    assert_eq!(block_on(bench.client.upcheck()), Ok(true));
    bench.server.faults().set(Fault::Slow(Duration::from_millis(1)));
    assert_eq!(block_on(bench.client.upcheck()), Ok(true));
}

/// Two files: the sentence names ours. When ours is put right, the client is met without a restart of the node.
#[test]
fn a_wrong_secret_is_explained_and_can_be_put_right() {
    let bench = Bench::new(in_fulu);
    let secret = bench.other_secret();
    let client = ExecutionClient::new(&bench.server.url(), secret.clone());
    let error = block_on(client.upcheck()).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, ClientError::Auth(_)), "{error:?}");
    assert!(text.contains("the clocks agree, so the secrets differ") && text.contains("other.hex"), "{text}");
    std::fs::copy(bench.folder.path().join("jwt.hex"), secret.path()).unwrap();
    let end = std::time::Instant::now() + PATIENCE;
    while block_on(client.upcheck()).is_err() {
        assert!(std::time::Instant::now() < end, "the new secret was not read");
    }
    assert!(client.session().is_some());
    bench.server.faults().set(Fault::Unauthorized);
    assert!(matches!(block_on(client.upcheck()), Err(ClientError::Auth(_))));
}

#[test]
fn calls_at_once_are_all_answered() {
    let bench = Bench::new(in_fulu);
    let made = bench.extend(ForkName::Fulu, genesis(), 1).remove(0);
    let calls = (0..20).map(|_| bench.client.new_payload(ForkName::Fulu, block(ForkName::Fulu, &made)));
    let statuses = block_on(futures::future::join_all(calls));
    assert!(statuses.iter().all(|status| *status == Ok(PayloadStatus::Valid)), "{statuses:?}");
    assert_eq!(bench.client.sessions(), 1);
}
