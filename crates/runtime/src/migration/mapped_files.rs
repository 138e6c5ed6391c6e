//! Opening the files of the program's mappings again, for the next process to map. A mapping outlives its descriptor; its
//! name is in `/proc/self/maps`.

use super::channel::close;
use crate::memory::calls::identity;
use crate::memory::map::{Kind, Region};
use crate::syscall::kernel;
use crate::syscall::numbers::*;

/// Longest line that is understood.
const LINE: usize = 4096 + 128;
/// Room for the name of a mapping's link.
const LINK: usize = 64;

/// A descriptor for the file that is mapped in a region; closed by the caller. `None` if it cannot be opened any more.
pub fn open(region: &Region) -> Option<i64> {
    if region.descriptor >= 0 {
        // SAFETY: takes no pointers.
        let copy = unsafe { kernel::call(FCNTL, [region.descriptor as u64, F_DUPFD_CLOEXEC, 3]) };
        return (copy >= 0).then_some(copy);
    }
    let mut line = [0u8; LINE];
    let mut link = [0u8; LINK];
    let path = find_path(region.start, &mut line, &mut link)?;
    let writes = region.kind == Kind::SharedFile && u64::from(region.protection) & PROT_WRITE != 0;
    let flags = O_CLOEXEC | if writes { O_RDWR } else { O_RDONLY };
    // A file that has no name any more is found by the mapping itself, if the kernel allows that.
    open_same(path, flags, region).or_else(|| open_same(link.as_ptr(), flags, region))
}

/// Opens the file at a path, which ends with NUL, if it is that of the region.
fn open_same(path: *const u8, flags: u64, region: &Region) -> Option<i64> {
    // SAFETY: the callers' paths are strings.
    let file = unsafe { kernel::call(OPENAT, [AT_FDCWD as u64, path as u64, flags, 0]) };
    if file < 0 {
        return None;
    }
    // A file of that name may be another.
    if identity(file).is_none_or(|[_, inode]| inode != region.inode) {
        close(file);
        return None;
    }
    Some(file)
}

/// The name of the file mapped at an address, in `line`; and in `link` that of the mapping's link to the file.
fn find_path(address: u64, line: &mut [u8; LINE], link: &mut [u8; LINK]) -> Option<*const u8> {
    let name = c"/proc/self/maps";
    // SAFETY: the path is a NUL-terminated string.
    let file = unsafe { kernel::call(OPENAT, [AT_FDCWD as u64, name.as_ptr() as u64, O_CLOEXEC, 0]) };
    if file < 0 {
        return None;
    }
    let mut filled = 0;
    let found = loop {
        let room = line.get_mut(filled..LINE - 1).unwrap_or_default();
        // SAFETY: the buffer is as long as said.
        let read = unsafe { kernel::call(READ, [file as u64, room.as_mut_ptr() as u64, room.len() as u64]) };
        let Some(read) = usize::try_from(read).ok().filter(|&read| read > 0) else { break None };
        filled += read;
        let mut start = 0;
        let mut found = None;
        while let Some(length) = line.get(start..filled).and_then(|rest| rest.iter().position(|&byte| byte == b'\n')) {
            if let Some(path) = path_of(line.get(start..start + length).unwrap_or_default(), address) {
                write_link(line.get(start..start + path).unwrap_or_default(), link);
                found = Some((start + path, start + length));
                break;
            }
            start += length + 1;
        }
        if let Some((path, end)) = found {
            line[end] = 0;
            break Some(line.as_ptr().wrapping_add(path));
        }
        line.copy_within(start..filled, 0);
        filled -= start;
    };
    close(file);
    found
}

/// `/proc/self/map_files/START-END`, whose numbers, unlike those of the line, have no zeros in front.
fn write_link(line: &[u8], link: &mut [u8; LINK]) {
    let range = line.split(|&byte| byte == b' ').next().unwrap_or_default();
    let (start, end) = range.split_at(range.iter().position(|&byte| byte == b'-').unwrap_or(0));
    let significant = |digits: &[u8]| digits.iter().take_while(|&&byte| byte == b'0').count();
    let end = end.get(1..).unwrap_or_default();
    let parts = [
        b"/proc/self/map_files/".as_slice(),
        start.get(significant(start)..).unwrap_or_default(),
        b"-",
        end.get(significant(end)..).unwrap_or_default(),
    ];
    for (to, &from) in link.iter_mut().take(LINK - 1).zip(parts.into_iter().flatten()) {
        *to = from;
    }
}

/// Where the path starts in a line `start-end perms offset device inode path`, if the address is in its range.
fn path_of(line: &[u8], address: u64) -> Option<usize> {
    let text = core::str::from_utf8(line).ok()?;
    let (range, _) = text.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let start = u64::from_str_radix(start, 16).ok()?;
    let end = u64::from_str_radix(end, 16).ok()?;
    if !(start..end).contains(&address) {
        return None;
    }
    text.find('/')
}
