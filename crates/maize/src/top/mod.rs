//! `maize top`: what programs use, on all nodes and on this machine, live.

mod gather;
mod rates;
mod table;

use crate::arguments::running::Top;
use crate::error::CommandError;
use gather::Gatherer;
use maize_daemon::message::NodeStatus;
use rates::Row;
use rustix::termios::tcgetwinsize;
use serde::Serialize;
use std::io::{IsTerminal as _, Write as _};
use std::num::NonZeroU64;
use std::thread::sleep;
use table::Size;

/// Of what is printed as JSON.
const VERSION: u32 = 1;

/// A table, as JSON.
#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    /// Over what time the processor was measured.
    interval_ms: u64,
    nodes: &'a [NodeStatus],
    programs: &'a [Row],
}

/// Carries out `maize top`.
///
/// # Errors
/// If nodes are named that cannot be asked for, there is a node here that cannot be used, or standard output cannot be written to.
pub fn execute(options: Top) -> Result<(), CommandError> {
    let Top { place, nodes, interval, count, sort, json } = options;
    let is_terminal = std::io::stdout().is_terminal() && !json;
    let count = count.map(NonZeroU64::get).or((!is_terminal).then_some(1));
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    let replaces = is_terminal && !is_dumb && count != Some(1);
    let mut gatherer = Gatherer::new(place.dir, nodes)?;
    let mut before = gatherer.sample()?;
    for number in 0..count.unwrap_or(u64::MAX) {
        sleep(interval);
        let now = gatherer.sample()?;
        let rows = rates::rows(&before, &now, sort);
        let text = if json {
            let interval_ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
            let document = Document { version: VERSION, interval_ms, nodes: &now.nodes, programs: &rows };
            serde_json::to_string_pretty(&document)? + "\n"
        } else {
            let table = table::text(&now.nodes, &rows, size());
            let between = if number > 0 { "\n" } else { "" };
            if replaces { on_screen(&table) } else { format!("{between}{table}") }
        };
        if !show(&text)? {
            return Ok(());
        }
        before = now;
    }
    Ok(())
}

/// Of the terminal, if standard output is one that tells.
fn size() -> Option<Size> {
    let size = tcgetwinsize(std::io::stdout()).ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then(|| Size { columns: size.ws_col.into(), rows: size.ws_row.into() })
}

/// In the place of what was there, without clearing all of that first, which would flicker. A character may be wider than it was counted: the terminal is not to go on in
/// the next line meanwhile.
fn on_screen(table: &str) -> String {
    let lines: String = table.split_inclusive('\n').map(|line| format!("\x1b[K{line}")).collect();
    format!("\x1b[?7l\x1b[H{lines}\x1b[J\x1b[?7h")
}

/// Whether there is somebody left to read what comes next.
fn show(text: &str) -> Result<bool, CommandError> {
    let mut output = std::io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(CommandError::Print(error)),
    }
}
