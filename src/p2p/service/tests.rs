//! What the network task does by itself, looked at from inside.

use tempfile::TempDir;

use super::*;
use crate::p2p::{
    budget::{BudgetConfig, Way},
    config::DEFAULT_MAX_PEERS,
    discovery::DiscoveryConfig,
    lacks::Line,
    tests::config,
};

/// A task that does not run, with discovery.
async fn idle(dir: &TempDir, change: impl FnOnce(&mut P2pConfig)) -> Service {
    let mut config = config(dir);
    config.discovery = Some(DiscoveryConfig {
        port: None,
        boot_nodes: Vec::new(),
        private_addresses: false,
        peers_file: dir.path().join("peers"),
        chain: Default::default(),
    });
    change(&mut config);
    setup::prepare(config).await.unwrap().0
}

#[test]
fn only_a_new_topic_hurries_discovery() {
    let dir = tempfile::tempdir().unwrap();
    let mut service = smol::block_on(idle(&dir, |_| ()));
    let mut hurries = |topic, listens| {
        let later = Instant::now() + Duration::from_secs(3600);
        service.discovery.as_mut().unwrap().searched_at_target(false, later);
        service.on_command(Command::Listen { topic, listens });
        service.discovery.as_ref().unwrap().is_due(Instant::now())
    };
    let column = Topic::DataColumnSidecar(7);
    assert!(hurries(column, true));
    // As the chain says it in each epoch.
    assert!(!hurries(column, true));
    assert!(!hurries(Topic::BeaconBlock, true));
    assert!(!hurries(column, false));
    assert!(!hurries(column, false));
    assert!(hurries(column, true));
}

/// The warnings of the first look.
fn first_warnings(change: impl FnOnce(&mut P2pConfig)) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let mut service = smol::block_on(idle(&dir, change));
    let subnets = service.subnet_peers();
    let lines = service.lacks_now(&subnets, Instant::now());
    lines.into_iter().map(|line| if let Line::Warning(text) = line { text } else { panic!("{line:?}") }).collect()
}

#[test]
fn what_is_too_little_by_the_flags_is_said_at_the_start() {
    let limit = |up| BudgetConfig { download: None, upload: Some(up), data_cap: None };
    assert_eq!(first_warnings(|config| config.max_peers = DEFAULT_MAX_PEERS), Vec::<String>::new());
    let few = first_warnings(|config| config.max_peers = 3);
    assert!(few.len() == 1 && few[0].contains("--target-peers 3"), "{few:?}");
    let slow = first_warnings(|config| config.budget = limit(12_500));
    assert!(slow.len() == 1 && slow[0].contains("0.1 mbit/s up (--max-bandwidth or --max-upload)"), "{slow:?}");
    assert_eq!(first_warnings(|config| config.budget = limit(12_500_000)), Vec::<String>::new());
}

#[test]
fn the_debt_of_a_way_is_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let limits = BudgetConfig { download: Some(12_500_000), upload: Some(12_500_000), data_cap: None };
    let mut service = smol::block_on(idle(&dir, |config| config.budget = limits));
    // For ten minutes, before each look as much goes as a minute has room for.
    let begin = Instant::now();
    let mut said = Vec::new();
    for look in 0..=60 {
        service.budget.passed(Way::Up, 60 * 12_500_000);
        said.extend(service.lacks_now(&[], begin + Duration::from_secs(10) * look));
    }
    let of_line = |line: &&Line| matches!(line, Line::Warning(text) if text.contains("gossip alone"));
    let said: Vec<&Line> = said.iter().filter(of_line).collect();
    assert!(matches!(said[..], [Line::Warning(text)] if text.contains("more up for 10 minutes")), "{said:?}");
}
