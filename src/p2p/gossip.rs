//! Gossipsub as the field runs it: parameters, message ids, decompression with a cap, scores.

mod meter;
mod scoring;

use std::{io, sync::Arc, time::Duration};

use ethereum_hashing::{Context, Sha256Context as _};
use libp2p::gossipsub::{
    Behaviour, Config, ConfigBuilder, DataTransform, MaxCountSubscriptionFilter, Message, MessageAuthenticity,
    MessageId, RawMessage, TopicHash, TopicSubscriptionFilter, ValidationMode,
};

use super::{
    codec::{MAX_PAYLOAD_SIZE, max_compressed_len},
    config::P2pError,
    topic::Topic,
};
use crate::metrics::{self, GOSSIP_BYTES, GOSSIP_COPIES, GOSSIP_MALFORMED};
use meter::Spent;
pub use meter::{Bucket, GossipEvent, Metered};
pub use scoring::NetworkSize;
pub(super) use scoring::{FORGIVABLE, GOSSIP_SCORE, GRAYLIST_SCORE, PUBLISH_SCORE, application_score};

/// Subscriptions that a peer may have: about 200 topics a fork, and two forks at a fork's boundary.
const MAX_SUBSCRIPTIONS: usize = 400;
/// Subscriptions and control messages in one RPC, in bytes; 200 topic strings alone are about 10 KB, and the ids that may be
/// offered for a topic (5,000) 110 KB.
const MAX_CONTROL_SIZE: usize = 256 << 10;
/// What was asked for must come within this time. A longer one would be kinder to peers when we are late ourselves, but nobody
/// else is asked for a message meanwhile, and peers keep it for little more. `late.rs` is kind instead.
const IWANT_FOLLOWUP: Duration = Duration::from_secs(3);
/// Messages larger than this make us tell the mesh that we have them (IDONTWANT), so that they are not sent again.
const IDONTWANT_THRESHOLD: usize = 1000;
/// Messages that wait for a slow peer before they are dropped: what everybody listens to brings as many in a quarter of a slot,
/// some 280 on mainnet. In a small network a burst needs this many.
const SEND_QUEUE_AT_LEAST: usize = 64;
/// One in so many of a slot's messages waits.
const SEND_QUEUE_OF_SLOT: f64 = 4.0;
/// `MESSAGE_DOMAIN_VALID_SNAPPY`. The domain for invalid snappy is not needed: such a message is rejected before it has
/// an id, so it is neither remembered nor passed on.
const MESSAGE_DOMAIN_VALID_SNAPPY: [u8; 4] = [1, 0, 0, 0];
/// Snappy's densest element makes 64 bytes from 3. A message that claims more is a lie, found before memory is taken.
const MAX_SNAPPY_RATIO: usize = 22;

/// Our gossipsub.
pub type Gossip = Behaviour<SnappyTransform, MaxCountSubscriptionFilter<KnownTopics>>;

/// Peers' subscriptions to topics that we do not know are not remembered: their names could be anything.
pub struct KnownTopics;

impl TopicSubscriptionFilter for KnownTopics {
    fn can_subscribe(&mut self, topic: &TopicHash) -> bool {
        Topic::parse(topic.as_str()).is_some()
    }
}

