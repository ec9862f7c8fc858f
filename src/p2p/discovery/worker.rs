//! The thread of discv5, with its runtime. No type of theirs leaves this file.

use std::{
    net::UdpSocket,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_channel::{Receiver, Sender};
use discv5::{ConfigBuilder, Discv5, ListenConfig, QueryError};
use enr::{CombinedKey, NodeId};
use futures::future::{self, FutureExt as _};
use tracing::{debug, warn};

use super::{Needs, News, Order, Voted, record, scope::is_dialable};
use crate::{
    metrics::{self, DISCOVERY_TABLE},
    p2p::{config::Forks, identity::Enr, meter::Meter},
};

/// discv5's own type of a record.
type TheirEnr = discv5::Enr;

/// Nodes that a search brings at most.
const SEARCH_RESULTS: usize = 16;
/// How long a search may go on.
const SEARCH_TIME: Duration = Duration::from_secs(30);
/// Nodes asked at once in a search.
const PARALLEL: usize = 4;
/// How long a node may take to answer; home lines are slow.
const ANSWER_TIME: Duration = Duration::from_secs(2);
/// Sessions that are remembered, 1 KB each.
const SESSIONS: usize = 1000;
/// Nodes that must agree on our address before we believe it.
const VOTES: usize = 6;
/// Pings are spread over this time, and votes counted over twice of it, or there would never be enough.
const PING_TIME: Duration = Duration::from_secs(150);
/// Half of a bucket's places are for nodes that we found, so that those who come to us cannot fill the table.
const INCOMING_PER_BUCKET: usize = 8;
/// How often our address and the size of the table are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// discv5's bytes that were counted, received and sent. It counts those of the whole process: of several nodes in one, whoever
/// looks first takes them.
static COUNTED: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

/// What the thread starts with.
pub struct Plan {
    pub record: Enr,
    pub secret: [u8; 32],
    pub sockets: Vec<UdpSocket>,
    pub boot_nodes: Vec<Enr>,
    /// Whether our address is what others say.
    pub follows_votes: bool,
    pub private_addresses: bool,
    /// Where the thread's bytes are counted.
    pub meter: Arc<Meter>,
}

impl Plan {
    /// The same once more, with the same sockets.
    pub fn again(&self) -> std::io::Result<Plan> {
        let sockets = self.sockets.iter().map(UdpSocket::try_clone).collect::<std::io::Result<_>>()?;
        let (record, boot_nodes, meter) = (self.record.clone(), self.boot_nodes.clone(), self.meter.clone());
        Ok(Plan { record, sockets, boot_nodes, meter, ..*self })
    }
}

/// Whether the thread listens now, or why it does not.
pub type Ready = Receiver<Result<(), String>>;

/// Starts the thread, which ends when nobody holds the other end of `orders`, or when discv5 fails.
pub fn spawn(plan: Plan, orders: Receiver<Order>, news: Sender<News>) -> Result<Ready, String> {
    let (ready, is_ready) = async_channel::bounded(1);
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
        let Ok(runtime) = runtime else {
            let _ = ready.try_send(Err("discovery: the system gives no more threads or files".into()));
            return;
        };
        runtime.block_on(async {
            let begun = begin(plan).await;
            let told = ready.try_send(begun.as_ref().map(|_| ()).map_err(|reason| format!("discovery: {reason}")));
            if let (Ok(worker), Ok(())) = (begun, told) {
                worker.run(orders, news).await;
            }
        });
    };
    let thread = std::thread::Builder::new().name("discv5".into()).spawn(work);
    thread.map_err(|e| format!("discovery: no thread: {e}"))?;
    Ok(is_ready)
}

struct Worker {
    server: Discv5,
    /// Our record as the network task made it; discv5 may have changed its own copy since.
    record: TheirEnr,
    /// What was last told of our address.
    told: Voted,
    follows_votes: bool,
    meter: Arc<Meter>,
}

/// A search that goes on.
type Search = Pin<Box<dyn Future<Output = Result<Vec<TheirEnr>, QueryError>>>>;

/// The one thing that the thread does next.
enum Turn {
    Order(Order),
    Searched(Result<Vec<TheirEnr>, QueryError>),
    Look,
    End,
}

async fn begin(plan: Plan) -> Result<Worker, String> {
    let record = to_theirs(&plan.record).ok_or("our own record is not understood")?;
    let mut secret = plan.secret;
    let key = CombinedKey::secp256k1_from_bytes(&mut secret).map_err(|e| e.to_string())?;
    let (mut ipv4, mut ipv6) = (None, None);
    for socket in plan.sockets {
        let is_ipv4 = socket.local_addr().is_ok_and(|addr| addr.is_ipv4());
        socket.set_nonblocking(true).map_err(|e| e.to_string())?;
        let socket = Arc::new(tokio::net::UdpSocket::from_std(socket).map_err(|e| e.to_string())?);
        *(if is_ipv4 { &mut ipv4 } else { &mut ipv6 }) = Some(socket);
    }
    let mut config = ConfigBuilder::new(ListenConfig::FromSockets { ipv4, ipv6 });
    config
        .request_timeout(ANSWER_TIME)
        .query_peer_timeout(ANSWER_TIME)
        .query_timeout(SEARCH_TIME)
        .query_parallelism(PARALLEL)
        .session_cache_capacity(SESSIONS)
        .enr_peer_update_min(VOTES)
        .ping_interval(PING_TIME)
        .vote_duration(2 * PING_TIME)
        .incoming_bucket_limit(INCOMING_PER_BUCKET)
        .disable_report_discovered_peers();
    if !plan.private_addresses {
        // Nodes of a laboratory share one address and would be taken for one attacker.
        config.enable_packet_filter().ip_limit().table_filter(has_only_public_addresses);
    }
    if !plan.follows_votes {
        config.disable_enr_update();
    }
    let mut server = Discv5::new(record.clone(), key, config.build())?;
    for node in plan.boot_nodes.iter().filter_map(to_theirs) {
        add(&server, node);
    }
    server.start().await.map_err(|e| e.to_string())?;
    let told = voted(&record);
    Ok(Worker { server, record, told, follows_votes: plan.follows_votes, meter: plan.meter })
}

