//! What goes over the wire: for all peers together, and for each connection.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use libp2p::{Multiaddr, multiaddr::Protocol};
use metrics::Counter;

use super::budget::{Budget, Way};
use crate::metrics::{BYTES_IN, BYTES_OUT};

/// Entries from which on those of connections that are gone are taken out.
const CLEAN_FROM: usize = 64;

/// Counts the bytes of one connection, or of a socket with many.
#[derive(Debug)]
pub struct Meter {
    received: AtomicU64,
    sent: AtomicU64,
    /// The node's totals, where this meter counts for them.
    totals: Option<Totals>,
}

/// Where the bytes of a socket are summed up.
#[derive(Debug)]
struct Totals {
    received: Counter,
    sent: Counter,
    budget: Option<Arc<Budget>>,
}

impl Meter {
    /// A meter for a part of what a socket's meter counts.
    fn of_part() -> Meter {
        Meter { received: AtomicU64::new(0), sent: AtomicU64::new(0), totals: None }
    }

    /// A meter that counts for the node's totals, under the transport's name, and pays from the budget.
    fn of_socket(transport: &'static str, budget: Option<Arc<Budget>>) -> Meter {
        let received = metrics::counter!(BYTES_IN.name, "transport" => transport);
        let sent = metrics::counter!(BYTES_OUT.name, "transport" => transport);
        Meter { totals: Some(Totals { received, sent, budget }), ..Meter::of_part() }
    }

    /// So many bytes came.
    pub fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
        if let Some(totals) = &self.totals {
            totals.received.increment(bytes as u64);
            totals.budget.iter().for_each(|budget| budget.passed(Way::Down, bytes));
        }
    }

    /// So many bytes went.
    pub fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
        if let Some(totals) = &self.totals {
            totals.sent.increment(bytes as u64);
            totals.budget.iter().for_each(|budget| budget.passed(Way::Up, bytes));
        }
    }

    /// Bytes received and sent so far.
    pub fn read(&self) -> (u64, u64) {
        (self.received.load(Ordering::Relaxed), self.sent.load(Ordering::Relaxed))
    }
}

/// The meters of connections, found by the other end's address: the transport makes them before it knows the peer.
#[derive(Clone, Debug, Default)]
pub struct Meters {
    by_addr: Arc<Mutex<HashMap<Multiaddr, Weak<Meter>>>>,
    budget: Option<Arc<Budget>>,
}

impl Meters {
    /// Meters whose bytes are paid from `budget`.
    pub fn new(budget: Arc<Budget>) -> Meters {
        Meters { budget: Some(budget), ..Meters::default() }
    }

    /// The meter of a socket of QUIC, with all its connections.
    pub fn of_quic(&self) -> Meter {
        Meter::of_socket("quic", self.budget.clone())
    }

    /// The meter of discovery, with both its sockets.
    pub fn of_discovery(&self) -> Meter {
        Meter::of_socket("discv5", self.budget.clone())
    }

    /// A new meter for a connection of QUIC, whose socket counts for the totals.
    pub fn open(&self, addr: &Multiaddr) -> Arc<Meter> {
        self.keep(addr, Meter::of_part())
    }

    /// A new meter for a connection of TCP.
    pub fn open_tcp(&self, addr: &Multiaddr) -> Arc<Meter> {
        self.keep(addr, Meter::of_socket("tcp", self.budget.clone()))
    }

    fn keep(&self, addr: &Multiaddr, meter: Meter) -> Arc<Meter> {
        let meter = Arc::new(meter);
        let mut meters = self.by_addr.lock().unwrap_or_else(PoisonError::into_inner);
        if meters.len() >= CLEAN_FROM {
            meters.retain(|_, meter| meter.strong_count() > 0);
        }
        meters.insert(bare(addr), Arc::downgrade(&meter));
        meter
    }

    /// The meter of the connection to `addr`, if it stands.
    pub fn of(&self, addr: &Multiaddr) -> Option<Arc<Meter>> {
        self.by_addr.lock().unwrap_or_else(PoisonError::into_inner).get(&bare(addr))?.upgrade()
    }
}

/// Without the peer id, which only the swarm adds.
fn bare(addr: &Multiaddr) -> Multiaddr {
    addr.iter().filter(|part| !matches!(part, Protocol::P2p(_))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connections_meter_is_found_while_it_stands() {
        let meters = Meters::default();
        let addr: Multiaddr = "/ip4/10.0.0.1/udp/9001/quic-v1".parse().unwrap();
        let meter = meters.open(&addr);
        meter.received(3);
        meter.sent(5);
        let with_peer = addr.clone().with(Protocol::P2p(libp2p::PeerId::random()));
        assert_eq!(meters.of(&with_peer).unwrap().read(), (3, 5));
        drop(meter);
        assert!(meters.of(&addr).is_none());
        for port in 0..1000 {
            meters.open(&format!("/ip4/10.0.0.1/udp/{port}/quic-v1").parse().unwrap());
        }
        assert!(meters.by_addr.lock().unwrap().len() <= CLEAN_FROM);
    }
}
