//! Payloads that are begun before anybody asks for them.

use super::*;

fn prepare(bench: &Bench, head: Hash256, attributes: PayloadAttributes) -> Result<bool, ClientError> {
    block_on(bench.client.prepare(ForkName::Fulu, head, attributes))
}

fn build(bench: &Bench, head: Hash256, attributes: PayloadAttributes) -> Result<BuiltPayload, ClientError> {
    block_on(bench.client.build(ForkName::Fulu, head, attributes))
}

/// A client that knows its head.
fn bench() -> Bench {
    let bench = Bench::new(in_fulu);
    assert_eq!(bench.choose(ForkName::Fulu, genesis().hash), Ok(PayloadStatus::Valid));
    bench
}

#[test]
fn a_prepared_payload_is_taken_and_any_other_is_made_anew() {
    let bench = bench();
    let head = genesis().hash;
    assert_eq!(prepare(&bench, head, attributes()), Ok(true));
    // From now on the client begins none, but gives what it has.
    bench.server.faults().set(Fault::Syncing);
    let other = PayloadAttributes { suggested_fee_recipient: Address::repeat_byte(9), ..attributes() };
    assert!(matches!(build(&bench, head, other.clone()), Err(ClientError::NoPayload(_))));
    assert!(matches!(prepare(&bench, head, other.clone()), Err(ClientError::NoPayload(_))));
    let built = build(&bench, head, attributes()).unwrap();
    assert_eq!((built.payload.parent_hash, built.payload.fee_recipient), (head, Address::repeat_byte(2)));
    assert_eq!(prepare(&bench, head, attributes()), Ok(true), "it is begun already");
    bench.server.faults().set(Fault::None);
    assert_eq!(build(&bench, head, other).unwrap().payload.fee_recipient, Address::repeat_byte(9));
}

#[test]
fn nothing_is_prepared_on_a_head_that_was_not_told() {
    let bench = bench();
    assert_eq!(prepare(&bench, Hash256::repeat_byte(7), attributes()), Ok(false));
    assert_eq!(block_on(bench.client.setup()).unwrap().latest, genesis());
    // A new head makes what was prepared on the old one useless.
    assert_eq!(prepare(&bench, genesis().hash, attributes()), Ok(true));
    let made = bench.extend(ForkName::Fulu, genesis(), 1).remove(0);
    assert_eq!(prepare(&bench, genesis().hash, PayloadAttributes::default()), Ok(false));
    let later = PayloadAttributes { timestamp: GENESIS + 2, ..attributes() };
    assert_eq!(prepare(&bench, made.payload.block_hash, later.clone()), Ok(true));
    bench.server.faults().set(Fault::Syncing);
    assert_eq!(build(&bench, made.payload.block_hash, later).unwrap().payload.block_number, 2);
}

/// It is met again and has nothing of what it was told before the end.
#[test]
fn a_client_that_was_restarted_makes_it_anew() {
    let bench = bench();
    assert_eq!(prepare(&bench, genesis().hash, attributes()), Ok(true));
    bench.server.faults().set(Fault::Down);
    until(&bench, |bench| bench.client.trouble().is_some());
    assert!(build(&bench, genesis().hash, attributes()).unwrap_err().is_lost());
    bench.server.faults().set(Fault::None);
    until(&bench, |bench| bench.client.session().is_some());
    bench.server.faults().set(Fault::Syncing);
    assert!(matches!(build(&bench, genesis().hash, attributes()), Err(ClientError::NoPayload(_))));
    bench.server.faults().set(Fault::None);
    assert_eq!(build(&bench, genesis().hash, attributes()).unwrap().payload.block_number, 1);
}
