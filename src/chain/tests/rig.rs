//! A chain without a network: the tests play the peers.

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_channel::{Receiver, Sender};
use ssz::Encode as _;

use super::recording::*;
use crate::{
    chain::{
        limits::BATCH_SLOTS,
        network::{
            AnswerSender, ColumnAnswerSender, GossipBlock, GossipColumn, GossipId, GossipSmall, Peer, PeerEvent,
            RequestError, Status, Verdict,
        },
        pools::{Pools, PoolsHandle},
        *,
    },
    crypto::{DOMAIN_BEACON_PROPOSER, compute_domain, compute_signing_root},
    db::{Database, DbConfig},
    engine::PooledBlob,
    types::{ColumnIndex, DataColumnSidecar, GossipMessage, Hash256, Slot, Topic, compute_epoch_at_slot},
};

/// Longer than anything here takes, even on a busy machine. Only a failing test waits for it.
const TOO_LONG: Duration = Duration::from_secs(120);

/// How a peer that we play answers requests for blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manners {
    Honest,
    /// Has no block.
    Empty,
    /// Sends blocks that nobody asked for.
    Unrelated,
    /// Sends blocks with a broken signature.
    BadSignatures,
    /// Says that it can't.
    Refuses,
    /// Keeps back the first blocks after the anchor, a batch of them.
    Withholds,
    /// Sends good blocks, and columns with cells of another.
    BadColumns,
    /// Sends good blocks, and no column though it keeps some.
    NoColumns,
}

/// What the chain asked of the network, but for what the played peers answered.
#[derive(Debug)]
pub enum Told {
    /// On a block.
    Verdict(Arc<[u8]>, Verdict),
    /// On anything else.
    SmallVerdict(Topic, Arc<[u8]>, Verdict),
    Report(Peer, network::Fault),
    Goodbye(Peer),
    Publish(network::Publication),
    Request(Peer, Vec<Slot>),
    /// A block and those before it were asked for.
    HeadRequest(Vec<Slot>),
    /// Columns were asked for.
    ColumnRequest(Peer, Vec<ColumnIndex>),
    Listen(Topic),
    Custody(u64),
}

/// Columns by root of their block.
pub type TheirColumns = Arc<Mutex<HashMap<Hash256, Vec<Arc<DataColumnSidecar>>>>>;

/// Blocks by root.
pub type TheirBlocks = Arc<Mutex<HashMap<Hash256, Arc<SignedBeaconBlock>>>>;

pub struct Rig {
    pub handle: ChainHandle,
    pub inputs: ChainInputs,
    pub told: Receiver<Told>,
    pub peers: Arc<Mutex<HashMap<Peer, Manners>>>,
    pub pools: PoolsHandle,
    /// What peers have.
    pub their_blocks: TheirBlocks,
    pub their_columns: TheirColumns,
    tasks: Vec<smol::Task<()>>,
    crashing: Arc<AtomicBool>,
}

/// Waits, but not for ever.
pub fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    smol::block_on(smol::future::or(work, async {
        smol::Timer::after(TOO_LONG).await;
        panic!("{what} did not happen")
    }))
}

pub fn open_db(path: &Path) -> Database {
    let config = DbConfig::new(anchor_state().genesis_validators_root, Arc::new(config()));
    Database::open(path, &config).unwrap().0
}

/// One second into a slot.
pub fn clock_at(slot: Slot) -> Clock {
    let (config, genesis) = (config(), anchor_state().genesis_time);
    let clock = Clock::manual(genesis, &config, 0);
    clock.set_ms(clock.start_of(slot) + 1000);
    clock
}

/// As [`clock_at`], but it runs.
pub fn running_clock_at(slot: Slot) -> Clock {
    Clock::shifted(anchor_state().genesis_time, &config(), clock_at(slot).now_ms())
}

pub fn checkpoint() -> Start {
    let block = Box::new((*block(ANCHOR)).clone());
    Start::Checkpoint { state: Box::new(anchor_state()), block }
}

