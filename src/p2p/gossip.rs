//! Gossipsub as the field runs it: parameters, message ids, decompression with a cap, scores.

use std::{io, net::Ipv4Addr, time::Duration};

use ethereum_hashing::{Context, Sha256Context as _};
use libp2p::gossipsub::{
    AllowAllSubscriptionFilter, Behaviour, Config, ConfigBuilder, DataTransform, MaxCountSubscriptionFilter, Message,
    MessageAuthenticity, MessageId, PeerScoreParams, PeerScoreThresholds, RawMessage, TopicHash, TopicScoreParams,
    ValidationMode, score_parameter_decay_with_base,
};

use super::{
    codec::{MAX_PAYLOAD_SIZE, max_compressed_len},
    config::P2pError,
    topic::Topic,
};
use crate::metrics::{self, GOSSIP_MALFORMED};

/// Subscriptions that a peer may have: about 200 topics a fork, and two forks at a fork's boundary.
const MAX_SUBSCRIPTIONS: usize = 400;
/// Subscriptions and control messages in one RPC, in bytes; 200 topic strings alone are about 10 KB.
const MAX_CONTROL_SIZE: usize = 1 << 20;
/// Messages larger than this make us tell the mesh that we have them (IDONTWANT), so that they are not sent again.
const IDONTWANT_THRESHOLD: usize = 1000;
/// Messages that wait for a slow peer before they are dropped.
const SEND_QUEUE: usize = 256;
/// `MESSAGE_DOMAIN_VALID_SNAPPY`. The domain for invalid snappy is not needed: such a message is rejected before it has
/// an id, so it is neither remembered nor passed on.
const MESSAGE_DOMAIN_VALID_SNAPPY: [u8; 4] = [1, 0, 0, 0];
/// Snappy's densest element makes 64 bytes from 3. A message that claims more is a lie, found before memory is taken.
const MAX_SNAPPY_RATIO: usize = 22;

/// Below this gossipsub score a peer is neither told of messages nor believed when it tells of some.
pub(super) const GOSSIP_SCORE: f64 = -40.0;
/// Below this one our own messages are not sent to it.
pub(super) const PUBLISH_SCORE: f64 = -80.0;
/// Below this gossipsub score a peer is of no use any more: its messages are dropped unread.
pub(super) const GRAYLIST_SCORE: f64 = -160.0;
/// A peer's scores are updated once per this time.
const SCORE_INTERVAL: Duration = Duration::from_secs(12);

/// Our gossipsub.
pub(super) type Gossip = Behaviour<SnappyTransform, MaxCountSubscriptionFilter<AllowAllSubscriptionFilter>>;

