//! Everything that can go wrong with an execution client, and what the node does and says: docs/execution.md has the table.
//!
//! Two nodes on a devnet of the minimal preset: one makes the chain, the other follows it beside a stand-in that is told to
//! misbehave, one way after the other. The node under test is not restarted, but for the one fault that needs it.
#![cfg(feature = "minimal")]

#[path = "execution_client/chain.rs"]
mod chain;
#[path = "execution_client/log.rs"]
mod log;
#[allow(dead_code)] // the other test beside an execution client uses all of it
#[path = "execution_client/node.rs"]
mod node;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use chain::{Chain, beside, peer_of};
use hornero::{
    engine::{Engine, Fault, LatestBlock, Secret, StandInOptions, StandInServer, schedule},
    types::Hash256,
};
use node::{Node, Syncing};

const SLOT_MS: u64 = 1000;
const CHAIN_ID: u64 = 1337;
/// The first block of the stand-ins' chain.
const EXECUTION_GENESIS: Hash256 = Hash256::repeat_byte(0x42);
/// Slots for which a fault lasts after it was noticed.
const SLOTS: usize = 3;
/// Warnings in those slots at most: one each when a payload can't be judged, when a fork choice can't be told, when the client
/// does not say whether it is there, and when it counts as gone; and one in each epoch for as long as it does.
const WARNINGS: usize = 6;
/// Most of a slot, as eight of twelve seconds would be.
const SLOW: Duration = Duration::from_millis(600);
/// Longer than the API gives any method.
const NEVER: Duration = Duration::from_secs(60);

/// One way to go wrong, and what is to be seen of it.
struct Case {
    name: &'static str,
    fault: Fault,
    /// In the log.
    says: &'static str,
    /// Calls with this result are counted.
    result: &'static str,
    /// What the API says of the client and of the head.
    el_offline: bool,
    is_optimistic: bool,
    /// The statuses of data to vote for, and of a block.
    duties: [u16; 2],
}

fn cases() -> Vec<Case> {
    let gone = |name, fault, says, result| {
        let (el_offline, is_optimistic) = (true, true);
        Case { name, fault, says, result, el_offline, is_optimistic, duties: [503, 503] }
    };
    let there = |name, fault, says, result| Case { el_offline: false, ..gone(name, fault, says, result) };
    let full = Fault::Failing("no space left on device".into());
    vec![
        gone("not there", Fault::Down, "can't be reached", "unreachable"),
        gone("drops connections", Fault::DropConnections, "can't be reached", "unreachable"),
        gone("wrong secret", Fault::Unauthorized, "refuses our token", "auth"),
        gone("clock ahead", Fault::Clock(90), "its clock is 90 s ahead of ours", "auth"),
        there("syncing", Fault::Syncing, "  unverified", "ok"),
        there("nonsense", Fault::Nonsense, "something else than the API says", "nonsense"),
        there("full disk", full, "no space left on device", "error"),
        Case {
            is_optimistic: false,
            duties: [200, 200],
            ..there("slow: half a slot and more", Fault::Slow(SLOW), "distance 1", "ok")
        },
        gone("hangs", Fault::Slow(NEVER), "did not answer", "timeout"),
    ]
}

#[test]
fn a_node_lives_through_every_fault_of_its_execution_client() {
    let folder = tempfile::tempdir().unwrap();
    let mut chain = Chain::new(folder.path(), SLOT_MS, CHAIN_ID, EXECUTION_GENESIS);
    let (healthy, secret) = stand_in(&chain, folder.path(), "healthy", 0);
    let maker = chain.start("maker", &[chain.genesis_files(), beside(&healthy.url(), &secret)]);
    chain.validate(&maker);

    // The client comes later than the node.
    let (faulty, secret) = stand_in(&chain, folder.path(), "faulty", 0);
    faulty.faults().set(Fault::Down);
    let execution = beside(&faulty.url(), &secret);
    let follower = chain.start("follower", &[chain.genesis_files(), peer_of(&maker), execution.clone()]);
    println!("| fault | noticed after s | the log says | the API says | duties | at the head again after s |");
    println!("|---|---|---|---|---|---|");
    follower.until("it follows without a client", |node| node.syncing().is_optimistic && node.syncing().el_offline);
    follower.next_slot();
    let now = follower.syncing();
    faulty.faults().set(Fault::None);
    let well = follower.until("it meets a client that comes late", |node| node.syncing().is_well());
    row("not started yet", Duration::ZERO, &follower.log.find(0, "can't be reached"), &now, [503, 503], Some(well));

    for case in cases() {
        live_through(&case, &follower, &faulty);
    }
    let follower = lives_on_a_branch_that_its_client_refuses(&chain, follower, faulty, &[peer_of(&maker), execution]);
    maker.stop();
    follower.stop();
}

