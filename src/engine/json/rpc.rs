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
