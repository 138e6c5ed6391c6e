//! Programs that have an address of their own go to other nodes with their TCP connections (docs/nodes.md): clients elsewhere do not notice, and get every byte once.

use anyhow::{Context as _, Result, ensure};
use maize_tests::{Cut, Journey, Point, Random, kill_with_hosts, node_name, text, wait_until};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const ADDRESS: &str = "10.77.0.100/24";
const PORT: u16 = 7777;
/// Where clients are.
const CLIENTS: usize = 2;
/// A client that gets nothing for so long has lost its connection.
const PATIENCE: Duration = Duration::from_secs(60);

fn server() -> SocketAddr {
    SocketAddr::from(([10, 77, 0, 100], PORT))
}

fn journey(test: &str) -> Result<Option<Journey>> {
    Journey::new(env!("CARGO_TARGET_TMPDIR"), test, "echo", 3)
}

/// What the server answers.
fn follow(state: &mut u64, byte: u8) -> u8 {
    *state = (*state ^ u64::from(byte)).wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 56) as u8
}

/// What a client has seen.
#[derive(Debug, Default)]
struct Seen {
    bytes: u64,
    connections: u64,
    longest_wait: Duration,
}

/// Talks to the server until it is to stop: one long conversation if it `stays`, many short ones otherwise. At most `ahead` bytes are on their way.
fn talk(seed: u64, stays: bool, ahead: usize, stop: &AtomicBool) -> Result<Seen> {
    let mut random = Random(seed);
    let mut seen = Seen::default();
    while !stop.load(Ordering::Relaxed) {
        let stream = connect()?;
        seen.connections += 1;
        let length = if stays { u64::MAX } else { 1 + random.draw() % 20_000 };
        converse(stream, &mut random, length, ahead, stop, &mut seen)
            .with_context(|| format!("seed {seed}: {seen:?}"))?;
    }
    Ok(seen)
}

fn connect() -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&server(), PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// A connection of which this side takes few bytes at a time.
fn narrow() -> Result<TcpStream> {
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None)?;
    rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 4096)?;
    rustix::net::connect(&socket, &server())?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn converse(
    mut stream: TcpStream,
    random: &mut Random,
    length: u64,
    ahead: usize,
    stop: &AtomicBool,
    seen: &mut Seen,
) -> Result<()> {
    let (mut state, mut expected, mut buffer) = (0, std::collections::VecDeque::new(), vec![0; 1 << 16]);
    let mut left = length;
    while left > 0 && !stop.load(Ordering::Relaxed) {
        let size = (1 + random.draw() as usize % ahead).min(usize::try_from(left).unwrap_or(usize::MAX));
        let message: Vec<u8> = (0..size).map(|_| random.draw() as u8).collect();
        expected.extend(message.iter().map(|&byte| follow(&mut state, byte)));
        stream.write_all(&message)?;
        left -= size as u64;
        // Some is on its way, and is answered later.
        let waits_for = if random.draw().is_multiple_of(4) { 0 } else { expected.len() / 2 };
        while expected.len() > waits_for {
            receive(&mut stream, &mut expected, &mut buffer, seen)?;
        }
    }
    stream.shutdown(Shutdown::Write)?;
    while !expected.is_empty() {
        receive(&mut stream, &mut expected, &mut buffer, seen)?;
    }
    ensure!(stream.read(&mut buffer)? == 0, "more than was answered");
    Ok(())
}

fn receive(
    stream: &mut TcpStream,
    expected: &mut std::collections::VecDeque<u8>,
    buffer: &mut [u8],
    seen: &mut Seen,
) -> Result<()> {
    let begin = Instant::now();
    let got = stream.read(buffer)?;
    seen.longest_wait = seen.longest_wait.max(begin.elapsed());
    ensure!(got > 0, "the connection has ended");
    for &byte in &buffer[..got] {
        ensure!(expected.pop_front() == Some(byte), "another byte than expected, after {} right ones", seen.bytes);
        seen.bytes += 1;
    }
    Ok(())
}

