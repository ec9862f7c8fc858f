//! Every limit of the chain's tasks, with its reason.

use std::num::NonZero;

/// Votes that wait for a batch of signatures; a slot brings up to 1,024 aggregates, and a board that can't keep up is better
/// served by the newest.
pub const MESSAGES_WAITING: usize = 1024;
/// Operations that wait for a batch: there are a few in an hour, but a slashing may be 2 MB.
pub const OPERATIONS_WAITING: usize = 16;
/// Messages verified in one batch: up to three signatures each. Larger batches hardly gain, and delay the first verdict.
pub const MESSAGES_PER_BATCH: usize = 64;
/// How long a vote waits for others to be verified with, in milliseconds: a fortieth of the time in which votes are due, and a
/// few hops of it are still a fraction of the two seconds within which peers count a message as delivered in time.
pub const BATCH_WAIT_MS: u64 = 50;
/// Epochs without a block through which the head's state is advanced to judge gossip: some hours of a network in trouble.
/// A node further behind has to sync first.
pub const MAX_EPOCHS_ADVANCED: u64 = 32;
/// Verified votes of the current slot, which count from the next on: some 32 for each of mainnet's 64 committees.
pub const EARLY_VOTES: usize = 2048;
/// How long the execution client may take for a payload before the block is imported optimistically.
pub const EXECUTION_TIMEOUT_MS: u64 = 8_000;
/// Post-states kept besides the base, by use: the branches of some slots' blocks, and what was asked for. At mainnet's size the
/// bytes below are the tighter limit: a block's state costs some 8 MiB beside its parent's, an epoch's first some 25.
pub const MAX_STATES: usize = 32;
/// What these may cost beside the base when nobody set a limit: the share of 1 GiB that the budget gives them.
pub const STATES_BYTES: usize = 160 << 20;
/// Of these, how many are pinned as what the next justified and finalized ones will be: the head's branch where this epoch
/// began, and the one before. (Votes are for these two only.)
pub const BOUNDARIES_PINNED: u64 = 2;
/// States rebuilt by replay that are kept: who asks for one asks again.
pub const REBUILT_STATES: usize = 2;
/// Committees of epochs kept for other states than the one that they were found for: the head's three, and those of a fork
/// or of states that are rebuilt. Each takes 4 MB for a million validators, most of them with a state that holds them anyway.
pub const SHUFFLINGS_KEPT: usize = 6;
/// Slots whose committees' keys are summed in one go ahead of time: a tenth of a second's work of a fast processor for a million
/// validators, and eight of them suffice for an epoch. Each go reads most of the file of keys.
pub const SLOTS_SUMMED_AT_ONCE: usize = 4;
/// Roots of invalid blocks that are remembered: a peer must not make us run a bad block twice.
pub const INVALID_ROOTS: usize = 512;
/// Remembered pairs of slot and proposer whose block was seen: some epochs of blocks, with room for equivocations.
pub const SEEN_PROPOSALS: usize = 1024;
/// Remembered pairs of epoch and aggregator: two epochs of mainnet's 16 aggregators in each of 64 committees.
pub const SEEN_AGGREGATORS: usize = 1 << 17;
/// Remembered sets of bits of aggregates: two epochs of committees, a few each.
pub const SEEN_AGGREGATES: usize = 1 << 13;
/// Remembered pairs of epoch and attester, of single votes: two epochs of the validators of a few subnets. (All of mainnet's
/// would be eight times as many, for a node that does nothing else.)
pub const SEEN_ATTESTERS: usize = 1 << 18;
/// Remembered exits, slashed proposers and changes of credentials: days of them, as mainnet lets 16 validators leave an
/// epoch. What is in the chain by then is refused by the state.
pub const SEEN_EXITS: usize = 1 << 13;
/// Remembered slashed attesters: as many as one slashing can name.
pub const SEEN_SLASHED_ATTESTERS: usize = 1 << 17;
/// Remembered sync contributions: some slots of 16 aggregators in each of 4 subcommittees.
pub const SEEN_CONTRIBUTIONS: usize = 1 << 10;
/// Remembered sync committee messages: some slots of 512 members, of whom few are in two subcommittees.
pub const SEEN_SYNC_MESSAGES: usize = 1 << 12;
/// Remembered blobs: two epochs of blocks with nine each, and more.
pub const SEEN_BLOBS: usize = 1 << 10;
/// Remembered blocks without parents, one of each proposer and slot: two epochs of them, and some that lie.
pub const SEEN_ORPHANS: usize = 256;
/// Blocks of old branches that wait for their turn to be judged ([`super::detour`]): each is in memory, and whose turn does not come
/// is asked for again.
pub const DETOURS_WAITING: usize = 4;
/// Remembered columns: two epochs of blocks with all their 128.
pub const SEEN_COLUMNS: usize = 1 << 13;
/// Remembered signatures under blocks: a few slots' blocks, each of which comes again with its columns; and some that are
/// fetched. 128 bytes each.
pub const SEEN_SIGNATURES: usize = 256;
/// Remembered headers of partial columns: some slots, with equivocations. Each has its block's commitments.
pub const SEEN_PARTIAL_HEADERS: usize = 16;
/// Orphans whose parents we look for. The blocks themselves are in the database.
pub const MAX_ORPHANS: usize = 96;
/// Parent roots that we look for.
pub const MAX_MISSING: usize = 1024;
/// Parent roots asked for in one request.
pub const ROOTS_PER_REQUEST: usize = 16;
/// Peers that are asked for parents at a time: some of them may take as long as they are allowed to.
pub const PARENT_REQUESTS_AT_ONCE: usize = 4;
/// A chain of unknown parents that is deeper is the work of range sync. Also how far a gossiped block may be ahead of the
/// head before we stop collecting orphans.
pub const MAX_ORPHAN_DEPTH: u64 = 64;
/// The pending task looks for parents this often, not when an orphan arrives: the parent is mostly on its way.
pub const PENDING_INTERVAL_MS: u64 = 500;
/// Times that a parent is asked for, the pauses doubling from half a second: about two minutes in all.
pub const PARENT_ATTEMPTS: u32 = 8;
/// Peers that are remembered as sources of an orphan.
pub const SOURCES_PER_ROOT: usize = 4;
/// Peers whose status we keep; the network holds no more connections than this.
pub const MAX_PEERS: usize = 256;
/// Slots of a range sync request. A batch of mainnet's blocks is some 3 MB.
pub const BATCH_SLOTS: u64 = 32;
/// Batches that are fetched ahead of the one being imported.
pub const BATCH_WINDOW: usize = 3;
/// `MAX_CONCURRENT_REQUESTS`: requests for ranges to one peer at once.
pub const REQUESTS_PER_PEER: usize = 2;
/// Times that a batch is asked for, each time of another peer if there is one; more often only of peers that were not
/// asked before.
pub const BATCH_ATTEMPTS: u32 = 6;
/// A peer must be this many slots ahead of our head before we fetch ranges; less comes by gossip and by parent roots.
pub const SYNC_GAP_SLOTS: u64 = 8;
/// How long a peer may take for the next block of an answer before we ask another; its own limits are the network's.
pub const ANSWER_TIMEOUT_MS: u64 = 15_000;
/// Slots of one request of backfill. A batch of mainnet's blocks is some 3 MB, and in memory at once.
pub const BACKFILL_BATCH_SLOTS: u64 = 32;
/// Slots without a block before the oldest one that backfill takes peers' word for: a day of mainnet. The next block shows
/// whether it was true.
pub const BACKFILL_GAP_SLOTS: u64 = 7200;
/// Peers that must say of a batch that it has no block before it is passed over, if there are so many.
pub const BACKFILL_WITNESSES: usize = 3;
/// Batches that a peer does not give before all are tried again.
pub const BACKFILL_SILENT: u32 = 3;
/// The least pause between two batches of backfill, and between two looks whether blocks are imported.
pub const BACKFILL_PAUSE_MS: u64 = 20;
/// Blocks of which it is remembered that they were passed on: those of this slot and the last, forks included.
pub const BLOCKS_PASSED_ON: usize = 16;
/// Blocks with blobs of which it is remembered when we first heard of them: those of this slot and the last, forks included.
pub const BLOCKS_TIMED: usize = 16;
/// Blocks whose blobs the execution client is to be asked for: there is one in a slot, and few forks.
pub const POOL_REQUESTS: usize = 4;
/// Slots for which a block's blobs are looked for in the execution client's pool, its own included: once a block is old, their
/// transactions have left it.
pub const POOL_SLOTS: u64 = 2;
/// Columns made of the pool's blobs that are remembered: those of four blocks, for who keeps all 128.
pub const COLUMNS_MADE: usize = 512;
/// How often the pool is asked for the same blobs, [`COLUMN_INTERVAL_MS`] apart: for the four seconds that gossip has on mainnet.
/// Their transactions may come after the block; asking for what is not there costs both sides next to nothing.
pub const POOL_ATTEMPTS: u32 = 8;
/// How long the execution client may take to look: what the Engine API allows, and as much for a connection.
pub const POOL_TIMEOUT_MS: u64 = 2_000;
/// How long an answer waits for columns that are on their way to us. Some clients ask for them as soon as the block is there, give the
/// block up when they do not get them, and blame who sent it.
pub const COMING_COLUMNS_MS: u64 = 1000;
/// Answers to peers' requests that run at once. Each holds a block or a column that it has read and one that is being sent.
pub const ANSWERS_AT_ONCE: usize = 16;
/// Of those, answers to one peer: some may read as slowly as they are allowed to, and others are still served.
pub const ANSWERS_OF_PEER: usize = 2;
/// Bodies of payloads that an answer asks the execution client for at once: all of them are in memory until they are sent, as
/// long as the peer takes, and [`ANSWERS_AT_ONCE`] answers may run. Some 0.8 MB of mainnet's.
pub const BODIES_PER_ANSWER: usize = 8;
/// How long we wait for bodies: what the client has for them, and as long again in its queue.
pub const BODIES_TIMEOUT_MS: u64 = 20_000;
/// Epochs after which a range is tried again whose payloads the execution client did not have: a day of mainnet.
pub const BLIND_AGAIN_EPOCHS: u64 = 225;
/// Requests that wait for their turn: all that the network passes on at a time.
pub const ANSWERS_WAITING: usize = 64;
/// `MAX_REQUEST_LIGHT_CLIENT_UPDATES`: periods in one answer to a light client.
pub const MAX_REQUEST_LIGHT_CLIENT_UPDATES: u64 = 128;
/// Questions of light clients that wait: one for each answer that runs.
pub const LIGHT_CLIENT_QUESTIONS: usize = ANSWERS_AT_ONCE;
/// Blocks that are collected for light clients in one go: more are not in memory with their states anyway.
pub const LIGHT_CLIENT_BLOCKS_AT_ONCE: usize = MAX_STATES;
/// Validators whose balances count for our custody; with an eighth of them, all groups are kept.
pub const MAX_ATTACHED: usize = 1024;
/// Blocks of which we remember what columns are here: some hours of the chain; of others the database knows.
pub const ROOTS_WITH_COLUMNS: usize = 1024;
/// Blocks that wait for columns; as many as orphans. Only their commitments are in memory.
pub const MAX_WANTED: usize = MAX_ORPHANS;
/// Block tasks that wait for columns, each with a state in memory. Later ones end, and are run again.
pub const MAX_WAITING_TASKS: usize = 4;
/// Columns of gossip are collected for so long after the first, to be verified at once: a block's come within some hundred
/// milliseconds of each other, and eight at once cost a third of eight alone.
pub const COLUMN_BATCH_WAIT_MS: u64 = 25;
/// Columns verified at once: those that a node without many validators samples of a block, twice. At most 0.7 MB of 21 blobs.
pub const COLUMNS_PER_BATCH: usize = 16;
/// Columns of gossip whose block's parent is not known yet that are kept until it is: those of two blocks, twice. At most
/// 1.5 MB; more only for who keeps more, those of two blocks. What is dropped is asked for by root.
pub const EARLY_COLUMNS: usize = 32;
/// Whether the parent of an early column has come is looked at this often: it decides how soon the block is imported.
pub const EARLY_INTERVAL_MS: u64 = 50;
/// Missing columns are looked for this often; also the first pause between two requests for the same.
pub const COLUMN_INTERVAL_MS: u64 = 500;
/// The part of a slot in which gossip may bring columns before peers are asked: a third, when votes are due.
pub const COLUMN_GOSSIP_PART: u64 = 3;
/// How long a block task waits for columns, in slots. The block is run again when they come later.
pub const COLUMN_WAIT_SLOTS: u64 = 1;
/// Times that a block's columns are asked for, the pauses doubling from half a second: about two minutes in all.
pub const COLUMN_ATTEMPTS: u32 = 8;
/// Blocks whose columns are asked for in one go.
pub const ROOTS_PER_COLUMN_REQUEST: usize = 4;
/// Peers asked for columns of one block at once. Most keep few, so that several are needed.
pub const COLUMN_PEERS_AT_ONCE: usize = 4;
/// Requests for columns by root that run at once.
pub const COLUMN_REQUESTS_AT_ONCE: usize = 4;
/// Rounds of requests for the columns of a range, each of other peers, before the batch counts as failed.
pub const COLUMN_ROUNDS: u32 = 6;
/// Those who may listen to events at once.
pub const MAX_SUBSCRIBERS: usize = 64;
/// Boundary states are written this many epochs apart, as differences: a state in between, or a start after a power cut, costs
/// the replay of 128 blocks or a few more. At a million validators a difference takes some 2.5 MB, so 140 MB a day; blocks
/// take four times that.
pub const DIFFERENCE_EVERY_EPOCHS: u64 = 4;
/// A finalized state is written whole when the last one is so old, four days and a half: then the states in memory share ever
/// less with it. 150 MB at a million validators, 35 MB a day.
pub const ANCHOR_EVERY_EPOCHS: u64 = 1024;
/// Or when a difference is larger than this part of it: then differences have come to cost more than a new whole state.
pub const LARGE_DIFFERENCE: u64 = 8;
/// But not sooner: seven hours, so that not even a chain that changes all its balances writes more than 0.5 GB a day.
pub const ANCHOR_AT_LEAST_EPOCHS: u64 = 64;
/// A state that can't be a difference, because it is of another fork, is written whole when its branch has none on disk for
/// so long: finality did not bring a better one.
pub const WHOLE_AFTER_EPOCHS: u64 = 16;
/// Differences kept for what is not finalized: 34 days of them, 6 GB at a million validators. After that the oldest go, and
/// what lies between them and the finalized block can't be rebuilt any more.
pub const MAX_DIFFERENCES: usize = 1920;
/// Replayed blocks in one rebuild of a state at most: two days without any state on disk, though they are
/// [`DIFFERENCE_EVERY_EPOCHS`] epochs apart. Who asks for a state beyond is refused.
pub const MAX_REPLAY: usize = 1 << 14;
/// Blocks replayed in one go: half a second on a small board, after which others may have the thread.
pub const REPLAY_SLICE: usize = 8;

