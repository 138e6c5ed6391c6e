//! Moves between native nodes, by their memory: how long a program pauses, what it gets done while its memory goes ahead, and how fast that goes, against a TCP stream of as many bytes on the
//! same link. Nodes are in network namespaces of this machine, which takes root.
//!
//! `between [MOVES [pauses|bulk]]`: so many moves (8) for each line, of one of the two tables if it is named.

use anyhow::{Context, Result, ensure};
use maize_benches::{Ratio, directory, median, percentile};
use maize_tests::{Cluster, Compiler, benchmark_source, node_name, wait_until};
use std::env;
use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// Of the program whose pauses are measured.
const MEGABYTES: &str = "200";
/// Pages changed in a step, and microseconds from the end of a step to the next one.
const PACES: [[&str; 2]; 5] = [["0", "200"], ["1", "200"], ["4", "200"], ["20", "200"], ["1000", "0"]];
/// Time between two moves.
const REST: Duration = Duration::from_millis(1500);
/// Of the program that is sent, and of the stream.
const BULK: usize = 512;
/// How fast the link is, as `tc` has it; nothing where it is as fast as the machine.
const LINKS: [Option<&str>; 3] = [Some("1gbit"), Some("10gbit"), None];
/// Written at once.
const PIECE: usize = 1 << 18;

/// A line of the program's: microseconds since 1970, steps done since the line before, and microseconds of the longest.
struct Window {
    at: u64,
    steps: u64,
    longest: u64,
}

/// A move that was asked for and answered then, in microseconds since 1970.
struct Asked {
    begun: u64,
    ended: u64,
}

fn since_1970() -> u64 {
    let passed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    passed.map_or(0, |passed| passed.as_micros() as u64)
}

fn windows(log: &str) -> Vec<Window> {
    let parse = |line: &str| {
        let mut words = line.split(' ').map(|word| word.parse().ok());
        Some(Window { at: words.next()??, steps: words.next()??, longest: words.next()?? })
    };
    log.lines().filter_map(parse).collect()
}

/// Starts the program on the first node, and waits until it has its memory.
fn start(cluster: &Cluster, program: &Path, arguments: &[&str]) -> Result<String> {
    let file = program.to_str().context("not text")?;
    let line = [&["run", "--node", "a", "--detach", file], arguments].concat();
    let name = cluster.succeed(0, &line)?.trim().to_owned();
    wait_until("the program runs", || Ok(!cluster.succeed(0, &["logs", &name])?.is_empty()))?;
    Ok(name)
}

/// Moves the program to the other node; its name there.
fn migrate(cluster: &Cluster, name: &str, to: usize) -> Result<String> {
    Ok(cluster.succeed(0, &["migrate", name, "--to", &node_name(to), "--timeout", "60s"])?.trim().to_owned())
}

/// A line of the table of pauses.
fn pauses(cluster: &Cluster, program: &Path, moves: usize, [pages, rest]: [&str; 2], link: Option<&str>) -> Result<()> {
    let mut name = start(cluster, program, &[MEGABYTES, pages, rest])?;
    let mut asked = Vec::new();
    for step in 0..moves {
        thread::sleep(REST);
        let begun = since_1970();
        name = migrate(cluster, &name, (step + 1) % 2)?;
        asked.push(Asked { begun, ended: since_1970() });
    }
    thread::sleep(REST);
    let windows = windows(&cluster.succeed(0, &["logs", &name])?);
    cluster.succeed(0, &["node", "kill", &name])?;

    // What begins within this time before a move is asked for is at rest.
    let before = REST.as_micros() as u64 / 2;
    let (mut gaps, mut ratios, mut paces) = (Vec::new(), Vec::new(), Vec::new());
    for Asked { begun, ended } in asked {
        let within = |from: u64, to: u64| windows.iter().filter(move |window| (from..to).contains(&window.at));
        // The line that has the pause may come a little after the answer.
        let pause = within(begun, ended + 20_000).max_by_key(|window| window.longest).context("nothing in a move")?;
        gaps.push(pause.longest as f64 / 1e3);
        // From the end of the first line to that of the last.
        let pace = |from, to| {
            let mut lines = within(from, to);
            let first = lines.next()?.at;
            let (steps, last) = lines.fold((0, first), |(steps, _), window| (steps + window.steps, window.at));
            (last > first).then(|| steps as f64 / (last - first) as f64)
        };
        let at_rest = pace(begun - before, begun).context("nothing before a move")?;
        paces.push(at_rest * 1e6);
        ratios.extend(pace(begun, pause.at - pause.longest).map(|ahead| ahead / at_rest));
    }
    let changed = median(paces.into_iter()) * pages.parse::<f64>()?;
    let [middle, longest] = [0.5, 1.0].map(|part| percentile(&gaps, part));
    let [low, ratio, high] = [0.25, 0.5, 0.75].map(|part| percentile(&ratios, part));
    println!("| {} | {changed:.0} | {middle:.1} | {longest:.1} | {ratio:.3} ({low:.3}-{high:.3}) |", shown(link));
    Ok(())
}

