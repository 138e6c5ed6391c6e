//! Nodes in networks of their own: who may join, who is seen how, and what becomes of programs when daemons are killed and networks cut (docs/nodes.md).

use anyhow::{Context as _, Result, ensure};
use maize_tests::{Cluster, Compiler, ISAS, fresh_directory, node_name, text, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn program(test: &str) -> Result<PathBuf> {
    let directory = fresh_directory(env!("CARGO_TARGET_TMPDIR"), test)?;
    Compiler::Maize.build_program("elsewhere", &directory)
}

/// `maize run` with these options, then the program with its arguments.
fn line<'a>(options: &[&'a str], program: &'a Path, arguments: &[&'a str]) -> Vec<&'a str> {
    let program = program.to_str().unwrap_or_default();
    [&["run"][..], options, &[program], arguments].concat()
}

fn feed(command: &mut Command, input: &[u8]) -> Result<Output> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    let input = input.to_owned();
    let feeder = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output()?;
    let _ = feeder.join();
    Ok(output)
}

fn signal(child: &Child, signal: Signal) -> Result<()> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("no process")?;
    Ok(kill_process(pid, signal)?)
}

fn next_line(reader: &mut impl std::io::BufRead) -> Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

#[test]
fn nodes_join_by_tokens_and_see_each_other_come_and_go() -> Result<()> {
    let Some(mut cluster) = Cluster::strangers(4)? else { return Ok(()) };
    cluster.start(0)?;
    let token = |cluster: &Cluster, node: usize, valid: &str| -> Result<String> {
        Ok(cluster.succeed(node, &["node", "token", "--valid", valid])?.trim().to_owned())
    };
    let at = |cluster: &Cluster, node: usize| cluster.network.address(node);

    // Expired, made up, of another node, used.
    let expired = token(&cluster, 0, "0s")?;
    cluster.fail(1, &["node", "join", &expired, &at(&cluster, 0)], "expired")?;
    let foreign = token(&cluster, 3, "1h")?;
    cluster.fail(1, &["node", "join", &foreign, &at(&cluster, 0)], "another key than the one expected")?;
    let good = token(&cluster, 0, "1h")?;
    let (head, tail) = good.split_at(good.len() - 4);
    let guessed = format!("{head}{}", if tail == "AAAA" { "BBBA" } else { "AAAA" });
    cluster.fail(1, &["node", "join", &guessed, &at(&cluster, 0)], "has expired, or has been used")?;
    cluster.succeed(1, &["node", "join", &good, &at(&cluster, 0)])?;
    cluster.fail(2, &["node", "join", &good, &at(&cluster, 0)], "has been used")?;
    ensure!(cluster.state(0, 2)? == "unknown", "who has not joined is a member");

    // By any member; all hear of it.
    cluster.start(1)?;
    let by_second = token(&cluster, 1, "1h")?;
    cluster.succeed(2, &["node", "join", &by_second, &at(&cluster, 1)])?;
    cluster.start(2)?;
    for node in 0..3 {
        for other in 0..3 {
            cluster.wait_for_state(node, other, "ready")?;
        }
    }

    // A daemon that is killed is down, and back when it is started again.
    cluster.kill(2)?;
    cluster.wait_for_state(0, 2, "down")?;
    cluster.start(2)?;
    cluster.wait_for_state(0, 2, "ready")?;

    // So is one whose network is cut, without anybody's doing anything about it.
    cluster.network.cut(1)?;
    cluster.wait_for_state(0, 1, "down")?;
    cluster.wait_for_state(1, 2, "down")?;
    cluster.wait_for_state(0, 2, "ready")?;
    cluster.network.mend(1)?;
    cluster.wait_for_state(0, 1, "ready")?;
    cluster.wait_for_state(1, 2, "ready")?;

    // Draining is seen by all, and kept over a restart.
    cluster.succeed(0, &["node", "drain", "b"])?;
    cluster.wait_for_state(2, 1, "draining")?;
    cluster.succeed(1, &["node", "stop"])?;
    cluster.start(1)?;
    cluster.wait_for_state(0, 1, "draining")?;
    cluster.succeed(1, &["node", "undrain"])?;
    cluster.wait_for_state(0, 1, "ready")?;

    // Another name is the same node.
    cluster.succeed(1, &["node", "stop"])?;
    cluster.start_with(1, &["--name", "bee"])?;
    wait_until("a knows the new name", || Ok(cluster.succeed(0, &["nodes"])?.contains("\nbee ")))?;
    ensure!(cluster.state(0, 1)? == "unknown", "the old name is left");
    cluster.succeed(1, &["node", "stop"])?;
    cluster.start_with(1, &["--name", "b"])?;
    cluster.wait_for_state(0, 1, "ready")?;

    // Trust is taken away everywhere, and the one it is taken from is told so.
    cluster.succeed(0, &["node", "remove", "c"])?;
    wait_until("b knows that c is no member", || Ok(cluster.state(1, 2)? == "unknown"))?;
    cluster.fail(2, &["node", "drain", "b"], "does not know this node's key")
}

