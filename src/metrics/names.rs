//! The table of metrics, by room. A new one is a constant here and a line in [`ALL`].

use super::{Kind, Metric};

const fn counter(name: &'static str, help: &'static str) -> Metric {
    Metric::new(name, Kind::Counter, help)
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric::new(name, Kind::Gauge, help)
}

const fn histogram(name: &'static str, buckets: &'static [f64], help: &'static str) -> Metric {
    Metric::new(name, Kind::Histogram(buckets), help)
}

/// From a cheap check (1 ms) to a block that takes more than a slot on a small board (16 s).
const SECONDS: &[f64] = &[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0];

// The chain as the node sees it.

/// The slot of the clock.
pub const CLOCK_SLOT: Metric = gauge("hornero_clock_slot", "Slot by the clock.");
/// The slot of the head block.
pub const HEAD_SLOT: Metric = gauge("hornero_head_slot", "Slot of the head block.");
/// The justified epoch.
pub const JUSTIFIED_EPOCH: Metric = gauge("hornero_justified_epoch", "Justified epoch of the fork-choice store.");
/// The finalized epoch.
pub const FINALIZED_EPOCH: Metric = gauge("hornero_finalized_epoch", "Finalized epoch of the fork-choice store.");
/// Changes of the head to a block that is no descendant of the last one.
pub const REORGS: Metric = counter("hornero_reorgs_total", "Heads that did not descend from the head before.");

// The chain's tasks.

/// How long each stage of a block task took.
pub const BLOCK_STAGE_SECONDS: Metric =
    histogram("hornero_block_stage_seconds", SECONDS, "Time that a block task spent in each stage, in seconds.")
        .by(&["stage"]);
/// Block tasks by how they ended.
pub const BLOCKS: Metric = counter("hornero_blocks_total", "Block tasks by how they ended.").by(&["outcome"]);
/// Blocks that wait for their parent.
pub const PENDING_BLOCKS: Metric = gauge("hornero_pending_blocks", "Blocks that wait for their parent.");
/// Blocks that wait for columns.
pub const BLOCKS_WANTING_COLUMNS: Metric =
    gauge("hornero_blocks_wanting_columns", "Blocks that wait for columns of their blobs.");
/// Blocks by what was found of their data.
pub const DATA_CHECKS: Metric = counter(
    "hornero_data_checks_total",
    "Blocks with blobs by how their sampled columns came (here, waited, missing).",
)
.by(&["outcome"]);
/// How long each stage of a proposal took.
pub const PROPOSAL_STAGE_SECONDS: Metric = histogram(
    "hornero_proposal_stage_seconds",
    SECONDS,
    "Time of each stage of our own blocks: produce; then decode, cells, import, and publish_columns beside it, in seconds.",
)
.by(&["stage"]);
/// Columns that we made and gossiped.
pub const COLUMNS_PUBLISHED: Metric = counter(
    "hornero_columns_published_total",
    "Columns that we made, of our own blocks (own) or of the execution client's blobs (pool), by whether a peer listens in their \
     subnet (sent, no_peers, failed).",
)
.by(&["origin", "result"]);
/// Columns that were taken in.
pub const COLUMNS: Metric =
    counter("hornero_columns_total", "Verified columns that were kept, by where they came from.").by(&["source"]);
