/* What a process holds in the kernel besides memory and plain files, looked at before and after moves. Runs in a directory of its own. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Long enough for a move, however fast the machine. */
static void compute(int milliseconds)
{
    static volatile uint64_t state = 1;
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        for (int i = 0; i < 1000000; i++)
            state = state * 6364136223846793005u + 1;
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < milliseconds);
}

static void move(void)
{
    compute(200);
}

static void check(const char *what, int holds)
{
    printf("%s: %s\n", what, holds ? "yes" : "NO");
    fflush(stdout);
}

static volatile sig_atomic_t alarms, timer_value, timers;

static void on_alarm(int signal)
{
    (void)signal;
    alarms++;
}

static void on_timer(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    timers++;
    timer_value = info->si_value.sival_int;
}

static void descriptors(void)
{
    uint64_t value = 5;
    int event = eventfd(0, EFD_NONBLOCK);
    int pair[2];
    if (write(event, &value, 8) != 8 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
        exit(1);
    int epoll = epoll_create1(0);
    struct epoll_event wanted = {.events = EPOLLIN, .data.u64 = 0x1234567890}, got[4];
    epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &wanted);
    int timer = timerfd_create(CLOCK_MONOTONIC, 0);
    struct itimerspec in_300_ms = {.it_value.tv_nsec = 300000000}, left;
    timerfd_settime(timer, 0, &in_300_ms, NULL);
    int watch = inotify_init1(IN_NONBLOCK);
    inotify_add_watch(watch, ".", IN_CREATE);
    int memory = memfd_create("memory", 0);
    check("made", ftruncate(memory, 8192) == 0);
    char *mapped = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    strcpy(mapped + 5000, "shared");
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int signals = signalfd(-1, &set, SFD_NONBLOCK);
    int unlinked = open("mapped", O_RDWR | O_CREAT, 0600);
    check("file", write(unlinked, "mapped and unlinked", 20) == 20);
    char *file = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, unlinked, 0);
    unlink("mapped");
    close(unlinked);

    move();
    check("eventfd", read(event, &value, 8) == 8 && value == 5);
    check("epoll waits", epoll_wait(epoll, got, 4, 0) == 0);
    check("socket", write(pair[1], "x", 1) == 1);
    check("epoll tells", epoll_wait(epoll, got, 4, -1) == 1 && got[0].data.u64 == 0x1234567890);
    check("timerfd", read(timer, &value, 8) == 8 && value == 1 && timerfd_gettime(timer, &left) == 0);
    close(open("new", O_CREAT | O_WRONLY, 0600));
    char buffer[1000];
    check("inotify", read(watch, buffer, sizeof buffer) > 0);
    char text[10];
    check("memfd", pread(memory, text, 7, 5000) == 7 && strcmp(text, "shared") == 0);
    strcpy(mapped + 5000, "SHARED");
    check("and shared", pread(memory, text, 7, 5000) == 7 && strcmp(text, "SHARED") == 0);
    check("unlinked mapped file", strcmp(file, "mapped and unlinked") == 0);
    kill(getpid(), SIGUSR2);
    struct signalfd_siginfo info;
    check("signalfd", read(signals, &info, sizeof info) == sizeof info && info.ssi_signo == SIGUSR2);
    int from = open("new", O_RDWR), to = open("copy", O_RDWR | O_CREAT, 0600);
    check("written", write(from, "0123456789", 10) == 10 && lseek(from, 0, SEEK_SET) == 0);
    check("sendfile", sendfile(to, from, NULL, 4) == 4);
    check("copy_file_range", copy_file_range(from, NULL, to, NULL, 6, 0) == 6);
    int ends[2];
    loff_t start = 0;
    check("splice", pipe(ends) == 0 && splice(to, &start, ends[1], NULL, 10, 0) == 10
                        && read(ends[0], buffer, 10) == 10 && memcmp(buffer, "0123456789", 10) == 0);
    close(epoll), close(timer), close(watch), close(memory), close(signals), close(pair[0]), close(pair[1]);
}

