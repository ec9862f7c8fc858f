//! The signatures of a block, collected to be verified in one batch.

use super::TransitionError;
use crate::crypto::{SignatureSet, verify_sets};

/// Collects the signatures of a block, or nothing when they are not to be verified.
#[derive(Debug, Default)]
pub struct SignatureCollector {
    sets: Option<Vec<SignatureSet>>,
}

impl SignatureCollector {
    /// One that collects if `verify`, and ignores all that it is given otherwise.
    pub fn new(verify: bool) -> Self {
        SignatureCollector { sets: verify.then(Vec::new) }
    }

    /// Whether signatures are collected; what is only needed for that can be left out otherwise.
    pub fn is_on(&self) -> bool {
        self.sets.is_some()
    }

    /// Adds what `make` makes, which is called only if signatures are collected: keys cost time to find and add.
    pub fn add(&mut self, make: impl FnOnce() -> Result<SignatureSet, TransitionError>) -> Result<(), TransitionError> {
        if let Some(sets) = &mut self.sets {
            sets.push(make()?);
        }
        Ok(())
    }

    /// Takes out what was collected.
    pub fn into_sets(self) -> Vec<SignatureSet> {
        self.sets.unwrap_or_default()
    }

    /// Verifies all that was collected, at once.
    pub fn verify(self) -> Result<(), TransitionError> {
        if verify_sets(&self.into_sets()) { Ok(()) } else { Err(TransitionError::Signature) }
    }
}
