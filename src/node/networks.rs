//! The networks that the program knows, and those described by a folder.

use std::{fs, path::Path, sync::Arc};

use crate::types::{BeaconState, Config, ConfigError, Hash256};

/// Longest `config.yaml` that is read: real ones have under 10 KB.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// A network to follow.
#[derive(Clone, Debug)]
pub struct Network {
    /// Its configuration.
    pub config: Arc<Config>,
    /// Root that names it apart from others, where known beforehand.
    pub genesis_validators_root: Option<Hash256>,
    /// Its genesis state, where a folder gave one and this program can read it.
    pub genesis_state: Option<Arc<BeaconState>>,
    /// Public providers of checkpoints, used when the user names none.
    pub checkpoint_providers: &'static [&'static str],
    /// Records of nodes with which discovery begins.
    pub boot_nodes: Vec<String>,
    /// Whether the whole world may be in it: then others' private addresses are not dialled.
    pub is_public: bool,
}

/// Why a network can't be used.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// Neither a known name nor a folder.
    #[error("'{0}' is neither a network (mainnet, sepolia, hoodi, gnosis) nor a folder with a config.yaml")]
    Unknown(String),
    /// The configuration can't be used.
    #[error("network '{name}': {source}")]
    Config {
        /// As the user named the network.
        name: String,
        /// What is wrong.
        source: ConfigError,
    },
    /// A file of the folder can't be read.
    #[error("{path}: {reason}")]
    File {
        /// Which file.
        path: String,
        /// What is wrong.
        reason: String,
    },
}

struct BuiltIn {
    name: &'static str,
    config: &'static str,
    genesis_validators_root: &'static str,
    checkpoint_providers: &'static [&'static str],
    boot_nodes: &'static str,
}

/// Files of a folder that may hold records of boot nodes, as the networks' repositories and their tools name them.
const BOOT_NODES: [&str; 4] = ["bootstrap_nodes.yaml", "bootstrap_nodes.txt", "boot_enr.yaml", "boot_enr.txt"];

/// Providers as of 2026 from <https://eth-clients.github.io/checkpoint-sync-endpoints/>. Several, so that no single one is
/// trusted: they must agree.
const BUILT_IN: [BuiltIn; 4] = [
    BuiltIn {
        name: "mainnet",
        config: include_str!("../../assets/networks/mainnet.yaml"),
        genesis_validators_root: "4b363db94e286120d76eb905340fdd4e54bfe9f06bf33ff6cf5ad27f511bfe95",
        checkpoint_providers: &[
            "https://beaconstate.ethstaker.cc",
            "https://mainnet.checkpoint.sigp.io",
            "https://beaconstate.info",
        ],
        boot_nodes: include_str!("../../assets/networks/mainnet_boot_nodes.txt"),
    },
    BuiltIn {
        name: "sepolia",
        config: include_str!("../../assets/networks/sepolia.yaml"),
        genesis_validators_root: "d8ea171f3c94aea21ebc42a1ed61052acf3f9209c00e4efbaaddac09ed9b8078",
        checkpoint_providers: &["https://checkpoint-sync.sepolia.ethpandaops.io", "https://sepolia.beaconstate.info"],
        boot_nodes: include_str!("../../assets/networks/sepolia_boot_nodes.txt"),
    },
    BuiltIn {
        name: "hoodi",
        config: include_str!("../../assets/networks/hoodi.yaml"),
        genesis_validators_root: "212f13fc4df078b6cb7db228f1c8307566dcecf900867401a92023d7ba99cb5f",
        checkpoint_providers: &[
            "https://checkpoint-sync.hoodi.ethpandaops.io",
            "https://hoodi.beaconstate.ethstaker.cc",
        ],
        boot_nodes: include_str!("../../assets/networks/hoodi_boot_nodes.txt"),
    },
    BuiltIn {
        name: "gnosis",
        config: include_str!("../../assets/networks/gnosis.yaml"),
        genesis_validators_root: "f5dcb5564e829aab27264b9becd5dfaa017085611224cb3036f573368dbb9d47",
        checkpoint_providers: &["https://checkpoint.gnosischain.com"],
        boot_nodes: include_str!("../../assets/networks/gnosis_boot_nodes.txt"),
    },
];

