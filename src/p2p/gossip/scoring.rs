//! How gossipsub scores peers.
//!
//! The shape is the one that the field agrees on: a peer earns up to 10 by staying in a topic's mesh and up to 40 by being the
//! first with its share of a topic's messages, weighted by topic; an invalid message costs more than everything that can be
//! earned, and its square grows. So the numbers follow from how many messages a topic should have in a slot.
//!
//! Two things are ours. What a peer *fails* to deliver (P3) is not held against it: at home there are few peers on a subnet,
//! and a network that has no blocks for a while would have every honest peer pruned. A silent one is replaced by opportunistic
//! grafting, because it earns nothing. And our own score of the peer, for all that is no gossip, enters as it is while it is
//! small and drowns everything else as it comes near a ban.

use std::{net::Ipv4Addr, time::Duration};

use libp2p::gossipsub::{PeerScoreParams, PeerScoreThresholds, TopicScoreParams, score_parameter_decay_with_base};

use crate::{
    p2p::{gossip::IDONTWANT_THRESHOLD, score::BAN_BELOW, topic::Topic},
    types::preset::*,
};

/// Below this gossipsub score a peer is neither told of messages nor believed when it tells of some. The field's number.
pub const GOSSIP_SCORE: f64 = -4_000.0;
/// Below this one our own messages are not sent to it.
pub const PUBLISH_SCORE: f64 = -8_000.0;
/// Below this one it is of no use any more: its messages are dropped unread.
pub const GRAYLIST_SCORE: f64 = -16_000.0;
/// A mesh whose median peer has less takes in a better one: a silent peer earns about 5 within an hour for being there.
const OPPORTUNISTIC_GRAFT_SCORE: f64 = 5.0;
/// We take no addresses from peers that prune us, so nobody has to reach it.
const ACCEPT_PX_SCORE: f64 = 100.0;

/// What an hour in a mesh earns.
const MAX_IN_MESH: f64 = 10.0;
/// What being first with twice one's share of the messages earns.
const MAX_FIRST_DELIVERIES: f64 = 40.0;
/// Time in a mesh after which it earns no more.
const LONG_IN_MESH: Duration = Duration::from_secs(3600);
/// Counters below this count as forgotten.
const DECAY_TO_ZERO: f64 = 0.01;
/// Peers in a mesh, among whom a topic's messages are shared out.
const MESH_PEERS: f64 = 8.0;
/// How often a message comes, and goes, among equals, if it is so large that peers tell each other when they have it; by what
/// docs/figures.md has of columns alone.
const COPIES_OF_LARGE: f64 = 3.5;
/// The same of small ones: nearly everybody in a mesh has a copy for everybody else. By what it has of all gossip.
const COPIES_OF_SMALL: f64 = 6.5;
/// Subnets of columns that we listen to, at least: they share one weight.
const COLUMN_SUBNETS: f64 = 8.0;
/// The sum of all topics' weights: two large ones, half a one for columns, one for all attestation subnets, the rest of a tenth
/// each or less.
const SUM_OF_WEIGHTS: f64 = 2.85;
/// The most that all topics together can earn, and the cost of a first invalid message.
const MAX_POSITIVE: f64 = (MAX_IN_MESH + MAX_FIRST_DELIVERIES) * SUM_OF_WEIGHTS;
/// Peers at one address before they are held against each other: a family of nodes behind a router.
const PEERS_PER_ADDRESS: f64 = 8.0;
/// Broken promises and grafts out of turn that are forgiven, and how many in an epoch are worth the gossip threshold.
const FORGIVEN_MISBEHAVIOURS: f64 = 6.0;
const MISBEHAVIOURS_AN_EPOCH: f64 = 10.0;
/// Epochs after which they are forgotten.
const MISBEHAVIOUR_EPOCHS: u32 = 10;
/// How long the counters of a peer that is gone are kept. The field keeps them for half a day; whoever connects with a new key
/// each time would then make us remember hundreds of thousands. What was really bad is banned, which has a bound.
const RETAIN: Duration = Duration::from_secs(600);
/// Our own score of a peer down to which it counts as it is: the cost of one thing that no honest peer does.
pub const FORGIVABLE: f64 = -20.0;

/// What the network is like: how many messages are to be expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkSize {
    /// A slot's length.
    pub slot: Duration,
    /// Validators that attest.
    pub active_validators: u64,
}

