/* System calls of every kind whose arguments lie in memory that has just not been touched, faults of the program's own among those by which missing pages are
 * found, and what changes memory while pages are missing. What it prints depends on its arguments alone: seed, megabytes, rounds.
 *
 * All arguments are put at random places of a large arena, so that after a move nearly all of them are in pages that are not there yet, often in two. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096ul

static const long FUTEX_WAIT = 0, FUTEX_WAKE = 1;

static char *arena, *guard;
static size_t size;
static uint64_t state, sum;
static char directory[64];
static sigjmp_buf back;
static volatile sig_atomic_t faults, heard;
static _Atomic(atomic_uint *) word;

static uint64_t random64(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static void fail(const char *what)
{
    printf("%s: %s\n", what, strerror(errno));
    fflush(stdout);
    _exit(1);
}

#define CHECK(condition) \
    do { \
        if (!(condition)) fail(#condition); \
    } while (0)

/* What is in use until the round is over. */
static char *taken[40][2];
static int takes;

/* A place for so many bytes that nothing else uses in this round, at the border of two pages half of the time. */
static void *place(size_t bytes)
{
    for (;;) {
        size_t pages = size / PAGE - bytes / PAGE - 3, at = (1 + random64() % pages) * PAGE;
        at += random64() % 2 ? PAGE - bytes / 2 % PAGE : random64() % PAGE;
        char *start = arena + (at & ~15ul), *end = start + bytes;
        int index = 0;
        while (index < takes && (end <= taken[index][0] || taken[index][1] <= start)) index++;
        if (index < takes) continue;
        taken[takes][0] = start;
        taken[takes++][1] = end;
        return start;
    }
}

/* What the clock or the kernel has made of it is not the same in each run. */
static void clean(void *address, size_t bytes) { memset(address, (int)bytes, bytes); }

static void mix(const void *address, size_t bytes)
{
    const unsigned char *byte = address;
    for (size_t index = 0; index < bytes; index++) sum = (sum ^ byte[index]) * 0x100000001b3;
}

static void pipes(void)
{
    int ends[2];
    size_t length = 1 + random64() % 20000;
    char *from = place(length), *to = place(length);
    CHECK(pipe(ends) == 0);
    CHECK(write(ends[1], from, length) == (ssize_t)length);
    CHECK(read(ends[0], to, length) == (ssize_t)length);
    mix(to, length);
    struct iovec *parts = place(3 * sizeof *parts);
    struct iovec three[3];
    for (int index = 0; index < 3; index++) {
        three[index].iov_base = place(5000);
        three[index].iov_len = 1 + random64() % 5000;
    }
    memcpy(parts, three, sizeof three);
    ssize_t all = three[0].iov_len + three[1].iov_len + three[2].iov_len;
    CHECK(writev(ends[1], parts, 3) == all);
    for (int index = 0; index < 3; index++) three[index].iov_base = place(5000);
    memcpy(parts, three, sizeof three);
    CHECK(readv(ends[0], parts, 3) == all);
    clean(parts, 3 * sizeof *parts);
    close(ends[0]);
    close(ends[1]);
}

