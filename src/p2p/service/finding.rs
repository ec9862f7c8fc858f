//! Whom we look for: peers up to our number, first those in subnets where we have too few.

use std::{net::IpAddr, sync::Arc, time::Instant};

use libp2p::{
    PeerId,
    core::ConnectedPoint,
    multiaddr::Protocol,
    swarm::{ConnectionId, DialError},
};
use tracing::{debug, info, warn};

use super::Service;
use crate::{
    metrics::{self, DISCOVERY_RESTARTS},
    p2p::{
        Multiaddr,
        discovery::{MAX_KEPT, Needs, News, write_kept},
        identity::{Enr, peer_id_of},
        peer::{Direction, PeerState},
        topic::Topic,
    },
    types::Config,
};

/// A peer with a lower score is not one to come back to.
const KEEP_ABOVE: f64 = -10.0;

impl Service {
    pub(super) fn on_news(&mut self, news: News) {
        let now = Instant::now();
        match news {
            News::Found(records) => self.on_found(records, now),
            News::Address(voted) => {
                self.reach.voted(voted, now);
                if let Some(discovery) = &mut self.discovery {
                    discovery.voted = voted;
                }
                self.renew_record();
            }
        }
    }

    pub(super) fn on_discovery_ended(&mut self) {
        let Some(discovery) = &mut self.discovery else { return };
        let (pause, reason) = discovery.ended(Instant::now());
        metrics::inc(&DISCOVERY_RESTARTS, &[]);
        warn!("no new peers are found ({reason}): discovery is started again in {} s", pause.as_secs());
    }

    fn on_found(&mut self, records: Vec<Enr>, now: Instant) {
        let half = self.peers.len() < self.config.max_peers / 2;
        let is_full = self.peers.len() >= self.config.max_peers;
        let Some(discovery) = &mut self.discovery else { return };
        let mut is_any_new = false;
        for record in records {
            let Some(id) = peer_id_of(&record) else { continue };
            if let Some(peer) = self.peers.get_mut(&id) {
                // Of those who came to us we had no record yet.
                if peer.record.as_ref().is_none_or(|known| known.seq() < record.seq()) {
                    peer.record = Some(record);
                }
            } else if !self.bans.contains(&id) && id != self.key.peer_id() {
                is_any_new |= discovery.candidates.offer(record, now);
            }
        }
        if is_full {
            return discovery.searched_at_target(is_any_new, now);
        }
        discovery.searched(is_any_new && half || self.peers.is_empty(), now);
    }

    /// While we have too few peers: dials those found, and searches for more. While we have enough: for subnets that lack some.
    pub(super) fn find_peers(&mut self, now: Instant) {
        self.reach.tick(self.peers.is_empty(), now);
        let wanted = self.config.max_peers.saturating_sub(self.peers.len());
        let Some(discovery) = &mut self.discovery else { return };
        if discovery.restart_if_due(self.peers.values().filter_map(|peer| peer.record.clone()), now) {
            info!("discovery is started again");
        }
        if discovery.keeps_now(now) {
            self.keep_peers();
        }
        let Some(discovery) = &mut self.discovery else { return };
        let dialing = discovery.candidates.dialing();
        if wanted > dialing {
            if discovery.candidates.waiting() > 0 {
                self.dial_found(wanted - dialing, 0, now);
            }
            self.search(now);
        } else if wanted == 0 && dialing == 0 && discovery.looks_now(now) {
            self.find_needed(now);
        }
    }

    /// Dials one who is in a subnet with too few peers, or searches for such. Whether it stays, and who leaves for it, is
    /// decided as with everybody who comes: who is worth least leaves.
    fn find_needed(&mut self, now: Instant) {
        let Some(mut discovery) = self.discovery.take() else { return };
        let needs = self.needs(&discovery.config.chain);
        let (is_needed, is_met) = (!needs.is_empty(), discovery.candidates.has_for(&needs));
        if is_needed && !is_met && discovery.is_due(now) {
            debug!(?needs.attestation, ?needs.sync, ?needs.columns, "searching for subnets with too few peers");
            discovery.search_for(&self.forks, needs, now);
        }
        self.discovery = Some(discovery);
        if is_met {
            self.dial_found(1, 1, now);
        }
    }

    fn search(&mut self, now: Instant) {
        let Some(mut discovery) = self.discovery.take() else { return };
        if discovery.is_due(now) {
            let needs = self.needs(&discovery.config.chain);
            discovery.search(&self.forks, needs, now);
        }
        self.discovery = Some(discovery);
    }

