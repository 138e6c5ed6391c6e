//! What differs between two runs.

use crate::program::Outcome;
use maize_node::Exit;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Bytes shown of what differs.
const EXCERPT: usize = 60;

/// An output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What a run does otherwise than the reference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Difference {
    /// It ends otherwise.
    Exit {
        /// As the reference does.
        expected: Exit,
        /// As this run does.
        found: Exit,
    },
    /// It did not end in time.
    Timeout {
        /// The time that it had, milliseconds.
        after_ms: u64,
    },
    /// It prints something else.
    Output {
        /// Where.
        stream: Stream,
        /// Bytes that are the same.
        offset: u64,
        /// The line of the first that is not, from 1.
        line: u64,
        /// What should follow.
        expected: String,
        /// What follows.
        found: String,
    },
}

/// What the program should do.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    pub(crate) stdout: Vec<u8>,
    /// Nothing if standard error is not compared.
    pub(crate) stderr: Option<Vec<u8>>,
    pub(crate) exit: Exit,
}

impl Reference {
    /// The first that an outcome does otherwise.
    pub(crate) fn difference(&self, outcome: &Outcome) -> Option<Difference> {
        let Some(found) = outcome.exit else {
            let after_ms = u64::try_from(outcome.elapsed.as_millis()).unwrap_or(u64::MAX);
            return Some(Difference::Timeout { after_ms });
        };
        // How it ended tells more than what it had printed before.
        if found != self.exit && matches!(found, Exit::Signal(_)) {
            return Some(Difference::Exit { expected: self.exit, found });
        }
        let stderr = self.stderr.as_ref().and_then(|expected| output(Stream::Stderr, expected, &outcome.stderr));
        output(Stream::Stdout, &self.stdout, &outcome.stdout)
            .or(stderr)
            .or_else(|| (found != self.exit).then_some(Difference::Exit { expected: self.exit, found }))
    }
}

fn output(stream: Stream, expected: &[u8], found: &[u8]) -> Option<Difference> {
    if expected == found {
        return None;
    }
    let same = expected.iter().zip(found).take_while(|(expected, found)| expected == found).count();
    let line = expected[..same].iter().filter(|&&byte| byte == b'\n').count() as u64 + 1;
    let excerpt = |bytes: &[u8]| String::from_utf8_lossy(&bytes[same..bytes.len().min(same + EXCERPT)]).into_owned();
    Some(Difference::Output { stream, offset: same as u64, line, expected: excerpt(expected), found: excerpt(found) })
}

struct Ending(Exit);

impl fmt::Display for Ending {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Exit::Status(status) => write!(formatter, "exit status {status}"),
            Exit::Signal(signal) => write!(formatter, "signal {signal}{}", signal_name(signal)),
            Exit::Saved => write!(formatter, "saved in a snapshot"),
            Exit::Away => write!(formatter, "moved to another node"),
        }
    }
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        4 => " (SIGILL)",
        5 => " (SIGTRAP)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        13 => " (SIGPIPE)",
        15 => " (SIGTERM)",
        _ => "",
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Exit { expected, found } => {
                write!(formatter, "it ends with {} instead of {}", Ending(*found), Ending(*expected))
            }
            Difference::Timeout { after_ms } => write!(formatter, "it has not ended after {after_ms} ms"),
            Difference::Output { stream, offset, line, expected, found } => {
                let name = if *stream == Stream::Stdout { "standard output" } else { "standard error" };
                write!(formatter, "{name} differs from byte {offset}, line {line}: {found:?} instead of {expected:?}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn outcome(stdout: &str, exit: Option<Exit>) -> Outcome {
        Outcome {
            stdout: stdout.into(),
            stderr: b"noise".into(),
            exit,
            elapsed: Duration::from_millis(7),
            report: None,
        }
    }

    #[test]
    fn the_first_difference_is_found() {
        let reference = Reference { stdout: b"one\ntwo\n".into(), stderr: None, exit: Exit::Status(0) };
        let difference = |stdout, exit| reference.difference(&outcome(stdout, exit));
        assert_eq!(difference("one\ntwo\n", Some(Exit::Status(0))), None);
        assert_eq!(difference("one\ntwo\n", None), Some(Difference::Timeout { after_ms: 7 }));
        let exit = Difference::Exit { expected: Exit::Status(0), found: Exit::Status(1) };
        assert_eq!(difference("one\ntwo\n", Some(Exit::Status(1))), Some(exit));
        let Some(Difference::Output { offset: 5, line: 2, expected, found, .. }) =
            difference("one\ntow", Some(Exit::Status(0)))
        else {
            panic!("no difference in the output")
        };
        assert_eq!((expected.as_str(), found.as_str()), ("wo\n", "ow"));
        // A prefix is different too.
        assert!(matches!(difference("one\n", Some(Exit::Status(0))), Some(Difference::Output { offset: 4, .. })));
    }

    #[test]
    fn standard_error_counts_when_asked() {
        let reference = Reference { stdout: Vec::new(), stderr: Some(b"none".into()), exit: Exit::Status(0) };
        let found = reference.difference(&outcome("", Some(Exit::Status(0))));
        assert!(matches!(found, Some(Difference::Output { stream: Stream::Stderr, offset: 2, .. })), "{found:?}");
    }
}
