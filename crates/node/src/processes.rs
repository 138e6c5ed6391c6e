//! The table of processes as the program sees them: parents, groups, sessions, and how each ended. Pure: it holds no host, makes no
//! system call, and says whom to tell what. docs/processes.md has the rules, which are Linux's.

use maize_abi::processes::SignalInformation;
pub(crate) use maize_snapshot::Change;
use maize_snapshot::Relation;
use std::collections::BTreeMap;

/// A process id as programs see it.
pub(crate) type Id = u32;

/// Who adopts orphans; it waits for them at once.
const INIT: Id = 1;

const SIGCHLD: u32 = 17;

/// `si_code` of `SIGCHLD`.
const CLD_EXITED: i32 = 1;
const CLD_KILLED: i32 = 2;
const CLD_DUMPED: i32 = 3;
const CLD_STOPPED: i32 = 5;
const CLD_CONTINUED: i32 = 6;

/// Options of `waitid`.
const WSTOPPED: u64 = 2;
const WEXITED: u64 = 4;
const WCONTINUED: u64 = 8;
const WNOWAIT: u64 = 0x0100_0000;

/// Errors, as system calls give them.
pub(crate) const EPERM: i64 = -1;
pub(crate) const ESRCH: i64 = -3;
pub(crate) const ECHILD: i64 = -10;
pub(crate) const EACCES: i64 = -13;
pub(crate) const EINVAL: i64 = -22;

/// `si_code` and `si_status` of a change.
fn described(change: Change) -> (i32, i32) {
    match change {
        Change::Ended { status, .. } if status & 0x7f == 0 => (CLD_EXITED, status >> 8 & 0xff),
        Change::Ended { status, .. } if status & 0x80 != 0 => (CLD_DUMPED, status & 0x7f),
        Change::Ended { status, .. } => (CLD_KILLED, status & 0x7f),
        Change::Stopped { signal } => (CLD_STOPPED, signal),
        Change::Continued => (CLD_CONTINUED, 18),
    }
}

/// The option of `waitid` by which a change is waited for.
fn option(change: Change) -> u64 {
    match change {
        Change::Ended { .. } => WEXITED,
        Change::Stopped { .. } => WSTOPPED,
        Change::Continued => WCONTINUED,
    }
}

/// What a parent has asked for with its action for `SIGCHLD`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Children {
    /// No status is kept.
    pub(crate) discarded: bool,
    /// No signal when one stops or goes on.
    pub(crate) stop_silently: bool,
}

struct Process {
    parent: Id,
    group: Id,
    session: Id,
    children: Children,
    /// What the parent has not waited for yet.
    change: Option<Change>,
    /// The signal that it wants when its parent ends.
    parent_end: u32,
    /// It has executed another program since it was made.
    executed: bool,
}

impl Process {
    fn has_ended(&self) -> bool {
        matches!(self.change, Some(Change::Ended { .. }))
    }
}

/// Whom a wait is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Selector {
    All,
    One(Id),
    Group(Id),
}

/// What a wait has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) id: Id,
    pub(crate) code: i32,
    pub(crate) status: i32,
    pub(crate) times: [u64; 2],
}

/// Whom a change concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) parent: Id,
    pub(crate) signal: Option<SignalInformation>,
}

/// The table.
#[derive(Default)]
pub(crate) struct Table {
    processes: BTreeMap<Id, Process>,
}

impl Table {
    /// The first process, which belongs to a group and a session of the kernel's.
    pub(crate) fn begin(&mut self, id: Id, parent: Id, group: Id, session: Id) {
        let children = Children::default();
        let process = Process { parent, group, session, children, change: None, parent_end: 0, executed: false };
        self.processes.insert(id, process);
    }

    /// The table as a snapshot has it.
    pub(crate) fn relations(&self) -> Vec<Relation> {
        let relation = |(&id, process): (&Id, &Process)| Relation {
            id,
            parent: process.parent,
            group: process.group,
            session: process.session,
            discards_children: process.children.discarded,
            stops_silently: process.children.stop_silently,
            parent_end: process.parent_end,
            has_executed: process.executed,
            change: process.change,
        };
        self.processes.iter().map(relation).collect()
    }

