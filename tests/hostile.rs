//! What strangers can do to a live node: floods of each kind against a node in a process of its own that follows a chain which
//! another node makes.
//!
//! Each case lasts some slots. As soon as the node has sent the stranger away, it comes again under another name, so that the
//! attack never rests. Printed is what it cost: how much later the node's head changed than the other node's, memory, and how
//! long a name lasted. Asserted is what must hold on any machine: the stranger is dropped and not let in again, memory is within
//! its bound, and the node stays at the head.
//!
//! `HORNERO_HOSTILE_SLOTS` says for how many slots each case lasts (3), `HORNERO_HOSTILE_SLOT_MS` how long a slot is (2000).
//!
//! In the minimal preset, as the other runs of whole networks.
#![cfg(all(target_os = "linux", feature = "minimal"))]

mod hostile {
    pub mod cases;
    pub mod network;
    pub mod stranger;
    pub mod victim;
}

use std::{env, time::Duration};

use hostile::{
    cases::{CASES, Case},
    network::Network,
    stranger::Outcome,
    victim::Victim,
};

/// What a case may add to the node's memory: the bytes that may wait in queues, the copies of them that are being read, decoded
/// and judged, and a fresh peer's buffers.
const BOUND: u64 = 96 << 20;

fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn strangers_cannot_harm_a_live_node() {
    let slots = number("HORNERO_HOSTILE_SLOTS", 3);
    let network = Network::start(number("HORNERO_HOSTILE_SLOT_MS", 2000));
    let victim = Victim::start(&network);
    println!(
        "{:<44} {:>9} {:>9} {:>7} {:>6} {:>9} {:>9} {:>9}",
        "", "median ms", "worst ms", "peak MiB", "names", "sent", "MiB", "lasted ms"
    );
    victim.follow(&network, 2);
    let calm = victim.follow(&network, slots);
    let resident = victim.resident();
    report("undisturbed", &calm, resident, &Outcome::default());
    for case in CASES {
        run(case, &network, &victim, slots, resident);
    }
    victim.stop();
    network.stop();
}

fn run(case: &Case, network: &Network, victim: &Victim, slots: u64, resident: u64) {
    victim.forget_peak();
    let attack = case.start(network, victim);
    let delays = victim.follow(network, slots);
    let outcome = attack.end();
    let peak = victim.peak();
    report(case.name, &delays, peak, &outcome);
    assert!(outcome.names > 0, "{}: nobody was sent away; {outcome:?}\n{}", case.name, victim.told());
    assert!(outcome.was_let_in_again == 0, "{}: who was banned came in again: {outcome:?}", case.name);
    let bound = resident + BOUND;
    assert!(peak <= bound, "{}: {} MiB, more than {}", case.name, peak >> 20, bound >> 20);
}

fn report(name: &str, delays: &[Duration], peak: u64, outcome: &Outcome) {
    let mut ms: Vec<u128> = delays.iter().map(Duration::as_millis).collect();
    ms.sort_unstable();
    let median = ms.get(ms.len() / 2).copied().unwrap_or_default();
    let worst = ms.last().copied().unwrap_or_default();
    let Outcome { names, sent, bytes, lasted, .. } = outcome;
    let lasted = lasted.iter().map(Duration::as_millis).max().unwrap_or_default();
    println!("{name:<44} {median:>9} {worst:>9} {:>7} {names:>6} {sent:>9} {:>9} {lasted:>9}", peak >> 20, bytes >> 20);
}