static void datagrams(void)
{
    int ends[2];
    char sent[300];
    for (size_t index = 0; index < sizeof sent; index++) sent[index] = (char)(random64() >> 20);
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0);
    CHECK(send(ends[0], sent, sizeof sent, 0) == sizeof sent);
    char *to = place(sizeof sent);
    CHECK(recv(ends[1], to, sizeof sent, MSG_DONTWAIT) == sizeof sent && memcmp(to, sent, sizeof sent) == 0);

    /* A message whose every part lies elsewhere, with a descriptor. */
    struct msghdr *message = place(sizeof *message);
    struct iovec *part = place(sizeof *part);
    char *control = place(CMSG_SPACE(sizeof(int))), *data = place(100);
    memcpy(data, sent, 100);
    *part = (struct iovec){data, 100};
    *message = (struct msghdr){.msg_iov = part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(sizeof(int))};
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    *header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(header), &ends[0], sizeof(int));
    CHECK(sendmsg(ends[0], message, 0) == 100);
    struct msghdr *got = place(sizeof *got);
    struct iovec *got_part = place(sizeof *got_part);
    char *got_control = place(CMSG_SPACE(sizeof(int))), *got_data = place(100);
    *got_part = (struct iovec){got_data, 100};
    *got = (struct msghdr){.msg_iov = got_part, .msg_iovlen = 1, .msg_control = got_control, .msg_controllen = CMSG_SPACE(sizeof(int))};
    CHECK(recvmsg(ends[1], got, MSG_DONTWAIT) == 100 && memcmp(got_data, sent, 100) == 0);
    int passed;
    memcpy(&passed, CMSG_DATA(CMSG_FIRSTHDR(got)), sizeof passed);
    CHECK(fcntl(passed, F_GETFD) >= 0);
    close(passed);
    struct sockaddr_un *name = place(sizeof *name);
    socklen_t *length = place(sizeof *length);
    *length = sizeof *name;
    CHECK(getsockname(ends[0], (struct sockaddr *)name, length) == 0 && name->sun_family == AF_UNIX);
    clean(message, sizeof *message), clean(part, sizeof *part), clean(control, CMSG_SPACE(sizeof(int)));
    clean(got, sizeof *got), clean(got_part, sizeof *got_part), clean(got_control, CMSG_SPACE(sizeof(int)));
    clean(name, sizeof *name), clean(length, sizeof *length);

    /* Two messages at once. */
    struct mmsghdr *messages = place(2 * sizeof *messages), two[2];
    memset(two, 0, sizeof two);
    for (int index = 0; index < 2; index++) {
        part = place(sizeof *part);
        *part = (struct iovec){place(100), 100};
        memcpy(part->iov_base, sent + index, 100);
        two[index].msg_hdr.msg_iov = part;
        two[index].msg_hdr.msg_iovlen = 1;
    }
    memcpy(messages, two, sizeof two);
    CHECK(syscall(SYS_sendmmsg, (long)ends[0], messages, 2l, 0l) == 2 && messages[1].msg_len == 100);
    int *waiting = place(sizeof *waiting), *value = place(sizeof *value);
    CHECK(ioctl(ends[1], FIONREAD, waiting) == 0 && *waiting == 100);
    for (int index = 0; index < 2; index++) {
        got_part = place(sizeof *got_part);
        *got_part = (struct iovec){place(100), 100};
        clean(two[index].msg_hdr.msg_iov, sizeof *part);
        two[index].msg_hdr.msg_iov = got_part;
    }
    clean(messages, sizeof two);
    messages = place(sizeof two);
    memcpy(messages, two, sizeof two);
    CHECK(syscall(SYS_recvmmsg, (long)ends[1], messages, 2l, (long)MSG_DONTWAIT, NULL) == 2);
    for (int index = 0; index < 2; index++) {
        got_part = two[index].msg_hdr.msg_iov;
        CHECK(memcmp(got_part->iov_base, sent + index, 100) == 0);
        clean(got_part, sizeof *got_part);
    }
    clean(messages, sizeof two);
    *value = 1;
    length = place(sizeof *length);
    *length = sizeof *value;
    CHECK(setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, value, sizeof *value) == 0);
    value = place(sizeof *value);
    CHECK(getsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, value, length) == 0 && *value == 1);
    char *title = place(16);
    strcpy(title, "missing");
    CHECK(prctl(PR_SET_NAME, title) == 0);
    title = place(16);
    CHECK(prctl(PR_GET_NAME, title) == 0 && strcmp(title, "missing") == 0);
    close(ends[0]);
    close(ends[1]);
}