#[test]
fn a_program_does_on_another_node_what_it_does_here() -> Result<()> {
    let Some(cluster) = Cluster::new(2)? else { return Ok(()) };
    let program = program("nodes-run")?;
    let input: Vec<u8> = (0..3_000_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let placements: [&[&str]; 4] = [
        &["--isa", ISAS[0]],
        &["--isa", ISAS[1]],
        &["--isa", ISAS[2]],
        &["--hop", "x86_64,aarch64,riscv64", "--every", "20ms", "--seed", "7"],
    ];
    for arguments in [&["copy"][..], &["end", "200"], &["raise", "15"], &["raise", "9"], &["surroundings", "a b", ""]] {
        let alike = |command: &mut Command| -> Result<(Option<i32>, Vec<u8>, String)> {
            use std::os::unix::process::ExitStatusExt as _;
            let output = feed(command.current_dir("/tmp").env("MARK", "a mark"), &input)?;
            let status = output.status.code().or_else(|| output.status.signal().map(|signal| 1000 + signal));
            Ok((status, output.stdout, text(&output.stderr)))
        };
        let here = alike(&mut cluster.command(0, &line(&["--quiet"], &program, arguments)))?;
        ensure!(here.0.is_some() && here.0 != Some(99), "{arguments:?} here: {here:?}");
        for placement in placements {
            let options = [&["--node", "b"][..], placement].concat();
            let there = alike(&mut cluster.command(0, &line(&options, &program, arguments)))?;
            ensure!(there.0 == here.0, "{arguments:?} {placement:?}: {:?}, here {:?}; {}", there.0, here.0, there.2);
            ensure!(there.1 == here.1, "{arguments:?} {placement:?}: another output");
            ensure!(there.2 == here.2, "{arguments:?} {placement:?}: {:?}, here {:?}", there.2, here.2);
        }
    }
    let sent = fs::read_dir(cluster.directory(1).join("store"))?.count();
    ensure!(sent == 1, "{sent} executables in the store after one program");
    // The last one's shim ends after its command.
    wait_until("attached programs leave nothing behind", || Ok(cluster.programs(1)?.is_empty()))?;

    // What keeps a program from running is said as here.
    cluster.fail(0, &["run", "--node", "b", "/bin/sh"], "maize cc")?;
    cluster.fail(0, &line(&["--node", "z"], &program, &[]), "no node is called z; known: a, b")?;
    cluster.fail(0, &line(&["--node", "b", "--directory", "/no/such"], &program, &[]), "/no/such: No such file")?;
    cluster.succeed(0, &["node", "drain", "b"])?;
    cluster.fail(0, &line(&["--node", "b"], &program, &["end"]), "draining")
}

#[test]
fn a_program_in_a_terminal_has_one_there() -> Result<()> {
    let Some(cluster) = Cluster::new(2)? else { return Ok(()) };
    let program = program("nodes-terminal")?;
    let run = |inner: &str| -> Result<String> {
        // `script` makes a terminal; `stty` gives it a size.
        let words = format!("stty rows 33 cols 77; {}", inner.replace("PROGRAM", &program.display().to_string()));
        let mut command = cluster.network.command(0, "script");
        command.args(["--quiet", "--return", "--command", &words, "/dev/null"]);
        command.env("MAIZE", maize_tests::maize()).env("MAIZE_NODE_DIR", cluster.directory(0)).current_dir("/tmp");
        Ok(text(&command.stdin(Stdio::null()).output()?.stdout))
    };
    let surroundings = run("exec $MAIZE run --node b PROGRAM surroundings")?;
    ensure!(surroundings.contains(" 111 33x77\r\n"), "{surroundings:?}");
    let separate = run("$MAIZE run --node b PROGRAM surroundings 2>/dev/null")?;
    ensure!(separate.contains(" 110 33x77\r\n"), "{separate:?}");
    let no_terminal = run("$MAIZE run --node b PROGRAM surroundings | cat")?;
    ensure!(no_terminal.contains(" 000 0x0\r\n"), "{no_terminal:?}");
    // A key, which the terminal there makes a signal of.
    let key = run("(while ! test -e KEY; do sleep 0.1; done; printf '\\003') | script -qec \"$MAIZE run --node b PROGRAM wait\" /dev/null | tee SEEN & \
         while ! grep -q ready SEEN 2>/dev/null; do sleep 0.1; done; touch KEY; wait"
        .replace("KEY", &cluster.scratch().join("key").display().to_string())
        .replace("SEEN", &cluster.scratch().join("seen").display().to_string())
        .as_str())?;
    ensure!(key.contains("caught INT"), "{key:?}");
    Ok(())
}

#[test]
fn programs_outlive_the_daemon_and_are_found_again() -> Result<()> {
    let Some(mut cluster) = Cluster::new(2)? else { return Ok(()) };
    let program = program("nodes-outlive")?;
    let detach = |cluster: &Cluster| -> Result<String> {
        let words =
            line(&["--node", "b", "--detach", "--hop", "x86_64,aarch64", "--every", "50ms"], &program, &["wait"]);
        Ok(cluster.succeed(0, &words)?.trim().to_owned())
    };
    let detached = detach(&cluster)?;
    let mut attached = cluster
        .command(0, &line(&["--node", "b"], &program, &["wait"]))
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()?;
    let mut said = BufReader::new(attached.stdout.take().context("no output")?);
    ensure!(next_line(&mut said)? == "ready");
    wait_until("the detached one is ready", || Ok(cluster.succeed(0, &["logs", &detached])? == "ready\n"))?;

    cluster.kill(1)?;
    signal(&attached, Signal::USR1)?;
    ensure!(next_line(&mut said)? == "caught USR1", "the attached one, while no daemon runs");
    cluster.start(1)?;
    let states = |cluster: &Cluster| -> Result<Vec<String>> {
        Ok(cluster.programs(1)?.iter().map(|program| program["state"].to_string()).collect())
    };
    ensure!(states(&cluster)? == ["\"running\""; 2], "{:?}\n{}", states(&cluster)?, cluster.logged(1));
    ensure!(cluster.logged(1).contains("found 2 running"), "{}", cluster.logged(1));

    // The new daemon does with them what the old one did.
    let mut follower = cluster.command(0, &["logs", "--follow", &detached]).stdout(Stdio::piped()).spawn()?;
    let mut followed = BufReader::new(follower.stdout.take().context("no output")?);
    ensure!(next_line(&mut followed)? == "ready");
    cluster.succeed(0, &["node", "kill", "--signal", "10", &detached])?;
    ensure!(next_line(&mut followed)? == "caught USR1");
    cluster.succeed(0, &["node", "kill", "--signal", "2", &detached])?;
    ensure!(next_line(&mut followed)? == "caught INT");
    ensure!(next_line(&mut followed)?.is_empty() && follower.wait()?.success(), "the log ends with the program");
    signal(&attached, Signal::INT)?;
    ensure!(next_line(&mut said)? == "caught INT");
    ensure!(attached.wait()?.code() == Some(42));
    wait_until("one is left, with its status", || Ok(states(&cluster)? == [r#"{"ended":{"status":42}}"#]))?;
    let second = detach(&cluster)?;
    ensure!(second != detached);
    cluster.fail(0, &["logs", "b:1"], "no log of a program 1 on b")
}

/// What `maize top --json` prints last of so many tables.
fn top(cluster: &Cluster, words: &[&str]) -> Result<serde_json::Value> {
    let printed = cluster.succeed(0, &[&["top", "--json", "--interval", "300ms"], words].concat())?;
    let tables = serde_json::Deserializer::from_str(&printed).into_iter::<serde_json::Value>();
    let last = tables.collect::<Result<Vec<_>, _>>()?.pop().context("no table")?;
    ensure!(last["version"] == 1, "{last}");
    Ok(last)
}

/// The program of that name in it; null if there is none.
fn row<'a>(table: &'a serde_json::Value, name: &str) -> &'a serde_json::Value {
    let is_it = |row: &&serde_json::Value| name == format!("{}:{}", row["node"].as_str().unwrap_or("-"), row["pid"]);
    table["programs"].as_array().and_then(|rows| rows.iter().find(is_it)).unwrap_or(&serde_json::Value::Null)
}

#[test]
fn top_shows_what_programs_use_on_all_nodes() -> Result<()> {
    let Some(mut cluster) = Cluster::with_options(&[&["--isa", ISAS[0]], &["--isa", ISAS[1]]])? else { return Ok(()) };
    let program = program("nodes-top")?;
    let detach = |cluster: &Cluster, node: &str, isa: &str, what: &str| -> Result<String> {
        let words = line(&["--node", node, "--isa", isa, "--detach"], &program, &[what]);
        Ok(cluster.succeed(0, &words)?.trim().to_owned())
    };
    let busy = detach(&cluster, "a", ISAS[0], "spin")?;
    let idle = detach(&cluster, "b", ISAS[1], "wait")?;
    let shim = idle.rsplit(':').next().context("no number")?.to_owned();
    let mut last = serde_json::Value::Null;
    let told = wait_until("the busy one uses more", || {
        last = top(&cluster, &["--count", "2"])?;
        let used = |name| row(&last, name)["cpu_percent"].as_f64();
        let (Some(busy), Some(idle)) = (used(&busy), used(&idle)) else { return Ok(false) };
        Ok(busy > 5.0 && busy > 2.0 * idle)
    });
    told.with_context(|| last.to_string())?;
    for (name, isa) in [(&busy, ISAS[0]), (&idle, ISAS[1])] {
        let row = row(&last, name);
        ensure!(row["isas"] == serde_json::json!([isa]) && row["processes"] == 1, "{row}");
        ensure!(row["resident_bytes"].as_u64() > Some(0) && row["threads"].as_u64() > Some(0), "{row}");
        ensure!(row["command"][0] == program.to_str().unwrap_or_default(), "{row}");
    }
    let (first, states) = (&last["programs"][0], [&last["nodes"][0]["state"], &last["nodes"][1]["state"]]);
    ensure!(states == ["ready"; 2], "{last}");
    ensure!(first["node"] != "b", "the idle one is first: {last}");

    // People read the same.
    let table = cluster.succeed(0, &["top", "--interval", "100ms", "--sort", "time"])?;
    let has_row = |name: &str, isa: &str| {
        let (node, number) = name.split_once(':').unwrap_or_default();
        table.lines().any(|line| line.split_whitespace().take(3).eq([node, number, isa]))
    };
    ensure!(has_row(&busy, ISAS[0]) && has_row(&idle, ISAS[1]), "{table}");
    let named = top(&cluster, &["b"])?;
    ensure!(row(&named, &busy).is_null() && row(&named, &idle).is_object(), "{named}");
    ensure!(named["nodes"].as_array().is_some_and(|nodes| nodes.len() == 1), "{named}");
    cluster.fail(0, &["top", "z"], "no node is called z; known: a, b")?;

    // What a process has used that has ended is not forgotten.
    let parent = detach(&cluster, "a", ISAS[0], "outlive")?;
    wait_until("a child's time is its program's", || {
        let table = top(&cluster, &["a"])?;
        let row = row(&table, &parent);
        Ok(row["processes"] == 1 && row["processor_ms"].as_u64() >= Some(150))
    })?;

    // A shim that says nothing holds up nobody, and its program is still shown.
    ensure!(Command::new("kill").args(["-STOP", &shim]).status()?.success(), "kill");
    let stuck = wait_until("its program is shown without figures, and another with them", || {
        let table = top(&cluster, &[])?;
        let (idle, busy) = (row(&table, &idle), row(&table, &busy));
        Ok(idle.is_object() && idle["isas"].is_null() && busy["isas"].is_array())
    });
    ensure!(Command::new("kill").args(["-CONT", &shim]).status()?.success(), "kill");
    stuck?;

    // Nor does a node that is gone.
    cluster.kill(1)?;
    let without = wait_until("the other node is shown", || {
        let table = top(&cluster, &[])?;
        let node = &table["nodes"][1];
        ensure!(node["name"] == "b" && node["state"] == "down" && node["reason"].is_string(), "{table}");
        ensure!(row(&table, &idle).is_null(), "{table}");
        Ok(row(&table, &busy)["isas"].is_array())
    });
    // Its program is ended by it, in the end.
    cluster.start(1)?;
    without
}

#[test]
fn a_program_whose_starter_is_gone_is_told_to_hang_up() -> Result<()> {
    let Some(cluster) = Cluster::new(2)? else { return Ok(()) };
    let program = program("nodes-hang-up")?;
    let mark = cluster.scratch().join("hung-up");
    let words = line(&["--node", "b"], &program, &["wait", mark.to_str().unwrap_or_default()]);
    let mut child = cluster.command(0, &words).stdout(Stdio::piped()).spawn()?;
    let mut said = BufReader::new(child.stdout.take().context("no output")?);
    ensure!(next_line(&mut said)? == "ready");
    child.kill()?;
    child.wait()?;
    wait_until("the program has heard of it", || Ok(mark.exists()))?;
    wait_until("the program has ended", || Ok(cluster.programs(1)?.is_empty()))
}

/// It takes 30 to 40 s to notice, so this runs only with `./test --all`.
#[test]
#[ignore = "takes a minute"]
fn a_program_cut_off_is_told_to_hang_up_and_so_is_who_waits_for_it() -> Result<()> {
    let Some(cluster) = Cluster::new(2)? else { return Ok(()) };
    let program = program("nodes-cut")?;
    let mark = cluster.scratch().join("hung-up");
    let words = line(&["--node", "b"], &program, &["wait", mark.to_str().unwrap_or_default()]);
    let mut child = cluster.command(0, &words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut said = BufReader::new(child.stdout.take().context("no output")?);
    ensure!(next_line(&mut said)? == "ready");
    cluster.network.cut(1)?;
    let output = child.wait_with_output()?;
    ensure!(output.status.code() == Some(125), "{:?}", output.status);
    ensure!(text(&output.stderr).contains("the connection to b was lost"), "{}", text(&output.stderr));
    wait_until("the program has heard of it", || Ok(mark.exists()))
}

#[test]
fn keys_that_are_not_known_or_not_kept_to_oneself_are_refused() -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let Some(mut cluster) = Cluster::strangers(3)? else { return Ok(()) };
    cluster.start(1)?;
    let key = |cluster: &Cluster, node: usize| -> Result<String> {
        let status: serde_json::Value = serde_json::from_str(&cluster.succeed(node, &["node", "status", "--json"])?)?;
        Ok(status["key"].as_str().context("no key")?.to_owned())
    };
    let address = format!("{}:7310", cluster.network.address(1));
    let of_b = key(&cluster, 1)?;
    // a knows b, but b does not know a.
    cluster.succeed(0, &["node", "add", "b", &of_b, &address])?;
    cluster.fail(0, &["node", "drain", "b"], "does not know this node's key")?;
    ensure!(cluster.state(1, 1)? == "ready", "drained by a stranger");
    // c takes another for b.
    let wrong = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    cluster.succeed(2, &["node", "add", "b", wrong, &address])?;
    cluster.fail(2, &["node", "drain", "b"], "another key than the one expected")?;
    // With both keys, written into the file of each, it works: static membership.
    cluster.start(0)?;
    let of_a = key(&cluster, 0)?;
    cluster.succeed(1, &["node", "add", "a", &of_a, &format!("{}:7310", cluster.network.address(0))])?;
    cluster.wait_for_state(0, 1, "ready")?;
    cluster.wait_for_state(1, 0, "ready")?;
    cluster.succeed(0, &["node", "drain", "b"])?;
    // A key that others can read is not used.
    let file = cluster.directory(2).join("key");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644))?;
    cluster.fail(2, &["node", "start"], "chmod 600")?;
    cluster.fail(2, &["node", "token"], "mode 0644 lets others in")?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    fs::set_permissions(cluster.directory(2), fs::Permissions::from_mode(0o755))?;
    cluster.fail(2, &["node", "start"], "chmod 700")
}

