//! Which vectors are run: a case by the build of its preset, `general` by every build. Only forks that the program does not
//! know are a gap.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use hornero::types::preset::PRESET_BASE;

use super::{
    blocks, bls, case::Case, epoch_processing, fork, fork_choice, genesis, kzg, light_client, merkle_proof, networking,
    operations, rewards, sanity, shuffling, ssz_generic, ssz_static,
};

/// Runs one case; the error says what was wrong.
pub type Runner = fn(&Case) -> Result<(), String>;

/// The runner of this name.
pub fn runner(name: &str) -> Option<Runner> {
    match name {
        "bls" => Some(bls::run),
        "epoch_processing" => Some(epoch_processing::run),
        "finality" | "random" => Some(blocks::run),
        "fork" => Some(fork::run),
        "fast_confirmation" | "fork_choice" | "sync" => Some(fork_choice::run),
        "genesis" => Some(genesis::run),
        "kzg" => Some(kzg::run),
        "light_client" => Some(light_client::run),
        "merkle_proof" => Some(merkle_proof::run),
        "networking" => Some(networking::run),
        "operations" => Some(operations::run),
        "rewards" => Some(rewards::run),
        "sanity" => Some(sanity::run),
        "shuffling" => Some(shuffling::run),
        "ssz_generic" => Some(ssz_generic::run),
        "ssz_static" => Some(ssz_static::run),
        "transition" => Some(blocks::run_across_forks),
        _ => None,
    }
}

/// Forks whose cases are not run, with the reason: those of the fork, and those of earlier forks that go on into it, which
/// have its name in front of theirs. The next fork leaves this table when it enters those of `types`.
const GAPS: &[(&str, &str)] = &[("gloas", "the next fork: not built yet")];

/// What is not run: cases by `[preset, fork, runner]`, with the reason.
pub type Gaps = BTreeMap<[String; 3], (usize, &'static str)>;

/// What this build runs, and what no build runs.
pub struct Plan {
    pub cases: Vec<Case>,
    pub gaps: Gaps,
}

/// Walks the folders. Errors on a case that has neither a runner nor a reason, and on files outside of any case. `only`
/// keeps the cases whose path contains it.
pub fn plan(roots: &[PathBuf], only: Option<&str>) -> Result<Plan, String> {
    let mut plan = Plan { cases: Vec::new(), gaps: Gaps::new() };
    for root in roots {
        for path in case_paths(root)? {
            add(&mut plan, root, path.each_ref().map(String::as_str))?;
        }
    }
    if let Some(only) = only {
        plan.cases.retain(|case| case.path().contains(only));
    }
    Ok(plan)
}

fn add(plan: &mut Plan, root: &Path, path: [&str; 6]) -> Result<(), String> {
    let [preset, fork, runner, _, _, name] = path;
    let goes_into = |gap: &str| name.strip_prefix(gap).is_some_and(|rest| rest.starts_with('_'));
    if let Some((_, reason)) = GAPS.iter().find(|(gap, _)| *gap == fork || goes_into(gap)) {
        plan.gaps.entry([preset, fork, runner].map(str::to_owned)).or_insert((0, reason)).0 += 1;
    } else if self::runner(runner).is_none() {
        return Err(format!("{preset}/{fork}/{runner}: run it, or say in sets.rs why not"));
    } else if ["general", PRESET_BASE].contains(&preset) {
        plan.cases.push(Case::new(root, path));
    }
    Ok(())
}

/// The six names of every case below `root`.
fn case_paths(root: &Path) -> Result<Vec<[String; 6]>, String> {
    let mut paths = vec![Vec::new()];
    for _ in 0..6 {
        let mut longer = Vec::new();
        for path in paths {
            for name in folders(&root.join(path.iter().collect::<PathBuf>()))? {
                longer.push([path.as_slice(), &[name]].concat());
            }
        }
        paths = longer;
    }
    Ok(paths.into_iter().map(|path| path.try_into().expect("six names")).collect())
}

/// The names of the folders in a folder, sorted. Errors on a file: above the cases there are only folders.
fn folders(folder: &Path) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))? {
        let path = entry.map_err(|error| error.to_string())?.path();
        if !path.is_dir() {
            return Err(format!("{} belongs to no case", path.display()));
        }
        names.push(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}
