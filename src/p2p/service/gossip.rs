//! Gossip in and out.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use async_channel::TrySendError;
use libp2p::{
    PeerId,
    gossipsub::{self, MessageAcceptance, MessageId},
};
use ssz::Decode as _;
use tracing::debug;

use super::Service;
use crate::{
    metrics::{self, GOSSIP_MALFORMED, GOSSIP_RECEIVED, GOSSIP_VERDICTS, QUEUE_DROPPED},
    p2p::{
        events::{
            GOSSIP_BLOCKS_CROWDED, GOSSIP_BLOCKS_OF_PEER, GossipBlock, GossipColumn, GossipSmall, PublishError, Verdict,
        },
        gossip::GossipEvent,
        score::Reason,
        topic::Topic,
    },
    types::{DataColumnSidecar, ForkName, GossipMessage, SignedBeaconBlock},
};

/// Penalties for the malformed messages of one RPC: three of them are a ban.
const MOST_PENALTIES: u64 = 4;
/// New blocks that a peer may gossip at once: three minutes of mainnet, should we have been busy so long.
pub(super) const BLOCKS_AT_ONCE: f64 = 16.0;
/// New blocks in a slot over time. An honest peer passes on what it has accepted: one.
const BLOCKS_PER_SLOT: f64 = 2.0;

impl Service {
    pub(super) fn on_gossip_event(&mut self, event: GossipEvent) {
        match event {
            GossipEvent::Gossip(event) => self.on_gossip(event),
            // They never came as far as here: what they cost was all the work of refusing them.
            GossipEvent::Malformed(peer, messages) => {
                (0..messages.min(MOST_PENALTIES)).for_each(|_| self.punish(peer, Reason::GossipMalformed));
            }
            GossipEvent::Flood(peer) => self.punish(peer, Reason::GossipFlood),
        }
    }

