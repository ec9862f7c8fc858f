//! How a request to a peer may fail.

use super::{codec::CodecError, score::Reason, streams::OpenError};

/// How a request to a peer may fail.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// The peer is not connected (any more).
    #[error("the peer is not connected")]
    NotConnected,
    /// Two requests of the kind are under way to the peer, or the network task has too much to do. Try another peer.
    #[error("too many requests are under way to the peer")]
    Busy,
    /// Our bandwidth budget has nothing left for it now. Ask later.
    #[error("the bandwidth budget has nothing left for this now")]
    OverBudget,
    /// The peer does not speak the protocol.
    #[error("the peer does not speak the protocol")]
    Unsupported,
    /// The peer was silent or far too slow.
    #[error("the peer did not answer in time")]
    Timeout,
    /// The peer answered with an error.
    #[error("the peer answered with error {code}: {message}")]
    Refused {
        /// The result code.
        code: u8,
        /// The peer's words, unfit for anything but a log.
        message: String,
    },
    /// The answer could not be decoded.
    #[error("the answer is malformed: {0}")]
    Malformed(String),
    /// The answer could be decoded, but is not about what was asked.
    #[error("the answer is not about the question: {0}")]
    Unrelated(&'static str),
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Connection(String),
}

impl RpcError {
    /// The label in metrics.
    pub(super) const fn label(&self) -> &'static str {
        match self {
            RpcError::NotConnected => "not_connected",
            RpcError::Busy => "busy",
            RpcError::OverBudget => "over_budget",
            RpcError::Unsupported => "unsupported",
            RpcError::Timeout => "timeout",
            RpcError::Refused { .. } => "refused",
            RpcError::Malformed(_) => "malformed",
            RpcError::Unrelated(_) => "unrelated",
            RpcError::Connection(_) => "connection",
        }
    }

    /// What the peer is punished for, if it is its fault.
    pub(super) const fn reason(&self) -> Option<Reason> {
        match self {
            RpcError::NotConnected | RpcError::Busy | RpcError::OverBudget | RpcError::Unsupported => None,
            // It may be short of something; it must not be asked again at once, but that is the asker's business.
            RpcError::Refused { .. } | RpcError::Connection(_) => Some(Reason::Failure),
            RpcError::Timeout => Some(Reason::Timeout),
            RpcError::Malformed(_) => Some(Reason::ResponseMalformed),
            RpcError::Unrelated(_) => Some(Reason::ResponseUnrelated),
        }
    }
}

impl From<CodecError> for RpcError {
    fn from(error: CodecError) -> Self {
        match error {
            CodecError::Stalled(_) => RpcError::Timeout,
            CodecError::Io(e) => RpcError::Connection(e.to_string()),
            other => RpcError::Malformed(other.to_string()),
        }
    }
}

impl From<OpenError> for RpcError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Unsupported => RpcError::Unsupported,
            OpenError::Timeout => RpcError::Timeout,
            OpenError::Io(e) => RpcError::Connection(e.to_string()),
        }
    }
}
