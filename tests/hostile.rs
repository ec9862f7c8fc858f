//! What strangers can do to a live node: every kind of attack that we know against a node in a process of its own that follows a
//! chain which another node makes, and serves an honest peer meanwhile.
//!
//! Each case lasts some slots, and until its strangers have met their fate. As soon as the node has sent a stranger away, it comes
//! again under another name and from another address, so that the attack never rests. Printed is what it cost: how much later the
//! node's head changed than the other node's, memory, and how long a name lasted. Asserted is what must hold on any machine: who
//! breaks the rules loses points for that, or is banned; memory is within its bound; the node has every head within its slot, but
//! for a pause of the whole machine, and no head but the other's; the honest peer is served.
//!
//! `HORNERO_HOSTILE_SLOTS` says for how many slots each case lasts at least (3), `HORNERO_HOSTILE_SLOT_MS` how long a slot is
//! (2000), `HORNERO_HOSTILE_CASE` a part of the name of the only case that is run, with those that share its time.
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
    pub mod pulse;
    pub mod scene;
    pub mod stranger;
    pub mod table;
    pub mod victim;
    pub mod wild;
}

use std::{
    collections::HashMap,
    env,
    sync::Arc,
    time::{Duration, Instant},
};

use hostile::{
    cases::{Case, GROUPS, Group, Must, Running},
    honest::Honest,
    network::Network,
    outcome::Outcome,
    pulse::Pulse,
    scene::Scene,
    table::{Row, Table},
    victim::Victim,
};
use serde_json::Value;