static void files(void)
{
    char *path = place(200), *content = place(9000), *here = place(4096), *link = place(200);
    sprintf(path, "%s/file", directory);
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(file >= 0 && pwrite(file, content, 9000, 5) == 9000);
    char *read_to = place(9000);
    CHECK(pread(file, read_to, 9000, 5) == 9000);
    mix(read_to, 9000);
    struct stat *status = place(sizeof *status);
    CHECK(stat(path, status) == 0 && status->st_size == 9005);
    CHECK(fstat(file, status) == 0 && status->st_size == 9005);
    sprintf(link, "%s/link", directory);
    CHECK(symlink(path, link) == 0);
    char *target = place(200);
    ssize_t length = readlink(link, target, 200);
    CHECK(length == (ssize_t)strlen(path) && memcmp(target, path, length) == 0);
    clean(target, 200);
    CHECK(unlink(link) == 0 && access(path, F_OK) == 0);
    CHECK(getcwd(here, 4096) == here && here[0] == '/');
    char *entries = place(2000);
    int listed = open(directory, O_RDONLY | O_DIRECTORY);
    CHECK(syscall(SYS_getdents64, (long)listed, entries, 2000l) > 0);
    CHECK(unlink(path) == 0);
    clean(path, 200), clean(here, 4096), clean(link, 200), clean(status, sizeof *status), clean(entries, 2000);
    close(listed);
    close(file);
}

static void waits(void)
{
    int ends[2];
    CHECK(pipe(ends) == 0 && write(ends[1], "x", 1) == 1);
    struct pollfd *polled = place(2 * sizeof *polled);
    polled[0] = (struct pollfd){ends[0], POLLIN, 0};
    polled[1] = (struct pollfd){ends[1], POLLOUT, 0};
    CHECK(poll(polled, 2, 1000) == 2 && polled[0].revents == POLLIN);
    fd_set *set = place(sizeof *set);
    struct timeval *limit = place(sizeof *limit);
    FD_ZERO(set);
    FD_SET(ends[0], set);
    *limit = (struct timeval){1, 0};
    CHECK(select(ends[0] + 1, set, NULL, NULL, limit) == 1 && FD_ISSET(ends[0], set));
    int epoll = epoll_create1(0);
    struct epoll_event *event = place(sizeof *event), *events = place(4 * sizeof *events);
    *event = (struct epoll_event){EPOLLIN, {.u64 = 77}};
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], event) == 0);
    CHECK(epoll_wait(epoll, events, 4, 1000) == 1 && events[0].data.u64 == 77);
    struct timespec *short_time = place(sizeof *short_time);
    *short_time = (struct timespec){0, 1000};
    CHECK(nanosleep(short_time, NULL) == 0);
    CHECK(clock_gettime(CLOCK_MONOTONIC, short_time) == 0 && short_time->tv_nsec < 1000000000);
    struct utsname *system = place(sizeof *system);
    struct rlimit *most = place(sizeof *most);
    /* Libraries differ in its size. */
    struct rusage *used = place(512);
    CHECK(uname(system) == 0 && getrlimit(RLIMIT_NOFILE, most) == 0 && getrusage(RUSAGE_SELF, used) == 0);
    clean(polled, 2 * sizeof *polled), clean(set, sizeof *set), clean(limit, sizeof *limit), clean(event, sizeof *event);
    clean(events, 4 * sizeof *events), clean(short_time, sizeof *short_time), clean(system, sizeof *system);
    clean(most, sizeof *most), clean(used, 512);
    close(epoll);
    close(ends[0]);
    close(ends[1]);
}

static void *partner(void *unused)
{
    (void)unused;
    for (;;) {
        atomic_uint *shared;
        while (!(shared = atomic_exchange(&word, NULL))) sched_yield();
        if ((char *)shared == guard) return NULL;
        /* 1: it is the partner's turn. */
        while (atomic_load(shared) != 1) syscall(SYS_futex, shared, FUTEX_WAIT, 0l, NULL, NULL, 0l);
        atomic_store(shared, 2);
        syscall(SYS_futex, shared, FUTEX_WAKE, 1l, NULL, NULL, 0l);
    }
}