/// How long blocks' data took to come.
pub const DATA_SECONDS: Metric = histogram(
    "hornero_data_seconds",
    SECONDS,
    "Time from the first sign of a block with blobs (itself or a column) until all its sampled columns were here, by what brought \
     the last one (gossip, by_root, pool), in seconds.",
)
.by(&["source"]);
/// What became of the search for blobs in the execution client's pool.
pub const POOL_LOOKUPS: Metric = counter(
    "hornero_pool_lookups_total",
    "Times that the execution client was asked for the blobs of a block, by result (hit, miss, late: all columns came meanwhile, \
     failed, wrong).",
)
.by(&["result"]);
/// How long columns of the pool's blobs took.
pub const POOL_COLUMNS_SECONDS: Metric = histogram(
    "hornero_pool_columns_seconds",
    SECONDS,
    "Time to make a block's columns of blobs that the execution client gave, in seconds.",
);
/// Groups of columns that we keep.
pub const CUSTODY_GROUPS: Metric = gauge("hornero_custody_groups", "Custody groups that others are told we keep.");
/// How long the columns of a batch took.
pub const COLUMN_BATCH_SECONDS: Metric =
    histogram("hornero_column_batch_seconds", SECONDS, "Time to verify a batch of gossiped columns, in seconds.");
/// Blocks that were the first of their branch in an epoch, by whether the epoch's end was done before they came.
pub const FIRST_BLOCKS: Metric =
    counter("hornero_first_blocks_total", "First blocks of an epoch, by whether the epoch was prepared (yes, no).")
        .by(&["prepared"]);
/// What the next epoch's state and committees cost.
pub const PREPARED_BYTES: Metric = gauge(
    "hornero_prepared_bytes",
    "Memory of what was prepared for the next epoch, beside the head's state, in bytes.",
);
/// Validators whose keys were checked.
pub const KEYS_CHECKED: Metric = gauge(
    "hornero_keys_checked",
    "Validators, from the first on, whose decompressed keys are known to be in their file.",
);
/// Messages that wait in each queue.
pub const QUEUE_LENGTH: Metric = gauge("hornero_queue_length", "Messages that wait in each queue.").by(&["queue"]);
/// Messages dropped because a queue was full.
pub const QUEUE_DROPPED: Metric =
    counter("hornero_queue_dropped_total", "Messages dropped because their queue was full.").by(&["queue"]);

/// States in memory.
pub const STATES_HELD: Metric = gauge("hornero_states", "States in memory besides the anchor.");
/// Blocks in the fork choice.
pub const FORK_CHOICE_BLOCKS: Metric = gauge("hornero_fork_choice_blocks", "Blocks in the fork-choice tree.");

// Memory.

/// What each cache takes.
pub const CACHE_BYTES: Metric =
    gauge("hornero_cache_bytes", "Memory of each cache as it counts itself, in bytes.").by(&["cache"]);
/// What all caches take.
pub const CACHE_BYTES_TOTAL: Metric =
    gauge("hornero_caches_bytes", "Memory of all caches, in bytes: the rest of resident memory is everything else.");
/// The limit.
pub const MEMORY_LIMIT: Metric =
    gauge("hornero_memory_limit_bytes", "Resident memory near which caches shrink, in bytes.");
/// How often a cache was made smaller.
pub const CACHES_SHRUNK: Metric =
    counter("hornero_caches_shrunk_total", "Times that a cache was made smaller because memory was short.")
        .by(&["cache"]);

// The network.

/// Connected peers, by who dialled and over what.
pub const PEERS: Metric =
    gauge("hornero_peers", "Connected peers, by who dialled (inbound: the peer) and transport (tcp, quic).")
        .by(&["direction", "transport"]);
/// Verdicts on gossip, by topic.
pub const GOSSIP_VERDICTS: Metric =
    counter("hornero_gossip_verdicts_total", "Gossip messages by topic and verdict (accept, ignore, reject).")
        .by(&["topic", "verdict"]);
/// Connections that were refused.
pub const CONNECTIONS_REFUSED: Metric = counter(
    "hornero_p2p_connections_refused_total",
    "Connections refused, by reason (handshakes, places, inbound, address, banned_address, peer).",
)
.by(&["reason"]);
/// Goodbyes to peers.
pub const GOODBYES_SENT: Metric =
    counter("hornero_p2p_goodbyes_sent_total", "Goodbyes to peers, by reason.").by(&["reason"]);