impl NetworkSize {
    /// Messages that a topic should have in a slot, each of them counted once.
    pub(in crate::p2p) fn expected_per_slot(&self, topic: Topic) -> f64 {
        let slots = SLOTS_PER_EPOCH as f64;
        match topic {
            Topic::BeaconBlock | Topic::DataColumnSidecar(_) => 1.0,
            Topic::BeaconAggregateAndProof => self.aggregators_per_slot(),
            // Committees are dealt out to all subnets in turn.
            Topic::BeaconAttestation(_) => (self.attesters_per_slot() / ATTESTATION_SUBNETS).max(1.0 / slots),
            Topic::SyncCommittee(_) => SYNC_COMMITTEE_SIZE as f64 / SYNC_COMMITTEE_SUBNET_COUNT as f64,
            Topic::SyncCommitteeContributionAndProof => {
                (SYNC_COMMITTEE_SUBNET_COUNT as u64 * TARGET_AGGREGATORS_PER_SYNC_SUBCOMMITTEE) as f64
            }
            Topic::VoluntaryExit | Topic::BlsToExecutionChange => 4.0 / slots,
            Topic::ProposerSlashing | Topic::AttesterSlashing => 0.2 / slots,
            Topic::LightClientOptimisticUpdate => 1.0,
            Topic::LightClientFinalityUpdate => 1.0 / slots,
        }
    }

    /// Bytes in a second that gossip on `topics` takes each way, with so many peers at most and so many blobs in a block.
    pub(in crate::p2p) fn gossip_rate<'a>(
        &self,
        topics: impl IntoIterator<Item = &'a Topic>,
        peers: usize,
        max_blobs: u64,
    ) -> f64 {
        let per_slot = topics.into_iter().map(|topic| {
            let size = topic.usual_size(max_blobs);
            let copies = if size > IDONTWANT_THRESHOLD { COPIES_OF_LARGE } else { COPIES_OF_SMALL };
            self.expected_per_slot(*topic) * size as f64 * copies.min(peers as f64)
        });
        per_slot.sum::<f64>() / self.slot.as_secs_f64().max(f64::EPSILON)
    }

    fn attesters_per_slot(&self) -> f64 {
        self.active_validators as f64 / SLOTS_PER_EPOCH as f64
    }

    /// One in `committee size / TARGET_AGGREGATORS_PER_COMMITTEE` members aggregates, rounded as the specification does.
    fn aggregators_per_slot(&self) -> f64 {
        let per_slot = (self.active_validators / SLOTS_PER_EPOCH).max(1);
        let committees = (per_slot / TARGET_COMMITTEE_SIZE).clamp(1, MAX_COMMITTEES_PER_SLOT as u64);
        let one_in = (per_slot / committees / TARGET_AGGREGATORS_PER_COMMITTEE).max(1);
        (per_slot as f64 / one_in as f64).max(1.0)
    }
}

/// `ATTESTATION_SUBNET_COUNT` of all networks.
const ATTESTATION_SUBNETS: f64 = 64.0;

fn weight(topic: Topic) -> f64 {
    match topic {
        Topic::BeaconBlock | Topic::BeaconAggregateAndProof => 0.5,
        Topic::BeaconAttestation(_) => 1.0 / ATTESTATION_SUBNETS,
        // A block's columns together weigh as much as the block.
        Topic::DataColumnSidecar(_) => 0.5 / COLUMN_SUBNETS,
        Topic::SyncCommittee(_) => 0.1 / SYNC_COMMITTEE_SUBNET_COUNT as f64,
        Topic::SyncCommitteeContributionAndProof => 0.05,
        Topic::VoluntaryExit | Topic::ProposerSlashing | Topic::AttesterSlashing | Topic::BlsToExecutionChange => 0.05,
        // As in the field: every full node makes the same message itself, so that being first with it is worth nothing.
        Topic::LightClientFinalityUpdate | Topic::LightClientOptimisticUpdate => 0.0,
    }
}

/// Epochs in which what a peer delivered first is forgotten: several turns of a topic.
fn first_deliveries_epochs(topic: Topic) -> u32 {
    match topic {
        Topic::BeaconBlock | Topic::DataColumnSidecar(_) => 20,
        Topic::BeaconAggregateAndProof | Topic::SyncCommittee(_) | Topic::SyncCommitteeContributionAndProof => 1,
        Topic::BeaconAttestation(_) => 4,
        Topic::VoluntaryExit | Topic::ProposerSlashing | Topic::AttesterSlashing | Topic::BlsToExecutionChange => 100,
        Topic::LightClientFinalityUpdate | Topic::LightClientOptimisticUpdate => 1,
    }
}

impl NetworkSize {
    /// The time between two updates of all scores: a slot, but gossipsub takes no less than a second.
    fn interval(&self) -> Duration {
        self.slot.max(Duration::from_secs(1))
    }

