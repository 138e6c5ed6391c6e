//! The programs on a node, each in the care of its shim. A shim's end shows on a socket to it; a daemon that starts anew connects to the sockets that it finds.

use super::note;
use crate::addresses;
use crate::arrivals;
use crate::directory::{Directory, make_private};
use crate::error::{NodeError, Result};
use crate::hosts::HostProcess;
use crate::link::{self, Order, Question, Sockets};
use crate::message::{Location, Passage, ProgramState, ProgramStatus, Transfer};
use crate::poll::is_ready;
use crate::shim::record;
use crate::sync::lock;
use rustix::event::PollFlags;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

/// So many programs that have ended are remembered, with what they have said.
const MOST_ENDED: usize = 100;
/// So many programs run at a time.
const MOST: usize = 4096;

struct Running {
    /// Closed by the shim's end.
    link: UnixStream,
    /// If this daemon has started it: it has to be waited for.
    child: Option<Child>,
}

/// The programs of a node.
pub(crate) struct Programs {
    node: Directory,
    path: PathBuf,
    running: Mutex<BTreeMap<u32, Running>>,
    /// How many have ended since this daemon runs.
    ended: AtomicUsize,
}

impl Programs {
    /// Finds the programs that run already.
    pub(super) fn find(directory: &Directory) -> Result<Programs> {
        let path = directory.programs();
        make_private(&path)?;
        let mut running = BTreeMap::new();
        for (program, directory) in directories(&path) {
            if let Ok(link) = link::ask(&directory, &Question::Watch) {
                running.insert(program, Running { link, child: None });
            }
        }
        if !running.is_empty() {
            note(&format!("found {} running", running.len()));
        }
        for (_, program) in directories(&path).filter(|(program, _)| !running.contains_key(program)) {
            finish_arrival(directory, &program);
            clear_address(&program, &path, &running);
        }
        Ok(Programs { node: directory.clone(), path, running: Mutex::new(running), ended: AtomicUsize::new(0) })
    }

    /// How many run.
    pub(super) fn running(&self) -> usize {
        lock(&self.running).len()
    }

    /// How many have ended since this daemon runs.
    pub(super) fn ended(&self) -> usize {
        self.ended.load(Ordering::Relaxed)
    }

    /// Where programs have their directories.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The directory of a program.
    pub(super) fn directory(&self, program: u32) -> PathBuf {
        self.path.join(program.to_string())
    }

    /// Starts a shim, and leaves the connections to it.
    pub(super) fn start(&self, order: &Order, sockets: &Sockets) -> Result<()> {
        if self.running() >= MOST {
            return Err(NodeError::Invalid(format!("{MOST} programs run here already")));
        }
        let (child, link) = start_itself("shim").map_err(NodeError::system("starting a shim"))?;
        let mut to_shim = link.try_clone().map_err(NodeError::system("starting a shim"))?;
        // Before it can tell anyone that it runs.
        lock(&self.running).insert(child.id(), Running { link, child: Some(child) });
        link::hand_over(&mut to_shim, order, sockets).map_err(NodeError::system("handing over a connection"))
    }

    /// Whether a program runs.
    pub(super) fn is_running(&self, program: u32) -> bool {
        self.look_after();
        lock(&self.running).contains_key(&program)
    }

    /// Forgets those that have ended.
    pub(super) fn look_after(&self) {
        let mut running = lock(&self.running);
        let before: Vec<u32> = running.keys().copied().collect();
        running.retain(|_, one| {
            if !has_ended(&one.link) {
                return true;
            }
            // It closes the socket by ending, so this takes no time.
            one.child.take().is_some_and(|mut child| child.wait().is_err())
        });
        if running.len() < before.len() {
            self.ended.fetch_add(before.len() - running.len(), Ordering::Relaxed);
            for program in before.iter().filter(|program| !running.contains_key(program)) {
                finish_arrival(&self.node, &self.directory(*program));
                end_what_is_left(*program, &self.directory(*program));
                clear_address(&self.directory(*program), &self.path, &running);
            }
            self.forget_old(&running);
        }
    }

    fn forget_old(&self, running: &BTreeMap<u32, Running>) {
        let mut ended: Vec<(Option<SystemTime>, PathBuf)> = directories(&self.path)
            .filter(|(program, _)| !running.contains_key(program))
            .map(|(_, directory)| (record::read(&directory), directory))
            // Of those that wait for another node this is all that is known.
            .filter(|(status, _)| !matches!(status, Some(ProgramStatus { state: ProgramState::Unsettled(_), .. })))
            .map(|(_, directory)| (record::changed(&directory), directory))
            .collect();
        ended.sort();
        let surplus = ended.len().saturating_sub(MOST_ENDED);
        for (_, directory) in &ended[..surplus] {
            let _ = fs::remove_dir_all(directory);
        }
    }

