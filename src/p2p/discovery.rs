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

use tracing::warn;

use super::{
    config::{Forks, P2pError},
    identity::Enr,
    meter::Meter,
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
/// The same for subnets with too few peers while all places are taken: somebody has to make room for who is found.
const SLOW_SEARCH_PAUSE: Duration = Duration::from_secs(120);
/// While all places are taken, needs are looked at this often, and one node that meets some is dialled.
const LOOK_PAUSE: Duration = Duration::from_secs(60);
/// Pause before the thread is started again when it has ended; it doubles with each time that follows soon.
const FIRST_RESTART: Duration = Duration::from_secs(10);
/// The longest such pause.
const LONGEST_RESTART: Duration = Duration::from_secs(600);
/// After so long without an end the pauses begin anew.
const RELIABLE: Duration = Duration::from_secs(3600);
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

/// Starts a thread, and makes the queues to and from it.
fn begin(plan: &worker::Plan) -> Result<(Sender<Order>, Receiver<News>, worker::Ready), String> {
    let (order_sender, orders) = async_channel::bounded(ORDERS);
    let (news_sender, news) = async_channel::bounded(NEWS);
    let plan = plan.again().map_err(|e| format!("discovery: the system gives no more files: {e}"))?;
    Ok((order_sender, news, worker::spawn(plan, orders, news_sender)?))
}

/// Discovery as the network task holds it.
pub(super) struct Discovery {
    pub config: DiscoveryConfig,
    pub candidates: Candidates,
    news: Receiver<News>,
    /// UDP sockets that we listen on.
    pub sockets: Vec<SocketAddr>,
    pub voted: Voted,
    /// How the thread is started again.
    plan: worker::Plan,
    orders: Sender<Order>,
    ready: worker::Ready,
    started: Instant,
    /// When the thread is started again, if it has ended.
    again_at: Option<Instant>,
    /// How often it has ended of late.
    ends: u32,
    /// When needs are looked at again while all places are taken.
    next_look: Instant,
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
        meter: Meter,
    ) -> Result<Discovery, P2pError> {
        let bound = sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect();
        let boot_nodes = config.boot_nodes.iter().map(|text| record::parse(text)).collect::<Result<Vec<_>, _>>()?;
        let plan = worker::Plan {
            record: record.clone(),
            secret,
            sockets,
            boot_nodes,
            follows_votes: !is_address_fixed,
            private_addresses: config.private_addresses,
            meter: Arc::new(meter),
        };
        let (orders, news, ready) = begin(&plan).map_err(P2pError::Setup)?;
        let ended = || Err("discovery: its thread ended at once".into());
        ready.recv().await.unwrap_or_else(|_| ended()).map_err(P2pError::Setup)?;
        let now = Instant::now();
        let kept = read_kept(&config.peers_file);
        let mut candidates = Candidates::new(config.private_addresses);
        for record in &kept {
            candidates.offer(record.clone(), now);
        }
        let _ = orders.try_send(Order::Know(kept));
        Ok(Discovery {
            config,
            candidates,
            news,
            sockets: bound,
            voted: Voted::default(),
            plan,
            orders,
            ready,
            started: now,
            again_at: None,
            ends: 0,
            next_look: now,
            is_for_any: false,
            next_search: now,
            next_keep: now + KEEP_EVERY,
        })
    }

    /// Tells others our new record. When the thread is busy, again with the next change.
    pub fn tell(&mut self, record: &Enr) {
        self.plan.record = record.clone();
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
        self.search_for(forks, if self.is_for_any { Needs::default() } else { needs }, now);
    }

    /// Begins a search for nodes that meet one of the needs.
    pub fn search_for(&mut self, forks: &Arc<Forks>, needs: Needs, now: Instant) {
        let begins = self.orders.try_send(Order::Search(forks.clone(), needs)).is_ok();
        self.next_search = now + if begins { SEARCH_TIMEOUT } else { SEARCH_PAUSE };
    }

    /// A search has ended; `in_need` says that we have no peers, or few and it found new ones.
    pub fn searched(&mut self, in_need: bool, now: Instant) {
        self.next_search = now + if in_need { SEARCH_PAUSE } else { CALM_SEARCH_PAUSE };
    }

    /// A search has ended while all places are taken; `is_any_new` says that it found somebody to look at.
    pub fn searched_at_target(&mut self, is_any_new: bool, now: Instant) {
        self.next_search = now + SLOW_SEARCH_PAUSE;
        if is_any_new {
            self.next_look = now;
        }
    }

    /// Whether it is time to look at our needs while all places are taken.
    pub fn looks_now(&mut self, now: Instant) -> bool {
        let is_due = self.next_look <= now;
        if is_due {
            self.next_look = now + LOOK_PAUSE;
        }
        is_due
    }

    /// We may have a new need that stays. (Those of duties come and go, and are found at the slow pace.)
    pub fn hurry(&mut self, now: Instant) {
        (self.next_look, self.next_search) = (now, now);
    }

    /// What the thread tells; fails when it has ended, and waits while it is to be started again.
    pub async fn next_news(&self) -> Result<News, async_channel::RecvError> {
        match self.again_at {
            None => self.news.recv().await,
            Some(_) => std::future::pending().await,
        }
    }

    /// The thread has ended. Returns how long the pause is before it is started again, and the reason if it is known.
    pub fn ended(&mut self, now: Instant) -> (Duration, String) {
        if now.saturating_duration_since(self.started) > RELIABLE {
            self.ends = 0;
        }
        let pause = FIRST_RESTART.saturating_mul(1 << self.ends.min(16)).min(LONGEST_RESTART);
        self.ends += 1;
        self.again_at = Some(now + pause);
        let reason = self.ready.try_recv().ok().and_then(Result::err);
        (pause, reason.unwrap_or_else(|| "its thread ended".into()))
    }

    /// Starts the thread again, if it has ended and its pause is over; `known` are nodes to begin with. Returns whether it did.
    pub fn restart_if_due(&mut self, known: impl Iterator<Item = Enr>, now: Instant) -> bool {
        if self.again_at.is_none_or(|at| now < at) {
            return false;
        }
        match begin(&self.plan) {
            Ok((orders, news, ready)) => {
                (self.orders, self.news, self.ready) = (orders, news, ready);
                (self.started, self.again_at, self.next_search) = (now, None, now);
                let _ = self.orders.try_send(Order::Know(known.chain(read_kept(&self.config.peers_file)).collect()));
            }
            Err(reason) => {
                let (pause, _) = self.ended(now);
                warn!("{reason}; it is tried again in {} s", pause.as_secs());
            }
        }
        self.again_at.is_none()
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

#[cfg(test)]
mod tests {
    use enr::k256::ecdsa::SigningKey;
    use smol::{Timer, future};
    use ssz::Encode as _;

    use super::{record::tests::forks, *};
    use crate::p2p::meter::Meters;

    const PATIENCE: Duration = Duration::from_secs(20);

    async fn discovery(n: u8, folder: &std::path::Path, boot_nodes: Vec<String>) -> Discovery {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut builder = Enr::builder();
        builder.ip4(Ipv4Addr::LOCALHOST).tcp4(9000).udp4(socket.local_addr().unwrap().port());
        builder.add_value("eth2", &forks().enr_fork_id().as_ssz_bytes().as_slice());
        let record = builder.build(&SigningKey::from_slice(&[n; 32]).unwrap()).unwrap();
        let config = DiscoveryConfig {
            port: None,
            boot_nodes,
            private_addresses: true,
            peers_file: folder.join("peers"),
            chain: Arc::default(),
        };
        let meter = Meters::default().of_discovery();
        Discovery::start(config, &record, [n; 32], vec![socket], true, meter).await.unwrap()
    }

    #[test]
    fn when_the_thread_ends_it_is_started_again_after_longer_and_longer_pauses() {
        let folder = tempfile::tempdir().unwrap();
        let late = async {
            Timer::after(PATIENCE).await;
            panic!("nothing happened for {PATIENCE:?}")
        };
        smol::block_on(future::or(late, async {
            let other = discovery(2, folder.path(), Vec::new()).await;
            let record = other.plan.record.clone();
            let mut first = discovery(1, folder.path(), vec![record.to_base64()]).await;
            let mut now = Instant::now();
            for expected in [FIRST_RESTART, 2 * FIRST_RESTART] {
                // A thread whose orders nobody gives any more ends.
                first.orders = async_channel::bounded(1).0;
                while first.next_news().await.is_ok() {}
                let (pause, _) = first.ended(now);
                assert_eq!(pause, expected);
                assert!(!first.restart_if_due(std::iter::empty(), now + pause / 2));
                now += pause;
                assert!(first.restart_if_due(std::iter::empty(), now));
            }
            loop {
                first.search(&Arc::new(forks()), Needs::default(), now);
                if let News::Found(nodes) = first.next_news().await.unwrap()
                    && nodes.iter().any(|node| node.node_id() == record.node_id())
                {
                    return;
                }
            }
        }));
    }
}
