//! A Redis server with data in memory and clients on another machine moves to a node of another ISA and back: how long answers take meanwhile, and that no connection and no write
//! is lost. Nodes and clients are in network namespaces of this machine, which takes root.
//!
//! `service [--native | --machine] [MB [FILE]]`: so much data (200), and where the plot is written (`docs/service.svg`). The other node is of AArch64 under QEMU's user mode; with
//! `--native` of this machine's own ISA; with `--machine` a virtual machine with a kernel of its own, which sees the server's files by its home.

use anyhow::{Context, Result, bail, ensure};
use maize_benches::{Builds, Move, Source, directory, percentile, plot};
use maize_tests::{
    Answer, Cluster, Compiler, KERNELS, Kernel, count, fill, has_all, node_name, text, value, wait_until,
};
use std::env;
use std::iter;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Where clients are.
const CLIENTS: usize = 2;
const ADDRESS: &str = "10.77.0.100";
const PORT: u16 = 6379;
/// Bytes of a value.
const VALUE: usize = 1000;
/// Connections of `redis-benchmark`, and clients of our own, which count and note times.
const LOAD: &str = "100";
const COUNTING: usize = 4;
/// Requests of the first run of `redis-benchmark`, which tells how many the second one is to make.
const FIRST: u64 = 100_000;
/// Time before the first move, and after each.
const REST: Duration = Duration::from_secs(6);

/// What the server moves to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Other {
    Native,
    Emulated,
    Machine,
}

impl Other {
    fn isa(self) -> &'static str {
        if self == Other::Native { "x86_64" } else { "aarch64" }
    }

    /// For people.
    fn name(self) -> &'static str {
        match self {
            Other::Native => "another node of x86-64",
            Other::Emulated => "AArch64",
            Other::Machine => "AArch64 in a virtual machine",
        }
    }

    /// How long `redis-benchmark` would last if nothing moved, s. A virtual machine takes memory slowly.
    fn lasts(self) -> f64 {
        if self == Other::Machine { 90.0 } else { 30.0 }
    }

    /// This node, the other, and a place for clients. `None`, with a message, where these cannot be had.
    fn cluster(self) -> Result<Option<Cluster>> {
        let options = ["x86_64", self.isa(), "x86_64"].map(|isa| ["--isa", isa]);
        if self == Other::Machine {
            let [.., package] = KERNELS;
            let kernel = Kernel::find(package)?;
            return kernel.map_or(Ok(None), |kernel| Cluster::with_machine(&kernel, &options[0]));
        }
        Cluster::with_options(&options.each_ref().map(|options| &options[..]))
    }
}

/// A server that runs on node a, with its clients' programs.
struct Service {
    cluster: Cluster,
    name: String,
    benchmark: PathBuf,
    server: SocketAddr,
}

impl Service {
    fn start(cluster: Cluster, options: &[&str]) -> Result<Service> {
        let program = Builds::new(Compiler::Maize)?.program(Source::Redis)?;
        let address = format!("{ADDRESS}/24");
        let file = program.to_str().context("not text")?;
        let line = ["run", "--node", "a", "--detach", "--address", &address];
        let line = [&line, options, &[file, "--save", "", "--protected-mode", "no"]].concat();
        let output = cluster.command(0, &line).current_dir(directory("service")?).output()?;
        ensure!(output.status.success(), "{}", text(&output.stderr));
        let name = text(&output.stdout).trim().to_owned();
        let server = SocketAddr::new(ADDRESS.parse()?, PORT);
        let service = Service { cluster, name, benchmark: program.with_file_name("redis-benchmark"), server };
        wait_until("the server listens", || {
            let connect = || Ok(TcpStream::connect_timeout(&server, Duration::from_secs(1))?);
            Ok(service.cluster.network.within(CLIENTS, connect).is_ok())
        })?;
        Ok(service)
    }

    /// Does something as a client.
    fn ask<T: Send>(&self, body: impl FnOnce(SocketAddr) -> Result<T> + Send) -> Result<T> {
        self.cluster.network.within(CLIENTS, || body(self.server))
    }

    /// Has `redis-benchmark` make so many requests while `body` does something; whether it was done before the requests were.
    fn load<T>(&self, requests: u64, body: impl FnOnce() -> Result<T>) -> Result<(T, bool)> {
        let mut command = self.cluster.network.command(CLIENTS, &self.benchmark);
        command.args(["-h", ADDRESS, "-c", LOAD, "-n", &requests.to_string(), "-t", "incr", "-q"]);
        let mut load = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let done = body();
        let lasted = load.try_wait()?.is_none();
        let output = load.wait_with_output()?;
        let said = text(&output.stdout) + &text(&output.stderr);
        ensure!(output.status.success() && !said.contains("rror"), "redis-benchmark: {}: {said}", output.status);
        Ok((done?, lasted))
    }

