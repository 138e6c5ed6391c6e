//! `maized`: the daemon of a node, and the shims that it starts. A program of its own because it is there all the time: `maize` brings a compiler along.

use clap::Parser;
use maize_daemon::{daemon, files, shim};
use std::process::ExitCode;

/// The daemon of a node (also `maize node start`): it tells other nodes how this one is, and runs programs for them.
#[derive(Parser)]
#[command(name = "maized", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(flatten)]
    options: daemon::Options,
    #[command(subcommand)]
    subcommand: Option<Subcommand>,
}

#[derive(clap::Subcommand)]
enum Subcommand {
    /// Have one program in care; started by the daemon
    #[command(hide = true)]
    Shim,
    /// Serve this node's files to a program elsewhere; started by the daemon
    #[command(hide = true)]
    Files,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.subcommand {
        Some(Subcommand::Shim) => shim::run(),
        Some(Subcommand::Files) => files::run(),
        None => daemon::run(&arguments.options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("maized: error: {error}");
            ExitCode::FAILURE
        }
    }
}
