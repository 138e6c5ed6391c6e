//! What a program gets of its node: the working directory, variables, umask and limits of who started it, and no way to more rights than the node's user has. docs/security.md
//! says what that is worth.

use super::filter::Filter;
use crate::error::{NodeError, Result};
use crate::limits::Limits;
use crate::message::{Start, Text};
use maize_node::Confinement;
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, UnshareFlags, set_no_new_privs, unshare_unsafe};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;

/// Of no use to programs, and much to who takes over the machine: loading kernel modules, access to its hardware, its clock, its boot, its
/// security policies and logs. The others are those that root has in containers, or that programs of root may depend on.
const DROPPED: &[CapabilitySet] = &[
    CapabilitySet::SYS_MODULE,
    CapabilitySet::SYS_RAWIO,
    CapabilitySet::SYS_BOOT,
    CapabilitySet::SYS_TIME,
    CapabilitySet::MAC_ADMIN,
    CapabilitySet::MAC_OVERRIDE,
    CapabilitySet::AUDIT_CONTROL,
    CapabilitySet::SYSLOG,
    CapabilitySet::WAKE_ALARM,
    CapabilitySet::BPF,
    CapabilitySet::PERFMON,
];

/// What the shim has mounts by, and what nearly all that the filter refuses takes.
const SHIMS_OWN: &[CapabilitySet] = &[CapabilitySet::SYS_ADMIN];

/// What the program's processes get, and its shim does not.
#[derive(Debug)]
pub(super) struct Terms {
    filter: Filter,
    limits: Limits,
}

impl Terms {
    pub(super) fn new(limits: Limits) -> Result<Terms> {
        Ok(Terms { filter: Filter::new()?, limits })
    }
}

impl Confinement for Terms {
    fn confine(&self) -> io::Result<()> {
        self.limits.impose()?;
        drop_capabilities(SHIMS_OWN);
        self.filter.install()
    }
}

/// Takes rights away for good, from this process and all it starts.
pub(crate) fn give_up_rights() -> Result<()> {
    set_no_new_privs(true).map_err(NodeError::system("giving up new privileges"))?;
    rustix::thread::clear_ambient_capability_set().map_err(NodeError::system("giving up ambient capabilities"))?;
    drop_capabilities(DROPPED);
    Ok(())
}

/// Takes capabilities from the bounding set. Async-signal-safe.
fn drop_capabilities(capabilities: &[CapabilitySet]) {
    for &capability in capabilities {
        // Who is not root has none, and kernels do not have all.
        let _ = rustix::thread::remove_capability_from_bounding_set(capability);
    }
}

/// What the kernel calls this machine.
pub(super) fn host_name() -> Text {
    OsStr::from_bytes(rustix::system::uname().nodename().to_bytes()).to_owned().into()
}

/// Has this process, and the program, know the machine by the name that the program's first one has. That takes root's rights; programs of other users see the names of their nodes.
fn keep_host_name(name: &Text) -> Result<()> {
    if *name == host_name() {
        return Ok(());
    }
    // SAFETY: descriptors and memory stay as they are, and the shim has one thread yet.
    match unsafe { unshare_unsafe(UnshareFlags::NEWUTS) } {
        Err(Errno::PERM) => return Ok(()),
        unshared => unshared.map_err(NodeError::system("keeping the program's host name"))?,
    }
    rustix::system::sethostname(name.as_os_str().as_bytes())
        .map_err(NodeError::system("keeping the program's host name"))
}

/// Takes over what belongs to who started the program.
pub(super) fn take_over(start: &Start, node: &str) -> Result<()> {
    let directory = start.directory.as_os_str();
    rustix::process::chdir(directory).map_err(|error| {
        let directory = directory.to_string_lossy();
        NodeError::Invalid(format!(
            "{directory}: {} on node {node}; make it there, choose another with --directory, or let the program see the files of this machine (--home-files)",
            std::io::Error::from(error)
        ))
    })?;
    if let Some(name) = &start.host_name {
        keep_host_name(name)?;
    }
    rustix::process::umask(Mode::from_raw_mode(start.umask & 0o777));
    for (name, _) in std::env::vars_os() {
        // SAFETY: the shim has one thread yet.
        unsafe { std::env::remove_var(name) };
    }
    for (name, value) in &start.environment {
        let (name, value): (OsString, OsString) = (name.clone().into(), value.clone().into());
        let bytes = name.as_encoded_bytes();
        if bytes.is_empty() || bytes.contains(&b'=') || bytes.contains(&0) || value.as_encoded_bytes().contains(&0) {
            return Err(NodeError::Invalid(format!("{}: not the name of a variable", name.to_string_lossy())));
        }
        // SAFETY: the shim has one thread yet.
        unsafe { std::env::set_var(name, value) };
    }
    Ok(())
}
