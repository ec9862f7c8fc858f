//! The figures of all cases.

use std::time::Duration;

use super::{honest::Served, outcome::Outcome, victim::Followed};

/// One case.
pub struct Row {
    pub name: &'static str,
    pub outcome: Outcome,
    /// For what who was there in the end had lost points.
    pub points: String,
}

pub struct Table {
    lines: Vec<String>,
    slot: Duration,
    /// The undisturbed node's median.
    calm: Option<Duration>,
}

const MIB: u64 = 1 << 20;

impl Table {
    pub fn new(slot: Duration) -> Table {
        Table { lines: Vec::new(), slot, calm: None }
    }

    /// Adds cases that shared their time; prints them, too, for who waits.
    pub fn add(&mut self, rows: Vec<Row>, followed: &Followed, peak: u64, served: &Served) {
        let (median, worst) = (followed.median(), followed.worst());
        let calm = *self.calm.get_or_insert(median);
        let later = 100.0 * worst.saturating_sub(calm).as_secs_f64() / self.slot.as_secs_f64();
        let (median, worst) = (median.as_millis(), worst.as_millis());
        for (number, row) in rows.iter().enumerate() {
            let shared = if number == 0 {
                let Served { answers, failures, worst: slowest, .. } = served;
                let slowest = slowest.as_millis();
                format!("{median} | {worst} | {later:.1}% | {} | {answers} | {failures} | {slowest}", peak / MIB)
            } else {
                ["\""; 7].join(" | ")
            };
            let Outcome { names, refused, sent, bytes, lasted, .. } = &row.outcome;
            let lasted = lasted.iter().map(Duration::as_millis).max().map_or("".into(), |ms| ms.to_string());
            let line = format!(
                "| {} | {shared} | {sent} | {} | {names} | {lasted} | {refused} | {} |",
                row.name,
                bytes / MIB,
                row.points
            );
            println!("{line}");
            self.lines.push(line);
        }
    }

    pub fn print(&self) {
        println!(
            "\n| case | head median ms | worst | of a slot later | peak MiB | honest: answers | refused | slowest ms | sent | MiB | sent away \
             | lasted ms | not let in | points of who was there |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"
        );
        self.lines.iter().for_each(|line| println!("{line}"));
    }
}

/// Reasons with how often, in words.
pub fn penalties(penalties: &serde_json::Value) -> String {
    let all = penalties.as_object().into_iter().flatten();
    all.map(|(reason, count)| format!("{reason} {count}")).collect::<Vec<_>>().join(", ")
}
