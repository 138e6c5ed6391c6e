//! The status line of `maize run`: where the program runs now, in the terminal's last row. The program has the rows above,
//! as with apt: the row is taken out of the region that scrolls.

use maize_terminal::StatusLine;
use rustix::termios::tcgetwinsize;
use std::io::{IsTerminal as _, Write as _, stderr, stdout};

/// The status line.
pub enum Status {
    /// Standard error is no terminal, or nobody wants to see it.
    Nowhere,
    /// The program's output goes elsewhere: the line can be anywhere.
    Line(StatusLine),
    /// The last row of the terminal, which has so many.
    LastRow(u16),
}

impl Status {
    /// The status line that suits the terminal.
    pub fn new(quiet: bool) -> Status {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        if quiet || dumb || !stderr().is_terminal() {
            return Status::Nowhere;
        }
        if !stdout().is_terminal() {
            return Status::Line(StatusLine::new());
        }
        match tcgetwinsize(stderr()) {
            Ok(size) if size.ws_row > 2 => {
                let rows = size.ws_row;
                // Makes room below the cursor, then keeps the last row from scrolling.
                let _ = write!(stderr(), "\n\x1b7\x1b[1;{}r\x1b8\x1b[1A", rows - 1);
                Status::LastRow(rows)
            }
            _ => Status::Nowhere,
        }
    }

    /// Shows where the program runs and how often it has moved.
    pub fn show(&self, isa: &str, moves: usize) {
        let text = format!("maize: on {isa}, {moves} {}", if moves == 1 { "move" } else { "moves" });
        match self {
            Status::Nowhere => {}
            Status::Line(line) => line.show(&text),
            Status::LastRow(rows) => {
                let _ = write!(stderr(), "\x1b7\x1b[{rows};1H\x1b[2K\x1b[7m{text}\x1b[0m\x1b8");
            }
        }
    }
}

impl Drop for Status {
    fn drop(&mut self) {
        if let Status::LastRow(rows) = self {
            let _ = write!(stderr(), "\x1b7\x1b[{rows};1H\x1b[2K\x1b[r\x1b8");
        }
    }
}
