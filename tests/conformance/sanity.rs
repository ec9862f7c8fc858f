//! `sanity`: empty slots, and blocks.

use hornero::{
    crypto::PubkeyCache,
    transition::{Context, process_slots},
};

use super::{
    blocks,
    case::Case,
    config,
    states::{check_post, read},
};

pub fn run(case: &Case) -> Result<(), String> {
    match case.handler.as_str() {
        "blocks" => blocks::run(case),
        "slots" => slots(case),
        other => Err(format!("no handler {other}")),
    }
}

fn slots(case: &Case) -> Result<(), String> {
    let (config, keys) = (config::of(case)?, PubkeyCache::default());
    let mut state = read(case, "pre")?;
    let slots: u64 = case.yaml("slots")?;
    let target = state.slot + slots;
    let result = process_slots(&mut state, target, &Context { config: &config, keys: &keys });
    check_post(case, result, state)
}
