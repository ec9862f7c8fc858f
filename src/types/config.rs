//! A network's configuration: what a `config.yaml` says.
//!
//! Keys are the specification's; unknown ones are ignored, as real networks' files have many; a missing one takes
//! mainnet's value, or what an older file's key implies.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/configs/mainnet.yaml>

use std::{cmp::Ordering, str::FromStr};

use alloy_primitives::FixedBytes;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::{ForkName, preset::*, primitives::*};

/// Longest slot that is believed, in milliseconds: ten minutes.
const MAX_SLOT_DURATION_MS: u64 = 600_000;
/// Blobs a block may have at most: the list of commitments has no room for more.
const MAX_BLOBS: u64 = MAX_BLOB_COMMITMENTS_PER_BLOCK as u64;

/// A network's configuration.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE", default)]
#[allow(missing_docs)] // the names are the specification's; amounts in Gwei, durations as the name says
pub struct Config {
    pub preset_base: String,
    pub config_name: String,
    pub min_genesis_time: u64,
    pub min_genesis_active_validator_count: u64,
    pub genesis_delay: u64,
    #[serde(deserialize_with = "hex")]
    pub genesis_fork_version: Version,
    #[serde(deserialize_with = "hex")]
    pub altair_fork_version: Version,
    #[serde(deserialize_with = "number")]
    pub altair_fork_epoch: Epoch,
    #[serde(deserialize_with = "hex")]
    pub bellatrix_fork_version: Version,
    #[serde(deserialize_with = "number")]
    pub bellatrix_fork_epoch: Epoch,
    #[serde(deserialize_with = "hex")]
    pub capella_fork_version: Version,
    #[serde(deserialize_with = "number")]
    pub capella_fork_epoch: Epoch,
    #[serde(deserialize_with = "hex")]
    pub deneb_fork_version: Version,
    #[serde(deserialize_with = "number")]
    pub deneb_fork_epoch: Epoch,
    #[serde(deserialize_with = "hex")]
    pub electra_fork_version: Version,
    #[serde(deserialize_with = "number")]
    pub electra_fork_epoch: Epoch,
    #[serde(deserialize_with = "hex")]
    pub fulu_fork_version: Version,
    #[serde(deserialize_with = "number")]
    pub fulu_fork_epoch: Epoch,
    #[serde(deserialize_with = "hex")]
    pub gloas_fork_version: Version,
    #[serde(deserialize_with = "number")]
    pub gloas_fork_epoch: Epoch,
    /// Sum of proof-of-work difficulty at which the merge happened, in decimal.
    #[serde(deserialize_with = "big_number", serialize_with = "serde_utils::quoted_u256::serialize")]
    pub terminal_total_difficulty: U256,
    /// The merge's last proof-of-work block, where it was set by hand; else zero.
    #[serde(deserialize_with = "hex")]
    pub terminal_block_hash: Hash256,
    #[serde(deserialize_with = "number")]
    pub terminal_block_hash_activation_epoch: Epoch,
    pub slot_duration_ms: u64,
    /// Older files say this instead of `SLOT_DURATION_MS`; [`Config::from_yaml`] takes it over and leaves `None`.
    #[serde(skip_serializing)]
    pub seconds_per_slot: Option<u64>,
    pub min_validator_withdrawability_delay: u64,
    pub shard_committee_period: u64,
    pub eth1_follow_distance: u64,
    pub proposer_reorg_cutoff_bps: u64,
    pub attestation_due_bps: u64,
    pub aggregate_due_bps: u64,
    pub sync_message_due_bps: u64,
    pub contribution_due_bps: u64,
    pub inactivity_score_bias: u64,
    pub inactivity_score_recovery_rate: u64,
    pub ejection_balance: Gwei,
    pub min_per_epoch_churn_limit: u64,
    pub churn_limit_quotient: u64,
    pub max_per_epoch_activation_churn_limit: u64,
    pub min_per_epoch_churn_limit_electra: Gwei,
    pub max_per_epoch_activation_exit_churn_limit: Gwei,
    pub proposer_score_boost: u64,
    pub reorg_head_weight_threshold: u64,
    pub reorg_parent_weight_threshold: u64,
    pub reorg_max_epochs_since_finalization: u64,
    pub confirmation_byzantine_threshold: u64,
    pub deposit_chain_id: u64,
    pub deposit_network_id: u64,
    #[serde(deserialize_with = "hex")]
    pub deposit_contract_address: Address,
    pub max_payload_size: u64,
    pub max_request_blocks: u64,
    pub max_request_blocks_deneb: u64,
    pub epochs_per_subnet_subscription: u64,
    pub attestation_propagation_slot_range: u64,
    /// In milliseconds.
    pub maximum_gossip_clock_disparity: u64,
    #[serde(deserialize_with = "hex")]
    pub message_domain_invalid_snappy: Version,
    #[serde(deserialize_with = "hex")]
    pub message_domain_valid_snappy: Version,
    pub subnets_per_node: u64,
    pub attestation_subnet_count: u64,
    pub max_blobs_per_block: u64,
    pub max_blobs_per_block_electra: u64,
    pub blob_sidecar_subnet_count: u64,
    pub blob_sidecar_subnet_count_electra: u64,
    pub number_of_custody_groups: u64,
    pub data_column_sidecar_subnet_count: u64,
    pub samples_per_slot: u64,
    pub custody_requirement: u64,
    pub validator_custody_requirement: u64,
    pub balance_per_additional_custody_group: Gwei,
    pub min_epochs_for_data_column_sidecars_requests: u64,
    pub min_epochs_for_blob_sidecars_requests: u64,
    pub blob_schedule: Vec<BlobParameters>,
}