impl Network {
    /// A network on this machine, whose nodes are told of each other.
    pub fn local(config: Arc<Config>, genesis_validators_root: Hash256) -> Network {
        Network {
            config,
            genesis_validators_root: Some(genesis_validators_root),
            genesis_state: None,
            checkpoint_providers: &[],
            boot_nodes: Vec::new(),
            is_public: false,
        }
    }

    /// The network with this name, or the one that a folder describes: `config.yaml`, and `genesis.ssz` if it is there.
    pub fn load(name: &str) -> Result<Self, NetworkError> {
        if let Some(known) = BUILT_IN.iter().find(|known| known.name == name) {
            return known.load();
        }
        let folder = Path::new(name);
        if !folder.join("config.yaml").is_file() {
            return Err(NetworkError::Unknown(name.into()));
        }
        let text = read_limited(&folder.join("config.yaml"), MAX_CONFIG_BYTES)?;
        let config = Config::from_yaml(&text).map_err(|source| NetworkError::Config { name: name.into(), source })?;
        let genesis_state = read_genesis(&folder.join("genesis.ssz"), &config)?;
        let boot_nodes = BOOT_NODES.iter().map(|name| folder.join(name)).find(|path| path.is_file());
        let boot_nodes = boot_nodes.map(|path| read_limited(&path, MAX_CONFIG_BYTES)).transpose()?;
        Ok(Network {
            config: Arc::new(config),
            genesis_validators_root: genesis_state.as_ref().map(|state| state.genesis_validators_root),
            genesis_state: genesis_state.map(Arc::new),
            checkpoint_providers: &[],
            boot_nodes: boot_nodes.as_deref().map(records).unwrap_or_default(),
            is_public: false,
        })
    }
}

impl BuiltIn {
    fn load(&self) -> Result<Network, NetworkError> {
        let config =
            Config::from_yaml(self.config).map_err(|source| NetworkError::Config { name: self.name.into(), source })?;
        let root = self.genesis_validators_root.parse().expect("a root of 64 digits (see the test)");
        Ok(Network {
            config: Arc::new(config),
            genesis_validators_root: Some(root),
            genesis_state: None,
            checkpoint_providers: self.checkpoint_providers,
            boot_nodes: records(self.boot_nodes),
            is_public: true,
        })
    }
}

/// The records in a list, one a line, with or without the dashes, quotes and comments of YAML.
fn records(list: &str) -> Vec<String> {
    let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '#');
    let record = |line: &str| {
        let from = line.find("enr:").filter(|at| !line[..*at].contains('#'))?;
        line[from..].split(is_end).next().map(String::from)
    };
    list.lines().filter_map(record).collect()
}

fn read_limited(path: &Path, limit: u64) -> Result<String, NetworkError> {
    let wrong = |reason: String| NetworkError::File { path: path.display().to_string(), reason };
    let len = fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
    if len > limit {
        return Err(wrong(format!("{len} bytes, more than the {limit} that such a file may have")));
    }
    fs::read_to_string(path).map_err(|error| wrong(error.to_string()))
}

/// The genesis state, when the file is there and of a fork that this program knows.
fn read_genesis(path: &Path, config: &Config) -> Result<Option<BeaconState>, NetworkError> {
    let Ok(mut file) = fs::File::open(path) else { return Ok(None) };
    let Some(fork) = config.fork_name(0) else { return Ok(None) };
    let state = BeaconState::from_reader(fork, &mut std::io::BufReader::new(&mut file));
    let wrong = |reason: String| NetworkError::File { path: path.display().to_string(), reason };
    Ok(Some(state.map_err(|error| wrong(format!("not a {fork} state of this preset: {error}")))?))
}

#[cfg(test)]
mod tests {
    use tree_hash::TreeHash as _;

