//! What an execution client says of a payload.

use serde::{Deserialize, Serialize};

use super::Bytes;
use crate::{engine::PayloadStatus, types::Hash256};

/// Characters of an execution client's explanation that we keep: it goes into a log line.
const WORDS: usize = 300;

/// <https://github.com/ethereum/execution-apis/blob/033ca6e69/src/engine/paris.md#payloadstatusv1>
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusJson {
    status: StatusName,
    #[serde(default)]
    latest_valid_hash: Option<Hash256>,
    #[serde(default)]
    validation_error: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum StatusName {
    Valid,
    Invalid,
    Syncing,
    Accepted,
    InvalidBlockHash,
}

/// What `engine_forkchoiceUpdated` answers.
/// <https://github.com/ethereum/execution-apis/blob/033ca6e69/src/engine/paris.md#engine_forkchoiceupdatedv1>
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForkchoiceReply {
    pub payload_status: StatusJson,
    /// Eight bytes, if a payload is being made.
    #[serde(default)]
    pub payload_id: Option<Bytes>,
}

impl StatusJson {
    /// What it says of the payload `hash`.
    ///
    /// # Errors
    /// When it calls the payload valid and names another as the latest valid one.
    pub fn of(self, hash: Hash256) -> Result<PayloadStatus, String> {
        match self.status {
            StatusName::Valid => match self.latest_valid_hash {
                Some(latest) if latest != hash => Err(format!("{hash} is called valid, and {latest} the latest valid")),
                _ => Ok(PayloadStatus::Valid),
            },
            StatusName::Invalid => {
                Ok(PayloadStatus::Invalid { latest_valid_hash: self.latest_valid_hash, reason: self.reason() })
            }
            StatusName::InvalidBlockHash => {
                Ok(PayloadStatus::Invalid { latest_valid_hash: None, reason: self.reason() })
            }
            StatusName::Syncing => Ok(PayloadStatus::Syncing),
            StatusName::Accepted => Ok(PayloadStatus::Accepted),
        }
    }

    fn reason(self) -> String {
        let words = self.validation_error.filter(|words| !words.is_empty());
        words.map_or_else(|| "no reason given".into(), |words| words.chars().take(WORDS).collect())
    }

    /// How a status of the payload `hash` is written.
    pub fn from_status(status: &PayloadStatus, hash: Hash256) -> Self {
        let (status, latest_valid_hash, validation_error) = match status {
            PayloadStatus::Valid => (StatusName::Valid, Some(hash), None),
            PayloadStatus::Invalid { latest_valid_hash, reason } => {
                (StatusName::Invalid, *latest_valid_hash, Some(reason.clone()))
            }
            PayloadStatus::Syncing => (StatusName::Syncing, None, None),
            PayloadStatus::Accepted => (StatusName::Accepted, None, None),
        };
        StatusJson { status, latest_valid_hash, validation_error }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(status: &str, latest: Option<Hash256>) -> Result<PayloadStatus, String> {
        let value = json!({"status": status, "latestValidHash": latest, "validationError": "x".repeat(1000)});
        serde_json::from_value::<StatusJson>(value).map_err(|error| error.to_string())?.of(Hash256::repeat_byte(1))
    }

    #[test]
    fn every_status_is_read() {
        let reason = "x".repeat(WORDS);
        assert_eq!(read("VALID", Some(Hash256::repeat_byte(1))), Ok(PayloadStatus::Valid));
        assert_eq!(read("VALID", None), Ok(PayloadStatus::Valid));
        assert!(read("VALID", Some(Hash256::ZERO)).is_err());
        let latest_valid_hash = Some(Hash256::repeat_byte(2));
        let invalid = PayloadStatus::Invalid { latest_valid_hash, reason: reason.clone() };
        assert_eq!(read("INVALID", latest_valid_hash), Ok(invalid));
        let invalid = PayloadStatus::Invalid { latest_valid_hash: None, reason };
        assert_eq!(read("INVALID_BLOCK_HASH", latest_valid_hash), Ok(invalid));
        assert_eq!(read("SYNCING", None), Ok(PayloadStatus::Syncing));
        assert_eq!(read("ACCEPTED", None), Ok(PayloadStatus::Accepted));
        assert!(read("MAYBE", None).is_err());
    }
}
