//! Programs that are saved at random times, ended, and restored on another ISA do what they do natively. A snapshot that is damaged, or whose files
//! have changed, is refused; one that cannot be written costs nothing.

use anyhow::{Context, Result, bail, ensure};
use maize_tests::{
    Compiler, Disk, ISAS, Package, Random, Run, build_both, build_bzip2, build_lua, clock_tolerance, compressible,
    fresh_directory, maize, program_source,
};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::LazyLock;
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

/// The status of a run whose program has been saved.
const SAVED: i32 = 85;
/// A program may take so long.
const LONGEST: Duration = Duration::from_secs(300);

/// A run of `maize`, whose standard output is collected.
struct Session {
    child: Child,
    output: JoinHandle<Vec<u8>>,
}

impl Session {
    fn start(arguments: Vec<OsString>, directory: &Path, input: Option<&Path>) -> Result<Session> {
        let stdin = input.map_or(Ok(Stdio::null()), |path| File::open(path).map(Stdio::from))?;
        let mut command = Command::new(maize());
        command.args(&arguments).current_dir(directory).stdin(stdin).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("{command:?}"))?;
        let mut pipe = child.stdout.take().context("no output")?;
        let output = thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = pipe.read_to_end(&mut bytes);
            bytes
        });
        Ok(Session { child, output })
    }

    fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    fn end(mut self) -> Result<(ExitStatus, Vec<u8>)> {
        let begin = Instant::now();
        while !self.has_ended()? {
            if begin.elapsed() > LONGEST {
                kill_process(Pid::from_child(&self.child), Signal::KILL)?;
                bail!("not ended after {} s", LONGEST.as_secs());
            }
            sleep(Duration::from_millis(5));
        }
        Ok((self.child.wait()?, self.output.join().unwrap_or_default()))
    }
}

/// A program to be saved again and again.
struct Saved<'a> {
    program: &'a Path,
    arguments: &'a [&'a str],
    directory: &'a Path,
    input: Option<&'a Path>,
    seed: u64,
    /// Milliseconds between snapshots at most.
    interval: u64,
}

/// How it has ended, with all that it has printed, and how often it was saved.
struct End {
    status: ExitStatus,
    output: Vec<u8>,
    saves: usize,
}

fn checkpoint(pid: u32, file: &Path, options: &[&str]) -> Result<Output> {
    let mut command = Command::new(maize());
    command.arg("checkpoint").arg(pid.to_string()).arg("-o").arg(file).args(options);
    Ok(command.output()?)
}

impl Saved<'_> {
    /// Runs it, and at random times saves it, which ends it, and restores it on the next ISA.
    fn run(&self) -> Result<End> {
        let mut random = Random(self.seed);
        let file = self.directory.join("program.snapshot");
        let mut arguments: Vec<OsString> =
            ["run", "--movable", "--isa", ISAS[0]].iter().map(OsString::from).chain([self.program.into()]).collect();
        arguments.extend(self.arguments.iter().map(OsString::from));
        let (mut output, mut saves) = (Vec::new(), 0);
        loop {
            let mut session = Session::start(arguments, self.directory, self.input)?;
            let pid = session.child.id();
            loop {
                sleep(Duration::from_millis(20 + random.below(self.interval)));
                if session.has_ended()? {
                    let (status, rest) = session.end()?;
                    output.extend(rest);
                    return Ok(End { status, output, saves });
                }
                let outcome = checkpoint(pid, &file, &[])?;
                if outcome.status.success() {
                    break;
                }
                // It may just have begun, or ended, or have stopped a child or be connected to itself for a while. Anything else is told.
                let said = String::from_utf8_lossy(&outcome.stderr);
                let passing = ["no running program", "has ended", "is stopped by a signal", "whose other end is"];
                ensure!(passing.iter().any(|reason| said.contains(reason)), "seed {}: {said}", self.seed);
            }
            let (status, part) = session.end()?;
            ensure!(status.code() == Some(SAVED), "seed {}: {status} of a run that was saved", self.seed);
            output.extend(part);
            saves += 1;
            let isa = ISAS[saves % ISAS.len()];
            arguments = ["restore", "--isa", isa].iter().map(OsString::from).chain([file.clone().into()]).collect();
        }
    }

    /// Runs it so; it prints this and ends in this way. Returns how often it has been saved.
    fn does_as(&self, expected: &[u8], status: i32) -> Result<usize> {
        let End { status: found, output, saves } = self.run()?;
        ensure!(
            output == expected,
            "seed {}, {saves} snapshots: printed\n{}\ninstead of\n{}",
            self.seed,
            tail(&output),
            tail(expected)
        );
        ensure!(found.code() == Some(status), "seed {}: {found} instead of {status}", self.seed);
        Ok(saves)
    }
}

