//! A peer that follows no rule: it sends the bytes that a test gives it.

use async_channel::{Receiver, Sender};
use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol, Swarm,
    gossipsub::{self, IdentTopic, MessageAuthenticity, ValidationMode},
    identity::Keypair,
    swarm::{NetworkBehaviour, SwarmEvent},
};
use ssz::Encode as _;

use super::*;
use crate::p2p::{client, protocol::Protocol, streams};

#[derive(NetworkBehaviour)]
struct Behaviour {
    streams: streams::Behaviour,
    gossip: gossipsub::Behaviour,
}

enum Order {
    Dial(Multiaddr),
    Open(PeerId, StreamProtocol, Sender<Stream>),
    Publish(IdentTopic, Vec<u8>, Sender<bool>),
}

pub struct Stranger {
    pub peer_id: PeerId,
    pub addr: Multiaddr,
    orders: Sender<Order>,
    /// Streams that the node opened.
    inbound: Receiver<(Protocol, Stream)>,
    /// `true` for a new connection, `false` for one that is gone.
    connections: Receiver<bool>,
}

impl Stranger {
    /// Speaks only the protocols `served`.
    pub(super) async fn serving(served: &[Protocol]) -> Stranger {
        let mut swarm = swarm(served);
        swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
        let addr = loop {
            if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                break address;
            }
        };
        let peer_id = *swarm.local_peer_id();
        let (orders, order_receiver) = async_channel::bounded(8);
        let (inbound_sender, inbound) = async_channel::bounded(16);
        let (connection_sender, connections) = async_channel::bounded(16);
        smol::spawn(drive(swarm, order_receiver, inbound_sender, connection_sender)).detach();
        Stranger { peer_id, addr, orders, inbound, connections }
    }

    /// A stranger that dialled `node` and told a status of its fork.
    pub(super) async fn known_to(node: &Node) -> Stranger {
        let stranger = Stranger::serving(&Protocol::ALL).await;
        stranger.dial(node).await;
        stranger.is_connected().await;
        stranger.tell_status(node, FORK).await;
        // Others may come and go meanwhile.
        let is_known = |event| matches!(event, PeerEvent::Connected { peer, .. } if peer == stranger.peer_id);
        while !is_known(come_or_gone(node).await) {}
        stranger
    }

    /// A stranger that dialled a node and told it where it stands.
    #[cfg(feature = "minimal")]
    pub async fn met(node: &P2pHandle, status: &Status) -> Stranger {
        let stranger = Stranger::serving(&Protocol::ALL).await;
        stranger.orders.send(Order::Dial(node.listen_addrs()[0].clone())).await.unwrap();
        stranger.is_connected().await;
        let theirs = stranger.ask(node, "status/2", Some(&status.as_ssz_bytes())).await;
        assert!(matches!(theirs[..], [Ok(_)]), "{theirs:?}");
        stranger
    }

    /// Asks as any client would, on a protocol by its name and version: the SSZ of each chunk, or the error that ends the answer.
    #[cfg(feature = "minimal")]
    pub async fn ask(&self, node: &P2pHandle, name: &str, body: Option<&[u8]>) -> Vec<Result<Vec<u8>, RpcError>> {
        let id = StreamProtocol::try_from_owned(format!("/eth2/beacon_chain/req/{name}/ssz_snappy")).unwrap();
        let protocol = Protocol::from_id(&id).unwrap_or_else(|| panic!("{name}"));
        let (sender, stream) = async_channel::bounded(1);
        self.orders.send(Order::Open(node.peer_id(), id, sender)).await.unwrap();
        let mut stream = next(&stream).await;
        client::ask(&mut stream, body, PATIENCE).await.unwrap();
        let mut chunks = Vec::new();
        loop {
            match client::read_chunk(&mut stream, protocol, PATIENCE).await {
                Ok(Some((_, ssz))) => chunks.push(Ok(ssz)),
                Ok(None) => return chunks,
                Err(error) => {
                    chunks.push(Err(error));
                    return chunks;
                }
            }
        }
    }

    pub(super) async fn dial(&self, node: &Node) {
        self.orders.send(Order::Dial(node.handle.listen_addrs()[0].clone())).await.unwrap();
    }

    pub(super) async fn tell_status(&self, node: &Node, fork: [u8; 4]) {
        let mut stream = self.open(node, Protocol::StatusV2).await;
        let status = Status { fork_digest: ForkDigest::from(fork), ..status() };
        client::ask(&mut stream, Some(&status.as_ssz_bytes()), PATIENCE).await.unwrap();
        client::read_one(&mut stream, Protocol::StatusV2, PATIENCE).await.unwrap();
    }

    pub(super) async fn open(&self, node: &Node, protocol: Protocol) -> Stream {
        self.open_any(node, protocol.id()).await
    }

    /// A stream of any protocol that the node speaks.
    pub(super) async fn open_any(&self, node: &Node, protocol: StreamProtocol) -> Stream {
        let (sender, stream) = async_channel::bounded(1);
        self.orders.send(Order::Open(node.handle.peer_id(), protocol, sender)).await.unwrap();
        next(&stream).await
    }

    /// Writes `bytes`, closes if told to, and returns all that comes back.
    pub(super) async fn say(&self, node: &Node, protocol: Protocol, bytes: &[u8], close: bool) -> Vec<u8> {
        let mut stream = self.open(node, protocol).await;
        in_time(async {
            // The node may have had enough before all is written.
            let _ = stream.write_all(bytes).await;
            let _ = stream.flush().await;
            if close {
                let _ = stream.close().await;
            }
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            answer
        })
        .await
    }

    /// The next stream of `protocol` that the node opens, with what it said.
    pub(super) async fn asked(&self, protocol: Protocol) -> (Vec<u8>, Stream) {
        loop {
            let (asked, mut stream) = next(&self.inbound).await;
            if asked == protocol {
                let mut said = Vec::new();
                in_time(stream.read_to_end(&mut said)).await.unwrap();
                return (said, stream);
            }
        }
    }

    /// Answers the next stream of `protocol` with `bytes` and closes it.
    pub(super) async fn answer(&self, protocol: Protocol, bytes: &[u8]) {
        let (_, mut stream) = self.asked(protocol).await;
        let _ = stream.write_all(bytes).await;
        let _ = stream.close().await;
    }

    /// Publishes raw bytes as soon as the node is there to hear them.
    pub(super) async fn publish(&self, topic: Topic, bytes: Vec<u8>) {
        eventually(async || {
            let (sender, done) = async_channel::bounded(1);
            let topic = topic.on(ForkDigest::from(FORK));
            self.orders.send(Order::Publish(topic, bytes.clone(), sender)).await.unwrap();
            next(&done).await
        })
        .await;
    }

    pub async fn is_connected(&self) {
        while !next(&self.connections).await {}
    }

    pub async fn is_disconnected(&self) {
        while next(&self.connections).await {}
    }

    /// Whether nobody has come or gone since it was last asked.
    pub(super) fn hears_nothing(&self) -> bool {
        self.connections.is_empty()
    }
}