    /// By which a counter is multiplied in each interval to be forgotten after some epochs.
    fn decay(&self, epochs: u32) -> f64 {
        score_parameter_decay_with_base(self.epochs(epochs), self.interval(), DECAY_TO_ZERO)
    }

    fn epochs(&self, epochs: u32) -> Duration {
        self.interval() * epochs * SLOTS_PER_EPOCH as u32
    }

    /// The time after which gossipsub has forgotten a peer's broken promises.
    pub(in crate::p2p) fn misbehaviour_memory(&self) -> Duration {
        self.epochs(MISBEHAVIOUR_EPOCHS)
    }

    /// How a topic's messages count; `None` of one that does not.
    pub(in crate::p2p) fn topic_params(&self, topic: Topic) -> Option<TopicScoreParams> {
        let topic_weight = weight(topic);
        if topic_weight == 0.0 {
            return None;
        }
        let quantum = self.interval();
        let time_in_mesh_cap = LONG_IN_MESH.as_secs_f64() / quantum.as_secs_f64();
        let first_message_deliveries_decay = self.decay(first_deliveries_epochs(topic));
        // Twice a mesh peer's share, all the time.
        let share = 2.0 * self.expected_per_slot(topic) / MESH_PEERS;
        let first_message_deliveries_cap = convergence(first_message_deliveries_decay, share);
        Some(TopicScoreParams {
            topic_weight,
            time_in_mesh_quantum: quantum,
            time_in_mesh_cap,
            time_in_mesh_weight: MAX_IN_MESH / time_in_mesh_cap,
            first_message_deliveries_decay,
            first_message_deliveries_cap,
            first_message_deliveries_weight: MAX_FIRST_DELIVERIES / first_message_deliveries_cap,
            mesh_message_deliveries_weight: 0.0,
            mesh_failure_penalty_weight: 0.0,
            invalid_message_deliveries_weight: -MAX_POSITIVE / topic_weight,
            invalid_message_deliveries_decay: self.decay(50),
            ..TopicScoreParams::default()
        })
    }

    /// What counts besides topics.
    pub(in crate::p2p) fn peer_params(&self) -> PeerScoreParams {
        let topic_score_cap = MAX_POSITIVE / 2.0;
        let behaviour_penalty_decay = self.decay(MISBEHAVIOUR_EPOCHS);
        let steady = convergence(behaviour_penalty_decay, MISBEHAVIOURS_AN_EPOCH / SLOTS_PER_EPOCH as f64);
        // In a preset with short epochs the sum of what is remembered may be less than what is forgiven.
        let beyond = (steady - FORGIVEN_MISBEHAVIOURS).max(1.0);
        PeerScoreParams {
            topic_score_cap,
            app_specific_weight: 1.0,
            ip_colocation_factor_weight: -topic_score_cap,
            ip_colocation_factor_threshold: PEERS_PER_ADDRESS,
            // On loopback they are a test, or a family.
            ip_colocation_factor_whitelist: [Ipv4Addr::LOCALHOST.into(), std::net::Ipv6Addr::LOCALHOST.into()].into(),
            behaviour_penalty_weight: GOSSIP_SCORE / beyond.powi(2),
            behaviour_penalty_threshold: FORGIVEN_MISBEHAVIOURS,
            behaviour_penalty_decay,
            decay_interval: self.interval(),
            decay_to_zero: DECAY_TO_ZERO,
            retain_score: RETAIN,
            ..PeerScoreParams::default()
        }
    }
}

/// What a counter comes to that grows by `rate` and is multiplied by `decay` in each interval.
fn convergence(decay: f64, rate: f64) -> f64 {
    rate / (1.0 - decay)
}

pub(super) fn thresholds() -> PeerScoreThresholds {
    PeerScoreThresholds {
        gossip_threshold: GOSSIP_SCORE,
        publish_threshold: PUBLISH_SCORE,
        graylist_threshold: GRAYLIST_SCORE,
        accept_px_threshold: ACCEPT_PX_SCORE,
        opportunistic_graft_threshold: OPPORTUNISTIC_GRAFT_SCORE,
    }
}

