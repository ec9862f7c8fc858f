//! Why light client data can't be made or taken.

/// A rule of the specification is broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("light client {object}: {rule}")]
pub struct LightClientError {
    /// What was made or taken, such as `update`.
    pub object: &'static str,
    /// What should have been so.
    pub rule: &'static str,
}

/// The specification's `assert`.
pub(super) fn ensure(condition: bool, object: &'static str, rule: &'static str) -> Result<(), LightClientError> {
    if condition { Ok(()) } else { Err(LightClientError { object, rule }) }
}
