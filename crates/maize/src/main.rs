//! The `maize` command: reads its arguments and calls the crate that does the work. No logic of its own lives here.
//!
//! Compilers and binary utilities take over their arguments unread, as `maize cc ARGS` or by the name of a symbolic
//! link such as `maize-cc`; clap reads those of the other subcommands ([`arguments`]).

mod arguments;
mod asking;
mod beside;
mod chaos;
mod error;
mod inspect;
mod manual;
mod nodes;
mod run;
mod running;
mod status;
mod top;

use arguments::{Arguments, Subcommand};
use clap::{CommandFactory as _, Parser as _};
use maize_terminal as terminal;
use std::env;
use std::ffi::{OsStr, OsString};
use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;

/// What is wrong with the command line itself.
const USAGE: i32 = 2;
/// As a shell's, of a command that cannot be found.
const CANNOT_RUN_TOOL: i32 = 127;
/// As podman's: `maize run` could not run the program. A program's own status seldom is this one.
const CANNOT_RUN: i32 = 125;

fn main() -> ExitCode {
    let code = dispatch(env::args_os().collect());
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

fn dispatch(arguments: Vec<OsString>) -> i32 {
    let program = arguments.first().map(|path| Path::new(path).file_name().unwrap_or_default().to_string_lossy());
    if let Some(tool) = program.as_deref().and_then(|name| name.strip_prefix("maize-"))
        && let Some(code) = raw(tool, &arguments[1..])
    {
        return code;
    }
    if let Some(tool) = arguments.get(1).and_then(|word| word.to_str())
        && let Some(code) = raw(tool, &arguments[2..])
    {
        return code;
    }
    match Arguments::try_parse_from(&arguments) {
        Ok(parsed) => execute(parsed.subcommand),
        Err(error) => {
            explain(&error, arguments.get(1).is_some_and(|word| word == "run" || word == "restore" || word == "chaos"))
        }
    }
}

/// Calls a tool that reads its arguments itself, if it is one.
fn raw(tool: &str, arguments: &[OsString]) -> Option<i32> {
    if arguments::RAW.contains(&tool) && arguments == ["--help"] {
        return Some(help(tool));
    }
    arguments::RAW.contains(&tool).then(|| become_toolchain(tool, arguments))
}

/// Becomes the program that has the compilers; returns an exit status if that cannot be.
fn become_toolchain(tool: &str, arguments: &[OsString]) -> i32 {
    let error =
        beside::execute(beside::TOOLCHAIN, [OsStr::new(tool)].into_iter().chain(arguments.iter().map(AsRef::as_ref)));
    terminal::error(&error);
    CANNOT_RUN_TOOL
}

fn help(tool: &str) -> i32 {
    let mut command = Arguments::command();
    command.build();
    let Some(subcommand) = command.find_subcommand_mut(tool) else { return USAGE };
    i32::from(subcommand.print_long_help().is_err())
}

fn execute(subcommand: Subcommand) -> i32 {
    let result = match subcommand {
        Subcommand::Run(options) => return run::execute(options),
        Subcommand::Chaos(options) => return chaos::execute(options),
        Subcommand::Migrate(options) => return running::migrate(&options),
        Subcommand::Checkpoint(options) => return running::checkpoint(&options),
        Subcommand::Restore(options) => return run::restore(options),
        Subcommand::Events(options) => return running::events(&options),
        Subcommand::Ps(options) => running::ps(&options),
        Subcommand::Top(options) => top::execute(options),
        Subcommand::Node(options) => match nodes::execute(options.subcommand) {
            Ok(status) => return status,
            Err(error) => Err(error),
        },
        Subcommand::Nodes(options) => nodes::list(options),
        Subcommand::Logs(options) => nodes::logs(options),
        Subcommand::Inspect(options) => inspect::execute(&options),
        Subcommand::Sysroot(options) => return become_toolchain("sysroot", &options.action.words()),
        Subcommand::Completions(options) => manual::completions(options.shell),
        Subcommand::Man(options) => manual::pages(&options.directory),
        // Taken by `raw` before clap sees them.
        Subcommand::Cc(_) | Subcommand::Cxx(_) | Subcommand::Ar(_) => Ok(()),
        Subcommand::Ranlib(_) | Subcommand::Nm(_) | Subcommand::Strip(_) => Ok(()),
        Subcommand::Rustc(_) | Subcommand::Cargo(_) => Ok(()),
    };
    match result {
        Ok(()) => 0,
        Err(error) => {
            terminal::error(&error);
            1
        }
    }
}

/// Prints what clap has to say, help or an error, in the style of Maize's other messages.
fn explain(error: &clap::Error, runs: bool) -> i32 {
    if !error.use_stderr() {
        return i32::from(error.print().is_err());
    }
    let rendered = error.render();
    if terminal::stderr_has_colours() && std::io::stderr().is_terminal() {
        eprint!("maize: {}", rendered.ansi());
    } else {
        eprint!("maize: {rendered}");
    }
    if runs { CANNOT_RUN } else { USAGE }
}
