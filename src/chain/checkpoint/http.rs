//! Requests to a beacon node's API, with limits: on each wait, never on the whole of a long download.

use std::{io::Read, time::Duration};

/// Time to reach a server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time until the answer's head: a provider may have to rebuild a state first.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(120);
/// Longest wait for the next bytes of a body. A slow line is welcome, a silent one is not.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// What went wrong with a request.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The server answered with an error.
    #[error("{url} answered with HTTP {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// The answer's code.
        status: u16,
    },
    /// No answer, or it broke off.
    #[error("{url}: {reason}")]
    Transport {
        /// What was asked for.
        url: String,
        /// What happened.
        reason: String,
    },
    /// The answer is larger than such an answer may be.
    #[error("{url}: the answer has {bytes} bytes, more than the {limit} allowed")]
    TooLarge {
        /// What was asked for.
        url: String,
        /// What the server announced.
        bytes: u64,
        /// What is allowed.
        limit: u64,
    },
    /// The answer is not what the API says.
    #[error("{url}: not the answer of a beacon node: {reason}")]
    Malformed {
        /// What was asked for.
        url: String,
        /// What is wrong.
        reason: String,
    },
}

/// A client of one kind: bounded waits, no proxies of its own.
#[derive(Clone, Debug)]
pub struct Client {
    agent: ureq::Agent,
}

/// An answer's body, and how long it says it is.
pub struct Body {
    /// Bytes to come, if the server said.
    pub len: Option<u64>,
    /// The bytes; ends with an error when the connection broke or the limit was passed.
    pub reader: Box<dyn Read + Send>,
}

impl Default for Client {
    fn default() -> Self {
        Client::with_stall_timeout(STALL_TIMEOUT)
    }
}

impl Client {
    /// A client that gives up when no byte comes for so long.
    pub fn with_stall_timeout(stall: Duration) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(RESPONSE_TIMEOUT))
            .timeout_per_read(Some(stall))
            .user_agent(concat!("hornero/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(true)
            .build();
        Client { agent: config.into() }
    }

    /// Asks for binary data of at most `limit` bytes.
    pub fn get_ssz(&self, url: &str, limit: u64) -> Result<Body, HttpError> {
        let response = self
            .agent
            .get(url)
            .header("accept", "application/octet-stream")
            .call()
            .map_err(|error| http_error(url, &error))?;
        let len = response.body().content_length();
        if let Some(bytes) = len.filter(|bytes| *bytes > limit) {
            return Err(HttpError::TooLarge { url: url.into(), bytes, limit });
        }
        // One more than the limit is an error of the reader's, so that an endless body ends.
        let reader = response.into_body().into_with_config().limit(limit).reader();
        Ok(Body { len, reader: Box::new(reader) })
    }

    /// Asks for a JSON document of at most `limit` bytes.
    pub fn get_json(&self, url: &str, limit: u64) -> Result<serde_json::Value, HttpError> {
        let mut response =
            self.agent.get(url).header("accept", "application/json").call().map_err(|error| http_error(url, &error))?;
        let text =
            response.body_mut().with_config().limit(limit).read_to_string().map_err(|error| http_error(url, &error))?;
        serde_json::from_str(&text).map_err(|error| HttpError::Malformed { url: url.into(), reason: error.to_string() })
    }
}

fn http_error(url: &str, error: &ureq::Error) -> HttpError {
    match error {
        ureq::Error::StatusCode(status) => HttpError::Status { url: url.into(), status: *status },
        other => HttpError::Transport { url: url.into(), reason: other.to_string() },
    }
}
