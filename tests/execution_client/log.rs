//! What a process says, line by line, and waiting for it: a node says something in each slot, so nothing here sleeps.

use std::{
    io::{BufRead, BufReader, Read},
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

/// Lines of a failure's message.
const SHOWN: usize = 60;

pub struct Log {
    lines: Mutex<Vec<String>>,
    grown: Condvar,
}

impl Log {
    /// Reads what `source` says, on a thread of its own.
    pub fn of(source: impl Read + Send + 'static) -> Arc<Log> {
        let log = Arc::new(Log { lines: Mutex::default(), grown: Condvar::new() });
        let writer = log.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(source).lines().map_while(Result::ok) {
                writer.lines.lock().unwrap().push(line);
                writer.grown.notify_all();
            }
        });
        log
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.lines.lock().unwrap().len()
    }

    /// Waits for a line from number `from` on of which `read` makes something; that, and the number of the line after it.
    pub fn wait<T>(&self, mut from: usize, patience: Duration, read: impl Fn(&str) -> Option<T>) -> Option<(T, usize)> {
        let end = Instant::now() + patience;
        let mut lines = self.lines.lock().unwrap();
        loop {
            while from < lines.len() {
                from += 1;
                if let Some(found) = read(&lines[from - 1]) {
                    return Some((found, from));
                }
            }
            let left = end.checked_duration_since(Instant::now())?;
            lines = self.grown.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// The lines from number `from` on that hold `text`.
    pub fn find(&self, from: usize, text: &str) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        lines.iter().skip(from).filter(|line| line.contains(text)).cloned().collect()
    }

    /// The last lines.
    pub fn tail(&self) -> String {
        let lines = self.lines.lock().unwrap();
        lines[lines.len().saturating_sub(SHOWN)..].join("\n")
    }
}
