//! Whether the execution client is set up for the same chain as we are, looked at each time that it is met.

use std::{
    convert::Infallible,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use smol::Timer;

use crate::{
    engine::{ClientError, ExecutionClient},
    metrics::{self, EXECUTION_CLIENT_PROBLEMS},
    types::{Config, Epoch},
};

/// How often we look whether the client was met again.
const LOOK: Duration = Duration::from_secs(2);
/// How often it is checked without a reason: a clock goes wrong by and by, and what is still wrong is said again.
const CHECK_AGAIN: Duration = Duration::from_secs(3600);

/// Checks the client whenever it was met, and now and then, and tells `report` what is wrong.
pub async fn run(
    client: ExecutionClient,
    config: &Config,
    genesis_time: u64,
    mut report: impl FnMut(Vec<String>),
) -> Infallible {
    let mut checked: Option<(u64, Instant)> = None;
    loop {
        let session = client.sessions();
        let is_fresh = checked.is_some_and(|(of, at)| of == session && at.elapsed() < CHECK_AGAIN);
        // While it is not there, that is what is said.
        if !is_fresh
            && client.session().is_some()
            && let Ok(problems) = problems(&client, config, genesis_time).await
        {
            checked = Some((session, Instant::now()));
            report(problems);
        }
        Timer::after(LOOK).await;
    }
}

/// Says what is wrong, or that nothing is.
pub fn say(problems: Vec<String>) {
    metrics::set(&EXECUTION_CLIENT_PROBLEMS, &[], problems.len() as f64);
    problems.iter().for_each(|problem| tracing::error!("{problem}"));
    if problems.is_empty() {
        tracing::info!("the execution client is for the same chain, and its clock and its forks agree with ours");
    }
}

/// What is wrong with the client's chain, clock, forks and methods, each in a sentence that says what to do.
///
/// # Errors
/// When it can't be asked.
pub async fn problems(
    client: &ExecutionClient,
    config: &Config,
    genesis_time: u64,
) -> Result<Vec<String>, ClientError> {
    let setup = client.setup().await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut problems = setup.problems(config, genesis_time, now);
    // The last fork that is planned: the client needs its methods sooner or later.
    let newest = config.fork_name(Epoch::MAX - 1);
    problems.extend(client.session().zip(newest).and_then(|(session, fork)| session.problem(fork)));
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::{
        engine::{Engine, Fault, LatestBlock, Secret, StandInOptions, StandInServer, schedule},
        types::{ForkName, Hash256},
    };

    const GENESIS: u64 = 1_700_000_000;
    const TOO_LONG: Duration = Duration::from_secs(60);

    /// It is checked when it is met, and again when it comes back with another clock.
    #[test]
    fn a_client_is_checked_each_time_that_it_is_met() {
        let folder = tempfile::tempdir().unwrap();
        let (secret, _) = Secret::load_or_make(&folder.path().join("jwt.hex")).unwrap();
        let config = Config::default().in_fork_from_genesis(ForkName::Fulu);
        let options = StandInOptions {
            secret: secret.clone(),
            genesis: LatestBlock { number: 0, hash: Hash256::repeat_byte(0xee), timestamp: GENESIS },
            chain_id: config.deposit_chain_id,
            schedule: schedule(&config, GENESIS),
            maker: Engine::StandIn(Default::default()),
            pool: Default::default(),
            has_short_slots: false,
        };
        let server = StandInServer::start((Ipv4Addr::LOCALHOST, 0).into(), options).unwrap();
        let client = ExecutionClient::new(&server.url(), secret);
        let (told, reports) = async_channel::bounded(8);
        let report = move |problems: Vec<String>| drop(told.try_send(problems));
        let met = async {
            client.upcheck().await.unwrap();
            assert_eq!(reports.recv().await.unwrap(), [""; 0]);
            server.faults().set(Fault::Down);
            while client.trouble().is_none() {
                let _ = client.upcheck().await;
            }
            server.faults().set(Fault::Clock(40));
            while client.session().is_none() {
                let _ = client.upcheck().await;
                smol::future::yield_now().await;
            }
            let problems = reports.recv().await.unwrap();
            assert!(problems.len() == 1 && problems[0].contains("ahead of ours"), "{problems:?}");
        };
        let check = async { match run(client.clone(), &config, GENESIS, report).await {} };
        let late = async {
            Timer::after(TOO_LONG).await;
            panic!("it was not checked in time");
        };
        smol::block_on(smol::future::or(met, smol::future::or(check, late)));
    }
}