pub fn peer(name: &str) -> Peer {
    Peer(name.into())
}

/// An execution client that finds every payload valid: those of the recorded chain are. It knows no blobs.
pub fn contented() -> ExecutionQueue {
    contented_with(|_| None)
}

/// As [`contented`], with blobs by their hashes; silent about them if it is none.
pub fn contented_with(
    mut blobs: impl FnMut(Vec<Hash256>) -> Option<Vec<Option<PooledBlob>>> + Send + 'static,
) -> ExecutionQueue {
    let (commands, asked) = async_channel::bounded(16);
    smol::spawn(async move {
        while let Ok(command) = asked.recv().await {
            match command {
                ExecutionCommand::NewPayload { reply, .. } | ExecutionCommand::ForkchoiceUpdated { reply, .. } => {
                    let _ = reply.try_send(PayloadVerdict::Valid);
                }
                ExecutionCommand::Blobs { hashes, reply, .. } => {
                    let _ = blobs(hashes).map(|blobs| reply.try_send(blobs));
                }
            }
        }
    })
    .detach();
    ExecutionQueue { commands, is_up: Arc::new(AtomicBool::new(true)), bodies: None }
}

pub fn setup(
    path: &Path,
    start: Start,
    clock: Clock,
    capacities: Capacities,
) -> (ChainConfig, Receiver<NetworkCommand>) {
    let (network, commands) = async_channel::bounded(256);
    let setup = ChainConfig {
        config: Arc::new(config()),
        db: open_db(path),
        start,
        node_id: None,
        clock: Some(clock),
        network,
        execution: Some(contented()),
        pools: None,
        capacities,
        backfill: false,
        prune_payloads: false,
    };
    (setup, commands)
}

impl Rig {
    pub fn new(path: &Path, start: Start, clock: Clock) -> Rig {
        Rig::with_capacities(path, start, clock, Capacities::default())
    }

    pub fn with_capacities(path: &Path, start: Start, clock: Clock, capacities: Capacities) -> Rig {
        let (setup, commands) = setup(path, start, clock, capacities);
        Rig::with_setup(setup, commands)
    }

