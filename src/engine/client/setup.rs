//! Whether both sides are set up for the same chain, asked once they meet.

use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::{
    ExecutionClient,
    error::ClientError,
    link::Session,
    method::{ETH_CHAIN_ID, ETH_CONFIG, ETH_GET_BLOCK_BY_NUMBER, ForkMethods},
};
use crate::{
    engine::{Activation, json::Quantity, schedule},
    types::{Config, ForkName, Hash256, preset::FAR_FUTURE_EPOCH},
};

/// Seconds that a block may be from the future: more is a clock that is wrong.
const AHEAD: u64 = 15;
/// Seconds that both sides' clocks may differ before somebody should look. Answers tell whole seconds, and take a moment.
const APART: u64 = 5;

/// What the client says of its chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Its chain.
    pub chain_id: u64,
    /// Its newest block.
    pub latest: LatestBlock,
    /// Seconds by which its clock is ahead of ours; none if its answers don't tell.
    pub clock_ahead: Option<i64>,
    /// Its forks; none if it does not tell them.
    pub forks: Option<ForkPlan>,
}

/// A block of the client's chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatestBlock {
    /// Its height.
    pub number: u64,
    /// Its hash.
    pub hash: Hash256,
    /// Seconds since 1970.
    pub timestamp: u64,
}

/// What `eth_config` answers, as far as we compare it. <https://eips.ethereum.org/EIPS/eip-7910>
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForkPlan {
    /// The rules of now.
    pub current: Rules,
    /// Those after them, if any are planned.
    pub next: Option<Rules>,
    /// The last that are planned, if any are.
    pub last: Option<Rules>,
}

/// Rules of the client's chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rules {
    /// Since when, in seconds since 1970. Rules from the chain's first block on may have none, or 0.
    #[serde(default)]
    pub activation_time: Option<u64>,
    /// About blobs; none before there were any.
    #[serde(default)]
    pub blob_schedule: Option<BlobRules>,
}

/// How many blobs a payload may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobRules {
    /// At most.
    pub max: u64,
}

#[derive(Deserialize)]
struct HeaderJson {
    number: Quantity,
    hash: Hash256,
    timestamp: Quantity,
}

impl ExecutionClient {
    /// The client's chain, its newest block, its clock and its forks.
    /// <https://github.com/ethereum/execution-apis/blob/033ca6e69/src/engine/common.md#underlying-protocol>
    ///
    /// # Errors
    /// When it can't be asked. It need not tell its forks.
    pub async fn setup(&self) -> Result<Setup, ClientError> {
        let Quantity(chain_id) = self.call_for(ETH_CHAIN_ID, &[(); 0]).await?;
        let header: HeaderJson = self.call_for(ETH_GET_BLOCK_BY_NUMBER, &("latest", false)).await?;
        let latest = LatestBlock { number: header.number.0, hash: header.hash, timestamp: header.timestamp.0 };
        let forks = match self.call_for(ETH_CONFIG, &[(); 0]).await {
            Err(error) if error.is_silence() => return Err(error),
            // It is no method of the Engine API: older clients don't have it, or not at this address.
            forks => forks.ok(),
        };
        Ok(Setup { chain_id, latest, clock_ahead: self.http.clock_ahead(), forks })
    }
}

impl Setup {
    /// What is wrong with it, each in a sentence that says what to do; at the time `now`, in seconds since 1970, on a network
    /// that began at `genesis_time`.
    pub fn problems(&self, config: &Config, genesis_time: u64, now: u64) -> Vec<String> {
        let mut problems = Vec::new();
        let (theirs, ours) = (self.chain_id, config.deposit_chain_id);
        if theirs != ours {
            let network = &config.config_name;
            problems.push(format!(
                "the execution client is for chain {theirs}, and we follow {network}, which is chain {ours}: start both with the \
                 same network"
            ));
        }
        problems.extend(self.clock_problem(now));
        // Another chain has other forks: that much is said already.
        if theirs == ours {
            problems.extend(self.forks.as_ref().and_then(|plan| plan.problem(config, genesis_time, now)));
        }
        problems
    }

    fn clock_problem(&self, now: u64) -> Option<String> {
        if let Some(apart) = self.clock_ahead.filter(|ahead| ahead.unsigned_abs() > APART) {
            let (seconds, which) = (apart.unsigned_abs(), if apart > 0 { "ahead of" } else { "behind" });
            return Some(format!(
                "the execution client's clock is {seconds} s {which} ours: set the clocks of both machines right (timedatectl)"
            ));
        }
        let ahead = self.latest.timestamp.checked_sub(now).filter(|ahead| *ahead > AHEAD)?;
        Some(format!(
            "the execution client's newest block is {ahead} s ahead of our clock: set this machine's clock right (timedatectl)"
        ))
    }
}

