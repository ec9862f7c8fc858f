//! Whether both sides are set up for the same chain, asked once they meet.

use serde::Deserialize;

use super::{
    ExecutionClient,
    error::ClientError,
    link::Session,
    method::{ETH_CHAIN_ID, ETH_GET_BLOCK_BY_NUMBER, ForkMethods},
};
use crate::{
    engine::json::Quantity,
    types::{Config, ForkName, Hash256},
};

/// Seconds that a block may be from the future: more is a clock that is wrong.
const AHEAD: u64 = 15;

/// What the client says of its chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Its chain.
    pub chain_id: u64,
    /// Its newest block.
    pub latest: LatestBlock,
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

#[derive(Deserialize)]
struct HeaderJson {
    number: Quantity,
    hash: Hash256,
    timestamp: Quantity,
}

impl ExecutionClient {
    /// The client's chain and its newest block.
    /// <https://github.com/ethereum/execution-apis/blob/033ca6e69/src/engine/common.md#underlying-protocol>
    ///
    /// # Errors
    /// When it can't be asked.
    pub async fn setup(&self) -> Result<Setup, ClientError> {
        let Quantity(chain_id) = self.call_for(ETH_CHAIN_ID, &[(); 0]).await?;
        let header: HeaderJson = self.call_for(ETH_GET_BLOCK_BY_NUMBER, &("latest", false)).await?;
        let latest = LatestBlock { number: header.number.0, hash: header.hash, timestamp: header.timestamp.0 };
        Ok(Setup { chain_id, latest })
    }
}

impl Setup {
    /// What is wrong with it, each in a sentence that says what to do; at the time `now`, in seconds since 1970.
    pub fn problems(&self, config: &Config, now: u64) -> Vec<String> {
        let mut problems = Vec::new();
        let (theirs, ours) = (self.chain_id, config.deposit_chain_id);
        if theirs != ours {
            let network = &config.config_name;
            problems.push(format!(
                "the execution client is for chain {theirs}, and we follow {network}, which is chain {ours}: start both with the \
                 same network"
            ));
        }
        if self.latest.timestamp > now + AHEAD {
            let ahead = self.latest.timestamp - now;
            problems.push(format!(
                "the execution client's newest block is {ahead} s ahead of our clock: set this machine's clock right (timedatectl)"
            ));
        }
        problems
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

    #[test]
    fn another_chain_and_a_wrong_clock_are_named() {
        let latest = LatestBlock { number: 1, hash: Hash256::ZERO, timestamp: 1_000 };
        let config = Config::default();
        let setup = |chain_id| Setup { chain_id, latest };
        assert!(setup(config.deposit_chain_id).problems(&config, 1_000).is_empty());
        let problems = setup(17_000).problems(&config, 900);
        assert!(problems[0].contains("chain 17000") && problems[1].contains("100 s ahead"), "{problems:?}");
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