    pub fn with_setup(mut setup: ChainConfig, commands: Receiver<NetworkCommand>) -> Rig {
        // `RUST_LOG=hornero=debug` shows what the tasks do.
        let logs = tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env());
        let _ = logs.with_test_writer().try_init();
        let pools = Pools::default();
        setup.pools = Some(pools.verified);
        let Chain { handle, inputs, tasks } = start(setup).unwrap();
        let peers: Arc<Mutex<HashMap<Peer, Manners>>> = Arc::default();
        let (tell, told) = async_channel::bounded(1024);
        let crashing: Arc<AtomicBool> = Arc::default();
        let run = |task: &ChainTask| {
            let (name, task, crashing) = (task.name, (task.start)(), crashing.clone());
            smol::spawn(async move {
                let end = task.await;
                // When all are stopped one after the other, some find themselves alone.
                assert!(crashing.load(Ordering::Relaxed), "the {name} task ended: {end:?}");
            })
        };
        let mut running: Vec<smol::Task<()>> = tasks.iter().chain([&pools.task]).map(run).collect();
        let recorded = (ANCHOR..=LAST).map(|slot| (root(slot), block(slot)));
        let their_blocks: TheirBlocks = Arc::new(Mutex::new(recorded.collect()));
        let their_columns = TheirColumns::default();
        let they = They { manners: peers.clone(), blocks: their_blocks.clone(), columns: their_columns.clone() };
        running.push(smol::spawn(they.play_network(commands, tell)));
        let pools = pools.handle;
        Rig { handle, inputs, told, peers, pools, their_blocks, their_columns, tasks: running, crashing }
    }

    /// At the first slots of the recorded chain, with a clock that stands at its end.
    pub fn recorded(path: &Path) -> Rig {
        Rig::new(path, checkpoint(), clock_at(LAST))
    }

    /// The same without an execution client.
    pub fn unchecked(path: &Path) -> Rig {
        let (setup, commands) = setup(path, checkpoint(), clock_at(LAST), Capacities::default());
        Rig::with_setup(ChainConfig { execution: None, ..setup }, commands)
    }

    /// A peer connects that says its head is at `slot`.
    pub fn connect(&self, name: &str, slot: Slot, manners: Manners) {
        self.connect_with(name, manners, |status| Status { head_root: root(slot), head_slot: slot, ..status });
    }

    pub fn connect_with(&self, name: &str, manners: Manners, change: impl Fn(Status) -> Status) {
        self.connect_keeper(name, manners, &[], change);
    }

    /// A peer connects that keeps these columns.
    pub fn connect_keeper(
        &self,
        name: &str,
        manners: Manners,
        custody: &[ColumnIndex],
        change: impl Fn(Status) -> Status,
    ) {
        self.peers.lock().unwrap().insert(peer(name), manners);
        let status = Status { earliest_available_slot: 0, ..change(self.handle.status()) };
        self.inputs
            .peers
            .send_blocking(PeerEvent::Status { peer: peer(name), status, custody: custody.into() })
            .unwrap();
    }

    /// A peer gossips a block; the id is its slot.
    pub fn gossip(&self, name: &str, block: &Arc<SignedBeaconBlock>) {
        let id = GossipId { peer: peer(name), message: id_of(block) };
        let message = GossipBlock { id, block: block.clone(), received_ms: self.handle.clock().now_ms() };
        soon("room for gossip", self.inputs.gossip_blocks.send(message)).unwrap();
    }

    /// A peer gossips a small message; the verdict on it.
    pub fn gossip_message(&self, message: GossipMessage) -> Verdict {
        let hash = ethereum_hashing::hash_fixed(&message.to_ssz_bytes());
        let id = GossipId { peer: peer("a"), message: hash.as_slice().into() };
        let queue = match &message {
            _ if message.is_operation() => &self.inputs.gossip_operations,
            _ if message.is_for_light_clients() => &self.inputs.gossip_light_clients,
            _ => &self.inputs.gossip_votes,
        };
        let expected = (message.topic(), id.message.clone());
        soon("room for gossip", queue.send(GossipSmall { id, message, received_ms: 0 })).unwrap();
        self.verdict_on(expected)
    }

    /// A peer gossips a column in a subnet; the verdict on it.
    pub fn gossip_column(&self, sidecar: DataColumnSidecar, subnet: u64) -> Verdict {
        let hash = ethereum_hashing::hash_fixed(&sidecar.as_ssz_bytes());
        let id = GossipId { peer: peer("a"), message: hash.as_slice().into() };
        let expected = (Topic::DataColumnSidecar(subnet), id.message.clone());
        let message = GossipColumn { id, subnet, sidecar: Arc::new(sidecar), received_ms: 0 };
        soon("room for gossip", self.inputs.gossip_columns.send(message)).unwrap();
        self.verdict_on(expected)
    }

    fn verdict_on(&self, (topic, id): (Topic, Arc<[u8]>)) -> Verdict {
        self.wait_told("a verdict", |told| match told {
            Told::SmallVerdict(of, other, verdict) if (*of, other) == (topic, &id) => Some(*verdict),
            _ => None,
        })
    }

    /// The verdict on a block that was gossiped.
    pub fn verdict(&self, block: &SignedBeaconBlock) -> Verdict {
        let id = id_of(block);
        self.wait_told("a verdict", |told| match told {
            Told::Verdict(other, verdict) if *other == id => Some(*verdict),
            _ => None,
        })
    }

    /// What the chain wants of the network: the next that `find` likes. What came before is forgotten.
    pub fn wait_told<T>(&self, what: &str, find: impl Fn(&Told) -> Option<T>) -> T {
        soon(what, async {
            loop {
                if let Some(found) = find(&self.told.recv().await.unwrap()) {
                    return found;
                }
            }
        })
    }

    pub fn import(&self, block: &Arc<SignedBeaconBlock>) -> Result<Hash256, BlockError> {
        let source = BlockSource::ByRange(peer("importer"));
        soon("an import", self.handle.import_block(block.clone(), source))
    }

    pub fn wait_for_head(&self, root: Hash256) {
        let events = self.handle.subscribe();
        soon("the head", async {
            while self.handle.snapshot().head_root != root {
                events.recv().await.unwrap();
            }
        });
    }

    /// Waits until the execution client has judged the head.
    pub fn wait_until_verified(&self) {
        soon("a verified head", async {
            while self.handle.snapshot().is_optimistic {
                smol::future::yield_now().await;
            }
        });
    }

    /// Ends all tasks as a crash would, and waits until the data directory is free.
    pub fn crash(self) {
        self.crashing.store(true, Ordering::Relaxed);
        soon("the end of the tasks", async {
            for task in self.tasks {
                task.cancel().await;
            }
        });
    }
}

