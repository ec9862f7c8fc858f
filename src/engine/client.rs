//! The Engine API's client: one typed function for each method, in the version that a payload's fork needs.
//! <https://github.com/ethereum/execution-apis/tree/033ca6e69/src/engine>
//!
//! Calls run on the blocking pool. A client that is gone fails every call at once until the next attempt is due.

mod blobs;
mod error;
mod http;
mod link;
mod method;
mod payloads;
mod prepare;
mod setup;

pub use error::ClientError;
pub use link::Session;
pub use method::Method;
pub use payloads::MAX_BODIES;
pub use setup::{BlobRules, ForkPlan, LatestBlock, Rules, Setup};

// What the stand-in's server speaks too.
pub(super) use blobs::{BlobAndProofV1, BlobAndProofV2};
pub(super) use method::*;

use std::{
    convert::Infallible,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use serde::{Serialize, de::DeserializeOwned};
use smol::lock::{Mutex, Semaphore};

use self::{http::Http, link::Link, prepare::Prepared};
use super::{ClientVersion, ForkchoiceState, Secret};
use crate::metrics::{self, EXECUTION_REQUEST_SECONDS, EXECUTION_REQUESTS};

/// Calls at once: a payload, a fork choice, a payload to propose, blobs, bodies for peers, and a few in reserve. Each takes a
/// thread of the blocking pool for as long as the client takes.
const CALLS: usize = 8;
/// How often a client that nobody calls is looked at, so that the log and the metric are right: a fraction of a slot. One that is
/// gone is looked at when an attempt to meet is due.
const WATCH: Duration = Duration::from_secs(3);
/// How often it is asked again what it can do, since it may have been replaced by another between two calls.
const MEET_AGAIN: Duration = Duration::from_secs(300);

/// An execution client. Clones are the same one.
#[derive(Clone)]
pub struct ExecutionClient {
    http: Http,
    shared: Arc<Shared>,
}

struct Shared {
    link: Link,
    /// Held by who meets the client, so that one does for all who wait.
    meeting: Mutex<()>,
    calls: Arc<Semaphore>,
    /// The last fork choice that was told.
    told: ArcSwap<ForkchoiceState>,
    /// Held while a fork choice is told, so that the client hears them in their order.
    telling: Mutex<()>,
    /// The payload that was begun ahead of time.
    prepared: ArcSwapOption<Prepared>,
}

impl fmt::Debug for ExecutionClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the execution client at {}", self.http.url())
    }
}

impl ExecutionClient {
    /// The client at `url`, such as `http://127.0.0.1:8551`. Nothing is sent yet.
    pub fn new(url: &str, secret: Secret) -> ExecutionClient {
        let calls = Arc::new(Semaphore::new(CALLS));
        let shared = Shared {
            link: Link::default(),
            meeting: Mutex::default(),
            calls,
            told: ArcSwap::default(),
            telling: Mutex::default(),
            prepared: ArcSwapOption::default(),
        };
        ExecutionClient { http: Http::new(url, secret), shared: shared.into() }
    }

    /// Whether it answers, what it can do and who it is; none while it is not there or was not asked yet.
    pub fn session(&self) -> Option<Arc<Session>> {
        self.shared.link.session()
    }

    /// What is wrong, if it is not there.
    pub fn trouble(&self) -> Option<ClientError> {
        self.shared.link.trouble()
    }

    /// How often we met it. When this grew, it may not know the fork choice any more.
    pub fn sessions(&self) -> u64 {
        self.shared.link.sessions()
    }

    /// Looks at the client for ever, so that it is met soon after it comes, and its going is noticed.
    pub async fn watch(&self) -> Infallible {
        let mut met = Instant::now();
        loop {
            if met.elapsed() >= MEET_AGAIN && self.session().is_some() {
                // What goes wrong here is noted, and said, by the link.
                let _ = self.meet().await;
                met = Instant::now();
            } else {
                let _ = self.upcheck().await;
            }
            smol::Timer::after(self.shared.link.pause(Instant::now(), WATCH)).await;
        }
    }

