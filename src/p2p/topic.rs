//! Gossip topics: their names, and how large a message on them may be.

use libp2p::gossipsub::IdentTopic;

use super::codec::MAX_PAYLOAD_SIZE;
use crate::types::{ForkDigest, preset};

/// A topic, on whatever fork is current.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// New blocks.
    BeaconBlock,
    /// Aggregates of votes.
    BeaconAggregateAndProof,
}

/// `SignedAggregateAndProof` without its bits: two offsets, two signatures and the aggregator, then the attestation's
/// offset, data, signature and committee bits.
const AGGREGATE_FIXED_LEN: usize =
    (4 + 96) + (8 + 4 + 96) + (4 + 128 + 96 + preset::MAX_COMMITTEES_PER_SLOT.div_ceil(8));

impl Topic {
    /// All that we subscribe to.
    pub const ALL: [Topic; 2] = [Topic::BeaconBlock, Topic::BeaconAggregateAndProof];

    /// The name inside the topic string, and the label in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Topic::BeaconBlock => "beacon_block",
            Topic::BeaconAggregateAndProof => "beacon_aggregate_and_proof",
        }
    }

    /// The longest SSZ of the topic's type, and of any message.
    pub(super) const fn max_size(self) -> usize {
        match self {
            // The type's own bound is far beyond what a message may carry.
            Topic::BeaconBlock => MAX_PAYLOAD_SIZE,
            Topic::BeaconAggregateAndProof => AGGREGATE_FIXED_LEN + preset::MAX_ATTESTERS_PER_SLOT / 8 + 1,
        }
    }

    /// The topic string on a fork.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/p2p-interface.md#topics-and-messages>
    pub(super) fn on(self, fork: ForkDigest) -> IdentTopic {
        IdentTopic::new(format!("/eth2/{}/{}/ssz_snappy", hex::encode(fork), self.name()))
    }

    /// The topic that a string names, on any fork.
    pub(super) fn parse(text: &str) -> Option<Topic> {
        let (fork, rest) = text.strip_prefix("/eth2/")?.split_once('/')?;
        let name = rest.strip_suffix("/ssz_snappy")?;
        (fork.len() == 8).then(|| Topic::ALL.into_iter().find(|topic| topic.name() == name))?
    }
}

#[cfg(test)]
mod tests {
    use ssz::Decode as _;

    use super::*;
    use crate::types::SignedAggregateAndProof;

    #[test]
    fn names_go_there_and_back() {
        for topic in Topic::ALL {
            assert_eq!(Topic::parse(topic.on(ForkDigest::from([0xab, 1, 2, 3])).hash().as_str()), Some(topic));
        }
        let text = Topic::BeaconBlock.on(ForkDigest::from([0xab, 1, 2, 3])).hash().to_string();
        assert_eq!(text, "/eth2/ab010203/beacon_block/ssz_snappy");
        for bad in ["/eth2/ab010203/beacon_block/ssz", "/eth2/ab/beacon_block/ssz_snappy", "/eth2/beacon_block", ""] {
            assert_eq!(Topic::parse(bad), None);
        }
    }

    #[test]
    fn the_largest_aggregate_fits_exactly() {
        // All offsets and fixed parts in place, and as many bits as the type allows.
        let attestation_fixed = 4 + 128 + 96 + preset::MAX_COMMITTEES_PER_SLOT.div_ceil(8);
        let with_bits = |bits: usize| {
            let mut out = Vec::new();
            out.extend_from_slice(&100u32.to_le_bytes());
            out.extend_from_slice(&[0; 96]);
            out.extend_from_slice(&[0; 8]);
            out.extend_from_slice(&108u32.to_le_bytes());
            out.extend_from_slice(&[0; 96]);
            out.extend_from_slice(&(attestation_fixed as u32).to_le_bytes());
            out.resize(100 + 108 + attestation_fixed, 0);
            out.resize(out.len() + bits / 8, 0xff);
            out.push(1);
            out
        };
        let largest = with_bits(preset::MAX_ATTESTERS_PER_SLOT);
        assert!(SignedAggregateAndProof::from_ssz_bytes(&largest).is_ok());
        assert_eq!(largest.len(), Topic::BeaconAggregateAndProof.max_size());
        assert!(SignedAggregateAndProof::from_ssz_bytes(&with_bits(preset::MAX_ATTESTERS_PER_SLOT + 8)).is_err());
    }
}