/// Gossip messages that could be decoded.
pub const GOSSIP_RECEIVED: Metric =
    counter("hornero_p2p_gossip_received_total", "Gossip messages received for the first time, by topic.")
        .by(&["topic"]);
/// Gossip messages that were refused before any validation.
pub const GOSSIP_MALFORMED: Metric = counter(
    "hornero_p2p_gossip_malformed_total",
    "Gossip messages that were too large, did not decompress or were not valid SSZ.",
)
.by(&["topic"]);
/// Gossip that was not sent to peers because too much waits for them.
pub const GOSSIP_UNSENT: Metric = counter(
    "hornero_p2p_gossip_unsent_total",
    "Gossip messages that were not sent because the peer's queue was full: it, or our line, is slow.",
);
/// Gossip messages, with copies.
pub const GOSSIP_COPIES: Metric =
    counter("hornero_p2p_gossip_copies_total", "Gossip messages received, every copy of each counted, by topic.")
        .by(&["topic"]);
/// Bytes of gossip.
pub const GOSSIP_BYTES: Metric = counter(
    "hornero_p2p_gossip_bytes_total",
    "Bytes of gossip messages received, compressed, every copy of each counted, by topic.",
)
.by(&["topic"]);
/// Peers in the meshes.
pub const GOSSIP_MESH_PEERS: Metric =
    gauge("hornero_p2p_mesh_peers", "Peers in a topic's mesh; of topics with subnets, the smallest of their meshes.")
        .by(&["topic"]);
/// Peers by gossipsub's score.
pub const GOSSIP_SCORES: Metric = gauge(
    "hornero_p2p_gossip_scores",
    "Peers by the band that gossipsub's score for them is in: positive, zero, negative, no_gossip, no_publish, graylisted.",
)
.by(&["band"]);
/// Peers on the subnets that we need.
pub const SUBNET_PEERS: Metric = gauge(
    "hornero_p2p_subnet_peers",
    "Connected peers on the subnet, of those of a kind that we need, that has the fewest.",
)
.by(&["topic"]);
/// Requests to peers.
pub const REQUESTS_SENT: Metric =
    counter("hornero_p2p_requests_sent_total", "Requests to peers, by method and result.").by(&["method", "result"]);
/// Requests from peers.
pub const REQUESTS_SERVED: Metric =
    counter("hornero_p2p_requests_served_total", "Requests from peers, by method and result.")
        .by(&["method", "result"]);
/// Bans.
pub const PEERS_BANNED: Metric = counter("hornero_p2p_bans_total", "Peers banned for a while.");
/// Bans of addresses.
pub const ADDRESSES_BANNED: Metric =
    counter("hornero_p2p_address_bans_total", "Addresses banned for a while, as too many peers of one were.");
/// Goodbyes from peers.
pub const GOODBYES_RECEIVED: Metric =
    counter("hornero_p2p_goodbyes_received_total", "Goodbyes from peers, by reason.").by(&["reason"]);
/// How long the first way to the head took.
pub const FIRST_HEAD_SECONDS: Metric = gauge(
    "hornero_first_head_seconds",
    "Seconds until the node was at the head for the first time, since its start or since its first peer.",
)
.by(&["since"]);
/// Dials.
pub const DIALS: Metric =
    counter("hornero_p2p_dials_total", "Connections that we tried to open, by result.").by(&["result"]);
/// Nodes that searches brought.
pub const NODES_FOUND: Metric = counter(
    "hornero_discovery_nodes_found_total",
    "Nodes of our fork that searches brought, by what we made of them (new, known, tried, no_address, private_address).",
)
.by(&["result"]);
/// The size of discv5's table.
pub const DISCOVERY_TABLE: Metric = gauge("hornero_discovery_table_nodes", "Nodes in the table of discovery.");
/// Ends of discovery.
pub const DISCOVERY_RESTARTS: Metric =
    counter("hornero_discovery_restarts_total", "Times that discovery ended by itself and was started again.");
