//! The task that collects for light clients along the head's chain, and answers what they ask.

use std::sync::{Arc, atomic::Ordering};

use async_channel::{Receiver, Sender};

use super::{
    Shared, Snapshot, TaskError,
    events::ChainEvent,
    light_client::{LightClientData, LightClientError},
    limits::LIGHT_CLIENT_BLOCKS_AT_ONCE,
};
use crate::{
    db::DbError,
    types::{Hash256, Slot},
};

/// What the task is told.
pub(crate) enum LightClientMessage {
    /// Answer with the object's SSZ and the slot that tells its fork's digest; with nothing if it is not there.
    Ask(Wanted, Sender<Option<(Slot, Vec<u8>)>>),
}

/// What a light client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Where to start from this block.
    Bootstrap(Hash256),
    /// The best update of this period.
    Update(u64),
    /// The newest update with finality.
    FinalityUpdate,
    /// The newest update.
    OptimisticUpdate,
}

/// Why nothing was collected of a block.
#[derive(Debug, thiserror::Error)]
enum CollectError {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error(transparent)]
    LightClient(#[from] LightClientError),
}

/// Collects with every new head, and answers.
pub(super) async fn run(shared: Arc<Shared>, messages: Receiver<LightClientMessage>) -> Result<(), TaskError> {
    enum Wake {
        Event(ChainEvent),
        Message(LightClientMessage),
    }
    let events = shared.subscribers.add(shared.capacities.events);
    let mut data = None;
    loop {
        let wake = smol::future::or(async { messages.recv().await.map(Wake::Message) }, async {
            events.recv().await.map(Wake::Event)
        });
        match wake.await {
            Err(_) => return Err(TaskError::Abandoned("light clients")),
            Ok(Wake::Message(LightClientMessage::Ask(wanted, reply))) => {
                // Who asked may be gone.
                let _ = reply.try_send(data.as_ref().and_then(|data| find(data, wanted)));
            }
            Ok(Wake::Event(ChainEvent::Head { .. })) => {
                // A few events late are no loss: the walk begins at the newest head.
                while events.try_recv().is_ok() {}
                let (here, old) = (shared.clone(), data.take());
                data = smol::unblock(move || collect(&here, old)).await;
            }
            Ok(Wake::Event(_)) => {}
        }
    }
}

/// Takes in the blocks between what is known and the head. While the node syncs there is nothing to tell anybody.
fn collect(shared: &Shared, data: Option<LightClientData>) -> Option<LightClientData> {
    let snapshot = shared.snapshot.load_full();
    if snapshot.is_syncing {
        return data;
    }
    let mut data = data.or_else(|| begin(shared, &snapshot))?;
    let is_new = |(root, _): &(Hash256, _)| !data.knows(root);
    let mut new: Vec<_> = snapshot.branch(snapshot.head_root).take_while(is_new).collect();
    new.truncate(LIGHT_CLIENT_BLOCKS_AT_ONCE);
    for (root, info) in new.into_iter().rev() {
        if let Err(error) = add(shared, &snapshot, &mut data, root, info.parent_root) {
            tracing::debug!(%root, %error, "light clients can't be told of a block");
        }
    }
    data.on_head(snapshot.head_root, snapshot.finalized.root);
    shared.sizes.light_clients.store(data.bytes(), Ordering::Relaxed);
    Some(data)
}

/// Begins with the finalized block, whose state is always in memory.
fn begin(shared: &Shared, snapshot: &Snapshot) -> Option<LightClientData> {
    let (root, state) = snapshot.states.base();
    let block = shared.db.block(*root).ok()??;
    match LightClientData::new(&block, &mut (**state).clone(), shared.config.clone()) {
        Ok(data) => Some(data),
        Err(error) => {
            tracing::debug!(%error, "nothing is collected for light clients yet");
            None
        }
    }
}

/// Adds a block whose state and parent's state are in memory; others are not worth a rebuild.
fn add(
    shared: &Shared,
    snapshot: &Snapshot,
    data: &mut LightClientData,
    root: Hash256,
    parent: Hash256,
) -> Result<(), CollectError> {
    let Some((state, attested)) = snapshot.state(&root).zip(snapshot.state(&parent)) else { return Ok(()) };
    let Some(block) = shared.db.block(root)? else { return Ok(()) };
    // Copies share everything, the hashes too.
    Ok(data.on_block(&block, &mut (*state).clone(), &mut (*attested).clone())?)
}

/// The SSZ of what is wanted, and the slot of which its fork's digest is.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/light-client/p2p-interface.md#the-reqresp-domain>
fn find(data: &LightClientData, wanted: Wanted) -> Option<(Slot, Vec<u8>)> {
    match wanted {
        Wanted::Bootstrap(root) => data.bootstrap(root).map(|it| (it.header.beacon.slot, it.to_ssz_bytes())),
        Wanted::Update(period) => {
            data.best_update(period).map(|it| (it.attested_header.beacon.slot, it.to_ssz_bytes()))
        }
        Wanted::FinalityUpdate => {
            data.latest_finality_update().map(|it| (it.attested_header.beacon.slot, it.to_ssz_bytes()))
        }
        Wanted::OptimisticUpdate => {
            data.latest_optimistic_update().map(|it| (it.attested_header.beacon.slot, it.to_ssz_bytes()))
        }
    }
}
