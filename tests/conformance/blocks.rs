//! `sanity/blocks`, `finality`, `random` and `transition`: blocks, one after the other.

use hornero::{
    crypto::PubkeyCache,
    transition::{Checks, Context, TransitionError, state_transition},
    types::{BeaconState, Config, ForkName, SignedBeaconBlock},
};

use super::{
    case::Case,
    config,
    states::{check_post, read, read_in_fork},
};

/// `meta.yaml` of `sanity/blocks`, `finality` and `random`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Meta {
    blocks_count: usize,
    #[serde(default, rename = "bls_setting")]
    _bls_setting: u8,
    #[serde(default, rename = "reveal_deadlines_setting")]
    _reveal_deadlines_setting: u8,
}

/// `meta.yaml` of `transition`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct TransitionMeta {
    post_fork: String,
    fork_epoch: u64,
    blocks_count: usize,
    /// The last block before the fork; both forks have blocks of one shape, so it does not matter here.
    #[serde(default, rename = "fork_block")]
    _fork_block: Option<usize>,
    #[serde(default, rename = "bls_setting")]
    _bls_setting: u8,
}

/// Blocks within a fork.
pub fn run(case: &Case) -> Result<(), String> {
    let Meta { blocks_count, .. } = case.yaml("meta")?;
    import(case, read(case, "pre")?, &config::of(case)?, blocks_count)
}

/// Blocks across the upgrade to the case's fork.
pub fn run_across_forks(case: &Case) -> Result<(), String> {
    let meta: TransitionMeta = case.yaml("meta")?;
    if meta.post_fork != ForkName::Fulu.as_str() {
        return Err(format!("the fork before {} is not known", meta.post_fork));
    }
    let state = read_in_fork(case, "pre", ForkName::Electra)?;
    import(case, state, &config::with_fulu_at(case, meta.fork_epoch)?, meta.blocks_count)
}

fn import(case: &Case, mut state: BeaconState, config: &Config, blocks_count: usize) -> Result<(), String> {
    let keys = PubkeyCache::default();
    let ctx = Context { config, keys: &keys };
    let checks = Checks { signatures: case.bls_is_on()?, ..Checks::ALL };
    let blocks: Result<Vec<SignedBeaconBlock>, _> =
        (0..blocks_count).map(|n| case.ssz(&format!("blocks_{n}"))).collect();
    let result: Result<(), TransitionError> =
        blocks?.iter().try_for_each(|block| state_transition(&mut state, block, &ctx, checks));
    check_post(case, result, state)
}
