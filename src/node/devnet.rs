//! `hornero devnet`: a small network in this process that finalizes while one watches.
//!
//! Each node is a complete one, with its own data directory, ports, peers and API on the loopback interface; validators talk
//! to their node over its API. The execution client is the stand-in of the `engine` room; most blocks have blobs. Every second
//! node's stand-in has the blobs before their block comes; the others get columns. Node 1 keeps all their columns, so that
//! whoever joins finds those that it samples, as in a network of thousands; the others keep what their validators ask for. When
//! the chain has finalized, one more node joins by checkpoint sync from the first node's API.

mod goal;
mod members;
mod table;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use futures::StreamExt as _;

use self::{
    goal::{Verdict, judge},
    members::{Devnet, View},
    table::Table,
};
use super::cli::DevnetArguments;
use crate::{
    metrics,
    types::{Slot, preset::*},
};

/// More nodes than this only show that a machine has limits.
const MAX_NODES: usize = 16;
/// More validators than this make the genesis slow and show nothing more.
const MAX_VALIDATORS: usize = 4096;
/// Shorter slots leave no time for three rounds of signatures.
const MIN_SLOT_MS: u64 = 200;
/// As many as Fulu allows in a block where no schedule allows more.
const MAX_BLOBS: usize = 9;
/// Slots after which a chain with this many epochs still to finalize has failed: twice the epochs, and as many again for a
/// slow machine's start.
const SPARE_EPOCHS: u64 = 6;

/// Runs the network until the goal is reached, or until SIGINT or SIGTERM.
///
/// # Errors
/// When it can't start, a node fails, the nodes disagree, or the goal is not reached in time; a sentence for the user.
pub fn run(arguments: DevnetArguments) -> Result<(), String> {
    check(&arguments)?;
    let datadir = Datadir::new(&arguments)?;
    smol::block_on(async {
        let started = Instant::now();
        let mut devnet = Devnet::start(&arguments, &datadir.path).await?;
        let work = async {
            match arguments.member {
                Some(_) => follow(&devnet, &arguments).await,
                None => watch(&mut devnet, &arguments, started).await,
            }
        };
        let result = smol::future::or(work, signal(&arguments)).await;
        devnet.stop().await;
        result
    })
}

fn check(arguments: &DevnetArguments) -> Result<(), String> {
    let least = (SLOTS_PER_EPOCH as usize).max(arguments.nodes);
    if arguments.nodes == 0 || arguments.nodes > MAX_NODES {
        return Err(format!("--nodes {}: choose 1 to {MAX_NODES}", arguments.nodes));
    }
    if arguments.validators < least || arguments.validators > MAX_VALIDATORS {
        // Every slot needs a committee, and every node a validator.
        return Err(format!("--validators {}: choose {least} to {MAX_VALIDATORS}", arguments.validators));
    }
    if arguments.slot_ms < MIN_SLOT_MS || arguments.slot_ms > 600_000 {
        return Err(format!("--slot-ms {}: choose {MIN_SLOT_MS} to 600000", arguments.slot_ms));
    }
    if arguments.blobs > MAX_BLOBS {
        return Err(format!("--blobs {}: choose 0 to {MAX_BLOBS}", arguments.blobs));
    }
    if arguments.member.is_some_and(|member| member == 0 || member > arguments.nodes) {
        return Err(format!("--member: choose 1 to {}, or give more --nodes", arguments.nodes));
    }
    if arguments.member.is_some() && (arguments.genesis_time.is_none() || arguments.datadir.is_none()) {
        return Err("--member: all members need the same --genesis-time and --datadir, too".into());
    }
    if arguments.until_finalized == Some(0) {
        return Err("--until-finalized 0: the genesis is final from the start; choose 1 or more".into());
    }
    Ok(())
}

/// Where the nodes' data is. A temporary folder is removed in the end.
struct Datadir {
    path: PathBuf,
    is_temporary: bool,
}

impl Datadir {
    fn new(arguments: &DevnetArguments) -> Result<Self, String> {
        let temporary = || std::env::temp_dir().join(format!("hornero-devnet-{}", std::process::id()));
        let path = arguments.datadir.clone().unwrap_or_else(temporary);
        // A devnet begins with a genesis of its own: what another one left can't be continued.
        let is_mine = arguments.member.is_some();
        if path.join("node1").exists() && !is_mine {
            return Err(format!(
                "{} holds another devnet's data: remove it, or choose another --datadir",
                path.display()
            ));
        }
        std::fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Datadir { path, is_temporary: arguments.datadir.is_none() })
    }
}

