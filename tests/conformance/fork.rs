//! `fork`: the upgrade of a state of the fork before.

use hornero::{
    crypto::PubkeyCache,
    transition::{Context, upgrade_to},
};
use serde::Deserialize;

use super::{
    blocks::upgrade_of,
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
    let (post, pre) = upgrade_of(&fork)?;
    let (config, keys) = (config::of(case)?, PubkeyCache::default());
    let mut state = read_in_fork(case, "pre", pre)?;
    let result = upgrade_to(&mut state, post, &Context { config: &config, keys: &keys });
    check_post(case, result, state)
}