    /// Dials to those found who are in at least `met` of the subnets that we need.
    fn dial_found(&mut self, wanted: usize, met: usize, now: Instant) {
        let Some(mut discovery) = self.discovery.take() else { return };
        let needs = self.needs(&discovery.config.chain);
        let ours = self.key.peer_id();
        let is_ours = |id: &PeerId| {
            self.peers.contains_key(id) || self.bans.contains(id) || self.dialer.contains(id) || *id == ours
        };
        let outbound = self.peers.values().filter(|peer| peer.direction == Direction::Outbound);
        let connected: Vec<IpAddr> = outbound.filter_map(|peer| ip_of(&peer.addr)).collect();
        let dials = discovery.candidates.due(wanted, (&needs, met), is_ours, connected.into_iter());
        for opts in dials {
            let (id, peer) = (opts.connection_id(), opts.get_peer_id());
            match self.swarm.dial(opts) {
                Ok(()) => {}
                Err(DialError::DialPeerConditionFalse(_)) => {
                    discovery.candidates.connected(id);
                }
                Err(error) => {
                    debug!(?peer, %error, "cannot dial");
                    discovery.candidates.failed(id, now);
                }
            }
        }
        self.discovery = Some(discovery);
    }

    /// The subnets in which we listen or shall publish, and too few peers are.
    fn needs(&self, chain: &Arc<Config>) -> Needs {
        let mut needs = Needs { chain: chain.clone(), ..Needs::default() };
        for thin in self.subnet_peers().iter().filter(|subnet| subnet.is_thin()) {
            match thin.topic {
                Topic::BeaconAttestation(subnet) => needs.attestation.insert(subnet),
                Topic::SyncCommittee(subnet) => needs.sync.insert(subnet),
                Topic::DataColumnSidecar(subnet) => needs.columns.insert(subnet),
                _ => false,
            };
        }
        needs
    }

    /// A connection stands. Returns the peer's record if we found it ourselves.
    pub(super) fn on_found_connected(&mut self, id: ConnectionId, endpoint: &ConnectedPoint) -> Option<Enr> {
        if let (true, Some(ip)) = (endpoint.is_listener(), ip_of(endpoint.get_remote_address())) {
            self.reach.connected_from(ip);
        }
        self.discovery.as_mut()?.candidates.connected(id)
    }

    pub(super) fn on_found_failed(&mut self, id: ConnectionId, now: Instant) {
        if let Some(discovery) = &mut self.discovery {
            discovery.candidates.failed(id, now);
        }
    }

    pub(super) fn on_found_lost(&mut self, id: PeerId, now: Instant) {
        if let Some(discovery) = &mut self.discovery {
            discovery.candidates.lost(id, now);
        }
    }

    /// A peer has no place for us.
    pub(super) fn on_crowded(&mut self, id: &PeerId, now: Instant) {
        self.dialer.crowded(id);
        if let Some(discovery) = &mut self.discovery {
            discovery.candidates.crowded(id, now);
        }
    }

    /// The first exchange with a peer went well.
    pub(super) fn on_proved(&mut self, id: &PeerId) {
        self.dialer.proved(id);
        if let Some(discovery) = &mut self.discovery {
            discovery.candidates.proved(id);
        }
    }

    /// A peer is banned, or of another network.
    pub(super) fn on_useless(&mut self, id: PeerId, now: Instant) {
        self.dialer.useless(&id);
        if let Some(discovery) = &mut self.discovery {
            discovery.candidates.useless(id, now);
        }
    }

    /// Writes the records of our good peers. With none there is nothing to write: those of last time stay.
    pub(super) fn keep_peers(&self) {
        let Some(discovery) = &self.discovery else { return };
        let now = Instant::now();
        let good = self.peers.values().filter(|peer| peer.state == PeerState::Connected);
        let good = good.filter(|peer| peer.score.at(now) > KEEP_ABOVE);
        let records: Vec<Enr> = good.filter_map(|peer| peer.record.clone()).take(MAX_KEPT).collect();
        if records.is_empty() {
            return;
        }
        let (path, is_last) = (discovery.config.peers_file.clone(), self.stopping.is_some());
        let write = move || {
            if let Err(error) = write_kept(&path, &records) {
                warn!("{} cannot be written ({error}): the next start begins without peers", path.display());
            }
        };
        if is_last { write() } else { smol::unblock(write).detach() }
    }
}

/// The address of a peer, if it is known.
fn ip_of(addr: &Multiaddr) -> Option<IpAddr> {
    addr.iter().find_map(|part| match part {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.into()),
        _ => None,
    })
}