/// Builds the behaviour; it subscribes to nothing yet.
pub(super) fn build(seen_ttl: Duration, size: NetworkSize) -> Result<Metered, P2pError> {
    let fail = |e: &dyn std::fmt::Display| P2pError::Setup(format!("gossip: {e}"));
    let filter = MaxCountSubscriptionFilter {
        filter: KnownTopics,
        max_subscribed_topics: MAX_SUBSCRIPTIONS,
        max_subscriptions_per_request: MAX_SUBSCRIPTIONS,
    };
    let config = config(seen_ttl, send_queue(size)).map_err(|e| fail(&e))?;
    let spent = Arc::new(Spent::default());
    let mut gossip = Gossip::new_with_subscription_filter_and_transform(
        MessageAuthenticity::Anonymous,
        config,
        filter,
        SnappyTransform { spent: spent.clone() },
    )
    .map_err(|e| fail(&e))?;
    gossip.with_peer_score(size.peer_params(), scoring::thresholds()).map_err(|e| fail(&e))?;
    Ok(Metered::new(gossip, spent))
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/p2p-interface.md#the-gossip-domain-gossipsub>
fn config(seen_ttl: Duration, send_queue: usize) -> Result<Config, libp2p::gossipsub::ConfigBuilderError> {
    ConfigBuilder::default()
        .heartbeat_interval(Duration::from_millis(700))
        .mesh_n(8)
        .mesh_n_low(6)
        .mesh_n_high(12)
        .gossip_lazy(6)
        .fanout_ttl(Duration::from_secs(60))
        .history_length(6)
        .history_gossip(3)
        .iwant_followup_time(IWANT_FOLLOWUP)
        .duplicate_cache_time(seen_ttl)
        // StrictNoSign: messages have no author, sequence number or signature.
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(message_id)
        .max_transmit_size(max_compressed_len(MAX_PAYLOAD_SIZE) + 1024)
        .max_control_message_size(MAX_CONTROL_SIZE)
        .connection_handler_queue_len(send_queue)
        // Messages in one RPC: what an honest peer has to say at once.
        .max_publish_messages(500)
        // Bandwidth: publish to the mesh only, and stop duplicates of what we publish or receive.
        .flood_publish(false)
        .idontwant_message_size_threshold(IDONTWANT_THRESHOLD)
        .idontwant_on_publish(true)
        .build()
}

fn send_queue(size: NetworkSize) -> usize {
    let all = [Topic::BeaconBlock, Topic::BeaconAggregateAndProof, Topic::SyncCommitteeContributionAndProof];
    let per_slot: f64 = all.map(|topic| size.expected_per_slot(topic)).iter().sum();
    ((per_slot / SEND_QUEUE_OF_SLOT) as usize).max(SEND_QUEUE_AT_LEAST)
}

/// The id since Altair.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/p2p-interface.md#topics-and-messages>
fn message_id(message: &Message) -> MessageId {
    let topic = message.topic.as_str().as_bytes();
    let mut hash = Context::new();
    hash.update(&MESSAGE_DOMAIN_VALID_SNAPPY);
    hash.update(&(topic.len() as u64).to_le_bytes());
    hash.update(topic);
    hash.update(&message.data);
    MessageId::new(&hash.finalize()[..20])
}

/// Compression per message. A message that fails here is rejected by gossipsub and counts against its sender.
pub struct SnappyTransform {
    spent: Arc<Spent>,
}

impl DataTransform for SnappyTransform {
    fn inbound_transform(&self, raw: RawMessage) -> Result<Message, io::Error> {
        let topic = Topic::parse(raw.topic.as_str());
        let labels = [("topic", topic.map_or("unknown", Topic::label))];
        let data = decompress(topic, &raw.data).inspect_err(|_| {
            self.spent.malformed();
            metrics::inc(&GOSSIP_MALFORMED, &labels);
        })?;
        self.spent.message(data.len());
        metrics::inc(&GOSSIP_COPIES, &labels);
        metrics::add(&GOSSIP_BYTES, &labels, raw.data.len() as u64);
        Ok(Message { source: raw.source, data, sequence_number: raw.sequence_number, topic: raw.topic })
    }

    fn outbound_transform(&self, topic: &TopicHash, data: Vec<u8>) -> Result<Vec<u8>, io::Error> {
        match Topic::parse(topic.as_str()) {
            Some(topic) if data.len() <= topic.max_size() => Ok(snap::raw::Encoder::new().compress_vec(&data)?),
            _ => Err(invalid("too large for its topic")),
        }
    }
}

/// Decompresses `data`, after a look at the length that it claims.
pub(super) fn decompress(topic: Option<Topic>, data: &[u8]) -> Result<Vec<u8>, io::Error> {
    let topic = topic.ok_or_else(|| invalid("an unknown topic"))?;
    let len = snap::raw::decompress_len(data)?;
    if len > topic.max_size() {
        return Err(invalid("too large for its topic"));
    }
    if len > data.len().saturating_mul(MAX_SNAPPY_RATIO) {
        return Err(invalid("more than snappy can hold"));
    }
    Ok(snap::raw::Decoder::new().decompress_vec(data)?)
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ForkDigest;

    fn raw(topic: &str, data: Vec<u8>) -> RawMessage {
        RawMessage {
            source: None,
            data,
            sequence_number: None,
            topic: TopicHash::from_raw(topic),
            signature: None,
            key: None,
            validated: false,
        }
    }

    fn transform() -> SnappyTransform {
        SnappyTransform { spent: Arc::default() }
    }

    fn block_topic() -> String {
        Topic::BeaconBlock.on(ForkDigest::default()).hash().to_string()
    }

    #[test]
    fn the_configuration_is_accepted() {
        let size = NetworkSize { slot: Duration::from_secs(12), active_validators: 950_000 };
        build(Duration::from_secs(60), size).unwrap();
    }

    #[test]
    fn more_waits_for_a_slow_peer_where_more_comes() {
        let of = |active_validators| send_queue(NetworkSize { slot: Duration::from_secs(12), active_validators });
        assert_eq!(of(64), SEND_QUEUE_AT_LEAST);
        #[cfg(not(any(feature = "minimal", feature = "gnosis")))]
        assert_eq!(of(950_000), 281);
    }

    #[test]
    fn the_id_is_of_the_decompressed_data_and_the_topic() {
        let data = b"some block".to_vec();
        let packed = snap::raw::Encoder::new().compress_vec(&data).unwrap();
        let message = transform().inbound_transform(raw(&block_topic(), packed)).unwrap();
        assert_eq!(message.data, data);
        let mut input = vec![1, 0, 0, 0];
        input.extend_from_slice(&(block_topic().len() as u64).to_le_bytes());
        input.extend_from_slice(block_topic().as_bytes());
        input.extend_from_slice(&data);
        assert_eq!(message_id(&message).0, ethereum_hashing::hash(&input)[..20]);
    }

    #[test]
    fn size_is_checked_before_decompression() {
        let topic = block_topic();
        let lie = |len: u64| {
            let mut buffer = unsigned_varint::encode::u64_buffer();
            unsigned_varint::encode::u64(len, &mut buffer).to_vec()
        };
        // 4 GiB - 1, ten MiB plus one, ten MiB in four bytes.
        for len in [u64::from(u32::MAX), MAX_PAYLOAD_SIZE as u64 + 1, MAX_PAYLOAD_SIZE as u64] {
            assert!(transform().inbound_transform(raw(&topic, lie(len))).is_err(), "{len}");
        }
        let bomb = snap::raw::Encoder::new().compress_vec(&vec![0; MAX_PAYLOAD_SIZE + 1]).unwrap();
        assert!(bomb.len() < 1 << 20);
        assert!(transform().inbound_transform(raw(&topic, bomb)).is_err());
        // The densest honest message passes.
        let zeros = snap::raw::Encoder::new().compress_vec(&vec![0; MAX_PAYLOAD_SIZE]).unwrap();
        assert!(transform().inbound_transform(raw(&topic, zeros)).is_ok());
    }

    #[test]
    fn an_aggregate_has_a_smaller_cap_and_an_unknown_topic_none() {
        let packed = snap::raw::Encoder::new().compress_vec(&vec![0; 1 << 20]).unwrap();
        let aggregates = Topic::BeaconAggregateAndProof.on(ForkDigest::default()).hash();
        assert!(transform().inbound_transform(raw(aggregates.as_str(), packed)).is_err());
        assert!(transform().inbound_transform(raw("/eth2/00000000/else/ssz_snappy", vec![0])).is_err());
    }
}
