//! When the rules for payloads change, by the consensus layer's configuration.

use std::collections::BTreeSet;

use crate::types::{
    Config, ForkName,
    preset::{FAR_FUTURE_EPOCH, SLOTS_PER_EPOCH},
};

/// From a time on, payloads follow other rules: those of another fork, or of another number of blobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activation {
    /// Seconds since 1970.
    pub time: u64,
    /// The fork from then on.
    pub fork: ForkName,
    /// Blobs in a payload from then on, at most.
    pub max_blobs: u64,
}

/// All changes that are planned since payloads exist, in their order, on a network that began at `genesis_time`.
pub fn schedule(config: &Config, genesis_time: u64) -> Vec<Activation> {
    let forks = ForkName::ALL.into_iter().filter(|fork| *fork >= ForkName::Bellatrix);
    let blobs = config.blob_schedule.iter().map(|entry| entry.epoch).filter(|epoch| *epoch >= config.fulu_fork_epoch);
    let epochs: BTreeSet<_> = forks.map(|fork| config.fork_epoch(fork)).chain(blobs).collect();
    let mut activations: Vec<Activation> = Vec::new();
    for epoch in epochs.into_iter().filter(|epoch| *epoch < FAR_FUTURE_EPOCH) {
        let Some(fork) = config.fork_name(epoch) else { break };
        let since_genesis = epoch.saturating_mul(SLOTS_PER_EPOCH).saturating_mul(config.slot_duration_ms) / 1000;
        let (time, max_blobs) = (genesis_time.saturating_add(since_genesis), config.max_blobs(epoch));
        // An entry that repeats what holds already changes nothing.
        if activations.last().is_none_or(|last| (last.fork, last.max_blobs) != (fork, max_blobs)) {
            activations.push(Activation { time, fork, max_blobs });
        }
    }
    activations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::BlobParameters;

    #[test]
    fn forks_and_numbers_of_blobs_have_their_times() {
        let blobs = |epoch, max_blobs_per_block| BlobParameters { epoch, max_blobs_per_block };
        let config = Config::default();
        let epoch = SLOTS_PER_EPOCH * config.slot_duration_ms / 1000;
        let config = Config {
            // The first comes with the fork, the third repeats the second.
            blob_schedule: vec![blobs(4, 12), blobs(6, 15), blobs(7, 15), blobs(FAR_FUTURE_EPOCH, 99)],
            ..config.with_fork_at(ForkName::Fulu, 4)
        };
        let activation = |at, fork, max_blobs| Activation { time: 1000 + at * epoch, fork, max_blobs };
        let expected = [
            activation(0, ForkName::Electra, config.max_blobs_per_block_electra),
            activation(4, ForkName::Fulu, 12),
            activation(6, ForkName::Fulu, 15),
        ];
        assert_eq!(schedule(&config, 1000), expected);
    }
}
