//! Where log lines go: to standard error, so that standard output is a command's own.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Libraries' own chatter that would drown ours.
const QUIET: &str = "libp2p=error,libp2p_core=error,libp2p_gossipsub=error,libp2p_swarm=error,sled=warn,hyper=warn,ureq=warn,rustls=warn,yamux=error,multistream_select=warn";

/// Starts logging at a level, or by a filter. A second call changes nothing.
///
/// # Errors
/// When `level` is neither.
pub fn start(level: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(format!("{QUIET},{level}"))
        .map_err(|error| format!("--log-level {level}: {error}; use error, warn, info, debug or trace"))?;
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .try_init();
    // Already started by another command in this process, as in tests.
    drop(started);
    Ok(())
}
