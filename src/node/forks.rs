//! Which fork the clock is in, as peers are told.

use crate::{
    crypto::compute_fork_digest,
    p2p::Forks,
    types::{Config, Epoch, ForkDigest, ForkName, Hash256, preset::FAR_FUTURE_EPOCH},
};

/// Epochs before a fork in which its topics are listened to already, so that their meshes stand when it begins, and after it in
/// which the old ones still are: peers may be late.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/p2p-interface.md#transitioning-the-gossip>
const EPOCHS_AROUND_A_FORK: Epoch = 2;

/// The forks of a network as they stand in `epoch`.
pub fn forks_at(config: &Config, genesis_validators_root: Hash256, epoch: Epoch) -> Forks {
    let digest = |epoch: Epoch| -> ForkDigest {
        let blobs = (epoch >= config.fulu_fork_epoch).then(|| config.get_blob_parameters(epoch));
        let blobs = blobs.map(|blobs| (blobs.epoch, blobs.max_blobs_per_block));
        compute_fork_digest(config.fork_version(epoch), genesis_validators_root, blobs)
    };
    let regular: Vec<Epoch> =
        ForkName::ALL.into_iter().map(|fork| config.fork_epoch(fork)).chain([config.gloas_fork_epoch]).collect();
    let blobs = config.blob_schedule.iter().map(|entry| entry.epoch);
    let mut changes: Vec<Epoch> =
        regular.iter().copied().chain(blobs).filter(|epoch| *epoch != FAR_FUTURE_EPOCH).collect();
    changes.sort_unstable();
    changes.dedup();
    let next = changes.iter().copied().find(|change| *change > epoch);
    let coming = next.filter(|next| next - epoch <= EPOCHS_AROUND_A_FORK);
    let latest = changes.iter().copied().rfind(|change| *change <= epoch && *change > 0);
    let passed = latest.filter(|latest| epoch - latest < EPOCHS_AROUND_A_FORK).map(|latest| latest - 1);
    let also = coming.into_iter().chain(passed).map(digest).collect();
    let next_regular = regular.into_iter().filter(|change| *change > epoch && *change != FAR_FUTURE_EPOCH).min();
    Forks {
        current: digest(epoch),
        current_name: config.fork_name(epoch).unwrap_or_default(),
        known: changes.iter().filter_map(|epoch| Some((digest(*epoch), config.fork_name(*epoch)?))).collect(),
        next_version: config.fork_version(next_regular.unwrap_or(epoch)),
        max_blobs: config.max_blobs(epoch),
        next_epoch: next.unwrap_or(FAR_FUTURE_EPOCH),
        next_digest: next.map_or(ForkDigest::ZERO, digest),
        also,
    }
}

/// The first fork whose gossip this program speaks: before it, attestations had another shape. Older blocks and states are
/// understood, so that a chain can be followed from an older checkpoint into the present.
const FIRST_FOLLOWED: ForkName = ForkName::Electra;

/// The network's present fork is not one in which this program can be a peer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "at epoch {epoch} the network is in {fork}, but this version of Hornero follows networks from {FIRST_FOLLOWED} to {}: {advice}",
    ForkName::default()
)]
pub struct NotFollowed {
    epoch: Epoch,
    fork: String,
    advice: &'static str,
}

/// Errors when the network's fork in `epoch` is one in which this program can't be a peer.
pub fn check_followed(config: &Config, epoch: Epoch) -> Result<(), NotFollowed> {
    match config.fork_name(epoch) {
        Some(fork) if fork >= FIRST_FOLLOWED => Ok(()),
        Some(fork) => Err(NotFollowed { epoch, fork: fork.to_string(), advice: "this network is too old for it" }),
        None => Err(NotFollowed { epoch, fork: "a newer fork".into(), advice: "update Hornero" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{BlobParameters, Version};

    #[test]
    fn a_change_of_blobs_alone_changes_the_digest_but_not_the_version() {
        let config = Config {
            blob_schedule: vec![BlobParameters { epoch: 412_672, max_blobs_per_block: 15 }],
            ..Config::default()
        };
        let root = Hash256::repeat_byte(7);
        let before = forks_at(&config, root, 412_000);
        assert_eq!(before.next_epoch, 412_672);
        assert_eq!(before.next_version, Version::new([6, 0, 0, 0]), "no regular fork is planned");
        let after = forks_at(&config, root, 412_672);
        assert_eq!(after.current, before.next_digest);
        assert_ne!(after.current, before.current);
        assert_eq!((after.next_epoch, after.next_digest), (FAR_FUTURE_EPOCH, ForkDigest::ZERO));
        for digest in [before.current, after.current] {
            assert_eq!(after.fork_of(digest), Some(ForkName::Fulu));
        }
        assert_eq!(after.fork_of(forks_at(&config, root, 300_000).current), Some(ForkName::Deneb));
        assert_eq!(after.fork_of(ForkDigest::ZERO), None);
    }

    #[test]
    fn topics_of_both_forks_are_listened_to_around_each_change() {
        let blobs = |epoch, max_blobs_per_block| BlobParameters { epoch, max_blobs_per_block };
        let blob_schedule = vec![blobs(412_672, 15), blobs(412_673, 21), blobs(420_000, 32)];
        let config = Config { blob_schedule, ..Config::default() };
        let at = |epoch| forks_at(&config, Hash256::repeat_byte(7), epoch);
        assert!(at(412_669).also.is_empty());
        assert_eq!(at(412_670).also, [at(412_672).current]);
        assert_eq!(at(412_671).also, [at(412_672).current], "one change ahead at a time");
        assert_eq!(at(412_672).also, [at(412_673).current, at(412_671).current]);
        assert_eq!(at(412_673).also, [at(412_672).current]);
        assert_eq!(at(412_674).also, [at(412_672).current]);
        assert!(at(412_675).also.is_empty());
        // Peers see from `nfd` and `eth2` that we are ready.
        assert_eq!((at(419_998).next_digest, at(419_998).next_epoch), (at(420_000).current, 420_000));
        for epoch in [412_670, 412_672, 412_674] {
            assert!(at(epoch).also.iter().all(|fork| at(epoch).fork_of(*fork) == Some(ForkName::Fulu)));
        }
    }

    #[test]
    fn only_networks_whose_gossip_we_speak_are_followed() {
        let config = Config::default();
        assert_eq!(check_followed(&config, config.electra_fork_epoch), Ok(()));
        let old = check_followed(&config, config.electra_fork_epoch - 1).unwrap_err().to_string();
        assert!(old.contains("is in deneb") && old.contains("from electra to fulu"), "{old}");
        let new = check_followed(&Config { gloas_fork_epoch: 500_000, ..config }, 500_000).unwrap_err().to_string();
        assert!(new.contains("update Hornero"), "{new}");
    }

    #[test]
    fn before_a_regular_fork_its_version_is_announced() {
        let forks = forks_at(&Config::default(), Hash256::ZERO, 411_391);
        assert_eq!((forks.next_epoch, forks.next_version), (411_392, Version::new([6, 0, 0, 0])));
    }
}
