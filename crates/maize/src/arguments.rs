//! The command line and its help.

pub mod nodes;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser, ValueParser};
use clap::{Args, Parser, ValueEnum, ValueHint};
use maize_abi::Isa;
use maize_node::MoveList;
use std::ffi::OsString;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

pub mod running;

/// Subcommands whose arguments are not read here.
pub const RAW: &[&str] = &["cc", "c++", "rustc", "cargo", "ar", "ranlib", "nm", "strip"];

/// Compile a program once; run it on x86-64, AArch64 and RISC-V, moving between them while it runs.
#[derive(Debug, Parser)]
#[command(name = "maize", version, propagate_version = true, after_help = EXAMPLES, arg_required_else_help = true)]
pub struct Arguments {
    #[command(subcommand)]
    pub subcommand: Subcommand,
}

/// How often a migration point counts in a round, if not said.
const DEFAULT_PASSES: u8 = 16;

const EXAMPLES: &str = "\
Examples:
  maize cc -O2 -o hello hello.c              Compile a program for every ISA
  maize run --hop x86_64,aarch64 ./hello     Run it, moving every second
  ./configure CC='maize cc' AR='maize ar' RANLIB='maize ranlib' --disable-shared";

#[derive(Debug, clap::Subcommand)]
pub enum Subcommand {
    /// Compile and link C programs for every ISA, with clang's command line
    #[command(after_help = CC, disable_help_flag = true, disable_version_flag = true)]
    Cc(Raw),
    /// Compile and link C++ programs for every ISA, with clang++'s command line
    #[command(name = "c++", after_help = CXX, disable_help_flag = true, disable_version_flag = true)]
    Cxx(Raw),
    /// Compile and link one Rust crate for every ISA, with rustc's command line
    #[command(after_help = RUSTC, disable_help_flag = true, disable_version_flag = true)]
    Rustc(Raw),
    /// Build Rust programs and the crates they depend on for every ISA, with cargo's command line
    #[command(after_help = CARGO, disable_help_flag = true, disable_version_flag = true)]
    Cargo(Raw),
    /// Make and change archives of multi-ISA objects (llvm-ar)
    #[command(after_help = AR, disable_help_flag = true, disable_version_flag = true)]
    Ar(Raw),
    /// Write an archive's table of symbols anew (llvm-ranlib)
    #[command(after_help = RANLIB, disable_help_flag = true, disable_version_flag = true)]
    Ranlib(Raw),
    /// List symbols (llvm-nm)
    #[command(after_help = NM, disable_help_flag = true, disable_version_flag = true)]
    Nm(Raw),
    /// Leave symbols out of object files (llvm-strip); programs stay as they are
    #[command(after_help = STRIP, disable_help_flag = true, disable_version_flag = true)]
    Strip(Raw),
    /// Run a program, moving it between ISAs if asked to
    #[command(after_help = RUN)]
    Run(Run),
    /// Show running programs
    #[command(after_help = running::PS)]
    Ps(running::Ps),
    /// Show what running programs use, on all nodes
    #[command(after_help = running::TOP)]
    Top(running::Top),
    /// Move a running program to another ISA
    #[command(after_help = running::MIGRATE)]
    Migrate(running::Migrate),
    /// Save a running program in a file
    #[command(after_help = running::CHECKPOINT)]
    Checkpoint(running::Checkpoint),
    /// Let a saved program go on
    #[command(after_help = running::RESTORE)]
    Restore(running::Restore),
    /// Tell what happens to a running program, as JSON
    #[command(after_help = running::EVENTS)]
    Events(running::Events),
    /// Find out whether a program does the same when it moves, and which move is to blame if not
    #[command(after_help = CHAOS)]
    Chaos(Chaos),
    /// Make this machine a node, and manage it
    #[command(after_help = nodes::NODE)]
    Node(nodes::NodeArguments),
    /// List the nodes, and how they are
    #[command(after_help = nodes::NODES)]
    Nodes(nodes::Nodes),
    /// Print what a program has written that was started with --detach
    #[command(after_help = nodes::LOGS)]
    Logs(nodes::Logs),
    /// Show what a multi-ISA program holds
    #[command(after_help = INSPECT)]
    Inspect(Inspect),
    /// Build the libc and the runtime that programs are linked with, or tell where they are
    #[command(after_help = SYSROOT)]
    Sysroot(Sysroot),
    /// Print a completion script for a shell
    #[command(after_help = COMPLETIONS)]
    Completions(Completions),
    /// Write manual pages into a directory
    #[command(after_help = MAN)]
    Man(Man),
}

