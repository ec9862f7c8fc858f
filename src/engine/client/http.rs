//! One request and its answer over HTTP. Everything here blocks.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Serialize, de::DeserializeOwned};
use ureq::http::{Response, StatusCode, header};

use super::{error::ClientError, method::Method};
use crate::engine::{
    json::{Reply, Request},
    jwt::{CLOCK_TOLERANCE, Secret},
};

/// Connections kept open between calls: one, since calls rarely meet.
const IDLE_CONNECTIONS: usize = 1;
/// How long it is kept: longer than a slot, shorter than the minute or more after which execution clients close theirs.
const IDLE_AGE: Duration = Duration::from_secs(45);
/// For a client on this machine or beside it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes of an answer's head.
const HEAD_BYTES: usize = 16 << 10;
/// JSON-RPC's id. Each request has its own exchange, so all of them can have the same.
const ID: u64 = 1;

/// Where the execution client is, and how we show who we are. Clones share the connection.
#[derive(Clone)]
pub struct Http {
    agent: ureq::Agent,
    url: Arc<str>,
    secret: Arc<Mutex<Secret>>,
    /// Seconds by which the client's clock was ahead of ours at its last answer, if it said.
    ahead: Arc<Mutex<Option<i64>>>,
}

/// A request's body.
pub fn encode<P: Serialize>(method: Method, params: &P) -> Result<Vec<u8>, ClientError> {
    serde_json::to_vec(&Request::new(ID, method.name, params)).map_err(|error| nonsense(method, error.to_string()))
}

fn nonsense(method: Method, reason: String) -> ClientError {
    ClientError::Nonsense { method: method.name, reason }
}

impl Http {
    /// Opens no connection yet.
    pub fn new(url: &str, secret: Secret) -> Http {
        let config = ureq::Agent::config_builder()
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .max_idle_connections(IDLE_CONNECTIONS)
            .max_idle_connections_per_host(IDLE_CONNECTIONS)
            .max_idle_age(IDLE_AGE)
            .max_response_header_size(HEAD_BYTES)
            .max_redirects(0)
            .http_status_as_error(false)
            // The execution client is ours: no proxy of the environment stands between.
            .proxy(None)
            .user_agent(concat!("hornero/", env!("CARGO_PKG_VERSION")))
            .build();
        Http { agent: config.into(), url: url.into(), secret: Arc::new(Mutex::new(secret)), ahead: Arc::default() }
    }

    /// The address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Reads the secret's file again, which may have been put right. What can't be read changes nothing.
    pub fn reload_secret(&self) {
        let path = self.secret().path().to_owned();
        if let Ok(secret) = Secret::load(&path) {
            *self.secret.lock().unwrap_or_else(PoisonError::into_inner) = secret;
        }
    }

    /// Seconds by which the client's clock was ahead of ours when it answered last; none if it does not tell the time.
    pub fn clock_ahead(&self) -> Option<i64> {
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn secret(&self) -> Secret {
        self.secret.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends `body` and reads what comes back: a result, or none where it is null.
    ///
    /// # Errors
    /// Every one of [`ClientError`].
    pub fn call<T: DeserializeOwned>(&self, method: Method, body: &[u8]) -> Result<Option<T>, ClientError> {
        let secret = self.secret();
        let Answer { bytes, time } = self.exchange(method, body, &secret)?;
        let reply: Reply<T> = serde_json::from_slice(&bytes)
            .map_err(|error| nonsense(method, format!("{error}: {}", start_of(&bytes))))?;
        match reply.error {
            Some(failure) if failure.is_about_tokens() => {
                Err(ClientError::Auth(refusal(&self.url, &secret, time, now())))
            }
            Some(failure) => Err(ClientError::from_failure(method.name, failure)),
            None if reply.id != Some(ID) => Err(nonsense(method, "it is for another request".into())),
            None => Ok(reply.result),
        }
    }

    fn exchange(&self, method: Method, body: &[u8], secret: &Secret) -> Result<Answer, ClientError> {
        let request = self
            .agent
            .post(&*self.url)
            .config()
            .timeout_global(Some(method.timeout))
            .build()
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {}", secret.token(now())));
        let mut response = request.send(body).map_err(|error| self.transport_error(method, error))?;
        let (status, time) = (response.status(), time_of(&response));
        let ahead = time.map(|theirs| theirs.cast_signed().saturating_sub(now().cast_signed()));
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) = ahead;
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(ClientError::Auth(refusal(&self.url, secret, time, now())));
        }
        let read = response.body_mut().with_config().limit(method.answer_bytes).read_to_vec();
        let bytes = read.map_err(|error| self.transport_error(method, error))?;
        // Some clients report JSON-RPC errors with a status of 4xx or 5xx: the body tells more.
        if !status.is_success() && serde_json::from_slice::<Reply<serde::de::IgnoredAny>>(&bytes).is_err() {
            let code = i64::from(status.as_u16());
            return Err(ClientError::Failed { method: method.name, code, words: start_of(&bytes) });
        }
        Ok(Answer { bytes, time })
    }

