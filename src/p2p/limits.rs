//! How many connections there may be: in all, by who opened them, by peer and by address.
//!
//! Whoever controls one address must not be able to take all places, so an address has few. IPv6 gives every home at least a
//! /64 of addresses, often a /56, so there the /56 counts as one address.

mod address;

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
        ToSwarm,
        behaviour::{ConnectionClosed, DialFailure, ListenFailure},
        dummy,
    },
};

pub use self::address::{Address, Exempt};
use super::peer::Direction;
use crate::metrics::{self, CONNECTIONS_REFUSED};

/// Handshakes at once that others began. Each may last 20 s.
const MAX_PENDING_INBOUND: usize = 16;
/// Both sides may dial at the same moment; one connection of the two would do.
const MAX_PER_PEER: usize = 2;
/// Connections that one address may open to us, and that we open to one address: a home with several nodes has room.
pub const MAX_PER_ADDRESS: usize = 4;
/// One place in so many is added for newcomers, who either prove better than somebody else or leave again.
const NEWCOMERS: usize = 8;

/// The limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Peers to be connected to; a few more while it is decided who stays.
    pub peers: usize,
    /// Connections of each direction with one address.
    pub per_address: usize,
    /// Addresses that may have any number.
    pub exempt: Exempt,
}

impl Limits {
    /// Peers that may stay: all, and a quarter of the places is for those that we choose.
    pub fn places(&self, direction: Option<Direction>) -> usize {
        match direction {
            Some(Direction::Inbound) => (self.peers - self.peers / 4).max(1),
            _ => self.peers,
        }
    }

    /// Places with those for newcomers.
    fn with_newcomers(&self, direction: Option<Direction>) -> usize {
        self.places(direction) + self.peers.div_ceil(NEWCOMERS)
    }
}

/// Why a connection was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Others are knocking.
    #[error("too many handshakes at once")]
    Handshakes,
    /// All places are taken.
    #[error("all places are taken")]
    Places,
    /// All places for those who come are taken.
    #[error("all places for inbound peers are taken")]
    Inbound,
    /// This address has its share.
    #[error("too many connections with this address")]
    Address,
    /// Too many banned peers were at this address.
    #[error("this address is banned")]
    Banned,
    /// This peer has its share.
    #[error("too many connections with this peer")]
    Peer,
}

impl Refusal {
    const fn label(self) -> &'static str {
        match self {
            Refusal::Handshakes => "handshakes",
            Refusal::Places => "places",
            Refusal::Inbound => "inbound",
            Refusal::Address => "address",
            Refusal::Banned => "banned_address",
            Refusal::Peer => "peer",
        }
    }
}

/// A connection that stands.
struct Established {
    peer: PeerId,
    direction: Direction,
    /// None if limits do not apply to it.
    address: Option<Address>,
}

/// The behaviour that refuses connections.
pub struct Behaviour {
    limits: Limits,
    /// Handshakes that others began.
    pending: HashMap<ConnectionId, Option<Address>>,
    established: HashMap<ConnectionId, Established>,
    /// Addresses with which there is to be no connection; as many as there may be bans.
    banned: HashSet<Address>,
}

impl Behaviour {
    /// No connections yet.
    pub fn new(limits: Limits) -> Behaviour {
        Behaviour { limits, pending: HashMap::new(), established: HashMap::new(), banned: HashSet::new() }
    }

    /// Refuses new connections with an address from now on; those that stand are left.
    pub fn ban(&mut self, address: Address) {
        self.banned.insert(address);
    }

    /// Refuses them no more.
    pub fn pardon(&mut self, address: &Address) {
        self.banned.remove(address);
    }

    /// May a stranger at this address begin a handshake?
    fn check_pending(&self, address: Option<Address>) -> Result<(), Refusal> {
        if self.pending.len() >= MAX_PENDING_INBOUND {
            return Err(Refusal::Handshakes);
        }
        self.check_address(Direction::Inbound, address)
    }

    fn check_established(&self, new: &Established) -> Result<(), Refusal> {
        if self.established.values().filter(|it| it.peer == new.peer).count() >= MAX_PER_PEER {
            return Err(Refusal::Peer);
        }
        if self.established.len() >= self.limits.with_newcomers(None) {
            return Err(Refusal::Places);
        }
        let of_direction = self.established.values().filter(|it| it.direction == new.direction).count();
        if new.direction == Direction::Inbound && of_direction >= self.limits.with_newcomers(Some(new.direction)) {
            return Err(Refusal::Inbound);
        }
        self.check_address(new.direction, new.address)
    }

    fn check_address(&self, direction: Direction, address: Option<Address>) -> Result<(), Refusal> {
        let Some(address) = address else { return Ok(()) };
        if self.banned.contains(&address) {
            return Err(Refusal::Banned);
        }
        let standing = self.established.values().filter(|it| it.direction == direction && it.address == Some(address));
        let knocking = self.pending.values().filter(|it| direction == Direction::Inbound && **it == Some(address));
        let count = standing.count() + knocking.count();
        if count >= self.limits.per_address { Err(Refusal::Address) } else { Ok(()) }
    }

    fn admit(&mut self, id: ConnectionId, new: Established) -> Result<THandler<Self>, ConnectionDenied> {
        self.pending.remove(&id);
        count(self.check_established(&new))?;
        self.established.insert(id, new);
        Ok(dummy::ConnectionHandler)
    }
}