/// With each of so many seeds a program is saved so often on average, at least. On a busy machine it may be over before: then further seeds are tried.
fn saved_often(seeds: u64, least: u64, mut one: impl FnMut(u64) -> Result<usize>) -> Result<()> {
    let mut saves = 0;
    for seed in 1..=4 * seeds {
        saves += one(seed)? as u64;
        if seed >= seeds && saves >= seeds * least {
            return Ok(());
        }
    }
    bail!("only {saves} snapshots")
}

fn tail(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(1500)..]).into_owned()
}

fn directory(name: &str) -> Result<PathBuf> {
    fresh_directory(env!("CARGO_TARGET_TMPDIR"), &format!("checkpoint-{name}"))
}

#[test]
fn open_files_pipes_signals_children_and_clocks_are_restored() -> Result<()> {
    let (native, program) = build_both("saved", env!("CARGO_TARGET_TMPDIR"))?;
    let directory = directory("saved")?;
    let natively = Run::new(native).directory(&directory).arguments(["100"]).run()?;
    ensure!(!String::from_utf8_lossy(&natively.stdout).contains("NO"), "not even natively");
    let status = natively.status.code().context("no status")?;
    saved_often(4, 2, |seed| {
        let (directory, program) = (directory.as_path(), program.as_path());
        let saved = Saved { program, arguments: &["600"], directory, input: None, seed, interval: 250 };
        saved.does_as(&natively.stdout, status)
    })
}

/// A program that checks itself does, saved and restored at random times, what it does natively.
fn is_restored(name: &'static str, pauses: &[&str]) -> Result<()> {
    let (native, program) = build_both(name, env!("CARGO_TARGET_TMPDIR"))?;
    let directory = directory(name)?;
    let natively = Run::new(native).directory(&directory).arguments([&["300", "100"], &pauses[1..]].concat()).run()?;
    ensure!(!String::from_utf8_lossy(&natively.stdout).contains("NO"), "not even natively");
    saved_often(4, 3, |seed| {
        let (directory, program) = (directory.as_path(), program.as_path());
        let arguments = [&["300"], pauses].concat();
        let saved = Saved { program, arguments: &arguments, directory, input: None, seed, interval: 300 };
        saved.does_as(&natively.stdout, natively.status.code().context("ended by a signal")?)
    })
}

#[test]
fn terminals_that_a_program_has_made_are_restored_with_what_is_in_them() -> Result<()> {
    is_restored("ptys", &["6000"])
}

#[test]
fn epolls_timers_and_signal_descriptors_are_restored() -> Result<()> {
    is_restored("waiting", &["8000", &clock_tolerance()?])
}

#[test]
fn sockets_are_restored_with_what_waits_in_them() -> Result<()> {
    is_restored("sockets", &["6000"])
}

