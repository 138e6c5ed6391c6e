//! SQLite, configured and built by its own scripts: its speed test, which prints a sum of all results, its test of blobs as a store of keys and values, its
//! check of scripts that fuzzers have found, and its shell, whose transactions are all there after it has gone from node to node.
//!
//! Compiling takes minutes, as SQLite is one file of 240,000 lines. So all this is for when tests may (`./test --all`).

use anyhow::{Context, Result, ensure};
use maize_tests::{
    Checked, Cluster, Compiler, ISAS, Journey, KERNELS, Kernel, Outcome, Package, Placement, Random, Run,
    fresh_directory, node_name, run,
};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

struct Built {
    source: PathBuf,
    native: PathBuf,
    ours: PathBuf,
}

static BUILT: LazyLock<Result<Built, String>> = LazyLock::new(|| build().map_err(|error| format!("{error:#}")));

fn build() -> Result<Built> {
    let directory = fresh_directory(env!("CARGO_TARGET_TMPDIR"), "sqlite")?;
    let source = Package::Sqlite.source().unpack(&directory)?;
    // Programs of Maize have none that is wider than a double.
    let flags = "CFLAGS=-O2 -DLONGDOUBLE_TYPE=double";
    let with = |compiler: Compiler| -> Result<PathBuf> {
        let directory = directory.join(compiler.name());
        fs::create_dir_all(&directory)?;
        let options = ["--disable-tcl", "--disable-shared", "--disable-readline", "--enable-rtree", flags];
        compiler.configure(&source, &directory, &options)?;
        compiler.make(&directory, &["speedtest1", "kvtest", "fuzzcheck", "sqlite3"])?;
        Ok(directory)
    };
    let native = with(Compiler::Clang).context("with clang")?;
    let ours = with(Compiler::Maize).context("with maize cc")?;
    Ok(Built { source, native, ours })
}

fn built() -> Result<&'static Built> {
    BUILT.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
}

/// Beginnings of lines that are about time, of kvtest and fuzzcheck.
const TIMES: [&str; 4] = ["Total elapsed time:", "Microseconds per BLOB", "Content read rate:", "fuzzcheck: "];

