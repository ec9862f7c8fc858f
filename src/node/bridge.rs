//! Carries messages between the chain and the network, each in its own words.
//!
//! From the network to the chain is downstream: a full queue makes the network's own queue fill up, which drops and counts.
//! From the chain to the network nothing waits.

use std::{
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use async_channel::{Receiver, Sender};
use ssz::Encode;
use tracing::debug;

use crate::{
    chain::{
        ChainInputs,
        network::{self as words, NetworkCommand, Peer, Publication, RequestError},
    },
    metrics::{self, COLUMNS_PUBLISHED, PROPOSAL_STAGE_SECONDS},
    p2p::{self, MessageId, P2pEvents, P2pHandle, PeerId, RpcError},
    types::{Config, DataColumnSidecar, columns_of_node, compute_subnet_for_data_column_sidecar},
};

/// What the network hears goes to the chain, until one of them ends.
pub async fn network_to_chain(events: P2pEvents, chain: ChainInputs, config: Arc<Config>) {
    let blocks = async {
        while let Ok(block) = events.gossip_blocks.recv().await {
            let id = gossip_id(block.peer, &block.id);
            let received_ms = since_1970_ms(block.received_at);
            // The rest of it goes when the chain has taken this: then others may wait in its place.
            let message = words::GossipBlock { id, block: block.block, received_ms };
            if chain.gossip_blocks.send(message).await.is_err() {
                return;
            }
        }
    };
    let votes = carry_small(&events.gossip_votes, &chain.gossip_votes);
    let operations = carry_small(&events.gossip_operations, &chain.gossip_operations);
    let light_clients = carry_small(&events.gossip_light_clients, &chain.gossip_light_clients);
    let columns = async {
        while let Ok(p2p::GossipColumn { id, peer, subnet, sidecar, received_at, held }) =
            events.gossip_columns.recv().await
        {
            let (id, received_ms) = (gossip_id(peer, &id), since_1970_ms(received_at));
            if chain.gossip_columns.send(words::GossipColumn { id, subnet, sidecar, received_ms }).await.is_err() {
                return;
            }
            drop(held);
        }
    };
    let peers = async {
        while let Ok(event) = events.peers.recv().await {
            let event = match event {
                p2p::PeerEvent::Connected { peer, status } => status_of(&config, peer, status, None),
                p2p::PeerEvent::Status { peer, status, custody } => status_of(&config, peer, status, custody),
                p2p::PeerEvent::Disconnected { peer } => words::PeerEvent::Disconnected { peer: name(peer) },
            };
            if chain.peers.send(event).await.is_err() {
                return;
            }
        }
    };
    let requests = async {
        while let Ok(request) = events.requests.recv().await {
            let (reply, chunks) = async_channel::bounded(1);
            let kind = request_kind(request.kind);
            smol::spawn(carry_chunks(chunks, request.reply)).detach();
            let message = words::InboundRequest { peer: name(request.peer), kind, reply };
            if chain.requests.send(message).await.is_err() {
                return;
            }
        }
    };
    futures::join!(blocks, votes, operations, light_clients, columns, peers, requests);
}

fn request_kind(kind: p2p::RequestKind) -> words::RequestKind {
    use p2p::RequestKind as Theirs;
    use words::RequestKind as Ours;
    match kind {
        Theirs::BlocksByRange { start_slot, count } => Ours::BlocksByRange { start_slot, count },
        Theirs::BlocksByRoot { roots } => Ours::BlocksByRoot { roots },
        Theirs::BlocksByHead { root, count } => Ours::BlocksByHead { root, count },
        Theirs::ColumnsByRange { start_slot, count, columns } => Ours::ColumnsByRange { start_slot, count, columns },
        Theirs::ColumnsByRoot { wanted } => Ours::ColumnsByRoot { wanted },
        Theirs::LightClientBootstrap { root } => Ours::LightClientBootstrap { root },
        Theirs::LightClientUpdates { start_period, count } => Ours::LightClientUpdates { start_period, count },
        Theirs::LightClientFinalityUpdate => Ours::LightClientFinalityUpdate,
        Theirs::LightClientOptimisticUpdate => Ours::LightClientOptimisticUpdate,
    }
}

/// What is told of a peer, with the columns that it keeps. A peer that claims impossible ones keeps none.
fn status_of(config: &Config, peer: PeerId, status: p2p::Status, custody: Option<p2p::Custody>) -> words::PeerEvent {
    let columns = custody.and_then(|it| columns_of_node(config, it.node_id, it.groups)).unwrap_or_default();
    words::PeerEvent::Status { peer: name(peer), status: status_of_peer(status), custody: columns.into() }
}

async fn carry_small(from: &Receiver<p2p::GossipSmall>, to: &Sender<words::GossipSmall>) {
    while let Ok(p2p::GossipSmall { id, peer, message, received_at }) = from.recv().await {
        let (id, received_ms) = (gossip_id(peer, &id), since_1970_ms(received_at));
        if to.send(words::GossipSmall { id, message, received_ms }).await.is_err() {
            return;
        }
    }
}

fn since_1970_ms(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

/// What the chain wants is told to the network, until one of them ends.
pub async fn chain_to_network(commands: Receiver<NetworkCommand>, network: P2pHandle, config: Arc<Config>) {
    while let Ok(command) = commands.recv().await {
        tell(&network, command, &config);
    }
}

fn tell(network: &P2pHandle, command: NetworkCommand, config: &Arc<Config>) {
    match command {
        NetworkCommand::Verdict { id, verdict, .. } => {
            let Some(peer) = peer_id(&id.peer) else { return };
            let verdict = match verdict {
                words::Verdict::Accept => p2p::Verdict::Accept,
                words::Verdict::Ignore => p2p::Verdict::Ignore,
                words::Verdict::Reject => p2p::Verdict::Reject,
            };
            network.verdict(MessageId::new(&id.message), peer, verdict);
        }
        NetworkCommand::Publish(publication) => {
            smol::spawn(publish(network.clone(), publication, config.clone())).detach();
        }
        NetworkCommand::BlocksByRange { peer, start_slot, count, answer } => {
            let blocks = peer_id(&peer).map(|peer| network.blocks_by_range(peer, start_slot, count));
            smol::spawn(carry_answer(blocks, answer)).detach();
        }
        NetworkCommand::BlocksByRoot { peer, roots, answer } => {
            let blocks = peer_id(&peer).map(|peer| network.blocks_by_root(peer, roots));
            smol::spawn(carry_answer(blocks, answer)).detach();
        }
        NetworkCommand::BlocksByHead { peer, root, count, answer } => {
            let blocks = peer_id(&peer).map(|peer| network.blocks_by_head(peer, root, count));
            smol::spawn(carry_answer(blocks, answer)).detach();
        }
        NetworkCommand::ColumnsByRange { peer, start_slot, count, columns, answer } => {
            let columns = peer_id(&peer).map(|peer| network.columns_by_range(peer, start_slot, count, &columns));
            smol::spawn(carry_answer(columns, answer)).detach();
        }
        NetworkCommand::ColumnsByRoot { peer, wanted, answer } => {
            let columns = peer_id(&peer).map(|peer| network.columns_by_root(peer, wanted));
            smol::spawn(carry_answer(columns, answer)).detach();
        }
        NetworkCommand::Listen { topic, listens } => network.listen(topic, listens),
        NetworkCommand::SetSubnets(plan) => network.set_subnets(p2p::Subnets {
            listen: plan.listen,
            attnets: plan.attnets,
            syncnets: plan.syncnets,
            publish: plan.publish,
        }),
        NetworkCommand::SetCustody { groups } => network.set_custody(groups),
        NetworkCommand::Report { peer, fault } => {
            let reason = match fault {
                words::Fault::InvalidBlock => p2p::Reason::InvalidBlock,
                words::Fault::InvalidColumn => p2p::Reason::InvalidColumn,
                words::Fault::BadRange => p2p::Reason::BadRange,
                words::Fault::Unrelated => p2p::Reason::ResponseUnrelated,
                words::Fault::Timeout => p2p::Reason::Timeout,
            };
            if let Some(peer) = peer_id(&peer) {
                network.report(peer, reason);
            }
        }
        NetworkCommand::Goodbye { peer, reason: words::Parting::IrrelevantNetwork } => {
            if let Some(peer) = peer_id(&peer) {
                network.goodbye(peer, p2p::GoodbyeReason::IrrelevantNetwork);
            }
        }
        NetworkCommand::AskStatus(peer) => {
            if let Some(peer) = peer_id(&peer) {
                network.ask_status(peer);
            }
        }
        NetworkCommand::SetStatus(status) => network.set_status(status_of_ours(status)),
    }
}

async fn publish(network: P2pHandle, publication: Publication, config: Arc<Config>) {
    let (topic, ssz) = match publication {
        Publication::Block(block) => (p2p::Topic::BeaconBlock, block.as_ssz_bytes()),
        Publication::Columns(columns) => return publish_our_columns(network, columns, &config).await,
        Publication::PooledColumns(columns) => return publish_columns(network, columns, &config, "pool").await,
        Publication::Message(message) => (message.topic(), message.to_ssz_bytes()),
    };
    if let Err(error) = network.publish(topic, ssz).await {
        debug!("a message of our own was not published: {error}");
    }
}

async fn publish_our_columns(network: P2pHandle, columns: Vec<Arc<DataColumnSidecar>>, config: &Config) {
    let began = Instant::now();
    publish_columns(network, columns, config, "own").await;
    metrics::observe(&PROPOSAL_STAGE_SECONDS, &[("stage", "publish_columns")], began.elapsed().as_secs_f64());
}

/// Publishes columns one after the other, so that one at a time is encoded. `origin` says what they were made of.
async fn publish_columns(
    network: P2pHandle,
    columns: Vec<Arc<DataColumnSidecar>>,
    config: &Config,
    origin: &'static str,
) {
    let (count, mut sent) = (columns.len(), 0);
    for column in columns {
        let topic = p2p::Topic::DataColumnSidecar(compute_subnet_for_data_column_sidecar(config, column.index));
        let result = match network.publish(topic, column.as_ssz_bytes()).await {
            Ok(()) => "sent",
            Err(p2p::PublishError::NoPeers) => "no_peers",
            Err(_) => "failed",
        };
        sent += usize::from(result == "sent");
        metrics::inc(&COLUMNS_PUBLISHED, &[("origin", origin), ("result", result)]);
    }
    if sent < count {
        debug!(origin, "of {count} columns that we made {sent} found peers that listen in their subnets");
    }
}

async fn carry_answer<T>(items: Option<Receiver<Result<T, RpcError>>>, answer: Sender<Result<T, RequestError>>) {
    let Some(items) = items else { return };
    while let Ok(item) = items.recv().await {
        if answer.send(item.map_err(request_error)).await.is_err() {
            return;
        }
    }
}

async fn carry_chunks(chunks: Receiver<words::ResponseChunk>, reply: Sender<p2p::ResponseChunk>) {
    use p2p::ErrorCode::{ResourceUnavailable, ServerError};
    while let Ok(chunk) = chunks.recv().await {
        let chunk = match chunk {
            words::ResponseChunk::Item { fork_digest, ssz } => p2p::ResponseChunk::Item { fork_digest, ssz },
            words::ResponseChunk::ResourceUnavailable(why) => {
                p2p::ResponseChunk::Error(ResourceUnavailable, why.into())
            }
            words::ResponseChunk::ServerError(why) => p2p::ResponseChunk::Error(ServerError, why.into()),
        };
        if reply.send(chunk).await.is_err() {
            return;
        }
    }
}

fn request_error(error: RpcError) -> RequestError {
    match error {
        RpcError::NotConnected
        | RpcError::Busy
        | RpcError::OverBudget
        | RpcError::Unsupported
        | RpcError::Refused { .. } => RequestError::Unavailable(error.to_string()),
        RpcError::Timeout | RpcError::Malformed(_) | RpcError::Unrelated(_) | RpcError::Connection(_) => {
            RequestError::PeerFailed(error.to_string())
        }
    }
}

fn gossip_id(peer: PeerId, message: &MessageId) -> words::GossipId {
    words::GossipId { peer: name(peer), message: message.0.as_slice().into() }
}

fn name(peer: PeerId) -> Peer {
    Peer(Arc::from(peer.to_string()))
}

/// The peer with this name. `None` never happens: the chain hands back what `name` made.
fn peer_id(peer: &Peer) -> Option<PeerId> {
    peer.0.parse().ok()
}

fn status_of_peer(status: p2p::Status) -> words::Status {
    let p2p::Status { fork_digest, finalized_root, finalized_epoch, head_root, head_slot, earliest_available_slot } =
        status;
    words::Status { fork_digest, finalized_root, finalized_epoch, head_root, head_slot, earliest_available_slot }
}

/// Our chain's status in the network's words.
pub fn status_of_ours(status: words::Status) -> p2p::Status {
    let words::Status { fork_digest, finalized_root, finalized_epoch, head_root, head_slot, earliest_available_slot } =
        status;
    p2p::Status { fork_digest, finalized_root, finalized_epoch, head_root, head_slot, earliest_available_slot }
}
