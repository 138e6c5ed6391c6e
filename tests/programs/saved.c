/* What a program has open or has set, and finds again after it was saved and restored. It works for long enough to be saved in between,
 * prints only what holds, and the same whatever happens when. Runs in a directory of its own. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void check(const char *what, int holds)
{
    printf("%s: %s\n", what, holds ? "yes" : "NO");
    fflush(stdout);
}

static int64_t now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec * (int64_t)1000000000 + time.tv_nsec;
}

/* Some milliseconds of work without system calls but for the clock, which never goes back. */
static void work(int milliseconds)
{
    static int64_t last[2];
    static const clockid_t clocks[2] = {CLOCK_MONOTONIC, CLOCK_BOOTTIME};
    int64_t end = now(CLOCK_MONOTONIC) + milliseconds * (int64_t)1000000;
    volatile uint64_t state = 1;
    while (now(CLOCK_MONOTONIC) < end) {
        for (int i = 0; i < 20000; i++)
            state = state * 6364136223846793005u + 1442695040888963407u;
        for (int i = 0; i < 2; i++) {
            int64_t time = now(clocks[i]);
            if (time < last[i])
                check("clocks go on", 0);
            last[i] = time;
        }
    }
}

static volatile sig_atomic_t seen[65], values[65];

static void on_signal(int number, siginfo_t *information, void *context)
{
    (void)context;
    seen[number]++;
    values[number] = information->si_value.sival_int;
}

int main(int argc, char **argv)
{
    int pause = argc > 1 ? atoi(argv[1]) : 100;
    pid_t self = getpid();
    umask(027);

    int file = open("data", O_RDWR | O_CREAT | O_TRUNC, 0640);
    int same = dup(file), other = open("data", O_RDONLY);
    int appended = open("log", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0640);
    int removed = open("removed", O_RDWR | O_CREAT, 0600);
    unlink("removed");
    int memory = memfd_create("memory", 0);
    int event = eventfd(0, EFD_NONBLOCK);
    int directory = open(".", O_RDONLY | O_DIRECTORY);
    int null = open("/dev/null", O_RDWR);
    int ends[2], closed[2];
    if (pipe(ends) || pipe2(closed, O_NONBLOCK) || ftruncate(file, 8192))
        return 1;
    char *mapped = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    char *copied = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    if (mapped == MAP_FAILED || copied == MAP_FAILED)
        return 1;
    strcpy(copied + 4096, "mine");
    write(closed[1], "left", 4);
    close(closed[1]);
    uint64_t count = 5;
    write(event, &count, 8);
    fcntl(null, F_SETFD, FD_CLOEXEC);

    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    sigaction(SIGRTMIN + 3, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    sigset_t blocked, old;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGRTMIN + 3);
    sigaddset(&blocked, SIGUSR1);
    sigaddset(&blocked, SIGBUS);
    sigprocmask(SIG_BLOCK, &blocked, &old);
    for (int i = 1; i <= 3; i++)
        sigqueue(self, SIGRTMIN + 3, (union sigval){.sival_int = i});
    raise(SIGUSR1);
    raise(SIGBUS);

    pid_t child = fork();
    if (child == 0) {
        /* Ends with what the parent has sent, after the parent has closed. */
        char byte;
        int sum = 0;
        close(ends[1]);
        while (read(ends[0], &byte, 1) == 1) {
            sum += byte;
            work(pause / 20);
        }
        _exit(sum % 100);
    }
    for (int i = 0; i < 20; i++) {
        char byte = (char)i, line[32];
        int length = snprintf(line, sizeof line, "%d\n", i);
        write(ends[1], &byte, 1);
        write(i % 2 ? file : same, line, length);
        write(appended, line, length);
        write(removed, line, length);
        write(memory, line, length);
        mapped[4096 + i] = 'a' + i;
        work(pause / 10);
    }
    close(ends[1]);
    int status;
    check("child", waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 190 % 100);
    check("no other child", waitpid(-1, NULL, 0) == -1 && errno == ECHILD);

    char buffer[8192];
    struct stat status_of;
    check("the offset is shared", lseek(file, 0, SEEK_CUR) == 50 && lseek(same, 0, SEEK_CUR) == 50);
    check("another one has its own", lseek(other, 0, SEEK_CUR) == 0 && read(other, buffer, 6) == 6 && !memcmp(buffer, "0\n1\n2\n", 6));
    check("what was written", !fstat(appended, &status_of) && status_of.st_size == 50);
    check("removed", !fstat(removed, &status_of) && status_of.st_nlink == 0 && status_of.st_size == 50
                         && pread(removed, buffer, 4, 0) == 4 && !memcmp(buffer, "0\n1\n", 4));
    check("memory", lseek(memory, 0, SEEK_CUR) == 50 && pread(memory, buffer, 4, 46) == 4 && !memcmp(buffer, "\n19\n", 4));
    check("event", read(event, &count, 8) == 8 && count == 5 && read(event, &count, 8) == -1 && errno == EAGAIN);
    check("directory", !fstat(directory, &status_of) && S_ISDIR(status_of.st_mode));
    check("null", read(null, buffer, 1) == 0 && fcntl(null, F_GETFD) == FD_CLOEXEC);
    check("left in a pipe", read(closed[0], buffer, 9) == 4 && !memcmp(buffer, "left", 4));
    check("nobody writes to it", read(closed[0], buffer, 9) == 0);
    check("close on exec", fcntl(appended, F_GETFD) == FD_CLOEXEC && (fcntl(appended, F_GETFL) & O_APPEND));
    check("mapped", !memcmp(mapped + 4096, "abcdefghijklmnopqrst", 20) && pread(file, buffer, 3, 4096) == 3
                        && !memcmp(buffer, "abc", 3));
    check("copied", !strcmp(copied + 4096, "mine"));
    check("itself", getpid() == self);
    check("mask", umask(0) == 027);
    sigset_t pending;
    sigpending(&pending);
    check("signals wait", sigismember(&pending, SIGRTMIN + 3) && sigismember(&pending, SIGUSR1) && !seen[SIGUSR1]);
    sigprocmask(SIG_SETMASK, &old, NULL);
    check("and come", seen[SIGRTMIN + 3] == 3 && values[SIGRTMIN + 3] == 3 && seen[SIGUSR1] == 1 && seen[SIGBUS] == 1);

    int64_t begin = now(CLOCK_MONOTONIC);
    struct timespec until = {(begin + 300000000) / 1000000000, (begin + 300000000) % 1000000000};
    check("sleeps", clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == 0);
    int64_t slept = now(CLOCK_MONOTONIC) - begin;
    check("as long as it should", slept >= 300000000 && slept < 20 * (int64_t)1000000000);
    return 3;
}
