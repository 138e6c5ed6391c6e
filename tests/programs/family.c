/* A program with children, all of which compute for long enough to be moved: exit statuses, SIGCHLD, pipes, groups, sessions, orphans, stops,
 * posix_spawn, popen. Prints the same whatever moves when. */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

/* For some milliseconds, and always the same result. */
static uint64_t compute(int milliseconds)
{
    struct timespec start, now;
    const char *times = getenv("FAMILY_TIMES");
    milliseconds *= times ? atoi(times) : 1;
    clock_gettime(CLOCK_MONOTONIC, &start);
    uint64_t state = 1;
    do {
        state = 1;
        for (int i = 0; i < 300000; i++)
            state = state * 6364136223846793005u + 1442695040888963407u;
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < milliseconds);
    return state;
}

static void check(const char *what, int holds)
{
    printf("%s: %s\n", what, holds ? "yes" : "NO");
    fflush(stdout);
}

static volatile sig_atomic_t children_signalled;
static volatile pid_t last_sender;
static volatile int last_code, last_status;

static void on_child(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    last_sender = info->si_pid;
    last_code = info->si_code;
    last_status = info->si_status;
    children_signalled++;
}

static void statuses(void)
{
    struct sigaction action = {.sa_sigaction = on_child, .sa_flags = SA_SIGINFO | SA_RESTART}, old;
    sigaction(SIGCHLD, &action, &old);
    enum { COUNT = 4 };
    pid_t ids[COUNT], self = getpid();
    for (int i = 0; i < COUNT; i++) {
        ids[i] = fork();
        if (ids[i] == 0) {
            uint64_t sum = compute(120 + 40 * i);
            if (getppid() != self)
                _exit(99);
            if (i == 3) {
                signal(SIGTERM, SIG_DFL);
                kill(getpid(), SIGTERM);
            }
            _exit((int)(sum % 7) + 10 * i);
        }
    }
    uint64_t sum = compute(100) % 7;
    for (int i = 0; i < COUNT; i++) {
        int status = 0;
        struct rusage usage;
        pid_t found = wait4(ids[i], &status, 0, &usage);
        check("waited for", found == ids[i]);
        if (i < 3)
            check("status", WIFEXITED(status) && WEXITSTATUS(status) == (int)sum + 10 * i);
        else
            check("signal", WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
        check("time used", usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec > 0);
    }
    check("no more", waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
    check("told of each", children_signalled >= 1 && children_signalled <= COUNT);
    /* One may have come for several, of which it tells of one. */
    int told = 0;
    for (int i = 0; i < COUNT; i++)
        told += last_sender == ids[i] && last_code == (i < 3 ? CLD_EXITED : CLD_KILLED)
                && last_status == (i < 3 ? (int)sum + 10 * i : SIGTERM);
    check("by whom", told == 1);
    sigaction(SIGCHLD, &old, NULL);
}

static void pipes(void)
{
    int there[2], back[2];
    if (pipe(there) || pipe(back))
        exit(1);
    pid_t child = fork();
    if (child == 0) {
        close(there[1]), close(back[0]);
        char byte;
        while (read(there[0], &byte, 1) == 1) {
            byte += compute(3) % 5;
            if (write(back[1], &byte, 1) != 1)
                _exit(1);
        }
        _exit(0);
    }
    close(there[0]), close(back[1]);
    unsigned sum = 0;
    for (int i = 0; i < 60; i++) {
        unsigned char byte = (unsigned char)i;
        if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
            exit(1);
        sum += byte;
    }
    close(there[1]);
    int status;
    check("pipe", waitpid(child, &status, 0) == child && status == 0);
    printf("sum %u\n", sum);
}

/* Memory without a file that parent and children share, mapped twice by the parent. */
static void memory(void)
{
    enum { CHILDREN = 3, ROUNDS = 20, WORDS = 1 << 15 };
    size_t size = WORDS * sizeof(uint64_t);
    uint64_t *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t *own = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || own == MAP_FAILED)
        abort();
    own[7] = 7;
    for (int child = 0; child < CHILDREN; child++) {
        if (fork() == 0) {
            for (int round = 0; round < ROUNDS; round++) {
                compute(8);
                __atomic_fetch_add(&shared[round], 1, __ATOMIC_SEQ_CST);
                /* Each has words of its own, far apart. */
                shared[WORDS - 1 - child * 1000 - round] = (uint64_t)(child * 100 + round);
            }
            _exit(0);
        }
    }
    /* While they run: the sum only grows. */
    uint64_t sum = 0, last = 0;
    int grows = 1;
    do {
        last = sum;
        sum = 0;
        compute(5);
        for (int round = 0; round < ROUNDS; round++)
            sum += __atomic_load_n(&shared[round], __ATOMIC_SEQ_CST);
        grows = grows && sum >= last;
    } while (waitpid(-1, NULL, WNOHANG) >= 0);
    int all = 1;
    for (int round = 0; round < ROUNDS; round++) {
        all = all && shared[round] == CHILDREN;
        for (int child = 0; child < CHILDREN; child++)
            all = all && shared[WORDS - 1 - child * 1000 - round] == (uint64_t)(child * 100 + round);
    }
    check("shared memory grows", grows);
    check("shared memory has what all have written", all && own[7] == 7 && own[0] == 0);
    munmap(shared, size);
    munmap(own, size);
}

static volatile sig_atomic_t received;

static void on_signal(int signal)
{
    received = signal;
}

static void wait_for_signal(int number)
{
    sigset_t none;
    sigemptyset(&none);
    while (received != number)
        sigsuspend(&none);
    received = 0;
}

static void signals(void)
{
    sigset_t blocked, old;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigaddset(&blocked, SIGUSR2);
    sigprocmask(SIG_BLOCK, &blocked, &old);
    signal(SIGUSR1, on_signal);
    signal(SIGUSR2, on_signal);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 20; i++) {
            wait_for_signal(SIGUSR1);
            compute(5);
            kill(getppid(), SIGUSR2);
        }
        _exit(3);
    }
    for (int i = 0; i < 20; i++) {
        kill(child, SIGUSR1);
        wait_for_signal(SIGUSR2);
    }
    int status;
    check("signals to and fro", waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 3);

    /* A queued real-time signal with a value. */
    int number = SIGRTMIN + 2;
    sigset_t queued;
    sigemptyset(&queued);
    sigaddset(&queued, number);
    sigprocmask(SIG_BLOCK, &queued, NULL);
    pid_t self = getpid();
    child = fork();
    if (child == 0) {
        for (int i = 0; i < 3; i++) {
            compute(10);
            sigqueue(self, number, (union sigval){.sival_int = 40 + i});
        }
        _exit(0);
    }
    compute(80);
    waitpid(child, NULL, 0);
    for (int i = 0; i < 3; i++) {
        siginfo_t info = {0};
        int found = sigwaitinfo(&queued, &info);
        if (found != number || info.si_code != SI_QUEUE || info.si_value.sival_int != 40 + i || info.si_pid != child)
            fprintf(stderr, "%d: signal %d (%s), code %d, value %d from %d, not %d\n", i, found, strerror(errno),
                    info.si_code, info.si_value.sival_int, info.si_pid, child);
        check("queued", found == number && info.si_code == SI_QUEUE && info.si_value.sival_int == 40 + i
                            && info.si_pid == child);
    }
    sigprocmask(SIG_SETMASK, &old, NULL);
}