/// The addresses of a node's interface.
fn has_address(journey: &Journey, node: usize) -> Result<bool> {
    let output = journey.cluster.network.command(node, "ip").args(["address", "show"]).output()?;
    Ok(text(&output.stdout).contains("10.77.0.100/24"))
}

/// Has clients talk to the server while `body` does something with it.
fn among_clients(journey: &Journey, seed: u64, body: impl FnOnce() -> Result<()> + Send) -> Result<Vec<Seen>> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|index| {
                let stop = &stop;
                let ahead = [1, 100, 5_000, 200_000][index as usize % 4];
                scope.spawn(move || {
                    journey.cluster.network.within(CLIENTS, || talk(seed * 100 + index, index < 5, ahead, stop))
                })
            })
            .collect();
        let done = body();
        stop.store(true, Ordering::Relaxed);
        let seen: Vec<Result<Seen>> = clients
            .into_iter()
            .map(|client| client.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect();
        done?;
        seen.into_iter().collect()
    })
}

/// Who hears that the program has come may hear it before the address is there.
fn require_address_only_at(journey: &Journey, node: usize) -> Result<()> {
    ensure!(!has_address(journey, 1 - node)?, "{} has the address", node_name(1 - node));
    wait_until("the address is where the program is", || has_address(journey, node))
}

fn start(journey: &Journey) -> Result<String> {
    // Large enough for a proxy to tell the messages of a move apart.
    let name = journey.start_with(0, &["--address", ADDRESS], &[&PORT.to_string(), "600000"])?;
    journey.wait_for_progress(&name)?;
    ensure!(has_address(journey, 0)?, "a does not have the address");
    Ok(name)
}

/// Ends the server, which knows whether all of its clients have gone.
fn end(journey: &Journey, name: &str) -> Result<()> {
    wait_until("all connections are over", || {
        Ok(journey.log(name)?.0.lines().last().is_some_and(|line| line.contains(", 0 of ")))
    })?;
    let at = journey.where_it_is(name)?;
    journey.cluster.succeed(0, &["node", "kill", name])?;
    let said = journey.wait_for_end(&at)?;
    ensure!(said.status == 7 && !said.output.contains("lost") && said.error.is_empty(), "{said:?}");
    for node in 0..2 {
        ensure!(!has_address(journey, node)?, "{} still has the address", node_name(node));
    }
    Ok(())
}

#[test]
fn clients_notice_no_move_between_nodes() -> Result<()> {
    let Some(journey) = journey("connections-moves")? else { return Ok(()) };
    for seed in 1..=2 {
        let first = start(&journey)?;
        let mut name = first.clone();
        let seen = among_clients(&journey, seed, || {
            let mut random = Random(seed);
            for step in 0..6 {
                journey.wait_for_progress(&name)?;
                thread::sleep(Duration::from_millis(random.draw() % 300));
                let to = (step + 1) % 2;
                name = journey.cluster.succeed(0, &["migrate", &name, "--to", &node_name(to)])?.trim().to_owned();
                require_address_only_at(&journey, to)?;
            }
            journey.wait_for_progress(&name)
        })
        .with_context(|| format!("seed {seed}"))?;
        let bytes: u64 = seen.iter().map(|one| one.bytes).sum();
        eprintln!(
            "seed {seed}: {bytes} bytes; longest waits {:?}",
            seen.iter().map(|one| one.longest_wait).collect::<Vec<_>>()
        );
        ensure!(seen.iter().all(|one| one.bytes > 0), "{seen:?}");
        end(&journey, &first)?;
    }
    Ok(())
}