/// Subnets that lack peers.
pub const THIN_SUBNETS: Metric = gauge(
    "hornero_thin_subnets",
    "Subnets that we need and on which we have fewer than four peers, by topic and by what there are (none, few).",
)
.by(&["topic", "peers"]);
/// Whether there are too few peers.
pub const PEERS_BELOW_NEED: Metric = gauge(
    "hornero_p2p_peers_below_need",
    "1 when there have been fewer peers than gossip needs for ten minutes, or there may not be so many, otherwise 0.",
);
/// Whether others reach us.
pub const PORT_REACHABLE: Metric =
    gauge("hornero_port_reachable", "1 when others have reached us from outside of our own network, otherwise 0.");
/// Why peers lost score.
pub const PEERS_PUNISHED: Metric =
    counter("hornero_peers_punished_total", "Penalties given to peers, by reason.").by(&["reason"]);
/// Times that we were late ourselves.
pub const P2P_LATE: Metric = counter(
    "hornero_p2p_late_total",
    "Times that we were late ourselves, for which no peer is blamed, by sign (pause: no rest for two seconds, or stopped; \
     peers: too many seemed to misbehave at once).",
)
.by(&["sign"]);
/// Timeouts that cost nothing.
pub const P2P_EXCUSED: Metric = counter(
    "hornero_p2p_excused_total",
    "Timeouts of peers that cost them nothing, because the network task was late itself.",
);
/// What had to wait for the budget.
pub const BUDGET_DELAYED: Metric = counter(
    "hornero_budget_delayed_bytes_total",
    "Bytes that waited for the bandwidth budget, by direction (down, up) and use (head, custody, serving, backfill).",
)
.by(&["direction", "use"]);
/// How long it waited.
pub const BUDGET_DELAY_SECONDS: Metric = histogram(
    "hornero_budget_delay_seconds",
    SECONDS,
    "Time that what waited for the bandwidth budget waited, in seconds.",
)
.by(&["direction", "use"]);
/// The budget.
pub const BUDGET: Metric =
    gauge("hornero_budget_bytes_per_second", "Bandwidth that we may use (down, up); 0: no limit.").by(&["direction"]);
/// Whether the budget is too small.
pub const BANDWIDTH_BELOW_NEED: Metric = gauge(
    "hornero_bandwidth_below_need",
    "1 when the bandwidth that we may use is less than gossip takes, otherwise 0; by direction (down, up).",
)
.by(&["direction"]);
/// The month's traffic.
pub const MONTH_BYTES: Metric =
    gauge("hornero_network_month_bytes", "Bytes of this calendar month (UTC), by direction (down, up).")
        .by(&["direction"]);
/// The month's cap.
pub const DATA_CAP: Metric =
    gauge("hornero_network_data_cap_bytes", "Bytes that a month may have by --data-cap; 0: no cap.");
/// Bytes received from peers.
pub const BYTES_IN: Metric =
    counter("hornero_network_received_bytes_total", "Bytes received from peers, by transport (tcp, quic, discv5).")
        .by(&["transport"]);
/// Bytes sent to peers.
pub const BYTES_OUT: Metric =
    counter("hornero_network_sent_bytes_total", "Bytes sent to peers, by transport (tcp, quic, discv5).")
        .by(&["transport"]);

/// The slot of the oldest block of the chain that is stored with all after it.
pub const BACKFILL_SLOT: Metric =
    gauge("hornero_backfill_slot", "Slot of the oldest block from which on all blocks of the chain are stored.");
/// From where on peers may ask us.
pub const EARLIEST_AVAILABLE_SLOT: Metric = gauge(
    "hornero_earliest_available_slot",
    "Slot from which on we tell peers to have all that they may ask for: blocks, and the columns that we keep.",
);
/// Where backfill ends.
pub const BACKFILL_TARGET_SLOT: Metric =
    gauge("hornero_backfill_target_slot", "Slot down to which blocks are fetched: the oldest that peers may ask for.");

