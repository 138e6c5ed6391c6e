//! What the whole-program tests and the benchmarks share: fetching Debian source packages, building programs with the
//! native compiler and with `maize cc`, and running them on one ISA or hopping between ISAs.
//!
//! The tests themselves are in `tests/`, a file for each kind of promise; the programs of our own in `programs/`.

mod arm64;
mod check;
mod clients;
mod clocks;
mod cluster;
mod corpus;
mod data;
mod disk;
mod journey;
mod machine;
mod network;
mod processes;
mod proxy;
mod random;
mod report;
mod run;
mod rust;
mod seeded;
mod source;
mod toolchain;

pub use check::{Checked, require_move_between_all};
pub use clients::{Answer, count, fill, has_all, value};
pub use clocks::clock_tolerance;
pub use cluster::{Cluster, node_name, text, wait_until};
pub use corpus::{
    Package, build_bzip2, build_bzip2_with, build_dash, build_lua, build_lua_with, build_pugixml, build_redis,
    build_zlib, build_zstd, sqlite_amalgamation,
};
pub use data::compressible;
pub use disk::{Disk, Room};
pub use journey::{Journey, Said};
pub use machine::{KERNELS, Kernel, Machine};
pub use network::Network;
pub use processes::{children, grants_userfaultfd, kill, kill_with_hosts};
pub use proxy::{Cut, Point, Proxy, is_so_within};
pub use random::{BATCH, Kind, generated};
pub use report::{Activation, Child, Exit, Fetched, Migration, Place, Report, Stay};
pub use run::{Input, Outcome, Placement, Run, Running};
pub use rust::{Crate, RIPGREP, RustCompiler};
pub use seeded::Random;
pub use source::Source;
pub use toolchain::{Compiler, benchmark_source, build_both, fresh_directory, maize, program_source, run};

/// The ISAs that programs are compiled for, the native one first.
pub const ISAS: [&str; 3] = ["x86_64", "aarch64", "riscv64"];

/// Whether tests may take minutes, as `./test --all` lets them (`MAIZE_THOROUGH`).
pub fn thorough() -> bool {
    std::env::var_os("MAIZE_THOROUGH").is_some_and(|value| !value.is_empty())
}