static void groups(void)
{
    pid_t first = fork();
    if (first == 0) {
        setpgid(0, 0);
        for (;;)
            compute(20);
    }
    setpgid(first, first);
    pid_t second = fork();
    if (second == 0) {
        setpgid(0, first);
        for (;;)
            compute(20);
    }
    setpgid(second, first);
    compute(60);
    check("group", getpgid(first) == first && getpgid(second) == first && getpgrp() != first);
    check("session", getsid(first) == getsid(0));
    int status;
    kill(first, SIGSTOP);
    check("stopped", waitpid(first, &status, WUNTRACED) == first && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    kill(first, SIGCONT);
    check("continued", waitpid(first, &status, WCONTINUED) == first && WIFCONTINUED(status));
    check("still there", waitpid(-first, &status, WNOHANG) == 0);
    check("kill of a group", kill(-first, SIGKILL) == 0);
    siginfo_t info = {0};
    int ended = 0;
    for (int i = 0; i < 2; i++)
        if (waitid(P_PGID, (id_t)first, &info, WEXITED) == 0 && info.si_code == CLD_KILLED && info.si_status == SIGKILL)
            ended += info.si_pid == first ? 1 : info.si_pid == second ? 2 : 100;
    check("both ended", ended == 3);
    check("nobody there", kill(first, 0) == -1 && errno == ESRCH);

    pid_t leader = fork();
    if (leader == 0) {
        pid_t session = setsid();
        compute(40);
        _exit(session == getpid() && getsid(0) == session && getpgrp() == session ? 0 : 1);
    }
    check("session of its own", waitpid(leader, &status, 0) == leader && status == 0);
}

static void orphan(void)
{
    int ends[2];
    if (pipe(ends))
        exit(1);
    pid_t child = fork();
    if (child == 0) {
        pid_t self = getpid();
        if (fork() == 0) {
            while (getppid() == self)
                compute(5);
            compute(60);
            int told = getppid();
            if (write(ends[1], &told, sizeof told) != sizeof told)
                _exit(1);
            _exit(0);
        }
        compute(30);
        _exit(0);
    }
    close(ends[1]);
    int parent = 0;
    waitpid(child, NULL, 0);
    check("adopted", read(ends[0], &parent, sizeof parent) == sizeof parent && parent != child && parent != getpid());
    check("end of the pipe", read(ends[0], &parent, sizeof parent) == 0);
    check("not a child", waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
}

static void others(char *self)
{
    /* Nobody waits for children that are ignored. */
    signal(SIGCHLD, SIG_IGN);
    pid_t child = fork();
    if (child == 0) {
        compute(30);
        _exit(5);
    }
    check("ignored", waitpid(child, NULL, 0) == -1 && errno == ECHILD);
    signal(SIGCHLD, SIG_DFL);

    int status;
    char *arguments[] = {self, "child", "a b", NULL};
    check("spawned", posix_spawn(&child, self, NULL, NULL, arguments, environ) == 0);
    check("its status", waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 42);
    char *nothing[] = {"/nonexistent/program", NULL};
    check("no such program", posix_spawn(&child, nothing[0], NULL, NULL, nothing, environ) == ENOENT);

    char command[4200], line[100];
    snprintf(command, sizeof command, "exec '%s' child popen", self);
    FILE *stream = popen(command, "r");
    while (stream && fgets(line, sizeof line, stream))
        printf("from popen: %s", line);
    status = stream ? pclose(stream) : 0;
    check("popen", WIFEXITED(status) && WEXITSTATUS(status) == 42);
    fflush(stdout);
    check("system", WEXITSTATUS(system("echo from the shell; exit 9")) == 9);
}

int main(int count, char **arguments)
{
    if (count > 1 && strcmp(arguments[1], "child") == 0) {
        uint64_t sum = compute(100);
        printf("child with %s: %s %016llx\n", arguments[2], getenv("FAMILY") ? "and variable" : "",
               (unsigned long long)sum);
        return 42;
    }
    if (count > 1 && strcmp(arguments[1], "exec") == 0) {
        pid_t self = getpid();
        char id[20];
        compute(500);
        if (count > 2) {
            printf("still %d\n", atoi(arguments[2]) == self);
            arguments[1] = "child";
            arguments[2] = "exec";
        } else {
            snprintf(id, sizeof id, "%d", self);
            char *again[] = {arguments[0], "exec", id, NULL};
            return execv(arguments[0], again);
        }
        fflush(stdout);
        return execv(arguments[0], arguments);
    }
    if (count > 1 && strcmp(arguments[1], "where") == 0) {
        /* Executes itself, and tells what the kernel executes then: this program or an emulator. */
        char name[200] = {0};
        if (count == 2)
            return execl(arguments[0], arguments[0], "where", "now", NULL);
        if (readlink("/proc/thread-self/exe", name, sizeof name - 1) < 0)
            return 1;
        puts(strrchr(name, '/') + 1);
        return 0;
    }
    setenv("FAMILY", "here", 1);
    statuses();
    pipes();
    memory();
    signals();
    groups();
    orphan();
    others(arguments[0]);
    return 0;
}