#[test]
fn garbage_silence_and_other_versions_do_not_disturb_a_node() -> Result<()> {
    let Some(cluster) = Cluster::new(2)? else { return Ok(()) };
    let address = format!("{}:7310", cluster.network.address(1));
    let daemon = cluster.daemon(1);
    cluster.network.within(0, || {
        let connect = || -> Result<TcpStream> {
            let stream = TcpStream::connect(&address)?;
            stream.set_read_timeout(Some(Duration::from_secs(60)))?;
            Ok(stream)
        };
        let rest = |stream: &mut TcpStream| {
            let mut answer = Vec::new();
            // A reset is an end, too.
            let _ = stream.read_to_end(&mut answer);
            answer
        };
        // Another version hears which one is spoken here, and no more.
        let mut stream = connect()?;
        stream.write_all(b"maize\0\xff\x7f")?;
        let answer = rest(&mut stream);
        ensure!(answer.len() == 8 && answer.starts_with(b"maize\0"), "{answer:?}");

        // Garbage, of a fixed seed, before and after the right beginning.
        let right = answer;
        let mut state = 88_172_645_463_325_252_u64;
        for round in 0..100 {
            let garbage: Vec<u8> = (0..300)
                .map(|_| {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    state as u8
                })
                .collect();
            let mut stream = connect()?;
            if round % 2 == 0 {
                stream.write_all(&right)?;
            }
            let _ = stream.write_all(&garbage);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let answer = rest(&mut stream);
            ensure!(answer.len() <= 8 + 98, "{} bytes for garbage", answer.len());
        }

        // Who says nothing, or is slow, is not waited for; and not more than a number at a time.
        let begun = Instant::now();
        let mut silent = (0..200).map(|_| connect()).collect::<Result<Vec<_>>>()?;
        for (number, stream) in silent.iter_mut().enumerate() {
            if number % 2 == 0 {
                let _ = stream.write_all(b"mai");
            }
        }
        for stream in &mut silent {
            ensure!(rest(stream).is_empty());
        }
        ensure!(begun.elapsed() < Duration::from_secs(50), "silence was borne for {:?}", begun.elapsed());
        Ok(())
    })?;
    ensure!(cluster.daemon(1) == daemon, "another daemon");
    cluster.wait_for_state(0, 1, "ready")?;
    let unseen: Vec<String> = (0..2).filter(|&node| cluster.logged(node).contains("panicked")).map(node_name).collect();
    ensure!(unseen.is_empty(), "panics on {unseen:?}");
    cluster.succeed(0, &["node", "drain", "b"]).map(drop)
}
