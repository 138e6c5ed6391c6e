//! `maize top`: each program is shown where it is, with what it uses.

use anyhow::{Context as _, Result, ensure};
use maize_tests::{Compiler, Journey, kill_with_hosts, maize, text, wait_until};
use serde_json::Value;
use std::process::{Command, Stdio};

/// The tables that a command prints.
fn tables(journey: &Journey, options: &[&str]) -> Result<Vec<Value>> {
    let line = [&["top", "--json"], options].concat();
    let printed = journey.cluster.succeed(0, &line)?;
    let tables: Vec<Value> =
        serde_json::Deserializer::from_str(&printed).into_iter().collect::<serde_json::Result<_>>()?;
    ensure!(tables.iter().all(|table| table["version"] == 1), "{printed}");
    Ok(tables)
}

/// The row of a program, by its name.
fn row<'a>(table: &'a Value, name: &str) -> Result<Option<&'a Value>> {
    let (node, number) = name.split_once(':').context("no name of a program")?;
    let number: u64 = number.parse()?;
    let rows = table["programs"].as_array().context("no programs")?;
    Ok(rows.iter().find(|row| row["node"] == node && row["program"] == number))
}

#[test]
fn programs_are_shown_with_what_they_use_wherever_they_are() -> Result<()> {
    let root = env!("CARGO_TARGET_TMPDIR");
    let Some(mut journey) = Journey::new(root, "top-nodes", "wanderer", 3)? else { return Ok(()) };
    let idle = Compiler::Maize.build_program("hostname", &journey.directory)?.display().to_string();
    let busy = journey.start(1, &["100000", "20000"])?;
    let line = ["run", "--node", "c", "--detach", &idle, "100000", &idle];
    let idle = journey.cluster.succeed(0, &line)?.trim().to_owned();
    wait_until("the busy one is seen to be busy", || {
        let tables = tables(&journey, &["--count", "2", "--interval", "500ms"])?;
        ensure!(tables.len() == 2, "{tables:?}");
        let (Some(busy), Some(idle)) = (row(&tables[1], &busy)?, row(&tables[1], &idle)?) else { return Ok(false) };
        ensure!(busy["isas"][0] == "aarch64" && idle["isas"][0] == "x86_64", "{busy} {idle}");
        for row in [busy, idle] {
            let is_positive = |name: &str| row[name].as_u64().is_some_and(|number| number > 0);
            ensure!(["resident_bytes", "threads", "processes", "started_ms"].into_iter().all(is_positive), "{row}");
        }
        let cpu = |row: &Value| row["cpu_percent"].as_f64();
        Ok(cpu(busy) > cpu(idle).map(|idle| 2.0 * idle + 5.0))
    })?;
    let table = journey.cluster.succeed(2, &["top", "--sort", "time", "--interval", "100ms"])?;
    let first = table.lines().find(|line| line.contains("wanderer") || line.contains("hostname"));
    ensure!(first.is_some_and(|line| line.starts_with("b ") && line.contains("aarch64")), "{table}");
    ensure!(table.starts_with("NAME") && table.contains("\nNODE"), "{table}");
    // Those of the nodes that are asked for.
    let only = tables(&journey, &["b", "--interval", "10ms"])?;
    ensure!(row(&only[0], &busy)?.is_some() && row(&only[0], &idle)?.is_none(), "{only:?}");
    journey.cluster.fail(0, &["top", "x"], "no node is called x")?;
    // One that is down does not keep the others from being shown.
    journey.cluster.kill(1)?;
    journey.cluster.wait_for_state(0, 1, "down")?;
    let rest = tables(&journey, &["--interval", "10ms"])?;
    ensure!(row(&rest[0], &busy)?.is_none() && row(&rest[0], &idle)?.is_some(), "{rest:?}");
    ensure!(journey.cluster.succeed(0, &["top", "b"])?.contains("b: "), "the reason is missing");
    kill_with_hosts(busy[2..].parse()?)
}

#[test]
fn without_a_node_the_programs_of_this_machine_are_shown() -> Result<()> {
    let directory = maize_tests::fresh_directory(env!("CARGO_TARGET_TMPDIR"), "top-here")?;
    let program = Compiler::Maize.build_program("hostname", &directory)?;
    let mut run = Command::new(maize());
    let mut run = run.arg("run").arg(&program).arg("100000").arg(&program).stdout(Stdio::null()).spawn()?;
    let seen = wait_until("it is seen", || {
        let mut top = Command::new(maize());
        top.args(["top", "--json", "--interval", "10ms", "--dir"]).arg(directory.join("no-node"));
        let output = top.output()?;
        ensure!(output.status.success(), "{}", text(&output.stderr));
        let table: Value = serde_json::from_slice(&output.stdout)?;
        let mut rows = table["programs"].as_array().context("no programs")?.iter();
        Ok(rows.any(|row| row["program"] == run.id() && row["node"].is_null()))
    });
    kill_with_hosts(run.id())?;
    run.wait()?;
    seen
}
