//! What each peer's gossip costs us, copies included, and an end to it.
//!
//! Gossipsub forgets a message that it has seen before without a word, so a peer could send the same ten megabytes for ever: each
//! copy is decompressed and hashed before it is known to be one. This behaviour stands around gossipsub, counts what each peer
//! makes it decompress, and names those who go beyond what honest peers send.

use std::{
    collections::{HashMap, VecDeque},
    hash::{Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Instant,
};

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    gossipsub,
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
        ToSwarm,
    },
};

use super::Gossip;

/// Bytes, decompressed, that one peer's gossip may take in a second over time. All of mainnet's with 8 columns is some 100 KB,
/// of which an honest peer sends a part; this is a tenth of a small board's core.
const BYTES_PER_SECOND: f64 = (1 << 20) as f64;
/// Bytes that may come at once: six of the largest blocks, or all that waits after a pause of a minute.
const BYTES_AT_ONCE: f64 = (64 << 20) as f64;
/// Messages that may come at once.
const COPIES_AT_ONCE: f64 = 8192.0;
/// An honest peer sends each message at most once; with room for what it sends again because we asked, and for a subnet that
/// we have just left.
const COPIES_FACTOR: f64 = 4.0;
/// Messages in a second that are never too many, on however small a network.
const COPIES_PER_SECOND_AT_LEAST: f64 = 100.0;

/// Bytes of subscriptions and control messages in a second, over time: what is offered, asked for and not wanted. Mainnet's
/// heartbeats offer the ids of two seconds, some 20 KB.
const CONTROL_BYTES_PER_SECOND: f64 = (128 << 10) as f64;
/// And at once: two of the longest that are read. Each id costs gossipsub a few microseconds.
const CONTROL_BYTES_AT_ONCE: f64 = (512 << 10) as f64;

/// What the transform has decompressed since the last look. It does not know for whom; whoever hands gossipsub a peer's
/// messages does.
#[derive(Debug, Default)]
pub struct Spent {
    copies: AtomicU64,
    bytes: AtomicU64,
    malformed: AtomicU64,
}

impl Spent {
    /// Counts a message.
    pub fn message(&self, bytes: usize) {
        self.copies.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts one that is none.
    pub fn malformed(&self) {
        self.malformed.fetch_add(1, Ordering::Relaxed);
    }

    fn take(&self) -> [u64; 3] {
        [&self.copies, &self.bytes, &self.malformed].map(|count| count.swap(0, Ordering::Relaxed))
    }
}

/// What gossip tells the network task.
#[derive(Debug)]
pub enum GossipEvent {
    /// As gossipsub says it.
    Gossip(gossipsub::Event),
    /// A peer sent messages that do not decompress, or are too large: so many.
    Malformed(PeerId, u64),
    /// A peer sends more than any honest one does.
    Flood(PeerId),
}

/// A peer's account: full at the start, drawn on by each message, filled again by time.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    /// A full one.
    pub fn new(size: f64, now: Instant) -> Bucket {
        Bucket { left: size, at: now }
    }

    /// Draws; false when it was empty.
    pub fn draw(&mut self, amount: f64, size: f64, per_second: f64, now: Instant) -> bool {
        let filled = now.saturating_duration_since(self.at).as_secs_f64() * per_second;
        self.left = (self.left + filled).min(size);
        self.at = now;
        if self.left <= 0.0 {
            return false;
        }
        self.left -= amount;
        true
    }
}

struct Account {
    copies: Bucket,
    bytes: Bucket,
    control: Bucket,
    connections: usize,
}

/// What a connection tells gossipsub.
type FromPeer = THandlerOutEvent<Gossip>;

/// Bytes that something has which can be hashed: gossipsub keeps the types of control messages to itself, but not that.
fn bytes_of(what: &impl Hash) -> usize {
    let mut count = CountBytes(0);
    what.hash(&mut count);
    count.0
}

/// The size of two empty lists.
const NO_CONTROL: usize = 2 * size_of::<usize>();

/// Hashes nothing.
struct CountBytes(usize);

impl Hasher for CountBytes {
    fn write(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }

    fn finish(&self) -> u64 {
        self.0 as u64
    }
}

/// Gossipsub with an account for each peer.
pub struct Metered {
    /// Gossipsub itself.
    pub sub: Gossip,
    spent: Arc<Spent>,
    accounts: HashMap<PeerId, Account>,
    copies_per_second: f64,
    /// What has not been told yet. A peer adds three for each RPC at most, and each is taken before the next RPC is read.
    events: VecDeque<GossipEvent>,
}

