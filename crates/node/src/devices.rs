//! Devices that a program may have open when it is saved or goes to another node: those that are the same on every machine, and keep nothing for who has them open. Any other, a disk,
//! `/dev/fuse`, would be another one when it is opened again, by the same name and without a word.

use rustix::fs::{FileType, Stat, major, minor};
use std::path::Path;

/// Numbers of `/dev/null`, `zero`, `full`, `random`, `urandom` and `tty` (Linux, admin-guide/devices.txt).
const SAME_EVERYWHERE: [(u32, u32); 6] = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0)];

/// What is in the way, if this is another device.
pub(crate) fn obstacle(path: &Path, status: &Stat) -> Option<String> {
    let is_character = FileType::from_raw_mode(status.st_mode) == FileType::CharacterDevice;
    let number = (major(status.st_rdev), minor(status.st_rdev));
    if is_character && SAME_EVERYWHERE.contains(&number) {
        return None;
    }
    Some(format!("{}, a device that is this machine's or has a state here: close it before", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{makedev, stat};

    #[test]
    fn only_devices_that_are_the_same_everywhere_go_along() {
        for name in ["null", "zero", "full", "random", "urandom", "tty"] {
            let path = Path::new("/dev").join(name);
            assert_eq!(obstacle(&path, &stat(&path).unwrap()), None);
        }
        let mut other = stat("/dev/null").unwrap();
        other.st_rdev = makedev(10, 229);
        let found = obstacle(Path::new("/dev/fuse"), &other).unwrap();
        assert!(found.starts_with("/dev/fuse, a device"), "{found}");
        let mut disk = stat("/dev/null").unwrap();
        disk.st_mode = 0o060_600;
        assert!(obstacle(Path::new("/dev/disk"), &disk).is_some());
    }
}
