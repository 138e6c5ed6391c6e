//! What tests require of a run. Every failure says how to repeat it.

use crate::ISAS;
use crate::report::{Exit, Migration, Report};
use crate::run::Outcome;
use anyhow::{Context, Result, bail, ensure};

/// An outcome about which something has been found out.
pub trait Checked: Sized {
    /// It ended with status 0.
    ///
    /// # Errors
    /// If it did not.
    fn succeeded(self) -> Result<Self>;

    /// It printed exactly this.
    ///
    /// # Errors
    /// If it did not; with the first difference.
    fn printed(self, expected: &[u8]) -> Result<Self>;

    /// It printed, on standard output and standard error, what another run did, and ended in the same way.
    ///
    /// # Errors
    /// If it did not; with the first difference.
    fn did_as(self, expected: &Outcome) -> Result<Self>;

    /// It ended with status 0 and moved so many times at least; the report agrees with itself.
    ///
    /// # Errors
    /// If it did not.
    fn moved(self, times: usize) -> Result<Report>;
}

impl Checked for Outcome {
    fn succeeded(self) -> Result<Self> {
        ensure!(self.status.success(), "{}\nto repeat: {}\n{}", self.status, self.command, tail(&self.stderr));
        Ok(self)
    }

    fn printed(self, expected: &[u8]) -> Result<Self> {
        if self.stdout == expected {
            return Ok(self);
        }
        let at = self.stdout.iter().zip(expected).take_while(|(found, expected)| found == expected).count();
        let line = expected[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        bail!(
            "{} bytes of output instead of {}; the first difference is at byte {at}, line {line}:\n  expected {:?}\n  found    {:?}\nstatus: {}\nto repeat: {}\n{}",
            self.stdout.len(),
            expected.len(),
            excerpt(expected, at),
            excerpt(&self.stdout, at),
            self.status,
            self.command,
            tail(&self.stderr)
        )
    }

    fn did_as(self, expected: &Outcome) -> Result<Self> {
        let outcome = self.printed(&expected.stdout)?;
        ensure!(
            outcome.stderr == expected.stderr && outcome.status == expected.status,
            "{} instead of {}\nto repeat: {}\nstandard error:\n{}\ninstead of:\n{}",
            outcome.status,
            expected.status,
            outcome.command,
            tail(&outcome.stderr),
            tail(&expected.stderr)
        );
        Ok(outcome)
    }

    fn moved(self, times: usize) -> Result<Report> {
        let outcome = self.succeeded()?;
        let report = outcome.report.with_context(|| format!("no report from {}", outcome.command))?;
        ensure!(report.exit == Exit::Status(0), "{:?} in the report of {}", report.exit, outcome.command);
        let found = report.migrations.len();
        ensure!(
            found >= times,
            "{found} moves in {} ms instead of {times}; stays: {:?}\nto repeat: {}",
            report.elapsed_us / 1000,
            report.stays,
            outcome.command
        );
        let about = || format!("the report of {}", outcome.command);
        ensure!(report.version == 1, "version {}", report.version);
        follow(&report.started_on, &report.migrations, report.elapsed_us).with_context(about)?;
        for child in &report.children {
            follow(&child.started_on, &child.migrations, report.elapsed_us).with_context(about)?;
        }
        Ok(report)
    }
}

/// Each move starts where the one before ended, later.
fn follow(started_on: &str, migrations: &[Migration], elapsed_us: u64) -> Result<()> {
    let (mut at, mut time) = (started_on, 0);
    for (number, migration) in migrations.iter().enumerate() {
        ensure!(migration.from == at, "move {number} is from {} but the program was on {at}", migration.from);
        ensure!(migration.at_us >= time && migration.at_us <= elapsed_us, "move {number} at {}", migration.at_us);
        ensure!(migration.frames > 0 && migration.record_bytes > 0, "move {number} carried nothing: {migration:?}");
        (at, time) = (&migration.to, migration.at_us);
    }
    Ok(())
}

/// Requires that the program moved from every ISA to every other ISA.
///
/// # Errors
/// The pair that is missing.
pub fn require_move_between_all(report: &Report) -> Result<()> {
    for from in ISAS {
        for to in ISAS {
            let seen = report.migrations.iter().any(|migration| migration.from == from && migration.to == to);
            ensure!(from == to || seen, "no move from {from} to {to} among {}", report.migrations.len());
        }
    }
    Ok(())
}

fn excerpt(bytes: &[u8], at: usize) -> String {
    let start = at.saturating_sub(20);
    String::from_utf8_lossy(&bytes[start.min(bytes.len())..(at + 60).min(bytes.len())]).into_owned()
}

/// The last lines, where the reason of a failure is.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
