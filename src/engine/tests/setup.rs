//! Whether both sides are set up alike, asked over the wire.

use std::time::{SystemTime, UNIX_EPOCH};

use super::*;
use crate::types::Config;

fn config() -> Config {
    Config { deposit_chain_id: CHAIN_ID, ..Config::default().in_fork_from_genesis(ForkName::Fulu) }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// What is wrong with a stand-in that has these options and this fault.
fn problems(options: fn(Secret) -> StandInOptions, fault: Fault) -> Vec<String> {
    let bench = Bench::new(options);
    bench.server.faults().set(fault);
    block_on(bench.client.setup()).unwrap().problems(&config(), GENESIS, now())
}

fn only_problem(options: fn(Secret) -> StandInOptions, fault: Fault) -> String {
    let mut problems = problems(options, fault);
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems.remove(0)
}

#[test]
fn the_same_setup_is_no_problem() {
    let bench = Bench::new(in_fulu);
    let setup = block_on(bench.client.setup()).unwrap();
    assert_eq!((setup.chain_id, setup.latest), (CHAIN_ID, genesis()));
    let rules = Rules { activation_time: Some(GENESIS), blob_schedule: Some(BlobRules { max: 9 }) };
    assert_eq!(setup.forks, Some(ForkPlan { current: rules, next: None, last: None }));
    assert!(setup.clock_ahead.is_some_and(|ahead| ahead.abs() < 5), "{setup:?}");
    assert_eq!(schedule(&config(), GENESIS), [since(0, ForkName::Fulu)]);
    assert_eq!(problems(in_fulu, Fault::None), [""; 0]);
}

#[test]
fn a_client_that_does_not_tell_its_forks_is_believed() {
    let silent = |secret| StandInOptions { schedule: Vec::new(), ..in_fulu(secret) };
    assert_eq!(block_on(Bench::new(silent).client.setup()).unwrap().forks, None);
    assert_eq!(problems(silent, Fault::None), [""; 0]);
}

#[test]
fn another_chain_is_a_problem() {
    let problem = only_problem(|secret| StandInOptions { chain_id: 5, ..in_fulu(secret) }, Fault::None);
    assert!(problem.contains("chain 5") && problem.contains("chain 1337"), "{problem}");
}

#[test]
fn another_clock_is_a_problem_and_a_token_tells_of_one_that_is_far_off() {
    let problem = only_problem(in_fulu, Fault::Clock(30));
    assert!(problem.contains("s ahead of ours") && problem.contains("timedatectl"), "{problem}");
    let problem = only_problem(in_fulu, Fault::Clock(-30));
    assert!(problem.contains("s behind ours"), "{problem}");
    let bench = Bench::new(in_fulu);
    bench.server.faults().set(Fault::Clock(-600));
    let error = block_on(bench.client.setup()).unwrap_err();
    assert!(matches!(&error, ClientError::Auth(words) if words.contains("s behind ours")), "{error}");
}

#[test]
fn a_block_from_the_future_is_a_problem() {
    let early = |secret| {
        let genesis = LatestBlock { timestamp: now() + 1000, ..genesis() };
        StandInOptions { genesis, ..in_fulu(secret) }
    };
    let problem = only_problem(early, Fault::None);
    assert!(problem.contains("ahead of our clock"), "{problem}");
}

#[test]
fn other_forks_are_a_problem() {
    let old = |secret| StandInOptions { schedule: vec![since(1, ForkName::Electra)], ..in_fulu(secret) };
    let problem = only_problem(old, Fault::None);
    assert!(problem.contains("follows other rules") && problem.contains("update the older one"), "{problem}");
    let planned = |secret| {
        let coming = Activation { time: now() + 100_000, fork: ForkName::Fulu, max_blobs: 21 };
        StandInOptions { schedule: vec![since(0, ForkName::Fulu), coming], ..in_fulu(secret) }
    };
    let problem = only_problem(planned, Fault::None);
    assert!(problem.contains("plans other forks") && problem.contains("at most 21 blobs"), "{problem}");
    let fewer = |secret| {
        let schedule = vec![Activation { max_blobs: 6, ..since(0, ForkName::Fulu) }];
        StandInOptions { schedule, ..in_fulu(secret) }
    };
    assert!(only_problem(fewer, Fault::None).contains("at most 6 blobs"));
}
