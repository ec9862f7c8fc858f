//! From a configuration to a running task.

use std::{
    collections::{BTreeSet, HashMap},
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use libp2p::{Multiaddr, Swarm, allow_block_list, identify, swarm::SwarmEvent};
use tracing::info;

use super::{Behaviour, OUTCOMES, Service, addresses};
use crate::p2p::{
    bans::Bans,
    budget::Budget,
    config::{Forks, P2pConfig, P2pError},
    dialer::Dialer,
    discovery::{Reach, Voted},
    events::{self, P2pEvents},
    gossip,
    handle::{COMMANDS, Identity, P2pHandle},
    identity::{NodeKey, keep_record, read_record},
    lacks::Lacks,
    late::Lateness,
    limits,
    messages::{MetaData, Status},
    meter::Meters,
    pace::Pace,
    protocol::Protocol,
    quic, streams, tcp,
    topic::Topic,
    transport,
    useful::Useful,
};

/// Peers to stay connected to. More is a mistake in a script.
const MAX_BOOT_NODES: usize = 128;
/// All peers together are served at this multiple of what one is.
const SERVE_ALL_FACTOR: u64 = 4;

/// File beside the key with the month's traffic.
const TRAFFIC_FILE: &str = "traffic";

/// Starts the network task and listens. Fails when the key, a boot node or a port is unusable.
pub async fn start(config: P2pConfig) -> Result<(P2pHandle, P2pEvents), P2pError> {
    let (service, handle, events) = prepare(config).await?;
    smol::spawn(service.run()).detach();
    Ok((handle, events))
}

/// The task, listening, and its two ends for the rest of the node.
pub(super) async fn prepare(config: P2pConfig) -> Result<(Service, P2pHandle, P2pEvents), P2pError> {
    if config.boot_nodes.len() > MAX_BOOT_NODES {
        return Err(P2pError::Setup(format!("more than {MAX_BOOT_NODES} boot nodes")));
    }
    let boot_nodes = addresses::to_stay_with(&config)?;
    let key = NodeKey::load_or_create(&config.key_file)?;
    let budget = Arc::new(Budget::new(config.budget, &config.key_file.with_file_name(TRAFFIC_FILE)));
    let meters = Meters::new(budget.clone());
    let mut swarm = swarm(&key, &config, &meters)?;
    let listen_addrs = listen(&mut swarm, &config).await?;

    let metadata = MetaData { custody_group_count: config.custody_group_count, ..MetaData::default() };
    let sockets = addresses::discovery_sockets(&config, &listen_addrs)?;
    let discovery_addrs: Vec<SocketAddr> = sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect();
    let named = addresses::for_record(&config, &listen_addrs, &discovery_addrs, Voted::default());
    let last = read_record(&addresses::record_file(&config), &key);
    let enr = key.record(&named, &config.forks, &metadata, last.as_ref())?;
    keep_record(&addresses::record_file(&config), &enr);
    info!(peer = %key.peer_id(), %enr, "listening on {listen_addrs:?}");
    let discovery =
        addresses::start_discovery(&config, &enr, &key, &listen_addrs, sockets, meters.of_discovery()).await?;
    let private_addresses = discovery.as_ref().is_some_and(|discovery| discovery.config.private_addresses);
    let identity = Identity {
        peer_id: key.peer_id(),
        enr,
        listen_addrs,
        discovery_addrs: discovery_addrs.into_iter().map(addresses::udp_multiaddr).collect(),
        metadata: metadata.clone(),
    };
    let identity = Arc::new(Mutex::new(identity));

    let (out, events) = events::queues();
    let (command_sender, commands) = async_channel::bounded(COMMANDS);
    let (outcome_sender, outcomes) = async_channel::bounded(OUTCOMES);
    let mut service = Service {
        swarm,
        key,
        forks: Arc::new(config.forks.clone()),
        status: Status { fork_digest: config.forks.current, ..config.status },
        metadata,
        identity: identity.clone(),
        commands,
        outcomes,
        outcome_sender,
        out,
        topics: Topic::GLOBAL.into(),
        publish_on: BTreeSet::new(),
        next_measure: Instant::now(),
        lacks: Lacks::default(),
        useful: Useful::default(),
        peers: HashMap::new(),
        opening: HashMap::new(),
        next_id: 0,
        bans: Bans::default(),
        dialer: Dialer::new(boot_nodes, Instant::now()),
        meters,
        budget,
        discovery,
        reach: Reach::new(private_addresses, Instant::now()),
        upnp: addresses::upnp(&config, &named),
        pace: Arc::new(Pace::new(config.serve_bytes_per_second.saturating_mul(SERVE_ALL_FACTOR))),
        refusing: 0,
        late: Lateness::new(config.late_after, config.network_size.misbehaviour_memory(), Instant::now()),
        stopping: None,
        config,
    };
    service.subscribe()?;
    service.count_peers();
    Ok((service, P2pHandle::new(command_sender, identity), events))
}

fn swarm(key: &NodeKey, config: &P2pConfig, meters: &Meters) -> Result<Swarm<Behaviour>, P2pError> {
    let agent = format!("hornero/{}", env!("CARGO_PKG_VERSION"));
    let identify =
        identify::Config::new("eth2/1.0.0".into(), key.libp2p().public()).with_agent_version(agent).with_cache_size(0);
    let behaviour = Behaviour {
        limits: limits::Behaviour::new(config.limits()),
        blocked: allow_block_list::Behaviour::default(),
        streams: streams::Behaviour::new(Protocol::ALL.map(Protocol::id).to_vec()),
        identify: identify::Behaviour::new(identify),
        gossip: gossip::build(config.seen_ttl, config.network_size)?,
    };
    let transport = transport::build(key.libp2p(), config.muxers, !config.listen_quic.is_empty(), meters)?;
    let swarm_config = libp2p::swarm::Config::with_executor(|task| smol::spawn(task).detach())
        // QUIC first, TCP a quarter of a second later.
        .with_smart_dial()
        .with_idle_connection_timeout(Duration::from_secs(60));
    Ok(Swarm::new(transport, behaviour, key.peer_id(), swarm_config))
}

/// Listens on all sockets and returns the addresses, with the ports that were chosen; TCP first.
async fn listen(swarm: &mut Swarm<Behaviour>, config: &P2pConfig) -> Result<Vec<Multiaddr>, P2pError> {
    let tcp = config.listen.iter().map(|addr| (*addr, tcp::to_multiaddr(*addr)));
    let quic = config.listen_quic.iter().map(|addr| (*addr, quic::to_multiaddr(*addr)));
    for (addr, multiaddr) in tcp.chain(quic) {
        swarm.listen_on(multiaddr).map_err(|e| P2pError::Listen { addr, reason: system_reason(&e) })?;
    }
    let mut addrs = Vec::new();
    while addrs.len() < config.listen.len() + config.listen_quic.len() {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            addrs.push(address);
        }
    }
    addrs.sort_by_key(|addr| quic::to_socket_addr(addr).is_some());
    Ok(addrs)
}

