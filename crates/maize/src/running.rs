//! `maize ps`, `maize migrate`, `maize checkpoint` and `maize events`: what is done with running programs.

use crate::arguments::nodes::ProgramName;
use crate::arguments::running::{Checkpoint, Events, Goal, Migrate, Ps};
use crate::asking::Asking;
use crate::error::{CommandError, print};
use crate::nodes;
use crate::nodes::table::{columns, words};
use maize_daemon::NodeError;
use maize_daemon::client::{Node, Travel};
use maize_daemon::drain::Drain;
use maize_daemon::message::Location;
use maize_node::{Action, Answer, CONTROL_VERSION, ControlError, Outcome, Saved, Status};
use maize_terminal as terminal;
use serde::Serialize;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// There is no such program.
const NO_SUCH_PROGRAM: i32 = 3;

/// What `--json` prints.
#[derive(Serialize)]
struct Programs {
    version: u32,
    programs: Vec<Status>,
}

#[derive(Serialize)]
struct Moved {
    version: u32,
    processes: Vec<Outcome>,
}

/// `maize ps`.
///
/// # Errors
/// If the directory of sockets cannot be read, or standard output not be written to.
pub fn ps(options: &Ps) -> Result<(), CommandError> {
    loop {
        let programs: Vec<Status> = maize_node::running()?.into_iter().map(|(_, status)| status).collect();
        let text = match options.json {
            true => json(&Programs { version: CONTROL_VERSION, programs })?,
            false => table(&programs),
        };
        if !options.watch {
            return print(&text);
        }
        let clear = if options.json { "" } else { "\x1b[H\x1b[2J" };
        print(&format!("{clear}{text}"))?;
        sleep(Duration::from_secs(1));
    }
}

fn json(value: &impl Serialize) -> Result<String, CommandError> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

/// One line for each process; those of one program have its PID.
fn table(programs: &[Status]) -> String {
    let mut rows = vec![words(&["PID", "PROCESS", "ISA", "STATE", "MOVES", "CPU", "STARTED", "PROGRAM"])];
    for program in programs {
        for process in &program.processes {
            let state = serde_json::to_value(process.state).ok();
            let command = if process.id == program.id {
                program.arguments.join(" ")
            } else {
                process.program.rsplit('/').next().unwrap_or_default().to_owned()
            };
            rows.push(vec![
                program.pid.to_string(),
                process.id.to_string(),
                process.isa.clone(),
                state.as_ref().and_then(|state| state.as_str()).unwrap_or_default().to_owned(),
                process.moves.to_string(),
                seconds(Duration::from_millis(process.processor_ms)),
                format!("{} ago", seconds(since(program.started_ms))),
                command,
            ]);
        }
    }
    let notes = programs.iter().filter_map(|program| program.note.as_ref()).map(|note| format!("{note}\n"));
    [columns(&rows)].into_iter().chain(notes).collect()
}

fn since(started_ms: u64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(Duration::from_millis(started_ms))
}

/// As `1.5s`, `2m05s` or `3h20m`.
pub fn seconds(time: Duration) -> String {
    let whole = time.as_secs();
    match whole {
        0..60 => format!("{:.1}s", time.as_secs_f64()),
        60..3600 => format!("{}m{:02}s", whole / 60, whole % 60),
        _ => format!("{}h{:02}m", whole / 3600, whole / 60 % 60),
    }
}

/// The exit status for an error, which is printed.
pub fn explain(error: &CommandError) -> i32 {
    terminal::error(error);
    let is_missing = matches!(
        error,
        CommandError::Control(ControlError::NoSuchProgram(_)) | CommandError::Node(NodeError::NoSuchProgram { .. })
    );
    if is_missing { NO_SUCH_PROGRAM } else { 1 }
}

#[derive(Serialize)]
struct MovedToNode {
    version: u32,
    #[serde(flatten)]
    location: Location,
}

/// A program that could go.
#[derive(Serialize)]
struct CanMove {
    version: u32,
    node: String,
}

/// `maize migrate`; returns its exit status.
pub fn migrate(options: &Migrate) -> i32 {
    let refused = |text: &str| {
        terminal::error(&text);
        1
    };
    if options.all {
        return match migrate_all(options) {
            Ok(status) => status,
            Err(error) => refused(&error.to_string()),
        };
    }
    // There is one of each without --all.
    let (Some(name), Some(to)) = (&options.program, &options.to) else { return 1 };
    let to = match to {
        Goal::Node(_) if options.process.is_some() => {
            return refused("--process is for moves between ISAs; a program goes to another node as a whole");
        }
        Goal::Node(node) => {
            return match migrate_to_node(options, name, node) {
                Ok(()) => 0,
                Err(error) => refused(&error.to_string()),
            };
        }
        Goal::Isa(_) if options.isa.is_some() => return refused("--isa is for moves to another node; say either"),
        Goal::Isa(_) if options.memory.order().is_some() => {
            return refused(
                "--memory is for moves to another node; between ISAs it is `maize run --memory` that says it",
            );
        }
        Goal::Isa(isa) => isa,
    };
    let action = Action::Migrate {
        to: to.name().to_owned(),
        process: options.process,
        timeout_ms: u64::try_from(options.timeout.as_millis()).unwrap_or(u64::MAX),
        dry_run: options.dry_run,
    };
    let outcomes = match Asking::new(&options.place, name, action) {
        Ok((_, Some(Answer::Migrated(outcomes)))) => outcomes,
        Ok(_) => return explain(&ControlError::Ended.into()),
        Err(error) => return explain(&error),
    };
    let status = i32::from(!outcomes.iter().all(Outcome::is_there));
    let text = match options.json {
        true => json(&Moved { version: CONTROL_VERSION, processes: outcomes }),
        false => Ok(outcomes.iter().map(|outcome| described(outcome, options.dry_run)).collect()),
    };
    match text.and_then(|text| print(&text)) {
        Ok(()) => status,
        Err(error) => {
            terminal::error(&error);
            1
        }
    }
}