/// What our own score of a peer, 0 to [`BAN_BELOW`], is in gossipsub's: as it is while good deliveries may make up for it, then
/// steeply down to the graylist at the ban.
pub fn application_score(score: f64) -> f64 {
    if score >= FORGIVABLE {
        return score;
    }
    let part = (score - FORGIVABLE) / (BAN_BELOW - FORGIVABLE);
    FORGIVABLE + part * (GRAYLIST_SCORE - MAX_POSITIVE - FORGIVABLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mainnet() -> NetworkSize {
        NetworkSize { slot: Duration::from_secs(12), active_validators: 950_000 }
    }

    #[test]
    fn all_parameters_are_such_as_gossipsub_takes() {
        for (slot_ms, active_validators) in [(12_000, 950_000), (12_000, 0), (500, 16), (5_000, 250_000)] {
            let size = NetworkSize { slot: Duration::from_millis(slot_ms), active_validators };
            size.peer_params().validate().unwrap();
            for topic in Topic::KINDS {
                let Some(params) = size.topic_params(topic) else { continue };
                params.validate().unwrap_or_else(|e| panic!("{topic:?}: {e}"));
            }
        }
        thresholds().validate().unwrap();
    }

    #[test]
    fn no_topic_earns_more_than_its_weight_and_all_no_more_than_their_sum() {
        let subnets = |topic: Topic| match topic {
            Topic::BeaconAttestation(_) => 64.0,
            Topic::SyncCommittee(_) => 4.0,
            Topic::DataColumnSidecar(_) => COLUMN_SUBNETS,
            _ => 1.0,
        };
        let weights: f64 = Topic::KINDS.into_iter().map(|topic| weight(topic) * subnets(topic)).sum();
        assert!((weights - SUM_OF_WEIGHTS).abs() < 1e-9, "{weights}");
        for topic in Topic::KINDS {
            let Some(params) = mainnet().topic_params(topic) else { continue };
            let first = params.first_message_deliveries_cap * params.first_message_deliveries_weight;
            let in_mesh = params.time_in_mesh_cap * params.time_in_mesh_weight;
            assert!((first + in_mesh - 50.0).abs() < 1e-6, "{topic:?}");
            // One invalid message costs all that can be earned, ten the graylist.
            let invalid = |n: f64| params.topic_weight * params.invalid_message_deliveries_weight * n * n;
            assert!(invalid(1.0) <= -MAX_POSITIVE / 2.0 && invalid(11.0) < GRAYLIST_SCORE, "{topic:?}");
        }
    }

    #[cfg(not(any(feature = "minimal", feature = "gnosis")))]
    #[test]
    fn mainnet_has_some_thousand_messages_a_slot() {
        let aggregates = mainnet().expected_per_slot(Topic::BeaconAggregateAndProof);
        assert!((1_000.0..1_200.0).contains(&aggregates), "{aggregates}");
        let votes = mainnet().expected_per_slot(Topic::BeaconAttestation(3));
        assert!((460.0..470.0).contains(&votes), "{votes}");
    }

    #[cfg(not(any(feature = "minimal", feature = "gnosis")))]
    #[test]
    fn mainnets_gossip_takes_some_megabits() {
        let topics = |columns| {
            let columns = (0..columns).map(Topic::DataColumnSidecar);
            let votes = [3, 4].map(Topic::BeaconAttestation);
            Topic::GLOBAL.into_iter().chain(votes).chain(columns).collect::<Vec<_>>()
        };
        let mbit = |columns, peers, blobs| mainnet().gossip_rate(&topics(columns), peers, blobs) * 8.0 / 1e6;
        // docs/figures.md measured 3.1 with votes whose roots were zeros, which compress.
        assert!((3.1..4.5).contains(&mbit(8, 24, 21)), "{}", mbit(8, 24, 21));
        // Its columns alone were 822 KB a slot.
        let columns = (mbit(8, 24, 21) - mbit(0, 24, 21)) * 12.0 / 8.0 * 1e3;
        assert!((780.0..880.0).contains(&columns), "{columns}");
        assert!((10.0..14.0).contains(&mbit(128, 24, 21)), "{}", mbit(128, 24, 21));
        assert!(mbit(8, 2, 21) < 0.6 * mbit(8, 24, 21), "two peers bring two copies at most");
        assert!(mbit(8, 24, 0) == mbit(0, 24, 0), "without blobs no columns");
    }

    #[test]
    fn what_is_small_may_be_made_up_for_and_a_ban_may_not() {
        assert_eq!(application_score(0.0), 0.0);
        assert_eq!(application_score(-20.0), -20.0);
        assert!(application_score(-30.0) < GOSSIP_SCORE);
        assert!(application_score(-50.0) + MAX_POSITIVE <= GRAYLIST_SCORE);
        let scores: Vec<f64> = (0..=50).map(|score| application_score(-f64::from(score))).collect();
        assert!(scores.windows(2).all(|pair| pair[1] < pair[0]));
    }
}
