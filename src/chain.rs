//! The chain's tasks: clock, store, block import, pending blocks, sync, pools.
