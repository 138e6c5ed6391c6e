//! The command line of what is done with running programs.

use super::nodes::{Abode, NodeMemory, ProgramName, Where};
use super::{duration, isa};
use clap::{Args, ValueEnum, ValueHint};
use maize_abi::Isa;
use std::num::NonZeroU64;
use std::path::PathBuf;
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
pub struct Top {
    #[command(flatten)]
    pub place: Where,
    /// Show these nodes alone [default: all, and what runs on this machine beside its node]
    #[arg(value_name = "NODE")]
    pub nodes: Vec<String>,
    /// Over what time the processor is measured; so often it is shown anew
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    pub interval: Duration,
    /// Show it so often [default: on a terminal, until interrupted; else, and with --json, once]
    #[arg(long, value_name = "N")]
    pub count: Option<NonZeroU64>,
    /// What comes first: those that use most of this
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = Sort::Cpu)]
    pub sort: Sort,
    /// Print everything as JSON
    #[arg(long)]
    pub json: bool,
}

/// What programs are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// The processor, over the interval
    Cpu,
    /// Memory that is resident
    Memory,
    /// The processor, so far
    Time,
}

/// Within less, a program has used nothing or all that the clock can tell.
fn interval(text: &str) -> Result<Duration, String> {
    const SHORTEST: Duration = Duration::from_millis(10);
    let interval = duration(text)?;
    if interval < SHORTEST { Err(String::from("say 10ms or more")) } else { Ok(interval) }
}

pub const TOP: &str = "\
Shows the nodes, and below them the programs that run on those, and the programs of this machine that `maize run` has started without a node (NODE is - then). Without a node here, or if \
its daemon does not run, only these are shown. PID is the program's number on its node: `maize migrate NODE:PID --to OTHER` moves it.

CPU% is what all of a program's processes have used over the interval, 100 being one processor, and TIME what they have used so far; MEMORY is what they have in memory, in which \
what they share counts for each. Emulators are part of it. MOVES are those between ISAs on this node. A - is for what is not known: of CPU% if the program has just come, of the rest if it does not answer at once. Of a program that keeps its table of processes with \
the kernel (docs/control.md) the first process is shown alone.

A node that does not answer is shown with the reason. It holds up the others for 5 s at most.

Exit status: 0; 1 if a node that is named is not known, or if nodes are named and maized does not run here.

Examples:
  maize top
  maize top b c --sort memory
  maize top --interval 5s --count 12 >usage.txt
  maize top --json | jq '.programs[] | select(.cpu_percent > 50) | {node, pid, isas}'";

#[derive(Args, Debug)]
pub struct Migrate {
    /// The program: the PID that `maize ps` shows, or the id of one of its processes; or a program on a node
    #[arg(value_name = "[NODE:]PID", required_unless_present = "all")]
    pub program: Option<ProgramName>,
    /// Move all programs of a node to another
    #[arg(long, conflicts_with_all = ["program", "process"])]
    pub all: bool,
    /// The node that they leave, with --all [default: this one]
    #[arg(long, value_name = "NODE", requires = "all")]
    pub from: Option<String>,
    /// Where to: an ISA of this machine's, or a node [default with --all: for each program the node with the fewest of those that can take it]
    #[arg(long, value_name = "ISA|NODE", required_unless_present = "all")]
    pub to: Option<Goal>,
    /// The ISA to be on there, if it goes to a node [default: the node's own]
    #[arg(long, value_parser = isa())]
    pub isa: Option<Isa>,
    #[command(flatten)]
    pub place: Where,
    /// Move one process of the program's alone
    #[arg(long, value_name = "ID")]
    pub process: Option<u32>,
    #[command(flatten)]
    pub memory: NodeMemory,
    /// How long to try, for each program
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub timeout: Duration,
    /// Only say what would be done, and what is in the way
    #[arg(long)]
    pub dry_run: bool,
    /// Print the outcome as JSON
    #[arg(long)]
    pub json: bool,
}

/// Where a program goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Into a process of this ISA.
    Isa(Isa),
    /// To another node.
    Node(String),
}

impl std::str::FromStr for Goal {
    type Err = String;