// The execution client.

/// Whether it answers.
pub const EXECUTION_CLIENT_UP: Metric =
    gauge("hornero_execution_client_up", "1 while the execution client answers, otherwise 0.");
/// How long it takes.
pub const EXECUTION_REQUEST_SECONDS: Metric = histogram(
    "hornero_execution_request_seconds",
    SECONDS,
    "Time that the execution client took to answer, with the way there and back, in seconds.",
)
.by(&["method"]);
/// In how much its setup is wrong.
pub const EXECUTION_CLIENT_PROBLEMS: Metric = gauge(
    "hornero_execution_client_problems",
    "How many of the chain, the clock, the forks and the methods were wrong when the execution client was met; the log says which.",
);
/// Where our own blocks' payloads come from.
pub const PAYLOADS_BUILT: Metric = counter(
    "hornero_payloads_built_total",
    "Payloads of our own blocks, by whether the execution client had begun them ahead of time (yes, no).",
)
.by(&["prepared"]);
/// How it answers.
pub const EXECUTION_REQUESTS: Metric = counter(
    "hornero_execution_requests_total",
    "Calls to the execution client, by method and result (ok, error, timeout, unreachable, auth, nonsense).",
)
.by(&["method", "result"]);

/// Old blocks that were to be stored without their payloads.
pub const BLOCKS_BLINDED: Metric = counter(
    "hornero_blocks_blinded_total",
    "Finalized blocks by whether they are stored without their payload (blinded), or with it because the execution client \
     does not have it (kept).",
)
.by(&["result"]);
/// Payloads that were asked for again.
pub const PAYLOADS_REQUESTED: Metric = counter(
    "hornero_payloads_requested_total",
    "Payloads of blinded blocks that peers or the API needed, by result (found, missing, wrong, unavailable).",
)
.by(&["result"]);

// The database.

/// What the data directory holds on disk.
pub const DB_BYTES: Metric = gauge(
    "hornero_db_bytes",
    "Size of the database on disk (blocks, blinded, columns, states, differences, index), in bytes.",
)
.by(&["part"]);
/// Bytes written to bulk files.
pub const DB_WRITTEN: Metric =
    counter("hornero_db_written_bytes_total", "Bytes written to segments, states and snapshots; not the index.");
/// Bytes read from segments.
pub const DB_READ: Metric = counter("hornero_db_read_bytes_total", "Bytes read from the database's segments.");
/// How long the disk takes to make a file durable.
pub const DB_SYNC_SECONDS: Metric =
    histogram("hornero_db_sync_seconds", SECONDS, "Time that the disk took to make a file durable, in seconds.");
/// Records that were not what was written.
pub const DB_CORRUPT: Metric = counter("hornero_db_corrupt_records_total", "Damaged records that a read ran into.");

// The API.

/// Requests by where they went and how they were answered.
pub const API_REQUESTS: Metric =
    counter("hornero_api_requests_total", "Requests to the API, by route and class of status (2xx, 4xx, 5xx).")
        .by(&["route", "status"]);
/// Connections closed because there were too many.
pub const API_CONNECTIONS_REFUSED: Metric =
    counter("hornero_api_connections_refused_total", "Connections to the API closed at once, as too many were open.");

// The process; read when the text is rendered.

/// Resident memory.
pub const RESIDENT_BYTES: Metric = gauge("hornero_process_resident_bytes", "Resident memory, in bytes.");
/// The part of resident memory that the system cannot drop and read again from a file.
pub const ANONYMOUS_BYTES: Metric =
    gauge("hornero_process_anonymous_bytes", "Resident memory that no file backs, in bytes.");
/// The highest resident memory so far.
pub const RESIDENT_PEAK_BYTES: Metric =
    gauge("hornero_process_resident_peak_bytes", "Highest resident memory since the start, in bytes.");
