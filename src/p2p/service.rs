//! The network task: owns the swarm, the peers and the bans; handles one event at a time.

mod addresses;
mod connections;
mod finding;
mod gossip;
mod inbound;
mod late;
mod measure;
mod outbound;
mod places;
mod setup;
mod slow;

use outbound::Call;
pub(super) use outbound::decode_answer;

use std::{
    collections::{BTreeSet, HashMap},
    pin::pin,
    sync::{Arc, Mutex},
    task::Poll,
    time::{Duration, Instant},
};

use async_channel::{Receiver, Sender};
use futures::StreamExt as _;
use libp2p::{
    PeerId, Swarm, allow_block_list, identify,
    swarm::{NetworkBehaviour, SwarmEvent},
};
use smol::{Timer, future};
use tracing::debug;

use super::{
    bans::Bans,
    budget::Budget,
    codec::CodecError,
    config::{Forks, P2pConfig},
    dialer::Dialer,
    discovery::{Discovery, News, Reach},
    events::{Outputs, PeerEvent},
    gossip::{Gossip, Metered},
    handle::{Command, Identity},
    identity::NodeKey,
    lacks::Lacks,
    late::Lateness,
    limits,
    messages::{GoodbyeReason, MetaData, Status},
    meter::Meters,
    pace::Pace,
    peer::{Direction, Peer},
    protocol::{Method, Protocol},
    rpc_error::RpcError,
    score::{BAN_BELOW, Reason},
    server::{Answer, ErrorCode, Request},
    streams::{self, RequestId},
    topic::Topic,
    transport,
    upnp::Upnp,
    useful::Useful,
};
use crate::metrics::{self, P2P_EXCUSED, PEERS, PEERS_PUNISHED, QUEUE_DROPPED};

pub use setup::start;

#[cfg(test)]
mod tests;

/// How often timers of peers are looked at.
const TICK: Duration = Duration::from_millis(250);
/// Outcomes of requests that wait for this task; senders wait when it is full.
const OUTCOMES: usize = 64;
/// What saying goodbye may take.
const GOODBYE_TIME: Duration = Duration::from_secs(1);

/// What the swarm does for us.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    limits: limits::Behaviour,
    blocked: allow_block_list::Behaviour<allow_block_list::BlockedPeers>,
    streams: streams::Behaviour,
    identify: identify::Behaviour,
    gossip: Metered,
}

/// What the tasks of single requests tell this task.
enum Outcome {
    /// Our request ended.
    Answered { peer: PeerId, session: u64, method: Method, result: Result<Reply, RpcError> },
    /// A peer's request was read; the answer is what the request's task waits for.
    Asked {
        peer: PeerId,
        session: u64,
        protocol: Protocol,
        request: Result<Request, CodecError>,
        answer: Sender<Answer>,
    },
    /// A peer's request was answered.
    Served {
        peer: PeerId,
        session: u64,
        protocol: Protocol,
        /// Names what the chain was asked for.
        what: Option<u64>,
        result: Result<Option<ErrorCode>, CodecError>,
    },
    /// A refusal was written.
    Refused,
    /// The budget allows a request that had to wait.
    MayAsk { peer: PeerId, session: u64, call: Call },
}

/// A peer's answer to a request of this task.
pub(super) enum Reply {
    Status(Status),
    Pong(u64),
    MetaData(Box<MetaData>),
    Nothing,
}

/// The one thing that the task does next.
#[allow(clippy::large_enum_variant)] // lives for one turn of the loop, on the stack
enum Turn {
    Swarm(SwarmEvent<BehaviourEvent>),
    Command(Command),
    Outcome(Outcome),
    News(News),
    /// The thread of discovery has ended.
    DiscoveryEnded,
    Tick,
    /// The task has had no rest for so long.
    Late(Duration),
    /// All handles are gone.
    Closed,
}