    /// How each program is.
    pub(super) fn list(&self) -> Vec<ProgramStatus> {
        self.look_after();
        let running = lock(&self.running);
        let mut list: Vec<ProgramStatus> = directories(&self.path)
            .filter_map(|(program, directory)| {
                let mut status = record::read(&directory)?;
                if status.state == ProgramState::Running && !running.contains_key(&program) {
                    status.state = ProgramState::Lost;
                }
                Some(status)
            })
            .collect();
        list.sort_by_key(|status| (status.started, status.program));
        list
    }

    /// Removes what is left of those that were on their way here and never came.
    pub(super) fn remove_given_up(&self) {
        for (program, directory) in directories(&self.path) {
            // One that has come has a record. The number is that of its shim.
            if record::read(&directory).is_none() && !Path::new(&format!("/proc/{program}")).exists() {
                let _ = fs::remove_dir_all(&directory);
            }
        }
    }

    /// Whether one of them was given to another node in this attempt, and it is not known whether it has come there.
    pub(super) fn is_unsettled(&self, transfer: &Transfer) -> bool {
        directories(&self.path)
            .filter_map(|(_, directory)| record::read(&directory))
            .any(|status| matches!(status.state, ProgramState::Unsettled(passage) if passage.transfer == *transfer))
    }

    /// Those that were given to another node which has not said whether it has them, and whose shims are gone: the directory of each.
    pub(super) fn abandoned(&self) -> Vec<(PathBuf, ProgramStatus, Passage)> {
        self.look_after();
        let running = lock(&self.running);
        let left = directories(&self.path).filter(|(program, _)| !running.contains_key(program));
        let unsettled = left.filter_map(|(_, directory)| {
            let status = record::read(&directory)?;
            let ProgramState::Unsettled(passage) = status.state.clone() else { return None };
            Some((directory, status, passage))
        });
        unsettled.collect()
    }

    /// Where a program has gone, if it has.
    pub(super) fn elsewhere(&self, program: u32) -> Option<Location> {
        match record::read(&self.directory(program))?.state {
            ProgramState::Moved(location) => Some(location),
            _ => None,
        }
    }

    /// Sends a program a signal.
    pub(super) fn signal(&self, program: u32, signal: u8) -> Result<()> {
        if !self.is_running(program) {
            return Err(NodeError::Invalid(format!("no program {program} runs here")));
        }
        link::ask(&self.directory(program), &Question::Signal(signal)).map(|_| ())
    }
}

/// Starts this very executable, even if another has taken its place since, for this purpose: the process, and a socket that is its standard input.
pub(super) fn start_itself(purpose: &str) -> std::io::Result<(Child, UnixStream)> {
    let (link, theirs) = UnixStream::pair()?;
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0(format!("maize-{purpose}"))
        .arg(purpose)
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
        .stdout(Stdio::null());
    Ok((command.spawn()?, link))
}

/// A shim that was killed between the decision that its program has come and the record that says so.
fn finish_arrival(node: &Directory, program: &Path) {
    if arrivals::has_come(node, program)
        && let Err(error) = record::complete(program)
    {
        note(&error.to_string());
    }
}

/// What a shim that was killed has left.
fn clear_address(program: &Path, path: &Path, running: &BTreeMap<u32, Running>) {
    let running: Vec<PathBuf> = running.keys().map(|program| path.join(program.to_string())).collect();
    if let Some(reason) = addresses::clear(program, running.iter().map(PathBuf::as_path)) {
        note(&reason);
    }
}

fn has_ended(link: &UnixStream) -> bool {
    // A shim says nothing here: what can be read is its end.
    is_ready(link, PollFlags::IN)
}

/// A shim that was killed leaves the program's processes, which it has started in its session. They may wait for good, for pages that only it could bring.
/// Only for one that has just ended: later the number may be another session's.
fn end_what_is_left(program: u32, directory: &Path) {
    if record::read(directory).is_some_and(|status| status.state == ProgramState::Running) {
        HostProcess::of_session(program).into_iter().for_each(HostProcess::end);
    }
}

fn directories(path: &Path) -> impl Iterator<Item = (u32, PathBuf)> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
}