fn id_of(block: &SignedBeaconBlock) -> Arc<[u8]> {
    [block.message.slot.to_le_bytes().as_slice(), &block.signature[..8]].concat().into()
}

/// Signs a changed block as its proposer would.
pub fn sign(mut block: SignedBeaconBlock) -> Arc<SignedBeaconBlock> {
    let state = anchor_state();
    let version = config().fork_version(compute_epoch_at_slot(block.message.slot));
    let domain = compute_domain(DOMAIN_BEACON_PROPOSER, version, state.genesis_validators_root);
    let message = compute_signing_root(&block.message, domain);
    block.signature = secret_key(block.message.proposer_index).sign(message).to_bytes();
    Arc::new(block)
}

/// The peers that we play.
struct They {
    manners: Arc<Mutex<HashMap<Peer, Manners>>>,
    blocks: TheirBlocks,
    columns: TheirColumns,
}

impl They {
    /// Answers as the peers' manners are, and passes on everything that is of interest to a test.
    async fn play_network(self, commands: Receiver<NetworkCommand>, tell: Sender<Told>) {
        while let Ok(command) = commands.recv().await {
            // A test that does not listen is not waited for.
            if let Some(told) = self.answer(command) {
                let _ = tell.force_send(told);
            }
        }
    }

    fn answer(&self, command: NetworkCommand) -> Option<Told> {
        Some(match command {
            NetworkCommand::Verdict { topic: Topic::BeaconBlock, id, verdict } => Told::Verdict(id.message, verdict),
            NetworkCommand::Verdict { topic, id, verdict } => Told::SmallVerdict(topic, id.message, verdict),
            NetworkCommand::Report { peer, fault } => Told::Report(peer, fault),
            NetworkCommand::Goodbye { peer, .. } => Told::Goodbye(peer),
            NetworkCommand::Publish(publication) => Told::Publish(publication),
            NetworkCommand::BlocksByRange { peer, start_slot, count, answer } => {
                let slots: Vec<Slot> = (start_slot..start_slot + count).collect();
                let wanted = self.blocks_where(|_, block| slots.contains(&block.message.slot));
                smol::spawn(give(self.manners(&peer), wanted, answer)).detach();
                Told::Request(peer, slots)
            }
            NetworkCommand::BlocksByRoot { peer, roots, answer } => {
                let wanted = self.blocks_where(|root, _| roots.contains(root));
                let slots = wanted.iter().map(|block| block.message.slot).collect();
                smol::spawn(give(self.manners(&peer), wanted, answer)).detach();
                Told::Request(peer, slots)
            }
            NetworkCommand::BlocksByHead { peer, root, count, answer } => {
                let mut wanted = Vec::new();
                let mut next = root;
                while let Some(block) =
                    self.blocks_where(|root, _| *root == next).pop().filter(|_| wanted.len() < count as usize)
                {
                    next = block.message.parent_root;
                    wanted.push(block);
                }
                let slots = wanted.iter().map(|block| block.message.slot).collect();
                smol::spawn(give(self.manners(&peer), wanted, answer)).detach();
                Told::HeadRequest(slots)
            }
            NetworkCommand::ColumnsByRange { peer, start_slot, count, columns, answer } => {
                let slots = start_slot..start_slot + count;
                let of_blocks = self.blocks_where(|_, block| slots.contains(&block.message.slot));
                let wanted = of_blocks.iter().flat_map(|block| self.columns_of(block.root(), &columns)).collect();
                smol::spawn(give_columns(self.manners(&peer), wanted, answer)).detach();
                Told::ColumnRequest(peer, columns)
            }
            NetworkCommand::ColumnsByRoot { peer, wanted, answer } => {
                let found = wanted.iter().flat_map(|(root, columns)| self.columns_of(*root, columns)).collect();
                smol::spawn(give_columns(self.manners(&peer), found, answer)).detach();
                Told::ColumnRequest(peer, wanted.into_iter().flat_map(|(_, columns)| columns).collect())
            }
            NetworkCommand::Listen { topic, .. } => Told::Listen(topic),
            NetworkCommand::SetCustody { groups } => Told::Custody(groups),
            NetworkCommand::AskStatus(_) | NetworkCommand::SetStatus(_) | NetworkCommand::SetSubnets(_) => return None,
        })
    }

