//! `fork`: the upgrade of a state of the fork before.

use hornero::{
    crypto::PubkeyCache,
    transition::{Context, upgrade_to_fulu},
    types::ForkName,
};
use serde::Deserialize;

use super::{
    case::Case,
    config,
    states::{check_post, read_in_fork},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Meta {
    fork: String,
}

pub fn run(case: &Case) -> Result<(), String> {
    let Meta { fork } = case.yaml("meta")?;
    if fork != "fulu" {
        return Err(format!("no upgrade to {fork}"));
    }
    let (config, keys) = (config::of(case)?, PubkeyCache::default());
    let mut state = read_in_fork(case, "pre", ForkName::Electra)?;
    let result = upgrade_to_fulu(&mut state, &Context { config: &config, keys: &keys });
    check_post(case, result, state)
}