#[derive(Args, Debug)]
pub struct Raw {
    /// What the tool takes
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_hint = ValueHint::FilePath)]
    pub arguments: Vec<OsString>,
}

const CC: &str = "\
Options are clang's. What differs:
  --maize-isa=ISA
      The ISA whose assembly -S shows; x86_64 if left out
  -march= -mtune= -msse* -mavx* -fPIC -fpie -pie -static -rdynamic -flto -fuse-ld= -gsplit-dwarf
  -fstack-protector* -fcf-protection* -ffp-contract=
      Accepted without effect: each ISA's code is for its baseline, and programs are static
  -shared -r -T -e
      Refused: programs are static and laid out by Maize
  -m32 -mx32 -mlong-double-80 --target=OTHER
      Refused: the portable ABI is LP64 with a 64-bit long double
  -fsanitize= -fprofile-generate -fprofile-arcs --coverage -pg -finstrument-functions -fopenmp
      Refused: their run-time libraries exist for one ISA at a time

Macros of an ISA (__x86_64__, __SSE2__, ...) are not defined, __maize__ is. Inline assembly is an error. \
An assembly file is assembled once per ISA, and tells them apart by __x86_64__, __aarch64__ and __riscv.

The first use builds the libc and the runtime, which takes minutes; `maize sysroot build` does so beforehand. \
A symbolic link to maize named maize-cc works as `maize cc`; so do maize-ar, maize-ranlib, maize-nm and maize-strip.

Exit status: clang's; 1 if the code of an ISA could not be made or the link failed.

Examples:
  maize cc -O2 -o hello hello.c
  maize cc -O2 -S --maize-isa=riscv64 -o - hello.c
  make CC='maize cc' AR='maize ar'";

const CXX: &str = "\
Options are clang++'s; `maize help cc` tells what differs. The C++ library is LLVM's libc++, linked statically:
  -stdlib=libc++ -static-libstdc++
      Accepted without effect
  -stdlib=libstdc++
      Refused
  -lc++ -lc++abi -lstdc++ -lsupc++
      All stand for libc++; `maize cc` links it if one of them is given

The first use builds libc++, which takes minutes; `maize sysroot build --cxx` does so beforehand. \
A symbolic link to maize named maize-c++ works as `maize c++`.

Exit status: clang's; 1 if the code of an ISA could not be made or the link failed.

Examples:
  maize c++ -std=c++20 -O2 -o hello hello.cpp
  make CC='maize cc' CXX='maize c++' AR='maize ar'
  cmake -DCMAKE_CXX_COMPILER=/usr/local/bin/maize-c++ -DCMAKE_C_COMPILER=/usr/local/bin/maize-cc ..";

const RUSTC: &str = "\
Options are rustc's. The host's rustc (or $RUSTC) compiles to one module of bitcode, with the standard library in it; Maize makes \
the program. What differs:
  -Ctarget-cpu= -Ctarget-feature= -Crelocation-model= -Clinker= -Clto=
      Set by Maize: each ISA's code is for its baseline, and programs are static
  --target=
      Refused, unless it is the portable ABI's, x86_64-unknown-linux-gnu

is_x86_feature_detected!() finds no extensions, and functions that need one are left out.

Exit status: rustc's; 1 if it cannot be used.

Examples:
  maize rustc -O hello.rs
  maize run --hop x86_64,aarch64,riscv64 --every 100ms ./hello";

const CARGO: &str = "\
Subcommands and options are cargo's. Programs are in target/maize/x86_64-unknown-linux-gnu, beside what cargo itself builds. \
Build scripts and procedural macros are compiled for the host as ever; C code in crates is compiled with `maize cc`. Profiles have \
`lto = \"fat\"`, and flags for rustc come from RUSTFLAGS alone.

Exit status: cargo's; 1 if the host's rustc cannot be used.

