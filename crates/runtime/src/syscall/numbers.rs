//! Numbers of Linux x86-64 that the runtime's own code needs: system calls, errors, flags.
#![allow(missing_docs)] // the names are the kernel's

pub const READ: u64 = 0;
pub const WRITE: u64 = 1;
pub const CLOSE: u64 = 3;
pub const FSTAT: u64 = 5;
pub const MMAP: u64 = 9;
pub const MPROTECT: u64 = 10;
pub const MUNMAP: u64 = 11;
pub const BRK: u64 = 12;
pub const RT_SIGACTION: u64 = 13;
pub const RT_SIGPROCMASK: u64 = 14;
pub const PREAD64: u64 = 17;
pub const PWRITE64: u64 = 18;
pub const SCHED_YIELD: u64 = 24;
pub const MREMAP: u64 = 25;
pub const SHMAT: u64 = 30;
pub const SHMCTL: u64 = 31;
pub const DUP2: u64 = 33;
pub const GETITIMER: u64 = 36;
pub const ALARM: u64 = 37;
pub const SETITIMER: u64 = 38;
pub const GETPID: u64 = 39;
pub const SENDMSG: u64 = 46;
pub const RECVMSG: u64 = 47;
pub const SOCKETPAIR: u64 = 53;
pub const CLONE: u64 = 56;
pub const EXECVE: u64 = 59;
pub const EXIT: u64 = 60;
pub const WAIT4: u64 = 61;
pub const KILL: u64 = 62;
pub const UNAME: u64 = 63;
pub const SEMCTL: u64 = 66;
pub const SHMDT: u64 = 67;
pub const FCNTL: u64 = 72;
pub const GETDENTS: u64 = 78;
pub const GETCWD: u64 = 79;
pub const CHDIR: u64 = 80;
pub const UMASK: u64 = 95;
pub const GETTIMEOFDAY: u64 = 96;
pub const GETUID: u64 = 102;
pub const SETPGID: u64 = 109;
pub const GETPPID: u64 = 110;
pub const SETSID: u64 = 112;
pub const GETPGID: u64 = 121;
pub const GETSID: u64 = 124;
pub const RT_SIGPENDING: u64 = 127;
pub const RT_SIGTIMEDWAIT: u64 = 128;
pub const RT_SIGQUEUEINFO: u64 = 129;
pub const SIGALTSTACK: u64 = 131;
pub const UTIME: u64 = 132;
pub const ARCH_PRCTL: u64 = 158;
pub const GETTID: u64 = 186;
pub const TKILL: u64 = 200;
pub const TIME: u64 = 201;
pub const FUTEX: u64 = 202;
pub const REMAP_FILE_PAGES: u64 = 216;
pub const GETDENTS64: u64 = 217;
pub const SET_TID_ADDRESS: u64 = 218;
pub const CLOCK_GETTIME: u64 = 228;
pub const CLOCK_NANOSLEEP: u64 = 230;
pub const EXIT_GROUP: u64 = 231;
pub const EPOLL_CTL: u64 = 233;
pub const TGKILL: u64 = 234;
pub const UTIMES: u64 = 235;
pub const WAITID: u64 = 247;
pub const OPENAT: u64 = 257;
pub const FUTIMESAT: u64 = 261;
pub const NEWFSTATAT: u64 = 262;
pub const FACCESSAT: u64 = 269;
pub const PSELECT6: u64 = 270;
pub const PPOLL: u64 = 271;
pub const UTIMENSAT: u64 = 280;
pub const EPOLL_PWAIT: u64 = 281;
pub const EPOLL_PWAIT2: u64 = 441;
pub const DUP3: u64 = 292;
pub const PRLIMIT64: u64 = 302;
pub const MEMFD_CREATE: u64 = 319;
pub const EXECVEAT: u64 = 322;
pub const CLOSE_RANGE: u64 = 436;

pub const EPERM: i64 = 1;
pub const ESRCH: i64 = 3;
pub const EINTR: i64 = 4;
pub const EBADF: i64 = 9;
pub const ECHILD: i64 = 10;
pub const EAGAIN: i64 = 11;
pub const ENOMEM: i64 = 12;
pub const EACCES: i64 = 13;
pub const EFAULT: i64 = 14;
pub const EEXIST: i64 = 17;
pub const EINVAL: i64 = 22;
pub const ENOSYS: i64 = 38;

pub const AT_FDCWD: i64 = -100;
pub const AT_EMPTY_PATH: u64 = 0x1000;

pub const F_GETFD: u64 = 1;
pub const F_SETFD: u64 = 2;
pub const F_GETFL: u64 = 3;
pub const F_SETFL: u64 = 4;
pub const F_SETOWN: u64 = 8;
pub const F_GETOWN: u64 = 9;
pub const F_DUPFD_CLOEXEC: u64 = 1030;

pub const PROT_READ: u64 = 1;
pub const PROT_WRITE: u64 = 2;
/// Memory can be executed.
pub const PROT_EXEC: u64 = 4;

pub const MAP_SHARED: u64 = 1;
pub const MAP_PRIVATE: u64 = 2;
pub const MAP_TYPE: u64 = 15;
pub const MAP_FIXED: u64 = 0x10;
pub const MAP_ANONYMOUS: u64 = 0x20;
pub const MAP_32BIT: u64 = 0x40;
pub const MAP_GROWSDOWN: u64 = 0x100;
pub const MAP_NORESERVE: u64 = 0x4000;
pub const MAP_FIXED_NOREPLACE: u64 = 0x10_0000;

pub const MREMAP_MAYMOVE: u64 = 1;
pub const MREMAP_FIXED: u64 = 2;

pub const CLOCK_REALTIME: u64 = 0;
pub const CLOCK_MONOTONIC: u64 = 1;
pub const CLOCK_BOOTTIME: u64 = 7;
pub const TIMER_ABSTIME: u64 = 1;

pub const CLONE_VM: u64 = 0x100;
pub const CLONE_VFORK: u64 = 0x4000;
pub const CLONE_PARENT: u64 = 0x8000;
pub const CLONE_THREAD: u64 = 0x1_0000;
pub const CLONE_SETTLS: u64 = 0x8_0000;
pub const CLONE_PARENT_SETTID: u64 = 0x10_0000;

pub const FUTEX_WAIT: u64 = 0;
pub const FUTEX_COMMAND: u64 = 0x7f;

pub const O_RDWR: u64 = 2;
pub const O_CLOEXEC: u64 = 0o2000000;
pub const O_RDONLY: u64 = 0;
pub const O_PATH: u64 = 0o10000000;
pub const MFD_CLOEXEC: u64 = 1;