    use super::*;
    use crate::{
        crypto::{PubkeyCache, SecretKey},
        fork_choice::Store,
        transition::{Context, get_validator_from_deposit, initialize_beacon_state_from_eth1, upgrade_to},
        types::{
            BeaconBlockHeader, ForkName, Validator,
            preset::{MAX_EFFECTIVE_BALANCE, PRESET_BASE},
        },
    };

    #[test]
    fn every_known_network_loads_in_the_build_of_its_preset() {
        for known in &BUILT_IN {
            let preset = if known.name == "gnosis" { "gnosis" } else { "mainnet" };
            // These are read in every build.
            let boot_nodes = records(known.boot_nodes);
            assert!(boot_nodes.len() >= 8, "{}", known.name);
            for record in &boot_nodes {
                record.parse::<crate::p2p::Enr>().unwrap();
            }
            match known.load() {
                Ok(network) => {
                    assert_eq!((network.config.config_name.as_str(), preset), (known.name, PRESET_BASE));
                    assert!(network.genesis_validators_root.is_some());
                    assert_eq!(network.boot_nodes, boot_nodes);
                }
                Err(error) => {
                    assert_ne!(preset, PRESET_BASE, "{error}");
                    assert!(error.to_string().contains("preset"), "{error}");
                }
            }
        }
    }

    #[test]
    fn a_folder_gives_the_genesis_of_any_fork_and_the_store_starts_from_it() {
        for fork in ForkName::ALL {
            let forks = ForkName::ALL.into_iter().skip(1).map(|other| {
                let epoch = if other <= fork { 0 } else { u64::MAX };
                format!("{}_FORK_EPOCH: {epoch}\n", other.as_str().to_uppercase())
            });
            let text = format!("PRESET_BASE: '{PRESET_BASE}'\nCONFIG_NAME: old\n{}", forks.collect::<String>());
            let mut state = genesis(fork);
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("config.yaml"), text).unwrap();
            fs::write(folder.path().join("genesis.ssz"), state.to_ssz_bytes()).unwrap();

            let network = Network::load(folder.path().to_str().unwrap()).unwrap();
            let mut read = network.genesis_state.as_deref().cloned().unwrap();
            assert_eq!((read.fork_name, read.hash_tree_root()), (fork, state.hash_tree_root()));
            let block = BeaconBlockHeader { state_root: read.hash_tree_root(), ..read.latest_block_header };
            let mut store = Store::from_anchor(&mut read, &block, network.config).unwrap();
            assert_eq!(store.get_head(), block.tree_hash_root());
        }
    }

    /// A genesis state of `fork`, with one validator.
    fn genesis(fork: ForkName) -> BeaconState {
        let (config, keys) = (Config::default().in_fork_from_genesis(ForkName::Phase0), PubkeyCache::default());
        let ctx = Context { config: &config, keys: &keys };
        let mut state = initialize_beacon_state_from_eth1(Hash256::ZERO, 0, &[], &ctx).unwrap();
        let pubkey = SecretKey::from_bytes(&[1; 32]).unwrap().public_key().to_compressed();
        let amount = MAX_EFFECTIVE_BALANCE;
        let validator = get_validator_from_deposit(state.fork_name, pubkey, Hash256::ZERO, amount);
        state.validators.push(Validator { activation_epoch: 0, ..validator });
        state.balances.push(amount);
        for fork in ForkName::ALL.into_iter().filter(|other| (ForkName::Altair..=fork).contains(other)) {
            upgrade_to(&mut state, fork, &ctx).unwrap();
        }
        state
    }

    #[test]
    fn a_list_of_boot_nodes_is_read_with_and_without_yaml() {
        let list = "# enr:-no\n- enr:-a # here\n- \"enr:-b\"\nenr:-c\n\nother\n";
        assert_eq!(records(list), ["enr:-a", "enr:-b", "enr:-c"]);
    }

    #[test]
    fn a_name_that_is_nothing_says_what_there_is() {
        let error = Network::load("maninet").unwrap_err().to_string();
        assert!(error.contains("maninet") && error.contains("hoodi"), "{error}");
    }
}
