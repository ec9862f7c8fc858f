//! Finds peers: discv5 in a thread of its own, and what we make of what it finds.
//!
//! [`worker`] is the only place that knows discv5 and its runtime. It is given [`Order`]s and brings [`News`] through bounded
//! queues; everything else here is plain data. The network task decides whom to dial (`service/finding.rs`).

mod candidates;
mod kept;
mod needs;
mod reach;
mod record;
mod scope;
mod worker;

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use async_channel::{Receiver, Sender};

pub(super) use candidates::Candidates;
pub(super) use kept::{MAX_KEPT, read as read_kept, write as write_kept};
pub(super) use needs::Needs;
pub(super) use reach::Reach;
pub(super) use scope::is_dialable;

use super::{
    config::{Forks, P2pError},
    identity::Enr,
};
use crate::types::Config;

/// Orders that wait: a search, a record, and what was kept.
const ORDERS: usize = 8;
/// News that wait: results of a search, and changes of our address.
const NEWS: usize = 8;
/// Shortest time from one search to the next while we have few peers and searches find new ones.
const SEARCH_PAUSE: Duration = Duration::from_secs(5);
/// The same when we have half of our peers, or the last search found nobody new.
const CALM_SEARCH_PAUSE: Duration = Duration::from_secs(30);
/// A search that has not ended by then is forgotten; discv5 itself gives up after 30 s.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(60);
/// Time between two writings of the peers to come back to after a crash.
const KEEP_EVERY: Duration = Duration::from_secs(300);

/// How peers are found.
#[derive(Clone, Debug)]
pub struct DiscoveryConfig {
    /// UDP port; that of TCP by default.
    pub port: Option<u16>,
    /// Records to begin with. They are asked for others, and stay no longer than others.
    pub boot_nodes: Vec<String>,
    /// Whether others may be dialled at private and loopback addresses; always so where we have one ourselves.
    pub private_addresses: bool,
    /// File of the peers to come back to.
    pub peers_file: PathBuf,
    /// The chain's configuration: how custody groups and subnets are laid out.
    pub chain: Arc<Config>,
}

/// What the thread is told.
pub(super) enum Order {
    /// Our record has changed.
    Record(Box<Enr>),
    /// Walk through the network towards a random place, and bring nodes of our fork on the way that meet a need.
    Search(Arc<Forks>, Needs),
    /// Nodes that were there once.
    Know(Vec<Enr>),
}

/// What the thread tells.
pub(super) enum News {
    /// The search has ended and found these.
    Found(Vec<Enr>),
    /// What our peers say that our address is, and what we make of it; nothing while they do not agree.
    Address(Voted),
}

/// Our addresses as others see them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Voted {
    pub ip4: Option<(Ipv4Addr, u16)>,
    pub ip6: Option<(Ipv6Addr, u16)>,
}

/// Discovery as the network task holds it.
pub(super) struct Discovery {
    pub config: DiscoveryConfig,
    pub candidates: Candidates,
    pub news: Receiver<News>,
    /// UDP sockets that we listen on.
    pub sockets: Vec<SocketAddr>,
    pub voted: Voted,
    orders: Sender<Order>,
    /// Whether the last search was for any node.
    is_for_any: bool,
    next_search: Instant,
    next_keep: Instant,
}

impl Discovery {
    /// Starts the thread. `secret` is our key's, whose record is `record`; the sockets are those of UDP.
    pub async fn start(
        config: DiscoveryConfig,
        record: &Enr,
        secret: [u8; 32],
        sockets: Vec<UdpSocket>,
        is_address_fixed: bool,
    ) -> Result<Discovery, P2pError> {
        let bound = sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect();
        let boot_nodes = config.boot_nodes.iter().map(|text| record::parse(text)).collect::<Result<Vec<_>, _>>()?;
        let (order_sender, orders) = async_channel::bounded(ORDERS);
        let (news_sender, news) = async_channel::bounded(NEWS);
        let plan = worker::Plan {
            record: record.clone(),
            secret,
            sockets,
            boot_nodes,
            follows_votes: !is_address_fixed,
            private_addresses: config.private_addresses,
        };
        worker::spawn(plan, orders, news_sender).await.map_err(P2pError::Setup)?;
        let now = Instant::now();
        let kept = read_kept(&config.peers_file);
        let mut candidates = Candidates::new(config.private_addresses);
        for record in &kept {
            candidates.offer(record.clone(), now);
        }
        let _ = order_sender.try_send(Order::Know(kept));
        Ok(Discovery {
            config,
            candidates,
            news,
            sockets: bound,
            voted: Voted::default(),
            orders: order_sender,
            is_for_any: false,
            next_search: now,
            next_keep: now + KEEP_EVERY,
        })
    }

    /// Tells others our new record. When the thread is busy, again with the next change.
    pub fn tell(&self, record: &Enr) {
        let _ = self.orders.try_send(Order::Record(Box::new(record.clone())));
    }

    /// Whether it is time for a search.
    pub fn is_due(&self, now: Instant) -> bool {
        self.next_search <= now
    }

    /// Begins a search for nodes that meet one of the needs; every other time, and without needs, for any node of our fork,
    /// because others are good peers too.
    pub fn search(&mut self, forks: &Arc<Forks>, needs: Needs, now: Instant) {
        self.is_for_any = !self.is_for_any;
        let needs = if self.is_for_any { Needs::default() } else { needs };
        let begins = self.orders.try_send(Order::Search(forks.clone(), needs)).is_ok();
        self.next_search = now + if begins { SEARCH_TIMEOUT } else { SEARCH_PAUSE };
    }

    /// A search has ended; `in_need` says that we have no peers, or few and it found new ones.
    pub fn searched(&mut self, in_need: bool, now: Instant) {
        self.next_search = now + if in_need { SEARCH_PAUSE } else { CALM_SEARCH_PAUSE };
    }

    /// Whether peers are to be written now.
    pub fn keeps_now(&mut self, now: Instant) -> bool {
        let is_due = self.next_keep <= now;
        if is_due {
            self.next_keep = now + KEEP_EVERY;
        }
        is_due
    }
}