    /// The table that a snapshot has. The parent of its first process is another one now.
    pub(crate) fn restored(relations: &[Relation], main: Id, parent: Id) -> Table {
        let process = |relation: &Relation| {
            let children = Children { discarded: relation.discards_children, stop_silently: relation.stops_silently };
            let process = Process {
                parent: if relation.id == main { parent } else { relation.parent },
                group: relation.group,
                session: relation.session,
                children,
                change: relation.change,
                parent_end: relation.parent_end,
                executed: relation.has_executed,
            };
            (relation.id, process)
        };
        Table { processes: relations.iter().map(process).collect() }
    }

    /// `fork`.
    pub(crate) fn fork(&mut self, parent: Id, child: Id) {
        let Some(Process { group, session, children, .. }) = self.processes.get(&parent) else { return };
        let process = Process {
            parent,
            group: *group,
            session: *session,
            children: *children,
            change: None,
            parent_end: 0,
            executed: false,
        };
        self.processes.insert(child, process);
    }

    /// The kernel has known the process so far, and has it in this group and session.
    pub(crate) fn place(&mut self, id: Id, group: Id, session: Id) {
        if let Some(process) = self.processes.get_mut(&id) {
            (process.group, process.session) = (group, session);
        }
    }

    /// `execve` has succeeded: handlers are gone, but what is ignored stays ignored.
    pub(crate) fn execute(&mut self, id: Id) {
        if let Some(process) = self.processes.get_mut(&id) {
            process.executed = true;
        }
    }

    /// The process wants this done with its children.
    pub(crate) fn set_children(&mut self, id: Id, children: Children) {
        if let Some(process) = self.processes.get_mut(&id) {
            process.children = children;
        }
    }

    /// The process wants a signal when its parent ends; none if 0.
    pub(crate) fn set_parent_end(&mut self, id: Id, signal: u32) -> i64 {
        match self.processes.get_mut(&id) {
            _ if signal > 64 => EINVAL,
            Some(process) => {
                process.parent_end = signal;
                0
            }
            None => ESRCH,
        }
    }

    /// The children that are to be told when this process ends, and by which signal each.
    pub(crate) fn told_of_end(&self, id: Id) -> Vec<(Id, u32)> {
        let told = |process: &&Process| process.parent == id && process.parent_end != 0 && !process.has_ended();
        self.processes.iter().filter(|(_, process)| told(process)).map(|(&id, one)| (id, one.parent_end)).collect()
    }

    /// Whether the process is in the table, ended or not.
    pub(crate) fn exists(&self, id: Id) -> bool {
        self.processes.contains_key(&id)
    }

    /// The parent's id.
    pub(crate) fn parent(&self, id: Id) -> Option<Id> {
        self.processes.get(&id).map(|process| process.parent)
    }

    /// The group's id.
    pub(crate) fn group(&self, id: Id) -> Option<Id> {
        self.processes.get(&id).map(|process| process.group)
    }

    /// The session's id.
    pub(crate) fn session(&self, id: Id) -> Option<Id> {
        self.processes.get(&id).map(|process| process.session)
    }

    /// Those that have not ended and that a target of `kill` means.
    pub(crate) fn targets(&self, caller: Id, target: i32) -> Vec<Id> {
        let group = match target {
            0 => self.group(caller),
            -1 => None,
            group if group < 0 => Some(group.unsigned_abs()),
            id => {
                return self
                    .processes
                    .contains_key(&id.unsigned_abs())
                    .then_some(id.unsigned_abs())
                    .into_iter()
                    .collect();
            }
        };
        let meant = |id: Id, process: &Process| match target {
            -1 => id != caller,
            _ => Some(process.group) == group,
        };
        self.processes.iter().filter(|(id, process)| meant(**id, process)).map(|(id, _)| *id).collect()
    }

