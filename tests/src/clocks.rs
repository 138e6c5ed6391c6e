//! Whether the clocks of the machine's processors agree. On a virtual machine that was halted and went on elsewhere they may not, by milliseconds, and then a timer of one processor is early
//! on the clock of another.

use anyhow::{Context as _, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A processor whose clock is behind is told the time of the last tick of the kernel's, so each pair is watched for some of them.
const WATCHED: Duration = Duration::from_millis(200);
/// In nanoseconds. Clocks that do not differ by more agree.
const AGREES: i64 = 100_000;
/// Asks for the time. No clock says this while the machine runs.
const ASK: i64 = 0;

fn now() -> i64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

fn run_on(processor: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(processor);
    sched_setaffinity(None, &set).with_context(|| format!("running on processor {processor}"))
}

/// So much too early a program may find a timer, or so far back its clock, that asks for times on whichever processor it runs, in nanoseconds, as an argument of the program's.
///
/// # Errors
/// If this process may not run on all processors.
pub fn clock_tolerance() -> Result<String> {
    let allowed = sched_getaffinity(None)?;
    let mut processors = (0..CpuSet::MAX_CPU).filter(|&processor| allowed.is_set(processor));
    let first = processors.next().context("no processor")?;
    let differences = processors.map(|other| difference(first, other)).collect::<Result<Vec<i64>>>()?;
    let most = differences.into_iter().max().unwrap_or(0);
    if most > AGREES {
        eprintln!("the clocks of this machine's processors differ by up to {most} ns");
    }
    Ok((2 * most + AGREES).to_string())
}

/// The most by which the monotonic clocks of two processors have been seen to differ, in nanoseconds. What the other one says has to be
/// between what the first one says before and afterwards.
fn difference(first: usize, other: usize) -> Result<i64> {
    let said = AtomicI64::new(1);
    let end = Instant::now() + WATCHED;
    thread::scope(|scope| {
        let answering = scope.spawn(|| {
            let placed = run_on(other);
            while Instant::now() < end {
                if said.load(Ordering::SeqCst) == ASK {
                    said.store(now(), Ordering::SeqCst);
                }
            }
            placed
        });
        let asking = scope.spawn(|| {
            run_on(first)?;
            let mut most = 0;
            while Instant::now() < end {
                let before = now();
                said.store(ASK, Ordering::SeqCst);
                let mut answer = ASK;
                while answer == ASK && Instant::now() < end {
                    answer = said.load(Ordering::SeqCst);
                }
                let after = now();
                if answer != ASK {
                    most = most.max(before - answer).max(answer - after);
                }
            }
            Ok(most)
        });
        answering.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        asking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