/// The task's state.
pub(super) struct Service {
    swarm: Swarm<Behaviour>,
    key: NodeKey,
    config: P2pConfig,
    pub(super) forks: Arc<Forks>,
    status: Status,
    pub(super) metadata: MetaData,
    /// Shared with the handles.
    identity: Arc<Mutex<Identity>>,
    commands: Receiver<Command>,
    outcomes: Receiver<Outcome>,
    outcome_sender: Sender<Outcome>,
    out: Outputs,
    /// What we listen to.
    pub(super) topics: BTreeSet<Topic>,
    /// What the network needs and we do not have.
    lacks: Lacks,
    /// What everybody's gossip was worth.
    useful: Useful,
    /// When the gauges are set again.
    next_measure: Instant,
    /// Where we shall publish without listening.
    pub(super) publish_on: BTreeSet<Topic>,
    peers: HashMap<PeerId, Peer>,
    opening: HashMap<RequestId, outbound::Opening>,
    next_id: u64,
    bans: Bans,
    dialer: Dialer,
    /// The bytes of each connection.
    meters: Meters,
    /// What we may use of the line.
    budget: Arc<Budget>,
    discovery: Option<Discovery>,
    reach: Reach,
    upnp: Option<Upnp>,
    /// How fast all peers together are served.
    pace: Arc<Pace>,
    /// Refusals that are being written.
    refusing: usize,
    /// Whether we are late ourselves.
    late: Lateness,
    /// When to stop, and who waits for it.
    stopping: Option<(Instant, Sender<()>)>,
}

impl Service {
    /// Runs until told to stop, or until all handles are gone.
    pub async fn run(mut self) {
        let mut tick = Timer::interval(TICK);
        loop {
            match self.next_turn(&mut tick).await {
                Turn::Swarm(event) => self.on_swarm(event),
                Turn::Command(command) => self.on_command(command),
                Turn::Outcome(outcome) => self.on_outcome(outcome),
                Turn::News(news) => self.on_news(news),
                Turn::DiscoveryEnded => self.on_discovery_ended(),
                Turn::Tick => self.on_tick(Instant::now()),
                Turn::Late(by) => self.on_pause(by, Instant::now()),
                Turn::Closed => return,
            }
            if let Some((deadline, done)) = &self.stopping
                && (self.peers.is_empty() || *deadline <= Instant::now())
            {
                let done = done.clone();
                if let Some(upnp) = self.upnp.take() {
                    upnp.end().await;
                }
                let _ = done.try_send(());
                return;
            }
        }
    }

    async fn next_turn(&mut self, tick: &mut Timer) -> Turn {
        let Service { swarm, commands, outcomes, discovery, late, .. } = self;
        let swarm = async { Turn::Swarm(swarm.select_next_some().await) };
        let command = async { commands.recv().await.map_or(Turn::Closed, Turn::Command) };
        let outcome = async { outcomes.recv().await.map_or(Turn::Closed, Turn::Outcome) };
        let tick = async {
            tick.next().await;
            Turn::Tick
        };
        let news = async {
            match discovery {
                Some(discovery) => discovery.next_news().await.map_or(Turn::DiscoveryEnded, Turn::News),
                None => std::future::pending().await,
            }
        };
        // In random order: no source can starve another.
        let work = future::race(future::race(swarm, command), future::race(future::race(outcome, news), tick));
        let mut work = pin!(work);
        // The clock comes first: after a pause gossipsub would judge peers before it has read what they sent meanwhile.
        std::future::poll_fn(|context| {
            if let Some(by) = late.look(Instant::now()) {
                return Poll::Ready(Turn::Late(by));
            }
            let turn = work.as_mut().poll(context);
            if turn.is_pending() {
                late.rest(Instant::now());
            }
            turn
        })
        .await
    }

