//! What strangers can do to a live node: every kind of attack that we know against a node in a process of its own that follows a
//! chain which another node makes, and serves an honest peer meanwhile.
//!
//! Each case lasts some slots. As soon as the node has sent a stranger away, it comes again under another name and from another
//! address, so that the attack never rests. Printed is what it cost: how much later the node's head changed than the other
//! node's, memory, and how long a name lasted. Asserted is what must hold on any machine: who breaks the rules loses points for
//! that, or is banned; memory is within its bound; the node has every head within its slot; the honest peer is served.
//!
//! `HORNERO_HOSTILE_SLOTS` says for how many slots each case lasts (2), `HORNERO_HOSTILE_SLOT_MS` how long a slot is (2000),
//! `HORNERO_HOSTILE_CASE` a part of the name of the only case that is run, with those that share its time.
//!
//! In the minimal preset, as the other runs of whole networks.
#![cfg(all(target_os = "linux", feature = "minimal"))]

mod hostile {
    pub mod cases;
    pub mod forger;
    pub mod honest;
    pub mod line;
    pub mod manners;
    pub mod network;
    pub mod outcome;
    pub mod scene;
    pub mod stranger;
    pub mod table;
    pub mod victim;
    pub mod wild;
}

use std::{env, sync::Arc, time::Duration};

use hostile::{
    cases::{Case, GROUPS, Group, Must, Running},
    honest::Honest,
    network::Network,
    outcome::Outcome,
    scene::Scene,
    table::{Row, Table},
    victim::Victim,
};

/// What a case may add to the node's memory: the bytes that may wait in queues, the copies of them that are being read, decoded
/// and judged, and a fresh peer's buffers.
const BOUND: u64 = 96 << 20;
/// Connections that one address may have.
const SHARE: usize = 4;
/// What an honest peer has to bear from a node under attack: that it is refused, or waits.
const BORNE: [&str; 2] = ["failure", "timeout"];
/// Counters of the node.
const PUNISHED: &str = "hornero_peers_punished_total";
const ADDRESS_BANS: &str = "hornero_p2p_address_bans_total";

fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

struct Run {
    network: Network,
    victim: Victim,
    honest: Honest,
    slots: u64,
    slot: Duration,
    /// Before the first attack.
    resident: u64,
    table: Table,
}

#[test]
fn strangers_cannot_harm_a_live_node() {
    let slot_ms = number("HORNERO_HOSTILE_SLOT_MS", 2000);
    let network = Network::start(slot_ms);
    let victim = Victim::start(&network);
    victim.follow(&network, 2);
    let scene = Scene::new(&network, &victim);
    let honest = Honest::join(&network, &scene, &victim);
    let slots = number("HORNERO_HOSTILE_SLOTS", 2);
    let slot = Duration::from_millis(slot_ms);
    let (resident, table) = (victim.resident(), Table::new(slot));
    let mut run = Run { network, victim, honest, slots, slot, resident, table };
    run.undisturbed();
    let only = env::var("HORNERO_HOSTILE_CASE").unwrap_or_default();
    for group in GROUPS.iter().filter(|group| group.cases.iter().any(|case| case.name.contains(&only))) {
        run.group(group);
    }
    let Run { network, victim, honest, table, .. } = run;
    table.print();
    drop(honest);
    victim.stop();
    network.stop();
}

impl Run {
    fn undisturbed(&mut self) {
        self.honest.look();
        let followed = self.victim.follow(&self.network, 2 * self.slots);
        self.resident = self.victim.resident();
        let row = Row { name: "undisturbed", outcome: Outcome::default(), points: String::new() };
        self.table.add(vec![row], &followed, self.resident, &self.honest.look());
    }