/// Builds the behaviour; it subscribes to nothing yet.
pub(super) fn build(seen_ttl: Duration) -> Result<Gossip, P2pError> {
    let fail = |e: &dyn std::fmt::Display| P2pError::Setup(format!("gossip: {e}"));
    let filter = MaxCountSubscriptionFilter {
        filter: AllowAllSubscriptionFilter {},
        max_subscribed_topics: MAX_SUBSCRIPTIONS,
        max_subscriptions_per_request: MAX_SUBSCRIPTIONS,
    };
    let config = config(seen_ttl).map_err(|e| fail(&e))?;
    let mut gossip = Gossip::new_with_subscription_filter_and_transform(
        MessageAuthenticity::Anonymous,
        config,
        filter,
        SnappyTransform,
    )
    .map_err(|e| fail(&e))?;
    gossip.with_peer_score(score_params(), score_thresholds()).map_err(|e| fail(&e))?;
    Ok(gossip)
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/p2p-interface.md#the-gossip-domain-gossipsub>
fn config(seen_ttl: Duration) -> Result<Config, libp2p::gossipsub::ConfigBuilderError> {
    ConfigBuilder::default()
        .heartbeat_interval(Duration::from_millis(700))
        .mesh_n(8)
        .mesh_n_low(6)
        .mesh_n_high(12)
        .gossip_lazy(6)
        .fanout_ttl(Duration::from_secs(60))
        .history_length(6)
        .history_gossip(3)
        .duplicate_cache_time(seen_ttl)
        // StrictNoSign: messages have no author, sequence number or signature.
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(message_id)
        .max_transmit_size(max_compressed_len(MAX_PAYLOAD_SIZE) + 1024)
        .max_control_message_size(MAX_CONTROL_SIZE)
        .connection_handler_queue_len(SEND_QUEUE)
        // Bandwidth: publish to the mesh only, and stop duplicates of what we publish or receive.
        .flood_publish(false)
        .idontwant_message_size_threshold(IDONTWANT_THRESHOLD)
        .idontwant_on_publish(true)
        .build()
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
pub(super) struct SnappyTransform;

impl DataTransform for SnappyTransform {
    fn inbound_transform(&self, raw: RawMessage) -> Result<Message, io::Error> {
        let topic = Topic::parse(raw.topic.as_str());
        let data = decompress(topic, &raw.data).inspect_err(|_| {
            metrics::inc(&GOSSIP_MALFORMED, &[("topic", topic.map_or("unknown", Topic::label))]);
        })?;
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

/// Deliveries give a little, invalid messages take a lot: four in a short time and the peer is not listened to.
fn score_params() -> PeerScoreParams {
    PeerScoreParams {
        topic_score_cap: 40.0,
        // Our own score of the peer, which lies between -50 and 0.
        app_specific_weight: 1.0,
        // Several nodes behind one address are usual; a swarm of them is not. On loopback they are a test.
        ip_colocation_factor_threshold: 8.0,
        ip_colocation_factor_whitelist: [Ipv4Addr::LOCALHOST.into()].into(),
        decay_interval: SCORE_INTERVAL,
        retain_score: Duration::from_secs(600),
        ..PeerScoreParams::default()
    }
}

fn score_thresholds() -> PeerScoreThresholds {
    PeerScoreThresholds {
        gossip_threshold: GOSSIP_SCORE,
        publish_threshold: PUBLISH_SCORE,
        graylist_threshold: GRAYLIST_SCORE,
        accept_px_threshold: 100.0,
        opportunistic_graft_threshold: 5.0,
    }
}

/// The same for both topics. Mesh delivery (P3) is off: on a quiet network it punishes honest peers.
pub(super) fn topic_score_params() -> TopicScoreParams {
    let decay = |slots: u32| score_parameter_decay_with_base(SCORE_INTERVAL * slots, SCORE_INTERVAL, 0.01);
    TopicScoreParams {
        topic_weight: 0.5,
        time_in_mesh_weight: 0.03,
        time_in_mesh_quantum: SCORE_INTERVAL,
        time_in_mesh_cap: 300.0,
        first_message_deliveries_weight: 1.0,
        first_message_deliveries_decay: decay(100),
        first_message_deliveries_cap: 40.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: -20.0,
        invalid_message_deliveries_decay: decay(100),
        ..TopicScoreParams::default()
    }
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

    fn block_topic() -> String {
        Topic::BeaconBlock.on(ForkDigest::default()).hash().to_string()
    }

    #[test]
    fn the_configuration_is_accepted() {
        build(Duration::from_secs(60)).unwrap();
    }

    #[test]
    fn the_id_is_of_the_decompressed_data_and_the_topic() {
        let data = b"some block".to_vec();
        let packed = snap::raw::Encoder::new().compress_vec(&data).unwrap();
        let message = SnappyTransform.inbound_transform(raw(&block_topic(), packed)).unwrap();
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
            assert!(SnappyTransform.inbound_transform(raw(&topic, lie(len))).is_err(), "{len}");
        }
        let bomb = snap::raw::Encoder::new().compress_vec(&vec![0; MAX_PAYLOAD_SIZE + 1]).unwrap();
        assert!(bomb.len() < 1 << 20);
        assert!(SnappyTransform.inbound_transform(raw(&topic, bomb)).is_err());
        // The densest honest message passes.
        let zeros = snap::raw::Encoder::new().compress_vec(&vec![0; MAX_PAYLOAD_SIZE]).unwrap();
        assert!(SnappyTransform.inbound_transform(raw(&topic, zeros)).is_ok());
    }

    #[test]
    fn an_aggregate_has_a_smaller_cap_and_an_unknown_topic_none() {
        let packed = snap::raw::Encoder::new().compress_vec(&vec![0; 1 << 20]).unwrap();
        let aggregates = Topic::BeaconAggregateAndProof.on(ForkDigest::default()).hash();
        assert!(SnappyTransform.inbound_transform(raw(aggregates.as_str(), packed)).is_err());
        assert!(SnappyTransform.inbound_transform(raw("/eth2/00000000/else/ssz_snappy", vec![0])).is_err());
    }
}
