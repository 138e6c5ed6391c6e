/* A server that answers every byte with one that follows from all bytes that have come on the connection so far. Arguments: the port, and how
 * much memory to fill with what does not compress, bytes. It says what it has done every 100 ms, and ends by SIGTERM. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define ROOM 65536

struct connection {
    int file, ended;
    uint64_t state;
    size_t start, end;
    unsigned char waiting[ROOM];
};

static unsigned char follow(uint64_t *state, unsigned char byte)
{
    *state = (*state ^ byte) * 6364136223846793005u + 1442695040888963407u;
    return *state >> 56;
}

static int set;
static uint64_t bytes;
static unsigned opened, closed;

static void watch(int file, uint32_t events, void *data)
{
    struct epoll_event event = {.events = events, .data.ptr = data};
    if (epoll_ctl(set, EPOLL_CTL_ADD, file, &event))
        perror("epoll_ctl"), exit(1);
}

/* Reads, answers and writes until neither goes on. */
static void serve(struct connection *one)
{
    for (;;) {
        while (one->start < one->end) {
            ssize_t count = send(one->file, one->waiting + one->start, one->end - one->start, MSG_NOSIGNAL);
            if (count < 0 && errno == EAGAIN)
                return;
            if (count < 0)
                goto end;
            one->start += count;
        }
        one->start = one->end = 0;
        if (one->ended)
            goto end;
        ssize_t count = recv(one->file, one->waiting, ROOM, 0);
        if (count < 0 && errno == EAGAIN)
            return;
        if (count < 0) {
            printf("a connection is lost: %s\n", strerror(errno));
            goto end;
        }
        one->ended = count == 0;
        for (ssize_t i = 0; i < count; i++)
            one->waiting[i] = follow(&one->state, one->waiting[i]);
        one->end = count, bytes += count;
    }
end:
    close(one->file);
    free(one);
    closed++;
}

int main(int argc, char **argv)
{
    int port = argc > 1 ? atoi(argv[1]) : 7777, one = 1;
    size_t size = argc > 2 ? atol(argv[2]) : 0;
    volatile unsigned char *filled = malloc(size + 1);
    uint64_t state = 1;
    for (size_t i = 0; i < size; i++)
        filled[i] = follow(&state, i);
    set = epoll_create1(EPOLL_CLOEXEC);
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    int signals = signalfd(-1, &mask, 0), ticking = timerfd_create(CLOCK_MONOTONIC, 0);
    struct itimerspec every = {{0, 100000000}, {0, 100000000}};
    timerfd_settime(ticking, 0, &every, NULL);
    int listener = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (void *)&any, sizeof any) || listen(listener, 64))
        return perror("bind"), 1;
    watch(listener, EPOLLIN, &listener);
    watch(signals, EPOLLIN, &signals);
    watch(ticking, EPOLLIN, &ticking);
    printf("listens at %d\n", port);
    fflush(stdout);
    for (;;) {
        struct epoll_event events[16];
        int ready = epoll_wait(set, events, 16, -1);
        for (int i = 0; i < ready; i++) {
            void *what = events[i].data.ptr;
            if (what == &signals) {
                printf("%u of %u connections are over\n", closed, opened);
                return closed == opened ? 7 : 8;
            } else if (what == &ticking) {
                uint64_t ticks;
                if (read(ticking, &ticks, sizeof ticks) == sizeof ticks)
                    printf("%llu bytes, %u of %u connections\n", (unsigned long long)bytes, opened - closed, opened);
                fflush(stdout);
            } else if (what == &listener) {
                int file = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (file < 0)
                    continue;
                setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                struct connection *new = calloc(1, sizeof *new);
                new->file = file, opened++;
                watch(file, EPOLLIN | EPOLLOUT | EPOLLET, new);
            } else {
                serve(what);
            }
        }
    }
}
