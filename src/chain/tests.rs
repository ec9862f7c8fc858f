//! The chain's tasks on a recorded chain, with a network that we play.

mod aggregates;
mod ahead;
mod backfill;
mod batches;
mod blob_pool;
mod blocks;
mod columns;
mod detours;
mod finality;
mod light_client;
mod light_client_gossip;
mod messages;
mod payloads;
mod prepared;
mod pruning;
pub mod recording;
mod restart;
mod rig;
mod serve;
mod stored;
mod sync;
mod unfinal;
