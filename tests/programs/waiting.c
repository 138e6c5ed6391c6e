/* What a program waits with: epoll, timerfd, signalfd and inotify, in two processes that send each other words through pipes. It prints only what holds, and the same
 * whatever happens when. Arguments: rounds, microseconds between two of them, and nanoseconds by which the clocks of two processors may differ. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MILLISECOND 1000000L

static void check(const char *what, int holds)
{
    printf("%s: %s\n", what, holds ? "yes" : "NO");
    fflush(stdout);
}

/* By so much the clocks of two processors may differ. */
static int64_t skew = MILLISECOND / 10;

/* How far the clock has gone back, at most. */
static int64_t went_back;

static int64_t now(void)
{
    static int64_t last;
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    int64_t found = time.tv_sec * (int64_t)1000000000 + time.tv_nsec;
    if (last - found > went_back)
        went_back = last - found;
    return last = found;
}

static void watch(int set, int file, uint32_t events, uint64_t data)
{
    struct epoll_event event = {.events = events, .data.u64 = data};
    if (epoll_ctl(set, EPOLL_CTL_ADD, file, &event)) {
        perror("epoll_ctl");
        exit(1);
    }
}

/* Reads what an inotify tells, all of which must be of one watch. How many deletions that is, or -1. */
static int deletions(int told, int number)
{
    _Alignas(struct inotify_event) char bytes[1024];
    ssize_t length = read(told, bytes, sizeof bytes);
    int count = 0;
    for (char *at = bytes; at < bytes + length;) {
        struct inotify_event *event = (struct inotify_event *)at;
        if (event->wd != number || strcmp(event->name, "file"))
            return -1;
        count += (event->mask & IN_DELETE) != 0;
        at += sizeof *event + event->len;
    }
    return length < 0 ? -1 : count;
}

/* The most that a timer was early. */
static int64_t early;

/* A timer that has expired so often was to do so for the last time when so much had passed. */
static void note_early(const char *which, uint64_t count, int64_t due, int64_t passed)
{
    if (due - passed >= skew && due - passed > early)
        fprintf(stderr, "%s, %ld times: %ld ns early at %ld ns\n", which, (long)count, (long)(due - passed), (long)passed);
    if (due - passed > early)
        early = due - passed;
}