impl Drop for Datadir {
    fn drop(&mut self) {
        if self.is_temporary {
            // Nothing is lost if it stays: the system clears its temporary folder.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Ends at SIGINT or SIGTERM: well, unless there was a goal.
async fn signal(arguments: &DevnetArguments) -> Result<(), String> {
    let wanted = [async_signal::Signal::Int, async_signal::Signal::Term];
    let mut signals =
        async_signal::Signals::new(wanted).map_err(|error| format!("signals can't be caught: {error}"))?;
    signals.next().await;
    match arguments.until_finalized {
        Some(epoch) => Err(format!("stopped before epoch {epoch} was final")),
        None => Ok(()),
    }
}

/// What happened, for the report.
#[derive(Default)]
struct Story {
    finalized_after: Option<(Duration, Slot)>,
    joined: Option<(Instant, Slot)>,
    caught_up_after: Option<Duration>,
}

/// One node of a network of several processes: says what it sees, until it is stopped.
async fn follow(devnet: &Devnet, arguments: &DevnetArguments) -> Result<(), String> {
    let mut table = Table::new();
    for (record, api) in devnet.addresses() {
        table.say(&format!("API at http://{api}; our record is {record}"));
    }
    loop {
        devnet.wait(Duration::from_millis(arguments.slot_ms / 2)).await?;
        table.draw(&devnet.views().await);
    }
}

async fn watch(devnet: &mut Devnet, arguments: &DevnetArguments, started: Instant) -> Result<(), String> {
    let mut table = Table::new();
    let mut story = Story::default();
    let last_slot = arguments.until_finalized.map(|epoch| 2 * (epoch + SPARE_EPOCHS) * SLOTS_PER_EPOCH);
    loop {
        devnet.wait(Duration::from_millis(arguments.slot_ms / 2)).await?;
        let views = devnet.views().await;
        table.draw(&views);
        let is_final = |epoch| views.iter().all(|view| view.finalized.epoch >= epoch);
        if story.joined.is_none() && is_final(1) {
            story.finalized_after = Some((devnet.since_genesis(), devnet.slot()));
            table.say(&format!(
                "finalized at slot {}, {:.0} s after genesis; one more node joins by checkpoint sync from node 1",
                devnet.slot(),
                devnet.since_genesis().as_secs_f64()
            ));
            story.joined = Some((Instant::now(), devnet.slot()));
            devnet.join().await?;
            continue;
        }
        let verdict = judge(&views);
        if let Verdict::Disagree(why) = &verdict {
            return Err(format!("the nodes disagree: {why}"));
        }
        if let Some((joined, _)) = story.joined
            && story.caught_up_after.is_none()
            && verdict == Verdict::Agree
        {
            story.caught_up_after = Some(joined.elapsed());
        }
        let goal = arguments.until_finalized;
        if story.caught_up_after.is_some() && verdict == Verdict::Agree && goal.is_some_and(is_final) {
            table.say(&report(&views, &story, started));
            return Ok(());
        }
        if last_slot.is_some_and(|last| devnet.slot() > last) {
            let why = if let Verdict::NotYet(why) = verdict { why } else { "it is not final".into() };
            return Err(format!("epoch {} is not final by slot {}: {why}", goal.unwrap_or_default(), devnet.slot()));
        }
    }
}

fn report(views: &[View], story: &Story, started: Instant) -> String {
    let first = &views[0];
    let mut text = format!(
        "all {} nodes agree: epoch {} is final (root {:?}), head at slot {}\n",
        views.len(),
        first.finalized.epoch,
        first.finalized.root,
        first.head_slot
    );
    if let Some((after, slot)) = story.finalized_after {
        text += &format!("first finality: slot {slot}, {:.0} s after genesis\n", after.as_secs_f64());
    }
    if let (Some((_, slot)), Some(after)) = (story.joined, story.caught_up_after) {
        text += &format!("the last node joined at slot {slot} and had caught up {:.1} s later\n", after.as_secs_f64());
    }
    let peak =
        metrics::peak_resident_bytes().map_or_else(String::new, |bytes| format!(", {} MiB at most", bytes >> 20));
    let cpu = metrics::processor_seconds().map_or_else(String::new, |seconds| format!(", {seconds:.0} s of CPU time"));
    text + &format!("the whole process: {:.0} s{cpu}{peak}", started.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments() -> DevnetArguments {
        DevnetArguments {
            nodes: 4,
            validators: 64,
            slot_ms: 1000,
            blobs: 3,
            discovery: false,
            member: None,
            genesis_time: None,
            boot_nodes: None,
            until_finalized: None,
            datadir: None,
            log_level: "warn".into(),
        }
    }

    #[test]
    fn impossible_networks_are_refused_with_the_option() {
        assert!(check(&arguments()).is_ok());
        for (wrong, option) in [
            (DevnetArguments { nodes: 0, ..arguments() }, "--nodes"),
            (DevnetArguments { nodes: MAX_NODES + 1, ..arguments() }, "--nodes"),
            (DevnetArguments { validators: 3, ..arguments() }, "--validators"),
            (DevnetArguments { member: Some(5), ..arguments() }, "--member"),
            (DevnetArguments { member: Some(1), ..arguments() }, "--genesis-time"),
            (DevnetArguments { blobs: MAX_BLOBS + 1, ..arguments() }, "--blobs"),
            (DevnetArguments { slot_ms: 0, ..arguments() }, "--slot-ms"),
            (DevnetArguments { until_finalized: Some(0), ..arguments() }, "--until-finalized"),
        ] {
            let error = check(&wrong).unwrap_err();
            assert!(error.contains(option), "{error}");
        }
    }

    #[test]
    fn no_block_has_more_blobs_than_the_chain_allows() {
        let config = crate::node::genesis::devnet_config(0, 1000);
        assert_eq!(config.max_blobs(0), MAX_BLOBS as u64);
    }

    #[test]
    fn a_folder_with_another_devnet_is_not_used_and_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("node1")).unwrap();
        let arguments = DevnetArguments { datadir: Some(folder.path().into()), ..arguments() };
        assert!(Datadir::new(&arguments).is_err());
        assert!(folder.path().join("node1").exists());
    }

    #[test]
    fn a_temporary_folder_is_removed() {
        let datadir = Datadir::new(&arguments()).unwrap();
        let path = datadir.path.clone();
        assert!(path.exists());
        drop(datadir);
        assert!(!path.exists());
    }
}