fn swarm(served: &[Protocol]) -> Swarm<Behaviour> {
    let key = Keypair::generate_secp256k1();
    let config = gossipsub::ConfigBuilder::default()
        .validation_mode(ValidationMode::Anonymous)
        .max_transmit_size(16 << 20)
        .message_id_fn(|message| MessageId::new(&message.data))
        .build()
        .unwrap();
    let behaviour = Behaviour {
        streams: streams::Behaviour::new(served.iter().map(|protocol| protocol.id()).collect()),
        gossip: gossipsub::Behaviour::new(MessageAuthenticity::Anonymous, config).unwrap(),
    };
    let transport = transport::build(&key, Muxers::Both, true, &Default::default()).unwrap();
    let config = libp2p::swarm::Config::with_executor(|task| smol::spawn(task).detach());
    Swarm::new(transport, behaviour, key.public().to_peer_id(), config)
}

async fn drive(
    mut swarm: Swarm<Behaviour>,
    orders: Receiver<Order>,
    inbound: Sender<(Protocol, Stream)>,
    connections: Sender<bool>,
) {
    let mut opening = std::collections::HashMap::new();
    loop {
        let event = async { Ok(swarm.select_next_some().await) };
        match future::or(event, async { Err(orders.recv().await) }).await {
            Err(Err(_)) => return,
            Err(Ok(Order::Dial(addr))) => swarm.dial(addr).unwrap(),
            Err(Ok(Order::Open(peer, protocol, reply))) => {
                let id = opening.len() as u64;
                swarm.behaviour_mut().streams.open(peer, id, vec![protocol]);
                opening.insert(id, reply);
            }
            Err(Ok(Order::Publish(topic, bytes, reply))) => {
                let _ = reply.try_send(swarm.behaviour_mut().gossip.publish(topic, bytes).is_ok());
            }
            Ok(SwarmEvent::ConnectionEstablished { .. }) => {
                let _ = connections.try_send(true);
            }
            Ok(SwarmEvent::ConnectionClosed { .. } | SwarmEvent::OutgoingConnectionError { .. }) => {
                let _ = connections.try_send(false);
            }
            Ok(SwarmEvent::Behaviour(BehaviourEvent::Streams(event))) => match event {
                streams::Event::Inbound { stream, protocol, .. } => match Protocol::from_id(&protocol).unwrap() {
                    Protocol::MetaDataV3 => smol::spawn(tell_metadata(stream)).detach(),
                    protocol => drop(inbound.try_send((protocol, stream))),
                },
                streams::Event::Opened { id, result } => drop(opening[&id].try_send(result.unwrap().0)),
            },
            Ok(_) => {}
        }
    }
}

/// Every node asks for metadata first; the tests are not about that.
async fn tell_metadata(mut stream: Stream) {
    let chunk = [vec![0], codec::encode_payload(&MetaData::default().as_ssz_bytes())].concat();
    let _ = stream.write_all(&chunk).await;
    let _ = stream.close().await;
}
