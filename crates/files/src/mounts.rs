//! Which file systems are mounted below a directory: proc_pid_mountinfo(5).

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};

/// These are the kernel's, wherever a program is.
pub(crate) const KERNELS: [&str; 3] = ["proc", "sys", "dev"];
/// Types of file systems that are shown as parts of the one that they are in: what containers and packages have for themselves, of which a machine may have
/// hundreds, and what is no directory.
const PARTS: [&[u8]; 4] = [b"overlay", b"squashfs", b"nsfs", b"autofs"];

/// Where below `root` other file systems are than above, from there: those above others first.
pub(crate) fn below(root: &Path) -> io::Result<BTreeSet<PathBuf>> {
    Ok(find(&fs::read("/proc/self/mountinfo")?, root))
}

fn find(mountinfo: &[u8], root: &Path) -> BTreeSet<PathBuf> {
    let mut devices = HashMap::new();
    let mut found = BTreeSet::new();
    for line in mountinfo.split(|byte| *byte == b'\n') {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let [id, parent, device, _, point, ..] = fields[..] else { continue };
        devices.insert(id, device);
        let kind = fields.iter().position(|field| *field == b"-").and_then(|at| fields.get(at + 1));
        let point = PathBuf::from(OsString::from_vec(unescape(point)));
        let Ok(place) = point.strip_prefix(root) else { continue };
        let is_kernels = KERNELS.iter().any(|name| place.starts_with(name));
        // Each subvolume of Btrfs is a device, but not here.
        let is_same = devices.get(parent) == Some(&device) && kind != Some(&&b"btrfs"[..]);
        let is_part = is_same || kind.is_some_and(|kind| PARTS.contains(kind));
        if !place.as_os_str().is_empty() && !is_kernels && !is_part {
            found.insert(place.to_owned());
        }
    }
    found
}

/// Spaces, tabs, line feeds and backslashes are written as `\ooo`.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, after @ ..] = rest {
        let octal = after.get(..3).filter(|_| *first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            bytes.push(byte);
            rest = &after[3..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    bytes
}

/// A list of places, as the home tells it.
pub(crate) fn to_bytes(places: &BTreeSet<PathBuf>) -> Vec<u8> {
    let places: Vec<&[u8]> = places.iter().map(|place| place.as_os_str().as_bytes()).collect();
    places.join(&0)
}

/// The reverse. What is not below where it is joined to is left out.
pub(crate) fn from_bytes(bytes: &[u8]) -> Vec<PathBuf> {
    let is_below = |place: &Path| place.components().all(|component| matches!(component, Component::Normal(_)));
    let places = bytes.split(|byte| *byte == 0).filter(|place| !place.is_empty());
    let places = places.map(|place| PathBuf::from(OsString::from_vec(place.to_vec())));
    places.filter(|place| is_below(place)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTED: &str = r"22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
28 27 0:25 / /home/an\040other\134 ro,nosuid shared:5 master:2 - tmpfs none rw
29 28 254:0 /srv /home/an\040other\134/again rw - ext4 /dev/vda rw
30 27 254:0 /srv /var/same rw - ext4 /dev/vda rw
31 27 0:26 / /run rw - tmpfs none rw
32 31 0:27 / /run/container rw - overlay none rw
33 27 0:28 / /dev/shm rw - tmpfs none rw
34 27 0:29 / /developer rw - tmpfs none rw
35 27 0:30 / /run rw - tmpfs none rw
36 27 0:31 /@ /volumes rw - btrfs /dev/vdb rw
37 36 0:31 /@inner /volumes/inner rw - btrfs /dev/vdb rw
";

    #[test]
    fn other_file_systems_are_found_once_and_in_order() {
        let names = |root: &str| {
            let found = find(MOUNTED.as_bytes(), Path::new(root));
            assert!(from_bytes(&to_bytes(&found)).iter().eq(&found));
            found.into_iter().map(|place| place.into_os_string().into_string().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(
            names("/"),
            ["developer", r"home/an other\", r"home/an other\/again", "run", "volumes", "volumes/inner"]
        );
        assert_eq!(names("/home"), [r"an other\", r"an other\/again"]);
        assert!(names("/missing").is_empty());
        assert!(from_bytes(b"/etc\0../etc\0a/../../etc").is_empty());
        assert!(below(Path::new("/")).is_ok());
    }
}
