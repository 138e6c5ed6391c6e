/* Tries, round after round, what nodes refuse to programs, and prints how it ended: a line for each round. Every call is made so that it would do nothing if it were not refused. Arguments: rounds, and
 * microseconds between two of them, and files which are tried to be opened. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

static const char *kind(long result)
{
    if (result != -1)
        return "done";
    return errno == EPERM ? "EPERM" : errno == ENOSYS ? "ENOSYS" : errno == EAFNOSUPPORT ? "EAFNOSUPPORT" : strerror(errno);
}

#define TRY(name, ...) printf(" " #name " %s,", kind(syscall(SYS_##name, __VA_ARGS__)))

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 1, pause = argc > 2 ? atoi(argv[2]) : 0;
    static char nothing[256];
    struct timeval now;
    const char *nowhere = "/no/such/file";
    struct timespec monotonic = {0, 0};
    struct timex unchanged = {0};
    for (int round = 0; round < rounds; round++) {
        printf("%d:", round);
        TRY(mount, "none", nowhere, "tmpfs", 0L, 0L);
        TRY(umount2, nowhere, 0L);
        TRY(pivot_root, nowhere, nowhere);
        TRY(setns, -1L, 0L);
        TRY(unshare, (long)CLONE_NEWUTS);
        TRY(unshare, (long)CLONE_NEWUSER);
        gettimeofday(&now, 0);
        TRY(settimeofday, &now, 0L);
        TRY(clock_settime, (long)CLOCK_MONOTONIC, &monotonic);
        TRY(adjtimex, &unchanged);
        TRY(clock_adjtime, (long)CLOCK_REALTIME, &unchanged);
        TRY(reboot, 0L, 0L, 0L, 0L);
        TRY(swapon, nowhere, 0L);
        TRY(swapoff, nowhere);
        TRY(sethostname, nothing, -1L);
        TRY(setdomainname, nothing, -1L);
        TRY(acct, nowhere);
        TRY(syslog, 10L, 0L, 0L);
        TRY(fanotify_init, 0L, 0L);
        TRY(personality, 0x40000L);
        TRY(open_tree, -1L, nothing, 0L);
        TRY(move_mount, -1L, nothing, -1L, nothing, 0L);
        TRY(fsopen, nothing, 0L);
        TRY(fsconfig, -1L, 0L, 0L, 0L, 0L);
        TRY(fsmount, -1L, 0L, 0L);
        TRY(fspick, -1L, nothing, 0L);
        TRY(mount_setattr, -1L, nothing, 0L, nothing, 32L);
        TRY(quotactl, 0x80000100L, 0L, 0L, 0L);
        TRY(open_by_handle_at, -1L, nothing, 0L);
        TRY(kcmp, (long)getpid(), (long)getpid(), 0L, 0L, 0L);
        TRY(pidfd_getfd, -1L, 0L, 0L);
        TRY(init_module, 0L, 0L, nothing);
        TRY(finit_module, -1L, nothing, 0L);
        TRY(delete_module, "no_such_module", 0L);
        TRY(kexec_load, 0L, -1L, 0L, 0L);
        TRY(kexec_file_load, -1L, -1L, 0L, nothing, 0L);
        TRY(bpf, -1L, nothing, 0L);
        TRY(perf_event_open, nothing, 0L, -1L, -1L, 0L);
        TRY(io_uring_setup, 0L, nothing);
        TRY(io_uring_enter, -1L, 0L, 0L, 0L, 0L, 0L);
        TRY(io_uring_register, -1L, 0L, 0L, 0L);
        TRY(add_key, "user", "maize", nothing, 1L, 0L);
        TRY(request_key, "user", "maize", 0L, 0L);
        TRY(keyctl, 0L, -3L, 0L);
        TRY(ptrace, 0L, 0L, 0L, 0L);
        TRY(process_vm_readv, (long)getpid(), 0L, 0L, 0L, 0L, 0L);
        TRY(process_vm_writev, (long)getpid(), 0L, 0L, 0L, 0L, 0L);
        TRY(socket, (long)AF_ALG, (long)SOCK_SEQPACKET, 0L);
        TRY(socket, (long)AF_VSOCK, (long)SOCK_STREAM, 0L);
        TRY(socket, (long)AF_PACKET, (long)SOCK_DGRAM, 0L);
        TRY(socketpair, (long)AF_ALG, (long)SOCK_STREAM, 0L, nothing);
        TRY(ioctl, 0L, (long)TIOCSTI, "x");
        TRY(ioctl, 0L, (long)TIOCLINUX, nothing);
        printf(" CAP_SYS_ADMIN %d,", prctl(PR_CAPBSET_READ, 21));
        /* And what programs go on to have. */
        TRY(unshare, (long)CLONE_FS);
        TRY(personality, 0xffffffffL);
        int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        printf(" socket %s\n", kind(made));
        close(made);
        for (int file = 3; file < argc; file++)
            printf("%s %s\n", argv[file], kind(open(argv[file], O_RDONLY | O_CLOEXEC)));
        fflush(stdout);
        if (pause)
            usleep(pause);
    }
    return 0;
}
