/* Sockets between the processes of a program, and those at which it waits for others. It prints only what holds, and the same whatever happens when.
 * Arguments: rounds, and microseconds between two of them. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static const int kinds[3] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};

static void check(const char *what, int holds)
{
    printf("%s: %s\n", what, holds ? "yes" : "NO");
    fflush(stdout);
}

/* Bytes that follow from those before. */
static unsigned char next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 24;
}

/* Sends messages of changing length, some of them without waiting for what comes back. */
static int send_message(int to, uint32_t *state, int round)
{
    unsigned char bytes[700];
    size_t length = 1 + (round * 37) % (sizeof bytes - 1);
    for (size_t i = 0; i < length; i++)
        bytes[i] = next(state);
    return send(to, bytes, length, 0) == (ssize_t)length;
}

static int receive_message(int from, uint32_t *state, int round, int kind)
{
    unsigned char bytes[701];
    size_t length = 1 + (round * 37) % 699, got = 0;
    do {
        ssize_t count = recv(from, bytes + got, kind == SOCK_STREAM ? length - got : sizeof bytes, 0);
        if (count <= 0)
            return 0;
        got += count;
    } while (kind == SOCK_STREAM && got < length);
    int right = got == length;
    for (size_t i = 0; i < got; i++)
        right &= bytes[i] == next(state);
    return right;
}

static void answer(int *ends, int rounds)
{
    uint32_t in[3] = {1, 2, 3}, out[3] = {4, 5, 6};
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < 3; i++) {
            if (!receive_message(ends[i], &in[i], round, kinds[i]) || !send_message(ends[i], &out[i], round))
                exit(2);
        }
    }
    exit(0);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 50, pause = argc > 2 ? atoi(argv[2]) : 2000;
    int here[3], there[3], unread[2], one = 1, wrong = 0, lost = 0;
    for (int i = 0; i < 3; i++) {
        int ends[2];
        if (socketpair(AF_UNIX, kinds[i], 0, ends))
            return 1;
        here[i] = ends[0], there[i] = ends[1];
    }
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 3; i++)
            close(here[i]);
        answer(there, rounds);
    }
    for (int i = 0; i < 3; i++)
        close(there[i]);
    /* The other end is gone, and what it has sent is still to be read. */
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, unread) || send(unread[1], "the last words", 14, 0) != 14)
        return 1;
    close(unread[1]);

    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof any;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), idle = 90;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(listener, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    if (bind(listener, (void *)&any, sizeof any) || listen(listener, 77) || getsockname(listener, (void *)&any, &size))
        return 1;
    struct sockaddr_in6 any6 = {.sin6_family = AF_INET6};
    int listener6 = socket(AF_INET6, SOCK_STREAM, 0);
    setsockopt(listener6, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (bind(listener6, (void *)&any6, sizeof any6) || listen(listener6, 5))
        return 1;
    struct sockaddr_in datagrams = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int receiver = socket(AF_INET, SOCK_DGRAM, 0), sender = socket(AF_INET, SOCK_DGRAM, 0);
    if (bind(receiver, (void *)&datagrams, sizeof datagrams) || getsockname(receiver, (void *)&datagrams, &size) ||
        connect(sender, (void *)&datagrams, sizeof datagrams))
        return 1;
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "listener.socket"};
    unlink(name.sun_path);
    int local = socket(AF_UNIX, SOCK_STREAM, 0);
    if (bind(local, (void *)&name, sizeof name) || listen(local, 3))
        return 1;

    uint32_t out[3] = {1, 2, 3}, in[3] = {4, 5, 6};
    for (int round = 0, read = 0; round < rounds; round++) {
        usleep(pause);
        for (int i = 0; i < 3; i++)
            wrong += !send_message(here[i], &out[i], round);
        /* Up to four messages wait on their way. */
        if (round % 4 == 3 || round == rounds - 1) {
            usleep(pause);
            for (; read <= round; read++)
                for (int i = 0; i < 3; i++)
                    wrong += !receive_message(here[i], &in[i], read, kinds[i]);
        }
        unsigned char word = round, heard;
        for (int tries = 0;; tries++) {
            struct pollfd waiting = {.fd = receiver, .events = POLLIN};
            wrong += send(sender, &word, 1, 0) != 1;
            /* A datagram may be lost, as datagrams may. */
            if (poll(&waiting, 1, 1000) == 1 && recv(receiver, &heard, 1, MSG_DONTWAIT) == 1 && heard == word)
                break;
            lost += tries > 3;
        }
        while (recv(receiver, &heard, 1, MSG_DONTWAIT) == 1)
            ;
        if (round % 10 == 9) {
            printf("%d rounds\n", round + 1);
            fflush(stdout);
        }
    }
    check("all messages have come", wrong == 0);
    check("datagrams come", lost == 0);
    char words[32];
    check("the last words are there", recv(unread[0], words, sizeof words, 0) == 14 && !memcmp(words, "the last words", 14));
    check("and then the end", recv(unread[0], words, sizeof words, 0) == 0);

    idle = 0, size = sizeof idle;
    getsockopt(listener, IPPROTO_TCP, TCP_KEEPIDLE, &idle, &size);
    check("the listener has its options", idle == 90 && (fcntl(listener, F_GETFL) & O_NONBLOCK));
    check("nobody has come", accept(listener, NULL, NULL) == -1 && errno == EAGAIN);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    struct pollfd coming = {listener, POLLIN, 0};
    check("who comes is let in",
          !connect(client, (void *)&any, sizeof any) && poll(&coming, 1, 10000) == 1 && accept(listener, NULL, NULL) >= 0);
    int visitor = socket(AF_UNIX, SOCK_STREAM, 0);
    check("by the other door, too", !connect(visitor, (void *)&name, sizeof name) && accept(local, NULL, NULL) >= 0);
    one = 0, size = sizeof one;
    getsockopt(listener6, IPPROTO_IPV6, IPV6_V6ONLY, &one, &size);
    check("the third is for IPv6", one == 1);
    int status;
    check("the child ends", waitpid(child, &status, 0) == child && status == 0);
    return 7;
}
