//! Wiring, supervision, shutdown and the command line: the only room that knows all.

mod bridge;
mod cli;
mod forks;
pub mod genesis;
mod info;
mod logging;
mod networks;
#[cfg(test)]
mod simulation;
mod slot_log;
mod supervisor;

/// Runs the command line. The exit code is 0 only when the command did all that it was asked to.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
