//! What an execution client answers, as the node uses it.

use std::fmt;

use serde::{Deserialize, Serialize};
use ssz_types::VariableList;

use crate::types::{Blob, Hash256, KZGProof, Transactions, Withdrawal, preset::MaxWithdrawalsPerPayload};

/// What the client says of a payload.
/// <https://github.com/ethereum/execution-apis/blob/033ca6e69/src/engine/paris.md#payloadstatusv1>
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayloadStatus {
    /// It was run, and so were all before it.
    Valid,
    /// It, or one before it, can't be run.
    Invalid {
        /// The last valid payload before it; zero if that is from before the merge, none if the client does not know.
        latest_valid_hash: Option<Hash256>,
        /// The client's words.
        reason: String,
    },
    /// What is needed to tell is missing.
    Syncing,
    /// It is well-formed and on a side branch, and was not run.
    Accepted,
}

/// Names a payload that the client makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PayloadId(pub [u8; 8]);

impl fmt::Display for PayloadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

/// A payload's lists: what a header lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PayloadBody {
    /// Transactions.
    pub transactions: Transactions,
    /// Withdrawals; none before Capella.
    pub withdrawals: Option<VariableList<Withdrawal, MaxWithdrawalsPerPayload>>,
}

/// A blob of the client's pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PooledBlob {
    /// The blob.
    pub blob: Blob,
    /// Since Fulu 128: those of its cells. Before, one.
    pub proofs: Vec<KZGProof>,
}

/// Who a client is.
/// <https://github.com/ethereum/execution-apis/blob/033ca6e69/src/engine/identification.md#clientversionv1>
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientVersion {
    /// Two letters.
    pub code: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The first bytes of its commit, in hexadecimal.
    pub commit: String,
}

/// Characters of a client's name, or of its version, that we show.
const SHOWN: usize = 40;

impl ClientVersion {
    /// What we say of ourselves. No code is reserved for us, and releases have no commit in them.
    pub fn ours() -> ClientVersion {
        ClientVersion {
            code: "HR".into(),
            name: "Hornero".into(),
            version: concat!("v", env!("CARGO_PKG_VERSION")).into(),
            commit: "0x00000000".into(),
        }
    }
}

impl fmt::Display for ClientVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = |text: &str| text.chars().filter(|c| !c.is_control()).take(SHOWN).collect::<String>();
        write!(f, "{} {}", cut(&self.name), cut(&self.version))
    }
}
