//! From flags to a node's configuration.

use argh::FromArgs as _;

use super::*;
use crate::{node::NodeArguments, types::preset::PRESET_BASE};

/// What the flags make of a node on a network of this build's preset.
fn config(flags: &[&str]) -> Result<NodeConfig, String> {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("PRESET_BASE: '{PRESET_BASE}'\nCONFIG_NAME: test\n");
    fs::write(folder.path().join("config.yaml"), text).unwrap();
    let network = ["--network", folder.path().to_str().unwrap()];
    let arguments = NodeArguments::from_args(&["hornero", "node"], &[&network, flags].concat());
    node_config(arguments.map_err(|exit| exit.output)?)
}

#[test]
fn old_blocks_are_fetched_unless_the_user_says_no() {
    assert!(config(&[]).unwrap().backfill);
    assert!(!config(&["--no-backfill"]).unwrap().backfill);
}

#[test]
fn one_way_has_its_own_limit_or_that_of_both() {
    let budget = |flags: &[&str]| {
        let budget = config(flags).unwrap().budget;
        (budget.download, budget.upload)
    };
    // In bytes per second.
    let cases: [(&[&str], _); 6] = [
        (&[], (None, None)),
        (&["--max-bandwidth", "20mbit"], (Some(2_500_000), Some(2_500_000))),
        (&["--max-bandwidth", "20mbit", "--max-upload", "8mbit"], (Some(2_500_000), Some(1_000_000))),
        (&["--max-download", "40mbit", "--max-bandwidth", "20mbit"], (Some(5_000_000), Some(2_500_000))),
        (&["--max-upload", "8mbit"], (None, Some(1_000_000))),
        (&["--max-download", "40mbit", "--max-upload", "8mbit"], (Some(5_000_000), Some(1_000_000))),
    ];
    for (flags, expected) in cases {
        assert_eq!(budget(flags), expected, "{flags:?}");
    }
    assert_eq!(config(&["--data-cap", "500GB"]).unwrap().budget.data_cap, Some(500_000_000_000));
    let Err(error) = config(&["--max-upload", "much"]) else { panic!("a rate of that kind") };
    assert!(error.contains("--max-upload"), "{error}");
}

#[test]
fn peers_are_looked_for_and_reached_by_both_transports_unless_the_user_says_no() {
    let usual = config(&["--port", "9100"]).unwrap();
    let ports = |addrs: &[SocketAddr]| addrs.iter().map(SocketAddr::port).collect::<Vec<_>>();
    assert_eq!((ports(&usual.listen), ports(&usual.listen_quic)), (vec![9100], vec![9101]));
    assert!(usual.discovery.is_some() && usual.upnp);
    let alone = config(&["--no-discovery", "--no-upnp", "--disable-quic"]).unwrap();
    assert!(alone.discovery.is_none() && !alone.upnp && alone.listen_quic.is_empty());
    assert!(config(&["--port", "65535"]).is_err());
}