#[test]
fn a_family_of_processes_is_restored() -> Result<()> {
    let (native, program) = build_both("family", env!("CARGO_TARGET_TMPDIR"))?;
    let directory = directory("family")?;
    let natively = Run::new(native).run()?;
    saved_often(3, 2, |seed| {
        let (directory, program) = (directory.as_path(), program.as_path());
        let saved = Saved { program, arguments: &[], directory, input: None, seed, interval: 300 };
        saved.does_as(&natively.stdout, 0)
    })
}

#[test]
fn threads_are_restored() -> Result<()> {
    let (native, program) = build_both("crowd", env!("CARGO_TARGET_TMPDIR"))?;
    let directory = directory("threads")?;
    let things = ["cancelling", "coming", "forking", "identity", "meeting", "signalling", "timing", "leaving"];
    let natively = Run::new(native).arguments(things).run()?;
    saved_often(3, 2, |seed| {
        let (directory, program) = (directory.as_path(), program.as_path());
        let saved = Saved { program, arguments: &things, directory, input: None, seed, interval: 300 };
        saved.does_as(&natively.stdout, 7)
    })
}

#[test]
fn lua_prints_the_same() -> Result<()> {
    let directory = directory("lua")?;
    let native = build_lua(Compiler::Gcc, &directory).context("with gcc")?;
    let program = build_lua(Compiler::Maize, &directory).context("with maize cc")?;
    fs::copy(program_source("workload.lua"), directory.join("workload.lua"))?;
    let arguments = ["workload.lua", "5"];
    let expected = Run::new(native).directory(&directory).arguments(arguments).run()?.stdout;
    saved_often(2, 2, |seed| {
        let (directory, program) = (directory.as_path(), program.as_path());
        let saved = Saved { program, arguments: &arguments, directory, input: None, seed, interval: 300 };
        saved.does_as(&expected, 0)
    })
}

#[test]
fn bzip2_reads_and_writes_the_same_files() -> Result<()> {
    let directory = directory("bzip2")?;
    let native = build_bzip2(Compiler::Gcc, &directory).context("with gcc")?.join("bzip2");
    let program = build_bzip2(Compiler::Maize, &directory).context("with maize cc")?.join("bzip2");
    let plain = directory.join("plain");
    fs::write(&plain, compressible(6_000_000))?;
    Run::new(native).directory(&directory).arguments(["-9k", "plain"]).run()?;
    let expected = fs::read(directory.join("plain.bz2"))?;
    saved_often(2, 3, |seed| {
        fs::remove_file(directory.join("plain.bz2"))?;
        let (directory, program) = (directory.as_path(), program.as_path());
        let saved = Saved { program, arguments: &["-9k", "plain"], directory, input: None, seed, interval: 300 };
        let saves = saved.does_as(b"", 0)?;
        ensure!(fs::read(directory.join("plain.bz2"))? == expected, "seed {seed}: another file");
        // Standard input that is a file goes on where it was.
        let (directory, input) = (saved.directory, Some(plain.as_path()));
        let saved = Saved { program, arguments: &["-9c"], directory, input, seed, interval: 300 };
        Ok(saves + saved.does_as(&expected, 0)?)
    })
}