static void settings(void)
{
    umask(027);
    check("directory", mkdir("directory", 0700) == 0 && chdir("directory") == 0);
    struct rlimit limit = {100, 200}, found;
    setrlimit(RLIMIT_NOFILE, &limit);
    prctl(PR_SET_NAME, "renamed");
    prctl(PR_SET_DUMPABLE, 0);
    prctl(PR_SET_TIMERSLACK, 123456);
    prctl(PR_SET_PDEATHSIG, SIGHUP);
    check("nice", setpriority(PRIO_PROCESS, 0, 5) == 0);
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(0, &cpus);
    check("affinity", sched_setaffinity(0, sizeof cpus, &cpus) == 0);
    static char alternate[16384];
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    sigaltstack(&stack, NULL);

    move();
    char name[32] = {0}, path[4096];
    check("cwd", getcwd(path, sizeof path) && strcmp(strrchr(path, '/'), "/directory") == 0);
    check("umask", umask(022) == 027);
    check("limit", getrlimit(RLIMIT_NOFILE, &found) == 0 && found.rlim_cur == 100 && found.rlim_max == 200);
    check("name", prctl(PR_GET_NAME, name) == 0 && strcmp(name, "renamed") == 0);
    check("dumpable", prctl(PR_GET_DUMPABLE) == 0);
    check("timer slack", prctl(PR_GET_TIMERSLACK) == 123456);
    int signal = 0;
    check("signal of the parent's end", prctl(PR_GET_PDEATHSIG, &signal) == 0 && signal == SIGHUP);
    prctl(PR_SET_PDEATHSIG, 0);
    check("priority", getpriority(PRIO_PROCESS, 0) == 5);
    check("processors", sched_getaffinity(0, sizeof cpus, &cpus) == 0 && CPU_COUNT(&cpus) == 1 && CPU_ISSET(0, &cpus));
    check("alternate stack", sigaltstack(NULL, &stack) == 0 && stack.ss_sp == alternate);
    check("back", chdir("..") == 0);
    prctl(PR_SET_DUMPABLE, 1);
}

static void times_and_timers(void)
{
    struct sigaction action = {.sa_handler = on_alarm};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval interval = {{0, 50000}, {0, 50000}};
    setitimer(ITIMER_REAL, &interval, NULL);
    struct sigaction queued = {.sa_sigaction = on_timer, .sa_flags = SA_SIGINFO};
    sigaction(SIGRTMIN + 3, &queued, NULL);
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 3, .sigev_value.sival_int = 77};
    timer_t first, second, third;
    check("timers", timer_create(CLOCK_MONOTONIC, &event, &first) == 0
                        && timer_create(CLOCK_REALTIME, NULL, &second) == 0
                        && timer_create(CLOCK_MONOTONIC, &event, &third) == 0);
    timer_delete(second);
    struct itimerspec every = {{0, 60000000}, {0, 100000000}}, once = {{0, 0}, {900, 0}}, left;
    timer_settime(first, 0, &every, NULL);
    timer_settime(third, 0, &once, NULL);
    clock_t before = clock();
    struct rusage usage_before, usage;
    struct timespec used_before, used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used_before);
    getrusage(RUSAGE_SELF, &usage_before);
    struct tms tms_before, tms;
    times(&tms_before);
    for (int i = 0; i < 4; i++) {
        compute(100);
        getrusage(RUSAGE_SELF, &usage);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
        int grows = usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec
                        >= usage_before.ru_utime.tv_sec * 1000000 + usage_before.ru_utime.tv_usec
                    && used.tv_sec * 1000000000 + used.tv_nsec >= used_before.tv_sec * 1000000000 + used_before.tv_nsec;
        check("time used grows", grows);
        usage_before = usage;
        used_before = used;
    }
    check("clock", clock() > before);
    check("times", times(&tms) != (clock_t)-1 && tms.tms_utime >= tms_before.tms_utime);
    check("alarms", alarms >= 3);
    check("timer", timers >= 2 && timer_value == 77);
    check("third timer", timer_gettime(third, &left) == 0 && left.it_value.tv_sec > 800 && left.it_value.tv_sec < 900);
    check("deleted", timer_gettime(second, &left) == -1);
    check("deletes", timer_delete(first) == 0 && timer_delete(third) == 0);
    interval = (struct itimerval){{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &interval, NULL);
}

/* Whether another process could lock a byte of the file. */
static int is_free(const char *name, off_t at, int whole)
{
    pid_t child = fork();
    if (child == 0) {
        int file = open(name, O_RDWR);
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
        _exit(whole ? flock(file, LOCK_EX | LOCK_NB) == 0 : fcntl(file, F_SETLK, &lock) == 0);
    }
    int status;
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
}