    /// Whether the client is there and has all blocks; it is syncing otherwise.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn upcheck(&self) -> Result<bool, ClientError> {
        let syncing: serde_json::Value = self.call_for(ETH_SYNCING, &[(); 0]).await?;
        Ok(syncing == serde_json::Value::Bool(false))
    }

    /// Who the client is, asked now.
    /// <https://github.com/ethereum/execution-apis/blob/033ca6e69/src/engine/identification.md#engine_getclientversionv1>
    ///
    /// # Errors
    /// When it does not say.
    pub async fn client_version(&self) -> Result<Vec<ClientVersion>, ClientError> {
        self.call_for(GET_CLIENT_VERSION_V1, &[ClientVersion::ours()]).await
    }

    /// A call whose answer must not be null.
    async fn call_for<T>(&self, method: Method, params: &impl Serialize) -> Result<T, ClientError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let body = http::encode(method, params)?;
        let result = self.call(method, move || Ok(body)).await?;
        result.ok_or(ClientError::Nonsense { method: method.name, reason: "it is null".into() })
    }

    /// A call to a client that is there, or is met first. When the connection turns out to be broken, the client may have been
    /// restarted: it is met and asked once more. `body` is made on the blocking pool.
    async fn call<T>(
        &self,
        method: Method,
        body: impl FnOnce() -> Result<Vec<u8>, ClientError> + Send + 'static,
    ) -> Result<Option<T>, ClientError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        self.connect().await?;
        let body: Arc<[u8]> = smol::unblock(body).await?.into();
        match self.exchange(method, body.clone()).await {
            Err(error) if error.is_lost() => {
                self.connect().await?;
                self.exchange(method, body).await
            }
            result => result,
        }
    }

    /// Sends one request, and notes how it went.
    async fn exchange<T>(&self, method: Method, body: Arc<[u8]>) -> Result<Option<T>, ClientError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let place = self.shared.calls.acquire_arc().await;
        let (http, begun) = (self.http.clone(), Instant::now());
        let result = smol::unblock(move || {
            // Held until the thread is free, even if nobody waits for the answer any more.
            let _place = place;
            http.call(method, &body)
        })
        .await;
        metrics::observe(&EXECUTION_REQUEST_SECONDS, &[("method", method.name)], begun.elapsed().as_secs_f64());
        let label = result.as_ref().err().map_or("ok", ClientError::label);
        metrics::inc(&EXECUTION_REQUESTS, &[("method", method.name), ("result", label)]);
        self.shared.link.note(method, result.as_ref().err());
        match &result {
            Err(error) if error.is_silence() => self.shared.link.failed(error, Instant::now()),
            _ => self.shared.link.answered(),
        }
        result
    }

    /// Meets the client if it is not known to be there, unless it is too early to try again.
    async fn connect(&self) -> Result<(), ClientError> {
        if self.session().is_some() {
            return Ok(());
        }
        let _meeting = self.shared.meeting.lock().await;
        // Somebody else may have met it while we waited.
        if self.session().is_some() {
            return Ok(());
        }
        self.shared.link.may_try(Instant::now())?;
        self.meet().await
    }

    /// Asks the client what it can do and who it is.
    /// <https://github.com/ethereum/execution-apis/blob/033ca6e69/src/engine/common.md#engine_exchangecapabilities>
    async fn meet(&self) -> Result<(), ClientError> {
        if self.session().is_none() {
            let http = self.http.clone();
            smol::unblock(move || http.reload_secret()).await;
        }
        let ours = CAPABILITIES.map(|method| method.name);
        let body = http::encode(EXCHANGE_CAPABILITIES, &[ours])?;
        let methods: Result<Option<Vec<String>>, _> = self.exchange(EXCHANGE_CAPABILITIES, body.into()).await;
        let methods = match methods {
            Ok(methods) => methods.unwrap_or_default(),
            // It is there, and does not tell what it can do: then every method is tried.
            Err(ClientError::Unsupported { .. }) => ours.map(String::from).into(),
            Err(error) => {
                if !error.is_silence() && self.session().is_none() {
                    self.shared.link.failed(&error, Instant::now());
                }
                return Err(error);
            }
        };
        let known = methods.into_iter().filter(|name| ours.contains(&name.as_str())).collect();
        let body = http::encode(GET_CLIENT_VERSION_V1, &[ClientVersion::ours()])?;
        // Clients need not tell who they are.
        let versions = self.exchange(GET_CLIENT_VERSION_V1, body.into()).await.ok().flatten().unwrap_or_default();
        self.shared.link.met(self.http.url(), Session { methods: known, versions });
        Ok(())
    }
}
