//! `maize chaos`.

use crate::CANNOT_RUN;
use crate::arguments::Chaos;
use crate::error::{CommandError, print};
use crate::run::{Failure, create, find};
use maize_chaos::{ChaosError, Expected, Options, Program, Progress, Report};
use maize_terminal::{self as terminal, StatusLine};
use std::ffi::OsString;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

/// A run differed.
const DIFFERENT: i32 = 1;
/// As `maize run`'s.
const NOT_A_PROGRAM: i32 = 126;

/// Examines a program and returns the exit status.
pub fn execute(arguments: Chaos) -> i32 {
    match examine(arguments) {
        Ok(report) => i32::from(!report.passed()) * DIFFERENT,
        Err((code, message)) => {
            terminal::error(&message);
            code
        }
    }
}

fn examine(arguments: Chaos) -> Result<Report, Failure> {
    let path = find(Path::new(arguments.command.first().map_or("".as_ref(), OsString::as_os_str)))?;
    let file = arguments.report.as_deref().map(create).transpose()?;
    let maize = std::env::current_exe().map_err(|error| (CANNOT_RUN, format!("cannot find maize itself: {error}")))?;
    let (mean, passes) =
        if arguments.every_point { (Some(1), 0) } else { (arguments.mean.map(u64::from), arguments.passes) };
    let expected = match (arguments.expect, arguments.expect_command) {
        (Some(file), _) => Expected::File(file),
        (_, Some(line)) => Expected::Command(line),
        _ => Expected::Itself,
    };
    let program =
        Program { maize, path, arguments: arguments.command.into_iter().skip(1).collect(), input: arguments.input };
    let options = Options {
        program,
        isas: arguments.isa,
        expected,
        stderr: arguments.stderr,
        moves: arguments.moves,
        seed: arguments.seed,
        runs: arguments.runs,
        mean,
        limit: arguments.limit,
        passes,
        timeout: arguments.timeout,
        trials: arguments.trials,
    };
    let status = StatusLine::new();
    let result = maize_chaos::examine(&options, &mut |progress| status.show(&describe(&progress)));
    drop(status);
    let report = result.map_err(|error| (exit_code(&error), error.to_string()))?;
    record(&report, arguments.report.as_deref().zip(file), arguments.json)
        .map_err(|error| (CANNOT_RUN, error.to_string()))?;
    Ok(report)
}

fn describe(progress: &Progress) -> String {
    match progress {
        Progress::Reference => String::from("maize: without moves"),
        Progress::Alone(isa) => format!("maize: on {} without moves", isa.name()),
        Progress::Seed(seed, moves) => format!("maize: seed {seed}, {moves} moves so far"),
        Progress::Shrink(trial, moves) => format!("maize: it differs; trial {trial} with {moves} moves"),
    }
}

fn record(report: &Report, file: Option<(&Path, File)>, as_json: bool) -> Result<(), CommandError> {
    let mut json = serde_json::to_string_pretty(report)?;
    json.push('\n');
    if let Some((path, mut file)) = file {
        file.write_all(json.as_bytes()).map_err(CommandError::write(path))?;
    }
    print(&if as_json { json } else { report.render() })
}

fn exit_code(error: &ChaosError) -> i32 {
    match error {
        ChaosError::Run { status, .. } => *status,
        ChaosError::Image(_) => NOT_A_PROGRAM,
        _ => CANNOT_RUN,
    }
}
