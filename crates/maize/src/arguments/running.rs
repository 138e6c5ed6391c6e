//! The command line of what is done with running programs.

use super::{duration, isa};
use clap::Args;
use maize_abi::Isa;
use std::time::Duration;

#[derive(Args, Debug)]
pub struct Ps {
    /// Print everything as JSON
    #[arg(long)]
    pub json: bool,
    /// Show it again every second, until interrupted
    #[arg(long, short)]
    pub watch: bool,
}

pub const PS: &str = "\
Shows what `maize run` has started as this user and is still running. PID is the process of `maize run`, the name by which other \
commands know the program; signals sent to it are handed on to the program. Programs started by themselves are not shown.

Exit status: 0, or 1 if the directory of control sockets cannot be read.

Examples:
  maize ps
  maize ps --watch
  maize ps --json | jq '.programs[].processes[] | {id, isa}'";

#[derive(Args, Debug)]
pub struct Migrate {
    /// The program: the PID that `maize ps` shows, or the id of one of its processes
    pub pid: u32,
    /// Where to
    #[arg(long, value_parser = isa())]
    pub to: Isa,
    /// Move one process of the program's alone
    #[arg(long, value_name = "ID")]
    pub process: Option<u32>,
    /// How long to try
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub timeout: Duration,
    /// Only say what would be done, and what is in the way
    #[arg(long)]
    pub dry_run: bool,
    /// Print the outcome as JSON
    #[arg(long)]
    pub json: bool,
}

pub const MIGRATE: &str = "\
Waits until each process has moved, or the time is over. A process moves at its next migration point. One that cannot move runs on where \
it is, and is asked again until the time is over. Processes that are forked later begin where their parents are. A program \
with a plan of moves (`maize run --hop`) follows it afterwards.

A program that was started without --hop and has children can move only if it was started with `maize run --movable`.

Exit status: 0 if every process is on that ISA; 1 if one is not, or the program cannot be asked; 3 if there is no such program.

Examples:
  maize migrate 4711 --to riscv64
  maize migrate 4711 --to aarch64 --dry-run
  maize migrate 4711 --to aarch64 --timeout 1min --json | jq '.processes[].migration.pause_us'";

#[derive(Args, Debug)]
pub struct Events {
    /// The program: the PID that `maize ps` shows, or the id of one of its processes
    pub pid: u32,
}

pub const EVENTS: &str = "\
Prints a line of JSON for each process that begins, moves, stays although it was to move, or ends, from now on until the program ends.

Exit status: 0 when the program has ended; 1 if it cannot be asked; 3 if there is no such program.

Example:
  maize events 4711 | jq -r 'select(.event == \"moved\") | .migration.to'";
