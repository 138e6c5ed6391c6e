//! `maize inspect`.

use crate::arguments::Inspect;
use crate::error::{CommandError, print};
use maize_image::{Image, inspect, render_human};

/// Shows what a program holds.
///
/// # Errors
/// If it is not a multi-ISA program, or damaged.
pub fn execute(options: &Inspect) -> Result<(), CommandError> {
    let image = Image::open(&options.file)?;
    let report = inspect(&image)?;
    if options.json {
        let mut text = serde_json::to_string_pretty(&report)?;
        text.push('\n');
        return print(&text);
    }
    print(&render_human(&report, options.functions))
}