/// How many blobs a block may have from an epoch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub struct BlobParameters {
    /// From this epoch on.
    #[serde(deserialize_with = "number")]
    pub epoch: Epoch,
    /// At most so many.
    #[serde(deserialize_with = "number")]
    pub max_blobs_per_block: u64,
}

/// Why a configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not YAML, or a value of the wrong kind.
    #[error("config.yaml can't be read: {0}")]
    Yaml(String),
    /// Made for another preset than this program.
    #[error(
        "this network needs the {theirs} preset, but this program was built for {ours}; \
         use a build for {theirs} (cargo build --release --features {theirs})"
    )]
    Preset {
        /// What the configuration says.
        theirs: String,
        /// What this build is.
        ours: &'static str,
    },
    /// A value that no network can have.
    #[error("config.yaml: {key} {problem}")]
    Value {
        /// Which key.
        key: &'static str,
        /// What is wrong with it, as the end of a sentence.
        problem: String,
    },
}

impl Config {
    /// Reads a `config.yaml`.
    ///
    /// # Errors
    /// When it is not YAML, is made for another preset, or has values that no network can have.
    pub fn from_yaml(text: &str) -> Result<Self, ConfigError> {
        let mut config: Config = serde_yaml_ng::from_str(text).map_err(|error| ConfigError::Yaml(error.to_string()))?;
        if let Some(seconds) = config.seconds_per_slot.take().filter(|_| !text.contains("SLOT_DURATION_MS")) {
            config.slot_duration_ms = seconds.saturating_mul(1000);
        }
        config.blob_schedule.sort_by_key(|entry| entry.epoch);
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.preset_base != PRESET_BASE {
            return Err(ConfigError::Preset { theirs: self.preset_base.clone(), ours: PRESET_BASE });
        }
        let wrong = |key, problem: String| Err(ConfigError::Value { key, problem });
        if self.slot_duration_ms == 0 || self.slot_duration_ms > MAX_SLOT_DURATION_MS {
            return wrong("SLOT_DURATION_MS", format!("is {}, not 1 to {MAX_SLOT_DURATION_MS}", self.slot_duration_ms));
        }
        let forks = [
            ("ALTAIR_FORK_EPOCH", self.altair_fork_epoch),
            ("BELLATRIX_FORK_EPOCH", self.bellatrix_fork_epoch),
            ("CAPELLA_FORK_EPOCH", self.capella_fork_epoch),
            ("DENEB_FORK_EPOCH", self.deneb_fork_epoch),
            ("ELECTRA_FORK_EPOCH", self.electra_fork_epoch),
            ("FULU_FORK_EPOCH", self.fulu_fork_epoch),
            ("GLOAS_FORK_EPOCH", self.gloas_fork_epoch),
        ];
        if let Some(pair) = forks.windows(2).find(|pair| pair[1].1 < pair[0].1) {
            return wrong(pair[1].0, format!("is {}, before {} at {}", pair[1].1, pair[0].0, pair[0].1));
        }
        let quotients = [
            ("CHURN_LIMIT_QUOTIENT", self.churn_limit_quotient),
            ("INACTIVITY_SCORE_BIAS", self.inactivity_score_bias),
            ("MAX_PAYLOAD_SIZE", self.max_payload_size),
            ("NUMBER_OF_CUSTODY_GROUPS", self.number_of_custody_groups),
            ("ATTESTATION_SUBNET_COUNT", self.attestation_subnet_count),
            ("BLOB_SIDECAR_SUBNET_COUNT_ELECTRA", self.blob_sidecar_subnet_count_electra),
            ("DATA_COLUMN_SIDECAR_SUBNET_COUNT", self.data_column_sidecar_subnet_count),
            ("MAX_REQUEST_BLOCKS_DENEB", self.max_request_blocks_deneb),
        ];
        if let Some((key, _)) = quotients.into_iter().find(|(_, value)| *value == 0) {
            return wrong(key, "is 0".into());
        }
        let parts = [
            ("PROPOSER_REORG_CUTOFF_BPS", self.proposer_reorg_cutoff_bps),
            ("ATTESTATION_DUE_BPS", self.attestation_due_bps),
            ("AGGREGATE_DUE_BPS", self.aggregate_due_bps),
            ("SYNC_MESSAGE_DUE_BPS", self.sync_message_due_bps),
            ("CONTRIBUTION_DUE_BPS", self.contribution_due_bps),
        ];
        if let Some((key, value)) = parts.into_iter().find(|(_, value)| *value > BASIS_POINTS) {
            return wrong(key, format!("is {value}, more than a slot's {BASIS_POINTS}"));
        }
        if self.number_of_custody_groups > NUMBER_OF_COLUMNS as u64 {
            return wrong("NUMBER_OF_CUSTODY_GROUPS", format!("is more than the {NUMBER_OF_COLUMNS} columns"));
        }
        let blobs = self.blob_schedule.iter().map(|entry| entry.max_blobs_per_block);
        if blobs.chain([self.max_blobs_per_block_electra]).any(|blobs| blobs > MAX_BLOBS) {
            return wrong("MAX_BLOBS_PER_BLOCK", format!("is more than {MAX_BLOBS}"));
        }
        Ok(())
    }

