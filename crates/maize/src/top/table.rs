//! The table for people, cut to the terminal's size.

use super::rates::Row;
use crate::nodes::table::{aligned, mebibytes, state, words};
use crate::running::seconds;
use maize_daemon::message::{NodeStatus, State};
use std::time::Duration;

/// Of a terminal.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// So many characters in a row.
    pub columns: usize,
    /// So many rows.
    pub rows: usize,
}

/// Names, and which are on the right of their columns, being numbers.
const PROGRAMS: [(&str, bool); 10] = [
    ("NODE", false),
    ("PID", true),
    ("ISA", false),
    ("CPU%", true),
    ("MEMORY", true),
    ("PROCESSES", true),
    ("THREADS", true),
    ("MOVES", true),
    ("TIME", true),
    ("COMMAND", false),
];
/// The same of nodes.
const NODES: [(&str, bool); 5] =
    [("NODE", false), ("STATE", false), ("LOAD", false), ("MEMORY USED", false), ("PROGRAMS", false)];

/// The nodes, and the programs below.
pub fn text(nodes: &[NodeStatus], rows: &[Row], size: Option<Size>) -> String {
    // What is behind the last line belongs to the table, too: the cursor stays there.
    let room = size.map_or(usize::MAX, |size| size.rows.saturating_sub(1));
    let mut programs = below(&PROGRAMS, rows.iter().map(cells));
    let mut lines = Vec::new();
    if !nodes.is_empty() {
        lines = below(&NODES, heads(nodes).into_iter());
        cut(&mut lines, room.saturating_sub(programs.len() + 1).max(room / 2), "nodes");
        lines.push(String::new());
    }
    cut(&mut programs, room.saturating_sub(lines.len()), "programs");
    lines.append(&mut programs);
    lines.truncate(room);
    let width = size.map_or(usize::MAX, |size| size.columns);
    lines.iter().flat_map(|line| line.chars().take(width).chain(['\n'])).collect()
}

/// A line for each node; one that does not answer has the reason in it. Those come first, so that they are not cut off.
fn heads(nodes: &[NodeStatus]) -> Vec<Vec<String>> {
    let head = |node: &NodeStatus| {
        let mut cells = words(&[&node.name, state(node.state)]);
        match (&node.report, node.state) {
            // What it said last says nothing any more.
            (None, _) | (_, State::Down) => cells.push(node.reason.clone().unwrap_or_default()),
            (Some(report), _) => {
                cells.push(format!("{:.2}/{}", report.load, report.processors));
                let used = report.memory.saturating_sub(report.available);
                cells.push(format!("{}/{} MiB", mebibytes(used), mebibytes(report.memory)));
                cells.push(report.programs.to_string());
            }
        }
        cells
    };
    let (down, up): (Vec<&NodeStatus>, Vec<&NodeStatus>) = nodes.iter().partition(|node| node.state == State::Down);
    down.into_iter().chain(up).map(head).collect()
}

fn cells(row: &Row) -> Vec<String> {
    let unknown = || String::from("-");
    let figure = |of: &dyn Fn(&maize_daemon::message::Figures) -> String| row.figures.as_ref().map_or_else(unknown, of);
    vec![
        row.node.clone().unwrap_or_else(unknown),
        row.pid.to_string(),
        figure(&|figures| figures.isas.join(",")),
        row.cpu_percent.map_or_else(unknown, |percent| format!("{percent:.1}")),
        figure(&|figures| format!("{:.1} MiB", figures.resident_bytes as f64 / f64::from(1 << 20))),
        figure(&|figures| figures.processes.to_string()),
        figure(&|figures| figures.threads.to_string()),
        figure(&|figures| figures.moves.to_string()),
        figure(&|figures| seconds(Duration::from_millis(figures.processor_ms))),
        row.command.join(" "),
    ]
}

/// Lines of cells, below the names of their columns.
fn below(columns: &[(&str, bool)], rows: impl Iterator<Item = Vec<String>>) -> Vec<String> {
    let names = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
    // Anybody may have written them: they are not to speak to the terminal.
    let quiet = |row: Vec<String>| row.iter().map(|cell| cell.replace(char::is_control, "?")).collect();
    let rows: Vec<Vec<String>> = [names].into_iter().chain(rows.map(quiet)).collect();
    aligned(&rows, |column| columns[column].1)
}