/// Its database is on disk, with a journal.
#[test]
#[ignore = "takes minutes; run by ./test --all"]
fn sqlite_leaves_the_same_database() -> Result<()> {
    let directory = directory("sqlite")?;
    let source = Package::Sqlite.source().unpack(&directory)?;
    let options = ["--disable-tcl", "--disable-shared", "--disable-readline", "CFLAGS=-O2 -DLONGDOUBLE_TYPE=double"];
    let build = |compiler: Compiler| -> Result<PathBuf> {
        let directory = directory.join(compiler.name());
        fs::create_dir_all(&directory)?;
        compiler.configure(&source, &directory, &options)?;
        compiler.make(&directory, &["speedtest1"])?;
        Ok(directory.join("speedtest1"))
    };
    let (native, program) = (build(Compiler::Clang)?, build(Compiler::Maize)?);
    let arguments = ["--size", "2", "--verify", "speed.db"];
    let natively = Run::new(native).directory(&directory).arguments(arguments).run()?;
    let database = directory.join("speed.db");
    let expected = fs::read(&database)?;
    let hash =
        |output: &[u8]| String::from_utf8_lossy(output).lines().find(|line| line.contains("Hash")).map(str::to_owned);
    for seed in 1..=2 {
        fs::remove_file(&database)?;
        let (directory, program) = (directory.as_path(), program.as_path());
        let saved = Saved { program, arguments: &arguments, directory, input: None, seed, interval: 300 };
        let End { status, output, saves } = saved.run()?;
        ensure!(status.success() && saves >= 2, "seed {seed}: {status}, {saves} snapshots");
        ensure!(hash(&output).is_some() && hash(&output) == hash(&natively.stdout), "seed {seed}: {}", tail(&output));
        ensure!(fs::read(&database)? == expected, "seed {seed}: another database");
    }
    Ok(())
}

/// The test program, which runs for some seconds in a directory of its own.
struct Started {
    directory: PathBuf,
    session: Session,
    expected: Vec<u8>,
    status: Option<i32>,
}

static BUILT: LazyLock<Result<(PathBuf, PathBuf), String>> =
    LazyLock::new(|| build_both("saved", env!("CARGO_TARGET_TMPDIR")).map_err(|error| format!("{error:#}")));

impl Started {
    fn new(name: &str, options: &[&str], milliseconds: &str) -> Result<Started> {
        let (native, program) = BUILT.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
        let directory = directory(name)?;
        let natively = Run::new(native).directory(&directory).arguments(["50"]).run()?;
        fs::remove_file(directory.join("log"))?;
        let arguments = ["run", "--movable"].iter().chain(options).map(OsString::from);
        let arguments = arguments.chain([program.into(), milliseconds.into()]).collect();
        let session = Session::start(arguments, &directory, None)?;
        // Its last file before it forks.
        let begin = Instant::now();
        while fs::metadata(directory.join("log")).map_or(true, |log| log.len() < 8) {
            ensure!(begin.elapsed() < LONGEST, "it does not begin");
            sleep(Duration::from_millis(5));
        }
        Ok(Started { directory, session, expected: natively.stdout, status: natively.status.code() })
    }

    fn restored(&self, options: &[&str]) -> Result<Output> {
        let mut command = Command::new(maize());
        command.arg("restore").args(options).arg("program.snapshot").current_dir(&self.directory);
        Ok(command.stdin(Stdio::null()).output()?)
    }
}

#[test]
fn a_run_that_was_killed_goes_on_from_its_last_snapshot() -> Result<()> {
    let options = ["--checkpoint-every", "500ms", "--checkpoint", "program.snapshot"];
    let mut started = Started::new("killed", &options, "5000")?;
    while !started.directory.join("program.snapshot").exists() {
        ensure!(!started.session.has_ended()?, "it has ended already");
        sleep(Duration::from_millis(5));
    }
    sleep(Duration::from_millis(200));
    // Its processes, too: they would go on by themselves.
    let hosts = hosts(started.session.child.id())?;
    kill_process(Pid::from_child(&started.session.child), Signal::KILL)?;
    for host in hosts {
        let _ = kill_process(host, Signal::KILL);
    }
    started.session.child.wait()?;
    // Unless nothing was written after the last snapshot, as on a busy machine.
    let refused = started.restored(&["--isa", "aarch64"])?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    let is_refused = refused.status.code() == Some(125) && said.contains("--changed-files=roll-back");
    ensure!(is_refused || refused.stdout == started.expected, "{said}\n{}", tail(&refused.stdout));
    for isa in ["aarch64", "x86_64"] {
        let outcome = started.restored(&["--isa", isa, "--changed-files", "roll-back"])?;
        let said = String::from_utf8_lossy(&outcome.stderr).into_owned();
        ensure!(
            outcome.stdout == started.expected && outcome.status.code() == started.status,
            "{isa}: {said}\n{}",
            tail(&outcome.stdout)
        );
    }
    Ok(())
}