/// All programs of a node.
fn migrate_all(options: &Migrate) -> Result<i32, CommandError> {
    let to = match &options.to {
        None => None,
        Some(Goal::Node(node)) => Some(node.clone()),
        Some(Goal::Isa(isa)) => {
            let message = format!("--all is for moves to other nodes, and {} is an ISA", isa.name());
            return Err(NodeError::Invalid(message).into());
        }
    };
    let drain = Drain {
        from: options.from.clone(),
        to,
        isa: options.isa.map(|isa| isa.name().to_owned()),
        timeout: options.timeout,
        memory: options.memory.order(),
        dry_run: options.dry_run,
    };
    nodes::drain(&Node::open(options.place.dir.clone())?, &drain, options.json)
}

fn migrate_to_node(options: &Migrate, name: &ProgramName, to: &str) -> Result<(), CommandError> {
    let ProgramName { node, program } = name;
    let local = Node::open(options.place.dir.clone())?;
    let isa = options.isa.map(|isa| isa.name().to_owned());
    let travel = Travel { to: to.to_owned(), isa, timeout: options.timeout, memory: options.memory.order() };
    if options.dry_run {
        local.can_migrate(node.as_deref(), *program, &travel)?;
        return print(&match options.json {
            true => json(&CanMove { version: 1, node: to.to_owned() })?,
            false => format!("it can go to {to}\n"),
        });
    }
    let location = local.migrate(node.as_deref(), *program, &travel)?;
    print(&match options.json {
        true => json(&MovedToNode { version: 1, location })?,
        false => format!("{}:{}\n", location.node, location.program),
    })
}

fn described(outcome: &Outcome, dry_run: bool) -> String {
    let Outcome { process, on, to, migration, reason } = outcome;
    match (migration, reason) {
        (_, Some(reason)) if on.is_empty() => format!("process {process}: {reason}\n"),
        (_, Some(reason)) => format!("process {process} stays on {on}: {reason}\n"),
        (Some(migration), None) => {
            let pause = migration.pause_us / 1000.0;
            format!("process {process} has moved from {} to {to}, {pause:.2} ms without running\n", migration.from)
        }
        (None, None) if on == to => format!("process {process} is on {to}\n"),
        (None, None) if dry_run => format!("process {process} would move from {on} to {to}\n"),
        (None, None) => format!("process {process} is on {on}\n"),
    }
}

#[derive(Serialize)]
struct Done {
    version: u32,
    #[serde(flatten)]
    saved: Saved,
}

/// `maize checkpoint`; returns its exit status.
pub fn checkpoint(options: &Checkpoint) -> i32 {
    let file = match std::path::absolute(&options.output) {
        Ok(file) => file,
        Err(source) => {
            terminal::error(&CommandError::Write { path: options.output.clone(), source });
            return 1;
        }
    };
    let saved = match save(options, &file) {
        Ok(saved) => saved,
        Err(error) => return explain(&error),
    };
    let text = match options.json {
        true => json(&Done { version: CONTROL_VERSION, saved }),
        false => {
            let pause = saved.pause_us / 1000.0;
            let what = if options.leave_running { "runs on after" } else { "was ended after" };
            let since = saved.base.map_or_else(String::new, |base| format!(", what has changed since {base}"));
            Ok(format!("{}: {} bytes{since}; the program {what} {pause:.2} ms\n", saved.file, saved.bytes))
        }
    };
    match text.and_then(|text| print(&text)) {
        Ok(()) => 0,
        Err(error) => {
            terminal::error(&error);
            1
        }
    }
}

/// Saves the program in a file.
fn save(options: &Checkpoint, file: &Path) -> Result<Saved, CommandError> {
    let &Checkpoint { leave_running, incremental, .. } = options;
    if incremental && options.program.node.is_some() {
        let message =
            "an incremental snapshot is written beside its base: run this on the program's node, with the PID alone";
        return Err(NodeError::Invalid(message.into()).into());
    }
    let timeout_ms = u64::try_from(options.timeout.as_millis()).unwrap_or(u64::MAX);
    let action = Action::Checkpoint { file: file.to_owned(), leave_running, incremental, hold: false, timeout_ms };
    let (program, answer) = Asking::new(&options.place, &options.program, action)?;
    let saved = program.save(answer, file)?.ok_or(ControlError::Ended)?;
    Ok(Saved { file: file.display().to_string(), ..saved })
}

/// `maize events`; returns its exit status.
pub fn events(options: &Events) -> i32 {
    let (mut program, answer) = match Asking::new(&options.place, &options.program, Action::Events) {
        Ok(asking) => asking,
        Err(error) => return explain(&error),
    };
    let mut answer = Ok(answer);
    loop {
        let line = match answer {
            Ok(Some(Answer::Event(event))) => serde_json::to_string(&event).unwrap_or_default() + "\n",
            Ok(Some(_)) => String::new(),
            Ok(None) => return 0,
            Err(error) => return explain(&error),
        };
        if let Err(error) = print(&line) {
            terminal::error(&error);
            return 1;
        }
        answer = program.receive();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        let shown = |milliseconds| seconds(Duration::from_millis(milliseconds));
        assert_eq!([shown(40), shown(59_940), shown(125_000)], ["0.0s", "59.9s", "2m05s"]);
        assert_eq!(shown(12_000_000), "3h20m");
    }
}