    fn on_swarm(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Gossip(event)) => self.on_gossip_event(event),
            SwarmEvent::Behaviour(BehaviourEvent::Streams(event)) => self.on_stream(event),
            SwarmEvent::Behaviour(BehaviourEvent::Identify(event)) => self.on_identify(event),
            SwarmEvent::Behaviour(_) => {}
            other => self.on_connection(other),
        }
    }

    fn on_stream(&mut self, event: streams::Event) {
        match event {
            streams::Event::Inbound { peer, stream, protocol } => self.on_inbound_stream(peer, stream, &protocol),
            streams::Event::Opened { id, result } => self.on_opened(id, result),
        }
    }

    fn on_outcome(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Answered { peer, session, method, result } => self.on_answered(peer, session, method, result),
            Outcome::Asked { peer, session, protocol, request, answer } => {
                self.on_asked(peer, session, protocol, request, answer);
            }
            Outcome::Served { peer, session, protocol, what, result } => {
                self.on_served(peer, session, (protocol, what), result);
            }
            Outcome::Refused => self.on_refused(),
            Outcome::MayAsk { peer, session, call } => self.on_may_ask(peer, session, call),
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Publish { topic, ssz, reply } => {
                let _ = reply.try_send(self.publish(topic, ssz));
            }
            Command::Verdict { id, peer, verdict } => self.judge(&id, peer, verdict),
            Command::Blocks { peer, wanted, reply } => self.ask_chain(peer, Call::Blocks { wanted, reply }),
            Command::Columns { peer, wanted, reply } => self.ask_chain(peer, Call::Columns { wanted, reply }),
            Command::Report { peer, reason } => self.punish(peer, reason),
            Command::Goodbye { peer, reason } => self.leave(peer, reason),
            Command::AskStatus(peer) => self.ask_status(peer),
            Command::Listen { topic, listens } => {
                // What we are told again is no new need.
                if self.listen(topic, listens)
                    && listens
                    && let Some(discovery) = &mut self.discovery
                {
                    discovery.hurry(Instant::now());
                }
            }
            Command::SetStatus(status) => self.status = Status { fork_digest: self.forks.current, ..status },
            Command::SetForks(forks) => self.set_forks(forks),
            Command::SetActiveValidators(count) => self.set_active_validators(count),
            Command::SetCustody(groups) => self.set_custody(groups),
            Command::SetSubnets(subnets) => self.set_subnets(subnets),
            Command::Peers(reply) => {
                let now = Instant::now();
                let _ = reply.try_send(self.peers.iter().map(|(id, peer)| peer.info(*id, now)).collect());
            }
            Command::Bans(reply) => {
                let _ = reply.try_send(self.bans.list(Instant::now()));
            }
            Command::Shutdown(reply) => self.stop(reply),
        }
    }

    /// Counts a penalty; a peer whose score is too low is sent away and banned.
    fn punish(&mut self, id: PeerId, reason: Reason) {
        let now = Instant::now();
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if reason == Reason::Timeout && self.late.excuses(now) {
            debug!(peer = %id, "a timeout is excused: we are late ourselves");
            return metrics::inc(&P2P_EXCUSED, &[]);
        }
        metrics::inc(&PEERS_PUNISHED, &[("reason", reason.label())]);
        let score = peer.score.punish(reason, now);
        debug!(peer = %id, reason = reason.label(), score, "peer punished");
        self.tell_gossip(id, now);
        if score <= BAN_BELOW && !self.bans.contains(&id) {
            self.ban(id, now);
        }
    }

    pub(super) fn gossip(&self) -> &Gossip {
        &self.swarm.behaviour().gossip.sub
    }

    fn tell_of_peer(&mut self, event: PeerEvent) {
        if self.out.peers.try_send(event).is_err() {
            metrics::inc(&QUEUE_DROPPED, &[("queue", "p2p_peers")]);
        }
    }

    fn count_peers(&self) {
        for direction in [Direction::Inbound, Direction::Outbound] {
            for transport in transport::NAMES {
                let is_such = |peer: &&Peer| peer.direction == direction && transport::name(&peer.addr) == transport;
                let count = self.peers.values().filter(is_such).count();
                metrics::set(&PEERS, &[("direction", direction.as_str()), ("transport", transport)], count as f64);
            }
        }
    }

    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn stop(&mut self, done: Sender<()>) {
        self.budget.save();
        self.stopping = Some((Instant::now() + GOODBYE_TIME, done));
        self.keep_peers();
        let everyone: Vec<PeerId> = self.peers.keys().copied().collect();
        for peer in everyone {
            self.leave(peer, GoodbyeReason::Shutdown);
        }
    }
}