impl Metered {
    /// Around gossipsub, whose transform counts in `spent`.
    pub fn new(sub: Gossip, spent: Arc<Spent>) -> Metered {
        let copies_per_second = COPIES_PER_SECOND_AT_LEAST;
        Metered { sub, spent, accounts: HashMap::new(), copies_per_second, events: VecDeque::new() }
    }

    /// Tells how many different messages are to be expected in a second, on all topics that we listen to.
    pub fn expect(&mut self, messages_per_second: f64) {
        self.copies_per_second = (COPIES_FACTOR * messages_per_second).max(COPIES_PER_SECOND_AT_LEAST);
    }

    fn connected(&mut self, peer: PeerId) {
        let now = Instant::now();
        let account = self.accounts.entry(peer).or_insert_with(|| Account {
            copies: Bucket::new(COPIES_AT_ONCE, now),
            bytes: Bucket::new(BYTES_AT_ONCE, now),
            control: Bucket::new(CONTROL_BYTES_AT_ONCE, now),
            connections: 0,
        });
        account.connections += 1;
    }

    fn disconnected(&mut self, peer: PeerId) {
        if let Some(account) = self.accounts.get_mut(&peer) {
            account.connections -= 1;
            if account.connections == 0 {
                self.accounts.remove(&peer);
            }
        }
    }

    /// Puts what is no message on a peer's account, such as ids that it does not want: each costs gossipsub a look. False when
    /// it can't pay.
    fn charge_control(&mut self, peer: PeerId, bytes: usize) -> bool {
        let Some(account) = self.accounts.get_mut(&peer).filter(|_| bytes > NO_CONTROL) else { return true };
        let per_second = CONTROL_BYTES_PER_SECOND;
        let pays = account.control.draw(bytes as f64, CONTROL_BYTES_AT_ONCE, per_second, Instant::now());
        if !pays {
            self.events.push_back(GossipEvent::Flood(peer));
        }
        pays
    }

    /// Puts what was spent since the last look on a peer's account.
    fn charge(&mut self, peer: PeerId) {
        let [copies, bytes, malformed] = self.spent.take();
        if malformed > 0 {
            self.events.push_back(GossipEvent::Malformed(peer, malformed));
        }
        let Some(account) = self.accounts.get_mut(&peer).filter(|_| copies > 0) else { return };
        let now = Instant::now();
        let pays = account.copies.draw(copies as f64, COPIES_AT_ONCE, self.copies_per_second, now);
        if !account.bytes.draw(bytes as f64, BYTES_AT_ONCE, BYTES_PER_SECOND, now) || !pays {
            self.events.push_back(GossipEvent::Flood(peer));
        }
    }
}

impl NetworkBehaviour for Metered {
    type ConnectionHandler = <Gossip as NetworkBehaviour>::ConnectionHandler;
    type ToSwarm = GossipEvent;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.sub.handle_established_inbound_connection(connection, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        addr: &Multiaddr,
        role: Endpoint,
        port_use: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.sub.handle_established_outbound_connection(connection, peer, addr, role, port_use)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match &event {
            FromSwarm::ConnectionEstablished(established) => self.connected(established.peer_id),
            FromSwarm::ConnectionClosed(closed) => self.disconnected(closed.peer_id),
            _ => {}
        }
        self.sub.on_swarm_event(event);
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, connection: ConnectionId, event: THandlerOutEvent<Self>) {
        if let FromPeer::Message { rpc, .. } = &event
            && !self.charge_control(peer, bytes_of(&(&rpc.subscriptions, &rpc.control_msgs)))
        {
            // Not even looked at.
            let _ = self.spent.take();
            return;
        }
        self.sub.on_connection_handler_event(peer, connection, event);
        self.charge(peer);
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(ToSwarm::GenerateEvent(event));
        }
        self.sub.poll(context).map(|event| event.map_out(GossipEvent::Gossip))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_gives_what_it_holds_and_fills_with_time() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10.0, start);
        let mut draw = |amount, seconds| bucket.draw(amount, 10.0, 2.0, start + Duration::from_secs(seconds));
        assert!(draw(6.0, 0) && draw(6.0, 0), "the last may be more than is left");
        assert!(!draw(1.0, 0));
        assert!(draw(1.0, 2), "two of debt, four came in");
        assert!(draw(10.0, 100) && !draw(1.0, 100), "it holds no more than its size");
    }

    #[test]
    fn what_can_be_hashed_is_measured() {
        let nothing: (Vec<u8>, Vec<u8>) = Default::default();
        assert_eq!(bytes_of(&nothing), NO_CONTROL);
        assert_eq!(bytes_of(&(vec![[7u8; 20]; 10], Vec::<u8>::new())), NO_CONTROL + 10 * (8 + 20));
    }
}