/// What a case may add to the node's memory: the bytes that may wait in queues, the copies of them that are being read, decoded
/// and judged, and a fresh peer's buffers.
const BOUND: u64 = 96 << 20;
/// Longest wait until all strangers of a case have met their fate: five times what the slowest take on a quiet machine, since a node
/// that is late itself blames nobody.
const PATIENCE: Duration = Duration::from_secs(240);
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
    pulse: Pulse,
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
    let slots = number("HORNERO_HOSTILE_SLOTS", 3);
    let slot = Duration::from_millis(slot_ms);
    let (resident, table) = (victim.resident(), Table::new(slot));
    let mut run = Run { network, victim, honest, pulse: Pulse::start(), slots, slot, resident, table };
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
        let before: Vec<Counted> = group.cases.iter().map(|case| self.counted(case)).collect();
        self.victim.forget_peak();
        self.pulse.longest_pause();
        // Later ones know more blocks to ask for.
        let scene = Arc::new(Scene::new(&self.network, &self.victim));
        let running: Vec<Running> = group.cases.iter().map(|case| case.start(&self.network, &scene)).collect();
        let mut followed = self.victim.follow(&self.network, self.slots * group.times);
        let mut served = self.honest.look();
        let until = Instant::now() + PATIENCE;
        let fates = loop {
            let known = group.cases.iter().zip(&running).zip(&before);
            let fates: Vec<Fate> = known.map(|((case, running), before)| self.fate(case, running, before)).collect();
            let is_over = fates.iter().all(|fate| fate.lacks.is_none()) && served.answers >= self.slots;
            if is_over || Instant::now() > until {
                break fates;
            }
            followed.add(self.victim.follow(&self.network, 1));
            served.add(self.honest.look());
        };
        if group.cases.iter().any(|case| case.must == Must::HaveItsShare) {
            // There is a place for who comes from elsewhere.
            assert!(Honest::join(&self.network, &scene, &self.victim).is_connected());
        }
        let outcomes: Vec<Outcome> = running.into_iter().map(Running::end).collect();
        let (peak, pause) = (self.victim.peak(), self.pulse.longest_pause());
        let names = group.cases.iter().map(|case| case.name).collect::<Vec<_>>().join("; ");
        let rows = group.cases.iter().zip(&outcomes).zip(&fates).map(|((case, outcome), fate)| Row {
            name: case.name,
            outcome: outcome.clone(),
            points: fate.penalties.clone(),
        });
        self.table.add(rows.collect(), &followed, peak, &served);

        let told = || self.victim.told();
        assert_eq!(followed.strange, 0, "{names}: heads that nobody made\n{}", told());
        let worst = followed.worst();
        assert!(worst < self.slot + pause, "{names}: a head came {worst:?} late (pause {pause:?})\n{}", told());
        let bound = self.resident + BOUND;
        assert!(peak <= bound, "{names}: {} MiB, more than {}", peak >> 20, bound >> 20);
        let held = self.honest.holds();
        assert!(self.honest.is_connected(), "{names}: the honest peer has gone; it holds {held:?}\n{}", told());
        assert!(held.iter().all(|(why, _)| BORNE.contains(why)), "{names}: the honest peer complains: {held:?}");
        assert!(served.answers >= self.slots, "{names}: the honest peer was not served: {served:?}");
        for ((case, outcome), fate) in group.cases.iter().zip(&outcomes).zip(&fates) {
            assert_eq!(fate.lacks, None, "{}: {outcome:?}, {fate:?}\n{}", case.name, told());
            assert_eq!(outcome.was_let_in_again, 0, "{}: who was banned came in again\n{}", case.name, told());
        }
    }

    fn fate(&self, case: &Case, running: &Running, before: &Counted) -> Fate {
        let (outcome, now, peers) = (running.look(), self.counted(case), self.peers());
        let is_punished = case.reasons.is_empty() || now.punished > before.punished;
        let lacks = match case.must {
            Must::BeSentAway if outcome.names == 0 => Some("nobody was sent away"),
            Must::LoseTheAddress if now.address_bans == before.address_bans => Some("its address is not banned"),
            Must::LoseTheAddress if outcome.told_of_banned_address == 0 => Some("nobody was told of the ban"),
            Must::LoseTheAddress | Must::HaveItsShare if outcome.refused == 0 => Some("nobody was refused"),
            Must::HaveItsShare if busiest(&peers) == 0 => Some("nobody was let in"),
            _ if !is_punished => Some("nobody lost points"),
            _ => None,
        };
        let present = outcome.present.map(|peer| peer.to_string());
        let it = peers.iter().find(|peer| peer["peer_id"].as_str() == present.as_deref());
        Fate { lacks, penalties: it.map(|peer| hostile::table::penalties(&peer["penalties"])).unwrap_or_default() }
    }

    fn counted(&self, case: &Case) -> Counted {
        let punished = |reason: &&str| self.victim.counter(PUNISHED, &format!("\"{reason}\""));
        Counted {
            punished: case.reasons.iter().map(punished).sum(),
            address_bans: self.victim.counter(ADDRESS_BANS, ""),
        }
    }

    /// The victim's peers, no more of an address than may be.
    fn peers(&self) -> Vec<Value> {
        let peers = self.victim.peers();
        let busiest = busiest(&peers);
        assert!(busiest <= SHARE, "{busiest} connections of one address: {peers:?}");
        peers
    }
}

/// Counters before a case, or while it goes on.
struct Counted {
    punished: u64,
    address_bans: u64,
}

/// What has become of a case's strangers.
#[derive(Debug)]
struct Fate {
    /// What must still happen.
    lacks: Option<&'static str>,
    /// For what who is there now has lost points.
    penalties: String,
}

/// The most connections of one address; not of this machine's own, which is exempt.
fn busiest(peers: &[Value]) -> usize {
    let ip = |peer: &Value| peer["last_seen_p2p_address"].as_str()?.split('/').nth(2).map(String::from);
    let mut counts = HashMap::new();
    for ip in peers.iter().filter(|peer| peer["state"] == "connected").filter_map(ip).filter(|ip| ip != "127.0.0.1") {
        *counts.entry(ip).or_insert(0) += 1;
    }
    counts.into_values().max().unwrap_or_default()
}