static void locks(void)
{
    int whole = open("whole", O_RDWR | O_CREAT, 0600), ranges = open("ranges", O_RDWR | O_CREAT, 0600);
    check("flock", flock(whole, LOCK_EX) == 0);
    struct flock own = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 300, .l_len = 10};
    check("of the open file", fcntl(ranges, F_OFD_SETLK, &own) == 0);
    move();
    check("file still locked", !is_free("whole", 0, 1));
    check("range still locked", !is_free("ranges", 305, 0) && is_free("ranges", 310, 0));
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 10};
    check("fcntl", fcntl(ranges, F_SETLK, &lock) == 0);
    move();
    check("the process's, too", !is_free("ranges", 105, 0) && is_free("ranges", 110, 0));
    lock.l_type = F_UNLCK;
    check("unlocked", fcntl(ranges, F_SETLK, &lock) == 0 && is_free("ranges", 105, 0));
    move();
}

static void self(char *name)
{
    char path[4096], real[4096], line[4096] = {0};
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    path[length > 0 ? length : 0] = 0;
    check("exe", length > 0 && realpath(name, real) && strcmp(path, real) == 0);
    move();
    FILE *file = fopen("/proc/self/cmdline", "r");
    length = file ? (ssize_t)fread(line, 1, sizeof line, file) : 0;
    check("cmdline", length == (ssize_t)strlen(name) + 1 + 4 && strcmp(line, name) == 0
                         && memcmp(line + strlen(name) + 1, "a b", 4) == 0);
    if (file)
        fclose(file);
    int number = 0;
    file = fopen("/proc/self/stat", "r");
    check("stat", file && fscanf(file, "%d", &number) == 1 && number == getpid());
    if (file)
        fclose(file);
    snprintf(path, sizeof path, "/proc/%d/exe", getpid());
    length = readlink(path, line, sizeof line - 1);
    line[length > 0 ? length : 0] = 0;
    check("by number", strcmp(line, real) == 0);
    length = readlink("/proc/self", line, sizeof line - 1);
    line[length > 0 ? length : 0] = 0;
    check("self", atoi(line) == getpid());
    int descriptor = open("named", O_RDWR | O_CREAT, 0600);
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    length = readlink(path, line, sizeof line - 1);
    line[length > 0 ? length : 0] = 0;
    check("fd", length > 6 && strcmp(line + length - 6, "/named") == 0);
    file = fopen("/proc/self/maps", "r");
    int found = 0;
    while (file && fgets(line, sizeof line, file)) {
        uintptr_t start, end;
        if (sscanf(line, "%lx-%lx", &start, &end) == 2 && start <= (uintptr_t)&check && (uintptr_t)&check < end)
            found++;
    }
    check("maps", found == 1);
}

static void segments(void)
{
    int id = shmget(IPC_PRIVATE, 8192, IPC_CREAT | 0600);
    char *memory = shmat(id, NULL, 0);
    check("attached", memory != (char *)-1);
    strcpy(memory, "in the segment");
    move();
    check("segment", strcmp(memory, "in the segment") == 0);
    pid_t child = fork();
    if (child == 0) {
        strcpy(memory, "by the child");
        _exit(0);
    }
    waitpid(child, NULL, 0);
    check("still shared", strcmp(memory, "by the child") == 0);
    check("detached", shmdt(memory) == 0 && shmctl(id, IPC_RMID, NULL) == 0);
}

static volatile sig_atomic_t came[65];

static void on_any(int signal)
{
    came[signal]++;
}

/* Signals that are kept out wait, if an instruction can cause them, too, and if nothing handles them yet. */
static void waiting_signals(void)
{
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGUSR1, SIGSEGV};
    sigset_t set, old;
    sigfillset(&set);
    sigprocmask(SIG_BLOCK, &set, &old);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) raise(numbers[i]);
        move();
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
            came[numbers[i]] = 0;
            signal(numbers[i], on_any);
        }
        move();
        sigprocmask(SIG_SETMASK, &old, NULL);
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) printf("%d: %s\n", numbers[i], came[numbers[i]] == 1 ? "yes" : "NO");
        sigprocmask(SIG_BLOCK, &set, NULL);
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) signal(numbers[i], SIG_DFL);
    }
}

int main(int count, char **arguments)
{
    const char *part = count > 1 ? arguments[1] : "";
    if (strcmp(part, "descriptors") == 0)
        descriptors();
    else if (strcmp(part, "settings") == 0)
        settings();
    else if (strcmp(part, "times") == 0)
        times_and_timers();
    else if (strcmp(part, "locks") == 0)
        locks();
    else if (strcmp(part, "segments") == 0)
        segments();
    else if (strcmp(part, "signals") == 0)
        waiting_signals();
    else
        self(arguments[0]);
    return 0;
}
