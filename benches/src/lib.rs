//! Benchmarks of what Maize costs, each a program in `src/bin/` that prints a Markdown table. Every figure is a ratio of
//! two builds measured in the same run, in alternation, so that what else the machine does falls on both.

mod build;
mod measure;

pub use build::{Builds, Program};
pub use measure::{Ratio, cpu_time, geometric_mean, median, paired};
