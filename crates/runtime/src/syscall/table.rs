//! Every system call of Linux x86-64 that programs may make, one line each: its name, its number on the ISAs with the
//! generic table, and what must be done besides translating the number. Pure data.

use super::call::Reach::{
    Array, Control, GetOption, Header, Little, Mapping, Messages, Parts, Request, SetOption, Sets, Stack,
};
use super::call::Source::{self, Argument as A, Constant as C};
use super::call::Unit::{Milliseconds, Timespec, Timeval};
use super::call::{Call, NONE, call};

/// The directory argument of calls that came without one (`AT_FDCWD`).
const AT: Source = C(-100);

/// The call with this number on x86-64.
pub fn find(number: u64) -> Option<&'static Call> {
    let index = *INDEX.get(usize::try_from(number).ok()?)?;
    CALLS.get(usize::from(index))
}

/// Places in [`CALLS`] by number; the greatest value for none.
static INDEX: [u16; 448] = index(CALLS);

const fn index(calls: &[Call]) -> [u16; 448] {
    let mut index = [u16::MAX; 448];
    let mut place = 0;
    while place < calls.len() {
        index[calls[place].number as usize] = place as u16;
        place += 1;
    }
    index
}

#[rustfmt::skip]
static CALLS: &[Call] = &[
    call(0, "read", 63, 3).restart().reaches(Array(1, 2, 1)),
    call(1, "write", 64, 3).restart().reaches(Array(1, 2, 1)),
    call(2, "open", NONE, 3).restart().becomes(257, [AT, A(0), A(1), A(2), C(0), C(0)]),
    call(3, "close", 57, 1).reaches(Little),
    call(4, "stat", NONE, 2).becomes(262, [AT, A(0), A(1), C(0), C(0), C(0)]),
    call(5, "fstat", 80, 2).reaches(Little),
    call(6, "lstat", NONE, 2).becomes(262, [AT, A(0), A(1), C(0x100), C(0), C(0)]),
    call(7, "poll", NONE, 3).never().becomes(271, [A(0), A(1), A(2), C(0), C(8), C(0)]).timeout(2, Milliseconds),
    call(8, "lseek", 62, 3).reaches(Little),
    call(9, "mmap", 222, 6).reaches(Mapping),
    call(10, "mprotect", 226, 3).reaches(Mapping),
    call(11, "munmap", 215, 2).reaches(Mapping),
    call(12, "brk", 214, 1).reaches(Mapping),
    call(13, "rt_sigaction", 134, 4).reaches(Little),
    call(14, "rt_sigprocmask", 135, 4).reaches(Little),
    call(16, "ioctl", 29, 3).restart().reaches(Request),
    call(17, "pread64", 67, 4).restart().reaches(Array(1, 2, 1)),
    call(18, "pwrite64", 68, 4).restart().reaches(Array(1, 2, 1)),
    call(19, "readv", 65, 3).restart().reaches(Parts(1, 2)),
    call(20, "writev", 66, 3).restart().reaches(Parts(1, 2)),
    call(21, "access", NONE, 2).becomes(269, [AT, A(0), A(1), C(0), C(0), C(0)]),
    call(22, "pipe", NONE, 1).becomes(293, [A(0), C(0), C(0), C(0), C(0), C(0)]),
    call(23, "select", NONE, 5).never().becomes(270, [A(0), A(1), A(2), A(3), A(4), C(0)]).timeout(4, Timeval),
    call(24, "sched_yield", 124, 0).reaches(Little),
    call(25, "mremap", 216, 5).reaches(Little),
    call(26, "msync", 227, 3).reaches(Little),
    call(27, "mincore", 232, 3),
    call(28, "madvise", 233, 3).reaches(Mapping),
    call(29, "shmget", 194, 3).reaches(Little),
    call(30, "shmat", 196, 3),
    call(31, "shmctl", 195, 3),
    call(32, "dup", 23, 1).reaches(Little),
    call(33, "dup2", NONE, 2).reaches(Little),
    call(34, "pause", NONE, 0).never().becomes(271, [C(0), C(0), C(0), C(0), C(8), C(0)]),
    call(35, "nanosleep", 101, 2).never().becomes(230, [C(1), C(0), A(0), A(1), C(0), C(0)]).timeout(2, Timespec),
    call(36, "getitimer", 102, 2).reaches(Little),
    call(37, "alarm", NONE, 1).reaches(Little),
    call(38, "setitimer", 103, 3).reaches(Little),
    call(39, "getpid", 172, 0).reaches(Little),
    call(40, "sendfile", 71, 4).restart().reaches(Little),
    call(41, "socket", 198, 3).reaches(Little),
    call(42, "connect", 203, 3).restart().reaches(Little),
    call(43, "accept", 202, 3).restart().reaches(Little),
    call(44, "sendto", 206, 6).restart().reaches(Array(1, 2, 1)),
    call(45, "recvfrom", 207, 6).restart().reaches(Array(1, 2, 1)),
    call(46, "sendmsg", 211, 3).restart().reaches(Header(1)),
    call(47, "recvmsg", 212, 3).restart().reaches(Header(1)),
    call(48, "shutdown", 210, 2).reaches(Little),
    call(49, "bind", 200, 3).reaches(Little),
    call(50, "listen", 201, 2).reaches(Little),
    call(51, "getsockname", 204, 3).reaches(Little),
    call(52, "getpeername", 205, 3).reaches(Little),
    call(53, "socketpair", 199, 4).reaches(Little),
    call(54, "setsockopt", 208, 5).reaches(SetOption),
    call(55, "getsockopt", 209, 5).reaches(GetOption),
    call(56, "clone", 220, 5).reaches(Little),
    call(57, "fork", NONE, 0).becomes(56, [C(17), C(0), C(0), C(0), C(0), C(0)]),
    call(58, "vfork", NONE, 0).becomes(56, [C(17), C(0), C(0), C(0), C(0), C(0)]),
    call(59, "execve", 221, 3),
    call(60, "exit", 93, 1).reaches(Little),
    call(61, "wait4", 260, 4).restart().reaches(Little),
    call(62, "kill", 129, 2).process_ids(0b1).reaches(Little),
    call(63, "uname", 160, 1).reaches(Little),
    call(64, "semget", 190, 3).reaches(Little),
    call(65, "semop", 193, 3).never().reaches(Little),
    call(66, "semctl", 191, 4),
    call(67, "shmdt", 197, 1).reaches(Little),
    call(68, "msgget", 186, 2).reaches(Little),
    call(69, "msgsnd", 189, 4).never(),
    call(70, "msgrcv", 188, 5).never(),
    call(71, "msgctl", 187, 3),
    call(72, "fcntl", 25, 3).restart().reaches(Little),
    call(73, "flock", 32, 2).restart().reaches(Little),
    call(74, "fsync", 82, 1).restart().reaches(Little),
    call(75, "fdatasync", 83, 1).reaches(Little),
    call(76, "truncate", 45, 2).reaches(Little),
    call(77, "ftruncate", 46, 2).reaches(Little),
    call(78, "getdents", NONE, 3).reaches(Array(1, 2, 1)),
    call(79, "getcwd", 17, 2).reaches(Array(0, 1, 1)),
    call(80, "chdir", 49, 1).reaches(Little),
    call(81, "fchdir", 50, 1).reaches(Little),
    call(82, "rename", NONE, 2).becomes(316, [AT, A(0), AT, A(1), C(0), C(0)]),
    call(83, "mkdir", NONE, 2).becomes(258, [AT, A(0), A(1), C(0), C(0), C(0)]),
    call(84, "rmdir", NONE, 1).becomes(263, [AT, A(0), C(0x200), C(0), C(0), C(0)]),
    call(85, "creat", NONE, 2).restart().becomes(257, [AT, A(0), C(0o1101), A(1), C(0), C(0)]),
    call(86, "link", NONE, 2).becomes(265, [AT, A(0), AT, A(1), C(0), C(0)]),
    call(87, "unlink", NONE, 1).becomes(263, [AT, A(0), C(0), C(0), C(0), C(0)]),
    call(88, "symlink", NONE, 2).becomes(266, [A(0), AT, A(1), C(0), C(0), C(0)]),
    call(89, "readlink", NONE, 3).becomes(267, [AT, A(0), A(1), A(2), C(0), C(0)]),
    call(90, "chmod", NONE, 2).becomes(268, [AT, A(0), A(1), C(0), C(0), C(0)]),
    call(91, "fchmod", 52, 2).reaches(Little),
    call(92, "chown", NONE, 3).becomes(260, [AT, A(0), A(1), A(2), C(0), C(0)]),
    call(93, "fchown", 55, 3).reaches(Little),
    call(94, "lchown", NONE, 3).becomes(260, [AT, A(0), A(1), A(2), C(0x100), C(0)]),
    call(95, "umask", 166, 1).reaches(Little),
    call(96, "gettimeofday", 169, 2).reaches(Little),
    call(97, "getrlimit", 163, 2).reaches(Little),
    call(98, "getrusage", 165, 2).reaches(Little),
    call(99, "sysinfo", 179, 1).reaches(Little),
    call(100, "times", 153, 1).reaches(Little),
    call(101, "ptrace", 117, 4),
    call(102, "getuid", 174, 0).reaches(Little),
    call(103, "syslog", 116, 3),
    call(104, "getgid", 176, 0).reaches(Little),
    call(105, "setuid", 146, 1).reaches(Little),
    call(106, "setgid", 144, 1).reaches(Little),
    call(107, "geteuid", 175, 0).reaches(Little),
    call(108, "getegid", 177, 0).reaches(Little),
    call(109, "setpgid", 154, 2).process_ids(0b11).reaches(Little),
    call(110, "getppid", 173, 0).reaches(Little),
    call(111, "getpgrp", NONE, 0).becomes(121, [C(0), C(0), C(0), C(0), C(0), C(0)]),
    call(112, "setsid", 157, 0).reaches(Little),
    call(113, "setreuid", 145, 2).reaches(Little),
    call(114, "setregid", 143, 2).reaches(Little),
    call(115, "getgroups", 158, 2).reaches(Array(1, 0, 4)),
    call(116, "setgroups", 159, 2).reaches(Array(1, 0, 4)),
    call(117, "setresuid", 147, 3).reaches(Little),
    call(118, "getresuid", 148, 3).reaches(Little),
    call(119, "setresgid", 149, 3).reaches(Little),
    call(120, "getresgid", 150, 3).reaches(Little),
    call(121, "getpgid", 155, 1).process_ids(0b1).reaches(Little),
    call(122, "setfsuid", 151, 1).reaches(Little),
    call(123, "setfsgid", 152, 1).reaches(Little),
    call(124, "getsid", 156, 1).process_ids(0b1).reaches(Little),
    call(125, "capget", 90, 2).reaches(Little),
    call(126, "capset", 91, 2).reaches(Little),
    call(127, "rt_sigpending", 136, 2).reaches(Little),
    call(128, "rt_sigtimedwait", 137, 4).never().timeout(2, Timespec).reaches(Little),
    call(129, "rt_sigqueueinfo", 138, 3).process_ids(0b1).reaches(Little),
    call(130, "rt_sigsuspend", 133, 2).never().mask(0).reaches(Little),
    call(131, "sigaltstack", 132, 2).reaches(Stack),
    call(132, "utime", NONE, 2).reaches(Little),
    call(133, "mknod", NONE, 3).becomes(259, [AT, A(0), A(1), A(2), C(0), C(0)]),
    call(135, "personality", 92, 1).reaches(Little),
    call(137, "statfs", 43, 2).reaches(Little),
    call(138, "fstatfs", 44, 2).reaches(Little),
    call(140, "getpriority", 141, 2).process_ids(0b10).reaches(Little),
    call(141, "setpriority", 140, 3).process_ids(0b10).reaches(Little),
    call(142, "sched_setparam", 118, 2).process_ids(0b1).reaches(Little),
    call(143, "sched_getparam", 121, 2).process_ids(0b1).reaches(Little),
    call(144, "sched_setscheduler", 119, 3).process_ids(0b1).reaches(Little),
    call(145, "sched_getscheduler", 120, 1).process_ids(0b1).reaches(Little),
    call(146, "sched_get_priority_max", 125, 1).reaches(Little),
    call(147, "sched_get_priority_min", 126, 1).reaches(Little),
    call(148, "sched_rr_get_interval", 127, 2).process_ids(0b1).reaches(Little),
    call(149, "mlock", 228, 2),
    call(150, "munlock", 229, 2).reaches(Little),
    call(151, "mlockall", 230, 1),
    call(152, "munlockall", 231, 0).reaches(Little),
    call(153, "vhangup", 58, 0),
    call(155, "pivot_root", 41, 2),
    call(157, "prctl", 167, 5).reaches(Control),
    call(158, "arch_prctl", NONE, 2).reaches(Little),
    call(159, "adjtimex", 171, 1),
    call(160, "setrlimit", 164, 2).reaches(Little),
    call(161, "chroot", 51, 1).reaches(Little),
    call(162, "sync", 81, 0).reaches(Little),
    call(163, "acct", 89, 1),
    call(164, "settimeofday", 170, 2),
    call(165, "mount", 40, 5),
    call(166, "umount2", 39, 2),
    call(167, "swapon", 224, 2),
    call(168, "swapoff", 225, 1),
    call(169, "reboot", 142, 4),
    call(170, "sethostname", 161, 2),
    call(171, "setdomainname", 162, 2),
    call(175, "init_module", 105, 3),
    call(176, "delete_module", 106, 2),
    call(179, "quotactl", 60, 4),
    call(186, "gettid", 178, 0).reaches(Little),
    call(187, "readahead", 213, 3).reaches(Little),
    call(188, "setxattr", 5, 5).reaches(Array(2, 3, 1)),
    call(189, "lsetxattr", 6, 5).reaches(Array(2, 3, 1)),
    call(190, "fsetxattr", 7, 5).reaches(Array(2, 3, 1)),
    call(191, "getxattr", 8, 4).reaches(Array(2, 3, 1)),
    call(192, "lgetxattr", 9, 4).reaches(Array(2, 3, 1)),
    call(193, "fgetxattr", 10, 4).reaches(Array(2, 3, 1)),
    call(194, "listxattr", 11, 3).reaches(Array(1, 2, 1)),
    call(195, "llistxattr", 12, 3).reaches(Array(1, 2, 1)),
    call(196, "flistxattr", 13, 3).reaches(Array(1, 2, 1)),
    call(197, "removexattr", 14, 2).reaches(Little),
    call(198, "lremovexattr", 15, 2).reaches(Little),
    call(199, "fremovexattr", 16, 2).reaches(Little),
    call(200, "tkill", 130, 2).process_ids(0b1).reaches(Little),
    call(201, "time", NONE, 1).reaches(Little),
    call(202, "futex", 98, 6).restart().timeout(3, Timespec).reaches(Little),
    call(203, "sched_setaffinity", 122, 3).process_ids(0b1).reaches(Array(2, 1, 1)),
    call(204, "sched_getaffinity", 123, 3).process_ids(0b1).reaches(Array(2, 1, 1)),
    call(206, "io_setup", 0, 2),
    call(207, "io_destroy", 1, 1),
    call(208, "io_getevents", 4, 5).never(),
    call(209, "io_submit", 2, 3),
    call(210, "io_cancel", 3, 3),
    call(213, "epoll_create", NONE, 1).becomes(291, [C(0), C(0), C(0), C(0), C(0), C(0)]),
    call(216, "remap_file_pages", 234, 5),
    call(217, "getdents64", 61, 3).reaches(Array(1, 2, 1)),
    call(218, "set_tid_address", 96, 1).reaches(Little),
    call(220, "semtimedop", 192, 4).never().timeout(3, Timespec).reaches(Little),
    call(221, "fadvise64", 223, 4).reaches(Little),
    call(222, "timer_create", 107, 3).reaches(Little),
    call(223, "timer_settime", 110, 4).reaches(Little),
    call(224, "timer_gettime", 108, 2).reaches(Little),
    call(225, "timer_getoverrun", 109, 1).reaches(Little),
    call(226, "timer_delete", 111, 1).reaches(Little),
    call(227, "clock_settime", 112, 2).reaches(Little),
    call(228, "clock_gettime", 113, 2).reaches(Little),
    call(229, "clock_getres", 114, 2).reaches(Little),
    call(230, "clock_nanosleep", 115, 4).never().timeout(2, Timespec).reaches(Little),
    call(231, "exit_group", 94, 1).reaches(Little),
    call(232, "epoll_wait", NONE, 4).never().becomes(281, [A(0), A(1), A(2), A(3), C(0), C(8)]),
    call(233, "epoll_ctl", 21, 4).reaches(Little),
    call(234, "tgkill", 131, 3).process_ids(0b11).reaches(Little),
    call(235, "utimes", NONE, 2).reaches(Little),
    call(237, "mbind", 235, 6),
    call(238, "set_mempolicy", 237, 3),
    call(239, "get_mempolicy", 236, 5),
    call(240, "mq_open", 180, 4),
    call(241, "mq_unlink", 181, 1),
    call(242, "mq_timedsend", 182, 5).restart(),
    call(243, "mq_timedreceive", 183, 5).restart(),
    call(244, "mq_notify", 184, 2),
    call(245, "mq_getsetattr", 185, 3),
    call(246, "kexec_load", 104, 4),
    call(247, "waitid", 95, 5).restart().reaches(Little),
    call(248, "add_key", 217, 5),
    call(249, "request_key", 218, 4),
    call(250, "keyctl", 219, 5),
    call(251, "ioprio_set", 30, 3).process_ids(0b10).reaches(Little),
    call(252, "ioprio_get", 31, 2).process_ids(0b10).reaches(Little),
    call(253, "inotify_init", NONE, 0).becomes(294, [C(0), C(0), C(0), C(0), C(0), C(0)]),
    call(254, "inotify_add_watch", 27, 3).reaches(Little),
    call(255, "inotify_rm_watch", 28, 2).reaches(Little),
    call(256, "migrate_pages", 238, 4).process_ids(0b1),
    call(257, "openat", 56, 4).restart().open_flags(2).reaches(Little),
    call(258, "mkdirat", 34, 3).reaches(Little),
    call(259, "mknodat", 33, 4).reaches(Little),
    call(260, "fchownat", 54, 5).reaches(Little),
    call(261, "futimesat", NONE, 3).reaches(Little),
    call(262, "newfstatat", 79, 4).reaches(Little),
    call(263, "unlinkat", 35, 3).reaches(Little),
    call(264, "renameat", NONE, 4).becomes(316, [A(0), A(1), A(2), A(3), C(0), C(0)]),
    call(265, "linkat", 37, 5).reaches(Little),
    call(266, "symlinkat", 36, 3).reaches(Little),
    call(267, "readlinkat", 78, 4).reaches(Array(2, 3, 1)),
    call(268, "fchmodat", 53, 3).reaches(Little),
    call(269, "faccessat", 48, 3).reaches(Little),
    call(270, "pselect6", 72, 6).never().timeout(4, Timespec).mask(5).reaches(Sets),
    call(271, "ppoll", 73, 5).never().timeout(2, Timespec).mask(3).reaches(Array(0, 1, 8)),
    call(272, "unshare", 97, 1),
    call(273, "set_robust_list", 99, 2),
    call(274, "get_robust_list", 100, 3).process_ids(0b1),
    call(275, "splice", 76, 6).restart().reaches(Little),
    call(276, "tee", 77, 4).restart().reaches(Little),
    call(277, "sync_file_range", 84, 4).reaches(Little),
    call(278, "vmsplice", 75, 4).restart(),
    call(279, "move_pages", 239, 6).process_ids(0b1),
    call(280, "utimensat", 88, 4).reaches(Little),
    call(281, "epoll_pwait", 22, 6).never().timeout(3, Milliseconds).mask(4).reaches(Array(1, 2, 12)),
    call(282, "signalfd", NONE, 3).becomes(289, [A(0), A(1), A(2), C(0), C(0), C(0)]),
    call(283, "timerfd_create", 85, 2).reaches(Little),
    call(284, "eventfd", NONE, 1).becomes(290, [A(0), C(0), C(0), C(0), C(0), C(0)]),
    call(285, "fallocate", 47, 4).restart().reaches(Little),
    call(286, "timerfd_settime", 86, 4).reaches(Little),
    call(287, "timerfd_gettime", 87, 2).reaches(Little),
    call(288, "accept4", 242, 4).restart().reaches(Little),
    call(289, "signalfd4", 74, 4).reaches(Little),
    call(290, "eventfd2", 19, 2).reaches(Little),
    call(291, "epoll_create1", 20, 1).reaches(Little),
    call(292, "dup3", 24, 3).reaches(Little),
    call(293, "pipe2", 59, 2).open_flags(1).reaches(Little),
    call(294, "inotify_init1", 26, 1).reaches(Little),
    call(295, "preadv", 69, 5).restart().reaches(Parts(1, 2)),
    call(296, "pwritev", 70, 5).restart().reaches(Parts(1, 2)),
    call(297, "rt_tgsigqueueinfo", 240, 4).process_ids(0b11).reaches(Little),
    call(298, "perf_event_open", 241, 5),
    call(299, "recvmmsg", 243, 5).restart().timeout(4, Timespec).reaches(Messages(1, 2)),
    call(300, "fanotify_init", 262, 2),
    call(301, "fanotify_mark", 263, 5),
    call(302, "prlimit64", 261, 4).process_ids(0b1).reaches(Little),
    call(303, "name_to_handle_at", 264, 5),
    call(304, "open_by_handle_at", 265, 3).open_flags(2),
    call(305, "clock_adjtime", 266, 2),
    call(306, "syncfs", 267, 1).reaches(Little),
    call(307, "sendmmsg", 269, 4).restart().reaches(Messages(1, 2)),
    call(308, "setns", 268, 2),
    call(309, "getcpu", 168, 3).reaches(Little),
    call(310, "process_vm_readv", 270, 6).process_ids(0b1),
    call(311, "process_vm_writev", 271, 6).process_ids(0b1),
    call(312, "kcmp", 272, 5).process_ids(0b11),
    call(313, "finit_module", 273, 3),
    call(314, "sched_setattr", 274, 3).process_ids(0b1),
    call(315, "sched_getattr", 275, 4).process_ids(0b1),
    call(316, "renameat2", 276, 5).reaches(Little),
    call(317, "seccomp", 277, 3),
    call(318, "getrandom", 278, 3).restart().reaches(Array(0, 1, 1)),
    call(319, "memfd_create", 279, 2).reaches(Little),
    call(320, "kexec_file_load", 294, 5),
    call(321, "bpf", 280, 3),
    call(322, "execveat", 281, 5),
    call(323, "userfaultfd", 282, 1),
    call(324, "membarrier", 283, 3).reaches(Little),
    call(325, "mlock2", 284, 3),
    call(326, "copy_file_range", 285, 6).restart().reaches(Little),
    call(327, "preadv2", 286, 6).restart().reaches(Parts(1, 2)),
    call(328, "pwritev2", 287, 6).restart().reaches(Parts(1, 2)),
    call(329, "pkey_mprotect", 288, 4),
    call(330, "pkey_alloc", 289, 2),
    call(331, "pkey_free", 290, 1),
    call(332, "statx", 291, 5).reaches(Little),
    call(333, "io_pgetevents", 292, 6).never(),
    call(424, "pidfd_send_signal", 424, 4).reaches(Little),
    call(425, "io_uring_setup", 425, 2),
    call(426, "io_uring_enter", 426, 6).never(),
    call(427, "io_uring_register", 427, 4),
    call(428, "open_tree", 428, 3),
    call(429, "move_mount", 429, 5),
    call(430, "fsopen", 430, 2),
    call(431, "fsconfig", 431, 5),
    call(432, "fsmount", 432, 3),
    call(433, "fspick", 433, 3),
    call(434, "pidfd_open", 434, 2).process_ids(0b1).reaches(Little),
    call(436, "close_range", 436, 3).reaches(Little),
    call(437, "openat2", 437, 4).restart().reaches(Little),
    call(438, "pidfd_getfd", 438, 3),
    call(439, "faccessat2", 439, 4).reaches(Little),
    call(440, "process_madvise", 440, 5),
    call(441, "epoll_pwait2", 441, 6).never().timeout(3, Timespec).mask(4).reaches(Array(1, 2, 12)),
    call(442, "mount_setattr", 442, 5),
    call(444, "landlock_create_ruleset", 444, 3),
    call(445, "landlock_add_rule", 445, 4),
    call(446, "landlock_restrict_self", 446, 2),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syscall::call::Reach::Everything;

    #[test]
    fn calls_are_sorted_by_number_and_found_by_it() {
        assert!(CALLS.windows(2).all(|pair| pair[0].number < pair[1].number));
        assert!(CALLS.iter().all(|call| find(call.number.into()).is_some_and(|found| found.name == call.name)));
    }

    #[test]
    fn what_a_call_becomes_exists_on_every_isa() {
        for call in CALLS {
            if let Some(rewrite) = call.rewrite {
                let target = find(rewrite.number.into()).unwrap();
                assert!(target.rewrite.is_none(), "{} becomes {}, which becomes something", call.name, target.name);
                assert!(target.native(false).is_some() || target.name == "clone", "{}", call.name);
            }
        }
    }

    #[test]
    fn no_two_calls_have_the_same_generic_number() {
        let mut numbers: Vec<u16> = CALLS.iter().filter_map(|call| call.native(false)).collect();
        numbers.sort_unstable();
        assert!(numbers.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn what_memory_a_call_uses_is_said_of_the_call_that_is_made() {
        for call in CALLS {
            let count = call.arguments;
            let is_known = match call.reach {
                Array(address, elements, _) | Parts(address, elements) | Messages(address, elements) => {
                    address < count && elements < count
                }
                Header(address) => address < count,
                _ => true,
            };
            assert!(is_known && (call.rewrite.is_none() || call.reach == Everything), "{}", call.name);
        }
    }

    #[test]
    fn unknown_numbers_are_not_found() {
        assert!(find(15).is_none() && find(400).is_none() && find(u64::MAX).is_none());
        assert_eq!(find(257).map(|call| call.name), Some("openat"));
    }
}
