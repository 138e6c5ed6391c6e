//! Redis, built by its own make: the server answers a script of commands as the native build does, and passes units of its own tests, which are in Tcl.
//!
//! Compiling takes minutes, so all this is for when tests may (`./test --all`).

use anyhow::{Context, Result, ensure};
use maize_tests::{
    Answer, Checked, Cluster, Compiler, ISAS, Input, KERNELS, Kernel, Placement, Report, Run, Running, build_redis,
    count, fill, fresh_directory, has_all, maize, node_name, run, text, value, wait_until,
};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const PROGRAMS: [&str; 3] = ["redis-server", "redis-cli", "redis-benchmark"];
const UNITS: [&str; 3] = ["unit/auth", "unit/keyspace", "unit/protocol"];

/// Strings, numbers, sorted sets, streams, Lua, HyperLogLog, geography, and saving to a file.
const COMMANDS: &str = "\
SET greeting hello
APPEND greeting \" world\"
GETRANGE greeting 3 8
INCRBYFLOAT ratio 3.0e-3
INCR greeting
RPUSH list 1 2 3 10 20
SORT list DESC
LPOS list 10
ZADD scores 1.5 one 2.25 two -inf none
ZRANGE scores 0 -1 WITHSCORES
HSET hash a 1 b 2
HGETALL hash
SETBIT bits 70 1
BITCOUNT bits
PFADD visitors a b c d e f g
PFCOUNT visitors
GEOADD cities 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
GEODIST cities Palermo Catania km
XADD stream 1-1 field value
XRANGE stream - +
EVAL \"local t = {} for i = 1, 10 do t[i] = redis.call('INCRBY', KEYS[1], i * i) end return t\" 1 counter
EVAL \"return cjson.encode({1, 'two', {three = 3.5}})\" 0
EVAL \"return redis.sha1hex('maize')\" 0
OBJECT ENCODING list
DEBUG DIGEST
SAVE
DEBUG RELOAD
DEBUG DIGEST
DBSIZE
";

struct Built {
    directory: PathBuf,
    native: PathBuf,
    ours: PathBuf,
}

static BUILT: LazyLock<Result<Built, String>> = LazyLock::new(|| build().map_err(|error| format!("{error:#}")));

fn build() -> Result<Built> {
    let directory = fresh_directory(env!("CARGO_TARGET_TMPDIR"), "redis")?;
    let native = build_redis(Compiler::Clang, &directory, &PROGRAMS).context("with clang")?;
    let ours = build_redis(Compiler::Maize, &directory, &PROGRAMS).context("with maize cc")?;
    Ok(Built { directory, native, ours })
}

fn built() -> Result<&'static Built> {
    BUILT.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
}

/// A server that listens on a socket in a directory of its own.
struct Server {
    running: Running,
    socket: PathBuf,
}

impl Server {
    fn start(program: &Path, directory: &Path, placement: Placement) -> Result<Server> {
        let socket = directory.join("socket");
        let run =
            Run::new(program).arguments(["--port", "0", "--save", "", "--enable-debug-command", "yes", "--unixsocket"]);
        let run = run.arguments([&socket]).directory(directory).placed(placement).timeout(Duration::from_secs(120));
        let running = run.start()?;
        let deadline = Instant::now() + Duration::from_secs(60);
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            ensure!(Instant::now() < deadline, "{} does not listen", program.display());
            thread::sleep(Duration::from_millis(20));
        }
        Ok(Server { running, socket })
    }

    /// Has a client send these commands; ends the server well.
    fn converse(self, client: Run, commands: &str) -> Result<(Vec<u8>, maize_tests::Outcome)> {
        let run = client.arguments(["-s"]).arguments([&self.socket]).input(Input::Bytes(commands.into()));
        let answers = run.run()?.succeeded()?.stdout;
        kill_process(Pid::from_child(&self.running.child), Signal::TERM)?;
        Ok((answers, self.running.finish()?.succeeded()?))
    }
}

fn answers(binaries: &Path, name: &str, placement: Placement) -> Result<(Vec<u8>, maize_tests::Outcome)> {
    let directory = fresh_directory(&built()?.directory.to_string_lossy(), name)?;
    let server = Server::start(&binaries.join("redis-server"), &directory, placement.clone())?;
    server.converse(Run::new(binaries.join("redis-cli")).placed(placement), COMMANDS)
}

#[test]
#[ignore = "takes minutes; run by ./test --all"]
fn the_server_answers_the_same_on_each_isa() -> Result<()> {
    let built = built()?;
    let (expected, _) = answers(&built.native, "native", Placement::Directly)?;
    let text = String::from_utf8_lossy(&expected);
    ensure!(text.contains("166.2742") && text.lines().count() == 53, "{text}");
    for isa in ISAS {
        let (found, _) = answers(&built.ours, isa, Placement::On(isa))?;
        ensure!(found == expected, "on {isa}:\n{}\ninstead of\n{text}", String::from_utf8_lossy(&found));
    }
    for seed in 1..=3 {
        let (found, server) = answers(&built.ours, "hopping", Placement::hopping("20ms", Some(seed)))?;
        ensure!(found == expected, "hopping:\n{}\ninstead of\n{text}", String::from_utf8_lossy(&found));
        let report = server.report.context("no report")?;
        ensure!(report.migrations.len() > 2 && report.stays.is_empty(), "{report:?}");
    }
    Ok(())
}