fn count(checked: Result<(), Refusal>) -> Result<(), ConnectionDenied> {
    checked.map_err(|refusal| {
        metrics::inc(&CONNECTIONS_REFUSED, &[("reason", refusal.label())]);
        ConnectionDenied::new(refusal)
    })
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        let address = self.limits.exempt.limited(remote);
        count(self.check_pending(address))?;
        self.pending.insert(id, address);
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let address = self.limits.exempt.limited(remote);
        self.admit(id, Established { peer, direction: Direction::Inbound, address })
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        remote: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let address = self.limits.exempt.limited(remote);
        self.admit(id, Established { peer, direction: Direction::Outbound, address })
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. }) => {
                self.established.remove(&connection_id);
            }
            // The same for one that another behaviour refused after us.
            FromSwarm::ListenFailure(ListenFailure { connection_id, .. })
            | FromSwarm::DialFailure(DialFailure { connection_id, .. }) => {
                self.pending.remove(&connection_id);
                self.established.remove(&connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> Option<Address> {
        Exempt::default().limited(&text.parse().unwrap())
    }

    fn behaviour(peers: usize) -> Behaviour {
        Behaviour::new(Limits { peers, per_address: 2, exempt: Exempt::default() })
    }

    fn connect(behaviour: &mut Behaviour, id: usize, direction: Direction, ip: &str) -> Result<(), Refusal> {
        let new = Established { peer: PeerId::random(), direction, address: addr(ip) };
        behaviour.check_established(&new)?;
        behaviour.established.insert(ConnectionId::new_unchecked(id), new);
        Ok(())
    }

    #[test]
    fn an_address_has_few_places_each_way() {
        let mut it = behaviour(40);
        for id in 0..2 {
            connect(&mut it, id, Direction::Inbound, "/ip4/8.8.8.8").unwrap();
        }
        assert_eq!(connect(&mut it, 2, Direction::Inbound, "/ip4/8.8.8.8"), Err(Refusal::Address));
        assert_eq!(it.check_pending(addr("/ip4/8.8.8.8")), Err(Refusal::Address));
        connect(&mut it, 3, Direction::Outbound, "/ip4/8.8.8.8").unwrap();
        connect(&mut it, 4, Direction::Inbound, "/ip4/8.8.8.9").unwrap();
        for id in 5..8 {
            connect(&mut it, id, Direction::Inbound, "/ip4/127.0.0.1").unwrap();
        }
    }

    #[test]
    fn a_banned_address_is_refused_until_it_is_pardoned() {
        let mut it = behaviour(40);
        let banned = addr("/ip4/8.8.8.8").unwrap();
        it.ban(banned);
        for direction in [Direction::Inbound, Direction::Outbound] {
            assert_eq!(connect(&mut it, 0, direction, "/ip4/8.8.8.8"), Err(Refusal::Banned));
        }
        assert_eq!(it.check_pending(Some(banned)), Err(Refusal::Banned));
        connect(&mut it, 1, Direction::Inbound, "/ip4/8.8.8.9").unwrap();
        it.pardon(&banned);
        connect(&mut it, 2, Direction::Inbound, "/ip4/8.8.8.8").unwrap();
    }

    #[test]
    fn handshakes_of_one_address_leave_room_for_others() {
        let mut it = behaviour(40);
        for id in 0..2 {
            it.pending.insert(ConnectionId::new_unchecked(id), addr("/ip4/8.8.8.8"));
        }
        assert_eq!(it.check_pending(addr("/ip4/8.8.8.8")), Err(Refusal::Address));
        for id in 2..MAX_PENDING_INBOUND {
            assert_eq!(it.check_pending(addr("/ip4/8.8.8.9")), Ok(()));
            it.pending.insert(ConnectionId::new_unchecked(id), None);
        }
        assert_eq!(it.check_pending(addr("/ip4/8.8.8.9")), Err(Refusal::Handshakes));
    }

    #[test]
    fn those_who_come_leave_places_to_those_we_choose() {
        let mut it = behaviour(8);
        // Six places and one for a newcomer.
        for id in 0..7 {
            connect(&mut it, id, Direction::Inbound, &format!("/ip4/8.8.8.{id}")).unwrap();
        }
        assert_eq!(connect(&mut it, 7, Direction::Inbound, "/ip4/8.8.9.1"), Err(Refusal::Inbound));
        connect(&mut it, 8, Direction::Outbound, "/ip4/8.8.9.2").unwrap();
        connect(&mut it, 9, Direction::Outbound, "/ip4/8.8.9.3").unwrap();
        assert_eq!(connect(&mut it, 10, Direction::Outbound, "/ip4/8.8.9.4"), Err(Refusal::Places));
        it.on_swarm_event(FromSwarm::ListenFailure(ListenFailure {
            local_addr: &"/ip4/8.8.8.1".parse().unwrap(),
            send_back_addr: &"/ip4/8.8.8.1".parse().unwrap(),
            error: &libp2p::swarm::ListenError::Aborted,
            connection_id: ConnectionId::new_unchecked(0),
            peer_id: None,
        }));
        connect(&mut it, 11, Direction::Outbound, "/ip4/8.8.9.4").unwrap();
    }
}