static void futexes(void)
{
    atomic_uint *shared = place(16);
    atomic_store(shared, 0);
    errno = 0;
    CHECK(syscall(SYS_futex, (char *)place(PAGE), FUTEX_WAKE, 1l, NULL, NULL, 0l) == 0);
    CHECK(syscall(SYS_futex, shared, FUTEX_WAIT, 5l, NULL, NULL, 0l) == -1 && errno == EAGAIN);
    atomic_store(&word, shared);
    atomic_store(shared, 1);
    syscall(SYS_futex, shared, FUTEX_WAKE, 1l, NULL, NULL, 0l);
    while (atomic_load(shared) != 2) syscall(SYS_futex, shared, FUTEX_WAIT, 1l, NULL, NULL, 0l);
    for (int index = 0; index < 8; index++) mix(&(uint64_t){atomic_fetch_add((atomic_ullong *)place(8), 3)}, 8);
}

static void on_fault(int signal, siginfo_t *information, void *context)
{
    (void)context;
    if (information->si_code <= 0) {
        heard += 1000;
        return;
    }
    faults++;
    if (signal != SIGSEGV) fail("signal");
    char *address = information->si_addr;
    if (address >= arena && address < arena + size) {
        if (mprotect((char *)((uintptr_t)address & ~(PAGE - 1)), PAGE, PROT_READ | PROT_WRITE) != 0) fail("mprotect");
        return;
    }
    siglongjmp(back, 1);
}

static void on_signal(int signal, siginfo_t *information, void *context)
{
    (void)context;
    heard += signal == SIGUSR1 && information->si_value.sival_int == 5;
}

/* Faults that are the program's own, with their handler on a stack in the arena. */
static void own_faults(void)
{
    static volatile char *volatile nowhere = (char *)8;
    stack_t stack = {.ss_size = 64 << 10}, before;
    stack.ss_sp = place(stack.ss_size);
    CHECK(sigaltstack(&stack, &before) == 0);
    int at = faults;
    if (sigsetjmp(back, 1) == 0) {
        *nowhere = 1;
        fail("null");
    }
    if (sigsetjmp(back, 1) == 0) {
        *(volatile char *)(guard + random64() % PAGE) = 1;
        fail("guard");
    }
    char *page = (char *)((uintptr_t)place(PAGE) & ~(PAGE - 1));
    CHECK(mprotect(page, PAGE, PROT_READ) == 0);
    *(volatile char *)(page + 100) = 7;
    CHECK(faults == at + 3);
    errno = 0;
    CHECK(write(1, guard, 1) == -1 && errno == EFAULT);
    stack_t none = {.ss_flags = SS_DISABLE};
    CHECK(sigaltstack(&none, NULL) == 0);
    clean(stack.ss_sp, stack.ss_size);
}

static void signals(void)
{
    sigset_t *set = place(sizeof *set), *old = place(sizeof *old);
    int at = heard;
    sigfillset(set);
    CHECK(sigprocmask(SIG_BLOCK, set, old) == 0);
    /* With every signal kept out pages are found missing all the same. */
    char *touched = place(3 * PAGE);
    mix(touched, 3 * PAGE);
    CHECK(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 5}) == 0);
    sigset_t *pending = place(sizeof *pending);
    CHECK(sigpending(pending) == 0 && sigismember(pending, SIGUSR1) && heard == at);
    CHECK(sigprocmask(SIG_SETMASK, old, NULL) == 0 && heard == at + 1);
    sigset_t *wanted = place(sizeof *wanted);
    siginfo_t *information = place(sizeof *information);
    struct timespec *limit = place(sizeof *limit);
    sigemptyset(wanted);
    sigaddset(wanted, SIGUSR2);
    CHECK(sigprocmask(SIG_BLOCK, wanted, NULL) == 0 && raise(SIGUSR2) == 0);
    *limit = (struct timespec){5, 0};
    CHECK(sigtimedwait(wanted, information, limit) == SIGUSR2 && information->si_signo == SIGUSR2);
    CHECK(sigprocmask(SIG_UNBLOCK, wanted, NULL) == 0);
    clean(set, sizeof *set), clean(old, sizeof *old), clean(pending, sizeof *pending), clean(wanted, sizeof *wanted);
    clean(information, sizeof *information), clean(limit, sizeof *limit);
}