#[test]
#[ignore = "takes minutes; run by ./test --all"]
fn a_hundred_clients_notice_no_move() -> Result<()> {
    const REQUESTS: &str = "100000";
    let built = built()?;
    let client = |name: &str, arguments: &[&str], socket: &Path| {
        let output = Command::new(built.native.join(name)).arg("-s").arg(socket).args(arguments).output()?;
        ensure!(output.status.success(), "{name} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    for seed in 1..=3 {
        let directory = fresh_directory(&built.directory.to_string_lossy(), "clients")?;
        let placement = Placement::hopping("200ms", Some(seed));
        let Server { running, socket } = Server::start(&built.ours.join("redis-server"), &directory, placement)?;
        client("redis-benchmark", &["-c", "100", "-n", REQUESTS, "-t", "set,incr,lpush", "-q"], &socket)?;
        let counted = client("redis-cli", &["get", "counter:__rand_int__"], &socket)?;
        let pushed = client("redis-cli", &["llen", "mylist"], &socket)?;
        ensure!([counted.as_str(), pushed.as_str()] == [REQUESTS; 2], "{counted} and {pushed} of {REQUESTS}");
        kill_process(Pid::from_child(&running.child), Signal::TERM)?;
        let report = running.finish()?.succeeded()?.report.context("no report")?;
        ensure!(report.migrations.len() > 5 && report.stays.is_empty(), "seed {seed}: {report:?}");
    }
    Ok(())
}

/// What a server that goes from node to node is given to do.
struct Load {
    /// Values of so many bytes that it keeps.
    values: usize,
    /// Connections of `redis-benchmark`, and how many requests of each of two kinds they make.
    connections: usize,
    requests: u64,
    moves: usize,
    /// Of `maize run`.
    options: &'static [&'static str],
}

/// Bytes of a value.
const VALUE: usize = 1000;
/// Where the clients are.
const CLIENTS: usize = 2;

