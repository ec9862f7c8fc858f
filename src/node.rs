//! Wiring, supervision, shutdown and the command line: the only room that knows all.

pub mod bench;
pub mod blobs;
mod bridge;
pub mod budget;
mod cli;
mod devnet;
mod execution;
mod first_head;
mod forks;
pub mod genesis;
mod import;
mod info;
mod logging;
mod networks;
mod run;
// In the minimal preset only, where a chain is final after half a minute.
#[cfg(all(test, feature = "minimal"))]
mod serving;
#[cfg(test)]
mod simulation;
mod slot_log;
mod supervisor;

use std::process::ExitCode;

pub use cli::{Arguments, BenchArguments, Command, DevnetArguments, ImportArguments, NodeArguments};
pub use networks::{Network, NetworkError};
pub use run::{CheckpointChoice, Finding, NodeConfig, NodeError, RunningNode, start};

/// Runs the command line. The exit code is 0 only when the command did all that it was asked to.
pub fn main() -> ExitCode {
    budget::share_one_arena();
    let arguments: Arguments = argh::from_env();
    if arguments.version {
        println!("hornero {} ({} preset)", env!("CARGO_PKG_VERSION"), crate::types::preset::PRESET_BASE);
        return ExitCode::SUCCESS;
    }
    let Some(command) = arguments.command else {
        eprintln!("hornero: say what to do: node, devnet, import or bench (hornero --help)");
        return ExitCode::FAILURE;
    };
    match execute(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("hornero: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command) -> Result<(), String> {
    match command {
        Command::Node(arguments) => {
            logging::start(&arguments.log_level)?;
            run::until_signal(arguments)
        }
        Command::Devnet(arguments) => {
            logging::start(&arguments.log_level)?;
            devnet::run(arguments)
        }
        Command::Import(arguments) => {
            logging::start(&arguments.log_level)?;
            let (slot, head) = import::import(&arguments)?;
            println!("head at slot {slot}: {head:?}");
            Ok(())
        }
        Command::Bench(arguments) => bench::run(&arguments),
    }
}