    fn from_str(text: &str) -> Result<Goal, String> {
        let name = match text {
            "x86-64" | "amd64" => "x86_64",
            "arm64" => "aarch64",
            name => name,
        };
        match Isa::from_name(name) {
            Some(isa) => Ok(Goal::Isa(isa)),
            None if name.is_empty() => Err("say an ISA or the name of a node".into()),
            None => Ok(Goal::Node(name.to_owned())),
        }
    }
}

pub const MIGRATE: &str = "\
Waits until each process has moved, or the time is over. A process moves at its next migration point. One that cannot move runs on where \
it is, and is asked again until the time is over. Processes that are forked later begin where their parents are. A program \
with a plan of moves (`maize run --hop`) follows it afterwards.

A program that was started without --hop on this machine, or in a terminal, and has children can move only if it was started with `maize run --movable`.

To another node a program goes that runs on a node (`maize run --node NODE`). It stops, its state goes over an authenticated \
connection, and it runs on there, with its log and the process ids that it knows. If a command waits for it, its input and output, or its terminal, go on to be that command's, by way of the node \
where it was started. Its connections go along if it has an address of its own (`maize run --address`); \
otherwise they are in the way. Its files must be there under the same names, unchanged; \
what cannot go along is named, before the program is stopped if that shows while it runs, and the program runs on where it is. So it does if anything else \
fails before it has come. The old name goes on to work: `maize logs` and `maize node kill` find it where it is. What `maize run` was told of moves between ISAs \
(--hop and the like) stays behind: on the new node the program keeps the ISA that it comes to.

Its memory goes ahead while it runs; when it has stopped it waits for what it has changed since. With --memory after that follows while it runs at the new node, if it would take longer than \
2 ms: the pause is short however fast the program changes its memory. But then, if the node that it leaves is lost before all has come, or out of reach for two minutes, the program is \
ended (SIGKILL, with the reason on its standard error).

With --all each program of a node goes, one after the other. It is found out first which can, and where to; what cannot is named before anything moves, and stays. \
`maize node drain --move` has the node take no more programs, too.

Exit status: 0 if every process is on that ISA, or the program on that node, or, with --all, none is left on the node (or, with --dry-run, would be); 1 if one is \
not, or the program cannot be asked; 3 if there is no such program.

Examples:
  maize migrate 4711 --to riscv64
  maize migrate 4711 --to aarch64 --dry-run
  maize migrate b:4711 --to riscv64
  maize migrate b:4711 --to c
  maize migrate 4711 --to b --isa riscv64
  maize migrate 4711 --to b --memory after
  maize migrate --all --from b --to c --dry-run
  maize migrate --all --from b --json | jq '.programs[] | select(.outcome == \"stayed\")'
  maize migrate 4711 --to aarch64 --timeout 1min --json | jq '.processes[].migration.pause_us'";

#[derive(Args, Debug)]
pub struct Events {
    #[command(flatten)]
    pub place: Where,
    /// The program: the PID that `maize ps` shows, or the id of one of its processes; or a program on a node
    #[arg(value_name = "[NODE:]PID")]
    pub program: ProgramName,
}

pub const EVENTS: &str = "\
Prints a line of JSON for each process that begins, moves, stays although it was to move, or ends, from now on until the program ends, or goes to another node.

Exit status: 0 when the program has ended; 1 if it cannot be asked; 3 if there is no such program.

Examples:
  maize events 4711 | jq -r 'select(.event == \"moved\") | .migration.to'
  maize events b:4711";

#[derive(Args, Debug)]
pub struct Checkpoint {
    #[command(flatten)]
    pub place: Where,
    /// The program: the PID that `maize ps` shows, or the id of one of its processes; or a program on a node
    #[arg(value_name = "[NODE:]PID")]
    pub program: ProgramName,
    /// The file to write; one that is there is replaced when the new one is whole and on disk
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,
    /// Let the program run on; otherwise it is ended when the snapshot is on disk
    #[arg(long)]
    pub leave_running: bool,
    /// Write only what has changed since the last snapshot that was taken so, which is to be in the same directory; the first is whole
    #[arg(long)]
    pub incremental: bool,
    /// How long to try
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub timeout: Duration,
    /// Print the outcome as JSON
    #[arg(long)]
    pub json: bool,
}

