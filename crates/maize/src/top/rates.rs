//! What programs have used from one time to another.

use super::gather::{Measured, Sample};
use crate::arguments::running::Sort;
use maize_daemon::message::{Figures, Usage};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// A program in the table.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its node; `None` if it is on none.
    pub node: Option<String>,
    /// Its number there.
    pub pid: u32,
    /// What it has used of a processor, in percent; `None` if it was not there before.
    pub cpu_percent: Option<f64>,
    /// What it uses; `None`, and left out, if it does not answer.
    #[serde(flatten)]
    pub figures: Option<Figures>,
    /// When it was started, in milliseconds since 1970.
    pub started_ms: u64,
    /// Its name and arguments, or their beginning.
    pub command: Vec<String>,
}

/// All programs that are there now.
pub fn rows(before: &Sample, now: &Sample, sort: Sort) -> Vec<Row> {
    let name = |one: &Measured| (one.node.clone(), one.usage.program);
    let before: BTreeMap<_, _> = before.programs.iter().map(|one| (name(one), one)).collect();
    let row = |one: &Measured| {
        let Usage { program, command, started_ms, figures } = one.usage.clone();
        let cpu_percent = before.get(&name(one)).and_then(|before| cpu_percent(before, one));
        Row { node: one.node.clone(), pid: program, cpu_percent, figures, started_ms, command }
    };
    let mut rows: Vec<Row> = now.programs.iter().map(row).collect();
    rows.sort_by(|one, other| (one.node.as_ref(), one.pid).cmp(&(other.node.as_ref(), other.pid)));
    let figure = |row: &Row, of: fn(&Figures) -> u64| Reverse(row.figures.as_ref().map(of));
    match sort {
        Sort::Cpu => {
            let percent = |row: &Row| row.cpu_percent.unwrap_or(-1.0);
            rows.sort_by(|one, other| percent(other).total_cmp(&percent(one)));
        }
        Sort::Memory => rows.sort_by_key(|row| figure(row, |figures| figures.resident_bytes)),
        Sort::Time => rows.sort_by_key(|row| figure(row, |figures| figures.processor_ms)),
    }
    rows
}

/// `None` if a program of that number has used less than before: it is another one.
fn cpu_percent(before: &Measured, now: &Measured) -> Option<f64> {
    let used = |one: &Measured| one.usage.figures.as_ref().map(|figures| figures.processor_ms);
    let used_ms = used(now)?.checked_sub(used(before)?)?;
    let passed_ms = now.at.saturating_duration_since(before.at).as_secs_f64() * 1000.0;
    // No finer than what it is shown with.
    (passed_ms > 0.0).then(|| (used_ms as f64 / passed_ms * 1000.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    /// A node, a number, and processor time and memory.
    type Program<'a> = (&'a str, u32, Option<(u64, u64)>);

    /// What such programs say at a time.
    fn sample(at: Instant, programs: &[Program<'_>]) -> Sample {
        let measured = |&(node, program, figures): &Program<'_>| {
            let figures = figures.map(|(processor_ms, resident_bytes)| Figures {
                isas: vec!["x86_64".into()],
                processes: 1,
                threads: 1,
                moves: 0,
                processor_ms,
                resident_bytes,
            });
            let usage = Usage { program, command: vec!["work".into()], started_ms: 0, figures };
            Measured { node: Some(node.into()), usage, at }
        };
        Sample { nodes: Vec::new(), programs: programs.iter().map(measured).collect() }
    }

    #[test]
    fn rates_are_over_the_time_between_two_samples() {
        let begun = Instant::now();
        let before = sample(
            begun,
            &[("a", 1, Some((100, 0))), ("a", 2, Some((900, 0))), ("a", 3, None), ("b", 1, Some((0, 0)))],
        );
        let programs = [
            ("a", 1, Some((350, 0))),
            ("a", 2, Some((800, 0))),
            ("a", 3, Some((5, 0))),
            ("a", 4, Some((5, 0))),
            ("b", 1, None),
            ("c", 1, Some((9, 0))),
        ];
        let now = sample(begun + Duration::from_millis(200), &programs);
        let rates: Vec<_> = rows(&before, &now, Sort::Cpu).iter().map(|row| row.cpu_percent).collect();
        assert_eq!(rates, [Some(125.0), None, None, None, None, None]);
    }

    #[test]
    fn who_uses_most_comes_first() {
        let begun = Instant::now();
        let before = sample(begun, &[("a", 1, Some((0, 0))), ("a", 2, Some((500, 0))), ("b", 1, Some((0, 0)))]);
        let programs = [("a", 1, Some((10, 7))), ("a", 2, Some((500, 9))), ("a", 3, None), ("b", 1, Some((10, 8)))];
        let now = sample(begun + Duration::from_secs(1), &programs);
        let order = |sort| {
            let rows = rows(&before, &now, sort);
            rows.iter().map(|row| format!("{}{}", row.node.as_deref().unwrap_or(""), row.pid)).collect::<Vec<_>>()
        };
        assert_eq!(order(Sort::Cpu), ["a1", "b1", "a2", "a3"]);
        assert_eq!(order(Sort::Memory), ["a2", "b1", "a1", "a3"]);
        assert_eq!(order(Sort::Time), ["a2", "a1", "b1", "a3"]);
    }

    #[test]
    fn what_is_not_known_is_left_out_of_json() {
        let now = sample(Instant::now(), &[("a", 1, None), ("a", 2, Some((5, 6)))]);
        let rows = serde_json::to_value(rows(&sample(Instant::now(), &[]), &now, Sort::Cpu)).unwrap();
        assert_eq!(rows[0]["pid"], 1);
        assert!(rows[0]["cpu_percent"].is_null() && rows[0].get("threads").is_none(), "{rows}");
        assert!(rows[1]["threads"] == 1 && rows[1]["resident_bytes"] == 6, "{rows}");
    }
}
