//! Addresses that programs have by themselves, written down for as long as their shims may have added them: if a shim is killed, the daemon takes its address away.

use crate::directory::{read_if_there, write_private};
use crate::error::Result;
use maize_node::Address;
use std::fs;
use std::path::{Path, PathBuf};

fn file(program: &Path) -> PathBuf {
    program.join("address")
}

/// Notes that the program of this directory may have an address from now on.
pub(crate) fn note(program: &Path, address: &Address) -> Result<()> {
    write_private(&file(program), address.to_string().as_bytes())
}

/// It does not have it any more.
pub(crate) fn forget(program: &Path) {
    let _ = fs::remove_file(file(program));
}

fn read(program: &Path) -> Option<Address> {
    read_if_there(&file(program)).ok().flatten()?.parse().ok()
}

/// Takes away what the shim of a program has left behind, unless one of the programs that run has that address by now. Returns what cannot be taken away, and why.
pub(crate) fn clear<'a>(program: &Path, mut running: impl Iterator<Item = &'a Path>) -> Option<String> {
    let address = read(program)?;
    forget(program);
    if running.any(|other| read(other).is_some_and(|other| other.ip == address.ip)) {
        return None;
    }
    address.forget().err().map(|error| format!("{address} of a program that was killed cannot be removed: {error}"))
}