/// Moves a server with an address of its own between the first two nodes. Clients in the third place of the network lose no connection, and all that they have written is there, each of it once.
fn clients_notice_no_move(cluster: &Cluster, test: &str, load: &Load) -> Result<()> {
    let built = built()?;
    let directory = fresh_directory(&built.directory.to_string_lossy(), test)?;
    let program = built.ours.join("redis-server");
    let program = program.to_str().context("not text")?;
    let line = ["run", "--node", "a", "--detach", "--address", "10.77.0.100/24"];
    let arguments = [program, "--port", "6379", "--save", "", "--protected-mode", "no"];
    let line = [&line[..], load.options, &arguments].concat();
    let output = cluster.command(0, &line).current_dir(&directory).output()?;
    ensure!(output.status.success(), "{}", text(&output.stderr));
    let mut name = text(&output.stdout).trim().to_owned();
    let server = SocketAddr::from(([10, 77, 0, 100], 6379));
    let network = &cluster.network;
    let ask = |body: &(dyn Fn() -> Result<()> + Sync)| network.within(CLIENTS, body);
    wait_until("the server listens", || {
        let connect = || Ok(TcpStream::connect_timeout(&server, Duration::from_secs(1))?);
        Ok(network.within(CLIENTS, connect).is_ok())
    })?;
    ask(&|| fill(server, load.values, VALUE))?;
    let (stop, begun) = (AtomicBool::new(false), Instant::now());
    let (counted, loaded) = thread::scope(|scope| -> Result<_> {
        let counting: Vec<_> = (0..4)
            .map(|index| {
                let stop = &stop;
                scope.spawn(move || network.within(CLIENTS, || count(server, &format!("own{index}"), begun, stop)))
            })
            .collect();
        let mut command = network.command(CLIENTS, built.native.join("redis-benchmark"));
        command.args(["-h", "10.77.0.100", "-t", "incr,lpush", "-q"]);
        command.args(["-c", &load.connections.to_string(), "-n", &load.requests.to_string()]);
        let benchmark = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut travel = || -> Result<()> {
            for step in 0..load.moves {
                thread::sleep(Duration::from_millis(700));
                let to = node_name((step + 1) % 2);
                name = cluster.succeed(0, &["migrate", &name, "--to", &to])?.trim().to_owned();
            }
            Ok(())
        };
        let moved = travel();
        let loaded = benchmark.wait_with_output()?;
        stop.store(true, Ordering::Relaxed);
        let counted: Result<Vec<Vec<Answer>>> = counting
            .into_iter()
            .map(|counting| counting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect();
        moved?;
        Ok((counted?, loaded))
    })?;
    let said = text(&loaded.stdout) + &text(&loaded.stderr);
    ensure!(loaded.status.success() && !said.contains("rror"), "{}: {said}", loaded.status);
    ask(&|| {
        ensure!(value(server, "counter:__rand_int__")? == load.requests, "{said}");
        for (index, counted) in counted.iter().enumerate() {
            let found = value(server, &format!("own{index}"))?;
            ensure!(found == counted.len() as u64, "own{index} is {found} instead of {}", counted.len());
        }
        has_all(server, load.values, VALUE)
    })?;
    let mut command = network.command(CLIENTS, built.native.join("redis-cli"));
    let pushed = command.args(["-h", "10.77.0.100", "llen", "mylist"]).output()?;
    ensure!(text(&pushed.stdout).trim() == load.requests.to_string(), "{}", text(&pushed.stdout));
    let longest = |answers: &Vec<Answer>| answers.iter().map(|answer| answer.took).max();
    let longest: Vec<_> = counted.iter().map(longest).collect();
    eprintln!(
        "{} moves in {:?}; longest waits: {longest:?}; {}",
        load.moves,
        begun.elapsed(),
        said.replace('\r', "\n")
    );
    cluster.succeed(0, &["node", "kill", &name]).map(drop)
}

#[test]
#[ignore = "takes minutes; run by ./test --all"]
fn clients_on_another_machine_notice_no_move_between_nodes() -> Result<()> {
    let options: [&[&str]; 3] = [&["--isa", "x86_64"], &["--isa", "aarch64"], &["--isa", "x86_64"]];
    let Some(cluster) = Cluster::with_options(&options)? else { return Ok(()) };
    let load = Load { values: 20_000, connections: 50, requests: 200_000, moves: 6, options: &[] };
    clients_notice_no_move(&cluster, "nodes", &load)
}

#[test]
#[ignore = "boots virtual machines, which takes minutes; run by ./test --all"]
fn clients_notice_no_move_to_a_kernel_of_another_isa() -> Result<()> {
    for package in KERNELS {
        let Some(kernel) = Kernel::find(package)? else { continue };
        let Some(cluster) = Cluster::with_machine(&kernel, &["--isa", "x86_64"])? else { return Ok(()) };
        let load = Load { values: 20_000, connections: 20, requests: 100_000, moves: 4, options: &["--home-files"] };
        clients_notice_no_move(&cluster, package, &load).with_context(|| cluster.said_by_machine()).context(package)?;
    }
    Ok(())
}

/// Runs units of the tests in a directory like that of Redis' sources, with ports from this one on.
fn run_units(directory: &Path, port: &str) -> Result<()> {
    let mut command = Command::new("./runtest");
    command.current_dir(directory).args(["--clients", "1", "--tags", "-slow", "--baseport", port]);
    for unit in UNITS {
        command.args(["--single", unit]);
    }
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success() && text.contains("All tests passed"), "{}\n{text}", output.status);
    Ok(())
}

#[test]
#[ignore = "takes minutes; run by ./test --all"]
fn units_of_its_own_tests_pass() -> Result<()> {
    run_units(built()?.ours.parent().context("no parent")?, "21111")
}

/// The tests start the server themselves, and look for its process id in its log: that of this script.
fn moving_server(server: &Path, reports: &Path) -> String {
    format!(
        "#!/bin/bash\n\
         '{}' run --hop {} --every 50ms --seed 1 --report '{}'/$$ '{}' \"$@\" > >(sed -u \"s/PID: [0-9]*/PID: $$/\") &\n\
         server=$!\n\
         trap 'kill -TERM $server' TERM INT\n\
         while kill -0 $server 2> /dev/null; do wait $server; status=$?; done\n\
         exit $status\n",
        maize().display(),
        ISAS.join(","),
        reports.display(),
        server.display()
    )
}

#[test]
#[ignore = "takes minutes; run by ./test --all"]
fn units_of_its_own_tests_pass_on_the_move() -> Result<()> {
    let built = built()?;
    let source = built.ours.parent().context("no parent")?;
    let directory = fresh_directory(&built.directory.to_string_lossy(), "units")?;
    let (programs, reports) = (directory.join("src"), directory.join("reports"));
    fs::create_dir(&programs)?;
    fs::create_dir(&reports)?;
    run(Command::new("cp").arg("-r").arg(source.join("tests")).arg(source.join("runtest")).arg(&directory))?;
    for program in ["redis-cli", "redis-benchmark"] {
        symlink(built.ours.join(program), programs.join(program))?;
    }
    let server = programs.join("redis-server");
    fs::write(&server, moving_server(&built.ours.join("redis-server"), &reports))?;
    fs::set_permissions(&server, fs::Permissions::from_mode(0o755))?;
    run_units(&directory, "25111")?;
    let mut moves = 0;
    for report in fs::read_dir(&reports)? {
        let report: Report = serde_json::from_slice(&fs::read(report?.path())?)?;
        moves += report.migrations.len();
    }
    ensure!(moves > 20, "only {moves} moves");
    Ok(())
}