impl Worker {
    async fn run(mut self, orders: Receiver<Order>, news: Sender<News>) {
        let mut search: Option<Search> = None;
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            let order = orders.recv().map(|order| order.map_or(Turn::End, Turn::Order));
            let searched = async {
                match &mut search {
                    Some(search) => Turn::Searched(search.await),
                    None => future::pending().await,
                }
            };
            let look = look.tick().map(|_| Turn::Look);
            let turn = smol::future::race(smol::future::race(order, searched), look).await;
            match turn {
                Turn::Order(order) => self.obey(order, &mut search, &news),
                Turn::Searched(Err(error)) => {
                    // Its own task is gone: only a new start helps.
                    warn!("a search for peers failed: {error}");
                    return;
                }
                Turn::Searched(Ok(nodes)) => {
                    search = None;
                    let nodes: Vec<Enr> = nodes.iter().filter_map(to_ours).collect();
                    debug!(found = nodes.len(), "a search ended");
                    let _ = news.try_send(News::Found(nodes));
                }
                Turn::Look => {
                    self.look(&news);
                }
                Turn::End => return,
            }
        }
    }

    fn obey(&mut self, order: Order, search: &mut Option<Search>, news: &Sender<News>) {
        match order {
            Order::Record(record) => {
                // Votes that came meanwhile are told first; a record made with them will follow.
                if !self.look(news)
                    && let Some(record) = to_theirs(&record)
                {
                    self.told = voted(&record);
                    *self.server.external_enr().write() = record.clone();
                    self.record = record;
                }
            }
            Order::Search(forks, needs) => *search = Some(self.search(forks, needs)),
            Order::Know(nodes) => nodes.iter().filter_map(to_theirs).for_each(|node| add(&self.server, node)),
        }
    }

    fn search(&self, forks: Arc<Forks>, needs: Needs) -> Search {
        let is_wanted = move |node: &TheirEnr| {
            let Some(node) = to_ours_if_eth2(node) else { return false };
            record::is_of(&node, &forks) && (needs.is_empty() || needs.met_by(&node) > 0)
        };
        Box::pin(self.server.find_node_predicate(NodeId::random(), Box::new(is_wanted), SEARCH_RESULTS))
    }

    /// Looks at the table, the traffic, and what discv5 made of others' votes. Returns whether our address has changed.
    fn look(&mut self, news: &Sender<News>) -> bool {
        count_bytes(&self.meter);
        metrics::set(&DISCOVERY_TABLE, &[], self.server.table_entries_id().len() as f64);
        let now = voted(&self.server.local_enr());
        let has_changed = self.follows_votes && now != self.told;
        if has_changed && news.try_send(News::Address(now)).is_ok() {
            self.told = now;
        }
        has_changed
    }
}

fn count_bytes(meter: &Meter) {
    let metrics = Discv5::metrics();
    let new = |at: usize, total: usize| total.saturating_sub(COUNTED[at].fetch_max(total, Ordering::Relaxed));
    meter.received(new(0, metrics.bytes_recv));
    meter.sent(new(1, metrics.bytes_sent));
}

fn add(server: &Discv5, node: TheirEnr) {
    if let Err(reason) = server.add_enr(node) {
        debug!(reason, "a node is not taken into the table");
    }
}

fn voted(record: &TheirEnr) -> Voted {
    let ip4 = record.udp4_socket().map(|socket| (*socket.ip(), socket.port()));
    Voted { ip4, ip6: record.udp6_socket().map(|socket| (*socket.ip(), socket.port())) }
}

fn has_only_public_addresses(node: &TheirEnr) -> bool {
    let ip4 = node.ip4().map(std::net::IpAddr::from);
    ip4.into_iter().chain(node.ip6().map(std::net::IpAddr::from)).all(|ip| is_dialable(ip, false))
}

fn to_theirs(record: &Enr) -> Option<TheirEnr> {
    record.to_base64().parse().ok()
}

fn to_ours(record: &TheirEnr) -> Option<Enr> {
    record.to_base64().parse().ok()
}

/// Nodes of the execution layer share the network, and half of what is found is theirs.
fn to_ours_if_eth2(record: &TheirEnr) -> Option<Enr> {
    record.get_raw_rlp("eth2")?;
    to_ours(record)
}
