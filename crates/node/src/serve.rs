//! Answers to what processes ask about processes (`maize_abi::processes`, docs/processes.md).

use crate::error::RunError;
use crate::host::{Heard, Host, Launchers, send, socket_pair};
use crate::machine::Machine;
use crate::processes::{Children, EINVAL, ESRCH, Id, Selector};
use crate::program::Execution;
use crate::supervisor::Supervisor;
use maize_abi::Isa;
use maize_abi::control::{Kind, Message, TEXT_SIZE};
use maize_abi::processes::{CHILDREN_DISCARDED, CHILDREN_STOP_SILENTLY, Request, SERVED, SignalInformation};
use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process, test_kill_process_group};
use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;

const WNOHANG: u64 = 1;
const EAGAIN: i64 = -11;

/// Ids that are no kernel's: its own end below (`PID_MAX_LIMIT`).
const OWN_IDS: Id = 1 << 22;

/// What is kept for answers.
pub(crate) struct Served {
    isas: Vec<Isa>,
    machine: Machine,
    /// Programs that have been executed, by device, inode, size and time of change of their files.
    programs: HashMap<(PathBuf, [u64; 4]), Rc<Launchers>>,
}

impl Served {
    pub(crate) fn new(isas: Vec<Isa>, machine: Machine) -> Served {
        Served { isas, machine, programs: HashMap::new() }
    }

    /// The program in a file, if it is one of Maize's that has code for every ISA of the run.
    fn program(&mut self, path: &Path) -> Option<Rc<Launchers>> {
        let status = rustix::fs::stat(path).ok()?;
        let size = u64::try_from(status.st_size).unwrap_or(0);
        let key = (path.to_owned(), [status.st_dev, status.st_ino, size, status.st_mtime_nsec as u64]);
        if let Some(launchers) = self.programs.get(&key) {
            return Some(Rc::clone(launchers));
        }
        let launchers = Launchers::new(path, &self.isas, &[path.as_os_str().to_owned()], &self.machine).ok()?;
        let launchers = Rc::new(launchers);
        self.programs.insert(key, Rc::clone(&launchers));
        Some(launchers)
    }
}

/// `#!interpreter argument`, as the kernel reads it.
fn interpreter(path: &Path) -> Option<(PathBuf, String)> {
    let mut start = [0; 256];
    let length = File::open(path).ok()?.read(&mut start).ok()?;
    let line = start.get(..length)?.strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?.trim();
    let (interpreter, argument) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    Some((interpreter.into(), argument.trim().to_owned()))
}

fn message(values: &[i64]) -> Message {
    let mut all = [0; 8];
    for (to, from) in all.iter_mut().zip(values) {
        *to = from.cast_unsigned();
    }
    Message::new(Kind::Answer, all)
}