/// Processor time, user and system.
pub const CPU_SECONDS: Metric =
    gauge("hornero_process_cpu_seconds", "Processor time used since the start, user and system, in seconds.");
/// When the process started.
pub const START_TIME: Metric =
    gauge("hornero_process_start_time_seconds", "When the process began to count, in Unix seconds.");

/// All of them.
pub const ALL: &[&Metric] = &[
    // The chain as the node sees it.
    &CLOCK_SLOT,
    &HEAD_SLOT,
    &JUSTIFIED_EPOCH,
    &FINALIZED_EPOCH,
    &REORGS,
    // The chain's tasks.
    &BLOCK_STAGE_SECONDS,
    &BLOCKS,
    &PENDING_BLOCKS,
    &BLOCKS_WANTING_COLUMNS,
    &DATA_CHECKS,
    &PROPOSAL_STAGE_SECONDS,
    &COLUMNS_PUBLISHED,
    &COLUMNS,
    &DATA_SECONDS,
    &POOL_LOOKUPS,
    &POOL_COLUMNS_SECONDS,
    &CUSTODY_GROUPS,
    &COLUMN_BATCH_SECONDS,
    &FIRST_BLOCKS,
    &PREPARED_BYTES,
    &KEYS_CHECKED,
    &QUEUE_LENGTH,
    &QUEUE_DROPPED,
    &STATES_HELD,
    &FORK_CHOICE_BLOCKS,
    // Memory.
    &CACHE_BYTES,
    &CACHE_BYTES_TOTAL,
    &MEMORY_LIMIT,
    &CACHES_SHRUNK,
    // The network.
    &PEERS,
    &GOSSIP_VERDICTS,
    &GOSSIP_RECEIVED,
    &GOSSIP_MALFORMED,
    &GOSSIP_UNSENT,
    &GOSSIP_COPIES,
    &GOSSIP_BYTES,
    &GOSSIP_MESH_PEERS,
    &GOSSIP_SCORES,
    &SUBNET_PEERS,
    &REQUESTS_SENT,
    &REQUESTS_SERVED,
    &PEERS_BANNED,
    &ADDRESSES_BANNED,
    &GOODBYES_RECEIVED,
    &GOODBYES_SENT,
    &CONNECTIONS_REFUSED,
    &DIALS,
    &FIRST_HEAD_SECONDS,
    &NODES_FOUND,
    &DISCOVERY_TABLE,
    &DISCOVERY_RESTARTS,
    &THIN_SUBNETS,
    &PEERS_BELOW_NEED,
    &PORT_REACHABLE,
    &PEERS_PUNISHED,
    &P2P_LATE,
    &P2P_EXCUSED,
    &BUDGET_DELAYED,
    &BUDGET_DELAY_SECONDS,
    &BUDGET,
    &BANDWIDTH_BELOW_NEED,
    &MONTH_BYTES,
    &DATA_CAP,
    &BYTES_IN,
    &BYTES_OUT,
    &BACKFILL_SLOT,
    &EARLIEST_AVAILABLE_SLOT,
    &BACKFILL_TARGET_SLOT,
    // The execution client.
    &EXECUTION_CLIENT_UP,
    &EXECUTION_CLIENT_PROBLEMS,
    &PAYLOADS_BUILT,
    &EXECUTION_REQUEST_SECONDS,
    &EXECUTION_REQUESTS,
    &BLOCKS_BLINDED,
    &PAYLOADS_REQUESTED,
    // The database.
    &DB_BYTES,
    &DB_WRITTEN,
    &DB_READ,
    &DB_SYNC_SECONDS,
    &DB_CORRUPT,
    // The API.
    &API_REQUESTS,
    &API_CONNECTIONS_REFUSED,
    // The process.
    &RESIDENT_BYTES,
    &ANONYMOUS_BYTES,
    &RESIDENT_PEAK_BYTES,
    &CPU_SECONDS,
    &START_TIME,
];
