//! Starts tasks, starts them again when they fail, and gives up when they fail too often.

use std::{
    collections::VecDeque,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    time::{Duration, Instant},
};

use async_channel::Sender;
use futures::FutureExt;
use tracing::{error, warn};

use crate::chain::ChainTask;

/// Failures within [`WINDOW`] after which the node ends, for systemd to start it anew: something is wrong that starting a
/// task again does not mend.
const MAX_FAILURES: usize = 5;
/// See [`MAX_FAILURES`].
const WINDOW: Duration = Duration::from_secs(60);
/// Pause before a task is started again, so that a task that fails at once does not keep the processor busy.
const PAUSE: Duration = Duration::from_millis(500);

/// What a supervised task is.
pub type TaskFuture = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// A task and what to do when it fails.
pub struct Task {
    /// For logs.
    pub name: &'static str,
    /// Whether it may be started again; otherwise its failure ends the node.
    pub restartable: bool,
    /// Starts it.
    pub start: Box<dyn Fn() -> TaskFuture + Send + Sync>,
}

impl From<ChainTask> for Task {
    fn from(task: ChainTask) -> Self {
        let ChainTask { name, restartable, start } = task;
        let start = move || -> TaskFuture {
            let future = start();
            Box::pin(async move { future.await.map_err(|error| error.to_string()) })
        };
        Task { name, restartable, start: Box::new(start) }
    }
}

/// A task gave up: the node has to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GaveUp {
    /// Which task.
    pub task: &'static str,
    /// Why it failed last.
    pub reason: String,
}

/// Runs a task until it ends well. Says on `gave_up` when it can't go on.
pub async fn supervise(task: Task, gave_up: Sender<GaveUp>) {
    let mut failures = VecDeque::new();
    loop {
        let reason = match AssertUnwindSafe((task.start)()).catch_unwind().await {
            Ok(Ok(())) => return,
            Ok(Err(reason)) => reason,
            Err(panic) => format!("panicked: {}", panic_text(panic.as_ref())),
        };
        if gave_up.is_closed() {
            // The node is stopping, and its tasks with it, in any order.
            return;
        }
        let now = Instant::now();
        failures.push_back(now);
        while failures.front().is_some_and(|failure| now - *failure > WINDOW) {
            failures.pop_front();
        }
        if !task.restartable || failures.len() > MAX_FAILURES {
            error!("the {} task failed: {reason}; the node can't go on without it", task.name);
            // Full means that another task said so already.
            let _ = gave_up.try_send(GaveUp { task: task.name, reason });
            return;
        }
        warn!("the {} task failed: {reason}; it is started again ({} of {MAX_FAILURES})", task.name, failures.len());
        smol::Timer::after(PAUSE).await;
    }
}

/// Runs work that has to go on as long as the node does and that nothing can start again. When it ends or panics, the node
/// has to end too; a node that is stopping no longer listens.
pub async fn watch(task: &'static str, work: impl Future<Output = ()>, gave_up: Sender<GaveUp>) {
    let reason = match AssertUnwindSafe(work).catch_unwind().await {
        Ok(()) => "it ended".into(),
        Err(panic) => format!("panicked: {}", panic_text(panic.as_ref())),
    };
    let _ = gave_up.try_send(GaveUp { task, reason });
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    fn failing(times: usize, restartable: bool) -> (Task, Arc<AtomicUsize>) {
        let starts = Arc::new(AtomicUsize::new(0));
        let counter = starts.clone();
        let start = Box::new(move || -> TaskFuture {
            let nth = counter.fetch_add(1, Ordering::SeqCst);
            Box::pin(async move {
                match nth {
                    n if n >= times => Ok(()),
                    n if n % 2 == 0 => Err("broken".into()),
                    _ => panic!("very broken"),
                }
            })
        });
        (Task { name: "test", restartable, start }, starts)
    }

    #[test]
    fn a_task_that_recovers_is_started_again() {
        let (task, starts) = failing(2, true);
        let (sender, receiver) = async_channel::bounded(1);
        smol::block_on(supervise(task, sender));
        assert_eq!(starts.load(Ordering::SeqCst), 3);
        assert!(receiver.try_recv().is_err());
    }

    #[test]
    fn a_stopping_node_starts_nothing_again() {
        let (task, starts) = failing(2, true);
        let (sender, receiver) = async_channel::bounded(1);
        receiver.close();
        smol::block_on(supervise(task, sender));
        assert_eq!(starts.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn watched_work_must_not_end() {
        let (sender, receiver) = async_channel::bounded(1);
        smol::block_on(watch("test", async {}, sender.clone()));
        assert_eq!(receiver.try_recv(), Ok(GaveUp { task: "test", reason: "it ended".into() }));
        smol::block_on(watch("test", async { panic!("badly") }, sender));
        assert_eq!(receiver.try_recv(), Ok(GaveUp { task: "test", reason: "panicked: badly".into() }));
    }

    #[test]
    fn a_task_that_must_not_be_started_again_ends_the_node() {
        let (task, starts) = failing(2, false);
        let (sender, receiver) = async_channel::bounded(1);
        smol::block_on(supervise(task, sender));
        assert_eq!(starts.load(Ordering::SeqCst), 1);
        assert_eq!(receiver.try_recv(), Ok(GaveUp { task: "test", reason: "broken".into() }));
    }
}