    /// Moves the server to the other node and back. Its name then.
    fn travel(&self, begun: Instant) -> Result<(Vec<Move>, String)> {
        let (mut moves, mut name) = (Vec::new(), self.name.clone());
        thread::sleep(REST);
        for to in [1, 0] {
            let asked = begun.elapsed();
            let line = ["migrate", &name, "--to", &node_name(to), "--timeout", "60s"];
            name = self.cluster.succeed(0, &line)?.trim().to_owned();
            moves.push(Move { label: ["back", "there"][to].to_owned(), begun: asked, ended: begun.elapsed() });
            thread::sleep(REST);
        }
        Ok((moves, name))
    }
}

/// The longest time from one answer to the next, whichever client gets it, that begins in this time.
fn longest_silence(answers: &[Answer], from: Duration, to: Duration) -> Duration {
    let mut times: Vec<Duration> = answers.iter().map(|answer| answer.sent + answer.took).collect();
    times.sort();
    let pairs = times.windows(2).filter(|pair| (from..to).contains(&pair[0]));
    pairs.map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// A line of the table: what clients of our own got in that time.
fn print(name: &str, answers: &[Answer], from: Duration, to: Duration) {
    let within = answers.iter().filter(|answer| (from..to).contains(&answer.sent));
    let took: Vec<f64> = within.map(|answer| milliseconds(answer.took)).collect();
    let [middle, most, longest] = [0.5, 0.99, 1.0].map(|part| percentile(&took, part));
    let silence = milliseconds(longest_silence(answers, from, to));
    println!(
        "| {name} | {:.1}-{:.1} | {} | {middle:.2} | {most:.1} | {longest:.1} | {silence:.1} |",
        from.as_secs_f64(),
        to.as_secs_f64(),
        took.len()
    );
}

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1).peekable();
    let other = match arguments.next_if(|argument| argument.starts_with("--")).as_deref() {
        None => Other::Emulated,
        Some("--native") => Other::Native,
        Some("--machine") => Other::Machine,
        Some(option) => bail!("{option}: unknown; see the top of {}", file!()),
    };
    let megabytes: usize = arguments.next().map_or(Ok(200), |size| size.parse()).context("MB: a number")?;
    let file = arguments.next().unwrap_or_else(|| "docs/service.svg".into());
    let values = megabytes * 1_000_000 / VALUE;
    let Some(cluster) = other.cluster()? else { return Ok(()) };
    let service = Service::start(cluster, if other == Other::Machine { &["--home-files"] } else { &[] })?;
    service.ask(|server| fill(server, values, VALUE))?;
    let begun = Instant::now();
    service.load(FIRST, || Ok(()))?;
    let requests = (FIRST as f64 / begun.elapsed().as_secs_f64() * other.lasts()) as u64;

    let stop = AtomicBool::new(false);
    let begun = Instant::now();
    let keys: Vec<String> = (0..COUNTING).map(|number| format!("own{number}")).collect();
    let (counted, loaded) = thread::scope(|scope| {
        let (service, stop) = (&service, &stop);
        let counting: Vec<_> =
            keys.iter().map(|key| scope.spawn(move || service.ask(|server| count(server, key, begun, stop)))).collect();
        let loaded = service.load(requests, || service.travel(begun));
        stop.store(true, Ordering::Relaxed);
        let join = |client: thread::ScopedJoinHandle<'_, _>| {
            client.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        (counting.into_iter().map(join).collect::<Result<Vec<Vec<Answer>>>>(), loaded)
    });
    let (counted, ((moves, name), lasted)) = (counted?, loaded?);
    ensure!(lasted, "the requests were done before the last move was; make them last longer");
    service.ask(|server| {
        let all = value(server, "counter:__rand_int__")?;
        ensure!(all == FIRST + requests, "{all} requests instead of {}", FIRST + requests);
        for (key, counted) in keys.iter().zip(&counted) {
            let found = value(server, key)?;
            ensure!(found == counted.len() as u64, "{key} is {found} instead of {}", counted.len());
        }
        has_all(server, values, VALUE)
    })?;
    service.cluster.succeed(0, &["node", "kill", &name])?;

    let answers = counted.concat();
    println!("| time | s | answers | median, ms | 99 of 100, ms | longest, ms | longest without an answer, ms |");
    println!("|---|---:|---:|---:|---:|---:|---:|");
    let mut from = Duration::ZERO;
    for (one, at) in iter::zip(&moves, ["here", "on the other node"]) {
        print(at, &answers, from, one.begun);
        print(&format!("move {}", one.label), &answers, one.begun, one.ended);
        from = one.ended;
    }
    let end = from + REST;
    print("here again", &answers, from, end);
    println!(
        "\n{LOAD} connections of redis-benchmark made {requests} requests, and {COUNTING} more {}; all were counted once, no connection was lost, and all {values} values of {VALUE} bytes are there.",
        answers.len()
    );
    let title =
        format!("Redis 7 with {megabytes} MB and {LOAD} clients moves from x86-64 to {} and back", other.name());
    let shown: Vec<Answer> = answers.iter().copied().filter(|answer| answer.sent < end).collect();
    plot(Path::new(&file), &title, &shown, &moves)
}
