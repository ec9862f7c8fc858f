//! Whether the execution client is there, and when to try again if it is not.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    error::ClientError,
    method::{ETH_CONFIG, EXCHANGE_CAPABILITIES, GET_CLIENT_VERSION_V1, Method},
};
use crate::{
    engine::ClientVersion,
    metrics::{self, EXECUTION_CLIENT_UP},
};

/// The first wait after the client was lost; each one more is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait: less than a slot, so that it is found again within one.
const LONGEST_WAIT: Duration = Duration::from_secs(4);
/// Between two looks at a client at least.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
/// Calls in a row without an answer after which a client that takes connections counts as lost.
const TIMEOUTS: u32 = 3;

/// What a client told us when we met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// Methods that it has.
    pub methods: BTreeSet<String>,
    /// Who it is; empty when it does not say.
    pub versions: Vec<ClientVersion>,
}

/// Whether a client answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum State {
    /// We did not ask yet.
    #[default]
    Unmet,
    Up(Arc<Session>),
    /// It was there or not, and is not there now.
    Lost(ClientError),
}

/// The one place that knows. Its lock is held for a few instructions.
#[derive(Default)]
pub struct Link(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    state: State,
    /// Failed attempts in a row.
    failures: u32,
    retry_at: Option<Instant>,
    /// Calls in a row that were not answered in time.
    timeouts: u32,
    /// Methods that failed when they were last called, by a client that is there.
    ailing: BTreeSet<&'static str>,
    sessions: u64,
}

impl Link {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the client said when we met, if it is there.
    pub fn session(&self) -> Option<Arc<Session>> {
        match &self.inner().state {
            State::Up(session) => Some(session.clone()),
            _ => None,
        }
    }

    /// How often we met. A larger number than before tells that the client may have forgotten what it was told.
    pub fn sessions(&self) -> u64 {
        self.inner().sessions
    }

    /// What is wrong, if the client is lost.
    pub fn trouble(&self) -> Option<ClientError> {
        match &self.inner().state {
            State::Lost(error) => Some(error.clone()),
            _ => None,
        }
    }

