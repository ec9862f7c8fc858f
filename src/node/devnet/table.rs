//! The table of nodes: in place on a terminal, a line a slot elsewhere.

use std::io::{IsTerminal, Write};

use super::members::View;
use crate::types::{Hash256, Slot};

/// Draws on standard output.
pub(super) struct Table {
    in_place: bool,
    /// Lines of the last drawing, which the next one replaces.
    drawn: usize,
    /// The slot of the last plain line.
    last_slot: Option<Slot>,
}

impl Table {
    pub(super) fn new() -> Self {
        Table { in_place: std::io::stdout().is_terminal(), drawn: 0, last_slot: None }
    }

    /// Shows the nodes.
    pub(super) fn draw(&mut self, views: &[View]) {
        if !self.in_place {
            let slot = views.iter().map(|view| view.slot).max().unwrap_or_default();
            if self.last_slot != Some(slot) {
                self.last_slot = Some(slot);
                print(&format!("{}\n", line(slot, views)));
            }
            return;
        }
        let text = rows(views);
        print(&format!("{}{text}", self.rewind()));
        self.drawn = text.lines().count();
    }

    /// Says something that stays, above the table.
    pub(super) fn say(&mut self, text: &str) {
        print(&format!("{}{text}\n", self.rewind()));
        self.drawn = 0;
    }

    /// Moves to the first line of the last drawing and clears from there on.
    fn rewind(&self) -> String {
        if self.drawn > 0 { format!("\x1b[{}F\x1b[0J", self.drawn) } else { String::new() }
    }
}

/// Nobody may be listening at the other end: then there is nothing to show.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn rows(views: &[View]) -> String {
    let mut text = format!(
        "{:>4} {:>6} {:>8} {:>8}  {:<10} {:>9} {:>9}\n",
        "node", "peers", "slot", "head", "block", "justified", "finalized"
    );
    for view in views {
        text += &format!(
            "{:>4} {:>6} {:>8} {:>8}  {:<10} {:>9} {:>9}{}\n",
            view.number,
            view.peers,
            view.slot,
            view.head_slot,
            short(view.head_root),
            view.justified.epoch,
            view.finalized.epoch,
            if view.is_syncing { "  syncing" } else { "" }
        );
    }
    text
}

/// All nodes in one line.
fn line(slot: Slot, views: &[View]) -> String {
    let nodes = views.iter().map(|view| {
        let (justified, finalized) = (view.justified.epoch, view.finalized.epoch);
        let syncing = if view.is_syncing { " syncing" } else { "" };
        let head = short(view.head_root);
        format!("  {}: {} {head} j{justified} f{finalized} p{}{syncing}", view.number, view.head_slot, view.peers)
    });
    format!("slot {slot}{}", nodes.collect::<String>())
}

fn short(root: Hash256) -> String {
    format!("0x{}", hex::encode(&root[..4]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Checkpoint;

    fn views() -> Vec<View> {
        let of = |number| View {
            number,
            slot: 12,
            head_slot: 11,
            head_root: Hash256::repeat_byte(0xab),
            justified: Checkpoint { epoch: 5, ..Default::default() },
            finalized: Checkpoint { epoch: 4, ..Default::default() },
            is_syncing: number == 2,
            peers: 3,
            ..View::default()
        };
        (1..=2).map(of).collect()
    }

    #[test]
    fn a_row_for_each_node() {
        let text = rows(&views());
        assert_eq!(text.lines().count(), 3);
        let words: Vec<_> = text.lines().nth(2).unwrap().split_whitespace().collect();
        assert_eq!(words, ["2", "3", "12", "11", "0xabababab", "5", "4", "syncing"]);
    }

    #[test]
    fn a_line_with_all_nodes() {
        let text = line(12, &views());
        assert_eq!(text, "slot 12  1: 11 0xabababab j5 f4 p3  2: 11 0xabababab j5 f4 p3 syncing");
    }

    #[test]
    fn the_next_drawing_replaces_the_last() {
        let mut table = Table { in_place: true, drawn: 3, last_slot: None };
        assert_eq!(table.rewind(), "\x1b[3F\x1b[0J");
        table.drawn = 0;
        assert_eq!(table.rewind(), "");
    }
}