/// Seconds that a stream of so many bytes takes from one node to another, until that has said that it has it.
fn stream(cluster: &Cluster, bytes: usize) -> Result<f64> {
    let listener = cluster.network.within(1, || Ok(TcpListener::bind((cluster.network.address(1), 0))?))?;
    let to = listener.local_addr()?;
    thread::scope(|scope| {
        let reader = scope.spawn(move || -> Result<()> {
            let (mut connection, _) = listener.accept()?;
            let (mut piece, mut left) = (vec![0; PIECE], bytes);
            while left > 0 {
                let count = connection.read(&mut piece)?;
                ensure!(count > 0, "the stream has ended before");
                left -= count;
            }
            Ok(connection.write_all(&[1])?)
        });
        let begun = Instant::now();
        let mut connection = cluster.network.within(0, || Ok(TcpStream::connect(to)?))?;
        let piece = vec![1; PIECE];
        for _ in 0..bytes / PIECE {
            connection.write_all(&piece)?;
        }
        connection.read_exact(&mut [0])?;
        let took = begun.elapsed().as_secs_f64();
        reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok(took)
    })
}

/// Two nodes with a link that fast between them. `None` where these cannot be had.
fn linked(link: Option<&str>) -> Result<Option<Cluster>> {
    let options = ["--isa", "x86_64"];
    let Some(cluster) = Cluster::with_options(&[&options, &options])? else { return Ok(None) };
    for (port, rate) in ["port0", "port1"].into_iter().filter_map(|port| Some((port, link?))) {
        let mut command = cluster.network.at_hub("tc");
        command.args(["qdisc", "replace", "dev", port, "root", "tbf", "rate", rate, "burst", "4mb", "latency", "50ms"]);
        let output = command.output().context("cannot run tc; install iproute2")?;
        ensure!(output.status.success(), "tc: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(Some(cluster))
}

/// For people.
fn shown(link: Option<&str>) -> &str {
    link.unwrap_or("veth")
}

/// Has memory that nobody uses be there: a machine that is virtual itself may have given it back, and gets it at 0.4 GB/s when it is touched, which would be all that shows.
fn touch(bytes: usize) {
    black_box(vec![1_u8; bytes]);
}

/// A line of the table of throughput.
fn throughput(cluster: &Cluster, program: &Path, moves: usize, link: Option<&str>) -> Result<()> {
    let megabytes = BULK.to_string();
    let mut name = start(cluster, program, &[&megabytes, "0", "10000"])?;
    let bytes = BULK << 20;
    let mut pairs = Vec::new();
    for step in 0..moves {
        // The program is there twice at the end of a move, and what is in between.
        touch(4 * bytes);
        let streamed = stream(cluster, bytes)?;
        let begun = Instant::now();
        name = migrate(cluster, &name, (step + 1) % 2)?;
        let speed = |seconds: f64| bytes as f64 / 1e6 / seconds;
        pairs.push((speed(streamed), speed(begun.elapsed().as_secs_f64())));
    }
    cluster.succeed(0, &["node", "kill", &name])?;
    let Ratio { base, other, median, quartiles: (low, high) } = Ratio::of(&pairs);
    println!("| {} | {base:.0} | {other:.0} | {median:.2} ({low:.2}-{high:.2}) |", shown(link));
    Ok(())
}

fn main() -> Result<()> {
    let moves = env::args().nth(1).map_or(Ok(8), |moves| moves.parse::<usize>()).context("moves: a number")?;
    ensure!(moves > 0, "no moves");
    let only = env::args().nth(2);
    ensure!(only.as_ref().is_none_or(|table| ["pauses", "bulk"].contains(&&**table)), "pauses or bulk");
    let shows = |table| only.as_ref().is_none_or(|only| only == table);
    let program = directory("between")?.join("busy");
    Compiler::Maize.build(&[benchmark_source("busy.c")], &["-O2"], &program)?;
    if shows("pauses") {
        println!(
            "| link | pages changed each second | pause, ms: median | longest | steps while memory goes ahead, ratio (quartiles) |"
        );
        println!("|---|---:|---:|---:|---:|");
        for link in LINKS {
            let Some(cluster) = linked(link)? else { return Ok(()) };
            PACES.iter().try_for_each(|pace| pauses(&cluster, &program, moves, *pace, link))?;
        }
        println!();
    }
    if shows("bulk") {
        println!("| link | TCP, MB/s | a move, MB/s | ratio (quartiles) |");
        println!("|---|---:|---:|---:|");
        for link in LINKS {
            let Some(cluster) = linked(link)? else { return Ok(()) };
            throughput(&cluster, &program, moves, link)?;
        }
    }
    Ok(())
}
