//! Runs cases on two threads. A case that panics fails alone.

use std::{
    any::Any,
    cell::RefCell,
    collections::BTreeMap,
    panic::{self, AssertUnwindSafe},
    sync::{
        Mutex, Once,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use super::{case::Case, sets};

/// Passed cases by `[preset, fork, runner]`.
pub type Passed = BTreeMap<[String; 3], usize>;

/// What came out.
#[derive(Default)]
pub struct Outcome {
    pub passed: Passed,
    /// Path and reason, sorted by path.
    pub failed: BTreeMap<String, String>,
}

const THREADS: usize = 2;

thread_local! {
    /// Where the case that this thread runs panicked; `None` while it runs none.
    static PANICKED_AT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs all cases, whatever happens to any of them.
pub fn run(cases: &[Case]) -> Outcome {
    static HOOK: Once = Once::new();
    HOOK.call_once(keep_panics_of_cases);
    let (next, outcome) = (AtomicUsize::new(0), Mutex::new(Outcome::default()));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Relaxed)) {
                    record(&outcome, case, run_one(case));
                }
            });
        }
    });
    outcome.into_inner().expect("the threads catch panics")
}

/// Panics of cases are kept for the report; all others are printed as ever.
fn keep_panics_of_cases() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let in_case = PANICKED_AT.with_borrow(Option::is_some);
        if in_case {
            PANICKED_AT.set(info.location().map(|location| location.to_string()));
        } else {
            print(info);
        }
    }));
}

/// Runs a case, and turns a panic or a file that was never opened into a failure.
fn run_one(case: &Case) -> Result<(), String> {
    PANICKED_AT.set(Some(String::new()));
    let result = panic::catch_unwind(AssertUnwindSafe(|| {
        case.check_manifest()?;
        sets::runner(&case.runner).ok_or("no runner for it")?(case)
    }));
    let place = PANICKED_AT.take().unwrap_or_default();
    result.unwrap_or_else(|cause| Err(format!("panic at {place}: {}", message(&*cause))))?;
    match case.never_opened()?.as_slice() {
        [] => Ok(()),
        files => Err(format!("passed, but never opened {}", files.join(", "))),
    }
}

fn message(cause: &(dyn Any + Send)) -> &str {
    let owned = cause.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| cause.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

fn record(outcome: &Mutex<Outcome>, case: &Case, result: Result<(), String>) {
    let mut outcome = outcome.lock().expect("nothing panics while it is held");
    let key = [&case.preset, &case.fork, &case.runner].map(String::clone);
    let passed = outcome.passed.entry(key).or_default();
    match result {
        Ok(()) => *passed += 1,
        Err(reason) => {
            outcome.failed.insert(case.path(), reason);
        }
    }
}