impl ForkPlan {
    /// How it differs from our configuration, and what to do.
    fn problem(&self, config: &Config, genesis_time: u64, now: u64) -> Option<String> {
        let ours = schedule(config, genesis_time);
        let begun = ours.iter().filter(|activation| activation.time <= now).count();
        // The merge had no time in the execution client's configuration.
        let current = ours[..begun].last().filter(|current| current.fork > ForkName::Bellatrix)?;
        let is_same = |theirs: &Rules, ours: &Activation| theirs.is_same(ours, genesis_time);
        if !is_same(&self.current, current) {
            let (theirs, ours) = (self.current, describe(current));
            return Some(format!(
                "the execution client follows other rules than we do: its last change was at {theirs}, and ours was {ours}; start \
                 both with the same network, and update the older one"
            ));
        }
        let (next, last) = (ours.get(begun), ours.last().filter(|last| last.time > now));
        // What comes after the forks that this program knows can't be compared.
        let is_all = config.gloas_fork_epoch == FAR_FUTURE_EPOCH;
        for (theirs, ours, which) in [(&self.next, next, "next"), (&self.last, last, "last planned")] {
            let differs = match (theirs, ours) {
                (Some(theirs), Some(ours)) => !is_same(theirs, ours) && (is_all || which == "next"),
                (None, None) => false,
                (Some(_), None) => is_all,
                (None, Some(_)) => true,
            };
            if differs {
                let theirs = theirs.map_or("none".into(), |rules| format!("at {rules}"));
                let ours = ours.map_or("none".into(), describe);
                return Some(format!(
                    "the execution client plans other forks than we do: its {which} change of rules is {theirs}, and ours is \
                     {ours}; update the older one before that, or the two will part"
                ));
            }
        }
        None
    }
}

impl Rules {
    fn time(&self) -> u64 {
        self.activation_time.unwrap_or_default()
    }

    /// Rules from the first block on may have any time until then.
    fn is_same(&self, ours: &Activation, genesis_time: u64) -> bool {
        let is_first = ours.time <= genesis_time && self.time() <= genesis_time;
        (is_first || self.time() == ours.time) && self.blob_schedule.is_none_or(|blobs| blobs.max == ours.max_blobs)
    }
}

impl std::fmt::Display for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&date(self.time()))?;
        self.blob_schedule.map_or(Ok(()), |blobs| write!(f, " (at most {} blobs)", blobs.max))
    }
}

fn describe(activation: &Activation) -> String {
    let Activation { time, fork, max_blobs } = activation;
    format!("{fork} at {} (at most {max_blobs} blobs)", date(*time))
}

/// As a person reads it.
fn date(seconds: u64) -> String {
    match UNIX_EPOCH.checked_add(Duration::from_secs(seconds)) {
        // What formats it knows no year after 9999.
        Some(time) if seconds < 250_000_000_000 => httpdate::fmt_http_date(time),
        _ => format!("second {seconds}"),
    }
}