/// Output without times in it.
fn untimed(outcome: &Outcome) -> String {
    let timed = |word: &str| {
        let number = word.trim_end_matches("ms").trim_end_matches('s').trim_end_matches(',');
        number.len() < word.len() && number.parse::<f64>().is_ok()
    };
    let text = String::from_utf8_lossy(&outcome.stdout).into_owned();
    let lines = text.lines().filter(|line| !TIMES.iter().any(|begin| line.starts_with(begin)));
    let lines = lines.map(|line| line.split_whitespace().filter(|word| !timed(word)).collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n")
}

/// Runs the same natively and with `ours`, where `placements` say, and compares output, end, and the file that it wrote, if any.
fn compare(program: &str, file: Option<&str>, arguments: &[&str], placements: &[Placement]) -> Result<Vec<Outcome>> {
    let built = built()?;
    let run = |directory: &Path, placement: &Placement| -> Result<(Outcome, Vec<u8>)> {
        let path = file.map(|file| directory.join(file));
        if let Some(path) = &path {
            let _ = fs::remove_file(path);
        }
        let run = Run::new(directory.join(program)).arguments(arguments.iter().copied());
        let outcome = run.directory(directory).placed(placement.clone()).run()?.succeeded()?;
        Ok((outcome, path.map(fs::read).transpose()?.unwrap_or_default()))
    };
    let (expected, written) = run(&built.native, &Placement::Directly)?;
    let mut outcomes = Vec::new();
    for placement in placements {
        let (outcome, found) = run(&built.ours, placement)?;
        ensure!(
            untimed(&outcome) == untimed(&expected),
            "{}\ninstead of\n{}\nto repeat: {}",
            untimed(&outcome),
            untimed(&expected),
            outcome.command
        );
        ensure!(found == written, "{file:?} differs\nto repeat: {}", outcome.command);
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

fn everywhere() -> Vec<Placement> {
    ISAS.iter().map(|isa| Placement::On(isa)).collect()
}

/// What it prints has a sum of all results of all statements, and one of its tests is the integrity check.
#[test]
#[ignore = "takes minutes; run by ./test --all"]
fn the_speed_test_has_the_same_results_and_leaves_the_same_file() -> Result<()> {
    let arguments = ["--size", "1", "--verify", "speed.db"];
    let moving = [1, 2].map(|seed| Placement::Counted { seed, mean: 300, limit: 40 });
    let placements = [everywhere(), moving.to_vec()].concat();
    for (placement, outcome) in placements.iter().zip(compare("speedtest1", Some("speed.db"), &arguments, &placements)?)
    {
        ensure!(String::from_utf8_lossy(&outcome.stdout).contains("Verification Hash: "), "{:?}", outcome.stdout);
        if moving.contains(placement) {
            outcome.moved(40)?;
        }
    }
    Ok(())
}

#[test]
#[ignore = "takes minutes; run by ./test --all"]
fn other_speed_tests_have_the_same_results() -> Result<()> {
    for set in ["cte", "fp", "orm", "rtree"] {
        let arguments = ["--size", "1", "--testset", set, "--verify", "speed.db"];
        let moving = Placement::Counted { seed: 3, mean: 300, limit: 20 };
        compare("speedtest1", Some("speed.db"), &arguments, &[everywhere(), vec![moving]].concat())?;
    }
    Ok(())
}

#[test]
#[ignore = "takes minutes; run by ./test --all"]
fn blobs_are_read_the_same() -> Result<()> {
    let built = built()?;
    // The blobs are random: one file of them for all.
    let made = built.native.join("blobs.db");
    let name = made.to_str().context("a path that is no text")?;
    let _ = fs::remove_file(&made);
    let begin = ["init", name, "--count", "300", "--size", "3000", "--variance", "1000"];
    Run::new(built.native.join("kvtest")).arguments(begin).directory(&built.native).run()?.succeeded()?;
    let moving = Placement::Counted { seed: 4, mean: 100, limit: 20 };
    let placements = [everywhere(), vec![moving]].concat();
    let read = ["run", name, "--count", "300", "--blob-api", "--random", "--mmap", "65536", "--integrity-check"];
    compare("kvtest", None, &read, &placements)?;
    compare("kvtest", None, &["stat", name], &placements)?;
    Ok(())
}

#[test]
#[ignore = "takes minutes; run by ./test --all"]
fn scripts_that_fuzzers_found_have_the_same_results() -> Result<()> {
    let scripts = built()?.source.join("test/fuzzdata4.db");
    let scripts = scripts.to_str().context("a path that is no text")?;
    let moving = [5, 6].map(|seed| Placement::Counted { seed, mean: 1000, limit: 20 });
    let placements = [everywhere(), moving.to_vec()].concat();
    for outcome in compare("fuzzcheck", None, &["--result-trace", scripts], &placements)? {
        ensure!(
            String::from_utf8_lossy(&outcome.stdout).contains("0 errors out of 2575 tests"),
            "{:?}",
            outcome.command
        );
    }
    Ok(())
}

const TABLES: &str = "\
CREATE TABLE total(turns INTEGER);
INSERT INTO total VALUES (0);
CREATE TABLE entry(turn INTEGER, content TEXT);
CREATE INDEX of_content ON entry(content, turn);
";

/// A transaction, and the word that it has been committed.
const WRITE: &str = "\
BEGIN IMMEDIATE;
UPDATE total SET turns = turns + 1;
INSERT INTO entry SELECT turns, printf('%0300d', turns) FROM total;
COMMIT;
SELECT 'committed ' || turns FROM total;
";

/// Whether half a transaction is there: a journal that nobody has a lock for would be undone by who reads.
const READ: &str = "\
SELECT CASE WHEN (SELECT turns FROM total) = (SELECT count(*) FROM entry) THEN 'whole' ELSE 'torn' END;
.shell sleep 0.02
";

/// By which the shell ends at once, with this status.
const END: &str = ".exit 7\n";
const STATUS: i32 = 7;
/// More turns than there will be.
const MOST_TURNS: usize = 200_000;

/// What a shell does: its turns are read again each time, from a file that [`END`] takes the place of in the end.
struct Script {
    turn: PathBuf,
    file: PathBuf,
}

impl Script {
    fn new(directory: &Path, name: &str, turn: &str) -> Result<Script> {
        let script =
            Script { turn: directory.join(format!("{name}-turn.sql")), file: directory.join(format!("{name}.sql")) };
        fs::write(&script.turn, turn)?;
        let begin = ".bail on\n.timeout 60000\nPRAGMA synchronous = FULL;\n";
        let turns = format!(".read {}\n", script.turn.display()).repeat(MOST_TURNS);
        fs::write(&script.file, begin.to_owned() + &turns)?;
        Ok(script)
    }

    fn read(&self) -> String {
        format!(".read {}", self.file.display())
    }

    fn end(&self) -> Result<()> {
        let end = self.turn.with_extension("end");
        fs::write(&end, END)?;
        Ok(fs::rename(end, &self.turn)?)
    }
}

/// A database in a directory of its own.
struct Database {
    directory: PathBuf,
    file: String,
}

impl Database {
    fn new(test: &str) -> Result<Database> {
        let directory = fresh_directory(env!("CARGO_TARGET_TMPDIR"), test)?;
        let database = Database { file: directory.join("database").display().to_string(), directory };
        database.ask(TABLES)?;
        Ok(database)
    }

    fn ask(&self, question: &str) -> Result<String> {
        run(Command::new(built()?.native.join("sqlite3")).args(["-batch", &self.file, question]))
    }

    /// Has the shell make one transaction after the other while it goes from the first node to these. All that it has reported are there then, each once, and no others. It is started with these options of `maize run`.
    fn write_on_the_move(&self, cluster: Cluster, options: &[&str], nodes: &[usize]) -> Result<()> {
        let journey = Journey { cluster, program: built()?.ours.join("sqlite3"), directory: self.directory.clone() };
        let writes = Script::new(&self.directory, "writes", WRITE)?;
        let mut name = journey.start_with(0, options, &["-batch", &self.file, &writes.read()])?;
        let mut took = Vec::new();
        for node in nodes {
            journey.wait_for_progress(&name)?;
            let begun = Instant::now();
            // It goes between transactions, which take their time where a processor is emulated.
            let line = ["migrate", &name, "--to", &node_name(*node), "--timeout", "60s"];
            name = journey.cluster.succeed(0, &line)?.trim().to_owned();
            took.push(begun.elapsed());
        }
        journey.wait_for_progress(&name)?;
        writes.end()?;
        let said = journey.wait_for_end(&name)?;
        ensure!(said.status == STATUS && said.error.is_empty(), "status {}: {}", said.status, said.error);
        ensure!(self.ask("PRAGMA integrity_check")? == "ok\n");
        let committed = said.output.lines().map(|line| line.strip_prefix("committed ").unwrap_or(line));
        let committed = committed.map(str::parse).collect::<Result<Vec<usize>, _>>().context("what it said")?;
        let there = self.ask("SELECT turn FROM entry ORDER BY turn")?;
        let there = there.lines().map(str::parse).collect::<Result<Vec<usize>, _>>()?;
        ensure!(committed == there, "of what was committed not everything is there once");
        ensure!(there.iter().copied().eq(1..=there.len()) && there.len() > nodes.len(), "{there:?}");
        ensure!(self.ask("SELECT count(*) FROM entry WHERE content <> printf('%0300d', turn)")?.trim() == "0");
        took.sort();
        let [median, longest] = [took[took.len() / 2], took.last().copied().unwrap_or(Duration::ZERO)];
        let (moves, turns) = (nodes.len(), there.len());
        eprintln!("{moves} moves, {turns} transactions; a move took {median:?} (median), {longest:?} at most");
        Ok(())
    }
}

/// `None` where networks cannot be made.
fn a_node_of_each_isa() -> Result<Option<Cluster>> {
    Cluster::with_options(&[&["--isa", "x86_64"], &["--isa", "aarch64"], &["--isa", "riscv64"]])
}

#[test]
#[ignore = "takes minutes; run by ./test --all"]
fn no_transaction_is_lost_or_made_twice_when_the_shell_goes_from_node_to_node() -> Result<()> {
    let Some(cluster) = a_node_of_each_isa()? else { return Ok(()) };
    let database = Database::new("sqlite-nodes")?;
    let reads = Script::new(&database.directory, "reads", READ)?;
    let seen = database.directory.join("seen");
    let mut reader = Command::new(built()?.native.join("sqlite3"))
        .args(["-batch", &database.file, &reads.read()])
        .stdin(Stdio::null())
        .stdout(File::create(&seen)?)
        .spawn()?;
    let (mut node, mut random) = (0, Random(1));
    let nodes = std::iter::repeat_with(|| {
        node = (node + 1 + random.draw() as usize % 2) % 3;
        node
    });
    database.write_on_the_move(cluster, &[], &nodes.take(60).collect::<Vec<_>>())?;
    reads.end()?;
    ensure!(reader.wait()?.code() == Some(STATUS), "the one that reads failed");
    let seen = fs::read_to_string(&seen)?;
    ensure!(seen.lines().count() > 100 && seen.lines().all(|line| line == "whole"), "half a transaction was seen");
    Ok(())
}

/// The shell goes on with its database where that is not, and where it is.
#[test]
#[ignore = "takes minutes; run by ./test --all"]
fn no_transaction_is_lost_or_made_twice_away_from_the_files() -> Result<()> {
    let Some(cluster) = a_node_of_each_isa()? else { return Ok(()) };
    let database = Database::new("sqlite-home")?;
    database.write_on_the_move(cluster, &["--home-files"], &[1, 2, 0].repeat(7))
}

/// There the shell has its database from the first node.
#[test]
#[ignore = "boots virtual machines, which takes minutes; run by ./test --all"]
fn no_transaction_is_lost_or_made_twice_on_a_kernel_of_another_isa() -> Result<()> {
    for package in KERNELS {
        let Some(kernel) = Kernel::find(package)? else { continue };
        let Some(cluster) = Cluster::with_machine(&kernel, &["--isa", "x86_64"])? else { return Ok(()) };
        let nodes: Vec<usize> = [1, 0].repeat(25);
        let database = Database::new(&format!("sqlite-{package}"))?;
        database.write_on_the_move(cluster, &["--home-files"], &nodes).context(package)?;
    }
    Ok(())
}
