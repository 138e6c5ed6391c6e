//! Tables for people.

use maize_daemon::drain::{Fate, Outcome};
use maize_daemon::message::{Ending, NodeStatus, ProgramState, ProgramStatus, State};
use std::fmt::Write as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Columns as wide as they have to be, two spaces apart.
pub fn columns(rows: &[Vec<String>]) -> String {
    aligned(rows, |_| false).into_iter().flat_map(|line| [line, String::from("\n")]).collect()
}

/// The same as lines, with some columns on the right, being numbers. The last cell of a row is as long as it is: a command, or a reason in the place of figures.
pub fn aligned(rows: &[Vec<String>], is_number: impl Fn(usize) -> bool) -> Vec<String> {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter(|row| row.len() > column + 1).map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let line = |row: &Vec<String>| {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = if is_number(column) { write!(line, "{cell:>width$}  ") } else { write!(line, "{cell:width$}  ") };
        }
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

pub fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}

pub fn state(state: State) -> &'static str {
    match state {
        State::Ready => "ready",
        State::Draining => "draining",
        State::Down => "down",
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "-".into() } else { names.join(",") }
}

pub fn mebibytes(bytes: u64) -> u64 {
    bytes >> 20
}

/// `maize nodes`.
pub fn nodes(nodes: &[NodeStatus]) -> String {
    let mut rows =
        vec![words(&["NAME", "ADDRESS", "STATE", "NATIVE", "EMULATED", "PROGRAMS", "LOAD", "MEMORY FREE", "VERSION"])];
    for node in nodes {
        let mut row = words(&[&node.name, &node.address, state(node.state)]);
        match (&node.report, node.state) {
            // What it said last says nothing any more.
            (None, _) | (_, State::Down) => row.push(node.reason.clone().unwrap_or_default()),
            (Some(report), _) => {
                row.extend([list(&report.native), list(&report.emulated), report.programs.to_string()]);
                row.push(format!("{:.2}/{}", report.load, report.processors));
                row.push(format!("{}/{} MiB", mebibytes(report.available), mebibytes(report.memory)));
                row.push(report.version.clone());
            }
        }
        rows.push(row);
    }
    // A reason may be longer than any column.
    let (whole, down): (Vec<_>, Vec<_>) = rows.iter().cloned().partition(|row| row.len() > 4);
    let mut short: Vec<Vec<String>> = whole;
    short.extend(down.iter().map(|row| row[..3].to_vec()));
    short[1..].sort();
    let mut text = columns(&short);
    for row in down {
        let _ = writeln!(text, "{}: {}", row[0], row[3]);
    }
    text
}

/// `maize node status`.
pub fn status(node: &NodeStatus, directory: &Path, members: &[&str]) -> String {
    let report = node.report.clone().unwrap_or_default();
    let rows = [
        ("name", node.name.clone()),
        ("key", node.key.to_string()),
        ("address", node.address.clone()),
        ("directory", directory.display().to_string()),
        ("state", state(node.state).into()),
        ("members", members.join(", ")),
        ("native", list(&report.native)),
        ("emulated", list(&report.emulated)),
        ("programs", report.programs.to_string()),
        ("version", report.version),
    ];
    columns(&rows.map(|(name, value)| vec![name.to_owned(), value]))
}

/// `maize node programs`.
pub fn programs(programs: &[ProgramStatus]) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut rows = vec![words(&["PID", "STATE", "AGE", "BY", "COMMAND"])];
    for program in programs {
        let state = match &program.state {
            ProgramState::Running => "running".into(),
            ProgramState::Ended(Ending::Status(status)) => format!("ended ({status})"),
            ProgramState::Ended(Ending::Signal(signal)) => format!("ended (signal {signal})"),
            ProgramState::Unsettled(passage) => format!("waits for {}", passage.to.node),
            ProgramState::Moved(to) => format!("moved to {}:{}", to.node, to.program),
            ProgramState::Lost => "lost".into(),
        };
        let age = now.saturating_sub(program.started);
        let age = match age {
            0..120 => format!("{age}s"),
            120..7200 => format!("{}min", age / 60),
            _ => format!("{}h", age / 3600),
        };
        rows.push(vec![program.program.to_string(), state, age, program.started_by.clone(), program.command.join(" ")]);
    }
    let mut text = columns(&rows);
    for program in programs {
        if let ProgramState::Unsettled(passage) = &program.state {
            let _ = writeln!(text, "{}", passage.advice(program.program));
        }
    }
    text
}

/// `maize node drain --move` and `maize migrate --all`.
pub fn fates(fates: &[Fate]) -> String {
    let mut rows = vec![words(&["PID", "OUTCOME", "COMMAND"])];
    for Fate { program, command, outcome } in fates {
        let outcome = match outcome {
            Outcome::Moved { to } => format!("moved to {}:{}", to.node, to.program),
            Outcome::CanMove { node } => format!("would move to {node}"),
            // The reason has been said, and may be long.
            Outcome::Stayed { .. } => "stays".into(),
            Outcome::Ended => "has ended".into(),
        };
        rows.push(vec![program.to_string(), outcome, command.join(" ")]);
    }
    columns(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use maize_daemon::PublicKey;
    use maize_daemon::message::Report;

    #[test]
    fn nodes_that_are_down_do_not_widen_the_table() {
        let report =
            Report { native: vec!["x86_64".into()], processors: 2, version: "1.2.3".into(), ..Report::default() };
        let node = |name: &str, state, reason: Option<&str>| NodeStatus {
            name: name.into(),
            address: "192.0.2.1:7310".into(),
            key: PublicKey::new([0; 32]),
            state,
            reason: reason.map(String::from),
            report: Some(report.clone()),
        };
        let table = nodes(&[node("b", State::Ready, None), node("a", State::Down, Some(&"long ".repeat(20)))]);
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[0].starts_with("NAME  ADDRESS         STATE  NATIVE"), "{table}");
        assert_eq!(lines[1], "a     192.0.2.1:7310  down");
        assert!(
            lines[2].starts_with("b     192.0.2.1:7310  ready  x86_64  -") && lines[2].ends_with("1.2.3"),
            "{table}"
        );
        assert!(lines[3].starts_with("a: long long"), "{table}");
    }
}