Examples:
  maize cargo build --release
  maize run --hop x86_64,aarch64 target/maize/x86_64-unknown-linux-gnu/release/hello
  maize cargo install --root ~/.local ripgrep";

const AR: &str = "\
Example:
  maize ar rcs libparser.a lexer.o parser.o

Exit status: llvm-ar's.";

const RANLIB: &str = "\
Example:
  maize ranlib libparser.a

Exit status: llvm-ranlib's.";

const NM: &str = "\
Example:
  maize nm --defined-only hello.o

Exit status: llvm-nm's.";

const STRIP: &str = "\
A multi-ISA program has a checksum and more tables than a strip program knows of, so it is left alone with a note; \
link with `maize cc -s` to leave its symbols out.

Example:
  maize strip --strip-debug hello.o

Exit status: llvm-strip's.";

/// What becomes of large memory in a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Memory {
    Copy,
    PostCopy,
}

#[derive(Args, Debug)]
pub struct Run {
    /// ISA to start on [default: the first of --hop, or this machine's]
    #[arg(long, value_parser = isa())]
    pub isa: Option<Isa>,
    /// Move between these ISAs, in this order and round again
    #[arg(long, value_name = "ISA,...", value_delimiter = ',', value_parser = isa())]
    pub hop: Vec<Isa>,
    /// Time between moves, such as 20ms, 1.5s or 2min
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration, requires = "hop")]
    pub every: Duration,
    /// Move at random times, to random ISAs of --hop; the same number gives the same moves
    #[arg(long, value_name = "NUMBER", requires = "hop")]
    pub seed: Option<u64>,
    /// Move at every Nth event on average instead of by time; 1 for every one. Events are migration points that the program
    /// passes and system calls; the same --seed moves at the same ones
    #[arg(long, value_name = "N", requires = "hop", conflicts_with = "every")]
    pub mean: Option<NonZeroU64>,
    /// Move at the events with these numbers, in rising order
    #[arg(long, value_name = "EVENT:ISA,...", conflicts_with_all = ["hop", "every", "seed"])]
    pub moves: Option<MoveList>,
    /// Move so often at most
    #[arg(long, value_name = "N", default_value_t = u64::MAX, hide_default_value = true, requires = "hop")]
    pub limit: u64,
    /// With --mean or --moves: count each migration point so often before the program has made further system calls; 0 for always, which
    /// is slow
    #[arg(long, value_name = "N", default_value_t = DEFAULT_PASSES)]
    pub passes: u8,
    /// Let a program that forks be moved and saved while it runs (maize migrate), even if it starts without moves: Maize keeps its table
    /// of processes, which takes some 50 us for each fork, wait and kill. With --hop this is always so
    #[arg(long)]
    pub movable: bool,
    #[command(flatten)]
    pub periodic: running::Periodic,
    /// Write a record of the run to this file, as JSON
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub report: Option<PathBuf>,
    /// Print that record on standard error when the program has ended
    #[arg(long)]
    pub json: bool,
    /// How long the program may take to reach a migration point before the record says so
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    pub patience: Duration,
    /// What becomes of large memory in a move: it is copied while the program waits, or brought while the program runs on, where the kernel allows that
    #[arg(long, value_name = "HOW", value_enum, default_value_t = Memory::PostCopy)]
    pub memory: Memory,
    /// Show no status line
    #[arg(long, short)]
    pub quiet: bool,
    /// Run it on this node; its streams, terminal and signals are relayed, and it has the environment, working directory and resource limits of here
    #[arg(long, value_name = "NAME", conflicts_with_all = ["mean", "moves", "report", "json", "kill_destination"])]
    pub node: Option<String>,
    /// With --node: the program's working directory there
    #[arg(long, value_name = "DIR", requires = "node")]
    pub directory: Option<PathBuf>,
    #[command(flatten)]
    pub place: nodes::Abode,
    /// Kill the destination of the Nth move while it is under way; can be given several times
    #[arg(long, value_name = "N", hide = true)]
    pub kill_destination: Vec<usize>,
    /// The program, made by `maize cc`, and its arguments
    #[arg(required = true, num_args = 1.., trailing_var_arg = true, value_name = "PROGRAM")]
    #[arg(value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}

