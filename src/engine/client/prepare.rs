//! Payloads for our own blocks: begun ahead of time where we know that we will propose, made on the spot otherwise.

use std::sync::Arc;

use super::{ExecutionClient, error::ClientError};
use crate::{
    engine::{BuiltPayload, ForkchoiceState, PayloadAttributes, PayloadId, PayloadStatus},
    metrics::{self, PAYLOADS_BUILT},
    types::{ForkName, Hash256},
};

/// A payload that the client was asked to make.
pub struct Prepared {
    /// Of the payload that it builds on.
    head: Hash256,
    fork: ForkName,
    attributes: PayloadAttributes,
    id: PayloadId,
    /// The client that was met so often knows it: one that was restarted does not.
    session: u64,
}

impl ExecutionClient {
    /// Has a payload on top of `head` begun, which [`ExecutionClient::build`] takes if it is asked for the same. False if
    /// `head` is not the head that the client was told last: a payload of ours must not move it back.
    ///
    /// # Errors
    /// When the client can't be asked, or can't make it because it is syncing or refuses the head.
    pub async fn prepare(
        &self,
        fork: ForkName,
        head: Hash256,
        attributes: PayloadAttributes,
    ) -> Result<bool, ClientError> {
        if self.prepared(fork, head, &attributes).is_some() {
            return Ok(true);
        }
        let _telling = self.shared.telling.lock().await;
        let state = **self.shared.told.load();
        if state.head != head {
            return Ok(false);
        }
        let id = self.begin(fork, state, attributes.clone()).await?;
        let session = self.sessions();
        self.shared.prepared.store(Some(Arc::new(Prepared { head, fork, attributes, id, session })));
        Ok(true)
    }

    /// What was begun ahead of time: the head that it builds on, and with which attributes.
    pub fn preparing(&self) -> Option<(Hash256, PayloadAttributes)> {
        self.shared.prepared.load_full().map(|prepared| (prepared.head, prepared.attributes.clone()))
    }

    /// A payload on top of `head`: the one that was prepared with the same attributes, or one that is made now. The safe and
    /// the finalized payload stay those that were told last.
    ///
    /// # Errors
    /// When the client can't be asked, or can't make it because it is syncing or refuses the head.
    pub async fn build(
        &self,
        fork: ForkName,
        head: Hash256,
        attributes: PayloadAttributes,
    ) -> Result<BuiltPayload, ClientError> {
        if let Some(id) = self.prepared(fork, head, &attributes) {
            match self.get_payload(fork, id).await {
                Ok(payload) => {
                    metrics::inc(&PAYLOADS_BUILT, &[("prepared", "yes")]);
                    return Ok(payload);
                }
                Err(error) if error.is_lost() => return Err(error),
                Err(error) => tracing::debug!("the payload that was prepared can't be had: {error}"),
            }
        }
        metrics::inc(&PAYLOADS_BUILT, &[("prepared", "no")]);
        let id = {
            let _telling = self.shared.telling.lock().await;
            let told = **self.shared.told.load();
            // The safe payload need not be in the chain of another head.
            let safe = if told.head == head { told.safe } else { told.finalized };
            self.begin(fork, ForkchoiceState { head, safe, finalized: told.finalized }, attributes).await?
        };
        self.get_payload(fork, id).await
    }

    /// The name of the payload that was prepared with these attributes, if the client still knows it.
    fn prepared(&self, fork: ForkName, head: Hash256, attributes: &PayloadAttributes) -> Option<PayloadId> {
        let prepared = self.shared.prepared.load_full()?;
        let is_it = (prepared.fork, prepared.head, prepared.session) == (fork, head, self.sessions())
            && prepared.attributes == *attributes;
        is_it.then_some(prepared.id)
    }

    /// Has a payload begun; by who holds the lock.
    async fn begin(
        &self,
        fork: ForkName,
        state: ForkchoiceState,
        attributes: PayloadAttributes,
    ) -> Result<PayloadId, ClientError> {
        match self.tell(fork, state, Some(attributes)).await? {
            (PayloadStatus::Valid, Some(id)) => Ok(id),
            (status, _) => Err(ClientError::NoPayload(format!("{status:?}"))),
        }
    }
}
