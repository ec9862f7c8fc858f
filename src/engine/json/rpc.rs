//! JSON-RPC 2.0: what every request and answer is wrapped in. <https://www.jsonrpc.org/specification>

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A request.
#[derive(Serialize)]
pub struct Request<'a, P> {
    jsonrpc: &'static str,
    id: u64,
    method: &'a str,
    params: P,
}

impl<'a, P: Serialize> Request<'a, P> {
    /// A request that is answered with the same `id`.
    pub fn new(id: u64, method: &'a str, params: P) -> Self {
        Request { jsonrpc: "2.0", id, method, params }
    }
}

/// An answer: a result, which may be null, or an error.
#[derive(Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
pub struct Reply<T> {
    pub id: Option<u64>,
    #[serde(default)]
    pub result: Option<T>,
    #[serde(default)]
    pub error: Option<Failure>,
}

/// Why there is no result.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failure {
    pub code: i64,
    #[serde(default)]
    pub message: String,
    /// Where some clients put the words that matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

impl Failure {
    /// Whether it is about our token. The API leaves open how that is said: most clients answer with HTTP's 401, ethrex with an
    /// error like any other.
    pub fn is_about_tokens(&self) -> bool {
        let message = self.message.to_lowercase();
        ["auth failed", "unauthorized", "jwt"].iter().any(|words| message.contains(words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_tokens_are_told_from_other_errors() {
        let failure = |message: &str| Failure { code: -32000, message: message.into(), data: None };
        for message in ["Auth failed: Invalid or missing token", "Auth failed: Invalid iat claim", "Unauthorized"] {
            assert!(failure(message).is_about_tokens(), "{message}");
        }
        assert!(!failure("Server error").is_about_tokens());
    }
}