#[test]
fn a_connection_that_stays_open_without_a_word_is_there_afterwards() -> Result<()> {
    let Some(journey) = journey("connections-silent")? else { return Ok(()) };
    let name = start(&journey)?;
    journey.cluster.network.within(CLIENTS, || {
        // One silent, one whose client says no more, one with much to read that nobody reads yet.
        let (mut silent, mut ended, mut full) = (connect()?, connect()?, connect()?);
        let mut state = 0;
        ended.write_all(b"the last words")?;
        full.set_nonblocking(true)?;
        let (mut sent, chunk) = (0, [7_u8; 10_000]);
        let mut blocked = 0;
        while blocked < 20 {
            match full.write(&chunk) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    blocked += 1;
                    thread::sleep(Duration::from_millis(10));
                }
                Err(error) => return Err(error.into()),
            }
        }
        full.set_nonblocking(false)?;
        // Those whose client has said all that it had to say before the server has read it.
        let mut closed = Vec::new();
        for size in [1_000, 40_000, 80_000, 120_000, 160_000, 200_000] {
            let mut client = narrow()?;
            client.set_write_timeout(Some(Duration::from_millis(300)))?;
            let mut said = 0;
            while said < size {
                match client.write(&chunk[..chunk.len().min(size - said)]) {
                    Ok(count) => said += count,
                    Err(_) => break,
                }
            }
            client.shutdown(Shutdown::Write)?;
            closed.push((client, said));
        }
        let list = journey.cluster.network.command(0, "ss").args(["-Htn", "state", "close-wait"]).output()?;
        ensure!(!list.stdout.is_empty(), "the server knows of no connection that its client has ended");
        let mut at = name.clone();
        for step in 0..2 {
            at = journey.cluster.succeed(0, &["migrate", &at, "--to", &node_name((step + 1) % 2)])?.trim().to_owned();
        }
        silent.write_all(b"x")?;
        let mut byte = [0];
        silent.read_exact(&mut byte)?;
        ensure!(byte[0] == follow(&mut state, b'x'), "another byte");
        ended.shutdown(Shutdown::Write)?;
        let mut rest = Vec::new();
        ended.read_to_end(&mut rest)?;
        state = 0;
        let expected: Vec<u8> = b"the last words".iter().map(|&byte| follow(&mut state, byte)).collect();
        ensure!(rest == expected, "{rest:?}");
        full.shutdown(Shutdown::Write)?;
        rest.clear();
        full.read_to_end(&mut rest)?;
        state = 0;
        ensure!(
            rest.len() == sent && rest.iter().all(|&byte| byte == follow(&mut state, 7)),
            "{} of {sent}",
            rest.len()
        );
        for (mut client, said) in closed {
            rest.clear();
            client.read_to_end(&mut rest)?;
            state = 0;
            let is_right = rest.len() == said && rest.iter().all(|&byte| byte == follow(&mut state, 7));
            ensure!(is_right, "{} of {said}", rest.len());
        }
        drop(silent);
        Ok(())
    })?;
    end(&journey, &name)
}

#[test]
fn a_move_that_fails_costs_no_connection() -> Result<()> {
    let Some(journey) = journey("connections-fail")? else { return Ok(()) };
    let name = start(&journey)?;
    // Somebody has the port there.
    let blocker = journey.cluster.network.within(1, || Ok(std::net::TcpListener::bind(("0.0.0.0", PORT))?))?;
    among_clients(&journey, 3, || {
        for _ in 0..3 {
            journey.wait_for_progress(&name)?;
            journey.cluster.fail(0, &["migrate", &name, "--to", "b"], "another program has this address and port")?;
            require_address_only_at(&journey, 0)?;
        }
        drop(blocker);
        journey.cluster.succeed(0, &["migrate", &name, "--to", "b"]).map(drop)
    })?;
    end(&journey, &name)
}

#[test]
fn a_link_that_is_cut_while_connections_are_nowhere_costs_none() -> Result<()> {
    let root = env!("CARGO_TARGET_TMPDIR");
    let Some((journey, proxy)) = Journey::with_proxy(root, "connections-cut", "echo", 3)? else { return Ok(()) };
    let name = start(&journey)?;
    // The executable is there then, and does not look like a program on its way.
    journey.cluster.succeed(0, &["migrate", &name, "--to", "b", "--dry-run"])?;
    among_clients(&journey, 4, || {
        // What follows `Restored` is the connections: the old node has taken them from its kernel by then.
        proxy.arm(Point::Commit, Cut::Closed, || {});
        journey.cluster.fail(0, &["migrate", &name, "--to", "b"], "the connection to b was lost")?;
        require_address_only_at(&journey, 0)?;
        journey.wait_for_progress(&name)?;
        // The new node has them, and the old one does not hear of it.
        proxy.arm(Point::Taken, Cut::Closed, || {});
        journey.cluster.succeed(0, &["migrate", &name, "--to", "b"])?;
        require_address_only_at(&journey, 1)?;
        journey.wait_for_progress(&name)
    })?;
    end(&journey, &name)
}