/// The processes in which those of a run are.
fn hosts(run: u32) -> Result<Vec<Pid>> {
    let output = Command::new(maize()).args(["ps", "--json"]).output()?;
    let programs: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let programs = programs["programs"].as_array().cloned().unwrap_or_default();
    let found = programs.into_iter().find(|program| program["pid"] == run).context("not among `maize ps`")?;
    let pid = |process: &serde_json::Value| Pid::from_raw(i32::try_from(process["host"].as_u64()?).ok()?);
    Ok(found["processes"].as_array().into_iter().flatten().filter_map(pid).collect())
}

#[test]
fn a_snapshot_that_is_damaged_or_cut_off_is_refused() -> Result<()> {
    let started = Started::new("damaged", &[], "5000")?;
    let file = started.directory.join("program.snapshot");
    let outcome = checkpoint(started.session.child.id(), &file, &[])?;
    ensure!(outcome.status.success(), "{}", String::from_utf8_lossy(&outcome.stderr));
    ensure!(started.session.child.id() > 0 && fs::metadata(&file)?.len() > 1000, "too small");
    let whole = fs::read(&file)?;
    let mut random = Random(5);
    for _ in 0..20 {
        let mut damaged = whole.clone();
        let bit = random.below(whole.len() as u64 * 8);
        damaged[(bit / 8) as usize] ^= 1 << (bit % 8);
        fs::write(&file, &damaged)?;
        let refused = started.restored(&[])?;
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        let is_told = ["damaged", "cut off", "version", "not a snapshot"].iter().any(|word| said.contains(word));
        ensure!(refused.status.code() == Some(125) && is_told && refused.stdout.is_empty(), "bit {bit}: {said}");
        fs::write(&file, &whole[..random.below(whole.len() as u64) as usize])?;
        let refused = started.restored(&[])?;
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        ensure!(
            refused.status.code() == Some(125) && (said.contains("cut off") || said.contains("not a snapshot")),
            "{said}"
        );
    }
    fs::write(&file, &whole)?;
    let (status, mut output) = started.session.end()?;
    ensure!(status.code() == Some(SAVED), "{status}");
    // Whole again, it is restored.
    let mut command = Command::new(maize());
    command.args(["restore", "program.snapshot"]).current_dir(&started.directory).stdin(Stdio::null());
    let outcome = command.output()?;
    output.extend(outcome.stdout);
    ensure!(output == started.expected && outcome.status.code() == started.status, "{}", tail(&output));
    Ok(())
}

#[test]
fn a_changed_file_is_refused_unless_it_is_to_be_kept() -> Result<()> {
    let started = Started::new("changed", &[], "5000")?;
    let file = started.directory.join("program.snapshot");
    let outcome = checkpoint(started.session.child.id(), &file, &[])?;
    ensure!(outcome.status.success(), "{}", String::from_utf8_lossy(&outcome.stderr));
    let log = started.directory.join("log");
    let before = fs::read(&log)?;
    fs::write(&log, b"something else")?;
    for (options, what) in
        [(&[][..], "--changed-files=keep"), (&["--changed-files", "roll-back"], "not in the snapshot")]
    {
        let refused = started.restored(options)?;
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        ensure!(refused.status.code() == Some(125) && said.contains("log") && said.contains(what), "{said}");
    }
    fs::write(&log, before)?;
    let outcome = started.restored(&["--changed-files", "keep"])?;
    let (_, mut output) = started.session.end()?;
    output.extend(outcome.stdout);
    ensure!(output == started.expected && outcome.status.code() == started.status, "{}", tail(&output));
    Ok(())
}

