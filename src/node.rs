//! Wiring, supervision, shutdown and the command line: the only room that knows all.

mod cli;
pub mod genesis;
mod logging;
mod networks;

/// Runs the command line. The exit code is 0 only when the command did all that it was asked to.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
