//! The command line. Flags follow the other clients' names.

use std::path::PathBuf;

use argh::FromArgs;

use super::budget::ByteCount;
use crate::{
    p2p::{Bandwidth, ByteAmount, DEFAULT_MAX_PEERS, Exempt},
    types::Hash256,
};

/// An Ethereum beacon node that lives on a single-board computer.
#[derive(FromArgs, Debug)]
pub struct Arguments {
    /// print the version and end
    #[argh(switch)]
    pub version: bool,
    #[allow(missing_docs)] // argh takes a description for a subcommand as an error
    #[argh(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[allow(clippy::large_enum_variant)] // one is made, once
#[derive(FromArgs, Debug)]
#[argh(subcommand)]
pub enum Command {
    /// Follow a chain.
    Node(NodeArguments),
    /// Build a small network on this machine.
    Devnet(DevnetArguments),
    /// Import recorded blocks.
    Import(ImportArguments),
    /// Measure this machine.
    Bench(BenchArguments),
}

/// follow a chain: start from a checkpoint, sync, stay at the head
#[derive(FromArgs, Debug, Clone)]
#[argh(subcommand, name = "node")]
pub struct NodeArguments {
    /// mainnet (default), sepolia, hoodi, gnosis, or a folder with a config.yaml
    #[argh(option, default = "String::from(\"mainnet\")")]
    pub network: String,
    /// folder for the node's data (default ./hornero-data)
    #[argh(option, default = "PathBuf::from(\"hornero-data\")")]
    pub datadir: PathBuf,
    /// addresses of beacon nodes to take the checkpoint from, separated by commas; all must agree
    #[argh(option)]
    pub checkpoint_sync_url: Option<String>,
    /// root of the checkpoint's block, 0x...: refuse any other
    #[argh(option)]
    pub checkpoint_root: Option<Hash256>,
    /// file with the checkpoint's state in SSZ; needs --checkpoint-block
    #[argh(option)]
    pub checkpoint_state: Option<PathBuf>,
    /// file with the checkpoint's block in SSZ
    #[argh(option)]
    pub checkpoint_block: Option<PathBuf>,
    /// accept a checkpoint older than the weak-subjectivity period (test networks only)
    #[argh(switch)]
    pub ignore_ws_check: bool,
    /// peers to connect to besides those that are found, ENR or multiaddr, separated by commas; discovery begins with their
    /// ENRs and the network's own
    #[argh(option)]
    pub boot_nodes: Option<String>,
    /// do not look for peers: only those of --boot-nodes, and those who come
    #[argh(switch)]
    pub no_discovery: bool,
    /// UDP port of discovery (default: the number of --port)
    #[argh(option)]
    pub discovery_port: Option<u16>,
    /// IP address by which others reach this node (default: the one that peers see)
    #[argh(option)]
    pub enr_address: Option<std::net::IpAddr>,
    /// do not ask the router to forward the ports
    #[argh(switch)]
    pub no_upnp: bool,
    /// address to listen on for peers (default 0.0.0.0); may be given twice, once for IPv4 and once for IPv6; `::` alone listens
    /// on both
    #[argh(option)]
    pub listen_address: Vec<std::net::IpAddr>,
    /// TCP port for peers (default 9000; 0 takes a free one)
    #[argh(option, default = "9000")]
    pub port: u16,
    /// UDP port for peers by QUIC (default: the one after --port)
    #[argh(option)]
    pub quic_port: Option<u16>,
    /// connect to peers by TCP only
    #[argh(switch)]
    pub disable_quic: bool,
    /// address of the execution client's Engine API, such as http://127.0.0.1:8551; without one payloads are
    /// not checked, and nothing is done for validators
    #[argh(option)]
    pub execution_endpoint: Option<String>,
    /// file with the secret that the execution client has too (default jwt.hex in --datadir; made if it is missing)
    #[argh(option)]
    pub execution_jwt: Option<PathBuf>,
    /// do not fetch the blocks before the checkpoint, five months of them, that other nodes may ask for
    #[argh(switch)]
    pub no_backfill: bool,
    /// keep old blocks without their payloads, and take these from the execution client, which has them too (default true)
    #[argh(option, default = "true")]
    pub prune_payloads: bool,
    /// peers to be connected to (default 24)
    #[argh(option, default = "DEFAULT_MAX_PEERS")]
    pub target_peers: usize,
    /// networks, such as 192.168.0.0/16, separated by commas, whose addresses may connect any number of peers and are never
    /// banned; `none` for none (default: private and loopback ones)
    #[argh(option, default = "Exempt::default()")]
    pub exempt_addresses: Exempt,
    /// how much of the line may be used, such as 20mbit, each way (default: no limit); gossip and the head go first
    #[argh(option)]
    pub max_bandwidth: Option<Bandwidth>,
    /// the same for what is received
    #[argh(option)]
    pub max_download: Option<Bandwidth>,
    /// the same for what is sent
    #[argh(option)]
    pub max_upload: Option<Bandwidth>,
    /// traffic that a month may have, such as 500GB: shown in the metrics and warned of, not enforced
    #[argh(option)]
    pub data_cap: Option<ByteAmount>,
    /// address of the Beacon API and the metrics (default 127.0.0.1)
    #[argh(option, default = "std::net::IpAddr::from([127, 0, 0, 1])")]
    pub http_address: std::net::IpAddr,
    /// port of the Beacon API and the metrics (default 5052; 0 takes a free one)
    #[argh(option, default = "5052")]
    pub http_port: u16,
    /// resident memory near which caches shrink, such as 1GiB or 768MiB (default 1GiB on boards with 2 GiB or less, otherwise
    /// 2GiB; never more than the service's own limit)
    #[argh(option)]
    pub memory_limit: Option<ByteCount>,
    /// error, warn, info (default), debug or trace, or a filter such as info,hornero::p2p=debug
    #[argh(option, default = "String::from(\"info\")")]
    pub log_level: String,
}

/// build a small network on this machine and watch it finalize
#[derive(FromArgs, Debug, Clone)]
#[argh(subcommand, name = "devnet")]
pub struct DevnetArguments {
    /// how many nodes (default 4)
    #[argh(option, default = "4")]
    pub nodes: usize,
    /// how many validators, shared out among the nodes (default 64)
    #[argh(option, default = "64")]
    pub validators: usize,
    /// length of a slot in milliseconds (default 1000)
    #[argh(option, default = "1000")]
    pub slot_ms: u64,
    /// most blobs of a block, 0 to 9 (default 2): blocks have none, one, two, ... and so many, in turn
    #[argh(option, default = "2")]
    pub blobs: usize,
    /// nodes find each other by discovery: each is told of the first one only
    #[argh(switch)]
    pub discovery: bool,
    /// run only this node, counted from 1, with its share of the validators: the others run in other processes with the same
    /// --nodes, --validators, --slot-ms, --genesis-time and --datadir, and are found by discovery
    #[argh(option)]
    pub member: Option<usize>,
    /// when the chain begins, in Unix seconds (default: in a few seconds)
    #[argh(option)]
    pub genesis_time: Option<u64>,
    /// with --member: the record of a node with which discovery begins
    #[argh(option)]
    pub boot_nodes: Option<String>,
    /// end when all nodes have finalized this epoch; the exit code says whether they agree
    #[argh(option)]
    pub until_finalized: Option<u64>,
    /// folder for the nodes' data (default: a temporary one, removed at the end)
    #[argh(option)]
    pub datadir: Option<PathBuf>,
    /// error, warn (default), info, debug or trace, or a filter
    #[argh(option, default = "String::from(\"warn\")")]
    pub log_level: String,
}

/// import recorded blocks on a checkpoint, without a network, and print the head
#[derive(FromArgs, Debug, Clone)]
#[argh(subcommand, name = "import")]
pub struct ImportArguments {
    /// mainnet (default), sepolia, hoodi, gnosis, or a folder with a config.yaml
    #[argh(option, default = "String::from(\"mainnet\")")]
    pub network: String,
    /// file with the checkpoint's state in SSZ
    #[argh(option)]
    pub checkpoint_state: PathBuf,
    /// file with the checkpoint's block in SSZ
    #[argh(option)]
    pub checkpoint_block: PathBuf,
    /// folder with the blocks, each in a file SLOT.ssz
    #[argh(option)]
    pub blocks: PathBuf,
    /// error, warn, info (default), debug or trace, or a filter
    #[argh(option, default = "String::from(\"info\")")]
    pub log_level: String,
}

/// measure whether this machine can follow mainnet, at mainnet's size
#[derive(FromArgs, Debug, Clone)]
#[argh(subcommand, name = "bench")]
pub struct BenchArguments {
    /// print the figures as JSON
    #[argh(switch)]
    pub json: bool,
    /// a tenth of mainnet's size, and each thing measured fewer times
    #[argh(switch)]
    pub quick: bool,
    /// folder on the disk that the node would use; up to 32 MiB are written to time it, and a file of keys, and removed again
    /// (default the current folder)
    #[argh(option, default = "PathBuf::from(\".\")")]
    pub datadir: PathBuf,
    /// so many validators, all of them active, instead of mainnet's registry of 2300000, of which 950000 are active
    #[argh(option)]
    pub validators: Option<u64>,
    /// file with a Fulu state in SSZ, instead of a synthetic one; needs --block
    #[argh(option)]
    pub state: Option<PathBuf>,
    /// file with a block of the slot after the state's, in SSZ
    #[argh(option)]
    pub block: Option<PathBuf>,
}
