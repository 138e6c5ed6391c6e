//! `execve`. Another Maize program goes on under the node's control, on the ISA that the process is on; any other is the kernel's
//! to execute, and the process does not move any more, but its relatives wait for it all the same.

use super::proc_files::in_digits;
use super::{identity, node};
use crate::local;
use crate::memory;
use crate::migration::channel::{self, close};
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use core::sync::atomic::Ordering;
use maize_abi::control::{DESCRIPTOR_VARIABLE, Kind, Message};
use maize_abi::processes::Request;

/// What is executed: a path relative to a directory, with the flags of `execveat`.
#[derive(Clone, Copy)]
struct File {
    directory: u64,
    path: u64,
    flags: u64,
}

/// `execve` and `execveat`, while the node keeps the table. Returns only if it fails.
///
/// # Safety
/// That of the call.
pub unsafe fn execute(number: u64, [a1, a2, a3, a4, a5, _]: [u64; 6]) -> i64 {
    let (file, arguments, environment) = match number {
        EXECVE => (File { directory: AT_FDCWD as u64, path: a1, flags: 0 }, a2, a3),
        _ => (File { directory: a1, path: a2, flags: a5 }, a3, a4),
    };
    // SAFETY: by the contract above.
    unsafe {
        let opened =
            kernel::call(OPENAT, [file.directory, file.path, O_PATH | O_CLOEXEC | file.flags & AT_EMPTY_PATH, 0]);
        if opened < 0 {
            return opened;
        }
        let answer = node::ask(Request::Execute, &[], Some(opened));
        close(opened);
        let Some(answer) = answer else { return as_given(file, arguments, environment) };
        stay();
        let [is_own, is_script, ..] = answer.message.values;
        let result = match is_own {
            0 => as_given(file, arguments, environment),
            1 => under_control(file, arguments, environment, &answer.message, is_script != 0),
            error => error as i64,
        };
        node::ask(Request::NotExecuted, &[], None);
        result
    }
}

/// # Safety
/// That of `execveat`.
unsafe fn as_given(file: File, arguments: u64, environment: u64) -> i64 {
    // SAFETY: by the contract above. Not every emulator knows `execveat`.
    unsafe {
        match file {
            File { directory, path, flags: 0 } if directory as i32 == AT_FDCWD as i32 => {
                kernel::call(EXECVE, [path, arguments, environment])
            }
            File { directory, path, flags } => kernel::call(EXECVEAT, [directory, path, arguments, environment, flags]),
        }
    }
}

/// A move that has been asked for will not be: the memory to move is about to go.
fn stay() {
    let control = local::CONTROL.load(Ordering::Relaxed);
    while let Some(received) = channel::receive(control, false) {
        received.descriptors().iter().for_each(|&descriptor| close(descriptor.into()));
        if received.message.kind() == Some(Kind::Move) {
            let reason = "it is about to execute another program";
            channel::send(control, &Message::with_text(Kind::Stayed, reason), &[]);
        }
    }
}

/// Words being written one after the other, then strings.
struct Writer {
    words: u64,
    strings: u64,
}

impl Writer {
    /// # Safety
    /// There is room.
    unsafe fn word(&mut self, word: u64) {
        // SAFETY: by the contract above.
        unsafe { (self.words as *mut u64).write(word) };
        self.words += 8;
    }

    /// Writes a string and returns its address.
    ///
    /// # Safety
    /// There is room, and it is zero.
    unsafe fn string(&mut self, bytes: &[u8]) -> u64 {
        let address = self.strings;
        // SAFETY: by the contract above.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), address as *mut u8, bytes.len()) };
        self.strings += bytes.len() as u64 + 1;
        address
    }
}

/// The number of words of a list before its end.
///
/// # Safety
/// The address is null, or that of such a list.
unsafe fn count(list: u64) -> u64 {
    let mut length = 0;
    // SAFETY: by the contract above.
    while list != 0 && unsafe { ((list + 8 * length) as *const u64).read() } != 0 {
        length += 1;
    }
    length
}

/// Executes a Maize program, which finds the control socket and its id in its environment.
///
/// # Safety
/// That of `execveat`.
unsafe fn under_control(file: File, arguments: u64, environment: u64, answer: &Message, is_script: bool) -> i64 {
    /// Room for the words and strings that are added.
    const ADDED: u64 = 4096;
    let mut lines = answer.text().split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (emulator, executable, interpreter, argument) = (line(), line(), line(), line());
    // SAFETY: by the contract above; the memory is fresh, and large enough for both lists and what is added.
    unsafe {
        let (given, variables) = (count(arguments), count(environment));
        let size = ADDED + 8 * (given + variables);
        let Some(base) = memory::map_for_host(size) else { return -ENOMEM };
        let mut writer = Writer { words: base + ADDED, strings: base };
        let new_environment = writer.words;
        for index in 0..variables {
            writer.word(((environment + 8 * index) as *const u64).read());
        }
        let variable = write_variable(&mut writer);
        writer.word(variable);
        writer.word(0);
        let result = if executable.is_empty() {
            with_control_kept(|| as_given(file, arguments, new_environment))
        } else if kernel::call(FACCESSAT, [file.directory, file.path, 1]) < 0 {
            -EACCES
        } else {
            let executable = writer.string(executable.as_bytes());
            let first = if given > 0 { (arguments as *const u64).read() } else { file.path };
            let first = if is_script { writer.string(interpreter.as_bytes()) } else { first };
            let new_arguments = writer.words;
            let mut program = executable;
            if emulator.is_empty() {
                writer.word(first);
            } else {
                program = writer.string(emulator.as_bytes());
                let option = writer.string(b"-0");
                [program, option, first, executable].into_iter().for_each(|word| writer.word(word));
            }
            if is_script {
                if !argument.is_empty() {
                    let argument = writer.string(argument.as_bytes());
                    writer.word(argument);
                }
                writer.word(file.path);
            }
            for index in 1..given {
                writer.word(((arguments + 8 * index) as *const u64).read());
            }
            writer.word(0);
            with_control_kept(|| kernel::call(EXECVE, [program, new_arguments, new_environment]))
        };
        kernel::call(MUNMAP, [base, size]);
        result
    }
}

/// `MAIZE_CONTROL_FD=DESCRIPTOR ID`
///
/// # Safety
/// There is room for 64 bytes.
unsafe fn write_variable(writer: &mut Writer) -> u64 {
    let address = writer.strings;
    let mut put = |bytes: &[u8]| {
        // SAFETY: by the contract above.
        unsafe { writer.string(bytes) };
        writer.strings -= 1;
    };
    put(DESCRIPTOR_VARIABLE.as_bytes());
    put(b"=");
    for (separator, number) in
        [(b"".as_slice(), local::CONTROL.load(Ordering::Relaxed) as u64), (b" ", identity::program_pid())]
    {
        put(separator);
        put(in_digits(number, &mut [0; 20]));
    }
    writer.strings += 1;
    address
}

/// Does something while the control socket is not closed on `exec`.
fn with_control_kept(execute: impl FnOnce() -> i64) -> i64 {
    const FD_CLOEXEC: u64 = 1;
    let control = local::CONTROL.load(Ordering::Relaxed) as u64;
    let set_flags = |flags| {
        // SAFETY: takes no pointers; the descriptor is the runtime's.
        unsafe { kernel::call(FCNTL, [control, F_SETFD, flags]) };
    };
    set_flags(0);
    let result = execute();
    set_flags(FD_CLOEXEC);
    result
}