    fn transport_error(&self, method: Method, error: ureq::Error) -> ClientError {
        use ureq::Timeout;
        match error {
            ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => self.unreachable("it does not answer".into()),
            ureq::Error::Timeout(_) => ClientError::Timeout { method: method.name, seconds: method.timeout.as_secs() },
            ureq::Error::BodyExceedsLimit(_) => ClientError::TooLarge { method: method.name },
            ureq::Error::Protocol(error) => nonsense(method, error.to_string()),
            error => self.unreachable(error.to_string()),
        }
    }

    fn unreachable(&self, reason: String) -> ClientError {
        ClientError::Unreachable { url: self.url.to_string(), reason }
    }
}

/// What came back.
struct Answer {
    bytes: Vec<u8>,
    /// The client's clock, if it says.
    time: Option<u64>,
}

/// When an answer was sent, by its sender's clock, in seconds since 1970.
fn time_of(response: &Response<ureq::Body>) -> Option<u64> {
    let date = response.headers().get(header::DATE)?.to_str().ok()?;
    let since = httpdate::parse_http_date(date).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(since.as_secs())
}

/// Says which of the two usual reasons it is, as far as the answer's time tells.
fn refusal(url: &str, secret: &Secret, theirs: Option<u64>, ours: u64) -> String {
    let file = secret.path().display();
    let files = format!(
        "give it the same file as us, which is {file} (its option is called --authrpc.jwtsecret or --jwt-secret)"
    );
    let clocks = format!("set both clocks right (timedatectl), tokens older than {CLOCK_TOLERANCE} s are refused");
    let what = match theirs.map(|theirs| (theirs.abs_diff(ours), theirs > ours)) {
        Some((apart, ahead)) if apart > CLOCK_TOLERANCE / 2 => {
            format!("its clock is {apart} s {} ours: {clocks}", if ahead { "ahead of" } else { "behind" })
        }
        Some(_) => format!("the clocks agree, so the secrets differ: {files}"),
        None => format!("the secrets or the clocks differ: {files}, and {clocks}"),
    };
    format!("the execution client at {url} refuses our token: {what}")
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Enough of an answer to recognise what it is.
fn start_of(bytes: &[u8]) -> String {
    const SHOWN: usize = 80;
    String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)]).escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_whether_it_is_the_clock_or_the_secret() {
        let folder = tempfile::tempdir().unwrap();
        let (secret, _) = Secret::load_or_make(&folder.path().join("jwt.hex")).unwrap();
        let say = |theirs| refusal("http://here:8551", &secret, theirs, 1_000);
        assert!(say(Some(1_090)).contains("90 s ahead of ours") && !say(Some(1_090)).contains("jwt.hex"));
        assert!(say(Some(880)).contains("120 s behind ours"));
        assert!(say(Some(1_001)).contains("the secrets differ") && say(Some(1_001)).contains("jwt.hex"));
        assert!(say(None).contains("the secrets or the clocks differ"));
    }
}