    /// Fails while it is too early to try again.
    ///
    /// # Errors
    /// What was wrong the last time.
    pub fn may_try(&self, now: Instant) -> Result<(), ClientError> {
        let inner = self.inner();
        match &inner.state {
            State::Lost(error) if inner.retry_at.is_some_and(|at| now < at) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// How long to wait before the client is looked at again: as usual, or until an attempt is due if it is lost.
    pub fn pause(&self, now: Instant, usual: Duration) -> Duration {
        let inner = self.inner();
        match (&inner.state, inner.retry_at) {
            (State::Lost(_), Some(at)) => at.saturating_duration_since(now).clamp(SHORTEST_PAUSE, usual),
            (State::Lost(_), None) => SHORTEST_PAUSE,
            _ => usual,
        }
    }

    /// We met. Says so if that is news.
    pub fn met(&self, url: &str, session: Session) {
        let mut inner = self.inner();
        let is_news = !matches!(inner.state, State::Up(_));
        (inner.failures, inner.timeouts, inner.retry_at) = (0, 0, None);
        let session = Arc::new(session);
        inner.state = State::Up(session.clone());
        if is_news {
            inner.sessions += 1;
            drop(inner);
            metrics::set(&EXECUTION_CLIENT_UP, &[], 1.0);
            let names: Vec<_> = session.versions.iter().map(ToString::to_string).collect();
            let name = if names.is_empty() { "the execution client".into() } else { names.join(" and ") };
            tracing::info!("{name} answers at {url}, with {} methods", session.methods.len());
        }
    }

    /// A call was answered, with whatever.
    pub fn answered(&self) {
        self.inner().timeouts = 0;
    }

    /// How a call to a client that is there went. Says so when a method begins to fail, and when it works again: a client with a
    /// full disk fails at every call.
    pub fn note(&self, method: Method, error: Option<&ClientError>) {
        let is_optional = [EXCHANGE_CAPABILITIES, GET_CLIENT_VERSION_V1, ETH_CONFIG].contains(&method);
        if is_optional || error.is_some_and(|error| error.is_lost() || error.is_about_a_payload()) {
            return;
        }
        let ailing = &mut self.inner().ailing;
        match error {
            Some(error) if ailing.insert(method.name) => {
                tracing::warn!("{error} (said once, until it works again)");
            }
            None if ailing.remove(method.name) => tracing::info!("the execution client answers {} again", method.name),
            _ => {}
        }
    }

    /// A call was not answered, or we could not meet. Says so if that is news.
    pub fn failed(&self, error: &ClientError, now: Instant) {
        let mut inner = self.inner();
        let was_up = matches!(inner.state, State::Up(_));
        if matches!(error, ClientError::Timeout { .. }) {
            inner.timeouts += 1;
            if was_up && inner.timeouts < TIMEOUTS {
                return;
            }
        }
        let is_news = match &inner.state {
            State::Lost(before) => std::mem::discriminant(before) != std::mem::discriminant(error),
            _ => true,
        };
        // After a loss the first attempt is made at once.
        inner.failures = if was_up { 0 } else { inner.failures.saturating_add(1) };
        inner.retry_at = inner.failures.checked_sub(1).map(|doublings| now + wait(doublings));
        inner.state = State::Lost(error.clone());
        inner.ailing.clear();
        drop(inner);
        metrics::set(&EXECUTION_CLIENT_UP, &[], 0.0);
        if is_news {
            let longest = LONGEST_WAIT.as_secs();
            tracing::warn!("{error}. Payloads stay unverified until it is back; we try again every {longest} s");
        }
    }

    /// Whether the client says that it has `method`; true if it was never asked.
    pub fn has(&self, method: Method) -> bool {
        self.session().is_none_or(|session| session.methods.contains(method.name))
    }
}

/// How long to wait after so many doublings.
fn wait(doublings: u32) -> Duration {
    FIRST_WAIT.saturating_mul(1 << doublings.min(10)).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone() -> ClientError {
        ClientError::Unreachable { url: "http://here".into(), reason: "refused".into() }
    }

    fn late() -> ClientError {
        ClientError::Timeout { method: "engine_newPayloadV4", seconds: 8 }
    }

    #[test]
    fn a_lost_client_is_tried_at_once_and_then_ever_later() {
        let (link, now) = (Link::default(), Instant::now());
        link.met("http://here", Session::default());
        link.failed(&gone(), now);
        assert_eq!(link.may_try(now), Ok(()));
        let usual = Duration::from_secs(3);
        assert_eq!(link.pause(now, usual), SHORTEST_PAUSE);
        let mut waits = Vec::new();
        for _ in 0..6 {
            link.failed(&gone(), now);
            assert_eq!(link.may_try(now), Err(gone()));
            let wait = (1..).map(|half| half * FIRST_WAIT).find(|wait| link.may_try(now + *wait).is_ok()).unwrap();
            assert_eq!(link.pause(now, usual), wait.min(usual));
            waits.push(wait);
        }
        assert_eq!(waits.iter().map(Duration::as_millis).collect::<Vec<_>>(), [500, 1000, 2000, 4000, 4000, 4000]);
        link.met("http://here", Session::default());
        assert_eq!((link.may_try(now), link.sessions(), link.pause(now, usual)), (Ok(()), 2, usual));
    }

    #[test]
    fn a_method_that_fails_is_noted_until_it_works_or_the_client_is_lost() {
        let (link, now) = (Link::default(), Instant::now());
        link.met("http://here", Session::default());
        let is_ailing = |method: Method| link.inner().ailing.contains(method.name);
        let (syncing, version) = (crate::engine::client::ETH_SYNCING, GET_CLIENT_VERSION_V1);
        link.note(syncing, Some(&late()));
        link.note(version, Some(&late()));
        assert!(is_ailing(syncing) && !is_ailing(version));
        // That a payload is not known is no ailment, and no cure.
        link.note(syncing, Some(&ClientError::UnknownPayload));
        assert!(is_ailing(syncing));
        link.note(syncing, None);
        assert!(!is_ailing(syncing));
        link.note(syncing, Some(&late()));
        link.failed(&gone(), now);
        assert!(!is_ailing(syncing));
    }

    #[test]
    fn a_slow_client_is_lost_after_some_calls_without_an_answer() {
        let (link, now) = (Link::default(), Instant::now());
        link.met("http://here", Session::default());
        link.failed(&late(), now);
        link.failed(&late(), now);
        link.answered();
        link.failed(&late(), now);
        link.failed(&late(), now);
        assert!(link.session().is_some());
        link.failed(&late(), now);
        assert_eq!((link.session(), link.trouble()), (None, Some(late())));
        assert_eq!(link.sessions(), 1);
    }
}