/// How many messages each queue holds. A test runs the chain with all of them 1.
#[derive(Clone, Copy, Debug)]
pub struct Capacities {
    /// Gossiped blocks on their way to a block task. Few, because the network's own queue holds the rest and blocks are
    /// large.
    pub gossip_blocks: usize,
    /// Gossiped votes on their way to the batch.
    pub gossip_votes: usize,
    /// Gossiped operations on their way to the batch.
    pub gossip_operations: usize,
    /// Gossiped columns that wait. Few, because the network's own queue holds the rest and columns are large.
    pub gossip_columns: usize,
    /// Gossiped updates for light clients that wait.
    pub gossip_light_clients: usize,
    /// Peers' requests.
    pub requests: usize,
    /// News of peers.
    pub peers: usize,
    /// Blocks that were asked for by root, freed orphans, and blocks of validators.
    pub blocks: usize,
    /// Messages to the store task.
    pub store: usize,
    /// Messages to the pending task.
    pub pending: usize,
    /// Block tasks at once.
    pub block_tasks: usize,
    /// Events of one subscriber.
    pub events: usize,
    /// Blocks of one answer that wait for us.
    pub answer: usize,
}

impl Default for Capacities {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Capacities {
            gossip_blocks: 4,
            gossip_votes: 64,
            gossip_operations: 4,
            gossip_columns: 4,
            gossip_light_clients: 4,
            requests: 16,
            peers: 256,
            blocks: 64,
            store: 256,
            pending: 256,
            // One core is left for the network and the store task.
            block_tasks: (cores - 1).max(1),
            events: 128,
            answer: 2,
        }
    }
}

impl Capacities {
    /// Everything 1: shows any place where tasks wait for each other.
    pub fn ones() -> Self {
        Capacities {
            gossip_blocks: 1,
            gossip_votes: 1,
            gossip_operations: 1,
            gossip_columns: 1,
            gossip_light_clients: 1,
            requests: 1,
            peers: 1,
            blocks: 1,
            store: 1,
            pending: 1,
            block_tasks: 1,
            events: 1,
            answer: 1,
        }
    }
}
