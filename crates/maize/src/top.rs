//! `maize top`: what programs use, on all nodes.

use crate::arguments::running::{Order, Top};
use crate::error::{CommandError, print};
use crate::nodes::table::{columns, mebibytes, words};
use crate::nodes::{self, table};
use crate::running::seconds;
use maize_daemon::NodeError;
use maize_daemon::client::Node;
use maize_daemon::message::{NodeStatus, State, Usage};
use rustix::termios::tcgetwinsize;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{IsTerminal as _, stdout};
use std::thread;
use std::time::{Duration, Instant};

/// Where programs are that are no node's.
const NOWHERE: &str = "-";

/// What is known at a time.
struct Sample {
    taken: Instant,
    nodes: Vec<NodeStatus>,
    /// What programs use, by node and number.
    programs: BTreeMap<(String, u32), Usage>,
}

/// A table.
#[derive(Serialize)]
struct Table {
    nodes: Vec<NodeStatus>,
    programs: Vec<Row>,
}

/// A program in a table.
#[derive(Serialize)]
struct Row {
    /// Where it is; none if it is no node's.
    node: Option<String>,
    /// Processor time in the interval, 100 for one processor. None of one that was not there before.
    cpu_percent: Option<f64>,
    #[serde(flatten)]
    usage: Usage,
}

/// Carries out `maize top`.
///
/// # Errors
/// If there is no such node, or nothing can be asked, or standard output not be written to.
pub fn execute(options: &Top) -> Result<(), CommandError> {
    let is_shown = stdout().is_terminal() && !options.json;
    let count = options.count.map_or(if is_shown { u64::MAX } else { 1 }, Into::into);
    let mut before = Sample::take(options)?;
    for _ in 0..count {
        thread::sleep(options.interval);
        let now = Sample::take(options)?;
        let table = Table::new(&before, &now, options.sort);
        print(&match (options.json, tcgetwinsize(stdout())) {
            (true, _) => nodes::json(&table)?,
            // What was there is written over, line by line, so that nothing flickers.
            (false, Ok(size)) if is_shown && count > 1 => {
                let lines = table.text(Some((size.ws_row, size.ws_col)));
                format!("\x1b[H{}\x1b[J", lines.replace('\n', "\x1b[K\n"))
            }
            (false, Ok(size)) if is_shown => table.text(Some((u16::MAX, size.ws_col))),
            (false, _) => table.text(None),
        })?;
        before = now;
    }
    Ok(())
}

impl Sample {
    /// Asks all nodes, and the programs of this machine.
    fn take(options: &Top) -> Result<Sample, CommandError> {
        let open = || {
            let node = Node::open(options.place.dir.clone())?;
            let nodes = node.nodes()?;
            Ok((node, nodes))
        };
        let mut sample = Sample { taken: Instant::now(), nodes: Vec::new(), programs: BTreeMap::new() };
        match open() {
            Ok((node, nodes)) => sample.add_nodes(&node, nodes, &options.nodes)?,
            // There need not be a node to run programs here.
            Err(NodeError::NotInitialised { .. } | NodeError::NotRunning { .. }) if options.nodes.is_empty() => {}
            Err(error) => return Err(error.into()),
        }
        if options.nodes.is_empty() {
            // Those of this machine's node are among them.
            let name = |usage: &Usage| (usage.program, usage.started_ms);
            let known: Vec<(u32, u64)> = sample.programs.values().map(name).collect();
            let here = maize_node::running()?.into_iter().map(|(_, status)| Usage::from(status));
            for usage in here.filter(|usage| !known.contains(&name(usage))) {
                sample.programs.insert((NOWHERE.to_owned(), usage.program), usage);
            }
        }
        Ok(sample)
    }