/* Answers each byte with the next one, until there are no more. Every byte is one edge, or part of one. */
static void answer(int from, int to)
{
    int set = epoll_create1(0);
    struct epoll_event event;
    unsigned char bytes[64];
    fcntl(from, F_SETFL, O_NONBLOCK);
    watch(set, from, EPOLLIN | EPOLLET, 7);
    for (;;) {
        if (epoll_wait(set, &event, 1, -1) != 1)
            continue;
        for (;;) {
            ssize_t count = read(from, bytes, sizeof bytes);
            if (count == 0)
                exit(0);
            if (count < 0)
                break;
            for (ssize_t i = 0; i < count; i++)
                bytes[i]++;
            if (write(to, bytes, count) != count)
                exit(2);
        }
    }
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 50, pause = argc > 2 ? atoi(argv[2]) : 2000;
    if (argc > 3)
        skew = atol(argv[3]);
    int out[2], back[2], spare[2], silent[2];
    if (pipe(out) || pipe(back) || pipe(spare) || pipe(silent))
        return 1;
    pid_t child = fork();
    if (child == 0) {
        close(out[1]), close(back[0]), close(spare[0]), close(spare[1]), close(silent[0]), close(silent[1]);
        answer(out[0], back[1]);
    }
    close(out[0]), close(back[1]);

    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    int signals = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
    int ticking = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), once = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
    struct itimerspec every = {{0, 5 * MILLISECOND}, {0, 5 * MILLISECOND}};
    int64_t began = now();
    timerfd_settime(ticking, 0, &every, NULL);
    struct itimerspec hour = {{0, 0}, {time(NULL) + 3600, 0}};
    timerfd_settime(once, TFD_TIMER_ABSTIME, &hour, NULL);

    int set = epoll_create1(EPOLL_CLOEXEC), inner = epoll_create1(0);
    watch(set, back[0], EPOLLIN, 1);
    watch(set, ticking, EPOLLIN | EPOLLET, 2);
    watch(set, signals, EPOLLIN, 3);
    watch(set, once, EPOLLIN, 4);
    watch(set, inner, EPOLLIN, 5);
    watch(inner, spare[0], EPOLLIN | EPOLLONESHOT, 6);
    watch(set, silent[0], EPOLLIN | EPOLLET, 8);
    /* Watched by a number that is another file's afterwards, and nobody's in the end. */
    int count = eventfd(0, EFD_NONBLOCK), number = dup(count);
    watch(set, number, EPOLLIN, 9);
    dup2(silent[1], number);
    close(number);
    /* Its first number is given up. */
    char directory[] = "/tmp/waiting-XXXXXX", file[64], ignored[64];
    int told = inotify_init1(IN_CLOEXEC);
    inotify_rm_watch(told, inotify_add_watch(told, "/", IN_CREATE));
    if (!mkdtemp(directory) || read(told, ignored, sizeof ignored) <= 0)
        return 1;
    snprintf(file, sizeof file, "%s/file", directory);
    int watched = inotify_add_watch(told, directory, IN_CREATE | IN_DELETE);
    watch(set, told, EPOLLIN, 10);
    /* Edges that are there and are not taken yet. */
    check("a byte for an edge", write(silent[1], "x", 1) == 1);

    uint64_t ticks = 0, value;
    int words = 0, wrong = 0, late = 0, calls = 0, edges = 0, nested = 0, counted = 0, files = 0;
    for (int round = 0; round < rounds; round++) {
        unsigned char byte = round, reply;
        usleep(pause);
        if (write(out[1], &byte, 1) != 1)
            return 1;
        if (round % 10 == 3)
            raise(SIGUSR1);
        if (round % 10 == 5)
            wrong += write(spare[1], "n", 1) != 1;
        if (round % 10 == 7) {
            value = 2;
            wrong += write(count, &value, sizeof value) != sizeof value;
        }
        if (round % 10 == 1)
            wrong += close(creat(file, 0600)) || unlink(file);
        int has_word = 0, has_file = round % 10 != 1, has_call = round % 10 != 3, has_nested = round % 10 != 5, has_count = round % 10 != 7;
        while (!has_word || !has_call || !has_nested || !has_count || !has_file) {
            struct epoll_event events[8];
            int ready = epoll_wait(set, events, 8, 10000);
            late += ready == 0;
            for (int i = 0; i < ready; i++) {
                switch (events[i].data.u64) {
                case 1:
                    wrong += read(back[0], &reply, 1) != 1 || reply != (unsigned char)(byte + 1);
                    words++, has_word = 1;
                    break;
                case 2:
                    if (read(ticking, &value, sizeof value) == sizeof value)
                        ticks += value;
                    note_early("ticking", ticks, (int64_t)ticks * 5 * MILLISECOND, now() - began);
                    break;
                case 3: {
                    struct signalfd_siginfo information;
                    wrong += read(signals, &information, sizeof information) != sizeof information ||
                             information.ssi_signo != SIGUSR1;
                    calls++, has_call = 1;
                    break;
                }
                case 5: {
                    struct epoll_event event;
                    if (epoll_wait(inner, &event, 1, 0) != 1)
                        break;
                    wrong += event.data.u64 != 6 || read(spare[0], &reply, 1) != 1;
                    event.events = EPOLLIN | EPOLLONESHOT;
                    wrong += epoll_ctl(inner, EPOLL_CTL_MOD, spare[0], &event) != 0;
                    nested++, has_nested = 1;
                    break;
                }
                case 8:
                    /* Reported once more after it was made again, perhaps. */
                    edges++;
                    break;
                case 9:
                    if (read(count, &value, sizeof value) != sizeof value)
                        break;
                    wrong += value != 2;
                    counted++, has_count = 1;
                    break;
                case 10: {
                    int deleted = deletions(told, watched);
                    wrong += deleted < 0;
                    files += deleted, has_file |= deleted;
                    break;
                }
                default:
                    wrong++;
                }
            }
        }
        /* An absolute time of the program's clock. */
        if (round % 20 == 11) {
            struct epoll_event event;
            int64_t until = now() + 3 * MILLISECOND;
            struct itimerspec at = {{0, 0}, {until / 1000000000, until % 1000000000}};
            int absolute = timerfd_create(CLOCK_MONOTONIC, 0), alone = epoll_create1(0);
            wrong += timerfd_settime(absolute, TFD_TIMER_ABSTIME, &at, NULL) != 0;
            watch(alone, absolute, EPOLLIN, 1);
            late += epoll_wait(alone, &event, 1, 10000) != 1;
            wrong += read(absolute, &value, sizeof value) != sizeof value || value != 1;
            note_early("absolute", value, until - began, now() - began);
            close(absolute), close(alone);
        }
        if (round % 10 == 9) {
            printf("%d words\n", words);
            fflush(stdout);
        }
    }
    struct itimerspec left;
    timerfd_gettime(once, &left);
    check("all words are answered", words == rounds && wrong == 0);
    check("all signals have come", calls == (rounds + 6) / 10);
    check("all nested events have come", nested == (rounds + 4) / 10);
    check("all counts have come", counted == (rounds + 2) / 10);
    check("all files were told of", files == (rounds + 8) / 10 && rmdir(directory) == 0);
    check("the edge was seen", edges > 0);
    check("nothing was late", late == 0);
    check("the clock never went back", went_back < skew);
    check("no timer was early", early < skew);
    check("the timer goes on", ticks > 0);
    check("an hour is left, nearly", left.it_value.tv_sec > 3000 && left.it_value.tv_sec < 3600);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 1};
    check("watches have their numbers", !epoll_ctl(set, EPOLL_CTL_MOD, back[0], &event) && !epoll_ctl(set, EPOLL_CTL_DEL, signals, NULL));
    if (wrong || late || early >= skew || went_back >= skew)
        fprintf(stderr, "words %d wrong %d late %d early %ld ns back %ld ns calls %d nested %d counted %d files %d edges %d\n", words, wrong, late, (long)early, (long)went_back, calls, nested, counted, files, edges);
    close(out[1]);
    int status;
    check("the child ends", waitpid(child, &status, 0) == child && status == 0);
    return 7;
}