#[test]
fn an_address_of_ipv6_moves_likewise() -> Result<()> {
    let Some(journey) = journey("connections-ipv6")? else { return Ok(()) };
    for node in 0..3 {
        let own = format!("fd77::{}/64", node + 1);
        let mut add = journey.cluster.network.command(node, "ip");
        ensure!(add.args(["address", "add", &own, "dev", "eth0", "nodad"]).status()?.success(), "no IPv6");
    }
    let name = journey.start_with(0, &["--address", "fd77::100/64"], &[&PORT.to_string()])?;
    journey.wait_for_progress(&name)?;
    journey.cluster.network.within(CLIENTS, || {
        let server = SocketAddr::from((std::net::Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x100), PORT));
        let mut client = TcpStream::connect_timeout(&server, PATIENCE)?;
        client.set_read_timeout(Some(PATIENCE))?;
        // Known to the old node, and to be answered by the new one.
        let mut ended = TcpStream::connect_timeout(&server, PATIENCE)?;
        ended.set_read_timeout(Some(PATIENCE))?;
        let (mut state, mut at) = (0, name.clone());
        for step in 0..3 {
            client.write_all(&[step])?;
            let mut byte = [0];
            client.read_exact(&mut byte)?;
            ensure!(byte[0] == follow(&mut state, step), "another byte after {step} moves");
            at = journey.cluster.succeed(0, &["migrate", &at, "--to", &node_name(usize::from(step + 1) % 2)])?;
            at = at.trim().to_owned();
        }
        ended.shutdown(Shutdown::Write)?;
        ensure!(ended.read(&mut [0])? == 0, "more than was answered");
        Ok(())
    })?;
    end(&journey, &name)
}

#[test]
fn a_shim_that_is_killed_leaves_no_address_behind() -> Result<()> {
    let Some(journey) = journey("connections-killed")? else { return Ok(()) };
    let name = start(&journey)?;
    let shim = name.split_once(':').context("no name of a program")?.1;
    kill_with_hosts(shim.parse()?)?;
    wait_until("the daemon takes the address away", || {
        journey.cluster.programs(0)?;
        Ok(!has_address(&journey, 0)?)
    })
}

#[test]
fn what_is_in_the_way_of_an_address_is_named() -> Result<()> {
    let Some(journey) = journey("connections-refused")? else { return Ok(()) };
    let program = journey.program.to_str().context("not text")?;
    let start = |address: &'static str| ["run", "--node", "a", "--detach", "--address", address, program, "7777"];
    journey.cluster.fail(0, &start("10.77.0.1/24"), "has this address already")?;
    journey.cluster.fail(0, &start("10.78.0.1/24"), "name one")?;
    journey.cluster.fail(0, &start("10.77.0.9/24%eth7"), "no interface eth7")?;
    journey.cluster.fail(0, &start("10.77.0.9"), "is no address with its network")?;
    // Without an address of its own its connections are in the way.
    let name = journey.start(0, &["7777"])?;
    journey.wait_for_progress(&name)?;
    let own: SocketAddr = format!("{}:{PORT}", journey.cluster.network.address(0)).parse()?;
    let client = journey.cluster.network.within(CLIENTS, || Ok(TcpStream::connect(own)?))?;
    let says_last = |words: &str| Ok(journey.log(&name)?.0.lines().last().is_some_and(|line| line.contains(words)));
    wait_until("it has let us in", || says_last("1 of 1 "))?;
    journey.cluster.fail(0, &["migrate", &name, "--to", "b", "--dry-run"], "--address")?;
    drop(client);
    wait_until("it has closed the connection", || says_last("0 of 1 "))?;
    journey.cluster.succeed(0, &["migrate", &name, "--to", "b"])?;
    Ok(())
}