    /// Asks those that are wanted, all at once.
    fn add_nodes(&mut self, node: &Node, nodes: Vec<NodeStatus>, wanted: &[String]) -> Result<(), NodeError> {
        let names = || nodes.iter().map(|node| node.name.clone()).collect::<Vec<_>>();
        if let Some(unknown) = wanted.iter().find(|wanted| !names().contains(wanted)) {
            return Err(NodeError::UnknownNode { name: unknown.clone(), known: names().join(", ") });
        }
        let is_wanted = |name: &String| wanted.is_empty() || wanted.contains(name);
        self.nodes = nodes.into_iter().filter(|node| is_wanted(&node.name)).collect();
        thread::scope(|scope| {
            let asked = self.nodes.iter_mut().filter(|status| status.state != State::Down).map(|status| {
                let name = status.name.clone();
                (status, scope.spawn(move || node.usage(Some(&name))))
            });
            for (status, answer) in asked.collect::<Vec<_>>() {
                match answer.join() {
                    Ok(Ok(usage)) => {
                        let name = &status.name;
                        self.programs.extend(usage.into_iter().map(|usage| ((name.clone(), usage.program), usage)));
                    }
                    Ok(Err(error)) => (status.state, status.reason) = (State::Down, Some(error.to_string())),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        });
        Ok(())
    }
}

impl Table {
    /// What has been used between two times.
    fn new(before: &Sample, now: &Sample, order: Order) -> Table {
        let elapsed_ms = now.taken.duration_since(before.taken).as_secs_f64() * 1000.0;
        let row = |((node, program), usage): (&(String, u32), &Usage)| {
            // Another program may have had this number.
            let earlier = before.programs.get(&(node.clone(), *program));
            let earlier = earlier.filter(|earlier| earlier.started_ms == usage.started_ms);
            // Processes that have ended have taken their time with them.
            let used = earlier.map(|earlier| usage.processor_ms.saturating_sub(earlier.processor_ms));
            let cpu_percent = used.filter(|_| elapsed_ms > 0.0).map(|used| 100.0 * used as f64 / elapsed_ms);
            Row { node: (node != NOWHERE).then(|| node.clone()), cpu_percent, usage: usage.clone() }
        };
        let mut programs: Vec<Row> = now.programs.iter().map(row).collect();
        programs.sort_by(|one, other| match order {
            Order::Cpu => other.cpu_percent.unwrap_or(0.0).total_cmp(&one.cpu_percent.unwrap_or(0.0)),
            Order::Memory => other.usage.resident_bytes.cmp(&one.usage.resident_bytes),
            Order::Time => other.usage.processor_ms.cmp(&one.usage.processor_ms),
        });
        Table { nodes: now.nodes.clone(), programs }
    }

    /// For people; of so many rows and columns at most.
    fn text(&self, size: Option<(u16, u16)>) -> String {
        let mut text = if self.nodes.is_empty() { String::new() } else { table::nodes(&self.nodes) + "\n" };
        let names = ["NODE", "PID", "ISA", "CPU%", "MEMORY", "PROCESSES", "THREADS", "MOVES", "TIME", "COMMAND"];
        let mut rows = vec![words(&names)];
        rows.extend(self.programs.iter().map(Row::cells));
        text += &columns(&rows);
        let Some((height, width)) = size else { return text };
        // The last line is the cursor's.
        let (most, count) = (usize::from(height).saturating_sub(1), text.lines().count());
        let shown = if count > most { most.saturating_sub(1) } else { count };
        let cut = |line: &str| line.chars().take(usize::from(width)).chain(['\n']).collect::<String>();
        let mut fitting: String = text.lines().take(shown).map(cut).collect();
        if count > shown {
            fitting += &cut(&format!("... {} more", count - shown));
        }
        fitting
    }
}

impl Row {
    fn cells(&self) -> Vec<String> {
        let Row { node, cpu_percent, usage } = self;
        vec![
            node.as_deref().unwrap_or(NOWHERE).to_owned(),
            usage.program.to_string(),
            usage.isas.join(","),
            cpu_percent.map_or_else(|| NOWHERE.to_owned(), |percent| format!("{percent:.1}")),
            format!("{} MiB", mebibytes(usage.resident_bytes)),
            usage.processes.to_string(),
            usage.threads.to_string(),
            usage.moves.to_string(),
            seconds(Duration::from_millis(usage.processor_ms)),
            usage.command.join(" "),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(taken: Instant, programs: &[(&str, u32, u64, u64)]) -> Sample {
        let usage = |&(node, program, processor_ms, started_ms): &(&str, u32, u64, u64)| {
            let usage = Usage {
                program,
                command: vec!["./program".into(), "with a long argument".into()],
                isas: vec!["x86_64".into()],
                processes: 1,
                threads: 2,
                moves: 0,
                processor_ms,
                resident_bytes: u64::from(program) << 20,
                started_ms,
            };
            ((node.to_owned(), program), usage)
        };
        Sample { taken, nodes: Vec::new(), programs: programs.iter().map(usage).collect() }
    }

    fn tables(order: Order) -> Table {
        let begun = Instant::now();
        let before = sample(begun, &[("a", 1, 500, 7), ("b", 2, 9000, 7), ("-", 3, 100, 7), ("b", 4, 50, 7)]);
        let after = [("a", 1, 1500, 7), ("b", 2, 9100, 7), ("-", 3, 90, 7), ("b", 4, 60, 8), ("b", 5, 1, 9)];
        Table::new(&before, &sample(begun + Duration::from_secs(2), &after), order)
    }

    #[test]
    fn processor_time_is_that_of_the_interval() {
        let found: BTreeMap<u32, Option<f64>> =
            tables(Order::Cpu).programs.iter().map(|row| (row.usage.program, row.cpu_percent)).collect();
        // One has fewer processes than before, one has the number of another, and one is new.
        let expected = [(1, Some(50.0)), (2, Some(5.0)), (3, Some(0.0)), (4, None), (5, None)];
        assert_eq!(found, expected.into());
    }

    #[test]
    fn the_first_has_most() {
        let first = |order| tables(order).programs[0].usage.program;
        assert_eq!([Order::Cpu, Order::Memory, Order::Time].map(first), [1, 5, 2]);
    }

    #[test]
    fn a_table_fits_its_terminal() {
        let table = tables(Order::Cpu);
        let whole = table.text(None);
        assert!(whole.lines().count() == 6 && whole.contains("with a long argument"), "{whole}");
        let text = table.text(Some((5, 40)));
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.len() == 4 && lines.iter().all(|line| line.chars().count() <= 40), "{text}");
        assert_eq!(lines[3], "... 3 more");
        assert_eq!(table.text(Some((7, 400))), whole);
    }
}