static void mappings(void)
{
    char *page = (char *)((uintptr_t)place(4 * PAGE) & ~(PAGE - 1));
    CHECK(mprotect(page, 4 * PAGE, PROT_NONE) == 0 && mprotect(page, 4 * PAGE, PROT_READ | PROT_WRITE) == 0);
    mix(page, 4 * PAGE);
    page = (char *)((uintptr_t)place(4 * PAGE) & ~(PAGE - 1));
    CHECK(madvise(page, 4 * PAGE, MADV_DONTNEED) == 0);
    for (size_t index = 0; index < 4 * PAGE; index++) CHECK(page[index] == 0);
    page = (char *)((uintptr_t)place(2 * PAGE) & ~(PAGE - 1));
    CHECK(mmap(page, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == page);
    for (size_t index = 0; index < 2 * PAGE; index++) CHECK(page[index] == 0);
    memset(page, 9, 2 * PAGE);
}

/* As if another process had sent what else only an instruction causes. */
static void sent_faults(void)
{
    sigset_t set;
    int at = heard;
    CHECK(raise(SIGSEGV) == 0 && heard == at + 1000);
    sigemptyset(&set);
    sigaddset(&set, SIGSEGV);
    CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0 && raise(SIGSEGV) == 0 && heard == at + 1000);
    char *touched = place(3 * PAGE);
    mix(touched, 3 * PAGE);
    CHECK(sigprocmask(SIG_UNBLOCK, &set, NULL) == 0 && heard == at + 2000);
}

static void forks(void)
{
    char *there = place(50000);
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        sum = 0;
        mix(there, 50000);
        _exit((int)(sum & 0x7f));
    }
    int *status = place(sizeof *status);
    CHECK(waitpid(child, status, 0) == child && WIFEXITED(*status));
    uint64_t before = sum;
    sum = 0;
    mix(there, 50000);
    CHECK((sum & 0x7f) == (uint64_t)WEXITSTATUS(*status));
    sum ^= before;
}

int main(int argc, char **argv)
{
    if (argc < 4) return 2;
    state = 0x9e3779b97f4a7c15 ^ strtoul(argv[1], NULL, 10) << 17;
    size = strtoul(argv[2], NULL, 10) << 20;
    unsigned long rounds = strtoul(argv[3], NULL, 10);
    arena = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    guard = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(arena != MAP_FAILED && guard != MAP_FAILED);
    for (size_t at = 0; at < size; at += 8) *(uint64_t *)(arena + at) = random64();
    strcpy(directory, "/tmp/maize-missing-XXXXXX");
    CHECK(mkdtemp(directory));
    struct sigaction on = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    CHECK(sigaction(SIGSEGV, &on, NULL) == 0);
    on = (struct sigaction){.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGUSR1, &on, NULL) == 0);
    pthread_t thread;
    sigset_t own;
    sigemptyset(&own);
    sigaddset(&own, SIGUSR1);
    sigaddset(&own, SIGUSR2);
    /* They are for this thread. */
    CHECK(pthread_sigmask(SIG_BLOCK, &own, NULL) == 0 && pthread_create(&thread, NULL, partner, NULL) == 0);
    CHECK(pthread_sigmask(SIG_UNBLOCK, &own, NULL) == 0);
    static void (*const kinds[])(void) = {pipes, datagrams, files, waits, futexes, own_faults, signals};
    for (unsigned long round = 0; round < rounds; round++) {
        takes = 0;
        kinds[random64() % (sizeof kinds / sizeof *kinds)]();
        /* These wait for all that is missing. */
        takes = 0;
        if (round % 100 == 50) mappings();
        if (round % 200 == 100) sent_faults();
        if (round % 400 == 200) forks();
    }
    atomic_store(&word, (atomic_uint *)guard);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(rmdir(directory) == 0);
    mix(arena, size);
    printf("%016llx %d %d\n", (unsigned long long)sum, (int)faults, (int)heard);
    return 0;
}