    /// When sync committee members sign at the latest, in milliseconds of a slot.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/fork-choice.md#new-get_sync_message_due_ms>
    pub fn get_sync_message_due_ms(&self) -> u64 {
        self.sync_message_due_bps * self.slot_duration_ms / BASIS_POINTS
    }

    /// The fork that `epoch` is in; `None` from Gloas on, which this program does not know yet.
    pub fn fork_name(&self, epoch: Epoch) -> Option<ForkName> {
        if epoch >= self.gloas_fork_epoch {
            return None;
        }
        ForkName::ALL.into_iter().rev().find(|fork| epoch >= self.fork_epoch(*fork))
    }

    /// When `fork` begins; the far future if it is not planned.
    pub fn fork_epoch(&self, fork: ForkName) -> Epoch {
        match fork {
            ForkName::Phase0 => GENESIS_EPOCH,
            ForkName::Altair => self.altair_fork_epoch,
            ForkName::Bellatrix => self.bellatrix_fork_epoch,
            ForkName::Capella => self.capella_fork_epoch,
            ForkName::Deneb => self.deneb_fork_epoch,
            ForkName::Electra => self.electra_fork_epoch,
            ForkName::Fulu => self.fulu_fork_epoch,
        }
    }

    /// The same network, in `fork` from its first epoch on and in no later one: for devnets and tests.
    pub fn in_fork_from_genesis(self, fork: ForkName) -> Config {
        self.with_fork_at(fork, GENESIS_EPOCH)
    }

    /// The same network, in the fork before `fork` from its first epoch on, and in `fork` from `epoch` on.
    pub fn with_fork_at(mut self, fork: ForkName, epoch: Epoch) -> Config {
        let epoch_of = |other: ForkName| match other.cmp(&fork) {
            Ordering::Less => GENESIS_EPOCH,
            Ordering::Equal => epoch,
            Ordering::Greater => FAR_FUTURE_EPOCH,
        };
        self.altair_fork_epoch = epoch_of(ForkName::Altair);
        self.bellatrix_fork_epoch = epoch_of(ForkName::Bellatrix);
        self.capella_fork_epoch = epoch_of(ForkName::Capella);
        self.deneb_fork_epoch = epoch_of(ForkName::Deneb);
        self.electra_fork_epoch = epoch_of(ForkName::Electra);
        self.fulu_fork_epoch = epoch_of(ForkName::Fulu);
        self
    }

