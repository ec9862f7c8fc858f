//! A bar on the terminal: one line, drawn over itself, gone at the end. Where nobody looks, nothing is written.

use std::io::{IsTerminal, Write, stderr};

/// Places of the bar.
const WIDTH: usize = 30;
/// Room for the text beside the bar on a terminal of 80 columns.
const TEXT: usize = 40;

/// How far the measuring is.
#[derive(Debug)]
pub struct Progress {
    done: usize,
    total: usize,
    is_shown: bool,
}

impl Progress {
    /// Of `total` steps, none is done.
    pub fn new(total: usize) -> Progress {
        Progress { done: 0, total, is_shown: stderr().is_terminal() }
    }

    /// The next step is begun.
    pub fn step(&mut self, what: &str) {
        if self.is_shown {
            // A terminal that is gone must not end the measuring.
            let _ = write!(stderr(), "\r\x1b[K{}", line(self.done, self.total, what));
        }
        self.done += 1;
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}

/// The bar with `done` of `total` steps behind it, and what is being done.
fn line(done: usize, total: usize, what: &str) -> String {
    let done = done.min(total);
    let filled = WIDTH * done / total.max(1);
    let what: String = what.chars().take(TEXT).collect();
    format!("[{}{}] {:3}%  {what}", "#".repeat(filled), "-".repeat(WIDTH - filled), 100 * done / total.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fills() {
        assert_eq!(line(0, 4, "a state"), format!("[{}]   0%  a state", "-".repeat(30)));
        assert_eq!(line(2, 4, "half"), format!("[{}{}]  50%  half", "#".repeat(15), "-".repeat(15)));
        assert_eq!(line(9, 4, "late"), format!("[{}] 100%  late", "#".repeat(30)));
        assert!(line(0, 0, &"long ".repeat(100)).len() < 80);
    }
}
