//! The signatures of a block, collected to be verified in one batch.

use super::TransitionError;
use crate::crypto::{SignatureSet, verify_each, verify_sets};

/// Collects the signatures of a block, or nothing when they are not to be verified.
#[derive(Debug, Default)]
pub struct SignatureCollector {
    collected: Option<Collected>,
}

/// The claims, and for each the part of the block that it belongs to.
#[derive(Debug, Default)]
struct Collected {
    sets: Vec<SignatureSet>,
    operations: Vec<&'static str>,
}

impl SignatureCollector {
    /// One that collects if `verify`, and ignores all that it is given otherwise.
    pub fn new(verify: bool) -> Self {
        SignatureCollector { collected: verify.then(Collected::default) }
    }

    /// Whether signatures are collected; what is only needed for that can be left out otherwise.
    pub fn is_on(&self) -> bool {
        self.collected.is_some()
    }

    /// Adds what `make` makes, which is called only if signatures are collected: keys cost time to find and add.
    /// `operation` is the part of the block that is signed, such as `attestation`.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn add(
        &mut self,
        operation: &'static str,
        make: impl FnOnce() -> Result<SignatureSet, TransitionError>,
    ) -> Result<(), TransitionError> {
        if let Some(collected) = &mut self.collected {
            collected.sets.push(make()?);
            collected.operations.push(operation);
        }
        Ok(())
    }

    /// Takes out what was collected.
    pub fn into_sets(self) -> Vec<SignatureSet> {
        self.collected.unwrap_or_default().sets
    }

    /// Verifies all that was collected, at once.
    ///
    /// # Errors
    /// The operation of the first signature that is false; to find it, the batch is halved again and again.
    pub fn verify(self) -> Result<(), TransitionError> {
        let Collected { sets, operations } = self.collected.unwrap_or_default();
        if verify_sets(&sets) {
            return Ok(());
        }
        let first = verify_each(&sets).iter().position(|is_true| !is_true);
        Err(TransitionError::Signature(first.map_or("block", |first| operations[first])))
    }
}