    fn on_gossip(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message { propagation_source: peer, message_id, message } => {
                let name = message.topic.as_str();
                let Some((topic, fork)) = Topic::parse(name).zip(self.fork_of(name)) else { return };
                metrics::inc(&GOSSIP_RECEIVED, &[("topic", topic.label())]);
                match topic {
                    Topic::BeaconBlock => self.on_block(message_id, peer, fork, &message.data),
                    Topic::DataColumnSidecar(subnet) => self.on_column(message_id, peer, subnet, &message.data),
                    _ => self.on_small(message_id, peer, topic, fork, &message.data),
                }
            }
            gossipsub::Event::SlowPeer { peer_id, failed_messages } => {
                self.on_slow_gossip(peer_id, failed_messages.priority + failed_messages.non_priority);
            }
            gossipsub::Event::GossipsubNotSupported { peer_id } => debug!(peer = %peer_id, "peer without gossipsub"),
            _ => {}
        }
    }

    /// How what comes on a topic is encoded.
    fn fork_of(&self, topic: &str) -> Option<ForkName> {
        self.forks.fork_of(Topic::fork_of(topic)?)
    }

    fn on_block(&mut self, id: MessageId, peer: PeerId, fork: ForkName, ssz: &[u8]) {
        if !self.may_send_block(peer) {
            self.settle_here(Topic::BeaconBlock, &id, peer, MessageAcceptance::Ignore, "ignore");
            return self.punish(peer, Reason::GossipFlood);
        }
        let Ok(block) = SignedBeaconBlock::from_ssz_bytes(fork, ssz) else {
            return self.on_malformed(Topic::BeaconBlock, &id, peer);
        };
        let Some((held, place)) = self.out.queued.hold(ssz.len()).zip(self.place_of_block(peer)) else {
            return self.drop_message("gossip_blocks", Topic::BeaconBlock, &id, peer);
        };
        let message = GossipBlock { id, peer, block: Arc::new(block), received_at: SystemTime::now(), held, place };
        if let Err(dropped) = self.out.gossip_blocks.try_send(message).map_err(TrySendError::into_inner) {
            self.drop_message("gossip_blocks", Topic::BeaconBlock, &dropped.id, dropped.peer);
        }
    }

    fn may_send_block(&mut self, peer: PeerId) -> bool {
        let per_second = BLOCKS_PER_SLOT / self.config.network_size.slot.as_secs_f64().max(f64::EPSILON);
        let peer = self.peers.get_mut(&peer);
        peer.is_none_or(|peer| peer.blocks.draw(1.0, BLOCKS_AT_ONCE, per_second, Instant::now()))
    }

    /// A place among the peer's blocks that wait, if there is one.
    fn place_of_block(&self, peer: PeerId) -> Option<Arc<()>> {
        let Some(peer) = self.peers.get(&peer) else { return Some(Arc::default()) };
        let is_crowded = self.out.gossip_blocks.len() >= GOSSIP_BLOCKS_CROWDED;
        // One is the peer's own.
        let has_room = !is_crowded || Arc::strong_count(&peer.blocks_waiting) <= GOSSIP_BLOCKS_OF_PEER;
        has_room.then(|| peer.blocks_waiting.clone())
    }

    /// There is no room for a message: nobody's fault.
    fn drop_message(&mut self, queue: &'static str, topic: Topic, id: &MessageId, peer: PeerId) {
        metrics::inc(&QUEUE_DROPPED, &[("queue", queue)]);
        self.settle_here(topic, id, peer, MessageAcceptance::Ignore, "ignore");
    }

    fn on_small(&mut self, id: MessageId, peer: PeerId, topic: Topic, fork: ForkName, ssz: &[u8]) {
        let Ok(message) = GossipMessage::from_ssz_bytes(topic, fork, ssz) else {
            return self.on_malformed(topic, &id, peer);
        };
        let (is_operation, is_for_light_clients) = (message.is_operation(), message.is_for_light_clients());
        let message = GossipSmall { id, peer, message, received_at: SystemTime::now() };
        let (queue, dropped) = if is_operation {
            let sent = self.out.gossip_operations.try_send(message);
            ("gossip_operations", sent.err().map(TrySendError::into_inner))
        } else if is_for_light_clients {
            let sent = self.out.gossip_light_clients.try_send(message);
            ("gossip_light_clients", sent.err().map(TrySendError::into_inner))
        } else {
            let sent = self.out.gossip_votes.force_send(message);
            ("gossip_votes", sent.unwrap_or_else(|closed| Some(closed.into_inner())))
        };
        let Some(dropped) = dropped else { return };
        self.drop_message(queue, dropped.message.topic(), &dropped.id, dropped.peer);
    }

    fn on_column(&mut self, id: MessageId, peer: PeerId, subnet: u64, ssz: &[u8]) {
        let topic = Topic::DataColumnSidecar(subnet);
        let Ok(sidecar) = DataColumnSidecar::from_ssz_bytes(ssz) else { return self.on_malformed(topic, &id, peer) };
        let Some(held) = self.out.queued.hold(ssz.len()) else {
            return self.drop_message("gossip_columns", topic, &id, peer);
        };
        let (sidecar, received_at) = (Arc::new(sidecar), SystemTime::now());
        let message = GossipColumn { id, peer, subnet, sidecar, received_at, held };
        if let Err(dropped) = self.out.gossip_columns.try_send(message).map_err(TrySendError::into_inner) {
            self.drop_message("gossip_columns", topic, &dropped.id, dropped.peer);
        }
    }

    fn on_malformed(&mut self, topic: Topic, id: &MessageId, peer: PeerId) {
        metrics::inc(&GOSSIP_MALFORMED, &[("topic", topic.label())]);
        self.settle_here(topic, id, peer, MessageAcceptance::Reject, "reject");
        self.punish(peer, Reason::GossipMalformed);
    }

    /// Acts on a verdict.
    pub(super) fn judge(&mut self, id: &MessageId, peer: PeerId, verdict: Verdict) {
        let acceptance = match verdict {
            Verdict::Accept => MessageAcceptance::Accept,
            Verdict::Ignore => MessageAcceptance::Ignore,
            Verdict::Reject => MessageAcceptance::Reject,
        };
        self.report_to_gossipsub(id, peer, acceptance);
        if verdict == Verdict::Reject {
            return self.punish(peer, Reason::GossipRejected);
        }
        let is_accepted = verdict == Verdict::Accept;
        self.useful.count(is_accepted);
        let all = self.useful;
        let Some(known) = self.peers.get_mut(&peer) else { return };
        known.useful.count(is_accepted);
        if known.useful.is_useless(all) {
            self.punish(peer, Reason::GossipFlood);
        }
    }

    /// The verdict on a message that nobody else judges; who judges counts.
    fn settle_here(
        &mut self,
        topic: Topic,
        id: &MessageId,
        peer: PeerId,
        acceptance: MessageAcceptance,
        label: &'static str,
    ) {
        metrics::inc(&GOSSIP_VERDICTS, &[("topic", topic.label()), ("verdict", label)]);
        self.report_to_gossipsub(id, peer, acceptance);
    }

    fn report_to_gossipsub(&mut self, id: &MessageId, peer: PeerId, acceptance: MessageAcceptance) {
        // False when gossipsub has forgotten the message: too late, and no harm.
        self.swarm.behaviour_mut().gossip.sub.report_message_validation_result(id, &peer, acceptance);
    }

    pub(super) fn publish(&mut self, topic: Topic, ssz: Vec<u8>) -> Result<(), PublishError> {
        let topic = topic.on(self.forks.current);
        match self.swarm.behaviour_mut().gossip.sub.publish(topic, ssz) {
            Ok(_) | Err(gossipsub::PublishError::Duplicate) => Ok(()),
            Err(gossipsub::PublishError::NoPeersSubscribedToTopic) => Err(PublishError::NoPeers),
            Err(e) => Err(PublishError::Failed(e.to_string())),
        }
    }
}