pub const CHECKPOINT: &str = "\
All processes of the program stop where they can be suspended, and hand over memory, open files and the rest. What cannot be saved, such as a \
connection to another program, is named, and the program runs on. So it does if the snapshot cannot be written. Otherwise it is ended, and \
its `maize run` with status 85.

Files are saved by name, and must be as they were when the program is restored. With --leave-running, what files hold that are open for \
writing is part of the snapshot, because the program changes them. docs/snapshot.md says more.

With --incremental a snapshot holds only what has changed in large memory since the last that was taken so, its base, which it needs to be restored: keep both in one \
directory. It is whole if that is not known: the first time, after one that failed, when the program has moved, under an emulator, and when the chain gets long. If it \
takes the name of its base, that is FILE.base-0 (or -1, ...) from then on, until a whole one is there.

A program on another node is saved to a file here. It is ended when the snapshot is on disk here; if that fails, it runs on there.

Exit status: 0 if the snapshot is on disk; 1 if there is none; 3 if there is no such program.

Examples:
  maize checkpoint 4711 -o job.snapshot && maize restore --isa riscv64 job.snapshot
  maize checkpoint 4711 -o job.snapshot --leave-running --json | jq .pause_us
  maize checkpoint 4711 -o tuesday.snapshot --leave-running --incremental
  maize checkpoint b:4711 -o job.snapshot && maize restore --node c job.snapshot";

#[derive(Args, Debug)]
pub struct Restore {
    /// ISA to run on [default: this machine's]
    #[arg(long, value_parser = isa())]
    pub isa: Option<Isa>,
    /// What to do about files that have changed since: restore nothing; give those back what they held whose content is in the snapshot; or
    /// go on with them as they are
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = Changed::Refuse)]
    pub changed_files: Changed,
    /// Write a record of the run to this file, as JSON
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub periodic: Periodic,
    /// Let it go on on this node, to which the snapshot is sent; its streams, terminal and signals are relayed
    #[arg(long, value_name = "NAME", conflicts_with = "report")]
    pub node: Option<String>,
    #[command(flatten)]
    pub place: Abode,
    /// The file that `maize checkpoint` has made
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
}

/// What to do about files that have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Changed {
    Refuse,
    RollBack,
    Keep,
}

/// Snapshots that a run takes of itself.
#[derive(Args, Debug)]
pub struct Periodic {
    /// Take a snapshot so often and run on
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "checkpoint")]
    pub checkpoint_every: Option<Duration>,
    /// Where to, with --checkpoint-every; the last is kept, with those that it builds on beside it (FILE.base-0 and so on)
    #[arg(long, value_name = "FILE", requires = "checkpoint_every", value_hint = ValueHint::FilePath)]
    pub checkpoint: Option<PathBuf>,
}

pub const RESTORE: &str = "\
The program goes on where it was, on whatever ISA, with the process ids that it knows. Standard input, output and error are those of this command; \
input that was a file, and is one, goes on where the program had got to. Its own file must be where it was, and the same. Clocks \
that run from the machine's start go on from where they were.

With --node it goes on there: the snapshot, with those that it builds on, is sent to that node, and the program's own file if the node does not have it. Files that the program has open must be there as they were, or \
be seen from there (--home-files). The program is one of that node's then, as if `maize run --node` had started it. If anything fails before all of it is in place, nothing runs.

Exit status: the program's; with --detach 0. If a signal ended the program, the same signal ends maize. 85: it was saved once more; 125: it could not \
be restored; 126: its file is not the one that was saved.

Examples:
  maize restore job.snapshot
  maize restore --isa aarch64 --changed-files=roll-back job.snapshot < input >> output
  maize restore --node b --detach job.snapshot
  maize restore --node c --home-files --changed-files=roll-back job.snapshot";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_long_enough_to_measure() {
        assert_eq!(interval("10ms"), Ok(Duration::from_millis(10)));
        assert!(interval("9ms").is_err() && interval("0s").is_err() && interval("fast").is_err());
    }
}
