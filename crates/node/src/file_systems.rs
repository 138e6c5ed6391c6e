//! Which file systems are those of other machines.

use rustix::fs::fstatfs;
use std::os::fd::BorrowedFd;

/// Whether a file's pages are written to another machine, whose other clients see them only then.
pub(crate) fn is_on_another_machine(descriptor: BorrowedFd<'_>) -> bool {
    /// statfs(2): FUSE, NFS, SMB and SMB2, Ceph, Lustre, AFS, 9P.
    const KINDS: [u32; 8] =
        [0x6573_5546, 0x6969, 0xff53_4d42, 0xfe53_4d42, 0x00c3_6400, 0x0bd0_0bd0, 0x5346_414f, 0x0102_1997];
    fstatfs(descriptor).is_ok_and(|status| KINDS.contains(&(status.f_type as u32)))
}