/// A stand-in with a file for its secret.
fn stand_in(chain: &Chain, folder: &Path, name: &str, port: u16) -> (StandInServer, PathBuf) {
    let file = folder.join(format!("{name}.hex"));
    let (secret, _) = Secret::load_or_make(&file).unwrap();
    let begin = chain.genesis_time();
    let options = StandInOptions {
        secret,
        genesis: LatestBlock { number: 0, hash: EXECUTION_GENESIS, timestamp: begin },
        chain_id: CHAIN_ID,
        schedule: schedule(&chain.config, begin),
        maker: Engine::StandIn(Default::default()),
        pool: Default::default(),
        has_short_slots: false,
    };
    (StandInServer::start(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), options).unwrap(), file)
}

/// What of a case is to be seen at one moment.
fn shows(case: &Case, now: &Syncing) -> bool {
    now.el_offline == case.el_offline && now.is_optimistic == case.is_optimistic && now.sync_distance <= 1
}

fn live_through(case: &Case, node: &Node, client: &StandInServer) {
    let (from, name) = (node.log.len(), case.name);
    let counted = || node.metric("hornero_execution_requests_total", &[case.result]);
    let before = counted();
    client.faults().set(case.fault.clone());
    let noticed = node.until(name, |node| shows(case, &node.syncing()));
    let begun = node.syncing();
    (0..SLOTS).for_each(|_| _ = node.next_slot());
    node.until(name, |node| shows(case, &node.syncing()) && node.syncing().head_slot > begun.head_slot);
    let now = node.syncing();
    let duties = node.duties();
    assert_eq!(duties, case.duties, "{name}");
    assert_eq!(node.metric("hornero_execution_client_up", &[]), f64::from(u8::from(!case.el_offline)), "{name}");
    assert!(counted() > before, "{name}: calls are counted");
    let said = node.log.find(from, case.says);
    assert!(!said.is_empty(), "{name}\n{}", node.log.tail());
    let warned = node.log.find(from, "WARN the execution client").len();
    assert!(warned <= WARNINGS, "{name}: it is said once, not at each call\n{}", node.log.tail());
    client.faults().set(Fault::None);
    let well = node.until(name, |node| node.syncing().is_well());
    assert_eq!(node.health(), 200, "{name}");
    row(name, noticed, &said, &now, duties, Some(well));
}

/// A line of the table.
fn row(name: &str, noticed: Duration, said: &[String], now: &Syncing, duties: [u16; 2], well: Option<Duration>) {
    let mut api = vec![format!("{} behind", now.sync_distance)];
    api.extend(now.el_offline.then(|| "el_offline".into()));
    api.extend(now.is_optimistic.then(|| "is_optimistic".into()));
    let said = said.first().map_or("-", |line| line.split_once("Z ").map_or(line.as_str(), |(_, text)| text.trim()));
    let well = well.map_or("-".into(), |well| format!("{:.1}", well.as_secs_f64()));
    println!("| {name} | {:.1} | {said} | {} | {duties:?} | {well} |", noticed.as_secs_f64(), api.join(", "));
}

/// A client that is wrong about a payload: the node stays at the last block before. When the client was put right, and both
/// were started again, the node follows.
fn lives_on_a_branch_that_its_client_refuses(
    chain: &Chain,
    node: Node,
    client: StandInServer,
    options: &[Vec<String>],
) -> Node {
    let (from, head) = (node.log.len(), node.syncing().head_slot);
    let url = client.url();
    client.faults().set(Fault::InvalidFrom(0));
    let noticed = node.until("it refuses a block", |node| !node.log.find(from, "was refused").is_empty());
    (0..SLOTS).for_each(|_| _ = node.next_slot());
    let now = node.syncing();
    assert!(now.head_slot <= head + 1 && now.sync_distance >= SLOTS as u64, "it stays where it was: {now:?}");
    assert!(!now.is_optimistic && !now.el_offline, "{now:?}");
    let said = node.log.find(from, "was refused");
    assert!(said[0].contains("the execution client says that the payload is not valid"), "{said:?}");
    row("calls a payload invalid", noticed, &said, &now, node.duties(), None);

    node.stop();
    drop(client);
    let port = url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let (_client, _) = stand_in(chain, &chain.folder, "faulty", port);
    let node = chain.start("follower", options);
    let well = node.until("it follows again", |node| node.syncing().is_well());
    println!("| both started again, the client put right | | | | | {:.1} |", well.as_secs_f64());
    node
}