#[test]
fn a_connection_is_named_and_the_program_runs_on() -> Result<()> {
    let directory = directory("connection")?;
    let source = directory.join("connected.c");
    fs::write(
        &source,
        "#include <fcntl.h>\n#include <sys/socket.h>\n#include <unistd.h>\nint main(void) { \
         struct sockaddr_storage name; socklen_t size = sizeof name; int listener = socket(AF_INET, SOCK_STREAM, 0), \
         connected = socket(AF_INET, SOCK_STREAM, 0); listen(listener, 1); getsockname(listener, (void *)&name, &size); \
         connect(connected, (void *)&name, size); close(creat(\"ready\", 0600)); while (access(\"go\", F_OK)) usleep(10000); \
         return write(connected, \"x\", 1) != 1; }\n",
    )?;
    let program = directory.join("connected");
    Compiler::Maize.build(&[source], &["-O2"], &program)?;
    let mut session = Session::start(vec!["run".into(), program.into()], &directory, None)?;
    while !directory.join("ready").exists() {
        ensure!(!session.has_ended()?, "it has ended already");
        sleep(Duration::from_millis(5));
    }
    let file = directory.join("program.snapshot");
    let outcome = checkpoint(session.child.id(), &file, &[])?;
    let said = String::from_utf8_lossy(&outcome.stderr).into_owned();
    ensure!(outcome.status.code() == Some(1) && said.contains("descriptor 4 of process"), "{said}");
    ensure!(said.contains("runs on") && !file.exists(), "{said}");
    fs::write(directory.join("go"), "")?;
    let (status, output) = session.end()?;
    ensure!(status.success() && output.is_empty(), "{status}: {}", tail(&output));
    Ok(())
}

#[test]
fn a_program_is_saved_at_one_of_the_moments_in_which_it_holds_no_lock() -> Result<()> {
    const STEPS: &str = "150";
    let (native, program) = build_both("diary", env!("CARGO_TARGET_TMPDIR"))?;
    let directory = directory("locks")?;
    let natively = Run::new(native).directory(&directory).arguments(["expected", STEPS, "locks"]).run()?;
    saved_often(2, 3, |seed| {
        let name = format!("file{seed}");
        let arguments = [name.as_str(), STEPS, "locks"];
        let saved =
            Saved { program: &program, arguments: &arguments, directory: &directory, input: None, seed, interval: 300 };
        let saves = saved.does_as(&natively.stdout, 8)?;
        ensure!(fs::read(directory.join("expected"))? == fs::read(directory.join(name))?, "seed {seed}: another file");
        Ok(saves)
    })
}

#[test]
fn a_full_disk_costs_nothing() -> Result<()> {
    let Some(disk) = Disk::new(256 << 10)? else { return Ok(()) };
    let started = Started::new("full", &[], "5000")?;
    fill_and_save(&started, &disk)?;
    let (status, output) = started.session.end()?;
    ensure!(output == started.expected && status.code() == started.status, "{status}: {}", tail(&output));
    Ok(())
}

fn fill_and_save(started: &Started, disk: &Disk) -> Result<()> {
    let (file, pid) = (disk.path().join("program.snapshot"), started.session.child.id());
    let outcome = checkpoint(pid, &file, &["--leave-running"])?;
    ensure!(outcome.status.success(), "{}", String::from_utf8_lossy(&outcome.stderr));
    let before = fs::read(&file)?;
    disk.room().fill()?;
    for options in [&["--leave-running"][..], &[]] {
        let outcome = checkpoint(pid, &file, options)?;
        let said = String::from_utf8_lossy(&outcome.stderr).into_owned();
        ensure!(
            outcome.status.code() == Some(1) && said.contains("No space left") && said.contains("runs on"),
            "{said}"
        );
        ensure!(fs::read(&file)? == before, "the old snapshot is not what it was");
        let left = fs::read_dir(disk.path())?
            .filter_map(Result::ok)
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(".program"));
        ensure!(left.count() == 0, "something is left behind");
    }
    Ok(())
}