/// Keeps so many lines at most, and says how many are left out.
fn cut(lines: &mut Vec<String>, most: usize, what: &str) {
    // Names, one that is shown, and how many are not.
    let most = most.max(3);
    if lines.len() > most {
        let left_out = lines.len() - (most - 1);
        lines.truncate(most - 1);
        lines.push(format!("and {left_out} more {what}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use maize_daemon::PublicKey;
    use maize_daemon::message::{Figures, Report};

    fn node(name: &str, reason: Option<&str>) -> NodeStatus {
        let report = Report {
            load: 0.5,
            processors: 2,
            memory: 100 << 20,
            available: 70 << 20,
            programs: 3,
            ..Report::default()
        };
        NodeStatus {
            name: name.into(),
            address: String::new(),
            key: PublicKey::new([0; 32]),
            state: if reason.is_some() { State::Down } else { State::Ready },
            reason: reason.map(String::from),
            report: Some(report),
        }
    }

    fn row(pid: u32, command: &str) -> Row {
        let figures = Figures {
            isas: vec!["x86_64".into(), "riscv64".into()],
            processes: 2,
            threads: 5,
            moves: 1,
            processor_ms: 65_000,
            resident_bytes: 3 << 19,
        };
        Row {
            node: Some("a".into()),
            pid,
            cpu_percent: Some(99.96),
            figures: Some(figures),
            started_ms: 0,
            command: command.split(' ').map(String::from).collect(),
        }
    }

    #[test]
    fn nodes_come_above_their_programs() {
        let unknown = Row { node: None, cpu_percent: None, figures: None, ..row(81, "./stuck") };
        let table =
            text(&[node("a", None), node("b", Some("no route"))], &[row(4711, "./lua script.lua"), unknown], None);
        let expected = "\
NODE  STATE  LOAD    MEMORY USED  PROGRAMS
b     down   no route
a     ready  0.50/2  30/100 MiB   3

NODE   PID  ISA              CPU%   MEMORY  PROCESSES  THREADS  MOVES   TIME  COMMAND
a     4711  x86_64,riscv64  100.0  1.5 MiB          2        5      1  1m05s  ./lua script.lua
-       81  -                   -        -          -        -      -      -  ./stuck
";
        assert_eq!(table, expected);
        assert!(text(&[], &[row(7, "x")], None).starts_with("NODE  PID"), "a head without nodes");
    }

    #[test]
    fn a_table_is_no_larger_than_the_terminal() {
        let nodes: Vec<NodeStatus> =
            (0..30).map(|number| node(&format!("n{number}"), (number == 29).then_some("it is off"))).collect();
        let rows: Vec<Row> = (0..30).map(|pid| row(pid, &"long ".repeat(50))).collect();
        for (columns, height) in [(80, 24), (200, 50), (20, 10)] {
            let table = text(&nodes, &rows, Some(Size { columns, rows: height }));
            let lines: Vec<&str> = table.lines().collect();
            assert_eq!(lines.len(), height - 1, "{table}");
            assert!(lines.iter().all(|line| line.chars().count() <= columns), "{table}");
            assert!(lines[1].starts_with("n29   down"), "{table}");
            let programs = lines.iter().filter(|line| line.starts_with("a ")).count();
            assert_eq!(lines.last(), Some(&&*format!("and {} more programs", 30 - programs)), "{table}");
            assert!(lines.iter().any(|line| line.starts_with("and ") && line.ends_with(" more nodes")), "{table}");
        }
        let whole = text(&nodes, &rows, None);
        assert_eq!(whole.lines().count(), 31 + 1 + 31);
    }

    #[test]
    fn what_fits_is_not_cut() {
        let rows = [row(1, "a"), row(2, "b")];
        let whole = text(&[node("a", None)], &rows, None);
        // Two lines of nodes, an empty one, and three of programs; below them is the cursor.
        assert_eq!(text(&[node("a", None)], &rows, Some(Size { columns: 100, rows: 7 })), whole);
        // Few programs leave room for nodes.
        let nodes: Vec<NodeStatus> = (0..20).map(|number| node(&format!("n{number}"), None)).collect();
        assert!(!text(&nodes, &rows, Some(Size { columns: 100, rows: 26 })).contains("more"));
    }

    #[test]
    fn commands_do_not_speak_to_the_terminal() {
        let table = text(&[], &[row(1, "sh -c \x1b[2J\nrm")], None);
        assert!(table.ends_with("  sh -c ?[2J?rm\n"), "{table:?}");
    }
}