fn system_reason(error: &libp2p::TransportError<std::io::Error>) -> String {
    match error {
        libp2p::TransportError::Other(e) => e.to_string(),
        other => other.to_string(),
    }
}

impl Service {
    /// Subscribes to what we listen to, on all forks that we listen to.
    fn subscribe(&mut self) -> Result<(), P2pError> {
        let size = self.config.network_size;
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        for topic in &self.topics {
            for on_fork in self.forks.listened().map(|fork| topic.on(fork)) {
                if let Some(params) = size.topic_params(*topic) {
                    gossip.sub.set_topic_params(on_fork.clone(), params).map_err(|e| P2pError::Setup(e.into()))?;
                }
                gossip.sub.subscribe(&on_fork).map_err(|e| P2pError::Setup(format!("gossip: {e}")))?;
            }
        }
        let per_slot: f64 = self.topics.iter().map(|topic| size.expected_per_slot(*topic)).sum();
        gossip.expect(per_slot / size.slot.as_secs_f64().max(f64::EPSILON));
        Ok(())
    }

    /// How many messages gossip should bring has changed.
    pub(super) fn set_active_validators(&mut self, active_validators: u64) {
        if std::mem::replace(&mut self.config.network_size.active_validators, active_validators) != active_validators
            && let Err(e) = self.subscribe()
        {
            tracing::error!("{e}");
        }
    }

    /// Begins to listen to a topic, or ends it; again after each change of forks. Whether that is a change.
    pub(in crate::p2p) fn listen(&mut self, topic: Topic, listens: bool) -> bool {
        let has_changed = if listens { self.topics.insert(topic) } else { self.topics.remove(&topic) };
        if has_changed && listens {
            if let Err(e) = self.subscribe() {
                tracing::error!("{e}");
            }
        } else if has_changed {
            for fork in self.forks.listened() {
                self.swarm.behaviour_mut().gossip.sub.unsubscribe(&topic.on(fork));
            }
        }
        has_changed
    }

    /// Moves to another fork: topics, status and record.
    pub(super) fn set_forks(&mut self, forks: Forks) {
        let old = std::mem::replace(&mut self.forks, Arc::new(forks));
        self.status.fork_digest = self.forks.current;
        if !old.listened().eq(self.forks.listened()) {
            for left in old.listened().filter(|fork| !self.forks.listened().any(|now| now == *fork)) {
                for topic in &self.topics {
                    self.swarm.behaviour_mut().gossip.sub.unsubscribe(&topic.on(left));
                }
            }
            if let Err(e) = self.subscribe() {
                tracing::error!("{e}");
            }
        }
        self.renew_record();
    }

    /// Tells others that we keep more groups of columns from now on; fewer are not believed.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/das-core.md#custody-group-count>
    pub(super) fn set_custody(&mut self, groups: u64) {
        if groups > self.metadata.custody_group_count {
            self.metadata.custody_group_count = groups;
            self.metadata.seq_number += 1;
            self.renew_record();
        }
    }

    /// Makes our record and metadata for others anew.
    pub(in crate::p2p) fn renew_record(&mut self) {
        let mut identity = self.identity.lock().unwrap_or_else(PoisonError::into_inner);
        identity.metadata = self.metadata.clone();
        let (udp, voted) = match &self.discovery {
            Some(discovery) => (discovery.sockets.as_slice(), discovery.voted),
            None => (&[][..], Voted::default()),
        };
        let named = addresses::for_record(&self.config, &identity.listen_addrs, udp, voted);
        match self.key.record(&named, &self.forks, &self.metadata, Some(&identity.enr)) {
            Ok(enr) if enr == identity.enr => {}
            Ok(enr) => {
                keep_record(&addresses::record_file(&self.config), &enr);
                if let Some(discovery) = &mut self.discovery {
                    discovery.tell(&enr);
                }
                identity.enr = enr;
            }
            Err(e) => tracing::error!("{e}"),
        }
    }
}