    fn group(&mut self, group: &'static Group) {
        let before: Vec<u64> = group.cases.iter().map(|case| self.punished(case)).collect();
        let address_bans = self.victim.counter(ADDRESS_BANS, "");
        self.victim.forget_peak();
        // Later ones know more blocks to ask for.
        let scene = Arc::new(Scene::new(&self.network, &self.victim));
        let running: Vec<Running> = group.cases.iter().map(|case| case.start(&self.network, &scene)).collect();
        let followed = self.victim.follow(&self.network, self.slots * group.times);
        let known: Vec<Known> = running.iter().map(|running| self.known(running)).collect();
        if group.cases.iter().any(|case| case.must == Must::HaveItsShare) {
            // There is a place for who comes from elsewhere.
            assert!(Honest::join(&self.network, &scene, &self.victim).is_connected());
        }
        let outcomes: Vec<Outcome> = running.into_iter().map(Running::end).collect();
        let (peak, served) = (self.victim.peak(), self.honest.look());
        let names = group.cases.iter().map(|case| case.name).collect::<Vec<_>>().join("; ");
        let rows = group.cases.iter().zip(&outcomes).zip(&known).map(|((case, outcome), known)| Row {
            name: case.name,
            outcome: outcome.clone(),
            points: known.penalties.clone(),
        });
        self.table.add(rows.collect(), &followed, peak, &served);

        let told = || self.victim.told();
        assert_eq!(followed.missed, 0, "{names}: heads were missed\n{}", told());
        let worst = followed.delays.iter().max().copied().unwrap_or_default();
        assert!(worst < self.slot, "{names}: a head came {worst:?} late\n{}", told());
        let bound = self.resident + BOUND;
        assert!(peak <= bound, "{names}: {} MiB, more than {}", peak >> 20, bound >> 20);
        assert!(self.honest.is_connected(), "{names}: the honest peer was sent away\n{}", told());
        let held = self.honest.holds();
        assert!(held.iter().all(|(why, _)| BORNE.contains(why)), "{names}: the honest peer complains: {held:?}");
        assert!(served.answers >= self.slots, "{names}: the honest peer was not served: {served:?}");
        for (((case, outcome), known), before) in group.cases.iter().zip(&outcomes).zip(&known).zip(before) {
            self.judge(case, outcome, known, before, address_bans);
        }
    }

    fn judge(&self, case: &Case, outcome: &Outcome, known: &Known, punished: u64, address_bans: u64) {
        let what = format!("{}: {outcome:?}, {known:?}\n{}", case.name, self.victim.told());
        assert!(outcome.was_let_in_again == 0, "who was banned came in again: {what}");
        let has_punished = case.reasons.is_empty() || self.punished(case) > punished;
        match case.must {
            Must::BeSentAway => assert!(outcome.names > 0 && has_punished, "nobody was sent away: {what}"),
            Must::LoseTheAddress => {
                assert!(self.victim.counter(ADDRESS_BANS, "") > address_bans && has_punished, "no ban: {what}");
                assert!(outcome.told_of_banned_address > 0 && outcome.refused > 0, "it came in again: {what}");
            }
            Must::HaveItsShare => {
                assert!((1..=SHARE).contains(&known.of_address), "another share: {what}");
                assert!(outcome.refused > 0, "nobody was refused: {what}");
            }
        }
    }

    fn punished(&self, case: &Case) -> u64 {
        case.reasons.iter().map(|reason| self.victim.counter(PUNISHED, &format!("\"{reason}\""))).sum()
    }

    /// What the node knows of who attacks now.
    fn known(&self, running: &Running) -> Known {
        let Some(present) = running.present().map(|peer| peer.to_string()) else { return Known::default() };
        let details = self.victim.peers();
        let list =
            |what: &str| details["data"][what].as_array().or(details[what].as_array()).cloned().unwrap_or_default();
        let peers = list("peers");
        let ip = |peer: &serde_json::Value| {
            peer["last_seen_p2p_address"].as_str().and_then(|addr| addr.split('/').nth(2).map(String::from))
        };
        let it = peers.iter().find(|peer| peer["peer_id"] == *present);
        let address = it.and_then(ip);
        Known {
            penalties: it.map(|peer| hostile::table::penalties(&peer["penalties"])).unwrap_or_default(),
            of_address: peers.iter().filter(|peer| address.is_some() && ip(peer) == address).count(),
        }
    }
}

/// What the node knows of a stranger.
#[derive(Clone, Debug, Default)]
struct Known {
    /// Why it lost points.
    penalties: String,
    /// Peers at its address.
    of_address: usize,
}
