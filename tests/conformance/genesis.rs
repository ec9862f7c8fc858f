//! `genesis`: the first state, and whether a chain may begin with it.

use hornero::{
    crypto::PubkeyCache,
    transition::{Context, initialize_beacon_state_from_eth1, is_valid_genesis_state},
    types::{Deposit, Hash256},
};
use serde::Deserialize;

use super::{
    case::Case,
    config,
    states::{check_equal, read},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Eth1 {
    eth1_block_hash: Hash256,
    eth1_timestamp: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Meta {
    deposits_count: usize,
}

pub fn run(case: &Case) -> Result<(), String> {
    let (config, keys) = (config::of(case)?, PubkeyCache::default());
    let ctx = Context { config: &config, keys: &keys };
    match case.handler.as_str() {
        "initialization" => initialization(case, &ctx),
        "validity" => validity(case, &ctx),
        other => Err(format!("no handler {other}")),
    }
}

fn initialization(case: &Case, ctx: &Context) -> Result<(), String> {
    let Eth1 { eth1_block_hash, eth1_timestamp } = case.yaml("eth1")?;
    let Meta { deposits_count } = case.yaml("meta")?;
    let deposits: Result<Vec<Deposit>, String> =
        (0..deposits_count).map(|n| case.ssz(&format!("deposits_{n}"))).collect();
    let state = initialize_beacon_state_from_eth1(eth1_block_hash, eth1_timestamp, &deposits?, ctx);
    check_equal(state.map_err(|error| error.to_string())?, read(case, "state")?)
}

fn validity(case: &Case, ctx: &Context) -> Result<(), String> {
    let expected: bool = case.yaml("is_valid")?;
    let ours = is_valid_genesis_state(&read(case, "genesis")?, ctx);
    if ours == expected { Ok(()) } else { Err(format!("{ours} instead of {expected}")) }
}
