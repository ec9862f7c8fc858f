//! Has the payloads of our own blocks begun ahead of time, so that the execution client has some seconds to fill them.

use std::{convert::Infallible, time::Duration};

use async_channel::Receiver;
use smol::{Timer, future};

use super::{ProduceError, Producer, block::payload_attributes};
use crate::{
    chain::{ChainEvent, gossip::proposer_at},
    engine::{Engine, EngineError},
    transition::process_slots,
    types::*,
};

/// How long before a slot its payload is begun, in twelfths of a slot: 4 s on mainnet, when the block before it has long come.
const TWELFTHS_AHEAD: u64 = 4;
/// Wait before it is tried again while the execution client has not heard of the head.
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// How far a slot's payload is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begun {
    /// The execution client makes it.
    Yes,
    /// It can't be begun yet.
    NotYet,
    /// None of our validators proposes.
    NotOurs,
}

impl Producer {
    /// Has payloads begun, for ever.
    pub async fn prepare_payloads(&self) -> Infallible {
        let clock = self.chain.clock().clone();
        let mut slot = clock.slot() + 1;
        loop {
            let moment = clock.start_of(slot).saturating_sub(clock.slot_ms() * TWELFTHS_AHEAD / 12);
            clock.until(moment).await;
            self.prepare_until(slot).await;
            slot = clock.slot().max(slot) + 1;
        }
    }

    /// Has the payload of a slot begun, and once more if the head changes before that slot.
    async fn prepare_until(&self, slot: Slot) {
        let clock = self.chain.clock().clone();
        let events = self.chain.subscribe();
        loop {
            let begun = self.prepare_payload(slot).await.unwrap_or_else(|error| {
                tracing::debug!(slot, %error, "the payload of our block can't be begun ahead of time");
                Begun::NotYet
            });
            let over = async {
                clock.until(clock.start_of(slot)).await;
                false
            };
            let again = async {
                if begun == Begun::NotYet {
                    Timer::after(TRY_AGAIN).await;
                } else {
                    new_head(&events).await;
                }
                true
            };
            if !future::or(over, again).await {
                return;
            }
        }
    }

    async fn prepare_payload(&self, slot: Slot) -> Result<Begun, ProduceError> {
        let Engine::Client(client) = &self.engine else { return Ok(Begun::NotOurs) };
        let snapshot = self.chain.snapshot();
        // Should the state not tell who proposes, the payload is made when it is asked for.
        let Some(proposer) = proposer_at(&snapshot.head_state, slot) else { return Ok(Begun::NotOurs) };
        let Some(fee_recipient) = self.pools.fee_recipient(proposer).await else { return Ok(Begun::NotOurs) };
        if snapshot.is_optimistic || snapshot.is_syncing || snapshot.head_slot >= slot {
            return Ok(Begun::NotYet);
        }
        let shared = self.chain.shared.clone();
        let work = move || -> Result<_, ProduceError> {
            let state = shared.head_state_at(&snapshot, compute_epoch_at_slot(slot))?;
            let (mut state, ctx) = (BeaconState::clone(&state), shared.context());
            if state.slot < slot {
                process_slots(&mut state, slot, &ctx)?;
            }
            let attributes = payload_attributes(&state, fee_recipient, &ctx)?;
            Ok((state.fork_name, state.latest_execution_payload_header.block_hash, attributes))
        };
        let (fork, head, attributes) = smol::unblock(work).await?;
        let is_begun = client.prepare(fork, head, attributes).await.map_err(EngineError::from)?;
        Ok(if is_begun { Begun::Yes } else { Begun::NotYet })
    }
}

/// Waits for the next change of the head. Without a place among the subscribers it is not noticed.
async fn new_head(events: &Receiver<ChainEvent>) {
    loop {
        match events.recv().await {
            Ok(ChainEvent::Head { .. }) => return,
            Ok(_) => {}
            Err(_) => future::pending().await,
        }
    }
}
