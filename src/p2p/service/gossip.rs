//! Gossip in and out.

use std::{sync::Arc, time::SystemTime};

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
        events::{GossipBlock, GossipColumn, GossipSmall, PublishError, Verdict},
        score::Reason,
        topic::Topic,
    },
    types::{DataColumnSidecar, GossipMessage, SignedBeaconBlock},
};

impl Service {
    pub(super) fn on_gossip(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message { propagation_source: peer, message_id, message } => {
                let Some(topic) = Topic::parse(message.topic.as_str()) else { return };
                metrics::inc(&GOSSIP_RECEIVED, &[("topic", topic.label())]);
                match topic {
                    Topic::BeaconBlock => self.on_block(message_id, peer, &message.data),
                    Topic::DataColumnSidecar(subnet) => self.on_column(message_id, peer, subnet, &message.data),
                    _ => self.on_small(message_id, peer, topic, &message.data),
                }
            }
            gossipsub::Event::GossipsubNotSupported { peer_id } => debug!(peer = %peer_id, "peer without gossipsub"),
            _ => {}
        }
    }

    fn on_block(&mut self, id: MessageId, peer: PeerId, ssz: &[u8]) {
        let Ok(block) = SignedBeaconBlock::from_ssz_bytes(self.forks.current_name, ssz) else {
            return self.on_malformed(Topic::BeaconBlock, &id, peer);
        };
        let message = GossipBlock { id, peer, block: Arc::new(block), received_at: SystemTime::now() };
        if let Err(TrySendError::Full(dropped) | TrySendError::Closed(dropped)) =
            self.out.gossip_blocks.try_send(message)
        {
            metrics::inc(&QUEUE_DROPPED, &[("queue", "gossip_blocks")]);
            self.judge(Topic::BeaconBlock, &dropped.id, dropped.peer, Verdict::Ignore);
        }
    }

    fn on_small(&mut self, id: MessageId, peer: PeerId, topic: Topic, ssz: &[u8]) {
        let Ok(message) = GossipMessage::from_ssz_bytes(topic, ssz) else {
            return self.on_malformed(topic, &id, peer);
        };
        let is_operation = message.is_operation();
        let message = GossipSmall { id, peer, message, received_at: SystemTime::now() };
        let (queue, dropped) = if is_operation {
            let sent = self.out.gossip_operations.try_send(message);
            ("gossip_operations", sent.err().map(TrySendError::into_inner))
        } else {
            let sent = self.out.gossip_votes.force_send(message);
            ("gossip_votes", sent.unwrap_or_else(|closed| Some(closed.into_inner())))
        };
        let Some(dropped) = dropped else { return };
        metrics::inc(&QUEUE_DROPPED, &[("queue", queue)]);
        self.judge(dropped.message.topic(), &dropped.id, dropped.peer, Verdict::Ignore);
    }

    fn on_column(&mut self, id: MessageId, peer: PeerId, subnet: u64, ssz: &[u8]) {
        let topic = Topic::DataColumnSidecar(subnet);
        let Ok(sidecar) = DataColumnSidecar::from_ssz_bytes(ssz) else { return self.on_malformed(topic, &id, peer) };
        let message = GossipColumn { id, peer, subnet, sidecar: Arc::new(sidecar), received_at: SystemTime::now() };
        if let Err(dropped) = self.out.gossip_columns.try_send(message).map_err(TrySendError::into_inner) {
            metrics::inc(&QUEUE_DROPPED, &[("queue", "gossip_columns")]);
            self.judge(topic, &dropped.id, dropped.peer, Verdict::Ignore);
        }
    }

    fn on_malformed(&mut self, topic: Topic, id: &MessageId, peer: PeerId) {
        metrics::inc(&GOSSIP_MALFORMED, &[("topic", topic.label())]);
        self.report_to_gossipsub(topic, id, peer, MessageAcceptance::Reject, "reject");
        self.punish(peer, Reason::GossipMalformed);
    }

    /// Acts on a verdict.
    pub(super) fn judge(&mut self, topic: Topic, id: &MessageId, peer: PeerId, verdict: Verdict) {
        let (acceptance, label) = match verdict {
            Verdict::Accept => (MessageAcceptance::Accept, "accept"),
            Verdict::Ignore => (MessageAcceptance::Ignore, "ignore"),
            Verdict::Reject => (MessageAcceptance::Reject, "reject"),
        };
        self.report_to_gossipsub(topic, id, peer, acceptance, label);
        if verdict == Verdict::Reject {
            self.punish(peer, Reason::GossipRejected);
        }
    }

    fn report_to_gossipsub(
        &mut self,
        topic: Topic,
        id: &MessageId,
        peer: PeerId,
        acceptance: MessageAcceptance,
        label: &'static str,
    ) {
        metrics::inc(&GOSSIP_VERDICTS, &[("topic", topic.label()), ("verdict", label)]);
        // False when gossipsub has forgotten the message: too late, and no harm.
        self.swarm.behaviour_mut().gossip.report_message_validation_result(id, &peer, acceptance);
    }

    pub(super) fn publish(&mut self, topic: Topic, ssz: Vec<u8>) -> Result<(), PublishError> {
        let topic = topic.on(self.forks.current);
        match self.swarm.behaviour_mut().gossip.publish(topic, ssz) {
            Ok(_) | Err(gossipsub::PublishError::Duplicate) => Ok(()),
            Err(gossipsub::PublishError::NoPeersSubscribedToTopic) => Err(PublishError::NoPeers),
            Err(e) => Err(PublishError::Failed(e.to_string())),
        }
    }
}
