//! What a process has mapped, as `/proc/PID/maps` tells (proc_pid_maps(5)).

use rustix::process::Pid;
use std::fs;
use std::io;
use std::ops::Range;

/// A mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub(crate) range: Range<u64>,
    is_private: bool,
    has_file: bool,
    /// It is the kernel's code for processes (vdso(7)).
    pub(crate) is_vdso: bool,
}

impl Mapping {
    /// It has no file, and no other process shares it.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.is_private && !self.has_file
    }
}

/// All that a process has mapped.
pub(crate) fn of(process: Pid) -> io::Result<Vec<Mapping>> {
    let text = fs::read_to_string(format!("/proc/{}/maps", process.as_raw_nonzero()))?;
    Ok(text.lines().filter_map(mapping).collect())
}

fn mapping(line: &str) -> Option<Mapping> {
    let mut fields = line.split_ascii_whitespace();
    let (range, permissions) = (fields.next()?, fields.next()?);
    let inode = fields.nth(2)?;
    let (start, end) = range.split_once('-')?;
    let address = |digits| u64::from_str_radix(digits, 16).ok();
    Some(Mapping {
        range: address(start)?..address(end)?,
        is_private: permissions.ends_with('p'),
        has_file: inode != "0",
        is_vdso: fields.next() == Some("[vdso]"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_understood() {
        let memory = mapping("1000000000-1000004000 rw-p 00000000 00:00 0 ").unwrap();
        assert_eq!(memory.range, 0x10_0000_0000..0x10_0000_4000);
        assert!(memory.is_anonymous());
        let text = mapping("08000000-08001000 r-xp 00000000 fe:00 77                  /a program").unwrap();
        assert!(!text.is_anonymous());
        let shared = mapping("1500004000-1500008000 rw-s 00000000 00:01 0 /dev/zero (deleted)").unwrap();
        assert!(!shared.is_anonymous());
        assert!(
            mapping("7ffe5d9d3000-7ffe5d9d5000 r-xp 00000000 00:00 0                          [vdso]").unwrap().is_vdso
        );
        assert_eq!(mapping("VmFlags: rd wr mr"), None);
    }
}
