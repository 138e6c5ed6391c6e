//! Runs clang and other programs of LLVM.

use super::error::CcError;
use super::response_file;
use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The linker that clang would call.
pub const LINKER: &str = "ld.lld-22";

/// The kernel refuses longer command lines than some 2 MiB; long ones come from response files and go on in one.
const LONG_COMMAND_LINE: usize = 128 << 10;

/// How to run clang.
#[derive(Clone, Debug)]
pub struct Clang {
    /// The program.
    pub program: PathBuf,
    /// Whether what it has to say is kept for later, so that several at once do not mingle.
    pub capture: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Finished {
    /// Its exit status; 128 and the signal if one ended it, as shells have it.
    pub code: i32,
    /// What it printed on standard error, if that was captured.
    pub printed: Vec<u8>,
}

impl Clang {
    /// Runs clang to its end. Its standard output is ours.
    ///
    /// # Errors
    /// If it could not be started.
    pub fn run(&self, arguments: &[OsString]) -> Result<Finished, CcError> {
        let mut command = Command::new(&self.program);
        let long = arguments.iter().map(|argument| argument.len() + 1).sum::<usize>() > LONG_COMMAND_LINE;
        let response = if long { Some(response_file(arguments)?) } else { None };
        if self.capture && maize_terminal::stderr_has_colours() {
            command.arg("-fcolor-diagnostics");
        }
        match &response {
            Some(file) => {
                let mut argument = OsString::from("@");
                argument.push(file.path());
                command.arg(argument);
            }
            None => {
                command.args(arguments);
            }
        }
        let start =
            |source| CcError::Start { program: self.program.display().to_string(), package: "clang-22", source };
        if !self.capture {
            return Ok(Finished { code: exit_code(command.status().map_err(start)?), printed: Vec::new() });
        }
        let output = command.stdin(Stdio::inherit()).stdout(Stdio::inherit()).stderr(Stdio::piped()).output();
        let output = output.map_err(start)?;
        Ok(Finished { code: exit_code(output.status), printed: output.stderr })
    }
}

fn response_file(arguments: &[OsString]) -> Result<tempfile::NamedTempFile, CcError> {
    let directory = std::env::temp_dir();
    let mut file = tempfile::Builder::new().prefix("maize-cc-").tempfile().map_err(CcError::write(&directory))?;
    file.write_all(&response_file::quote(arguments)).map_err(CcError::write(&directory))?;
    Ok(file)
}

/// A process's exit status as one number.
pub fn exit_code(status: std::process::ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}