    /// The version that names `fork` on this network.
    pub fn version_of(&self, fork: ForkName) -> Version {
        match fork {
            ForkName::Phase0 => self.genesis_fork_version,
            ForkName::Altair => self.altair_fork_version,
            ForkName::Bellatrix => self.bellatrix_fork_version,
            ForkName::Capella => self.capella_fork_version,
            ForkName::Deneb => self.deneb_fork_version,
            ForkName::Electra => self.electra_fork_version,
            ForkName::Fulu => self.fulu_fork_version,
        }
    }

    /// The version of the fork that `epoch` is in. Spec: `compute_fork_version`.
    pub fn fork_version(&self, epoch: Epoch) -> Version {
        self.fork_name(epoch).map_or(self.gloas_fork_version, |fork| self.version_of(fork))
    }

    /// How many blobs a block of `epoch` may have, and since when.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/beacon-chain.md#new-get_blob_parameters>
    pub fn get_blob_parameters(&self, epoch: Epoch) -> BlobParameters {
        let scheduled = self.blob_schedule.iter().rev().find(|entry| epoch >= entry.epoch);
        scheduled.copied().unwrap_or(BlobParameters {
            epoch: self.electra_fork_epoch,
            max_blobs_per_block: self.max_blobs_per_block_electra,
        })
    }

    /// Blobs that a block of `epoch` may have at most, by the rule of its fork.
    pub fn max_blobs(&self, epoch: Epoch) -> u64 {
        match self.fork_name(epoch) {
            Some(fork) if fork < ForkName::Deneb => 0,
            Some(ForkName::Deneb) => self.max_blobs_per_block,
            Some(ForkName::Electra) => self.max_blobs_per_block_electra,
            _ => self.get_blob_parameters(epoch).max_blobs_per_block,
        }
    }

    /// Epochs for which a node serves blocks.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/p2p-interface.md>
    pub fn min_epochs_for_block_requests(&self) -> u64 {
        self.min_validator_withdrawability_delay + self.churn_limit_quotient / 2
    }
}

impl Default for Config {
    /// Mainnet's values, with this build's preset.
    fn default() -> Self {
        Config {
            preset_base: PRESET_BASE.into(),
            config_name: "mainnet".into(),
            min_genesis_time: 1_606_824_000,
            min_genesis_active_validator_count: 16_384,
            genesis_delay: 604_800,
            genesis_fork_version: Version::new([0, 0, 0, 0]),
            altair_fork_version: Version::new([1, 0, 0, 0]),
            altair_fork_epoch: 74_240,
            bellatrix_fork_version: Version::new([2, 0, 0, 0]),
            bellatrix_fork_epoch: 144_896,
            capella_fork_version: Version::new([3, 0, 0, 0]),
            capella_fork_epoch: 194_048,
            deneb_fork_version: Version::new([4, 0, 0, 0]),
            deneb_fork_epoch: 269_568,
            electra_fork_version: Version::new([5, 0, 0, 0]),
            electra_fork_epoch: 364_032,
            fulu_fork_version: Version::new([6, 0, 0, 0]),
            fulu_fork_epoch: 411_392,
            gloas_fork_version: Version::new([7, 0, 0, 0]),
            gloas_fork_epoch: FAR_FUTURE_EPOCH,
            terminal_total_difficulty: U256::from(58_750_000_000_000_000_000_000_u128),
            terminal_block_hash: Hash256::ZERO,
            terminal_block_hash_activation_epoch: FAR_FUTURE_EPOCH,
            slot_duration_ms: 12_000,
            seconds_per_slot: None,
            min_validator_withdrawability_delay: 256,
            shard_committee_period: 256,
            eth1_follow_distance: 2048,
            proposer_reorg_cutoff_bps: 1667,
            attestation_due_bps: 3333,
            aggregate_due_bps: 6667,
            sync_message_due_bps: 3333,
            contribution_due_bps: 6667,
            inactivity_score_bias: 4,
            inactivity_score_recovery_rate: 16,
            ejection_balance: 16_000_000_000,
            min_per_epoch_churn_limit: 4,
            churn_limit_quotient: 65_536,
            max_per_epoch_activation_churn_limit: 8,
            min_per_epoch_churn_limit_electra: 128_000_000_000,
            max_per_epoch_activation_exit_churn_limit: 256_000_000_000,
            proposer_score_boost: 40,
            reorg_head_weight_threshold: 20,
            reorg_parent_weight_threshold: 160,
            reorg_max_epochs_since_finalization: 2,
            confirmation_byzantine_threshold: 25,
            deposit_chain_id: 1,
            deposit_network_id: 1,
            deposit_contract_address: alloy_primitives::address!("00000000219ab540356cBB839Cbe05303d7705Fa"),
            max_payload_size: 10_485_760,
            max_request_blocks: 1024,
            max_request_blocks_deneb: 128,
            epochs_per_subnet_subscription: 256,
            attestation_propagation_slot_range: 32,
            maximum_gossip_clock_disparity: 500,
            message_domain_invalid_snappy: Version::new([0, 0, 0, 0]),
            message_domain_valid_snappy: Version::new([1, 0, 0, 0]),
            subnets_per_node: 2,
            attestation_subnet_count: 64,
            max_blobs_per_block: 6,
            max_blobs_per_block_electra: 9,
            blob_sidecar_subnet_count: 6,
            blob_sidecar_subnet_count_electra: 9,
            number_of_custody_groups: 128,
            data_column_sidecar_subnet_count: 128,
            samples_per_slot: 8,
            custody_requirement: 4,
            validator_custody_requirement: 8,
            balance_per_additional_custody_group: 32_000_000_000,
            min_epochs_for_data_column_sidecars_requests: 4096,
            min_epochs_for_blob_sidecars_requests: 4096,
            blob_schedule: Vec::new(),
        }
    }
}

