//! What goes wrong between us and an execution client.

use crate::{engine::json::Failure, types::ForkName};

/// Characters of an execution client's own words that we keep.
const WORDS: usize = 300;

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there, or the connection broke.
    #[error("the execution client at {url} can't be reached: {reason}; start it, or correct --execution-endpoint")]
    Unreachable {
        /// Where.
        url: String,
        /// Why.
        reason: String,
    },
    /// It took longer than the API allows.
    #[error("the execution client did not answer {method} within {seconds} s")]
    Timeout {
        /// The method.
        method: &'static str,
        /// How long we waited.
        seconds: u64,
    },
    /// It does not take our token: the secrets or the clocks differ.
    #[error("{0}")]
    Auth(String),
    /// It does not have the method, or not for payloads of this time (-38005): it is too old or set up for another network.
    #[error(
        "the execution client does not support {method} here ({words}); update it, and check that it is for the same network"
    )]
    Unsupported {
        /// The method.
        method: &'static str,
        /// Its words.
        words: String,
    },
    /// There are no payloads before Bellatrix.
    #[error("{0} has no execution payloads")]
    NoPayloads(ForkName),
    /// It is not making that payload, or not any more (-38001).
    #[error("the execution client does not know the payload that it should have made")]
    UnknownPayload,
    /// It does not make a payload on this head.
    #[error("the execution client makes no payload: the head is {0} to it")]
    NoPayload(String),
    /// The hashes of a fork choice do not belong together (-38002).
    #[error("the execution client says that the fork choice is inconsistent: {0}")]
    InvalidForkchoice(String),
    /// The attributes of a payload to make are wrong (-38003); the fork choice was taken all the same.
    #[error("the execution client can't make a payload with these attributes: {0}")]
    InvalidAttributes(String),
    /// We asked for too much at once, or the answer was more than we take (-38004).
    #[error("{method} was asked for too much at once")]
    TooLarge {
        /// The method.
        method: &'static str,
    },
    /// A re-org deeper than the client can do (-38006).
    #[error("the execution client can't go back so far: {0}")]
    TooDeepReorg(String),
    /// The answer is not what the API says.
    #[error("the execution client answered {method} with something else than the API says: {reason}")]
    Nonsense {
        /// The method.
        method: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Any other error that it reports.
    #[error("the execution client failed at {method}: {words} ({code})")]
    Failed {
        /// The method.
        method: &'static str,
        /// JSON-RPC's code, or HTTP's status.
        code: i64,
        /// Its words.
        words: String,
    },
}

impl ClientError {
    /// What a JSON-RPC error means.
    /// <https://github.com/ethereum/execution-apis/blob/033ca6e69/src/engine/common.md#errors>
    pub(super) fn from_failure(method: &'static str, failure: Failure) -> ClientError {
        let words = words(&failure);
        match failure.code {
            -32601 | -38005 => ClientError::Unsupported { method, words },
            -38001 => ClientError::UnknownPayload,
            -38002 => ClientError::InvalidForkchoice(words),
            -38003 => ClientError::InvalidAttributes(words),
            -38004 => ClientError::TooLarge { method },
            -38006 => ClientError::TooDeepReorg(words),
            code => ClientError::Failed { method, code, words },
        }
    }

    /// Whether the client itself is gone, or will not talk to us.
    pub fn is_lost(&self) -> bool {
        matches!(self, ClientError::Unreachable { .. } | ClientError::Auth(_))
    }

    /// Whether the method works and only the payload is not to be had; whoever asked for it says so.
    pub(super) fn is_about_a_payload(&self) -> bool {
        matches!(
            self,
            ClientError::UnknownPayload
                | ClientError::NoPayload(_)
                | ClientError::NoPayloads(_)
                | ClientError::InvalidAttributes(_)
        )
    }

    /// Whether there was no answer at all.
    pub(super) fn is_silence(&self) -> bool {
        self.is_lost() || matches!(self, ClientError::Timeout { .. })
    }

    /// As a label of metrics.
    pub(super) fn label(&self) -> &'static str {
        match self {
            ClientError::Unreachable { .. } => "unreachable",
            ClientError::Timeout { .. } => "timeout",
            ClientError::Auth(_) => "auth",
            ClientError::Nonsense { .. } => "nonsense",
            _ => "error",
        }
    }
}

/// The message, and what `data` adds to it.
fn words(failure: &Failure) -> String {
    let data = failure.data.as_ref().and_then(|data| data.as_str().or_else(|| data.get("err")?.as_str()));
    let text = match data {
        Some(data) => format!("{}: {data}", failure.message),
        None => failure.message.clone(),
    };
    text.chars().take(WORDS).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_codes_of_the_api_are_told_apart() {
        let of = |code| {
            let failure = Failure { code, message: "Server error".into(), data: Some(json!({"err": "disk full"})) };
            ClientError::from_failure("engine_newPayloadV4", failure)
        };
        assert!(matches!(of(-38005), ClientError::Unsupported { .. }));
        assert!(matches!(of(-32601), ClientError::Unsupported { .. }));
        assert!(matches!(of(-38001), ClientError::UnknownPayload));
        assert!(matches!(of(-38002), ClientError::InvalidForkchoice(_)));
        assert!(matches!(of(-38003), ClientError::InvalidAttributes(_)));
        assert!(matches!(of(-38004), ClientError::TooLarge { .. }));
        assert!(matches!(of(-38006), ClientError::TooDeepReorg(_)));
        assert!(of(-32000).to_string().contains("Server error: disk full (-32000)"));
    }
}
