//! The configuration that a case was made with.

use hornero::types::{
    Config, ForkName,
    preset::{FAR_FUTURE_EPOCH, GENESIS_EPOCH, PRESET_BASE},
};

use super::case::Case;

/// Where the specification's `configs/minimal.yaml` differs from mainnet's. (Fork epochs come with the case.)
const MINIMAL: &str = "
PRESET_BASE: minimal
CONFIG_NAME: minimal
MIN_GENESIS_TIME: 1578009600
GENESIS_FORK_VERSION: 0x00000001
GENESIS_DELAY: 300
MIN_GENESIS_ACTIVE_VALIDATOR_COUNT: 64
TERMINAL_TOTAL_DIFFICULTY: 115792089237316195423570985008687907853269984665640564039457584007913129638912
ALTAIR_FORK_VERSION: 0x01000001
BELLATRIX_FORK_VERSION: 0x02000001
CAPELLA_FORK_VERSION: 0x03000001
DENEB_FORK_VERSION: 0x04000001
ELECTRA_FORK_VERSION: 0x05000001
FULU_FORK_VERSION: 0x06000001
GLOAS_FORK_VERSION: 0x07000001
SLOT_DURATION_MS: 6000
SHARD_COMMITTEE_PERIOD: 64
ETH1_FOLLOW_DISTANCE: 16
MIN_PER_EPOCH_CHURN_LIMIT: 2
CHURN_LIMIT_QUOTIENT: 32
MAX_PER_EPOCH_ACTIVATION_CHURN_LIMIT: 4
MIN_PER_EPOCH_CHURN_LIMIT_ELECTRA: 64000000000
MAX_PER_EPOCH_ACTIVATION_EXIT_CHURN_LIMIT: 128000000000
DEPOSIT_CHAIN_ID: 5
DEPOSIT_NETWORK_ID: 5
BLOB_SCHEDULE: []
";

/// The preset's configuration, in the case's fork from genesis on, or as the case's own `config.yaml` changes it.
pub fn of(case: &Case) -> Result<Config, String> {
    with_fork_at(case, case.fork()?, GENESIS_EPOCH)
}

/// The preset's configuration, in `fork` from `epoch` on and in the fork before it until then. A case that has its own
/// `config.yaml` says there which forks come when.
pub fn with_fork_at(case: &Case, fork: ForkName, epoch: u64) -> Result<Config, String> {
    let preset = match PRESET_BASE {
        "minimal" => MINIMAL,
        "mainnet" => "",
        other => return Err(format!("no configuration for {other}")),
    };
    if case.has("config.yaml") {
        let own = String::from_utf8(case.read("config.yaml")?).map_err(|error| error.to_string())?;
        let unscheduled = FORKS.map(|fork| format!("{fork}_FORK_EPOCH: {FAR_FUTURE_EPOCH}\n")).concat();
        let text = merged(&format!("{preset}{unscheduled}"), &own);
        return Config::from_yaml(&text).map_err(|error| error.to_string());
    }
    let config = Config::from_yaml(&merged(preset, "")).map_err(|error| error.to_string())?;
    Ok(config.with_fork_at(fork, epoch))
}

/// All forks after genesis that a configuration may schedule.
const FORKS: [&str; 7] = ["ALTAIR", "BELLATRIX", "CAPELLA", "DENEB", "ELECTRA", "FULU", "GLOAS"];

/// `own`, and the lines of `default` whose keys it does not have. (As text: a parsed version would be a number.)
fn merged(default: &str, own: &str) -> String {
    let key = |line: &str| line.split_once(':').map(|(key, _)| key.to_owned());
    let keys: Vec<_> = own.lines().filter_map(key).collect();
    let kept = default.lines().filter(|line| key(line).is_some_and(|key| !keys.contains(&key)));
    kept.chain(own.lines()).map(|line| format!("{line}\n")).collect()
}