impl Session {
    /// Methods for blocks of `fork` that the client does not have, in a sentence that says what to do.
    pub fn problem(&self, fork: ForkName) -> Option<String> {
        let needed = ForkMethods::of(fork)?.needed().map(|method| method.name);
        let missing: Vec<_> = needed.into_iter().filter(|name| !self.methods.contains(*name)).collect();
        let missing = (!missing.is_empty()).then(|| missing.join(", "))?;
        Some(format!("the execution client lacks {missing}, which blocks of {fork} need: update it"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{BlobParameters, preset::SLOTS_PER_EPOCH};

    const GENESIS: u64 = 1_700_000_000;

    /// Fulu from epoch 4 on, more blobs from epoch 6 on.
    fn config() -> Config {
        let blob_schedule = vec![BlobParameters { epoch: 6, max_blobs_per_block: 15 }];
        Config { blob_schedule, ..Config::default().with_fork_at(ForkName::Fulu, 4) }
    }

    fn start_of(epoch: u64) -> u64 {
        GENESIS + epoch * SLOTS_PER_EPOCH * config().slot_duration_ms / 1000
    }

    fn rules(activation_time: u64, max: u64) -> Rules {
        Rules { activation_time: Some(activation_time), blob_schedule: Some(BlobRules { max }) }
    }

    fn setup(now: u64, forks: Option<ForkPlan>) -> Setup {
        let latest = LatestBlock { number: 1, hash: Hash256::ZERO, timestamp: now };
        Setup { chain_id: config().deposit_chain_id, latest, clock_ahead: Some(1), forks }
    }

    fn problem(epoch: u64, current: Rules, next: Option<Rules>, last: Option<Rules>) -> Option<String> {
        let mut problems = setup(start_of(epoch), Some(ForkPlan { current, next, last })).problems(
            &config(),
            GENESIS,
            start_of(epoch),
        );
        assert!(problems.len() < 2, "{problems:?}");
        problems.pop()
    }

    #[test]
    fn another_chain_is_named() {
        let now = start_of(1);
        assert_eq!(setup(now, None).problems(&config(), GENESIS, now), [""; 0]);
        let other = Setup { chain_id: 17_000, ..setup(now, None) };
        let problems = other.problems(&config(), GENESIS, now);
        assert!(problems[0].contains("chain 17000") && problems[0].contains("same network"), "{problems:?}");
    }

    #[test]
    fn a_wrong_clock_is_named() {
        let now = start_of(1);
        let problems = setup(now, None).problems(&config(), GENESIS, now - 100);
        assert!(problems[0].contains("100 s ahead of our clock"), "{problems:?}");
        for (ahead, words) in [(7, "7 s ahead of ours"), (-8, "8 s behind ours")] {
            let apart = Setup { clock_ahead: Some(ahead), ..setup(now, None) };
            let problems = apart.problems(&config(), GENESIS, now);
            assert!(problems[0].contains(words) && problems[0].contains("timedatectl"), "{problems:?}");
        }
        let silent = Setup { clock_ahead: None, ..setup(now, None) };
        assert_eq!(silent.problems(&config(), GENESIS, now), [""; 0]);
    }

    #[test]
    fn the_same_forks_are_no_problem_at_any_time() {
        let (first, fulu, more) = (rules(0, 9), rules(start_of(4), 9), rules(start_of(6), 15));
        assert_eq!(problem(0, first, Some(fulu), Some(more)), None);
        assert_eq!(problem(4, fulu, Some(more), Some(more)), None);
        assert_eq!(problem(7, more, None, None), None);
        let unsaid = Rules { activation_time: None, blob_schedule: None };
        assert_eq!(problem(0, unsaid, Some(fulu), Some(more)), None);
    }

    #[test]
    fn other_forks_are_named_with_what_to_do() {
        let (first, fulu, more) = (rules(0, 9), rules(start_of(4), 9), rules(start_of(6), 15));
        let none_planned = problem(0, first, None, None).unwrap();
        assert!(none_planned.contains("next change of rules is none, and ours is fulu at"), "{none_planned}");
        assert!(none_planned.contains("update the older one"), "{none_planned}");
        // An old client at the fork: it goes on with the rules before.
        let old = problem(4, first, None, None).unwrap();
        assert!(old.contains("follows other rules") && old.contains("ours was fulu at"), "{old}");
        let late = problem(0, first, Some(rules(start_of(5), 9)), Some(more)).unwrap();
        assert!(late.contains(&date(start_of(5))) && late.contains(&date(start_of(4))), "{late}");
        let fewer = problem(0, first, Some(fulu), Some(rules(start_of(6), 12))).unwrap();
        assert!(fewer.contains("last planned") && fewer.contains("at most 12 blobs"), "{fewer}");
        let unknown = problem(7, more, Some(rules(start_of(9), 21)), Some(rules(start_of(9), 21))).unwrap();
        assert!(unknown.contains("ours is none"), "{unknown}");
    }

    #[test]
    fn what_the_api_answers_is_read() {
        let answer = r#"{"current":{"activationTime":540,"blobSchedule":{"target":14,"max":21,
            "baseFeeUpdateFraction":11684671},"chainId":"0xc72dd9d5e883e","forkId":"0xe272ecbe","precompiles":{}},
            "next":null,"last":null}"#;
        let plan: ForkPlan = serde_json::from_str(answer).unwrap();
        assert_eq!(plan, ForkPlan { current: rules(540, 21), next: None, last: None });
    }

    #[test]
    fn an_old_client_is_told_to_be_updated() {
        let methods = ["engine_newPayloadV4", "engine_forkchoiceUpdatedV3", "engine_getPayloadV4"];
        let session = Session { methods: methods.map(String::from).into(), versions: Vec::new() };
        assert_eq!(session.problem(ForkName::Electra), None);
        assert!(session.problem(ForkName::Fulu).unwrap().contains("engine_getPayloadV5"));
        assert_eq!(session.problem(ForkName::Altair), None);
    }
}
