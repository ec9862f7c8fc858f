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
    /// The last block before the fork.
    #[serde(default)]
    fork_block: Option<usize>,
    #[serde(default, rename = "bls_setting")]
    _bls_setting: u8,
}

/// Blocks within a fork.
pub fn run(case: &Case) -> Result<(), String> {
    let Meta { blocks_count, .. } = case.yaml("meta")?;
    let forks = vec![case.fork()?; blocks_count];
    import(case, read(case, "pre")?, &config::of(case)?, &forks)
}

/// Blocks across the upgrade to the case's fork.
pub fn run_across_forks(case: &Case) -> Result<(), String> {
    let meta: TransitionMeta = case.yaml("meta")?;
    let (post, pre) = upgrade_of(&meta.post_fork)?;
    let is_before = |n| meta.fork_block.is_some_and(|last| n <= last);
    let forks: Vec<ForkName> = (0..meta.blocks_count).map(|n| if is_before(n) { pre } else { post }).collect();
    let state = read_in_fork(case, "pre", pre)?;
    import(case, state, &config::with_fork_at(case, post, meta.fork_epoch)?, &forks)
}

/// The fork of this name, and the one before it.
pub fn upgrade_of(post: &str) -> Result<(ForkName, ForkName), String> {
    let unknown = || format!("the fork before {post} is not known");
    let post = ForkName::from_name(post).ok_or_else(unknown)?;
    Ok((post, post.previous().ok_or_else(unknown)?))
}

/// Imports as many blocks as there are `forks`, each of its fork.
fn import(case: &Case, mut state: BeaconState, config: &Config, forks: &[ForkName]) -> Result<(), String> {
    let keys = PubkeyCache::default();
    let ctx = Context { config, keys: &keys };
    let checks = Checks { signatures: case.bls_is_on()?, ..Checks::ALL };
    let blocks: Result<Vec<SignedBeaconBlock>, _> =
        forks.iter().enumerate().map(|(n, fork)| case.block_of(*fork, &format!("blocks_{n}"))).collect();
    let result: Result<(), TransitionError> =
        blocks?.iter().try_for_each(|block| state_transition(&mut state, block, &ctx, checks));
    check_post(case, result, state)
}
