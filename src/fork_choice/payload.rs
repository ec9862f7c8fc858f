//! What the execution client says of payloads, after the blocks were imported.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/sync/optimistic.md>

use super::{PayloadStatus, Store};
use crate::types::Hash256;

/// Why a verdict could not be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// It may have been pruned.
    #[error("block {0} is not in the tree")]
    UnknownBlock(Hash256),
    /// The execution client contradicts itself.
    #[error(
        "the execution client calls the payload of block {0} invalid but said before that it is valid; \
         check its log and database"
    )]
    WasValid(Hash256),
}

impl Store {
    /// The payload of this block, and so those of all its ancestors, are valid.
    ///
    /// # Errors
    /// When the block is not in the tree.
    pub fn on_valid_payload(&mut self, root: &Hash256) -> Result<(), PayloadError> {
        let at = self.position(root).ok_or(PayloadError::UnknownBlock(*root))?;
        self.take_payload_status(at, PayloadStatus::Valid);
        Ok(())
    }

    /// The payload of this block is invalid: it and what builds on it are out of the running. With the hash of the
    /// latest valid payload before it, so are the blocks in between, and that one is valid.
    ///
    /// # Errors
    /// When the block is not in the tree, or one that was valid is now said not to be; nothing changed then.
    pub fn on_invalid_payload(
        &mut self,
        root: &Hash256,
        latest_valid_hash: Option<Hash256>,
    ) -> Result<(), PayloadError> {
        let at = self.position(root).ok_or(PayloadError::UnknownBlock(*root))?;
        let split = self.split_at_latest_valid(Some(at), self.parent_of(at), latest_valid_hash);
        // If the latest valid payload is none of an ancestor's, the verdict is about this block alone.
        let (first_invalid, latest_valid) = split.map_or((Some(at), None), |(above, valid)| (above, Some(valid)));
        self.condemn(first_invalid, latest_valid)
    }

    /// The payload of a block that was not taken in for that reason, a child of `parent_root`, is invalid. With the hash
    /// of the latest valid payload before it, so are the blocks in between.
    ///
    /// # Errors
    /// As [`Store::on_invalid_payload`].
    pub fn on_invalid_child(
        &mut self,
        parent_root: &Hash256,
        latest_valid_hash: Option<Hash256>,
    ) -> Result<(), PayloadError> {
        let parent = self.position(parent_root).ok_or(PayloadError::UnknownBlock(*parent_root))?;
        match self.split_at_latest_valid(None, Some(parent), latest_valid_hash) {
            Some((first_invalid, latest_valid)) => self.condemn(first_invalid, Some(latest_valid)),
            None => Ok(()),
        }
    }

    /// Goes down from `at`, with `above` right above it, to the block with that payload; returns the block above it and
    /// itself.
    fn split_at_latest_valid(
        &self,
        mut above: Option<usize>,
        mut at: Option<usize>,
        hash: Option<Hash256>,
    ) -> Option<(Option<usize>, usize)> {
        let hash = hash.filter(|hash| !hash.is_zero())?;
        while let Some(here) = at {
            if self.nodes[here].execution_block_hash == hash {
                return Some((above, here));
            }
            (above, at) = (at, self.parent_of(here));
        }
        None
    }

    fn condemn(&mut self, first_invalid: Option<usize>, latest_valid: Option<usize>) -> Result<(), PayloadError> {
        if let Some(at) = first_invalid {
            if self.nodes[at].payload_status == PayloadStatus::Valid {
                return Err(PayloadError::WasValid(self.nodes[at].root));
            }
            self.take_payload_status(at, PayloadStatus::Invalid);
        }
        if let Some(at) = latest_valid {
            self.take_payload_status(at, PayloadStatus::Valid);
        }
        Ok(())
    }

    fn parent_of(&self, at: usize) -> Option<usize> {
        self.nodes[at].parent.map(|parent| parent as usize)
    }

    /// Sets a block's status, and what follows for its ancestors or descendants.
    pub(super) fn take_payload_status(&mut self, at: usize, status: PayloadStatus) {
        match status {
            PayloadStatus::NotValidated => {}
            PayloadStatus::Valid => self.mark_valid(at),
            PayloadStatus::Invalid => self.mark_invalid(at),
        }
    }

    fn mark_valid(&mut self, at: usize) {
        let mut next = Some(at);
        while let Some(at) = next {
            let node = &mut self.nodes[at];
            if node.payload_status != PayloadStatus::NotValidated {
                return;
            }
            node.payload_status = PayloadStatus::Valid;
            next = node.parent.map(|parent| parent as usize);
        }
    }

    fn mark_invalid(&mut self, first: usize) {
        self.nodes[first].payload_status = PayloadStatus::Invalid;
        for at in first + 1..self.nodes.len() {
            let parent = self.nodes[at].parent.map(|parent| self.nodes[parent as usize].payload_status);
            if parent == Some(PayloadStatus::Invalid) {
                self.nodes[at].payload_status = PayloadStatus::Invalid;
            }
        }
    }
}