/// Bytes in hexadecimal. Unquoted, YAML would take them for a number.
fn hex<'de, D: Deserializer<'de>, const N: usize, T: From<FixedBytes<N>>>(deserializer: D) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    FixedBytes::from_str(&text).map(T::from).map_err(|error| D::Error::custom(format!("{text}: {error}")))
}

/// A decimal number of up to 256 bits, quoted or not. (YAML takes one of over 64 bits for a float.)
fn big_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<U256, D::Error> {
    let text = String::deserialize(deserializer)?;
    U256::from_str(&text).map_err(|error| D::Error::custom(format!("{text}: {error}")))
}

/// A number, quoted or not.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    serde_utils::quoted_u64::deserialize(deserializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yaml(more: &str) -> String {
        format!("PRESET_BASE: '{PRESET_BASE}'\nCONFIG_NAME: 'test'\n{more}")
    }

    #[test]
    fn unknown_keys_are_accepted_and_known_ones_read() {
        let text = yaml(
            "TERMINAL_TOTAL_DIFFICULTY: 58750000000000000000000\nSOMETHING_NEW: [1, 2]\nFULU_FORK_VERSION: 0x06000001\n\
             FULU_FORK_EPOCH: 411392 # a comment\nSECONDS_PER_SLOT: 5\n\
             BLOB_SCHEDULE:\n  - EPOCH: 419072\n    MAX_BLOBS_PER_BLOCK: 21\n  - EPOCH: 412672\n    MAX_BLOBS_PER_BLOCK: 15\n",
        );
        let config = Config::from_yaml(&text).unwrap();
        assert_eq!(config.fulu_fork_version, Version::new([6, 0, 0, 1]));
        assert_eq!(config.slot_duration_ms, 5000);
        let blobs = [411_392, 412_672, 419_071, 419_072].map(|epoch| config.max_blobs(epoch));
        assert_eq!(blobs, [9, 15, 15, 21]);
    }

    #[test]
    fn impossible_values_are_refused_with_their_key() {
        for (text, key) in [
            ("SLOT_DURATION_MS: 0", "SLOT_DURATION_MS"),
            (
                "ELECTRA_FORK_EPOCH: 5\nFULU_FORK_EPOCH: 4\nDENEB_FORK_EPOCH: 0\nCAPELLA_FORK_EPOCH: 0\nBELLATRIX_FORK_EPOCH: 0\nALTAIR_FORK_EPOCH: 0",
                "FULU_FORK_EPOCH",
            ),
            ("CHURN_LIMIT_QUOTIENT: 0", "CHURN_LIMIT_QUOTIENT"),
            ("NUMBER_OF_CUSTODY_GROUPS: 129", "NUMBER_OF_CUSTODY_GROUPS"),
            ("ATTESTATION_DUE_BPS: 10001", "ATTESTATION_DUE_BPS"),
            ("MAX_BLOBS_PER_BLOCK_ELECTRA: 5000", "MAX_BLOBS_PER_BLOCK"),
            ("EJECTION_BALANCE: -1", "can't be read"),
            (": :", "can't be read"),
        ] {
            let error = Config::from_yaml(&yaml(text)).unwrap_err().to_string();
            assert!(error.contains(key), "{text}: {error}");
        }
        let other = Config::from_yaml("PRESET_BASE: 'other'").unwrap_err().to_string();
        assert!(other.contains("needs the other preset"), "{other}");
    }
}