    fn manners(&self, peer: &Peer) -> Manners {
        self.manners.lock().unwrap().get(peer).copied().unwrap_or(Manners::Empty)
    }

    fn blocks_where(&self, wants: impl Fn(&Hash256, &SignedBeaconBlock) -> bool) -> Vec<Arc<SignedBeaconBlock>> {
        let all = self.blocks.lock().unwrap();
        let mut wanted: Vec<_> =
            all.iter().filter(|(root, block)| wants(root, block)).map(|(_, block)| block.clone()).collect();
        wanted.sort_by_key(|block| block.message.slot);
        wanted
    }

    fn columns_of(&self, root: Hash256, columns: &[ColumnIndex]) -> Vec<Arc<DataColumnSidecar>> {
        let all = self.columns.lock().unwrap();
        let of_block = all.get(&root).into_iter().flatten();
        of_block.filter(|column| columns.contains(&column.index)).cloned().collect()
    }
}

async fn give_columns(manners: Manners, columns: Vec<Arc<DataColumnSidecar>>, answer: ColumnAnswerSender) {
    if matches!(manners, Manners::NoColumns | Manners::Empty) {
        return;
    }
    for mut column in columns {
        if manners == Manners::BadColumns {
            Arc::make_mut(&mut column).column[0] = crate::types::Cell::default();
        }
        if answer.send(Ok(column)).await.is_err() {
            return;
        }
    }
}

async fn give(manners: Manners, blocks: Vec<Arc<SignedBeaconBlock>>, answer: AnswerSender) {
    match manners {
        Manners::Empty => return,
        Manners::Refuses => {
            let _ = answer.send(Err(RequestError::Unavailable("not now".into()))).await;
            return;
        }
        Manners::Unrelated => {
            let _ = answer.send(Ok(block(181))).await;
            return;
        }
        Manners::Honest | Manners::BadSignatures | Manners::Withholds | Manners::BadColumns | Manners::NoColumns => {}
    }
    for block in blocks {
        if manners == Manners::Withholds && block.message.slot <= ANCHOR + BATCH_SLOTS {
            continue;
        }
        let mut block = (*block).clone();
        if manners == Manners::BadSignatures {
            block.signature = recording_signature();
        }
        if answer.send(Ok(Arc::new(block))).await.is_err() {
            return;
        }
    }
}

/// A signature that is one, but of something else.
pub fn recording_signature() -> crate::types::BLSSignature {
    block(ANCHOR).signature
}
