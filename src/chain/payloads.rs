//! Payloads that only the execution client keeps: old blocks are stored without them, and made whole for who asks for them.
//! docs/decisions/0024-blinded-blocks.md

mod blind;

use std::{collections::VecDeque, sync::Arc};

pub use blind::BlindReport;
pub(super) use blind::run;

use super::{
    Shared,
    limits::{BODIES_PER_ANSWER, BODIES_TIMEOUT_MS},
};
use crate::{
    db::{DbError, StoredBlock},
    engine::{MAX_BODIES, PayloadBody},
    metrics::{self, PAYLOADS_REQUESTED},
    types::{Hash256, SignedBeaconBlock, SignedBlindedBeaconBlock},
};

/// Why a stored block can't be had with its payload.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// Nobody to ask, or no answer.
    #[error("the block's payload is kept by the execution client, which does not answer: start it, or try again")]
    Unavailable,
    /// The client forgot it.
    #[error("the block's payload was kept by the execution client, which does not have it any more")]
    Missing,
    /// The client gave something else.
    #[error("the execution client gave something else than the block's payload")]
    Wrong,
    /// The disk failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PayloadError {
    fn label(&self) -> &'static str {
        match self {
            PayloadError::Missing => "missing",
            PayloadError::Wrong => "wrong",
            PayloadError::Unavailable | PayloadError::Db(_) => "unavailable",
        }
    }
}

/// A block made whole, or why it is not.
type Made = Result<SignedBeaconBlock, PayloadError>;

impl Shared {
    /// A stored block with its payload; none if it is not stored.
    pub async fn whole_block(&self, root: Hash256) -> Result<Option<SignedBeaconBlock>, PayloadError> {
        let db = self.db.clone();
        match smol::unblock(move || db.stored_block(root)).await? {
            None => Ok(None),
            Some(StoredBlock::Whole(block)) => Ok(Some(block)),
            Some(StoredBlock::Blinded(block)) => {
                let made = self.make_whole(vec![block]).await.pop();
                made.unwrap_or(Err(PayloadError::Unavailable)).map(Some)
            }
        }
    }

    /// Makes at most [`MAX_BODIES`] blinded blocks whole, in their order: asks the execution client for their bodies, and
    /// compares these with the blocks.
    pub async fn make_whole(&self, blocks: Vec<SignedBlindedBeaconBlock>) -> Vec<Made> {
        // Blocks before the merge have nothing to be asked for.
        let hashes: Vec<Hash256> =
            blocks.iter().map(SignedBlindedBeaconBlock::block_hash).filter(|hash| !hash.is_zero()).collect();
        let bodies = if hashes.is_empty() { None } else { self.payload_bodies(hashes).await.ok() };
        let made = smol::unblock(move || put_together(blocks, bodies)).await;
        for result in &made {
            let label = result.as_ref().err().map_or("found", PayloadError::label);
            metrics::inc(&PAYLOADS_REQUESTED, &[("result", label)]);
        }
        made
    }

    /// The bodies of payloads, one for each hash; none where the client does not have it.
    async fn payload_bodies(&self, hashes: Vec<Hash256>) -> Result<Vec<Option<PayloadBody>>, PayloadError> {
        debug_assert!(hashes.len() <= MAX_BODIES);
        let queue = self.execution.as_ref().and_then(|execution| execution.bodies.as_ref());
        let (reply, answer) = async_channel::bounded(1);
        let (count, request) = (hashes.len(), super::BodiesRequest { hashes, reply });
        // Upstream: nobody waits for room.
        queue.and_then(|queue| queue.try_send(request).ok()).ok_or(PayloadError::Unavailable)?;
        let bodies = self.clock.within(BODIES_TIMEOUT_MS, answer.recv()).await;
        match bodies {
            Some(Ok(bodies)) if bodies.len() == count => Ok(bodies),
            _ => Err(PayloadError::Unavailable),
        }
    }
}

/// `bodies` are those of the blocks that have a payload; none if nobody gave them.
fn put_together(blocks: Vec<SignedBlindedBeaconBlock>, bodies: Option<Vec<Option<PayloadBody>>>) -> Vec<Made> {
    let mut bodies = bodies.map(Vec::into_iter);
    let made = blocks.into_iter().map(|block| {
        let body = if block.block_hash().is_zero() {
            PayloadBody::default()
        } else {
            let bodies = bodies.as_mut().ok_or(PayloadError::Unavailable)?;
            bodies.next().flatten().ok_or(PayloadError::Missing)?
        };
        let PayloadBody { transactions, withdrawals } = body;
        let slot = block.slot();
        block.into_whole(transactions, withdrawals.unwrap_or_default()).map_err(|error| {
            tracing::warn!(slot, %error, "the execution client gave another payload's body; check its database");
            PayloadError::Wrong
        })
    });
    made.collect()
}

/// The blocks of one answer that have to be made whole: several at once, so that the execution client is asked seldom.
#[derive(Default)]
pub(super) struct WholeBlocks {
    /// Asked for already, in the order of the answer.
    ready: VecDeque<(Hash256, Made)>,
}

impl WholeBlocks {
    /// A blinded block, whole. `following` are the roots of what comes after it in the answer.
    pub async fn get(&mut self, shared: &Arc<Shared>, root: Hash256, following: impl Iterator<Item = Hash256>) -> Made {
        // What was skipped is not asked for any more.
        while let Some((other, made)) = self.ready.pop_front() {
            if other == root {
                return made;
            }
        }
        let (db, roots) = (shared.db.clone(), std::iter::once(root).chain(following).take(BODIES_PER_ANSWER));
        let roots: Vec<Hash256> = roots.collect();
        let (roots, blocks) = smol::unblock(move || blinded(&db, &roots)).await?;
        self.ready = roots.into_iter().zip(shared.make_whole(blocks).await).collect();
        match self.ready.pop_front() {
            Some((first, made)) if first == root => made,
            _ => Err(PayloadError::Unavailable),
        }
    }
}

/// Those of the blocks that are stored blinded.
fn blinded(
    db: &crate::db::Database,
    roots: &[Hash256],
) -> Result<(Vec<Hash256>, Vec<SignedBlindedBeaconBlock>), DbError> {
    let (mut found, mut blocks) = (Vec::new(), Vec::new());
    for root in roots {
        if db.is_blinded(*root)?
            && let Some(StoredBlock::Blinded(block)) = db.stored_block(*root)?
        {
            found.push(*root);
            blocks.push(block);
        }
    }
    Ok((found, blocks))
}
