//! Times of child processes, and statistics of pairs.

use anyhow::Result;
use maize_tests::{Checked, Run};

/// User and system time of a run, seconds; and what it printed. Not wall-clock time, which on a busy machine says more
/// about the other processes.
///
/// # Errors
/// If the program failed.
pub fn cpu_time(run: Run) -> Result<(f64, Vec<u8>)> {
    let before = children_time();
    let outcome = run.run()?.succeeded()?;
    Ok((children_time() - before, outcome.stdout))
}

/// CPU time of all children waited for so far.
fn children_time() -> f64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to a `rusage`, of which all zeros is a valid value even if the call should fail.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr());
        usage.assume_init()
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// What rounds of two alternatives, one after the other, say.
#[derive(Clone, Copy, Debug)]
pub struct Ratio {
    /// Median of the first's figures.
    pub base: f64,
    /// Median of the second's.
    pub other: f64,
    /// Median of the rounds' ratios, second to first.
    pub median: f64,
    /// Quartiles of the ratios.
    pub quartiles: (f64, f64),
}

/// Measures two alternatives in alternation, after a round that does not count.
///
/// # Errors
/// Of the alternatives.
pub fn paired(
    rounds: usize,
    mut base: impl FnMut() -> Result<f64>,
    mut other: impl FnMut() -> Result<f64>,
) -> Result<Ratio> {
    let mut pairs = Vec::new();
    for round in 0..=rounds {
        // Neither is always the first.
        let pair = if round % 2 == 0 {
            let first = base()?;
            (first, other()?)
        } else {
            let second = other()?;
            (base()?, second)
        };
        if round > 0 {
            pairs.push(pair);
        }
    }
    Ok(Ratio::of(&pairs))
}

impl Ratio {
    /// Of rounds of two alternatives.
    #[must_use]
    pub fn of(pairs: &[(f64, f64)]) -> Ratio {
        let mut ratios: Vec<f64> = pairs.iter().map(|(base, other)| other / base).collect();
        ratios.sort_by(f64::total_cmp);
        Ratio {
            base: median(pairs.iter().map(|pair| pair.0)),
            other: median(pairs.iter().map(|pair| pair.1)),
            median: median(ratios.iter().copied()),
            quartiles: (ratios[ratios.len() / 4], ratios[ratios.len() * 3 / 4]),
        }
    }
}

/// The middle value; of an even number, the mean of the middle two.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => values[length / 2],
        length => f64::midpoint(values[length / 2 - 1], values[length / 2]),
    }
}

/// The smallest value that this part of all values, from 0 to 1, does not exceed.
pub fn percentile(values: &[f64], part: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let rank = (values.len() as f64 * part).ceil() as usize;
    values.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
}

/// The geometric mean.
pub fn geometric_mean(values: &[f64]) -> f64 {
    (values.iter().map(|value| value.ln()).sum::<f64>() / values.len() as f64).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_what_they_say() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5);
        assert_eq!(percentile(&[4.0, 1.0, 3.0, 2.0], 0.5), 2.0);
        assert_eq!(percentile(&[4.0, 1.0, 3.0, 2.0], 0.99), 4.0);
        assert!((geometric_mean(&[0.5, 2.0]) - 1.0).abs() < 1e-12);
        let ratio = paired(5, || Ok(2.0), || Ok(3.0)).unwrap();
        assert_eq!((ratio.base, ratio.other, ratio.median, ratio.quartiles), (2.0, 3.0, 1.5, (1.5, 1.5)));
    }
}