impl Supervisor<'_> {
    /// Answers a question.
    pub(crate) fn answer(&mut self, id: Id, heard: Heard) -> Result<(), RunError> {
        let mut descriptors = heard.descriptors.into_iter();
        let Some(reply) = descriptors.next() else { return Ok(()) };
        let [request, operands @ ..] = heard.message.values;
        if let (Some(Request::Whole), Some(program)) = (Request::from_number(request), self.programs.get_mut(&id)) {
            program.tell_when_whole(reply);
            return Ok(());
        }
        let mut passed = None;
        let answer = match Request::from_number(request) {
            Some(Request::Forking) => {
                let (theirs, ours) = socket_pair()?;
                if let Some(program) = self.programs.get_mut(&id) {
                    program.forking = Some(ours);
                }
                passed = Some(theirs);
                message(&[0])
            }
            Some(Request::Forked) => message(&[self.forked(id, operands[0] != 0)?]),
            Some(Request::Execute) => self.execute(id, descriptors.next()),
            Some(Request::Executed) => self.executed(id),
            Some(Request::Wait) => self.wait_for_child(id, operands),
            Some(request) => message(&[self.simple(id, request, operands)]),
            None => message(&[EINVAL]),
        };
        // Who asked may have been killed.
        let _ = send(reply.as_fd(), &answer, passed.as_ref().map(AsFd::as_fd));
        Ok(())
    }

    fn simple(&mut self, caller: Id, request: Request, [a, b, c, d, e, ..]: [u64; 7]) -> i64 {
        let process = if a as Id == 0 { caller } else { a as Id };
        match request {
            Request::Kill => {
                self.kill(caller, a as i32, SignalInformation { signal: b as u32, code: c as i32, sender: d, value: e })
            }
            Request::SetGroup => self.table.set_group(caller, a as Id, b as Id),
            Request::Group => self.table.group(process).map_or(ESRCH, i64::from),
            Request::SetSession => self.table.set_session(caller),
            Request::Session => self.table.session(process).map_or(ESRCH, i64::from),
            Request::Parent => self.table.parent(caller).map_or(ESRCH, i64::from),
            Request::Locate => self.locate(process).map_or(ESRCH, |pid| pid.as_raw_nonzero().get().into()),
            Request::Children => {
                let has = |bit| a & bit != 0;
                let children =
                    Children { discarded: has(CHILDREN_DISCARDED), stop_silently: has(CHILDREN_STOP_SILENTLY) };
                self.table.set_children(caller, children);
                0
            }
            Request::ParentEnd => self.table.set_parent_end(caller, a as u32),
            Request::NotExecuted => {
                if let Some(program) = self.programs.get_mut(&caller) {
                    program.executing = None;
                }
                0
            }
            Request::Forking
            | Request::Forked
            | Request::Executed
            | Request::Execute
            | Request::Wait
            | Request::Whole => EINVAL,
        }
    }

    fn locate(&self, id: Id) -> Option<Pid> {
        self.programs.get(&id).map(|program| program.current.pid())
    }

    fn forked(&mut self, parent: Id, made: bool) -> Result<i64, RunError> {
        let Some(program) = self.programs.get_mut(&parent) else { return Ok(EAGAIN) };
        let isa = program.current.isa;
        let host = match program.forking.take().filter(|_| made) {
            Some(control) => Host::adopt(isa, control)?,
            None => None,
        };
        program.deliver_held();
        let Some(host) = host else { return Ok(EAGAIN) };
        let pid = host.pid().as_raw_nonzero().get().unsigned_abs();
        // The kernel gives ids of ended host processes again, but programs may still know processes by them.
        let id = std::iter::once(pid).chain(OWN_IDS..).find(|&id| !self.table.exists(id)).unwrap_or(pid);
        let _ = host.send(&Message::new(Kind::Run, [0, 0, 0, SERVED, id.into(), 0, 0, 0]), None);
        self.begin_child(parent, id, host);
        Ok(id.into())
    }

    fn wait_for_child(&mut self, caller: Id, [kind, id, options, ..]: [u64; 7]) -> Message {
        let selector = match kind {
            0 => Selector::All,
            1 => Selector::One(id as Id),
            2 => Selector::Group(id as Id),
            _ => return message(&[EINVAL]),
        };
        match self.table.wait(caller, selector, options) {
            Ok(Some(found)) => {
                let [user, system] = found.times.map(u64::cast_signed);
                let uid = rustix::process::getuid().as_raw();
                message(&[found.id.into(), found.code.into(), found.status.into(), user, system, uid.into()])
            }
            Ok(None) => {
                if let Some(program) = self.programs.get_mut(&caller) {
                    program.waits |= options & WNOHANG == 0;
                }
                message(&[0])
            }
            Err(error) => message(&[error]),
        }
    }

    /// `kill`: by the table, or, if it knows nobody of that id, by the kernel's.
    fn kill(&mut self, caller: Id, target: i32, signal: SignalInformation) -> i64 {
        if signal.signal > 64 {
            return EINVAL;
        }
        let targets = self.table.targets(caller, target);
        if targets.is_empty() && target != -1 {
            return kill_outside(target, signal.signal);
        }
        if signal.signal != 0 {
            for id in &targets {
                if let Some(program) = self.programs.get_mut(id) {
                    program.deliver(signal);
                }
            }
        }
        if targets.is_empty() { ESRCH } else { 0 }
    }

    /// Another program runs in the process.
    fn executed(&mut self, id: Id) -> Message {
        self.table.execute(id);
        let now = self.common.started.elapsed();
        let mut answer = message(&[0]);
        if let Some(program) = self.programs.get_mut(&id)
            && let Some(Execution::Multi(launchers)) = program.executing.take()
        {
            answer.text = launchers.described();
            program.executed(launchers, now);
        }
        answer
    }

    /// Another program is about to be executed.
    fn execute(&mut self, id: Id, file: Option<OwnedFd>) -> Message {
        let Some(isa) = self.programs.get(&id).map(|program| program.current.isa) else { return message(&[ESRCH]) };
        let path = file.and_then(|file| std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok());
        let path = path.unwrap_or_default();
        let script = interpreter(&path);
        let program = self.served.program(script.as_ref().map_or(&path, |(interpreter, _)| interpreter));
        let mut answer = message(&[program.is_some().into(), script.is_some().into()]);
        if let Some(launcher) = program.as_ref().and_then(|program| program.of(isa).ok())
            && let Some(text) = launcher.described(script.as_ref())
        {
            if text.len() > TEXT_SIZE {
                return message(&[EINVAL]);
            }
            answer.text[..text.len()].copy_from_slice(text.as_bytes());
        }
        if let Some(process) = self.programs.get_mut(&id) {
            process.executing = Some(program.map_or(Execution::Native, Execution::Multi));
        }
        answer
    }
}

/// `kill` of a process or group that is not the program's.
fn kill_outside(target: i32, number: u32) -> i64 {
    let Some(pid) = Pid::from_raw(target.abs()) else { return ESRCH };
    let signal = Signal::from_named_raw(number.cast_signed());
    let result = match (target > 0, signal) {
        (true, Some(signal)) => kill_process(pid, signal),
        (false, Some(signal)) => kill_process_group(pid, signal),
        (true, None) => test_kill_process(pid),
        (false, None) => test_kill_process_group(pid),
    };
    result.map_or_else(|error| -i64::from(error.raw_os_error()), |()| 0)
}