const RUN: &str = "\
ISAs other than this machine's run under qemu-user. If standard error is a terminal, its last line shows where the \
program runs and how often it has moved.

Exit status: the program's. If a signal ended the program, the same signal ends maize. 85: it was saved and ended (maize checkpoint); \
125: Maize could not run the program; 126: the file is not a multi-ISA program, or damaged; 127: there is no such file.

Examples:
  maize run ./hello
  maize run --isa riscv64 ./hello
  maize run --hop x86_64,aarch64,riscv64 --every 20ms --report run.json ./compress big.tar
  maize run --hop x86_64,aarch64 --seed 7 -- ./server --port 8080
  maize run --checkpoint-every 30s --checkpoint job.snapshot ./simulate
  maize run --node b ./compress <big.tar >big.tar.z
  maize run --node b --detach ./server && maize logs --follow b:4711
  maize run --node b --detach --address 10.9.0.100/24 ./server
  maize run --node b --home-files ./build-index ~/corpus
  maize run --moves 1200:aarch64,1201:x86_64 ./compress big.tar";

#[derive(Args, Debug)]
pub struct Chaos {
    /// Move between these ISAs; runs start on the first
    #[arg(long, value_name = "ISA,...", value_delimiter = ',', value_parser = isa(), default_value = "x86_64,aarch64,riscv64")]
    pub isa: Vec<Isa>,
    /// The seed of the first run; the next run has the next number
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// How many runs with moves
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub runs: u64,
    /// Move at every Nth event on average [default: so that a run moves some 40 times]
    #[arg(long, value_name = "N")]
    pub mean: Option<NonZeroU64>,
    /// Move at every event, of which each migration point that is passed is one, however often it has been passed
    #[arg(long, conflicts_with_all = ["mean", "passes"])]
    pub every_point: bool,
    /// Move so often at most in one run
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub limit: u64,
    /// Count each migration point so often before the program has made further system calls; 0 for always, which is slow
    #[arg(long, value_name = "N", default_value_t = DEFAULT_PASSES)]
    pub passes: u8,
    /// Move at the events with these numbers instead, as a report tells
    #[arg(long, value_name = "EVENT:ISA,...", conflicts_with_all = ["seed", "runs", "mean", "every_point", "limit"])]
    pub moves: Option<MoveList>,
    /// What the program should print, instead of what it prints without moves; it is to end with status 0
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub expect: Option<PathBuf>,
    /// A shell command that prints what the program should, and ends as it should
    #[arg(long, value_name = "COMMAND", conflicts_with = "expect", value_hint = ValueHint::CommandString)]
    pub expect_command: Option<OsString>,
    /// Compare standard error, too
    #[arg(long)]
    pub stderr: bool,
    /// What the program finds on standard input; nothing if left out
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub input: Option<PathBuf>,
    /// How long one run may take [default: 1 min, and generous multiples of a run without moves and of the number of moves]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// Run the program so often at most to find out which moves are to blame; 0 not to
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub trials: usize,
    /// Write the report to this file, as JSON
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub report: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
    /// The program, made by `maize cc`, and its arguments
    #[arg(required = true, num_args = 1.., trailing_var_arg = true, value_name = "PROGRAM")]
    #[arg(value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}

const CHAOS: &str = "\
The program is run without moves, and then with moves at events that the seed draws: migration points that it passes, and \
system calls. What it prints and how it ends must be the same. If not, the moves are reduced to those that matter, and reported \
with ISAs, function, source line (of programs built with -g) and a command that repeats exactly that.

Each run finds the files that the one before left behind: let the program write to standard output rather than change its input.

Exit status: 0 if all runs are the same, 1 if one differs. 125: nothing could be found out, such as of a program that prints \
the time; 126: the file is not a multi-ISA program, or damaged; 127: there is no such file.

Examples:
  maize chaos ./hello
  maize chaos --seed 7 --runs 100 --report chaos.json -- ./sort --numeric big.txt
  maize chaos --every-point --isa x86_64,riscv64 --limit 5000 ./small
  maize chaos --moves 123:aarch64,456:x86_64 ./hello";

#[derive(Args, Debug)]
pub struct Inspect {
    /// Print everything as JSON
    #[arg(long)]
    pub json: bool,
    /// Show segments, sections and functions too
    #[arg(long, alias = "full")]
    pub functions: bool,
    /// The program, made by `maize cc`
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
}

const INSPECT: &str = "\
Exit status: 0, or 1 if the file is not a multi-ISA program or damaged.

Examples:
  maize inspect hello
  maize inspect --functions hello | less
  maize inspect --json hello | jq '.isas[].text_bytes'";

#[derive(Args, Debug)]
pub struct Sysroot {
    #[command(subcommand)]
    pub action: SysrootAction,
}

#[derive(Clone, Copy, Debug, clap::Subcommand)]
pub enum SysrootAction {
    /// Build what is missing or out of date
    Build {
        /// What C++ programs need, too
        #[arg(long)]
        cxx: bool,
    },
    /// Print the directory
    Path,
}

impl SysrootAction {
    /// As maize-toolchain has it.
    pub fn words(self) -> Vec<OsString> {
        let words: &[&str] = match self {
            SysrootAction::Build { cxx: false } => &["build"],
            SysrootAction::Build { cxx: true } => &["build", "--cxx"],
            SysrootAction::Path => &["path"],
        };
        words.iter().map(OsString::from).collect()
    }
}

const SYSROOT: &str = "\
The sysroot is in $MAIZE_SYSROOT, or in $XDG_CACHE_HOME/maize or ~/.cache/maize under the version's name.

Exit status: 0, or 1 if the build failed.

Examples:
  maize sysroot build --cxx
  ls $(maize sysroot path)/include";

#[derive(Args, Debug)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

const COMPLETIONS: &str = "\
Examples:
  maize completions bash > ~/.local/share/bash-completion/completions/maize
  maize completions zsh > ~/.zfunc/_maize
  maize completions fish > ~/.config/fish/completions/maize.fish";

#[derive(Args, Debug)]
pub struct Man {
    /// Where to; it is made if missing
    #[arg(value_hint = ValueHint::DirPath)]
    pub directory: PathBuf,
}

const MAN: &str = "\
Example:
  maize man ~/.local/share/man/man1 && man maize-run";

fn isa() -> ValueParser {
    let aliases = |isa: Isa| match isa {
        Isa::X86_64 => &["x86-64", "amd64"][..],
        Isa::Aarch64 => &["arm64"],
        Isa::Riscv64 => &[],
    };
    let values = Isa::ALL.map(|isa| PossibleValue::new(isa.name()).aliases(aliases(isa)));
    let parser = PossibleValuesParser::new(values);
    parser.try_map(|name| Isa::from_name(&name).ok_or("unknown ISA")).into()
}

/// A number and a unit.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale = match unit.trim() {
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "min" | "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(String::from("say a number and a unit: us, ms, s, min or h, as in 20ms")),
    };
    let number: f64 = number.parse().map_err(|_| String::from("say a number and a unit, as in 20ms"))?;
    Duration::try_from_secs_f64(number * scale).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("20ms"), Ok(Duration::from_millis(20)));
        assert_eq!(duration("1.5 s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("2min"), Ok(Duration::from_secs(120)));
        for wrong in ["", "20", "ms", "1.2.3s", "-1s", "5 parsecs", "999999999999999999999h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_follows_the_program_is_the_programs() {
        let parse = |line: &str| Arguments::try_parse_from(line.split(' '));
        let parsed = parse("maize run --hop amd64,arm64 --every 20ms ./a --hop -x --").unwrap();
        let Subcommand::Run(run) = parsed.subcommand else { panic!("not run") };
        assert_eq!(run.hop, [Isa::X86_64, Isa::Aarch64]);
        assert_eq!(run.command, ["./a", "--hop", "-x", "--"]);
        assert!(parse("maize run --bogus ./a").is_err());
        assert!(parse("maize run --hop x86_64,vax ./a").is_err());
        assert!(parse("maize run --seed 7 ./a").is_err(), "--seed without --hop");
    }

    #[test]
    fn every_subcommand_has_examples() {
        let command = Arguments::command();
        let of_nodes = command.find_subcommand("node").unwrap().get_subcommands();
        for subcommand in command.get_subcommands().chain(of_nodes) {
            let help = subcommand.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example"), "{}", subcommand.get_name());
        }
    }
}
