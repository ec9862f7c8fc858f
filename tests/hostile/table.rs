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

#[derive(Default)]
pub struct Table(Vec<String>);

const MIB: u64 = 1 << 20;

impl Table {
    /// Adds cases that shared their time; prints them, too, for who waits.
    pub fn add(&mut self, rows: Vec<Row>, followed: &Followed, peak: u64, served: &Served) {
        let mut delays: Vec<u128> = followed.delays.iter().map(Duration::as_millis).collect();
        delays.sort_unstable();
        let median = delays.get(delays.len() / 2).copied().unwrap_or_default();
        let worst = delays.last().copied().unwrap_or_default();
        for (number, row) in rows.iter().enumerate() {
            let shared = if number == 0 {
                let Served { answers, failures, worst: slowest, .. } = served;
                let slowest = slowest.as_millis();
                format!("{median} | {worst} | {} | {answers} | {failures} | {slowest}", peak / MIB)
            } else {
                "\" | \" | \" | \" | \" | \"".into()
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
            self.0.push(line);
        }
    }

    pub fn print(&self) {
        println!(
            "\n| case | head median ms | worst | peak MiB | honest: answers | refused | slowest ms | sent | MiB | sent away \
             | lasted ms | not let in | points of who was there |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|"
        );
        self.0.iter().for_each(|line| println!("{line}"));
    }
}

/// Reasons with how often, in words.
pub fn penalties(penalties: &serde_json::Value) -> String {
    let all = penalties.as_object().into_iter().flatten();
    all.map(|(reason, count)| format!("{reason} {count}")).collect::<Vec<_>>().join(", ")
}