    /// `setpgid`.
    pub(crate) fn set_group(&mut self, caller: Id, id: Id, group: Id) -> i64 {
        let id = if id == 0 { caller } else { id };
        let group = if group == 0 { id } else { group };
        let Some(process) = self.processes.get(&id) else { return ESRCH };
        if id != caller && process.parent != caller {
            return ESRCH;
        }
        if id != caller && process.executed {
            return EACCES;
        }
        let session = process.session;
        if session == id || Some(session) != self.session(caller) {
            return EPERM;
        }
        let exists = self.processes.values().any(|other| other.group == group && other.session == session);
        if group != id && !exists {
            return EPERM;
        }
        if let Some(process) = self.processes.get_mut(&id) {
            process.group = group;
        }
        0
    }

    /// `setsid`.
    pub(crate) fn set_session(&mut self, caller: Id) -> i64 {
        if self.processes.values().any(|process| process.group == caller) {
            return EPERM;
        }
        match self.processes.get_mut(&caller) {
            Some(process) => {
                (process.group, process.session) = (caller, caller);
                i64::from(caller)
            }
            None => ESRCH,
        }
    }

    /// A process has ended, stopped or gone on. Returns whom to tell.
    pub(crate) fn change(&mut self, id: Id, change: Change) -> Option<Notice> {
        let is_end = matches!(change, Change::Ended { .. });
        if is_end {
            self.orphan_children(id);
        }
        let process = self.processes.get_mut(&id).filter(|process| !process.has_ended())?;
        process.change = Some(change);
        let parent = process.parent;
        let Some(children) = self.processes.get(&parent).filter(|parent| !parent.has_ended()).map(|one| one.children)
        else {
            if is_end {
                self.processes.remove(&id);
            }
            return None;
        };
        if is_end && children.discarded {
            self.processes.remove(&id);
        }
        let (code, status) = described(change);
        let silent = !is_end && children.stop_silently;
        let signal =
            SignalInformation { signal: SIGCHLD, code, sender: id.into(), value: u64::from(status.unsigned_abs()) };
        Some(Notice { parent, signal: (!silent).then_some(signal) })
    }

    fn orphan_children(&mut self, id: Id) {
        self.processes.retain(|_, process| process.parent != id || !process.has_ended());
        for process in self.processes.values_mut().filter(|process| process.parent == id) {
            process.parent = INIT;
        }
    }

    /// `waitid`, without waiting. `Ok(None)` if there are children, but nothing to tell.
    pub(crate) fn wait(&mut self, caller: Id, selector: Selector, options: u64) -> Result<Option<Found>, i64> {
        if options & (WEXITED | WSTOPPED | WCONTINUED) == 0 {
            return Err(EINVAL);
        }
        let group = self.group(caller);
        let selected = |id: Id, process: &Process| {
            process.parent == caller
                && match selector {
                    Selector::All => true,
                    Selector::One(one) => id == one,
                    Selector::Group(0) => Some(process.group) == group,
                    Selector::Group(group) => process.group == group,
                }
        };
        let mut any = false;
        let mut found = None;
        for (&id, process) in self.processes.iter().filter(|(id, process)| selected(**id, process)) {
            // A child that has ended and is not asked for its end counts as none, as on Linux.
            any |= !process.has_ended() || options & WEXITED != 0;
            if let Some(change) = process.change.filter(|&change| option(change) & options != 0) {
                found = Some((id, change));
                break;
            }
        }
        let Some((id, change)) = found else { return if any { Ok(None) } else { Err(ECHILD) } };
        let times = if let Change::Ended { times, .. } = change { times } else { [0; 2] };
        if options & WNOWAIT == 0 {
            if matches!(change, Change::Ended { .. }) {
                self.processes.remove(&id);
            } else if let Some(process) = self.processes.get_mut(&id) {
                process.change = None;
            }
        }
        let (code, status) = described(change);
        Ok(Some(Found { id, code, status, times }))
    }
}

#[cfg(test)]
mod tests;
