//! What the user sees of Maize itself on standard error: messages, and a line that tells how far a long job has come.

use std::env;
use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _, stderr};

/// Whether messages on standard error may be coloured: it is a terminal, and the user has not asked for none (no-color.org).
pub fn stderr_has_colours() -> bool {
    let no_colour = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !no_colour && env::var_os("TERM").is_none_or(|term| term != "dumb") && stderr().is_terminal()
}

/// Prints an error.
pub fn error(message: &dyn Display) {
    print("error", "1;31", message);
}

/// Prints a remark.
pub fn note(message: &dyn Display) {
    print("note", "1;36", message);
}

fn print(kind: &str, colour: &str, message: &dyn Display) {
    // Nothing can be done about a standard error that cannot be written to.
    let _ = if stderr_has_colours() {
        writeln!(stderr(), "\x1b[1mmaize: \x1b[{colour}m{kind}:\x1b[0m {message}")
    } else {
        writeln!(stderr(), "maize: {kind}: {message}")
    };
}

/// One line on standard error that is overwritten as the job goes on, and gone when it ends. If standard error is not
/// a terminal there is no such line.
pub struct StatusLine {
    enabled: bool,
}

impl StatusLine {
    /// An empty line.
    pub fn new() -> StatusLine {
        StatusLine { enabled: stderr().is_terminal() }
    }

    /// Shows a text in place of the one before.
    pub fn show(&self, text: &str) {
        if self.enabled {
            let _ = write!(stderr(), "\r\x1b[K{text}");
        }
    }
}

impl Default for StatusLine {
    fn default() -> StatusLine {
        StatusLine::new()
    }
}

impl Drop for StatusLine {
    fn drop(&mut self) {
        self.show("");
    }
}
